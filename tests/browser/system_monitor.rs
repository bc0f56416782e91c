//! `demos/system_monitor` as its README says.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::browser::Browser;
use crate::site::Served;
use crate::support::Run;

/// Interfaces of the demo's own instead of the machine's, so that they can come and go.
const MADE_UP: &str = "lua: \"return {network = json.decode(file.read('found.json'))}\"";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demos/system_monitor")
}

/// The demo in a folder of its own, on a free port, each second; with the interfaces that `found.json` has.
fn demo() -> Run {
    let text = fs::read_to_string(root().join("system_monitor.yaml")).unwrap();
    for there in ["  folder: site\n", "every: 5s", "system: [network]"] {
        assert!(text.contains(there), "{there}");
    }
    let text = text.replace("  folder: site\n", "  folder: site\n  port: 0\n").replace("every: 5s", "every: 1s");
    let text = text.replace("system: [network]", MADE_UP);
    let run = Run::named("system_monitor.yaml", "").copy(&root()).file("system_monitor.yaml", &text);
    run.file("found.json", &found(&["eth0", "lo"]))
}

fn found(names: &[&str]) -> String {
    let counted = json!({"rx_bytes": 7, "tx_bytes": 7, "rx_packets": 1, "tx_packets": 1, "rx_errors": 0, "tx_errors": 0,
        "rx_dropped": 0, "tx_dropped": 0, "state": "up", "speed": 1_000_000_000});
    let all: serde_json::Map<String, _> = names.iter().map(|name| ((*name).to_string(), counted.clone())).collect();
    json!(all).to_string()
}

/// Replaces the interfaces at once, so that no half of a file is read.
fn find(served: &Served, names: &[&str]) {
    fs::write(served.path("found.new"), found(names)).unwrap();
    fs::rename(served.path("found.new"), served.path("found.json")).unwrap();
}

/// The row of an item's switch.
fn switch(kind: &str, name: &str) -> String {
    format!("[data-switches={kind}] tr[data-key='{kind}/{name}']")
}

#[test]
fn every_tab_shows_what_the_machine_does() {
    let served = Served::start(demo());
    let browser = Browser::open();
    for (path, shown) in [
        ("/", "document.querySelector('[data-thread=cpu][data-field=cpu_used]').textContent.includes('.')"),
        ("/", "document.querySelectorAll('[data-top] tr').length > 1"),
        ("/", "/\\d\\s(\\wi)?B.s/.test(document.querySelector('[data-rows=network]').innerText)"),
        ("/cpu", "document.querySelectorAll('[data-items=cores] section').length > 0"),
        ("/disks", "document.querySelectorAll('[data-items=disks]').length === 1"),
        ("/network", "document.querySelector('[data-items=network] .state')?.textContent === 'up'"),
        ("/processes", "document.querySelectorAll('[data-top=top_memory] tr').length > 2"),
        ("/items", "document.querySelector('[data-on=network]').textContent === '1 of 2 on'"),
        ("/internals?series=data/cpu", "document.querySelector('main').innerText.includes('cpu_iowait')"),
    ] {
        browser.go(&served.url(path));
        browser.wait_for(shown);
        browser.wait_for("document.querySelector('#uptime').textContent !== '–'");
        browser.size(390, 800);
        browser.dark(true);
        browser.wait_for("document.documentElement.scrollWidth <= document.documentElement.clientWidth");
        browser.size(1200, 900);
        browser.dark(false);
        // Before its first sample a series has nothing to draw yet: that alone is no problem of a page.
        let problems = browser.problems();
        assert!(problems.iter().all(|text| text.contains("404")), "{path}: {problems:?}");
    }
}

