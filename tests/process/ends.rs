//! A step owns what it started: nothing of it is left after its end, whatever ended it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use procblock::process::{Command, Ended, Finished, SpawnError, Status};
use rustix::process::{Pid, Signal, kill_process};
use unidist::Stop;

use crate::roles;
use crate::support::{LONG, Process, Try, children_of, keeper, run, shell};

/// Ignores TERM in every process of a tree: a child, a grandchild, one in a session of its own, one in a session of
/// its own without the environment, and one of these whose parents are gone. Each says its number in `$PIDS`.
const STUBBORN: &str = r#"
    trap '' TERM
    echo $$ >>$PIDS
    sleep 1000 & echo $! >>$PIDS
    sh -c 'sleep 1000 & echo $! >>$PIDS; sleep 1000' &
    setsid sleep 1000 & echo $! >>$PIDS
    setsid env -i sh -c 'echo $$ >>$0; sleep 1000; :' $PIDS &
    (setsid sh -c 'sleep 1000 & echo $! >>$PIDS' &)
    (setsid env -i sh -c 'sleep 1000 & echo $! >>$0' $PIDS &)
    while [ $(wc -l <$PIDS) -lt 7 ]; do sleep 0.01; done
    echo ready
"#;
const GRACE: Duration = Duration::from_millis(300);

fn stubborn(pids: &Path, rest: &str) -> Command {
    Command { environment: vec![("PIDS".into(), pids.into())], grace: GRACE, ..shell(&format!("{STUBBORN}\n{rest}")) }
}

/// The processes that said their numbers; those of a tree that is gone count as ended.
fn processes(pids: &Path) -> Try<Vec<Process>> {
    let text = std::fs::read_to_string(pids)?;
    let pids = text.lines().map(str::parse).collect::<Result<Vec<i32>, _>>()?;
    assert_eq!(pids.len(), 7);
    Ok(pids.into_iter().map(Process::open).collect())
}

fn assert_all_gone(pids: &Path) {
    assert!(processes(pids).is_ok_and(|processes| processes.iter().all(Process::is_ended)));
}

fn pids_file() -> Try<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let pids = folder.path().join("pids");
    Ok((folder, pids))
}

/// Waits until the child opens the gate.
async fn ready(gate: &Path) -> Try<()> {
    let gate = gate.to_owned();
    tokio::task::spawn_blocking(move || std::fs::read(gate)).await??;
    Ok(())
}

