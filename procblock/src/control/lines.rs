//! Lines of bounded length from a stream.

use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is read at once, in bytes.
const PIECE: usize = 16 * 1024;

/// A buffer this much larger than its content is given back.
const SPARE_MAX: usize = 1024 * 1024;

/// Cuts a stream into lines; a read that is cancelled loses nothing.
pub(super) struct LineReader<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Up to here there is no line end.
    searched: usize,
    line_max: usize,
}

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line without its end.
    Line(Vec<u8>),
    /// A line over the limit; nothing after it can be read.
    TooLong,
    /// The other side writes no more; what stood behind the last line end is dropped.
    End,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Goes on where another reader stopped, which had read so much already.
    pub(super) fn after(read: Vec<u8>, reader: R, line_max: usize) -> Self {
        LineReader { reader, buffer: read, searched: 0, line_max }
    }

    pub(super) fn get_ref(&self) -> &R {
        &self.reader
    }

    /// What is read from, and what was read and not yet cut.
    pub(super) fn into_parts(self) -> (R, Vec<u8>) {
        (self.reader, self.buffer)
    }

    /// The line that came last comes next once more.
    pub(super) fn put_back(&mut self, line: &[u8]) {
        self.buffer = [line, b"\n", &self.buffer].concat();
        self.searched = 0;
    }

    pub(super) async fn next(&mut self) -> Next {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(found) = fresh.iter().position(|byte| *byte == b'\n') {
                return self.cut(self.searched + found);
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.line_max {
                return Next::TooLong;
            }
            self.buffer.reserve(PIECE);
            match self.reader.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return Next::End,
                Ok(_) => {}
            }
        }
    }

    fn cut(&mut self, end: usize) -> Next {
        let rest = self.buffer.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.buffer, rest);
        self.searched = 0;
        if self.buffer.capacity() > self.buffer.len() + SPARE_MAX {
            self.buffer.shrink_to(PIECE);
        }
        line.pop();
        if line.len() > self.line_max { Next::TooLong } else { Next::Line(line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &[u8], line_max: usize) -> Vec<Next> {
        let mut lines = LineReader::after(Vec::new(), text, line_max);
        let mut found = Vec::new();
        loop {
            let next = lines.next().await;
            let is_last = !matches!(next, Next::Line(_));
            found.push(next);
            if is_last {
                return found;
            }
        }
    }

    #[tokio::test]
    async fn lines_are_cut_and_a_rest_without_an_end_is_none() {
        let found = all(b"a\n\nbc\nrest", 100).await;
        assert_eq!(found, [Next::Line(b"a".into()), Next::Line(b"".into()), Next::Line(b"bc".into()), Next::End]);
    }

    #[tokio::test]
    async fn a_line_over_the_limit_ends_the_stream() {
        assert_eq!(all(b"123\n1234\n", 3).await, [Next::Line(b"123".into()), Next::TooLong]);
        assert_eq!(all(&vec![b'x'; 100_000], 3).await, [Next::TooLong]);
    }

    #[tokio::test]
    async fn a_cancelled_read_loses_nothing() {
        let (mut writer, reader) = tokio::io::duplex(64);
        let mut lines = LineReader::after(Vec::new(), reader, 100);
        tokio::io::AsyncWriteExt::write_all(&mut writer, b"ab").await.unwrap();
        tokio::select! {
            biased;
            _ = lines.next() => unreachable!(),
            () = tokio::task::yield_now() => {}
        }
        tokio::io::AsyncWriteExt::write_all(&mut writer, b"c\n").await.unwrap();
        assert_eq!(lines.next().await, Next::Line(b"abc".into()));
    }
}
