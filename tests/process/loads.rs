//! Much of everything: output, children at once, and what is left of it all.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procblock::process::{CHILDREN_MAX, Captured, Command, LineSink, Output, OutputStream};
use tokio::sync::mpsc::UnboundedSender;
use unidist::Stop;

use crate::roles;
use crate::support::{keeper, run, shell};

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_kilobytes_come_back_whole() {
    let Captured { bytes, cut } = run(shell("yes 0123456789abcde | head -c 300000")).await.unwrap().output;
    assert_eq!((bytes.len(), cut), (300_000, 0));
    assert!(bytes.chunks(16).all(|line| line == b"0123456789abcde\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_megabytes_on_both_streams_neither_hang_nor_stay() {
    let max = 1 << 20;
    let text = "head -c 300000000 /dev/zero & head -c 300000000 /dev/zero >&2; wait; echo end; echo end >&2";
    let before = resident_max().unwrap();
    let finished = run(Command { output: Output::Capture { max }, ..shell(text) }).await.unwrap();
    for captured in [finished.output, finished.error] {
        let mark = format!("\n[… {} bytes cut]\n", captured.cut);
        assert_eq!(captured.cut + (captured.bytes.len() - mark.len()) as u64, 300_000_004);
        assert_eq!(captured.bytes.len() - mark.len(), max);
        assert!(captured.bytes.ends_with(b"\0end\n"));
    }
    let grown = resident_max().unwrap().saturating_sub(before);
    assert!(grown < 64 << 20, "grew by {grown}");
}

/// The most memory this process ever held, in bytes.
fn resident_max() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_children_leave_neither_processes_nor_descriptors() {
    let mut counter = roles::start("counter", &[]).unwrap();
    let mut text = String::new();
    counter.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(counter.wait().unwrap().success(), "{text}");
    assert!(text.contains("below the runner: 1 keeper\n"), "{text}");
    assert!(text.contains("below the keeper: 0\n"), "{text}");
    assert!(text.contains("below the runner: 0\n"), "{text}");
    // Standard three, /dev/null, the socket, and what tells of SIGCHLD.
    assert!(text.contains("held by the keeper: 6\n"), "{text}");
    assert!(text.contains("more descriptors: 0\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_ends_among_hundreds_is_not_confused_with_them() {
    let keeper = keeper();
    let stop = Stop::new();
    let runs: Vec<_> = (0..300)
        .map(|number| {
            let (keeper, stop) = (keeper.clone(), stop.clone());
            // Every tenth leaves an orphan behind.
            let rest = if number % 10 == 0 { "setsid sleep 1000 & " } else { "" };
            tokio::spawn(async move { keeper.run(shell(&format!("{rest}exit {}", number % 100)), &stop).await })
        })
        .collect();
    for (number, run) in runs.into_iter().enumerate() {
        assert_eq!(run.await.unwrap().unwrap().status.code(), (number % 100) as i32);
    }
    keeper.shutdown().await;
}

/// Passes each line on.
struct Told(UnboundedSender<String>);

impl LineSink for Told {
    fn line(&self, _: OutputStream, line: &str) {
        let _ = self.0.send(line.to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_a_keeper_that_is_behind_has_room_for_wait_for_it() {
    let (keeper, stop) = (keeper(), Stop::new());
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let first = Command { sink: Some(Arc::new(Told(tell))), ..shell("echo $PPID; kill -STOP $PPID; echo stopped") };
    let run = |command: Command| {
        let (keeper, stop) = (keeper.clone(), stop.clone());
        tokio::spawn(async move { keeper.run(command, &stop).await })
    };
    let first = run(first);
    let mut line = async || tokio::time::timeout(Duration::from_secs(20), told.recv()).await.unwrap().unwrap();
    let pid: i32 = line().await.parse().unwrap();
    assert_eq!(line().await, "stopped");
    // 8 MB in all, many times what fits into a socket.
    let large =
        || Command { environment: vec![("LARGE".into(), "x".repeat(20_000).into())], ..shell("echo ${#LARGE}") };
    let runs: Vec<_> = (0..400).map(|_| run(large())).collect();
    let all_sent = async {
        while keeper.places_left() > CHILDREN_MAX - 401 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_sent).await.unwrap();
    kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
    for child in runs {
        assert_eq!(child.await.unwrap().unwrap().output.text(), "20000\n");
    }
    assert!(first.await.unwrap().unwrap().status.is_success());
    keeper.shutdown().await;
}
