//! Samples and graphs of a run that goes well, and of mistakes.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use unidist::timeseries::{Consolidation, FieldSpec, GraphFormat, GraphSpec, SeriesSpec, Window, safe_key};

use super::{LONG, START, client, column, logged, spec, wait, watch_log};

#[test]
fn samples_and_graphs_are_told_in_the_published_order() {
    watch_log();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/simplest.rrd");
    let picture = folder.path().join("pictures/simplest.png");
    let client = client();
    let series = client.declare(spec(&path, &["random"])).unwrap();
    let graph = Arc::new(GraphSpec {
        vertical_label: "Random #s".into(),
        ..GraphSpec::new(&picture, "Simplest Monitoring Demo")
    });
    for (time, random) in [(3.58, 93), (8.84, 85)] {
        let result = serde_json::json!({"random": random, "other": 1}).as_object().unwrap().clone();
        client.store_result(&series, START as f64 + time, &result);
        client.graph(&series, graph.clone(), START as f64 + time);
        wait(client.flush()).unwrap();
        super::eventually("the graph", || client.totals().graphs > 0 && logged(&picture).len() * 10 > random % 9);
        super::eventually("its line", || logged(&picture).len() == if random == 93 { 1 } else { 2 });
    }
    assert!(wait(client.shutdown(LONG)));
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    assert_eq!(column(&path, START - 5, START + 5), [(START, Some(93.0)), (START + 5, Some(85.0))]);
    let file = path.display();
    let expected = [
        format!("INFO Storing RRD occurrence: {file}: 1700000103.58: {{random: 93}}"),
        format!("INFO Graphing RRD: {file}: {}", picture.display()),
        format!("INFO Storing RRD occurrence: {file}: 1700000108.84: {{random: 85}}"),
        format!("INFO Graphing RRD: {file}: {}", picture.display()),
    ];
    assert_eq!(logged(folder.path()), expected);
}

#[test]
fn a_key_series_is_a_file_for_each_key() {
    let folder = tempfile::tempdir().unwrap();
    let client = client();
    let keys = ["/dev/sda1", "sda 2", "../../x", "$(id);\n"];
    for key in keys {
        let series = client.declare(spec(&folder.path().join(format!("{}.rrd", safe_key(key))), &["used"])).unwrap();
        client.store(&series, START as f64, &[key.len() as f64]);
    }
    assert!(wait(client.shutdown(LONG)));
    let mut names: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), keys.len(), "{names:?}");
    assert!(
        names.contains(&"slashdevslashsda1.rrd".to_owned()) && names.contains(&"sdaspace2.rrd".to_owned()),
        "{names:?}"
    );
    assert_eq!(column(&folder.path().join("sdaspace2.rrd"), START - 5, START), [(START, Some(5.0))]);
}

#[test]
fn late_and_repeated_samples_are_counted_and_told_once() {
    watch_log();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let client = client();
    let series = client.declare(spec(&path, &["a"])).unwrap();
    for (after, value) in [(0.0, 1.0), (5.0, 2.0), (6.0, 9.0), (1.0, 9.0), (9.0, 9.0), (10.0, 3.0)] {
        client.store(&series, START as f64 + after, &[value]);
    }
    wait(client.flush()).unwrap();
    let status = &client.status()[0];
    assert_eq!((status.stored, status.late, status.repeated, status.dropped), (3, 1, 2, 0));
    assert_eq!(status.last, [("a".to_owned(), Some(3.0))]);
    let warned = logged(&path).into_iter().filter(|line| line.starts_with("WARN")).count();
    assert_eq!(warned, 2, "{:?}", logged(&path));
}

#[test]
fn the_first_sample_after_a_restart_is_neither_told_as_stored_nor_as_a_loss() {
    watch_log();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    for times in [&[0.0, 5.0][..], &[6.0, 10.999]] {
        let client = client();
        let series = client.declare(spec(&path, &["a"])).unwrap();
        times.iter().for_each(|after| client.store(&series, START as f64 + after, &[*after]));
        assert!(wait(client.shutdown(LONG)));
    }
    let file = path.display();
    let expected = [
        format!("INFO Storing RRD occurrence: {file}: 1700000100.00: {{a: 0}}"),
        format!("INFO Storing RRD occurrence: {file}: 1700000105.00: {{a: 5}}"),
        format!("INFO series {file}: a second sample in one interval of 5 s is passed over"),
        format!("INFO Storing RRD occurrence: {file}: 1700000110.99: {{a: 10.999}}"),
    ];
    assert_eq!(logged(&path), expected);
}

