//! The rules of `demos/no_relay_chat`, over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{LONG, Reply, Run, Running, Web, eventually};

/// The chat on a free port; `sweep` replaces how often it looks for who has gone, and after how long they have.
fn chat_swept(every: &str, gone_after: &str) -> (Running, Web) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demos/no_relay_chat");
    let mut text = std::fs::read_to_string(folder.join("no_relay_chat.yaml")).unwrap();
    for (old, new) in [
        ("  folder: site\n", "  folder: site\n  port: 0\n"),
        ("every: 30s", &format!("every: {every}")),
        ("gone_after: 600", &format!("gone_after: {gone_after}")),
        ("empty_kept: 86400", &format!("empty_kept: {gone_after}")),
    ] {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    let run = Run::named("no_relay_chat.yaml", "").copy(&folder).file("no_relay_chat.yaml", &text);
    let running = run.own(["-vv"]).start();
    let web = Web::of(&running);
    (running, web)
}

fn chat() -> (Running, Web) {
    chat_swept("30s", "600")
}

/// Calls a procedure as a page does, with this cookie.
fn call(web: &Web, cookie: &str, name: &str, arguments: &Value) -> Reply {
    let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
    let headers = format!("Sec-Fetch-Site: same-origin\r\nContent-Type: application/json\r\n{cookie}");
    web.request(&format!("POST /rpc/{name}"), &headers, &arguments.to_string())
}

/// Somebody who has logged in.
struct Person<'a> {
    web: &'a Web,
    cookie: String,
    id: String,
}

impl<'a> Person<'a> {
    fn new(web: &'a Web, name: &str) -> Self {
        let reply = call(web, "", "log_in", &json!({ "name": name }));
        assert_eq!(reply.status, 200, "{reply:?}");
        let line = reply.raw_header("set-cookie");
        let cookie = line.split(';').next().unwrap().to_string();
        Person { web, cookie, id: reply.json()["id"].as_str().unwrap().to_string() }
    }

    fn call(&self, name: &str, arguments: &Value) -> Reply {
        call(self.web, &self.cookie, name, arguments)
    }

    /// What is allowed.
    fn does(&self, name: &str, arguments: Value) -> Value {
        let reply = self.call(name, &arguments);
        assert_eq!(reply.status, 200, "{name} {arguments}: {reply:?}");
        reply.json()
    }

    /// What is refused, for this reason.
    fn may_not(&self, name: &str, arguments: Value, (status, text): (u16, &str)) {
        let reply = self.call(name, &arguments);
        assert_eq!(reply.status, status, "{name} {arguments}: {reply:?}");
        assert!(reply.body.contains(text), "{name} {arguments}: {reply:?}");
    }

    /// Makes a channel; gives its id.
    fn creates(&self, arguments: Value) -> String {
        self.does("create", arguments)["channel"].as_str().unwrap().to_string()
    }

    fn says(&self, channel: &str, text: &str) {
        self.does("say", json!({"channel": channel, "text": text}));
    }

    fn news(&self) -> Value {
        self.does("news", json!({}))
    }

    /// Every message of a channel, as the person sees it; none if they are not in it.
    fn hears(&self, channel: &str) -> Option<Vec<String>> {
        let news = self.news();
        let channel = news["channels"].as_array().unwrap().iter().find(|one| one["id"] == channel)?;
        let said = channel["entries"].as_array().unwrap().iter().map(|entry| &entry["value"]);
        let said = said.filter(|value| value["kind"] == "said");
        Some(said.map(|value| value["text"].as_str().unwrap().to_string()).collect())
    }

    /// The kinds of what this person alone was told.
    fn is_told(&self) -> Vec<String> {
        let entries = self.news()["desk"]["entries"].as_array().unwrap().clone();
        entries.iter().map(|entry| entry["value"]["kind"].as_str().unwrap().to_string()).collect()
    }
}

/// As long as a session, and none.
const LONG_COOKIE: &str = "no_relay_chat=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

