//! Which users file a command is about.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use dropstar::USERS_FILE;
use dropstar::users::UsersFile;

use super::Failure;
use crate::cli::{EXIT_BAD_FILE, EXIT_USAGE};
use crate::serve::serving;
use crate::serve::site::SITE_FOLDERS;

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
    folder.join(USERS_FILE).exists() || SITE_FOLDERS.iter().any(|name| folder.join(name).is_dir())
}

/// The file that the sites of a site file name; they may share one, and of several one must be chosen.
fn of_site_file(file: &Path) -> Result<PathBuf, Failure> {
    let loaded = serving::load(file).map_err(|error| Failure::new(EXIT_BAD_FILE, error.to_string()))?;
    let named: BTreeSet<PathBuf> = loaded.0.configs.into_iter().filter_map(|config| config.users).collect();
    if named.len() > 1 {
        let several: Vec<String> = named.iter().map(|path| path.display().to_string()).collect();
        let text = format!("{} names several: choose one with --users: {}", file.display(), several.join(", "));
        return Err(Failure::new(EXIT_USAGE, text));
    }
    // A site file without sites says nothing of them.
    Ok(named.into_iter().next().unwrap_or_else(|| file.with_file_name(USERS_FILE)))
}
