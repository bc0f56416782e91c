//! Takes back what a killed process left half done.
//!
//! librrd updates a file in place, through a memory map. A process killed inside one sample can leave an archive's
//! row pointer moved and the time of the last sample not: given the sample again, the whole history would stand one
//! row too early. So before a batch touches a file, the file's header (everything an update changes besides rows)
//! is noted in a journal in the file's folder, and forgotten when the file is done. Whoever opens a series in that
//! folder next puts the noted headers back, and the samples, given again, write the same rows. The journal is for
//! killed processes: it is not forced to the disk, as RRD files are not.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::error::SeriesError;
use super::file::SeriesFile;

const PREFIX: &str = ".procblock-series.";
const SUFFIX: &str = ".undo";

/// The most bytes of a header, and of a journal that is believed.
const HEADER_BYTES_MAX: u64 = 16 << 20;
const JOURNAL_BYTES_MAX: u64 = 1 << 30;

/// The journals of the folders that one thread writes to; each thread of a process has its own number. Blocks on the
/// disk.
#[derive(Debug)]
pub struct Undo {
    number: usize,
    entered: HashSet<PathBuf>,
    journals: HashMap<PathBuf, Journal>,
    entry: Vec<u8>,
    /// The folder of a file that is done and not marked so yet: that goes along with the next note.
    unmarked: Option<PathBuf>,
}

#[derive(Debug)]
struct Journal {
    file: File,
    path: PathBuf,
    length: u64,
    /// The last entry, and where it begins.
    last: Vec<u8>,
    mark: u64,
    /// The last entry's update has returned.
    is_done: bool,
}

/// A noted header; drop it only after the file's update has returned.
#[derive(Debug)]
#[must_use = "the update must be marked as done"]
pub struct Noted {
    mark: u64,
    is_current: bool,
}

impl Noted {
    /// Whether the path named the file of the series.
    pub(super) fn is_current(&self) -> bool {
        self.is_current
    }
}

const PENDING: u8 = b'P';
const DONE: u8 = b'D';

impl Undo {
    /// No folder yet. `number` tells the threads of a process apart.
    pub fn new(number: usize) -> Self {
        Undo { number, entered: HashSet::new(), journals: HashMap::new(), entry: Vec::new(), unmarked: None }
    }

    /// Makes ready for series in the folder of `path`: puts back what a killed process left there, the first time it
    /// is called for a folder. Call it before [`SeriesFile::open`], from one thread of a process. A folder that does
    /// not exist has nothing to undo.
    ///
    /// Returns how many files were put back.
    ///
    /// # Errors
    /// `System` when the folder or a journal can't be read.
    pub fn enter(&mut self, path: &Path) -> Result<usize, SeriesError> {
        let folder = folder_of(path);
        if self.entered.contains(folder) || !folder.is_dir() {
            return Ok(0);
        }
        let entries = fs::read_dir(folder).map_err(SeriesError::system("read", folder))?;
        let mut restored = 0;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_journal = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
            if is_journal {
                restored += recover(&entry.path(), folder).map_err(SeriesError::system("read", &entry.path()))?;
            }
        }
        self.entered.insert(folder.to_owned());
        Ok(restored)
    }

    /// Notes the header of an open series before it is updated. On a full disk or a folder that can't be written
    /// there is no note, and the update goes on without one.
    pub fn note(&mut self, series: &SeriesFile) -> Option<Noted> {
        let folder = folder_of(&series.spec().path);
        if self.unmarked.as_deref().is_some_and(|unmarked| unmarked != folder) {
            self.settle();
        }
        let noted = self.append(series, folder);
        if noted.is_none() {
            self.settle();
        }
        noted
    }

    fn append(&mut self, series: &SeriesFile, folder: &Path) -> Option<Noted> {
        let path = &series.spec().path;
        let length = series.header_bytes();
        if length == 0 || length > HEADER_BYTES_MAX {
            return None;
        }
        let file = File::open(path).ok()?;
        let metadata = file.metadata().ok()?;
        let name = path.file_name()?.as_encoded_bytes();
        let mut entry = std::mem::take(&mut self.entry);
        let mark = begin(&mut entry, name, usize::try_from(length).ok()?)
            .filter(|at| file.read_exact_at(entry.get_mut(*at..).unwrap_or_default(), 0).is_ok())
            .and_then(|at| finish(&mut entry, at, name, metadata.ino()))
            .and_then(|()| self.journal(folder)?.append(&entry));
        self.entry = entry;
        let noted = Noted { mark: mark?, is_current: series.is(&metadata) };
        self.unmarked = None;
        Some(noted)
    }

    /// The update of a noted series has returned: nothing is to be put back. Marked with the next note; call
    /// [`Undo::settle`] where none follows at once.
    pub fn done(&mut self, series: &SeriesFile, noted: Noted) {
        let folder = folder_of(&series.spec().path);
        if let Some(journal) = self.journals.get_mut(folder).filter(|journal| journal.mark == noted.mark) {
            journal.is_done = true;
            self.unmarked = Some(folder.to_owned());
        }
    }

    /// Marks what is done.
    pub fn settle(&mut self) {
        let Some(folder) = self.unmarked.take() else { return };
        if let Some(journal) = self.journals.get_mut(&folder).filter(|journal| journal.is_done) {
            journal.is_done = false;
            let _ = journal.file.write_all_at(&[DONE], journal.mark);
        }
    }

    /// Forgets every note, after a batch: the journals are removed.
    pub fn clear(&mut self) {
        self.unmarked = None;
        for (_, journal) in self.journals.drain() {
            let _ = fs::remove_file(&journal.path);
        }
    }

    fn journal(&mut self, folder: &Path) -> Option<&mut Journal> {
        if !self.journals.contains_key(folder) {
            let path = folder.join(format!("{PREFIX}{}.{}{SUFFIX}", std::process::id(), self.number));
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).ok()?;
            file.try_lock().ok()?;
            let _ = file.set_len(0);
            let journal = Journal { file, path, length: 0, last: Vec::new(), mark: 0, is_done: false };
            self.journals.insert(folder.to_owned(), journal);
        }
        self.journals.get_mut(folder)
    }
}

