//! An instance's answers, full of names that are hard to show.

use serde_json::json;

use super::Fixture;

/// A name that breaks out of what it is put in, where that is possible.
pub(crate) const HOSTILE: &str = "\"} 1\n</title><script>alert(1)</script>'\\\u{e9}";

/// Run-threads and series as an instance tells them.
pub(crate) fn tell(site: &Fixture) {
    let thread = json!({
        "is_running": true, "scripts": [HOSTILE], "every": 5.0, "runs": 3, "failed": 1, "late": 0, "skipped": 0,
        "age": 2.5, "last_start": f64::from(u32::MAX), "last_duration": 0.25, "error": HOSTILE, "is_failing": false,
    });
    let mut detailed = thread.clone();
    detailed.as_object_mut().unwrap().extend(
        json!({
            "durations": [[0.5, false], [1.5, true]], "errors": [{"time": 1_000_000_000, "text": HOSTILE, "times": 3}],
            "result": {HOSTILE: HOSTILE, "load": 0.25}, "yaml": HOSTILE, "place": {"file": HOSTILE, "line": 3},
            "files": [HOSTILE], "series": {HOSTILE: {"name": HOSTILE, "stored": 1, "late": 0, "dropped": 0}},
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    let status = json!({
        "name": HOSTILE, "pid": 7, "version": "1.2.3", "file": "/blocks/a.yaml", "since": 0.0, "stopping": false,
        "threads": {"cpu": thread.clone(), HOSTILE: thread}, "lateness": {"starts": 9, "p50": 0.001, "p99": 0.002},
    });
    let stored = json!({
        "name": HOSTILE, "path": HOSTILE, "is_stored": true, "last_time": 1000, "stored": 4, "dropped": 0,
        "last": {"load": 0.5, "none": null}, "error": null,
    });
    let mut told = site.told.lock().unwrap();
    told.insert("status".into(), status);
    told.insert("about".into(), json!({"name": HOSTILE, "versions": {"procblock": "1.2.3"}}));
    told.insert("durations".into(), json!({"cpu": detailed["durations"], HOSTILE: detailed["durations"]}));
    told.insert("threads".into(), json!({"cpu": detailed.clone(), HOSTILE: detailed.clone()}));
    told.insert("thread".into(), detailed);
    told.insert("series.info".into(), json!({
        "name": HOSTILE, "path": HOSTILE, "is_stored": true, "last_time": 1000, "stored": 4, "late": 1, "dropped": 0,
        "last": {"load": 0.5, HOSTILE: 1}, "error": HOSTILE, "size": 2048, "thread": HOSTILE, "yaml": HOSTILE,
        "place": {"file": HOSTILE, "line": 3},
        "file": {
            "step": 5, "last_update": 1000, "header_bytes": 99,
            "columns": [{"name": HOSTILE, "kind": "GAUGE", "heartbeat": 10, "min": null, "max": 5.0, "last": 1.0}],
            "archives": [{"consolidation": "AVERAGE", "unknown_max": 0.5, "steps": 12, "rows": 100}],
        },
    }));
    told.insert("series".into(), json!([stored, {"name": "other", "is_stored": false}]));
    let line =
        json!({"time": "2026-11-21T23:59:59.5Z", "level": "error", "target": "a", "thread": HOSTILE, "text": HOSTILE});
    told.insert("logs".into(), json!({"lines": [line], "missed": 0, "next": 1}));
    told.insert("sources".into(), json!(["/blocks/a.yaml", HOSTILE]));
}
