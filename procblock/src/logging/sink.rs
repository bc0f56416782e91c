//! Writing to standard error without ever waiting for whoever reads it.
//!
//! A line is written at once when it can be, so that lines and results keep their order. When a terminal is held
//! (Ctrl-S) or a pipe is full, lines gather in bounds and a thread writes them when they can be; what is over the bound
//! is left out, counted, and the count is told.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parking_lot::{Condvar, Mutex};

/// The most that waits to be written, in bytes.
const WAITING_MAX: usize = 1024 * 1024;

/// A pipe that can be written takes this much without blocking (PIPE_BUF, pipe(7)).
const PIECE_MAX: usize = 4096;

/// A descriptor that is written line by line.
pub(super) struct Sink {
    inner: Arc<Inner>,
}

struct Inner {
    file: File,
    waiting: Mutex<Waiting>,
    drained: Condvar,
}

#[derive(Default)]
struct Waiting {
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
    left_out: u64,
    /// Whether the thread has work: then lines go behind what waits.
    is_behind: bool,
}

impl Sink {
    pub(super) fn new(file: File) -> Self {
        Sink { inner: Arc::new(Inner { file, waiting: Mutex::default(), drained: Condvar::new() }) }
    }

    /// Writes now, or later if the reader is slow, or never if too much waits already.
    pub(super) fn write(&self, bytes: &[u8]) {
        let mut waiting = self.inner.waiting.lock();
        if waiting.is_behind {
            waiting.add(bytes);
            return;
        }
        let written = self.inner.write_ready(bytes);
        let rest = bytes.get(written..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        waiting.add(rest);
        let inner = Arc::clone(&self.inner);
        let started = std::thread::Builder::new().name("log writer".into()).spawn(move || inner.drain());
        if started.is_ok() {
            waiting.is_behind = true;
        } else {
            *waiting = Waiting { left_out: waiting.left_out + 1, ..Waiting::default() };
        }
    }

    /// Waits at most `limit` until nothing waits.
    pub(super) fn finish(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut waiting = self.inner.waiting.lock();
        while waiting.is_behind {
            if self.inner.drained.wait_until(&mut waiting, deadline).timed_out() {
                return;
            }
        }
    }
}

impl Waiting {
    fn add(&mut self, bytes: &[u8]) {
        if self.bytes + bytes.len() > WAITING_MAX {
            self.left_out += 1;
            return;
        }
        self.bytes += bytes.len();
        self.pieces.push_back(bytes.to_vec());
    }

    /// What the thread writes next; a count of what was left out comes when all else is written.
    fn next(&mut self) -> Option<Vec<u8>> {
        if let Some(piece) = self.pieces.pop_front() {
            self.bytes -= piece.len();
            return Some(piece);
        }
        let left_out = std::mem::take(&mut self.left_out);
        let told = || format!("({left_out} log lines were left out: standard error was not read)\n");
        (left_out > 0).then(|| told().into_bytes())
    }
}

impl Inner {
    /// Writes as much as can be written without waiting; all of it, too, when nobody will ever read it.
    fn write_ready(&self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            if !self.is_ready(PollTimeout::ZERO) {
                break;
            }
            match (&self.file).write(rest.get(..PIECE_MAX).unwrap_or(rest)) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return bytes.len(),
            }
        }
        written
    }

    fn is_ready(&self, limit: PollTimeout) -> bool {
        let mut descriptors = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        poll(&mut descriptors, limit).is_ok_and(|ready| ready > 0)
    }

    /// The thread: writes what waits, then ends.
    fn drain(&self) {
        loop {
            let piece = {
                let mut waiting = self.waiting.lock();
                let Some(piece) = waiting.next() else {
                    waiting.is_behind = false;
                    self.drained.notify_all();
                    return;
                };
                piece
            };
            let mut rest = piece.as_slice();
            while !rest.is_empty() {
                self.is_ready(PollTimeout::NONE);
                rest = rest.get(self.write_ready(rest)..).unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn pipe() -> (File, Sink) {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        (File::from(reader), Sink::new(File::from(writer)))
    }

    fn read_all(mut reader: File) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        })
    }

    #[test]
    fn a_reader_that_does_not_read_delays_nobody_and_is_told_what_it_missed() {
        let (reader, sink) = pipe();
        let line = format!("{}\n", "x".repeat(999));
        for _ in 0..3000 {
            sink.write(line.as_bytes());
        }
        let reading = read_all(reader);
        sink.finish(Duration::from_secs(30));
        sink.write(b"last\n");
        drop(sink);
        let text = reading.join().unwrap();
        let whole = text.lines().filter(|found| found.len() == 999).count();
        let told = text.lines().find(|found| found.starts_with('(')).unwrap();
        assert_eq!(told, format!("({} log lines were left out: standard error was not read)", 3000 - whole));
        assert!(text.ends_with("last\n"));
    }

    #[test]
    fn lines_keep_their_order_and_their_bytes() {
        let (reader, sink) = pipe();
        let lines: Vec<String> = (0..500).map(|number| format!("{number}{}\n", "y".repeat(number * 3))).collect();
        let reading = read_all(reader);
        for line in &lines {
            sink.write(line.as_bytes());
        }
        sink.finish(Duration::from_secs(30));
        drop(sink);
        assert_eq!(reading.join().unwrap(), lines.concat());
    }

    #[test]
    fn a_reader_that_is_gone_stops_nobody() {
        let (reader, sink) = pipe();
        drop(reader);
        sink.write(b"lost\n");
        sink.finish(Duration::ZERO);
        assert!(!sink.inner.waiting.lock().is_behind);
    }
}
