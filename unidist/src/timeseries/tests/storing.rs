//! What is stored, by `rrdtool`'s account.

use std::fs;
use std::time::Duration;

use super::super::{
    Consolidation, FieldSpec, FieldType, Sample, SeriesError, SeriesFile, Stored, Window, fetch, info, last,
};
use super::{START, column, fetched, one, rrdtool, samples, small};

#[test]
fn a_new_file_has_the_declared_fields_and_the_default_archives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/folders/a.rrd");
    let limited = FieldSpec { min: Some(-1.5), max: Some(100.0), ..FieldSpec::gauge("random") };
    let fields = vec![limited, FieldSpec::new("requests per second", FieldType::Counter)];
    let spec = super::super::SeriesSpec::new(&path, Duration::from_secs(5), fields);
    SeriesFile::open(&spec, START).unwrap();
    let text = rrdtool(&["info", path.to_str().unwrap()]);
    for line in [
        "step = 5",
        "ds[random].index = 0",
        "ds[random].type = \"GAUGE\"",
        "ds[random].minimal_heartbeat = 120",
        "ds[random].min = -1.5000000000e+00",
        "ds[random].max = 1.0000000000e+02",
        "ds[requests__09e144c4].type = \"COUNTER\"",
        "rra[0].rows = 86400",
        "rra[2].cf = \"MAX\"",
        "rra[4].pdp_per_row = 60",
        "rra[4].rows = 8544",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
    }
}

#[test]
fn samples_stand_on_multiples_of_the_interval_and_unknown_is_not_zero() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let spec = small(&path, vec![FieldSpec::gauge("a"), FieldSpec::gauge("b")]);
    let sample = |time, values: &[f64]| Sample { time, values: values.to_vec() };
    let mut file = SeriesFile::open(&spec, START + 3).unwrap();
    let given =
        [sample(START + 3, &[1.0, f64::NAN]), sample(START + 9, &[2.0]), sample(START + 10, &[f64::INFINITY, 3.0])];
    assert_eq!(file.update_many(&given).unwrap(), Stored { stored: 3, ..Stored::default() });
    let rows = fetched(&path, START - 5, START + 10);
    assert_eq!(
        rows,
        [(START, vec![Some(1.0), None]), (START + 5, vec![Some(2.0), None]), (START + 10, vec![None, Some(3.0)]),]
    );
    assert!(rrdtool(&["lastupdate", path.to_str().unwrap()]).contains(&format!("{}: U 3", START + 10)));
}

#[test]
fn late_and_repeated_samples_are_counted_and_the_first_one_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let mut file = SeriesFile::open(&one(&path, FieldType::Gauge), START).unwrap();
    file.update_many(&samples(&[1.0, 2.0, 3.0])).unwrap();
    let sample = |time, value| Sample { time, values: vec![value] };
    let given = [
        sample(START + 10, 9.0),
        sample(START + 14, 9.0),
        sample(START, 9.0),
        sample(-5, 9.0),
        sample(i64::MAX, 9.0),
        sample(START + 15, 4.0),
    ];
    let expected = Stored { stored: 1, late: 3, repeated: 2, rounded: 0 };
    assert_eq!(file.update_many(&given).unwrap(), expected);
    assert_eq!(column(&path, START - 5, START + 15), [1.0, 2.0, 3.0, 4.0].map(Some));
}

#[test]
fn a_counter_becomes_a_rate_and_its_restart_one_unknown_interval() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let fields = [FieldType::Counter, FieldType::Counter, FieldType::Gauge, FieldType::Absolute, FieldType::Derive];
    let spec = small(&path, fields.iter().zip('a'..).map(|(kind, name)| FieldSpec::new(name, *kind)).collect());
    let mut file = SeriesFile::open(&spec, START).unwrap();
    let restarted = [1000.0, 1050.0, 1100.0, 10.0, 60.0, 110.0];
    let rows = (0..6).zip(restarted).map(|(index, value)| Sample {
        time: START + index * 5,
        values: vec![value, 500.0 + index as f64 * 25.0, 7.0, 20.0, 1000.0 - index as f64 * 5.0],
    });
    // One at a time and all at once are the same.
    for row in rows {
        file.update_many(&[row]).unwrap();
        file = SeriesFile::open(&spec, START).unwrap();
    }
    let rows: Vec<_> = fetched(&path, START, START + 25).into_iter().map(|(_, values)| values).collect();
    let usual = vec![Some(10.0), Some(5.0), Some(7.0), Some(4.0), Some(-1.0)];
    let unknown = vec![None, Some(5.0), Some(7.0), Some(4.0), Some(-1.0)];
    assert_eq!(rows, [usual.clone(), usual.clone(), unknown, usual.clone(), usual]);
}

