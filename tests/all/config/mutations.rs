//! Structure files with slips in them: whatever the slip, reading ends with a structure or an error.

use std::fs;
use std::path::PathBuf;

use mdrun::config::structure;
use mdrun::core::rng::philox;

use crate::support::root;

/// Slips tried on each file. More were tried when the readers were written.
const TRIES: u32 = 400;

/// What a slip may put into a file.
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

fn fixtures() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/all/config/good/files")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

/// The text with one to three slips, the same ones for the same seed.
fn slip(text: &str, seed: u32) -> String {
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

#[test]
fn slips_in_structures_are_errors_or_structures() {
    let folder = tempfile::tempdir().unwrap();
    let mut refused = 0;
    let fixtures = fixtures();
    for fixture in &fixtures {
        let text = fs::read_to_string(fixture).unwrap();
        let path = folder.path().join(fixture.file_name().unwrap());
        for seed in 0..TRIES {
            fs::write(&path, slip(&text, seed)).unwrap();
            match structure::read(&path) {
                Ok(read) => assert_eq!(read.species.len(), read.positions.len()),
                Err(error) => {
                    let error = error.to_string();
                    assert!(!error.contains('\n'), "{error}");
                    refused += 1;
                }
            }
        }
    }
    // A slip in a comment or a digit is none that a reader can see; most others are.
    let tried = TRIES as usize * fixtures.len();
    assert!(refused > tried / 4, "{refused} of {tried} were refused");
    assert!(refused < tried, "none was accepted");
}
