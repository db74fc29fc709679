//! The corpus: each file is read by whom it is for, by the folder that it is in.
//!
//! Models stand there as the text of their headers, `NAME.json`: the length before it and 64 KiB of zeros
//! after it are added here.

use std::fs;
use std::path::PathBuf;

use super::{configs, models, structures};
use crate::support::root;

/// Data behind a model's header (bytes).
const DATA: usize = 1 << 16;

fn files(kind: &str) -> Vec<PathBuf> {
    let folder = root().join("tests/all/fuzz/corpus").join(kind);
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn structures_of_the_corpus() {
    for file in files("structures") {
        structures::accepted(&file, &file.display().to_string());
    }
}

#[test]
fn models_of_the_corpus() {
    for file in files("models") {
        let header = fs::read(&file).unwrap();
        let length = (header.len() as u64).to_le_bytes();
        let bytes = [&length, &header[..], &[0; DATA]].concat();
        models::accepted(&bytes, &file.display().to_string());
    }
}

#[test]
fn run_files_of_the_corpus() {
    let folder = tempfile::tempdir().unwrap();
    for file in files("configs") {
        let text = fs::read_to_string(&file).unwrap();
        let text = text.replace("@root@", root().to_str().unwrap());
        configs::accepted(&text, folder.path(), &file.display().to_string());
    }
}
