//! A card's memory: what a system will take is foreseen, and one that does not fit is refused before any is taken.

use mdrun::core::{Cell, System, Vec3};
use mdrun::engine::cuda::CudaEngine;
use mdrun::potential::painn::RadialBasis;
use mdrun::potential::painn::cuda::CudaPainn;

use super::{Scene, gpu};
use crate::support::models::calm_model;
use mdrun::core::rng::Noise;

/// Carbon atoms at rest at these places.
fn carbon(positions: Vec<Vec3>) -> Scene {
    let count = positions.len();
    Scene {
        system: System {
            species: vec![6; count],
            masses: vec![12.0; count],
        },
        cell: Cell::open(),
        velocities: vec![Vec3::zeros(); count],
        positions,
    }
}

/// So many atoms on a cubic lattice.
fn lattice(count: usize, spacing: f64) -> Vec<Vec3> {
    let edge = (count as f64).cbrt().ceil() as usize;
    let at = |n: usize| {
        Vec3::new(
            (n % edge) as f64,
            (n / edge % edge) as f64,
            (n / edge / edge) as f64,
        )
    };
    (0..count).map(|n| at(n) * spacing).collect()
}

/// The estimate follows what is taken, atom for atom: weights and pairs come on top.
#[test]
fn memory_of_atoms_is_foreseen() {
    if !gpu() {
        return;
    }
    for (features, layers) in [(32, 1), (128, 3)] {
        let (spec, weights) = calm_model(features, layers, RadialBasis::gaussian(8, 5.0));
        // So far apart that there are no pairs.
        let taken = |count| {
            carbon(lattice(count, 9.0))
                .engine(&spec, &weights, 0.5)
                .memory()
        };
        let foreseen = |count| CudaEngine::foreseen_memory(count, &CudaPainn::new(&spec, &weights));
        let (few, many) = (10_000, 60_000);
        // The same table takes the memory and forecasts it.
        let grown = taken(many) - taken(few);
        let wanted = foreseen(many) - foreseen(few);
        assert_eq!(grown, wanted, "{features}");
    }
}

fn refusal(scene: Scene, features: usize) -> String {
    let (spec, weights) = calm_model(features, 3, RadialBasis::gaussian(8, 5.0));
    let noise = Noise::new(1);
    match CudaEngine::new(
        scene.start(),
        &CudaPainn::new(&spec, &weights),
        noise,
        0.5,
        0,
    ) {
        Err(mdrun::Error::Input(message)) => message,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it fits"),
    }
}

#[test]
fn atoms_beyond_the_memory_are_refused() {
    if !gpu() {
        return;
    }
    // 30 kB an atom: 240 GB.
    let message = refusal(carbon(lattice(8_000_000, 3.0)), 128);
    for part in [
        "too little memory: 8000000 atoms",
        "GiB are free",
        "or the CPU",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn pairs_beyond_the_memory_are_refused() {
    if !gpu() {
        return;
    }
    // All within reach of all: 9e8 pairs of 168 bytes, 151 GB and a tenth to spare.
    let message = refusal(carbon(lattice(30_000, 0.08)), 256);
    for part in [
        "30000 atoms with 8999",
        "pairs in reach need",
        "GiB are free",
    ] {
        assert!(message.contains(part), "{message}");
    }
}
