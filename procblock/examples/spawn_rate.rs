//! How fast `/bin/true` is run through the keeper, beside a bare spawn-and-wait loop in the same process.
//!
//! `cargo run --release --example spawn_rate [RUNS] [MEGABYTES RESIDENT]` prints both rates and their ratio.

use std::io::Write;
use std::process::{Command as Bare, ExitCode, Stdio};
use std::time::{Duration, Instant};

use procblock::process::{Command, Keeper};
use unidist::Stop;

/// The two are measured in turns, so that the machine's other load meets both.
const TURNS: u32 = 10;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    if let Some(code) = procblock::process::internal_command() {
        return Ok(code);
    }
    let mut arguments = std::env::args().skip(1);
    let runs: u32 = arguments.next().map_or(Ok(2000), |text| text.parse())?;
    let megabytes: usize = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let resident = vec![1_u8; megabytes << 20];
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (bare, kept) = runtime.block_on(async move { tokio::spawn(measure(runs)).await })??;
    let rate = |time: Duration| f64::from(runs / TURNS * TURNS) / time.as_secs_f64();
    let mut out = std::io::stdout();
    writeln!(out, "bare   {:8.0} runs/s", rate(bare))?;
    writeln!(out, "keeper {:8.0} runs/s", rate(kept))?;
    writeln!(out, "ratio  {:8.2} with {} MB resident", rate(kept) / rate(bare), resident.len() >> 20)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(runs: u32) -> Result<(Duration, Duration), String> {
    let keeper = Keeper::new("/proc/self/exe".into());
    let stop = Stop::new();
    let command = || Command { folder: "/".into(), ..Command::new(["/bin/true"]) };
    keeper.run(command(), &stop).await.map_err(|error| error.to_string())?;
    let (mut bare, mut kept) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..TURNS {
        let begun = Instant::now();
        for _ in 0..runs / TURNS {
            let mut child = Bare::new("/bin/true");
            child.stdin(Stdio::null()).status().map_err(|error| error.to_string())?;
        }
        bare += begun.elapsed();
        let begun = Instant::now();
        for _ in 0..runs / TURNS {
            keeper.run(command(), &stop).await.map_err(|error| error.to_string())?;
        }
        kept += begun.elapsed();
    }
    keeper.shutdown().await;
    Ok((bare, kept))
}
