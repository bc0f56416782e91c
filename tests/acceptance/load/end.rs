//! Ctrl-C while hundreds of connections are open.

use std::net::TcpStream;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::client::Client;
use super::{clients, serving};
use crate::support::{Run, eventually};

#[test]
fn ctrl_c_with_500_open_connections_closes_the_listener_at_once_and_finishes_what_runs() {
    let slow = "function ProcessBlock()\n  unidist.sharedcounter.increment('begun')\n  time.sleep(2)\n  return {done = true}\nend";
    let begun = "function ProcessBlock() return {begun = unidist.sharedcounter.get('begun')} end";
    let run = Run::bare().file("site/pages/slow.lua", slow).file("site/pages/begun.lua", begun);
    let (running, web) = serving(run, "");
    let runtime = clients();
    let (open, busy) = runtime.block_on(async {
        let mut open = Vec::new();
        for number in 0..450 {
            let mut client = Client::connect(&web.address).await;
            match number % 3 {
                0 => assert_eq!(client.get("/healthz").await.status, 200),
                1 => client.send("GET / HTTP/1.1\r\nHo").await,
                _ => client.send("GET /events?counter=begun HTTP/1.0\r\nHost: localhost\r\n\r\n").await,
            }
            open.push(client);
        }
        let mut busy = Vec::new();
        for _ in 0..50 {
            let mut client = Client::connect(&web.address).await;
            client.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            busy.push(client);
        }
        (open, busy)
    });
    eventually("the slow pages", || web.get("/begun").json()["begun"] == 50);
    running.signal(Signal::SIGINT);
    eventually("the end of the listener", || TcpStream::connect(&web.address).is_err());
    runtime.block_on(async {
        for mut client in busy {
            let answer = client.answer().await;
            assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"done":true}"#));
            assert!(client.is_closed_silently().await);
        }
        for mut client in open {
            while client.line().await.is_some() {}
        }
    });
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.took < Duration::from_secs(40), "{ended}");
}
