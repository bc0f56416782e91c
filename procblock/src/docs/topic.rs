//! From a word to what the reference says about it.

use clap::Command;

use crate::docs::{Part, attributes, command_line, expressions, fields, lua, pages, steps, tags, unidist};
use crate::expr;
use crate::load::nearest;
use crate::spec::same_key;
use crate::step::ATTRIBUTES;
use crate::tag;
use crate::usage::USAGE_FIELDS;

/// What a word leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// A page, or every section of that name.
    Found(Vec<Part>),
    /// Nothing of that name; the nearest word, if one is near.
    Unknown(Option<String>),
}

/// What the reference says about `word`: the name of a page, tag, step, attribute, key of `__usage`, function, module or
/// command.
pub fn find(word: &str, commands: &Command) -> Topic {
    let word = word.trim();
    if let Some(page) = pages(commands).into_iter().find(|page| same_key(word, page.name) || word == page.name) {
        return Topic::Found(page.parts);
    }
    let mut parts: Vec<Part> = sections(word, commands);
    if parts.is_empty() {
        parts = word.strip_prefix("unidist.").map(|word| sections(word, commands)).unwrap_or_default();
    }
    if !parts.is_empty() {
        return Topic::Found(parts);
    }
    let names = names(commands);
    Topic::Unknown(nearest(word, names.iter().map(String::as_str)).map(str::to_string))
}

fn sections(word: &str, commands: &Command) -> Vec<Part> {
    let is_tag = |tag: &&&dyn tag::Tag| {
        let pattern = tag.spec().pattern;
        pattern.matches(word).is_some() || same_key(word, &pattern.text()) || fixed_part(&pattern) == word
    };
    let mut parts: Vec<Part> = tag::ALL.iter().filter(is_tag).flat_map(|tag| tags::section(*tag)).collect();
    let is_step = |step: &&&dyn crate::step::Step| same_key(word, step.spec().name);
    parts.extend(crate::step::ALL.iter().filter(is_step).flat_map(|step| steps::section(*step)));
    parts.extend(ATTRIBUTES.iter().filter(|spec| same_key(word, spec.name)).flat_map(attributes::section));
    for field in USAGE_FIELDS.iter().filter(|field| same_key(word, field.name)) {
        parts.push(Part::Heading(2, format!("{} (in __usage)", field.name)));
        parts.extend(fields::tables(std::slice::from_ref(field)));
    }
    parts.extend(expr::FUNCTIONS.iter().filter(|function| function.name == word).flat_map(expressions::section));
    parts.extend(lua::section(word).unwrap_or_default());
    parts.extend(unidist::section(word).unwrap_or_default());
    if let Some(command) = commands.find_subcommand(word).filter(|command| !command.is_hide_set()) {
        parts.extend(command_line::section(command, &format!("procblock {word}")));
    }
    parts
}

/// The part of a tag's key that is always the same.
fn fixed_part(pattern: &tag::spec::Pattern) -> &'static str {
    match pattern {
        tag::spec::Pattern::Exact(key) => key,
        tag::spec::Pattern::Prefix { prefix, .. } => prefix,
    }
}

/// Every word that leads somewhere, without repetition, in the order of the reference.
pub fn names(commands: &Command) -> Vec<String> {
    let mut names: Vec<String> = pages(commands).iter().map(|page| page.name.to_string()).collect();
    names.extend(tag::ALL.iter().map(|tag| fixed_part(&tag.spec().pattern).to_string()));
    names.extend(crate::step::ALL.iter().map(|step| step.spec().name.to_string()));
    names.extend(ATTRIBUTES.iter().chain(USAGE_FIELDS).map(|field| field.name.to_string()));
    names.extend(expr::FUNCTIONS.iter().map(|function| function.name.to_string()));
    let functions = lua::MODULES.iter().map(|function| function.name);
    for name in functions.chain(::unidist::call::FUNCTIONS.iter().map(|function| function.name)) {
        names.extend(name.split('.').next().map(str::to_string));
        names.push(name.to_string());
    }
    names.extend(commands.get_subcommands().filter(|c| !c.is_hide_set()).map(|command| command.get_name().to_string()));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}
