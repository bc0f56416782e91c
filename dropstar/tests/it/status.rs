//! The status pages: what they show, how they are asked for, and that no name breaks out of its place.

use serde_json::json;
use unidist::{AcquireOptions, AddOptions, Stop};

use crate::support::{Fixture, HOSTILE, Reply, tell};

/// Names that are hard to put into markup, scripts and paths.
const NAMES: [&str; 5] = ["<script>alert(2)</script>", "' onload='alert(3)", "a&b\"c", "../up", "a//b?c#d"];

/// A site around which everything has hard names.
fn full() -> Fixture {
    let site = Fixture::new(&[]);
    tell(&site);
    let stop = Stop::new();
    let state = site.unidist.sharedstate();
    state.set("hosts", "web1", json!({"city": HOSTILE})).unwrap();
    state.set("hosts", "web2", json!("kyoto")).unwrap();
    site.unidist.sharedcounter().set("requests", 1_234_567).unwrap();
    site.unidist.messagequeue().add("wall", json!(HOSTILE), &AddOptions::default(), &stop).unwrap();
    let letter = json!({"queue": HOSTILE, "id": "#1", "message": HOSTILE, "attempts": 5, "reasons": [HOSTILE]});
    site.unidist.messagequeue().add("wall", letter, &AddOptions::default(), &stop).unwrap();
    for name in NAMES {
        site.unidist.sharedcounter().set(name, 1).unwrap();
        state.set(name, name, json!(name)).unwrap();
        site.unidist.messagequeue().add(name, json!(name), &AddOptions::default(), &stop).unwrap();
        let owner = unidist::Owner::named(name).unwrap();
        site.unidist.sharedlock().acquire_as(name, &owner, &AcquireOptions::default(), &stop).unwrap();
    }
    site
}

fn page(site: &Fixture, path: &str) -> Reply {
    site.request("GET", path, &[("accept", "text/html")], "")
}

fn text(site: &Fixture, path: &str) -> String {
    let reply = page(site, path);
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.text().replace("&#x2f;", "/")
}

/// Every page, with what it must show.
const PAGES: [(&str, &[&str]); 15] = [
    ("", &[">cpu<", "requests", "1234567", "wall", "23:59:59", "load <b>0.500</b>", "/status/state/hosts"]),
    ("/threads", &[">cpu<", "/status/threads/cpu", "<polyline points=", "<circle"]),
    ("/threads/cpu", &["at most 1.5 s", "09 Sep 2001 01:46:40", "load", "0.25", "#L3"]),
    ("/series", &["load <b>0.500</b>", "from=-1d"]),
    ("/series/cpu", &["GAUGE", "AVERAGE", "2.0 KiB", "the last month", "from=-1y", "60 s"]),
    ("/locks", &["release: sure?"]),
    ("/counters", &["1234567", "data-counter=\"requests\""]),
    ("/queues", &["/status/queues/wall", "/status/queues?name=..%2Fup"]),
    ("/queues/wall", &["move back", "looked at, not taken"]),
    ("/queues?name=..%2Fup", &["../up"]),
    ("/state", &["/status/state/hosts", "/status/state?name=a%2F%2Fb%3Fc%23d"]),
    ("/state/hosts", &["web1", "kyoto", "key=web2"]),
    ("/state/hosts?key=web1", &["<textarea", "save", "delete: sure?"]),
    ("/log", &["23:59:59", "data-level=\"trace\""]),
    ("/sources?file=x", &["/blocks/a.yaml"]),
];

#[test]
fn every_page_shows_its_things_and_no_name_breaks_out() {
    let site = full();
    for (path, wanted) in PAGES {
        let path = format!("/status{path}");
        let text = text(&site, &path);
        for wanted in wanted {
            assert!(text.contains(wanted), "{path}: {wanted}\n{text}");
        }
        assert_eq!(text.matches("<script").count(), 1, "{path}: only our own\n{text}");
        assert!(!text.contains("' onload='") && !text.contains("a&b\"c"), "{path}: {text}");
        assert!(!text.contains("</title><script>") && !text.contains("style="), "{path}: {text}");
        let reply = page(&site, &path);
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let policy = reply.header("content-security-policy").unwrap();
        assert!(!policy.contains("unsafe") && policy.contains("style-src 'sha256-"), "{policy}");
    }
    let hostile = "/graph/%22%7D%201%0A%3C/title%3E%3Cscript%3Ealert%281%29%3C/script%3E%27%5C%C3%A9.png";
    assert!(text(&site, "/status/series").contains(hostile));
}

