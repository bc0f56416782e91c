//! Quotes and expansions: where a `${…}` stands, and what is put there.

use crate::expr::ExprError;
use crate::expr::shell_line::reference::{Owner, Word, owner, word};
use crate::expr::shell_line::scanner::{Close, Scanner};
use crate::expr::template::Hole;

/// The most `${…}` of a line.
const HOLES_MAX: usize = 500;

/// Why a `${…}` cannot stand somewhere: where, and what to write instead.
#[derive(Debug)]
pub(super) struct Refusal(&'static str, &'static str);

static SINGLE_QUOTES: Refusal =
    Refusal("inside single quotes", "use double quotes; for these very characters write $${");
static BACKQUOTES: Refusal = Refusal("inside backquotes", "write $(command) instead of `command`");
/// In a here-document whose delimiter is quoted.
pub(super) static QUOTED_DOCUMENT: Refusal = Refusal(
    "inside a quoted here-document",
    "leave the quotes of its delimiter out; for these very characters write $${",
);
static ARITHMETIC: Refusal =
    Refusal("where the shell computes", "compute in the expression, ${a + 1}; for subshells write ( ( and $( (");
static DOCUMENT_PATTERN: Refusal =
    Refusal("in a pattern inside a here-document", "set a variable before it: name=${…}");
static NESTED_QUOTES: Refusal =
    Refusal("inside quotes of the shell's own ${…} inside quotes", "leave the inner quotes out");

/// The quoting around a place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Context {
    Outside,
    DoubleQuotes,
    HereDocument,
    Refused(&'static Refusal),
}

