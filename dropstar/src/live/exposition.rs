//! Numbers in the text format of Prometheus, version 0.0.4.
//!
//! A family is written whole: its help, its kind, then its samples. Every family and sample is written at most once, so
//! that the names of things, which are labels, are the only text that others choose; they are escaped.

use std::fmt::Write;

/// The media type of the format.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the numbers of a family mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows; its name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Its samples are counts by upper bound, a sum and a count.
    Histogram,
}

/// The text.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

/// A family to which samples are added.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    /// Begins a family. Each name once.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a text can't fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {word}");
        Family { text: &mut self.text, name }
    }

    /// A family of one number without labels.
    pub(super) fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// The text.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// Adds a sample. Each set of labels once.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.part("", labels, value);
    }

    /// Adds a sample of a part of a histogram: `_bucket`, `_sum`, `_count`.
    pub(super) fn part(&mut self, part: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(self.name);
        self.text.push_str(part);
        for (index, (name, value)) in labels.iter().enumerate() {
            self.text.push_str(if index == 0 { "{" } else { "," });
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(value, self.text);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {}", number(value));
    }
}

/// As the format spells it: Go's names for what is no number.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        value.to_string()
    }
}

fn escape(value: &str, text: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_help_kind_and_samples_with_escaped_labels() {
        let mut exposition = Exposition::default();
        let mut family = exposition.family("things", Kind::Gauge, "How many.");
        family.sample(&[("name", "a\"b\\c\nd"), ("kind", "é")], 1.5);
        family.sample(&[], f64::NAN);
        family.sample(&[("name", "most")], f64::INFINITY);
        exposition.single("runs_total", Kind::Counter, "Runs.", 12_345_678_901.0);
        let wanted = "# HELP things How many.\n# TYPE things gauge\n\
                      things{name=\"a\\\"b\\\\c\\nd\",kind=\"é\"} 1.5\nthings NaN\nthings{name=\"most\"} +Inf\n\
                      # HELP runs_total Runs.\n# TYPE runs_total counter\nruns_total 12345678901\n";
        assert_eq!(exposition.into_text(), wanted);
    }
}
