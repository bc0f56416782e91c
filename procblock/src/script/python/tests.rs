//! Python scripts, seen from outside.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{RunError, RunErrorKind};
use crate::script::testing::Bench;
use crate::script::{Allow, Script};

fn message(outcome: &Result<Value, RunError>) -> String {
    outcome.as_ref().map_or_else(ToString::to_string, |value| format!("no error but {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn values_go_in_and_come_back_as_they_were() {
    let data = json!({
        "integer": 9_007_199_254_740_993_i64, "float": 2.0, "text": "ä\n", "yes": true, "nothing": null,
        "list": [1, 2.5, "x", null, []], "empty": {}, "deep": {"a": [{"c": 1}]},
    });
    let bench = Bench::new().with(data.clone());
    assert_eq!(bench.python("return pipe_data").await, Ok(data));
    assert_eq!(bench.python("pipe_data['x'] = 1").await, Ok(json!({})));
    let mixed = bench.python("return {'a': (1, 2), 3: tag, 'cwd': cwd}").await;
    assert_eq!(mixed, Ok(json!({"a": [1, 2], "3": "run", "cwd": "/tmp"})));
    let defined = "def ProcessBlock(pipe_data, block, *rest, **more):\n    return {'n': pipe_data['integer']}";
    assert_eq!(bench.python(defined).await, Ok(json!({"n": 9_007_199_254_740_993_i64})));
    for (parameters, body) in [
        ("", "1"),
        ("pipe_data", "pipe_data['float'] - 1"),
        ("*all", "len(all) - 7"),
        ("pipe_data, block, request_state, input_data", "1"),
        ("pipe_data, *, wanted=1", "wanted"),
    ] {
        let defined = format!("def ProcessBlock({parameters}):\n    return {{'n': int({body})}}");
        assert_eq!(bench.python(&defined).await, Ok(json!({"n": 1})), "{parameters}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_tells_the_line_of_the_users_code() {
    let bench = Bench::new();
    for (text, place, expected) in [
        ("x = 1\nraise ValueError('boom')", "/x/test.yaml:11", "ValueError: boom"),
        ("\nreturn {\n 'a': ]", "/x/test.yaml:12", "SyntaxError"),
        ("return 5", "/x/test.yaml", "the script returned a int, expected a mapping"),
        ("return {'a': {'b': [1, float('nan')]}}", "/x/test.yaml", "result.a.b[1]: nan is not a number"),
        ("return {'a': {1, 2}}", "/x/test.yaml", "result.a: a set cannot be passed on"),
        ("a = {}\na['a'] = a\nreturn a", "/x/test.yaml", "nested deeper than 64 levels"),
        ("return {'a': 1 << 70}", "/x/test.yaml", "does not fit into 64 bits"),
        ("import sys\nsys.exit(3)", "/x/test.yaml:11", "the script called sys.exit(3)"),
        ("import nothing_here", "/x/test.yaml:10", "No module named 'nothing_here'"),
        ("import unidist\n\nunidist.sharedlock.release('deploy')", "/x/test.yaml:12", "not the holder of lock deploy"),
        ("import os\nos._exit(4)", "/x/test.yaml", "the Python worker exited with 4 during the call"),
        ("import os\nos.kill(os.getpid(), 9)", "/x/test.yaml", "the Python worker was killed by signal 9"),
    ] {
        let error = bench.python(text).await.unwrap_err();
        assert!(error.message.contains(expected), "{text}: {error:?}");
        assert!(error.place.as_deref().unwrap().starts_with(place), "{text}: {error:?}");
    }
    let error = bench.python("def f():\n    return 1 / 0\nf()").await.unwrap_err();
    assert!(error.trace.unwrap().contains("test.yaml\", line 11, in f"));
    assert_eq!(bench.python("return {'a': 1}").await, Ok(json!({"a": 1})));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_the_host_are_the_module_unidist() {
    let mut bench = Bench::new();
    let text = "import unidist\nfrom unidist.sharedcounter import increment\n\
        try:\n    unidist.sharedlock.release('deploy')\nexcept unidist.Error as e:\n    problem = [e.code, str(e)]\n\
        return {'n': increment('requests', by=2), 'problem': problem, 'none': unidist.sharedstate.get('a')}";
    let expected = json!({"n": 2, "problem": ["not_holder", "not the holder of lock deploy"], "none": null});
    assert_eq!(bench.python(text).await, Ok(expected));
    assert_eq!(bench.host.calls.lock()[1].2, vec![json!("requests"), json!({"by": 2})]);
    bench.allow = Allow::PAGE;
    let outcome = bench.python("import unidist\nunidist.file.read('x')").await;
    assert!(message(&outcome).contains("add \"allow: [file]\""), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_call_ends_with_its_time_limit_and_with_a_stop() {
    let bench = Bench::new().within(Duration::from_millis(700));
    let began = Instant::now();
    let endless = "try:\n    while True: pass\nexcept BaseException:\n    while True: pass";
    assert_eq!(bench.python(endless).await.unwrap_err().kind, RunErrorKind::TimedOut);
    assert!(began.elapsed() < Duration::from_millis(1700));
    let bench = Bench::new();
    let (stop, host) = (bench.stop.clone(), std::sync::Arc::clone(&bench.host));
    let stopper = tokio::spawn(async move {
        while host.calls.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        stop.request();
    });
    let text = "import unidist\nunidist.sharedcounter.increment('x')\nwhile True: pass";
    assert_eq!(bench.python(text).await.unwrap_err().kind, RunErrorKind::Stopped);
    stopper.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stays_warm_and_an_edited_file_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.py");
    let bench = Bench::new();
    let mut workers = std::collections::HashSet::new();
    for n in 0..20 {
        let text =
            format!("import os, lib\ndef ProcessBlock(p, *rest): return {{'n': {n} + lib.n, 'pid': os.getpid()}}");
        std::fs::write(folder.path().join("lib.py"), format!("n = {}", n * 10)).unwrap();
        std::fs::write(&path, text).unwrap();
        for _ in 0..2 {
            let result = bench.call(&Script::File(path.clone())).await.unwrap();
            assert_eq!(result["n"], json!(n * 11));
            workers.insert(result["pid"].to_string());
        }
    }
    assert_eq!(workers.len(), 1);
    assert!(!folder.path().join("__pycache__").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn same_named_scripts_and_modules_of_two_folders_never_mix() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let bench = Bench::new();
    let text = "import lib\nx = 0\ndef ProcessBlock(*rest):\n    global x\n    x += 1\n    import lib as again\n    \
        import late\n    return {'n': lib.n, 'again': again.n, 'late': late.n, 'x': x}";
    for (n, folder) in folders.iter().enumerate() {
        std::fs::write(folder.path().join("lib.py"), format!("n = {n}")).unwrap();
        std::fs::write(folder.path().join("late.py"), format!("n = {n}")).unwrap();
        std::fs::write(folder.path().join("s.py"), text).unwrap();
    }
    for round in 1..4 {
        for (n, folder) in folders.iter().enumerate() {
            let result = bench.call(&Script::File(folder.path().join("s.py"))).await;
            assert_eq!(result, Ok(json!({"n": n, "again": n, "late": n, "x": round})));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_run_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let home = folder.path().display().to_string();
    let bench = Bench::new();
    for (path, expected) in [
        (folder.path().join("none.py"), format!("script \"none.py\" not found in folder {home}")),
        (write("empty.py", ""), "no function ProcessBlock; define it".into()),
        (write("broken.py", "x = 1\ndef f(:"), format!("{home}/broken.py:2: SyntaxError")),
        (write("raises.py", "import os\n1 / 0"), format!("{home}/raises.py:2: ZeroDivisionError: division by zero")),
    ] {
        let outcome = bench.call(&Script::File(path.clone())).await;
        assert!(message(&outcome).contains(&expected), "{}: {}", path.display(), message(&outcome));
    }
    let bench = Bench::configured(|config| config.python = "python-is-not-there".into());
    let outcome = bench.python("return {}").await;
    assert!(message(&outcome).contains("\"python-is-not-there\" is not there; install Python 3"), "{outcome:?}");
    let bench = Bench::configured(|config| config.python = "true".into());
    let outcome = bench.python("return {}").await;
    assert!(message(&outcome).contains("\"true\" exited with 0 before it was ready"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_limit_ends_the_call() {
    let mut bench = Bench::new();
    bench.limits.memory = Some(300 << 20);
    let error = bench.python("x = 'x' * (1 << 30)").await.unwrap_err();
    assert_eq!(error.kind, RunErrorKind::Limit, "{error:?}");
    assert_eq!(bench.python("return {'a': len('x' * 1000)}").await, Ok(json!({"a": 1000})));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_prints_and_reads_does_not_disturb_the_call() {
    let text = "import os, sys\nprint('printed', end='')\nsys.stderr.write('told\\n')\nos.write(1, b'raw\\n')\n\
        os.system('echo from a child')\nprint('x' * 3000000)\nreturn {'in': sys.stdin.read()}";
    assert_eq!(Bench::new().python(text).await, Ok(json!({"in": ""})));
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_bounded_and_recycled() {
    let bench = std::sync::Arc::new(Bench::configured(|config| config.workers_max = 2));
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let bench = std::sync::Arc::clone(&bench);
            tokio::spawn(async move { bench.python("import os\nreturn {'pid': os.getpid()}").await })
        })
        .collect();
    let mut workers = std::collections::HashSet::new();
    for call in calls {
        workers.insert(call.await.unwrap().unwrap()["pid"].to_string());
    }
    assert!(workers.len() <= 2);
    let big = "import sys, os\nsys.keep = b'x' * 300000000\nreturn {'pid': os.getpid()}";
    let (first, after) = (bench.python(big).await.unwrap(), bench.python(big).await.unwrap());
    assert_ne!(first, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_open_files_is_that_of_one_call() {
    let mut bench = Bench::new();
    let text = "files = []\ntry:\n    for n in range(100):\n        files.append(open('/dev/null'))\n\
                except OSError as problem:\n    return {'opened': len(files), 'error': problem.errno}\n\
                return {'opened': len(files)}";
    bench.limits.files = Some(40);
    let refused = bench.python(text).await.unwrap();
    assert!(refused["opened"].as_u64().unwrap() < 40 && refused["error"] == 24, "{refused}");
    bench.limits.files = None;
    assert_eq!(bench.python(text).await, Ok(json!({"opened": 100})));
}

#[tokio::test(flavor = "multi_thread")]
async fn processor_time_is_limited_for_one_call() {
    let mut bench = Bench::new();
    bench.limits.cpu = Some(Duration::from_millis(200));
    let error =
        bench.python("try:\n    while True:\n        pass\nexcept BaseException:\n    return {}").await.unwrap_err();
    assert_eq!(error.kind, RunErrorKind::Limit);
    assert_eq!(error.message, "the script used more CPU time than its limit of 200ms");
    assert_eq!(bench.python("return {'a': 1}").await, Ok(json!({"a": 1})));
}
