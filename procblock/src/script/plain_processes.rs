//! Children without a keeper, for the tests of this module.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::UnixStream;
use unidist::Stop;

use super::processes::{Processes, Program, ProgramEnd, ProgramOutcome, WorkerProcess};
use crate::host::BoxFuture;

pub(crate) struct PlainProcesses;

struct PlainWorker(Option<Child>, u32);

fn kill(pid: u32) {
    let _ = killpg(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
}

impl WorkerProcess for PlainWorker {
    fn kill(&self) {
        kill(self.1);
    }

    fn ended(&mut self) -> BoxFuture<'_, String> {
        let child = self.0.take();
        Box::pin(async move {
            let status = tokio::task::spawn_blocking(|| child.map(|mut child| child.wait())).await;
            match status {
                Ok(Some(Ok(status))) => match status.signal() {
                    Some(signal) => format!("was killed by signal {signal}"),
                    None => format!("exited with {}", status.code().unwrap_or(-1)),
                },
                other => format!("{other:?}"),
            }
        })
    }
}

impl Drop for PlainWorker {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            kill(self.1);
            let _ = child.wait();
        }
    }
}

fn command(program: &Program) -> io::Result<Command> {
    let mut arguments = program.arguments.iter();
    let first = arguments.next().ok_or(ErrorKind::InvalidInput)?;
    let mut command = Command::new(first);
    command.args(arguments).envs(program.environment.iter().map(|(name, value)| (name, value))).process_group(0);
    if !program.folder.as_os_str().is_empty() {
        command.current_dir(&program.folder);
    }
    Ok(command)
}

fn read(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn run(program: &Program, stop: &Stop) -> io::Result<ProgramOutcome> {
    let mut child = command(program)?.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdin, output, error) = (child.stdin.take(), read(child.stdout.take()), read(child.stderr.take()));
    let input = program.input.clone();
    let writer = std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let began = Instant::now();
    let mut end = ProgramEnd::Itself;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if end == ProgramEnd::Itself && program.timeout.is_some_and(|limit| began.elapsed() > limit) {
            end = ProgramEnd::TimedOut;
            kill(child.id());
        }
        if stop.wait(Duration::from_millis(2)) && end == ProgramEnd::Itself {
            end = ProgramEnd::Stopped;
            kill(child.id());
        }
    };
    let _ = writer.join();
    Ok(ProgramOutcome {
        status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        reason: format!("exited with code {}", status.code().unwrap_or(-1)),
        is_limit: false,
        end,
        output: output.join().unwrap_or_default(),
        output_cut: 0,
        error: error.join().unwrap_or_default(),
    })
}

impl Processes for PlainProcesses {
    fn run<'a>(&'a self, program: Program, stop: &'a Stop) -> BoxFuture<'a, io::Result<ProgramOutcome>> {
        let stop = stop.clone();
        Box::pin(async move { tokio::task::spawn_blocking(move || run(&program, &stop)).await? })
    }

    fn spawn_worker(&self, program: Program) -> BoxFuture<'_, io::Result<(UnixStream, Box<dyn WorkerProcess>)>> {
        Box::pin(async move {
            let name = program.arguments.first().cloned().unwrap_or_default();
            let is_there = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
                .any(|folder| folder.join(&name).exists());
            if !is_there {
                return Err(ErrorKind::NotFound.into());
            }
            let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            // The shell makes the socket descriptor 3, as the keeper does.
            let child = Command::new("sh")
                .args(["-c", "exec 3<&0 </dev/null; exec \"$@\"", "sh"])
                .args(&program.arguments)
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .process_group(0)
                .spawn()?;
            let id = child.id();
            let worker: Box<dyn WorkerProcess> = Box::new(PlainWorker(Some(child), id));
            Ok((UnixStream::from_std(ours)?, worker))
        })
    }
}
