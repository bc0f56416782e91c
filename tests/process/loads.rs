//! Much of everything: output, children at once, and what is left of it all.

use std::io::Read;

use procblock::process::{Captured, Command, Output};
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
