//! Thousands of connections that ask for nothing, or never end their request.

use std::time::Duration;

use super::client::{Client, probe};
use super::{clients, long_or_short, memory, quick, serving, status};
use crate::support::{Run, Web};

/// What a connection may take: its task, twice the buffer for its head.
const CONNECTION_KIB_MAX: u64 = 32;

#[test]
fn soak_half_sent_requests_and_idle_connections_slow_nobody() {
    let each = long_or_short(2_000, 500);
    let run = Run::bare().file("site/pages/fast.lua", "function ProcessBlock() return {} end");
    let (running, web) = serving(run, "  limits: {header timeout: 3s}\n");
    clients().block_on(async {
        // What the first page takes is not the connections'.
        assert_eq!(Client::connect(&web.address).await.get("/fast").await.status, 200);
        let (threads, before) = (status(&running, "Threads"), memory(&running));
        let mut idle = Vec::new();
        let mut half = Vec::new();
        for _ in 0..each {
            idle.push(Client::connect(&web.address).await);
            let mut client = Client::connect(&web.address).await;
            client.send("GET / HTTP/1.1\r\nHost: local").await;
            half.push(client);
        }
        let closing = tokio::spawn(async move {
            for client in &mut half {
                assert!(client.is_closed_silently().await, "a half-sent request is no request");
            }
        });
        let open = || !closing.is_finished();
        let slow = probe(&web.address, &["/healthz", "/fast"], open).await.p99();
        assert!(slow < quick(), "{slow:?}");
        closing.await.unwrap();
        let (threads_after, after) = (status(&running, "Threads"), memory(&running));
        // The blocking pool may have a thread or two for files that were read.
        assert!(threads_after <= threads + 4, "{threads} threads became {threads_after}");
        let grown = after.saturating_sub(before);
        assert!(grown < 2 * each * CONNECTION_KIB_MAX, "{grown} kB for {} connections", 2 * each);
        for client in idle.iter_mut().step_by(50) {
            assert_eq!(client.get("/healthz").await.status, 200);
        }
    });
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.took < Duration::from_secs(5), "{ended}");
}

#[test]
fn connections_are_not_bounded_by_the_open_files_it_was_started_with_but_children_are() {
    let shell = "#!/bin/sh\nulimit -Sn\n";
    let run =
        Run::bare().executable("site/pages/limit.sh", shell).file("site/pages/a.lua", "function ProcessBlock() end");
    let running = run.own(["serve", "--port", "0", "site"]).open_files(100).start();
    let web = Web::of(&running);
    clients().block_on(async {
        let mut open = Vec::new();
        for _ in 0..300 {
            let mut client = Client::connect(&web.address).await;
            assert_eq!(client.get("/healthz").await.status, 200);
            open.push(client);
        }
        assert_eq!(open[0].get("/limit").await.body.trim(), "100");
    });
    assert_eq!(running.interrupt().code, Some(0));
}
