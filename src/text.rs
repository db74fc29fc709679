//! Numbers as text.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Appends the shortest text that reads back as the same number. serde_json's writer is several times
/// faster than the standard library's, and uses exponents where they are shorter; JSON has no
/// infinities.
pub(super) fn number(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() || serde_json::to_writer(&mut *out, &value).is_err() {
        let _ = write!(out, "{value}");
    }
}

/// A number to twelve digits after the first: without the rounding that a conversion of units brought.
pub(super) fn round(value: f64) -> f64 {
    format!("{value:.12e}").parse().unwrap_or(value)
}

/// So many of something: 1 atom, 2 atoms.
pub fn counted(number: u64, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

/// A number to `digits` significant digits, without exponent where that is readable.
pub fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = value.abs().log10().floor();
    if !(-4.0..7.0).contains(&magnitude) {
        return format!("{value:.*e}", digits.saturating_sub(1));
    }
    let decimals = (digits as f64 - 1.0 - magnitude).max(0.0) as usize;
    format!("{value:.decimals$}")
}

/// A number to `digits` significant digits at most: as [`significant`], without zeros at its end.
pub fn trimmed(value: f64, digits: usize) -> String {
    let text = significant(value, digits);
    match text.contains('.') && !text.contains('e') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Bytes in hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A number of bytes for people: `"3.2 GB"`.
pub(super) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            return format!("{} {unit}", significant(value, 3));
        }
        value /= 1000.0;
    }
    format!("{} PB", significant(value, 3))
}

/// A duration for people: `"4.2 s"`, `"3 min 20 s"`, `"5 h 12 min"`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A moment in universal time as ISO 8601 has it: `"2026-03-01T12:00:00Z"`.
///
/// Days become a date as in Hinnant, "chrono-compatible low-level date algorithms" (2013): years are
/// counted from March, so that the day that leap years add is their last.
pub(super) fn timestamp(moment: SystemTime) -> String {
    let seconds = moment
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day + 2) / 153;
    let day = day - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + 400 * era + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z",
        second % 60
    )
}

/// The moment that a text of [`timestamp`] tells; `None` of any other.
pub(super) fn moment(text: &str) -> Option<SystemTime> {
    let fields: Vec<u64> = (text.strip_suffix('Z')?.split(['-', 'T', ':']))
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    let [year, month @ 1..=12, day @ 1..=31, hour, minute, second] = fields[..] else {
        return None;
    };
    // The inverse of the above, years counted from March.
    let (year, month) = match month > 2 {
        true => (year, month - 3),
        false => (year.checked_sub(1)?, month + 9),
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400;
    let days = days + (153 * month + 2) / 5 + day - 1;
    let seconds = days.checked_sub(719_468)? * 86_400 + hour * 3600 + minute * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
        ] {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(timestamp(at), text);
            assert_eq!(moment(text), Some(at));
        }
        for wrong in [
            "",
            "2026-03-01",
            "2026-13-01T00:00:00Z",
            "now",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_are_short_and_exact() {
        for value in [0.1, -1e-300, 1.0 / 3.0, 1e22, 5e-324, -0.0, 123_456_789.125] {
            let mut text = Vec::new();
            number(&mut text, value);
            let text = String::from_utf8(text).unwrap();
            assert_eq!(
                text.parse::<f64>().unwrap().to_bits(),
                value.to_bits(),
                "{text}"
            );
            assert!(text.len() <= 24, "{text}");
        }
        assert_eq!(round(49.999_999_999_999_99), 50.0);
    }

    #[test]
    fn people_get_three_digits_and_a_unit() {
        assert_eq!(
            [0, 999, 1_234, 45_678_901, 7_000_000_000_000].map(bytes),
            ["0 B", "999 B", "1.23 kB", "45.7 MB", "7.00 TB"]
        );
        assert_eq!(significant(0.000_123_456, 3), "0.000123");
        assert_eq!(significant(-1_234_567.0, 3), "-1234567");
        assert_eq!(significant(1.5e-12, 3), "1.50e-12");
        assert_eq!(duration(Duration::from_millis(4_230)), "4.2 s");
        assert_eq!(duration(Duration::from_secs(18_725)), "5 h 12 min");
    }
}
