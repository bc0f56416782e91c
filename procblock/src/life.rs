//! The life of an instance: first pass, the time until a stop, reloads, the end.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::block::{Compiled, Processed};
use crate::control::{Claim, Hello, InstanceCalls, Notify, PidFile, Reload, Server};
use crate::error::RunErrorKind;
use crate::instance::{Instance, InstanceConfig};
use crate::load::LoadError;
use crate::runner::Runner;
use crate::serve::servers;
use crate::spare_workers::SpareWorkers;
use crate::units::format_duration;
use crate::value::Value;

/// Reloads that wait: one more than the one under way, since it will read the newest file anyway.
const RELOADS_WAITING_MAX: usize = 1;

/// The most run-threads that the lines at the start of a long run name.
const BANNER_THREADS_MAX: usize = 20;

/// A file that is about to run.
pub struct Life {
    /// The file.
    pub runner: Runner,
    /// The words that belong to it, read again at a reload.
    pub words: Vec<String>,
    /// Reads and compiles it, again at a reload.
    pub load: Load,
}

/// Reads and compiles what runs.
pub type Load = Box<dyn Fn() -> Result<Compiled, LoadError> + Send + Sync>;

/// How a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The signal that stopped it; 0 for none.
    pub signal: i32,
    /// Whether the file stays until stopped.
    pub is_longrunning: bool,
    /// Whether the first pass failed, other than by the stop of a longrunning file.
    pub has_failed: bool,
}

/// A reload that was asked for, and who wants to know how it went.
struct ReloadRequest {
    answer: Option<oneshot::Sender<Result<String, String>>>,
}

/// What ties a long run to the machine; let go when the run ends.
struct Ties {
    _pidfile: Option<PidFile>,
    server: Option<Server>,
    notify: Option<Arc<Notify>>,
}

