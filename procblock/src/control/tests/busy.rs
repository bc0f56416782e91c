//! Connections whose calls come fast, on their threads.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use super::*;
use crate::control::busy::THREADS_MAX;

/// Enough of them, one soon after the other, for a thread.
const MANY: usize = 200;

const THREAD: &str = "procblock calls";

/// A client that blocks.
struct Raw(BufReader<UnixStream>);

impl Raw {
    fn connect(socket: &Path) -> Raw {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut raw = Raw(BufReader::new(stream));
        assert_eq!(raw.read()["procblock"], PROTOCOL);
        raw
    }

    fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// On which thread a call is answered.
    fn place(&mut self) -> Value {
        self.write("{\"id\":1,\"call\":\"place\"}\n");
        self.read()["result"].take()
    }

    /// Calls until a thread answers; false when none did.
    fn is_on_a_thread(&mut self) -> bool {
        (0..MANY).any(|_| self.place() == THREAD)
    }

    fn get_onto_a_thread(&mut self) {
        let deadline = std::time::Instant::now() + LIMIT;
        while !self.is_on_a_thread() {
            assert!(std::time::Instant::now() < deadline, "no thread took it");
        }
    }

    fn comes_to_its_end(mut self) -> bool {
        let mut rest = Vec::new();
        let read = self.0.read_to_end(&mut rest);
        rest.is_empty() && read.map_or_else(|error| error.kind() == std::io::ErrorKind::ConnectionReset, |_| true)
    }
}

async fn with_echo(act: impl FnOnce(&Path) + Send + 'static) -> Arc<Echo> {
    let folder = tempfile::tempdir().unwrap();
    let echo = Arc::<Echo>::default();
    let (_server, socket) = serve(folder.path(), "x", echo.clone());
    blocking(move || act(&socket)).await;
    echo
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_come_fast_are_answered_by_a_thread_with_the_same_answers() {
    with_echo(|socket| {
        let mut raw = Raw::connect(socket);
        raw.get_onto_a_thread();
        for number in 0..MANY {
            raw.write(&format!("{{\"id\":{number},\"call\":\"echo\",\"args\":[{number}]}}\n"));
            assert_eq!(raw.read(), json!({"id": number, "result": [number]}));
        }
        for (text, id) in [("{\n", json!(null)), ("{\"id\":3}\n", json!(3))] {
            raw.write(text);
            let answer = raw.read();
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!("bad_request")), "{answer}");
        }
        raw.write("{\"id\":4,\"call\":\"nothing\"}\n");
        assert_eq!(raw.read()["error"]["code"], "unknown_function");
        let lines: String = (0..MANY).map(|number| format!("{{\"id\":{number},\"call\":\"echo\"}}\n")).collect();
        raw.write(&lines);
        for number in 0..MANY {
            assert_eq!(raw.read()["id"], number);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_goes_back_to_the_runtime_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let echo = Arc::<Echo>::default();
    let (_server, socket) = serve(folder.path(), "x", echo.clone());
    let raw = blocking(move || {
        let mut raw = Raw::connect(&socket);
        raw.get_onto_a_thread();
        raw.write("{\"id\":1,\"call\":\"wait\"}\n{\"id\":2,\"call\":\"echo\",\"args\":[5]}\n");
        assert_eq!(raw.read(), json!({"id": 2, "result": [5]}));
        // While it waits, the thread is another's.
        assert!(!raw.is_on_a_thread());
        raw
    })
    .await;
    echo.until(1, 0).await;
    drop(raw);
    echo.until(0, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_followed_from_a_connection_that_a_thread_had() {
    with_echo(|socket| {
        let mut raw = Raw::connect(socket);
        raw.get_onto_a_thread();
        raw.write("{\"id\":7,\"call\":\"logs\",\"args\":{\"lines\":0,\"follow\":true}}\n");
        assert_eq!(raw.read(), json!({"id": 7, "result": {"lines": [], "missed": 0, "next": 0}}));
        raw.write("{\"id\":8,\"call\":\"logs\",\"args\":{\"lines\":\"x\"}}\n");
        assert_eq!(raw.read()["error"]["code"], "bad_argument");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_an_end_is_refused_on_a_thread_too() {
    let echo = with_echo(|socket| {
        let mut raw = Raw::connect(socket);
        raw.get_onto_a_thread();
        let piece = vec![b'x'; 1024 * 1024];
        let mut sent = 0;
        while sent <= REQUEST_BYTES_MAX + 2 * piece.len() && raw.0.get_mut().write_all(&piece).is_ok() {
            sent += piece.len();
        }
        assert!(sent >= REQUEST_BYTES_MAX, "{sent}");
        assert_eq!(raw.read()["error"]["code"], "too_large");
        assert!(raw.comes_to_its_end());
    })
    .await;
    echo.until(0, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_only_reads_gets_all_answers_and_then_the_end() {
    let echo = with_echo(|socket| {
        let mut raw = Raw::connect(socket);
        raw.get_onto_a_thread();
        raw.write(&"{\"id\":1,\"call\":\"echo\"}\n".repeat(50));
        raw.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        for _ in 0..50 {
            assert_eq!(raw.read(), json!({"id": 1, "result": []}));
        }
        assert!(raw.comes_to_its_end());
    })
    .await;
    echo.until(0, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_threads_are_bounded_and_a_quiet_connection_leaves_its_own_to_another() {
    with_echo(|socket| {
        let clients = THREADS_MAX + 8;
        let together = std::sync::Barrier::new(clients);
        let client = || {
            let mut raw = Raw::connect(socket);
            raw.is_on_a_thread();
            together.wait();
            // One call gets nobody a thread.
            let is_on_one = raw.place() == THREAD;
            (raw, is_on_one)
        };
        let mut open: Vec<(Raw, bool)> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
            all.into_iter().map(|client| client.join().unwrap()).collect()
        });
        assert!(open.iter().filter(|(_, is_on_one)| *is_on_one).count() <= THREADS_MAX);
        // Those that are quiet leave theirs to it, and are answered as before.
        Raw::connect(socket).get_onto_a_thread();
        for (raw, _) in &mut open {
            raw.write("{\"id\":1,\"call\":\"echo\",\"args\":[1]}\n");
            assert_eq!(raw.read(), json!({"id": 1, "result": [1]}));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_instance_ends_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let echo = Arc::<Echo>::default();
    let (server, socket) = serve(folder.path(), "x", echo.clone());
    let raw = blocking(move || {
        let mut raw = Raw::connect(&socket);
        raw.get_onto_a_thread();
        raw
    })
    .await;
    tokio::time::timeout(LIMIT, server.end()).await.unwrap();
    assert!(blocking(move || raw.comes_to_its_end()).await);
    echo.until(0, 1).await;
}

#[tokio::test]
async fn a_runtime_that_ends_closes_what_threads_carry() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, socket) = {
        let _inside = runtime.enter();
        serve(folder.path(), "x", Arc::<Echo>::default())
    };
    let raw = blocking(move || {
        let mut raw = Raw::connect(&socket);
        raw.get_onto_a_thread();
        raw
    })
    .await;
    drop(server);
    runtime.shutdown_background();
    assert!(blocking(move || raw.comes_to_its_end()).await);
}
