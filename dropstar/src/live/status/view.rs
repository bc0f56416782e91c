//! How a visitor wants to see a status page: the arguments of its address, and the links that change one of them.

use serde_json::json;

use super::listing::Listing;
use crate::Value;
use crate::live::window::Query;

/// The windows of pictures: the argument, and what people call it.
pub(super) const WINDOWS: [(&str, &str); 5] =
    [("-1h", "hour"), ("-1d", "day"), ("-1w", "week"), ("-30d", "month"), ("-1y", "year")];

/// After how many seconds the page loads itself again; 0 is never.
const REFRESHES: [(u32, &str); 4] = [(0, "off"), (5, "5 s"), (15, "15 s"), (60, "1 min")];

/// The least severe level of log lines that is shown.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

const WINDOW_DEFAULT: &str = "-1d";

const LEVEL_DEFAULT: &str = "trace";

/// How a visitor wants to see a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// How far back pictures reach; one of [`WINDOWS`].
    pub(super) window: &'static str,
    refresh: u32,
    /// What the shown things are to match; empty: all.
    pub(super) search: String,
    /// A key of the state.
    pub(super) key: Option<String>,
    /// Which part of a long list, from 1.
    pub(super) page: usize,
    /// One of [`LEVELS`].
    pub(super) level: &'static str,
    /// The file whose text is shown.
    pub(super) file: Option<String>,
    /// A name that can't stand in the path.
    name: Option<String>,
    /// What was done before.
    pub(super) done: Option<String>,
}

impl View {
    /// Reads a query; what it does not know is as by default.
    pub(super) fn read(query: &str) -> View {
        let query = Query::read(query);
        let text = |name: &str| query.get(name).map(str::to_string);
        let window = WINDOWS.iter().map(|(window, _)| *window).find(|window| query.get("window") == Some(*window));
        let refresh = query.get("refresh").and_then(|text| text.parse().ok());
        let level = query.get("level").and_then(|wanted| LEVELS.into_iter().find(|level| *level == wanted));
        View {
            window: window.unwrap_or(WINDOW_DEFAULT),
            refresh: refresh.filter(|wanted| REFRESHES.iter().any(|(known, _)| known == wanted)).unwrap_or(0),
            search: text("search").unwrap_or_default(),
            key: text("key"),
            page: query.get("page").and_then(|text| text.parse().ok()).unwrap_or(1).max(1),
            level: level.unwrap_or(LEVEL_DEFAULT),
            file: text("file"),
            name: text("name"),
            done: text("done"),
        }
    }

    /// The names that the template gets: the choices, and the links between them.
    pub(super) fn names(&self) -> Value {
        let windows = WINDOWS.map(|(window, word)| {
            let link = View { window, ..self.clone() }.link();
            json!({"window": window, "word": word, "link": link, "is_chosen": window == self.window})
        });
        let word = WINDOWS.iter().find(|(window, _)| *window == self.window).map(|(_, word)| *word);
        let refreshes = REFRESHES.map(|(refresh, word)| {
            let link = View { refresh, ..self.clone() }.link();
            json!({"word": word, "link": link, "is_chosen": refresh == self.refresh})
        });
        json!({
            "window": self.window, "word": word, "refresh": self.refresh, "search": self.search, "file": self.file,
            "windows": windows, "refreshes": refreshes, "key": self.key, "level": self.level, "levels": LEVELS,
            "name": self.name, "json": format!("{}format=json", self.link_before()),
        })
    }

    /// The links to the parts of a list beside the shown one.
    pub(super) fn beside(&self, listing: &Listing) -> Value {
        let at = |page: usize| View { page, ..self.clone() }.link();
        json!({
            "previous": (listing.page > 1).then(|| at(listing.page - 1)),
            "next": (listing.page < listing.pages).then(|| at(listing.page + 1)),
        })
    }

    fn link_before(&self) -> String {
        let link = self.link();
        if link.len() > 1 { format!("{link}&") } else { link }
    }

    /// The query of this view; what is as by default is left out.
    fn link(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::from("?"));
        let (refresh, page) = (self.refresh.to_string(), self.page.to_string());
        let pairs = [
            ("name", self.name.as_deref().unwrap_or_default(), ""),
            ("window", self.window, WINDOW_DEFAULT),
            ("refresh", &refresh, "0"),
            ("search", &self.search, ""),
            ("key", self.key.as_deref().unwrap_or_default(), ""),
            ("level", self.level, LEVEL_DEFAULT),
            ("file", self.file.as_deref().unwrap_or_default(), ""),
            ("page", &page, "1"),
        ];
        for (name, value, default) in pairs {
            if value != default {
                query.append_pair(name, value);
            }
        }
        query.finish().replacen("?&", "?", 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_as_by_default_and_links_keep_the_rest() {
        let view = View::read("window=-99y&refresh=1&search=a%26b&format=json&page=0&level=loud");
        assert_eq!((view.window, view.refresh, view.search.as_str(), view.page), ("-1d", 0, "a&b", 1));
        assert_eq!(view.level, "trace");
        let names = View { refresh: 5, page: 3, ..view }.names();
        assert_eq!(names["windows"][0]["link"], "?window=-1h&refresh=5&search=a%26b&page=3");
        assert_eq!(names["windows"][1]["is_chosen"], true);
        assert_eq!(View::read("").names()["json"], "?format=json");
    }
}
