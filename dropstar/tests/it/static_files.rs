//! Static files: types, validators, ranges, compression, and what is never served.

use std::io::Read as _;

use crate::support::Fixture;

#[test]
fn files_have_their_types_and_edits_show() {
    let site = Fixture::new(&[]);
    for (name, kind) in [
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.jpg", "image/jpeg"),
        ("a.svg", "image/svg+xml"),
        ("a.unknown", "application/octet-stream"),
    ] {
        site.write(&format!("static/{name}"), "one");
        let reply = site.get(&format!("/{name}"));
        assert_eq!((reply.header("content-type"), reply.text().as_str()), (Some(kind), "one"), "{name}");
    }
    for round in 0..20 {
        site.write("static/a.js", &round.to_string());
        assert_eq!(site.get("/a.js").text(), round.to_string());
    }
}

#[test]
fn an_unchanged_file_is_not_sent_again() {
    let site = Fixture::new(&[("static/a.txt", "text")]);
    let reply = site.get("/a.txt");
    let (tag, modified) =
        (reply.header("etag").unwrap().to_string(), reply.header("last-modified").unwrap().to_string());
    for (name, value, status) in [
        ("if-none-match", tag.as_str(), 304),
        ("if-none-match", &format!("\"x\", W/{tag}"), 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"x\"", 200),
        ("if-modified-since", &modified, 304),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT", 200),
        ("if-modified-since", "nonsense", 200),
    ] {
        let reply = site.request("GET", "/a.txt", &[(name, value)], "");
        assert_eq!(reply.status, status, "{name}: {value}");
        assert_eq!(reply.header("etag"), Some(tag.as_str()));
    }
}

#[test]
fn ranges_of_small_and_large_files_are_served() {
    let site = Fixture::new(&[("static/small.bin", "0123456789")]);
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(site.path("static/large.bin"), &large).unwrap();
    let range = |path: &str, range: &str| site.request("GET", path, &[("range", range)], "");
    let reply = range("/small.bin", "bytes=2-4");
    assert_eq!((reply.status, reply.text().as_str()), (206, "234"));
    assert_eq!(reply.header("content-range"), Some("bytes 2-4/10"));
    let reply = range("/small.bin", "bytes=10-");
    assert_eq!((reply.status, reply.header("content-range")), (416, Some("bytes */10")));
    let reply = range("/large.bin", "bytes=1000000-2500000");
    assert_eq!((reply.status, &reply.body[..]), (206, &large[1_000_000..=2_500_000]));
    assert_eq!(site.get("/large.bin").body, large);
    assert_eq!(site.request("HEAD", "/large.bin", &[], "").header("content-length"), Some("3000000"));
    let tag = site.get("/small.bin").header("etag").unwrap().to_string();
    for (value, status) in [(tag.as_str(), 206), ("\"old\"", 200)] {
        let reply = site.request("GET", "/small.bin", &[("range", "bytes=0-0"), ("if-range", value)], "");
        assert_eq!(reply.status, status, "{value}");
    }
}

#[test]
fn text_is_compressed_for_those_who_take_it() {
    let text = "line of text\n".repeat(10_000);
    let site = Fixture::new(&[("static/a.txt", &text), ("static/a.png", &text), ("templates/p.html", &text)]);
    for path in ["/a.txt", "/p"] {
        let reply = site.request("GET", path, &[("accept-encoding", "gzip")], "");
        assert_eq!(reply.header("content-encoding"), Some("gzip"), "{path}");
        assert!(reply.header("vary").unwrap().contains("accept"));
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&reply.body[..]).read_to_string(&mut unpacked).unwrap();
        // Templates lose their last line's end.
        assert!(unpacked.trim_end() == text.trim_end());
        assert!(site.get(path).text().trim_end() == text.trim_end());
    }
    let reply = site.request("GET", "/a.png", &[("accept-encoding", "gzip")], "");
    assert_eq!(reply.header("content-encoding"), None);
    let reply = site.request("GET", "/a.txt", &[("accept-encoding", "gzip"), ("range", "bytes=0-3")], "");
    assert_eq!((reply.status, reply.text().as_str()), (206, "line"));
}

#[test]
fn nothing_outside_the_folder_and_nothing_hidden_is_served() {
    let site = Fixture::new(&[
        ("static/a.txt", "a"),
        ("static/.hidden", "secret"),
        ("static/.git/config", "secret"),
        ("static/sub/b.txt", "b"),
        ("secret.txt", "secret"),
        ("pages/p.json", "{}"),
    ]);
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), site.path("static/link")).unwrap();
    std::os::unix::fs::symlink(outside.path(), site.path("static/folder")).unwrap();
    std::os::unix::fs::symlink("../secret.txt", site.path("static/up")).unwrap();
    for path in [
        "/../secret.txt",
        "/../../../etc/hostname",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/sub/../../secret.txt",
        "/sub/%2e%2e/%2e%2e/secret.txt",
        "/%2e%2e%5csecret.txt",
        "/..\\secret.txt",
        "/%252e%252e/secret.txt",
        "/....//secret.txt",
        "//etc/hostname",
        "/%2fetc/hostname",
        "/.hidden",
        "/%2ehidden",
        "/.git/config",
        "/sub/.%00",
        "/a.txt%00.js",
        "/link",
        "/folder/secret",
        "/up",
        "/sub",
        "/p.json",
        "/pages/p.json",
        "/static/a.txt",
        "/%c0%ae%c0%ae/secret.txt",
    ] {
        let reply = site.get(path);
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
        assert!(!reply.text().contains("secret"), "{path}");
    }
    assert_eq!(site.get("/sub/b.txt").text(), "b");
}
