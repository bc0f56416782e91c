//! What is told about the top of a file before it is compiled: a file of nothing, and keys that belong under
//! `__usage`.

use crate::load::{Node, Problems, nearest};
use crate::spec::{check_kind, same_key};
use crate::tag;
use crate::usage::USAGE_FIELDS;

/// Keys of `__usage` that are as likely data of a user's own.
const LIKELY_DATA: &[&str] = &["name", "author", "website", "info"];

/// A word as long as this is taken for a misspelled one even where it may be data.
const TYPO_LENGTH: usize = 8;

/// Adds what there is to say about the top of a file.
pub(super) fn check(root: &Node, problems: &mut Problems) {
    let entries = root.entries().unwrap_or_default();
    if entries.is_empty() {
        let lines = root.mark.source.body().lines().map(str::trim_start);
        let is_blank = lines.clone().all(str::is_empty);
        let is_commented = lines.clone().all(|line| line.is_empty() || line.starts_with('#'));
        let what = match (is_blank, is_commented) {
            (true, _) => "the file is empty",
            (false, true) => "the file holds nothing but comments",
            (false, false) => "the file has no keys",
        };
        problems.error(&root.mark, what, "write at least a step to run, such as: run: [{shell: uptime}]");
        return;
    }
    for entry in entries {
        let spaced = entry.key.replace('_', " ");
        let names = || USAGE_FIELDS.iter().filter(|field| !LIKELY_DATA.contains(&field.name));
        let found = names().find(|field| same_key(&entry.key, field.name));
        if let Some(field) = found {
            if check_kind(&entry.value, &field.kind, field.name, &mut Problems::new()) {
                let what = format!("{} at the top of a file is data", field.name);
                let remedy = format!("{} (data of that name goes under data:)", where_it_belongs(field.name));
                problems.warning(&entry.mark, what, remedy);
            }
            continue;
        }
        let long = names().map(|field| field.name).filter(|name| name.len() >= TYPO_LENGTH);
        if tag::find(&entry.key).is_none()
            && let Some(near) = nearest(&spaced, long)
        {
            let what = format!("\"{}\" at the top of a file is data", entry.key);
            problems.warning(&entry.mark, what, format!("did you mean {near}? {}", where_it_belongs(near)));
        }
    }
}

fn where_it_belongs(name: &str) -> String {
    match name {
        "longrunning" => "write __usage: {longrunning: true} to let the file stay".into(),
        name => format!("it belongs under __usage: {{{name}: …}}"),
    }
}

/// The key of procblock's own that `key`, which begins with `__` and is none of them, was probably meant to be.
pub(super) fn own_key_near(key: &str) -> Option<&'static str> {
    if key.starts_with("__import") {
        return Some("__import__NAME");
    }
    nearest(key, ["__usage", "__load", "__priority", "__return_tag"])
}
