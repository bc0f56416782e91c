//! Mistakes that anyone makes: what is told, in full. A case is `NAME.yaml`, run as it is or by the words of
//! `NAME.command`, with `NAME.expected`: both outputs and the exit code.

use std::path::Path;

use crate::support::{Folder, assert_file, files, procblock_in, repository};

fn told(folder: &Path, words: &[&str]) -> String {
    let own = Folder::new();
    let words: Vec<&str> = ["run", "-o", "none"].into_iter().chain(words.iter().copied()).collect();
    let ran = procblock_in(folder, own.path(), &words);
    let here = folder.canonicalize().unwrap();
    let text = format!("{}{}exit code {}\n", ran.output, ran.error, ran.code);
    text.replace(&here.display().to_string(), "FOLDER").replace(&folder.display().to_string(), "FOLDER")
}

#[test]
fn each_mistake_is_answered_with_its_place_and_remedy() {
    let folder = repository().join("tests/cases/mistakes");
    let mut stems: Vec<String> = files(&folder, &["yaml", "command"])
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    stems.dedup();
    assert!(stems.len() >= 10, "{stems:?}");
    for stem in stems {
        let words = std::fs::read_to_string(folder.join(format!("{stem}.command"))).unwrap_or(format!("{stem}.yaml"));
        let words: Vec<&str> = words.split_whitespace().collect();
        assert_file(&folder.join(format!("{stem}.expected")), &told(&folder, &words));
    }
}

#[test]
fn each_mistake_of_a_file_names_the_place() {
    let folder = repository().join("tests/cases/mistakes");
    for path in files(&folder, &["expected"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !["missing_file", "unknown_option"].contains(&name.as_str()) {
            let file = format!("{name}.yaml:");
            assert!(text.lines().any(|line| line.contains(&file)), "{name}: {text}");
        }
        assert!(!text.contains("exit code 0"), "{name}: {text}");
    }
}
