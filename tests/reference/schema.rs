//! The schema accepts what runs and refuses typical mistakes.

use std::sync::LazyLock;

use jsonschema::Validator;
use procblock::Value;
use procblock::docs::block_schema;
use procblock::load::{Source, load_data_file, load_data_text};
use procblock::spec::Expected;

use crate::examples;
use crate::support::{files, repository};

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft202012::new(&block_schema()).unwrap());

fn read(text: &str) -> Value {
    load_data_text(Source::new("example.yaml", "/", text)).unwrap().root.to_value()
}

fn faults(value: &Value) -> Vec<String> {
    SCHEMA.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_schema_is_one_of_its_dialect() {
    assert!(jsonschema::draft202012::meta::is_valid(&block_schema()));
}

#[test]
fn every_example_that_runs_is_accepted() {
    for (name, example) in examples::all() {
        if matches!(example.expected, Expected::Result(_) | Expected::Failure(_)) {
            assert_eq!(faults(&read(example.yaml)), Vec::<String>::new(), "{name}\n{}", example.yaml);
        }
    }
}

#[test]
fn every_block_file_of_the_demos_and_templates_is_accepted() {
    for folder in ["demos", "procblock/src/cli/templates"] {
        for path in files(&repository().join(folder), &["yaml"]) {
            let value = load_data_file(&path).unwrap().root.to_value();
            assert_eq!(faults(&value), Vec::<String>::new(), "{}", path.display());
        }
    }
}

#[test]
fn typical_mistakes_are_refused() {
    for text in [
        "run:\n  - skript: a.lua\n",
        "run:\n  - {shell: uptime, tiemout: 5}\n",
        "run:\n  - {shell: uptime, timeout: soon}\n",
        "run:\n  - {shell: uptime, lua: 'return {}'}\n",
        "run:\n  - {timeout: 5}\n",
        "run:\n  shell: uptime\n",
        "run simultanous:\n  a: [{shell: uptime}]\n",
        "run_simultaneous:\n  a: {shell: uptime}\n",
        "run workers:\n  a: {run: []}\n",
        "run workers:\n  a: {queue: q, run: [], worker: 4}\n",
        "require lock: {wait: 5}\n",
        "require lock: {name: a, on busy: wait}\n",
        "__usage: {nmae: a}\n",
        "__usage: {options: {days: {letter: d, type: integer}}}\n",
        "job:\n  __usage: {name: a}\n",
        "run:\n  - {name: a, every: 5s, system: [load], timeseries collect: {path: a.rrd, fields: [load_1], grahp: {path: a.png}}}\n",
        "run:\n  - {name: a, every: 5s, system: [load], timeseries_collect: {path: a.rrd, fields: {load_1: {type: GAGE}}}}\n",
        "run:\n  - {name: a, every: 5s, system: [load], timeseries collect: {fields: [load_1]}}\n",
        "run:\n  - system: [cpus]\n",
        "run:\n  - {shell: uptime, on error: contineu}\n",
        "if load > 5: {run: [{skript: a}]}\n",
        "serve: {port: 8080, folders: site}\n",
        "serve: [{folder: site, limits: {body: 1}}]\n",
    ] {
        assert!(!SCHEMA.is_valid(&read(text)), "accepted:\n{text}");
    }
}

#[test]
fn data_of_the_users_own_is_accepted() {
    for text in [
        "",
        "running: true\nruns: 5\n",
        "a: {b: {c: [1, {d: null}]}}\n",
        "data: {run simultanous: 5, serve: 1, __usage: x}\n",
        "run:\n  - set: {serve: pages, n: '${a + 1}'}\n",
        "run:\n  - {shell: uptime, timeout: '${patience}', retry: '3'}\n",
        "run:\n  - {exec: '${words}'}\n",
        "on_error:\n  - {log: bad}\n  - then: continue\n",
        "on error: {run: [{log: bad}], then: continue}\n",
        "if a == 1: {x: 1, elif a == 2: {x: 2}, else: {x: 3}}\n",
        "late: {__priority: 900, x: 1}\n",
        "serve: pages\n",
        "serve: [site.yaml, {folder: site, port: 8080, any_host: true}]\n",
        "__import__limits: limits.yaml\n__load: more.yaml\n",
    ] {
        assert_eq!(faults(&read(text)), Vec::<String>::new(), "{text}");
    }
}
