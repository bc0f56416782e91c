//! The table of figures: its rows, printed and kept in a file between two marks.

use std::fmt;
use std::io::Write;
use std::path::Path;

use crate::Outcome;
use crate::rounds::Pairs;

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// Nothing is promised; it is shown.
    Shown,
}

impl Target {
    fn met(self, figure: f64) -> &'static str {
        match self {
            Target::AtMost(limit) if figure <= limit => "yes",
            Target::AtLeast(limit) if figure >= limit => "yes",
            Target::Shown => "–",
            _ => "**no**",
        }
    }
}

/// A unit that a figure is shown in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    /// Given in seconds, shown as milliseconds.
    Milliseconds,
    /// Given in seconds, shown as microseconds.
    Microseconds,
    /// Things a second.
    PerSecond(&'static str),
    /// Given in bytes, shown as MB (10^6).
    Megabytes,
    /// A count of things.
    Count(&'static str),
    /// Given as a fraction of one core.
    Percent,
}

impl Unit {
    fn show(self, figure: f64) -> String {
        match self {
            Unit::Milliseconds => format!("{:.2} ms", figure * 1e3),
            Unit::Microseconds => format!("{:.0} µs", figure * 1e6),
            Unit::PerSecond(things) => format!("{} {things}/s", thousands(figure)),
            Unit::Megabytes => format!("{:.1} MB", figure / 1e6),
            Unit::Count(things) => format!("{} {things}", thousands(figure)),
            Unit::Percent => format!("{:.1} %", figure * 100.0),
        }
    }
}

/// 1234567 as `1,234,567`.
fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    cells: [String; 6],
}

impl Row {
    /// A figure beside a peer's; the target is for their ratio.
    pub(crate) fn beside(what: &str, peer_name: &str, unit: Unit, pairs: &Pairs, target: Target) -> Row {
        let (ours, peer, ratio) = (pairs.ours(), pairs.peer(), pairs.ratio());
        let wanted = match target {
            Target::AtMost(limit) => format!("at most {limit}"),
            Target::AtLeast(limit) => format!("at least {limit}"),
            Target::Shown => "–".into(),
        };
        let peer = format!("{peer_name}: {}", unit.show(peer));
        let met = target.met(ratio).into();
        Row { cells: [what.into(), unit.show(ours), peer, format!("{ratio:.2}"), wanted, met] }
    }

    /// A figure alone; the target is for itself.
    pub(crate) fn alone(what: &str, unit: Unit, figure: f64, target: Target) -> Row {
        let wanted = match target {
            Target::AtMost(limit) => format!("at most {}", unit.show(limit)),
            Target::AtLeast(limit) => format!("at least {}", unit.show(limit)),
            Target::Shown => "–".into(),
        };
        let met = target.met(figure).into();
        Row { cells: [what.into(), unit.show(figure), "–".into(), "–".into(), wanted, met] }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "| {} |", self.cells.join(" | "))
    }
}

/// The rows as a table in Markdown.
pub(crate) fn to_markdown(rows: &[Row]) -> String {
    let mut text = "| what | ours | peer | ratio | target | met |\n| --- | --- | --- | --- | --- | --- |\n".to_string();
    for row in rows {
        text.push_str(&format!("{row}\n"));
    }
    text
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Replaces what stands between `<!-- NAME -->` and `<!-- end of NAME -->` in a file.
pub(crate) fn replace_in(file: &Path, name: &str, text: &str) -> Outcome<()> {
    let old = std::fs::read_to_string(file)?;
    let new = replaced(&old, name, text).ok_or_else(|| format!("{} has no marks of {name}", file.display()))?;
    Ok(std::fs::write(file, new)?)
}

fn replaced(old: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = old.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{text}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_replaced_between_its_marks() {
        let old = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n";
        assert_eq!(replaced(old, "x", "new\n").unwrap(), "a\n<!-- x -->\n\nnew\n\n<!-- end of x -->\nb\n");
        assert_eq!(replaced(old, "y", "new"), None);
    }

    #[test]
    fn figures_are_shown_in_their_units() {
        assert_eq!(Unit::PerSecond("steps").show(1_234_567.4), "1,234,567 steps/s");
        assert_eq!(Unit::Count("runs").show(12.0), "12 runs");
        assert_eq!(Unit::Megabytes.show(12_340_000.0), "12.3 MB");
    }

    #[test]
    fn a_target_is_met_at_its_edge() {
        assert_eq!(Target::AtMost(0.5).met(0.5), "yes");
        assert_eq!(Target::AtLeast(0.5).met(0.49), "**no**");
    }
}
