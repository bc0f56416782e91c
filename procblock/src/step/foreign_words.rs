//! Words of other tools for what a step says here: a misspelled word is found by its letters, these are not.

/// Their word, and ours.
const FOREIGN: &[(&str, &str)] = &[
    ("attempts", "retry"),
    ("bash", "shell"),
    ("chdir", "cwd"),
    ("cmd", "shell"),
    ("command", "shell"),
    ("depends on", "if"),
    ("echo", "log"),
    ("environment", "env"),
    ("file", "script"),
    ("for", "loop"),
    ("foreach", "loop"),
    ("ignore errors", "on error"),
    ("on failure", "on error"),
    ("period", "every"),
    ("print", "log"),
    ("program", "exec"),
    ("py", "python"),
    ("repeat", "every"),
    ("retries", "retry"),
    ("sh", "shell"),
    ("vars", "set"),
    ("wait", "sleep"),
    ("when", "if"),
    ("while", "until"),
    ("with items", "loop"),
    ("workdir", "cwd"),
    ("working directory", "cwd"),
];

/// Our word for one of another tool.
pub(super) fn word_of_ours(word: &str) -> Option<&'static str> {
    let word = word.replace('-', " ").to_lowercase();
    FOREIGN.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{ALL, ATTRIBUTES};

    #[test]
    fn each_word_leads_to_a_step_or_an_attribute_and_is_none_itself() {
        let is_ours = |word: &str| {
            ALL.iter().any(|step| step.spec().name == word) || ATTRIBUTES.iter().any(|field| field.name == word)
        };
        assert!(FOREIGN.iter().all(|(theirs, ours)| !is_ours(theirs) && is_ours(ours)));
        assert_eq!(word_of_ours("Ignore-Errors"), Some("on error"));
    }
}
