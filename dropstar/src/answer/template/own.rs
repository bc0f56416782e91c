//! Templates of the server's own pages, which are part of the program.

use minijinja::{Environment, Value as Filled};

use super::describe;
use super::names::filled;
use crate::{Map, Value};

/// What stands for a number that is not known.
const UNKNOWN: &str = "–";

/// Values are shown up to this many characters.
const PREVIEW_MAX: usize = 200;

/// A template of a page of the server's own. Everything is escaped.
#[derive(Debug)]
pub(crate) struct OwnTemplate {
    environment: Environment<'static>,
}

impl OwnTemplate {
    /// Compiles a text. Its filters: `words` for seconds, `grouped` for numbers, `bytes`, `clock` for seconds since 1970,
    /// `preview` for values, `address` for names in paths.
    ///
    /// # Errors
    /// It is no template; the text says where.
    pub(crate) fn new(text: &'static str) -> Result<OwnTemplate, String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::Html);
        environment.add_filter("words", |seconds: Filled| shown(&seconds, words));
        environment.add_filter("grouped", |number: Filled| shown(&number, grouped));
        environment
            .add_filter("bytes", |bytes: Filled| shown(&bytes, |bytes| format!("{:.1} MiB", bytes / 1_048_576.0)));
        environment.add_filter("clock", |seconds: Filled| clock(&seconds));
        environment.add_filter("preview", |value: Filled| preview(&value));
        environment.add_filter("address", |name: String| address(&name));
        let added = environment.add_template("own", text);
        added.map_err(|error| describe(&error, "the page"))?;
        Ok(OwnTemplate { environment })
    }

    /// The template filled.
    ///
    /// # Errors
    /// A name has another kind of value than the template expects.
    pub(crate) fn fill(&self, names: Map) -> Result<String, String> {
        let names = filled(Value::Object(names));
        let filled = self.environment.get_template("own").and_then(|template| template.render(names));
        filled.map_err(|error| describe(&error, "the page"))
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

/// The time of day of a moment, in UTC.
fn clock(moment: &Filled) -> String {
    let seconds = moment.as_str().map_or_else(|| f64::try_from(moment.clone()).ok(), |text| text.parse().ok());
    let Some(seconds) = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) else { return UNKNOWN.into() };
    let day = seconds.rem_euclid(86_400.0);
    format!("{:02.0}:{:02.0}:{:02.0}", (day / 3600.0).floor(), (day / 60.0 % 60.0).floor(), (day % 60.0).floor())
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
        assert_eq!(clock(&Filled::from(())), UNKNOWN);
        assert_eq!(address("a b/ü\"<"), "a%20b/%C3%BC%22%3C");
        assert_eq!(preview(&Filled::from("x".repeat(300))).chars().count(), PREVIEW_MAX + 1);
    }

    #[test]
    fn everything_is_escaped() {
        let template = OwnTemplate::new("{{ a }} {{ a|preview }} {{ none|words }}").unwrap();
        let filled = template.fill(Map::from_iter([("a".to_string(), json!("<b>\"'"))])).unwrap();
        assert!(!filled.contains('<') && !filled.contains('"') && filled.ends_with(UNKNOWN), "{filled}");
        assert!(OwnTemplate::new("{% if %}").is_err());
    }
}
