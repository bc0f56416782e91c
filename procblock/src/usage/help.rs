//! The text of `FILE --help`.

use std::fmt::Write;

use crate::usage::{InputKind, Usage};
use crate::value::to_text;

/// The file's own usage text; `program` is how it was called, `error` a line above it.
pub fn help(usage: &Usage, program: &str, error: Option<&str>) -> String {
    let mut text = String::new();
    for (word, value) in [("Name", &usage.name), ("Author", &usage.author), ("Website", &usage.website)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{word}: {value}");
        }
    }
    if let Some(info) = &usage.info {
        let _ = writeln!(text, "\n{}", info.trim_end());
    }
    if let Some(error) = error {
        let _ = writeln!(text, "\nerror: {error}");
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "usage: {program}{}{}",
        if usage.options.is_empty() { "" } else { " [options]" },
        arguments(usage)
    );
    table(&mut text, "Arguments", &argument_rows(usage));
    let mut options = option_rows(usage);
    options.push(("-h, --help".into(), "Show this text.".into()));
    table(&mut text, "Options", &options);
    text
}

fn arguments(usage: &Usage) -> String {
    let shown = |argument: &crate::usage::Argument| match (argument.takes_remaining, argument.is_required) {
        (true, _) => format!(" [{0}...]", argument.name),
        (false, true) => format!(" {}", argument.name.to_uppercase()),
        (false, false) => format!(" [{}]", argument.name.to_uppercase()),
    };
    usage.args.iter().map(shown).collect()
}

fn argument_rows(usage: &Usage) -> Vec<(String, String)> {
    let row = |argument: &crate::usage::Argument| {
        let mut notes = Vec::new();
        if argument.is_required {
            notes.push("required".to_string());
        }
        if argument.takes_remaining {
            notes.push("takes 0 or more".to_string());
        }
        notes.extend(argument.default.as_ref().map(|value| format!("default: {}", to_text(value))));
        (argument.name.clone(), with_notes(argument.info.as_deref(), &notes))
    };
    usage.args.iter().map(row).collect()
}

fn option_rows(usage: &Usage) -> Vec<(String, String)> {
    let row = |option: &crate::usage::Opt| {
        let letter = option.letter.map_or("    ".to_string(), |letter| format!("-{letter}, "));
        let value = match &option.kind {
            InputKind::Flag => "",
            InputKind::Value => " TEXT",
            InputKind::Number => " NUMBER",
            InputKind::Duration => " DURATION",
            InputKind::Size => " SIZE",
            InputKind::Path => " PATH",
            InputKind::Choice(_) => " WORD",
        };
        let mut notes = Vec::new();
        if let InputKind::Choice(words) = &option.kind {
            notes.push(format!("one of: {}", words.join(", ")));
        }
        if option.is_secret {
            notes.push("secret: env:NAME or file:PATH keeps it out of the list of processes".to_string());
        }
        notes.extend(option.variable.as_ref().map(|name| format!("else the environment variable {name}")));
        if !option.is_secret {
            notes.extend(option.default.as_ref().map(|value| format!("default: {}", to_text(value))));
        }
        (format!("{letter}--{}{value}", option.name), with_notes(option.info.as_deref(), &notes))
    };
    usage.options.iter().map(row).collect()
}

fn with_notes(info: Option<&str>, notes: &[String]) -> String {
    let info = info.unwrap_or_default();
    if notes.is_empty() {
        return info.to_string();
    }
    let gap = if info.is_empty() { "" } else { " " };
    format!("{info}{gap}({})", notes.join("; "))
}

fn table(text: &mut String, title: &str, rows: &[(String, String)]) {
    if rows.is_empty() {
        return;
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let _ = writeln!(text, "\n{title}:");
    for (name, info) in rows {
        let line = format!("  {name:width$}  {info}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}
