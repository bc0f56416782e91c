//! `load state`: buckets of the shared state that live in YAML files.
//!
//! A bucket is filled from its file when the instance starts. Each write through the instance returns only when the
//! file holds it: files are written beside their place, synced and renamed, so that a reader or a killed process never
//! finds half a file. Writes that come while a file is being written share the next one.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use tokio::sync::Mutex;
use unidist::Unidist;

use crate::load::load_data_file;
use crate::value::{Map, Value};
use crate::yaml::to_yaml;

/// What stands for the key in a path that has a file per key.
const KEY_PLACEHOLDERS: [&str; 3] = ["%(key)s", "${key}", "%s"];

/// The functions that change a bucket.
const WRITES: [&str; 7] = [
    "sharedstate.set",
    "sharedstate.get_set",
    "sharedstate.set_if_missing",
    "sharedstate.compare_and_set",
    "sharedstate.compare_and_remove",
    "sharedstate.remove",
    "sharedstate.remove_bucket",
];

/// Where a bucket lives.
enum Place {
    /// All keys in one file.
    File(PathBuf),
    /// A file for each key, its name between these two.
    Folder { folder: PathBuf, before: String, after: String },
}

struct BucketFile {
    place: Place,
    /// What the files hold: for a bucket with a file per key, to write only what changed.
    saved: Mutex<Saved>,
}

#[derive(Default)]
struct Saved {
    revision: u64,
    keys: HashMap<String, u64>,
}

/// The buckets of an instance that live in files.
#[derive(Default)]
pub(crate) struct StateFiles {
    buckets: HashMap<String, BucketFile>,
}

impl StateFiles {
    /// Fills the buckets from their files; a file that is not there yet is an empty bucket.
    ///
    /// # Errors
    /// A file can't be read or is no mapping: nothing runs on half a state.
    pub(crate) fn load(store: &Unidist, files: &[(String, PathBuf)]) -> Result<Self, String> {
        let mut buckets = HashMap::new();
        for (bucket, path) in files {
            let place = Place::new(path);
            for (key, value) in place.read()? {
                let set = store.sharedstate().set(bucket, &key, value);
                set.map_err(|error| format!("load state {bucket}: {error}"))?;
            }
            let saved = Saved { revision: 0, keys: place.known(store, bucket)? };
            buckets.insert(bucket.clone(), BucketFile { place, saved: Mutex::new(saved) });
        }
        Ok(StateFiles { buckets })
    }

    /// Whether a call of the host changes a bucket that lives in files.
    pub(crate) fn concerns<'a>(&self, function: &str, arguments: &'a [Value]) -> Option<&'a str> {
        let bucket = arguments.first()?.as_str()?;
        (WRITES.contains(&function) && self.buckets.contains_key(bucket)).then_some(bucket)
    }

    /// Returns when the bucket's files hold everything that was written before the call.
    ///
    /// # Errors
    /// The file can't be written: the change is in memory only.
    pub(crate) async fn save(&self, store: &Unidist, bucket: &str) -> Result<(), String> {
        let Some(file) = self.buckets.get(bucket) else { return Ok(()) };
        let wanted = store.sharedstate().revision().map_err(|error| error.to_string())?;
        let mut saved = file.saved.lock().await;
        if saved.revision >= wanted {
            return Ok(());
        }
        let held = store.sharedstate().bucket(bucket).map_err(|error| error.to_string())?;
        let changed: Vec<(String, u64, Value)> = held
            .entries
            .iter()
            .filter(|(key, entry)| file.place.is_one_file() || saved.keys.get(*key) != Some(&entry.revision))
            .map(|(key, entry)| (key.clone(), entry.revision, Value::clone(&entry.value)))
            .collect();
        let gone: Vec<String> = saved.keys.keys().filter(|key| !held.entries.contains_key(*key)).cloned().collect();
        let place = file.place.paths(&changed, &gone);
        let written = tokio::task::spawn_blocking(move || place.write()).await;
        written.map_err(|error| error.to_string())??;
        for key in &gone {
            saved.keys.remove(key);
        }
        saved.keys.extend(changed.into_iter().map(|(key, revision, _)| (key, revision)));
        saved.revision = held.revision;
        Ok(())
    }
}

/// Files to write and to remove.
struct Changes {
    write: Vec<(PathBuf, String)>,
    remove: Vec<PathBuf>,
}

impl Place {
    fn new(path: &Path) -> Self {
        let text = path.to_string_lossy();
        for placeholder in KEY_PLACEHOLDERS {
            let Some((before, after)) = text.split_once(placeholder) else { continue };
            let (folder, before) = before.rsplit_once('/').unwrap_or((".", before));
            return Place::Folder { folder: folder.into(), before: before.into(), after: after.into() };
        }
        Place::File(path.to_path_buf())
    }

