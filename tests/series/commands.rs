//! `procblock series …` and `procblock graph`, run as a user runs them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use unidist::timeseries::{Archive, Consolidation, FieldSpec, SeriesSpec};

use super::{LONG, START, client, spec, wait};

const PROCBLOCK: &str = env!("CARGO_BIN_EXE_procblock");

/// A folder with `cpu.rrd`: 100 samples of `user` and `system`, the last one at `START + 495`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cpu.rrd");
    let archives = vec![Archive::new(Consolidation::Average, 1, 200), Archive::new(Consolidation::Max, 12, 50)];
    let client = client();
    let series = client.declare(SeriesSpec { archives, ..spec(&path, &["user", "system"]) }).unwrap();
    for index in 0..100 {
        let system = if index == 98 { f64::NAN } else { 0.5 };
        client.store(&series, (START + index * 5) as f64, &[index as f64, system]);
    }
    assert!(wait(client.shutdown(LONG)));
    folder
}

fn run(folder: &Path, words: &[&str]) -> Output {
    Command::new(PROCBLOCK).args(words).current_dir(folder).env("TZ", "UTC").output().unwrap()
}

/// What it prints, when all is well.
fn printed(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && error.is_empty(), "{words:?}: {error}");
    out.into_owned()
}

/// The exit code and the one line of the error.
fn refused(folder: &Path, words: &[&str]) -> (i32, String) {
    let output = run(folder, words);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout.is_empty(), "{words:?}");
    assert!(error.ends_with('\n') && error.matches('\n').count() == 1, "{words:?}: one line: {error}");
    (output.status.code().unwrap(), error.trim_end().to_owned())
}

#[test]
fn rows_are_fetched_in_every_form_of_time_and_output() {
    let folder = folder();
    let (from, to) = (START + 485, START + 495);
    let ends = [
        [from.to_string(), to.to_string()],
        ["2023-11-14T22:23:05Z".into(), "2023-11-14T23:23:15+01:00".into()],
        ["2023-11-14 22:23:05".into(), "2023-11-14T22:23:15".into()],
    ];
    let json = r#"{"step":5,"fields":["user","system"],"rows":[[1700000590,98.0,null],[1700000595,99.0,0.5]]}"#;
    for [from, to] in &ends {
        let printed = printed(folder.path(), &["series", "fetch", "cpu.rrd", "--from", from, "--to", to]);
        assert_eq!(printed, format!("{json}\n"), "{from} {to}");
    }
    let [from, to] = &ends[0];
    let csv = printed(folder.path(), &["series", "fetch", "cpu.rrd", "--from", from, "--to", to, "-o", "csv"]);
    assert_eq!(csv, "time,user,system\n1700000590,98,\n1700000595,99,0.5\n");
    let text = printed(folder.path(), &["series", "fetch", "cpu.rrd", "--from", from, "--to", to, "-o", "text"]);
    let expected = "time                       user  system\n2023-11-14T22:23:10+00:00  98    -\n2023-11-14T22:23:15+00:00  99    0.5\n";
    assert_eq!(text, expected);
    let coarse = ["series", "fetch", "cpu.rrd", "--from", "1700000100", "--to", to, "--consolidation", "max"];
    let rows = printed(folder.path(), &[&coarse[..], &["--resolution", "1m", "-o", "csv"]].concat());
    assert!(rows.contains("\n1700000160,12,0.5\n"), "{rows}");
    let old = printed(folder.path(), &["series", "fetch", "cpu.rrd", "--from", "-1h", "-o", "csv"]);
    assert_eq!(old, "time,user,system\n", "the last hour holds nothing");
}

