//! Long lists, in parts.

use serde_json::json;

use super::view::View;
use crate::Value;

/// Things in one part.
pub(super) const PART_MAX: usize = 200;

/// Which part of a list is shown, and of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listing {
    /// How many there are.
    pub(super) all: usize,
    /// How many match what is searched for.
    pub(super) matching: usize,
    /// The shown part, from 1.
    pub(super) page: usize,
    /// Parts, at least one.
    pub(super) pages: usize,
}

impl Listing {
    /// For JSON and templates.
    pub(super) fn to_value(self) -> Value {
        json!({"all": self.all, "matching": self.matching, "page": self.page, "pages": self.pages})
    }
}

/// The wanted part of those whose name holds what is searched for, upper and lower case alike. A part behind the last
/// one is the last one.
pub(super) fn part<T>(items: impl IntoIterator<Item = T>, name: impl Fn(&T) -> &str, view: &View) -> (Vec<T>, Listing) {
    let search = view.search.to_lowercase();
    let mut all = 0;
    let matching = items.into_iter().inspect(|_| all += 1);
    let matching: Vec<T> =
        matching.filter(|item| search.is_empty() || name(item).to_lowercase().contains(&search)).collect();
    part_of(matching, all, view)
}

/// The wanted part of what matches already, of `all`.
pub(super) fn part_of<T>(matching: Vec<T>, all: usize, view: &View) -> (Vec<T>, Listing) {
    let pages = matching.len().div_ceil(PART_MAX).max(1);
    let page = view.page.min(pages);
    let listing = Listing { all, matching: matching.len(), page, pages };
    (matching.into_iter().skip((page - 1) * PART_MAX).take(PART_MAX).collect(), listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_comes_in_parts() {
        let names: Vec<String> = (0..450).map(|number| format!("Name {number}")).collect();
        let shown = |query: &str| {
            let (shown, listing) = part(names.iter(), |name| name.as_str(), &View::read(query));
            (shown.first().map(|name| name.as_str()), shown.len(), listing.page, listing.pages, listing.matching)
        };
        assert_eq!(shown(""), (Some("Name 0"), 200, 1, 3, 450));
        assert_eq!(shown("page=3"), (Some("Name 400"), 50, 3, 3, 450));
        assert_eq!(shown("page=9999999"), (Some("Name 400"), 50, 3, 3, 450));
        assert_eq!(shown("search=nAME+44"), (Some("Name 44"), 11, 1, 1, 11));
        assert_eq!(shown("search=x"), (None, 0, 1, 1, 0));
    }
}
