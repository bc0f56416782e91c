//! What is attached to the machine: file systems, block devices, interfaces. proc(5) and the kernel's
//! Documentation/ABI are the sources.

use std::collections::HashSet;
use std::path::Path;

use crate::error::RunError;
use crate::value::{Map, Value};

use super::read::{failed, numbers, percent};

/// Bytes in one sector of /proc/diskstats, whatever the device's own sector is (Documentation/admin-guide/iostats.rst).
const SECTOR_BYTES: u64 = 512;

/// File systems that other machines or programs answer for: asking one whose server is gone would wait for ever.
const REMOTE: &[&str] = &["9p", "afs", "autofs", "ceph", "cifs", "fuse", "gfs2", "lustre", "ncpfs", "nfs", "smb"];

/// Which devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// File systems of devices, whole block devices.
    Real,
    /// File systems in memory and images too, whatever has a size; loop devices and ram disks too.
    All,
}

/// The file systems, by mount point.
pub(super) fn disks(which: Which, result: &mut Map) -> Result<(), RunError> {
    let mounts = procfs::mounts().map_err(|error| failed("/proc/self/mounts", error))?;
    let mut seen = HashSet::new();
    let mut disks = Map::new();
    for mount in mounts {
        let is_device = mount.fs_spec.starts_with("/dev/");
        let is_wanted = is_device || (which == Which::All && !is_remote(&mount.fs_vfstype));
        // A device that is mounted at several places is one; so is a place where one hides the other.
        if !is_wanted || (is_device && !seen.insert(mount.fs_spec.clone())) {
            continue;
        }
        let Ok(found) = nix::sys::statvfs::statvfs(mount.fs_file.as_str()) else { continue };
        let block = found.fragment_size();
        let total = found.blocks() * block;
        if total == 0 && !is_device {
            continue;
        }
        let used = found.blocks().saturating_sub(found.blocks_free()) * block;
        let available = found.blocks_available() * block;
        let inodes_used = found.files().saturating_sub(found.files_free());
        let rows = [
            ("device", Value::from(mount.fs_spec)),
            ("type", mount.fs_vfstype.into()),
            ("total", total.into()),
            ("used", used.into()),
            ("available", available.into()),
            ("percent", percent(used, used + available).into()),
            ("inodes_percent", percent(inodes_used, found.files()).into()),
        ];
        disks.insert(mount.fs_file, mapping(rows));
    }
    result.insert("disks".into(), Value::Object(disks));
    Ok(())
}

fn is_remote(kind: &str) -> bool {
    REMOTE.iter().any(|remote| kind.starts_with(remote))
}

/// What block devices have transferred.
pub(super) fn disk_io(which: Which, result: &mut Map) -> Result<(), RunError> {
    let stats = procfs::diskstats().map_err(|error| failed("/proc/diskstats", error))?;
    let mut devices = Map::new();
    for device in stats {
        let is_whole = Path::new("/sys/block").join(&device.name).exists();
        let is_virtual = ["loop", "ram", "zram"].iter().any(|prefix| device.name.starts_with(prefix));
        if !is_whole || (is_virtual && which == Which::Real) {
            continue;
        }
        let rows = [
            ("read_bytes", device.sectors_read * SECTOR_BYTES),
            ("write_bytes", device.sectors_written * SECTOR_BYTES),
            ("reads", device.reads),
            ("writes", device.writes),
            ("busy_ms", device.time_in_progress),
        ];
        devices.insert(device.name, numbers(rows));
    }
    result.insert("disk_io".into(), Value::Object(devices));
    Ok(())
}

/// What interfaces have carried, and whether they are connected.
pub(super) fn network(result: &mut Map) -> Result<(), RunError> {
    let stats = procfs::net::dev_status().map_err(|error| failed("/proc/net/dev", error))?;
    let mut names: Vec<&String> = stats.keys().collect();
    names.sort();
    let mut interfaces = Map::new();
    for name in names {
        let Some(device) = stats.get(name) else { continue };
        let rows = [
            ("rx_bytes", Value::from(device.recv_bytes)),
            ("tx_bytes", device.sent_bytes.into()),
            ("rx_packets", device.recv_packets.into()),
            ("tx_packets", device.sent_packets.into()),
            ("rx_errors", device.recv_errs.into()),
            ("tx_errors", device.sent_errs.into()),
            ("rx_dropped", device.recv_drop.into()),
            ("tx_dropped", device.sent_drop.into()),
            ("state", state_of(name).into()),
            ("speed", speed_of(name).into()),
        ];
        interfaces.insert(name.clone(), mapping(rows));
    }
    result.insert("network".into(), Value::Object(interfaces));
    Ok(())
}

/// `up`, `down`, `dormant`, `unknown` (of those that don't tell, such as `lo`), … (sysfs-class-net, operstate).
fn state_of(interface: &str) -> String {
    let text = std::fs::read_to_string(Path::new("/sys/class/net").join(interface).join("operstate"));
    text.map_or_else(|_| "unknown".into(), |text| text.trim().to_string())
}

/// In bits per second; none where there is no such thing.
fn speed_of(interface: &str) -> Option<u64> {
    let text = std::fs::read_to_string(Path::new("/sys/class/net").join(interface).join("speed")).ok()?;
    // In Mbit/s; -1 is unknown.
    Some(text.trim().parse::<u64>().ok()? * 1_000_000)
}

fn mapping<const N: usize>(rows: [(&str, Value); N]) -> Value {
    Value::Object(rows.map(|(name, value)| (name.to_string(), value)).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_system_with_a_size_is_among_all() {
        let (mut real, mut all) = (Map::new(), Map::new());
        disks(Which::Real, &mut real).unwrap();
        disks(Which::All, &mut all).unwrap();
        let (real, all) = (real["disks"].as_object().unwrap(), all["disks"].as_object().unwrap());
        assert!(real.keys().all(|name| all.contains_key(name)));
        assert!(all.values().all(|disk| disk["type"].as_str().is_some_and(|kind| !is_remote(kind))));
    }

    #[test]
    fn what_waits_for_other_machines_is_not_asked() {
        assert!(["nfs4", "nfs", "cifs", "smb3", "fuse.sshfs", "9p"].into_iter().all(is_remote));
        assert!(!["ext4", "xfs", "tmpfs", "overlay", "zfs", "btrfs"].into_iter().any(is_remote));
    }

    #[test]
    fn the_loopback_interface_is_told() {
        let mut result = Map::new();
        network(&mut result).unwrap();
        let lo = &result["network"]["lo"];
        assert_eq!((lo["state"].as_str(), lo["speed"].is_null()), (Some("unknown"), true), "{lo}");
        assert!(lo["rx_dropped"].is_u64());
    }
}