const NO_MEMBER: (u16, &str) = (404, "you are in no such channel");
const NO_CHANNEL: (u16, &str) = (404, "there is no such channel");
const NO_OPERATOR: (u16, &str) = (403, "only operators may do that");

#[test]
fn a_name_is_one_persons_while_they_are_here() {
    let (_running, web) = chat();
    let ann = Person::new(&web, " Ann ");
    assert_eq!(ann.news()["me"]["name"], "Ann");
    for name in ["Ann", "aNN", "ann "] {
        let reply = call(&web, "", "log_in", &json!({ "name": name }));
        assert_eq!((reply.status, reply.json()), (409, json!({"error": "somebody here has this name"})), "{name}");
    }
    // The same again is no new person; another name is, and frees the old one.
    assert_eq!(ann.does("log_in", json!({"name": "ANN"}))["id"], ann.id.as_str());
    let reply = ann.call("log_in", &json!({"name": "Anna"}));
    assert_ne!(reply.json()["id"], ann.id.as_str());
    ann.may_not("lobby", json!({}), (401, "log in first"));
    let other = Person::new(&web, "Ann");
    other.does("log_out", json!({}));
    other.may_not("lobby", json!({}), (401, "log in first"));
    Person::new(&web, "ann");
    for name in ["", "   ", &"x".repeat(25), "a\u{202e}b", "a\nb", "a\u{200b}", "\u{7f}"] {
        let reply = call(&web, "", "log_in", &json!({ "name": name }));
        assert_eq!(reply.status, 400, "{name:?}: {reply:?}");
    }
    Person::new(&web, &"é".repeat(24));
}

#[test]
fn a_session_is_a_cookie_that_only_the_server_makes_and_no_script_reads() {
    let (running, web) = chat();
    let chosen = "no_relay_chat=0000000000000000000000000000000000000000000";
    let reply = call(&web, chosen, "log_in", &json!({"name": "Ann"}));
    let line = reply.raw_header("set-cookie");
    assert!(!line.contains("0000") && line.contains("; HttpOnly; SameSite=Strict"), "{line}");
    let value = line.split(['=', ';']).nth(1).unwrap();
    assert_eq!(value.len(), 43, "{line}");
    assert!(!reply.body.contains(value), "{reply:?}");
    for wrong in ["", chosen, "no_relay_chat=", "no_relay_chat=p1", LONG_COOKIE, "no_relay_chat=__chat_people"] {
        for name in ["lobby", "log_out"] {
            assert_eq!(call(&web, wrong, name, &json!({})).status, 401, "{wrong}");
        }
        assert_eq!(call(&web, wrong, "news", &json!({})).json(), json!({"me": null}));
    }
    // Neither a page of another site nor a link can act for who is logged in.
    let cookie = line.split(';').next().unwrap();
    let headers = format!("Origin: http://evil.example\r\nContent-Type: application/json\r\nCookie: {cookie}\r\n");
    assert_eq!(web.request("POST /rpc/log_out", &headers, "{}").status, 403);
    assert_eq!(web.request("GET /rpc/log_out", &format!("Cookie: {cookie}\r\n"), "").status, 405);
    assert_eq!(call(&web, cookie, "news", &json!({})).json()["me"]["name"], "Ann");
    let ended = running.interrupt();
    assert!(!ended.stderr.contains(value), "sessions are in no log");
}

