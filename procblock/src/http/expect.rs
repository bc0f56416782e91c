//! Which statuses are good ones.

use std::ops::RangeInclusive;

use crate::http::{Answer, HttpError, HttpErrorKind};
use crate::value::Value;

/// What is written, for messages.
pub(super) const FORMS: &str = "a status such as 204, a range such as 200-299 or 2xx, any, or a list of these";

/// A set of statuses. Default: 200 to 299.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    ranges: Vec<RangeInclusive<u16>>,
    written: String,
}

impl Default for Expect {
    fn default() -> Self {
        Expect { ranges: vec![200..=299], written: "2xx".into() }
    }
}

impl Expect {
    /// Reads `204`, `200-299`, `2xx`, `any` or a list of these; `None` for anything else.
    pub fn read(value: &Value) -> Option<Expect> {
        let items = match value {
            Value::Array(items) if !items.is_empty() => items.as_slice(),
            Value::Array(_) => return None,
            one => std::slice::from_ref(one),
        };
        let words: Vec<String> = items.iter().map(crate::value::to_text).collect();
        let ranges = words.iter().map(|word| range(word.trim())).collect::<Option<Vec<_>>>()?;
        Some(Expect { ranges, written: words.join(", ") })
    }

    /// Whether it is a good one.
    pub fn holds(&self, status: u16) -> bool {
        self.ranges.iter().any(|range| range.contains(&status))
    }

    /// Refuses an answer whose status is none of these.
    ///
    /// # Errors
    /// With the status and the beginning of the body.
    pub fn check(&self, answer: &Answer) -> Result<(), HttpError> {
        let status = answer.status();
        if self.holds(status) {
            return Ok(());
        }
        let text = format!("{}: expected status {}, got {}", answer.asked(), self.written, answer.status_line());
        let beginning = Some(answer.beginning()).filter(|text| !text.is_empty());
        Err(HttpError { status: Some(status), beginning, ..HttpError::new(HttpErrorKind::Status, text) })
    }
}

fn range(word: &str) -> Option<RangeInclusive<u16>> {
    let status = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|status| digits && (100..=999).contains(status))
    };
    if word == "any" {
        return Some(100..=999);
    }
    if let Some(hundred) = word.strip_suffix("xx") {
        let first = status(&format!("{hundred}00"))?;
        return Some(first..=first + 99);
    }
    match word.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (status(first.trim())?, status(last.trim())?);
            (first <= last).then_some(first..=last)
        }
        None => status(word).map(|status| status..=status),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_written_form_is_read_and_no_other() {
        for (written, good, bad) in [
            (json!(204), 204, 200),
            (json!("200-204"), 203, 205),
            (json!("4xx"), 404, 500),
            (json!(["2xx", 404]), 404, 403),
            (json!("any"), 599, 99),
        ] {
            let expect = Expect::read(&written).unwrap();
            assert!(expect.holds(good) && !expect.holds(bad), "{written}");
        }
        for written in [json!(20), json!("ok"), json!("299-200"), json!([]), json!(null), json!("2x"), json!(["x"])] {
            assert_eq!(Expect::read(&written), None, "{written}");
        }
    }
}
