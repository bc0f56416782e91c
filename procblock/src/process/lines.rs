//! What a child prints, line by line as it comes: to the log and to whoever asked for it.

use std::sync::Arc;

/// The log target of children's lines.
pub(super) const LOG_TARGET: &str = "output";
/// A longer line is handed on in pieces of this many bytes.
const LINE_MAX: usize = 8 << 10;

/// Which of its two streams a child printed a line on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Gets each line of a child as it comes, without its line end; a line over 8 KiB comes in pieces.
pub trait LineSink: Send + Sync {
    /// Called on the runtime's own threads, so it must not block.
    fn line(&self, stream: OutputStream, line: &str);
}

/// Cuts one stream into lines. At most 8 KiB wait for their line end.
pub(super) struct Lines {
    name: String,
    stream: OutputStream,
    sink: Option<Arc<dyn LineSink>>,
    is_logged: bool,
    begun: Vec<u8>,
}

impl Lines {
    /// `None` when neither log nor sink wants lines: then the stream is not looked at.
    pub(super) fn new(name: &str, stream: OutputStream, sink: Option<Arc<dyn LineSink>>) -> Option<Self> {
        let is_logged = log::log_enabled!(target: LOG_TARGET, log::Level::Info);
        (is_logged || sink.is_some()).then(|| Lines {
            name: name.to_owned(),
            stream,
            sink,
            is_logged,
            begun: Vec::new(),
        })
    }

    /// Hands on the lines that `bytes` complete.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(line) if self.begun.is_empty() => self.hand_on(line),
                Some(line) => {
                    let mut begun = std::mem::take(&mut self.begun);
                    begun.extend_from_slice(line);
                    self.hand_on(&begun);
                    begun.clear();
                    self.begun = begun;
                }
                None => self.hold(piece),
            }
        }
    }

    /// Hands on a last line without an end.
    pub(super) fn finish(&mut self) {
        let begun = std::mem::take(&mut self.begun);
        if !begun.is_empty() {
            self.hand_on(&begun);
        }
    }

    /// Keeps the beginning of a line, handing on what is over the bound.
    fn hold(&mut self, mut piece: &[u8]) {
        while self.begun.len() + piece.len() > LINE_MAX {
            let (now, later) = piece.split_at(LINE_MAX - self.begun.len());
            let mut begun = std::mem::take(&mut self.begun);
            begun.extend_from_slice(now);
            self.hand_on(&begun);
            piece = later;
        }
        self.begun.extend_from_slice(piece);
    }

    fn hand_on(&self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return self.hand_on_piece(line);
        }
        for piece in line.chunks(LINE_MAX) {
            self.hand_on_piece(piece);
        }
    }

    fn hand_on_piece(&self, piece: &[u8]) {
        let text = String::from_utf8_lossy(piece);
        if self.is_logged {
            log::info!(target: LOG_TARGET, step = self.name.as_str(); "{text}");
        }
        if let Some(sink) = &self.sink {
            sink.line(self.stream, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl LineSink for Kept {
        fn line(&self, _: OutputStream, line: &str) {
            self.0.lock().push(line.to_owned());
        }
    }

    fn lines_of(pieces: &[&[u8]]) -> Vec<String> {
        let kept = Arc::new(Kept::default());
        let sink: Arc<dyn LineSink> = kept.clone();
        let mut lines = Lines::new("step", OutputStream::Output, Some(sink)).unwrap();
        for piece in pieces {
            lines.add(piece);
            assert!(lines.begun.len() <= LINE_MAX);
        }
        lines.finish();
        let lines = kept.0.lock();
        lines.clone()
    }

    #[test]
    fn lines_are_joined_over_pieces_and_the_last_needs_no_end() {
        assert_eq!(lines_of(&[b"a\nb", b"c\r\n\n", b"d"]), ["a", "bc", "", "d"]);
    }

    #[test]
    fn a_long_line_comes_in_pieces() {
        let long = vec![b'x'; 3 * LINE_MAX + 5];
        let sizes: Vec<usize> = lines_of(&[&long, b"\n"]).iter().map(String::len).collect();
        assert_eq!(sizes, [LINE_MAX, LINE_MAX, LINE_MAX, 5]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(lines_of(&[b"a\xffb\n"]), ["a\u{fffd}b"]);
    }
}
