//! The command `procblock-series`: the only program of the project that links librrd.
//!
//! procblock starts it with a socket as standard input and output and asks it to store, read and draw; see
//! `procblock::series`. It is nothing to be run by hand. It ends when its input does, after everything it was given
//! is stored; signals of a terminal or a service manager are for procblock, which then closes the input.

mod daemons;
mod service;
mod store;

use std::io::{BufReader, BufWriter, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Each sample is a few short texts on its way into librrd: glibc's allocator takes a fifth of that time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::io::stdin().is_terminal() || std::env::args_os().len() > 1 {
        eprintln!("procblock-series: started by procblock itself; run `procblock FILE.yaml` instead");
        return ExitCode::from(2);
    }
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // A flag nobody reads: the signal is taken and nothing happens.
        if let Err(error) = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))) {
            eprintln!("procblock-series: cannot ignore signal {signal}: {error}");
        }
    }
    let input = BufReader::with_capacity(1 << 16, std::io::stdin().lock());
    let output = BufWriter::new(std::io::stdout().lock());
    match service::run(input, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("procblock-series: {error}");
            ExitCode::FAILURE
        }
    }
}
