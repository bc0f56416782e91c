//! The guard as a whole: requests in, decisions out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use http::{Request, Response, StatusCode};
use unidist::VirtualClock;

use super::*;
use crate::request::Ends;
use crate::site::Moment;
use crate::users::{Scope, UsersFile};
use crate::{Site, SiteContent, TrustedProxy};

const ADMIN: Access = Access::Declared(Need::Admin);

const PASSWORD: &str = "correct horse";

struct Setup {
    guard: Guard,
    clock: Arc<VirtualClock>,
    file: UsersFile,
    config: ServeConfig,
    _folder: tempfile::TempDir,
}

/// A server with the users ann (admin), ben (read) and the tokens of each scope.
fn setup(change: impl FnOnce(&mut ServeConfig)) -> (Setup, [String; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let file = UsersFile::new(folder.path().join("users.json"));
    let tokens = file
        .change(|users| {
            users.add_user("ann", Some(PASSWORD), Scope::Admin)?;
            users.add_user("ben", Some("battery staple"), Scope::Read)?;
            let now = Duration::from_secs(1_577_836_800);
            let hour = Some(Duration::from_secs(3600));
            Ok([
                users.add_token("reader", Scope::Read, now, None)?,
                users.add_token("caller", Scope::Call, now, hour)?,
                users.add_token("boss", Scope::Admin, now, None)?,
            ])
        })
        .unwrap();
    let mut config = config();
    config.users = Some(file.path().into());
    change(&mut config);
    (start(config, file, folder), tokens)
}

fn without_users() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let file = UsersFile::new(folder.path().join("users.json"));
    start(ServeConfig { users: Some(file.path().into()), ..config() }, file, folder)
}

fn config() -> ServeConfig {
    let content = SiteContent::Folder("/nowhere".into());
    ServeConfig::new(vec![Site { name: "Site.example".into(), aliases: vec!["alias.example".into()], content }])
}

fn start(config: ServeConfig, file: UsersFile, _folder: tempfile::TempDir) -> Setup {
    let clock = Arc::new(VirtualClock::new());
    let guard = Guard::new(&config, Arc::new(Memory::new(clock.clone()).unwrap())).unwrap();
    Setup { guard, clock, file, config, _folder }
}

fn head_from(peer: &str, request: http::request::Builder) -> RequestHead {
    let request = request.body(()).unwrap();
    let has_host = request.headers().contains_key(HOST);
    let mut parts = request.into_parts().0;
    if !has_host && parts.uri.authority().is_none() {
        parts.headers.insert(HOST, "localhost:8686".parse().unwrap());
    }
    let ends = Ends {
        peer: format!("{peer}:50000").parse().unwrap(),
        local: "127.0.0.1:8686".parse().unwrap(),
        is_tls: false,
    };
    RequestHead::new(parts, (ends, Moment::now()), "").unwrap()
}

fn head(request: http::request::Builder) -> RequestHead {
    head_from("192.0.2.7", request)
}

fn get(path: &str) -> http::request::Builder {
    Request::get(path)
}

fn post(path: &str) -> http::request::Builder {
    Request::post(path).header("sec-fetch-site", "same-origin").header(ORIGIN, "http://localhost:8686")
}

fn status(guard: &Guard, request: http::request::Builder, access: Access) -> u16 {
    let head = head(request);
    let is_changing = !head.is_reading();
    match guard.check(&Asked { head: &head, access, is_changing }) {
        Ok(Admission::Admitted(_)) => 200,
        Ok(Admission::WithForm(_)) => 202,
        Err(refusal) => refusal.status().as_u16(),
    }
}

async fn log_in(guard: &Guard, user: &str, password: &str) -> Response<Bytes> {
    let body = format!("user={user}&password={}&to=%2Fpage", password.replace(' ', "+"));
    let head = head(post("/login").header(ACCEPT, "text/html"));
    guard.log_in(&head, body.as_bytes()).await
}

