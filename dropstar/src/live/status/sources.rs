//! The files behind it all: YAML and scripts, as they are on the disk.

use super::listing::part;
use super::visit::Visit;
use crate::answer::Problem;
use crate::{Map, Value};

/// What the page shows.
///
/// # Errors
/// The file is none of the instance's, or can't be read.
pub(super) async fn read(visit: &Visit<'_>) -> Result<Map, Problem> {
    let files = match visit.ask("sources", Map::new()).await {
        Ok(Some(Value::Array(files))) => files,
        _ => Vec::new(),
    };
    let files: Vec<String> = files.iter().filter_map(Value::as_str).map(str::to_string).collect();
    let (files, listing) = part(files, |file| file.as_str(), &visit.view);
    let mut page = Map::new();
    page.insert("sources".into(), files.into());
    page.insert("listing".into(), listing.to_value());
    if let Some(file) = &visit.view.file {
        page.insert("file".into(), file.as_str().into());
        page.insert("source".into(), visit.ask_about("sources", "file", file).await?);
    }
    Ok(page)
}

/// Adds what only people look at: the text line by line.
pub(super) fn draw(page: &mut Map) {
    let lines: Option<Value> = page.get("source").and_then(Value::as_str).map(|text| text.lines().collect());
    page.insert("lines".into(), lines.into());
}
