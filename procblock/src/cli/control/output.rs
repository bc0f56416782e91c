//! How results of commands are printed, and values given to them are read.

use std::io::{IsTerminal, Write};

use clap::{Args, ValueEnum};

use crate::logging::for_terminal;
use crate::value::{Value, to_text};

/// How a result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people and shells: texts without quotes, other values as JSON.
    #[default]
    Text,
    /// JSON.
    Json,
}

/// The format, for commands that read.
#[derive(Args, Debug)]
pub(super) struct FormatArgs {
    /// How the result is printed.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: Format,
}

impl FormatArgs {
    /// Prints one value on a line.
    pub(super) fn print(&self, value: &Value) {
        match self.output {
            Format::Json => {
                print(&format!("{value:#}\n"));
            }
            Format::Text => drop(print_line(&to_text(value))),
        }
    }

    /// Prints one of many values as a line: JSON, or the text for people. False when nobody reads it any more.
    pub(super) fn print_line_of(&self, value: &Value, text: impl FnOnce() -> String) -> bool {
        match self.output {
            Format::Json => print(&format!("{value}\n")),
            Format::Text => print_line(&text()),
        }
    }

    /// Prints a list, for people one item a line.
    pub(super) fn print_list(&self, value: &Value) {
        match (self.output, value) {
            (Format::Text, Value::Array(items)) => {
                for item in items {
                    print_line(&to_text(item));
                }
            }
            _ => self.print(value),
        }
    }
}

/// Writes a line to standard output: as it is into a pipe, so that a terminal only shows it on a terminal.
fn print_line(text: &str) -> bool {
    if std::io::stdout().is_terminal() {
        let lines: Vec<_> = text.split('\n').map(for_terminal).collect();
        print(&format!("{}\n", lines.join("\n")))
    } else {
        print(&format!("{text}\n"))
    }
}

/// Writes to standard output; false when nobody reads it any more.
pub(super) fn print(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// A VALUE argument: JSON if it parses, else text.
#[derive(Args, Debug)]
pub(super) struct ValueArgs {
    /// JSON if it parses, else text.
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// Take VALUE as text even if it is JSON.
    #[arg(long)]
    text: bool,
}

impl ValueArgs {
    pub(super) fn read(&self) -> Value {
        if self.text {
            return self.value.clone().into();
        }
        serde_json::from_str(&self.value).unwrap_or_else(|_| self.value.clone().into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_json_if_it_parses_and_text_when_told() {
        let read = |value: &str, text: bool| ValueArgs { value: value.into(), text }.read();
        assert_eq!(read("5", false), json!(5));
        assert_eq!(read("5", true), json!("5"));
        assert_eq!(read("{\"a\": [1]}", false), json!({"a": [1]}));
        assert_eq!(read("hello", false), json!("hello"));
        assert_eq!(read("", false), json!(""));
    }
}
