//! Finding running instances by their sockets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::{Client, ClientError};
use super::folder::Places;
use super::name::socket_stem;
use crate::load::nearest;

/// How long an instance may take to say who it is.
const HELLO_MAX: Duration = Duration::from_secs(5);

/// A socket that somebody listens on.
#[derive(Debug)]
pub struct Found {
    /// Its socket.
    pub socket: PathBuf,
    /// The instance, or why it does not answer.
    pub client: Result<Client, ClientError>,
}

impl Found {
    /// The instance's name; that of its socket when it does not answer.
    pub fn name(&self) -> String {
        match &self.client {
            Ok(client) => client.hello().name.clone(),
            Err(_) => self.socket.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
        }
    }
}

/// There is not exactly one instance to talk to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// No instance runs.
    #[error("no instance is running; start one with procblock FILE")]
    None,
    /// None of this name runs; the text names those that do.
    #[error("no instance named {name:?} is running{hint}")]
    NotRunning {
        /// The name.
        name: String,
        /// Which ones run.
        hint: String,
    },
    /// Several run and none was named.
    #[error("several instances are running: name one, as in: procblock status NAME, or procblock counter list -i NAME")]
    Several(Vec<Found>),
    /// It is there but does not answer.
    #[error("the instance {name:?} does not answer: {source}")]
    Silent {
        /// Its name.
        name: String,
        /// What came instead.
        source: ClientError,
    },
}

/// Every instance that this user may talk to, by name. Sockets that nobody listens on are left out.
pub fn find_all(places: &Places) -> Vec<Found> {
    let mut found: Vec<Found> = places.search().iter().flat_map(|folder| sockets(folder)).filter_map(open).collect();
    found.sort_by_cached_key(Found::name);
    found
}

/// The instance of this name; without a name the only one.
///
/// # Errors
/// There is none, several fit, or it does not answer.
pub fn find_one(places: &Places, name: Option<&str>) -> Result<Client, FindError> {
    let mut found = match name {
        Some(name) => {
            let file = format!("{}.sock", socket_stem(name));
            places.search().into_iter().map(|folder| folder.join(&file)).filter_map(open).collect()
        }
        None => find_all(places),
    };
    match (found.pop(), name) {
        (None, None) => Err(FindError::None),
        (None, Some(name)) => Err(not_running(places, name)),
        (Some(one), _) if found.is_empty() => {
            let name = one.name();
            one.client.map_err(|source| FindError::Silent { name, source })
        }
        (Some(last), _) => {
            found.push(last);
            Err(FindError::Several(found))
        }
    }
}

fn not_running(places: &Places, name: &str) -> FindError {
    let all: Vec<String> = find_all(places).iter().map(Found::name).collect();
    let hint = match nearest(name, all.iter().map(String::as_str)) {
        Some(near) => format!("; did you mean {near}?"),
        None if all.is_empty() => "; none is".into(),
        None => format!("; running: {}", all.join(", ")),
    };
    FindError::NotRunning { name: name.to_string(), hint }
}

fn sockets(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "sock")).collect()
}

/// None when nobody listens: the socket of a killed process, or of one that just ended.
fn open(socket: PathBuf) -> Option<Found> {
    match Client::connect(&socket, HELLO_MAX) {
        Err(ClientError::Connect { .. } | ClientError::Closed) => None,
        client => Some(Found { socket, client }),
    }
}
