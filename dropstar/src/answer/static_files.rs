//! Static files: found below their folder and nowhere else, small ones kept in memory within a bound.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use flate2::Compression;
use http::HeaderValue;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use crate::answer::{compression, content_type};
use crate::site::{Looked, Moment, Stamp};

/// The bytes of files kept in memory.
const MEMORY_MAX: u64 = 64 * 1024 * 1024;

/// A larger file is read from the disk for each request.
const FILE_MEMORY_MAX: u64 = 1024 * 1024;

/// Files expected in memory; more is no error.
const FILES_EXPECTED: usize = 2000;

/// A folder of static files.
#[derive(Debug, Clone)]
pub(crate) struct StaticRoot {
    folder: PathBuf,
}

impl StaticRoot {
    /// A folder, which need not be there.
    pub(crate) fn new(folder: PathBuf) -> StaticRoot {
        StaticRoot { folder }
    }

    /// Whether a name is a folder below it that has an index.
    pub(crate) fn is_folder(&self, name: &str) -> bool {
        is_servable(name) && self.folder.join(name).join("index.html").is_file()
    }

    /// Opens a file below the folder. Symbolic links are followed as long as they stay below it.
    fn open(&self, name: &str) -> Option<File> {
        let folder = File::open(&self.folder).ok()?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&folder, name, flags, Mode::empty(), resolve) {
            Ok(file) => Some(file.into()),
            // Kernels before 5.6 do not know the call, and some sandboxes do not let it through.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => self.open_checked(name),
            Err(_) => None,
        }
    }

    fn open_checked(&self, name: &str) -> Option<File> {
        let folder = self.folder.canonicalize().ok()?;
        let path = folder.join(name).canonicalize().ok()?;
        if path.starts_with(&folder) { File::open(path).ok() } else { None }
    }
}

/// A name that may be served: no part hidden, none climbing, none empty.
fn is_servable(name: &str) -> bool {
    name.len() <= 4096 && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
}

/// A static file as it was found.
pub(crate) struct StaticFile {
    /// Which version of it.
    pub(crate) stamp: Stamp,
    /// The header ETag.
    pub(crate) tag: HeaderValue,
    /// The header ETag of its compressed form.
    pub(crate) compressed_tag: HeaderValue,
    /// The header Last-Modified.
    pub(crate) modified: HeaderValue,
    /// The header Content-Type.
    pub(crate) content_type: &'static str,
    /// What is in it.
    pub(crate) content: Content,
    compressed: OnceLock<Option<Bytes>>,
    looked: Looked,
}

/// What is in a file.
pub(crate) enum Content {
    /// All of it.
    Memory(Bytes),
    /// An open file that is too large for memory.
    Disk(Arc<File>),
}

impl StaticFile {
    fn read(mut file: File, name: &str, is_settled_since: SystemTime) -> Option<(StaticFile, bool)> {
        let stat = rustix::fs::fstat(&file).ok()?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return None;
        }
        let stamp = Stamp::from(&stat);
        let is_kept = stamp.size() <= FILE_MEMORY_MAX && stamp.is_settled_at(is_settled_since);
        let content = if stamp.size() <= FILE_MEMORY_MAX {
            let mut bytes = Vec::with_capacity(usize::try_from(stamp.size()).ok()? + 1);
            (&mut file).take(FILE_MEMORY_MAX).read_to_end(&mut bytes).ok()?;
            Content::Memory(bytes.into())
        } else {
            Content::Disk(Arc::new(file))
        };
        let tag = stamp.tag();
        let header = |text: String| HeaderValue::from_str(&text).ok();
        let read = StaticFile {
            stamp,
            compressed_tag: header(format!("{}-gzip\"", tag.trim_end_matches('"')))?,
            tag: header(tag)?,
            modified: header(httpdate::fmt_http_date(stamp.modified()))?,
            content_type: content_type::of(name),
            content,
            compressed: OnceLock::new(),
            looked: Looked::default(),
        };
        Some((read, is_kept))
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        match &self.content {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::Disk(_) => self.stamp.size(),
        }
    }

    /// Its bytes compressed, where it is in memory and that makes them fewer. Made once.
    pub(crate) async fn compressed(&self) -> Option<Bytes> {
        let Content::Memory(bytes) = &self.content else { return None };
        if !compression::is_worth(self.content_type, bytes.len()) {
            return None;
        }
        if let Some(compressed) = self.compressed.get() {
            return compressed.clone();
        }
        let compressed = Box::pin(compression::gzip(bytes.clone(), Compression::default())).await;
        self.compressed.get_or_init(|| compressed).clone()
    }
}

