//! The calls of an instance.

use parking_lot::Mutex;

use super::*;
use crate::instance::{Instance, InstanceConfig};

struct Running {
    folder: tempfile::TempDir,
    instance: Arc<Instance>,
    socket: PathBuf,
    _server: Server,
}

fn run(reload: Option<Reload>) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let config = InstanceConfig {
        name: "x".into(),
        is_longrunning: true,
        unidist: "memory:".into(),
        python: "python3".into(),
        keeper: "/nonexistent/procblock".into(),
        series: "/nonexistent/procblock-series".into(),
        load_state: Vec::new(),
        spare_workers: Default::default(),
    };
    let instance = Instance::start(config).unwrap();
    let calls = InstanceCalls::new(Arc::clone(&instance), hello("x"), folder.path().to_path_buf(), reload);
    let (server, socket) = serve(folder.path(), "x", Arc::new(calls));
    Running { folder, instance, socket, _server: server }
}

/// Calls over one connection after the other.
async fn call(running: &Running, name: &'static str, args: Value) -> Result<Value, String> {
    let socket = running.socket.clone();
    let Value::Array(args) = args else { return Err("not a list".into()) };
    blocking(move || {
        let mut client = Client::connect(&socket, LIMIT).map_err(|error| error.to_string())?;
        client.call(name, args, Some(LIMIT)).map_err(|error| match error {
            ClientError::Refused(error) => format!("{}: {}", error.code, error.text),
            error => error.to_string(),
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_functions_are_called_by_name() {
    let running = run(None);
    assert_eq!(call(&running, "sharedcounter.increment", json!(["requests", 5])).await, Ok(json!(5)));
    assert_eq!(running.instance.unidist.sharedcounter().get("requests").unwrap(), 5);
    call(&running, "sharedstate.set", json!(["b", "k", {"a": [1]}])).await.unwrap();
    assert_eq!(call(&running, "sharedstate.get", json!(["b", "k"])).await, Ok(json!({"a": [1]})));
    let error = call(&running, "sharedstate.get", json!(["b", "none"])).await.unwrap_err();
    assert!(error.starts_with("not_found: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_start_processes_or_touch_files_are_not_for_the_socket() {
    let running = run(None);
    for name in ["process.run", "file.read", "nothing.at_all"] {
        let error = call(&running, name, json!([["/bin/true"]])).await.unwrap_err();
        assert!(error.starts_with("unknown_function: "), "{error}");
    }
    let error = call(&running, "statu", json!([])).await.unwrap_err();
    assert!(error.contains("there is no call \"statu\"") && error.ends_with("did you mean status?"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_taken_over_a_connection_end_with_it() {
    let running = run(None);
    let name = format!("control-test-{}", std::process::id());
    let socket = running.socket.clone();
    let taken = name.clone();
    let client = blocking(move || {
        let mut client = Client::connect(&socket, LIMIT).unwrap();
        client.call("sharedlock.acquire", vec![json!(taken), json!({"wait": 0})], Some(LIMIT)).unwrap();
        client
    })
    .await;
    assert!(running.instance.unidist.sharedlock().is_locked(&name).unwrap());
    drop(client);
    let fence = call(&running, "sharedlock.acquire", json!([name, {"wait": 30}])).await.unwrap();
    assert!(fence.is_u64(), "{fence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_who_and_what_runs() {
    let running = run(None);
    let status = call(&running, "status", json!([])).await.unwrap();
    assert_eq!(
        (&status["name"], &status["longrunning"], &status["stopping"], &status["threads"]),
        (&json!("x"), &json!(true), &json!(false), &json!({}))
    );
    assert_eq!(call(&running, "threads", json!([])).await, Ok(json!({})));
    let error = call(&running, "status", json!(["none"])).await.unwrap_err();
    assert_eq!(error, "not_found: no run-thread and no workers have the name \"none\"");
    assert!(call(&running, "status", json!([1])).await.unwrap_err().starts_with("bad_argument: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_waits_for_its_outcome() {
    let outcomes = Arc::new(Mutex::new(vec![Err("simplest.yaml:1:1: no".to_string()), Ok("reloaded".to_string())]));
    let reload: Reload = Arc::new(move || {
        let outcomes = Arc::clone(&outcomes);
        Box::pin(async move { outcomes.lock().pop().unwrap() })
    });
    let running = run(Some(reload));
    assert_eq!(call(&running, "reload", json!([])).await, Ok(json!("reloaded")));
    let error = call(&running, "reload", json!([])).await.unwrap_err();
    assert_eq!(error, "reload_failed: simplest.yaml:1:1: no");
    assert!(call(&run(None), "reload", json!([])).await.unwrap_err().starts_with("not_longrunning: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_requested_by_call_and_by_the_lock_of_the_instance() {
    for (name, args) in [("stop", json!([])), ("sharedlock.release", json!(["__running"]))] {
        let running = run(None);
        assert!(!running.instance.stop.is_requested());
        call(&running, name, args).await.unwrap();
        assert!(running.instance.stop.is_requested());
        assert!(running.folder.path().exists());
    }
}
