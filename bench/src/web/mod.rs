//! The web server beside nginx with its Lua module: one worker each, on one core, with the load from the other one.

mod load;
mod peers;
mod site;

use crate::Outcome;
use crate::program::memory;
use crate::rounds::{Pairs, in_turns, median};
use crate::table::{Row, Target, Unit};
use load::Load;
use site::Served;

const ROUNDS: usize = 7;

const STARTS: usize = 21;

/// What is asked for of both, and how much of the peer's rate ours should be.
const ASKED: [(&str, Load, f64); 6] = [
    ("a Lua page with one argument, as JSON", Load::get("/json?name=world"), 0.6),
    ("a Lua page with one argument, as text", Load::get("/text?name=world"), 0.6),
    ("a Lua page with a template and 20 rows", Load::get("/rows"), 0.6),
    ("a static file of 1 KiB", Load::get("/small.bin"), 0.7),
    ("a static file of 100 KiB", Load::get("/large.bin"), 0.5),
    ("an RPC that increments a counter", Load::post("/rpc/press"), 0.5),
];

/// As `ASKED`, beside a process for each request.
const PYTHON: (&str, Load, f64) = ("a Python page", Load::get("/python?name=world").few(), 10.0);

/// The rows.
pub(crate) fn rows() -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    site::write(folder.path())?;
    let ours = Served::start(folder.path())?;
    let idle = memory(ours.pid(), "VmRSS")?;
    let nginx = peers::nginx(folder.path())?;
    let mut rows = Vec::new();
    for (what, load, target) in ASKED {
        rows.extend(beside(what, &load, (ours.port(), nginx.port()), ("nginx with Lua", target))?);
    }
    let lighttpd = peers::lighttpd(folder.path())?;
    let (what, load, target) = PYTHON;
    rows.extend(beside(what, &load, (ours.port(), lighttpd.port()), ("the same as CGI, lighttpd", target))?);
    rows.push(Row::alone("memory of the server after all that", Unit::Megabytes, ours.memory()?, Target::Shown));
    drop((ours, nginx, lighttpd));
    rows.push(Row::alone("memory of an idle server, one page seen", Unit::Megabytes, idle, Target::AtMost(30e6)));
    let starts = (0..STARTS).map(|_| Served::start_to_answer(folder.path())).collect::<Outcome<Vec<f64>>>()?;
    rows.push(Row::alone(
        "start to the first answered request",
        Unit::Milliseconds,
        median(&starts),
        Target::AtMost(0.1),
    ));
    Ok(rows)
}

/// The rate and the 99th percentile of the time to an answer. Both sides must give the same first.
fn beside(what: &str, load: &Load, ports: (u16, u16), (peer, target): (&str, f64)) -> Outcome<Vec<Row>> {
    let (ours, theirs) = (load.once(ports.0)?, load.once(ports.1)?);
    if ours != theirs {
        let (ours, theirs) = (String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
        return Err(format!("{what} is not the same: {ours}\nand {theirs}").into());
    }
    let (mut slow, mut slow_peer) = (Vec::new(), Vec::new());
    let run = |port, slow: &mut Vec<f64>| {
        let measured = load.run(port)?;
        slow.push(measured.slow);
        Ok(measured.rate)
    };
    let rates = in_turns(ROUNDS, || run(ports.0, &mut slow), || run(ports.1, &mut slow_peer))?;
    // Without the first pair, which does not count.
    let slow = Pairs::new(slow.split_off(1), slow_peer.split_off(1));
    Ok(vec![
        Row::beside(what, peer, Unit::PerSecond("requests"), &rates, Target::AtLeast(target)),
        Row::beside("… time to an answer, p99", peer, Unit::Microseconds, &slow, Target::Shown),
    ])
}
