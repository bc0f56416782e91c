//! The page of steps.

use crate::docs::{Page, Part, example, fields};
use crate::step::{self, Step};

const ABOUT: &str = "A step is one item of the list under `run`. It has exactly one of the keys of this page, and any of the \
attributes. What it returns is merged into pipe data, which the next step sees. The first step that fails ends the list, \
unless it says `on error: continue`.";

/// Every step, one section each.
pub(super) fn page() -> Page {
    let row = |step: &&dyn Step| vec![format!("`{}`", step.spec().name), step.spec().summary.to_string()];
    let mut parts = vec![
        Part::Heading(1, "Steps".into()),
        Part::Paragraph(ABOUT.into()),
        Part::Table(vec!["step", "meaning"], step::ALL.iter().map(row).collect()),
    ];
    parts.extend(step::ALL.iter().flat_map(|step| section(*step)));
    Page { name: "steps", summary: "the items of a run list", parts }
}

/// One step.
pub(super) fn section(step: &dyn Step) -> Vec<Part> {
    let spec = step.spec();
    let mut parts = vec![
        Part::Heading(2, spec.name.into()),
        Part::Paragraph(spec.summary.into()),
        Part::Paragraph(spec.text.into()),
    ];
    parts.extend(fields::value(&spec.value));
    parts.extend(spec.examples.iter().flat_map(example));
    parts
}