/// The cookie and the token against forged requests of a new session.
async fn session(guard: &Guard, user: &str, password: &str) -> (String, String) {
    let response = log_in(guard, user, password).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let cookie = cookie(&response);
    let head = head(get("/login").header(COOKIE, &cookie).header(ACCEPT, "application/json"));
    let described: crate::Value = serde_json::from_slice(guard.log_in_page(&head).body()).unwrap();
    assert_eq!(described["user"], user);
    (cookie, described["csrf_token"].as_str().unwrap().to_string())
}

fn cookie(response: &Response<Bytes>) -> String {
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    cookie.split(';').next().unwrap().to_string()
}

#[test]
fn without_users_everybody_may_do_what_nothing_is_declared_about() {
    let setup = without_users();
    for access in [Access::Open, Access::Reading, Access::Changing] {
        assert_eq!(status(&setup.guard, get("/"), access), 200, "{access:?}");
    }
    assert_eq!(status(&setup.guard, get("/"), Access::Declared(Need::Nobody)), 200);
    assert_eq!(status(&setup.guard, get("/"), Access::Declared(Need::Login)), 403);
}

#[test]
fn with_users_nobody_is_let_in_without_being_known() {
    let (setup, _) = setup(|_| {});
    for access in [Access::Reading, Access::Changing, Access::Declared(Need::Login), ADMIN] {
        assert_eq!(status(&setup.guard, get("/"), access), 401, "{access:?}");
        assert_eq!(status(&setup.guard, post("/"), access), 401, "{access:?}");
    }
    assert_eq!(status(&setup.guard, get("/healthz"), Access::Open), 200);
    assert_eq!(status(&setup.guard, get("/"), Access::Declared(Need::Nobody)), 200);
}

#[test]
fn a_token_may_what_its_scope_says_until_it_expires() {
    let (setup, [reader, caller, boss]) = setup(|_| {});
    let with = |token: &str, access| {
        status(&setup.guard, Request::post("/").header(AUTHORIZATION, format!("Bearer {token}")), access)
    };
    let accesses = [Access::Reading, Access::Changing, ADMIN];
    assert_eq!(accesses.map(|access| with(&reader, access)), [200, 403, 403]);
    assert_eq!(accesses.map(|access| with(&caller, access)), [200, 200, 403]);
    assert_eq!(accesses.map(|access| with(&boss, access)), [200, 200, 200]);
    assert_eq!(with("pbt_unknown", Access::Reading), 401);
    setup.clock.advance(Duration::from_secs(3600));
    assert_eq!(with(&caller, Access::Reading), 401, "its hour is over");
    setup.file.change(|users| users.remove_token("boss")).unwrap();
    setup.clock.advance(Duration::from_secs(1));
    assert_eq!(with(&boss, Access::Reading), 401, "it was removed");
}

#[test]
fn a_token_in_the_url_is_refused_and_told() {
    let (setup, [_, _, boss]) = setup(|_| {});
    for target in [format!("/?token={boss}"), format!("/{boss}"), format!("/page?x=1&y={boss}&z=2")] {
        let head = head(get(&target));
        let refused = setup.guard.check(&Asked { head: &head, access: Access::Open, is_changing: false });
        let refusal = refused.unwrap_err();
        assert_eq!(refusal.status(), 400);
        assert!(refusal.text.contains("Authorization: Bearer") && !refusal.text.contains(&boss), "{}", refusal.text);
    }
    assert_eq!(status(&setup.guard, get("/pbt_index?x=pbt_"), Access::Open), 200);
}