#[test]
fn a_counter_that_overflows_32_bits_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let mut file = SeriesFile::open(&one(&path, FieldType::Counter), START).unwrap();
    file.update_many(&samples(&[4_294_967_196.0, 4_294_967_246.0, 1.0, 51.0])).unwrap();
    assert_eq!(column(&path, START, START + 15), [Some(10.0); 3]);
}

#[test]
fn fractions_are_rounded_only_where_the_type_holds_none() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, rounded, rate) in [
        (FieldType::Derive, 2, 0.8),
        (FieldType::DDerive, 0, 0.7),
        (FieldType::Counter, 2, 0.8),
        (FieldType::DCounter, 0, 0.7),
    ] {
        let path = folder.path().join(kind.as_str());
        let mut file = SeriesFile::open(&one(&path, kind), START).unwrap();
        let stored = file.update_many(&samples(&[0.25, 3.75])).unwrap();
        assert_eq!((stored.stored, stored.rounded), (2, rounded), "{kind:?}");
        assert_eq!(column(&path, START, START + 5), [Some(rate)], "{kind:?}");
    }
}

#[test]
fn numbers_a_type_cannot_hold_are_unknown_and_spoil_no_other() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, _) in FieldType::ALL {
        let path = folder.path().join(kind.as_str());
        let mut file = SeriesFile::open(&one(&path, kind), START).unwrap();
        let hostile = [1.0, -0.0, f64::NAN, f64::NEG_INFINITY, -7.0, 1e300, f64::MAX, 5e-324, 2.0, 3.0];
        assert_eq!(file.update_many(&samples(&hostile)).unwrap().stored, 10, "{kind:?}");
        assert_eq!(rrdtool(&["last", path.to_str().unwrap()]).trim(), (START + 45).to_string(), "{kind:?}");
    }
}

#[test]
fn changed_fields_keep_the_history_and_the_counters_state() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's a \"new\" $(id):x.rrd");
    let mut file = SeriesFile::open(&one(&path, FieldType::Counter), START).unwrap();
    file.update_many(&samples(&[0.0, 50.0, 100.0])).unwrap();
    let more = small(
        &path,
        vec![FieldSpec::gauge("b"), FieldSpec { max: Some(50.0), ..FieldSpec::new("n", FieldType::Counter) }],
    );
    let mut file = SeriesFile::open(&more, START).unwrap();
    file.update_many(&[Sample { time: START + 15, values: vec![7.0, 150.0] }]).unwrap();
    let expected = [(5, None), (10, None), (15, Some(7.0))].map(|(after, b)| (START + after, vec![b, Some(10.0)]));
    assert_eq!(fetched(&path, START, START + 15), expected);
    // A field that is no longer declared keeps its column.
    let fewer = small(&path, vec![FieldSpec::gauge("b")]);
    let mut file = SeriesFile::open(&fewer, START).unwrap();
    file.update_many(&[Sample { time: START + 20, values: vec![8.0] }]).unwrap();
    assert_eq!(
        fetched(&path, START + 10, START + 20),
        [(START + 15, vec![Some(7.0), Some(10.0)]), (START + 20, vec![Some(8.0), None])]
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_changed_type_or_interval_keeps_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let mut file = SeriesFile::open(&one(&path, FieldType::Counter), START).unwrap();
    file.update_many(&samples(&[0.0, 50.0, 100.0, 150.0, 200.0])).unwrap();
    SeriesFile::open(&one(&path, FieldType::Derive), START).unwrap();
    assert_eq!(column(&path, START, START + 20), [Some(10.0); 4]);
    let slower = super::super::SeriesSpec { interval: Duration::from_secs(10), ..one(&path, FieldType::Derive) };
    SeriesFile::open(&slower, START).unwrap();
    assert_eq!(column(&path, START, START + 20), [Some(10.0); 2]);
}

