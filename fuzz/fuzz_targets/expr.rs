//! Expressions, templates and shell lines from arbitrary text: no panic, no column outside of the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use procblock::Map;
use procblock::expr::{Expr, ShellLine, Template};

fuzz_target!(|text: &str| {
    let data = serde_json::json!({"a": [1, {"x": "2"}], "b": {"c": null, "d.e": "y"}, "n": 5});
    let empty = Map::new();
    let data = data.as_object().unwrap_or(&empty);
    let characters = text.chars().count();
    if let Err(error) = Expr::parse(text).and_then(|expression| expression.eval(data)) {
        assert!(error.column <= characters);
    }
    if let Err(error) = Template::parse(text).and_then(|template| template.render(data)) {
        assert!(error.column <= characters);
    }
    match ShellLine::parse(text) {
        Ok(line) => drop(line.render(data)),
        Err(error) => assert!(error.column <= characters),
    }
});
