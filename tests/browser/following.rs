//! What pages are told of while they are open, through one connection each.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::browser::Browser;
use crate::site::Served;

const KEYS: usize = 200;

/// A bucket of many keys and one of a single key that never changes.
const FILL: &str = "--: read only: true
function ProcessBlock()
    for key = 1, 200 do unidist.sharedstate.set('many', tostring(key), key) end
    unidist.sharedstate.set('one', 'key', 'here')
    unidist.sharedstate.set('late', 'key', 'here')
    return {}
end
";

const PAGE: &str = "<!doctype html><title>following</title><script src=\"/dropstar.js\"></script>
<b data-state=\"one/key\">–</b><i data-state=\"one/number\" data-unit=\"B/s\"></i>";

fn served() -> Served {
    Served::folder([("templates/index.html", PAGE), ("rpc/fill.lua", FILL)])
}

#[test]
fn what_is_followed_while_events_come_is_told_from_its_beginning() {
    let served = served();
    let browser = Browser::open();
    browser.go(&served.url("/"));
    browser.script("return rpc('fill').then(() => 1)", json!([]));
    // The second time the server keeps the events of all that is followed, so that it would believe a last id.
    for _ in 0..2 {
        browser.script(
            "window.many = new Set(); window.late = 0;
             dropstar.on('state', 'many', event => {
               if (many.size === 0) dropstar.on('state', 'late/key', () => late += 1);
               many.add(event.key);
             });",
            json!([]),
        );
        browser.wait_for(&format!("many.size === {KEYS} && late > 0"));
        browser.reload();
    }
}

#[test]
fn pages_that_were_left_hold_no_connection() {
    let served = served();
    let browser = Browser::open();
    browser.go(&served.url("/"));
    browser.script("return rpc('fill').then(() => 1)", json!([]));
    // A browser has six connections to a host. It would give the first one back after a while.
    let begun = Instant::now();
    for number in 0..9 {
        browser.go(&served.url(&format!("/?number={number}")));
        browser.wait_for_text("b", "here");
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    browser.script("history.back()", json!([]));
    browser.wait_for("location.search === '?number=7'");
    browser.script("return rpc('fill').then(() => 1)", json!([]));
    browser.wait_for_text("b", "here");
}

#[test]
fn a_number_is_shown_with_its_unit() {
    let served = served();
    let browser = Browser::open();
    browser.go(&served.url("/"));
    let shown = |value: f64, unit: &str| {
        let text = browser.script("return dropstar.number(arguments[0], arguments[1])", json!([value, unit]));
        text.as_str().unwrap().replace('\u{a0}', " ")
    };
    for (value, unit, expected) in [
        (0.0, "B", "0 B"),
        (1023.0, "B", "1023 B"),
        (1536.0, "B/s", "1.50 KiB/s"),
        (-1_073_741_824.0, "B", "-1 GiB"),
        (9999.0, "", "9999"),
        (12_345.0, "", "12.3 k"),
        (12_345_678.0, "/s", "12.3 M/s"),
        (0.126, "s", "0.13 s"),
        (7.26, "%", "7.3 %"),
        (12_345.0, "%", "12345 %"),
        (1e18, "B", "888 PiB"),
    ] {
        assert_eq!(shown(value, unit), expected, "{value} {unit}");
    }
    browser.script("const shown = document.querySelector('i'); dropstar.show(shown, 2048); return 1", json!([]));
    assert_eq!(browser.text("i"), "2 KiB/s");
}