#[test]
fn the_newest_sample_the_structure_and_a_list_are_shown() {
    let folder = folder();
    fs::create_dir(folder.path().join("below")).unwrap();
    fs::copy(folder.path().join("cpu.rrd"), folder.path().join("below/x.rrd")).unwrap();
    let last = printed(folder.path(), &["series", "last", "cpu.rrd"]);
    assert_eq!(last, "time                       user  system\n2023-11-14T22:23:15+00:00  99    0.5\n");
    let last = printed(folder.path(), &["series", "last", "cpu.rrd", "-o", "csv"]);
    assert_eq!(last, "time,user,system\n1700000595,99,0.5\n");
    let info = printed(folder.path(), &["series", "info", "cpu.rrd"]);
    assert!(
        info.starts_with("file         cpu.rrd\ninterval     5s\nlast sample  2023-11-14T22:23:15+00:00\n"),
        "{info}"
    );
    assert!(info.ends_with("AVERAGE  5s     200   16m40s\nMAX      1m     50    50m\n"), "{info}");
    let info: serde_json::Value =
        serde_json::from_str(&printed(folder.path(), &["series", "info", "cpu.rrd", "-o", "json"])).unwrap();
    assert_eq!((&info["step"], &info["columns"][1]["name"]), (&5.into(), &"system".into()));
    let list = printed(folder.path(), &["series", "list"]);
    let line = "5s  2023-11-14T22:23:15+00:00  user system";
    assert_eq!(list, format!("below/x.rrd  {line}\ncpu.rrd      {line}\n"));
    let below = printed(folder.path(), &["series", "list", "below", "-o", "json"]);
    let below: serde_json::Value = serde_json::from_str(&below).unwrap();
    assert_eq!(below[0]["path"], "below/x.rrd");
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(printed(empty.path(), &["series", "list"]), "");
}

