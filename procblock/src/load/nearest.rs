//! The nearest right word to one that was misspelled.

/// Longer words are not compared: nobody meant a key of that length.
const WORD_LENGTH_MAX: usize = 64;

/// The candidate that `word` was probably meant to be, if one is close enough.
///
/// Case, and `_` or `-` for a space, cost nothing; else one edit in three letters is allowed (at least one, at
/// most three), where a swap of two neighbours is one edit. The first of equally near candidates wins.
///
/// ```
/// use procblock::load::nearest;
/// assert_eq!(nearest("tiemout", ["retry", "timeout"]), Some("timeout"));
/// assert_eq!(nearest("Run_Workers", ["run", "run workers"]), Some("run workers"));
/// assert_eq!(nearest("colour", ["retry", "timeout"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length == 0 || length > WORD_LENGTH_MAX {
        return None;
    }
    let limit = (length / 3).clamp(1, 3);
    let word = comparable(word);
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .map(|candidate| (strsim::damerau_levenshtein(&word, &comparable(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit && *distance < length)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn comparable(word: &str) -> String {
    word.chars().map(|c| if c == '_' || c == '-' { ' ' } else { c }).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_another_meaning_is_not_suggested() {
        let words = ["if", "run", "name", "cwd", "env", "timeout"];
        assert_eq!(nearest("x", words), None);
        assert_eq!(nearest("zz", words), None);
        assert_eq!(nearest("nmae", words), Some("name"));
        assert_eq!(nearest("rnu", words), Some("run"));
        assert_eq!(nearest("time out", words), Some("timeout"));
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest(&"a".repeat(10_000), words), None);
    }

    #[test]
    fn the_first_of_equally_near_words_is_suggested() {
        assert_eq!(nearest("cart", ["card", "care"]), Some("card"));
    }
}
