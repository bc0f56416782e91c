//! Storing through a running rrdcached: its line protocol (rrdcached(1), PROTOCOL), over a unix socket or TCP.
//!
//! rrdcached answers from memory and writes later; what it holds is seen by readers of the file after
//! [`Rrdcached::flush`]. Whether a file exists and what it holds is always asked of the daemon, because it may run as
//! another user or on another machine. Paths are sent as they are: both sides must see the file under the same one.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rrd::ops::info::InfoValue;
use rrd::ops::update::Datum;

use super::error::SeriesError;
use super::field_name_in_file;
use super::file::SeriesFile;
use super::layout::{Layout, Rows, Stored};
use super::spec::{SeriesSpec, default_archives};
use super::structure::Definition;

const CONNECT_MAX: Duration = Duration::from_secs(2);

/// A daemon that answers nothing for so long is given up.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The longest line that it takes is 4,096 bytes (RRD_CMD_MAX in rrd_daemon.c).
const LINE_BYTES_MAX: usize = 4_000;

/// The longest line, and the most of them, that it may answer.
const ANSWER_BYTES_MAX: u64 = 8_192;
const ANSWER_LINES_MAX: usize = 1_000_000;

/// A connection. After a `System` error it is of no more use.
#[derive(Debug)]
pub struct Rrdcached {
    address: String,
    requests: BufWriter<Stream>,
    answers: BufReader<Stream>,
}

/// A series whose samples go through rrdcached.
#[derive(Debug)]
pub struct CachedSeries {
    layout: Layout,
}

/// Samples on their way, until [`CachedBatch::finish`].
#[derive(Debug)]
pub struct CachedBatch<'a> {
    daemon: &'a mut Rrdcached,
    /// Whose samples each line holds.
    lines: Vec<usize>,
}

