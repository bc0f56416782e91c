//! Mistakes in procblock's own command line, in the words that all its messages have.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// The text of a mistake, and how the command is used; none for what is no mistake, such as `--help`.
pub(super) fn text(error: &Error) -> Option<String> {
    let first = |kind| texts(error, kind).into_iter().next();
    let argument = || first(ContextKind::InvalidArg).unwrap_or_else(|| "an argument".into());
    let value = || first(ContextKind::InvalidValue).unwrap_or_default();
    let what = match error.kind() {
        ErrorKind::UnknownArgument => {
            let near = first(ContextKind::SuggestedArg).map(|near| format!("; did you mean {near}?"));
            format!("unexpected argument {}{}", argument(), near.unwrap_or_default())
        }
        ErrorKind::InvalidSubcommand => {
            let word = first(ContextKind::InvalidSubcommand).unwrap_or_default();
            let near = first(ContextKind::SuggestedSubcommand).map(|near| format!("; did you mean {near}?"));
            format!("there is no command {word}{}", near.unwrap_or_default())
        }
        ErrorKind::MissingRequiredArgument => {
            format!("missing: {}", texts(error, ContextKind::InvalidArg).join(", "))
        }
        ErrorKind::InvalidValue if value().is_empty() => format!("{} has no value", argument()),
        ErrorKind::InvalidValue => {
            let remedy = match first(ContextKind::SuggestedValue) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("expected one of: {}", texts(error, ContextKind::ValidValue).join(", ")),
            };
            format!("{} is \"{}\"; {remedy}", argument(), value())
        }
        ErrorKind::ValueValidation => {
            let reason = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{} is \"{}\": {reason}", argument(), value())
        }
        ErrorKind::ArgumentConflict => {
            format!("{} can't be used with {}", argument(), texts(error, ContextKind::PriorArg).join(", "))
        }
        _ => return None,
    };
    let usage = first(ContextKind::Usage).unwrap_or_default();
    let usage = usage.trim().strip_prefix("Usage: ").unwrap_or(usage.trim()).to_owned();
    let usage = if usage.is_empty() { "procblock --help".into() } else { usage };
    Some(format!("error: {what}\n\nusage: {usage}"))
}

fn texts(error: &Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::StyledStr(text)) => vec![text.to_string()],
        Some(ContextValue::StyledStrs(texts)) => texts.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}
