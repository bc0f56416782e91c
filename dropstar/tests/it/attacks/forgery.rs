//! Requests that a foreign page has a user's browser send.

use super::{PASSWORD, guarded};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");

const FILES: &[(&str, &str)] = &[
    ("rpc/deploy.json", r#"{"answer": {"deployed": 1}}"#),
    ("pages/form.json", r#"{"answer": {"sent": 1}, "echo": 1}"#),
    ("templates/form.html", "<input value=\"{{ csrf_token }}\">"),
];

#[test]
fn a_form_of_another_origin_changes_nothing() {
    let site = guarded(FILES);
    let (session, host) = (site.log_in("ann", PASSWORD), site.host());
    for origin in ["http://evil.example", "null", "https://localhost:1", "http://localhost"] {
        for path in ["/form", "/rpc/deploy", "/login", "/logout"] {
            let headers = [("host", host.as_str()), ("cookie", &session.cookie), ("origin", origin), FORM];
            let body = format!("csrf_token={}", session.token);
            assert_eq!(site.site.request("POST", path, &headers, &body).status, 403, "{origin} {path}");
        }
    }
}

#[test]
fn a_fetch_of_another_origin_changes_nothing_and_reads_nothing() {
    let site = guarded(FILES);
    let session = site.log_in("ann", PASSWORD);
    for sender in ["cross-site", "same-site"] {
        let headers = [("cookie", session.cookie.as_str()), ("sec-fetch-site", sender), JSON];
        assert_eq!(site.site.request("POST", "/rpc/deploy", &headers, "{}").status, 403);
    }
    let headers = [("origin", "http://evil.example"), ("access-control-request-method", "POST")];
    let preflight = site.site.request("OPTIONS", "/rpc/deploy", &headers, "");
    assert_eq!(preflight.header("access-control-allow-origin"), None);
    let read = site.site.request("GET", "/form", &[("cookie", &session.cookie), ("origin", "http://evil.example")], "");
    assert_eq!((read.status, read.header("access-control-allow-origin")), (200, None));
    assert_eq!(read.header("cross-origin-resource-policy"), Some("same-origin"));
}

#[test]
fn a_cookie_alone_changes_nothing() {
    let site = guarded(FILES);
    let session = site.log_in("ann", PASSWORD);
    let cookie = ("cookie", session.cookie.as_str());
    assert_eq!(site.post("/rpc/deploy", &[cookie, JSON], "{}").status, 403);
    assert_eq!(site.post("/rpc/deploy", &[cookie, FORM], "").status, 403);
    assert_eq!(site.post("/form", &[cookie, FORM], "csrf_token=wrong").status, 403);
    assert_eq!(site.post("/logout", &[cookie, FORM], "").status, 403);
    let rpc = r#"{"jsonrpc": "2.0", "method": "deploy", "id": 1}"#;
    assert_eq!(site.post("/rpc", &[cookie, JSON], rpc).status, 403);
    assert_eq!(
        site.site.request("POST", "/rpc/deploy", &[cookie, JSON], "{}").status,
        403,
        "nor one that hides its page"
    );
}

#[test]
fn a_page_of_ours_brings_the_token_and_no_program_sees_it() {
    let site = guarded(FILES);
    let session = site.log_in("ann", PASSWORD);
    let cookie = ("cookie", session.cookie.as_str());
    let page = site.site.request("GET", "/form", &[cookie, ("accept", "text/html")], "").text();
    assert!(page.contains(&format!("value=\"{}\"", session.token)), "{page}");
    let token = ("x-csrf-token", session.token.as_str());
    assert_eq!(site.post("/rpc/deploy", &[cookie, token, JSON], "{}").json()["deployed"], 1);
    let body = format!("a=1&csrf_token={}", session.token);
    let sent = site.post("/form?format=json", &[cookie, FORM], &body).json();
    assert_eq!(sent["echo"]["arguments"], serde_json::json!({"format": "json", "a": "1"}));
    assert_eq!(sent["echo"]["state"]["user"], "ann");
    assert!(!sent.to_string().contains(session.cookie.split_once('=').unwrap().1), "nor the session");
    let parts =
        format!("--x\r\ncontent-disposition: form-data; name=\"csrf_token\"\r\n\r\n{}\r\n--x--\r\n", session.token);
    assert_eq!(site.post("/form", &[cookie, ("content-type", "multipart/form-data; boundary=x")], &parts).status, 200);
}

#[test]
fn a_token_of_one_session_is_worth_nothing_in_another() {
    let site = guarded(FILES);
    let (ann, ben) = (site.log_in("ann", PASSWORD), site.log_in("ben", "battery staple"));
    let headers = [("cookie", ann.cookie.as_str()), ("x-csrf-token", ben.token.as_str()), JSON];
    assert_eq!(site.post("/rpc/deploy", &headers, "{}").status, 403);
}

#[test]
fn a_name_that_was_made_to_point_here_is_misdirected() {
    let site = guarded(FILES);
    let port = site.site.address().port();
    let bearer = format!("Bearer {}", site.token);
    for host in ["evil.example".to_string(), format!("evil.example:{port}"), "169.254.169.254".into()] {
        let origin = format!("http://{host}");
        let headers = [
            ("host", host.as_str()),
            ("origin", &origin),
            ("sec-fetch-site", "same-origin"),
            ("authorization", &bearer),
        ];
        for (method, path) in [("GET", "/form"), ("POST", "/rpc/deploy"), ("GET", "/healthz"), ("GET", "/login")] {
            assert_eq!(site.site.request(method, path, &headers, "").status, 421, "{host} {path}");
        }
    }
}

#[test]
fn a_script_with_a_token_is_no_browser_and_needs_nothing_more() {
    let site = guarded(FILES);
    let bearer = format!("Bearer {}", site.token);
    let reply = site.site.request("POST", "/rpc/deploy", &[("authorization", &bearer), JSON], "{}");
    assert_eq!(reply.json()["deployed"], 1);
}
