//! Moments as users write them on a command line, and as they are shown to them: in the machine's time zone.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::units::parse_duration;

/// What a moment looks like, for messages.
pub const MOMENT_FORMS: &str =
    "now, -1h, -2d, seconds since 1970, 2026-01-31, 2026-01-31T12:00:00 or 2026-01-31T11:00:00Z";

/// The year 5138, the latest time that a series takes.
const MOMENT_MAX: i64 = 100_000_000_000;

/// Reads `now`, `-1h` or `now-1h` (before `now`), `+5m` (after it), seconds since 1970, and RFC 3339 with an offset or,
/// without one, in local time, down to a mere date. `now` and the result are in seconds since 1970.
///
/// # Errors
/// What was found and what is expected.
pub fn parse_moment(text: &str, now: i64) -> Result<i64, String> {
    let word = text.trim();
    let moment = read(word, now).filter(|moment| (0..=MOMENT_MAX).contains(moment));
    moment.ok_or_else(|| {
        let remedy = match parse_duration(word) {
            Some(_) if !word.contains(':') => format!("; did you mean -{word}?"),
            _ => String::new(),
        };
        format!("{word:?} is no time{remedy}; expected {MOMENT_FORMS}")
    })
}

fn read(word: &str, now: i64) -> Option<i64> {
    let offset = word.strip_prefix("now").map_or(word, str::trim);
    if offset.is_empty() && !word.is_empty() {
        return Some(now);
    }
    if let Some(before) = offset.strip_prefix('-') {
        return now.checked_sub(seconds(before.trim())?);
    }
    if let Some(after) = offset.strip_prefix('+') {
        return now.checked_add(seconds(after.trim())?);
    }
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return word.parse().ok();
    }
    if let Ok(moment) = word.parse::<Timestamp>() {
        return Some(moment.as_second());
    }
    let local: DateTime = word.parse().ok()?;
    Some(local.to_zoned(TimeZone::system()).ok()?.timestamp().as_second())
}

fn seconds(text: &str) -> Option<i64> {
    i64::try_from(parse_duration(text)?.as_secs()).ok()
}

/// A moment in local time with its offset, to the second: `2026-01-31T12:00:00+01:00`.
pub fn show_moment(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(moment) => moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        Err(_) => seconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn every_written_form_of_a_moment_is_read() {
        let cases = [
            ("now", NOW),
            ("-1h", NOW - 3600),
            ("now-2d", NOW - 172_800),
            ("now - 90", NOW - 90),
            ("+5m", NOW + 300),
            ("1282115050", 1_282_115_050),
            ("2023-11-14T22:13:20Z", NOW),
            ("2023-11-14T23:13:20.5+01:00", NOW),
        ];
        for (text, moment) in cases {
            assert_eq!(parse_moment(text, NOW), Ok(moment), "{text}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_local_and_reads_back_as_shown() {
        assert_eq!(parse_moment(&show_moment(NOW), 0), Ok(NOW));
        let local = show_moment(NOW);
        assert_eq!(parse_moment(&local[..19], 0), Ok(NOW));
        assert_eq!(parse_moment(&local[..19].replace('T', " "), 0), Ok(NOW));
        assert!(parse_moment(&local[..10], 0).unwrap() <= NOW);
    }

    #[test]
    fn what_is_no_moment_is_told_with_what_is_expected() {
        let told = parse_moment("1h", NOW).unwrap_err();
        assert!(told.starts_with("\"1h\" is no time; did you mean -1h?; expected now, -1h"), "{told}");
        for text in ["", " ", "yesterday", "-", "-1x", "2026-13-01", "99999999999999999999", "-100y", "nowish", "--1h"]
        {
            assert!(parse_moment(text, NOW).is_err(), "{text:?}");
        }
    }
}
