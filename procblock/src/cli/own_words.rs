//! procblock's own options among the words behind FILE.

use crate::usage::Usage;

/// What was found and taken out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OwnWords {
    /// How often `-v` stood there.
    pub(super) verbose: u8,
    /// Behind `-o`.
    pub(super) output: Option<String>,
    /// Behind `--set`.
    pub(super) set: Vec<String>,
    /// Behind `--unidist`.
    pub(super) unidist: Option<String>,
}

/// Takes `-v`, `-vv`, `-o FORMAT`, `--set NAME=VALUE` and `--unidist URL` out of the words behind FILE, those that the
/// file does not declare itself. In a file that declares nothing, the first bare word ends the options.
pub(super) fn take_own(usage: &Usage, words: Vec<String>) -> (OwnWords, Vec<String>) {
    let mut own = OwnWords::default();
    let mut left = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" || !word.starts_with('-') && !usage.is_declared {
            left.push(word);
            left.extend(words.by_ref());
            break;
        }
        match word.as_str() {
            "-v" | "-vv" | "-vvv" if !has_letter(usage, 'v') => {
                own.verbose = own.verbose.saturating_add(u8::try_from(word.len() - 1).unwrap_or(1));
            }
            "-o" if !has_letter(usage, 'o') => own.output = words.next(),
            "--set" if !has_name(usage, "set") => own.set.extend(words.next()),
            "--unidist" if !has_name(usage, "unidist") => own.unidist = words.next(),
            _ => {
                let takes_next = !usage.is_declared && !word.contains('=') && word != "--help" && word != "-h";
                left.push(word);
                if takes_next {
                    left.extend(words.next());
                }
            }
        }
    }
    (own, left)
}

fn has_letter(usage: &Usage, letter: char) -> bool {
    usage.options.iter().any(|option| option.letter == Some(letter))
}

fn has_name(usage: &Usage, name: &str) -> bool {
    usage.options.iter().any(|option| option.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{InputKind, Opt};

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_string).collect()
    }

    #[test]
    fn own_options_are_taken_where_the_file_declares_none() {
        let (own, left) = take_own(&Usage::default(), words("-v --x 1 -o yaml --set a=1 word -v"));
        assert_eq!((own.verbose, own.output.as_deref()), (1, Some("yaml")));
        assert_eq!(own.set, ["a=1"]);
        assert_eq!(left, ["--x", "1", "word", "-v"]);
    }

    #[test]
    fn an_option_of_the_file_is_left_to_it() {
        let option = Opt {
            name: "verbose".into(),
            letter: Some('v'),
            kind: InputKind::Flag,
            info: None,
            default: None,
            is_secret: false,
            variable: None,
        };
        let usage = Usage { is_declared: true, options: vec![option], ..Usage::default() };
        let (own, left) = take_own(&usage, words("-v file -o json"));
        assert_eq!((own.verbose, own.output.as_deref()), (0, Some("json")));
        assert_eq!(left, ["-v", "file"]);
    }
}
