//! Bounds and frames of the protocol.

use std::io::ErrorKind;
use std::os::unix::net::UnixListener;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::*;
use crate::logging::{Line, RING_LINES_MAX};

type Raw = BufReader<UnixStream>;

async fn connect(socket: &Path) -> Raw {
    let mut raw = BufReader::new(UnixStream::connect(socket).await.unwrap());
    let first = read(&mut raw).await;
    assert_eq!(first["procblock"], PROTOCOL);
    raw
}

async fn read(raw: &mut Raw) -> Value {
    let mut line = String::new();
    tokio::time::timeout(LIMIT, raw.read_line(&mut line)).await.unwrap().unwrap();
    serde_json::from_str(&line).unwrap()
}

async fn write(raw: &mut Raw, text: &str) {
    raw.get_mut().write_all(text.as_bytes()).await.unwrap();
}

async fn is_closed(raw: &mut Raw) -> bool {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(LIMIT, raw.read_to_end(&mut rest)).await.unwrap();
    rest.is_empty() && read.map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |_| true)
}

fn line(text: &str) -> Line {
    let value = json!({"time": "2010-08-18T07:04:08Z", "level": "info", "target": "procblock", "text": text});
    Line::from_value(&value).unwrap()
}

#[tokio::test]
async fn a_client_learns_who_answers_and_gets_results_and_errors() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, socket) = serve(folder.path(), "a/b", Arc::<Echo>::default());
    blocking(move || {
        let mut client = Client::connect(&socket, LIMIT).unwrap();
        assert_eq!(*client.hello(), hello("a/b"));
        let long = "x\n\u{1b}".repeat(100_000);
        let echoed = client.call("echo", vec![json!(1), json!(long)], Some(LIMIT)).unwrap();
        assert_eq!(echoed, json!([1, long]));
        let error = client.call("nothing", vec![], Some(LIMIT)).unwrap_err();
        assert!(matches!(error, ClientError::Refused(error) if error.code == "unknown_function"));
        let error = client.call("wait", vec![], Some(Duration::from_millis(10))).unwrap_err();
        assert!(matches!(error, ClientError::TimedOut));
        assert_eq!(client.call("echo", vec![], Some(LIMIT)).unwrap(), json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_wrong_line_is_answered_and_the_connection_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, socket) = serve(folder.path(), "x", Arc::<Echo>::default());
    let mut raw = connect(&socket).await;
    for (text, id) in [("{\n", json!(null)), ("{\"id\":3}\n", json!(3)), ("\u{0}\u{1}\n", json!(null))] {
        write(&mut raw, text).await;
        let answer = read(&mut raw).await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!("bad_request")), "{answer}");
    }
    write(&mut raw, "{\"id\":\"k\",\"call\":\"echo\"}\n").await;
    assert_eq!(read(&mut raw).await, json!({"id": "k", "result": []}));
}

#[tokio::test]
async fn a_line_without_an_end_is_refused_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, socket) = serve(folder.path(), "x", Arc::<Echo>::default());
    let mut raw = connect(&socket).await;
    let piece = vec![b'x'; 1024 * 1024];
    let mut sent = 0;
    while sent <= REQUEST_BYTES_MAX + 2 * piece.len() && raw.get_mut().write_all(&piece).await.is_ok() {
        sent += piece.len();
    }
    assert!(sent >= REQUEST_BYTES_MAX, "{sent}");
    assert_eq!(read(&mut raw).await["error"]["code"], "too_large");
    assert!(is_closed(&mut raw).await);
}

#[tokio::test]
async fn calls_of_one_connection_do_not_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let echo = Arc::<Echo>::default();
    let (_server, socket) = serve(folder.path(), "x", echo.clone());
    let mut raw = connect(&socket).await;
    write(&mut raw, "{\"id\":1,\"call\":\"wait\"}\n{\"id\":2,\"call\":\"echo\",\"args\":[5]}\n").await;
    assert_eq!(read(&mut raw).await, json!({"id": 2, "result": [5]}));
    echo.until(1, 0).await;
    drop(raw);
    echo.until(0, 1).await;
}

