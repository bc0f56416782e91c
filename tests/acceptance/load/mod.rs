//! A served site of which much is asked at once.
//!
//! With the other tests each runs for seconds and allows for a busy machine; with `ROUNDS`, which `make soak` gives, it
//! runs as long as was promised and holds the promised times.

mod beside;
mod client;
mod connections;
mod end;
mod events;
mod full;

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::Runtime;

use crate::support::{Run, Running, Web};

/// One or the other, by whether this is the long run.
fn long_or_short<T>(long: T, short: T) -> T {
    if std::env::var_os("ROUNDS").is_some() { long } else { short }
}

/// The most that 99 of 100 answers may take beside something heavy.
fn quick() -> Duration {
    long_or_short(Duration::from_millis(20), Duration::from_secs(1))
}

/// Where the clients run. They may open as many connections as the system lets them.
fn clients() -> Runtime {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A file that serves the folder `site`, with these lines below `serve`.
fn serving(run: Run, more: &str) -> (Running, Web) {
    let block = format!("serve:\n  folder: site\n  port: 0\n{more}");
    let running = run.file("load.yaml", &block).own(["load.yaml"]).start();
    let web = Web::of(&running);
    (running, web)
}

/// A number of `/proc/PID/status`; memory is in kB.
fn status(running: &Running, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// What it has in memory, in kB.
fn memory(running: &Running) -> u64 {
    status(running, "VmRSS")
}
