//! Locks of other processes, noted in the store's folder, so that they outlive the store's owner.
//!
//! In `clients/` a client that takes locks has a file of its session's name, which it locks as long as it, or a child
//! that it gave the file to, lives. Beside it the owner keeps `NAME.locks`: a line for each lock before the client is
//! told of it, and one when it is free. A next owner seats those whose client lives, before anybody else can ask.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::session::Session;
use super::{Inner, Lasting};
use crate::engine::memory::KeptLock;
use crate::engine::{Grant, HolderKey};

/// The folder in that of the store.
pub(crate) const CLIENTS: &str = "clients";
const LOCKS_SUFFIX: &str = ".locks";
/// A file of notes is written anew when it is larger than this, in bytes, and than four times what is in it.
const NOTES_BYTES_MAX: u64 = 256 * 1024;

pub(super) struct KeptLocks {
    folder: PathBuf,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Default)]
struct Notes {
    /// Which session holds the lock of a fencing number.
    sessions: HashMap<u64, Arc<str>>,
    files: HashMap<Arc<str>, Notebook>,
}

/// What is noted of one session.
struct Notebook {
    path: PathBuf,
    file: File,
    bytes: u64,
    held: HashMap<u64, Noted>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Held(Noted),
    Freed(u64),
}

/// A lock and the request that got it: a client that was not told asks the next owner again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Noted {
    #[serde(flatten)]
    pub(super) lock: KeptLock,
    pub(super) wait: u64,
}

/// A session of an earlier owner whose client lives, with its locks.
pub(super) struct Survivor {
    pub(super) session: String,
    pub(super) held: Vec<Noted>,
}

impl KeptLocks {
    pub(super) fn new(store: &Path) -> Self {
        KeptLocks { folder: store.join(CLIENTS), notes: Arc::default() }
    }

    /// Takes note of the locks that become free.
    pub(super) fn observe(&self, lasting: &dyn Lasting) {
        let notes = self.notes.clone();
        lasting.observe_unseat(Box::new(move |_, fence| notes.lock().freed(fence)));
    }

    /// Those whose client lives; what the others left is removed.
    pub(super) fn survivors(&self) -> Vec<Survivor> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        let mut found = Vec::new();
        for name in names {
            let session = name.strip_suffix(LOCKS_SUFFIX).unwrap_or(&name);
            if !self.is_alive(session) {
                let _ = fs::remove_file(self.folder.join(&name));
            } else if session == name {
                let held = read(&self.locks_path(session));
                found.push(Survivor { session: name, held: held.into_values().collect() });
            }
        }
        // Only when nobody is left in it.
        let _ = fs::remove_dir(&self.folder);
        found
    }

    /// Whether the client, or a child that it gave its file to, lives.
    pub(super) fn is_alive(&self, session: &str) -> bool {
        match File::open(self.folder.join(session)).map(|file| file.try_lock_shared()) {
            Ok(Err(TryLockError::WouldBlock)) => true,
            Ok(Ok(()) | Err(TryLockError::Error(_))) | Err(_) => false,
        }
    }

    fn locks_path(&self, session: &str) -> PathBuf {
        self.folder.join(format!("{session}{LOCKS_SUFFIX}"))
    }

    /// Notes a lock of a client that has a file; without one its locks end with the owner.
    pub(super) fn note(&self, session: &Session, service: &Inner, grant: &Grant, wait: u64) {
        let Some(lasting) = &service.lasting else { return };
        let Some(lock) = lasting.kept_lock(&grant.name, grant.fence) else { return };
        let kept = Noted { lock, wait };
        let mut notes = self.notes.lock();
        if !notes.files.contains_key(session.name()) {
            if !self.is_alive(session.name()) {
                return;
            }
            let path = self.locks_path(session.name());
            // A folder that can't be written costs the locks' survival, not the locks.
            let Ok(file) = open(&path) else { return };
            notes.files.insert(session.name().clone(), Notebook { path, file, bytes: 0, held: HashMap::new() });
        }
        notes.sessions.insert(grant.fence, session.name().clone());
        if let Some(book) = notes.files.get_mut(session.name()) {
            book.write(&Line::Held(kept.clone()));
            book.held.insert(grant.fence, kept);
        }
        drop(notes);
        if !service.engine.locks().has_holder(&grant.name, HolderKey::Fence(grant.fence)) {
            self.notes.lock().freed(grant.fence);
        }
    }

    /// Goes on with the notes of an earlier owner.
    pub(super) fn take_over(&self, session: &Arc<str>, held: Vec<Noted>) {
        let mut notes = self.notes.lock();
        for noted in &held {
            notes.sessions.insert(noted.lock.fence, session.clone());
        }
        let path = self.locks_path(session);
        if let Ok(file) = open(&path) {
            let bytes = file.metadata().map_or(0, |metadata| metadata.len());
            let held = held.into_iter().map(|noted| (noted.lock.fence, noted)).collect();
            notes.files.insert(session.clone(), Notebook { path, file, bytes, held });
        }
    }

    /// The session is over.
    pub(super) fn forget(&self, session: &Arc<str>) {
        let mut notes = self.notes.lock();
        notes.files.remove(session);
        notes.sessions.retain(|_, of| of != session);
        drop(notes);
        let _ = fs::remove_file(self.locks_path(session));
        let _ = fs::remove_file(self.folder.join(&**session));
        let _ = fs::remove_dir(&self.folder);
    }
}

impl Notes {
    fn freed(&mut self, fence: u64) {
        let Some(session) = self.sessions.remove(&fence) else { return };
        let Some(book) = self.files.get_mut(&session) else { return };
        book.held.remove(&fence);
        book.write(&Line::Freed(fence));
    }
}

impl Notebook {
    fn write(&mut self, line: &Line) {
        let text = crate::wire::line_of(line);
        self.bytes += text.len() as u64;
        // Short writes are to a file in memory or on a disk: what is cut by a full one is no line when it is read.
        let _ = self.file.write_all(&text);
        if self.bytes > NOTES_BYTES_MAX && self.bytes / 1_024 > 4 * self.held.len() as u64 {
            self.write_anew();
        }
    }

    fn write_anew(&mut self) {
        let unfinished = self.path.with_extension("new");
        let lines: Vec<u8> =
            self.held.values().flat_map(|noted| crate::wire::line_of(&Line::Held(noted.clone()))).collect();
        let _ = fs::remove_file(&unfinished);
        let written = open(&unfinished).and_then(|mut file| file.write_all(&lines).map(|()| file));
        if let Ok(file) = written
            && fs::rename(&unfinished, &self.path).is_ok()
        {
            self.file = file;
        }
        self.bytes = lines.len() as u64;
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn read(path: &Path) -> HashMap<u64, Noted> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut held = HashMap::new();
    for line in text.lines().filter_map(|line| crate::wire::read_json::<Line>(line.as_bytes()).ok()) {
        match line {
            Line::Held(noted) => {
                held.insert(noted.lock.fence, noted);
            }
            Line::Freed(fence) => {
                held.remove(&fence);
            }
        }
    }
    held
}
