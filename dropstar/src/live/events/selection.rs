//! What a reader wants to be told: `?counter=requests&state=sites/kyoto*&queue=jobs&thread=cpu`.

use super::EventKind;
use super::kept::Event;

/// Things followed by one reader: a page with a chart for each core of a large machine follows as many.
const WANTED_MAX: usize = 400;

/// A longer name, in bytes, names nothing.
const NAME_BYTES_MAX: usize = 1024;

/// What a reader wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(super) wanted: Vec<Wanted>,
}

/// One thing that a reader follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) kind: EventKind,
    /// Its name; a state's bucket.
    pub(super) name: String,
    /// Which keys of a bucket: `*` stands for any text, `?` for any character. None: all.
    pub(super) keys: Option<String>,
}

impl Selection {
    /// Reads a query. What is no kind of event is left out.
    ///
    /// # Errors
    /// Nothing is asked for, too much, or a name that nobody may follow; the text says which.
    pub(crate) fn read(query: &str) -> Result<Selection, String> {
        let mut wanted = Vec::new();
        for (kind, name) in form_urlencoded::parse(query.as_bytes()) {
            let Some(kind) = EventKind::ALL.into_iter().find(|one| one.name() == kind) else { continue };
            if wanted.len() == WANTED_MAX {
                return Err(format!("more than {WANTED_MAX} things can't be followed at once"));
            }
            wanted.push(Wanted::read(kind, &name)?);
        }
        if wanted.is_empty() {
            let kinds: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
            return Err(format!("nothing is followed: ask for /events?counter=NAME, or {}", kinds.join(", ")));
        }
        Ok(Selection { wanted })
    }

    /// Whether anything of a kind is followed.
    pub(crate) fn has(&self, kind: EventKind) -> bool {
        self.wanted.iter().any(|wanted| wanted.kind == kind)
    }
}

impl Wanted {
    fn read(kind: EventKind, text: &str) -> Result<Wanted, String> {
        let (name, keys) = match text.split_once('/') {
            Some((bucket, keys)) if kind == EventKind::State => (bucket, Some(keys).filter(|keys| *keys != "*")),
            _ => (text, None),
        };
        if text.len() > NAME_BYTES_MAX {
            return Err(format!("the name of a {} is longer than {NAME_BYTES_MAX} bytes", kind.name()));
        }
        if name.is_empty() && kind != EventKind::Log {
            return Err(format!("{}= needs a name", kind.name()));
        }
        if name.starts_with("__") {
            return Err(format!("{name:?} is the instance's own and can't be followed"));
        }
        Ok(Wanted { kind, name: name.to_string(), keys: keys.map(str::to_string) })
    }

    /// What the hub knows it by.
    pub(super) fn followed_name(&self) -> String {
        if self.kind == EventKind::Log { String::new() } else { self.name.clone() }
    }

    /// Whether it is told of an event.
    pub(super) fn concerns(&self, event: &Event) -> bool {
        self.kind == event.kind
            && (self.kind == EventKind::Log || self.name == *event.name)
            && event.key.as_deref().is_none_or(|key| self.has_key(key))
    }

    /// Whether a key is among those that are followed.
    pub(super) fn has_key(&self, key: &str) -> bool {
        self.keys.as_deref().is_none_or(|pattern| matches(pattern, key))
    }
}

/// Whether a text is as a pattern with `*` and `?` says. Takes at most the product of their lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    // The newest star, and the first character that it may still swallow.
    let mut star: Option<(usize, usize)> = None;
    while let Some(character) = text.get(read) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((place, swallowed)) = star else { return false };
                star = Some((place, swallowed + 1));
                (at, read) = (place + 1, swallowed + 1);
            }
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_what_is_followed() {
        let selection = Selection::read("counter=a+b&state=sites/kyoto*&state=all&x=1&log=").unwrap();
        let read: Vec<(&str, &str, Option<&str>)> = selection
            .wanted
            .iter()
            .map(|wanted| (wanted.kind.name(), wanted.name.as_str(), wanted.keys.as_deref()))
            .collect();
        assert_eq!(
            read,
            [("counter", "a b", None), ("state", "sites", Some("kyoto*")), ("state", "all", None), ("log", "", None)]
        );
    }

    #[test]
    fn what_can_not_be_followed_is_refused() {
        let long = format!("queue={}", "n".repeat(NAME_BYTES_MAX + 1));
        let many = "counter=a&".repeat(WANTED_MAX + 1);
        for (query, expected) in [
            ("", "nothing is followed"),
            ("x=1", "nothing is followed"),
            ("counter=", "needs a name"),
            ("state=/key", "needs a name"),
            ("counter=__running", "the instance's own"),
            ("state=__own/key", "the instance's own"),
            (long.as_str(), "longer than"),
            (many.as_str(), "more than"),
        ] {
            let text = Selection::read(query).unwrap_err();
            assert!(text.contains(expected), "{query}: {text}");
        }
    }

    #[test]
    fn patterns_match_whole_keys() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcbd", false),
            ("*", "", true),
            ("?", "é", true),
            ("?", "", false),
            ("", "", true),
            ("", "a", false),
            ("*a*b*", "xxaxxbxx", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