#[tokio::test]
async fn a_right_password_makes_a_session_and_a_wrong_one_none() {
    let (setup, _) = setup(|_| {});
    let (cookie, _) = session(&setup.guard, "ann", PASSWORD).await;
    assert_eq!(status(&setup.guard, get("/").header(COOKIE, &cookie), ADMIN), 200);
    for (user, password) in [("ann", "wrong password"), ("ann", ""), ("nobody", PASSWORD), ("", ""), ("ben", PASSWORD)]
    {
        let response = log_in(&setup.guard, user, password).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(!response.headers().contains_key(SET_COOKIE));
        assert!(String::from_utf8_lossy(response.body()).contains("the name or the password is wrong"));
    }
}

#[tokio::test]
async fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
    let (setup, _) = setup(|config| config.prefix = "/tools".into());
    let response = log_in(&setup.guard, "ann", PASSWORD).await;
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    let (value, attributes) = cookie.split_once(';').unwrap();
    assert!(value.starts_with("dropstar_8686=") && value.len() == 14 + 43, "{value}");
    assert_eq!(attributes, " Path=/tools; HttpOnly; SameSite=Lax");
    assert_eq!(response.headers()[LOCATION], "/tools/page");
    let head = head(post("/login").header("x", "y"));
    let mut https = head;
    https.parts.headers.insert(ORIGIN, "https://localhost:8686".parse().unwrap());
    let body = format!("user=ann&password={}", PASSWORD.replace(' ', "+"));
    let response = setup.guard.log_in(&https, body.as_bytes()).await;
    assert!(response.headers()[SET_COOKIE].to_str().unwrap().ends_with("; Secure"));
}

#[tokio::test]
async fn a_session_planted_before_the_log_in_is_worth_nothing_after_it() {
    let (setup, _) = setup(|_| {});
    let (ben, _) = session(&setup.guard, "ben", "battery staple").await;
    let planted = format!("dropstar_8686={}", "A".repeat(43));
    let head = head(post("/login").header(ACCEPT, "text/html").header(COOKIE, format!("{ben}; {planted}")));
    let body = format!("user=ann&password={}", PASSWORD.replace(' ', "+"));
    let response = setup.guard.log_in(&head, body.as_bytes()).await;
    let new = cookie(&response);
    assert!(new != ben && new != planted);
    assert_eq!(status(&setup.guard, get("/").header(COOKIE, &new), ADMIN), 200);
    assert_eq!(status(&setup.guard, get("/").header(COOKIE, &planted), Access::Reading), 401);
    assert_eq!(status(&setup.guard, get("/").header(COOKIE, &ben), Access::Reading), 401, "the one before has ended");
}

