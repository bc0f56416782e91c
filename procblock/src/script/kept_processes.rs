//! Children of scripts through the keeper.

use std::io;

use tokio::net::UnixStream;
use unidist::Stop;

use crate::host::BoxFuture;
use crate::process::{Command, Ended, Keeper, Limits, SpawnError, Stdin, WorkerLife, reason};
use crate::script::{Processes, Program, ProgramEnd, ProgramOutcome, WorkerProcess};

fn limits(limits: crate::script::Limits) -> Limits {
    let crate::script::Limits { memory, cpu, files, processes } = limits;
    Limits { memory, cpu, files, processes }
}

fn command(program: Program) -> Command {
    Command {
        environment: program.environment,
        folder: program.folder,
        limits: limits(program.limits),
        stdin: if program.input.is_empty() { Stdin::Null } else { Stdin::Bytes(program.input) },
        timeout: program.timeout,
        name: program.name,
        ..Command::new(program.arguments)
    }
}

fn io_error(error: SpawnError) -> io::Error {
    let kind = match &error {
        SpawnError::NotFound { .. } => io::ErrorKind::NotFound,
        SpawnError::NotExecutable { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl Processes for Keeper {
    fn run<'a>(&'a self, program: Program, stop: &'a Stop) -> BoxFuture<'a, io::Result<ProgramOutcome>> {
        Box::pin(async move {
            let limits = limits(program.limits);
            let finished = Keeper::run(self, command(program), stop).await.map_err(io_error)?;
            let (reason, is_limit) = reason(finished.status, &limits);
            Ok(ProgramOutcome {
                status: finished.status.code(),
                reason,
                is_limit,
                end: match finished.ended {
                    Ended::Itself => ProgramEnd::Itself,
                    Ended::TimedOut => ProgramEnd::TimedOut,
                    Ended::Stopped => ProgramEnd::Stopped,
                    Ended::Crowded(count) => ProgramEnd::Crowded(count),
                },
                output: finished.output.bytes,
                output_cut: finished.output.cut,
                error: finished.error.bytes,
            })
        })
    }

    fn spawn_worker(&self, program: Program) -> BoxFuture<'_, io::Result<(UnixStream, Box<dyn WorkerProcess>)>> {
        Box::pin(async move {
            let worker = Keeper::spawn_worker(self, command(program)).await.map_err(io_error)?;
            let (socket, life) = worker.into_parts();
            let life: Box<dyn WorkerProcess> = Box::new(life);
            Ok((socket, life))
        })
    }
}

impl WorkerProcess for WorkerLife {
    fn kill(&self) {
        WorkerLife::kill(self);
    }

    fn ended(&mut self) -> BoxFuture<'_, String> {
        Box::pin(async move {
            match self.wait().await {
                Ok(finished) => finished.status.to_string(),
                Err(error) => error.to_string(),
            }
        })
    }
}
