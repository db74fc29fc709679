//! Selections with slips in them, and words of the language in any order.

use mdrun::core::rng::philox;
use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::selection::{Selection, SelectionScene};

use super::slips::{forge, slip};
use super::{survives, tries};

const TRIES: u32 = 2000;

const GOOD: [&str; 8] = [
    "element O",
    "index 0:12,40",
    "molecule 3",
    "within 5 A of index 7",
    "not (element H or index 0:3) and within 0.3 nm of molecule 0",
    "O,H",
    "0-20,22",
    "all and not within 1 A of element O,H",
];

const WORDS: [&str; 24] = [
    "all",
    "and",
    "or",
    "not",
    "(",
    ")",
    "element",
    "O",
    "H",
    "Fe",
    "index",
    "0:12",
    "7",
    "-1",
    "3-1",
    "99999999999999999999",
    "molecule",
    "within",
    "5 A",
    "1e300 A",
    "nan A",
    "of",
    ",",
    "é",
];

/// Water on a lattice.
fn water() -> (Vec<u8>, Cell, Vec<Vec3>) {
    let mut species = Vec::new();
    let mut positions = Vec::new();
    for k in 0..8_u32 {
        let corner = Vec3::from([k & 1, k >> 1 & 1, k >> 2].map(|n| f64::from(n) * 3.1));
        for (z, r) in [
            (8, [0.0, 0.0, 0.0]),
            (1, [0.6, 0.75, 0.0]),
            (1, [0.6, -0.75, 0.0]),
        ] {
            species.push(z);
            positions.push(corner + Vec3::from(r));
        }
    }
    let cell = Cell::new(Mat3::identity() * 6.2, [true; 3]).unwrap();
    (species, cell, positions)
}

#[test]
fn slips_in_selections_are_errors_or_atoms() {
    let (species, cell, positions) = water();
    let scene = SelectionScene {
        species: &species,
        cell: &cell,
        positions: &positions,
    };
    let (mut tried, mut refused) = (0, 0);
    let mut look = |text: String| {
        let what = format!("selection {text:?}");
        let read = survives(&what, text.len(), || Selection::parse(&text)?.atoms(&scene));
        tried += 1;
        refused += u32::from(read.is_none());
        if let Some(atoms) = read {
            assert!(
                atoms.is_sorted() && atoms.iter().all(|&i| i < species.len()),
                "{what}"
            );
            assert!(!atoms.is_empty(), "{what}");
        }
    };
    for good in GOOD {
        look(good.to_owned());
    }
    for seed in 0..tries(TRIES) {
        let good = GOOD[seed as usize % GOOD.len()];
        look(slip(good, seed));
        look(forge(good, seed));
        let [length, ..] = philox([seed, 0, 7, 0], [1, 2]);
        let word = |n| WORDS[philox([seed, n, 8, 0], [1, 2])[0] as usize % WORDS.len()];
        let words: Vec<&str> = (0..1 + length % 12).map(word).collect();
        look(words.join(" "));
    }
    assert!(refused > tried / 4, "{refused} of {tried} were refused");
    assert!(
        refused < tried * 9 / 10,
        "{refused} of {tried} were refused"
    );
}
