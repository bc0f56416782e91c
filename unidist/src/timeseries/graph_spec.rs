//! What a graph of a series shows.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spec::validate_path;

/// One picture of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GraphSpec {
    /// Where it is written; `.svg` gives SVG, everything else PNG. Missing folders are created.
    pub path: PathBuf,
    /// Above it: plain text. Default: none.
    pub title: String,
    /// Which fields, in this order; empty is all of them.
    pub fields: Vec<String>,
    /// How they are drawn. Default: [`GraphMethod::Stack`], the ancestor's.
    pub method: GraphMethod,
    /// One point for so many seconds of data. Default: the series' own interval.
    pub interval: Option<Duration>,
    /// How far back it reaches. Default: 600 s, or 120 intervals of the series if that is more.
    pub period: Option<Duration>,
    /// Beside the vertical axis: plain text. Default: none.
    pub vertical_label: String,
    /// Width of the canvas in pixels, 50 to 4,000. Default: 400.
    pub width: u32,
    /// Height of the canvas in pixels, 30 to 4,000. Default: 100.
    pub height: u32,
    /// The axis begins here, or lower if a value does. Default: 0; none lets the values choose.
    pub lower_limit: Option<f64>,
    /// The axis reaches at least so far. Default: none.
    pub upper_limit: Option<f64>,
    /// Neither limit gives way to values. Default: false.
    pub rigid: bool,
    /// Everything so many times larger, for dense screens: 1 to 4. Default: 1.
    pub zoom: f64,
    /// `#rrggbb` for each field in turn; shorter lists are continued by the defaults.
    pub colors: Vec<String>,
    /// Light on dark, for dark pages. Default: false.
    #[serde(default)]
    pub is_dark: bool,
}

/// How the fields of a graph are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum GraphMethod {
    /// Areas on top of each other, outlined.
    #[default]
    Stack,
    /// A line each.
    Line,
    /// Translucent areas one over the other, outlined.
    Area,
}

/// The picture's format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GraphFormat {
    /// Portable Network Graphics.
    #[default]
    Png,
    /// Scalable Vector Graphics.
    Svg,
}

impl GraphMethod {
    /// Every method with its name in YAML.
    pub const ALL: [(GraphMethod, &'static str); 3] =
        [(GraphMethod::Stack, "STACK"), (GraphMethod::Line, "LINE"), (GraphMethod::Area, "AREA")];

    /// The method of that name; letters of either case.
    pub fn from_name(name: &str) -> Option<GraphMethod> {
        Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(method, _)| *method)
    }
}

impl Default for GraphSpec {
    fn default() -> Self {
        GraphSpec {
            path: PathBuf::new(),
            title: String::new(),
            fields: Vec::new(),
            method: GraphMethod::Stack,
            interval: None,
            period: None,
            vertical_label: String::new(),
            width: 400,
            height: 100,
            lower_limit: Some(0.0),
            upper_limit: None,
            rigid: false,
            zoom: 1.0,
            colors: Vec::new(),
            is_dark: false,
        }
    }
}

impl GraphSpec {
    /// A graph of all fields with every default.
    pub fn new(path: impl Into<PathBuf>, title: impl Into<String>) -> Self {
        GraphSpec { path: path.into(), title: title.into(), ..Self::default() }
    }

    /// SVG if the path says so, else PNG.
    pub fn format(&self) -> GraphFormat {
        let is_svg = self.path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
        if is_svg { GraphFormat::Svg } else { GraphFormat::Png }
    }

    /// Checks everything that can be checked without the series; an empty path is one that is not written.
    ///
    /// # Errors
    /// The first mistake: what was found and what is expected.
    pub fn validate(&self) -> Result<(), String> {
        if !self.path.as_os_str().is_empty() {
            validate_path(&self.path)?;
        }
        for (word, pixels, least) in [("width", self.width, 50), ("height", self.height, 30)] {
            if !(least..=4000).contains(&pixels) {
                return Err(format!("{word} is {pixels} pixels, expected {least} to 4000"));
            }
        }
        if !(1.0..=4.0).contains(&self.zoom) {
            return Err(format!("zoom is {}, expected 1 to 4", self.zoom));
        }
        for (word, duration) in [("interval", self.interval), ("period", self.period)] {
            if let Some(duration) = duration
                && !(1..=3_153_600_000).contains(&duration.as_secs())
            {
                return Err(format!("{word} is {} s, expected 1 s to 100 years", duration.as_secs_f64()));
            }
        }
        let limits = [self.lower_limit, self.upper_limit];
        if limits.iter().flatten().any(|limit| !limit.is_finite()) {
            return Err("a limit is not finite, expected a number, or none for no limit".into());
        }
        if let [Some(lower), Some(upper)] = limits
            && lower >= upper
        {
            return Err(format!("lower limit {lower} is not below upper limit {upper}, expected lower below upper"));
        }
        match self.colors.iter().find(|color| !is_color(color)) {
            Some(color) => Err(format!("{color:?} is no color, expected #rrggbb such as #3a7bd5")),
            None => Ok(()),
        }
    }
}

fn is_color(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_the_format_follows_the_path() {
        let graph = GraphSpec::new("a.png", "A");
        assert_eq!((graph.validate(), graph.format()), (Ok(()), GraphFormat::Png));
        assert_eq!(GraphSpec::new("a.SVG", "A").format(), GraphFormat::Svg);
    }

    type Change = fn(&mut GraphSpec);

    #[test]
    fn every_mistake_names_what_was_expected() {
        let cases: [(Change, &str); 6] = [
            (|g| g.width = 1, "width is 1 pixels, expected 50 to 4000"),
            (|g| g.height = 5000, "height is 5000"),
            (|g| g.zoom = 0.0, "zoom is 0"),
            (|g| g.period = Some(Duration::ZERO), "period is 0 s"),
            (|g| g.upper_limit = Some(-1.0), "lower limit 0 is not below upper limit -1"),
            (|g| g.colors = vec!["red".into()], "\"red\" is no color, expected #rrggbb"),
        ];
        for (change, expected) in cases {
            let mut wrong = GraphSpec::new("a.png", "A");
            change(&mut wrong);
            let told = wrong.validate().unwrap_err();
            assert!(told.contains(expected), "{told}");
        }
    }
}
