//! Hosts, several sites and packages, and what replaces them.

use std::path::Path;

use dropstar::{Mount, Site, SiteContent};
use serde_json::json;

use crate::support::{Fixture, Reply, folder_config};

fn mount(folder: &Path, package: &str, pages: &str) -> Mount {
    Mount {
        package: folder.join(package),
        aliases: Vec::new(),
        pages: pages.into(),
        procedures: format!("{pages}rpc/"),
        static_files: pages.into(),
    }
}

fn at(site: &Fixture, host: &str, path: &str) -> Reply {
    site.request("GET", path, &[("host", host)], "")
}

#[test]
fn the_host_chooses_the_site_and_an_unknown_one_is_misdirected() {
    let site =
        Fixture::with(&[("one/templates/index.html", "one"), ("two/templates/index.html", "two")], |config, folder| {
            let content = |name: &str| SiteContent::Folder(folder.join(name));
            config.sites = vec![
                Site { name: "one.test".into(), aliases: vec!["uno.test".into()], content: content("one") },
                Site { name: "two.test".into(), aliases: vec!["Dos.Test".into()], content: content("two") },
            ];
        });
    for (host, text) in [
        ("one.test", "one"),
        ("ONE.test:99", "one"),
        ("uno.test", "one"),
        ("two.test", "two"),
        ("dos.test.", "two"),
        ("localhost", "one"),
        ("127.0.0.1", "one"),
        ("127.0.0.1:5", "one"),
    ] {
        assert_eq!(at(&site, host, "/").text(), text, "{host}");
    }
    for host in ["evil.test", "192.0.2.1", "localhost.evil.test", "1"] {
        assert_eq!(at(&site, host, "/").status, 421, "{host}");
        assert_eq!(at(&site, host, "/healthz").status, 421, "{host}");
    }
}

#[test]
fn any_host_is_the_first_site_when_that_is_wanted() {
    let site = Fixture::with(&[("templates/index.html", "one")], |config, _| config.any_host = true);
    assert_eq!(at(&site, "whatever.test", "/").text(), "one");
}

#[test]
fn packages_are_looked_through_in_order_and_mounts_are_honoured() {
    let site = Fixture::with(
        &[
            (
                "a.json",
                r#"{"static": "www", "http": {"p": {"answer": {"from": "a"}}, "index": {"answer": {"is": "index"}}}}"#,
            ),
            (
                "b.json",
                r#"{"static": "www2", "http": {"p": {"answer": {"from": "b"}}, "q": {"answer": {"from": "b"}, "template text": "{{ from }}!"}}, "rpc": {"r": {"answer": {"n": 1}}}}"#,
            ),
            ("www/s.txt", "a's"),
            ("www2/s.txt", "b's"),
            ("www2/t.txt", "t"),
        ],
        |config, folder| {
            let mut mounted = mount(folder, "b.json", "/b/");
            mounted.procedures = "/calls/".into();
            mounted.static_files = "/files/".into();
            let mut alias = mount(folder, "b.json", "/");
            alias.aliases = vec!["b.test".into()];
            config.sites[0].content = SiteContent::Packages(vec![mount(folder, "a.json", "/"), mounted, alias]);
        },
    );
    assert_eq!(site.get("/p").json(), json!({"from": "a"}));
    assert_eq!(site.get("/").json(), json!({"is": "index"}));
    assert_eq!(site.get("/b/p").json(), json!({"from": "b"}));
    assert_eq!(site.get("/q").text(), "b!");
    assert_eq!(site.get("/s.txt").text(), "a's");
    assert_eq!(site.get("/t.txt").text(), "t");
    assert_eq!(site.get("/files/t.txt").text(), "t");
    assert_eq!(site.post("/calls/r", "application/json", "{}").json(), json!({"n": 1}));
    assert_eq!(site.post("/rpc/r", "application/json", "{}").json(), json!({"n": 1}));
    assert_eq!(site.get("/b/rpc/r").status, 404);
    let names = site.get("/rpc").json()["procedures"].as_array().unwrap().clone();
    assert_eq!(names.iter().map(|one| one["name"].as_str().unwrap()).collect::<Vec<_>>(), ["calls/r", "r"]);
    assert_eq!(at(&site, "b.test", "/p").json(), json!({"from": "b"}));
    assert_eq!(at(&site, "b.test", "/").status, 404);
}

#[test]
fn an_edited_package_shows_and_a_broken_edit_keeps_the_last_one() {
    let site =
        Fixture::with(&[("a.json", r#"{"http": {"p": {"answer": {"n": 1}}}}"#), ("b.json", "{")], |config, folder| {
            config.sites[0].content =
                SiteContent::Packages(vec![mount(folder, "b.json", "/b/"), mount(folder, "a.json", "/")]);
        });
    assert_eq!(site.get("/p").json(), json!({"n": 1}));
    assert_eq!(site.get("/b/x").status, 500);
    site.write("a.json", r#"{"http": {"p": {"answer": {"n": 2}}}}"#);
    assert_eq!(site.get("/p").json(), json!({"n": 2}));
    site.write("a.json", "{");
    assert_eq!(site.get("/p").json(), json!({"n": 2}));
    site.write("a.json", r#"{"http": {"q": {"answer": {"n": 3}}}}"#);
    assert_eq!((site.get("/p").status, site.get("/q").json()), (404, json!({"n": 3})));
    site.write("b.json", "{}");
    assert_eq!(site.get("/b/x").status, 404);
}

#[test]
fn a_replaced_configuration_keeps_the_listener_and_its_connections() {
    let site = Fixture::new(&[("templates/index.html", "one"), ("two/templates/index.html", "two")]);
    let address = site.address();
    let mut connection = site.connect();
    connection.request("GET", "/", &[], "");
    assert_eq!(connection.reply().text(), "one");
    site.replace(vec![folder_config(&site.path("two")), folder_config(site.folder.path())]);
    assert_eq!(site.address(), address);
    connection.request("GET", "/", &[], "");
    assert_eq!(connection.reply().text(), "two");
    let second = site.server.addresses()[1];
    let mut other = crate::support::Connection::open(second);
    other.request("GET", "/", &[], "");
    assert_eq!(other.reply().text(), "one");
    site.replace(vec![folder_config(&site.path("two"))]);
    assert!(std::net::TcpStream::connect(second).is_err());
    assert!(other.is_closed());
    assert_eq!(site.get("/").text(), "two");
}
