//! One builder for every run of procblock.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::process::MARK;
use super::running::Running;
use super::{disposition, wait};

/// The folder of the Python that is meant by `python3`: a shim of a version chooser wants its own home.
static PYTHON: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    Some(path.parent()?.to_path_buf())
});

/// A run of procblock in a folder of its own: files, arguments and environment.
pub(crate) struct Run {
    folder: Arc<TempDir>,
    program: PathBuf,
    file: Option<String>,
    own: Vec<OsString>,
    words: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    input: Option<String>,
}

impl Run {
    /// Runs a block file of this text, `block.yaml`.
    pub(crate) fn block(text: &str) -> Self {
        Run::named("block.yaml", text)
    }

    /// Runs a block file of this name and text.
    pub(crate) fn named(name: &str, text: &str) -> Self {
        let mut run = Run::bare().file(name, text);
        run.file = Some(name.into());
        run
    }

    /// Runs procblock without a file.
    pub(crate) fn bare() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        for name in ["home", "runtime"] {
            fs::create_dir(folder.path().join(format!(".{name}"))).unwrap();
        }
        fs::set_permissions(folder.path().join(".runtime"), fs::Permissions::from_mode(0o700)).unwrap();
        Run::within(folder, None)
    }

    /// Runs again in the folder of an earlier run, with the same file.
    pub(crate) fn again(ended: &Ended) -> Self {
        Run::within(Arc::clone(&ended.folder), ended.file.clone())
    }

    fn within(folder: Arc<TempDir>, file: Option<String>) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_procblock"));
        Run { folder, program, file, own: Vec::new(), words: Vec::new(), variables: Vec::new(), input: None }
    }

    /// Runs a copy of procblock that stands alone, in the folder `alone`.
    #[cfg(feature = "series")]
    pub(crate) fn without_companions(mut self) -> Self {
        let copy = self.path("alone/procblock");
        fs::create_dir(self.path("alone")).unwrap();
        // By another process: a file that this one has open for writing could not be executed as long as a child
        // that another test starts meanwhile has inherited it.
        assert!(Command::new("cp").arg(&self.program).arg(&copy).status().unwrap().success());
        self.program = copy;
        self
    }

    /// The block file is this one of the folder.
    pub(crate) fn of_file(mut self, name: &str) -> Self {
        self.file = Some(name.into());
        self
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Writes a file that can be executed.
    pub(crate) fn executable(self, name: &str, text: &str) -> Self {
        let run = self.file(name, text);
        fs::set_permissions(run.path(name), fs::Permissions::from_mode(0o755)).unwrap();
        run
    }

    /// Copies a folder's files into the run's.
    pub(crate) fn copy(self, from: &Path) -> Self {
        copy(from, self.folder.path());
        self
    }

    /// procblock's own words, before the file.
    pub(crate) fn own<const N: usize>(mut self, words: [&str; N]) -> Self {
        self.own.extend(words.map(OsString::from));
        self
    }

    /// Words behind the file.
    pub(crate) fn words<I: IntoIterator<Item = S>, S: Into<OsString>>(mut self, words: I) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// An environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it reads from standard input; nothing unless given.
    pub(crate) fn input(mut self, text: &str) -> Self {
        self.input = Some(text.into());
        self
    }

    /// Lets it have so many files open at once, until it raises that itself.
    pub(crate) fn open_files(mut self, soft: u32) -> Self {
        let program = std::mem::replace(&mut self.program, "prlimit".into());
        self.own.splice(0..0, [format!("--nofile={soft}:").into(), program.into()]);
        self
    }

    /// Starts it.
    pub(crate) fn start(self) -> Running {
        disposition::reset_in_children();
        let mut command = Command::new(&self.program);
        command.args(&self.own).args(&self.file).args(&self.words);
        command.current_dir(self.folder.path()).env(MARK, self.folder.path());
        for name in ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "STATE_DIRECTORY", "UNIDIST_URL", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        if let Some(python) = &*PYTHON {
            let inherited = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{}:{inherited}", python.display()));
        }
        command
            .env("HOME", self.path(".home"))
            .env("XDG_RUNTIME_DIR", self.path(".runtime"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        let input = self.input.as_ref().map(|text| {
            fs::write(self.path(".input"), text).unwrap();
            fs::File::open(self.path(".input")).unwrap()
        });
        command.stdin(input.map_or_else(Stdio::null, Stdio::from)).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::new(command, self.folder, self.file)
    }

    /// Runs it to its own end.
    pub(crate) fn end(self) -> Ended {
        self.start().end()
    }
}

/// A run that has ended.
pub(crate) struct Ended {
    /// Its exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
    /// From start to end, or from the signal to the end.
    pub(crate) took: Duration,
    pub(super) folder: Arc<TempDir>,
    pub(super) file: Option<String>,
}

impl Ended {
    /// The printed result; the exit code must be 0.
    pub(crate) fn result(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self}");
        self.json()
    }

    /// What a run printed that failed; the exit code must be 1.
    pub(crate) fn failure(&self) -> Value {
        assert_eq!(self.code, Some(1), "{self}");
        self.json()
    }

    /// The file was refused: the exit code must be 78, nothing printed, and the message is given.
    pub(crate) fn refusal(&self) -> &str {
        assert_eq!((self.code, self.stdout.as_str()), (Some(78), ""), "{self}");
        &self.stderr
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The text of a file in its folder.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}: {self}"))
    }

    /// Waits until no process that it started is left.
    pub(crate) fn leaves_nothing_within(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let left = super::process::marked(self.folder.path());
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left after {limit:?}: {left:?}\n{self}");
            std::thread::park_timeout(wait::LOOK);
        }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |text: &str| text.chars().take(4000).collect::<String>();
        writeln!(f, "exit code {:?} after {:?}", self.code, self.took)?;
        write!(f, "--- stdout\n{}\n--- stderr\n{}", shown(&self.stdout), shown(&self.stderr))
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (source, target) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if source.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}
