//! Input made to break a loader: nothing panics, hangs or grows.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::load::{Document, LoadError, Source, load_data_text, load_text};

/// Generous for a debug build on a busy machine; what these tests exclude takes minutes or for ever.
const TIME_MAX: Duration = Duration::from_secs(20);

fn load(text: &str) -> Result<Document, LoadError> {
    let began = Instant::now();
    let loaded = load_text(Source::new("t.yaml", "/nonexistent", text));
    assert!(began.elapsed() < TIME_MAX, "{:?} for {:?}…", began.elapsed(), text.chars().take(40).collect::<String>());
    loaded
}

fn refusal(text: &str) -> String {
    let refused = load(text).expect_err("an error").to_string();
    assert!(refused.len() < 50_000, "a message of {} bytes", refused.len());
    refused
}

#[test]
fn deep_nesting_is_refused_in_every_notation() {
    let files = [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "? ".repeat(100_000),
        "a: ".to_owned() + &"[".repeat(100_000),
        (0..1_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect(),
        (0..1_000).map(|n| format!("{}-\n", " ".repeat(n))).collect(),
        "[{".repeat(50_000),
        "&a [".repeat(100_000),
        "!!seq [".repeat(100_000),
    ];
    for text in files {
        let refused = refusal(&text);
        assert!(refused.contains("nested deeper than 64 levels"), "{refused}");
    }
}

#[test]
fn sixty_four_levels_are_accepted() {
    let text = |levels: usize| format!("a: {}{}\n", "[".repeat(levels), "]".repeat(levels));
    assert!(load(&text(63)).is_ok());
    assert!(refusal(&text(64)).contains("nested deeper than 64 levels"));
}

#[test]
fn alias_bombs_are_refused() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let alias = format!("*a{}", n - 1);
        laughs += &format!("a{n}: &a{n} [{}]\n", [alias.as_str(); 10].join(", "));
    }
    assert!(refusal(&laughs).contains("grows beyond 1000000 values or 64 MiB"));

    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1_000_000), ["*a"; 1_000].join(", "));
    assert!(refusal(&long).contains("grows beyond"));

    let merges: String = (1..40).map(|n| format!("m{n}: &m{n}\n  <<: *m{0}\n  x{n}: *m{0}\n", n - 1)).collect();
    assert!(refusal(&format!("m0: &m0 {{a: 1}}\n{merges}")).contains("grows beyond"));

    let anchors: String = (0..60).map(|n| format!("{{k{n}: &a{n} ")).collect();
    let body = format!("a: {anchors}[{}]{}\n", "x, ".repeat(50_000), "}".repeat(60));
    assert!(refusal(&body).contains("grows beyond"));
}

#[test]
fn a_node_that_contains_itself_is_refused() {
    assert!(refusal("a: &a [*a]\n").contains("an alias inside of what it stands for"));
    assert!(refusal("a: &a\n  b: {c: *a}\n").contains("an alias inside of what it stands for"));
}

#[test]
fn long_lines_and_many_mistakes_stay_small_and_fast() {
    let files = [
        format!("a: [{}", "&a 1, ".repeat(200_000)),
        format!("a: [{}]", "!x 1, ".repeat(100_000)),
        format!("a: [{}]", "{{x}: 1}, ".repeat(100_000)),
        format!("a: \"{}\\q\"", "\\\\".repeat(1_000_000)),
        format!("a: {}: b", "x".repeat(2_000_000)),
        format!("{}: 1\n", "x".repeat(2_000_000)),
        "a: 1\n".repeat(200_000),
        "a\n".repeat(200_000),
        "a: b: c\n".repeat(100_000),
        format!("a: [{}\n", "x: y, ".repeat(200_000)),
        format!("- {}", "'".repeat(1_000_001)),
        format!("a: {}\n", "\t".repeat(1_000_000)),
        format!("a: |\n{}", " \n".repeat(500_000)),
        format!("a: >\n{}", " x\n\n".repeat(300_000)),
        format!("a: \"{}", "\n".repeat(1_000_000)),
        format!("a: {}", "x\n\n ".repeat(300_000)),
        "#".repeat(2_000_000),
        "%TAG ! x\n".repeat(100_000),
        "---\n".repeat(100_000),
        "*a : 1\n".repeat(100_000),
        "&a : 1\n".repeat(100_000),
        "? a\n".repeat(100_000),
        "a: &a x\n".to_owned() + &"b: *a\n".repeat(100_000),
        "<<: {a: 1}\n".repeat(100_000),
        "__import__a: b.yaml\n".repeat(5_000),
        "__load: b.yaml\n".repeat(5_000),
        format!("__load: [{}]", "b.yaml, ".repeat(5_000)),
        format!("__load: {}\n", "x/".repeat(100_000)),
        "a: 007\n".repeat(100_000),
        "\r".repeat(1_000_000),
        "\u{feff}".repeat(100_000),
        "\u{85}\u{2028}".repeat(100_000),
        "-\t".repeat(100_000),
        "[]: x\n".repeat(50_000),
    ];
    for text in files {
        if let Err(error) = load(&text) {
            let told = error.to_string();
            assert!(
                told.len() < 60_000,
                "{} bytes are told of {:?}…",
                told.len(),
                text.chars().take(30).collect::<String>()
            );
        }
    }
}

