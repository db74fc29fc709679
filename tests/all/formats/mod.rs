//! Structure files as programs and people write them: the right atoms, cell and names, or a clear error.

mod all_frames;
mod cml;
mod gro;
mod mol2;
mod notes;
mod pdb;
mod sdf;
mod xyz;

use std::fs;

use mdrun::core::elements;
use mdrun::formats::{self, Structure};

/// Reads frame `frame` of `text` as a file of this name.
fn frame(name: &str, text: impl AsRef<[u8]>, frame: i64) -> Result<Structure, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let read = match frame {
        0 => formats::read(&path),
        _ => formats::read_frame(&path, frame),
    };
    read.map_err(|e| e.to_string())
}

#[track_caller]
fn read(name: &str, text: impl AsRef<[u8]>) -> Structure {
    frame(name, text, 0).unwrap()
}

/// The error of a text that is refused: one line that has all of `parts`.
#[track_caller]
fn refused(name: &str, text: impl AsRef<[u8]>, parts: &[&str]) {
    let shown = String::from_utf8_lossy(text.as_ref()).into_owned();
    let Err(error) = frame(name, text, 0) else {
        panic!("{name} is accepted:\n{shown}");
    };
    assert!(!error.contains('\n'), "{error}");
    for part in parts {
        assert!(error.contains(part), "{error} does not say {part:?}");
    }
}

/// The symbols of a structure's atoms, with blanks between.
fn symbols(structure: &Structure) -> String {
    let list: Vec<&str> = (structure.species.iter())
        .map(|z| elements::symbol(*z))
        .collect();
    list.join(" ")
}

/// Edges of a cell at right angles (angstrom).
#[track_caller]
fn edges(structure: &Structure) -> [f64; 3] {
    let cell = structure.vectors.expect("there is a cell");
    let edges = [0, 1, 2].map(|k| cell[(k, k)]);
    assert_eq!(
        cell,
        mdrun::core::Mat3::from_diagonal(&edges.into()),
        "right angles"
    );
    edges
}
