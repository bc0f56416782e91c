//! Series in pages: pictures that the server draws, and interactive charts.

use serde_json::json;

use crate::browser::Browser;
use crate::site::Served;
use crate::support::Run;

/// A series with a sample each second, and a page under the policy of the server's own pages.
fn served(page: &str) -> Served {
    let block = "__usage: {longrunning: true}
serve: {port: 0, folder: site}
run:
  - name: wave
    every: 1s
    lua: \"return {up = unidist.sharedcounter.increment('up'), down = 5}\"
    timeseries collect: {path: data/wave.rrd, fields: [up, down]}
";
    let policy = "content security policy: \"default-src 'none'; script-src 'self'; style-src 'self'; \
                  img-src 'self' data:; connect-src 'self'\"";
    let script = format!("--: {policy}\nfunction ProcessBlock() return {{}} end\n");
    let run = Run::block(block).file("site/pages/index.lua", &script).file("site/templates/index.html", page);
    Served::start(run)
}

#[test]
fn a_picture_is_drawn_and_drawn_again() {
    let page = "<!doctype html><title>graph</title><script src=\"/dropstar.js\"></script>
<img data-graph=\"data/wave\" data-from=\"-1m\" data-every=\"1s\" alt=\"wave\">";
    let served = served(page);
    let browser = Browser::open();
    browser.go(&served.url("/"));
    browser.wait_for("document.querySelector('img').naturalWidth > 100");
    let first = browser.script("return document.querySelector('img').src", json!([]));
    browser.wait_for(&format!("document.querySelector('img').src !== {first}"));
    browser.dark(true);
    browser.wait_for("document.querySelector('img').src.includes('dark=1')");
    // Before its first sample a series has no picture yet: that alone is no problem of the page.
    let problems = browser.problems();
    assert!(problems.iter().all(|text| text.contains("404")), "{problems:?}");
}

#[cfg(feature = "charts")]
#[test]
fn a_chart_grows_with_each_sample_and_zooms() {
    let page = "<!doctype html><title>chart</title><script src=\"/dropstar.js\"></script>
<div id=\"chart\" data-chart=\"data/wave\" data-from=\"-1m\"></div>";
    let served = served(page);
    let browser = Browser::open();
    browser.go(&served.url("/"));
    // The series is there once it has a sample.
    let read = "(async () => (await (await fetch('/series/data/wave.json?from=-1m')).json()).times?.length > 1)()";
    crate::support::eventually("samples", || browser.script(&format!("return {read}"), json!([])) == json!(true));
    browser.reload();
    browser.wait_for("document.querySelector('#chart canvas')");
    let labels = browser.texts("#chart .u-label");
    assert!(labels.iter().any(|label| label == "up") && labels.iter().any(|label| label == "down"), "{labels:?}");
    browser.problems();
    // The legend shows the newest value while nothing is pointed at.
    let hovered = "const over = document.querySelector('#chart .u-over'), box = over.getBoundingClientRect();
        over.dispatchEvent(new MouseEvent('mousemove', {clientX: box.right - 2, clientY: box.top + 9, bubbles: true}));
        return document.querySelectorAll('#chart .u-value')[1].textContent";
    let value = || browser.script(hovered, json!([])).as_str().unwrap_or_default().parse::<f64>().unwrap_or(0.0);
    crate::support::eventually("a value", || value() > 0.0);
    let before = value();
    crate::support::eventually("a newer value", || value() > before);
    browser.script("window.asked = performance.getEntriesByType('resource').length", json!([]));
    browser.drag("#chart .u-over", 0.5, 0.9);
    let zoomed =
        "performance.getEntriesByType('resource').slice(window.asked).some(asked => asked.name.includes('&to='))";
    browser.wait_for(zoomed);
    assert_eq!(browser.problems(), [""; 0]);
}

/// Rates are told with each sample, so that the file is read once: with the page, or once more when the first sample came
/// after it.
#[cfg(feature = "charts")]
#[test]
fn a_chart_of_rates_grows_without_being_read_again() {
    let block = "__usage: {longrunning: true}
serve: {port: 0, folder: site}
run:
  - name: wave
    every: 1s
    lua: \"return {up = unidist.sharedcounter.increment('up', 7)}\"
    timeseries collect: {path: data/wave.rrd, fields: {up: {type: DERIVE, min: 0}}}
";
    let page = "<!doctype html><title>chart</title><script src=\"/dropstar.js\"></script>
<div id=\"chart\" data-chart=\"data/wave\" data-from=\"-1m\" data-unit=\"/s\" data-labels=\"upwards\"></div>
<b data-series=\"data/wave\" data-field=\"up\"></b>";
    let served = Served::start(Run::block(block).file("site/templates/index.html", page));
    let browser = Browser::open();
    browser.go(&served.url("/"));
    browser.wait_for_text("b", "7");
    browser.reload();
    browser.wait_for_text("#chart .u-legend", "upwards");
    browser.wait_for_text("#chart .u-legend", "7\u{a0}/s");
    let time = || browser.texts("#chart .u-value").first().cloned().unwrap_or_default();
    for _ in 0..3 {
        let before = time();
        crate::support::eventually("a newer sample", || time() > before);
    }
    let read =
        "return performance.getEntriesByType('resource').filter(asked => asked.name.includes('/series/')).length";
    assert_eq!(browser.script(read, json!([])), json!(1));
}

/// A series without a sample says so, and is drawn as soon as it has one.
#[cfg(feature = "charts")]
#[test]
fn a_chart_waits_for_the_first_sample() {
    let block = "__usage: {longrunning: true}
serve: {port: 0, folder: site}
run:
  - name: late
    every: 1s
    lua: \"return {all = file.exists('go') and {one = {n = 5}} or json.decode('{}')}\"
    timeseries collect: {path: 'data/late_${key}.rrd', key: all, fields: [n]}
";
    let page = "<!doctype html><title>chart</title><script src=\"/dropstar.js\"></script>
<div id=\"chart\" data-chart=\"data/late_one\" data-from=\"-1m\"></div>";
    let served = Served::start(Run::block(block).file("site/templates/index.html", page));
    let browser = Browser::open();
    browser.go(&served.url("/"));
    browser.wait_for_text("#chart", "no samples yet");
    std::fs::write(served.path("go"), "").unwrap();
    browser.wait_for("document.querySelector('#chart canvas')");
}

#[cfg(not(feature = "charts"))]
#[test]
fn without_charts_a_picture_is_shown() {
    let served = served(
        "<!doctype html><title>chart</title><script src=\"/dropstar.js\"></script>
<div id=\"chart\" data-chart=\"data/wave\" data-from=\"-1m\"></div>",
    );
    let browser = Browser::open();
    browser.go(&served.url("/"));
    browser.wait_for("document.querySelector('#chart img')?.naturalWidth > 100");
}
