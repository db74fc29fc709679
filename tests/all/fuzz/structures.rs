//! Structure files with slips in them.

use std::fs;
use std::path::{Path, PathBuf};

use mdrun::formats;

use super::slips::{forge, slip};
use super::{survives, tries};
use crate::support::root;

/// Slips tried on each file.
const TRIES: u32 = 400;

fn fixtures() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/all/config/good/files")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
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

#[test]
fn slips_in_structures_are_errors_or_structures() {
    let folder = tempfile::tempdir().unwrap();
    let (mut tried, mut refused) = (0, 0);
    for fixture in &fixtures() {
        let text = fs::read_to_string(fixture).unwrap();
        let path = folder.path().join(fixture.file_name().unwrap());
        for seed in 0..tries(TRIES) {
            for (how, text) in [("slip", slip(&text, seed)), ("forgery", forge(&text, seed))] {
                fs::write(&path, text).unwrap();
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
