//! 64 threads that do everything at once: what each was told, taken together, is what the store holds in the end.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::common::{AT_ONCE, Store, each_engine, seconds};
use unidist::{AcquireOptions, AddOptions, Compared, Error, Failure, QueueOptions, Stop, Unidist};

const THREADS: u64 = 64;
const NAMES: u64 = 7;

/// Operations of a thread: `ROUNDS` hundred, or a few.
fn operations() -> u64 {
    std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).map_or(150, |rounds: u64| rounds * 100)
}

/// What the answers to one thread come to. A model that is added up is the same whatever the order.
#[derive(Default)]
struct Tally {
    counted: i64,
    swapped: u64,
    locked: u64,
    added: BTreeSet<u64>,
    done: Vec<u64>,
    dead: u64,
    offsets: Vec<u64>,
    revisions: Vec<u64>,
}

/// Numbers that look random and are the same in each run.
fn next(random: &mut u64) -> u64 {
    // xorshift64 (Marsaglia 2003).
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

struct Worker<'a> {
    shared: &'a Unidist,
    stop: Stop,
    thread: u64,
    random: u64,
    tally: Tally,
}

impl Worker<'_> {
    fn work(mut self) -> Result<Tally, Error> {
        for number in 0..operations() {
            match next(&mut self.random) % 10 {
                0 | 1 => self.count()?,
                2 => self.swap_counter()?,
                3 => self.compare_and_set()?,
                4 => self.set(number)?,
                5 | 6 => self.add(number)?,
                7 | 8 => self.consume()?,
                _ if number.is_multiple_of(4) => self.under_lock()?,
                _ => self.tally.offsets.push(self.shared.sharedlog().append("log", json!(self.thread))?),
            }
        }
        Ok(self.tally)
    }

    fn count(&mut self) -> Result<(), Error> {
        let by = (next(&mut self.random) % 11) as i64 - 5;
        self.shared.sharedcounter().increment(&format!("c{}", self.thread % NAMES), by)?;
        self.tally.counted += by;
        Ok(())
    }

    /// What is taken out of one counter is put into another.
    fn swap_counter(&mut self) -> Result<(), Error> {
        let taken = self.shared.sharedcounter().get_set(&format!("c{}", self.random % NAMES), 0)?;
        self.shared.sharedcounter().increment("taken", taken).map(drop)
    }

    fn compare_and_set(&mut self) -> Result<(), Error> {
        let entry = self.shared.sharedstate().entry("b", "n")?;
        let (revision, value) =
            entry.map_or((0, 0), |entry| (entry.revision, entry.value.as_u64().unwrap_or_default()));
        if let Compared::Set(..) = self.shared.sharedstate().compare_and_set("b", "n", revision, json!(value + 1))? {
            self.tally.swapped += 1;
        }
        Ok(())
    }

    fn set(&mut self, number: u64) -> Result<(), Error> {
        let key = format!("k{}", self.random % 50);
        self.tally.revisions.push(self.shared.sharedstate().set("keys", &key, json!([self.thread, number]))?);
        Ok(())
    }

    fn add(&mut self, number: u64) -> Result<(), Error> {
        let message = self.thread * 1_000_000_000 + number;
        let options = AddOptions { priority: (self.random % 3) as i32, ..AddOptions::default() };
        self.shared.messagequeue().add("q", json!(message), &options, &self.stop)?;
        self.tally.added.insert(message);
        Ok(())
    }

    fn consume(&mut self) -> Result<(), Error> {
        let queues = self.shared.messagequeue();
        let Some(claim) = queues.claim("q", seconds(3_600), AT_ONCE, &self.stop)? else { return Ok(()) };
        let id = claim.id.to_string();
        if self.random.is_multiple_of(5) {
            self.tally.dead += u64::from(claim.attempt == 2);
            return queues.fail("q", &id, Some(claim.attempt), Failure { reason: "no", delay: seconds(0) });
        }
        queues.ack("q", &id, Some(claim.attempt))?;
        self.tally.done.extend(claim.message.as_u64());
        Ok(())
    }

    /// Reading and writing in two steps loses nothing under the lock.
    fn under_lock(&mut self) -> Result<(), Error> {
        let _guard = self.shared.sharedlock().acquire("l", &AcquireOptions::default(), &self.stop)?;
        let value = self.shared.sharedcounter().get("locked")?;
        self.shared.sharedcounter().set("locked", value + 1)?;
        self.tally.locked += 1;
        Ok(())
    }
}

fn sorted(numbers: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn soak_mixed_operations_of_64_threads_end_in_exactly_the_totals() {
    each_engine(|Store { shared, .. }| {
        let queues = shared.messagequeue();
        let options = QueueOptions { attempts_max: Some(2), length_max: usize::MAX, ..QueueOptions::default() };
        queues.configure("q", options).unwrap();
        let tallies = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (shared, tallies) = (&shared, &tallies);
                let random = 0x9e37_79b9_7f4a_7c15 ^ (thread + 1);
                let worker = Worker { shared, stop: Stop::new(), thread, random, tally: Tally::default() };
                scope.spawn(move || {
                    let tally = worker.work().unwrap();
                    tallies.lock().unwrap().push(tally);
                });
            }
        });
        let tallies = tallies.into_inner().unwrap();
        let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();

        let counters = shared.sharedcounter().all().unwrap();
        let counted: i64 = counters.iter().filter(|(name, _)| *name != "locked").map(|(_, value)| value).sum();
        assert_eq!(counted, tallies.iter().map(|tally| tally.counted).sum::<i64>());
        assert_eq!(counters.get("locked").copied().unwrap_or(0), sum(|tally| tally.locked) as i64);

        let swapped = shared.sharedstate().get("b", "n").unwrap().unwrap_or(Value::from(0));
        assert_eq!(swapped, json!(sum(|tally| tally.swapped)));
        let revisions = sorted(tallies.iter().flat_map(|tally| tally.revisions.iter().copied()));
        assert!(revisions.is_sorted_by(|a, b| a < b));
        for entry in shared.sharedstate().bucket("keys").unwrap().entries.values() {
            assert!(revisions.binary_search(&entry.revision).is_ok());
        }

        let mut seen: Vec<u64> = tallies.iter().flat_map(|tally| tally.done.iter().copied()).collect();
        let status = queues.status("q").unwrap().unwrap();
        assert_eq!((status.claimed, status.delayed, status.dropped), (0, 0, 0));
        while let Some(message) = queues.take("q", AT_ONCE, &Stop::new()).unwrap() {
            seen.push(message.message.as_u64().unwrap());
        }
        let dead = queues.count("q.dead").unwrap().unwrap_or(0);
        assert_eq!((dead as u64, status.dead), (sum(|tally| tally.dead), sum(|tally| tally.dead)));
        while let Some(letter) = queues.take("q.dead", AT_ONCE, &Stop::new()).unwrap() {
            seen.push(letter.message["message"].as_u64().unwrap());
        }
        let added = sorted(tallies.iter().flat_map(|tally| tally.added.iter().copied()));
        assert_eq!(sorted(seen.into_iter()), added);

        let offsets = sorted(tallies.iter().flat_map(|tally| tally.offsets.iter().copied()));
        assert!(offsets.iter().copied().eq(0..offsets.len() as u64));
        assert!(shared.sharedlock().find_all_locked().unwrap().is_empty());
    });
}
