//! Pages: scripts, templates, what they answer, and edits.

use serde_json::json;

use crate::support::Fixture;

const HTML: (&str, &str) = ("accept", "text/html");

#[test]
fn a_dropped_in_script_and_template_are_a_page() {
    let site = Fixture::new(&[
        ("pages/example-page.json", r#"{"answer": {"title": "T", "body": "<b>"}}"#),
        ("templates/example-page.html", "<h1>{{ title }}</h1>{{ body }}"),
    ]);
    let reply = site.get("/example-page");
    assert_eq!((reply.status, reply.text().as_str()), (200, "<h1>T</h1>&lt;b&gt;"));
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    let reply = site.request("GET", "/example-page", &[("accept", "application/json")], "");
    assert_eq!(reply.json(), json!({"title": "T", "body": "<b>"}));
    assert_eq!(site.get("/example-page?format=json").json(), json!({"title": "T", "body": "<b>"}));
}

#[test]
fn a_page_dropped_in_while_it_runs_shows_on_the_next_request_and_so_does_each_edit() {
    let site = Fixture::new(&[]);
    assert_eq!(site.get("/new").status, 404);
    site.write("pages/new.json", r#"{"answer": {"n": 1}}"#);
    assert_eq!(site.get("/new").json(), json!({"n": 1}));
    for n in 2..30 {
        site.write("pages/new.json", &format!(r#"{{"answer": {{"n": {n}}}}}"#));
        assert_eq!(site.get("/new").json(), json!({"n": n}));
    }
    site.write("templates/new.html", "n is {{ n }}");
    assert_eq!(site.get("/new").text(), "n is 29");
    site.write("templates/new.html", "n = {{ n }}");
    assert_eq!(site.get("/new").text(), "n = 29");
    site.remove("templates/new.html");
    assert_eq!(site.get("/new").json(), json!({"n": 29}));
    site.remove("pages/new.json");
    assert_eq!(site.get("/new").status, 404);
}

#[test]
fn edits_of_layouts_and_includes_show_on_the_next_request() {
    let site = Fixture::new(&[
        ("pages/a/p.json", r#"{"answer": {"n": 1}}"#),
        ("templates/a/p.html", "{% extends '_layout.html' %}{% block body %}{% include '_part.html' %}{% endblock %}"),
        ("templates/_layout.html", "one {% block body %}{% endblock %}"),
        ("templates/a/_part.html", "part {{ n }}"),
    ]);
    assert_eq!(site.get("/a/p").text(), "one part 1");
    site.write("templates/_layout.html", "two {% block body %}{% endblock %}");
    assert_eq!(site.get("/a/p").text(), "two part 1");
    site.write("templates/a/_part.html", "piece {{ n }}");
    assert_eq!(site.get("/a/p").text(), "two piece 1");
    assert_eq!(site.get("/_layout").status, 404);
}

#[test]
fn what_is_not_edited_is_loaded_once() {
    let site = Fixture::new(&[("pages/p.json", "{}"), ("templates/p.html", "x")]);
    site.get("/p");
    // A file changed just now is read again, because two changes so close may have one time.
    let settled = std::time::Instant::now() + std::time::Duration::from_millis(40);
    while std::time::Instant::now() < settled {
        std::thread::yield_now();
    }
    site.get("/p");
    let loads = site.seen.loads.load(std::sync::atomic::Ordering::SeqCst);
    for _ in 0..10 {
        site.get("/p");
    }
    assert_eq!(site.seen.loads.load(std::sync::atomic::Ordering::SeqCst), loads);
}

#[test]
fn a_broken_edit_is_an_error_with_an_id_for_that_page_alone() {
    let site = Fixture::new(&[("pages/good.json", "{}"), ("pages/bad.json", "{}")]);
    assert_eq!(site.get("/bad").status, 200);
    site.write("pages/bad.json", "{");
    let reply = site.get("/bad?format=json");
    assert_eq!(reply.status, 500);
    let id = reply.json()["error"]["id"].as_str().unwrap().to_string();
    assert_eq!(site.get("/bad?format=json").json()["error"]["id"], json!(id));
    assert!(!reply.text().contains("bad.json"), "{}", reply.text());
    assert_eq!(site.get("/good").status, 200);
    site.write("pages/bad.json", "{}");
    assert_eq!(site.get("/bad").status, 200);
}

#[test]
fn failures_show_an_id_and_only_with_dev_their_place() {
    let files = [("pages/f.json", r#"{"fail": "secret <detail>"}"#), ("pages/p.json", r#"{"panic": "ouch"}"#)];
    let site = Fixture::new(&files);
    for page in ["/f", "/p"] {
        let reply = site.request("GET", page, &[HTML], "");
        assert_eq!(reply.status, 500);
        assert!(
            reply.text().contains("The log has more under") && !reply.text().contains("detail"),
            "{}",
            reply.text()
        );
    }
    let site = Fixture::with(&files, |config, _| config.dev = true);
    assert!(site.get("/f").text().contains("pages/x.json:7: secret &lt;detail&gt;"));
    assert!(site.get("/p").text().contains("ouch"));
}

#[test]
fn with_dev_the_lines_around_an_error_are_shown() {
    let files = [("pages/bad.json", "{\n  \"answer\": <b>\n}"), ("templates/t.html", "first\n{{ nothing }}\nlast")];
    let site = Fixture::with(&files, |config, _| config.dev = true);
    let text = site.get("/bad").text();
    assert!(text.contains("bad.json:1:1:") && text.contains("    2 |   &quot;answer&quot;: &lt;b&gt;"), "{text}");
    let text = site.get("/t").text();
    assert!(text.contains("t.html:2: undefined value") && text.contains("&gt;    2 | {{ nothing }}"), "{text}");
}

#[test]
fn a_template_that_is_wrong_is_an_error_of_that_page() {
    let site = Fixture::with(
        &[
            ("templates/syntax.html", "\n{% if %}"),
            ("templates/missing.html", "{{ nothing }}"),
            ("templates/endless.html", "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"),
            ("templates/climbing.html", "{% include '../secret.html' %}"),
            ("templates/tested.html", "{% if nothing %}a{% else %}b{% endif %}"),
            ("secret.html", "secret"),
        ],
        |config, _| config.dev = true,
    );
    for (page, detail) in [
        ("/syntax", "syntax.html:2: syntax error"),
        ("/missing", "missing.html:1: undefined value"),
        ("/endless", "out of fuel"),
        ("/climbing", "no name of a template"),
    ] {
        let reply = site.get(page);
        assert_eq!(reply.status, 500, "{page}");
        assert!(reply.text().contains(detail), "{page}: {}", reply.text());
    }
    assert_eq!(site.get("/tested").text(), "b");
}

#[test]
fn arguments_never_reach_the_results_nor_the_page_unescaped() {
    let site = Fixture::new(&[
        ("pages/p.json", r#"{"answer": {"shown": 1}}"#),
        (
            "templates/p.html",
            "{{ shown }} {{ input_data.title }} {{ request_state.path }} {% if output %}bad{% endif %}",
        ),
        ("pages/raw.json", r#"{"answer": {"shown": 1}}"#),
    ]);
    let hostile = "output=%3Cb%3Ex%3C/b%3E&title=%3Cscript%3E&render=x&content-type=text/plain&__response=1&shown=2";
    let reply = site.request("GET", &format!("/p?{hostile}"), &[HTML], "");
    assert_eq!(reply.text(), "1 &lt;script&gt; &#x2f;p ");
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(site.get(&format!("/raw?{hostile}")).json(), json!({"shown": 1}));
}

#[test]
fn a_script_sets_status_headers_cookies_type_and_redirect() {
    let site = Fixture::new(&[
        ("pages/raw.json", r#"{"answer": {"output": "a,b", "content-type": "text/csv"}}"#),
        ("pages/html.json", r#"{"answer": {"output": "<p>"}}"#),
        (
            "pages/teapot.json",
            r#"{"answer": {"x": 1, "__response": {"status": 418, "headers": {"X-A": "1"}, "cookies": {"c": "v"}}}}"#,
        ),
        ("pages/go.json", r#"{"answer": {"__response": {"redirect": "/raw"}}}"#),
        ("pages/split.json", r#"{"answer": {"__response": {"headers": {"X-A": "1\r\nX-B: 2"}}}}"#),
        ("rpc/made.json", r#"{"answer": {"x": 1, "__response": {"status": 201}}}"#),
    ]);
    let reply = site.request("GET", "/raw", &[("accept", "application/json")], "");
    assert_eq!((reply.text().as_str(), reply.header("content-type")), ("a,b", Some("text/csv")));
    assert_eq!(site.get("/html").header("content-type"), Some("text/html; charset=utf-8"));
    let reply = site.get("/teapot");
    assert_eq!((reply.status, reply.header("x-a"), reply.json()), (418, Some("1"), json!({"x": 1})));
    assert_eq!(reply.header("set-cookie"), Some("c=v; Path=/; HttpOnly; SameSite=Lax"));
    let reply = site.get("/go");
    assert_eq!((reply.status, reply.header("location")), (302, Some("/raw")));
    assert_eq!(site.post("/go", "application/x-www-form-urlencoded", "").status, 303);
    assert_eq!(site.get("/split").status, 500);
    let reply = site.post("/rpc/made", "application/json", "{}");
    assert_eq!((reply.status, reply.json()), (201, json!({"x": 1})));
}

#[test]
fn a_script_sees_the_state_of_its_request() {
    let site = Fixture::new(&[("pages/sub/p.json", r#"{"echo": 1}"#)]);
    let headers = [("host", "example.test:81"), ("cookie", "a=1"), ("x-one", "1"), ("X-One", "2")];
    let echo = site.request("GET", "/sub/p?x=1", &headers, "").json()["echo"].clone();
    let state = &echo["state"];
    for (name, expected) in [
        ("path", json!("/sub/p")),
        ("args", json!({"x": "1"})),
        ("cookies", json!({"a": "1"})),
        ("method", json!("GET")),
        ("host", json!("example.test")),
        ("port", json!(81)),
        ("protocol", json!("http")),
        ("page", json!("sub/p")),
        ("page_mount", json!("/")),
        ("package", json!(site.folder.path())),
        ("render", json!("True")),
    ] {
        assert_eq!(state[name], expected, "{name}");
    }
    assert_eq!(state["headers"]["x-one"], "1, 2");
    assert!(state["headers"].get("cookie").is_none());
    assert_eq!(echo["arguments"], json!({"x": "1"}));
}

#[test]
fn methods_head_and_options_are_answered_as_they_should() {
    let site = Fixture::new(&[
        ("pages/index.json", r#"{"answer": {"n": 1}}"#),
        ("templates/alone.html", "alone"),
        ("static/s.txt", "s"),
    ]);
    let reply = site.request("HEAD", "/", &[], "");
    assert_eq!((reply.status, reply.header("content-length"), reply.body.len()), (200, Some("7"), 0));
    for (method, path, status, allow) in [
        ("PUT", "/", 405, "GET, HEAD, OPTIONS, POST"),
        ("POST", "/alone", 405, "GET, HEAD, OPTIONS"),
        ("DELETE", "/s.txt", 405, "GET, HEAD, OPTIONS"),
        ("OPTIONS", "/alone", 204, "GET, HEAD, OPTIONS"),
        ("OPTIONS", "/s.txt", 204, "GET, HEAD, OPTIONS"),
        ("POST", "/healthz", 405, "GET, HEAD, OPTIONS"),
        ("TRACE", "/", 405, "GET, HEAD, OPTIONS, POST"),
    ] {
        let reply = site.request(method, path, &[], "");
        assert_eq!((reply.status, reply.header("allow")), (status, Some(allow)), "{method} {path}");
    }
    assert_eq!(site.get("/unknown").status, 404);
}

#[test]
fn a_folder_has_its_index_and_an_address_without_its_slash_leads_there() {
    let site = Fixture::new(&[
        ("templates/index.html", "home"),
        ("pages/a/index.json", r#"{"answer": {"n": 1}}"#),
        ("static/b c/index.html", "static"),
    ]);
    assert_eq!(site.get("/").text(), "home");
    assert_eq!(site.get("/a/").json(), json!({"n": 1}));
    let reply = site.get("/a?x=1");
    assert_eq!((reply.status, reply.header("location")), (308, Some("/a/?x=1")));
    assert_eq!(site.get("/b%20c/").text(), "static");
    assert_eq!(site.get("/b%20c").header("location"), Some("/b%20c/"));
}

#[test]
fn a_site_works_under_a_prefix() {
    let site = Fixture::with(
        &[
            ("templates/p.html", "{{ prefix }}/p"),
            ("pages/go.json", r#"{"answer": {"__response": {"redirect": "/p", "cookies": {"a": "1"}}}}"#),
        ],
        |config, _| config.prefix = "/tools".into(),
    );
    assert_eq!(site.get("/tools/p").text(), "&#x2f;tools/p");
    assert_eq!(site.get("/p").text(), "&#x2f;tools/p");
    let reply = site.get("/tools/go");
    assert_eq!(reply.header("location"), Some("/tools/p"));
    assert!(reply.header("set-cookie").unwrap().contains("Path=/tools/;"));
}
