//! Measures the memory engine: `cargo run --release -p unidist --example speed`. One line per operation, in millions a
//! second, on one thread and on eight; then in millions a second of CPU time, which other load of the machine disturbs
//! less: threads that don't hinder each other have the same figure twice. An argument is the folder for host-wide locks;
//! default: the runtime folder.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use unidist::{AcquireOptions, AddOptions, Error, HostLocks, Stop, Unidist};

const ROUNDS: u32 = 1_000_000;
const THREADS: u32 = 8;

type Operation = fn(&Unidist, &str, &Stop) -> Result<(), Error>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let operations: &[(&str, Operation)] = &[
        ("counter increment", |shared, name, _| shared.sharedcounter().increment(name, 1).map(drop)),
        ("state get", |shared, name, _| shared.sharedstate().get("bucket", name).map(drop)),
        ("state set", |shared, name, _| shared.sharedstate().set("bucket", name, json!(1)).map(drop)),
        ("queue add + take", |shared, name, stop| {
            shared.messagequeue().add(name, json!(1), &AddOptions::default(), stop)?;
            shared.messagequeue().take(name, Some(Duration::ZERO), stop).map(drop)
        }),
        ("queue add + claim + ack", |shared, name, stop| {
            shared.messagequeue().add(name, json!(1), &AddOptions::default(), stop)?;
            match shared.messagequeue().claim(name, Duration::from_secs(60), Some(Duration::ZERO), stop)? {
                Some(claim) => shared.messagequeue().ack(name, &claim.id.to_string(), Some(claim.attempt)),
                None => Ok(()),
            }
        }),
        ("log append", |shared, name, _| shared.sharedlog().append(name, json!(1)).map(drop)),
        ("lock + release", |shared, name, stop| {
            shared.sharedlock().acquire(name, &AcquireOptions::default(), stop).map(drop)
        }),
        ("lock + release with a lease", |shared, name, stop| {
            let options = AcquireOptions { lease: Some(Duration::from_secs(60)), ..AcquireOptions::default() };
            shared.sharedlock().acquire(name, &options, stop).map(drop)
        }),
        ("call sharedcounter.increment", |shared, name, _| {
            let args = [Value::from(name)];
            unidist::call::call_now(shared, "sharedcounter.increment", &args, "owner")
                .map_or(Ok(()), |done| done.map(drop))
        }),
    ];
    let mut table =
        format!("{:32} {:>12} {:>12} {:>12} {:>12}\n", "million a second", "1 thread", "8 threads", "1, CPU", "8, CPU");
    for (name, operation) in operations {
        let ((one, one_cpu), (eight, eight_cpu)) = (measure(*operation, 1)?, measure(*operation, THREADS)?);
        writeln!(table, "{name:32} {one:>12.2} {eight:>12.2} {one_cpu:>12.2} {eight_cpu:>12.2}")?;
    }
    let host = host_wide()?;
    writeln!(table, "{:32} {host:>12.3}", "lock + release, host-wide")?;
    std::io::stdout().write_all(table.as_bytes())?;
    Ok(())
}

/// Each thread has a name of its own.
fn measure(operation: Operation, threads: u32) -> Result<(f64, f64), Error> {
    let shared = Unidist::open("memory:")?;
    let (start, used) = (Instant::now(), cpu_time());
    std::thread::scope(|scope| {
        let run = |thread: u32| {
            let (shared, stop, name) = (&shared, Stop::new(), format!("__thread {thread}"));
            scope.spawn(move || (0..ROUNDS).try_for_each(|_| operation(shared, &name, &stop)))
        };
        let running: Vec<_> = (0..threads).map(run).collect();
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })?;
    let millions = f64::from(ROUNDS) * f64::from(threads) / 1e6;
    Ok((millions / start.elapsed().as_secs_f64(), millions / (cpu_time() - used)))
}

/// What this process has used, in seconds.
fn cpu_time() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).map(|usage| usage.user_time() + usage.system_time());
    usage.map_or(f64::NAN, |time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
}

fn host_wide() -> Result<f64, Error> {
    const ROUNDS: u32 = 20_000;
    let folder = std::env::args_os().nth(1);
    let host_locks = folder.map_or(HostLocks::RuntimeFolder, |folder| HostLocks::Folder(folder.into()));
    let (shared, stop) = (Unidist::builder().host_locks(host_locks).open("memory:")?, Stop::new());
    let start = Instant::now();
    for _ in 0..ROUNDS {
        drop(shared.sharedlock().acquire("unidist speed", &AcquireOptions::default(), &stop)?);
    }
    Ok(f64::from(ROUNDS) / start.elapsed().as_secs_f64() / 1e6)
}