#[test]
fn a_list_names_what_is_no_series_and_goes_on() {
    let folder = folder();
    fs::write(folder.path().join("bad.rrd"), "no RRD").unwrap();
    let output = run(folder.path(), &["series", "list", ".", "none"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("cpu.rrd  5s"));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(error, "error: none does not exist\nerror: cannot read bad.rrd: it is no round-robin file\n");
}

#[test]
fn everything_that_a_file_keeps_is_exported() {
    let folder = folder();
    let csv = printed(folder.path(), &["series", "export", "cpu.rrd", "-o", "csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[..2], ["consolidation,seconds,time,user,system", "AVERAGE,5,1700000100,0,0.5"]);
    assert_eq!(lines.iter().filter(|line| line.starts_with("AVERAGE,5,")).count(), 100);
    assert_eq!(lines.iter().filter(|line| line.starts_with("MAX,60,")).count(), 8);
    assert_eq!(lines.last(), Some(&"MAX,60,1700000580,96,0.5"));
    let json: serde_json::Value =
        serde_json::from_str(&printed(folder.path(), &["series", "export", "cpu.rrd"])).unwrap();
    assert_eq!((&json["step"], &json["last_update"]), (&5.into(), &(START + 495).into()));
    let rows = json["archives"][0]["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[98]), (100, &serde_json::json!([START + 490, 98.0, null])));
    let text = Command::new("rrdtool").arg("lastupdate").arg(folder.path().join("cpu.rrd")).output().unwrap().stdout;
    assert!(String::from_utf8_lossy(&text).contains("1700000595: 99 0.5"), "reading changes nothing");
}

#[test]
fn a_picture_of_any_window_is_drawn_and_an_older_one_replaced() {
    let folder = folder();
    let draw = |words: &[&str]| {
        let ends = ["--from", "1700000100", "--to", "1700000600"];
        printed(folder.path(), &[&["graph", "cpu.rrd"], words, &ends].concat());
    };
    draw(&["a.png"]);
    let plain = fs::read(folder.path().join("a.png")).unwrap();
    assert!(plain.starts_with(b"\x89PNG"));
    let options = ["--title", "T: $(id) \"x\"", "--vertical-label", "%", "--fields", "system,user", "--method", "line"];
    draw(&[&["a.png"], &options[..], &["--lower-limit", "-5", "--upper-limit", "200", "--width", "300"]].concat());
    let other = fs::read(folder.path().join("a.png")).unwrap();
    assert!(other.starts_with(b"\x89PNG") && other != plain);
    draw(&["a.SVG", "--method", "AREA"]);
    assert!(fs::read(folder.path().join("a.SVG")).unwrap().starts_with(b"<?xml"));
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.SVG", "a.png", "cpu.rrd"]);
}

#[test]
fn each_mistake_is_one_line_with_its_exit_code() {
    let folder = folder();
    fs::write(folder.path().join("bad\nerror: x.rrd"), "no RRD").unwrap();
    fs::write(folder.path().join("cut.rrd"), &fs::read(folder.path().join("cpu.rrd")).unwrap()[..900]).unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["series", "last", "none.rrd"],
            1,
            "error: none.rrd does not exist; a series is created with its first sample",
        ),
        (&["series", "list", "none"], 1, "error: none does not exist"),
        (&["series", "info", "bad\nerror: x.rrd"], 78, "error: cannot read bad\\nerror: x.rrd: "),
        (&["series", "export", "cut.rrd"], 78, "error: cannot read cut.rrd: "),
        (&["series", "fetch", "."], 78, "error: cannot read .: it is a folder, not a round-robin file"),
        (&["series", "fetch", "/dev/null"], 78, "error: cannot read /dev/null: it is no file"),
        (&["series", "fetch", "cpu.rrd", "--from", "1h"], 2, "error: --from: \"1h\" is no time; did you mean -1h?"),
        (&["series", "fetch", "cpu.rrd", "--to", "-2h"], 2, "error: the window ends before it begins"),
        (&["series", "fetch", "cpu.rrd", "--consolidation", "LAST"], 2, "error: cpu.rrd: no archive keeps LAST"),
        (&["graph", "cpu.rrd", "a.gif"], 2, "error: a.gif is no picture's name; expected NAME.png or NAME.svg"),
        (&["graph", "cpu.rrd", "a.png", "--fields", "usr"], 2, "error: cpu.rrd: there is no field \"usr\""),
        (&["graph", "cpu.rrd", "a.png", "--width", "9999"], 2, "error: width is 9999 pixels, expected 50 to 4000"),
        (&["graph", "cpu.rrd", "none/a.png"], 1, "error: cannot write none/a.png: No such file"),
        (&["graph", "none.rrd", "a.png"], 1, "error: none.rrd does not exist"),
    ];
    for (words, code, text) in cases {
        let (got, error) = refused(folder.path(), words);
        assert!(got == *code && error.starts_with(text), "{words:?}: {got} {error}");
    }
    for words in [&["series", "fetch", "cpu.rrd", "-o", "xml"][..], &["series"], &["graph", "cpu.rrd"]] {
        assert_eq!(run(folder.path(), words).status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = folder();
    let archives = vec![Archive::new(Consolidation::Average, 1, 50_000)];
    let path = folder.path().join("long.rrd");
    let client = client();
    let fields = vec![FieldSpec::gauge("a"), FieldSpec::gauge("b")];
    let series = client.declare(SeriesSpec { archives, ..SeriesSpec::new(&path, Duration::from_secs(5), fields) });
    let series = series.unwrap();
    for index in 0..50_000 {
        client.store(&series, (START + index * 5) as f64, &[0.123_456_789, 1.0]);
    }
    assert!(wait(client.shutdown(LONG)));
    for words in [["series", "export", "long.rrd", "-ocsv"], ["series", "fetch", "long.rrd", "--from=0"]] {
        let mut child = Command::new(PROCBLOCK)
            .args(words)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = Vec::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_until(b',', &mut line).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    }
}

#[test]
fn a_missing_helper_is_told_with_its_remedy() {
    let folder = folder();
    let alone = folder.path().join("procblock");
    if fs::hard_link(PROCBLOCK, &alone).is_err() {
        fs::copy(PROCBLOCK, &alone).unwrap();
    }
    let output = Command::new(&alone).args(["series", "last", "cpu.rrd"]).current_dir(&folder).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let helper: PathBuf = folder.path().join("procblock-series");
    let expected = format!("error: cannot start {}: No such file or directory", helper.display());
    assert!(error.starts_with(&expected) && error.contains("; install it beside procblock"), "{error}");
    assert_eq!(error.matches('\n').count(), 1, "{error}");
}
