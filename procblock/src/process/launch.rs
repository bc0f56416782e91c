//! Prepares a child on the runner's side: checks what can be checked, makes its pipes, opens its files.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};

use super::command::{Command, Output, Stdin};
use super::error::SpawnError;
use super::find::find_program;
use super::lines::{Lines, OutputStream};
use super::protocol::{ChildKind, Descriptors, Start};
use super::running::Drain;
use super::socket::{REQUEST_MAX, memory_file};

/// Everything that is sent to the keeper, and the runner's ends of it.
pub(super) struct Launch {
    pub(super) start: Start,
    pub(super) descriptors: Vec<OwnedFd>,
    pub(super) output: Option<Drain>,
    pub(super) error: Drain,
}

impl Launch {
    /// Prepares `command`; with a `socket`, as a worker's. Blocks for a few system calls; the output file is opened
    /// on a thread of its own.
    ///
    /// # Errors
    /// [`SpawnError`]: what can be told without starting anything.
    pub(super) async fn new(command: &Command, socket: Option<OwnedFd>) -> Result<Launch, SpawnError> {
        check(command)?;
        let system = |source| SpawnError::System { program: command.name.clone(), source };
        let folder = absolute(&command.folder)?;
        let start = Start {
            id: 0,
            kind: if socket.is_some() { ChildKind::Worker } else { ChildKind::Once },
            descriptors: Descriptors {
                has_input: command.stdin != Stdin::Null,
                has_output: command.output != Output::Discard,
                has_error: true,
                has_socket: socket.is_some(),
            },
            grace: command.grace,
            limits: command.limits,
            user: command.user.clone().map(Into::into),
            program: find_program(command, &folder)?,
            arguments: command.arguments.clone(),
            environment: command.environment.clone(),
            folder: folder.into_os_string(),
        };
        let mut descriptors = Vec::with_capacity(4);
        if let Stdin::Bytes(bytes) = &command.stdin {
            descriptors.push(memory_file(bytes).map_err(system)?);
        }
        let mut output = None;
        match &command.output {
            Output::Capture { max } => {
                let (drain, written) = drained_pipe(command, OutputStream::Output, *max).map_err(system)?;
                output = Some(drain);
                descriptors.push(written);
            }
            Output::File(path) => descriptors.push(open_output(Path::new(&start.folder).join(path)).await?),
            Output::Discard => {}
        }
        let (error, written) =
            drained_pipe(command, OutputStream::Error, command.output.error_max()).map_err(system)?;
        descriptors.push(written);
        descriptors.extend(socket);
        Ok(Launch { start, descriptors, output, error })
    }
}

fn drained_pipe(command: &Command, stream: OutputStream, max: usize) -> io::Result<(Drain, OwnedFd)> {
    let (readable, written) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&readable, OFlags::NONBLOCK)?;
    let lines = Lines::new(&command.name, stream, command.sink.clone());
    Ok((Drain::new(readable, max, lines), written))
}

/// What the system could not pass on, told before it is tried.
fn check(command: &Command) -> Result<(), SpawnError> {
    let invalid = |text: String| Err(SpawnError::Invalid(text));
    let has_zero = |text: &OsStr| text.as_bytes().contains(&0);
    if let Some(argument) = command.arguments.iter().find(|argument| has_zero(argument)) {
        return invalid(format!("argument {argument:?} holds a zero byte, which no argument can"));
    }
    if has_zero(command.folder.as_os_str()) {
        return invalid(format!("working folder {:?} holds a zero byte", command.folder));
    }
    for (name, value) in &command.environment {
        if name.is_empty() || name.as_bytes().contains(&b'=') || has_zero(name) {
            return invalid(format!("{name:?} can't be the name of an environment variable"));
        }
        if has_zero(value) {
            let name = name.to_string_lossy();
            return invalid(format!("environment variable {name} holds a zero byte, which none can"));
        }
    }
    let arguments = command.arguments.iter().map(|argument| argument.len() + 8);
    let environment = command.environment.iter().map(|(name, value)| name.len() + value.len() + 16);
    let size = arguments.chain(environment).sum::<usize>();
    // The rest of the request, folder and program above all, is bounded by the system's longest path.
    let max = REQUEST_MAX - (64 << 10);
    if size > max { Err(SpawnError::TooLarge { size, max }) } else { Ok(()) }
}

fn absolute(folder: &Path) -> Result<PathBuf, SpawnError> {
    let resolved = if folder.as_os_str().is_empty() { std::env::current_dir() } else { std::path::absolute(folder) };
    resolved.map_err(|error| SpawnError::Folder { folder: folder.to_owned(), reason: error.to_string() })
}

/// Creates or empties the file. On a thread that may block, for a file system that does.
async fn open_output(path: PathBuf) -> Result<OwnedFd, SpawnError> {
    let file = path.clone();
    let open = move || -> io::Result<OwnedFd> {
        // A named pipe without a reader is an error, not a wait.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options().write(true).create(true).truncate(true).custom_flags(flags).open(file)?;
        fcntl_setfl(&file, OFlags::empty())?;
        Ok(file.into())
    };
    let opened = tokio::task::spawn_blocking(open).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    opened.map_err(|source| SpawnError::OutputFile { path, source })
}