#[tokio::test]
async fn a_session_ends_with_log_out_a_new_password_and_the_user() {
    let (setup, _) = setup(|_| {});
    let guard = &setup.guard;
    let (cookie, token) = session(guard, "ann", PASSWORD).await;
    let log_out = head(post("/logout").header(COOKIE, &cookie).header("x-csrf-token", &token));
    let asked = Asked { head: &log_out, access: Access::Declared(Need::Login), is_changing: true };
    let Ok(Admission::Admitted(visitor)) = guard.check(&asked) else { panic!("log-out is refused") };
    let response = guard.log_out(&log_out, &visitor);
    assert!(response.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(status(guard, get("/").header(COOKIE, &cookie), Access::Reading), 401);

    let (cookie, _) = session(guard, "ann", PASSWORD).await;
    setup.file.change(|users| users.change_password("ann", "another horse")).unwrap();
    setup.clock.advance(Duration::from_secs(1));
    assert_eq!(status(guard, get("/").header(COOKIE, &cookie), Access::Reading), 401);

    let (cookie, _) = session(guard, "ann", "another horse").await;
    setup.file.change(|users| users.remove_user("ann")).unwrap();
    setup.clock.advance(Duration::from_secs(1));
    assert_eq!(status(guard, get("/").header(COOKIE, &cookie), Access::Reading), 401);
}

#[tokio::test]
async fn what_a_cookie_allows_needs_the_token_against_forged_requests() {
    let (setup, _) = setup(|_| {});
    let guard = &setup.guard;
    let (cookie, token) = session(guard, "ann", PASSWORD).await;
    let (_, other) = session(guard, "ann", PASSWORD).await;
    let changing = |token: Option<&str>, kind: &str| {
        let request = post("/rpc/x").header(COOKIE, &cookie).header(CONTENT_TYPE, kind);
        let request = token.map_or(post("/rpc/x").header(COOKIE, &cookie).header(CONTENT_TYPE, kind), |token| {
            request.header("x-csrf-token", token)
        });
        status(guard, request, Access::Changing)
    };
    assert_eq!(changing(Some(&token), "application/json"), 200);
    for wrong in ["", "x", &other, &token[1..]] {
        assert_eq!(changing(Some(wrong), "application/json"), 403, "{wrong}");
        assert_eq!(changing(Some(wrong), "multipart/form-data; boundary=x"), 403, "{wrong}");
    }
    assert_eq!(changing(None, "application/json"), 403);
    assert_eq!(changing(None, "text/plain"), 403);
    assert_eq!(changing(None, "application/x-www-form-urlencoded"), 202);
    let form = || {
        let request = post("/page").header(COOKIE, &cookie).header(CONTENT_TYPE, "Multipart/Form-Data; boundary=x");
        let head = head(request);
        match guard.check(&Asked { head: &head, access: Access::Changing, is_changing: true }) {
            Ok(Admission::WithForm(pending)) => pending,
            other => panic!("{other:?}"),
        }
    };
    assert!(form().confirm(Some(&token)).is_ok());
    for wrong in [None, Some(""), Some("x"), Some(other.as_str())] {
        assert_eq!(form().confirm(wrong).unwrap_err().status(), 403);
    }
}

#[tokio::test]
async fn a_foreign_page_changes_nothing() {
    let (setup, [_, caller, _]) = setup(|_| {});
    let open = without_users();
    let (cookie, token) = session(&setup.guard, "ann", PASSWORD).await;
    let foreign = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "anything"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", ""),
        ("origin", "http://localhost:9999"),
        ("origin", "http://localhost"),
        ("origin", "https://localhost"),
        ("origin", "http://localhost:8686.evil.example"),
        ("origin", "http://localhost:8686@evil.example"),
        ("origin", "file://"),
    ];
    for (name, value) in foreign {
        let request = || Request::post("/rpc/x").header(name, value);
        assert_eq!(status(&open.guard, request(), Access::Changing), 403, "{name}: {value}");
        let with_cookie = request().header(COOKIE, &cookie).header("x-csrf-token", &token);
        assert_eq!(status(&setup.guard, with_cookie, Access::Changing), 403, "{name}: {value}");
        let with_token = request().header(AUTHORIZATION, format!("Bearer {caller}"));
        assert_eq!(status(&setup.guard, with_token, Access::Changing), 403, "{name}: {value}");
        assert_eq!(status(&setup.guard, request(), Access::Open), 403, "a log-in too: {name}: {value}");
        assert_eq!(status(&open.guard, get("/").header(name, value), Access::Reading), 200, "reading is no change");
    }
    let own = Request::post("/").header("sec-fetch-site", "same-origin").header(ORIGIN, "http://evil.example");
    assert_eq!(status(&open.guard, own, Access::Changing), 403, "both must be own");
    let twice = post("/").header(ORIGIN, "http://evil.example");
    assert_eq!(status(&open.guard, twice, Access::Changing), 403);
}

#[test]
fn who_is_no_browser_passes_and_who_hides_where_from_does_not() {
    let setup = without_users();
    assert_eq!(status(&setup.guard, Request::post("/"), Access::Changing), 200);
    assert_eq!(status(&setup.guard, Request::post("/").header(COOKIE, "a=1"), Access::Changing), 403);
    for origin in ["http://localhost:8686", "https://localhost:8686", "http://LOCALHOST:8686"] {
        assert_eq!(status(&setup.guard, Request::post("/").header(ORIGIN, origin), Access::Changing), 200, "{origin}");
    }
    let default_port = Request::post("/").header(HOST, "site.example").header(ORIGIN, "https://site.example:443");
    assert_eq!(status(&setup.guard, default_port, Access::Changing), 200);
}

