//! From when to when: the arguments `from` and `to` of graphs and series.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// The year 5138, the latest time that a series takes, in seconds since 1970.
const MOMENT_MAX: u64 = 100_000_000_000;

/// How far back a window reaches unless told.
const BACK_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// What is asked for, by name; the first of a name counts.
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Reads what stands behind the question mark.
    pub(crate) fn read(text: &'a str) -> Self {
        Query(form_urlencoded::parse(text.as_bytes()).collect())
    }

    /// The value of a name, unless it is absent or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// A number within bounds.
    ///
    /// # Errors
    /// It is none, or outside.
    pub(crate) fn number(&self, name: &str, default: u32, bounds: (u32, u32)) -> Result<u32, String> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (bounds.0..=bounds.1).contains(number));
        number.ok_or_else(|| format!("{name} is {text:?}, expected a number from {} to {}", bounds.0, bounds.1))
    }

    /// The window from `from` (default: a day ago) to `to` (default: now).
    ///
    /// # Errors
    /// One of them is no time, or the window ends before it begins.
    pub(crate) fn window(&self, now: SystemTime) -> Result<Window, String> {
        let to = self.get("to").map_or(Ok(now), |text| moment("to", text, now))?;
        let from = match self.get("from") {
            Some(text) => moment("from", text, now)?,
            None => back(to, BACK_DEFAULT),
        };
        match to.duration_since(from) {
            Ok(length) if !length.is_zero() => Ok(Window { from, to }),
            _ => Err("the window ends before it begins: from must be earlier than to".into()),
        }
    }
}

/// From when to when. Not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: SystemTime,
    pub(crate) to: SystemTime,
}

impl Window {
    /// How long it is.
    pub(crate) fn length(self) -> Duration {
        self.to.duration_since(self.from).unwrap_or_default()
    }
}

/// So long before a moment, but not before 1970.
fn back(moment: SystemTime, length: Duration) -> SystemTime {
    moment.checked_sub(length).unwrap_or(SystemTime::UNIX_EPOCH).max(SystemTime::UNIX_EPOCH)
}

/// `now`, `-1h`, `-1h30m`, or seconds since 1970.
fn moment(name: &str, text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let read = match text.strip_prefix('-') {
        Some(length) => duration(length).map(|length| back(now, length)),
        None if text == "now" => Some(now),
        None => text
            .parse::<u64>()
            .ok()
            .filter(|seconds| *seconds <= MOMENT_MAX)
            .map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
    };
    read.ok_or_else(|| format!("{name} is {text:?}, expected now, -90s, -1h, -1h30m, -7d or seconds since 1970"))
}

/// `90s`, `1h30m`, `7d`; plain numbers are seconds.
fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds.min(MOMENT_MAX)));
    }
    let (mut rest, mut total) = (text, 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let (number, unit) = rest.split_at(digits);
        let end = unit.find(|character: char| character.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, more) = unit.split_at(end);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            "y" => 365 * 86_400,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(seconds)?)?;
        rest = more;
    }
    (!text.is_empty() && total <= MOMENT_MAX).then(|| Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn windows_are_relative_or_absolute() {
        let now = at(1_000_000);
        for (query, from, to) in [
            ("", 1_000_000 - 86_400, 1_000_000),
            ("from=-1h", 996_400, 1_000_000),
            ("from=-1h30m&to=-30m", 994_600, 998_200),
            ("from=-90", 999_910, 1_000_000),
            ("from=500&to=900", 500, 900),
            ("to=500", 0, 500),
            ("from=&to=now", 1_000_000 - 86_400, 1_000_000),
            ("from=-5y", 0, 1_000_000),
        ] {
            assert_eq!(Query::read(query).window(now), Ok(Window { from: at(from), to: at(to) }), "{query}");
        }
    }

    #[test]
    fn what_is_no_window_is_named() {
        for (query, expected) in [
            ("from=yesterday", "from is \"yesterday\", expected now, -90s"),
            ("from=-1x", "from is \"-1x\""),
            ("from=-h", "from is \"-h\""),
            ("from=-", "from is \"-\""),
            ("to=-99999999999999999999y", "to is \"-99999999999999999999y\""),
            ("to=100000000001", "to is \"100000000001\""),
            ("from=900&to=500", "the window ends before it begins"),
            ("from=now", "the window ends before it begins"),
        ] {
            let text = Query::read(query).window(at(1_000_000)).unwrap_err();
            assert!(text.starts_with(expected), "{query}: {text}");
        }
        let query = Query::read("width=50&height=x&points=9");
        assert_eq!(
            query.number("width", 600, (100, 4000)).unwrap_err(),
            "width is \"50\", expected a number from 100 to 4000"
        );
        assert!(query.number("height", 200, (50, 4000)).is_err());
        assert_eq!(query.number("other", 7, (1, 10)), Ok(7));
    }
}
