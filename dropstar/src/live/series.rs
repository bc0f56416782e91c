//! `/series/SERIES.json?from=-1h&points=600`: a window of a series, as charts draw it: a list of times and, for each
//! field, a list of values.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::answer::{self, AnswerBody, Problem};
use crate::live::window::{Query, Window};
use crate::server::handle::Allowed;
use crate::{Map, Value};

/// How long reading may take, the wait for its turn included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Points unless told, and their bounds.
const POINTS: (u32, (u32, u32)) = (600, (10, 4000));

/// How values of one point are put together.
const CONSOLIDATIONS: [(&str, Fold); 4] =
    [("AVERAGE", Fold::Average), ("MIN", Fold::Min), ("MAX", Fold::Max), ("LAST", Fold::Last)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fold {
    Average,
    Min,
    Max,
    Last,
}

/// What is asked for.
struct Asked<'a> {
    series: &'a str,
    window: Window,
    points: u32,
    consolidation: (&'static str, Fold),
}

impl<'a> Asked<'a> {
    fn read(name: &'a str, query: &str, now: SystemTime) -> Result<Asked<'a>, Problem> {
        let Some(series) = name.strip_suffix(".json") else {
            return Err(Problem::new(StatusCode::NOT_FOUND, "expected /series/SERIES.json"));
        };
        let query = Query::read(query);
        let read = || {
            let window = query.window(now)?;
            let points = query.number("points", POINTS.0, POINTS.1)?;
            let word = query.get("consolidation").unwrap_or("AVERAGE");
            let known = CONSOLIDATIONS.into_iter().find(|(name, _)| *name == word);
            let consolidation =
                known.ok_or_else(|| format!("consolidation is {word:?}, expected AVERAGE, MIN, MAX or LAST"))?;
            Ok(Asked { series, window, points, consolidation })
        };
        read().map_err(|text: String| Problem::new(StatusCode::BAD_REQUEST, text))
    }

    /// The arguments of the instance's call.
    fn arguments(&self) -> Map {
        let seconds = |moment: SystemTime| moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut arguments = Map::new();
        arguments.insert("series".into(), self.series.into());
        // Times that are not positive count from now; a series has none of 1970.
        arguments.insert("from".into(), seconds(self.window.from).max(1).into());
        arguments.insert("to".into(), seconds(self.window.to).max(2).into());
        arguments.insert("resolution".into(), (self.window.length().as_secs() / u64::from(self.points)).max(1).into());
        arguments.insert("consolidation".into(), self.consolidation.0.into());
        arguments
    }
}

/// Answers with a window of a series.
///
/// # Errors
/// An argument is wrong, there is no such series, too much is going on, or it can't be read.
pub(crate) async fn answer(allowed: &Allowed<'_>, name: &str) -> Result<Response<AnswerBody>, Problem> {
    let asked = Asked::read(name, allowed.head.query(), SystemTime::now())?;
    let reading = async {
        let deadline = std::time::Instant::now() + TIMEOUT;
        let _turn = allowed.serving.turns.take(deadline).await.map_err(|_| Problem::busy())?;
        let table = allowed.serving.surroundings.instance.call("series.fetch", asked.arguments()).await;
        table.map_err(|failure| Problem::failure(&allowed.head.path, &failure))
    };
    let table = tokio::time::timeout(TIMEOUT, reading).await;
    let table = table.unwrap_or_else(|_| Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "it took too long")))?;
    let columns = Columns::of(&table, &asked)
        .ok_or_else(|| Problem::internal(&allowed.head.path, format!("series.fetch gave {table}")))?;
    let seconds = |moment: SystemTime| moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut answer = answer::json(&json!({
        "series": asked.series,
        "from": seconds(asked.window.from),
        "to": seconds(asked.window.to),
        "step": columns.step,
        "fields": columns.fields,
        "times": columns.times,
        "values": columns.values,
    }));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// A table by column.
#[derive(Debug, PartialEq)]
struct Columns<'a> {
    /// Seconds from one time to the next.
    step: u64,
    fields: Vec<&'a str>,
    times: Vec<i64>,
    /// Of each field, one for each time.
    values: Vec<Vec<Option<f64>>>,
}

