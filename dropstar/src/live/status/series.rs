//! Series: all of them with a picture each, or one with several windows, its file and the YAML behind it.

use super::listing::part;
use super::visit::{Visit, now};
use crate::answer::Problem;
use crate::{Map, Value};

/// What the page shows.
///
/// # Errors
/// There is no series of the name.
pub(super) async fn read(visit: &Visit<'_>) -> Result<Map, Problem> {
    let mut page = Map::new();
    page.insert("now".into(), now().into());
    if let Some(name) = &visit.place.name {
        page.insert("name".into(), name.as_str().into());
        page.insert("one".into(), visit.ask_about("series.info", "series", name).await?);
        return Ok(page);
    }
    let series = match visit.ask("series", Map::new()).await {
        Ok(Some(Value::Array(series))) => series,
        _ => Vec::new(),
    };
    let name = |one: &Value| one.get("name").and_then(Value::as_str).unwrap_or_default().to_string();
    let series: Vec<(String, Value)> = series.into_iter().map(|one| (name(&one), one)).collect();
    let (series, listing) = part(series, |(name, _)| name, &visit.view);
    page.insert("series".into(), series.into_iter().map(|(_, one)| one).collect());
    page.insert("listing".into(), listing.to_value());
    Ok(page)
}
