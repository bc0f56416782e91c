//! The log: its newest lines, of a level or with a text. The page follows what comes.

use serde_json::json;

use super::visit::Visit;
use crate::answer::Problem;
use crate::{Map, Value};

/// Lines that are looked through for a level or a text.
const LOOKED_AT_MAX: u64 = 10_000;

/// Lines that are shown.
const SHOWN_MAX: usize = 500;

/// Levels, the most severe first.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// What the page shows, the newest line last.
///
/// # Errors
/// The instance can't tell.
pub(super) async fn read(visit: &Visit<'_>) -> Result<Map, Problem> {
    let has_filter = !visit.view.search.is_empty() || rank(visit.view.level) + 1 < LEVELS.len();
    let count = if has_filter { LOOKED_AT_MAX } else { SHOWN_MAX as u64 };
    let arguments = Map::from_iter([("lines".to_string(), count.into())]);
    let told = visit.ask("logs", arguments).await;
    let told = told.map_err(|failure| Problem::failure("the log", &failure))?.unwrap_or_default();
    let (level, search) = (rank(visit.view.level), visit.view.search.to_lowercase());
    let text = |line: &Value, key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let is_wanted = |line: &&Value| {
        rank(&text(line, "level")) <= level && (search.is_empty() || text(line, "text").contains(&search))
    };
    let lines = told.get("lines").and_then(Value::as_array).into_iter().flatten();
    let mut wanted: Vec<Value> = lines.rev().filter(is_wanted).take(SHOWN_MAX).cloned().collect();
    wanted.reverse();
    Ok(Map::from_iter([
        ("log".to_string(), wanted.into()),
        ("shown_max".into(), SHOWN_MAX.into()),
        ("missed".into(), told.get("missed").cloned().unwrap_or_else(|| json!(0))),
    ]))
}

fn rank(level: &str) -> usize {
    LEVELS.iter().position(|known| *known == level).unwrap_or(LEVELS.len() - 1)
}