impl Life {
    /// Runs the file from its first pass to its end; `report` is given the result of the first pass, and `spare` are the
    /// workers that stand by in the current runtime.
    ///
    /// # Errors
    /// The instance could not start: its name is taken, the engine's store, signals, the pidfile.
    pub async fn live(mut self, spare: SpareWorkers, report: impl FnOnce(&Processed) + Send) -> Result<End, String> {
        let executable = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("procblock"));
        let claim = if self.runner.is_longrunning() { Some(take_name(&self.runner.name())?) } else { None };
        let config = InstanceConfig { spare_workers: spare, ..self.runner.instance_config(&executable) };
        let instance = Instance::start(config).map_err(|error| error.to_string())?;
        let (reload, mut reloads) = mpsc::channel(RELOADS_WAITING_MAX);
        let signal =
            watch_signals(&instance, reload.clone()).map_err(|error| format!("signals can't be caught: {error}"))?;
        let ties = self.tie(claim, &instance, reload)?;
        if instance.is_longrunning {
            let folder = self.runner.folder().unwrap_or_else(|| self.runner.compiled.block_folder.clone());
            log::info!("Long Running Process: Starting...  (CWD: {})", folder.display());
        }
        instance.show_sources(self.runner.compiled.sources.clone());
        let processed = self.runner.process(&instance).await;
        report(&told(&processed, &instance, signal.load(Ordering::SeqCst)));
        if self.runner.repeats_in_vain() && !instance.stop.is_requested() {
            let file = self.runner.file.display();
            log::warn!("{file} has repeated steps and ended after one pass; longrunning: true in __usage lets it stay");
        }
        if instance.is_longrunning && processed.error.is_none() {
            if std::io::stderr().is_terminal() {
                eprint!("{}", banner(&instance));
            }
            self.stay(&instance, &mut reloads, &ties).await;
            log::info!("Quitting...");
        }
        instance.shutdown().await;
        if let Some(server) = ties.server {
            server.end().await;
        }
        Ok(End {
            signal: signal.load(Ordering::SeqCst),
            is_longrunning: instance.is_longrunning,
            has_failed: processed
                .error
                .is_some_and(|error| error.kind != RunErrorKind::Stopped || !instance.is_longrunning),
        })
    }

    /// The pidfile, the socket of a long run, and the service manager if there is one.
    fn tie(
        &self,
        claim: Option<Claim>,
        instance: &Arc<Instance>,
        reload: mpsc::Sender<ReloadRequest>,
    ) -> Result<Ties, String> {
        let pidfile = self.runner.compiled.usage.pidfile.as_deref().map(PidFile::create).transpose();
        let server = claim.map(|claim| {
            let hello = Hello::new(&instance.name, std::path::absolute(&self.runner.file).ok());
            instance.introduce(hello.clone());
            let folder = self.runner.folder().unwrap_or_else(|| self.runner.compiled.block_folder.clone());
            let calls = InstanceCalls::new(Arc::clone(instance), hello.clone(), folder, Some(reload_call(reload)));
            Server::start(claim, hello, Arc::new(calls))
        });
        Ok(Ties {
            _pidfile: pidfile.map_err(|error| error.to_string())?,
            server: server.transpose().map_err(|error| error.to_string())?,
            notify: instance.is_longrunning.then(Notify::of_process).flatten().map(Arc::new),
        })
    }

    /// Until the stop: reloads as they are asked for.
    async fn stay(&mut self, instance: &Arc<Instance>, reloads: &mut mpsc::Receiver<ReloadRequest>, ties: &Ties) {
        let watchdog = ties.notify.clone().map(|notify| tokio::spawn(watch(notify, Arc::clone(instance))));
        if let Some(notify) = &ties.notify {
            notify.ready();
            notify.status(&format!("{} run-threads", instance.threads.all().len()));
        }
        loop {
            let request = tokio::select! {
                () = instance.stop.requested() => break,
                request = reloads.recv() => request,
            };
            let Some(request) = request else { continue };
            if let Some(notify) = &ties.notify {
                notify.reloading();
            }
            let outcome = self.reload(instance).await;
            match &outcome {
                Ok(text) => log::info!("{text}"),
                Err(text) => log::error!("reload refused, the old file goes on: {text}"),
            }
            if let Some(notify) = &ties.notify {
                notify.ready();
            }
            if let Some(answer) = request.answer {
                let _ = answer.send(outcome);
            }
        }
        if let Some(notify) = &ties.notify {
            notify.stopping();
        }
        if let Some(watchdog) = watchdog {
            watchdog.abort();
        }
    }

    /// Builds the whole new set first, then swaps: unchanged run-threads and lists go on, the others are replaced.
    async fn reload(&mut self, instance: &Arc<Instance>) -> Result<String, String> {
        let compiled = (self.load)().map_err(|error| error.to_string())?;
        let options = self.runner.options().clone();
        let runner =
            Runner::new(&self.runner.file, compiled, &self.words, options).map_err(|error| error.to_string())?;
        self.runner = runner;
        instance.show_sources(self.runner.compiled.sources.clone());
        instance.begin_pass();
        instance.servers.begin_pass().await;
        match self.runner.process(instance).await.error {
            Some(error) => Err(error.to_string()),
            None => {
                instance.end_unnamed();
                instance.servers.end_unmet(instance).await.map_err(|error| error.to_string())?;
                Ok(format!("reloaded {}", self.runner.file.display()))
            }
        }
    }
}

/// What is reported of the first pass: a stop that was asked for is no error, neither of a long run nor after a signal.
/// The result of a short one shows what it was stopped at, as it is not whole.
fn told(processed: &Processed, instance: &Instance, signal: i32) -> Processed {
    let is_asked_for = instance.is_longrunning || signal != 0;
    let mut told = processed.clone();
    if let Some(error) = told.error.take_if(|error| is_asked_for && error.kind == RunErrorKind::Stopped) {
        log::info!("the first pass was stopped: {error}");
        if let Value::Object(map) = &mut told.result
            && !instance.is_longrunning
        {
            map.insert("error".into(), error.to_value());
        }
    }
    told
}

/// The instance's name, its own until the claim is dropped.
fn take_name(name: &str) -> Result<Claim, String> {
    Claim::take(name).map_err(|error| error.to_string())
}