#[test]
fn of_many_at_once_one_gets_a_name_and_all_join_once() {
    let (_running, web) = chat();
    let web = &web;
    let statuses = |work: &(dyn Fn() -> u16 + Sync)| -> Vec<u16> {
        thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        })
    };
    let logged_in = statuses(&|| call(web, "", "log_in", &json!({"name": "Ann"})).status);
    assert_eq!(logged_in.iter().filter(|status| **status == 200).count(), 1, "{logged_in:?}");
    let ben = Person::new(web, "Ben");
    let created = statuses(&|| ben.call("create", &json!({"channel": "garden"})).status);
    assert_eq!(created.iter().filter(|status| **status == 200).count(), 1, "{created:?}");
    let cleo = Person::new(web, "Cleo");
    assert_eq!(statuses(&|| cleo.call("join", &json!({"channel": "garden"})).status), [200; 8]);
    let news = ben.news();
    let members = news["channels"][0]["members"].as_array().unwrap();
    assert_eq!(members.iter().map(|one| one["name"].as_str().unwrap()).collect::<Vec<_>>(), ["Ben", "Cleo"]);
    let channel = news["channels"][0]["id"].as_str().unwrap();
    assert_eq!(statuses(&|| ben.call("say", &json!({"channel": channel, "text": "hi"})).status), [200; 8]);
    assert_eq!(cleo.hears(channel).unwrap().len(), 8);
    // Leaving and closing at once: one closes, nobody is left in it.
    let ends = statuses(&|| ben.call("close", &json!({"channel": channel})).status);
    assert_eq!(ends.iter().filter(|status| **status == 200).count(), 1, "{ends:?}");
    assert_eq!((cleo.hears(channel), ben.hears(channel)), (None, None));
}

#[test]
fn who_joins_is_shown_the_last_200_and_reads_on_from_where_they_were() {
    let (_running, web) = chat();
    let ann = Person::new(&web, "Ann");
    let channel = ann.creates(json!({"channel": "#garden"}));
    let (mut talkers, mut count) = (Vec::new(), 0);
    while count < 220 {
        let talker = Person::new(&web, &format!("talker {}", talkers.len()));
        talker.does("join", json!({"channel": "Garden"}));
        for _ in 0..20 {
            talker.says(&channel, &format!("message {count}"));
            count += 1;
        }
        talkers.push(talker);
    }
    talkers[0].may_not("say", json!({"channel": channel, "text": "one more"}), (429, "too many messages"));
    let ben = Person::new(&web, "Ben");
    ben.does("join", json!({"channel": "garden"}));
    let heard = ben.hears(&channel).unwrap();
    let entries = ben.news()["channels"][0]["entries"].as_array().unwrap().len();
    assert_eq!(entries, 200);
    assert_eq!(heard.last().unwrap(), "message 219");
    let order: Vec<usize> = heard.iter().map(|text| text.strip_prefix("message ").unwrap().parse().unwrap()).collect();
    assert!(order.is_sorted() && order.len() > 180, "{order:?}");
    let next = ben.news()["channels"][0]["next"].clone();
    ann.says(&channel, "new");
    let news = ben.does("news", json!({"at": {&channel: next}}));
    let entries = news["channels"][0]["entries"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["value"]["text"]), (1, &json!("new")));
    for odd in [json!(-1), json!("x"), json!(1e300), json!([1]), json!({"a": 1}), json!(u64::MAX), json!(null)] {
        ben.does("news", json!({"at": {&channel: odd, &ben.id: odd, "c999": 1}}));
    }
    ben.may_not("news", json!({"at": 5}), (400, "at"));
}

#[test]
fn who_leaves_a_channel_or_sees_it_closed_is_told_nothing_more_of_it() {
    let (_running, web) = chat();
    let (ann, ben) = (Person::new(&web, "Ann"), Person::new(&web, "Ben"));
    let mut ids = Vec::new();
    for round in 0..20 {
        let channel = ann.creates(json!({"channel": "garden"}));
        ben.does("join", json!({"channel": "garden"}));
        assert_eq!(ben.hears(&channel), Some(Vec::new()), "round {round} begins empty");
        let text = format!("round {round}");
        if round % 4 == 0 {
            ann.says(&channel, &text);
            assert_eq!(ben.hears(&channel), Some(vec![text.clone()]));
        }
        ben.does("leave", json!({"channel": channel}));
        ben.may_not("leave", json!({"channel": channel}), NO_MEMBER);
        ben.may_not("say", json!({"channel": channel, "text": "x"}), NO_MEMBER);
        assert_eq!(ben.hears(&channel), None);
        ben.does("join", json!({"channel": "garden"}));
        ben.may_not("close", json!({"channel": channel}), NO_OPERATOR);
        ann.does("close", json!({"channel": channel}));
        for person in [&ann, &ben] {
            for (name, arguments) in [
                ("say", json!({"channel": channel, "text": "x"})),
                ("leave", json!({"channel": channel})),
                ("close", json!({"channel": channel})),
                ("kick", json!({"channel": channel, "person": ben.id})),
                ("op", json!({"channel": channel, "person": ben.id})),
                ("invite", json!({"channel": channel, "person": ben.id})),
            ] {
                person.may_not(name, arguments, NO_MEMBER);
            }
            person.may_not("join", json!({"channel": "garden"}), NO_CHANNEL);
            let news = person.does("news", json!({"at": {&channel: 0}}));
            assert_eq!(news["channels"], json!([]));
            assert!(!news.to_string().contains(&text), "{news}");
        }
        ids.push(channel);
    }
    ids.dedup();
    assert_eq!(ids.len(), 20, "no channel has the id of another");
    assert_eq!(ben.is_told(), ["closed"; 20]);
}

