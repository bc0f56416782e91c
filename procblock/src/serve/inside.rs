//! What administrators see behind run-threads and series: how runs went, the YAML and scripts, the files.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use dropstar::{ServeConfig, SiteContent};

use crate::control::status_of;
use crate::host::HostError;
use crate::instance::Instance;
use crate::load::Mark;
use crate::logging::hidden;
use crate::thread::{RunThread, Took};
use crate::value::{Map, Value};
use crate::yaml::to_yaml;

/// Files of sites that are listed.
const SITE_FILES_MAX: usize = 2000;

/// The folders of a folder site whose files are shown.
const SITE_FOLDERS: [&str; 3] = ["pages", "rpc", "templates"];

/// Everything about one run-thread; of a group of workers its state.
///
/// # Errors
/// There is none of the name.
pub(super) fn thread(
    instance: &Instance,
    name: &str,
    series_name: impl Fn(&Path) -> String,
) -> Result<Value, HostError> {
    let mut value = status_of(instance, name)?;
    let (Some(thread), Value::Object(map)) = (instance.threads.get(name), &mut value) else { return Ok(value) };
    if let Some(Value::Object(series)) = map.get_mut("series") {
        for (path, one) in series.iter_mut() {
            if let Value::Object(one) = one {
                one.insert("name".into(), series_name(Path::new(path)).into());
            }
        }
    }
    map.insert("durations".into(), took(&thread));
    thread.with_state(|state| {
        let errors = state.errors.iter().map(|error| {
            let at = error.at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
            let mut told = Map::new();
            told.insert("time".into(), at.into());
            told.insert("text".into(), hidden(&error.text).into());
            told.insert("times".into(), error.times.into());
            Value::Object(told)
        });
        map.insert("errors".into(), errors.collect());
        let newest = state.newest().map(|kept| Value::Object(Map::clone(&kept.result)));
        map.insert("result".into(), newest.unwrap_or_default());
        map.insert("results_kept".into(), state.history.len().into());
    });
    map.extend(behind(&thread));
    Ok(value)
}

/// How the newest runs of some run-threads went, by name.
pub(super) fn durations<'a>(instance: &Instance, names: impl Iterator<Item = &'a str>) -> Value {
    let all = names.filter_map(|name| Some((name.to_string(), took(&*instance.threads.get(name)?))));
    Value::Object(all.collect())
}

fn took(thread: &RunThread) -> Value {
    thread.with_state(|state| state.durations.iter().copied().map(Took::to_value).collect())
}

/// The step of a run-thread as YAML, where it stands, and the script that it names.
fn behind(thread: &RunThread) -> Map {
    let step = &thread.step;
    let mut map = Map::new();
    map.insert("yaml".into(), hidden(&to_yaml(&step.item)).into());
    map.insert("place".into(), place(&step.mark));
    let script = step.item.get("script").and_then(Value::as_str).filter(|script| !script.contains("${"));
    let files = script.map(|script| step.mark.source.resolve(script).to_string_lossy().into_owned());
    map.insert("files".into(), files.into_iter().map(Value::from).collect());
    map
}

fn place(mark: &Mark) -> Value {
    let file = mark.source.folder.join(mark.source.name.file_name().unwrap_or_default());
    let mut map = Map::new();
    map.insert("file".into(), file.to_string_lossy().into());
    map.insert("line".into(), mark.line.into());
    Value::Object(map)
}

/// The run-thread that stores to a file, with the YAML that says so.
pub(super) fn storing(instance: &Instance, path: &Path) -> Map {
    let all = instance.threads.all();
    let is_storing =
        |thread: &&std::sync::Arc<RunThread>| thread.series_paths().iter().any(|(stored, _)| Path::new(stored) == path);
    let Some(thread) = all.iter().find(is_storing) else { return Map::new() };
    let mut map = behind(thread);
    map.insert("thread".into(), thread.name.as_str().into());
    map
}

/// The files of what is served: package files, and the pages, procedures and templates of folders. Reads folders.
pub(super) fn site_files(configs: &[ServeConfig]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for site in configs.iter().flat_map(|config| &config.sites) {
        match &site.content {
            SiteContent::Packages(mounts) => files.extend(mounts.iter().map(|mount| mount.package.clone())),
            SiteContent::Folder(folder) => {
                let mut folders: Vec<PathBuf> = SITE_FOLDERS.iter().rev().map(|name| folder.join(name)).collect();
                while let Some(folder) = folders.pop() {
                    let mut entries: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
                    entries.sort_by_key(std::fs::DirEntry::file_name);
                    for entry in entries {
                        // A link may lead out of the site.
                        let Ok(kind) = entry.file_type() else { continue };
                        if kind.is_dir() {
                            folders.push(entry.path());
                        } else if kind.is_file() && files.len() < SITE_FILES_MAX {
                            files.push(entry.path());
                        }
                    }
                }
            }
        }
    }
    files
}
