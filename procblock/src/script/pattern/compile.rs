//! Lua patterns (Lua 5.4 manual, 6.4.1) turned into a list of items.
//!
//! The whole pattern is read before matching, so that a malformed one is always an error; stock Lua tells it only
//! when the matching reaches the mistake.

/// Captures a pattern may have, as in stock Lua.
pub(super) const CAPTURES_MAX: usize = 32;

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set([u64; 4]);

impl Set {
    const EMPTY: Set = Set([0; 4]);
    const ALL: Set = Set([u64::MAX; 4]);

    fn of(test: impl Fn(u8) -> bool) -> Set {
        let mut set = Set::EMPTY;
        for byte in 0..=u8::MAX {
            if test(byte) {
                set.add(byte);
            }
        }
        set
    }

    fn add(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    fn add_all(&mut self, other: Set) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    fn inverted(self) -> Set {
        Set(self.0.map(|word| !word))
    }

    pub(super) fn has(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte >> 6)).is_some_and(|word| word & (1 << (byte & 63)) != 0)
    }
}

/// How often a single-byte item may match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Once,
    /// `*`: as many as possible.
    Most,
    /// `+`: as many as possible, at least one.
    MostOfOne,
    /// `-`: as few as possible.
    Fewest,
    /// `?`
    Optional,
}

/// One item of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Byte(u8, Repeat),
    OneOf(Set, Repeat),
    /// `(`: opens this capture.
    Open(usize),
    /// `()`: captures the position.
    Position(usize),
    /// `)`: closes this capture.
    Close(usize),
    /// `%bxy`
    Balance(u8, u8),
    /// `%f[set]`
    Frontier(Set),
    /// `%1`, from 0.
    Again(usize),
    /// `$` at the end.
    End,
}

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Began with `^`.
    pub(super) is_anchored: bool,
    pub(super) items: Vec<Item>,
    pub(super) captures: usize,
}

struct Reader<'a> {
    rest: &'a [u8],
    items: Vec<Item>,
    open: Vec<usize>,
    captures: usize,
}

impl Pattern {
    /// Reads a pattern. Without `may_anchor` a leading `^` is an ordinary byte, as in `gmatch`.
    pub(super) fn parse(text: &[u8], may_anchor: bool) -> Result<Pattern, String> {
        let (is_anchored, rest) = match text {
            [b'^', rest @ ..] if may_anchor => (true, rest),
            _ => (false, text),
        };
        let mut reader = Reader { rest, items: Vec::new(), open: Vec::new(), captures: 0 };
        while !reader.rest.is_empty() {
            reader.item()?;
        }
        if !reader.open.is_empty() {
            return Err("unfinished capture".into());
        }
        Ok(Pattern { is_anchored, items: reader.items, captures: reader.captures })
    }
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn item(&mut self) -> Result<(), String> {
        let is_last = self.rest.len() == 1;
        let Some(byte) = self.next() else { return Ok(()) };
        match byte {
            b'(' => self.open(),
            b')' => self.close(),
            b'$' if is_last => {
                self.items.push(Item::End);
                Ok(())
            }
            b'%' => self.escape(),
            b'[' => {
                let set = self.set()?;
                self.single(Ok(set))
            }
            b'.' => self.single(Ok(Set::ALL)),
            other => self.single(Err(other)),
        }
    }