#[tokio::test]
async fn calls_over_the_limit_wait_unread() {
    let folder = tempfile::tempdir().unwrap();
    let echo = Arc::<Echo>::default();
    let (_server, socket) = serve(folder.path(), "x", echo.clone());
    let mut raw = connect(&socket).await;
    write(&mut raw, &"{\"id\":1,\"call\":\"wait\"}\n".repeat(40)).await;
    echo.until(16, 0).await;
    let mut other = connect(&socket).await;
    write(&mut other, "{\"id\":1,\"call\":\"echo\"}\n").await;
    read(&mut other).await;
    assert_eq!(echo.waiting.load(Ordering::SeqCst), 16);
}

#[tokio::test]
async fn a_client_that_only_reads_gets_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, socket) = serve(folder.path(), "x", Arc::<Echo>::default());
    let mut raw = connect(&socket).await;
    write(&mut raw, "{\"id\":1,\"call\":\"echo\"}\n").await;
    raw.get_mut().shutdown().await.unwrap();
    assert_eq!(read(&mut raw).await, json!({"id": 1, "result": []}));
    assert!(is_closed(&mut raw).await);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let echo = Arc::<Echo>::default();
    let (_server, socket) = serve(folder.path(), "x", echo.clone());
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        open.push(connect(&socket).await);
    }
    let mut refused = connect(&socket).await;
    assert_eq!(read(&mut refused).await["error"]["code"], "busy");
    assert!(is_closed(&mut refused).await);
    open.pop();
    echo.until(0, 1).await;
    // The slot is free once the ended connection's task has returned.
    let mut raw = loop {
        let mut raw = connect(&socket).await;
        write(&mut raw, "{\"id\":1,\"call\":\"echo\"}\n").await;
        if read(&mut raw).await["error"].is_null() {
            break raw;
        }
    };
    drop(open);
    write(&mut raw, "{\"id\":1,\"call\":\"echo\"}\n").await;
    read(&mut raw).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_one_with_a_call_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let echo = Arc::<Echo>::default();
    let (_server, socket) = serve(folder.path(), "x", echo.clone());
    let start = tokio::time::Instant::now();
    let mut raw = BufReader::new(UnixStream::connect(&socket).await.unwrap());
    let mut text = String::new();
    raw.read_to_string(&mut text).await.unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(start.elapsed() >= Duration::from_secs(300));
    let mut busy = BufReader::new(UnixStream::connect(&socket).await.unwrap());
    write(&mut busy, "{\"id\":1,\"call\":\"wait\"}\n").await;
    echo.until(1, 1).await;
    tokio::time::sleep(Duration::from_secs(1000)).await;
    assert_eq!(echo.waiting.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn followed_lines_come_as_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let echo = Arc::<Echo>::default();
    let (_server, socket) = serve(folder.path(), "x", echo.clone());
    for text in ["a", "b", "c"] {
        echo.ring.push(line(text));
    }
    let mut raw = connect(&socket).await;
    write(&mut raw, "{\"id\":1,\"call\":\"logs\",\"args\":{\"lines\":2,\"follow\":true}}\n").await;
    let texts = |answer: Value| -> Vec<String> {
        let lines = answer["result"]["lines"].as_array().unwrap();
        lines.iter().map(|line| line["text"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(texts(read(&mut raw).await), ["b", "c"]);
    echo.ring.push(line("d"));
    assert_eq!(texts(read(&mut raw).await), ["d"]);
    write(&mut raw, "{\"id\":2,\"call\":\"logs\",\"args\":{\"lines\":\"x\"}}\n").await;
    assert_eq!(read(&mut raw).await["error"]["code"], "bad_argument");
}

#[tokio::test]
async fn a_slow_follower_delays_nobody_and_learns_what_it_missed() {
    let folder = tempfile::tempdir().unwrap();
    let echo = Arc::<Echo>::default();
    let (_server, socket) = serve(folder.path(), "x", echo.clone());
    let mut raw = connect(&socket).await;
    write(&mut raw, "{\"id\":1,\"call\":\"logs\",\"args\":{\"lines\":0,\"follow\":true}}\n").await;
    assert_eq!(read(&mut raw).await["result"], json!({"lines": [], "missed": 0, "next": 0}));
    let all = 5 * RING_LINES_MAX;
    for number in 0..all {
        echo.ring.push(line(&format!("{number} {}", "x".repeat(100))));
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let (mut seen, mut missed) = (0, 0);
    while seen + missed < all as u64 {
        let result = &read(&mut raw).await["result"];
        seen += result["lines"].as_array().unwrap().len() as u64;
        missed += result["missed"].as_u64().unwrap();
    }
    assert_eq!(seen + missed, all as u64);
    assert!(missed > 0 && seen >= RING_LINES_MAX as u64, "{seen} {missed}");
}

#[tokio::test]
async fn a_socket_that_was_left_is_replaced_and_ours_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    drop(UnixListener::bind(folder.path().join("x.sock")).unwrap());
    let (server, socket) = serve(folder.path(), "x", Arc::<Echo>::default());
    connect(&socket).await;
    drop(server);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_told_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("x".repeat(100));
    std::fs::create_dir(&deep).unwrap();
    let claim = Claim::take_in(&deep, "x").unwrap();
    let Err(error) = Server::start(claim, hello("x"), Arc::<Echo>::default()) else { panic!("it started") };
    assert!(error.to_string().ends_with("set XDG_RUNTIME_DIR to a folder with a shorter path"), "{error}");
}

fn places(folder: &Path) -> Places {
    Places { runtime_directory: Some(folder.into()), ..Places::of_process() }
}

#[tokio::test]
async fn one_instance_is_found_several_are_listed_and_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    assert!(matches!(find_one(&places, None), Err(FindError::None)));
    let (first, _) = serve(folder.path(), "simplest", Arc::<Echo>::default());
    drop(UnixListener::bind(folder.path().join("killed.sock")).unwrap());
    let searched = places.clone();
    blocking(move || {
        assert_eq!(find_one(&searched, None).unwrap().hello().name, "simplest");
        assert_eq!(find_one(&searched, Some("simplest")).unwrap().hello().name, "simplest");
        let text = find_one(&searched, Some("simplist")).unwrap_err().to_string();
        assert_eq!(text, "no instance named \"simplist\" is running; did you mean simplest?");
    })
    .await;
    let (_second, _) = serve(folder.path(), "other", Arc::<Echo>::default());
    let searched = places.clone();
    blocking(move || {
        let Err(FindError::Several(found)) = find_one(&searched, None) else { panic!("not several") };
        assert_eq!(found.iter().map(Found::name).collect::<Vec<_>>(), ["other", "simplest"]);
    })
    .await;
    drop(first);
    blocking(move || assert_eq!(find_one(&places, None).unwrap().hello().name, "other")).await;
}

#[tokio::test]
async fn an_instance_has_ended_only_when_its_process_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, socket) = {
        let _inside = runtime.enter();
        let claim = Claim::take_in(folder.path(), "x").unwrap();
        let socket = claim.socket().to_path_buf();
        let hello = Hello { process: process.id(), ..hello("x") };
        (Server::start(claim, hello, Arc::<Echo>::default()).unwrap(), socket)
    };
    let (client, impatient) = blocking(move || {
        let connect = || Client::connect(&socket, LIMIT).unwrap();
        (connect(), connect())
    })
    .await;
    drop(server);
    runtime.shutdown_background();
    assert!(!blocking(move || impatient.wait_ended(Duration::from_millis(20))).await);
    let waiting = tokio::task::spawn_blocking(move || client.wait_ended(LIMIT));
    drop(process.stdin.take());
    assert!(waiting.await.unwrap());
    process.wait().unwrap();
}

#[tokio::test]
async fn at_the_end_a_follower_gets_the_last_lines_and_others_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let echo = Arc::<Echo>::default();
    let (server, socket) = serve(folder.path(), "x", echo.clone());
    let (mut following, mut idle) = (connect(&socket).await, connect(&socket).await);
    write(&mut following, "{\"id\":1,\"call\":\"logs\",\"args\":{\"lines\":0,\"follow\":true}}\n").await;
    read(&mut following).await;
    for number in 0..2000 {
        echo.ring.push(line(&number.to_string()));
    }
    let ended = tokio::spawn(server.end());
    let mut rest = String::new();
    tokio::time::timeout(LIMIT, following.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert!(rest.contains("\"0\"") && rest.contains("\"1999\""), "{}", rest.len());
    assert!(is_closed(&mut idle).await);
    ended.await.unwrap();
    assert!(!socket.exists());
}
