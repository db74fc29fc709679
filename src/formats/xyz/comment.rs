//! The comment line of extended XYZ: `key=value` pairs, of which `Lattice`, `pbc` and `Properties` count here.

use crate::core::{Mat3, Vec3};
use crate::formats::fields::{number, shorten};
use crate::{Error, Result};

/// The pairs of a comment line, in their order; a word without a value has none.
pub(in crate::formats) struct Keys(Vec<(String, Option<String>)>);

impl Keys {
    /// Takes the line apart. Values may be in quotes, where `\"` is a quote, or in brackets.
    ///
    /// # Errors
    /// A value whose quotes or brackets never close: what it swallows might be the cell.
    pub fn parse(comment: &str) -> Result<Self> {
        let mut keys = Vec::new();
        let mut rest = comment.trim_start();
        // Quotes that were found never to close are not looked for again: long lines of them take long.
        let mut open_ended = String::new();
        while !rest.is_empty() {
            let (key, after) = take_key(rest, &mut open_ended);
            rest = after.trim_start();
            let mut found = None;
            if let Some(after) = rest.strip_prefix('=') {
                let after = after.trim_start();
                let shown = || shorten(key).escape_debug().to_string();
                let (value, after) = take_word(after).ok_or_else(|| {
                    Error::input(format!("{}: {:?} is never closed", shown(), shorten(after)))
                })?;
                // A quote that opens another value has closed this one.
                if after.starts_with(|c: char| !c.is_whitespace()) {
                    return Err(Error::input(format!(
                        "{}: {:?} follows the closing quote or bracket of {:?} without a blank",
                        shown(),
                        shorten(after),
                        shorten(value)
                    )));
                }
                found = Some(value.to_owned());
                rest = after.trim_start();
            }
            keys.push((key.to_owned(), found));
        }
        Ok(Self(keys))
    }

    /// The value of a key, whatever its case.
    ///
    /// # Errors
    /// The key is there twice, with two values.
    pub fn value<'k>(&'k self, key: &'k str) -> Result<Option<&'k str>> {
        let mut found = self.values(key);
        let first = found.next();
        match found.find(|v| Some(*v) != first) {
            Some(other) => Err(Error::input(format!(
                "{key} is there twice: {:?} and {:?}",
                shorten(first.unwrap_or_default()),
                shorten(other)
            ))),
            None => Ok(first),
        }
    }

    fn values<'k>(&'k self, key: &'k str) -> impl Iterator<Item = &'k str> {
        (self.0.iter())
            .filter(move |(k, _)| k.eq_ignore_ascii_case(key))
            .filter_map(|(_, v)| v.as_deref())
    }

    /// Lattice vectors as rows (angstrom).
    ///
    /// # Errors
    /// They are not three or nine numbers.
    pub fn lattice(&self) -> Result<Option<Mat3>> {
        let Some(text) = self.value("Lattice")? else {
            return Ok(None);
        };
        let numbers: Vec<f64> = words(text)
            .iter()
            .map(|w| number(w, "Lattice"))
            .collect::<Result<_>>()?;
        match numbers[..] {
            [a, b, c] => Ok(Some(Mat3::from_diagonal(&Vec3::new(a, b, c)))),
            _ if numbers.len() == 9 => Ok(Some(Mat3::from_row_slice(&numbers))),
            _ => Err(Error::input(format!(
                "Lattice has {} numbers; nine are wanted in quotes, the vectors a, b and c one after another",
                numbers.len()
            ))),
        }
    }

    /// The periodic directions; all of them where there is a Lattice and nothing is said.
    ///
    /// # Errors
    /// They are not one or three flags.
    pub fn periodic(&self, lattice: bool) -> Result<[bool; 3]> {
        let Some(text) = self.value("pbc")? else {
            return Ok([lattice; 3]);
        };
        let flags: Vec<bool> = words(text)
            .iter()
            .map(|w| {
                flag(w).ok_or_else(|| {
                    Error::input(format!(
                        "pbc={:?}: {:?} is neither T nor F",
                        shorten(text),
                        shorten(w)
                    ))
                })
            })
            .collect::<Result<_>>()?;
        match flags[..] {
            [_] if self.flag_follows("pbc") => Err(Error::input(format!(
                "pbc={text:?} and flags after it: three flags stand in quotes, such as pbc=\"T T F\""
            ))),
            [all] => Ok([all; 3]),
            [a, b, c] => Ok([a, b, c]),
            _ => Err(Error::input(format!(
                "pbc={:?} has {} flags; three are wanted, such as pbc=\"T T F\"",
                shorten(text),
                flags.len()
            ))),
        }
    }

