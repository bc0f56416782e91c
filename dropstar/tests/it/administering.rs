//! What administrators change through the status pages, and who may not.

use std::time::Duration;

use serde_json::{Value, json};
use unidist::{AcquireOptions, AddOptions, Failure, Owner, QueueOptions, Stop};

use crate::attacks::{Guarded, PASSWORD, guarded};
use crate::support::{Fixture, Reply, audit_lines};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");
const PAGE: (&str, &str) = ("accept", "text/html");

fn ask(site: &Fixture, path: &str, body: &Value) -> Reply {
    site.request("POST", &format!("/status{path}"), &[JSON, ("accept", "application/json")], &body.to_string())
}

fn send(site: &Fixture, path: &str, body: &str) -> Reply {
    site.request("POST", &format!("/status{path}"), &[FORM, PAGE], body)
}

fn lock(site: &Fixture, name: &str) -> u64 {
    let owner = Owner::named("backup").unwrap();
    site.unidist.sharedlock().acquire_as(name, &owner, &AcquireOptions::default(), &Stop::new()).unwrap()
}

#[test]
fn a_lock_is_released_from_whom_the_visitor_saw() {
    let site = Fixture::new(&[]);
    let fence = lock(&site, "deploy");
    let reply = ask(&site, "/locks", &json!({"action": "release", "name": "deploy", "fence": fence + 1}));
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert!(site.unidist.sharedlock().is_locked("deploy").unwrap());
    let reply = send(&site, "/locks", &format!("action=release&name=deploy&fence={fence}"));
    assert_eq!((reply.status, reply.header("location")), (303, Some("/status/locks?done=released")));
    assert!(!site.unidist.sharedlock().is_locked("deploy").unwrap());
    let page = site.request("GET", "/status/locks?done=released", &[PAGE], "").text();
    assert!(page.contains("The lock was released."), "{page}");
    assert!(!site.request("GET", "/status/locks?done=<b>x", &[PAGE], "").text().contains("<b>x"));
    assert_eq!(ask(&site, "/locks", &json!({"action": "release", "name": "deploy"})).status, 404);
}

#[test]
fn counters_are_set_and_deleted() {
    let site = Fixture::new(&[]);
    assert_eq!(ask(&site, "/counters", &json!({"action": "set", "name": "a", "value": -7})).json()["done"], "set");
    assert_eq!(site.unidist.sharedcounter().get("a").unwrap(), -7);
    assert_eq!(send(&site, "/counters", "action=set&name=a&value=+9").status, 303);
    assert_eq!(site.unidist.sharedcounter().get("a").unwrap(), 9);
    for value in ["x", "", "1.5", "99999999999999999999"] {
        let reply = send(&site, "/counters", &format!("action=set&name=a&value={value}"));
        let text = reply.text();
        assert!(reply.status == 400 && text.contains("role=\"alert\"") && text.contains("expected a whole"), "{text}");
    }
    assert_eq!(ask(&site, "/counters", &json!({"action": "delete", "name": "a"})).status, 200);
    assert_eq!(ask(&site, "/counters", &json!({"action": "delete", "name": "a"})).status, 404);
}

/// A queue whose two messages died.
fn with_dead_letters(site: &Fixture) -> Stop {
    let (queues, stop) = (site.unidist.messagequeue(), Stop::new());
    queues.configure("jobs", QueueOptions { attempts_max: Some(1), ..QueueOptions::default() }).unwrap();
    queues.add("jobs", json!("a"), &AddOptions { priority: 3, ..AddOptions::default() }, &stop).unwrap();
    queues.add("jobs", json!("b"), &AddOptions { id: Some("b".into()), ..AddOptions::default() }, &stop).unwrap();
    for _ in 0..2 {
        let wait = Some(Duration::ZERO);
        let claim = queues.claim("jobs", crate::support::DEADLINE, wait, &stop).unwrap().unwrap();
        queues.fail("jobs", &claim.id.to_string(), None, Failure { reason: "broken", delay: Duration::ZERO }).unwrap();
    }
    assert_eq!(queues.count("jobs.dead").unwrap(), Some(2));
    stop
}

