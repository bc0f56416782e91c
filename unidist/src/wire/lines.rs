//! Lines of bounded length from a stream.

use std::io::{self, ErrorKind, Read};

/// How much is read at once, in bytes.
const PIECE: usize = 16 * 1024;

/// A buffer this much larger than its content is given back.
const SPARE_MAX: usize = 1024 * 1024;

/// Cuts a stream into lines.
pub struct LineReader<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    line_max: usize,
}

/// What came next.
pub enum Next<'a> {
    /// A line without its end.
    Line(&'a [u8]),
    /// A line over the limit; nothing after it can be read.
    TooLong,
    /// The other side writes no more; what stood behind the last line end is dropped.
    End,
}

impl<R: Read> LineReader<R> {
    /// Lines of at most `line_max` bytes.
    pub fn new(reader: R, line_max: usize) -> Self {
        LineReader { reader, buffer: Vec::new(), start: 0, line_max }
    }

    /// Goes on where another reader stopped, which had read so much already.
    pub fn after(read: Vec<u8>, reader: R, line_max: usize) -> Self {
        LineReader { reader, buffer: read, start: 0, line_max }
    }

    /// What is read from.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// What is read from, and what was read and not yet cut.
    pub fn into_parts(mut self) -> (R, Vec<u8>) {
        self.buffer.drain(..self.start);
        (self.reader, self.buffer)
    }

    /// Blocks until there is a line.
    ///
    /// # Errors
    /// Those of reading; nothing that was read is lost by one, so that a time-out can be followed by another try.
    pub fn next_line(&mut self) -> io::Result<Next<'_>> {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.capacity() > self.buffer.len() + SPARE_MAX {
            self.buffer.shrink_to(PIECE);
        }
        let mut searched = 0;
        loop {
            let fresh = self.buffer.get(searched..).unwrap_or_default();
            if let Some(found) = fresh.iter().position(|byte| *byte == b'\n') {
                let end = searched + found;
                self.start = end + 1;
                return Ok(match self.buffer.get(..end) {
                    Some(line) if line.len() <= self.line_max => Next::Line(line),
                    _ => Next::TooLong,
                });
            }
            searched = self.buffer.len();
            if searched > self.line_max {
                return Ok(Next::TooLong);
            }
            if self.read_more()? == 0 {
                return Ok(Next::End);
            }
        }
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let length = self.buffer.len();
        self.buffer.resize(length + PIECE, 0);
        let space = self.buffer.get_mut(length..).unwrap_or_default();
        loop {
            match self.reader.read(space) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => {
                    self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
                    return read;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8], line_max: usize) -> Vec<String> {
        let mut lines = LineReader::new(text, line_max);
        let mut found = Vec::new();
        loop {
            match lines.next_line().unwrap() {
                Next::Line(line) => found.push(String::from_utf8_lossy(line).into_owned()),
                Next::TooLong => found.push("too long".to_owned()),
                Next::End => found.push("end".to_owned()),
            }
            if found.last().is_some_and(|last| last == "end" || last == "too long") {
                return found;
            }
        }
    }

    #[test]
    fn lines_are_cut_and_an_unfinished_one_is_dropped() {
        assert_eq!(all(b"ab\n\nc\nrest", 100), ["ab", "", "c", "end"]);
        assert_eq!(all(b"", 100), ["end"]);
    }

    #[test]
    fn a_line_of_the_longest_length_passes_and_a_longer_one_does_not() {
        assert_eq!(all(b"1234\n12345\n", 4), ["1234", "too long"]);
        assert_eq!(all(&[b'x'; 100_000], 4), ["too long"]);
    }
}
