//! Runners in a process of their own: this test binary again, so that a test can kill it or count what it holds.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use unidist::Stop;

use crate::support::{Try, children_of, keeper, shell};

const ROLE: &str = "PROCBLOCK_TEST_ROLE";

/// Starts this binary in a role; what it prints comes through a pipe.
pub(crate) fn start(role: &str, variables: &[(&str, &str)]) -> Try<Child> {
    let child = Command::new(std::env::current_exe()?)
        .args(["roles::enter", "--exact", "--nocapture"])
        .env(ROLE, role)
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(child)
}

/// Not a test of its own: does nothing unless started in a role.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enter() {
    match std::env::var(ROLE).as_deref() {
        Ok("runner") => run_script().await.unwrap(),
        Ok("counter") => count_what_is_left().await.unwrap(),
        _ => {}
    }
}

/// Runs the script in `SCRIPT`, its output being this process's own.
async fn run_script() -> Try<()> {
    let command = procblock::process::Command {
        grace: Duration::from_millis(300),
        output: procblock::process::Output::File("/dev/stdout".into()),
        ..shell(&std::env::var("SCRIPT")?)
    };
    keeper().run(command, &Stop::new()).await?;
    Ok(())
}

/// Prints what a thousand children leave behind.
async fn count_what_is_left() -> Try<()> {
    let descriptors = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::count);
    let own = std::process::id();
    let before = descriptors(own)?;
    let keeper = keeper();
    let runs: Vec<_> = (0..1000)
        .map(|number| {
            let keeper = keeper.clone();
            tokio::spawn(async move { keeper.run(shell(&format!("echo {number}")), &Stop::new()).await })
        })
        .collect();
    for (number, run) in runs.into_iter().enumerate() {
        assert_eq!(run.await??.output.text(), format!("{number}\n"));
    }
    let keepers = children_of(own);
    let only = keepers.first().ok_or("no keeper")?.cast_unsigned();
    let mut out = std::io::stdout();
    writeln!(out, "below the runner: {} keeper", keepers.len())?;
    writeln!(out, "below the keeper: {}", children_of(only).len())?;
    writeln!(out, "held by the keeper: {}", descriptors(only)?)?;
    keeper.shutdown().await;
    writeln!(out, "below the runner: {}", children_of(own).len())?;
    writeln!(out, "more descriptors: {}", descriptors(own)? - before)?;
    Ok(())
}
