//! How fast samples are stored, beside rrdcached and `rrdtool update`, in one run: rates and ratios.
//!
//! `cargo run --release -p procblock --features series --example series_speed [FILES] [SAMPLES] [ROUNDS]`, by default
//! 1,000 files of 300 samples each, given in the order of time, five rounds in turn, of which the median counts. Ours is
//! timed until every sample is in its file. rrdcached is timed twice: until its BATCH is acknowledged, when samples are
//! in its memory, and until FLUSH has written them. `rrdtool update` is timed on fewer samples, a process each.

#![expect(clippy::print_stdout, reason = "its output is the result")]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use procblock::series::{Series, SeriesClient};
use unidist::timeseries::{Archive, Consolidation, FieldSpec, SeriesSpec};

type Outcome<T> = Result<T, Box<dyn Error>>;

const START: i64 = 1_700_000_100;

/// A process a sample is slow: so many are enough.
const FORKED: usize = 300;

struct Size {
    files: usize,
    samples: usize,
    rounds: usize,
}

impl Size {
    /// The times of a round's samples.
    fn times(&self, round: usize) -> impl Iterator<Item = i64> {
        let first = round * self.samples + 1;
        (first..first + self.samples).map(|index| START + index as i64 * 5)
    }
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let size = Size { files: number(1_000)?, samples: number(300)?, rounds: number(5)? };
    let folder = std::env::temp_dir().join(format!("series-speed-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let result = compare(&folder, &size);
    fs::remove_dir_all(&folder)?;
    result
}

fn compare(folder: &Path, size: &Size) -> Outcome<()> {
    println!(
        "{} files, {} samples each, given in the order of time, median of {}",
        size.files, size.samples, size.rounds
    );
    let ours = Ours::start(&folder.join("ours"), size)?;
    let mut daemon = Daemon::start(&folder.join("rrdcached"), size)?;
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..size.rounds {
        let (batch, written) = daemon.round(round, size)?;
        for (rates, rate) in rates.iter_mut().zip([ours.round(round, size)?, batch, written]) {
            rates.push(rate);
        }
    }
    ours.end(size)?;
    let [ours, batch, written] = rates.map(median);
    show("procblock-series, in the files", ours, ours);
    show("rrdcached BATCH, in its memory", batch, ours);
    show("rrdcached BATCH and FLUSH, in the files", written, ours);
    show("rrdtool update, a process each", forked(&folder.join("forked"))?, ours);
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

fn show(name: &str, rate: f64, ours: f64) {
    println!("{name:44} {rate:>12.0} samples/s   ours is {:.2} times that", ours / rate);
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn rate(samples: usize, since: Instant) -> f64 {
    samples as f64 / since.elapsed().as_secs_f64()
}

struct Ours {
    client: SeriesClient,
    series: Vec<Series>,
    runtime: tokio::runtime::Runtime,
}

impl Ours {
    fn start(folder: &Path, size: &Size) -> Outcome<Self> {
        let executable = std::env::current_exe()?;
        let target = executable.parent().and_then(Path::parent).ok_or("no target folder")?;
        let client = SeriesClient::new(target.join("procblock-series"));
        let archives = vec![Archive::new(Consolidation::Average, 1, 1_000)];
        let spec = |file: usize| SeriesSpec {
            archives: archives.clone(),
            ..SeriesSpec::new(folder.join(format!("{file}.rrd")), Duration::from_secs(5), vec![FieldSpec::gauge("n")])
        };
        let series = (0..size.files).map(|file| client.declare(spec(file))).collect::<Result<Vec<_>, _>>()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ours = Ours { client, series, runtime };
        // The files are there, as they are for the others.
        ours.store([START].into_iter())?;
        Ok(ours)
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of a benchmark")]
    fn store(&self, times: impl Iterator<Item = i64>) -> Outcome<()> {
        for time in times {
            for series in &self.series {
                self.client.store(series, time as f64, &[(time / 5 % 1_000) as f64]);
            }
        }
        Ok(self.runtime.block_on(self.client.flush())?)
    }

    fn round(&self, round: usize, size: &Size) -> Outcome<f64> {
        let start = Instant::now();
        self.store(size.times(round))?;
        Ok(rate(size.files * size.samples, start))
    }

    fn end(self, size: &Size) -> Outcome<()> {
        let totals = self.client.totals();
        if totals.stored != (size.files * (size.samples * size.rounds + 1)) as u64 {
            return Err(format!("not everything was stored: {totals:?}").into());
        }
        self.runtime.block_on(self.client.shutdown(Duration::from_secs(60)));
        Ok(())
    }
}

fn create(folder: &Path, files: usize) -> Outcome<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let paths: Vec<PathBuf> = (0..files).map(|file| folder.join(format!("{file}.rrd"))).collect();
    for path in &paths {
        let options = ["--step", "5", "--start", &START.to_string(), "DS:n:GAUGE:120:U:U", "RRA:AVERAGE:0.5:1:1000"];
        run(Command::new("rrdtool").arg("create").arg(path).args(options))?;
    }
    Ok(paths)
}

fn run(command: &mut Command) -> Outcome<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}

struct Daemon {
    paths: Vec<PathBuf>,
    child: Child,
    answers: BufReader<UnixStream>,
    requests: BufWriter<UnixStream>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    fn start(folder: &Path, size: &Size) -> Outcome<Self> {
        let paths = create(folder, size.files)?;
        let socket = folder.join("socket");
        let child = Command::new("rrdcached")
            .arg("-g")
            .arg("-l")
            .arg(format!("unix:{}", socket.display()))
            .arg("-p")
            .arg(folder.join("pid"))
            .args(["-w", "3600", "-f", "7200", "-b"])
            .arg(folder)
            .stderr(Stdio::null())
            .spawn()?;
        let deadline = Instant::now() + Duration::from_secs(10);
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => std::thread::park_timeout(Duration::from_millis(10)),
            }
        };
        let answers = BufReader::new(stream.try_clone()?);
        Ok(Daemon { paths, child, answers, requests: BufWriter::with_capacity(1 << 16, stream) })
    }

    fn answer(&mut self) -> Outcome<()> {
        self.requests.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.starts_with("0 ") { Ok(()) } else { Err(format!("rrdcached answered {line:?}").into()) }
    }

    /// The rates until the batch is acknowledged, and until it is written.
    fn round(&mut self, round: usize, size: &Size) -> Outcome<(f64, f64)> {
        let samples = self.paths.len() * size.samples;
        let start = Instant::now();
        self.requests.write_all(b"BATCH\n")?;
        self.answer()?;
        for time in size.times(round) {
            let sample = format!(" {time}:{}\n", time / 5 % 1_000);
            for path in &self.paths {
                self.requests.write_all(b"UPDATE ")?;
                self.requests.write_all(path.as_os_str().as_bytes())?;
                self.requests.write_all(sample.as_bytes())?;
            }
        }
        self.requests.write_all(b".\n")?;
        self.answer()?;
        let acknowledged = rate(samples, start);
        self.requests.write_all(b"FLUSHALL\n")?;
        self.answer()?;
        // FLUSHALL only starts it; a FLUSH of each file waits for it.
        for path in self.paths.clone() {
            writeln!(self.requests, "FLUSH {}", path.display())?;
            self.answer()?;
        }
        Ok((acknowledged, rate(samples, start)))
    }
}

fn forked(folder: &Path) -> Outcome<f64> {
    let paths = create(folder, 1)?;
    let path = paths.first().ok_or("no file")?;
    let start = Instant::now();
    for round in 1..=FORKED {
        let sample = format!("{}:{round}", START + i64::try_from(round)? * 5);
        run(Command::new("rrdtool").arg("update").arg(path).arg(sample))?;
    }
    Ok(rate(FORKED, start))
}
