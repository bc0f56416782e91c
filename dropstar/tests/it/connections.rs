//! Connections: time-outs, limits, clients that go away, the end.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dropstar::{Server, StartError};
use serde_json::json;

use crate::support::{DEADLINE, Fixture, folder_config};

const WAITS: (&str, &str) = ("pages/waits.json", r#"{"wait": 1, "answer": {"n": 1}}"#);

#[test]
fn requests_follow_each_other_on_one_connection_also_in_a_pipeline() {
    let site = Fixture::new(&[("templates/p.html", "page")]);
    let mut connection = site.connect();
    for _ in 0..3 {
        connection.request("GET", "/p", &[], "");
        assert_eq!(connection.reply().text(), "page");
    }
    let request = "GET /p HTTP/1.1\r\nHost: localhost\r\n\r\n";
    connection.send(request.repeat(20));
    for _ in 0..20 {
        assert_eq!(connection.reply().text(), "page");
    }
}

#[test]
fn half_sent_idle_and_slow_connections_are_closed_in_time() {
    let site = Fixture::with(&[("rpc/r.json", "{}")], |config, _| {
        config.limits.header_timeout = Duration::from_millis(100);
        config.limits.idle_timeout = Duration::from_millis(600);
        config.limits.body_timeout = Duration::from_millis(100);
    });
    let began = Instant::now();
    let (mut half, mut idle, mut slow) = (site.connect(), site.connect(), site.connect());
    half.send("GET / HTTP/1.1\r\n");
    slow.send(
        "POST /rpc/r HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    );
    assert_eq!(slow.reply().status, 408);
    assert!(half.is_closed());
    assert!(began.elapsed() < Duration::from_millis(600));
    assert!(idle.is_closed());
    assert!(began.elapsed() >= Duration::from_millis(600));
    let mut kept = site.connect();
    kept.request("GET", "/healthz", &[], "");
    assert_eq!(kept.reply().status, 200);
    kept.send("GET /healthz");
    assert!(kept.is_closed());
}

#[test]
fn a_client_that_never_reads_is_closed_and_slows_nobody() {
    let site = Fixture::with(&[("templates/p.html", "page")], |config, _| {
        config.limits.body_timeout = Duration::from_millis(100);
    });
    std::fs::create_dir_all(site.path("static")).unwrap();
    std::fs::write(site.path("static/large.bin"), vec![1; 30_000_000]).unwrap();
    let mut deaf = site.connect();
    deaf.request("GET", "/large.bin", &[], "");
    assert_eq!(site.get("/p").text(), "page");
    // The end has to wait for nobody but the deaf one, whose time is over long before the grace.
    let began = Instant::now();
    site.end();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    drop(deaf);
}

#[test]
fn connections_past_the_limit_wait_to_be_accepted() {
    let site = Fixture::with(&[("templates/p.html", "page")], |config, _| config.limits.connections = 2);
    let (first, mut second, mut third) = (site.connect(), site.connect(), site.connect());
    second.request("GET", "/p", &[], "");
    assert_eq!(second.reply().text(), "page");
    third.request("GET", "/p", &[], "");
    drop(first);
    assert_eq!(third.reply().text(), "page");
}

#[test]
fn a_client_that_goes_away_stops_its_program() {
    let site = Fixture::new(&[WAITS]);
    let mut connection = site.connect();
    connection.request("GET", "/waits", &[], "");
    site.seen.until(|seen| &seen.waiting, 1);
    connection.close_sending();
    site.seen.until(|seen| &seen.stopped, 1);
}

#[test]
fn a_program_past_its_time_is_stopped_and_told() {
    let site = Fixture::new(&[("pages/slow.json", r#"{"declare": {"timeout": 0.05}, "wait": 1}"#)]);
    assert_eq!(site.get("/slow").status, 504);
    site.seen.until(|seen| &seen.stopped, 1);
}

#[test]
fn programs_past_the_limit_wait_their_turn_and_then_are_refused() {
    let site = Fixture::with(&[WAITS, ("templates/p.html", "page")], |config, _| {
        config.limits.programs = 1;
        config.limits.programs_waiting = 1;
    });
    let mut first = site.connect();
    first.request("GET", "/waits", &[], "");
    site.seen.until(|seen| &seen.waiting, 1);
    let mut others = [site.connect(), site.connect()];
    for other in &mut others {
        other.request("GET", "/waits", &[], "");
    }
    let deadline = Instant::now() + DEADLINE;
    let [one, other] = &mut others;
    let (refused, waiting) = loop {
        if let Some(reply) = one.reply_within(Duration::from_millis(50)) {
            break (reply, other);
        }
        if let Some(reply) = other.reply_within(Duration::from_millis(50)) {
            break (reply, one);
        }
        assert!(Instant::now() < deadline);
    };
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(site.get("/p").text(), "page");
    site.seen.go_on.request();
    assert_eq!(first.reply().json(), json!({"n": 1}));
    assert_eq!(waiting.reply().json(), json!({"n": 1}));
}

#[test]
fn at_the_end_running_requests_finish_and_idle_connections_close() {
    let site = Fixture::new(&[WAITS]);
    let mut idle = site.connect();
    idle.request("GET", "/healthz", &[], "");
    assert_eq!(idle.reply().status, 200);
    let mut busy = site.connect();
    busy.request("GET", "/waits", &[], "");
    site.seen.until(|seen| &seen.waiting, 1);
    let address = site.address();
    std::thread::scope(|scope| {
        let ending = scope.spawn(|| site.end());
        assert!(idle.is_closed());
        assert!(TcpStream::connect(address).is_err());
        site.seen.go_on.request();
        assert_eq!(busy.reply().json(), json!({"n": 1}));
        // It may have been answered before it was told of the end: it is closed all the same.
        assert!(busy.is_closed());
        ending.join().unwrap();
    });
}

#[test]
fn at_the_end_what_goes_on_past_the_grace_is_cut_and_its_program_stopped() {
    let site = Fixture::with(&[WAITS], |config, _| config.limits.grace = Duration::from_millis(50));
    let mut busy = site.connect();
    busy.request("GET", "/waits", &[], "");
    site.seen.until(|seen| &seen.waiting, 1);
    site.end();
    site.seen.until(|seen| &seen.stopped, 1);
    assert!(busy.is_closed());
}

#[test]
fn a_port_in_use_is_told() {
    let site = Fixture::new(&[]);
    let mut config = folder_config(site.folder.path());
    config.listen = site.address();
    let loader = Arc::new(crate::support::Json::new(Arc::clone(&site.seen)));
    let started = site.runtime.block_on(Server::start(vec![config], loader, crate::support::nothing()));
    let error = started.err().unwrap();
    assert!(matches!(error, StartError::InUse { .. }));
    assert!(error.to_string().contains("is in use by another program"), "{error}");
}

#[test]
fn many_connections_at_once_end_in_time() {
    let site = Fixture::new(&[("templates/p.html", "page")]);
    let mut open: Vec<_> = (0..300).map(|_| site.connect()).collect();
    for connection in open.iter_mut().step_by(3) {
        connection.request("GET", "/p", &[], "");
    }
    for connection in open.iter_mut().skip(1).step_by(3) {
        connection.send("GET /p HTTP/1.1\r\n");
    }
    for connection in open.iter_mut().step_by(3) {
        assert_eq!(connection.reply().text(), "page");
    }
    let began = Instant::now();
    site.end();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}
