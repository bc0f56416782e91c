//! Lines for a shell in which `${…}` never becomes text.
//!
//! Each `${…}` is replaced by a reference to a generated variable of the child's environment: `"$_1"` outside quotes,
//! `${_1}` inside double quotes and here-documents. The shell expands it after it has read the line, so no value can
//! end a quote, start a command, be split into words or name files. Inside `$(…)` quoting starts anew.
//!
//! Refused, with the place: `${…}` inside single quotes, backquotes and quoted here-documents, where the shell would
//! not expand the reference; and inside `$((…))`, `((…))`, `$[…]` and `${x:…}`, where a shell such as bash computes with a value and can run
//! a command that stands in it.
//!
//! Ours is every `${…}` that can be an expression, or one with `:-` and a default. The shell's own are `$name`, `$(…)`,
//! `${1}`, `${?}`, `${#x}`, `${x%…}`, `${x#…}`, `${x:+…}`, `${x:=…}`, `${x:?…}`, `${x/…}`, `${x^…}`, `${x,…}` and
//! whatever is written `$${…}`.
//!
//! Three things stay with the author of the line. A value that begins with `-` can be taken for an option: write
//! `rm -- ${x}`, and `printf '%s' ${x}` instead of `echo`. A command that hands its arguments to another shell (`eval`,
//! `ssh`, `sh -c "…"`) has them read a second time: give them behind the text, `sh -c 'echo "$1"' sh ${x}`. And bash
//! also computes in `let`, `[[ x -eq y ]]` and `a[x]=y`.

mod expansion;
mod here_document;
mod reference;
mod scanner;

#[cfg(test)]
mod tests;

use crate::expr::template::{DEFAULT_REMEDY, Hole, refuse_placeholder};
use crate::expr::{ExprError, Scope};
use crate::value::to_text;

/// The most bytes of a line with `${…}`, and of one variable with its name: Linux passes no longer text to a program
/// (execve(2), `MAX_ARG_STRLEN`).
const BYTES_MAX: usize = 128 * 1024 - 1;

/// A line for a shell, with its `${…}` made references.
#[derive(Debug, Clone)]
pub struct ShellLine {
    text: String,
    holes: Vec<(String, Hole)>,
}

impl ShellLine {
    /// Parses a line, or several, of POSIX shell or bash. Takes time linear in its length.
    ///
    /// # Errors
    /// When a `${…}` is wrong, stands where it cannot be a reference, or can be read in two ways; when the line ends
    /// inside a quote and holds one; and when the original's placeholder `%(name)s` is used.
    pub fn parse(text: &str) -> Result<ShellLine, ExprError> {
        refuse_placeholder(text)?;
        if !text.contains("${") {
            return Ok(ShellLine { text: text.into(), holes: Vec::new() });
        }
        if text.len() > BYTES_MAX {
            let message = format!("the line has {} bytes, a shell takes at most {BYTES_MAX}", text.len());
            return Err(ExprError::new(0, message, "put it into a script file"));
        }
        let (text, holes) = scanner::Scanner::new(text).read()?;
        Ok(ShellLine { text, holes })
    }

    /// The line that the shell is given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it needs no variables.
    pub fn is_literal(&self) -> bool {
        self.holes.is_empty()
    }

    /// The variables to add to the child's environment, with names that the line does not use. Null is empty; lists and
    /// mappings are JSON.
    ///
    /// # Errors
    /// When a name without default is missing, an expression fails, or a value holds a NUL or is longer than 128 KiB.
    pub fn render(&self, scope: &dyn Scope) -> Result<Vec<(String, String)>, ExprError> {
        self.holes.iter().map(|(name, hole)| Ok((name.clone(), variable(name, hole, scope)?))).collect()
    }
}

fn variable(name: &str, hole: &Hole, scope: &dyn Scope) -> Result<String, ExprError> {
    let remedy = if hole.is_name() {
        "a variable of the shell is written $NAME or $${NAME}; ${name:-text} gives a default"
    } else {
        DEFAULT_REMEDY
    };
    let text = to_text(&*hole.value(scope, remedy)?);
    if text.contains('\0') {
        let message = "the value holds a NUL character, which no variable can";
        return Err(ExprError::new(hole.column, message, "pass it through a file"));
    }
    if name.len() + "=".len() + text.len() > BYTES_MAX {
        let message = format!("the value has {} bytes, a shell takes at most 128 KiB", text.len());
        return Err(ExprError::new(hole.column, message, "pass it through a file or to a script"));
    }
    Ok(text)
}
