//! Mistakes that anyone makes (`tests/cases/mistakes`): what is told in full is compared by the acceptance tests; here
//! each answer is held to name its place and to fit the kind of mistake.

use crate::support::{files, repository};

#[test]
fn each_mistake_is_answered_with_its_place_and_exit_code() {
    let answers = files(&repository().join("tests/cases/mistakes"), &["expected"]);
    assert!(answers.len() >= 10, "{answers:?}");
    for path in answers {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        // What is wrong on the command line has no place in a file.
        let place = match name.as_str() {
            "unknown_option" => "--dyas".to_string(),
            "missing_file" => "misssing_file.yaml:".to_string(),
            _ => format!("{name}.yaml:"),
        };
        assert!(text.lines().any(|line| line.contains(&place)), "{name}: {text}");
        assert!(
            ["exit code 1", "exit code 2", "exit code 78"].iter().any(|code| text.contains(code)),
            "{name}: {text}"
        );
    }
}