impl Scanner<'_> {
    /// One character, quote or expansion of a word outside quotes.
    pub(super) fn expandable(&mut self, context: Context) -> Result<(), ExprError> {
        match self.peek() {
            Some('\\') => self.copy_characters(2),
            Some('\'') => self.single_quotes(1, false)?,
            Some('"') => {
                let inside = if let Context::Refused(_) = context { context } else { Context::DoubleQuotes };
                self.double_quotes(inside)?;
            }
            Some('`') => self.backquotes()?,
            Some('$') => self.dollar(context)?,
            _ => self.copy_characters(1),
        }
        Ok(())
    }

    fn double_quotes(&mut self, context: Context) -> Result<(), ExprError> {
        self.enter()?;
        let opened = self.position;
        self.copy(1);
        loop {
            match self.peek() {
                None => return Err(self.unclosed("the double quote", opened)),
                Some('"') => break self.copy(1),
                Some('\\') => self.copy_characters(2),
                Some('`') => self.backquotes()?,
                Some('$') => self.dollar(context)?,
                Some(_) => self.copy_characters(1),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// A quote whose beginning has `length` bytes, `'` or `$'`; in the latter a backslash escapes.
    fn single_quotes(&mut self, length: usize, has_escapes: bool) -> Result<(), ExprError> {
        let opened = self.position;
        self.copy(length);
        loop {
            match self.peek() {
                None => return Err(self.unclosed("the single quote", opened)),
                Some('\'') => break self.copy(1),
                Some('\\') if has_escapes => self.copy_characters(2),
                Some(_) => self.unexpanded(&SINGLE_QUOTES)?,
            }
        }
        Ok(())
    }

    pub(super) fn backquotes(&mut self) -> Result<(), ExprError> {
        let opened = self.position;
        self.copy(1);
        loop {
            match self.peek() {
                None => return Err(self.unclosed("the backquote", opened)),
                Some('`') => break self.copy(1),
                Some('\\') => self.copy_characters(2),
                Some(_) => self.unexpanded(&BACKQUOTES)?,
            }
        }
        Ok(())
    }

    /// One character where nothing of ours may stand.
    pub(super) fn unexpanded(&mut self, refusal: &'static Refusal) -> Result<(), ExprError> {
        let rest = self.rest();
        if rest.starts_with("$${") {
            self.skip(1);
            self.copy(2);
            return Ok(());
        }
        if rest.strip_prefix("${").is_some_and(|inside| owner(inside) != Owner::Shell) {
            return Err(self.refused(refusal));
        }
        self.copy_characters(1);
        Ok(())
    }

    fn refused(&mut self, refusal: &Refusal) -> ExprError {
        let Refusal(place, remedy) = refusal;
        ExprError::new(self.column(self.position), format!("\"${{…}}\" cannot be filled {place}"), *remedy)
    }

    /// What begins with `$`.
    pub(super) fn dollar(&mut self, context: Context) -> Result<(), ExprError> {
        let rest = self.rest();
        if rest.starts_with("$${") {
            self.skip(1);
            return self.parameter(context);
        }
        if let Some(inside) = rest.strip_prefix("${") {
            return match owner(inside) {
                Owner::Ours => self.reference(context),
                Owner::Shell => self.parameter(context),
                Owner::Either => {
                    let remedy = "write ${n + 1} to compute, $${n+1} for the shell's own default";
                    let message = "this can be computing or the shell's own default";
                    Err(ExprError::new(self.column(self.position), message, remedy))
                }
            };
        }
        if rest.starts_with("$((") {
            return self.arithmetic(2);
        }
        if rest.starts_with("$(") {
            return self.substitution();
        }
        if rest.starts_with("$'") && matches!(context, Context::Outside) {
            return self.single_quotes(2, true);
        }
        if rest.strip_prefix("$[").is_some_and(is_computed_hole) {
            return Err(self.refused(&ARITHMETIC));
        }
        self.copy(if rest.starts_with("$$") { 2 } else { 1 });
        Ok(())
    }

    /// `$(…)`: a line that ends in it does not begin the here-documents announced outside of it.
    fn substitution(&mut self) -> Result<(), ExprError> {
        let opened = self.position;
        let announced = std::mem::take(&mut self.pending);
        self.copy(2);
        self.commands(Close::Parenthesis, opened)?;
        self.pending.splice(0..0, announced);
        Ok(())
    }

    /// `$((…))` or `((…))`: begins with `open` bytes up to and with the first parenthesis.
    pub(super) fn arithmetic(&mut self, open: usize) -> Result<(), ExprError> {
        self.enter()?;
        let opened = self.position;
        self.copy(open);
        let mut parentheses = 1_usize;
        while parentheses > 0 {
            match self.peek() {
                None => return Err(self.unclosed("the parenthesis", opened)),
                Some('(') => {
                    parentheses += 1;
                    self.copy(1);
                }
                Some(')') => {
                    parentheses -= 1;
                    self.copy(1);
                }
                Some(_) => self.expandable(Context::Refused(&ARITHMETIC))?,
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// The shell's own `${…}`.
    fn parameter(&mut self, context: Context) -> Result<(), ExprError> {
        self.enter()?;
        let opened = self.position;
        let kind = word(self.rest().get(2..).unwrap_or_default());
        let inside = match (context, kind) {
            (Context::Refused(_), _) => context,
            (_, Word::Arithmetic) => Context::Refused(&ARITHMETIC),
            (Context::Outside, _) | (Context::DoubleQuotes, Word::Pattern) => Context::Outside,
            (Context::HereDocument, Word::Pattern) => Context::Refused(&DOCUMENT_PATTERN),
            (quoted, Word::Value) => quoted,
        };
        self.copy(2);
        // A name such as that of `${#}` or `${$}` means nothing else here.
        if self.rest().starts_with(['#', '$', '?', '@', '*', '!', '-']) {
            self.copy(1);
        }
        loop {
            match self.peek() {
                None => return Err(self.unclosed("the shell's own \"${\"", opened)),
                Some('}') => break self.copy(1),
                Some('"') if matches!(inside, Context::DoubleQuotes) => {
                    self.double_quotes(Context::Refused(&NESTED_QUOTES))?;
                }
                Some('"' | '\'') if matches!(inside, Context::HereDocument) => self.copy(1),
                Some('\'') if matches!(inside, Context::DoubleQuotes) => self.copy(1),
                Some(_) => self.expandable(inside)?,
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Ours: becomes a reference.
    fn reference(&mut self, context: Context) -> Result<(), ExprError> {
        if let Context::Refused(refusal) = context {
            return Err(self.refused(refusal));
        }
        let column = self.column(self.position);
        if self.holes.len() >= HOLES_MAX {
            let message = format!("more than {HOLES_MAX} ${{…}} in one line");
            return Err(ExprError::new(column, message, "put the line into a script file"));
        }
        let inside = self.rest().get(2..).unwrap_or_default();
        let (hole, length) = Hole::parse(inside, column, 0)?;
        if Hole::default_of(inside).is_some_and(is_shell_text) {
            let message = "a default is plain text, without quotes and $ of the shell";
            let remedy = "leave the quotes out, or write $${ to have the shell fill in its own default";
            return Err(ExprError::new(column, message, remedy));
        }
        let name = format!("{}{}", self.prefix, self.holes.len() + 1);
        match context {
            Context::Outside => self.output.extend(["\"$", &name, "\""]),
            _ => self.output.extend(["${", &name, "}"]),
        }
        self.holes.push((name, hole));
        self.skip(length + 2);
        Ok(())
    }
}

/// Whether what follows a `$[`, which bash computes, holds a `${` before its `]`.
fn is_computed_hole(inside: &str) -> bool {
    /// How far the `]` is looked for.
    const LENGTH_MAX: usize = 1024;
    let bytes = inside.as_bytes();
    let bytes = bytes.get(..LENGTH_MAX).unwrap_or(bytes);
    let computed = bytes.iter().position(|b| *b == b']').and_then(|end| bytes.get(..end)).unwrap_or_default();
    computed.windows(2).any(|pair| pair == b"${")
}

/// Whether a default holds what means something to a shell: quotes, or a `$` that is not one of ours.
fn is_shell_text(default: &str) -> bool {
    let mut rest = default;
    while let Some(index) = rest.find(['"', '\'', '`', '$']) {
        let found = rest.get(index..).unwrap_or_default();
        match found.strip_prefix("${").and_then(|inside| inside.get(Hole::length(inside)?..)) {
            Some(behind) => rest = behind,
            None => return true,
        }
    }
    false
}
