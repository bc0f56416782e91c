//! Which version of a file was read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file changed more recently than this may change again within the file system's tick without a trace.
const SETTLED_AFTER: Duration = Duration::from_millis(20);

/// A version of a file: inode, size, and both times to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    /// The version that stands under `path`. Blocks for one `stat`.
    pub(crate) fn of(path: &Path) -> std::io::Result<Identity> {
        Ok(Self::from_metadata(&std::fs::metadata(path)?))
    }

    pub(crate) fn from_metadata(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a change after this moment would show in the times: false for 20 ms after the last one.
    pub(crate) fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age = |(seconds, nanoseconds): (i64, i64)| {
            let at = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0));
            now.checked_sub(at).unwrap_or_default()
        };
        age(self.modified) >= SETTLED_AFTER && age(self.changed) >= SETTLED_AFTER
    }
}
