//! Executable scripts, seen from outside.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::error::RunErrorKind;
use crate::script::Script;
use crate::script::testing::Bench;

fn script(folder: &tempfile::TempDir, text: &str, mode: u32) -> Script {
    let path: PathBuf = folder.path().join("s");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    Script::File(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_reads_json_and_prints_json_or_text() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new().with(json!({"a": 1}));
    let echo = script(&folder, "#!/bin/sh\ncat", 0o755);
    let expected = json!({"pipe_data": {"a": 1}, "input_data": {"a": 1}, "request_state": {}, "tag": "run"});
    assert_eq!(bench.call(&echo).await, Ok(expected));
    let text = script(&folder, "#!/bin/sh\npwd", 0o755);
    assert_eq!(bench.call(&text).await, Ok(json!({"output": "/tmp\n"})));
    let nothing = script(&folder, "#!/bin/sh\n", 0o755);
    assert_eq!(bench.call(&nothing).await, Ok(json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fails_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new().within(Duration::from_millis(300));
    let error = bench.call(&script(&folder, "#!/bin/sh\necho oh >&2; exit 3", 0o755)).await.unwrap_err();
    assert_eq!((error.status, error.output.as_deref()), (Some(3), Some("oh")));
    let error = bench.call(&script(&folder, "#!/bin/sh\nsleep 60", 0o755)).await.unwrap_err();
    assert_eq!(error.kind, RunErrorKind::TimedOut);
    let error = bench.call(&script(&folder, "#!/bin/sh\n", 0o644)).await.unwrap_err();
    assert!(error.message.contains("may not be executed; allow it: chmod +x "), "{error}");
    let error = bench.call(&script(&folder, "#!/no/such/shell\n", 0o755)).await.unwrap_err();
    assert!(error.message.contains("names an interpreter in its first line that is not there"), "{error}");
    let error = bench.call(&Script::File(folder.path().join("none"))).await.unwrap_err();
    assert!(error.message.contains("script \"none\" not found in folder"), "{error}");
}