#[test]
fn a_file_that_is_removed_while_it_is_written_to_is_told_and_begins_anew() {
    watch_log();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let client = client();
    let series = client.declare(spec(&path, &["a"])).unwrap();
    for round in 0..4 {
        client.store(&series, (START + round * 5) as f64, &[1.0]);
        wait(client.flush()).unwrap();
        if round == 1 {
            fs::remove_file(&path).unwrap();
        }
    }
    let warned: Vec<String> = logged(&path).into_iter().filter(|line| line.starts_with("WARN")).collect();
    let file = path.display();
    let expected = format!("WARN series {file}: the file was removed while samples were stored in it; it begins anew");
    assert_eq!(warned, [expected]);
    assert_eq!(column(&path, START + 5, START + 15).len(), 2);
}

#[test]
fn a_field_that_never_came_is_named_once_with_the_nearest_key() {
    watch_log();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let client = client();
    let series = client.declare(spec(&path, &["radnom", "text", "number", "flag"])).unwrap();
    let result = serde_json::json!({"random": 5, "text": "many", "number": " 12.5", "flag": true});
    for index in 0..3 {
        client.store_result(&series, (START + index * 5) as f64, result.as_object().unwrap());
    }
    wait(client.flush()).unwrap();
    let known = |name: &str, value| (name.to_owned(), value);
    let last = [known("radnom", None), known("text", None), known("number", Some(12.5)), known("flag", Some(1.0))];
    assert_eq!(client.status()[0].last, last);
    let warned: Vec<String> = logged(&path).into_iter().filter(|line| line.starts_with("WARN")).collect();
    let file = path.display();
    assert_eq!(
        warned,
        [
            format!("WARN series {file}: the result has no \"radnom\", stored as unknown; did you mean \"random\"?"),
            format!("WARN series {file}: \"text\" is text, not a number, stored as unknown"),
        ]
    );
}

#[test]
fn what_was_stored_is_fetched_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let client = client();
    let series = client.declare(spec(&path, &["a", "b"])).unwrap();
    client.store(&series, START as f64, &[1.0]);
    client.store(&series, (START + 5) as f64, &[2.0, 3.0, 4.0]);
    let window = Window::new(START - 5, START + 5);
    let table = wait(client.fetch(&path, Consolidation::Average, window)).unwrap();
    assert_eq!(
        table.rows.iter().map(|row| row.values.clone()).collect::<Vec<_>>(),
        [[Some(1.0), None], [Some(2.0), Some(3.0)]]
    );
    assert_eq!(wait(client.last(&path)).unwrap().rows[0].values, [Some(2.0), Some(3.0)]);
    assert_eq!(wait(client.info(&path)).unwrap().step, 5);
    let svg = wait(client.graph_bytes(&path, GraphSpec::default(), window, GraphFormat::Svg)).unwrap();
    assert!(svg.starts_with(b"<?xml"));
    let missing = wait(client.last(&folder.path().join("b.rrd"))).unwrap_err().to_string();
    assert!(missing.ends_with("b.rrd does not exist; a series is created with its first sample"), "{missing}");
    assert!(wait(client.shutdown(LONG)));
    assert_eq!(wait(client.flush()).unwrap_err().to_string(), "the time series are being closed");
}

#[test]
fn many_series_and_samples_are_all_stored() {
    let folder = tempfile::tempdir().unwrap();
    let client = client();
    let series: Vec<_> =
        (0..300).map(|n| client.declare(spec(&folder.path().join(format!("{n}.rrd")), &["a", "b"])).unwrap()).collect();
    for round in 0..100 {
        for (number, series) in series.iter().enumerate() {
            client.store(series, (START + round * 5) as f64, &[number as f64, round as f64]);
        }
    }
    wait(client.flush()).unwrap();
    let totals = client.totals();
    assert_eq!((totals.series, totals.stored, totals.waiting, totals.dropped, totals.restarts), (300, 30_000, 0, 0, 0));
    for number in [0, 299] {
        let rows = column(&folder.path().join(format!("{number}.rrd")), START - 5, START + 495);
        assert_eq!(rows.iter().filter(|(_, value)| *value == Some(f64::from(number))).count(), 100);
    }
}

#[test]
fn a_series_declared_again_is_the_same_and_a_wrong_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let client = client();
    client.declare(spec(&path, &["a"])).unwrap();
    client.declare(spec(&path, &["a"])).unwrap();
    assert_eq!(client.totals().series, 1);
    let changed = client.declare(spec(&path, &["a", "b"])).unwrap();
    client.store(&changed, START as f64, &[1.0, 2.0]);
    wait(client.flush()).unwrap();
    assert_eq!(wait(client.info(&path)).unwrap().columns.len(), 2);
    let wrong = SeriesSpec::new(&path, Duration::ZERO, vec![FieldSpec::gauge("a")]);
    let told = client.declare(wrong).unwrap_err().to_string();
    assert!(
        told.starts_with(&format!("series {}: the interval is 0 s, expected whole seconds from 1", path.display())),
        "{told}"
    );
}
