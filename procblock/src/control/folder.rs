//! The folders where sockets of instances are made and looked for.

use std::ffi::OsString;
use std::fs::{DirBuilder, Metadata, symlink_metadata};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// Others' rights: none in a folder of ours.
const OTHERS: u32 = 0o077;

/// Others' right to write: a folder that a service manager made may be readable.
const OTHERS_WRITE: u32 = 0o022;

/// What the folders follow from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// `$RUNTIME_DIRECTORY`, which systemd sets for `RuntimeDirectory=`; its first folder is used, and no other.
    pub runtime_directory: Option<OsString>,
    /// `$XDG_RUNTIME_DIR`; one that is not the user's usual one is used alone.
    pub session: Option<OsString>,
    /// The user.
    pub uid: u32,
    /// `/run`.
    pub run: PathBuf,
    /// The folder for temporary files.
    pub temporary: PathBuf,
}

/// The folder for sockets can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the folder {} can't be used for sockets: {reason}", path.display())]
pub struct FolderError {
    /// The folder.
    pub path: PathBuf,
    /// What is wrong and what to do.
    pub reason: String,
}

impl Places {
    /// Of this process.
    pub fn of_process() -> Self {
        Places {
            runtime_directory: std::env::var_os("RUNTIME_DIRECTORY").filter(|value| !value.is_empty()),
            session: std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()),
            uid: geteuid().as_raw(),
            run: PathBuf::from("/run"),
            temporary: std::env::temp_dir(),
        }
    }

    /// The folder where a new instance makes its socket: made if needed, and checked.
    ///
    /// # Errors
    /// It can't be made, belongs to another user, or others may enter it.
    pub fn prepare(&self) -> Result<PathBuf, FolderError> {
        let path = self.own_folder();
        let refuse = |reason: String| FolderError { path: path.clone(), reason };
        let made = DirBuilder::new().mode(0o700).recursive(true).create(&path);
        made.map_err(|error| refuse(format!("{error}; set XDG_RUNTIME_DIR to a folder of yours")))?;
        let metadata = symlink_metadata(&path).map_err(|error| refuse(error.to_string()))?;
        self.check(&metadata).map_err(refuse)?;
        Ok(path)
    }

    fn check(&self, metadata: &Metadata) -> Result<(), String> {
        if !metadata.is_dir() {
            return Err("it is no folder: remove it".into());
        }
        if metadata.uid() != self.uid {
            return Err(format!("it belongs to user {}, not to {}: remove it", metadata.uid(), self.uid));
        }
        let refused = if self.runtime_directory.is_some() { OTHERS_WRITE } else { OTHERS };
        if metadata.mode() & refused != 0 {
            return Err(format!("its mode is {:o}: chmod 700 it", metadata.mode() & 0o7777));
        }
        Ok(())
    }

    fn own_folder(&self) -> PathBuf {
        if let Some(folder) = self.service_folder().or_else(|| self.chosen_folder()) {
            return folder;
        }
        if self.uid == 0 {
            return self.run.join("procblock");
        }
        let session = Some(self.session_folder()).filter(|path| self.is_own(path));
        session.map_or_else(|| self.temporary_folder(), |session| session.join("procblock"))
    }

    /// Where instances may be found that this user may talk to; those that exist, without repetition.
    pub fn search(&self) -> Vec<PathBuf> {
        if let Some(folder) = self.service_folder().or_else(|| self.chosen_folder()) {
            return vec![folder];
        }
        let session = self.session_folder().join("procblock");
        let mut folders = vec![self.own_folder(), self.run.join("procblock"), session, self.temporary_folder()];
        folders.extend(children(&self.run).filter(|path| has_prefix(path, "procblock-")));
        if self.uid == 0 {
            folders.extend(children(&self.run.join("user")).map(|path| path.join("procblock")));
            folders.extend(children(&self.temporary).filter(|path| has_prefix(path, "procblock-")));
        }
        let mut found: Vec<PathBuf> = Vec::new();
        for folder in folders {
            if !found.contains(&folder) && self.may_look(&folder) {
                found.push(folder);
            }
        }
        found
    }

    fn service_folder(&self) -> Option<PathBuf> {
        let text = self.runtime_directory.as_ref()?;
        std::env::split_paths(text).next().filter(|path| path.is_absolute())
    }

    /// A session's folder that somebody chose: not the one that every login of the user has. `su` leaves that of
    /// another user behind, which is none.
    fn chosen_folder(&self) -> Option<PathBuf> {
        let session = PathBuf::from(self.session.as_ref()?);
        let is_chosen = session.is_absolute() && session != self.session_folder() && self.is_own(&session);
        is_chosen.then(|| session.join("procblock"))
    }

    fn session_folder(&self) -> PathBuf {
        self.run.join("user").join(self.uid.to_string())
    }

    fn temporary_folder(&self) -> PathBuf {
        self.temporary.join(format!("procblock-{}", self.uid))
    }

    fn is_own(&self, path: &Path) -> bool {
        symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == self.uid)
    }

    /// Root may look into every user's folder; others look into their own only.
    fn may_look(&self, path: &Path) -> bool {
        symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir() && (self.uid == 0 || metadata.uid() == self.uid))
    }
}

