//! What is out of reach changes nothing: each member of a batch gets, to the last bit, the forces that it gets alone.

use mdrun::core::{Cell, Fields, Mat3, System, Vec3};
use mdrun::engine::Engine;
use mdrun::potential::painn::RadialBasis;
use mdrun::potential::painn::cuda::CudaPainn;

use super::{Scene, gpu, random_scene};
use crate::support::models::calm_model;

/// Positions are multiples of this (angstrom), as are the distances between members: both are powers of two, so
/// that separations within a member are the same bits wherever it lies.
const GRAIN: f64 = 1.0 / 1_048_576.0;
/// From one member to the next (angstrom), far beyond the reach of a member's atoms.
const APART: f64 = 64.0;

/// One member, without a cell.
fn member() -> Scene {
    let mut scene = random_scene(13, Mat3::identity() * 7.0, [false; 3], 60);
    for r in &mut scene.positions {
        *r = r.map(|x| (x / GRAIN).round() * GRAIN);
    }
    scene.cell = Cell::open();
    scene
}

/// So many of them in a row.
fn batch(one: &Scene, members: usize) -> Scene {
    let place = |k: usize| Vec3::new(k as f64 * APART, 0.0, 0.0);
    let all = |numbers: &[f64]| numbers.repeat(members);
    Scene {
        system: System {
            species: one.system.species.repeat(members),
            masses: all(&one.system.masses),
        },
        cell: Cell::open(),
        positions: (0..members)
            .flat_map(|k| one.positions.iter().map(move |r| r + place(k)))
            .collect(),
        velocities: one.velocities.repeat(members),
    }
}

/// With the same kernels, whatever their kind; which of them are taken depends on the number of atoms.
#[test]
fn members_of_a_batch_get_what_one_gets_alone() {
    if !gpu() {
        return;
    }
    let (spec, weights) = calm_model(64, 3, RadialBasis::gaussian(20, 5.0));
    let one = member();
    let atoms = one.positions.len();
    for choice in one.choices(&spec, &weights) {
        let forces = |members: usize| {
            let potential = CudaPainn::new(&spec, &weights).with(choice);
            let mut engine = batch(&one, members).engine_of(potential, 0.5);
            engine.snapshot(Fields::ALL).unwrap().forces
        };
        let alone = forces(1);
        assert!(alone.iter().all(|f| f.norm() > 0.0), "{choice:?}");
        for members in [2, 7, 50] {
            for (k, forces) in forces(members).chunks(atoms).enumerate() {
                assert_eq!(forces, alone, "{choice:?}: member {k} of {members}");
            }
        }
    }
}
