//! Pages and RPCs, run without a server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dropstar::{Failure, FailureKind, Loaded, Loader, Purpose, Request};
use serde_json::json;
use tempfile::TempDir;
use unidist::Stop;

use crate::instance::{Instance, InstanceConfig};
use crate::serve::loader::PageLoader;
use crate::serve::program::Surroundings;
use crate::value::{Map, Value};

struct Bench {
    folder: TempDir,
    instance: Arc<Instance>,
    loader: PageLoader,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = InstanceConfig {
            name: "bench".into(),
            is_longrunning: true,
            unidist: "memory:".into(),
            python: "python3".into(),
            keeper: PathBuf::from("/no/keeper"),
            series: PathBuf::from("/no/series"),
            load_state: Vec::new(),
            spare_workers: Default::default(),
        };
        let instance = Instance::start(config).unwrap();
        let surroundings = Surroundings { instance: Arc::clone(&instance), folder: None, base: folder.path().into() };
        Bench { folder, instance, loader: PageLoader::new(surroundings) }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn load(&self, name: &str, text: &str) -> Loaded {
        let path = self.write(name, text);
        self.loader.load(&path, Purpose::Page).unwrap_or_else(|failure| panic!("{name}: {failure}")).0
    }

    /// Runs a page of this text with these arguments.
    async fn page(&self, name: &str, text: &str, arguments: Value) -> Result<Value, Failure> {
        run(&self.load(name, text), arguments).await
    }
}

fn request(arguments: Value) -> Request {
    let Value::Object(arguments) = arguments else { panic!("no mapping: {arguments}") };
    let state = json!({"path": "/x", "render": "True", "args": arguments, "cookies": {}});
    let Value::Object(state) = state else { unreachable!() };
    Request {
        arguments: Arc::new(arguments),
        state: state.into(),
        begun: Instant::now(),
        deadline: Instant::now() + Duration::from_secs(5),
        stop: Stop::new(),
    }
}

