//! What a child prints, kept within a bound: the beginning and the end, with a mark where the middle was cut.

/// The kept part of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The whole stream; when it was cut, its beginning, the line `[… N bytes cut]` and its end.
    pub bytes: Vec<u8>,
    /// How many bytes are missing at the mark.
    pub cut: u64,
}

impl Captured {
    /// As text, with bytes that are not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// The most that is kept of a cut stream's end: a failing program says why in its last lines.
const TAIL_MAX: usize = 64 << 10;

/// Collects a stream within `max` bytes. Memory stays below `max` + 192 KiB.
#[derive(Debug)]
pub(super) struct Capture {
    head: Vec<u8>,
    head_max: usize,
    tail: Vec<u8>,
    tail_max: usize,
    cut: u64,
}

impl Capture {
    /// Keeps at most `max` bytes: an eighth of it, at most 64 KiB, for the end.
    pub(super) fn new(max: usize) -> Self {
        let tail_max = (max / 8).min(TAIL_MAX);
        Capture { head: Vec::new(), head_max: max - tail_max, tail: Vec::new(), tail_max, cut: 0 }
    }

    /// Adds what came next.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let room = self.head_max - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        let (skipped, end) = rest.split_at(rest.len().saturating_sub(self.tail_max));
        if !skipped.is_empty() {
            self.cut += (skipped.len() + self.tail.len()) as u64;
            self.tail.clear();
        }
        self.tail.extend_from_slice(end);
        if self.tail.len() > 2 * self.tail_max {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let surplus = self.tail.len().saturating_sub(self.tail_max);
        self.tail.drain(..surplus);
        self.cut += surplus as u64;
    }

    /// What was kept.
    pub(super) fn finish(mut self) -> Captured {
        self.trim();
        let mut bytes = self.head;
        if self.cut > 0 {
            bytes.extend_from_slice(format!("\n[… {} bytes cut]\n", self.cut).as_bytes());
        }
        bytes.extend_from_slice(&self.tail);
        Captured { bytes, cut: self.cut }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stream_within_the_bound_is_whole() {
        let mut capture = Capture::new(16);
        capture.add(b"0123456789");
        capture.add(b"abcdef");
        assert_eq!(capture.finish(), Captured { bytes: b"0123456789abcdef".to_vec(), cut: 0 });
    }

    #[test]
    fn a_cut_stream_keeps_its_beginning_and_its_end() {
        let mut capture = Capture::new(16);
        capture.add(&[b'x'; 14]);
        capture.add(&[b'y'; 1000]);
        capture.add(b"z");
        let kept = capture.finish();
        assert_eq!(kept.text(), "xxxxxxxxxxxxxx\n[… 999 bytes cut]\nyz");
        assert_eq!(kept.cut, 999);
    }

    #[test]
    fn a_bound_of_nothing_counts_only() {
        let mut capture = Capture::new(0);
        capture.add(b"abc");
        assert_eq!(capture.finish().text(), "\n[… 3 bytes cut]\n");
    }

    proptest! {
        #[test]
        fn kept_and_cut_bytes_add_up(max in 0usize..600, pieces in proptest::collection::vec(0usize..400, 0..20)) {
            let whole: Vec<u8> = (0..pieces.iter().sum::<usize>()).map(|n| b'a' + (n % 26) as u8).collect();
            let mut capture = Capture::new(max);
            let mut rest = whole.as_slice();
            for size in pieces {
                let (piece, after) = rest.split_at(size);
                capture.add(piece);
                prop_assert!(capture.tail.len() <= 2 * capture.tail_max);
                rest = after;
            }
            let kept = capture.finish();
            let mark = if kept.cut > 0 { format!("\n[… {} bytes cut]\n", kept.cut).len() } else { 0 };
            prop_assert_eq!(kept.bytes.len() - mark + kept.cut as usize, whole.len());
            prop_assert!(kept.bytes.len() - mark <= max);
            if kept.cut == 0 { prop_assert_eq!(kept.bytes, whole); }
        }
    }
}
