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
    told.insert("series".into(), json!([stored, {"name": "other", "is_stored": false}]));
    let line = json!({"time": "86399.5", "level": "error", "target": "a", "thread": HOSTILE, "text": HOSTILE});
    told.insert("logs".into(), json!({"lines": [line], "missed": 0, "next": 1}));
    told.insert("sources".into(), json!(["/blocks/a.yaml", HOSTILE]));
}