fn messages(site: &Fixture, queue: &str) -> Vec<Value> {
    let all = site.unidist.messagequeue().all(queue, 100).unwrap();
    all.into_iter().map(|message| message.message).collect()
}

#[test]
fn dead_letters_are_moved_back_one_or_all_and_none_is_lost() {
    let site = Fixture::new(&[]);
    let stop = with_dead_letters(&site);
    let shown = site.get("/status/queues/jobs.dead?format=json").json();
    assert_eq!(shown["messages"][0]["came_from"], "jobs");
    let id = shown["messages"][0]["id"].as_str().unwrap();
    let moved = ask(&site, "/queues/jobs.dead", &json!({"action": "move back", "id": id})).json();
    assert_eq!(moved, json!({"done": "moved", "count": 1}));
    assert_eq!((messages(&site, "jobs"), messages(&site, "jobs.dead").len()), (vec![json!("a")], 1));
    assert_eq!(ask(&site, "/queues/jobs.dead", &json!({"action": "move back", "id": id})).status, 404);
    // A message of the same id came meanwhile: the dead letter stays.
    let same = AddOptions { id: Some("b".into()), ..AddOptions::default() };
    site.unidist.messagequeue().add("jobs", json!("newer"), &same, &stop).unwrap();
    assert_eq!(ask(&site, "/queues/jobs.dead", &json!({"action": "move back"})).status, 409);
    assert_eq!(messages(&site, "jobs.dead").len(), 1);
    site.unidist.messagequeue().remove("jobs", "b").unwrap();
    assert_eq!(send(&site, "/queues/jobs.dead", "action=move+back").status, 303);
    assert_eq!((messages(&site, "jobs"), messages(&site, "jobs.dead").len()), (vec![json!("a"), json!("b")], 0));
    assert_eq!(ask(&site, "/queues/jobs.dead", &json!({"action": "move back"})).status, 404);
}

#[test]
fn a_full_queue_takes_no_dead_letter_back() {
    let site = Fixture::new(&[]);
    with_dead_letters(&site);
    let full = QueueOptions { length_max: 1, when_full: unidist::WhenFull::Reject, ..QueueOptions::default() };
    site.unidist.messagequeue().configure("jobs", full).unwrap();
    let reply = ask(&site, "/queues/jobs.dead", &json!({"action": "move back"}));
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert_eq!((messages(&site, "jobs").len(), messages(&site, "jobs.dead").len()), (1, 1));
}

#[test]
fn a_message_is_looked_at_and_removed_but_never_taken() {
    let site = Fixture::new(&[]);
    site.unidist.messagequeue().add("wall", json!("hello"), &AddOptions::default(), &Stop::new()).unwrap();
    for _ in 0..2 {
        assert_eq!(site.get("/status/queues/wall?format=json").json()["messages"][0]["message"], "hello");
    }
    let id = site.unidist.messagequeue().oldest("wall").unwrap().unwrap().id.to_string();
    assert_eq!(
        ask(&site, "/queues/wall", &json!({"action": "move back", "id": id})).status,
        409,
        "it is no dead letter"
    );
    assert_eq!(ask(&site, "/queues/wall", &json!({"action": "remove", "id": id})).status, 200);
    assert_eq!(ask(&site, "/queues/wall", &json!({"action": "remove", "id": id})).status, 404);
}

