//! The scripts of our own.

use crate::support::Fixture;

#[test]
fn scripts_are_sent_once_and_compressed() {
    let site = Fixture::new(&[("static/dropstar.js", "a user's own is not served"), ("pages/a.json", "{}")]);
    for path in ["/dropstar.js", "/dropstar-charts.js"] {
        let reply = site.get(path);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
        let tag = reply.header("etag").unwrap().to_string();
        assert_eq!(site.request("GET", path, &[("if-none-match", &tag)], "").status, 304);
        assert_eq!(site.request("POST", path, &[], "").status, 405);
    }
    let whole = site.get("/dropstar.js");
    assert!(whole.text().starts_with("// dropstar.js:"));
    let compressed = site.request("GET", "/dropstar.js", &[("accept-encoding", "gzip")], "");
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert!(compressed.body.len() * 2 < whole.body.len());
    assert_ne!(compressed.header("etag"), whole.header("etag"));
}
