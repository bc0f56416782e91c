//! Reading /proc about the machine as a whole: proc(5) is the source of every field.

use procfs::{Current, CurrentSI, KernelStats, LoadAverage, Meminfo};

use crate::error::RunError;
use crate::value::{Map, Value};

pub(super) fn failed(what: &str, error: impl std::fmt::Display) -> RunError {
    RunError::failed(format!("system: {what} can't be read: {error}"))
}

/// CPU time since the machine started, in ticks: of all cores together and of each.
#[derive(Debug, Clone)]
pub(super) struct CpuTimes {
    all: Ticks,
    /// By the core's number; those that are switched off are not there.
    cores: Vec<(usize, Ticks)>,
}

#[derive(Debug, Clone, Copy)]
struct Ticks {
    user: u64,
    system: u64,
    iowait: u64,
    irq: u64,
    steal: u64,
    idle: u64,
}

pub(super) fn cpu_times() -> Result<CpuTimes, RunError> {
    let stats = KernelStats::current().map_err(|error| failed("/proc/stat", error))?;
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let numbers = core_numbers(&online, stats.cpu_time.len());
    let cores = numbers.into_iter().zip(stats.cpu_time.iter().map(Ticks::of)).collect();
    Ok(CpuTimes { all: Ticks::of(&stats.total), cores })
}

/// The numbers of the cores that /proc/stat has a line of: "0-2,5". As many as there are lines, else counted from 0.
fn core_numbers(online: &str, count: usize) -> Vec<usize> {
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    };
    let ranges: Option<Vec<_>> = online.trim().split(',').map(range).collect();
    // One more than wanted tells that it is another count.
    let numbers: Vec<usize> = ranges.into_iter().flatten().flatten().take(count + 1).collect();
    if numbers.len() == count { numbers } else { (0..count).collect() }
}

impl Ticks {
    fn of(time: &procfs::CpuTime) -> Self {
        Ticks {
            user: time.user + time.nice,
            system: time.system,
            iowait: time.iowait.unwrap_or(0),
            irq: time.irq.unwrap_or(0) + time.softirq.unwrap_or(0),
            steal: time.steal.unwrap_or(0),
            idle: time.idle,
        }
    }

    /// Percent of each kind of time since an earlier reading, and of all that is work.
    fn since(&self, before: &Ticks) -> [(&'static str, f64); 7] {
        let passed = |now: u64, before: u64| now.saturating_sub(before);
        let ticks = [
            passed(self.user, before.user),
            passed(self.system, before.system),
            passed(self.iowait, before.iowait),
            passed(self.irq, before.irq),
            passed(self.steal, before.steal),
            passed(self.idle, before.idle),
        ];
        let total = ticks.iter().sum();
        let [user, system, iowait, irq, steal, idle] = ticks.map(|kind| percent(kind, total));
        let used = ((user + system + irq + steal) * 100.0).round() / 100.0;
        [
            ("user", user),
            ("system", system),
            ("iowait", iowait),
            ("irq", irq),
            ("steal", steal),
            ("idle", idle),
            ("used", used),
        ]
    }
}

impl CpuTimes {
    /// All cores together since an earlier reading.
    pub(super) fn since(&self, before: &CpuTimes, result: &mut Map) {
        let kinds = self.all.since(&before.all);
        result.extend(kinds.map(|(kind, percent)| (format!("cpu_{kind}"), percent.into())));
        result.insert("cpu_cores".into(), self.cores.len().into());
    }

    /// Each core since an earlier reading; one that was switched on meanwhile is there with the next.
    pub(super) fn cores_since(&self, before: &CpuTimes, result: &mut Map) {
        let mut cores = Map::new();
        for (number, ticks) in &self.cores {
            let Some((_, earlier)) = before.cores.iter().find(|(other, _)| other == number) else { continue };
            let kinds = ticks.since(earlier).map(|(kind, percent)| (kind.to_string(), percent.into()));
            cores.insert(number.to_string(), Value::Object(kinds.into_iter().collect()));
        }
        result.insert("cores".into(), Value::Object(cores));
    }
}

/// To a hundredth; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a percentage")]
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 10_000.0).round() / 100.0 }
}

/// The machine's memory, in bytes.
pub(super) fn memory_total() -> Result<u64, RunError> {
    Meminfo::current().map(|info| info.mem_total).map_err(|error| failed("/proc/meminfo", error))
}

