//! Here-documents: their delimiter behind `<<`, and where their lines end.

/// A here-document whose lines begin behind the current line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HereDocument {
    /// The line that ends it.
    pub(super) delimiter: String,
    /// Whether the delimiter was quoted, so that nothing is expanded.
    pub(super) is_quoted: bool,
    /// Whether tabs before its lines are dropped (`<<-`).
    pub(super) drops_tabs: bool,
}

impl HereDocument {
    /// Reads what begins with `<<`; gives the bytes read too. `None` when no delimiter follows.
    pub(super) fn parse(text: &str) -> Option<(HereDocument, usize)> {
        let behind = text.strip_prefix("<<")?;
        let drops_tabs = behind.starts_with('-');
        let behind = behind.strip_prefix('-').unwrap_or(behind);
        let word = behind.trim_start_matches([' ', '\t']);
        let mut delimiter = String::new();
        let mut is_quoted = false;
        let mut quote = None;
        let mut length = 0;
        let mut characters = word.chars();
        while let Some(character) = characters.next() {
            match (quote, character) {
                (Some(open), close) if open == close => quote = None,
                (Some(_), inside) => delimiter.push(inside),
                (None, '\'' | '"') => (quote, is_quoted) = (Some(character), true),
                (None, '\\') => {
                    is_quoted = true;
                    delimiter.extend(characters.next());
                }
                (None, ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>') => break,
                (None, other) => delimiter.push(other),
            }
            length = word.len() - characters.as_str().len();
        }
        if length == 0 {
            return None;
        }
        let read = text.len() - word.len() + length;
        Some((HereDocument { delimiter, is_quoted, drops_tabs }, read))
    }

    /// The bytes of its lines in a text that begins with them: to its delimiter, else all.
    pub(super) fn body_length(&self, text: &str) -> usize {
        let mut length = 0;
        for line in text.split_inclusive('\n') {
            let content = line.strip_suffix('\n').unwrap_or(line);
            let content = if self.drops_tabs { content.trim_start_matches('\t') } else { content };
            if content == self.delimiter {
                return length;
            }
            length += line.len();
        }
        length
    }
}
