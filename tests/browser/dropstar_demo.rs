//! `demos/dropstar_demo` as its README says.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::browser::Browser;
use crate::site::Served;
use crate::support::Run;

/// The demo in a folder of its own, on a free port.
fn demo() -> Run {
    let folder = root();
    let text = fs::read_to_string(folder.join("dropstar_demo.yaml")).unwrap();
    assert!(text.contains("  folder: site\n"));
    let text = text.replace("  folder: site\n", "  folder: site\n  port: 0\n");
    Run::named("dropstar_demo.yaml", "").copy(&folder).file("dropstar_demo.yaml", &text)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demos/dropstar_demo")
}

#[test]
fn every_tab_shows_its_things_and_its_sources() {
    let served = Served::start(demo());
    let browser = Browser::open();
    for (path, selector, source) in [
        ("/", "[data-thread=cpu]", "dropstar_demo.yaml"),
        ("/system", "tbody tr td", "site/pages/system.yaml"),
        ("/log", "#log_source", "site/rpc/log_tail.lua"),
        ("/resources", "[data-counter=requests]", "scripts/poller.lua"),
        ("/wall", "#wall_count", "site/rpc/wall_post.lua"),
    ] {
        browser.go(&served.url(path));
        browser.wait_for(&format!("/[^–\\s]/.test(document.querySelector('{selector}').textContent)"));
        browser.click(".internals summary");
        browser.script(
            "[...document.querySelectorAll('.internals button')].find(one => one.textContent === arguments[0]).click()",
            json!([source]),
        );
        browser.wait_for_text("#source_name", source);
        browser.wait_for("document.querySelector('#source_text').textContent.length > 20");
        browser.size(390, 800);
        browser.dark(true);
        assert!(!browser.is_too_wide(), "{path} is too wide for a phone");
        browser.size(1200, 900);
        browser.dark(false);
        assert_eq!(browser.problems(), [""; 0], "{path}");
    }
}

#[test]
fn the_slider_survives_a_reload_and_a_restart() {
    let served = Served::start(demo());
    let browser = Browser::open();
    browser.go(&served.url("/resources"));
    browser.set("#delay", "0.05");
    browser.wait_for_text("#delay_shown", "0.05 s");
    browser.wait_for("document.querySelector('.verdict').dataset.level");
    let is_kept = "document.querySelector('#delay').value === '0.05'";
    browser.reload();
    browser.wait_for(is_kept);
    let served = served.again();
    browser.go(&served.url("/resources"));
    browser.wait_for(is_kept);
    assert_eq!(browser.problems(), [""; 0]);
}

#[test]
fn the_button_stops_the_poller_and_lets_it_go_on() {
    let served = Served::start(demo());
    let browser = Browser::open();
    browser.go(&served.url("/resources"));
    let count =
        || browser.script("return Number(document.querySelector('[data-counter=requests]').textContent)", json!([]));
    browser.wait_for("Number(document.querySelector('[data-counter=requests]').textContent) > 2");
    browser.click("#toggle");
    browser.wait_for_text("#poller", "stopped");
    browser.wait_for_text("#toggle", "Start Request Poller");
    // The agreed service level is not kept while nothing is counted: told without a reload.
    browser.wait_for("document.querySelector('.verdict').dataset.level === 'bad'");
    let stopped = count();
    browser.wait_for_text("#alerts", "out of tolerance");
    assert_eq!(count(), stopped);
    browser.click("#toggle");
    browser.wait_for_text("#poller", "running");
    browser.wait_for(&format!("Number(document.querySelector('[data-counter=requests]').textContent) > {stopped}"));
    browser.wait_for("document.querySelector('.verdict').dataset.level === 'good'");
}

/// The rate is drawn from the counter: a slower poller shows as a lower line.
#[cfg(feature = "charts")]
#[test]
fn the_graph_of_requests_follows_the_slider() {
    let served = Served::start(demo());
    let browser = Browser::open();
    browser.go(&served.url("/resources"));
    let rate = "parseFloat([...document.querySelectorAll('[data-chart=requests] .u-value')].at(-1)?.textContent)";
    browser.set("#delay", "0.02");
    browser.wait_for_text("#delay_shown", "0.02 s");
    browser.wait_for(&format!("{rate} > 10"));
    browser.set("#delay", "1");
    browser.wait_for_text("#delay_shown", "1.00 s");
    browser.wait_for(&format!("{rate} < 3"));
}

#[test]
fn the_wall_keeps_the_last_25_messages_in_all_browsers() {
    let served = Served::start(demo());
    let (one, other) = (Browser::open(), Browser::open());
    one.go(&served.url("/wall"));
    other.go(&served.url("/wall"));
    for number in 1..30 {
        one.script("return rpc('wall_post', {text: arguments[0]}).then(() => 1)", json!([format!("message {number}")]));
    }
    one.type_into("input[name=text]", "<b>the last</b>\n");
    for browser in [&one, &other] {
        browser.wait_for_text("#wall li:last-child", "<b>the last</b>");
        browser.wait_for("document.querySelectorAll('#wall li').length === 25");
        browser.wait_for_text("#wall li:first-child", "message 6");
        assert_eq!(browser.count("#wall b"), 0);
    }
    other.reload();
    other.wait_for("document.querySelectorAll('#wall li').length === 25");
}
