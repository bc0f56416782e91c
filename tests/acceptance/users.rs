//! `procblock user` and `procblock token`: who may use a web server.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::{Ended, Run};

const PASSWORD: &str = "correct horse\n";

fn site() -> Run {
    Run::bare().file("site/pages/a.lua", "")
}

fn again<const N: usize>(ended: &Ended, words: [&str; N]) -> Ended {
    Run::again(ended).words(words).end()
}

#[test]
fn users_are_added_changed_listed_and_removed() {
    let words = ["user", "add", "ann", "site", "--scope", "admin", "--password-stdin"];
    let ended = site().words(words).input(PASSWORD).end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended}");
    assert_eq!(ended.stderr, "added user ann with scope admin to site/users.json\n");
    let file = ended.read("site/users.json");
    assert!(file.contains("$argon2id$") && !file.contains("horse"), "{file}");
    let mode = std::fs::metadata(ended.path("site/users.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(again(&ended, ["user", "add", "ben", "site", "--no-password"]).code, Some(0));
    let list = again(&ended, ["user", "list", "site"]);
    assert_eq!(list.stdout, "USER  SCOPE  LOG-IN\nann   admin  password\nben   call   proxy\n");
    let changed =
        Run::again(&ended).words(["user", "password", "ben", "site", "--password-stdin"]).input(PASSWORD).end();
    assert_eq!(changed.code, Some(0), "{changed}");
    assert_eq!(again(&ended, ["user", "remove", "ann", "site"]).code, Some(0));
    let list = again(&ended, ["user", "list", "site", "-o", "json"]);
    assert_eq!(list.json(), json!([{"name": "ben", "scope": "call", "log_in": "password"}]));
}

#[test]
fn a_token_is_printed_once_and_kept_nowhere() {
    let ended = site().words(["token", "add", "deploy", "site", "--scope", "call", "--expires", "30d"]).end();
    let token = ended.stdout.strip_suffix('\n').unwrap();
    assert!(token.starts_with("pbt_") && token.len() == 47, "{ended}");
    assert!(!ended.stderr.contains(token) && !ended.read("site/users.json").contains(token));
    let listed = again(&ended, ["token", "list", "site", "-o", "json"]).json();
    assert_eq!((&listed[0]["name"], &listed[0]["expired"]), (&json!("deploy"), &json!(false)));
    let lasts = listed[0]["expires"].as_u64().unwrap() - listed[0]["created"].as_u64().unwrap();
    assert_eq!(lasts, 30 * 86_400);
    assert_eq!(again(&ended, ["token", "remove", "deploy", "site"]).code, Some(0));
    assert_eq!(again(&ended, ["token", "list", "site", "-o", "json"]).json(), json!([]));
}

#[test]
fn a_site_file_says_where_its_users_are() {
    let text = "a:\n  users: who.json\n  folder: site\n";
    let ended = site().file("site.yaml", text).words(["user", "add", "ann", "site.yaml", "--no-password"]).end();
    assert!(ended.code == Some(0) && ended.path("who.json").exists(), "{ended}");
    let ended = site().words(["user", "add", "ann", "--users", "else.json", "--no-password"]).end();
    assert!(ended.code == Some(0) && ended.path("else.json").exists(), "{ended}");
}

#[test]
fn what_can_not_be_done_is_told_with_the_remedy() {
    let damaged = || site().file("site/users.json", "{");
    for (run, code, text) in [
        (site().words(["user", "add", "a b", "site", "--no-password"]), 1, "\"a b\" can't be a name; expected letters"),
        (site().words(["user", "remove", "ann", "site"]), 1, "there is no user \"ann\""),
        (site().words(["user", "password", "ann", "site", "--password-stdin"]), 1, "there is no user \"ann\""),
        (site().words(["token", "remove", "t", "site"]), 1, "there is no token \"t\""),
        (site().words(["user", "list"]), 2, "which site? name its folder or its file"),
        (site().words(["token", "add", "t", "site"]), 2, "--scope"),
        (site().words(["token", "add", "t", "site", "--scope", "root"]), 2, "expected one of: read, call, admin"),
        (
            site().words(["token", "add", "t", "site", "--scope", "read", "--expires", "soon"]),
            2,
            "such as 90 (seconds)",
        ),
        (damaged().words(["user", "list", "site"]), 78, "is damaged: EOF"),
        (damaged().words(["user", "add", "ann", "site", "--no-password"]), 78, "put a good copy back"),
        (site().words(["user", "list", "none.yaml"]), 78, "none.yaml"),
        (
            site().words(["user", "add", "ann", "site", "--password-stdin"]).input("short\n"),
            1,
            "the password has fewer than 8 characters",
        ),
    ] {
        let ended = run.end();
        assert_eq!(ended.code, Some(code), "{ended}");
        assert!(ended.stderr.contains(text), "{text} is not in {ended}");
    }
}
