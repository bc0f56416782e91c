//! The status page: what it shows, how it is asked for, and that no name breaks out of its place.

use serde_json::json;
use unidist::{AcquireOptions, AddOptions, Stop};

use crate::support::{Fixture, HOSTILE, Reply, tell};

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
    for name in ["<script>alert(2)</script>", "' onload='alert(3)", "a&b\"c"] {
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

#[test]
fn the_page_shows_everything_and_no_name_breaks_out() {
    let site = full();
    let reply = page(&site, "/status");
    let text = reply.text().replace("&#x2f;", "/");
    assert_eq!(reply.status, 200, "{text}");
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = reply.header("content-security-policy").unwrap();
    assert!(!policy.contains("unsafe") && policy.contains("style-src 'sha256-"), "{policy}");
    for wanted in
        [">cpu<", "requests", "1234567", "web1", "kyoto", "wall", "23:59:59", "/blocks/a.yaml", "load <b>0.500</b>"]
    {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    assert_eq!(text.matches("<script").count(), 1, "only our own\n{text}");
    assert!(!text.contains("' onload='") && !text.contains("a&b\"c"), "{text}");
    let hostile = "/graph/%22%7D%201%0A%3C/title%3E%3Cscript%3Ealert%281%29%3C/script%3E%27%5C%C3%A9.png";
    assert!(text.contains(hostile), "{text}");
}

#[test]
fn it_is_json_for_who_wants_it() {
    let site = full();
    let reply = site.request("GET", "/status", &[("accept", "application/json")], "");
    let values = reply.json();
    assert_eq!(
        values,
        site.get("/status?format=json")
            .json()
            .as_object()
            .map(|again| {
                // Only what time and requests change differs.
                let mut again = again.clone();
                for key in ["now", "server", "locks", "queues", "threads"] {
                    again[key] = values[key].clone();
                }
                serde_json::Value::Object(again)
            })
            .unwrap()
    );
    assert_eq!(values["counters"]["requests"], 1_234_567);
    assert_eq!(values["queues"][3]["first"][0]["message"], HOSTILE);
    assert_eq!(values["state"].as_array().unwrap().len(), 5);
    assert_eq!(values["threads"]["cpu"]["next_start"], 5.0);
    assert_eq!(values["locks"][0]["owner"].as_str(), values["locks"][0]["name"].as_str());
    assert_eq!(values["reasons"], json!([]));
    assert_eq!(values["log"][0]["text"], HOSTILE);
}

#[test]
fn state_is_searched_and_a_wrong_pattern_is_named() {
    let site = full();
    let found = site.get("/status?format=json&search=KYOTO").json();
    assert_eq!(found["state"].as_array().unwrap().len(), 1);
    assert!(page(&site, "/status?search=%22%3E%3Cb%3E").text().contains("nothing matches"));
    let reply = site.get("/status?format=json&search=(");
    assert_eq!(reply.status, 400, "{}", reply.text());
}

#[test]
fn what_is_left_out_is_counted() {
    let site = Fixture::new(&[]);
    for number in 0..620 {
        site.unidist.sharedcounter().set(&format!("c{number}"), 1).unwrap();
        site.unidist.sharedstate().set(&format!("b{}", number / 310), &number.to_string(), json!(number)).unwrap();
    }
    let values = site.get("/status?format=json").json();
    assert_eq!(values["left_out"], json!({"counters": 120, "state": 120}));
    assert_eq!(values["state"].as_array().unwrap().len(), 500);
    assert!(page(&site, "/status").text().contains("120 more are not shown"));
}

#[test]
fn it_is_where_the_configuration_says_and_can_only_be_read() {
    let site = Fixture::with(&[], |config, _| config.status = "/inside".into());
    assert_eq!(page(&site, "/inside").status, 200);
    assert_eq!(page(&site, "/status").status, 404);
    assert_eq!(site.post("/inside", "application/json", "{}").status, 405);
    assert_eq!(page(&site, "/inside?source=/etc/passwd").status, 404);
}
