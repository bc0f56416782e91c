//! The life of an instance: first pass, the time until a stop, reloads, the end.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use tokio::sync::{mpsc, oneshot};

use crate::block::Processed;
use crate::control::{Attachment, Reload};
use crate::error::RunErrorKind;
use crate::instance::Instance;
use crate::runner::{Runner, load};
use crate::units::format_duration;

/// Reloads that wait: one more than the one under way, since it will read the newest file anyway.
const RELOADS_WAITING_MAX: usize = 1;

/// A reload that was asked for, and who waits for its outcome; a signal does not.
type Asked = Option<oneshot::Sender<Result<String, String>>>;

/// The most run-threads that the lines at the start of a long run name.
const BANNER_THREADS_MAX: usize = 20;

/// A file that is about to run.
pub struct Life {
    /// The file.
    pub runner: Runner,
    /// The words that belong to it, read again at a reload.
    pub words: Vec<String>,
}

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

impl Life {
    /// Runs the file from its first pass to its end; `report` is given the result of the first pass.
    ///
    /// # Errors
    /// The instance could not start: its name or pidfile is taken, the engine's store, signals.
    pub async fn live(mut self, report: impl FnOnce(&Processed)) -> Result<End, String> {
        let executable = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("procblock"));
        let config = self.runner.instance_config(&executable);
        let name = config.is_longrunning.then_some(config.name.as_str());
        let pidfile = self.runner.compiled.usage.pidfile.as_deref();
        let mut attachment = Attachment::take(name, pidfile).map_err(|error| error.to_string())?;
        let instance = Instance::start(config).map_err(|error| error.to_string())?;
        let (reload, reloads) = mpsc::channel(RELOADS_WAITING_MAX);
        let folder = self.runner.folder().unwrap_or_else(|| self.runner.compiled.block_folder.clone());
        let served = attachment.serve(&instance, &self.runner.file, folder.clone(), reload_by(reload.clone()));
        served.map_err(|error| error.to_string())?;
        let signal = watch_signals(&instance, reload).map_err(|error| format!("signals can't be caught: {error}"))?;
        if instance.is_longrunning {
            log::info!("Long Running Process: Starting...  (CWD: {})", folder.display());
        }
        let processed = self.runner.process(&instance).await;
        report(&processed);
        if self.runner.repeats_in_vain() {
            let file = self.runner.file.display();
            log::warn!("{file} has repeated steps and ended after one pass; longrunning: true in __usage lets it stay");
        }
        if instance.is_longrunning && processed.error.is_none() {
            if std::io::stderr().is_terminal() {
                eprint!("{}", banner(&instance));
            }
            self.stay(&instance, reloads, &mut attachment).await;
            log::info!("Quitting...");
        }
        attachment.stopping();
        instance.shutdown().await;
        Ok(End {
            signal: signal.load(Ordering::SeqCst),
            is_longrunning: instance.is_longrunning,
            has_failed: processed
                .error
                .is_some_and(|error| error.kind != RunErrorKind::Stopped || !instance.is_longrunning),
        })
    }

    /// Until the stop: reloads as they are asked for.
    async fn stay(
        &mut self,
        instance: &Arc<Instance>,
        mut reloads: mpsc::Receiver<Asked>,
        attachment: &mut Attachment,
    ) {
        attachment.ready(instance);
        loop {
            let asked = tokio::select! {
                () = instance.stop.requested() => return,
                Some(asked) = reloads.recv() => asked,
            };
            attachment.reloading();
            let outcome = self.reload(instance).await.map(|()| format!("reloaded {}", self.runner.file.display()));
            attachment.ready(instance);
            match &outcome {
                Ok(text) => log::info!("{text}"),
                Err(text) => log::error!("reload refused, the old file goes on: {text}"),
            }
            if let Some(asked) = asked {
                let _ = asked.send(outcome);
            }
        }
    }

    /// Builds the whole new set first, then swaps: unchanged run-threads and lists go on, the others are replaced.
    async fn reload(&mut self, instance: &Arc<Instance>) -> Result<(), String> {
        let compiled = load(&self.runner.file).map_err(|error| error.to_string())?;
        let options = self.runner.options().clone();
        let runner =
            Runner::new(&self.runner.file, compiled, &self.words, options).map_err(|error| error.to_string())?;
        self.runner = runner;
        instance.begin_pass();
        match self.runner.process(instance).await.error {
            Some(error) => Err(error.to_string()),
            None => {
                instance.end_unnamed();
                Ok(())
            }
        }
    }
}

/// Asks for a reload and waits for its outcome: for commands.
fn reload_by(reload: mpsc::Sender<Asked>) -> Reload {
    Arc::new(move || {
        let reload = reload.clone();
        Box::pin(async move {
            let ending = || Err("the instance is ending".to_string());
            let (outcome, answered) = oneshot::channel();
            match reload.send(Some(outcome)).await {
                Ok(()) => answered.await.unwrap_or_else(|_| ending()),
                Err(_) => ending(),
            }
        })
    })
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
    text + "Ctrl-C stops, procblock status shows.\n"
}

/// The first INT or TERM asks the instance to stop, the second ends the process at once; HUP reloads.
fn watch_signals(instance: &Arc<Instance>, reload: mpsc::Sender<Asked>) -> std::io::Result<Arc<AtomicI32>> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1])?;
    let received = Arc::new(AtomicI32::new(0));
    let (stop, seen) = (instance.stop.clone(), Arc::clone(&received));
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            match signal {
                SIGHUP => {
                    let _ = reload.try_send(None);
                }
                SIGUSR1 => crate::logging::reopen(),
                _ => {
                    if seen.swap(signal, Ordering::SeqCst) != 0 {
                        let _ = signal_hook::low_level::emulate_default_handler(signal);
                    }
                    let name = if signal == SIGINT { "Keyboard Interrupt" } else { "Terminated" };
                    log::info!("ProcessAndLoop: {name}: Releasing lock: __running");
                    stop.request();
                }
            }
        }
    })?;
    Ok(received)
}
