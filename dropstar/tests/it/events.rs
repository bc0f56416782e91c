//! `/events`: first how things are, then what changes; what a reader missed; readers that do not read.

use std::collections::VecDeque;

use dropstar::{Limits, Value};
use serde_json::json;
use unidist::{AddOptions, Stop};

use crate::support::{Connection, Fixture};

/// A reader of events.
struct Reader {
    connection: Connection,
    ready: VecDeque<(String, String, Value)>,
}

impl Reader {
    fn open(fixture: &Fixture, query: &str, last_id: Option<&str>) -> Reader {
        let mut connection = fixture.connect();
        let id = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        connection.send(format!("GET /events?{query} HTTP/1.0\r\nHost: localhost\r\n{id}\r\n"));
        assert!(connection.line().contains(" 200 "), "{query}");
        let headers: Vec<String> =
            std::iter::from_fn(|| Some(connection.line()).filter(|line| !line.is_empty())).collect();
        assert!(headers.iter().any(|header| header == "content-type: text/event-stream"), "{headers:?}");
        Reader { connection, ready: VecDeque::new() }
    }

    /// The next event: kind, data, id.
    fn next(&mut self) -> (String, Value, String) {
        loop {
            if let Some((id, kind, data)) = self.ready.pop_front() {
                return (kind, data, id);
            }
            let (mut id, mut kind, mut data) = (String::new(), String::new(), String::new());
            loop {
                let line = self.connection.line();
                match line.split_once(": ") {
                    Some(("id", text)) => id = text.to_string(),
                    Some(("event", text)) => kind = text.to_string(),
                    Some(("data", text)) => data = text.to_string(),
                    _ if line.is_empty() => break,
                    _ => {}
                }
            }
            if !kind.is_empty() {
                self.ready.push_back((id, kind, serde_json::from_str(&data).unwrap()));
            }
        }
    }

    fn data(&mut self) -> Value {
        self.next().1
    }
}

#[test]
fn a_reader_is_told_how_things_are_and_then_what_changes() {
    let fixture = Fixture::new(&[]);
    let store = &fixture.unidist;
    store.sharedcounter().increment("requests", 3).unwrap();
    store.sharedstate().set("sites", "kyoto", json!({"up": true})).unwrap();
    store.sharedstate().set("sites", "oslo", json!(1)).unwrap();
    let mut reader = Reader::open(&fixture, "counter=requests&state=sites/k*&queue=jobs", None);
    assert_eq!(reader.data(), json!({"name": "requests", "value": 3}));
    let kyoto = reader.data();
    assert_eq!((&kyoto["key"], &kyoto["value"]), (&json!("kyoto"), &json!({"up": true})));
    assert_eq!(reader.data(), json!({"name": "jobs", "count": 0}));

    store.sharedstate().set("sites", "oslo", json!(2)).unwrap();
    store.sharedstate().set("sites", "kobe", json!("<b>\n")).unwrap();
    let kobe = reader.data();
    assert_eq!((&kobe["key"], &kobe["value"]), (&json!("kobe"), &json!("<b>\n")));
    store.sharedstate().remove("sites", "kobe").unwrap();
    assert_eq!(reader.data()["removed"], json!(true));
    store.messagequeue().add("jobs", json!(1), &AddOptions::default(), &Stop::new()).unwrap();
    let added = reader.data();
    assert_eq!((&added["name"], &added["count"], &added["change"]), (&json!("jobs"), &json!(1), &json!("added")));
    store.sharedcounter().increment("requests", 1).unwrap();
    assert_eq!(reader.data(), json!({"name": "requests", "value": 4}));
}

#[test]
fn a_reader_that_comes_back_misses_nothing() {
    let fixture = Fixture::new(&[]);
    let state = fixture.unidist.sharedstate();
    let mut reader = Reader::open(&fixture, "state=b", None);
    state.set("b", "first", json!(1)).unwrap();
    let (_, _, id) = reader.next();
    drop(reader);
    for number in 0..50 {
        state.set("b", "key", json!(number)).unwrap();
    }
    let mut back = Reader::open(&fixture, "state=b", Some(&id));
    for number in 0..50 {
        assert_eq!(back.data()["value"], json!(number));
    }
    let mut stranger = Reader::open(&fixture, "state=b", Some("0-1"));
    assert_eq!(stranger.next().0, "reset");
    assert_eq!(stranger.data()["key"], json!("first"));
    assert_eq!(stranger.data()["value"], json!(49));
}

#[test]
fn a_reader_that_does_not_read_slows_nobody_and_begins_anew() {
    let fixture = Fixture::new(&[]);
    let state = fixture.unidist.sharedstate();
    let mut slow = Reader::open(&fixture, "state=b", None);
    let mut quick = Reader::open(&fixture, "state=b", None);
    let long = "x".repeat(4096);
    for round in 0..30 {
        for number in 0..500 {
            state.set("b", "key", json!([round, number, long])).unwrap();
        }
        while quick.data()["value"][1] != json!(499) {}
    }
    let mut kinds = std::iter::from_fn(|| Some(slow.next()));
    assert!(kinds.any(|(kind, _, _)| kind == "reset"));
    assert_eq!(slow.data()["value"][0], json!(29));
}

#[test]
fn what_can_not_be_followed_is_refused() {
    let one = |config: &mut dropstar::ServeConfig| {
        config.limits = Limits { event_readers: 1, ..Limits::default() };
    };
    let fixture = Fixture::with(&[], |config, _| one(config));
    for query in ["", "?x=1", "?counter=__running", "?state=__own/key"] {
        assert_eq!(fixture.get(&format!("/events{query}")).status, 400, "{query}");
    }
    let first = Reader::open(&fixture, "counter=a", None);
    assert_eq!(fixture.get("/events?counter=a").status, 503);
    drop(first);
    assert_eq!(fixture.request("POST", "/events?counter=a", &[], "").status, 405);
}

#[test]
fn readers_end_with_the_server() {
    let fixture = Fixture::new(&[]);
    let mut reader = Reader::open(&fixture, "counter=a", None);
    reader.data();
    fixture.end();
    assert!(String::from_utf8_lossy(&reader.connection.rest()).is_empty());
}