#[test]
fn only_hosts_of_the_server_are_answered() {
    let setup = without_users();
    let with = |host: &str| status(&setup.guard, get("/").header(HOST, host), Access::Open);
    for host in [
        "localhost",
        "LOCALHOST:1",
        "site.example",
        "alias.example.",
        "127.0.0.1:8686",
        "[::ffff:127.0.0.1]",
        "a.localhost",
    ] {
        assert_eq!(with(host), 200, "{host}");
    }
    for host in [
        "[::1]",
        "127.0.0.2",
        "evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "0.0.0.0",
        "0x7f.1",
        "2130706433",
        "",
    ] {
        assert_eq!(with(host), 421, "{host}");
    }
    let any = Guard::new(&ServeConfig { any_host: true, ..setup.config.clone() }, setup.guard.memory.clone()).unwrap();
    assert_eq!(status(&any, get("/").header(HOST, "evil.example"), Access::Open), 200);
}

#[test]
fn a_head_that_says_two_things_is_refused() {
    let (setup, [reader, ..]) = setup(|_| {});
    let two_lengths = post("/").header("content-length", "5").header("transfer-encoding", "chunked");
    assert_eq!(status(&setup.guard, two_lengths, Access::Open), 400);
    let two_hosts = get("http://localhost:8686/").header(HOST, "site.example");
    assert_eq!(status(&setup.guard, two_hosts, Access::Open), 400);
    let bearer = format!("Bearer {reader}");
    let two_tokens = get("/").header(AUTHORIZATION, &bearer).header(AUTHORIZATION, &bearer);
    assert_eq!(status(&setup.guard, two_tokens, Access::Reading), 400);
}

#[tokio::test]
async fn guessing_is_slowed_and_the_honest_user_gets_in_from_elsewhere() {
    let (setup, _) = setup(|_| {});
    let guess = async |address: &str, password: &str| {
        let head = head_from(address, post("/login").header(ACCEPT, "text/html"));
        let body = format!("user=ann&password={}", password.replace(' ', "+"));
        setup.guard.log_in(&head, body.as_bytes()).await
    };
    for _ in 0..10 {
        assert_eq!(guess("192.0.2.1", "wrong").await.status(), 401);
    }
    let refused = guess("192.0.2.1", PASSWORD).await;
    assert_eq!(refused.status(), 429, "even with the right password");
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(guess("198.51.100.1", PASSWORD).await.status(), 303);
    setup.clock.advance(Duration::from_secs(wait));
    assert_eq!(guess("192.0.2.1", PASSWORD).await.status(), 303, "Retry-After is true");
}

#[test]
fn a_proxy_is_believed_only_where_it_is_trusted() {
    let trusted = TrustedProxy { addresses: vec!["10.0.0.1".parse().unwrap()], user_header: Some("X-User".into()) };
    let (setup, _) = setup(|config| config.trusted_proxy = Some(trusted));
    let ask = |peer: &str, access, request: http::request::Builder| {
        let head = head_from(peer, request);
        let is_changing = !head.is_reading();
        setup
            .guard
            .check(&Asked { head: &head, access, is_changing })
            .map_or_else(|refusal| refusal.status().as_u16(), |_| 200)
    };
    let ann = || get("/").header("x-user", "ann");
    assert_eq!(ask("10.0.0.1", ADMIN, ann()), 200, "ann's scope stands in the file");
    assert_eq!(ask("10.0.0.2", Access::Reading, ann()), 401, "another address");
    assert_eq!(ask("10.0.0.1", Access::Reading, get("/")), 401);
    assert_eq!(ask("10.0.0.1", Access::Reading, get("/").header("x-user", "")), 401);
    assert_eq!(ask("10.0.0.1", Access::Reading, ann().header("x-user", "ben")), 401, "two names are none");
    assert_eq!(ask("10.0.0.1", Access::Changing, get("/").header("x-user", "cid")), 200);
    assert_eq!(ask("10.0.0.1", ADMIN, get("/").header("x-user", "cid")), 403);
    let post = || Request::post("/").header("x-user", "ann");
    assert_eq!(ask("10.0.0.1", Access::Changing, post()), 200, "no browser");
    let browser = post().header(ORIGIN, "http://localhost:8686");
    assert_eq!(ask("10.0.0.1", Access::Changing, browser), 403, "a browser brings the token");
    let forwarded = |peer: &str| {
        let request = post().header(ORIGIN, "https://out.example").header("x-forwarded-host", "out.example");
        ask(peer, Access::Declared(Need::Nobody), request.header(CONTENT_TYPE, "multipart/form-data"))
    };
    assert_eq!((forwarded("10.0.0.1"), forwarded("10.0.0.2")), (200, 403));
}