impl<'a> Columns<'a> {
    /// Of `{step, fields, rows: [[time, value, …], …]}`; rows are put together until there are not more than were asked
    /// for. What is unknown at both ends is left out: a time that is not over yet has no values.
    fn of(table: &'a Value, asked: &Asked<'_>) -> Option<Columns<'a>> {
        let step = table.get("step")?.as_u64()?;
        let fields: Vec<&str> = table.get("fields")?.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?;
        let rows: Vec<&Vec<Value>> =
            table.get("rows")?.as_array()?.iter().map(Value::as_array).collect::<Option<_>>()?;
        let is_known = |row: &&Vec<Value>| row.iter().skip(1).any(|value| !value.is_null());
        let first = rows.iter().position(is_known).unwrap_or(rows.len());
        let last = rows.iter().rposition(is_known).map_or(first, |last| last + 1);
        let rows = rows.get(first..last)?;
        let together = rows.len().div_ceil(asked.points as usize).max(1);
        let mut columns = Columns {
            step: step.saturating_mul(together as u64),
            times: Vec::with_capacity(rows.len() / together + 1),
            values: vec![Vec::with_capacity(rows.len() / together + 1); fields.len()],
            fields,
        };
        for group in rows.chunks(together) {
            columns.times.push(group.last()?.first()?.as_i64()?);
            for (place, column) in columns.values.iter_mut().enumerate() {
                let known = group.iter().filter_map(|row| row.get(place + 1)?.as_f64());
                column.push(asked.consolidation.1.fold(known));
            }
        }
        Some(columns)
    }
}

impl Fold {
    /// One value of those that are known.
    fn fold(self, known: impl Iterator<Item = f64>) -> Option<f64> {
        match self {
            Fold::Min => known.reduce(f64::min),
            Fold::Max => known.reduce(f64::max),
            Fold::Last => known.last(),
            Fold::Average => {
                let (sum, count) = known.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
                (count > 0.0).then_some(sum / count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Asked<'static> {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        Asked::read("cpu/load.json", query, now).unwrap_or_else(|problem| panic!("{query}: {}", problem.text))
    }

    #[test]
    fn a_window_is_asked_for_in_the_resolution_of_its_points() {
        let arguments = Value::Object(asked("from=-1h&points=60").arguments());
        let expected = json!({"series": "cpu/load", "from": 996_400, "to": 1_000_000, "resolution": 60, "consolidation": "AVERAGE"});
        assert_eq!(arguments, expected);
        assert_eq!(asked("from=0&to=1&consolidation=MAX").arguments()["from"], 1);
    }

    #[test]
    fn rows_become_columns_of_at_most_so_many_points() {
        let rows: Vec<Value> = (1..=25).map(|time| json!([time * 5, time, null])).collect();
        let table = json!({"step": 5, "fields": ["a", "b"], "rows": rows});
        for (word, first) in [("AVERAGE", 2.0), ("MIN", 1.0), ("MAX", 3.0), ("LAST", 3.0)] {
            let asked = asked(&format!("points=10&consolidation={word}"));
            let columns = Columns::of(&table, &asked).unwrap();
            assert_eq!((columns.step, columns.times.len()), (15, 9));
            assert_eq!((columns.times[0], columns.times[8]), (15, 125));
            assert_eq!((columns.values[0][0], columns.values[1][0]), (Some(first), None));
        }
    }

    #[test]
    fn what_is_unknown_at_the_ends_is_left_out() {
        let table = json!({"step": 1, "fields": ["a"], "rows": [[1, null], [2, 0.5], [3, null], [4, 2], [5, null]]});
        let columns = Columns::of(&table, &asked("")).unwrap();
        assert_eq!((columns.times, columns.values), (vec![2, 3, 4], vec![vec![Some(0.5), None, Some(2.0)]]));
        let unknown = json!({"step": 1, "fields": ["a"], "rows": [[1, null]]});
        assert_eq!(Columns::of(&unknown, &asked("")).unwrap().times.len(), 0);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, query, status) in [
            ("a.csv", "", 404),
            ("a.json", "points=5", 400),
            ("a.json", "consolidation=MEDIAN", 400),
            ("a.json", "from=x", 400),
        ] {
            let problem = Asked::read(name, query, SystemTime::now()).err().unwrap();
            assert_eq!(problem.status.as_u16(), status, "{name} {query}");
        }
    }
}
