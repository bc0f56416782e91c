//! A password from a person or from a pipe. It is never shown, and a terminal is left as it was.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, ErrorKind, Read, Write};

use dropstar::users::PASSWORD_BYTES_MAX;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

use super::Failure;
use crate::cli::{EXIT_FAILED, EXIT_USAGE};

/// What Ctrl-C, Ctrl-D, Ctrl-U and backspace send.
const INTERRUPT: u8 = 3;
const END: u8 = 4;
const BACKSPACE: [u8; 2] = [8, 127];
const CLEAR: u8 = 21;

/// The first line of standard input.
pub(super) fn from_standard_input() -> Result<String, Failure> {
    let mut line = Vec::new();
    let limit = PASSWORD_BYTES_MAX as u64 + 2;
    let read = std::io::stdin().lock().take(limit).read_until(b'\n', &mut line);
    read.map_err(|error| Failure::new(EXIT_FAILED, format!("the password can't be read: {error}")))?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    text_of(text.strip_suffix(b"\r").unwrap_or(text).to_vec())
}

/// Asks on the terminal, twice, without showing what is typed.
pub(super) fn on_terminal(name: &str) -> Result<String, Failure> {
    let Ok(terminal) = OpenOptions::new().read(true).write(true).open("/dev/tty") else {
        let text = "there is no terminal to ask for the password on; give it on standard input, with --password-stdin";
        return Err(Failure::new(EXIT_USAGE, text));
    };
    let first = ask(&terminal, &format!("password for {name}: "))?;
    let again = ask(&terminal, "once more: ")?;
    if first == again {
        Ok(first)
    } else {
        Err(Failure::new(EXIT_FAILED, "the two passwords differ; nothing was changed"))
    }
}

fn ask(mut terminal: &File, question: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::new(EXIT_FAILED, format!("the terminal can't be used: {error}"));
    let quiet = Quiet::new(terminal).map_err(failed)?;
    terminal.write_all(question.as_bytes()).map_err(failed)?;
    let line = read_line(terminal);
    drop(quiet);
    terminal.write_all(b"\n").map_err(failed)?;
    line.map_err(failed)?
        .map_or_else(|| Err(Failure::new(EXIT_FAILED, "no password was given; nothing was changed")), text_of)
}

/// A line, or none if it was given up by Ctrl-C, Ctrl-D or the end of the terminal.
fn read_line(mut terminal: impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut line: Vec<u8> = Vec::new();
    let mut byte = [0];
    loop {
        match terminal.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        match byte {
            [b'\r' | b'\n'] => return Ok(Some(line)),
            [INTERRUPT | END] => return Ok(None),
            [CLEAR] => line.clear(),
            [erase] if BACKSPACE.contains(&erase) => {
                // A character may have several bytes; all but its first begin with the bits 10.
                while line.pop().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {}
            }
            [other] if line.len() <= PASSWORD_BYTES_MAX => line.push(other),
            _ => {}
        }
    }
}

fn text_of(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| Failure::new(EXIT_FAILED, "the password is not UTF-8"))
}

/// A terminal that shows nothing and sends keys as they are, so that even Ctrl-C comes here first and leaves it as it was.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn new(terminal: &'a File) -> std::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        for (index, value) in [(SpecialCharacterIndices::VMIN, 1), (SpecialCharacterIndices::VTIME, 0)] {
            if let Some(place) = quiet.control_chars.get_mut(index as usize) {
                *place = value;
            }
        }
        // What was typed ahead was typed while it could be seen.
        tcsetattr(terminal, SetArg::TCSAFLUSH, &quiet)?;
        Ok(Quiet { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = tcsetattr(self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_edited_and_given_up_by_keys() {
        for (typed, line) in [
            ("secret\n", Some("secret")),
            ("secret\r", Some("secret")),
            ("xü\u{7f}\u{8}ok\n", Some("ok")),
            ("wrong\u{15}right\n", Some("right")),
            ("\u{7f}\u{7f}a\n", Some("a")),
            ("half\u{3}", None),
            ("\u{4}", None),
            ("cut off", None),
        ] {
            let read = read_line(typed.as_bytes()).unwrap().map(|line| String::from_utf8(line).unwrap());
            assert_eq!(read.as_deref(), line, "{typed:?}");
        }
    }
}
