//! How a visitor wants to see the status page: the arguments of its address, and the links that change one of them.

use serde_json::json;

use crate::Value;
use crate::live::window::Query;

/// The windows of pictures: the argument, and what people call it.
const WINDOWS: [(&str, &str); 4] = [("-1h", "hour"), ("-1d", "day"), ("-1w", "week"), ("-30d", "month")];

/// After how many seconds the page loads itself again; 0 is never.
const REFRESHES: [(u32, &str); 4] = [(0, "off"), (5, "5 s"), (15, "15 s"), (60, "1 min")];

/// How a visitor wants to see the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// How far back pictures reach; one of [`WINDOWS`].
    pub(super) window: &'static str,
    refresh: u32,
    /// What the shown state is to match; empty: all.
    pub(super) search: String,
    /// The file whose text is shown.
    pub(super) source: Option<String>,
}

impl View {
    /// Reads a query; what it does not know is as by default.
    pub(super) fn read(query: &str) -> View {
        let query = Query::read(query);
        let window = WINDOWS.iter().map(|(window, _)| *window).find(|window| query.get("window") == Some(*window));
        let refresh = query.get("refresh").and_then(|text| text.parse().ok());
        View {
            window: window.unwrap_or("-1d"),
            refresh: refresh.filter(|wanted| REFRESHES.iter().any(|(known, _)| known == wanted)).unwrap_or(0),
            search: query.get("search").unwrap_or_default().to_string(),
            source: query.get("source").map(str::to_string),
        }
    }

    /// The names that the template gets: the choices, and the links between them.
    pub(super) fn names(&self) -> Value {
        let windows = WINDOWS.map(|(window, word)| {
            let link = View { window, ..self.clone() }.link("series");
            json!({"word": word, "link": link, "is_chosen": window == self.window})
        });
        let word = WINDOWS.iter().find(|(window, _)| *window == self.window).map(|(_, word)| *word);
        let refreshes = REFRESHES.map(|(refresh, word)| {
            let link = View { refresh, ..self.clone() }.link("");
            json!({"word": word, "link": link, "is_chosen": refresh == self.refresh})
        });
        json!({
            "window": self.window, "word": word, "refresh": self.refresh, "search": self.search, "source": self.source,
            "windows": windows, "refreshes": refreshes,
        })
    }

    /// The link to the text of a file.
    pub(super) fn link_to_source(&self, file: &str) -> String {
        View { source: Some(file.into()), refresh: 0, ..self.clone() }.link("source")
    }

    fn link(&self, place: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("window", self.window).append_pair("refresh", &self.refresh.to_string());
        if !self.search.is_empty() {
            query.append_pair("search", &self.search);
        }
        if let Some(source) = &self.source {
            query.append_pair("source", source);
        }
        let mark = if place.is_empty() { "" } else { "#" };
        format!("?{}{mark}{place}", query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_as_by_default_and_links_keep_the_rest() {
        let view = View::read("window=-99y&refresh=1&search=a%26b&format=json");
        assert_eq!((view.window, view.refresh, view.search.as_str()), ("-1d", 0, "a&b"));
        let names = View { refresh: 5, ..view }.names();
        assert_eq!(names["windows"][0]["link"], "?window=-1h&refresh=5&search=a%26b#series");
        assert_eq!(names["windows"][1]["is_chosen"], true);
    }
}