pub(super) fn memory(result: &mut Map) -> Result<(), RunError> {
    let info = Meminfo::current().map_err(|error| failed("/proc/meminfo", error))?;
    let available = info.mem_available.unwrap_or(info.mem_free);
    let rows = [
        ("memory_total", info.mem_total),
        ("memory_used", info.mem_total.saturating_sub(available)),
        ("memory_available", available),
        ("memory_cached", info.cached + info.buffers),
        ("memory_free", info.mem_free),
        ("swap_total", info.swap_total),
        ("swap_used", info.swap_total.saturating_sub(info.swap_free)),
    ];
    result.extend(rows.map(|(name, bytes)| (name.to_string(), bytes.into())));
    Ok(())
}

pub(super) fn load(result: &mut Map) -> Result<(), RunError> {
    let load = LoadAverage::current().map_err(|error| failed("/proc/loadavg", error))?;
    let rounded = |value: f32| (f64::from(value) * 100.0).round() / 100.0;
    for (name, value) in [("load_1", load.one), ("load_5", load.five), ("load_15", load.fifteen)] {
        result.insert(name.into(), rounded(value).into());
    }
    Ok(())
}

/// What the machine is, and for how long it runs.
pub(super) fn machine(result: &mut Map) -> Result<(), RunError> {
    let uptime = procfs::Uptime::current().map_err(|error| failed("/proc/uptime", error))?;
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let line = |text: &str, key: &str, separator: char| {
        let lines = text.lines().filter_map(|line| line.split_once(separator));
        let found = lines.into_iter().find(|(name, _)| name.trim() == key);
        found.map(|(_, value)| value.trim().trim_matches('"').to_string())
    };
    let system = line(&read("/etc/os-release"), "PRETTY_NAME", '=').unwrap_or_else(|| "Linux".into());
    let processor = line(&read("/proc/cpuinfo"), "model name", ':');
    result.insert("machine_name".into(), read("/proc/sys/kernel/hostname").trim().into());
    result.insert("machine_system".into(), system.into());
    result.insert("machine_kernel".into(), read("/proc/sys/kernel/osrelease").trim().into());
    result.insert("machine_processor".into(), processor.into());
    result.insert("machine_uptime".into(), uptime.uptime.into());
    Ok(())
}

pub(super) fn processes(result: &mut Map) -> Result<(), RunError> {
    let stats = KernelStats::current().map_err(|error| failed("/proc/stat", error))?;
    let load = LoadAverage::current().map_err(|error| failed("/proc/loadavg", error))?;
    let entries = std::fs::read_dir("/proc").map_err(|error| failed("/proc", error))?;
    let is_process =
        |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let total = entries.filter_map(Result::ok).filter(|entry| is_process(&entry.file_name())).count();
    result.insert("processes_total".into(), total.into());
    result.insert("processes_running".into(), stats.procs_running.into());
    result.insert("processes_blocked".into(), stats.procs_blocked.into());
    result.insert("processes_threads".into(), load.max.into());
    Ok(())
}

pub(super) fn numbers<const N: usize>(rows: [(&str, u64); N]) -> Value {
    Value::Object(rows.into_iter().map(|(name, number)| (name.to_string(), number.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(user: u64, idle: u64) -> Ticks {
        Ticks { user, idle, system: 0, iowait: 0, irq: 0, steal: 0 }
    }

    #[test]
    fn cores_have_the_numbers_of_those_that_are_switched_on() {
        for (online, count, expected) in [
            ("0-2,5\n", 4, &[0, 1, 2, 5][..]),
            ("0\n", 1, &[0]),
            ("", 2, &[0, 1]),
            ("0-1", 3, &[0, 1, 2]),
            ("0-99999999999", 2, &[0, 1]),
            ("a-b", 1, &[0]),
        ] {
            assert_eq!(core_numbers(online, count), expected, "{online:?} {count}");
        }
    }

    #[test]
    fn each_core_is_told_since_the_last_reading() {
        let before = CpuTimes { all: ticks(0, 0), cores: vec![(0, ticks(0, 0)), (3, ticks(10, 10))] };
        let after =
            CpuTimes { all: ticks(50, 150), cores: vec![(0, ticks(25, 75)), (2, ticks(5, 5)), (3, ticks(20, 10))] };
        let mut result = Map::new();
        after.since(&before, &mut result);
        after.cores_since(&before, &mut result);
        assert_eq!((&result["cpu_used"], &result["cpu_cores"]), (&25.0.into(), &3.into()));
        let cores = result["cores"].as_object().unwrap();
        assert_eq!(cores.keys().collect::<Vec<_>>(), ["0", "3"]);
        assert_eq!((&cores["0"]["used"], &cores["3"]["used"]), (&25.0.into(), &100.0.into()));
    }
}
