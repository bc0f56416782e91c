//! As much as it can answer, while its scripts are edited and its file is loaded again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::client::Client;
use super::{clients, long_or_short, memory, serving};
use crate::support::{Run, Running};

/// What the clients know: the version that every answer must at least have, and when to end.
#[derive(Default)]
struct Known {
    version: AtomicU64,
    is_over: AtomicBool,
    answers: AtomicU64,
}

fn page(version: u64) -> String {
    format!("function ProcessBlock() return {{version = {version}}} end")
}

fn template(version: u64) -> String {
    format!("{{{{ version }}}} {version}\n")
}

#[test]
fn soak_no_request_fails_at_full_load_while_scripts_are_edited_and_the_file_reloaded() {
    let run = Run::bare()
        .file("site/pages/json.lua", &page(0))
        .file("site/pages/filled.lua", &page(0))
        .file("site/templates/filled.html", &template(0))
        .file("site/static/file.txt", "0")
        .file("site/rpc/press.lua", "function ProcessBlock() return {n = unidist.sharedcounter.increment('n')} end");
    let (running, web) = serving(run, "");
    let known = Arc::<Known>::default();
    let length = long_or_short(Duration::from_secs(60), Duration::from_secs(4));
    clients().block_on(async {
        let askers: Vec<_> = (0..16).map(|_| tokio::spawn(ask(web.address.clone(), Arc::clone(&known)))).collect();
        let (early, late) = edit(&running, &known, length).await;
        known.is_over.store(true, Ordering::Relaxed);
        for asker in askers {
            asker.await.unwrap();
        }
        assert!(known.answers.load(Ordering::Relaxed) > 1000, "{} answers", known.answers.load(Ordering::Relaxed));
        assert!(late <= early + early / 10 + 4_000, "{early} kB grew to {late} kB");
    });
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(!ended.stderr.contains("level\":\"error"), "{ended}");
}

/// Asks for everything in turn; each answer has the version of before it was asked for, or a later one.
async fn ask(address: String, known: Arc<Known>) {
    let mut client = Client::connect(&address).await;
    while !known.is_over.load(Ordering::Relaxed) {
        for path in ["/json", "/filled", "/file.txt"] {
            let before = known.version.load(Ordering::SeqCst);
            let answer = client.get(path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            let number = |text: &str| text.trim().parse::<u64>().unwrap();
            let versions: Vec<u64> = match path {
                "/json" => vec![number(answer.body.trim_matches(|sign: char| !sign.is_ascii_digit()))],
                _ => answer.body.split_whitespace().map(number).collect(),
            };
            assert!(versions.iter().all(|version| *version >= before), "{path}: {versions:?}, {before} was written");
        }
        let answer = client.post("/rpc/press", "{}").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        known.answers.fetch_add(4, Ordering::Relaxed);
    }
}

/// Edits until the time is over; the memory at the sixth part of it, and at its end.
async fn edit(running: &Running, known: &Known, length: Duration) -> (u64, u64) {
    let began = Instant::now();
    let mut early = None;
    let mut version = 0;
    while began.elapsed() < length {
        version += 1;
        for (name, text) in [
            ("site/pages/json.lua", page(version)),
            ("site/pages/filled.lua", page(version)),
            ("site/templates/filled.html", template(version)),
            ("site/static/file.txt", version.to_string()),
        ] {
            replace(&running.path(name), &text);
        }
        known.version.store(version, Ordering::SeqCst);
        if version % 5 == 0 {
            let block = format!("data: {{edition: {version}}}\nserve:\n  folder: site\n  port: 0\n");
            replace(&running.path("load.yaml"), &block);
            running.signal(Signal::SIGHUP);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
        if began.elapsed() > length / 6 {
            early.get_or_insert_with(|| memory(running));
        }
    }
    (early.unwrap(), memory(running))
}

/// As editors do: beside it, then in its place.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}