/// A named pipe whose opening by both sides is the meeting of test and child.
fn gate(folder: &Path) -> Try<PathBuf> {
    let gate = folder.join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU)?;
    Ok(gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_ends_a_stubborn_tree_within_limit_and_grace() {
    let (_folder, pids) = pids_file().unwrap();
    let limit = Duration::from_secs(5);
    let begun = Instant::now();
    let finished = run(Command { timeout: Some(limit), ..stubborn(&pids, "sleep 1000") }).await.unwrap();
    assert_eq!((finished.ended, finished.status), (Ended::TimedOut, Status::Signaled(9)));
    assert!(begun.elapsed() >= limit + GRACE);
    assert!(begun.elapsed() < limit + GRACE + Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(finished.output.text(), "ready\n");
    assert_all_gone(&pids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_stubborn_tree() {
    let (folder, pids) = pids_file().unwrap();
    let gate = gate(folder.path()).unwrap();
    let stop = Stop::new();
    let command = stubborn(&pids, &format!("echo >{}; sleep 1000", gate.display()));
    let (keeper, own_stop) = (keeper(), stop.clone());
    let running = tokio::spawn(async move { keeper.run(command, &own_stop).await });
    ready(&gate).await.unwrap();
    stop.request();
    assert_eq!(running.await.unwrap().unwrap().ended, Ended::Stopped);
    assert_all_gone(&pids);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_child_leaves_behind_is_ended_with_it() {
    let (_folder, pids) = pids_file().unwrap();
    let finished = run(stubborn(&pids, "exit 4")).await.unwrap();
    assert_eq!((finished.ended, finished.status), (Ended::Itself, Status::Exited(4)));
    assert_all_gone(&pids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_heeds_term_says_its_last_word() {
    let folder = tempfile::tempdir().unwrap();
    let gate = gate(folder.path()).unwrap();
    let text = format!("trap 'echo bye; exit 7' TERM; echo >{}; while :; do sleep 0.01; done", gate.display());
    let (keeper, stop) = (keeper(), Stop::new());
    let own_stop = stop.clone();
    let running = tokio::spawn(async move { keeper.run(shell(&text), &own_stop).await });
    ready(&gate).await.unwrap();
    stop.request();
    let finished = running.await.unwrap().unwrap();
    assert_eq!((finished.ended, finished.status), (Ended::Stopped, Status::Exited(7)));
    assert_eq!(finished.output.text(), "bye\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_child_gets_its_term() {
    let finished: Finished =
        run(Command { timeout: Some(Duration::from_millis(300)), ..shell("kill -STOP $$") }).await.unwrap();
    assert_eq!((finished.ended, finished.status), (Ended::TimedOut, Status::Signaled(15)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_ends_its_child() {
    let (folder, pids) = pids_file().unwrap();
    let gate = gate(folder.path()).unwrap();
    let command = stubborn(&pids, &format!("echo >{}; sleep 1000", gate.display()));
    let keeper = keeper();
    let own = keeper.clone();
    let running = tokio::spawn(async move { own.run(command, &Stop::new()).await });
    ready(&gate).await.unwrap();
    let processes = processes(&pids).unwrap();
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert!(processes.iter().all(|process| process.ends_within(LONG)));
    keeper.shutdown().await;
    assert_eq!(keeper.places_left(), procblock::process::CHILDREN_MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_a_stubborn_tree() {
    let (folder, pids) = pids_file().unwrap();
    let gate = gate(folder.path()).unwrap();
    let command = stubborn(&pids, &format!("echo >{}; sleep 1000", gate.display()));
    let keeper = keeper();
    let own = keeper.clone();
    let running = tokio::spawn(async move { own.run(command, &Stop::new()).await });
    ready(&gate).await.unwrap();
    keeper.shutdown().await;
    assert_all_gone(&pids);
    assert_eq!(running.await.unwrap().unwrap().ended, Ended::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_a_stranger_holds_open_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let gate = gate(folder.path()).unwrap();
    let text = format!("echo $$; echo >{}; read line <{}; echo done", gate.display(), gate.display());
    let running = tokio::spawn(run(shell(&text)));
    ready(&gate).await.unwrap();
    let step = step_below(std::process::id(), &gate).unwrap();
    let held = std::fs::File::options().write(true).open(format!("/proc/{step}/fd/1")).unwrap();
    tokio::task::spawn_blocking(move || std::fs::write(gate, "go\n").unwrap()).await.unwrap();
    assert_eq!(running.await.unwrap().unwrap().output.text(), format!("{step}\ndone\n"));
    drop(held);
}

/// The child whose command line names `gate`.
fn step_below(pid: u32, gate: &Path) -> Option<i32> {
    let keepers = children_of(pid);
    let mut steps = keepers.iter().flat_map(|keeper| children_of(keeper.cast_unsigned()));
    let gate = gate.to_str()?;
    steps.find(|step| std::fs::read_to_string(format!("/proc/{step}/cmdline")).is_ok_and(|line| line.contains(gate)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_killed_takes_everything_with_it() {
    let (_folder, pids) = pids_file().unwrap();
    let script = format!("{STUBBORN}\nsleep 1000");
    let mut runner = roles::start("runner", &[("SCRIPT", &script), ("PIDS", pids.to_str().unwrap())]).unwrap();
    let printed = BufReader::new(runner.stdout.take().unwrap());
    assert!(printed.lines().any(|line| line.unwrap() == "ready"));
    let mut below = processes(&pids).unwrap();
    below.extend(children_of(runner.id()).into_iter().map(Process::open));
    assert_eq!(below.len(), 8, "seven and the keeper");
    assert!(!below.iter().any(Process::is_ended));
    let begun = Instant::now();
    runner.kill().unwrap();
    runner.wait().unwrap();
    assert!(below.iter().all(|process| process.ends_within(LONG)));
    assert!(begun.elapsed() < GRACE + Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_killed_takes_its_children_with_it_and_is_replaced() {
    let (folder, pids) = pids_file().unwrap();
    let gate = gate(folder.path()).unwrap();
    let command = stubborn(&pids, &format!("echo >{}; sleep 1000", gate.display()));
    let keeper = keeper();
    let own = keeper.clone();
    let running = tokio::spawn(async move { own.run(command, &Stop::new()).await });
    ready(&gate).await.unwrap();
    let leader: i32 = std::fs::read_to_string(&pids).unwrap().lines().next().unwrap().parse().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{leader}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t")).unwrap().parse().unwrap();
    let process = Process::open(parent);
    let begun = Instant::now();
    kill_process(Pid::from_raw(parent).unwrap(), Signal::KILL).unwrap();
    assert!(process.ends_within(LONG));
    assert!(matches!(running.await.unwrap(), Err(SpawnError::KeeperDied)));
    let next = tokio::spawn({
        let keeper = keeper.clone();
        async move { keeper.run(shell("echo next"), &Stop::new()).await }
    });
    assert!(begun.elapsed() < GRACE + Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_all_gone(&pids);
    assert_eq!(next.await.unwrap().unwrap().output.text(), "next\n");
    keeper.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_that_hangs_holds_up_no_time_limit() {
    let keeper = keeper();
    let command = Command {
        grace: GRACE,
        timeout: Some(Duration::from_millis(300)),
        ..shell("kill -STOP $PPID; trap '' TERM; sleep 1000")
    };
    let finished = keeper.run(command, &Stop::new()).await.unwrap();
    assert_eq!(finished.ended, Ended::TimedOut);
    assert!(keeper.run(shell("true"), &Stop::new()).await.unwrap().status.is_success());
    keeper.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subtree_that_forks_without_end_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let gate = gate(folder.path()).unwrap();
    // Each process starts the next in a session of its own, and ends: none is there for long.
    let text = format!(
        "echo >{}; export TEXT='sleep 0.01; exec setsid --fork sh -c \"$TEXT\"'; trap '' TERM; \
         setsid --fork sh -c \"$TEXT\"; setsid --fork sh -c \"$TEXT\"; sleep 1000",
        gate.display()
    );
    let command = Command { grace: Duration::from_millis(100), ..shell(&text) };
    let (keeper, stop) = (keeper(), Stop::new());
    let own_stop = stop.clone();
    let running = tokio::spawn(async move { keeper.run(command, &own_stop).await });
    ready(&gate).await.unwrap();
    stop.request();
    assert_eq!(running.await.unwrap().unwrap().ended, Ended::Stopped);
}
