//! A procblock that runs: signals, its lines as they come, files as they appear, and its certain end.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::process::marked;
use super::{Ended, LONG, Process, children_of, eventually, kill};

/// What a pipe gave so far, by line.
#[derive(Default)]
struct Lines {
    state: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Lines {
    /// Reads a pipe to its end, in a thread of its own.
    fn read(self: Arc<Self>, pipe: impl Read + Send + 'static) {
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut bytes = Vec::new();
            while pipe.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
                self.state.lock().unwrap().0.push(String::from_utf8_lossy(&bytes).into_owned());
                self.changed.notify_all();
                bytes.clear();
            }
            self.state.lock().unwrap().1 = true;
            self.changed.notify_all();
        });
    }

    /// Waits until nobody can write any more.
    fn wait_for_end(&self, what: &str) {
        let waiting = self.state.lock().unwrap();
        let (state, timeout) = self.changed.wait_timeout_while(waiting, LONG, |(_, ended)| !*ended).unwrap();
        drop(state);
        assert!(!timeout.timed_out(), "{what} is still held open");
    }

    fn text(&self) -> String {
        self.state.lock().unwrap().0.concat()
    }

    /// Waits until the lines so far hold what is looked for.
    fn wait(&self, what: &str, is_found: impl Fn(&[String]) -> bool) -> String {
        let waiting = self.state.lock().unwrap();
        let (state, timeout) =
            self.changed.wait_timeout_while(waiting, LONG, |(lines, ended)| !*ended && !is_found(lines)).unwrap();
        let text = state.0.concat();
        let is_found = is_found(&state.0);
        drop(state);
        assert!(is_found, "{what}: not {}:\n{text}", if timeout.timed_out() { "in time" } else { "before the end" });
        text
    }
}

/// A run under way. Dropped, it is ended with everything that it started.
pub(crate) struct Running {
    child: Child,
    started: Instant,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
    folder: Arc<TempDir>,
    file: Option<String>,
}

impl Running {
    pub(super) fn new(mut command: Command, folder: Arc<TempDir>, file: Option<String>) -> Self {
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (Arc::new(Lines::default()), Arc::new(Lines::default()));
        Arc::clone(&stdout).read(child.stdout.take().unwrap());
        Arc::clone(&stderr).read(child.stderr.take().unwrap());
        Running { child, started: Instant::now(), stdout, stderr, folder, file }
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// The process that its children hang on; waits for it.
    pub(crate) fn keeper(&self) -> i32 {
        self.wait_for_child("a keeper", |line| line.split('\0').any(|word| word == "__keeper"))
    }

    /// The process that stores its time series; waits for it.
    #[cfg(feature = "series")]
    pub(crate) fn series_process(&self) -> i32 {
        self.wait_for_child("procblock-series", |line| {
            line.split('\0').next().is_some_and(|program| program.ends_with("/procblock-series"))
        })
    }

    /// Waits for a child with such a command line.
    fn wait_for_child(&self, what: &str, is_it: impl Fn(&str) -> bool) -> i32 {
        let line = |pid: &i32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let find = || children_of(self.pid()).into_iter().find(|pid| is_it(&String::from_utf8_lossy(&line(pid))));
        let found = std::cell::Cell::new(None);
        eventually(what, || {
            found.set(find());
            found.get().is_some()
        });
        found.get().unwrap()
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits for a text on standard error and gives all that came so far.
    pub(crate) fn wait_for_error_text(&self, text: &str) -> String {
        self.stderr.wait(text, |lines| lines.iter().any(|line| line.contains(text)))
    }

    /// Waits until a text stands on standard error so often.
    pub(crate) fn wait_for_error_texts(&self, text: &str, count: usize) -> String {
        self.stderr.wait(text, |lines| lines.iter().filter(|line| line.contains(text)).count() >= count)
    }

    /// Waits for a text on standard output.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        self.stdout.wait(text, |lines| lines.iter().any(|line| line.contains(text)))
    }

    /// Waits for the whole printed result.
    pub(crate) fn wait_for_result(&self) -> serde_json::Value {
        let text = self.stdout.wait("the result", |lines| lines.last().is_some_and(|line| line.starts_with('}')));
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until a file of its folder is there and holds what is looked for; gives its text.
    pub(crate) fn wait_for_file(&self, name: &str, is_so: impl Fn(&str) -> bool) -> String {
        let read = || std::fs::read_to_string(self.path(name)).ok().filter(|text| is_so(text));
        eventually(&format!("{name} of {}", self.stderr.text()), || read().is_some());
        read().unwrap_or_default()
    }

    /// Waits until a file of its folder holds so many lines.
    pub(crate) fn wait_for_lines(&self, name: &str, count: usize) -> String {
        self.wait_for_file(name, |text| text.matches('\n').count() >= count)
    }

    /// Whether a signal was taken: none is pending for the process any more.
    pub(crate) fn has_taken_signals(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        status
            .lines()
            .filter_map(|line| line.strip_prefix("ShdPnd:"))
            .all(|mask| mask.trim().bytes().all(|b| b == b'0'))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Ctrl-C, and its end.
    pub(crate) fn interrupt(self) -> Ended {
        self.end_by(Signal::SIGINT)
    }

    /// What a service manager sends, and its end.
    pub(crate) fn terminate(self) -> Ended {
        self.end_by(Signal::SIGTERM)
    }

    /// kill -9, and its end.
    pub(crate) fn kill(self) -> Ended {
        self.end_by(Signal::SIGKILL)
    }

    fn end_by(mut self, signal: Signal) -> Ended {
        self.started = Instant::now();
        self.signal(signal);
        self.end()
    }

    /// The most memory it had so far, in bytes.
    pub(crate) fn memory_peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        if !Process::open(self.pid()).ends_within(LONG) {
            panic!("does not end:\n{}{}", self.stdout.text(), self.stderr.text());
        }
        let took = self.started.elapsed();
        let status = self.child.wait().unwrap();
        self.stdout.wait_for_end("standard output");
        self.stderr.wait_for_end("standard error");
        Ended {
            code: status.code(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            took,
            folder: Arc::clone(&self.folder),
            file: self.file.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // What a fault of procblock left behind must not outlive the test; ended by number, and only what carries the
        // mark of this test's folder.
        if std::thread::panicking() {
            for (pid, _) in marked(self.folder.path()) {
                kill(pid, Signal::SIGKILL);
            }
        }
    }
}