    fn open(&mut self) -> Result<(), String> {
        let index = self.captures;
        if index >= CAPTURES_MAX {
            return Err("too many captures".into());
        }
        self.captures += 1;
        if self.rest.first() == Some(&b')') {
            self.next();
            self.items.push(Item::Position(index));
        } else {
            self.open.push(index);
            self.items.push(Item::Open(index));
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let index = self.open.pop().ok_or("invalid pattern capture")?;
        self.items.push(Item::Close(index));
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.next().ok_or("malformed pattern (ends with '%')")? {
            b'b' => {
                let (Some(open), Some(close)) = (self.next(), self.next()) else {
                    return Err("malformed pattern (missing arguments to '%b')".into());
                };
                self.items.push(Item::Balance(open, close));
                Ok(())
            }
            b'f' => {
                if self.next() != Some(b'[') {
                    return Err("missing '[' after '%f' in pattern".into());
                }
                let set = self.set()?;
                self.items.push(Item::Frontier(set));
                Ok(())
            }
            digit @ b'0'..=b'9' => {
                let index = usize::from(digit - b'0').checked_sub(1);
                let known = index.filter(|index| *index < self.captures && !self.open.contains(index));
                self.items.push(Item::Again(
                    known.ok_or_else(|| format!("invalid capture index %{} in pattern", digit - b'0'))?,
                ));
                Ok(())
            }
            letter => self.single(class(letter).ok_or(letter)),
        }
    }

    /// Adds a single-byte item with the repetition that follows it.
    fn single(&mut self, what: Result<Set, u8>) -> Result<(), String> {
        let repeat = match self.rest.first() {
            Some(b'*') => Repeat::Most,
            Some(b'+') => Repeat::MostOfOne,
            Some(b'-') => Repeat::Fewest,
            Some(b'?') => Repeat::Optional,
            _ => Repeat::Once,
        };
        if repeat != Repeat::Once {
            self.next();
        }
        self.items.push(match what {
            Ok(set) => Item::OneOf(set, repeat),
            Err(byte) => Item::Byte(byte, repeat),
        });
        Ok(())
    }

    /// Reads a set behind its `[`; a `]` that comes first belongs to it.
    fn set(&mut self) -> Result<Set, String> {
        const UNCLOSED: &str = "malformed pattern (missing ']')";
        let is_inverted = self.rest.first() == Some(&b'^');
        if is_inverted {
            self.next();
        }
        let end = set_end(self.rest).ok_or(UNCLOSED)?;
        let (inside, rest) = self.rest.split_at_checked(end).ok_or(UNCLOSED)?;
        self.rest = rest.get(1..).unwrap_or_default();
        let set = set_of(inside);
        Ok(if is_inverted { set.inverted() } else { set })
    }
}

/// Where the `]` of a set stands.
fn set_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let byte = *text.get(at)?;
        at += if byte == b'%' && at + 1 < text.len() { 2 } else { 1 };
        if *text.get(at)? == b']' {
            return Some(at);
        }
    }
}

fn set_of(mut inside: &[u8]) -> Set {
    let mut set = Set::EMPTY;
    loop {
        inside = match inside {
            [] => return set,
            [b'%', letter, rest @ ..] => {
                match class(*letter) {
                    Some(known) => set.add_all(known),
                    None => set.add(*letter),
                }
                rest
            }
            [first, b'-', last, rest @ ..] => {
                (*first..=*last).for_each(|byte| set.add(byte));
                rest
            }
            [byte, rest @ ..] => {
                set.add(*byte);
                rest
            }
        };
    }
}

/// The set that `%letter` stands for; `None` when the letter stands for itself.
fn class(letter: u8) -> Option<Set> {
    let set = match letter.to_ascii_lowercase() {
        b'a' => Set::of(|byte| byte.is_ascii_alphabetic()),
        b'c' => Set::of(|byte| byte.is_ascii_control()),
        b'd' => Set::of(|byte| byte.is_ascii_digit()),
        b'g' => Set::of(|byte| byte.is_ascii_graphic()),
        b'l' => Set::of(|byte| byte.is_ascii_lowercase()),
        b'p' => Set::of(|byte| byte.is_ascii_punctuation()),
        b's' => Set::of(|byte| byte.is_ascii_whitespace() || byte == 0x0b),
        b'u' => Set::of(|byte| byte.is_ascii_uppercase()),
        b'w' => Set::of(|byte| byte.is_ascii_alphanumeric()),
        b'x' => Set::of(|byte| byte.is_ascii_hexdigit()),
        b'z' => Set::of(|byte| byte == 0),
        _ => return None,
    };
    Some(if letter.is_ascii_uppercase() { set.inverted() } else { set })
}
