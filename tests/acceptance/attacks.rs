//! What an attacker sends to the built procblock: scripts in Lua, templates, the log and the status pages together.
//! The server's own part stands in dropstar's tests, by name.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{LONG, Run, Running, Web};

/// Breaks out of markup, attributes and scripts, where that is possible.
const HOSTILE: &str = "<script>alert(1)</script>'\"--><img src=x onerror=alert(2)>{{ 7777 * 7777 }}";

/// The same within a URL.
const HOSTILE_IN_URL: &str =
    "%3Cscript%3Ealert(1)%3C/script%3E'%22--%3E%3Cimg%20src=x%20onerror=alert(2)%3E%7B%7B%207777%20*%207777%20%7D%7D";

const STORE: &str = "function ProcessBlock(pipe_data, block, request_state, input_data)
    unidist.sharedstate.set('wall', 'newest', input_data.text)
    unidist.messagequeue.add('wall', input_data.text)
    log.warn('posted ' .. input_data.text)
    return {stored = input_data.text}
end
";

const SHOW: &str = "function ProcessBlock(pipe_data, block, request_state, input_data)
    local queued = unidist.messagequeue.oldest('wall')
    return {newest = unidist.sharedstate.get('wall', 'newest'), queued = queued and queued.message, said = input_data.said}
end
";

const TEMPLATE: &str =
    "<p title=\"{{ said }}\">{{ newest }}</p><p>{{ queued }}</p><script>const said = {{ said|tojson }}</script>";

fn serve(more: &str) -> (Running, Web) {
    let run = Run::block(&format!("serve: {{port: 0, folder: site{more}}}\n"))
        .file("site/rpc/store.lua", STORE)
        .file("site/pages/show.lua", SHOW)
        .file("site/templates/show.html", TEMPLATE);
    let running = run.start();
    let web = Web::of(&running);
    (running, web)
}

/// Nothing of the text is markup: not of a page, an attribute or a script.
fn assert_plain(page: &str, own_scripts: usize) {
    assert_eq!(page.matches("<script").count(), own_scripts, "{page}");
    assert!(!page.contains("<img src=x") && !page.contains("\"-->") && !page.contains("60481729"), "{page}");
}

