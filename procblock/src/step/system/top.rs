//! The processes that use most of the processor and of the memory. Command lines are not read: they may hold secrets.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use procfs::FromRead;
use procfs::process::Stat;

use super::read::failed;
use crate::error::RunError;
use crate::value::{Map, Value};

/// Processes of each list.
const TOP: usize = 20;

/// All processes at a moment.
pub(super) struct Snapshot {
    taken: Instant,
    processes: HashMap<i32, Process>,
}

/// One process, as far as it is told.
struct Process {
    /// In ticks since the machine started: with the number it says which process it is.
    started: u64,
    /// In ticks.
    cpu: u64,
    name: String,
    state: char,
    threads: i64,
    memory_pages: u64,
}

impl Snapshot {
    /// Reads all processes; those that end meanwhile are left out. Blocks for some 20 µs a process.
    pub(super) fn take() -> Result<Self, RunError> {
        let entries = std::fs::read_dir("/proc").map_err(|error| failed("/proc", error))?;
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let read = |number: i32| {
            let stat = Stat::from_file(format!("/proc/{number}/stat")).ok()?;
            Some((number, Process::of(stat)))
        };
        Ok(Snapshot { taken: Instant::now(), processes: numbers.filter_map(read).collect() })
    }

    /// What they used since an earlier moment, as `top_cpu` and `top_memory`, most first.
    pub(super) fn since(&self, before: &Snapshot, result: &mut Map) -> Result<(), RunError> {
        let memory = super::read::memory_total()?;
        let seconds = self.taken.duration_since(before.taken).as_secs_f64();
        let mut all: Vec<(i32, &Process, u64)> =
            self.processes.iter().map(|(number, process)| (*number, process, process.since(*number, before))).collect();
        let users = users();
        let rows = |all: &[(i32, &Process, u64)]| {
            let row = |(number, process, ticks): &(i32, &Process, u64)| {
                process.row(*number, &Whole { ticks: *ticks, seconds, memory, users: &users })
            };
            Value::Array(all.iter().take(TOP).map(row).collect())
        };
        all.sort_by_key(|(number, process, ticks)| (std::cmp::Reverse((*ticks, process.memory_pages)), *number));
        result.insert("top_cpu".into(), rows(&all));
        all.sort_by_key(|(number, process, _)| (std::cmp::Reverse(process.memory_pages), *number));
        result.insert("top_memory".into(), rows(&all));
        Ok(())
    }
}

/// What a process is told against.
struct Whole<'a> {
    /// What it used of the processor, in so many seconds.
    ticks: u64,
    seconds: f64,
    /// The machine's, in bytes.
    memory: u64,
    users: &'a HashMap<u32, String>,
}

impl Process {
    fn of(stat: Stat) -> Self {
        Process {
            started: stat.starttime,
            cpu: stat.utime + stat.stime,
            name: stat.comm,
            state: stat.state,
            threads: stat.num_threads,
            memory_pages: stat.rss,
        }
    }

    /// Ticks that it used since then; a new one has used all of its own since.
    fn since(&self, number: i32, before: &Snapshot) -> u64 {
        let earlier = before.processes.get(&number).filter(|earlier| earlier.started == self.started);
        self.cpu.saturating_sub(earlier.map_or(0, |earlier| earlier.cpu))
    }

    #[expect(clippy::cast_precision_loss, reason = "percentages")]
    fn row(&self, number: i32, whole: &Whole<'_>) -> Value {
        let percent = |part: f64, all: f64| if all > 0.0 { (part / all * 1000.0).round() / 10.0 } else { 0.0 };
        let cpu = percent(whole.ticks as f64 / procfs::ticks_per_second() as f64, whole.seconds);
        let memory = self.memory_pages * procfs::page_size();
        let user = std::fs::metadata(format!("/proc/{number}")).map(|found| found.uid()).ok();
        let user = user.map(|uid| whole.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string()));
        serde_json::json!({
            "pid": number,
            "name": self.name,
            "user": user.unwrap_or_default(),
            "state": self.state.to_string(),
            "threads": self.threads,
            "cpu": cpu,
            "memory": memory,
            "memory_percent": percent(memory as f64, whole.memory as f64),
        })
    }
}

/// Names of the machine's own users. A directory of users elsewhere is not asked: it may not answer.
fn users() -> HashMap<u32, String> {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let row = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_string();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(cpu: u64, memory_pages: u64) -> Process {
        Process { started: 1, cpu, name: "x".into(), state: 'S', threads: 1, memory_pages }
    }

    #[test]
    fn most_first_of_the_processor_and_of_the_memory() {
        let taken = Instant::now();
        let processes = [(1, process(0, 9)), (2, process(100, 1)), (3, process(70, 5))];
        let before = Snapshot { taken, processes: processes.into() };
        // The third number was given to another process meanwhile.
        let other = Process { started: 2, ..process(60, 5) };
        let processes = [(1, process(10, 9)), (2, process(150, 1)), (3, other)];
        let after = Snapshot { taken: taken + std::time::Duration::from_secs(1), processes: processes.into() };
        let mut result = Map::new();
        after.since(&before, &mut result).unwrap();
        let numbers =
            |list: &str| result[list].as_array().unwrap().iter().map(|row| row["pid"].as_i64()).collect::<Vec<_>>();
        assert_eq!(numbers("top_cpu"), [Some(3), Some(2), Some(1)]);
        assert_eq!(numbers("top_memory"), [Some(1), Some(3), Some(2)]);
        let ticks = procfs::ticks_per_second() as f64;
        assert_eq!(result["top_cpu"][0]["cpu"], (60.0 / ticks * 1000.0).round() / 10.0);
    }

    #[test]
    fn this_process_is_read() {
        let snapshot = Snapshot::take().unwrap();
        let own = &snapshot.processes[&i32::try_from(std::process::id()).unwrap()];
        assert!(own.memory_pages > 0 && own.threads > 0);
    }
}
