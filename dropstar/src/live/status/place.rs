//! Which of the status pages a request is for, and the addresses of the others.

use crate::live::window::Query;

/// What a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Overview,
    Threads,
    Series,
    Locks,
    Counters,
    Queues,
    State,
    Log,
    Sources,
}

impl Kind {
    /// Every kind, the last part of its address, and what people call it.
    pub(super) const ALL: [(Kind, &'static str, &'static str); 9] = [
        (Kind::Overview, "", "Overview"),
        (Kind::Threads, "threads", "Run-threads"),
        (Kind::Series, "series", "Series"),
        (Kind::Locks, "locks", "Locks"),
        (Kind::Counters, "counters", "Counters"),
        (Kind::Queues, "queues", "Queues"),
        (Kind::State, "state", "State"),
        (Kind::Log, "log", "Log"),
        (Kind::Sources, "sources", "Sources"),
    ];

    /// The last part of its address.
    pub(super) fn word(self) -> &'static str {
        Kind::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, word, _)| word)
    }

    fn has_names(self) -> bool {
        matches!(self, Kind::Threads | Kind::Series | Kind::Queues | Kind::State)
    }

    /// Whether something of it can be changed.
    pub(super) fn is_changeable(self) -> bool {
        matches!(self, Kind::Locks | Kind::Counters | Kind::Queues | Kind::State)
    }
}

/// Which of the status pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    /// The one thing that the page is about; for the state its bucket.
    pub(super) name: Option<String>,
}

impl Place {
    /// The page at a decoded path, of which `status` is the beginning. A name that can't stand in a path is in the
    /// query's `name`. None if there is no such page.
    pub(super) fn read(path: &str, status: &str, query: &str) -> Option<Place> {
        let rest = path.strip_prefix(status)?.trim_start_matches('/');
        let (word, name) = rest.split_once('/').map_or((rest, None), |(word, name)| (word, Some(name)));
        let (kind, ..) = *Kind::ALL.iter().find(|(_, known, _)| *known == word)?;
        let in_path = name.filter(|name| !name.is_empty()).map(str::to_string);
        if !kind.has_names() {
            return in_path.is_none().then_some(Place { kind, name: None });
        }
        let in_query = || Query::read(query).get("name").map(str::to_string);
        Some(Place { kind, name: in_path.or_else(in_query) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_where_links_point() {
        for (path, query, expected) in [
            ("/status", "", Some((Kind::Overview, None))),
            ("/status/", "", Some((Kind::Overview, None))),
            ("/status/threads", "", Some((Kind::Threads, None))),
            ("/status/series/disk/root", "", Some((Kind::Series, Some("disk/root")))),
            ("/status/queues", "name=..%2Fa", Some((Kind::Queues, Some("../a")))),
            ("/status/state/", "", Some((Kind::State, None))),
            ("/status/locks/a", "", None),
            ("/status/nothing", "", None),
        ] {
            let expected = expected.map(|(kind, name)| Place { kind, name: name.map(str::to_string) });
            assert_eq!(Place::read(path, "/status", query), expected, "{path}?{query}");
        }
    }
}