#[test]
fn what_a_terminal_would_obey_is_not_printed() {
    let refused = refusal("a: 1\na\u{1b}[31m: \"\u{7}\u{202e}\" \u{1b} x\n\"\\e[2J\": 1\n\"\\e[2J\": 2\n");
    assert!(!refused.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{refused:?}");
}

#[test]
fn the_inputs_kept_from_fuzzing_break_nothing() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut count = 0;
    for folder in ["fuzz/seeds/load", "tests/cases/load"] {
        for entry in fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            if !path.is_file() {
                continue;
            }
            let bytes = fs::read(&path)?;
            let text = String::from_utf8_lossy(&bytes);
            let _ = load(&text).map_err(|error| error.to_string());
            if let Ok(document) = load_data_text(Source::new("t.yaml", "/nonexistent", text.as_ref())) {
                check_marks(&document.root, &text);
            }
            count += 1;
        }
    }
    assert!(count > 100, "only {count} inputs");
    Ok(())
}

/// Pieces that mean something to a YAML parser, and some that don't.
fn piece() -> impl Strategy<Value = String> {
    let signs = prop::sample::select(vec![
        "\n",
        "\n  ",
        "\n    ",
        "\n- ",
        " ",
        ": ",
        ":",
        "- ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        ",",
        "#",
        " #",
        "&a ",
        "*a",
        "!!int ",
        "!x ",
        "!",
        "|",
        ">",
        "|2-",
        "'",
        "\"",
        "\\",
        "%",
        "@",
        "`",
        "---",
        "...",
        "<<: ",
        "<<",
        "~",
        "1",
        "0x1",
        "1e9",
        ".inf",
        "true",
        "a",
        "b",
        "é",
        "\t",
        "\r\n",
        "\r",
        "\u{feff}",
        "\0",
        "\u{85}",
        "${",
        "}",
        "__load: x",
        "__import__a: x",
        "-1",
        "|\n",
        ">+\n",
        "\"\\",
        "=",
    ]);
    signs.prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_text_makes_the_loader_panic(text in any::<String>()) {
        let _ = load(&text);
    }

    #[test]
    fn no_mixture_of_signs_makes_the_loader_panic(pieces in prop::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        let _ = load(&text).map_err(|error| error.to_string());
        if let Ok(document) = load_data_text(Source::new("t.yaml", "/", text.as_str())) {
            check_marks(&document.root, &text);
        }
    }

    #[test]
    fn no_bytes_make_the_loader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = load(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn json_means_in_yaml_what_it_means_in_json(value in json_value()) {
        let text = value.to_string();
        let loaded = load_data_text(Source::new("t.yaml", "/", text.as_str())).map(|document| document.root.to_value());
        prop_assert_eq!(loaded.map_err(|error| error.to_string()), Ok(value));
    }
}

/// Every mark lies inside of the file, and asking for places inside of texts never fails.
fn check_marks(node: &crate::load::Node, text: &str) {
    use crate::load::Kind;
    let lines = u32::try_from(text.len()).unwrap() + 2;
    assert!(node.mark.line >= 1 && node.mark.line <= lines && node.mark.column >= 1);
    let _ = node.comment_after();
    match &node.kind {
        Kind::Scalar(..) => {
            let length = node.as_text().map_or(0, |text| text.chars().count());
            for offset in 0..=length + 1 {
                let place = node.mark_within(offset);
                assert!(place.line <= lines, "{place}");
            }
        }
        Kind::List(items) => items.iter().for_each(|item| check_marks(item, text)),
        Kind::Mapping(entries) => entries.iter().for_each(|entry| check_marks(&entry.value, text)),
    }
}

fn json_value() -> impl Strategy<Value = crate::value::Value> {
    use crate::value::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        (-1.0e9..1.0e9_f64).prop_map(Value::from),
        "[ -~éü€]{0,20}".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec(("[a-zé \"\\\\:#]{1,8}", inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}
