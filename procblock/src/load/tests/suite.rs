//! The inputs of the public YAML test suite (`tests/data/yaml-test-suite`).

use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::load::{Source, load_data_text, load_text};
use crate::value::Value;

#[derive(Deserialize)]
struct Case {
    id: String,
    yaml: String,
    #[serde(default)]
    fail: bool,
    json: Option<String>,
}

/// What we refuse though it is YAML, by our own word.
const REFUSED_BY_US: &[&str] = &[
    "a second document begins here",
    "unknown tag",
    "can't be a key",
    "a value without a key",
    "is already at line",
    "an alias inside of what it stands for",
];

fn cases() -> Result<Vec<Case>, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/yaml-test-suite/cases.json");
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

/// The one value that a case means; nothing when it means none, or several documents.
fn meaning(case: &Case) -> Option<Value> {
    case.json.as_deref().and_then(|json| serde_json::from_str(json).ok())
}

#[test]
fn what_is_no_yaml_is_refused_and_what_is_means_the_same() -> Result<(), Box<dyn Error>> {
    let mut wrong = Vec::new();
    let mut same = 0;
    for case in cases()? {
        let source = || Source::new("t.yaml", "/nonexistent", case.yaml.as_str());
        // As a block file too: its root may be refused, but nothing may panic.
        let _ = load_text(source()).map_err(|error| error.to_string());
        match (load_data_text(source()), meaning(&case)) {
            (Ok(document), _) if case.fail => {
                wrong.push(format!("{} is accepted: {}", case.id, document.root.to_value()))
            }
            (Ok(document), Some(value)) if document.root.to_value() != value => {
                wrong.push(format!("{} is {}, not {value}", case.id, document.root.to_value()));
            }
            (Ok(_), _) => same += 1,
            (Err(error), _) if !case.fail && !REFUSED_BY_US.iter().any(|reason| error.to_string().contains(reason)) => {
                wrong.push(format!("{} is refused: {error}", case.id));
            }
            (Err(_), _) => {}
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same > 200, "only {same} cases were accepted");
    Ok(())
}
