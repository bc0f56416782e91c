//! Mistakes in the syntax of scripts, found without running them.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;

use crate::script::lua;

/// A text to look at.
pub(crate) struct Text<'t> {
    /// The code.
    pub(crate) text: &'t str,
    /// Its first line in a block file; a script file has none.
    pub(crate) first_line: Option<u32>,
}

/// Where a text goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Mistake {
    /// From 1, of the block file or of the script file.
    pub(crate) line: u32,
    /// From 1.
    pub(crate) column: u32,
    pub(crate) message: String,
}

/// The first mistake of each Lua text.
pub(crate) fn lua_mistakes(texts: &[Text<'_>]) -> Vec<Option<Mistake>> {
    let state = mlua::Lua::new();
    texts.iter().map(|text| lua::mistake(&state, text.text, text.first_line)).collect()
}

/// How long the interpreter may look at all texts.
const PYTHON_TIME_MAX: Duration = Duration::from_secs(20);

const PYTHON_CHECK: &str = "
import ast, json, sys, warnings
warnings.simplefilter('ignore')
found = []
for text in json.load(sys.stdin):
    try:
        ast.parse(text)
        found.append(None)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line, column = getattr(error, 'lineno', None), getattr(error, 'offset', None)
        message = getattr(error, 'msg', None) or str(error) or type(error).__name__
        found.append({'line': line or 1, 'column': max(column or 1, 1), 'message': message})
json.dump(found, sys.stdout)
";

/// The first mistake of each Python text, all looked at by one process of `interpreter`.
///
/// # Errors
/// Why the interpreter could not be asked.
pub(crate) fn python_mistakes(interpreter: &str, texts: &[Text<'_>]) -> Result<Vec<Option<Mistake>>, String> {
    let input: Vec<&str> = texts.iter().map(|text| text.text).collect();
    let input = serde_json::to_vec(&input).map_err(|error| error.to_string())?;
    let answer = ask(interpreter, input)?;
    let mut found: Vec<Option<Mistake>> =
        serde_json::from_slice(&answer).map_err(|_| "it gave no answer".to_owned())?;
    for (mistake, text) in found.iter_mut().zip(texts) {
        if let (Some(mistake), Some(first)) = (mistake, text.first_line) {
            mistake.line = mistake.line.saturating_add(first - 1);
        }
    }
    Ok(found)
}

/// Runs the interpreter with `input` and gives what it printed, within [`PYTHON_TIME_MAX`].
fn ask(interpreter: &str, input: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut command = Command::new(interpreter);
    command.args(["-I", "-S", "-c", PYTHON_CHECK]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (answer, answered) = mpsc::channel();
    std::thread::spawn(move || {
        let written = stdin.map(|mut stdin| stdin.write_all(&input));
        let mut printed = Vec::new();
        let read = stdout.map(|mut stdout| stdout.read_to_end(&mut printed));
        let is_whole = matches!((written, read), (Some(Ok(())), Some(Ok(_))));
        let _ = answer.send(is_whole.then_some(printed));
    });
    let printed = answered.recv_timeout(PYTHON_TIME_MAX);
    let _ = child.kill();
    let _ = child.wait();
    match printed {
        Ok(Some(printed)) => Ok(printed),
        Ok(None) => Err("it could not be talked to".into()),
        Err(_) => Err(format!("it did not answer within {} s", PYTHON_TIME_MAX.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, first_line: Option<u32>) -> Text<'_> {
        Text { text, first_line }
    }

    #[test]
    fn a_mistake_in_lua_is_found_on_its_line() {
        let found = lua_mistakes(&[
            text("return {a = 1}", None),
            text("local a =\nlocal b", None),
            text("local a = 1\nreturn {", Some(10)),
            text("#!/usr/bin/lua\nfunction ProcessBlock() return {} end", None),
        ]);
        let lines: Vec<Option<u32>> = found.iter().map(|found| found.as_ref().map(|mistake| mistake.line)).collect();
        assert_eq!(lines, [None, Some(2), Some(11), None]);
        assert_eq!(found[1].as_ref().unwrap().message, "unexpected symbol near 'local'");
    }

    #[test]
    fn a_mistake_in_python_is_found_on_its_line() {
        let texts = [text("return {'a': 1}", Some(5)), text("x = 1\nif x\n    pass", Some(5)), text("def f(:", None)];
        let found = python_mistakes("python3", &texts).unwrap();
        assert_eq!(found[0], None);
        assert_eq!(found[1], Some(Mistake { line: 6, column: 5, message: "expected ':'".into() }));
        assert_eq!(found[2].as_ref().unwrap().line, 1);
    }

    #[test]
    fn an_interpreter_that_is_not_there_is_named_by_its_error() {
        assert!(python_mistakes("/no/such/python", &[]).is_err());
    }
}