#[test]
fn scripts_in_arguments_state_and_queue_messages_stay_text_on_every_page() {
    let (running, web) = serve("");
    let stored = web.post("/rpc/store", &json!({"text": HOSTILE}).to_string());
    assert!(stored.head.contains("content-type: application/json") && stored.head.contains("nosniff"), "{stored:?}");
    assert_eq!(stored.json(), json!({"stored": HOSTILE}));
    let page = web.get(&format!("/show?said={HOSTILE_IN_URL}"));
    assert_eq!(page.status, 200, "{page:?}");
    assert_plain(&page.body, 1);
    assert!(page.body.contains("&lt;script&gt;") && page.body.contains("\\u003cscript"), "{page:?}");
    for path in
        ["", "/state/wall", "/state/wall?key=newest", "/queues/wall", "/log", "/threads", "/state?search=script"]
    {
        let page = web.get(&format!("/status{path}"));
        assert_eq!(page.status, 200, "{path}: {page:?}");
        assert_plain(&page.body, 1);
        assert!(page.head.contains("script-src 'self';"), "{page:?}");
    }
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn arguments_named_as_parts_of_the_answer_change_nothing_of_it() {
    let (running, web) = serve("");
    web.post("/rpc/store", r#"{"text": "hello"}"#);
    let plain = web.get("/show?said=x");
    assert_eq!(plain.status, 200, "{plain:?}");
    let response = "%7B%22status%22:500,%22redirect%22:%22//evil.example%22%7D";
    let names = ["output=%3Cb%3E", "content-type=text/plain", "render=no", "newest=%3Cb%3E", "title=x", "data=x"];
    let query = names.join("&");
    let page = web.get(&format!("/show?said=x&{query}&__response={response}&csrf_token=x&prefix=//evil.example"));
    assert_eq!((page.status, &page.body), (plain.status, &plain.body));
    let kind = "content-type: text/html";
    assert!(plain.head.contains(kind) && page.head.contains(kind), "{page:?}");
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn a_line_break_in_what_is_logged_forges_no_line() {
    let (running, web) = serve("");
    let text = "innocent\r\n2026-11-21T00:00:00Z error forged: the disk is gone\u{1b}[2J\u{2028}end";
    assert_eq!(web.post("/rpc/store", &json!({ "text": text }).to_string()).status, 200);
    running.wait_for_error_text("innocent");
    let ended = running.interrupt();
    // Each line of a text is a line of the log that says where it is from; none can say anything else of itself.
    let told: Vec<Value> = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &told {
        let text = line["text"].as_str().unwrap();
        assert!(line["level"] == "warn" && line["target"] == "script" && text.starts_with("store.lua:4: "), "{ended}");
    }
    assert_eq!(told.len(), 2, "{ended}");
    assert!(!ended.stderr.contains('\u{1b}') && !ended.stderr.contains('\r'), "{ended}");
}

#[test]
fn bodies_that_are_too_deep_too_many_or_too_well_compressed_are_refused() {
    let (running, web) = serve("");
    for deep in [
        format!("{{\"text\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{}1{}", "{\"text\":".repeat(100_000), "}".repeat(100_000)),
    ] {
        assert_eq!(web.post("/rpc/store", &deep).status, 400);
        let answer =
            web.post("/rpc", &format!("{{\"jsonrpc\":\"2.0\",\"method\":\"store\",\"params\":{deep},\"id\":1}}"));
        assert_eq!(answer.json()["error"]["code"], -32700, "{answer:?}");
    }
    let many: Vec<String> = (0..10_000).map(|number| format!("\"a{number}\":1")).collect();
    let reply = web.post("/rpc/store", &format!("{{{}}}", many.join(",")));
    assert!(reply.status == 400 && reply.body.contains("more than 1000 arguments"), "{reply:?}");
    let query: Vec<String> = (0..1500).map(|number| format!("a{number}=1")).collect();
    assert_eq!(web.get(&format!("/show?{}", query.join("&"))).status, 400);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    (0..20).for_each(|_| encoder.write_all(&[b' '; 1_000_000]).unwrap());
    let bomb = encoder.finish().unwrap();
    let head = format!(
        "POST /rpc/store HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        web.address,
        bomb.len()
    );
    assert_eq!(web.send([head.as_bytes(), &bomb].concat()).status, 413);
    assert_eq!(web.post("/rpc/store", "{\"text\": \"fine\"}").status, 200);
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn a_body_that_never_comes_ends_at_its_limit() {
    let (running, web) = serve(", limits: {body timeout: 300ms}");
    let begun = Instant::now();
    let mut stream = TcpStream::connect(&web.address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let head = "POST /rpc/store HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n";
    stream.write_all(format!("{head}Host: {}\r\n\r\n{{", web.address).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && begun.elapsed() < LONG / 2, "{answer}");
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn only_an_administrator_sees_where_a_page_is_broken() {
    let run = Run::bare()
        .file("site/pages/good.lua", "function ProcessBlock() return {fine = 1} end\n")
        .file("site/pages/bad.lua", "function ProcessBlock()\n  local secret = 's3cr3t'\n  return {\nend\n")
        .file("site/pages/raises.lua", "function ProcessBlock()\n\n  error('no disk')\nend\n")
        .words(["token", "add", "boss", "site", "--scope", "admin"]);
    let made = run.end();
    let boss = made.stdout.trim().to_string();
    let made = Run::again(&made).words(["token", "add", "clerk", "site", "--scope", "call"]).end();
    let clerk = made.stdout.trim().to_string();
    let running = Run::again(&made).own(["serve", "--port", "0", "site"]).start();
    let web = Web::of(&running);
    let get = |path: &str, token: &str| {
        web.send(format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nAccept: text/html\r\nConnection: close\r\n\r\n",
            web.address
        ))
    };
    for (path, place) in [("/bad", "site/pages/bad.lua:4"), ("/raises", "site/pages/raises.lua:3")] {
        let seen = get(path, &boss);
        assert_eq!(seen.status, 500, "{seen:?}");
        assert!(seen.body.contains(place), "{place}: {seen:?}");
        let unseen = get(path, &clerk);
        assert!(unseen.status == 500 && !unseen.body.contains(".lua") && !unseen.body.contains("s3cr3t"), "{unseen:?}");
        // Both are told the id under which the log has the place.
        let id = unseen.body.split_once("<code>").unwrap().1.split_once("</code>").unwrap().0.to_string();
        let log = running.wait_for_error_text(&id);
        let line = log.lines().find(|line| line.contains(&id)).unwrap_or(&log);
        assert!(line.contains(place), "{id} {place}: {log}");
        assert_eq!(get("/good?format=json", &clerk).json(), json!({"fine": 1}), "the others go on");
    }
    assert!(get("/bad", &boss).body.contains("return {"), "with its lines");
    assert_eq!(running.interrupt().code, Some(0));
}
