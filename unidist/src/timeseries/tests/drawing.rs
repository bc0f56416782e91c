//! Pictures: their format, their text as SVG shows it, and what hostile text can do.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::super::{
    FieldSpec, FieldType, GraphFormat, GraphMethod, GraphSpec, Sample, SeriesFile, SeriesSpec, Window, draw,
    draw_to_file,
};
use super::{START, one, samples, small};

/// A series of `fields` with two minutes of samples.
fn series(path: &Path, fields: &[&str]) {
    let spec = small(path, fields.iter().map(|name| FieldSpec::gauge(*name)).collect());
    let mut file = SeriesFile::open(&spec, START).unwrap();
    let value = |index: i64, field: usize| ((index as f64 / 4.0 + field as f64).sin() + 1.5) * 20.0;
    let row = |index| Sample {
        time: START + index * 5,
        values: (0..fields.len()).map(|field| value(index, field)).collect(),
    };
    file.update_many(&(0..25).map(row).collect::<Vec<_>>()).unwrap();
}

fn window() -> Window {
    Window::new(START - 60, START + 125)
}

/// How many picture elements of SVG text; librrd draws letters as shapes, so texts are compared by their shapes.
fn shapes(svg: &[u8]) -> usize {
    String::from_utf8_lossy(svg).matches("<use ").count()
}

#[test]
fn every_method_and_format_draws_seven_fields() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    series(&path, &["user", "system", "idle", "wait", "irq", "soft", "steal"]);
    for (method, _) in GraphMethod::ALL {
        let spec = GraphSpec { method, vertical_label: "percent".into(), ..GraphSpec::new("", "CPU") };
        assert!(draw(&path, &spec, &window(), GraphFormat::Png).unwrap().starts_with(b"\x89PNG"), "{method:?}");
        let svg = draw(&path, &spec, &window(), GraphFormat::Svg).unwrap();
        assert!(svg.starts_with(b"<?xml") && shapes(&svg) > 100, "{method:?}");
    }
}

#[test]
fn a_dark_picture_has_the_same_shapes_on_another_ground() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    series(&path, &["user"]);
    let light = draw(&path, &GraphSpec::default(), &window(), GraphFormat::Svg).unwrap();
    let dark = GraphSpec { is_dark: true, ..GraphSpec::default() };
    let dark = draw(&path, &dark, &window(), GraphFormat::Svg).unwrap();
    assert_eq!(shapes(&light), shapes(&dark));
    assert_ne!(light, dark);
}

#[test]
fn title_label_and_legend_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    series(&path, &["random"]);
    let plain = draw(&path, &GraphSpec::default(), &window(), GraphFormat::Svg).unwrap();
    let spec = GraphSpec { vertical_label: "Random".into(), ..GraphSpec::new("", "Simplest") };
    let labelled = draw(&path, &spec, &window(), GraphFormat::Svg).unwrap();
    assert_eq!(shapes(&labelled), shapes(&plain) + "Random".len() + "Simplest".len());
}

#[test]
fn hostile_text_is_drawn_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = "a:b\\n'\"$(touch pwned);`id`%s%n<b>&amp;";
    let path = folder.path().join("x:y\\:z'\"$(id);\\n\\\\\n a.rrd:");
    series(&path, &[hostile, "--title", "ends\\r"]);
    let fields = vec![hostile.to_owned(), "--title".to_owned(), "ends\\r".to_owned()];
    let spec = GraphSpec { fields, vertical_label: hostile.into(), ..GraphSpec::new("", hostile) };
    let plain = GraphSpec { title: String::new(), vertical_label: String::new(), ..spec.clone() };
    let with = shapes(&draw(&path, &spec, &window(), GraphFormat::Svg).unwrap());
    let without = shapes(&draw(&path, &plain, &window(), GraphFormat::Svg).unwrap());
    assert_eq!(
        with - without,
        2 * hostile.chars().filter(|letter| *letter != ' ').count(),
        "every letter of title and label, and nothing else"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    for text in ["\n", "\0", "\u{1b}[31m", "--", "-", "äöü 漢字", &"x:\\".repeat(5000)] {
        let spec = GraphSpec { vertical_label: text.into(), ..GraphSpec::new("", text) };
        assert!(draw(&path, &spec, &window(), GraphFormat::Png).unwrap().starts_with(b"\x89PNG"), "{text:?}");
    }
}

#[test]
fn a_graph_file_appears_whole_in_a_new_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    series(&path, &["a"]);
    let picture = folder.path().join("new folder/a.svg");
    let spec = GraphSpec::new(&picture, "A");
    draw_to_file(&path, &spec, START + 125).unwrap();
    assert!(fs::read(&picture).unwrap().starts_with(b"<?xml"));
    assert_eq!(fs::read_dir(picture.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_graph_of_an_unknown_field_or_a_missing_series_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let spec = GraphSpec { fields: vec!["radnom".into()], ..GraphSpec::new("a.png", "A") };
    let missing = draw(&path, &spec, &window(), GraphFormat::Png).unwrap_err().to_string();
    assert!(missing.ends_with("a.rrd does not exist; a series is created with its first sample"), "{missing}");
    series(&path, &["random"]);
    let error = draw(&path, &spec, &window(), GraphFormat::Png).unwrap_err().to_string();
    assert!(error.contains("no field \"radnom\"") && error.ends_with("holds random"), "{error}");
}

#[test]
fn a_series_without_any_known_number_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let mut file = SeriesFile::open(&one(&path, FieldType::Gauge), START).unwrap();
    file.update_many(&samples(&[f64::NAN])).unwrap();
    assert!(draw(&path, &GraphSpec::default(), &window(), GraphFormat::Png).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn a_young_series_is_drawn_in_any_window() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let spec = SeriesSpec::new(&path, Duration::from_secs(1), vec![FieldSpec::gauge("n")]);
    let mut file = SeriesFile::open(&spec, START).unwrap();
    file.update_many(&(0..40).map(|index| Sample { time: START + index, values: vec![7.0] }).collect::<Vec<_>>())
        .unwrap();
    let spec = GraphSpec { width: 480, ..GraphSpec::default() };
    for length in [5, 60, 3600, 86_400, 604_800, 2_592_000, 31_536_000] {
        for end in [-31_000_000, -100, 0, 3, 20, 39, 40, 41, 117, 1000, 31_000_000] {
            let window = Window::new(START + end - length, START + end);
            let drawn = draw(&path, &spec, &window, GraphFormat::Png);
            assert!(drawn.is_ok(), "{length} s up to {end}: {drawn:?}");
        }
    }
}
