//! Energies, forces, strain derivatives and pairs of `tests/data`, which an independent implementation gives in f64.

use mdrun::potential::{Evaluation, Precision};

use super::engines::{Engine, engines, force_fields};
use crate::support::atoms::farthest;
use crate::support::data::{Arrangement, own};
use crate::support::models::organic;
use crate::support::{brute, naive};

/// Largest differences allowed.
struct Bars {
    /// Of a force (eV / angstrom).
    force: f64,
    /// Of an energy (eV per atom): of the network's share, whatever is added to it.
    energy: f64,
}

/// In f64 the engines' own approximation counts: splines that stand for the filters, off by 1e-11 of the largest, in
/// messages of up to 50 neighbours through three layers; energies of up to 140 eV an atom are rounded to 3e-14 eV.
const DOUBLE: Bars = Bars {
    force: 2e-10,
    energy: 1e-12,
};
/// In f32: 2^-24 of intermediate numbers of up to some 10 eV, added up in thousands of terms a layer.
const SINGLE: Bars = Bars {
    force: 5e-5,
    energy: 5e-6,
};

/// On a card gradients of pairs are rounded to f32 as well, and splines of filters are cubic, their slopes off by up to 1.6e-5 of
/// the largest: the bar of third-party reference data for f32, 2e-3 kcal/mol/A.
const CARD: Bars = Bars {
    force: 8.6e-5,
    ..SINGLE
};

fn bars(engine: &Engine, precision: Precision) -> Bars {
    match precision {
        Precision::F64 => DOUBLE,
        Precision::F32 if engine.is_on_a_card() => CARD,
        _ => SINGLE,
    }
}

/// The errors of an evaluation, each over its bar: energy, force, strain derivative.
fn errors(found: &Evaluation, atoms: &Arrangement, reach: f64, bars: &Bars) -> [f64; 3] {
    let (count, expected) = (atoms.species.len() as f64, &atoms.expected);
    // A sum over all pairs of forces with lever arms of up to the reach: their errors are independent.
    let strain = bars.force * reach * (atoms.pairs as f64).sqrt().max(1.0);
    [
        (found.energy - expected.energy).abs() / (bars.energy * count),
        farthest(&found.forces, &expected.forces) / bars.force,
        (found.strain_derivative - expected.strain_derivative).amax() / strain,
    ]
}

#[test]
fn an_independent_implementation_gives_the_same() {
    let mut seen = 0;
    for subject in own() {
        let cutoff = subject.model.0.cutoff;
        for engine in force_fields() {
            for &precision in engine.precisions {
                let mut worst = [0f64; 3];
                for atoms in &subject.arrangements {
                    let mut field = engine.field(&subject.model, &atoms.species, precision);
                    let found = field.at(&atoms.cell, &atoms.positions).unwrap();
                    assert_eq!(field.pairs(), atoms.pairs as u64, "{}", atoms.name);
                    let errors = errors(&found, atoms, cutoff, &bars(&engine, precision));
                    let sound = errors.iter().all(|&e| e < 1.0);
                    let what = format!("{}, {}, {precision:?}", subject.name, engine.name);
                    assert!(sound, "{what}, {}: {errors:?} of the bars", atoms.name);
                    for (worst, error) in worst.iter_mut().zip(errors) {
                        *worst = worst.max(error);
                    }
                    seen += 1;
                }
                let [energy, force, strain] = worst;
                println!(
                    "{}, {}, {precision:?}: of the bars, energy {energy:.1e}, force {force:.1e}, strain {strain:.1e}",
                    subject.name, engine.name
                );
            }
        }
    }
    // 12 + 6 + 6 arrangements, two engines, two precisions at least.
    assert!(seen >= 24 * 4, "{seen}");
}

/// The cell list and brute force count the pairs of the reference.
#[test]
fn pairs_are_as_many_as_an_independent_implementation_counts() {
    for subject in own() {
        for atoms in &subject.arrangements {
            let brute = brute::pairs(&atoms.cell, &atoms.positions, subject.model.0.cutoff);
            assert_eq!(brute.len(), atoms.pairs, "{}, {}", subject.name, atoms.name);
        }
    }
}

/// The second shipped model against the equations written out (`support::naive`), on the arrangements of the first, with elements
/// that it alone knows put in.
#[test]
fn the_organic_model_is_that_of_the_equations() {
    let model = organic();
    let others = [9, 15, 16, 17, 35];
    let [shipped, ..] = own();
    for name in ["aspirin", "triclinic_small", "slab"] {
        let atoms = shipped
            .arrangements
            .iter()
            .find(|a| a.name == name)
            .unwrap();
        let mut species = atoms.species.clone();
        for (z, &other) in species.iter_mut().zip(&others) {
            *z = other;
        }
        let pairs = brute::pairs(&atoms.cell, &atoms.positions, model.0.cutoff);
        let exact = naive::evaluate(&model.0, &model.1, &species, &pairs).energy;
        for engine in engines() {
            for &precision in engine.precisions {
                let mut potential = engine.make(&model, &species, precision);
                let mut found = Evaluation::zeros(0);
                potential.evaluate(&pairs, &mut found).unwrap();
                let off = (found.energy - exact).abs() / species.len() as f64;
                println!("{name}, {}, {precision:?}: {off:.1e} eV/atom", engine.name);
                assert!(
                    off < bars(&engine, precision).energy,
                    "{name}, {}: {off:e}",
                    engine.name
                );
            }
        }
    }
}
