//! Counters of another process through its socket, beside redis with one client on its own socket.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use unidist::Unidist;

use crate::Outcome;
use crate::program::{Staying, beside, procblock, seconds};
use crate::rounds::in_turns;
use crate::table::{Row, Target, Unit};

const ROUNDS: usize = 9;

/// Increments of one round: about a second of them.
const IN_MEMORY: u32 = 20_000;

const ON_DISK: u32 = 2_000;

const COMMANDS: usize = 51;

/// The rows.
pub(crate) fn rows() -> Outcome<Vec<Row>> {
    let memory = through_sockets(Kept::InMemory)?;
    let disk = through_sockets(Kept::OnDisk)?;
    Ok([memory, disk, commands()?].into_iter().flatten().collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    InMemory,
    OnDisk,
}

/// One client of an instance, as a store of the library and by lines of its own, beside one client of redis.
fn through_sockets(kept: Kept) -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let instance = Instance::start(folder.path(), kept)?;
    let redis = Redis::start(folder.path(), kept)?;
    let store = Unidist::open(&format!("node:unix:{}", instance.socket))?;
    let mut lines = Lines::connect(&instance.socket)?;
    lines.hello()?;
    let mut peer = Lines::connect(&redis.socket)?;
    let (count, what, with) = match kept {
        Kept::InMemory => (IN_MEMORY, "in memory", "redis INCR, no persistence"),
        Kept::OnDisk => (ON_DISK, "each on disk", "redis INCR, appendfsync always"),
    };
    let library = in_turns(
        ROUNDS,
        || rate(count, || store.sharedcounter().increment("bench", 1).map(drop).map_err(Into::into)),
        || rate(count, || peer.exchange(INCR)),
    )?;
    let by_name =
        in_turns(ROUNDS, || rate(count, || lines.exchange(INCREMENT)), || rate(count, || peer.exchange(INCR)))?;
    let unit = Unit::PerSecond("increments");
    let at_least = Target::AtLeast(1.0);
    Ok(vec![
        Row::beside(&format!("a counter of an instance, {what}, `node:unix:`"), with, unit, &library, at_least),
        Row::beside(&format!("the same by name, in lines of JSON, {what}"), with, unit, &by_name, at_least),
    ])
}

/// A command from its start to its end.
fn commands() -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let instance = Instance::start(folder.path(), Kept::InMemory)?;
    let redis = Redis::start(folder.path(), Kept::InMemory)?;
    let program = beside("procblock")?;
    let increment = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.env("XDG_RUNTIME_DIR", folder.path()).args(["counter", "increment", "bench"]).args(words);
        seconds(command.stdin(Stdio::null()).stdout(Stdio::null()))
    };
    let of_instance = in_turns(
        COMMANDS,
        || increment(&[]),
        || {
            let mut command = Command::new("redis-cli");
            seconds(command.args(["-s", &redis.socket, "INCR", "bench"]).stdin(Stdio::null()).stdout(Stdio::null()))
        },
    )?;
    let store = format!("file:{}", folder.path().join("store").display());
    let of_store = in_turns(COMMANDS, || increment(&["--unidist", &store]), || increment(&[]))?;
    drop(instance);
    let (what, peer) = ("`procblock counter increment x`, start to end", "redis-cli INCR");
    let at_most = Target::AtMost(0.010);
    Ok(vec![
        Row::beside(what, peer, Unit::Milliseconds, &of_instance, Target::Shown),
        Row::alone("the same alone", Unit::Milliseconds, of_instance.ours(), at_most),
        Row::alone(
            "the same with `--unidist file:FOLDER` that nobody has open",
            Unit::Milliseconds,
            of_store.ours(),
            at_most,
        ),
    ])
}

/// How often a second `act` is done.
fn rate(count: u32, mut act: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let begun = Instant::now();
    for _ in 0..count {
        act()?;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

const INCR: &[u8] = b"*2\r\n$4\r\nINCR\r\n$5\r\nbench\r\n";

const INCREMENT: &[u8] = b"{\"id\":1,\"call\":\"sharedcounter.increment\",\"args\":[\"bench\"]}\n";

/// A client that writes a request and reads a line.
struct Lines {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
    line: Vec<u8>,
}

impl Lines {
    fn connect(socket: &str) -> Outcome<Self> {
        let writer = UnixStream::connect(socket)?;
        let reader = BufReader::new(writer.try_clone()?);
        Ok(Lines { writer, reader, line: Vec::new() })
    }

    fn hello(&mut self) -> Outcome<()> {
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line)?;
        Ok(())
    }

    fn exchange(&mut self, request: &[u8]) -> Outcome<()> {
        self.writer.write_all(request)?;
        self.hello()?;
        let is_error = self.line.starts_with(b"-") || self.line.windows(8).any(|window| window == b"\"error\":");
        if is_error { Err(String::from_utf8_lossy(&self.line).into_owned().into()) } else { Ok(()) }
    }
}

/// A running file with the store to measure.
struct Instance {
    socket: String,
    _running: Staying,
}

impl Instance {
    fn start(folder: &Path, kept: Kept) -> Outcome<Self> {
        let url = match kept {
            Kept::InMemory => "memory:",
            Kept::OnDisk => "file:kept",
        };
        let file = folder.join("bench.yaml");
        fs::write(&file, format!("__usage: {{longrunning: true, unidist: '{url}'}}\nrun: [{{set: {{n: 1}}}}]\n"))?;
        let mut running = Staying::start(procblock(&file)?.env("XDG_RUNTIME_DIR", folder))?;
        let socket = folder.join("procblock/bench.sock");
        running.wait_for("its socket", || UnixStream::connect(&socket).ok())?;
        Ok(Instance { socket: socket.display().to_string(), _running: running })
    }
}

struct Redis {
    socket: String,
    _running: Staying,
}

impl Redis {
    fn start(folder: &Path, kept: Kept) -> Outcome<Self> {
        let socket = folder.join("redis.sock").display().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--unixsocket", &socket, "--save", "", "--dir"]).arg(folder);
        if kept == Kept::OnDisk {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        let mut running = Staying::start(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
        running.wait_for("redis's socket", || UnixStream::connect(&socket).ok())?;
        Ok(Redis { socket, _running: running })
    }
}
