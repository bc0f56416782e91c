//! Reading /proc: proc(5) is the source of every field.

use std::collections::HashSet;

use procfs::{Current, CurrentSI, KernelStats, LoadAverage, Meminfo};

use crate::error::RunError;
use crate::value::{Map, Value};

/// Bytes in one sector of /proc/diskstats, whatever the device's own sector is (Documentation/admin-guide/iostats.rst).
const SECTOR_BYTES: u64 = 512;

fn failed(what: &str, error: impl std::fmt::Display) -> RunError {
    RunError::failed(format!("system: {what} can't be read: {error}"))
}

/// CPU time of all cores since the machine started, in ticks.
#[derive(Debug, Clone, Copy)]
pub(super) struct CpuTimes {
    user: u64,
    system: u64,
    iowait: u64,
    irq: u64,
    steal: u64,
    idle: u64,
    cores: usize,
}

pub(super) fn cpu_times() -> Result<CpuTimes, RunError> {
    let stats = KernelStats::current().map_err(|error| failed("/proc/stat", error))?;
    let total = stats.total;
    Ok(CpuTimes {
        user: total.user + total.nice,
        system: total.system,
        iowait: total.iowait.unwrap_or(0),
        irq: total.irq.unwrap_or(0) + total.softirq.unwrap_or(0),
        steal: total.steal.unwrap_or(0),
        idle: total.idle,
        cores: stats.cpu_time.len(),
    })
}

impl CpuTimes {
    /// Percent of each kind of time since an earlier reading.
    pub(super) fn since(&self, before: &CpuTimes, result: &mut Map) {
        let kinds = [
            ("cpu_user", self.user.saturating_sub(before.user)),
            ("cpu_system", self.system.saturating_sub(before.system)),
            ("cpu_iowait", self.iowait.saturating_sub(before.iowait)),
            ("cpu_irq", self.irq.saturating_sub(before.irq)),
            ("cpu_steal", self.steal.saturating_sub(before.steal)),
            ("cpu_idle", self.idle.saturating_sub(before.idle)),
        ];
        let total: u64 = kinds.iter().map(|(_, ticks)| ticks).sum();
        let mut used = 0.0;
        for (name, ticks) in kinds {
            let percent = percent(ticks, total);
            if name != "cpu_idle" && name != "cpu_iowait" {
                used += percent;
            }
            result.insert(name.into(), percent.into());
        }
        result.insert("cpu_used".into(), ((used * 100.0).round() / 100.0).into());
        result.insert("cpu_cores".into(), self.cores.into());
    }
}

/// To a hundredth; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a percentage")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 10_000.0).round() / 100.0 }
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

pub(super) fn disks(result: &mut Map) -> Result<(), RunError> {
    let mounts = procfs::mounts().map_err(|error| failed("/proc/self/mounts", error))?;
    let mut seen = HashSet::new();
    let mut disks = Map::new();
    for mount in mounts {
        if !mount.fs_spec.starts_with("/dev/") || !seen.insert(mount.fs_spec.clone()) {
            continue;
        }
        let Ok(found) = nix::sys::statvfs::statvfs(mount.fs_file.as_str()) else { continue };
        let block = found.fragment_size();
        let total = found.blocks() * block;
        let used = found.blocks().saturating_sub(found.blocks_free()) * block;
        let available = found.blocks_available() * block;
        let inodes_used = found.files().saturating_sub(found.files_free());
        let rows = [
            ("total", Value::from(total)),
            ("used", used.into()),
            ("available", available.into()),
            ("percent", percent(used, used + available).into()),
            ("inodes_percent", percent(inodes_used, found.files()).into()),
        ];
        disks.insert(
            mount.fs_file,
            Value::Object(rows.map(|(name, value)| (name.to_string(), value)).into_iter().collect()),
        );
    }
    result.insert("disks".into(), Value::Object(disks));
    Ok(())
}

pub(super) fn disk_io(result: &mut Map) -> Result<(), RunError> {
    let stats = procfs::diskstats().map_err(|error| failed("/proc/diskstats", error))?;
    let mut devices = Map::new();
    for device in stats {
        let is_whole = std::path::Path::new("/sys/block").join(&device.name).exists();
        let is_virtual = ["loop", "ram", "zram"].iter().any(|prefix| device.name.starts_with(prefix));
        if !is_whole || is_virtual {
            continue;
        }
        let rows = [
            ("read_bytes", device.sectors_read * SECTOR_BYTES),
            ("write_bytes", device.sectors_written * SECTOR_BYTES),
            ("reads", device.reads),
            ("writes", device.writes),
        ];
        devices.insert(device.name, numbers(rows));
    }
    result.insert("disk_io".into(), Value::Object(devices));
    Ok(())
}

pub(super) fn network(result: &mut Map) -> Result<(), RunError> {
    let stats = procfs::net::dev_status().map_err(|error| failed("/proc/net/dev", error))?;
    let mut names: Vec<&String> = stats.keys().collect();
    names.sort();
    let mut interfaces = Map::new();
    for name in names {
        let Some(device) = stats.get(name) else { continue };
        let rows = [
            ("rx_bytes", device.recv_bytes),
            ("tx_bytes", device.sent_bytes),
            ("rx_packets", device.recv_packets),
            ("tx_packets", device.sent_packets),
            ("rx_errors", device.recv_errs),
            ("tx_errors", device.sent_errs),
        ];
        interfaces.insert(name.clone(), numbers(rows));
    }
    result.insert("network".into(), Value::Object(interfaces));
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

fn numbers<const N: usize>(rows: [(&str, u64); N]) -> Value {
    Value::Object(rows.into_iter().map(|(name, number)| (name.to_string(), number.into())).collect())
}
