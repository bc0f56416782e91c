//! Which of its parameters a script's `ProcessBlock` looks at, known from its text.
//!
//! A parameter is a local variable, which nothing but its name reaches. One whose name stands nowhere else in the file
//! need not be filled: most pages take `request_state`, to come to the arguments behind it, and never look at it.

use super::load::ARGUMENTS;

/// How the definition begins.
const DEFINITION: &str = "function ProcessBlock(";

/// What the text of a file tells of its `ProcessBlock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameters {
    /// The line that the definition begins on.
    pub(super) line: usize,
    /// Whether the name of each stands elsewhere too.
    pub(super) used: [bool; ARGUMENTS.len()],
}

impl Parameters {
    /// Nothing unless the file names `ProcessBlock` once, in a plain definition.
    pub(super) fn read(content: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content).ok()?;
        if words(text).filter(|word| *word == "ProcessBlock").count() != 1 {
            return None;
        }
        let (before, rest) = text.split_once(DEFINITION)?;
        let (list, after) = rest.split_once(')').filter(|(list, _)| !list.contains("..."))?;
        let mut used = [false; ARGUMENTS.len()];
        for (name, used) in list.split(',').map(str::trim).zip(&mut used) {
            let is_name = !name.is_empty() && name.chars().all(is_word);
            *used = !is_name || words(before).chain(words(after)).any(|word| word == name);
        }
        Some(Parameters { line: before.matches('\n').count() + 1, used })
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character| !is_word(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(text: &str) -> Option<(usize, Vec<usize>)> {
        let found = Parameters::read(text.as_bytes())?;
        Some((found.line, (0..found.used.len()).filter(|index| found.used[*index]).collect()))
    }

    #[test]
    fn a_parameter_that_is_named_nowhere_else_is_not_used() {
        let page = "-- a page\nfunction ProcessBlock(pipe_data, block, request_state, input_data)\n  return {n = input_data.n}\nend\n";
        assert_eq!(used(page), Some((2, vec![3])));
        assert_eq!(used("function ProcessBlock(a, b) return a or _b end"), Some((1, vec![0])));
        assert_eq!(used("function ProcessBlock() return {} end"), Some((1, vec![0])), "the empty name is no name");
    }

    #[test]
    fn what_is_not_plain_is_not_told() {
        for text in [
            "ProcessBlock = function(a) end",
            "function ProcessBlock(a) end\nProcessBlock = wrap(ProcessBlock)",
            "function Other(a) end",
            "function ProcessBlock(a, ...) return a end",
            "local function f() end -- ProcessBlock\nfunction ProcessBlock(a) end",
        ] {
            assert_eq!(used(text), None, "{text}");
        }
    }
}
