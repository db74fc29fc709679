//! Pieces of lines: fixed columns, numbers, and long texts cut short for messages.

use crate::{Error, Result};

/// Puts `?` for each character that is not ASCII, so that columns can be counted in bytes.
pub(super) fn ascii(text: &str) -> String {
    (text.chars())
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect()
}

/// Columns `from` to `to` of a line of ASCII, counted from 1; less where the line ends before.
pub(super) fn columns(line: &str, from: usize, to: usize) -> &str {
    let end = to.min(line.len());
    line.get(from.saturating_sub(1)..end).unwrap_or_default()
}

/// Cuts a long text so that it fits into a message.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Reads a finite number; `what` is its name in the message.
///
/// # Errors
/// It is not a number, or not a finite one.
pub(super) fn number(word: &str, what: &str) -> Result<f64> {
    match parse(word) {
        Some(number) if number.is_finite() => Ok(number),
        Some(_) => Err(Error::input(format!(
            "{what}: {} is not a finite number",
            shorten(word)
        ))),
        None => Err(Error::input(format!(
            "{what}: {:?} is not a number",
            shorten(word)
        ))),
    }
}

/// Reads a number, finite or not. Fortran writes exponents with a D.
pub(super) fn parse(word: &str) -> Option<f64> {
    word.parse()
        .or_else(|_| word.replace(['D', 'd'], "e").parse())
        .ok()
}

/// Reads a coordinate from fixed columns, counted from 1. What shows that the columns are shifted, or that
/// a number outgrew them, is refused: blanks inside of it, no decimal point, or zeros before its digits,
/// which are the last decimals of the number before.
///
/// # Errors
/// The message names the columns.
pub(super) fn coordinate(line: &str, what: &str, (from, to): (usize, usize)) -> Result<f64> {
    let field = columns(line, from, to).trim();
    let digits = field.trim_start_matches(['-', '+']).as_bytes();
    let overrun = matches!(digits, [b'0', second, ..] if second.is_ascii_digit());
    let points = field.matches('.').count();
    match field.parse::<f64>() {
        Ok(number) if number.is_finite() && points == 1 && !overrun => Ok(number),
        _ => Err(Error::input(format!(
            "columns {from} to {to} ({what}) hold {field:?}, which is no coordinate with a decimal \
             point; are the columns shifted, or is a number too wide for them?"
        ))),
    }
}

/// Reads a residue's number: decimal, hybrid-36 (A000 follows 9999), or hexadecimal in small letters, as
/// VMD goes on after 9999. `None` where it is none of them.
pub(super) fn residue_number(field: &str) -> Option<i32> {
    let field = field.trim();
    if let Ok(number) = field.parse() {
        return Some(number);
    }
    if field.len() != 4 || !field.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let first = field.as_bytes()[0];
    if first.is_ascii_uppercase() {
        // Ten blocks of 36^3 have a digit in front; the first letter follows 9999.
        let value = i32::from_str_radix(field, 36).ok()?;
        return Some(value - 10 * 36_i32.pow(3) + 10_000);
    }
    i32::from_str_radix(field, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_end_where_the_line_does() {
        assert_eq!(columns("abcdef", 2, 4), "bcd");
        assert_eq!(columns("abcdef", 5, 9), "ef");
        assert_eq!(columns("abcdef", 7, 9), "");
    }

    #[test]
    fn coordinates_that_overran_their_columns_are_refused() {
        let of = |field: &str| coordinate(field, "x", (1, 8)).map_err(|e| e.to_string());
        assert_eq!(of("  -1.500"), Ok(-1.5));
        assert_eq!(of("0.5"), Ok(0.5));
        assert_eq!(of(" 1.5e1"), Ok(15.0));
        for field in [
            "01000.00", "-01.0000", "1   2.00", "      12", "", "1.0-10.0", "     nan",
        ] {
            let error = of(field).err().unwrap_or_default();
            assert!(
                error.starts_with("columns 1 to 8 (x) hold"),
                "{field}: {error}"
            );
        }
    }

    #[test]
    fn residue_numbers_go_on_after_9999() {
        for (field, number) in [
            (" 12 ", 12),
            ("-3", -3),
            ("9999", 9999),
            ("A000", 10_000),
            ("A001", 10_001),
            ("B000", 56_656),
            ("271a", 10_010),
            ("a000", 40_960),
        ] {
            assert_eq!(residue_number(field), Some(number), "{field}");
        }
        assert_eq!(["****", "", "x1", "zzzz"].map(residue_number), [None; 4]);
    }
}
