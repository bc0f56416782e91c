//! Pages that compute, beside pages that do not.

use std::time::{Duration, Instant};

use super::client::{Client, probe};
use super::{clients, long_or_short, quick, serving};
use crate::support::Run;

const FAST: &str = "function ProcessBlock() return {begun = unidist.sharedcounter.get('begun')} end";

#[test]
fn soak_eight_pages_that_compute_leave_the_others_quick() {
    let seconds = long_or_short(5, 2);
    let compute = format!(
        "function ProcessBlock()\n  unidist.sharedcounter.increment('begun')\n  local ends = time.monotonic() + {seconds}\n  local n = 0\n  while time.monotonic() < ends do for i = 1, 1000 do n = n + i end end\n  return {{n = n}}\nend"
    );
    // A coroutine of the script's own can't be left in between, as the script itself is.
    let within = format!(
        "function Compute()\n{}\nend\nfunction ProcessBlock() return coroutine.wrap(Compute)() end",
        compute.replacen("function ProcessBlock()", "", 1).trim_end_matches("end")
    );
    let run = Run::bare()
        .file("site/pages/compute.lua", &compute)
        .file("site/pages/within.lua", &within)
        .file("site/pages/fast.lua", FAST);
    let (running, web) = serving(run, "");
    clients().block_on(async {
        let ask = |address: String, page: &'static str| async move {
            let answer = Client::connect(&address).await.get(page).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        };
        let pages = ["/compute", "/within"].into_iter().cycle().take(8);
        let computing: Vec<_> = pages.map(|page| tokio::spawn(ask(web.address.clone(), page))).collect();
        let all_compute = || computing.iter().all(|page| !page.is_finished());
        let began = Instant::now();
        let slow = probe(&web.address, &["/healthz", "/fast"], all_compute).await.p99();
        assert!(began.elapsed() >= Duration::from_secs(seconds), "the pages ended early");
        assert!(slow < quick(), "{slow:?}");
        assert_eq!(Client::connect(&web.address).await.get("/fast").await.body, r#"{"begun":8}"#);
        for page in computing {
            page.await.unwrap();
        }
    });
    assert_eq!(running.interrupt().code, Some(0));
}

/// Four of them at once, which end at their limit, and what the other pages took meanwhile.
fn beside_four_of(run: Run, page: &'static str) -> Duration {
    let (running, web) = serving(run.file("site/pages/fast.lua", FAST), "");
    let slowest = clients().block_on(async {
        let ask = |address: String| async move { Client::connect(&address).await.get(page).await.status };
        let asked: Vec<_> = (0..4).map(|_| tokio::spawn(ask(web.address.clone()))).collect();
        let all_go_on = || asked.iter().all(|page| !page.is_finished());
        let slowest = probe(&web.address, &["/healthz", "/fast"], all_go_on).await.p99();
        for page in asked {
            assert!([200, 504].contains(&page.await.unwrap()));
        }
        slowest
    });
    assert_eq!(running.interrupt().code, Some(0));
    slowest
}

#[test]
fn pages_that_print_without_end_leave_the_others_their_turn() {
    let run = Run::bare().executable("site/pages/flood.sh", "#!/bin/sh\n#: timeout: 2s\nexec yes\n");
    let slowest = beside_four_of(run, "/flood");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[test]
fn templates_that_take_long_leave_the_others_their_turn() {
    let work = "{% set ns = namespace(x='a') %}{% for i in range(18) %}{% set ns.x = ns.x|replace('a', 'aa') %}{% endfor %}\
        {% for i in range(300) %}{% set length = ns.x|upper|length %}{% endfor %}";
    let slowest = beside_four_of(Run::bare().file("site/templates/work.html", work), "/work");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[test]
fn endless_pages_are_stopped_at_their_limit() {
    let endless = "--: timeout: 0.5s\nfunction ProcessBlock() while true do end end";
    let run = Run::bare().file("site/pages/endless.lua", endless).file("site/pages/fast.lua", FAST);
    let (running, web) = serving(run, "");
    clients().block_on(async {
        let ask = |address: String| async move { Client::connect(&address).await.get("/endless").await.status };
        let endless: Vec<_> = (0..12).map(|_| tokio::spawn(ask(web.address.clone()))).collect();
        for page in endless {
            assert_eq!(page.await.unwrap(), 504);
        }
        assert_eq!(Client::connect(&web.address).await.get("/fast").await.status, 200);
    });
    assert_eq!(running.interrupt().code, Some(0));
}