impl Journal {
    /// Writes an entry, and with it that the one before is done. Gives where the entry begins.
    fn append(&mut self, entry: &[u8]) -> Option<u64> {
        let mut at = self.length;
        if self.is_done {
            at = self.mark;
            self.last.splice(..1, [DONE]);
        } else {
            self.last.clear();
        }
        let before = self.last.len();
        self.last.extend_from_slice(entry);
        if self.file.write_all_at(&self.last, at).is_err() {
            let _ = self.file.set_len(self.length);
            self.last.truncate(before);
            return None;
        }
        self.last.drain(..before);
        (self.mark, self.is_done) = (self.length, false);
        self.length += entry.len() as u64;
        Some(self.mark)
    }
}

impl Drop for Undo {
    /// What was noted is done, unless a panic came between.
    fn drop(&mut self) {
        self.settle();
        if !std::thread::panicking() {
            self.clear();
        }
    }
}

/// Puts back the pending headers of one journal, unless its owner lives, and removes it.
fn recover(journal: &Path, folder: &Path) -> std::io::Result<usize> {
    let file = match OpenOptions::new().read(true).write(true).open(journal) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        opened => opened?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(0),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut bytes = Vec::new();
    (&file).seek(SeekFrom::Start(0))?;
    (&file).take(JOURNAL_BYTES_MAX).read_to_end(&mut bytes)?;
    let mut rest = bytes.as_slice();
    let mut restored = 0;
    while let Some((entry, after)) = decode(rest) {
        rest = after;
        if entry.is_pending && put_back(&entry, folder).is_ok_and(|was_put| was_put) {
            restored += 1;
        }
    }
    fs::remove_file(journal)?;
    Ok(restored)
}

struct Entry<'a> {
    is_pending: bool,
    name: &'a [u8],
    inode: u64,
    header: &'a [u8],
}

fn put_back(entry: &Entry<'_>, folder: &Path) -> std::io::Result<bool> {
    let Ok(name) = std::str::from_utf8(entry.name) else { return Ok(false) };
    if name.is_empty() || name.contains('/') {
        return Ok(false);
    }
    let mut file = OpenOptions::new().write(true).open(folder.join(name))?;
    let metadata = file.metadata()?;
    // Another file of that name since then is whole.
    if metadata.ino() != entry.inode || metadata.len() < entry.header.len() as u64 {
        return Ok(false);
    }
    file.write_all(entry.header)?;
    Ok(true)
}

/// State (1 byte), length of the name (2), of the header (4), inode (8), checksum (8), name, header.
const FIXED: usize = 23;

/// Lays out an entry with room for a header, and says where that begins.
fn begin(entry: &mut Vec<u8>, name: &[u8], header_length: usize) -> Option<usize> {
    entry.clear();
    entry.push(PENDING);
    entry.extend(u16::try_from(name.len()).ok()?.to_le_bytes());
    entry.extend(u32::try_from(header_length).ok()?.to_le_bytes());
    entry.extend([0; FIXED - 7]);
    entry.extend(name);
    entry.resize(entry.len() + header_length, 0);
    Some(FIXED + name.len())
}

/// Fills in what is known only with the header, which begins at `at`.
fn finish(entry: &mut [u8], at: usize, name: &[u8], inode: u64) -> Option<()> {
    let sum = checksum(name, entry.get(at..)?);
    entry.get_mut(7..15)?.copy_from_slice(&inode.to_le_bytes());
    entry.get_mut(15..23)?.copy_from_slice(&sum.to_le_bytes());
    Some(())
}

/// The first entry and what follows it; none where the journal is torn.
fn decode(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (fixed, rest) = bytes.split_at_checked(FIXED)?;
    let name_length = u16::from_le_bytes(fixed.get(1..3)?.try_into().ok()?);
    let header_length = u32::from_le_bytes(fixed.get(3..7)?.try_into().ok()?);
    let inode = u64::from_le_bytes(fixed.get(7..15)?.try_into().ok()?);
    let sum = u64::from_le_bytes(fixed.get(15..23)?.try_into().ok()?);
    let (name, rest) = rest.split_at_checked(usize::from(name_length))?;
    let (header, rest) = rest.split_at_checked(usize::try_from(header_length).ok()?)?;
    let is_pending = fixed.first() == Some(&PENDING);
    (checksum(name, header) == sum).then_some((Entry { is_pending, name, inode, header }, rest))
}

/// A quick sum over eight bytes at a time: it only tells a torn entry from a whole one.
fn checksum(name: &[u8], header: &[u8]) -> u64 {
    let mix = |sum: u64, word: u64| (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let mut sum = 0x9e37_79b9_7f4a_7c15;
    for bytes in [name, header] {
        let chunks = bytes.chunks(8);
        sum = chunks.fold(mix(sum, bytes.len() as u64), |sum, chunk| {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            mix(sum, u64::from_le_bytes(word))
        });
    }
    sum
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
