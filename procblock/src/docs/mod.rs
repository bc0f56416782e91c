//! The reference: pages, topics and the JSON Schema, all made from the declarations.
//!
//! A [`Page`] is a list of [`Part`]s, shown as Markdown in `docs/reference` and as plain text by `procblock docs`.
//! Nothing is written twice: what a tag, step, attribute or function says stands beside its code, and only pages
//! that have no declaration to come from (an introduction, the rules of expressions) have their text here.

mod attributes;
mod browser;
mod command_line;
mod expressions;
mod fields;
mod lua;
mod page;
mod python;
mod schema;
mod site_schema;
mod sites;
mod steps;
mod tags;
mod topic;
mod unidist;
mod usage;

pub use attributes::EXAMPLES as ATTRIBUTE_EXAMPLES;
pub use expressions::{DATA as EXPRESSION_DATA, EXAMPLES as EXPRESSION_EXAMPLES};
pub use lua::{EXAMPLES as LUA_EXAMPLES, MODULES as LUA_MODULES};
pub use page::{Page, Part, markdown, terminal};
pub use python::EXAMPLES as PYTHON_EXAMPLES;
pub use schema::block_schema;
pub use site_schema::{package_schema, page_schema, site_schema};
pub use topic::{Topic, find, names};
pub use unidist::EXAMPLES as UNIDIST_EXAMPLES;
pub use usage::EXAMPLES as USAGE_EXAMPLES;

use crate::spec::{Example, Expected};

/// Every page, in the order of the index; `commands` is procblock's own command line.
pub fn pages(commands: &clap::Command) -> Vec<Page> {
    vec![
        tags::page(),
        steps::page(),
        attributes::page(),
        usage::page(),
        expressions::page(),
        lua::page(),
        python::page(),
        unidist::page(),
        browser::page(),
        sites::page(),
        command_line::page(commands),
    ]
}

/// An example as the reference shows it: the file, then what it gives.
fn example(example: &Example) -> Vec<Part> {
    let given = match example.expected {
        Expected::Result(json) => format!("gives `{json}`"),
        Expected::Failure(text) => format!("fails: `{text}`"),
        Expected::Refused(text) => format!("is refused: `{text}`"),
    };
    vec![Part::Code("yaml", example.yaml.trim_end().into()), Part::Paragraph(given)]
}