#[test]
fn operators_kick_and_make_operators_and_others_do_not() {
    let (_running, web) = chat();
    let [ann, ben, cleo, dan] = ["Ann", "Ben", "Cleo", "Dan"].map(|name| Person::new(&web, name));
    let channel = ann.creates(json!({"channel": "garden"}));
    for person in [&ben, &cleo] {
        person.does("join", json!({"channel": "garden"}));
    }
    let of = |person: &Person<'_>| json!({"channel": channel, "person": person.id});
    for name in ["kick", "op"] {
        ben.may_not(name, of(&cleo), NO_OPERATOR);
        dan.may_not(name, of(&cleo), NO_MEMBER);
        ann.may_not(name, of(&dan), (404, "there is no such member"));
        ann.may_not(name, json!({"channel": channel, "person": "p999"}), (404, "there is no such member"));
    }
    ann.does("op", of(&ben));
    ann.does("op", of(&ben));
    ben.may_not("kick", of(&ann), (403, "who made the channel stays"));
    ben.may_not("kick", of(&ben), (409, "leave the channel instead"));
    ben.does("kick", of(&cleo));
    ann.says(&channel, "without Cleo");
    assert_eq!((cleo.hears(&channel), cleo.is_told()), (None, vec!["kicked".to_string()]));
    cleo.may_not("say", json!({"channel": channel, "text": "x"}), NO_MEMBER);
    cleo.may_not("join", json!({"channel": "garden"}), (403, "you were kicked"));
    dan.does("join", json!({"channel": "garden"}));
    dan.may_not("invite", of(&cleo), NO_OPERATOR);
    ben.does("invite", of(&cleo));
    ben.may_not("invite", of(&dan), (409, "already here: Dan"));
    cleo.does("join", json!({"channel": "garden"}));
    assert_eq!(cleo.hears(&channel), Some(vec!["without Cleo".to_string()]));
    // An operator who went is none when they come back, and a name brings no rights.
    ben.does("log_out", json!({}));
    let ben = Person::new(&web, "Ben");
    ben.does("join", json!({"channel": "garden"}));
    ben.may_not("kick", of(&cleo), NO_OPERATOR);
    // The last operator's rights go to who is there for the longest time.
    ann.does("leave", json!({"channel": channel}));
    cleo.may_not("kick", of(&ben), NO_OPERATOR);
    dan.does("kick", of(&cleo));
    // An empty channel stays, with its history; who comes in first looks after it.
    dan.does("leave", json!({"channel": channel}));
    ben.does("leave", json!({"channel": channel}));
    ann.does("join", json!({"channel": "garden"}));
    assert_eq!(ann.hears(&channel), Some(vec!["without Cleo".to_string()]));
    ann.does("close", json!({"channel": channel}));
}

