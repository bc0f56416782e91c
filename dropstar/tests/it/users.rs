//! A site with users and tokens: what the server asks the guard, and what it does with the answer.

use dropstar::users::{Scope, UsersFile};
use serde_json::json;

use crate::support::{Fixture, Reply};

const FORM: &str = "application/x-www-form-urlencoded";
const PASSWORD: &str = "correct horse battery";

struct Site {
    site: Fixture,
    reader: String,
    caller: String,
}

fn site() -> Site {
    let mut tokens = Vec::new();
    let files = [
        ("pages/form.json", r#"{"echo": 1}"#),
        ("templates/form.html", "{{ csrf_token }} {{ user }}"),
        ("pages/open.json", r#"{"declare": {"needs": "nobody"}, "answer": {"n": 1}}"#),
        ("rpc/read.json", r#"{"declare": {"read only": true}, "answer": {"n": 1}}"#),
        ("rpc/write.json", r#"{"echo": 1}"#),
        ("static/s.txt", "s"),
    ];
    let site = Fixture::with(&files, |config, folder| {
        let file = UsersFile::new(folder.join("users.json"));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        file.change(|users| {
            users.add_user("ann", Some(PASSWORD), Scope::Call)?;
            tokens.push(users.add_token("reader", Scope::Read, now, None)?);
            tokens.push(users.add_token("caller", Scope::Call, now, None)?);
            Ok(())
        })
        .unwrap();
        config.users = Some(folder.join("users.json"));
    });
    let caller = format!("Bearer {}", tokens.pop().unwrap());
    Site { site, reader: format!("Bearer {}", tokens.pop().unwrap()), caller }
}

impl Site {
    fn as_token(&self, token: &str, method: &str, path: &str, body: &str) -> Reply {
        self.site.request(method, path, &[("authorization", token), ("content-type", "application/json")], body)
    }

    /// Logs in; the cookie.
    fn log_in(&self) -> String {
        let origin = format!("http://localhost:{}", self.site.address().port());
        let host = format!("localhost:{}", self.site.address().port());
        let headers = [("origin", origin.as_str()), ("host", host.as_str()), ("content-type", FORM)];
        let reply = self.site.request("POST", "/login", &headers, &format!("user=ann&password={PASSWORD}&to=/form"));
        assert_eq!((reply.status, reply.header("location")), (303, Some("/form")), "{}", reply.text());
        reply.header("set-cookie").unwrap().split(';').next().unwrap().to_string()
    }
}

#[test]
fn every_route_but_health_and_log_in_wants_to_know_who_asks() {
    let Site { site, .. } = site();
    let paths = [
        "/",
        "/form",
        "/rpc/read",
        "/s.txt",
        "/none",
        "/rpc",
        "/openapi.json",
        "/readyz",
        "/metrics",
        "/status",
        "/version",
        "/logout",
    ];
    for path in paths {
        for method in ["GET", "POST"] {
            let reply = site.request(method, path, &[], "");
            assert!(matches!(reply.status, 401 | 403), "{method} {path}: {}", reply.status);
        }
        let reply = site.request("GET", path, &[("accept", "text/html")], "");
        assert!(reply.status == 401 || reply.header("location").unwrap().starts_with("/login?to="), "{path}");
    }
    assert_eq!(site.get("/healthz").status, 200);
    assert_eq!(site.request("GET", "/login", &[("accept", "text/html")], "").status, 200);
    assert_eq!(site.get("/open").json(), json!({"n": 1}));
}

#[test]
fn tokens_may_what_their_scope_says() {
    let site = site();
    assert_eq!(site.as_token(&site.reader, "GET", "/rpc/read", "").status, 200);
    assert_eq!(site.as_token(&site.reader, "POST", "/rpc/write", "{}").status, 403);
    assert_eq!(site.as_token(&site.caller, "POST", "/rpc/write", "{}").json()["echo"]["state"]["user"], "token:caller");
    let call = r#"{"jsonrpc": "2.0", "method": "write", "id": 1}"#;
    assert_eq!(site.as_token(&site.reader, "POST", "/rpc", call).json()["error"]["code"], -32001);
    assert!(site.as_token(&site.caller, "POST", "/rpc", call).json()["result"].is_object());
}

#[test]
fn a_form_of_a_session_runs_only_with_its_token_which_the_script_never_sees() {
    let site = site();
    let cookie = site.log_in();
    let page = site.site.request("GET", "/form", &[("cookie", &cookie), ("accept", "text/html")], "").text();
    let (token, user) = page.split_once(' ').unwrap();
    assert_eq!(user, "ann");
    let post = |kind: &str, body: &str| {
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin"), ("content-type", kind)];
        site.site.request("POST", "/form?format=json", &headers, body)
    };
    assert_eq!(post(FORM, "a=1").status, 403);
    assert_eq!(post(FORM, "a=1&csrf_token=wrong").status, 403);
    let reply = post(FORM, &format!("a=1&csrf_token={token}"));
    assert_eq!(reply.json()["echo"]["arguments"], json!({"a": "1", "format": "json"}));
    let parts = format!(
        "--x\r\nContent-Disposition: form-data; name=\"csrf_token\"\r\n\r\n{token}\r\n\
         --x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n2\r\n--x--\r\n"
    );
    assert_eq!(post("multipart/form-data; boundary=x", &parts).json()["echo"]["arguments"]["a"], "2");
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site"), ("content-type", FORM)];
    let body = format!("a=1&csrf_token={token}");
    assert_eq!(site.site.request("POST", "/form", &headers, &body).status, 403);
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin"), ("x-csrf-token", token)];
    assert_eq!(site.site.request("POST", "/logout", &headers, "").status, 303);
    assert_eq!(site.site.request("GET", "/form", &[("cookie", &cookie)], "").status, 401);
}

#[test]
fn sessions_stay_when_the_configuration_is_replaced() {
    let site = site();
    let cookie = site.log_in();
    let mut config = crate::support::folder_config(site.site.folder.path());
    config.users = Some(site.site.path("users.json"));
    site.site.replace(vec![config]);
    assert_eq!(site.site.request("GET", "/s.txt", &[("cookie", &cookie)], "").status, 200);
}

#[test]
fn every_answer_has_the_headers_that_keep_browsers_in_bounds() {
    let site =
        Fixture::new(&[("templates/p.html", "p"), ("static/a.js", "a"), ("rpc/r.json", "{}"), ("pages/b.json", "{")]);
    for path in ["/p", "/a.js", "/rpc/r", "/rpc", "/b", "/none", "/healthz", "/login", "/%ff"] {
        let reply = site.get(path);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(reply.header("content-security-policy").is_some(), "{path}");
    }
    assert!(site.get("/p").header("content-security-policy").unwrap().contains("'unsafe-inline'"));
    assert!(!site.get("/none").header("content-security-policy").unwrap().contains("unsafe-inline"));
}