#[test]
fn the_client_behind_proxies_is_the_last_that_none_of_them_is() {
    let trusted = vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
    let proxies = Proxies::new(Some(&TrustedProxy { addresses: trusted, user_header: None })).unwrap();
    for (peer, forwarded, client) in [
        ("10.0.0.1", "192.0.2.9", "192.0.2.9"),
        ("10.0.0.1", "1.1.1.1, 192.0.2.9, 10.0.0.2", "192.0.2.9"),
        ("10.0.0.1", "192.0.2.9:4711", "192.0.2.9"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "192.0.2.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("192.0.2.1", "1.1.1.1", "192.0.2.1"),
    ] {
        let head = head_from(peer, get("/").header("x-forwarded-for", forwarded));
        assert_eq!(proxies.client(&head).to_string(), client, "{peer} {forwarded}");
    }
}

#[test]
fn a_damaged_users_file_refuses_everybody_but_health() {
    let (setup, [_, _, boss]) = setup(|_| {});
    std::fs::write(setup.file.path(), "{").unwrap();
    setup.clock.advance(Duration::from_secs(1));
    let boss = || get("/").header(AUTHORIZATION, format!("Bearer {boss}"));
    assert_eq!(status(&setup.guard, boss(), Access::Reading), 503);
    assert_eq!(status(&setup.guard, boss(), Access::Declared(Need::Nobody)), 503);
    assert_eq!(status(&setup.guard, get("/healthz"), Access::Open), 200);
    assert!(matches!(Guard::new(&setup.config, setup.guard.memory.clone()), Err(GuardError::Users(_))));
}

#[tokio::test]
async fn a_reload_keeps_sessions_and_failures() {
    let (setup, _) = setup(|_| {});
    let (cookie, token) = session(&setup.guard, "ann", PASSWORD).await;
    let renewed = Guard::new(&ServeConfig { dev: true, ..setup.config.clone() }, setup.guard.memory.clone()).unwrap();
    let request = post("/").header(COOKIE, cookie).header("x-csrf-token", token);
    assert_eq!(status(&renewed, request, Access::Changing), 200);
    let public = ServeConfig { listen: "0.0.0.0:1".parse().unwrap(), ..setup.config.clone() };
    assert!(matches!(Guard::new(&public, setup.guard.memory.clone()), Err(GuardError::Public(_))));
}

#[test]
fn errors_are_shown_to_whoever_is_here_with_dev_and_to_administrators() {
    let (with_users, [_, caller, boss]) = setup(|config| config.dev = true);
    let open = start(ServeConfig { dev: true, ..config() }, with_users.file.clone(), tempfile::tempdir().unwrap());
    let sees = |guard: &Guard, peer: &str, request: http::request::Builder| {
        let head = head_from(peer, request);
        match guard.check(&Asked { head: &head, access: Access::Reading, is_changing: false }) {
            Ok(Admission::Admitted(visitor)) => visitor.sees_errors(),
            other => panic!("{other:?}"),
        }
    };
    assert!(sees(&open.guard, "127.0.0.1", get("/")) && !sees(&open.guard, "192.0.2.1", get("/")));
    assert!(
        !sees(&open.guard, "127.0.0.1", get("/").header("x-forwarded-for", "192.0.2.1")),
        "a proxy is here, not who asks"
    );
    let bearer = |token: &str| get("/").header(AUTHORIZATION, format!("bearer {token}"));
    assert!(
        sees(&with_users.guard, "192.0.2.1", bearer(&boss)) && !sees(&with_users.guard, "192.0.2.1", bearer(&caller))
    );
}

#[test]
fn administering_wants_an_administrator_or_where_there_are_no_users_somebody_here() {
    let (with_users, [_, caller, boss]) = setup(|_| {});
    let open = without_users();
    let may = |guard: &Guard, peer: &str, request: http::request::Builder| {
        let head = head_from(peer, request);
        guard.check(&Asked { head: &head, access: Access::Administering, is_changing: true }).is_ok()
    };
    assert!(may(&open.guard, "127.0.0.1", post("/")) && may(&open.guard, "[::ffff:127.0.0.1]", post("/")));
    assert!(!may(&open.guard, "192.0.2.1", post("/")));
    assert!(!may(&open.guard, "127.0.0.1", post("/").header("x-forwarded-for", "127.0.0.1")));
    assert!(!may(&open.guard, "127.0.0.1", post("/").header("origin", "http://evil.example")));
    let bearer = |token: &str| post("/").header(AUTHORIZATION, format!("bearer {token}"));
    assert!(may(&with_users.guard, "192.0.2.1", bearer(&boss)));
    assert!(!may(&with_users.guard, "127.0.0.1", bearer(&caller)) && !may(&with_users.guard, "127.0.0.1", post("/")));
}

#[tokio::test]
async fn after_the_log_in_nobody_is_led_elsewhere() {
    let (setup, _) = setup(|_| {});
    for to in ["//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nX: y", "javascript:1", "", "/ü"] {
        let body = serde_json::json!({"user": "ann", "password": PASSWORD, "to": to}).to_string();
        let head = head(post("/login").header(ACCEPT, "text/html").header(CONTENT_TYPE, "application/json"));
        let response = setup.guard.log_in(&head, body.as_bytes()).await;
        assert_eq!(response.headers()[LOCATION], "/", "{to:?}");
    }
}

#[tokio::test]
async fn what_is_typed_is_shown_escaped() {
    let (setup, _) = setup(|_| {});
    let head = head(get("/login?to=/%22%3E%3Cscript%3E").header(ACCEPT, "text/html"));
    let page = String::from_utf8(setup.guard.log_in_page(&head).body().to_vec()).unwrap();
    assert!(!page.contains("<script") && page.contains("&quot;&gt;&lt;script&gt;"), "{page}");
}

#[test]
fn a_browser_that_is_to_log_in_is_sent_there_and_others_are_told() {
    let (setup, _) = setup(|_| {});
    let refusal = |request: http::request::Builder| {
        let head = head(request);
        let refused = setup.guard.check(&Asked { head: &head, access: Access::Reading, is_changing: false });
        refused.unwrap_err().response(&head, "/tools", false)
    };
    let response = refusal(get("/page?a=1&b=2").header(ACCEPT, "text/html,*/*"));
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()[LOCATION], "/tools/login?to=%2Fpage%3Fa%3D1%26b%3D2");
    let response = refusal(get("/page").header(ACCEPT, "*/*"));
    assert_eq!(
        (response.status(), &response.headers()["www-authenticate"]),
        (StatusCode::UNAUTHORIZED, &"Bearer".parse().unwrap())
    );
    assert!(response.body().starts_with(b"{\"error\":{\"status\":401,"));
}
