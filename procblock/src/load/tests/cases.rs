//! `tests/cases/load/NAME.yaml` with `NAME.expected`: the whole text of the error, or the tree as JSON and the
//! warnings. `UPDATE_EXPECTED=1` rewrites what is expected; the difference is reviewed like code.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::load::load_file;

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/load").canonicalize().unwrap_or_default()
}

/// What `procblock` would tell of the file, with the folder of the cases left out of all paths.
fn outcome(path: &Path) -> Result<String, Box<dyn Error>> {
    let text = match load_file(path) {
        Err(error) => format!("{error}\n"),
        Ok(document) => {
            let tree = serde_json::to_string_pretty(&document.root.to_value())?;
            document.warnings.iter().fold(format!("{tree}\n"), |text, warning| format!("{text}{warning}\n"))
        }
    };
    Ok(text.replace(&format!("{}/", folder().display()), ""))
}

#[test]
fn every_case_gives_what_is_expected() -> Result<(), Box<dyn Error>> {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut failed = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        count += 1;
        let expected = path.with_extension("expected");
        let found = outcome(&path)?;
        if update {
            fs::write(&expected, &found)?;
        } else if fs::read_to_string(&expected).unwrap_or_default() != found {
            failed.push(format!("{}:\n{found}", path.display()));
        }
    }
    assert!(count > 50, "only {count} cases found in {}", folder().display());
    assert!(failed.is_empty(), "{} cases differ from what is expected:\n{}", failed.len(), failed.join("\n"));
    Ok(())
}

#[test]
fn every_expected_text_belongs_to_a_case() -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "expected") {
            assert!(path.with_extension("yaml").exists(), "{} has no case", path.display());
        }
    }
    Ok(())
}
