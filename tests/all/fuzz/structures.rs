//! Structure files with slips in them.

use std::fs;
use std::path::{Path, PathBuf};

use mdrun::formats;

use super::slips::{damage, forge, slip};
use super::{put, survives, tries};
use crate::support::root;

/// Slips tried on each file.
const TRIES: u32 = 400;

/// Good files of every format: plain ones, and those that use what else a format has.
fn fixtures() -> Vec<PathBuf> {
    let folders = ["tests/all/config/good/files", "tests/all/fuzz/seeds"];
    let entries = folders.map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let mut files: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    files
}

/// Reads a structure file; whether it was accepted.
pub fn accepted(path: &Path, what: &str) -> bool {
    let length = fs::metadata(path).unwrap().len() as usize;
    match survives(what, length, || formats::read(path)) {
        Some(read) => {
            assert_eq!(read.species.len(), read.positions.len(), "{what}");
            true
        }
        None => false,
    }
}

/// Every seed is read: mutations begin from what a reader takes for good.
#[test]
fn fixtures_are_accepted() {
    for fixture in fixtures() {
        let read = formats::read(&fixture);
        assert!(read.is_ok(), "{}", read.err().unwrap());
    }
}

#[test]
fn slips_in_structures_are_errors_or_structures() {
    let folder = tempfile::tempdir().unwrap();
    let (mut tried, mut refused) = (0, 0);
    for fixture in &fixtures() {
        let text = fs::read_to_string(fixture).unwrap();
        let path = folder.path().join(fixture.file_name().unwrap());
        for seed in 0..tries(TRIES) {
            for (how, bytes) in [
                ("slip", slip(&text, seed).into_bytes()),
                ("forgery", forge(&text, seed).into_bytes()),
                ("damage", damage(text.as_bytes(), seed)),
            ] {
                put(&path, &bytes);
                let what = format!("{}, {how} {seed}", path.display());
                tried += 1;
                refused += usize::from(!accepted(&path, &what));
            }
        }
    }
    // A slip in a comment or a digit is none that a reader can see; most others are.
    assert!(refused > tried / 5, "{refused} of {tried} were refused");
    assert!(refused < tried, "none was accepted");
}
