//! Pictures of series, and what series hold.

use serde_json::json;

use crate::support::Fixture;

#[test]
fn many_readers_of_a_picture_cost_one_drawing() {
    let site = Fixture::new(&[]);
    let path = "/graph/cpu.png?from=1000&to=2000&width=300&height=90";
    let mut connections: Vec<_> = (0..20).map(|_| site.connect()).collect();
    for connection in &mut connections {
        connection.request("GET", path, &[], "");
    }
    for connection in &mut connections {
        let reply = connection.reply();
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/png")));
        assert_eq!(reply.text(), "1 300x90");
    }
    let other = site.get("/graph/cpu.svg?from=1000&to=2000&width=300&height=90");
    assert_eq!((other.header("content-type"), other.text().as_str()), (Some("image/svg+xml"), "2 300x90"));
    assert_eq!(other.header("cache-control"), Some("private, max-age=1"));
}

#[test]
fn a_series_is_given_by_column() {
    let site = Fixture::new(&[]);
    let rows = json!([[10, 1, null], [20, 2, null]]);
    let table = json!({"step": 10, "fields": ["user", "system"], "rows": rows});
    site.told.lock().unwrap().insert("series.fetch".into(), table);
    let reply = site.get("/series/cpu.json?from=1&to=30");
    let expected = json!({"series": "cpu", "from": 1, "to": 30, "step": 10, "fields": ["user", "system"],
        "times": [10, 20], "values": [[1.0, 2.0], [null, null]]});
    assert_eq!(reply.json(), expected);
}

#[test]
fn what_is_not_there_or_wrong_is_told() {
    let site = Fixture::new(&[]);
    for (path, status, text) in [
        ("/graph/none.png", 404, "no series none"),
        ("/series/none.json", 404, "no series.fetch"),
        ("/graph/..%2fcpu.png", 400, ""),
        ("/graph/cpu.gif", 404, "expected /graph/SERIES.png"),
        ("/graph/cpu.png?width=0", 400, "width is \"0\", expected a number from 100 to 4000"),
        ("/series/cpu.json?points=0", 400, "points is \"0\", expected a number from 10 to 4000"),
        ("/series/cpu.json?from=never", 400, "from is \"never\", expected now"),
    ] {
        let reply = site.get(path);
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert!(reply.text().contains(&text.replace('"', "\\\"")), "{path}: {}", reply.text());
    }
    let reply = site.get("/graph/broken.png");
    assert_eq!(reply.status, 500);
    assert!(!reply.text().contains("librrd"), "{}", reply.text());
}