#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Rrdcached {
    /// Connects to `unix:/PATH` or `HOST:PORT`. Blocks, at most about two seconds for each of the host's addresses.
    ///
    /// # Errors
    /// `System` when nothing answers there.
    pub fn connect(address: &str) -> Result<Self, SeriesError> {
        let failed = |error| SeriesError::system("reach rrdcached at", Path::new(address))(error);
        let stream = Stream::connect(address).map_err(failed)?;
        let answers = BufReader::new(stream.try_clone().map_err(failed)?);
        Ok(Rrdcached { address: address.to_owned(), requests: BufWriter::with_capacity(1 << 16, stream), answers })
    }

    /// Opens a series: creates its file, ready for samples from `first` (seconds since 1970), when the daemon has none;
    /// changes its fields when they differ and the file is one of this machine.
    ///
    /// # Errors
    /// `Daemon` when it refuses, `System` when it can't be reached, and those of [`SeriesFile::open`].
    pub fn open(&mut self, spec: &SeriesSpec, first: i64) -> Result<CachedSeries, SeriesError> {
        spec.validate().map_err(|text| SeriesError::invalid(&spec.path, text))?;
        let mut definition = match self.definition(&spec.path) {
            Err(SeriesError::Daemon { text, .. }) => self.create(spec, first, &text)?,
            read => read?,
        };
        if !definition.holds(spec) {
            self.flush(&spec.path)?;
            drop(SeriesFile::open(spec, first)?);
            definition = self.definition(&spec.path)?;
            if !definition.holds(spec) {
                let text = "has other fields or another interval, and lies where they can't be changed";
                return Err(SeriesError::invalid(&spec.path, format!("the file of rrdcached {text}")));
            }
        }
        let last = self.ask(&spec.path, &format!("LAST {}", quoted(&spec.path)))?.0;
        if let Ok(last) = last.trim().parse::<i64>()
            && last > definition.last_update
        {
            // Only the daemon knows those samples yet.
            definition.last_update = last;
            definition.columns.iter_mut().for_each(|column| column.last = None);
        }
        Ok(CachedSeries { layout: Layout::new(spec, definition) })
    }

    /// Makes the daemon write what it holds of a file, which then is there to be read. A file that it does not know is
    /// none of its business.
    ///
    /// # Errors
    /// `System` when it can't be reached.
    pub fn flush(&mut self, path: &Path) -> Result<(), SeriesError> {
        match self.ask(path, &format!("FLUSH {}", quoted(path))) {
            Err(error @ SeriesError::System { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// Starts a batch.
    ///
    /// # Errors
    /// `System` when the daemon can't be reached, `Daemon` when it refuses.
    pub fn batch(&mut self) -> Result<CachedBatch<'_>, SeriesError> {
        self.ask(Path::new("a batch"), "BATCH")?;
        Ok(CachedBatch { daemon: self, lines: Vec::new() })
    }

    fn definition(&mut self, path: &Path) -> Result<Definition, SeriesError> {
        let (_, lines) = self.ask(path, &format!("INFO {}", quoted(path)))?;
        let info: HashMap<String, InfoValue> = lines.iter().filter_map(|line| info_line(line)).collect();
        Definition::from_info(&info)
            .ok_or_else(|| self.refused(path, "the structure that it tells makes no sense".into()))
    }

    /// Has the daemon create the file, so that it is the daemon's own; where it can't, by ourselves.
    fn create(&mut self, spec: &SeriesSpec, first: i64, unknown: &str) -> Result<Definition, SeriesError> {
        let is_here = self.address.starts_with("unix:");
        if let Some(folder) = spec.path.parent().filter(|_| is_here) {
            // If this fails, the daemon says so.
            let _ = fs::create_dir_all(folder);
        }
        let line = create_line(spec, first);
        let created = match line.len() <= LINE_BYTES_MAX {
            true => self.ask(&spec.path, &line).map(|_| ()),
            false => Err(self.refused(&spec.path, "the series has too many fields for rrdcached to create it".into())),
        };
        match created {
            Err(SeriesError::Daemon { .. }) if spec.path.exists() => Err(self.refused(&spec.path, unknown.to_owned())),
            Err(SeriesError::Daemon { .. }) if is_here => SeriesFile::open(spec, first).map(|_| ()),
            created => created,
        }?;
        self.definition(&spec.path)
    }

    /// One line and its answer: the text beside the count, and so many lines.
    fn ask(&mut self, path: &Path, line: &str) -> Result<(String, Vec<String>), SeriesError> {
        self.send(line.as_bytes())?;
        self.answer(path)
    }

    fn send(&mut self, line: &[u8]) -> Result<(), SeriesError> {
        let written = self.requests.write_all(line).and_then(|()| self.requests.write_all(b"\n"));
        written.map_err(|error| self.lost(error))
    }

    fn answer(&mut self, path: &Path) -> Result<(String, Vec<String>), SeriesError> {
        self.requests.flush().map_err(|error| self.lost(error))?;
        let status = self.line()?;
        let (count, text) = status.split_once(' ').unwrap_or((status.as_str(), ""));
        match count.parse::<i64>() {
            Ok(count) if count < 0 => Err(self.refused(path, text.to_owned())),
            Ok(count) if count as u64 <= ANSWER_LINES_MAX as u64 => {
                let lines = (0..count).map(|_| self.line()).collect::<Result<Vec<_>, _>>()?;
                Ok((text.to_owned(), lines))
            }
            _ => Err(self.lost(io::Error::new(io::ErrorKind::InvalidData, "the answer is none of rrdcached's"))),
        }
    }

    fn line(&mut self) -> Result<String, SeriesError> {
        let mut line = Vec::new();
        let read = self.answers.by_ref().take(ANSWER_BYTES_MAX).read_until(b'\n', &mut line);
        match read {
            Ok(_) if line.ends_with(b"\n") => Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Ok(_) => Err(self.lost(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(self.lost(error)),
        }
    }

    fn lost(&self, error: io::Error) -> SeriesError {
        let error = match error.kind() {
            // What a time-out of a socket is called.
            io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "it does not answer"),
            _ => error,
        };
        SeriesError::system("reach rrdcached at", Path::new(&self.address))(error)
    }

    fn refused(&self, path: &Path, text: String) -> SeriesError {
        SeriesError::Daemon { path: path.to_owned(), address: self.address.clone(), text }
    }
}

impl CachedSeries {
    /// What it was opened with.
    pub fn spec(&self) -> &SeriesSpec {
        &self.layout.spec
    }
}

impl CachedBatch<'_> {
    /// Adds samples of a series, oldest first. Late and repeated ones are counted, not sent. `owner` is what
    /// [`CachedBatch::finish`] names the series by.
    ///
    /// # Errors
    /// `System` when the daemon can't be reached, `Invalid` for a sample that makes too long a line.
    pub fn push<'a>(
        &mut self,
        owner: usize,
        series: &mut CachedSeries,
        samples: impl IntoIterator<Item = (i64, &'a [f64])>,
    ) -> Result<Stored, SeriesError> {
        let (mut rows, mut stored) = (Rows::default(), Stored::default());
        for (time, values) in samples {
            series.layout.plan(time, values, &mut rows, &mut stored);
        }
        let start = format!("UPDATE {}", quoted(&series.spec().path));
        let mut line = start.clone();
        let mut sample = String::new();
        for (time, row) in rows.times.iter().zip(rows.data.chunks(series.layout.columns())) {
            sample_text(*time, row, &mut sample);
            if start.len() + sample.len() > LINE_BYTES_MAX {
                let text = "a sample and its path are too long for rrdcached; use fewer fields";
                return Err(SeriesError::invalid(&series.spec().path, text));
            }
            if line.len() + sample.len() > LINE_BYTES_MAX {
                self.send(owner, &line)?;
                line.truncate(start.len());
            }
            line.push_str(&sample);
        }
        if line.len() > start.len() {
            self.send(owner, &line)?;
        }
        Ok(stored)
    }

    fn send(&mut self, owner: usize, line: &str) -> Result<(), SeriesError> {
        self.lines.push(owner);
        self.daemon.send(line.as_bytes())
    }

    /// Ends the batch. Returns the owners whose samples were not all taken, and the daemon's reason; once each.
    ///
    /// # Errors
    /// `System` when the daemon can't be reached: nothing is known of any of the samples.
    pub fn finish(self) -> Result<Vec<(usize, String)>, SeriesError> {
        self.daemon.send(b".")?;
        let (_, lines) = self.daemon.answer(Path::new("a batch"))?;
        let mut refused: Vec<(usize, String)> = Vec::new();
        for line in lines {
            let (number, text) = line.split_once(' ').unwrap_or((line.as_str(), ""));
            // Lines are counted from 1.
            let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let Some(owner) = index.and_then(|index| self.lines.get(index)) else { continue };
            // Lines of one series follow each other.
            if refused.last().is_none_or(|(last, _)| last != owner) {
                refused.push((*owner, text.to_owned()));
            }
        }
        Ok(refused)
    }
}

impl Stream {
    fn connect(address: &str) -> io::Result<Self> {
        if let Some(path) = address.strip_prefix("unix:") {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(ANSWER_MAX))?;
            stream.set_write_timeout(Some(ANSWER_MAX))?;
            return Ok(Stream::Unix(stream));
        }
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_MAX) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(ANSWER_MAX))?;
                    stream.set_write_timeout(Some(ANSWER_MAX))?;
                    stream.set_nodelay(true)?;
                    return Ok(Stream::Tcp(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Stream::Unix(stream) => stream.try_clone().map(Stream::Unix),
            Stream::Tcp(stream) => stream.try_clone().map(Stream::Tcp),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.read(bytes),
            Stream::Tcp(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A path as one word of a line. Line breaks were refused when the series was declared; no other path ends a line.
fn quoted(path: &Path) -> String {
    let mut word = String::new();
    for letter in path.to_string_lossy().chars().filter(|letter| !letter.is_control()) {
        if matches!(letter, ' ' | '\\') {
            word.push('\\');
        }
        word.push(letter);
    }
    word
}

/// ` TIME:VALUE:…`, with `U` for unknown.
fn sample_text(time: i64, row: &[Datum], text: &mut String) {
    text.clear();
    // Writing to a text can't fail.
    let _ = write!(text, " {time}");
    for datum in row {
        let _ = match datum {
            Datum::Unspecified => write!(text, ":U"),
            Datum::Int(value) => write!(text, ":{value}"),
            Datum::Float(value) => write!(text, ":{value}"),
        };
    }
}

fn create_line(spec: &SeriesSpec, first: i64) -> String {
    let begin = spec.floor(first).saturating_sub(spec.step()).max(0);
    let mut line = format!("CREATE {} -O -s {} -b {begin}", quoted(&spec.path), spec.step());
    let limit = |limit: Option<f64>| limit.map_or_else(|| "U".to_owned(), |limit| limit.to_string());
    for field in &spec.fields {
        let (name, heartbeat) = (field_name_in_file(&field.name), field.heartbeat_seconds(spec.interval));
        let (kind, min, max) = (field.kind.as_str(), limit(field.min), limit(field.max));
        let _ = write!(line, " DS:{name}:{kind}:{heartbeat}:{min}:{max}");
    }
    let archives = if spec.archives.is_empty() { default_archives() } else { spec.archives.clone() };
    for archive in &archives {
        let way = archive.consolidation.as_str();
        let _ = write!(line, " RRA:{way}:{}:{}:{}", archive.unknown_max, archive.steps, archive.rows);
    }
    line
}

/// A line of INFO: name, kind (0 a number, 1 a count, 2 a text, 3 a whole number) and value.
fn info_line(line: &str) -> Option<(String, InfoValue)> {
    let (name, rest) = line.split_once(' ')?;
    let (kind, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let value = match kind {
        "0" => InfoValue::Value(value.parse().ok()?),
        "1" => InfoValue::Count(value.parse().ok()?),
        "2" => InfoValue::String(value.to_owned()),
        "3" => InfoValue::Int(value.parse().ok()?),
        _ => return None,
    };
    Some((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeseries::{FieldSpec, FieldType};

    #[test]
    fn a_series_is_created_as_one_line_whatever_its_path() {
        let mut field = FieldSpec::new("bytes in", FieldType::Derive);
        field.min = Some(0.0);
        let path = "/a b\\c/\u{1}'\"$(id);x.rrd";
        let archives = vec![crate::timeseries::Archive::new(crate::timeseries::Consolidation::Max, 2, 3)];
        let spec = SeriesSpec { archives, ..SeriesSpec::new(path, Duration::from_secs(5), vec![field]) };
        let name = field_name_in_file("bytes in");
        let expected =
            format!("CREATE /a\\ b\\\\c/'\"$(id);x.rrd -O -s 5 -b 95 DS:{name}:DERIVE:120:0:U RRA:MAX:0.5:2:3");
        assert_eq!(create_line(&spec, 101), expected);
    }

    #[test]
    fn a_structure_is_read_from_its_lines() {
        let lines = [
            "filename 2 /a b.rrd",
            "step 1 5",
            "last_update 1 1700000100",
            "ds[x].index 1 0",
            "ds[x].type 2 GAUGE",
            "ds[x].minimal_heartbeat 1 120",
            "ds[x].min 0 NaN",
            "ds[x].max 0 1.0000000000e+02",
            "ds[x].last_ds 2 U",
            "rra[0].cf 2 AVERAGE",
            "rra[0].rows 1 10",
            "rra[0].pdp_per_row 1 1",
            "rra[0].xff 0 5.0000000000e-01",
            "",
            "x 4 blob",
        ];
        let info = lines.iter().filter_map(|line| info_line(line)).collect();
        let definition = Definition::from_info(&info).unwrap();
        assert_eq!(
            (definition.step, definition.last_update, definition.columns[0].max),
            (5, 1_700_000_100, Some(100.0))
        );
        assert_eq!((definition.columns[0].min, definition.archives[0].rows), (None, 10));
    }
}