/// The static files in memory, of all sites.
pub(crate) struct StaticFiles {
    cache: Cache<PathBuf, Arc<StaticFile>, Weight>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<PathBuf, Arc<StaticFile>> for Weight {
    fn weight(&self, path: &PathBuf, file: &Arc<StaticFile>) -> u64 {
        // The compressed form comes later and counts from the start: a weight must not change.
        2 * file.size() + path.as_os_str().len() as u64 + size_of::<StaticFile>() as u64
    }
}

impl StaticFiles {
    /// None yet.
    pub(crate) fn new() -> StaticFiles {
        StaticFiles { cache: Cache::with_weighter(FILES_EXPECTED, MEMORY_MAX, Weight) }
    }

    /// A file by its name below a folder, for a request that came at this moment; none if there is none that may be
    /// served. Asks the file system whether it changed, and reads it, off the workers, when it did.
    pub(crate) async fn find(&self, root: &StaticRoot, name: &str, came: Moment) -> Option<Arc<StaticFile>> {
        if !is_servable(name) {
            return None;
        }
        let path = root.folder.join(name);
        let known = self.cache.get::<Path>(&path);
        if let Some(file) = known.filter(|file| file.looked.or_look(came, || regular(&path) == Some(file.stamp))) {
            return Some(file);
        }
        // Nothing is read, nor a thread taken, for what is not there.
        regular(&path)?;
        Box::pin(self.read(root.clone(), name.to_string(), path)).await
    }

    async fn read(&self, root: StaticRoot, name: String, path: PathBuf) -> Option<Arc<StaticFile>> {
        let read = move || {
            let began = SystemTime::now();
            StaticFile::read(root.open(&name)?, &name, began)
        };
        let (file, is_kept) = tokio::task::spawn_blocking(read).await.ok()??;
        let file = Arc::new(file);
        if is_kept {
            self.cache.insert(path, Arc::clone(&file));
        }
        Some(file)
    }
}

/// The stamp of a regular file.
fn regular(path: &Path) -> Option<Stamp> {
    let stat = rustix::fs::stat(path).ok()?;
    (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then(|| Stamp::from(&stat))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_that_leave_the_folder_are_refused_by_kernel_and_by_check() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        let inside = tempfile::tempdir().unwrap();
        std::fs::create_dir(inside.path().join("sub")).unwrap();
        std::fs::write(inside.path().join("sub/real"), "real").unwrap();
        symlink(outside.path().join("secret"), inside.path().join("absolute")).unwrap();
        symlink(outside.path(), inside.path().join("folder")).unwrap();
        symlink("../../etc/hostname", inside.path().join("climbing")).unwrap();
        symlink("sub/real", inside.path().join("link")).unwrap();
        let root = StaticRoot::new(inside.path().to_path_buf());
        for name in ["absolute", "folder/secret", "climbing"] {
            assert!(root.open(name).is_none() && root.open_checked(name).is_none(), "{name}");
        }
        for name in ["link", "sub/real"] {
            assert!(root.open(name).is_some() && root.open_checked(name).is_some(), "{name}");
        }
    }

    #[test]
    fn hidden_climbing_and_empty_names_are_not_servable() {
        for name in ["", ".git/config", "a/.htpasswd", "../a", "a/../b", "a//b", "/etc", "a/"] {
            assert!(!is_servable(name), "{name}");
        }
        assert!(is_servable("a/b.c"));
    }
}
