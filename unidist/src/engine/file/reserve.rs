//! Disk space for the database, taken before the write-ahead log may grow.
//!
//! SQLite writes changes to the log and copies them into the database later. Were the database to need space only then,
//! a log that fills the disk could never be copied nor cut, and the store would refuse changes for ever, even with the
//! rest of the disk free. So the database file has room, always, for all that the log holds; the log alone can meet a
//! full disk, and is then copied and emptied.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::posix_fallocate;

/// Taken at a time, so that few transactions have to: 256 KiB.
const STEP_BYTES: u64 = 256 * 1024;

/// The database file, for its length alone. Closing it would release SQLite's locks on the file: it is dropped after
/// the connection.
pub(super) struct Reserve(File);

impl Reserve {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().write(true).open(path).map(Reserve)
    }

    /// Sees to it that the file has this many bytes on disk. Where the file system can't promise space, nothing is done.
    pub(super) fn hold(&self, bytes: u64) -> io::Result<()> {
        let length = self.0.metadata()?.len();
        if length >= bytes {
            return Ok(());
        }
        match self.grow(length, bytes.next_multiple_of(STEP_BYTES)) {
            Err(Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG) => self.grow(length, bytes)?,
            grown => grown?,
        }
        Ok(())
    }

    fn grow(&self, from: u64, to: u64) -> nix::Result<()> {
        loop {
            return match posix_fallocate(&self.0, from.cast_signed(), (to - from).cast_signed()) {
                Err(Errno::EINTR) => continue,
                Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::ENODEV) => Ok(()),
                grown => grown,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_grows_in_steps_and_never_shrinks() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let reserve = Reserve::open(file.path()).unwrap();
        for (bytes, length) in
            [(1, STEP_BYTES), (STEP_BYTES, STEP_BYTES), (STEP_BYTES + 1, 2 * STEP_BYTES), (0, 2 * STEP_BYTES)]
        {
            reserve.hold(bytes).unwrap();
            assert_eq!(file.as_file().metadata().unwrap().len(), length);
        }
    }
}
