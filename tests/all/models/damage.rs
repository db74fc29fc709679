//! Damaged and forged files: 10,000 made from good ones, the same at each run. None panics, hangs or takes memory for sizes that
//! only the file speaks of; and what still loads is the original: where the format has checksums (zip archives, and the
//! project's own files by their seal) to the last bit, else, but for numbers, in names, shapes and hyper-parameters.

use mdrun::convert::{Converted, ModelAnswers};
use mdrun::potential::painn::{RadialBasis, Spec, Weights};

use super::convert::{ZIP, all_answers, answers, converted};
use super::layouts::{SchNetPack, state_of};
use super::pickled::{Container, Py, save};
use crate::parity::model_file::small;
use crate::support::allocator::largest_allocation;
use crate::support::atoms::Random;

/// Memory (bytes) that reading any file may take at once, and so many times the file's length.
const ROOM: usize = 1 << 20;
const TIMES_LENGTH: usize = 64;

/// One of several kinds of damage at one place.
fn damaged(good: &[u8], seed: u32, most: usize) -> Vec<u8> {
    let mut random = Random::new(seed + 1);
    let mut below = |n: usize| (random.unit() * n as f64) as usize;
    let mut bytes = good.to_vec();
    let at = below(most);
    match below(6) {
        0..=2 => bytes[at] ^= 1 << below(8),
        3 => bytes[at] = below(256) as u8,
        4 => {
            let end = (at + below(16)).min(bytes.len());
            bytes.drain(at..end);
        }
        _ => {
            let from = below(most);
            let end = (from + below(16)).min(bytes.len());
            let part = bytes[from..end].to_vec();
            for (to, byte) in bytes[at..].iter_mut().zip(part) {
                *to = byte;
            }
        }
    }
    bytes
}

/// A model without the numbers that no format without checksums can vouch for.
fn outline(model: &Converted) -> (Spec, Vec<[usize; 2]>) {
    let mut spec = model.model.spec.clone();
    spec.mean_per_atom = 0.0;
    let blank = |list: &[f64]| vec![0.0; list.len()];
    spec.basis = match &spec.basis {
        RadialBasis::Gaussian { centers, widths } => RadialBasis::Gaussian {
            centers: blank(centers),
            widths: blank(widths),
        },
        RadialBasis::Bessel { frequencies, scale } => RadialBasis::Bessel {
            frequencies: blank(frequencies),
            scale: *scale,
        },
    };
    let weights: &Weights = &model.model.weights;
    let mut shapes = vec![[weights.embedding.len(), spec.features]];
    shapes.extend(weights.readout.iter().map(|l| [l.inputs, l.outputs]));
    (spec, shapes)
}

/// Damages a file so many times, within its first bytes, and says how many still load.
fn survives(
    what: &str,
    good: &[u8],
    (tries, most): (u32, usize),
    answers: &ModelAnswers,
    exact: bool,
) -> u32 {
    let original = converted(good, answers).unwrap();
    let mut loaded = 0;
    for seed in 0..tries {
        let bytes = damaged(good, seed, most);
        let (found, largest) = largest_allocation(|| converted(&bytes, answers));
        assert!(
            largest <= ROOM + TIMES_LENGTH * bytes.len(),
            "{what} {seed}: {largest} bytes at once"
        );
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let error = error.to_string();
                assert!(
                    !error.contains('\n') && error.len() > 10,
                    "{what} {seed}: {error}"
                );
                continue;
            }
        };
        loaded += 1;
        assert_eq!(outline(&found), outline(&original), "{what} {seed}");
        assert_eq!(
            found.model.repulsion, original.model.repulsion,
            "{what} {seed}"
        );
        if exact {
            let (a, b) = (&found.model, &original.model);
            assert!(
                a.spec == b.spec && a.weights == b.weights,
                "{what} {seed}: other numbers"
            );
        }
    }
    println!("{what}: of {tries} damaged files {loaded} load");
    loaded
}

fn module() -> Py {
    let model = small();
    SchNetPack::of(&model).module(&model)
}

#[test]
fn archives_load_as_they_were_or_not_at_all() {
    let good = save(&module(), ZIP);
    let loaded = survives("zip", &good, (2500, good.len()), &answers(), true);
    assert!(loaded < 1000, "{loaded}");
    let state = save(
        &Py::Ordered(state_of(&module(), "model.")),
        Container::Zip(4),
    );
    survives(
        "zip of a state dict",
        &state,
        (1000, state.len()),
        &all_answers(),
        true,
    );
}

#[test]
fn pickles_without_checksums_load_with_the_same_hyper_parameters_or_not_at_all() {
    let good = save(&module(), Container::Legacy);
    // Most of the file are numbers, of which any is as good as another.
    let numbers: usize = 4 * small().1.parameters();
    let pickle = good.len() - numbers;
    survives("pickle", &good, (3000, pickle), &answers(), false);
    survives(
        "file before 1.6",
        &good,
        (1000, good.len()),
        &answers(),
        false,
    );
    let state = save(&Py::Ordered(state_of(&module(), "")), Container::Legacy);
    survives(
        "state dict before 1.6",
        &state,
        (1000, state.len() - numbers),
        &all_answers(),
        false,
    );
}

#[test]
fn sealed_files_load_as_they_were_or_not_at_all() {
    let good = converted(&save(&module(), ZIP), &answers()).unwrap().bytes;
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let none = ModelAnswers::default();
    let loaded = survives("safetensors", &good, (1000, good.len()), &none, true);
    assert!(loaded < 50, "{loaded}");
    survives("header of safetensors", &good, (1000, header), &none, true);
}

/// A bit of a number in a file without checksums is seen by nobody but the file's hash, which `mdrun model info` prints.
#[test]
fn a_flipped_bit_of_a_number_shows_in_the_hash() {
    let good = save(&module(), Container::Legacy);
    let mut flipped = good.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let [a, b] = [&good, &flipped].map(|bytes| converted(bytes, &answers()).unwrap());
    assert!(a.model.weights != b.model.weights);
    let hash = |model: &Converted| model.model.remarks["sha256"].clone();
    assert_ne!(hash(&a), hash(&b));
}
