//! Runners in a process of their own: this test binary again, so that a test can kill it or count what it holds.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use unidist::Stop;

use crate::support::{keeper, shell};

const ROLE: &str = "PROCBLOCK_TEST_ROLE";

/// Starts this binary in a role; what it prints comes through a pipe.
pub(crate) fn start(role: &str, variables: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["roles::enter", "--exact", "--nocapture"])
        .env(ROLE, role)
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Not a test of its own: does nothing unless started in a role.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enter() {
    match std::env::var(ROLE).as_deref() {
        Ok("runner") => run_script().await,
        Ok("counter") => count_what_is_left().await,
        _ => {}
    }
}

/// Runs the script in `SCRIPT`, its output being this process's own.
async fn run_script() {
    let command = procblock::process::Command {
        grace: Duration::from_millis(300),
        output: procblock::process::Output::File("/dev/stdout".into()),
        ..shell(&std::env::var("SCRIPT").unwrap())
    };
    keeper().run(command, &Stop::new()).await.unwrap();
}

/// Prints what a thousand children leave behind.
async fn count_what_is_left() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let keeper = keeper();
    let runs: Vec<_> = (0..1000)
        .map(|number| {
            let keeper = keeper.clone();
            tokio::spawn(async move { keeper.run(shell(&format!("echo {number}")), &Stop::new()).await })
        })
        .collect();
    for (number, run) in runs.into_iter().enumerate() {
        let finished = run.await.unwrap().unwrap();
        assert_eq!(finished.output.text(), format!("{number}\n"));
    }
    let keepers = crate::support::children_of(std::process::id());
    assert_eq!(keepers.len(), 1);
    println!("below the keeper: {}", crate::support::children_of(keepers[0].cast_unsigned()).len());
    println!("held by the keeper: {}", std::fs::read_dir(format!("/proc/{}/fd", keepers[0])).unwrap().count());
    keeper.shutdown().await;
    println!("below the runner: {}", crate::support::children_of(std::process::id()).len());
    println!("more descriptors: {}", descriptors() - before);
}