#[test]
fn a_file_changed_amid_a_new_interval_loses_nothing_of_the_next_sample() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let mut file = SeriesFile::open(&one(&path, FieldType::Gauge), START).unwrap();
    file.update_many(&samples(&[6.0, 6.0])).unwrap();
    let slower = super::super::SeriesSpec { interval: Duration::from_secs(10), ..one(&path, FieldType::Gauge) };
    let mut file = SeriesFile::open(&slower, START).unwrap();
    let given = [10, 20].map(|after| Sample { time: START + after, values: vec![6.0] });
    file.update_many(&given).unwrap();
    assert_eq!(column(&path, START, START + 20), [Some(6.0); 2]);
}

#[test]
fn an_existing_file_keeps_its_own_archives_unless_others_are_declared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let text = path.to_str().unwrap();
    rrdtool(&["create", text, "--step", "5", "--start", "1700000000", "DS:n:GAUGE:120:U:U", "RRA:LAST:0.1:3:7"]);
    let spec = super::super::SeriesSpec::new(&path, Duration::from_secs(5), vec![FieldSpec::gauge("n")]);
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap());
    let mut file = SeriesFile::open(&spec, START).unwrap();
    file.update_many(&samples(&[1.0])).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap()), inode, "it was not rebuilt");
    let kept = info(&path).unwrap();
    assert_eq!(
        (kept.archives.len(), kept.archives[0].rows, kept.archives[0].consolidation),
        (1, 7, Consolidation::Last)
    );
}

#[test]
fn a_file_or_folder_removed_while_open_comes_back_with_the_next_sample() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x/a.rrd");
    let mut file = SeriesFile::open(&one(&path, FieldType::Gauge), START).unwrap();
    file.update_many(&samples(&[1.0])).unwrap();
    fs::remove_dir_all(folder.path().join("x")).unwrap();
    file.update_many(&samples(&[1.0, 2.0])).unwrap();
    assert_eq!(column(&path, START - 5, START + 5), [Some(1.0), Some(2.0)]);
}

#[test]
fn a_file_that_is_no_rrd_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    for bytes in [&b""[..], b"hello", &[0; 4096], b"RRD\x000003\0"] {
        fs::write(&path, bytes).unwrap();
        let error = SeriesFile::open(&one(&path, FieldType::Gauge), START).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot read {}", path.display())), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    let missing = fetch(&folder.path().join("b.rrd"), Consolidation::Average, &Window::new(0, 1)).unwrap_err();
    assert!(matches!(missing, SeriesError::Missing { .. }));
}

#[test]
fn rows_and_the_newest_sample_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let mut file = SeriesFile::open(&one(&path, FieldType::Gauge), START).unwrap();
    let values: Vec<f64> = (0..60).map(f64::from).collect();
    file.update_many(&samples(&values)).unwrap();
    let table = fetch(&path, Consolidation::Average, &Window::new(START - 5, START + 10)).unwrap();
    assert_eq!(table.to_csv(), format!("time,n\n{START},0\n{},1\n{},2\n", START + 5, START + 10));
    let everything = fetch(&path, Consolidation::Average, &Window::new(0, i64::MAX)).unwrap();
    assert_eq!(everything.trimmed().rows.len(), 60);
    let coarse = Window { resolution: Some(50), ..Window::new(START, START + 295) };
    assert_eq!(fetch(&path, Consolidation::Max, &coarse).unwrap().step, 50);
    assert_eq!(
        last(&path).unwrap().to_json().to_string(),
        format!(r#"{{"step":5,"fields":["n"],"rows":[[{},59.0]]}}"#, START + 295)
    );
    assert!(fetch(&path, Consolidation::Average, &Window::new(START + 900, START + 1000)).unwrap().rows.is_empty());
    let error = fetch(&path, Consolidation::Min, &Window::new(0, 9)).unwrap_err().to_string();
    assert!(error.ends_with("no archive keeps MIN; choose another or add one"), "{error}");
}
