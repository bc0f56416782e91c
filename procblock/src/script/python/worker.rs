//! The runner's side of one worker.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;

use super::protocol::{self, Answer, Arguments, Message, Order, Source, Start};
use super::{READER, WORKER};
use crate::error::{RunError, RunErrorKind};
use crate::host::Host;
use crate::script::processes::{Processes, Program, WorkerProcess};
use crate::script::waiting::Ended;
use crate::script::{Call, Script, ScriptConfig, ended_text, logging};
use crate::value::Map;

/// Calls after which a worker is replaced.
const CALLS_MAX: u32 = 1000;

/// A worker that holds more is replaced, in bytes.
const RESIDENT_MAX: u64 = 256 * 1000 * 1000;

/// How the end of a worker that used up its processor time is told: signal 24.
const CPU_SIGNAL: &str = "signal 24";

/// A running interpreter that waits for calls.
pub(super) struct Worker {
    socket: UnixStream,
    process: Box<dyn WorkerProcess>,
    calls: u32,
    resident: u64,
    /// A call was begun and not ended: given up half-way, the worker is not fit any more.
    is_busy: bool,
}

impl Worker {
    /// Starts an interpreter and waits until it is ready.
    pub(super) async fn start(processes: &dyn Processes, config: &ScriptConfig) -> Result<Worker, RunError> {
        let interpreter = &config.python;
        let program = Program {
            arguments: [interpreter, "-u", "-c", READER].map(Into::into).to_vec(),
            name: "python worker".into(),
            ..Program::default()
        };
        let (socket, process) = processes.spawn_worker(program).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => RunError::failed(format!(
                "the Python interpreter \"{interpreter}\" is not there; install Python 3 or name another: __usage: \
                 {{python: /path/to/python3}}"
            )),
            _ => RunError::failed(format!("the Python interpreter \"{interpreter}\" cannot be started: {error}")),
        })?;
        let mut worker = Worker { socket, process, calls: 0, resident: 0, is_busy: false };
        match worker.greet(config).await {
            Ok(()) => Ok(worker),
            Err(_) => {
                let end = worker.process.ended().await;
                Err(RunError::failed(format!(
                    "the Python interpreter \"{interpreter}\" {end} before it was ready; is it Python 3.8 or newer?"
                )))
            }
        }
    }

    async fn greet(&mut self, config: &ScriptConfig) -> io::Result<()> {
        protocol::send_program(&mut self.socket, WORKER).await?;
        protocol::send(&mut self.socket, &Start { functions: &config.functions }).await?;
        loop {
            match protocol::receive(&mut self.socket).await? {
                Message::Ready => return Ok(()),
                Message::Log { level, text, .. } => logging::write(&level, "python", None, &text),
                _ => return Err(io::Error::other("an unexpected message")),
            }
        }
    }

    /// Whether it can take another call.
    pub(super) fn is_fit(&self) -> bool {
        !self.is_busy && self.calls < CALLS_MAX && self.resident <= RESIDENT_MAX
    }

    /// Runs a script.
    pub(super) async fn call(
        &mut self,
        script: &Script,
        call: &Call<'_>,
        host: &Arc<dyn Host>,
    ) -> Result<Map, RunError> {
        self.is_busy = true;
        self.calls += 1;
        let (name, text, first_line) = match script {
            Script::File(path) => (path.to_string_lossy(), None, None),
            Script::Lua { name, text, first_line } | Script::Python { name, text, first_line } => {
                (name.as_str().into(), Some(&**text), Some(*first_line))
            }
        };
        let folder = Path::new(&*name).parent().unwrap_or(Path::new("")).to_string_lossy();
        let cwd = call.cwd.to_string_lossy();
        let request_state = call.request_state.to_map();
        let order = Order {
            source: Source { name: &name, folder: &folder, text, first_line },
            arguments: Arguments {
                pipe_data: call.pipe_data,
                block: call.block,
                request_state: &request_state,
                input_data: call.input_data,
                tag: call.tag,
                cwd: &cwd,
                env: call.env,
                block_parent: call.block_parent,
            },
            memory: call.limits.memory,
            cpu: call.limits.cpu.map(whole_seconds),
            files: call.limits.files,
        };
        match self.converse(&order, call, host).await {
            Ok(result) => result,
            Err(error) => Err(self.broken(&error, &name, call).await),
        }
    }

    /// Sends the order and answers the worker until it is done.
    async fn converse(
        &mut self,
        order: &Order<'_>,
        call: &Call<'_>,
        host: &Arc<dyn Host>,
    ) -> io::Result<Result<Map, RunError>> {
        protocol::send(&mut self.socket, order).await?;
        loop {
            match protocol::receive(&mut self.socket).await? {
                Message::Ready => return Err(io::Error::other("an unexpected message")),
                Message::Log { level, line, text } => logging::write(&level, &call.caller.script, line, &text),
                Message::Host { name, arguments } => {
                    let answer = match call.allow.check(&name) {
                        Ok(()) => match host.call(call.caller, &name, arguments).await {
                            Ok(value) => Answer::Value(value),
                            Err(error) => Answer::Error { code: error.code, text: error.text },
                        },
                        Err(text) => Answer::Error { code: "not_allowed".into(), text },
                    };
                    protocol::send(&mut self.socket, &answer).await?;
                }
                Message::Result { value, resident } => {
                    (self.is_busy, self.resident) = (false, resident);
                    return Ok(Ok(value));
                }
                Message::Failure { message, place, trace, is_limit, resident } => {
                    (self.is_busy, self.resident) = (is_limit, resident);
                    let mut error = if is_limit { over_memory() } else { RunError::failed(message) };
                    error.place = place;
                    error.trace = Some(trace).filter(|trace| !trace.is_empty());
                    return Ok(Err(error));
                }
            }
        }
    }

    async fn broken(&mut self, error: &io::Error, name: &str, call: &Call<'_>) -> RunError {
        let is_gone =
            matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
        let (kind, message) = if is_gone {
            let end = self.process.ended().await;
            if call.limits.cpu.is_some() && end.contains(CPU_SIGNAL) {
                ended_text(Ended::CpuSpent, call)
            } else {
                (RunErrorKind::Failed, format!("the Python worker {end} during the call"))
            }
        } else {
            self.process.kill();
            (RunErrorKind::Failed, format!("the Python worker did not answer as expected: {error}"))
        };
        let mut failure = RunError::new(kind, message);
        failure.place = Some(name.to_owned());
        failure
    }
}

/// The kernel counts whole seconds.
fn whole_seconds(cpu: Duration) -> u64 {
    (cpu.as_secs() + u64::from(cpu.subsec_nanos() > 0)).max(1)
}

fn over_memory() -> RunError {
    let message = "the script used more memory than its limit; raise \"limits: {memory}\" or keep less at a time";
    RunError::new(RunErrorKind::Limit, message)
}
