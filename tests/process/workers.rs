//! Long-lived children with a socket of their own.

use procblock::process::{Command, Ended, Limits, SpawnError, Status};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::support::{LONG, Process, keeper, shell};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_answers_on_descriptor_3_until_its_socket_closes() {
    let keeper = keeper();
    let text = "readlink /proc/self/fd/0 >&3; while read line <&3; do echo \"got $line\" >&3; done; echo over >&2";
    let mut worker = keeper.spawn_worker(shell(text)).await.unwrap();
    let (reader, mut writer) = worker.socket.split();
    let mut lines = BufReader::new(reader).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "/dev/null");
    for word in ["one", "two"] {
        writer.write_all(format!("{word}\n").as_bytes()).await.unwrap();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), format!("got {word}"));
    }
    worker.socket.shutdown().await.unwrap();
    let finished = worker.wait().await.unwrap();
    assert_eq!((finished.status, finished.ended), (Status::Exited(0), Ended::Itself));
    assert_eq!(finished.error.text(), "over\n");
    assert!(worker.wait().await.is_err());
    keeper.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_ends_when_told_and_when_dropped() {
    let keeper = keeper();
    let mut worker = keeper.spawn_worker(shell("sleep 1000")).await.unwrap();
    let process = Process::open(worker.pid.cast_signed());
    assert!(!process.is_ended());
    worker.kill();
    assert_eq!(worker.wait().await.unwrap().ended, Ended::Stopped);
    assert!(process.is_ended());
    let worker = keeper.spawn_worker(shell("sleep 1000")).await.unwrap();
    let process = Process::open(worker.pid.cast_signed());
    drop(worker);
    assert!(process.ends_within(LONG));
    keeper.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_child_inherits_a_workers_socket() {
    let keeper = keeper();
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(keeper.spawn_worker(shell("sleep 1000")).await.unwrap());
    }
    let list = Command::new(["ls", "/proc/self/fd"]);
    let finished = keeper.run(list, &unidist::Stop::new()).await.unwrap();
    assert_eq!(finished.output.text(), "0\n1\n2\n3\n", "3 is that of ls");
    let mut worker = workers.remove(0);
    worker.kill();
    let mut rest = Vec::new();
    worker.socket.read_to_end(&mut rest).await.unwrap();
    keeper.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_no_program_is_refused() {
    let keeper = keeper();
    let error = keeper.spawn_worker(Command::new(["/no/such"])).await.unwrap_err();
    assert!(matches!(error, SpawnError::NotFound { .. }));
    let limits = Limits { files: Some(100), ..Limits::default() };
    let mut worker = keeper.spawn_worker(Command { limits, ..Command::new(["/no/such"]) }).await.unwrap();
    assert!(matches!(worker.wait().await, Err(SpawnError::NotFound { .. })));
    keeper.shutdown().await;
}