#[test]
fn secret_and_invite_only_channels_are_for_their_members() {
    let (_running, web) = chat();
    let [ann, ben, eve] = ["Ann", "Ben", "Eve"].map(|name| Person::new(&web, name));
    let cellar = ann.creates(json!({"channel": "cellar", "secret": true, "invite_only": true}));
    let attic = ann.creates(json!({"channel": "attic", "invite_only": true}));
    let loft = ann.creates(json!({"channel": "loft", "secret": true}));
    let of = |channel: &str, person: &Person<'_>| json!({"channel": channel, "person": person.id});
    let lobby = eve.does("lobby", json!({}));
    assert_eq!(lobby["channels"], json!([{"name": "attic", "members": 1, "is_invite_only": true}]));
    eve.may_not("join", json!({"channel": "cellar"}), NO_CHANNEL);
    eve.may_not("join", json!({"channel": "attic"}), (403, "the channel is for who is invited"));
    ann.does("invite", of(&cellar, &ben));
    ann.does("invite", of(&attic, &ben));
    for name in ["cellar", "attic"] {
        ben.does("join", json!({"channel": name}));
    }
    ben.may_not("invite", of(&cellar, &eve), NO_OPERATOR);
    // An invitation is used up, and ends with who had it.
    ben.does("leave", json!({"channel": cellar}));
    ben.may_not("join", json!({"channel": "cellar"}), NO_CHANNEL);
    ann.does("invite", of(&cellar, &eve));
    eve.does("log_out", json!({}));
    let eve = Person::new(&web, "Eve");
    eve.may_not("join", json!({"channel": "cellar"}), NO_CHANNEL);
    // A secret channel is open to who knows its name.
    eve.does("join", json!({"channel": "#Loft"}));
    eve.does("invite", of(&loft, &ben));
    // Nobody could come into an empty channel of the invited: it ends.
    ann.does("leave", json!({"channel": cellar}));
    Person::new(&web, "Cleo").creates(json!({"channel": "cellar"}));
}

#[test]
fn events_status_and_logs_tell_nothing_of_what_is_secret() {
    let (running, web) = chat();
    let (ann, ben) = (Person::new(&web, "Ann"), Person::new(&web, "Ben"));
    let events = Events::follow(&web, "counter=chat_lobby&log=&state=chat_channels&queue=chat");
    events.wait_for("chat_lobby");
    let before = ann.does("lobby", json!({}));
    let cellar = ann.creates(json!({"channel": "the_cellar", "secret": true}));
    ben.does("join", json!({"channel": "the_cellar"}));
    ann.says(&cellar, "the treasure");
    ann.does("whisper", json!({"person": ben.id, "text": "the whisper"}));
    assert_eq!(ann.does("lobby", json!({})), before);
    let mut seen = Vec::new();
    for path in ["/status", "/status?format=json&search=.", "/metrics", "/status?search=treasure", "/rpc", "/readyz"] {
        let reply = web.get(path);
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        seen.push(reply.body);
    }
    for query in ["state=__chat_channels", "state=__chat_people/p1", "queue=__chat", "counter=__chat_ids"] {
        let reply = web.get(&format!("/events?{query}"));
        assert_eq!(reply.status, 400, "{reply:?}");
        assert!(reply.body.contains("instance's own"), "{reply:?}");
    }
    // What comes later has been told: so has been all before it.
    ann.creates(json!({"channel": "open"}));
    seen.push(events.wait_for_lobby_above(2));
    seen.push(running.interrupt().stderr);
    for text in seen {
        for secret in ["the_cellar", "treasure", "the whisper", ann.cookie.as_str()] {
            assert!(!text.contains(secret) || text.contains("search=treasure"), "{secret}: {text}");
        }
    }
}

