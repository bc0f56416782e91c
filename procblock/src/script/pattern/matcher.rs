//! Matches a pattern against bytes by backtracking, within a budget of steps.

use super::compile::{CAPTURES_MAX, Item, Pattern, Repeat};

/// Levels of backtracking, as in stock Lua: one for each repeated item and capture of the pattern.
const DEPTH_MAX: usize = 200;

/// Between two questions to the budget whether to go on.
const STEPS_BETWEEN: u64 = 4096;

/// Why a match was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// The pattern nests too deep.
    TooComplex,
    /// The steps were used up.
    TooLong,
    /// The call's time is over or a stop was requested.
    Ended,
}

/// The steps that one call may use, and the question asked on the way.
pub(super) struct Budget<'a> {
    left: u64,
    until_question: u64,
    may_go_on: &'a dyn Fn() -> bool,
}

impl<'a> Budget<'a> {
    /// At most `steps`; `may_go_on` is asked every few thousand of them.
    pub(super) fn new(steps: u64, may_go_on: &'a dyn Fn() -> bool) -> Self {
        Budget { left: steps, until_question: STEPS_BETWEEN, may_go_on }
    }

    /// Uses one step.
    pub(super) fn step(&mut self) -> Result<(), Refused> {
        self.left = self.left.checked_sub(1).ok_or(Refused::TooLong)?;
        self.until_question -= 1;
        if self.until_question == 0 {
            self.until_question = STEPS_BETWEEN;
            if !(self.may_go_on)() {
                return Err(Refused::Ended);
            }
        }
        Ok(())
    }
}

/// What a capture holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Capture {
    /// Not closed.
    Open(usize),
    /// From, to.
    Span(usize, usize),
    /// `()`
    Position(usize),
}

/// One pattern against one text.
pub(super) struct Matcher<'a, 'b> {
    pattern: &'a Pattern,
    text: &'a [u8],
    captures: [Capture; CAPTURES_MAX],
    budget: &'a mut Budget<'b>,
}

impl<'a, 'b> Matcher<'a, 'b> {
    pub(super) fn new(pattern: &'a Pattern, text: &'a [u8], budget: &'a mut Budget<'b>) -> Self {
        Matcher { pattern, text, captures: [Capture::Open(0); CAPTURES_MAX], budget }
    }

    /// The first match at or behind `from`, as start and end; one that ends at `last_end` is passed over.
    pub(super) fn search(&mut self, from: usize, last_end: Option<usize>) -> Result<Option<(usize, usize)>, Refused> {
        let mut start = from;
        while start <= self.text.len() {
            self.budget.step()?;
            if let Some(end) = self.items(0, start, 0)?
                && Some(end) != last_end
            {
                return Ok(Some((start, end)));
            }
            if self.pattern.is_anchored {
                break;
            }
            start = self.next_candidate(start + 1);
        }
        Ok(None)
    }

    /// The next place at which the pattern's first byte stands, when it begins with a plain one.
    fn next_candidate(&self, from: usize) -> usize {
        let Some(Item::Byte(byte, Repeat::Once | Repeat::MostOfOne)) = self.pattern.items.first() else { return from };
        let rest = self.text.get(from..).unwrap_or_default();
        rest.iter().position(|found| found == byte).map_or(self.text.len() + 1, |offset| from + offset)
    }

    pub(super) fn captures(&self) -> &[Capture] {
        self.captures.get(..self.pattern.captures).unwrap_or_default()
    }

