//! Files known by device, inode, size and times: whether what was made of them is still right.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::Stat;

/// A file changed this shortly before it was read is read again at the next request: two changes so close may have one
/// time on disk.
const UNSETTLED: Duration = Duration::from_millis(20);

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of what a path leads to now; none if there is nothing or it can't be seen.
    pub(crate) fn of(path: &Path) -> Option<Stamp> {
        rustix::fs::stat(path).ok().map(|stat| Stamp::from(&stat))
    }

    /// The size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// When the content was last modified, to the second.
    pub(crate) fn modified(&self) -> SystemTime {
        let seconds = u64::try_from(self.modified.0).unwrap_or_default();
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// A text that is another one for each version of the file.
    pub(crate) fn tag(&self) -> String {
        let (seconds, nanoseconds) = self.changed;
        format!("\"{:x}-{:x}-{seconds:x}.{nanoseconds:x}\"", self.inode, self.size)
    }

    /// Whether a reading begun at this moment surely saw this version and no later one of the same stamp.
    pub(crate) fn is_settled_at(&self, began: SystemTime) -> bool {
        let began = began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let changed = u128::try_from(self.changed.0).unwrap_or_default() * 1_000_000_000
            + u128::try_from(self.changed.1).unwrap_or_default();
        // A time far ahead comes from a clock that was set back, and waiting for it to pass would read for ever.
        changed + UNSETTLED.as_nanos() < began || changed > began + 1_000_000_000
    }
}

impl From<&Stat> for Stamp {
    #[expect(clippy::unnecessary_cast, reason = "the widths of these fields differ between machines")]
    fn from(stat: &Stat) -> Stamp {
        Stamp {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}

/// A moment of this process, for telling which of two was first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// This moment.
    pub(crate) fn now() -> Moment {
        Moment(u64::try_from(Moment::first().elapsed().as_nanos()).unwrap_or(u64::MAX - 1))
    }

    /// The moment so many nanoseconds after the first that was asked for.
    pub(crate) fn of_nanoseconds(nanoseconds: u64) -> Moment {
        Moment(nanoseconds)
    }

    /// Nanoseconds since the first that was asked for, below `u64::MAX`.
    pub(crate) fn nanoseconds(self) -> u64 {
        self.0
    }

    /// The same for timers.
    pub(crate) fn instant(self) -> Instant {
        Moment::first() + Duration::from_nanos(self.0)
    }

    fn first() -> Instant {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        *FIRST.get_or_init(Instant::now)
    }
}

/// When the file system was last asked and had nothing new. That holds for every request that had come by then: many
/// that come at once ask once.
#[derive(Debug, Default)]
pub(crate) struct Looked(AtomicU64);

impl Looked {
    /// Whether nothing has changed for a request that came at this moment; asks by `look` where it is not known.
    pub(crate) fn or_look(&self, came: Moment, look: impl FnOnce() -> bool) -> bool {
        if self.0.load(Ordering::Relaxed) > came.0 {
            return true;
        }
        let now = Moment::now();
        let is_current = look();
        if is_current {
            self.0.fetch_max(now.0, Ordering::Relaxed);
        }
        is_current
    }
}

/// The files behind something, as they were when it was made.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    stamps: Vec<(PathBuf, Option<Stamp>)>,
    is_settled: bool,
}

impl Files {
    /// The files as they are now, for something whose making began at `began`. A file that is not there counts too:
    /// that it appears is a change.
    pub(crate) fn since(began: SystemTime, paths: impl IntoIterator<Item = PathBuf>) -> Files {
        let mut stamps: Vec<(PathBuf, Option<Stamp>)> = Vec::new();
        for path in paths {
            if !stamps.iter().any(|(known, _)| *known == path) {
                stamps.push((path.clone(), Stamp::of(&path)));
            }
        }
        let is_settled = stamps.iter().all(|(_, stamp)| stamp.is_none_or(|stamp| stamp.is_settled_at(began)));
        Files { stamps, is_settled }
    }

    /// Files that are not there, unless one is.
    pub(crate) fn absent(paths: Vec<PathBuf>) -> Option<Files> {
        let is_absent = paths.iter().all(|path| Stamp::of(path).is_none());
        is_absent.then(|| Files { stamps: paths.into_iter().map(|path| (path, None)).collect(), is_settled: true })
    }

    /// Whether none has changed. Asks the file system for each; does not read them.
    pub(crate) fn is_current(&self) -> bool {
        self.is_settled && self.stamps.iter().all(|(path, stamp)| Stamp::of(path) == *stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_content_an_appearing_and_a_vanishing_file_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (there, absent) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&there, "one").unwrap();
        let long_after = SystemTime::now() + Duration::from_millis(900);
        let files = || Files::since(long_after, [there.clone(), absent.clone()]);
        let before = files();
        assert!(before.is_current());
        std::fs::write(&there, "three").unwrap();
        assert!(!before.is_current());
        let before = files();
        std::fs::write(&absent, "").unwrap();
        assert!(!before.is_current());
        let before = files();
        std::fs::remove_file(&there).unwrap();
        assert!(!before.is_current());
    }

    #[test]
    fn a_look_holds_for_requests_that_came_before_it_and_no_others() {
        let looked = Looked::default();
        let (before, mut looks) = (Moment::now(), 0);
        let mut look = |came: Moment, is_current: bool| {
            looked.or_look(came, || {
                looks += 1;
                is_current
            })
        };
        assert!(!look(before, false));
        assert!(look(before, true));
        assert!(look(before, false), "asked again for one that came before");
        let after = Moment::now();
        assert!(!look(after, false));
        assert_eq!(looks, 3);
    }

    #[test]
    fn files_are_absent_until_one_appears() {
        let folder = tempfile::tempdir().unwrap();
        let paths = || vec![folder.path().join("a"), folder.path().join("b")];
        let absent = Files::absent(paths()).unwrap();
        assert!(absent.is_current());
        std::fs::write(folder.path().join("b"), "").unwrap();
        assert!(!absent.is_current());
        assert!(Files::absent(paths()).is_none());
    }

    #[test]
    fn what_was_read_right_after_a_change_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "one").unwrap();
        assert!(!Files::since(SystemTime::now(), [path]).is_current());
    }
}