#[test]
fn a_private_message_is_seen_by_its_two() {
    let (_running, web) = chat();
    let [ann, ben, eve] = ["Ann", "Ben", "Eve"].map(|name| Person::new(&web, name));
    ann.does("whisper", json!({"person": ben.id, "text": "psst"}));
    for person in [&ann, &ben] {
        assert_eq!(person.is_told(), ["whispered"]);
        assert_eq!(person.news()["desk"]["entries"][0]["value"]["text"], "psst");
    }
    assert_eq!(eve.is_told(), [""; 0]);
    ann.may_not("whisper", json!({"person": ann.id, "text": "x"}), (409, "that is you"));
    for id in ["", "p", "c1", "__chat_ids", "p1e3", "p999999999999", &"p1".repeat(5000), "p1\u{0}", "*"] {
        ann.may_not("whisper", json!({"person": id, "text": "x"}), (404, "that person has gone"));
    }
    // Whoever has the name next is another.
    ben.does("log_out", json!({}));
    let next = Person::new(&web, "Ben");
    ann.may_not("whisper", json!({"person": ben.id, "text": "x"}), (404, "that person has gone"));
    assert_eq!(next.is_told(), [""; 0]);
}

#[test]
fn what_is_too_long_too_much_or_empty_is_refused() {
    let (_running, web) = chat();
    let ann = Person::new(&web, "Ann");
    let channel = ann.creates(json!({"channel": "garden"}));
    for text in [String::new(), "  \n ".into(), "x".repeat(1001), "é".repeat(1001), "x".repeat(1_000_000)] {
        ann.may_not("say", json!({"channel": channel, "text": text}), (400, "a message has 1 to 1000 characters"));
    }
    ann.says(&channel, &"é".repeat(1000));
    ann.says(&channel, "two\nlines\t\u{0}");
    assert_eq!(ann.hears(&channel).unwrap()[1], "two lines");
    for (name, arguments) in [
        ("say", json!({"channel": channel, "text": {"a": 1}})),
        ("say", json!({"channel": [channel], "text": "x"})),
        ("create", json!({"channel": ["x"]})),
        ("create", json!({})),
        ("join", json!({"channel": null})),
        ("kick", json!({"channel": channel})),
    ] {
        ann.may_not(name, arguments, (400, "error"));
    }
    for number in 1..20 {
        ann.creates(json!({"channel": format!("channel {number}")}));
    }
    ann.may_not("create", json!({"channel": "one more"}), (409, "you are in 20 channels"));
    ann.may_not("create", json!({"channel": "\u{202e}"}), (400, "can't be seen"));
    ann.may_not("create", json!({"channel": "###"}), (400, "a channel's name has 1 to 24 characters"));
}

#[test]
fn who_gives_no_sign_is_gone_and_so_are_their_channels() {
    let (_running, web) = chat_swept("20ms", "0");
    let ann = Person::new(&web, "Ann");
    eventually("Ann has gone", || call(&web, &ann.cookie, "news", &json!({})).json()["me"].is_null());
    Person::new(&web, "Ann");
    eventually("the name is free", || call(&web, "", "log_in", &json!({"name": "Ann"})).status == 200);
}

/// Somebody who follows `/events`.
struct Events {
    stream: std::cell::RefCell<TcpStream>,
    text: std::cell::RefCell<String>,
}

impl Events {
    fn follow(web: &Web, query: &str) -> Self {
        let mut stream = TcpStream::connect(&web.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        write!(stream, "GET /events?{query} HTTP/1.1\r\nHost: {}\r\n\r\n", web.address).unwrap();
        Events { stream: stream.into(), text: String::new().into() }
    }

    /// Reads until this was told; gives everything that was.
    fn wait_for(&self, wanted: &str) -> String {
        self.until(|text| text.contains(wanted))
    }

    /// Reads until the lobby's counter is above this.
    fn wait_for_lobby_above(&self, count: u64) -> String {
        self.until(|text| {
            let values = text.split("\"chat_lobby\",\"value\":").skip(1);
            values.filter_map(|rest| rest.split('}').next()?.parse().ok()).any(|value: u64| value > count)
        })
    }

    fn until(&self, is_there: impl Fn(&str) -> bool) -> String {
        let (mut bytes, deadline) = ([0; 4096], Instant::now() + LONG);
        while !is_there(&self.text.borrow()) {
            let count = self.stream.borrow_mut().read(&mut bytes).unwrap();
            assert!(count > 0 && Instant::now() < deadline, "events ended: {}", self.text.borrow());
            self.text.borrow_mut().push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        self.text.borrow().clone()
    }
}
