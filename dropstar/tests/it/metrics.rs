//! `/metrics` and `/readyz`: the text format, what it tells, and why a server is not ready.

use std::collections::{BTreeMap, HashSet};

use dropstar::Value;
use serde_json::json;

use crate::support::{Fixture, HOSTILE, tell};

/// The samples of a text by name and labels, as they are written; refuses what the format does not allow.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let (mut families, mut samples, mut current) = (HashSet::new(), BTreeMap::new(), String::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = help.split_once(' ').expect("a help text").0.to_string();
            assert!(families.insert(current.clone()), "{current} is told twice");
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a kind");
            assert_eq!(name, current);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            continue;
        }
        let (key, value) = line.rsplit_once(' ').expect("a value");
        let name = key.split('{').next().expect("a name");
        assert!(name.starts_with(&current), "{line} stands under {current}");
        assert!(name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_'), "{line}");
        if let Some(labels) = key.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            check_labels(labels.strip_prefix('{').and_then(|labels| labels.strip_suffix('}')).expect("braces"));
        }
        let value = value.replace("+Inf", "inf").parse().unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(samples.insert(key.to_string(), value), None, "{key} is told twice");
    }
    assert!(text.ends_with('\n'));
    samples
}

fn check_labels(labels: &str) {
    let mut rest = labels;
    loop {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("{labels}"));
        assert!(name.chars().all(|character| character.is_ascii_lowercase() || character == '_'), "{labels}");
        let mut characters = value.char_indices();
        let end = loop {
            match characters.next().unwrap_or_else(|| panic!("{labels} does not end")) {
                (_, '\\') => assert!(matches!(characters.next(), Some((_, '\\' | '"' | 'n'))), "{labels}"),
                (end, '"') => break end,
                _ => {}
            }
        };
        rest = &value[end + 1..];
        if rest.is_empty() {
            return;
        }
        rest = rest.strip_prefix(',').unwrap_or_else(|| panic!("{labels}"));
    }
}

#[test]
fn metrics_tell_of_the_server_the_store_run_threads_and_series_in_the_format() {
    let site = Fixture::new(&[("static/a.txt", "a")]);
    tell(&site);
    site.unidist.sharedcounter().set("requests", -7).unwrap();
    site.unidist.sharedcounter().set("a b{c=\"d\"}", 1).unwrap();
    let stop = unidist::Stop::new();
    site.unidist.messagequeue().add("wall", json!("hello"), &unidist::AddOptions::default(), &stop).unwrap();
    let _held = site.unidist.sharedlock().acquire("report", &unidist::AcquireOptions::default(), &stop).unwrap();
    assert_eq!(site.get("/a.txt").status, 200);
    assert_eq!(site.get("/none").status, 404);

    let reply = site.get("/metrics");
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let samples = parse(&reply.text());
    let hostile = HOSTILE.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    for (name, value) in [
        ("dropstar_http_requests_total{route=\"static\",status=\"2xx\"}".to_string(), 1.0),
        ("dropstar_http_requests_total{route=\"none\",status=\"4xx\"}".into(), 1.0),
        ("dropstar_http_request_duration_seconds_count{route=\"static\"}".into(), 1.0),
        ("dropstar_programs_running".into(), 0.0),
        ("procblock_run_threads".into(), 2.0),
        ("procblock_run_thread_runs_total{name=\"cpu\"}".into(), 3.0),
        (format!("procblock_run_thread_failures_total{{name=\"{hostile}\"}}"), 1.0),
        ("procblock_run_thread_failing{name=\"cpu\"}".into(), 0.0),
        ("procblock_run_thread_last_duration_seconds{name=\"cpu\"}".into(), 0.25),
        ("procblock_run_thread_start_delay_seconds{quantile=\"0.99\"}".into(), 0.002),
        ("procblock_series".into(), 1.0),
        (format!("procblock_series_value{{series=\"{hostile}\",field=\"load\"}}"), 0.5),
        ("unidist_counter_value{name=\"requests\"}".into(), -7.0),
        ("unidist_counter_value{name=\"a b{c=\\\"d\\\"}\"}".into(), 1.0),
        ("unidist_locks_held".into(), 1.0),
        ("unidist_queue_messages{queue=\"wall\",state=\"ready\"}".into(), 1.0),
        ("unidist_queue_added_total{queue=\"wall\"}".into(), 1.0),
    ] {
        assert_eq!(samples.get(&name), Some(&value), "{name}\n{}", reply.text());
    }
    assert!(samples["process_resident_memory_bytes"] > 1e6);
}

#[test]
fn names_past_the_bound_are_only_counted() {
    let site = Fixture::new(&[]);
    for number in 0..1100 {
        site.unidist.sharedcounter().set(&format!("c{number}"), 1).unwrap();
    }
    let samples = parse(&site.get("/metrics").text());
    assert_eq!(samples["unidist_counters"], 1100.0);
    assert_eq!(samples.keys().filter(|key| key.starts_with("unidist_counter_value")).count(), 1000);
}

#[test]
fn a_server_is_ready_when_its_instance_is_and_says_why_not() {
    let site = Fixture::new(&[]);
    assert_eq!(site.get("/readyz").json(), json!({"status": "ready"}), "nothing runs around it");
    tell(&site);
    assert_eq!(site.get("/readyz").json(), json!({"status": "ready"}));
    let change =
        |key: &str, value: Value| site.told.lock().unwrap().get_mut("status").unwrap()["threads"]["cpu"][key] = value;
    change("is_failing", true.into());
    change("error", "no such host".into());
    let reply = site.get("/readyz");
    assert_eq!(reply.status, 503);
    let reason = "the run-thread cpu fails: no such host";
    assert_eq!(reply.json(), json!({"status": "not ready", "reasons": [reason]}));
}