async fn run(loaded: &Loaded, arguments: Value) -> Result<Value, Failure> {
    let program = loaded.program.as_ref().unwrap();
    program.run(&request(arguments)).await.map(|answer| Value::Object(answer.values))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_sees_arguments_and_request_but_returns_only_its_own() {
    let text = "--: title: Disks\nfunction ProcessBlock(pipe_data, block, request_state, input_data)\n\
                return {title = 'mine', who = input_data.who, path = request_state.path, none = next(pipe_data) == nil}\nend";
    let outcome = Bench::new().page("disks.lua", text, json!({"who": "me", "output": "x", "title": "y"})).await;
    assert_eq!(outcome, Ok(json!({"title": "mine", "who": "me", "path": "/x", "none": true})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_gives_what_its_list_returned_without_the_inputs() {
    let bench = Bench::new();
    bench.write("pages/twice.lua", "function ProcessBlock(p) return {limit = p.limit, kept = 5} end");
    let text = "title: T\ndata: {limit: 5, secret: x, kept: 5}\nheading: 'for ${args.who}'\nrun:\n  - set: {n: '${args.n}', m: '${request_state.path}'}\n";
    let arguments = json!({"who": "me", "n": 3, "secret": "y", "output": "z"});
    let outcome = bench.page("pages/a.yaml", text, arguments.clone()).await;
    assert_eq!(outcome, Ok(json!({"heading": "for me", "n": 3, "m": "/x"})));
    let text = format!("{text}  - script: twice.lua\n__return_tag: run\n");
    let outcome = bench.page("pages/b.yaml", &text, arguments).await;
    assert_eq!(outcome, Ok(json!({"n": 3, "m": "/x", "limit": 5, "kept": 5})), "also what equals an input");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_reads_the_request() {
    let text = "run:\n  - if: request_state.render == \"True\" and args.n > 2\n    set: {big: true}\n";
    let bench = Bench::new();
    assert_eq!(bench.page("a.yaml", text, json!({"n": "3"})).await, Ok(json!({"big": true})));
    assert_eq!(bench.page("b.yaml", text, json!({})).await, Ok(json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_are_allowed_by_name_in_scripts_and_blocks() {
    let bench = Bench::new();
    let code = "function ProcessBlock() return {there = file.exists('/')} end";
    let refused = bench.page("a.lua", code, json!({})).await.unwrap_err();
    assert!(refused.text.contains("add \"allow: [file]\" to the page or RPC"), "{refused}");
    let allowed = bench.page("b.lua", &format!("--: allow: [file]\n{code}"), json!({})).await;
    assert_eq!(allowed, Ok(json!({"there": true})));
    let block = "run:\n  - lua: return {there = file.exists('/')}\n";
    let refused = bench.page("a.yaml", block, json!({})).await.unwrap_err();
    assert!(refused.text.contains("allow: [file]"), "{refused}");
    let allowed = bench.page("b.yaml", &format!("allow: [file]\n{block}"), json!({})).await;
    assert_eq!(allowed, Ok(json!({"there": true})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_no_lock() {
    let bench = Bench::new();
    let take = "unidist.sharedlock.acquire('page', {wait = 0})";
    let script = format!("function ProcessBlock() {take} return {{}} end");
    let block = format!("run:\n  - lua: {take}\n");
    let failing = format!("run:\n  - lua: {take} error('no')\n");
    let endless = format!("timeout: 1s\nrun:\n  - lua: {take} while true do end\n");
    for (name, text) in [("a.lua", &script), ("a.yaml", &block), ("b.yaml", &failing), ("c.yaml", &endless)] {
        let loaded = bench.load(name, text);
        let mut request = request(json!({}));
        request.deadline = Instant::now() + Duration::from_millis(300);
        let outcome = loaded.program.unwrap().run(&request).await;
        assert_eq!(outcome.is_err(), name == "b.yaml" || name == "c.yaml", "{name}: {outcome:?}");
        assert!(!bench.instance.unidist.sharedlock().is_locked("page").unwrap(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_and_stop_end_a_page() {
    let bench = Bench::new();
    for (name, text) in [
        ("a.lua", "function ProcessBlock() while true do end end"),
        ("a.yaml", "run:\n  - sleep: 60\n"),
        ("b.yaml", "run:\n  - lua: while true do end\n"),
    ] {
        let program = bench.load(name, text).program.unwrap();
        let mut late = request(json!({}));
        late.deadline = Instant::now() + Duration::from_millis(50);
        let failed = program.run(&late).await.unwrap_err();
        assert_eq!(failed.kind, FailureKind::TimedOut, "{name}: {failed}");
        let stopped = request(json!({}));
        let stop = stopped.stop.clone();
        let stopping = tokio::spawn(async move { stop.request() });
        let failed = program.run(&stopped).await.unwrap_err();
        assert_eq!(failed.kind, FailureKind::Stopped, "{name}: {failed}");
        stopping.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_tells_its_line_and_trace() {
    let bench = Bench::new();
    let failed =
        bench.page("a.lua", "\nfunction ProcessBlock()\n  error('no disk')\nend", json!({})).await.unwrap_err();
    assert_eq!(failed.kind, FailureKind::Failed);
    assert!(failed.text.starts_with("no disk\n"), "{failed}");
    assert_eq!(failed.place, Some(format!("{}:3", bench.folder.path().join("a.lua").display())));
    let failed = bench.page("a.yaml", "run:\n  - lua: return 5\n", json!({})).await.unwrap_err();
    assert!(failed.text.contains("expected a mapping"), "{failed}");
    let failed = bench.page("b.yaml", "__return_tag: x\nx: 5\n", json!({})).await.unwrap_err();
    assert_eq!(failed.text, "the result is a number, expected a mapping");
}

fn refused(bench: &Bench, name: &str, text: &str, purpose: Purpose) -> String {
    let path = bench.write(name, text);
    let outcome = if name.starts_with("package") {
        bench.loader.load_package(&path).map(|_| ())
    } else {
        bench.loader.load(&path, purpose).map(|_| ())
    };
    outcome.expect_err(text).text.replace(&format!("{}/", bench.folder.path().display()), "")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_with_its_place() {
    let bench = Bench::new();
    for (text, expected) in [
        ("- run\n", "a.yaml:1:1: a block file is a mapping"),
        ("needs: me\nrun: []\n", "a.yaml:1:8: needs is the text \"me\""),
        ("run:\n  - skript: a.lua\n", "did you mean \"script\"?"),
        ("__usage: {name: x}\nrun: []\n", "a page has no __usage"),
        ("run workers:\n  a: {queue: q, run: []}\n", "a page can't keep the instance alive"),
        ("template: [a]\n", "a.yaml:1:11: template is a list; expected {path: FILE}"),
        ("template: {paht: a}\n", "unknown key \"paht\" in template; did you mean \"path\"?"),
        ("template: {path: '${x}'}\n", "path can't hold ${…}"),
    ] {
        let told = refused(&bench, "a.yaml", text, Purpose::Page);
        assert!(told.contains(expected), "{text}: {told}");
    }
    let told = refused(&bench, "a.yaml", "template: x\n", Purpose::Rpc);
    assert!(told.contains("an RPC has no template"), "{told}");
    for (text, expected) in [
        ("htpp: {}\n", "unknown key \"htpp\" in the package; did you mean \"http\"?"),
        ("http: {/a: {}}\n", "the name of the page begins or ends with /: \"/a\""),
        ("rpc: {a?b: {}}\n", "the name of the RPC has other characters than a path"),
        ("http: {a/../b: {}}\n", "the name of the page is no path"),
        ("static: {}\n", "static has no path"),
    ] {
        let told = refused(&bench, "package.yaml", text, Purpose::Page);
        assert!(told.contains(expected), "{text}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_page_of_a_package_fails_alone() {
    let bench = Bench::new();
    let text = "static: {path: www}\npublic: open\nblocks:\n  greet: {hello: '${args.who}'}\nhttp:\n  good:\n    template: {path: t.html}\n    run:\n      - call: greet\n  bad: {run: [{skript: a}]}\n  still: {template: {path: t.html}}\nrpc:\n  add: {read only: true, run: [{lua: 'return {sum = input_data.a + 1}'}]}\n";
    let (package, files) = bench.loader.load_package(&bench.write("package.yaml", text)).unwrap();
    assert_eq!(files, [bench.folder.path().join("package.yaml")]);
    assert_eq!(package.static_folder, Some(bench.folder.path().join("www")));
    assert_eq!(package.public_folder, Some(bench.folder.path().join("open")));
    assert_eq!(run(&package.pages["good"], json!({"who": "me"})).await, Ok(json!({"hello": "me"})));
    assert!(package.pages["still"].program.is_none() && package.pages["still"].template.is_some());
    let failed = run(&package.pages["bad"], json!({})).await.unwrap_err();
    assert!(failed.text.contains("package.yaml:10:16: ") && failed.text.contains("did you mean"), "{failed}");
    assert_eq!(run(&package.procedures["add"], json!({"a": 1})).await, Ok(json!({"sum": 2})));
    assert!(package.procedures["add"].declaration.is_read_only);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_a_page_are_waited_for() {
    let text = "run simultaneous:\n  a: [{set: {n: 1}}]\n  b: [{set: {n: 2}}]\nsum: {__priority: 900, n: '${run_simultaneous.a.n + run_simultaneous.b.n}'}\n__return_tag: sum\n";
    let text = text.replace("run simultaneous", "run_simultaneous");
    assert_eq!(Bench::new().page("a.yaml", &text, json!({})).await, Ok(json!({"n": 3})));
}

#[test]
fn the_environment_holds_what_can_be_a_variable() {
    let request =
        request(json!({"n": 5, "a b": "x", "PATH": "/evil", "text": "x; rm", "zero": "a\u{0}b", "list": [1]}));
    let found: Map = super::environment::environment(&request);
    let expected =
        json!({"REQUEST_PATH": "/x", "ARG_n": "5", "ARG_PATH": "/evil", "ARG_text": "x; rm", "ARG_list": "[1]"});
    assert_eq!(Value::Object(found), expected);
}