    /// Matches the items from `index` at `at`; the end of the match.
    fn items(&mut self, mut index: usize, mut at: usize, depth: usize) -> Result<Option<usize>, Refused> {
        if depth > DEPTH_MAX {
            return Err(Refused::TooComplex);
        }
        loop {
            self.budget.step()?;
            let Some(item) = self.pattern.items.get(index).copied() else { return Ok(Some(at)) };
            let next = match item {
                Item::Byte(_, Repeat::Once) | Item::OneOf(_, Repeat::Once) => {
                    if self.is_single(item, at) {
                        Some(at + 1)
                    } else {
                        None
                    }
                }
                Item::Byte(_, repeat) | Item::OneOf(_, repeat) => return self.repeated(repeat, (index, at), depth),
                Item::Open(capture) => return self.capture(capture, Capture::Open(at), (index, at), depth),
                Item::Position(capture) => return self.capture(capture, Capture::Position(at), (index, at), depth),
                Item::Close(capture) => {
                    let Some(Capture::Open(start)) = self.captures.get(capture).copied() else { return Ok(None) };
                    return self.capture(capture, Capture::Span(start, at), (index, at), depth);
                }
                Item::Balance(open, close) => self.balance(open, close, at)?,
                Item::Frontier(set) => {
                    let before = at.checked_sub(1).and_then(|before| self.text.get(before)).copied().unwrap_or(0);
                    let here = self.text.get(at).copied().unwrap_or(0);
                    (!set.has(before) && set.has(here)).then_some(at)
                }
                Item::Again(capture) => self.again(capture, at),
                Item::End => (at == self.text.len()).then_some(at),
            };
            let Some(next) = next else { return Ok(None) };
            at = next;
            index += 1;
        }
    }

    fn is_single(&self, item: Item, at: usize) -> bool {
        let Some(byte) = self.text.get(at).copied() else { return false };
        match item {
            Item::Byte(wanted, _) => byte == wanted,
            Item::OneOf(set, _) => set.has(byte),
            _ => false,
        }
    }

    /// Sets a capture for the rest of the match and puts the old one back when the rest fails.
    fn capture(
        &mut self,
        capture: usize,
        value: Capture,
        (index, at): (usize, usize),
        depth: usize,
    ) -> Result<Option<usize>, Refused> {
        let Some(slot) = self.captures.get_mut(capture) else { return Err(Refused::TooComplex) };
        let before = std::mem::replace(slot, value);
        let end = self.items(index + 1, at, depth + 1)?;
        if end.is_none()
            && let Some(slot) = self.captures.get_mut(capture)
        {
            *slot = before;
        }
        Ok(end)
    }

    fn repeated(
        &mut self,
        repeat: Repeat,
        (index, at): (usize, usize),
        depth: usize,
    ) -> Result<Option<usize>, Refused> {
        let Some(item) = self.pattern.items.get(index).copied() else { return Ok(None) };
        if repeat == Repeat::Fewest {
            return self.fewest(item, (index, at), depth);
        }
        let (least, most) = match repeat {
            Repeat::Optional => (0, 1),
            Repeat::MostOfOne => (1, usize::MAX),
            _ => (0, usize::MAX),
        };
        let mut count = 0;
        while count < most && self.is_single(item, at + count) {
            self.budget.step()?;
            count += 1;
        }
        loop {
            if count < least {
                return Ok(None);
            }
            if let Some(end) = self.items(index + 1, at + count, depth + 1)? {
                return Ok(Some(end));
            }
            let Some(fewer) = count.checked_sub(1) else { return Ok(None) };
            count = fewer;
        }
    }

    fn fewest(&mut self, item: Item, (index, mut at): (usize, usize), depth: usize) -> Result<Option<usize>, Refused> {
        loop {
            if let Some(end) = self.items(index + 1, at, depth + 1)? {
                return Ok(Some(end));
            }
            if !self.is_single(item, at) {
                return Ok(None);
            }
            at += 1;
        }
    }

    fn balance(&mut self, open: u8, close: u8, at: usize) -> Result<Option<usize>, Refused> {
        if self.text.get(at) != Some(&open) {
            return Ok(None);
        }
        let mut nested = 1_usize;
        let mut here = at + 1;
        while let Some(byte) = self.text.get(here).copied() {
            self.budget.step()?;
            here += 1;
            if byte == close {
                nested -= 1;
                if nested == 0 {
                    return Ok(Some(here));
                }
            } else if byte == open {
                nested += 1;
            }
        }
        Ok(None)
    }

    fn again(&self, capture: usize, at: usize) -> Option<usize> {
        let wanted = match self.captures.get(capture)? {
            Capture::Span(start, end) => self.text.get(*start..*end)?,
            Capture::Position(_) | Capture::Open(_) => return None,
        };
        self.text.get(at..)?.starts_with(wanted).then(|| at + wanted.len())
    }
}