#[test]
fn an_edit_never_writes_over_what_somebody_else_wrote() {
    let site = Fixture::new(&[]);
    let state = site.unidist.sharedstate();
    let revision = state.set("hosts", "web1", json!("kyoto")).unwrap();
    let set = |revision: u64, value: Value| {
        ask(&site, "/state/hosts", &json!({"action": "set", "key": "web1", "revision": revision, "value": value}))
    };
    assert_eq!(set(revision, json!({"city": "osaka"})).status, 200);
    let reply = set(revision, json!("late"));
    assert!(reply.status == 409 && reply.text().contains("has changed meanwhile"), "{}", reply.text());
    assert_eq!(state.get("hosts", "web1").unwrap(), Some(json!({"city": "osaka"})));
    // The page of a refused edit shows what is there and what was typed.
    let body = format!("action=set&key=web1&revision={revision}&value=%22typed%22");
    let reply = send(&site, "/state/hosts?key=web1", &body);
    let text = reply.text();
    assert!(reply.status == 409 && text.contains("osaka") && text.contains("&quot;typed&quot;</textarea>"), "{text}");
    let reply = ask(&site, "/state/hosts", &json!({"action": "delete", "key": "web1", "revision": revision}));
    assert_eq!(reply.status, 409);
    let revision = state.entry("hosts", "web1").unwrap().unwrap().revision;
    let reply = send(&site, "/state/hosts", &format!("action=delete&key=web1&revision={revision}"));
    assert_eq!((reply.status, reply.header("location")), (303, Some("/status/state/hosts?done=deleted")));
    assert_eq!(state.get("hosts", "web1").unwrap(), None);
    // A new key is one that is not there.
    assert_eq!(set(0, json!(1)).status, 200);
    assert_eq!(set(0, json!(2)).status, 409);
    let reply = send(&site, "/state?name=a%2F%2Fb", "action=set&key=k%26%3C&revision=0&value=1");
    assert_eq!(reply.header("location"), Some("/status/state?name=a%2F%2Fb&key=k%26%3C&done=set"));
}

#[test]
fn what_can_not_be_changed_says_so() {
    let site = Fixture::new(&[]);
    for path in ["", "/threads", "/series", "/log", "/sources"] {
        let reply = ask(&site, path, &json!({"action": "set"}));
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{path}");
    }
    let long = "x".repeat(3000);
    for (path, body) in [
        ("/locks", json!({})),
        ("/locks", json!({"action": "release"})),
        ("/counters", json!({"action": "release", "name": "a"})),
        ("/counters", json!({"action": "set", "name": long, "value": 1})),
        ("/queues", json!({"action": "move back"})),
        ("/state", json!({"action": "set", "key": "a", "revision": 0, "value": 1})),
        ("/state/b", json!({"action": "set", "key": "a", "value": 1})),
        ("/state/b", json!({"action": "set", "key": "a", "revision": "x", "value": 1})),
    ] {
        let reply = ask(&site, path, &body);
        assert_eq!(reply.status, 400, "{path} {body}: {}", reply.text());
    }
}

/// Every change that is known, on a store that has something for each.
fn changes() -> [(&'static str, &'static str); 5] {
    [
        ("/status/locks", "action=release&name=deploy"),
        ("/status/counters", "action=set&name=c&value=5"),
        ("/status/queues/wall", "action=remove&id=%231"),
        ("/status/state/hosts", "action=set&key=new&revision=0&value=1"),
        ("/status/state/hosts", "action=delete&key=old&revision=1"),
    ]
}

fn filled() -> Guarded {
    let site = guarded(&[]);
    lock(&site.site, "deploy");
    site.site.unidist.messagequeue().add("wall", json!(1), &AddOptions::default(), &Stop::new()).unwrap();
    site.site.unidist.sharedstate().set("hosts", "old", json!(1)).unwrap();
    site
}

