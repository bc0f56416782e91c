//! One line of the log, and its two spellings.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use log::Level;

use super::escape::{push_indented, push_json};
use crate::value::{Map, Value};

/// Targets that say what a line is, and so are shown to people; others are places in our own code.
const SHOWN_TARGETS: &[&str] = &["audit", "output", "script"];

/// The blanks before a second line: as wide as time and level.
const INDENT: usize = "00:00:00.000 error ".len();

static TIME_ZONE: LazyLock<TimeZone> = LazyLock::new(TimeZone::system);

/// Whether a terminal's colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// Level and time stand out.
    On,
    /// Plain text.
    Off,
}

impl Colors {
    /// On for a terminal, unless `NO_COLOR` has a value or `TERM` is `dumb`.
    pub fn for_terminal(is_terminal: bool) -> Self {
        let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        if is_terminal && !is_refused && !is_dumb { Colors::On } else { Colors::Off }
    }
}

/// One line of the log, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub time: Timestamp,
    /// How bad it is.
    pub level: Level,
    /// `output` for what a child printed, `script` for a script, `procblock` for a line of ours, else a library's name.
    pub target: Cow<'static, str>,
    /// The step that a child belongs to.
    pub step: Option<Box<str>>,
    /// The run-thread.
    pub thread: Option<Arc<str>>,
    /// What it says; may have several lines.
    pub text: Box<str>,
}

impl Line {
    /// About what it takes in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        let step = self.step.as_ref().map_or(0, |step| step.len());
        size_of::<Line>() + self.target.len() + self.text.len() + step
    }

    /// For people, with its line end: local time, level, what the line is if it is no message of ours, text.
    pub fn to_text(&self, colors: Colors) -> String {
        let mut out = String::with_capacity(self.text.len() + 48);
        let (dim, level_color, end) = match (colors, self.level) {
            (Colors::Off, _) => ("", "", ""),
            (Colors::On, Level::Error) => ("\x1b[2m", "\x1b[1;31m", "\x1b[0m"),
            (Colors::On, Level::Warn) => ("\x1b[2m", "\x1b[33m", "\x1b[0m"),
            (Colors::On, Level::Info) => ("\x1b[2m", "\x1b[32m", "\x1b[0m"),
            (Colors::On, _) => ("\x1b[2m", "\x1b[2m", "\x1b[0m"),
        };
        let time = self.time.to_zoned(TIME_ZONE.clone()).datetime().time();
        let (hour, minute, second, millisecond) = (time.hour(), time.minute(), time.second(), time.millisecond());
        let level = level_word(self.level);
        let _ =
            write!(out, "{dim}{hour:02}:{minute:02}:{second:02}.{millisecond:03}{end} {level_color}{level:<5}{end} ");
        if SHOWN_TARGETS.contains(&&*self.target) {
            let _ = write!(out, "{dim}{}{end} ", self.target);
        }
        if let Some(step) = &self.step {
            push_indented(&mut out, step, INDENT);
            out.push_str(": ");
        }
        push_indented(&mut out, &self.text, INDENT);
        out.push('\n');
        out
    }

    /// As one JSON object, with its line end.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(self.text.len() + 128);
        let _ = write!(out, "{{\"time\":\"{:.6}\",\"level\":\"{}\",\"target\":", self.time, level_word(self.level));
        push_json(&mut out, &self.target);
        for (name, value) in [("step", self.step.as_deref()), ("thread", self.thread.as_deref())] {
            if let Some(value) = value {
                let _ = write!(out, ",\"{name}\":");
                push_json(&mut out, value);
            }
        }
        out.push_str(",\"text\":");
        push_json(&mut out, &self.text);
        out.push_str("}\n");
        out
    }

    /// As data, with the keys of the JSON line.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("time".into(), format!("{:.6}", self.time).into());
        map.insert("level".into(), level_word(self.level).into());
        map.insert("target".into(), (&*self.target).into());
        if let Some(step) = &self.step {
            map.insert("step".into(), (&**step).into());
        }
        if let Some(thread) = &self.thread {
            map.insert("thread".into(), (&**thread).into());
        }
        map.insert("text".into(), (&*self.text).into());
        Value::Object(map)
    }

    /// Reads [`Line::to_value`]; `None` when it is none.
    pub fn from_value(value: &Value) -> Option<Line> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        Some(Line {
            time: text("time")?.parse().ok()?,
            level: text("level")?.parse().ok()?,
            target: text("target")?.to_string().into(),
            step: text("step").map(Into::into),
            thread: text("thread").map(Into::into),
            text: text("text")?.into(),
        })
    }
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

#[cfg(test)]
pub(super) fn sample(text: &str) -> Line {
    Line {
        time: Timestamp::constant(1_282_115_048, 280_000_000),
        level: Level::Info,
        target: "procblock::thread".into(),
        step: None,
        thread: Some("simplest".into()),
        text: text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_json_has_all_its_parts() {
        let mut line = sample("a \"b\"\nc");
        line.step = Some("greet".into());
        assert_eq!(
            line.to_json(),
            "{\"time\":\"2010-08-18T07:04:08.280000Z\",\"level\":\"info\",\"target\":\"procblock::thread\",\
             \"step\":\"greet\",\"thread\":\"simplest\",\"text\":\"a \\\"b\\\"\\nc\"}\n"
        );
        assert_eq!(serde_json::from_str::<Value>(&line.to_json()).unwrap(), line.to_value());
        assert_eq!(Line::from_value(&line.to_value()), Some(line));
    }

    #[test]
    fn a_line_for_people_has_time_level_and_text_alone() {
        let text = sample("Running Thread: Starting: simplest").to_text(Colors::Off);
        let (time, rest) = text.split_once(' ').unwrap();
        assert_eq!(time.len(), 12, "{time}");
        assert_eq!(rest, "info  Running Thread: Starting: simplest\n");
    }

    #[test]
    fn a_childs_line_names_its_step() {
        let mut line = sample("hello");
        line.target = "output".into();
        line.step = Some("greet".into());
        assert!(line.to_text(Colors::Off).ends_with(" info  output greet: hello\n"));
        assert!(line.to_text(Colors::On).contains("\x1b[32minfo \x1b[0m"));
    }

    #[test]
    fn a_text_of_several_lines_stays_behind_its_first() {
        let text = sample("one\n12:00:00.000 error two").to_text(Colors::Off);
        assert!(text.ends_with(&format!("one\n{:INDENT$}12:00:00.000 error two\n", "")), "{text}");
    }
}