    /// Whether a bare flag stands after a key with its value.
    fn flag_follows(&self, key: &str) -> bool {
        (self.0.windows(2)).any(|pair| {
            pair[0].0.eq_ignore_ascii_case(key) && pair[1].1.is_none() && flag(&pair[1].0).is_some()
        })
    }

    /// Whether LAMMPS' `dump xyz` wrote the file, which names atoms by their type unless told otherwise.
    pub fn is_from_lammps(&self) -> bool {
        let mut words = self.0.iter().map(|(k, _)| k.as_str());
        words.next() == Some("Atoms.") && words.next() == Some("Timestep:")
    }
}

/// A logical value in the spellings in use.
fn flag(word: &str) -> Option<bool> {
    match word {
        "T" | "True" | "true" | "TRUE" | "1" => Some(true),
        "F" | "False" | "false" | "FALSE" | "0" => Some(false),
        _ => None,
    }
}

/// A word up to a blank or an equals sign, and the rest.
fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_whitespace() || c == '=');
    let first = text.chars().next().map_or(0, char::len_utf8);
    // A stray sign is a word of its own, so that the scan moves on.
    text.split_at(end.unwrap_or(text.len()).max(first))
}

/// A key, perhaps in quotes, and the rest. A quote that never closes is free text.
fn take_key<'t>(text: &'t str, open_ended: &mut String) -> (&'t str, &'t str) {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) if !open_ended.contains(quote) => take_word(text)
            .unwrap_or_else(|| {
                open_ended.push(quote);
                split_word(text)
            }),
        _ => split_word(text),
    }
}

/// A word, or what stands between quotes or brackets, and the rest; `None` where these never close.
fn take_word(text: &str) -> Option<(&str, &str)> {
    let inner = text.get(1..).unwrap_or_default();
    let end = match text.chars().next() {
        Some(quote @ ('"' | '\'')) => closing_quote(inner, quote),
        Some('{') => closing_bracket(inner, '{', '}'),
        Some('[') => closing_bracket(inner, '[', ']'),
        _ => return Some(split_word(text)),
    }?;
    Some((&inner[..end], &inner[end + 1..]))
}

/// Where the quote that was just opened closes; one after a backslash does not.
fn closing_quote(inner: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    inner.char_indices().find_map(|(at, c)| {
        let closes = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    })
}

/// Where the bracket that was just opened closes; brackets nest: [[1, 0, 0], ...].
fn closing_bracket(inner: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 1;
    inner.char_indices().find_map(|(at, c)| {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
        }
        (depth == 0).then_some(at)
    })
}

/// Words of a value, brackets and commas of array notation taken away.
fn words(value: &str) -> Vec<&str> {
    value
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}'))
        .filter(|w| !w.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(comment: &str, key: &str) -> Result<Option<String>, String> {
        let keys = Keys::parse(comment).map_err(|e| e.to_string())?;
        let value = keys.value(key).map_err(|e| e.to_string())?;
        Ok(value.map(str::to_owned))
    }

    fn pbc(comment: &str) -> Result<[bool; 3], String> {
        let keys = Keys::parse(comment).map_err(|e| e.to_string())?;
        keys.periodic(false).map_err(|e| e.to_string())
    }

    #[test]
    fn escaped_quotes_do_not_end_a_value() {
        let comment = r#"note="mode=\"A\" pbc=F F F" other='it\'s pbc=F' path="C:\\" pbc="T T T""#;
        assert_eq!(pbc(comment), Ok([true; 3]));
        assert_eq!(
            value(comment, "path").ok().flatten().as_deref(),
            Some(r"C:\\")
        );
    }

    #[test]
    fn what_never_closes_is_refused_as_a_value_and_is_free_text_elsewhere() {
        assert!(pbc("note=\"open pbc=T").is_err_and(|e| e.contains("is never closed")));
        assert!(pbc("note=[1 2 pbc=T").is_err());
        assert_eq!(pbc("a 5\" pipe and \"open pbc=T"), Ok([true; 3]));
        assert_eq!(pbc("it's plain text = é == ="), Ok([false; 3]));
    }

    #[test]
    fn flags_without_quotes_and_keys_with_two_values_are_refused() {
        assert!(pbc("pbc=T F F").is_err_and(|e| e.contains("quotes")));
        assert_eq!(pbc("pbc=T energy=1"), Ok([true; 3]));
        assert_eq!(pbc("pbc=F free text"), Ok([false; 3]));
        assert!(pbc("pbc=T pbc=F").is_err_and(|e| e.contains("twice")));
        assert_eq!(pbc("pbc=T PBC=T"), Ok([true; 3]));
        assert!(pbc("pbc=\"T F\"").is_err_and(|e| e.contains("2 flags")));
    }
}
