//! The tables of `tests/cases/expr`, arbitrary input, and the speed of the simplest condition.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use crate::expr::{Expr, ExprError, Scope, ShellLine, Template, ValueTemplate};
use crate::load::{Entry, Kind, Mark, Node, Problems, Source, Style};
use crate::value::{Map, Value};

/// Checks every line of a table; `evaluate` gives what `=>` is compared with.
fn check_table(name: &str, evaluate: impl Fn(&str, &Map) -> Result<Option<Value>, ExprError>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/expr").join(name);
    let mut data = Map::new();
    let mut cases = 0;
    let mut failures = Vec::new();
    for (index, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        if let Some(json) = line.strip_prefix("data: ") {
            data = serde_json::from_str(json).unwrap();
            continue;
        }
        cases += 1;
        let failure = if let Some((text, expected)) = line.split_once(" => ") {
            let expected: Option<Value> = (expected != "missing").then(|| serde_json::from_str(expected).unwrap());
            let found = evaluate(text, &data);
            (found != Ok(expected)).then(|| format!("found {found:?}"))
        } else {
            let (text, expected) = line.split_once(" !! ").unwrap();
            let (column, words) = expected.split_once(' ').unwrap();
            let found = evaluate(text, &data);
            let matches = found
                .as_ref()
                .is_err_and(|error| error.column.to_string() == column && error.to_string().contains(words));
            (!matches).then(|| format!("found {found:?}"))
        };
        failures.extend(failure.map(|failure| format!("{name}:{}: {line}\n    {failure}", index + 1)));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(cases > 20, "{name} holds only {cases} cases");
}

fn evaluate(text: &str, data: &Map) -> Result<Option<Value>, ExprError> {
    let expression = Expr::parse(text)?;
    let value = expression.evaluate(data)?.map(std::borrow::Cow::into_owned);
    assert_eq!(expression.eval(data)?, value.clone().unwrap_or_default(), "{text}");
    Ok(value)
}

#[test]
fn conditions() {
    check_table("conditions.txt", evaluate);
}

#[test]
fn paths() {
    check_table("paths.txt", evaluate);
}

#[test]
fn arithmetic_and_functions() {
    check_table("arithmetic.txt", evaluate);
}

#[test]
fn templates() {
    check_table("templates.txt", |text, data| {
        let template = Template::parse(text)?;
        assert_eq!(template.is_literal(), template.literal().is_some());
        template.render(data).map(Some)
    });
}

#[test]
fn a_value_from_the_scope_is_borrowed() {
    let data = serde_json::json!({"a": {"b": ["long", "list"]}});
    let data = data.as_object().unwrap();
    for text in ["a.b", "a[\"b\"]", "a.(\"b\")", "(a).b", "a or 1", "default(a.b, 1)", "a.b.0"] {
        let expression = Expr::parse(text).unwrap();
        assert!(matches!(expression.evaluate(data), Ok(Some(std::borrow::Cow::Borrowed(_)))), "{text}");
    }
}

#[test]
fn the_clock_is_the_scopes() {
    struct Fixed;
    impl Scope for Fixed {
        fn get(&self, _: &str) -> Option<&Value> {
            None
        }
        fn now(&self) -> f64 {
            12.5
        }
    }
    assert_eq!(Expr::parse("now() + 1").unwrap().eval(&Fixed), Ok(Value::from(13.5)));
}

#[test]
fn length_depth_and_operators_are_bounded() {
    let message = |text: &str| Expr::parse(text).map(|_| ()).unwrap_err().message;
    for (open, close) in [("(", ")"), ("[", "]"), ("-", ""), ("not ", ""), ("a[", "]"), ("a.(", ")"), ("len(", ")")] {
        let nested = |levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
        assert!(Expr::parse(&nested(49)).is_ok(), "{open}");
        assert_eq!(message(&nested(50)), "nested deeper than 50 levels", "{open}");
    }
    let chain = |operators: usize| format!("1{}", " + 1".repeat(operators));
    assert_eq!(Expr::parse(&chain(200)).unwrap().eval(&Map::new()), Ok(Value::from(201)));
    assert_eq!(message(&chain(201)), "more than 200 operators and keys");
    assert_eq!(message(&format!("a{}", ".a".repeat(201))), "more than 200 operators and keys");
    let long = "\"".to_owned() + &"x".repeat(16 * 1024 - 2) + "\"";
    assert!(Expr::parse(&long).is_ok());
    assert_eq!(message(&format!("{long} ")), "the expression has 16385 bytes, at most 16384 are read");
    assert!(Template::parse(&format!("{}x{}", "${a:-".repeat(11), "}".repeat(11))).is_ok());
    assert!(Template::parse(&format!("{}x{}", "${a:-".repeat(12), "}".repeat(12))).is_err());
}

fn text_node(source: &Arc<Source>, line: u32, column: u32, text: &str) -> Node {
    let mark = Mark { source: source.clone(), line, column };
    Node { mark, kind: Kind::Scalar(Value::String(text.into()), Style::Quoted) }
}

fn mapping(source: &Arc<Source>, entries: Vec<(&str, Node)>) -> Node {
    let mark = Mark::start(source.clone());
    let entries = entries.into_iter().map(|(key, value)| Entry { key: key.into(), mark: mark.clone(), value });
    Node { kind: Kind::Mapping(entries.collect()), mark }
}

#[test]
fn a_whole_value_is_filled_and_its_keys_are_not() {
    let source = Source::new("a.yaml", "/", "a: \"${n}\"\n");
    let node = mapping(
        &source,
        vec![
            ("${n}", text_node(&source, 1, 1, "${n}")),
            ("fixed", mapping(&source, vec![("deep", text_node(&source, 2, 1, "$${n}"))])),
        ],
    );
    let mut problems = Problems::new();
    let template = ValueTemplate::compile(&node, &mut problems);
    assert_eq!(problems.finish(), Ok(Vec::new()));
    assert!(!template.is_literal());
    let mut data = Map::new();
    data.insert("n".into(), Value::from(5));
    assert_eq!(template.render(&data), Ok(serde_json::json!({"${n}": 5, "fixed": {"deep": "${n}"}})));
    let literal = ValueTemplate::compile(&text_node(&source, 1, 1, "$${n}"), &mut Problems::new());
    assert!(literal.is_literal());
    assert!(matches!(literal.render_borrowed(&data), Ok(std::borrow::Cow::Borrowed(_))));
}

#[test]
fn every_mistake_of_a_value_is_told_with_its_place() {
    let source = Source::new("a.yaml", "/", "a: \"x ${n n}\"\nb: \"${\"\nc: \"x ${gone}\"\n");
    let node =
        mapping(&source, vec![("a", text_node(&source, 1, 4, "x ${n n}")), ("b", text_node(&source, 2, 4, "${"))]);
    let mut problems = Problems::new();
    ValueTemplate::compile(&node, &mut problems);
    let places: Vec<String> = problems.into_sorted().iter().map(|problem| problem.mark.to_string()).collect();
    assert_eq!(places, ["a.yaml:1:11", "a.yaml:2:5"]);
    let template = ValueTemplate::compile(&text_node(&source, 3, 4, "x ${gone}"), &mut Problems::new());
    let error = template.render(&Map::new()).unwrap_err();
    assert_eq!(error.place.as_deref(), Some("a.yaml:3:9"));
    assert_eq!(
        error.message,
        "\"gone\" is not defined; let a step return it, set it under data:, or write ${name:-text} for a default"
    );
}

/// Pieces that the language is made of, so that arbitrary texts get somewhere.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b.c",
        "-1",
        "0.5",
        "(",
        ")",
        "[",
        "]",
        "\"x\"",
        "'",
        "\"",
        "\\",
        " and ",
        " or ",
        " not ",
        " in ",
        " has ",
        " is empty",
        "==",
        "<",
        "+",
        "-",
        "*",
        "/",
        "%",
        ",",
        ".",
        "len(",
        "matches(",
        "${",
        "$${",
        "}",
        ":-",
        "$(",
        "`",
        "<<EOF\n",
        "EOF",
        "\n",
        " ",
        "#",
        "case ",
        " esac",
        ";;",
        "%(x)s",
        "ü",
        "$",
        "{",
    ]);
    prop::collection::vec(prop_oneof![9 => piece.prop_map(str::to_owned), 1 => ".*"], 0..40)
        .prop_map(|all| all.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in pieces()) {
        let data = serde_json::json!({"a": [1, {"x": "2"}], "b": {"c": null, "0.5": "y"}});
        let data = data.as_object().unwrap();
        let characters = text.chars().count();
        if let Err(error) = Expr::parse(&text).and_then(|expression| expression.eval(data)) {
            prop_assert!(error.column <= characters, "{error:?}");
        }
        if let Err(error) = Template::parse(&text).and_then(|template| template.render(data)) {
            prop_assert!(error.column <= characters, "{error:?}");
        }
        match ShellLine::parse(&text) {
            Ok(line) => { let _ = line.render(data); }
            Err(error) => prop_assert!(error.column <= characters, "{error:?}"),
        }
    }

    #[test]
    fn a_comparison_and_its_negation_differ(left in any::<Option<i64>>(), right in any::<Option<String>>()) {
        let data = serde_json::json!({"left": left, "right": right});
        let data = data.as_object().unwrap();
        for (one, other) in [("==", "!="), ("in", "not in"), ("has", "hasno")] {
            let is_true = |operator: &str| Expr::parse(&format!("left {operator} right")).unwrap().is_true(data).unwrap();
            prop_assert_ne!(is_true(one), is_true(other));
        }
    }

    #[test]
    fn a_literal_text_is_what_it_says(text in "[^\\\\\"]*") {
        let value = Expr::parse(&format!("\"{text}\"")).map(|expression| expression.eval(&Map::new()));
        prop_assert_eq!(value, Ok(Ok(Value::String(text))).map(|v: Result<Value, ExprError>| v));
    }
}
