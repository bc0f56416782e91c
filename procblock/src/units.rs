//! Durations and sizes as users write them.

use std::time::Duration;

/// What a duration looks like, for messages.
pub const DURATION_FORMS: &str = "a duration such as 90 (seconds), 0.5, 90s, 10ms, 1h30m, 2d or 00:05:00";

/// What a size looks like, for messages.
pub const SIZE_FORMS: &str = "a size such as 65536 (bytes), 64KiB, 10MB or 1GiB";

/// The longest duration accepted, 100 years: sums of deadlines cannot overflow.
const DURATION_MAX_SECONDS: f64 = 100.0 * 365.25 * 86_400.0;

/// Reads `90`, `0.5`, `90s`, `10ms`, `1h30m`, `2d` or `00:05:00`; `None` for anything else, negative ones included.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let seconds = if text.contains(':') { clock_seconds(text)? } else { unit_seconds(text)? };
    (seconds.is_finite() && (0.0..=DURATION_MAX_SECONDS).contains(&seconds)).then(|| Duration::from_secs_f64(seconds))
}

fn clock_seconds(text: &str) -> Option<f64> {
    let parts: Vec<&str> = text.split(':').collect();
    let [hours, minutes, seconds] = parts.as_slice() else { return None };
    let whole = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u32>().ok())?;
    let (hours, minutes, seconds) = (whole(hours)?, whole(minutes)?, whole(seconds)?);
    (minutes < 60 && seconds < 60).then(|| f64::from(hours) * 3600.0 + f64::from(minutes) * 60.0 + f64::from(seconds))
}

fn unit_seconds(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut total = 0.0;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at_checked(digits)?;
        let number: f64 = number.parse().ok()?;
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at_checked(letters)?;
        let factor = match unit {
            "" if parts == 0 && after.is_empty() => 1.0,
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return None,
        };
        total += number * factor;
        parts += 1;
        rest = after;
    }
    (parts > 0).then_some(total)
}

/// Reads `65536`, `64KiB`, `10MB`, `1.5GiB`; `None` for anything else.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: f64 = match unit.trim() {
        "" | "B" => 1.0,
        "KB" | "kB" | "k" | "K" => 1e3,
        "MB" | "M" => 1e6,
        "GB" | "G" => 1e9,
        "TB" | "T" => 1e12,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to lie in range")]
    (bytes.is_finite() && (0.0..9e18).contains(&bytes)).then_some(bytes.round() as u64)
}

/// A duration as users write it: `1.5s`, `10ms`, `1h30m`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() != 0 && seconds == 0 {
        return format!("{}ms", (duration.as_secs_f64() * 1e6).round() / 1e3);
    }
    if duration.subsec_nanos() != 0 && seconds < 3600 {
        return format!("{}s", (duration.as_secs_f64() * 1e3).round() / 1e3);
    }
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number}{unit}")).collect();
    if text.is_empty() { "0s".into() } else { text }
}

/// A size as users write it, exactly: `64MiB`, `1500kB`, `7B`.
pub fn format_size(bytes: u64) -> String {
    let units =
        [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1_000_000, "MB"), (1_000, "kB")];
    let found = units.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    found.map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_form_of_a_duration_is_read() {
        for (text, seconds) in [
            ("0.5", 0.5),
            ("90", 90.0),
            ("90s", 90.0),
            ("10ms", 0.01),
            ("1h30m", 5400.0),
            ("2d", 172_800.0),
            ("00:05:00", 300.0),
            ("1m0.5s", 60.5),
            ("1w", 604_800.0),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "-1", "5x", "1h30", "00:61:00", "1:2", "1e400s", "nan", "inf", "9999999999999d", "s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn every_written_form_of_a_size_is_read() {
        for (text, bytes) in
            [("0", 0), ("65536", 65536), ("64KiB", 65536), ("10MB", 10_000_000), ("1.5GiB", 1_610_612_736)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "-1", "5x", "KiB", "1e3", "99999999TB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn a_formatted_size_reads_back() {
        for text in ["7B", "64MiB", "1536KiB", "3GiB", "5kB", "1500kB", "2MB"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
    }

    #[test]
    fn a_formatted_duration_reads_back() {
        for text in ["0s", "10ms", "1.5s", "1h30m", "2d", "5s", "5m"] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(format_duration(duration), text);
        }
    }
}