#[test]
fn every_page_is_json_for_who_wants_it() {
    let site = full();
    let json =
        |path: &str| site.request("GET", &format!("/status{path}"), &[("accept", "application/json")], "").json();
    for (path, _) in PAGES {
        let mark = if path.contains('?') { '&' } else { '?' };
        let (asked, again) = (json(path), json(&format!("{path}{mark}format=json")));
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&asked), keys(&again), "{path}");
    }
    let overview = json("");
    assert_eq!(overview["counters"]["requests"], 1_234_567);
    assert_eq!((&overview["reasons"], &overview["buckets_count"]), (&json!([]), &json!(6)));
    assert_eq!(overview["threads"]["cpu"]["next_start"], 5.0);
    assert_eq!(overview["log"][0]["text"], HOSTILE);
    assert_eq!(json("/queues/wall")["messages"][0]["message"], HOSTILE);
    assert_eq!(json("/queues/wall")["messages"][1]["came_from"], HOSTILE);
    let locks = json("/locks");
    assert_eq!(locks["locks"][0]["owner"].as_str(), locks["locks"][0]["name"].as_str());
    assert_eq!(json("/state/hosts?key=web2")["entry"]["value"], "kyoto");
    assert_eq!(json("/threads/cpu")["thread"]["durations"][1], json!([1.5, true]));
}

#[test]
fn state_is_searched_in_all_or_one_bucket_and_a_wrong_pattern_is_named() {
    let site = full();
    let found =
        |path: &str| site.get(&format!("/status/state{path}&format=json")).json()["state"].as_array().unwrap().len();
    assert_eq!(found("?search=KYOTO"), 1);
    assert_eq!(found("?search=."), 7);
    assert_eq!(found("/hosts?search=."), 2);
    assert!(text(&site, "/status/state?search=%22%3E%3Cb%3E").contains("nothing matches"));
    let reply = site.get("/status/state?format=json&search=(");
    assert_eq!(reply.status, 400, "{}", reply.text());
}

#[test]
fn the_log_is_shown_from_a_level_and_with_a_text() {
    let site = Fixture::new(&[]);
    let line = |level: &str, text: &str| json!({"time": "2026-11-21T23:59:59.5Z", "level": level, "text": text});
    let lines =
        json!([line("error", "disk full"), line("WARN", "disk slow"), line("info", "hello"), line("debug", "x")]);
    site.told.lock().unwrap().insert("logs".into(), json!({"lines": lines, "missed": 0, "next": 4}));
    let shown = |query: &str| {
        let log = site.get(&format!("/status/log?format=json&{query}")).json();
        let texts = log["log"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap().to_string());
        texts.collect::<Vec<_>>()
    };
    assert_eq!(shown(""), ["disk full", "disk slow", "hello", "x"]);
    assert_eq!(shown("level=warn"), ["disk full", "disk slow"]);
    assert_eq!(shown("level=info&search=HELLO"), ["hello"]);
    assert_eq!(shown("level=loud"), ["disk full", "disk slow", "hello", "x"]);
}

#[test]
fn long_lists_come_in_parts_and_the_overview_stays_short() {
    let site = Fixture::new(&[]);
    for number in 0..620 {
        site.unidist.sharedcounter().set(&format!("c{number:03}"), number).unwrap();
        site.unidist.sharedstate().set("b", &format!("k{number:03}"), json!(number)).unwrap();
    }
    let overview = site.get("/status?format=json").json();
    assert_eq!((&overview["counters_count"], overview["counters"].as_object().unwrap().len()), (&json!(620), 20));
    assert!(text(&site, "/status").contains("600 more"));
    let last = site.get("/status/counters?page=4&format=json").json();
    assert_eq!(last["listing"], json!({"all": 620, "matching": 620, "page": 4, "pages": 4}));
    assert_eq!(last["counters"].as_object().unwrap().len(), 20);
    let keys = text(&site, "/status/state/b?page=2");
    assert!(keys.contains("?page=3") && keys.contains("k399") && !keys.contains("k400"), "{keys}");
    assert_eq!(site.get("/status/counters?search=C61&format=json").json()["listing"]["matching"], 10);
}

#[test]
fn they_are_where_the_configuration_says() {
    let site = Fixture::with(&[], |config, _| config.status = "/inside".into());
    tell(&site);
    assert_eq!(page(&site, "/inside").status, 200);
    assert_eq!(page(&site, "/inside/log").status, 200);
    assert!(text(&site, "/inside/threads").contains("href=\"/inside/threads/cpu\""));
    for path in
        ["/status", "/insider", "/inside/none", "/inside/locks/x", "/inside/queues/none", "/inside/state/b?key=k"]
    {
        assert_eq!(page(&site, path).status, 404, "{path}");
    }
    let below = Fixture::with(&[], |config, _| config.prefix = "/tools".into());
    tell(&below);
    assert!(text(&below, "/tools/status").contains("href=\"/tools/status/locks\""));
}

#[test]
fn a_file_that_is_none_of_the_instances_is_not_shown() {
    let site = Fixture::new(&[]);
    assert_eq!(page(&site, "/status/sources?file=/etc/passwd").status, 404);
}

#[test]
fn the_versions_of_everything_are_told() {
    let site = Fixture::new(&[]);
    assert_eq!(site.get("/version").json(), json!({"dropstar": env!("CARGO_PKG_VERSION")}));
    tell(&site);
    assert_eq!(site.get("/version").json(), json!({"procblock": "1.2.3", "dropstar": env!("CARGO_PKG_VERSION")}));
}