#[test]
fn what_is_switched_off_stays_off_over_a_reload_and_a_restart() {
    let served = Served::start(demo());
    let browser = Browser::open();
    let is_on = |name: &str| format!("document.querySelector(\"{} input:checked\")", switch("network", name));
    browser.go(&served.url("/items"));
    browser.wait_for(&is_on("eth0"));
    browser.wait_for(&format!("!{}", is_on("lo")));
    browser.click(&format!("{} input", switch("network", "eth0")));
    browser.click(&format!("{} input", switch("network", "lo")));
    let is_kept = format!("!{} && {}", is_on("eth0"), is_on("lo"));
    browser.wait_for(&is_kept);
    browser.wait_for_text("[data-on=network]", "1 of 2 on");
    browser.reload();
    browser.wait_for(&is_kept);
    let served = served.again();
    browser.go(&served.url("/items"));
    browser.wait_for(&is_kept);
    browser.go(&served.url("/network"));
    browser.wait_for_text("[data-items=network]", "lo");
    assert_eq!(browser.texts("[data-items=network] section:not([hidden]) h2").len(), 1);
    crate::support::eventually("samples of lo alone", || served.path("data/net_lo.rrd").exists());
}

#[test]
fn what_comes_and_goes_is_shown_without_a_reload() {
    let served = Served::start(demo());
    let (browser, items) = (Browser::open(), Browser::open());
    browser.go(&served.url("/network"));
    items.go(&served.url("/items"));
    browser.wait_for_text("[data-items=network]", "eth0");
    // A name is text, whatever it says.
    find(&served, &["eth0", "lo", "wlan<b>0"]);
    browser.wait_for_text("[data-items=network]", "wlan<b>0");
    items.wait_for_text("[data-switches=network]", "wlan<b>0");
    find(&served, &["lo", "wlan<b>0"]);
    browser.wait_for("document.querySelector(\"[data-key='network/eth0']\").hasAttribute('data-gone')");
    items.wait_for_text(&switch("network", "eth0"), "gone");
    find(&served, &["eth0", "lo", "wlan<b>0"]);
    browser.wait_for("!document.querySelector(\"[data-key='network/eth0']\").hasAttribute('data-gone')");
    assert_eq!(browser.count("main b:not([data-value])"), 0);
    // What nobody wanted is forgotten at once.
    items.wait_for_text("[data-on=network]", "2 of 3 on");
    find(&served, &["eth0", "wlan<b>0"]);
    items.wait_for_text("[data-on=network]", "2 of 2 on");
}

#[test]
fn internals_tell_the_file_and_what_feeds_it() {
    let served = Served::start(demo());
    let browser = Browser::open();
    browser.go(&served.url("/network"));
    browser.wait_for_text("[data-items=network]", "eth0");
    crate::support::eventually("a file", || served.path("data/net_eth0.rrd").exists());
    browser.click("[data-key='network/eth0'] a.internals");
    for text in
        ["rx_bytes", "DERIVE", "120 s", "AVERAGE", "path: data/net_${key}.rrd", "scripts/choose.lua", "net_eth0.rrd"]
    {
        browser.wait_for_text("main", text);
    }
    // The rate, told by the series' events: nothing was received meanwhile.
    browser.wait_for("document.querySelector('[data-field=rx_bytes]').textContent === '0'");
}

#[cfg(feature = "charts")]
#[test]
fn every_chart_of_a_page_zooms_with_the_others() {
    let served = Served::start(demo());
    let browser = Browser::open();
    browser.go(&served.url("/"));
    browser.wait_for("document.querySelectorAll('main .u-over').length === 4");
    browser.wait_for("[...document.querySelectorAll('.u-legend')].every(legend => /20\\d\\d-/.test(legend.innerText))");
    let asked =
        "performance.getEntriesByType('resource').slice(window.asked).filter(asked => asked.name.includes('&to='))";
    browser.script("window.asked = performance.getEntriesByType('resource').length", json!([]));
    browser.drag("main .u-over", 0.5, 0.9);
    browser.wait_for(&format!("{asked}.length === 4"));
    browser.click("[data-window='-1h']");
    browser.wait_for("document.querySelector(\"[data-window='-1h']\").getAttribute('aria-pressed') === 'true'");
    browser.go(&served.url("/cpu"));
    browser.wait_for("performance.getEntriesByType('resource').some(asked => asked.name.includes('from=-1h'))");
}
