//! How files come to be wrong: by slips of a hand or a disk, and by numbers forged on purpose.

use mdrun::core::rng::philox;

/// What a slip may put into a text.
const JUNK: [&str; 16] = [
    "99999999999",
    "-1",
    "0",
    "nan",
    "inf",
    "1e400",
    "",
    "  ",
    "\t",
    "18446744073709551615",
    "4294967296",
    "#",
    "'",
    "\"",
    "loop_",
    "é",
];

/// What may stand in place of a number.
const FORGED: [&str; 20] = [
    "0",
    "-1",
    "1",
    "2",
    "1e-300",
    "1e-9",
    "1e9",
    "1e18",
    "1e300",
    "-1e300",
    "nan",
    "inf",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "65536",
    "\"x\"",
    "[]",
    "null",
    "true",
];

/// The text with one to three slips, the same ones for the same seed.
pub fn slip(text: &str, seed: u32) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for n in 0..=seed % 3 {
        let [a, b, c, d] = philox([seed, n, 0, 0], [1, 2]);
        let at = a as usize % bytes.len().max(1);
        let end = (at + 1 + b as usize % 12).min(bytes.len());
        let junk = JUNK[c as usize % JUNK.len()].bytes();
        match d % 6 {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..end, [])),
            2 => drop(bytes.splice(at..end, junk)),
            3 => drop(bytes.splice(at..at, junk)),
            4 => drop(bytes.splice(at..at, *b"\n")),
            _ => {
                let line: Vec<u8> = bytes[at..]
                    .iter()
                    .take_while(|b| **b != b'\n')
                    .copied()
                    .collect();
                bytes.splice(at..at + line.len(), []);
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The text with one or two of its numbers forged.
pub fn forge(text: &str, seed: u32) -> String {
    let mut text = text.to_owned();
    for n in 0..=seed % 2 {
        let numbers = numbers(&text);
        let [a, b, ..] = philox([seed, n, 1, 0], [1, 2]);
        if let Some(number) = numbers.get(a as usize % numbers.len().max(1)) {
            text.replace_range(number.clone(), FORGED[b as usize % FORGED.len()]);
        }
    }
    text
}

/// Where numbers stand in a text.
fn numbers(text: &str) -> Vec<std::ops::Range<usize>> {
    let part = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e');
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(start) = text[rest..].find(|c: char| c.is_ascii_digit()) {
        let start = rest + start;
        let length = text[start..]
            .find(|c| !part(c))
            .unwrap_or(text.len() - start);
        found.push(start..start + length);
        rest = start + length;
    }
    found
}

/// The bytes with one to four of them damaged: flipped, taken out, written over, or the rest cut off.
pub fn damage(bytes: &[u8], seed: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for n in 0..=seed % 4 {
        let [a, b, c, d] = philox([seed, n, 2, 0], [1, 2]);
        let at = a as usize % bytes.len().max(1);
        let end = (at + 1 + b as usize % 16).min(bytes.len());
        match d % 8 {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..end, [])),
            2 => bytes[at..end].fill(0xff),
            3 => bytes[at..end].fill(0),
            4 => drop(bytes.splice(at..at, c.to_le_bytes())),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (c % 8);
                }
            }
        }
    }
    bytes
}
