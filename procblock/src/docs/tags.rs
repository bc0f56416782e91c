//! The page of tags.

use crate::docs::{Page, Part, example, fields};
use crate::tag::{self, Tag};

const ORDER: &str = "A block is a mapping. A key that stands on this page is a tag and does something; any other key is data, and \
a mapping under it is a nested block. Tags run by priority, lower first, then in the order of the file; plain data has \
priority 500. `__priority: N` inside a tag's mapping gives it another place.";

const SPELLING: &str = "Keys of several words may be written with underscores (`run_simultaneous`), except where a part of the \
key is your own (`set VAR`, `if EXPR`). A key that is nearly a tag is refused with the right word; under `data:` any key is \
allowed.";

/// Every tag, one section each.
pub(super) fn page() -> Page {
    let mut parts = vec![
        Part::Heading(1, "Tags".into()),
        Part::Paragraph(ORDER.into()),
        Part::Paragraph(SPELLING.into()),
        Part::Table(vec!["tag", "priority", "meaning"], tag::ALL.iter().map(|tag| row(*tag)).collect()),
    ];
    parts.extend(tag::ALL.iter().flat_map(|tag| section(*tag)));
    Page { name: "tags", summary: "the keys of a block that do something", parts }
}

fn row(tag: &dyn Tag) -> Vec<String> {
    let spec = tag.spec();
    let priority = spec.priority.map_or("–".to_string(), |priority| priority.to_string());
    vec![format!("`{}`", spec.pattern.text()), priority, spec.summary.into()]
}

/// One tag.
pub(super) fn section(tag: &dyn Tag) -> Vec<Part> {
    let spec = tag.spec();
    let mut parts = vec![
        Part::Heading(2, spec.pattern.text()),
        Part::Paragraph(spec.summary.into()),
        Part::Paragraph(spec.text.into()),
    ];
    if spec.pattern.text() == "__usage" {
        parts.push(Part::Paragraph("Its keys are on the page `usage`.".into()));
    } else {
        parts.extend(fields::value(&spec.value));
    }
    parts.extend(spec.examples.iter().flat_map(example));
    parts
}
