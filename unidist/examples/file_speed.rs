//! Measures the `file:` engine beside what the machine's disk does in the same run:
//! `cargo run --release -p unidist --features file --example file_speed [FOLDER]`. The folder must be on the disk that is
//! measured; default: one in the current folder, removed afterwards. `KEYS` sets the size of the store that is opened.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;
use unidist::{AddOptions, Error, HostLocks, Stop, Unidist};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const MEASURED: Duration = Duration::from_secs(2);

/// Set for the process that only opens the large store.
const OPEN: &str = "FILE_SPEED_OPEN";

fn main() -> Result<(), Failure> {
    if let Some(folder) = std::env::var_os(OPEN) {
        return measure_opening(Path::new(&folder));
    }
    let parent = std::env::args_os().nth(1).map_or_else(std::env::current_dir, |folder| Ok(folder.into()))?;
    let folder = tempfile::Builder::new().prefix("file_speed").tempdir_in(parent)?;
    let mut table = String::new();
    // Alternating, as the disk's own speed changes from second to second.
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let (disk, one) = (append_rate(folder.path())?, increments(folder.path(), 1)?);
        ratios.push(one / disk);
        writeln!(table, "append and fdatasync {disk:>10.0}/s   one writer {one:>10.0}/s   ratio {:.2}", one / disk)?;
    }
    ratios.sort_by(f64::total_cmp);
    writeln!(table, "one writer, median ratio {:>22.2}   (at least 0.75)", ratios.get(1).copied().unwrap_or(0.0))?;
    for threads in [8, 50] {
        writeln!(table, "{threads:>2} writers, counters {:>26.0}/s", increments(folder.path(), threads)?)?;
    }
    writeln!(table, "50 writers, queue add + take {:>19.0}/s", queued(folder.path(), 50)?)?;
    reads(folder.path(), &mut table)?;
    opening(folder.path(), &mut table)?;
    std::io::stdout().write_all(table.as_bytes())?;
    Ok(())
}

fn open(folder: &Path, name: &str) -> Result<Unidist, Error> {
    Unidist::open(&format!("file:{}", folder.join(name).display()))
}

/// How often a second this disk appends 100 bytes to a file and syncs them.
fn append_rate(folder: &Path) -> Result<f64, Failure> {
    let mut file = File::create(folder.join("append"))?;
    let (start, mut count) = (Instant::now(), 0.0);
    while start.elapsed() < MEASURED {
        file.write_all(&[7; 100])?;
        file.sync_data()?;
        count += 1.0;
    }
    Ok(count / start.elapsed().as_secs_f64())
}

/// Runs `operation` on so many threads for a while; how often a second it was done.
fn rate(threads: usize, operation: impl Fn(&str) -> Result<(), Error> + Sync) -> Result<f64, Failure> {
    let start = Instant::now();
    let done = std::thread::scope(|scope| {
        let run = |thread: usize| {
            let operation = &operation;
            scope.spawn(move || {
                let (name, mut count) = (format!("thread {thread}"), 0_u32);
                while start.elapsed() < MEASURED {
                    operation(&name)?;
                    count += 1;
                }
                Ok::<u32, Error>(count)
            })
        };
        let running: Vec<_> = (0..threads).map(run).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or(Ok(0))).sum::<Result<u32, Error>>()
    })?;
    Ok(f64::from(done) / start.elapsed().as_secs_f64())
}

fn increments(folder: &Path, threads: usize) -> Result<f64, Failure> {
    let shared = open(folder, "counters")?;
    rate(threads, |name| shared.sharedcounter().increment(name, 1).map(drop))
}

fn queued(folder: &Path, threads: usize) -> Result<f64, Failure> {
    let (shared, stop) = (open(folder, "queues")?, Stop::new());
    rate(threads, |name| {
        shared.messagequeue().add(name, json!(1), &AddOptions::default(), &stop)?;
        shared.messagequeue().take(name, Some(Duration::ZERO), &stop).map(drop)
    })
}

fn reads(folder: &Path, table: &mut String) -> Result<(), Failure> {
    let memory = Unidist::builder().host_locks(HostLocks::Off).open("memory:")?;
    let file = open(folder, "reads")?;
    for (name, shared) in [("memory:", &memory), ("file:", &file)] {
        shared.sharedstate().set("bucket", "key", json!(1))?;
        let gets = rate(1, |_| shared.sharedstate().get("bucket", "key").map(drop))?;
        writeln!(table, "state get, {name:8} {:>28.2} million/s", gets / 1e6)?;
    }
    Ok(())
}

/// Memory of this process that is in use, in bytes.
fn resident() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0_f64);
    pages * 4096.0
}

fn opening(folder: &Path, table: &mut String) -> Result<(), Failure> {
    let keys: u32 = std::env::var("KEYS").ok().and_then(|keys| keys.parse().ok()).unwrap_or(1_000_000);
    let shared = Unidist::open(&format!("file:{}?sync=interval", folder.join("large").display()))?;
    let value = "v".repeat(98);
    for key in 0..keys {
        shared.sharedstate().set("bucket", &format!("key {key:>8}"), json!(value))?;
    }
    drop(shared);
    // In a process of its own, so that no memory of the filling is counted as the store's or used by it.
    let opened = Command::new(std::env::current_exe()?).env(OPEN, folder).env("KEYS", keys.to_string()).output()?;
    table.push_str(&String::from_utf8_lossy(&opened.stdout));
    let file = fs::metadata(folder.join("large/store.sqlite"))?.len();
    writeln!(table, "file {:>43.0} MB", file as f64 / 1e6)?;
    Ok(())
}

/// What this process has used, in seconds.
fn cpu_time() -> Result<f64, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let time = usage.user_time() + usage.system_time();
    Ok(time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
}

fn measure_opening(folder: &Path) -> Result<(), Failure> {
    let keys: u32 = std::env::var("KEYS")?.parse()?;
    let (before, start, used) = (resident(), Instant::now(), cpu_time()?);
    let shared = open(folder, "large")?;
    let (seconds, used) = (start.elapsed().as_secs_f64(), cpu_time()? - used);
    let per_key = (resident() - before) / f64::from(keys);
    let mut text =
        format!("open with {keys} keys of 100 bytes {seconds:>15.2} s   (under 2 s), of it CPU {used:.2} s\n");
    let times = per_key / (12.0 + 100.0);
    writeln!(text, "memory per key {per_key:>33.0} B   {times:.1} times key and value   (under 3)")?;
    std::io::stdout().write_all(text.as_bytes())?;
    drop(shared);
    Ok(())
}
