//! Model files with damaged bytes, slips in their headers, and forged shapes and hyper-parameters.

use mdrun::core::{Cell, Vec3};
use mdrun::forcefield::{ForceField as _, HostForceField};
use mdrun::potential::Precision;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::painn::{Spec, Weights, export, import};

use super::slips::{damage, forge, slip};
use super::{survives, tries};
use crate::parity::model_file::{File, small};

const TRIES: u32 = 500;

/// Good files: the project's own style and SchNetPack's.
fn subjects() -> [Vec<u8>; 2] {
    let (spec, weights) = small();
    [export(&spec, &weights).unwrap(), File::schnetpack().bytes()]
}

/// The file with another header, whose length it states truly.
fn with_header(bytes: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, data) = bytes[8..].split_at(length);
    let header = change(std::str::from_utf8(header).unwrap());
    let length = (header.len() as u64).to_le_bytes();
    [&length, header.as_bytes(), data].concat()
}

/// Reads a model; one that is accepted must have an energy for water or say why not. Whether it was.
pub fn accepted(bytes: &[u8], what: &str) -> bool {
    let Some((spec, weights)) = survives(what, bytes.len(), || import(bytes, "m.safetensors"))
    else {
        return false;
    };
    super::watched(what, || evaluate(&spec, &weights, what));
    true
}

fn evaluate(spec: &Spec, weights: &Weights, what: &str) {
    let positions = [[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]].map(Vec3::from);
    let bound = FusedPainn::new(spec, weights, &[8, 1, 1], Precision::F64, 1);
    let Ok(potential) = bound else {
        return;
    };
    let cell = Cell::new(mdrun::core::Mat3::zeros(), [false; 3]).unwrap();
    let found = HostForceField::new(Box::new(potential), 0.0).at(&cell, &positions);
    if let Ok(evaluation) = found {
        assert_eq!(evaluation.forces.len(), positions.len(), "{what}");
    }
}

#[test]
fn damaged_models_are_errors_or_models() {
    let mut refused = 0;
    for (n, bytes) in subjects().iter().enumerate() {
        assert!(accepted(bytes, "a good model"));
        for seed in 0..tries(TRIES) {
            for (how, bytes) in [
                ("damage", damage(bytes, seed)),
                ("slip", with_header(bytes, |header| slip(header, seed))),
                ("forgery", with_header(bytes, |header| forge(header, seed))),
            ] {
                refused += u32::from(!accepted(&bytes, &format!("model {n}, {how} {seed}")));
            }
        }
    }
    // Flipped bits within weights are the only damage that none can see.
    let tried = 6 * tries(TRIES);
    assert!(refused > tried / 3, "{refused} of {tried} were refused");
    assert!(refused < tried, "none was accepted");
}
