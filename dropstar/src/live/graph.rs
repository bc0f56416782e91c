//! `/graph/SERIES.png?from=-1d&width=600`: pictures of series, drawn by the instance and kept for a while.
//!
//! A picture is kept for as long as half a pixel of it, within bounds, and however many ask for the same one it is drawn
//! once. Their bytes in memory are bounded.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::answer::{AnswerBody, Problem};
use crate::live::window::Query;
use crate::server::handle::Allowed;
use crate::{Graph, GraphFormat};

/// The bytes of pictures kept in memory.
const MEMORY_MAX: u64 = 16 * 1024 * 1024;

/// Pictures expected in memory; more is no error.
const PICTURES_EXPECTED: usize = 500;

/// How long a picture may take, the wait for its turn included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How old a picture may be: half a pixel, but not less or more than these.
const AGE_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Samples older than this do not come any more.
const SETTLED: Duration = Duration::from_secs(600);

/// Width and height in pixels unless told, and their bounds.
const WIDTH: (u32, (u32, u32)) = (600, (100, 4000));
const HEIGHT: (u32, (u32, u32)) = (200, (50, 4000));

/// What was drawn lately.
pub(crate) struct Pictures {
    kept: Cache<Asked, Bytes, BySize>,
}

/// A picture in its time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    graph: Graph,
    /// Which of the times of `graph.age_max` it is; 0 where nothing changes any more.
    turn: u64,
}

#[derive(Clone)]
struct BySize;

impl Weighter<Asked, Bytes> for BySize {
    fn weight(&self, asked: &Asked, picture: &Bytes) -> u64 {
        (picture.len() + asked.graph.series.len() + size_of::<Asked>()) as u64
    }
}

impl Pictures {
    /// None yet.
    pub(crate) fn new() -> Self {
        Pictures { kept: Cache::with_weighter(PICTURES_EXPECTED, MEMORY_MAX, BySize) }
    }
}

impl Asked {
    /// Reads the path behind `/graph/` and the query.
    ///
    /// # Errors
    /// What is wrong of them.
    fn read(name: &str, query: &str, now: SystemTime) -> Result<Asked, Problem> {
        let (series, format) = match name.rsplit_once('.') {
            Some((series, "png")) => (series, GraphFormat::Png),
            Some((series, "svg")) => (series, GraphFormat::Svg),
            _ => return Err(Problem::new(StatusCode::NOT_FOUND, "expected /graph/SERIES.png or /graph/SERIES.svg")),
        };
        Asked::of(series, format, &Query::read(query), now).map_err(|text| Problem::new(StatusCode::BAD_REQUEST, text))
    }

    fn of(series: &str, format: GraphFormat, query: &Query<'_>, now: SystemTime) -> Result<Asked, String> {
        let window = query.window(now)?;
        let width = query.number("width", WIDTH.0, WIDTH.1)?;
        let height = query.number("height", HEIGHT.0, HEIGHT.1)?;
        let is_dark = query.get("dark").is_some_and(|word| matches!(word, "1" | "true" | "yes"));
        let half_pixel = window.length() / width / 2;
        let age = Duration::from_secs(half_pixel.clamp(AGE_BOUNDS.0, AGE_BOUNDS.1).as_secs());
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let turn = since.as_secs().checked_div(age.as_secs()).unwrap_or_default();
        let is_settled = now.duration_since(window.to).is_ok_and(|past| past > SETTLED);
        // A window that moves stands still for a turn, so that all who look see the same picture.
        let stand = Duration::from_secs(since.as_secs().checked_rem(age.as_secs()).unwrap_or_default());
        let still = |moment: SystemTime| if is_settled { moment } else { moment.checked_sub(stand).unwrap_or(moment) };
        let graph = Graph {
            series: series.to_string(),
            from: still(window.from),
            to: still(window.to),
            width,
            height,
            format,
            is_dark,
            age_max: age,
        };
        Ok(Asked { graph, turn: if is_settled { 0 } else { turn } })
    }
}

/// Answers with a picture.
///
/// # Errors
/// An argument is wrong, there is no such series, too much is going on, or it can't be drawn.
pub(crate) async fn answer(allowed: &Allowed<'_>, name: &str) -> Result<Response<AnswerBody>, Problem> {
    let asked = Asked::read(name, allowed.head.query(), SystemTime::now())?;
    let drawing = async {
        let deadline = Instant::now() + TIMEOUT;
        let _turn = allowed.serving.turns.take(deadline).await.map_err(|_| Problem::busy())?;
        let drawn = allowed.serving.surroundings.instance.draw(&asked.graph).await;
        drawn.map(Bytes::from).map_err(|failure| Problem::failure(&allowed.head.path, &failure))
    };
    let kept = &allowed.serving.surroundings.pictures.kept;
    let picture = tokio::time::timeout(TIMEOUT, kept.get_or_insert_async(&asked, drawing)).await;
    let picture = picture.unwrap_or_else(|_| Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "it took too long")))?;
    let kind = match asked.graph.format {
        GraphFormat::Png => "image/png",
        GraphFormat::Svg => "image/svg+xml",
    };
    let mut answer = Response::new(AnswerBody::Whole(picture));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let control = HeaderValue::try_from(format!("private, max-age={}", asked.graph.age_max.as_secs()));
    answer.headers_mut().insert(CACHE_CONTROL, control.unwrap_or(HeaderValue::from_static("no-cache")));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tenths: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(tenths * 100)
    }

    fn asked(query: &str, now: SystemTime) -> Asked {
        Asked::read("cpu/a b.png", query, now).unwrap_or_else(|problem| panic!("{query}: {}", problem.text))
    }

    #[test]
    fn a_moving_window_stands_still_for_half_a_pixel() {
        // A pixel of an hour in 600 pixels is 6 s.
        let first = asked("from=-1h", at(30_000_000));
        assert_eq!(first.graph.age_max, Duration::from_secs(3));
        assert_eq!(first, asked("from=-1h&x=1", at(30_000_020)));
        assert_ne!(first, asked("from=-1h", at(30_000_031)));
        assert_eq!(asked("from=-1m", at(30_000_000)).graph.age_max, AGE_BOUNDS.0);
        assert_eq!(asked("from=-5y", at(30_000_000)).graph.age_max, AGE_BOUNDS.1);
        for other in ["from=-1h&dark=1", "from=-1h&width=601", "from=-1h&height=90", "from=-2h"] {
            assert_ne!(first, asked(other, at(30_000_000)), "{other}");
        }
    }

    #[test]
    fn a_window_that_is_past_is_always_the_same() {
        let query = "from=1000000&to=1003600";
        let now = at(30_000_000);
        assert_eq!(asked(query, now), asked(query, now + Duration::from_secs(86_400)));
        assert_eq!(asked(query, now).graph.to, at(10_036_000));
        let unsettled = "from=2999000&to=2999990";
        assert_ne!(asked(unsettled, now), asked(unsettled, now + Duration::from_secs(70)));
    }

    #[test]
    fn only_pictures_have_names_here() {
        for (name, status) in [("cpu.png", 200), ("cpu.gif", 404), ("cpu", 404), ("", 404)] {
            let read = Asked::read(name, "", at(30_000_000));
            assert_eq!(read.map_or_else(|problem| problem.status.as_u16(), |_| 200), status, "{name}");
        }
        let problem = Asked::read("cpu.png", "width=1", at(30_000_000)).unwrap_err();
        assert_eq!(
            (problem.status.as_u16(), &*problem.text),
            (400, "width is \"1\", expected a number from 100 to 4000")
        );
    }
}