    fn is_one_file(&self) -> bool {
        matches!(self, Place::File(_))
    }

    fn read(&self) -> Result<Map, String> {
        match self {
            Place::File(path) => match read_value(path)? {
                None => Ok(Map::new()),
                Some(Value::Object(map)) => Ok(map),
                Some(other) => Ok(Map::from_iter([("default".to_string(), other)])),
            },
            Place::Folder { folder, before, after } => {
                let mut map = Map::new();
                let Ok(entries) = std::fs::read_dir(folder) else { return Ok(map) };
                for entry in entries.filter_map(Result::ok) {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    let key = name.strip_prefix(before.as_str()).and_then(|name| name.strip_suffix(after.as_str()));
                    if let Some(key) = key.and_then(decode)
                        && let Some(value) = read_value(&entry.path())?
                    {
                        map.insert(key, value);
                    }
                }
                Ok(map)
            }
        }
    }

    fn known(&self, store: &Unidist, bucket: &str) -> Result<HashMap<String, u64>, String> {
        let held = store.sharedstate().bucket(bucket).map_err(|error| error.to_string())?;
        Ok(held.entries.into_iter().map(|(key, entry)| (key, entry.revision)).collect())
    }

    fn paths(&self, changed: &[(String, u64, Value)], gone: &[String]) -> Changes {
        match self {
            Place::File(path) => {
                let map: Map = changed.iter().map(|(key, _, value)| (key.clone(), value.clone())).collect();
                Changes { write: vec![(path.clone(), to_yaml(&Value::Object(map)))], remove: Vec::new() }
            }
            Place::Folder { folder, before, after } => {
                let path = |key: &str| folder.join(format!("{before}{}{after}", encode(key)));
                Changes {
                    write: changed.iter().map(|(key, _, value)| (path(key), to_yaml(value))).collect(),
                    remove: gone.iter().map(|key| path(key)).collect(),
                }
            }
        }
    }
}

impl Changes {
    fn write(self) -> Result<(), String> {
        for (path, text) in &self.write {
            replace(path, text).map_err(|error| format!("{} can't be written: {error}", path.display()))?;
        }
        for path in &self.remove {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(format!("{} can't be removed: {error}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Writes beside the place, syncs, renames, syncs the folder.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut file = std::fs::File::create(&part)?;
    let written =
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written?;
    std::fs::File::open(folder)?.sync_all()
}

fn read_value(path: &Path) -> Result<Option<Value>, String> {
    if !path.exists() {
        return Ok(None);
    }
    let document = load_data_file(path).map_err(|error| error.to_string())?;
    Ok(Some(document.root.to_value()))
}

/// A key as part of a file's name: bytes other than letters, digits, `_` and `-` (and `.` after the first) are `%XX`,
/// so that two keys never share a file.
fn encode(key: &str) -> String {
    let mut name = String::new();
    for (index, byte) in key.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            b'.' if index > 0 => name.push('.'),
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    name
}

fn decode(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn store() -> Unidist {
        Unidist::open("memory:").unwrap()
    }

    #[tokio::test]
    async fn a_write_is_in_the_file_when_it_returns_and_read_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let files = [("sites".to_string(), folder.path().join("sites.yaml"))];
        let first = store();
        let state = StateFiles::load(&first, &files).unwrap();
        first.sharedstate().set("sites", "kyoto", json!({"up": true})).unwrap();
        state.save(&first, "sites").await.unwrap();
        let second = store();
        StateFiles::load(&second, &files).unwrap();
        assert_eq!(second.sharedstate().get("sites", "kyoto").unwrap(), Some(json!({"up": true})));
    }

    #[tokio::test]
    async fn a_file_per_key_follows_its_key_and_names_never_collide() {
        let folder = tempfile::tempdir().unwrap();
        let files = [("sites".to_string(), folder.path().join("site_%(key)s.yaml"))];
        let first = store();
        let state = StateFiles::load(&first, &files).unwrap();
        for key in ["a/b", "a_b", "../up", "%"] {
            first.sharedstate().set("sites", key, json!(key)).unwrap();
        }
        state.save(&first, "sites").await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
        first.sharedstate().remove("sites", "a/b").unwrap();
        state.save(&first, "sites").await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
        let second = store();
        StateFiles::load(&second, &files).unwrap();
        assert_eq!(second.sharedstate().keys("sites").unwrap(), ["%", "../up", "a_b"]);
    }

    #[tokio::test]
    async fn a_broken_file_refuses_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sites.yaml");
        std::fs::write(&path, "a: [").unwrap();
        let Err(text) = StateFiles::load(&store(), &[("sites".to_string(), path)]) else { panic!("was loaded") };
        assert!(text.contains("sites.yaml:"), "{text}");
    }
}
