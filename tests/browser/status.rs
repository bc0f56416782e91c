//! The status pages as an administrator sees and uses them.

use serde_json::json;

use crate::browser::Browser;
use crate::site::Served;
use crate::support::Run;

/// Something of each kind, some of it with names and values that would break out of a careless page. In a store of its own:
/// locks in memory are the host's, and other tests have some, too.
const BLOCK: &str = r#"__usage: {name: inside, longrunning: true, unidist: "file:store"}
run:
  - lua: |
      local hostile = '<img src=x onerror="document.title = 1">'
      unidist.sharedcounter.set("requests", 5)
      unidist.sharedcounter.set(hostile, 1)
      unidist.sharedstate.set("hosts", "web1", {city = "Kyoto"})
      unidist.sharedstate.set("hosts", hostile, hostile)
      unidist.messagequeue.configure("jobs", {attempts_max = 1})
      unidist.messagequeue.add("jobs", hostile)
      local claimed = unidist.messagequeue.claim("jobs", {lease = 30})
      unidist.messagequeue.fail("jobs", claimed.id, hostile)
      unidist.sharedlock.acquire("deploy", {owner = hostile})
      log.warn(hostile)
  - name: tick
    every: 50ms
    lua: |
      return {n = unidist.sharedcounter.increment("ticks"), text = '<b onclick=alert(1)>'}
  - name: broken
    every: 1h
    on error: continue
    lua: error("no disk <b>")
serve: {port: 0, folder: site}
"#;

const PAGES: [&str; 14] = [
    "",
    "/threads",
    "/threads/tick",
    "/threads/broken",
    "/series",
    "/locks",
    "/counters",
    "/queues",
    "/queues/jobs.dead",
    "/state",
    "/state/hosts",
    "/state/hosts?key=web1",
    "/log",
    "/sources",
];

fn served() -> Served {
    Served::start(Run::block(BLOCK).file("site/templates/index.html", "<h1>inside</h1>"))
}

#[test]
fn every_page_fits_a_phone_and_runs_nothing_of_what_it_shows() {
    let (served, browser) = (served(), Browser::open());
    for (width, is_dark) in [(1200, false), (390, true)] {
        browser.size(width, 800);
        browser.dark(is_dark);
        for path in PAGES {
            browser.go(&served.url(&format!("/status{path}")));
            browser.wait_for("document.querySelector('.tabs [aria-current]') && document.title.startsWith('inside')");
            assert!(!browser.is_too_wide(), "{path} at {width}");
            assert_eq!(browser.count("main img[src=x], main b[onclick]"), 0, "{path}");
            assert_eq!(browser.problems(), [""; 0], "{path}");
        }
    }
    let back = browser.script("return getComputedStyle(document.body).backgroundColor", json!([]));
    assert_eq!(back, "rgb(16, 19, 23)", "dark");
}

#[test]
fn numbers_and_the_log_follow_what_happens() {
    let (served, browser) = (served(), Browser::open());
    browser.go(&served.url("/status/counters"));
    browser.wait_for("Number(document.querySelector('[data-counter=ticks]').textContent) >= 1");
    let before = browser.text("[data-counter=ticks]");
    browser.wait_for(&format!("document.querySelector('[data-counter=ticks]').textContent !== '{before}'"));
    browser.go(&served.url("/status/threads/tick"));
    browser.wait_for("Number(document.querySelector('dd[data-field=runs]').textContent) > 3");
    browser.wait_for("document.querySelector('code[data-field=text]').textContent === '\"<b onclick=alert(1)>\"'");
    browser.go(&served.url("/status/log?level=warn"));
    browser.wait_for("document.querySelector('.log li')");
    let lines = browser.count(".log li");
    let once = "[...document.querySelectorAll('.log li')].filter(line => line.textContent.includes('onerror')).length";
    assert_eq!(browser.script(&format!("return {once}"), json!([])), 1, "each line once, although the log follows");
    // An act of an administrator is a line of its own.
    let script = "fetch('/status/counters', {method: 'POST', headers: {'Content-Type': 'application/json', Accept: 'application/json'}, body: JSON.stringify({action: 'set', name: 'requests', value: 6})})";
    browser.script(script, json!([]));
    browser.wait_for("document.querySelector('.log li').textContent.includes('was set from 5 to 6')");
    browser.wait_for(&format!("document.querySelectorAll('.log li').length === {}", lines + 1));
    assert_eq!(browser.problems(), [""; 0]);
}

#[test]
fn an_administrator_changes_things_by_forms() {
    let (served, browser) = (served(), Browser::open());
    browser.go(&served.url("/status/locks"));
    browser.click(".sure summary");
    browser.click(".sure button");
    browser.wait_for_text("[role=status]", "The lock was released.");
    browser.wait_for_text(".none", "none is held");
    browser.go(&served.url("/status/queues/jobs.dead"));
    browser.click("button[value='move back']");
    browser.wait_for_text("[role=status]", "Moved back.");
    browser.go(&served.url("/status/queues/jobs"));
    browser.wait_for_text("td.text code", "onerror");
    browser.go(&served.url("/status/state/hosts?key=web1"));
    assert_eq!(browser.problems(), [""; 0]);
    browser.set("textarea", "{\"city\": ");
    browser.click("button[value=set]");
    browser.wait_for_text("[role=alert]", "the value is no JSON");
    assert!(
        browser.script("return document.querySelector('textarea').value", json!([])).as_str().unwrap().contains("city")
    );
    browser.set("textarea", "{\"city\": \"Osaka\"}");
    browser.click("button[value=set]");
    browser.wait_for_text("[role=status]", "It was set.");
    browser.wait_for("document.querySelector('textarea').value.includes('Osaka')");
    let problems = browser.problems();
    assert!(problems.len() == 1 && problems[0].ends_with("400 (Bad Request)"), "of the refused edit: {problems:?}");
}
