//! Pages of the reference and their two forms: Markdown and plain text.

use std::fmt::Write;

/// One page: a file in `docs/reference`, a topic of `procblock docs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The file's stem: `command-line`.
    pub name: &'static str,
    /// One line, for the index.
    pub summary: &'static str,
    /// What it says; the first part is its heading.
    pub parts: Vec<Part>,
}

/// A piece of a page. Texts are Markdown with nothing but `code` spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A heading of level 1 to 4.
    Heading(usize, String),
    /// A paragraph.
    Paragraph(String),
    /// A fenced block: language and text.
    Code(&'static str, String),
    /// Column titles and rows.
    Table(Vec<&'static str>, Vec<Vec<String>>),
}

/// The page as Markdown.
pub fn markdown(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        if !text.is_empty() {
            text.push('\n');
        }
        match part {
            Part::Heading(level, title) => {
                let _ = writeln!(text, "{} {title}", "#".repeat(*level));
            }
            Part::Paragraph(words) => {
                let _ = writeln!(text, "{words}");
            }
            Part::Code(language, code) => {
                let _ = writeln!(text, "```{language}\n{code}\n```");
            }
            Part::Table(titles, rows) => {
                let _ = writeln!(text, "| {} |", titles.join(" | "));
                let _ = writeln!(text, "|{}", " --- |".repeat(titles.len()));
                for row in rows {
                    let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
                    let _ = writeln!(text, "| {} |", cells.join(" | "));
                }
            }
        }
    }
    text
}

/// How far the cells of a table stand in.
const INDENT: usize = 4;

/// The same parts as plain text, at most `width` columns wide where words allow it.
pub fn terminal(parts: &[Part], width: usize) -> String {
    let mut text = String::new();
    for part in parts {
        if !text.is_empty() && !matches!(part, Part::Code(..)) {
            text.push('\n');
        }
        match part {
            Part::Heading(1, title) => {
                let _ = writeln!(text, "{title}\n{}", "=".repeat(title.chars().count()));
            }
            Part::Heading(2, title) => {
                let _ = writeln!(text, "{title}\n{}", "-".repeat(title.chars().count()));
            }
            Part::Heading(_, title) => {
                let _ = writeln!(text, "{title}:");
            }
            Part::Paragraph(words) => text.push_str(&wrap(words, 0, width)),
            Part::Code(_, code) => {
                text.push('\n');
                for line in code.lines() {
                    let _ = writeln!(text, "{}", format!("{:INDENT$}{line}", "").trim_end());
                }
            }
            Part::Table(titles, rows) => rows.iter().for_each(|row| terms(&mut text, titles, row, width)),
        }
    }
    text
}

/// A row of a table: its first cell, the middle ones in brackets, the last one below it.
fn terms(text: &mut String, titles: &[&'static str], row: &[String], width: usize) {
    let (Some(first), Some(last)) = (row.first(), row.last()) else { return };
    let middle: Vec<String> = titles
        .iter()
        .zip(row)
        .skip(1)
        .take(row.len().saturating_sub(2))
        .filter(|(_, cell)| !cell.is_empty())
        .map(|(title, cell)| match (*title, cell.as_str()) {
            ("value", _) | (_, "required") => cell.clone(),
            _ => format!("{title}: {cell}"),
        })
        .collect();
    let notes = if middle.is_empty() { String::new() } else { format!(" ({})", middle.join("; ")) };
    text.push_str(&wrap(&format!("{first}{notes}"), 0, width));
    if row.len() > 1 {
        text.push_str(&wrap(last, INDENT, width));
    }
}

/// Words in lines of at most `width` columns, each `indent` columns in.
fn wrap(words: &str, indent: usize, width: usize) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in words.split_whitespace() {
        let needed = indent + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && needed > width {
            let _ = writeln!(lines, "{:indent$}{line}", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(lines, "{:indent$}{line}", "");
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_at_the_width() {
        assert_eq!(wrap("one two three", 2, 10), "  one two\n  three\n");
        assert_eq!(wrap("unbreakable", 0, 4), "unbreakable\n");
    }

    #[test]
    fn a_bar_in_a_cell_does_not_end_it() {
        let table = Part::Table(vec!["a"], vec![vec!["x|y".into()]]);
        assert_eq!(markdown(&[table]), "| a |\n| --- |\n| x\\|y |\n");
    }

    #[test]
    fn a_table_is_a_list_of_terms_on_a_terminal() {
        let row = vec!["`timeout`".to_string(), "a duration".into(), "none".into(), "How long.".into()];
        let table = Part::Table(vec!["key", "value", "default", "meaning"], vec![row]);
        assert_eq!(terminal(&[table], 80), "`timeout` (a duration; default: none)\n    How long.\n");
    }
}