#[test]
fn only_an_administrator_with_the_forms_token_changes_anything() {
    let site = filled();
    let before = site.site.unidist.sharedstate().revision().unwrap();
    let (ann, ben) = (site.log_in("ann", PASSWORD), site.log_in("ben", "battery staple"));
    let bearer = format!("Bearer {}", site.token);
    for (path, body) in changes() {
        let with = |token: &str| format!("{body}&csrf_token={token}");
        let cookie = ("cookie", ann.cookie.as_str());
        assert_eq!(site.post(path, &[FORM, cookie], body).status, 403, "without the token");
        assert_eq!(site.post(path, &[FORM, cookie], &with(&ben.token)).status, 403, "with another's");
        assert_eq!(site.post(path, &[FORM, ("cookie", &ben.cookie)], &with(&ben.token)).status, 403, "by a user");
        assert_eq!(site.post(path, &[FORM], body).status, 401, "by nobody");
        let token = [FORM, ("authorization", bearer.as_str())];
        assert_eq!(site.site.request("POST", path, &token, body).status, 403, "by a token that may call");
        let foreign = [FORM, cookie, ("origin", "http://evil.example")];
        assert_eq!(site.site.request("POST", path, &foreign, &with(&ann.token)).status, 403, "by another page");
    }
    assert_eq!(site.site.unidist.sharedstate().revision().unwrap(), before);
    assert!(site.site.unidist.sharedlock().is_locked("deploy").unwrap());
    let page = site.site.request("GET", "/status/locks", &[("cookie", &ann.cookie), PAGE], "").text();
    assert!(page.contains(&format!("name=\"csrf_token\" value=\"{}\"", ann.token)), "{page}");
    let sent = site.post(
        "/status/locks",
        &[FORM, PAGE, ("cookie", &ann.cookie)],
        &format!("action=release&name=deploy&csrf_token={}", ann.token),
    );
    assert_eq!(sent.status, 303, "{}", sent.text());
    assert!(!site.site.unidist.sharedlock().is_locked("deploy").unwrap());
}

#[test]
fn each_change_is_in_the_audit_log_with_who_made_it() {
    let lines = audit_lines();
    let site = filled();
    let ann = site.log_in("ann", PASSWORD);
    let name = "audited\r\nann from 127.0.0.1: innocent";
    let headers = [JSON, ("cookie", ann.cookie.as_str()), ("x-csrf-token", &ann.token)];
    for (name, status) in [(name, 400), ("audited", 303)] {
        let body = json!({"action": "set", "name": name, "value": 77}).to_string();
        assert_eq!(site.post("/status/counters", &headers, &body).status, status);
        let end = format!("to 77: {status}");
        let all = lines.until(|lines| lines.iter().any(|line| line.contains("audited") && line.ends_with(&end)));
        let line = all.iter().find(|line| line.contains("audited") && line.ends_with(&end)).unwrap();
        assert!(line.starts_with("ann from 127.0.0.1: POST /status/counters set counter"), "{line}");
        assert!(!line.contains('\n') && !line.contains('\r'), "{line}");
    }
    // Also where there are no users.
    let open = Fixture::new(&[]);
    assert_eq!(ask(&open, "/counters", &json!({"action": "set", "name": "openly", "value": 1})).status, 200);
    lines.until(|lines| lines.iter().any(|line| line.starts_with("anybody") && line.contains("openly")));
}

#[test]
fn without_users_only_this_machine_changes_anything_and_no_proxy() {
    let site = Fixture::new(&[]);
    lock(&site, "deploy");
    let far = [FORM, PAGE, ("x-forwarded-for", "203.0.113.9")];
    let reply = site.request("POST", "/status/locks", &far, "action=release&name=deploy");
    assert!(reply.status == 403 && reply.text().contains("procblock user add"), "{}", reply.text());
    assert!(site.unidist.sharedlock().is_locked("deploy").unwrap());
    let page = site.request("GET", "/status/locks", &[PAGE, ("x-forwarded-for", "203.0.113.9")], "").text();
    assert!(page.contains("deploy") && !page.contains("release: sure?"), "{page}");
    let foreign = [FORM, PAGE, ("origin", "http://evil.example")];
    assert_eq!(site.request("POST", "/status/locks", &foreign, "action=release&name=deploy").status, 403);
}

#[test]
fn the_log_is_followed_only_by_administrators() {
    let site = guarded(&[]);
    let (ann, ben) = (site.log_in("ann", PASSWORD), site.log_in("ben", "battery staple"));
    for path in ["/events?log=", "/events?counter=a&log=x"] {
        assert_eq!(site.site.request("GET", path, &[("cookie", &ben.cookie)], "").status, 403, "{path}");
        let mut connection = site.site.connect();
        connection.request("GET", path, &[("cookie", &ann.cookie)], "");
        assert!(connection.line().starts_with("HTTP/1.1 200"), "{path}");
    }
}
