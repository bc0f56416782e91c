//! Several sites of one process, files that others include, and clients that take their time.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Run, Web, eventually};

/// Two sites of one file have a port each; what they change is shared.
#[test]
fn two_sites_have_their_ports_in_one_process() {
    let page = |name: &str| {
        format!("function ProcessBlock() return {{of = '{name}', n = unidist.sharedcounter.increment('n')}} end")
    };
    let run = Run::block("serve: [{folder: one, port: 0}, {folder: two, port: 0}]\n")
        .file("one/pages/index.lua", &page("one"))
        .file("two/pages/index.lua", &page("two"));
    let running = run.start();
    let served = running.wait_for_result()["serve"].clone();
    let web = |place: usize| {
        let url = served[place].as_str().unwrap_or_else(|| panic!("{served}"));
        Web { address: url.trim_start_matches("http://").trim_end_matches('/').to_string() }
    };
    assert_ne!(web(0).address, web(1).address);
    assert_eq!(web(0).get("/").json(), json!({"of": "one", "n": 1}));
    assert_eq!(web(1).get("/").json(), json!({"of": "two", "n": 2}));
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn an_edit_of_what_a_package_includes_shows_and_a_broken_one_is_a_clean_failure() {
    let run = Run::bare()
        .file("site.yaml", "a: {packages: [package.yaml]}\n")
        .file("package.yaml", "__load: pages.yaml\nrpc: {}\n")
        .file("pages.yaml", "http: {p: {template: first}}\n");
    let running = run.own(["serve", "--port", "0", "site.yaml"]).start();
    let web = Web::of(&running);
    assert_eq!(web.get("/p").body, "first");
    fs::write(running.path("pages.yaml"), "http: {p: {template: second}, q: {template: new}}\n").unwrap();
    assert_eq!((web.get("/p").body, web.get("/q").body), ("second".into(), "new".into()));
    fs::write(running.path("pages.yaml"), "http: {p: {template: [}\n").unwrap();
    let broken = web.get("/p");
    assert!(broken.status == 500 || broken.body == "second", "{broken:?}");
    assert!(!broken.body.contains(".yaml"), "nothing of the inside is shown: {broken:?}");
    fs::write(running.path("pages.yaml"), "http: {p: {template: third}}\n").unwrap();
    assert_eq!(web.get("/p").body, "third");
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn two_hundred_slow_clients_stop_neither_other_requests_nor_the_end() {
    let page = "function ProcessBlock() return {done = true} end";
    let running = Run::bare().file("site/pages/index.lua", page).own(["serve", "--port", "0", "site"]).start();
    let web = Web::of(&running);
    let mut slow: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(&web.address).unwrap()).collect();
    for (place, stream) in slow.iter_mut().enumerate() {
        let begun = ["GET / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{", ""];
        stream.write_all(begun[place % begun.len()].as_bytes()).unwrap();
    }
    for _ in 0..20 {
        assert_eq!(web.get("/").json(), json!({"done": true}));
    }
    let asked = Instant::now();
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    // Within the grace of those whose request has begun.
    assert!(asked.elapsed() < Duration::from_secs(8), "{ended}");
    assert!(TcpStream::connect(&web.address).is_err(), "the listener is closed");
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let read = stream.read(&mut [0; 512]);
        let is_open = read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        assert!(!is_open, "a connection outlives the process");
    }
}

/// What a run stores lies below the folder that --cwd names, and so do the names of its series.
#[cfg(feature = "series")]
#[test]
fn a_series_has_its_name_below_the_folder_of_outputs() {
    let block = "__usage: {longrunning: true}
serve: {port: 0, folder: site}
run:
  - {name: t, every: 1s, lua: 'return {n = 5}', timeseries collect: {path: data/t.rrd, fields: [n]}}
";
    let run = Run::block(block).file("site/templates/index.html", "x").file("else/here", "");
    let running = run.own(["--cwd", "else"]).start();
    let web = Web::of(&running);
    eventually("samples", || web.get("/series/data/t.json?from=-1m").status == 200);
    assert!(running.path("else/data/t.rrd").exists());
    assert_eq!(web.get("/").body, "x");
    assert_eq!(running.interrupt().code, Some(0));
}
