//! Which users file a command is about.

use std::path::{Path, PathBuf};

use clap::Args;
use dropstar::USERS_FILE;
use dropstar::users::UsersFile;

use super::Failure;
use crate::cli::{EXIT_BAD_FILE, EXIT_USAGE};
use crate::load::{Node, load_data_file};

/// Where the users are.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// The site: its folder or its file; the current folder unless given.
    #[arg(value_name = "SITE")]
    site: Option<PathBuf>,
    /// The file of users and tokens, instead of the site's.
    #[arg(long, value_name = "FILE", conflicts_with = "site")]
    users: Option<PathBuf>,
}

impl Place {
    /// The users file: as the site's file names it, else `users.json` in the site's folder or beside its file.
    pub(super) fn file(&self) -> Result<UsersFile, Failure> {
        let path = match (&self.users, &self.site) {
            (Some(users), _) => users.clone(),
            (None, Some(site)) if site.is_dir() => site.join(USERS_FILE),
            (None, Some(site)) => of_site_file(site)?,
            (None, None) if is_site(Path::new(".")) => PathBuf::from(USERS_FILE),
            (None, None) => {
                let text = "which site? name its folder or its file, or the users file with --users FILE";
                return Err(Failure::new(EXIT_USAGE, text));
            }
        };
        Ok(UsersFile::new(path))
    }
}

fn is_site(folder: &Path) -> bool {
    [USERS_FILE, "pages", "rpc"].iter().any(|name| folder.join(name).exists())
}

/// The file that the sites of a site file name; they may share one, and more than one must be chosen from.
fn of_site_file(site: &Path) -> Result<PathBuf, Failure> {
    let document = load_data_file(site).map_err(|error| Failure::new(EXIT_BAD_FILE, error.to_string()))?;
    let folder = site.parent().unwrap_or(Path::new(""));
    let mut named: Vec<PathBuf> = Vec::new();
    for entry in document.root.entries().unwrap_or_default() {
        if let Some(path) = entry.value.get("users").and_then(|users| Node::as_text(&users.value)) {
            let path = folder.join(path);
            if !named.contains(&path) {
                named.push(path);
            }
        }
    }
    match named.as_slice() {
        [] => Ok(folder.join(USERS_FILE)),
        [one] => Ok(one.clone()),
        several => {
            let several: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            let text = format!("{} names several: choose one with --users: {}", site.display(), several.join(", "));
            Err(Failure::new(EXIT_USAGE, text))
        }
    }
}
