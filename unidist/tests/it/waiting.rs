//! 1,000 threads that wait for one lock, and memory over a simulated day: in a process of its own, so that nothing else
//! is measured.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use crate::common::{AT_ONCE, seconds, until};
use unidist::{
    AcquireOptions, AddOptions, Error, Failure, HostLocks, LogOptions, QueueOptions, SetOptions, Stop, Unidist,
    VirtualClock,
};

const CHILD: &str = "UNIDIST_TEST_MEASURED";
const WAITERS: usize = 1_000;
/// Long enough that one waiter that spins is seen.
const WATCHED: Duration = Duration::from_secs(2);

/// Runs one test of this binary in a process of its own and returns the JSON in the last line that it prints.
fn measured(test: &str) -> std::io::Result<Value> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--exact", &format!("waiting::{test}"), "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()?;
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}\n{errors}");
    let line = printed.lines().rev().find_map(|line| Some(&line[line.find('{')?..]));
    let figures = line.and_then(|line| serde_json::from_str(line).ok());
    Ok(figures.unwrap_or_else(|| panic!("{printed}\n{errors}")))
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn cpu_time() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).map(|usage| usage.user_time() + usage.system_time());
    usage.map_or(f64::NAN, |time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
}

fn memory() -> std::io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    Ok(pages * 4_096)
}

/// When each waiter had the lock and when it began to give it back, in order.
type Turns = Arc<Mutex<Vec<(usize, Instant, Instant)>>>;

/// No rule of its own.
#[test]
fn child_has_a_thousand_wait() {
    if !is_child() {
        return;
    }
    let shared = Unidist::open("memory:").unwrap();
    let stop = Stop::new();
    let guard = shared.sharedlock().acquire("__l", &AcquireOptions::default(), &stop).unwrap();
    let turns: Turns = Arc::default();
    let mut threads = Vec::new();
    for number in 0..WAITERS {
        let (other, turns) = (shared.clone(), turns.clone());
        let wait = move || {
            let guard = other.sharedlock().acquire("__l", &AcquireOptions::default(), &Stop::new()).unwrap();
            let had = Instant::now();
            turns.lock().unwrap().push((number, had, Instant::now()));
            drop(guard);
        };
        threads.push(std::thread::Builder::new().stack_size(128 * 1024).spawn(wait).unwrap());
        until(|| shared.sharedlock().waiting("__l").unwrap() == number + 1);
    }
    let before = cpu_time();
    assert!(!Stop::new().wait(WATCHED));
    let used = (cpu_time() - before) / WATCHED.as_secs_f64();
    drop(guard);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let turns = turns.lock().unwrap();
    let in_order = turns.iter().map(|(number, ..)| *number).eq(0..WAITERS);
    let mut hand_overs: Vec<Duration> = turns.windows(2).map(|pair| pair[1].1 - pair[0].2).collect();
    hand_overs.sort_unstable();
    let p99 = hand_overs[hand_overs.len() * 99 / 100].as_secs_f64();
    println!("{}", json!({"cpu": used, "in_order": in_order, "p99": p99}));
}

#[test]
fn a_thousand_waiters_use_no_cpu_and_are_served_in_order_without_delay() {
    let measured = measured("child_has_a_thousand_wait").unwrap();
    assert!(measured["cpu"].as_f64().unwrap() < 0.01, "{measured}");
    assert_eq!(measured["in_order"], json!(true), "{measured}");
    // Under 1 ms where nothing else runs, which `make bench` measures.
    assert!(measured["p99"].as_f64().unwrap() < 0.25, "{measured}");
}

/// An hour of everything that expires, is trimmed or renewed, a step a minute.
fn live_for_an_hour(shared: &Unidist, clock: &VirtualClock, hour: u64) -> Result<(), Error> {
    let (stop, queues, locks) = (Stop::new(), shared.messagequeue(), shared.sharedlock());
    let leased = AcquireOptions { lease: Some(seconds(90)), wait: AT_ONCE, ..AcquireOptions::default() };
    let lasting = locks.acquire("__lasting", &leased, &stop)?;
    for minute in hour * 60..(hour + 1) * 60 {
        lasting.renew(Some(seconds(90)))?;
        let late = locks.acquire(&format!("__job {minute}"), &leased, &stop)?;
        for number in 0..20 {
            let name = format!("{minute} {number}");
            let options = SetOptions { time_to_live: Some(seconds(300)) };
            shared.sharedstate().set_with("short", &name, json!(name), &options)?;
            shared.sharedstate().set_with(&format!("bucket {name}"), "k", json!(name), &options)?;
            shared.sharedlog().append("log", json!(name))?;
            let delayed = AddOptions { delay: seconds(number * 10), ..AddOptions::default() };
            queues.add("aged", json!(name), &delayed, &stop)?;
            queues.add("failing", json!(name), &AddOptions::default(), &stop)?;
            let claim = queues.claim("failing", seconds(120), AT_ONCE, &stop)?;
            if let Some(claim) = claim.filter(|_| number % 2 == 0) {
                let failure = Failure { reason: "no", delay: seconds(30) };
                queues.fail("failing", &claim.id.to_string(), None, failure)?;
            }
        }
        clock.advance(seconds(60));
        drop(late);
    }
    queues.purge("failing.dead")?;
    lasting.release()
}

/// No rule of its own.
#[test]
fn child_lives_for_a_day() {
    if !is_child() {
        return;
    }
    let clock = Arc::new(VirtualClock::new());
    let shared = Unidist::builder().clock(clock.clone()).host_locks(HostLocks::Off).open("memory:").unwrap();
    let aged = QueueOptions { age_max: Some(seconds(600)), ..QueueOptions::default() };
    shared.messagequeue().configure("aged", aged).unwrap();
    let tried = QueueOptions { attempts_max: Some(2), age_max: Some(seconds(1_800)), ..QueueOptions::default() };
    shared.messagequeue().configure("failing", tried).unwrap();
    shared.sharedlog().configure("log", LogOptions { entries_max: 1_000, ..LogOptions::default() }).unwrap();
    let mut memories = Vec::new();
    for hour in 0..24 {
        live_for_an_hour(&shared, &clock, hour).unwrap();
        memories.push(memory().unwrap());
    }
    clock.advance(seconds(3_600));
    let left = shared.sharedstate().buckets().unwrap().len() + shared.messagequeue().count("aged").unwrap().unwrap();
    println!("{}", json!({"early": memories[3], "late": memories[23], "left": left}));
}

#[test]
fn a_day_of_expiry_trimming_and_renewals_takes_no_more_memory_than_its_first_hours() {
    let measured = measured("child_lives_for_a_day").unwrap();
    let (early, late) = (measured["early"].as_f64().unwrap(), measured["late"].as_f64().unwrap());
    assert!(late < early * 1.1, "{measured}");
    assert_eq!(measured["left"], json!(0), "{measured}");
}
