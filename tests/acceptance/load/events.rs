//! Many readers of `/events`, one that does not read, and one that comes back.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use super::client::{Client, Latencies};
use super::{clients, long_or_short, memory, serving};
use crate::support::Run;

const TELL: &str = "function ProcessBlock(p, b, r, input_data)\n  unidist.sharedstate.set('told', 'key', input_data.value)\n  return {}\nend";

fn site() -> Run {
    Run::bare().file("site/rpc/tell.lua", TELL)
}

/// A reader of the state `told`.
struct Reader {
    client: Client,
    /// The id of the last event.
    last: String,
}

impl Reader {
    async fn open(address: &str, last: Option<&str>) -> Reader {
        let mut client = Client::connect(address).await;
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        // HTTP/1.0: nothing is in chunks.
        client.send(&format!("GET /events?state=told HTTP/1.0\r\nHost: localhost\r\n{last}\r\n")).await;
        assert!(client.line().await.unwrap().contains(" 200 "));
        while !client.line().await.unwrap().is_empty() {}
        Reader { client, last: String::new() }
    }

    /// The value of the next event; none for another event than one of the state.
    async fn next(&mut self) -> Option<Value> {
        let mut data = None;
        let mut is_state = false;
        loop {
            let line = self.client.line().await.expect("events go on");
            match line.split_once(": ") {
                Some(("id", id)) => self.last = id.to_string(),
                Some(("event", kind)) => is_state = kind == "state",
                Some(("data", text)) => data = serde_json::from_str::<Value>(text).ok(),
                _ if line.is_empty() && data.is_some() => break,
                _ => {}
            }
        }
        data.filter(|_| is_state).map(|mut data| data["value"].take())
    }
}

async fn tell(client: &mut Client, value: &str) {
    let answer = client.post("/rpc/tell", &format!(r#"{{"value": {value}}}"#)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn soak_a_thousand_readers_are_told_in_time() {
    let (readers, events) = (long_or_short(1_000, 300), long_or_short(30, 5));
    let (running, web) = serving(site(), "");
    clients().block_on(async {
        let origin = Instant::now();
        let mut reading = JoinSet::new();
        for _ in 0..readers {
            let mut reader = Reader::open(&web.address, None).await;
            reading.spawn(async move {
                let mut latencies = Vec::new();
                for event in 0..events {
                    let value = reader.next().await.expect("an event of the state");
                    let told = Duration::from_secs_f64(value["at"].as_f64().unwrap());
                    assert_eq!(value["event"], event, "in order, none lost");
                    latencies.push(origin.elapsed().saturating_sub(told));
                }
                latencies
            });
        }
        let mut client = Client::connect(&web.address).await;
        let mut second = tokio::time::interval(long_or_short(Duration::from_secs(1), Duration::from_millis(300)));
        for event in 0..events {
            second.tick().await;
            let at = origin.elapsed().as_secs_f64();
            tell(&mut client, &format!(r#"{{"event": {event}, "at": {at}}}"#)).await;
        }
        let mut all = Latencies::default();
        while let Some(latencies) = reading.join_next().await {
            latencies.unwrap().into_iter().for_each(|latency| all.add(latency));
        }
        let slow = all.p99();
        assert!(slow < long_or_short(Duration::from_millis(250), Duration::from_secs(2)), "{slow:?}");
    });
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn a_reader_that_never_reads_costs_bounded_memory_and_slows_no_one() {
    let (running, web) = serving(site(), "");
    clients().block_on(async {
        let deaf = Reader::open(&web.address, None).await;
        let mut quick = Reader::open(&web.address, None).await;
        let mut client = Client::connect(&web.address).await;
        let long = "x".repeat(60_000);
        let mut before = 0;
        for event in 0..600 {
            tell(&mut client, &format!(r#"{{"event": {event}, "text": "{long}"}}"#)).await;
            assert_eq!(quick.next().await.unwrap()["event"], event);
            if event == 200 {
                // By now as many events are kept as ever are: 8 MiB.
                before = memory(&running);
            }
        }
        let grown = memory(&running).saturating_sub(before);
        assert!(grown < 8_000, "24 MB that nobody took cost {grown} kB");
        drop(deaf);
    });
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn a_reader_that_comes_back_misses_nothing_of_what_is_kept() {
    let (running, web) = serving(site(), "");
    clients().block_on(async {
        let address = web.address.clone();
        let told = tokio::spawn(async move {
            let mut client = Client::connect(&address).await;
            for event in 0..400 {
                tell(&mut client, &event.to_string()).await;
            }
        });
        // It leaves and comes back again and again while it is told.
        let mut seen = HashSet::new();
        let mut last: Option<String> = None;
        while !seen.contains(&399) {
            let mut reader = Reader::open(&web.address, last.as_deref()).await;
            for _ in 0..20 {
                let value = reader.next().await.expect("no reset");
                let value = value.as_u64().unwrap();
                assert!(seen.insert(value), "{value} came twice");
                if value == 399 {
                    break;
                }
            }
            last = Some(reader.last);
        }
        told.await.unwrap();
        let first = seen.iter().min().copied().unwrap();
        assert_eq!(seen.len() as u64, 400 - first, "none between {first} and 399 is missing");
    });
    assert_eq!(running.interrupt().code, Some(0));
}
