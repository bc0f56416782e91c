//! How fast samples are stored, beside rrdcached and `rrdtool update`.
//!
//! The samples are given in the order of time. Ours is timed until every sample is in its file. rrdcached is timed
//! twice: until its BATCH is acknowledged, when samples are in its memory, and until they are written. `rrdtool
//! update` is timed on fewer samples, a process each.

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use procblock::series::SeriesClient;
use unidist::timeseries::{Archive, Consolidation, FieldSpec, SeriesSpec};

use crate::Outcome;
use crate::program::beside;
use crate::rounds::Pairs;
use crate::table::{Row, Target, Unit};

const START: i64 = 1_700_000_100;

/// A process a sample is slow: so many are enough.
const FORKED: usize = 300;

/// A tenth of a second each: one alone would say more about the machine's other load.
const ROUNDS: usize = 9;

/// Rounds with `rrdtool update`, which takes a second each.
const FORKED_ROUNDS: usize = 3;

struct Size {
    files: usize,
    samples: usize,
}

const SIZE: Size = Size { files: 1_000, samples: 300 };

/// The rows.
pub(crate) fn rows() -> Outcome<Vec<Row>> {
    let (mut ours_rates, mut batch, mut written, mut forked_rates) = (vec![], vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        let folder = tempfile::tempdir()?;
        ours_rates.push(ours(&folder.path().join("ours"), &SIZE)?);
        let (acknowledged, flushed) = rrdcached(&folder.path().join("rrdcached"), &SIZE)?;
        batch.push(acknowledged);
        written.push(flushed);
        if round < FORKED_ROUNDS {
            forked_rates.push(forked(&folder.path().join("forked"))?);
        }
    }
    let row = |peer: &str, rates: Vec<f64>, target| {
        let what = "samples stored, 1,000 files, until written";
        Row::beside(what, peer, Unit::PerSecond("samples"), &Pairs::new(ours_rates.clone(), rates), target)
    };
    Ok(vec![
        row("rrdcached BATCH, until acknowledged", batch, Target::AtLeast(1.0)),
        row("rrdcached BATCH, until written", written, Target::Shown),
        row("rrdtool update, a process each", forked_rates, Target::AtLeast(20.0)),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn rate(samples: usize, since: Instant) -> f64 {
    samples as f64 / since.elapsed().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn ours(folder: &Path, size: &Size) -> Outcome<f64> {
    let client = SeriesClient::new(beside("procblock-series")?);
    let archives = vec![Archive::new(Consolidation::Average, 1, 1_000)];
    let spec = |file: usize| SeriesSpec {
        archives: archives.clone(),
        ..SeriesSpec::new(folder.join(format!("{file}.rrd")), Duration::from_secs(5), vec![FieldSpec::gauge("n")])
    };
    let series = (0..size.files).map(|file| client.declare(spec(file))).collect::<Result<Vec<_>, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let store = |round: usize| {
        for series in &series {
            client.store(series, (START + round as i64 * 5) as f64, &[round as f64]);
        }
    };
    // The files are there, as they are for the others.
    store(0);
    runtime.block_on(client.flush())?;
    let start = Instant::now();
    (1..=size.samples).for_each(store);
    runtime.block_on(client.flush())?;
    let rate = rate(size.files * size.samples, start);
    let totals = client.totals();
    if totals.stored != (size.files * (size.samples + 1)) as u64 {
        return Err(format!("not everything was stored: {totals:?}").into());
    }
    runtime.block_on(client.shutdown(Duration::from_secs(60)));
    Ok(rate)
}

fn create(folder: &Path, files: usize) -> Outcome<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let paths: Vec<PathBuf> = (0..files).map(|file| folder.join(format!("{file}.rrd"))).collect();
    let mut rrdtool = Command::new("rrdtool").arg("-").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut requests = rrdtool.stdin.take().ok_or("rrdtool has no standard input")?;
    for path in &paths {
        let path = path.display();
        writeln!(requests, "create {path} --step 5 --start {START} DS:n:GAUGE:120:U:U RRA:AVERAGE:0.5:1:1000")?;
    }
    drop(requests);
    rrdtool.wait()?;
    if let Some(missing) = paths.iter().find(|path| !path.is_file()) {
        return Err(format!("rrdtool did not create {}", missing.display()).into());
    }
    Ok(paths)
}

fn run(command: &mut Command) -> Outcome<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}

/// The rates until the batch is acknowledged, and until it is written.
fn rrdcached(folder: &Path, size: &Size) -> Outcome<(f64, f64)> {
    let paths = create(folder, size.files)?;
    let socket = folder.join("socket");
    let mut daemon = Command::new("rrdcached")
        .arg("-g")
        .arg("-l")
        .arg(format!("unix:{}", socket.display()))
        .arg("-p")
        .arg(folder.join("pid"))
        .args(["-w", "3600", "-f", "7200", "-b"])
        .arg(folder)
        .stderr(Stdio::null())
        .spawn()?;
    let rates = batch(&socket, &paths, size);
    end(&mut daemon)?;
    rates
}

fn end(daemon: &mut Child) -> Outcome<()> {
    daemon.kill()?;
    daemon.wait()?;
    Ok(())
}

fn batch(socket: &Path, paths: &[PathBuf], size: &Size) -> Outcome<(f64, f64)> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let stream = loop {
        match UnixStream::connect(socket) {
            Ok(stream) => break stream,
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => std::thread::park_timeout(Duration::from_millis(10)),
        }
    };
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut requests = BufWriter::with_capacity(1 << 16, stream);
    let mut answer = |expected: &str| -> Outcome<()> {
        let mut line = String::new();
        answers.read_line(&mut line)?;
        if line.starts_with(expected) { Ok(()) } else { Err(format!("rrdcached answered {line:?}").into()) }
    };
    let samples = paths.len() * size.samples;
    let start = Instant::now();
    requests.write_all(b"BATCH\n")?;
    requests.flush()?;
    answer("0 ")?;
    for round in 1..=size.samples {
        for path in paths {
            writeln!(requests, "UPDATE {} {}:{round}", path.display(), START + i64::try_from(round)? * 5)?;
        }
    }
    requests.write_all(b".\n")?;
    requests.flush()?;
    answer("0 ")?;
    let acknowledged = rate(samples, start);
    requests.write_all(b"FLUSHALL\n")?;
    requests.flush()?;
    answer("0 ")?;
    // FLUSHALL only starts it; a FLUSH of each file waits for it.
    for path in paths {
        writeln!(requests, "FLUSH {}", path.display())?;
        requests.flush()?;
        answer("0 ")?;
    }
    Ok((acknowledged, rate(samples, start)))
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
