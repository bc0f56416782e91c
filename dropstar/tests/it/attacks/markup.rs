//! Texts that would become part of a page, and arguments that would become part of an answer.

use crate::support::Fixture;

const SCRIPT: &str = "%3Cscript%3Ealert(1)%3C/script%3E";

#[test]
fn scripts_in_arguments_state_and_paths_stay_text() {
    let site = Fixture::new(&[
        ("pages/page.json", r#"{"answer": {"shown": "<img src=x onerror=alert(1)>"}, "echo": 1}"#),
        (
            "templates/page.html",
            "<p title=\"{{ input_data.a }}\">{{ input_data.a }}{{ shown }}{{ request_state.path }}{{ user }}</p>",
        ),
    ]);
    let reply = site.request("GET", &format!("/page?a=%22%3E{SCRIPT}"), &[("accept", "text/html")], "");
    let text = reply.text();
    assert_eq!(reply.status, 200);
    assert!(!text.contains("<script") && !text.contains("<img") && !text.contains("\">&lt;script"), "{text}");
    for path in [format!("/{SCRIPT}"), format!("/rpc/{SCRIPT}"), format!("/page/{SCRIPT}")] {
        let reply = site.request("GET", &path, &[("accept", "text/html"), ("referer", "<script>")], "");
        assert!(!reply.text().contains("<script"), "{path}: {}", reply.text());
    }
}

#[test]
fn arguments_named_as_parts_of_an_answer_are_only_arguments() {
    let site = Fixture::new(&[
        ("pages/page.json", r#"{"answer": {"a": 1}}"#),
        ("templates/page.html", "<p>{{ a }}{{ output | default('') }}{{ title | default('') }}</p>"),
        ("rpc/call.json", r#"{"answer": {"a": 1}}"#),
    ]);
    let query = "output=<b>x</b>&content-type=text/html&render=no&__response=x&title=x&a=2&status=500&__return_tag=x"
        .replace('<', "%3C")
        .replace('>', "%3E");
    let reply = site.request("GET", &format!("/page?{query}"), &[("accept", "text/html")], "");
    assert_eq!((reply.status, reply.text().as_str()), (200, "<p>1page</p>"), "the title is the page's own name");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reply = site.request("POST", "/rpc/call", &form, &query);
    assert_eq!((reply.status, reply.text().as_str()), (200, "{\"a\":1}"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let json = r#"{"output": "<b>", "content-type": "text/html", "__response": {"status": 500}}"#;
    let reply = site.post("/rpc/call", "application/json", json);
    assert_eq!((reply.status, reply.text().as_str()), (200, "{\"a\":1}"));
}

#[test]
fn json_that_a_browser_would_show_runs_nothing() {
    let site = Fixture::new(&[(
        "rpc/call.json",
        r#"{"declare": {"read only": true}, "answer": {"a": "<script>alert(1)</script>"}}"#,
    )]);
    let reply = site.request("GET", "/rpc/call", &[("accept", "text/html")], "");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert!(reply.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
}

#[test]
fn errors_show_no_markup_of_the_request() {
    let site = Fixture::new(&[]);
    for (name, value) in [("host", "<script>"), ("host", "a\"b"), ("content-type", "<script>alert(1)</script>")] {
        let reply = site.request("POST", "/rpc/none", &[(name, value), ("accept", "text/html")], "x");
        assert!((400..500).contains(&reply.status) && !reply.text().contains("<script"), "{name}: {}", reply.text());
    }
}