/// A reload as the control socket calls it: waits for its outcome.
fn reload_call(requests: mpsc::Sender<ReloadRequest>) -> Reload {
    Arc::new(move || {
        let requests = requests.clone();
        Box::pin(async move {
            let (answer, outcome) = oneshot::channel();
            let sent = requests.send(ReloadRequest { answer: Some(answer) }).await;
            sent.map_err(|_| "the instance is ending".to_string())?;
            outcome.await.unwrap_or_else(|_| Err("the instance is ending".into()))
        })
    })
}

/// Tells the service manager that the instance is alive, as long as its runtime and its timer answer.
async fn watch(notify: Arc<Notify>, instance: Arc<Instance>) {
    notify
        .watch(|| {
            let instance = Arc::clone(&instance);
            Box::pin(async move { instance.threads.is_alive().await })
        })
        .await;
}

/// What a person at a terminal is told of a long run.
fn banner(instance: &Instance) -> String {
    let mut text = format!("{} runs.\n", instance.name);
    let threads = instance.threads.all();
    for thread in threads.iter().take(BANNER_THREADS_MAX) {
        let _ = writeln!(text, "  run-thread {} every {}", thread.name, format_duration(thread.every()));
        for (series, graphs) in thread.series_paths() {
            let _ = writeln!(text, "    series {series}");
            for graph in graphs {
                let _ = writeln!(text, "    graph  {graph}");
            }
        }
    }
    if threads.len() > BANNER_THREADS_MAX {
        let _ = writeln!(text, "  … and {} more run-threads", threads.len() - BANNER_THREADS_MAX);
    }
    text.push_str(&servers::banner(&instance.servers.urls()));
    text + "Ctrl-C stops, procblock status shows.\n"
}

/// The same signal so soon again is one given twice: `timeout` of coreutils signals its child, then its group.
const SAME_SIGNAL_WITHIN: Duration = Duration::from_millis(200);

/// The first INT or TERM asks the instance to stop, the second ends the process at once; HUP reloads.
fn watch_signals(instance: &Arc<Instance>, reload: mpsc::Sender<ReloadRequest>) -> std::io::Result<Arc<AtomicI32>> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1])?;
    let received = Arc::new(AtomicI32::new(0));
    let (stop, seen, runtime) = (instance.stop.clone(), Arc::clone(&received), Handle::current());
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut first: Option<(i32, Instant)> = None;
        for signal in signals.forever() {
            match signal {
                SIGHUP => {
                    let _ = reload.try_send(ReloadRequest { answer: None });
                }
                SIGUSR1 => crate::logging::reopen(),
                _ if first.is_some_and(|(sent, at)| sent == signal && at.elapsed() < SAME_SIGNAL_WITHIN) => {}
                _ => {
                    first = Some((signal, Instant::now()));
                    if seen.swap(signal, Ordering::SeqCst) != 0 {
                        let _ = signal_hook::low_level::emulate_default_handler(signal);
                    }
                    watch_end(runtime.clone(), signal);
                    let name = if signal == SIGINT { "Keyboard Interrupt" } else { "Terminated" };
                    log::info!("ProcessAndLoop: {name}: Releasing lock: __running");
                    stop.request();
                }
            }
        }
    })?;
    Ok(received)
}

/// How long the runtime may leave a question unanswered while the instance ends.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Between two questions.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// Ends the process, as a second signal does, when no thread of the runtime is left that could end it in good order:
/// calls within C can't be interrupted, and may hold all of them.
fn watch_end(runtime: Handle, signal: i32) {
    let watch = move || {
        loop {
            let (answer, answered) = std::sync::mpsc::channel();
            runtime.spawn(async move {
                let _ = answer.send(());
            });
            match answered.recv_timeout(ANSWER_MAX) {
                Ok(()) => std::thread::park_timeout(ASKED_EVERY),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        log::error!("every thread is held by a script or template that can't be interrupted; the process ends at once");
        crate::logging::finish(ASKED_EVERY);
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    };
    if let Err(error) = std::thread::Builder::new().name("end-watch".into()).spawn(watch) {
        log::warn!("nothing watches the end: {error}");
    }
}
