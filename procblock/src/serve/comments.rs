//! Declarations in the leading comment lines of a script: `--: title: Disks` in Lua, `#: title: Disks` elsewhere.
//!
//! The lines behind the marker are YAML. They are read at the places where they stand: everything else of the file is
//! blanked for the reader, so that lines and columns of messages are those of the script.

use std::sync::Arc;

use dropstar::Purpose;

use crate::load::{LoadError, Problem, Problems, Source, load_data_text};
use crate::serve::declaration::{DECLARATION_FIELDS, Declared};
use crate::spec::Fields;

/// How a language begins a comment, and a line of a declaration.
struct Comments {
    comment: &'static str,
    declaration: &'static str,
}

const LUA: Comments = Comments { comment: "--", declaration: "--:" };

const OTHERS: Comments = Comments { comment: "#", declaration: "#:" };

/// What the leading comment lines of a script declare; nothing declared is the default.
///
/// # Errors
/// Every mistake, with its place in the script.
pub(crate) fn read(source: &Arc<Source>, purpose: Purpose) -> Result<Declared, LoadError> {
    let is_lua = source.name.extension().is_some_and(|ending| ending == "lua");
    let comments = if is_lua { LUA } else { OTHERS };
    let Some(text) = comments.declared(source.body()) else { return Ok(Declared::default()) };
    let blanked = Source::new(source.name.clone(), source.folder.clone(), text);
    let document = load_data_text(blanked).map_err(|error| in_script(error.problems, source))?;
    let mut problems = Problems::new();
    let fields = Fields::read(&document.root, DECLARATION_FIELDS, "the declaration", &mut problems);
    let declared = Declared::read(&fields, purpose, &mut problems);
    match problems.finish() {
        Ok(_) => Ok(declared),
        Err(error) => Err(in_script(error.problems, source)),
    }
}

/// The same problems, with the lines of the script itself.
fn in_script(mut problems: Vec<Problem>, source: &Arc<Source>) -> LoadError {
    for problem in &mut problems {
        problem.mark.source = Arc::clone(source);
    }
    LoadError { problems }
}

impl Comments {
    /// The text with everything blanked but what stands behind the markers; none when there is no marker.
    fn declared(&self, text: &str) -> Option<String> {
        let mut blanked = String::new();
        let mut is_found = false;
        for line in text.lines() {
            let words = line.trim_start();
            if let Some(declared) = words.strip_prefix(self.declaration) {
                let width = line.len() - words.len() + self.declaration.len();
                blanked.push_str(&" ".repeat(width));
                blanked.push_str(declared);
                is_found = true;
            } else if !words.is_empty() && !words.starts_with("#!") && !self.is_comment(words) {
                break;
            }
            blanked.push('\n');
        }
        is_found.then_some(blanked)
    }

    fn is_comment(&self, words: &str) -> bool {
        let is_long = words.starts_with("--[[") || words.starts_with("--[=");
        words.starts_with(self.comment) && !is_long
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dropstar::{ArgumentKind, Need};

    fn read_text(name: &str, text: &str) -> Result<Declared, String> {
        read(&Source::new(name, "/", text), Purpose::Rpc).map_err(|error| error.to_string())
    }

    #[test]
    fn a_script_without_declarations_declares_nothing() {
        for text in ["", "return 1", "-- title: x\nreturn {}\n--: title: too late\n"] {
            assert_eq!(read_text("a.lua", text), Ok(Declared::default()), "{text}");
        }
    }

    #[test]
    fn the_leading_lines_are_one_yaml_mapping() {
        let text = "#!/bin/sh\n# What it does.\n#: read only: true\n#: needs: call\n\n#: args:\n#:   n: {type: integer, required: true}\n#:   word:\n#: timeout: 1m\n#: allow: [file]\necho\n#: title: too late\n";
        let declared = read_text("a.sh", text).unwrap();
        let arguments = &declared.declaration.arguments;
        assert_eq!(arguments.iter().map(|a| a.kind).collect::<Vec<_>>(), [ArgumentKind::Integer, ArgumentKind::Text]);
        assert_eq!(arguments.iter().map(|a| a.is_required).collect::<Vec<_>>(), [true, false]);
        assert!(declared.declaration.is_read_only && declared.allow.file && !declared.allow.process);
        assert_eq!(declared.declaration.need, Some(Need::Call));
        assert_eq!(declared.declaration.timeout.as_secs(), 60);
        assert_eq!(declared.declaration.title, None);
    }

    #[test]
    fn a_mistake_is_told_at_its_place_in_the_script() {
        let told = read_text("pages/a.lua", "-- a page\n  --: tittle: Disks\nreturn {}\n").unwrap_err();
        assert_eq!(
            told,
            "pages/a.lua:2:7: unknown key \"tittle\" in the declaration; did you mean \"title\"?\n  2 |   --: tittle: Disks\n    |       ^"
        );
        for (text, expected) in [
            ("--: needs: admins", "a.lua:1:12: needs is the text \"admins\"; did you mean \"admin\"?"),
            ("--: timeout: 0", "a.lua:1:14: the timeout 0s of a page or RPC is out of range"),
            ("--: args: {n: {type: int}}", "a.lua:1:22: type is the text \"int\""),
            ("--: args: {n: {type: integer, default: x}}", "a.lua:1:40: the default of the argument n is a text"),
            ("--: args: {n: {required: true, default: x}}", "the argument n is required and has a default"),
            ("--: title: [", "a.lua:1:12: "),
            ("--: just text", "a.lua:1:5: the declaration is a text"),
            ("--: content security policy: x", "an RPC has no content security policy"),
        ] {
            let told = read_text("a.lua", text).unwrap_err();
            assert!(told.contains(expected), "{text}: {told}");
        }
    }
}
