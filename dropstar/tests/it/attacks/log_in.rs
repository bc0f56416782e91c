//! Getting in without being let in.

use serde_json::json;

use super::{PASSWORD, guarded, guarded_with};

const FILES: &[(&str, &str)] = &[
    ("pages/page.json", r#"{"answer": {"inside": 1}}"#),
    ("rpc/admin.json", r#"{"declare": {"needs": "admin"}, "answer": {"done": 1}}"#),
    ("rpc/open.json", r#"{"declare": {"needs": "nobody", "read only": true}, "answer": {"done": 1}}"#),
];

#[test]
fn a_session_that_was_planted_before_the_log_in_is_no_session_after_it() {
    let site = guarded(FILES);
    let planted = format!("dropstar_{}={}", site.site.address().port(), "A".repeat(43));
    let reply = site.try_log_in("ann", PASSWORD, &[("cookie", &planted)]);
    let given = reply.header("set-cookie").unwrap();
    assert!(given.contains("HttpOnly; SameSite=Lax") && !given.contains(&"A".repeat(43)), "{given}");
    let headers = [("cookie", planted.as_str()), ("accept", "application/json")];
    assert_eq!(site.site.request("GET", "/page", &headers, "").status, 401);
}

#[test]
fn a_session_ends_when_its_user_logs_out() {
    let site = guarded(FILES);
    let session = site.log_in("ann", PASSWORD);
    let cookie = ("cookie", session.cookie.as_str());
    let form = ("content-type", "application/x-www-form-urlencoded");
    let reply = site.post("/logout", &[cookie, form], &format!("csrf_token={}", session.token));
    assert_eq!((reply.status, reply.header("location")), (303, Some("/login")));
    assert_eq!(site.site.request("GET", "/page", &[cookie, ("accept", "application/json")], "").status, 401);
}

#[test]
fn a_token_in_the_url_is_refused_even_if_it_is_right() {
    let site = guarded(FILES);
    for path in
        [format!("/page?access_token={}", site.token), format!("/page?{}", site.token), format!("/{}", site.token)]
    {
        let reply = site.site.get(&path);
        assert_eq!(reply.status, 400, "{path}");
        let text = reply.text();
        assert!(text.contains("Authorization: Bearer") && !text.contains(&site.token), "{text}");
    }
}

#[test]
fn what_wants_an_administrator_is_refused_to_others_also_in_a_batch() {
    let site = guarded(FILES);
    let bearer = format!("Bearer {}", site.token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    assert_eq!(site.site.request("POST", "/rpc/admin", &headers, "{}").status, 403);
    let batch = r#"[{"jsonrpc": "2.0", "method": "open", "id": 1}, {"jsonrpc": "2.0", "method": "admin", "id": 2}]"#;
    let replies = site.site.request("POST", "/rpc", &headers, batch).json();
    assert_eq!(replies[0]["result"], json!({"done": 1}));
    assert_eq!(replies[1]["error"]["code"], -32001, "{replies}");
    assert_eq!(site.site.get("/rpc/open").status, 200, "what is declared for everybody is");
}

#[test]
fn guessing_is_answered_429_and_a_made_up_address_is_no_way_around() {
    let site = guarded(FILES);
    for number in 0..10 {
        let address = format!("198.51.100.{number}");
        assert_eq!(site.try_log_in("ann", "wrong", &[("x-forwarded-for", &address)]).status, 401);
    }
    let reply = site.try_log_in("ann", PASSWORD, &[("x-forwarded-for", "198.51.100.99")]);
    assert_eq!(reply.status, 429);
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

#[test]
fn many_log_ins_at_once_are_bounded_and_slow_nobody() {
    let site = guarded_with(FILES, |config| {
        let addresses = vec!["127.0.0.1".parse().unwrap()];
        config.trusted_proxy = Some(dropstar::TrustedProxy { addresses, user_header: None });
    });
    let statuses = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..100)
            .map(|number| {
                let site = &site;
                let address = format!("198.51.100.{number}");
                scope.spawn(move || site.try_log_in("ann", "wrong", &[("x-forwarded-for", &address)]).status)
            })
            .collect();
        let begun = std::time::Instant::now();
        assert_eq!(site.site.get("/healthz").status, 200);
        assert!(begun.elapsed() < crate::support::DEADLINE / 2, "health waits for no password");
        tries.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(statuses.iter().all(|status| matches!(status, 401 | 503)), "{statuses:?}");
    assert!(statuses.contains(&401));
    assert_eq!(site.try_log_in("ann", PASSWORD, &[("x-forwarded-for", "203.0.113.1")]).status, 303);
}

#[test]
fn the_log_in_page_runs_no_script_and_fits_no_frame() {
    let site = guarded(FILES);
    let reply =
        site.site.request("GET", "/login?to=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", &[("accept", "text/html")], "");
    let policy = reply.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "style-src 'sha256-", "form-action 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("script-src") && !reply.text().contains("<script"), "{}", reply.text());
}

#[test]
fn a_users_file_that_is_damaged_while_it_runs_lets_nobody_in() {
    let site = guarded(FILES);
    let bearer = format!("Bearer {}", site.token);
    let get = || site.site.request("GET", "/page", &[("authorization", bearer.as_str())], "").status;
    assert_eq!(get(), 200);
    std::fs::write(&site.file, "{\"version\": 1").unwrap();
    until(|| get() == 503);
    assert_eq!(site.site.get("/rpc/open").status, 503);
    assert_eq!(site.site.get("/healthz").status, 200);
    std::fs::remove_file(&site.file).unwrap();
    until(|| get() == 503);
}

#[test]
fn a_token_that_is_removed_is_refused_within_a_moment() {
    let site = guarded(FILES);
    let bearer = format!("Bearer {}", site.token);
    let get = || site.site.request("GET", "/page", &[("authorization", bearer.as_str())], "").status;
    assert_eq!(get(), 200);
    dropstar::users::UsersFile::new(&site.file).change(|users| users.remove_token("deploy")).unwrap();
    until(|| get() == 401);
}

/// Asks again until it holds.
fn until(holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + crate::support::DEADLINE;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "it did not come to hold");
        std::thread::yield_now();
    }
}
