//! What stands behind FILE on the command line, read by the file's own `__usage`.

use std::borrow::Cow;

use crate::load::nearest;
use crate::usage::{Argument, InputKind, Opt, Usage, secret};
use crate::value::{Map, Value};

/// A mistake on the command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// What was given.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// Input for the run: over `data:`.
    Input(Map),
    /// The file's help was asked for.
    Help,
}

/// Reads options and arguments.
///
/// Without a declaration: leading `--name value` pairs become input keys, always text; from the first bare word on,
/// everything goes into the list `args`.
///
/// # Errors
/// An option is unknown or lacks its value, a value is of the wrong kind, a required argument is missing.
pub fn parse(usage: &Usage, words: &[String]) -> Result<Given, UsageError> {
    let is_help = |word: &&String| word.as_str() == "--help" || word.as_str() == "-h" && !has_letter(usage, 'h');
    let before_dashes = words.iter().take_while(|word| word.as_str() != "--");
    if usage.is_declared && before_dashes.clone().any(|word| is_help(&word)) {
        return Ok(Given::Help);
    }
    if !usage.is_declared {
        return if words.first().as_ref().is_some_and(is_help) { Ok(Given::Help) } else { parse_free(words) };
    }
    parse_declared(usage, words).map(Given::Input)
}

fn has_letter(usage: &Usage, letter: char) -> bool {
    usage.options.iter().any(|option| option.letter == Some(letter))
}

fn parse_free(words: &[String]) -> Result<Given, UsageError> {
    let mut input = Map::new();
    let mut rest = words.iter();
    let mut arguments: Vec<Value> = Vec::new();
    while let Some(word) = rest.next() {
        if word == "--" {
            break;
        }
        let Some(name) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|name| !name.is_empty())
        else {
            arguments.push(word.clone().into());
            break;
        };
        if let Some((name, value)) = name.split_once('=') {
            input.insert(name.to_string(), value.into());
            continue;
        }
        let value = rest.next().ok_or_else(|| UsageError(format!("Option missing value: {name}")))?;
        input.insert(name.to_string(), value.clone().into());
    }
    arguments.extend(rest.map(|word| Value::from(word.clone())));
    input.insert("args".into(), arguments.into());
    Ok(Given::Input(input))
}

fn parse_declared(usage: &Usage, words: &[String]) -> Result<Map, UsageError> {
    let mut input = Map::new();
    let mut positional: Vec<&String> = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            positional.extend(rest.by_ref());
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            take_option(find_option(usage, name)?, value, &mut rest, &mut input)?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| is_letters(usage, letters)) {
            take_letters(usage, letters, &mut rest, &mut input)?;
        } else {
            positional.push(word);
        }
    }
    for option in &usage.options {
        if !input.contains_key(&option.name) {
            let absent = (option.kind == InputKind::Flag).then_some(Value::Bool(false));
            let variable =
                option.variable.as_ref().filter(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
            let found = match variable {
                Some(name) => {
                    let text = std::env::var(name).map_err(|_| not_text(name))?;
                    Some(convert_option(option, &text, &format!("the environment variable {name}"))?)
                }
                None => option.default.clone().or(absent),
            };
            if let Some(value) = found {
                input.insert(option.name.clone(), value);
            }
        }
    }
    take_arguments(usage, &positional, &mut input)?;
    Ok(input)
}

/// `-5` is an argument unless 5 is a letter of the file's own; `-` alone is one too.
fn is_letters(usage: &Usage, letters: &str) -> bool {
    letters.chars().next().is_some_and(|first| !first.is_ascii_digit() || has_letter(usage, first))
}

fn find_option<'u>(usage: &'u Usage, name: &str) -> Result<&'u Opt, UsageError> {
    let spaced = |text: &str| text.replace(['_', '-'], " ");
    let found = usage.options.iter().find(|option| option.name == name || spaced(&option.name) == spaced(name));
    found.ok_or_else(|| {
        let near = nearest(name, usage.options.iter().map(|option| option.name.as_str()));
        let hint = near.map(|near| format!("; did you mean --{near}?")).unwrap_or_default();
        UsageError(format!("Unknown option: --{name}{hint}"))
    })
}

fn take_option<'w>(
    option: &Opt,
    value: Option<&str>,
    rest: &mut impl Iterator<Item = &'w String>,
    input: &mut Map,
) -> Result<(), UsageError> {
    let text = match (value, &option.kind) {
        (Some(value), _) => value,
        (None, InputKind::Flag) => "true",
        (None, _) => rest.next().ok_or_else(|| UsageError(format!("Option missing value: {}", option.name)))?,
    };
    let resolved = if option.is_secret { secret::resolve(option, text)? } else { Cow::Borrowed(text) };
    input.insert(option.name.clone(), convert_option(option, &resolved, &format!("--{}", option.name))?);
    Ok(())
}

fn not_text(variable: &str) -> UsageError {
    UsageError(format!("the environment variable {variable} is no UTF-8 text"))
}

/// The typed value of a text from `place`; a secret is left out of what is told.
fn convert_option(option: &Opt, text: &str, place: &str) -> Result<Value, UsageError> {
    let shown = if option.is_secret { "(secret)" } else { text };
    option.kind.convert(text).map_err(|expected| UsageError(format!("{place} is \"{shown}\"; expected {expected}")))
}

fn take_letters<'w>(
    usage: &Usage,
    letters: &str,
    rest: &mut impl Iterator<Item = &'w String>,
    input: &mut Map,
) -> Result<(), UsageError> {
    let mut left = letters.chars();
    while let Some(letter) = left.next() {
        let option = usage.options.iter().find(|option| option.letter == Some(letter));
        let option = option.ok_or_else(|| UsageError(format!("Unknown option: -{letter}")))?;
        if option.kind == InputKind::Flag {
            take_option(option, None, rest, input)?;
            continue;
        }
        let attached = left.as_str().trim_start_matches('=');
        let attached = Some(attached).filter(|text| !text.is_empty());
        return take_option(option, attached, rest, input);
    }
    Ok(())
}

fn take_arguments(usage: &Usage, given: &[&String], input: &mut Map) -> Result<(), UsageError> {
    let mut given = given.iter();
    for (index, argument) in usage.args.iter().enumerate() {
        if argument.takes_remaining {
            let values: Result<Vec<Value>, UsageError> = given.by_ref().map(|text| convert(argument, text)).collect();
            input.insert(argument.name.clone(), values?.into());
            continue;
        }
        match given.next() {
            Some(text) => {
                input.insert(argument.name.clone(), convert(argument, text)?);
            }
            None if argument.is_required => {
                let text = format!("Required argument missing: argument {}: {}", index + 1, argument.name);
                return Err(UsageError(text));
            }
            None => {
                if let Some(default) = &argument.default {
                    input.insert(argument.name.clone(), default.clone());
                }
            }
        }
    }
    match given.next() {
        Some(extra) => Err(UsageError(format!("Unexpected argument: {extra}"))),
        None => Ok(()),
    }
}

fn convert(argument: &Argument, text: &str) -> Result<Value, UsageError> {
    let converted = argument.kind.convert(text);
    converted.map_err(|expected| UsageError(format!("{} is \"{text}\"; expected {expected}", argument.name)))
}
