//! What procblock and procblock-series say to each other, over one socket that is the helper's standard input and
//! output.
//!
//! A frame is its length (4 bytes, little-endian, of what follows), a kind (1 byte) and a body. Requests and answers
//! alternate strictly: the helper uses librrd for one thing at a time anyway, and no answer has to be matched to its
//! request. Batches of samples and pictures are binary, everything else JSON.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use unidist::timeseries::{Consolidation, GraphFormat, GraphSpec, SeriesSpec, Window};

use std::path::PathBuf;

use super::failure::SeriesFailure;

/// Spoken by both; the first request and the first answer carry it.
pub const VERSION: u32 = 2;

/// The most bytes of a frame: a batch stays far below, a picture of 4,000 by 4,000 pixels too.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// What a frame's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A [`Request`] or an [`Answer`].
    Json,
    /// A batch of samples, see [`BatchWriter`].
    Samples,
    /// The bytes of a picture.
    Picture,
}

/// Everything asked of the helper but storing samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "lowercase")]
pub enum Request {
    /// The first one.
    Hello {
        /// [`VERSION`] of the runner.
        protocol: u32,
    },
    /// Series that samples will name by number; files are touched with the first sample.
    Declare {
        /// Each with its number.
        series: Vec<(u32, SeriesSpec)>,
    },
    /// Draw to the graph's path.
    Draw {
        /// The series' file.
        series: Source,
        /// What and where.
        graph: GraphSpec,
        /// The right end, seconds since 1970.
        now: i64,
    },
    /// Draw and answer with the picture.
    Picture {
        /// The series' file.
        series: Source,
        /// What; its path and period are not used.
        graph: GraphSpec,
        /// Both ends.
        window: Window,
        /// PNG or SVG.
        format: GraphFormat,
    },
    /// Rows of a window.
    Fetch {
        /// The series' file.
        series: Source,
        /// Which archives.
        consolidation: Consolidation,
        /// Both ends and the resolution.
        window: Window,
    },
    /// The newest sample.
    Last {
        /// The series' file.
        series: Source,
    },
    /// The file's structure.
    Info {
        /// The series' file.
        series: Source,
    },
}

/// A series to be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its file.
    pub path: PathBuf,
    /// The rrdcached that may hold newer samples than the file.
    pub rrdcached: Option<String>,
}

/// What the helper answers in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// To [`Request::Hello`].
    Hello {
        /// [`VERSION`] of the helper.
        protocol: u32,
    },
    /// Done, with what was asked for.
    Result(serde_json::Value),
    /// Refused, with the reason.
    Error(SeriesFailure),
    /// To a batch: what is worth telling, by series; the others are stored.
    Stored(Vec<Outcome>),
}

/// What became of a series' samples in a batch, where it is not simply that they are stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The series' number.
    pub series: u32,
    /// Dropped for being older than the newest in the file.
    pub late: u64,
    /// Dropped for having the newest one's time.
    pub repeated: u64,
    /// Stored, rounded to whole numbers.
    pub rounded: u64,
    /// The file was not there and was created.
    #[serde(default)]
    pub is_created: bool,
    /// None of them is stored for this reason; give them again later.
    pub error: Option<String>,
}

impl Outcome {
    /// Nothing worth telling.
    pub fn of(series: u32) -> Self {
        Outcome { series, ..Outcome::default() }
    }
}

/// Builds the body of a batch: whether it was sent before (1 byte), then for each sample its series (4 bytes), its
/// number of values (2), its time in seconds (8) and its values (8 each; NaN is unknown), little-endian.
#[derive(Debug, Clone)]
pub struct BatchWriter {
    body: Vec<u8>,
}

impl BatchWriter {
    /// A batch without samples, with room for so many that have so many values. One that was `sent_before` may be
    /// stored already: nothing in it counts as repeated.
    pub fn new(sent_before: bool, samples: usize, values: usize) -> Self {
        let mut body = Vec::with_capacity(1 + 14 * samples + 8 * values);
        body.push(u8::from(sent_before));
        BatchWriter { body }
    }

    /// Adds a sample.
    pub fn push(&mut self, series: u32, time: i64, values: impl ExactSizeIterator<Item = f64>) {
        self.body.extend(series.to_le_bytes());
        self.body.extend(u16::try_from(values.len()).unwrap_or(u16::MAX).to_le_bytes());
        self.body.extend(time.to_le_bytes());
        values.take(usize::from(u16::MAX)).for_each(|value| self.body.extend(value.to_le_bytes()));
    }

    /// The body.
    pub fn finish(self) -> Vec<u8> {
        self.body
    }
}

/// Reads the body of a batch.
#[derive(Debug)]
pub struct BatchReader<'a> {
    /// Whether it may be stored already.
    pub sent_before: bool,
    rest: &'a [u8],
}

/// A sample of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleRead<'a> {
    /// Its series' number.
    pub series: u32,
    /// In seconds.
    pub time: i64,
    numbers: &'a [[u8; 8]],
}

