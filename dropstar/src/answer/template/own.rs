//! Templates of the server's own pages, which are part of the program.

use std::time::{Duration, UNIX_EPOCH};

use minijinja::{Environment, Value as Filled};

use super::describe;
use super::names::filled;
use crate::{Map, Value};

/// What stands for a number that is not known.
const UNKNOWN: &str = "–";

/// Values are shown up to this many characters.
const PREVIEW_MAX: usize = 200;

/// Templates of pages of the server's own. Everything is escaped.
#[derive(Debug)]
pub(crate) struct OwnTemplates {
    environment: Environment<'static>,
}

impl OwnTemplates {
    /// Compiles texts, each under the name by which others extend or import it. Their filters: `words` for seconds,
    /// `grouped` for numbers, `bytes`, `clock` for seconds since 1970, `moment` with the day, `preview` and `pretty` for
    /// values, `address` for names in paths, `below` for names behind a kind of thing.
    ///
    /// # Errors
    /// One is no template; the text says where.
    pub(crate) fn new(texts: &[(&'static str, &'static str)]) -> Result<OwnTemplates, String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::Html);
        environment.add_filter("words", |seconds: Filled| shown(&seconds, words));
        environment.add_filter("grouped", |number: Filled| shown(&number, grouped));
        environment.add_filter("bytes", |bytes: Filled| shown(&bytes, size));
        environment.add_filter("clock", |seconds: Filled| clock(&seconds));
        environment.add_filter("moment", |seconds: Filled| moment(&seconds));
        environment.add_filter("preview", |value: Filled| preview(&value));
        environment.add_filter("pretty", |value: Filled| pretty(&value));
        environment.add_filter("address", |name: String| address(&name));
        environment.add_filter("below", |name: String| below(&name));
        for (name, text) in texts {
            environment.add_template(name, text).map_err(|error| describe(&error, name))?;
        }
        Ok(OwnTemplates { environment })
    }

    /// The template of a name filled.
    ///
    /// # Errors
    /// A name has another kind of value than the template expects.
    pub(crate) fn fill(&self, name: &str, names: Map) -> Result<String, String> {
        let names = filled(Value::Object(names));
        let filled = self.environment.get_template(name).and_then(|template| template.render(names));
        filled.map_err(|error| describe(&error, name))
    }
}

fn shown(value: &Filled, show: impl Fn(f64) -> String) -> String {
    f64::try_from(value.clone()).map_or(UNKNOWN.into(), show)
}

/// Seconds as people say them.
fn words(seconds: f64) -> String {
    let size = seconds.abs();
    if size < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if size < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else if size < 10.0 {
        format!("{seconds:.1} s")
    } else if size < 120.0 {
        format!("{seconds:.0} s")
    } else if size < 7200.0 {
        format!("{:.0} min", seconds / 60.0)
    } else if size < 172_800.0 {
        format!("{:.0} h", seconds / 3600.0)
    } else {
        format!("{:.0} days", seconds / 86_400.0)
    }
}

/// A number with its thousands set apart.
fn grouped(number: f64) -> String {
    let text = if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.3}") };
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), String::new()), |(a, b)| (a, format!(".{b}")));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            // A narrow space that breaks no line.
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

/// The time of day of a moment, in UTC; also of one that is written as RFC 3339 has it.
fn clock(moment: &Filled) -> String {
    if let Some((_, time)) = moment.as_str().and_then(|text| text.split_once('T')) {
        return time.chars().take_while(|character| character.is_ascii_digit() || *character == ':').collect();
    }
    let seconds = moment.as_str().map_or_else(|| f64::try_from(moment.clone()).ok(), |text| text.parse().ok());
    let Some(seconds) = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) else { return UNKNOWN.into() };
    let day = seconds.rem_euclid(86_400.0);
    format!("{:02.0}:{:02.0}:{:02.0}", (day / 3600.0).floor(), (day / 60.0 % 60.0).floor(), (day % 60.0).floor())
}

/// A size, in the unit in which it is short.
fn size(bytes: f64) -> String {
    if bytes < 1024.0 {
        format!("{bytes:.0} B")
    } else if bytes < 1_048_576.0 {
        format!("{:.1} KiB", bytes / 1024.0)
    } else {
        format!("{:.1} MiB", bytes / 1_048_576.0)
    }
}

/// Day and time of a moment, in UTC.
fn moment(seconds: &Filled) -> String {
    let seconds = f64::try_from(seconds.clone()).ok().filter(|seconds| (0.0..4e11).contains(seconds));
    let Some(moment) = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs_f64(seconds))) else {
        return UNKNOWN.into();
    };
    let text = httpdate::fmt_http_date(moment);
    let parts: Vec<&str> = text.split(' ').collect();
    match parts.as_slice() {
        [_, day, month, year, time, _] => format!("{day} {month} {year} {time}"),
        _ => UNKNOWN.into(),
    }
}

/// A value as JSON, line by line.
fn pretty(value: &Filled) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The beginning of a value as JSON.
fn preview(value: &Filled) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    match text.char_indices().nth(PREVIEW_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// A name within a path.
fn address(name: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');
    percent_encoding::utf8_percent_encode(name, KEPT).to_string()
}

/// What stands behind the path of a kind of things for one of them: a part of the path, or the query's `name` where
/// browsers would change the path.
pub(crate) fn below(name: &str) -> String {
    let is_kept = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    match is_kept {
        true => format!("/{}", address(name)),
        false => format!("?{}", form_urlencoded::Serializer::new(String::new()).append_pair("name", name).finish()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_shown_as_people_read_them() {
        for (seconds, wanted) in
            [(0.000_25, "250 µs"), (0.25, "250 ms"), (2.54, "2.5 s"), (90.0, "90 s"), (300.0, "5 min"), (4e5, "5 days")]
        {
            assert_eq!(words(seconds), wanted);
        }
        for (number, wanted) in [(7.0, "7"), (-1234.0, "-1\u{202f}234"), (1_234_567.25, "1\u{202f}234\u{202f}567.250")]
        {
            assert_eq!(grouped(number), wanted);
        }
        assert_eq!(clock(&Filled::from("86399.999999")), "23:59:59");
        assert_eq!(clock(&Filled::from("2026-11-21T08:10:24.508466Z")), "08:10:24");
        assert_eq!(clock(&Filled::from(())), UNKNOWN);
        assert_eq!(moment(&Filled::from(1_000_000_000.5)), "09 Sep 2001 01:46:40");
        assert_eq!(moment(&Filled::from(-1.0)), UNKNOWN);
        assert_eq!([size(1000.0), size(2048.0), size(3e6)], ["1000 B", "2.0 KiB", "2.9 MiB"]);
        assert_eq!(below("disk/root a?"), "/disk/root%20a%3F");
        assert_eq!([below("../a"), below("a//b")], ["?name=..%2Fa", "?name=a%2F%2Fb"]);
        assert_eq!(address("a b/ü\"<"), "a%20b/%C3%BC%22%3C");
        assert_eq!(preview(&Filled::from("x".repeat(300))).chars().count(), PREVIEW_MAX + 1);
    }

    #[test]
    fn everything_is_escaped() {
        let template = OwnTemplates::new(&[("a", "{{ a }} {{ a|preview }} {{ a|pretty }} {{ none|words }}")]).unwrap();
        let filled = template.fill("a", Map::from_iter([("a".to_string(), json!("<b>\"'"))])).unwrap();
        assert!(!filled.contains('<') && !filled.contains('"') && filled.ends_with(UNKNOWN), "{filled}");
        assert!(OwnTemplates::new(&[("a", "{% if %}")]).is_err());
    }
}