fn has_prefix(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir_all, set_permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn places(base: &Path) -> Places {
        let (run, temporary) = (base.join("run"), base.join("tmp"));
        create_dir_all(&run).unwrap();
        create_dir_all(&temporary).unwrap();
        Places { runtime_directory: None, session: None, uid: geteuid().as_raw(), run, temporary }
    }

    #[test]
    fn the_folder_follows_from_user_session_and_service() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        let mut places = places(base);
        let uid = places.uid;
        let usual = base.join(format!("run/user/{uid}"));
        let expected = if uid == 0 { base.join("run/procblock") } else { base.join(format!("tmp/procblock-{uid}")) };
        assert_eq!(places.own_folder(), expected);
        for session in ["relative", "/", "/nonexistent"] {
            places.session = Some(session.into());
            assert!(uid == 0 && session == "/" || places.own_folder() == expected, "{session}");
        }
        create_dir_all(&usual).unwrap();
        places.session = Some(usual.clone().into());
        let expected = if uid == 0 { expected } else { usual.join("procblock") };
        assert_eq!(places.own_folder(), expected);
        places.session = Some(base.into());
        assert_eq!(places.own_folder(), base.join("procblock"));
        assert_eq!(places.search(), [base.join("procblock")]);
        places.uid = 12345;
        assert_eq!(places.own_folder(), base.join("tmp/procblock-12345"));
        places.runtime_directory = Some("/run/one:/run/two".into());
        assert_eq!(places.own_folder(), Path::new("/run/one"));
    }

    #[test]
    fn a_folder_is_made_for_its_user_alone() {
        let base = tempfile::tempdir().unwrap();
        let mut places = places(base.path());
        places.runtime_directory = Some(base.path().join("service").into());
        let folder = places.prepare().unwrap();
        assert_eq!(symlink_metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(places.search(), [folder]);
    }

    #[test]
    fn a_folder_that_others_may_write_or_own_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let mut places = places(base.path());
        let folder = base.path().join("service");
        places.runtime_directory = Some(folder.clone().into());
        create_dir_all(&folder).unwrap();
        set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        assert!(places.prepare().unwrap_err().to_string().ends_with("its mode is 777: chmod 700 it"));
        set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        places.prepare().unwrap();
        places.uid += 1;
        assert!(places.prepare().unwrap_err().to_string().contains("belongs to user"));
        places.uid -= 1;
        let link = base.path().join("link");
        symlink(&folder, &link).unwrap();
        places.runtime_directory = Some(link.into());
        assert!(places.prepare().unwrap_err().to_string().contains("no folder"));
    }

    #[test]
    fn root_looks_into_the_folders_of_services_and_users() {
        let base = tempfile::tempdir().unwrap();
        let mut places = places(base.path());
        places.uid = 0;
        for folder in ["run/procblock-web", "run/user/1000/procblock", "tmp/procblock-1001", "run/other"] {
            create_dir_all(base.path().join(folder)).unwrap();
        }
        let mut found = places.search();
        found.sort();
        let expected = ["run/procblock-web", "run/user/1000/procblock", "tmp/procblock-1001"];
        assert_eq!(found, expected.map(|folder| base.path().join(folder)));
    }
}