impl SampleRead<'_> {
    /// Its values; NaN is unknown.
    pub fn values(&self) -> impl ExactSizeIterator<Item = f64> {
        self.numbers.iter().map(|number| f64::from_le_bytes(*number))
    }
}

impl<'a> BatchReader<'a> {
    /// Starts; none for an empty body.
    pub fn new(body: &'a [u8]) -> Option<Self> {
        let (first, rest) = body.split_first()?;
        Some(BatchReader { sent_before: *first != 0, rest })
    }

    /// The next sample; `Ok(None)` at the end.
    ///
    /// # Errors
    /// When the body ends inside a sample.
    pub fn next_sample(&mut self) -> Result<Option<SampleRead<'a>>, &'static str> {
        const TORN: &str = "a batch ends inside a sample";
        if self.rest.is_empty() {
            return Ok(None);
        }
        let series = u32::from_le_bytes(self.take().ok_or(TORN)?);
        let count = u16::from_le_bytes(self.take().ok_or(TORN)?);
        let time = i64::from_le_bytes(self.take().ok_or(TORN)?);
        let (numbers, rest) = self.rest.split_at_checked(usize::from(count) * 8).ok_or(TORN)?;
        self.rest = rest;
        Ok(Some(SampleRead { series, time, numbers: numbers.as_chunks::<8>().0 }))
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }
}

/// Writes one frame. Blocks until it is taken.
///
/// # Errors
/// When the other side is gone, or `InvalidData` for a body over [`FRAME_BYTES_MAX`].
pub fn write_frame(mut to: impl Write, kind: Kind, body: &[u8]) -> io::Result<()> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidData, "a frame is too long");
    if body.len() >= FRAME_BYTES_MAX {
        return Err(too_long());
    }
    let length = u32::try_from(body.len() + 1).map_err(|_| too_long())?;
    let letter = match kind {
        Kind::Json => b'J',
        Kind::Samples => b'S',
        Kind::Picture => b'P',
    };
    let [a, b, c, d] = length.to_le_bytes();
    to.write_all(&[a, b, c, d, letter])?;
    to.write_all(body)?;
    to.flush()
}

/// Reads one frame; none at an end between frames. Blocks until it is there.
///
/// # Errors
/// When the other side ends inside a frame, or `InvalidData` for a length or kind that makes no sense.
pub fn read_frame(mut from: impl Read) -> io::Result<Option<(Kind, Vec<u8>)>> {
    let mut length = [0; 4];
    let mut read = 0;
    while let Some(rest) = length.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) if read == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let length = u32::from_le_bytes(length) as usize;
    if !(1..=FRAME_BYTES_MAX).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes makes no sense")));
    }
    let mut letter = [0];
    from.read_exact(&mut letter)?;
    let kind = match letter {
        [b'J'] => Kind::Json,
        [b'S'] => Kind::Samples,
        [b'P'] => Kind::Picture,
        [other] => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of kind {other} is unknown")));
        }
    };
    let mut body = vec![0; length - 1];
    from.read_exact(&mut body)?;
    Ok(Some((kind, body)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_batch_reads_as_it_was_written() {
        let mut batch = BatchWriter::new(true, 2, 3);
        batch.push(7, -5, [1.5, f64::INFINITY].into_iter());
        batch.push(u32::MAX, i64::MAX, std::iter::empty());
        let body = batch.finish();
        let mut reader = BatchReader::new(&body).unwrap();
        assert!(reader.sent_before);
        let sample = reader.next_sample().unwrap().unwrap();
        assert_eq!((sample.series, sample.time), (7, -5));
        assert_eq!(sample.values().collect::<Vec<f64>>(), [1.5, f64::INFINITY]);
        let sample = reader.next_sample().unwrap().unwrap();
        assert_eq!((sample.series, sample.time, sample.values().len()), (u32::MAX, i64::MAX, 0));
        assert_eq!(reader.next_sample(), Ok(None));
    }

    #[test]
    fn frames_follow_each_other_and_a_torn_one_is_an_error() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, Kind::Json, b"{}").unwrap();
        write_frame(&mut bytes, Kind::Picture, b"").unwrap();
        let mut from = bytes.as_slice();
        assert_eq!(read_frame(&mut from).unwrap(), Some((Kind::Json, b"{}".to_vec())));
        assert_eq!(read_frame(&mut from).unwrap(), Some((Kind::Picture, Vec::new())));
        assert_eq!(read_frame(&mut from).unwrap(), None);
        assert!(read_frame(&bytes[..3]).is_err());
        assert!(read_frame(&bytes[..6]).is_err());
        assert!(read_frame(&b"\xff\xff\xff\xffJ"[..]).is_err());
        assert!(read_frame(&b"\x01\0\0\0X"[..]).is_err());
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
            let _ = read_frame(bytes.as_slice());
            if let Some(mut reader) = BatchReader::new(&bytes) {
                while let Ok(Some(_)) = reader.next_sample() {}
            }
        }
    }
}
