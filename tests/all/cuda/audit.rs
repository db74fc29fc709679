//! What audits and the flight recorder ask of the engine on the GPU: the pairs that it works with, and earlier
//! states.

use mdrun::core::{Fields, Mat3, Vec3};
use mdrun::dynamics::{Program, baoab};
use mdrun::engine::Engine;

use mdrun::neighbors::audit;
use mdrun::potential::painn::RadialBasis;

use super::{gpu, random_scene};
use crate::physics::doubles::bits;
use crate::support::brute;
use crate::support::models::calm_model;

/// Cells of one and of several images within the range, slabs, and no cell.
fn scenes() -> Vec<super::Scene> {
    let skewed = Mat3::from_row_slice(&[11.0, 0.0, 0.0, 2.5, 9.0, 0.0, -1.5, 1.2, 10.0]);
    vec![
        random_scene(60, skewed, [true; 3], 3),
        random_scene(60, skewed, [true, true, false], 4),
        random_scene(12, Mat3::identity() * 5.5, [true; 3], 5),
        random_scene(40, Mat3::identity() * 9.0, [false; 3], 6),
    ]
}

/// The pairs that forces were computed with are those of brute force, at the start and while atoms move far
/// beyond the skin, whatever has come before: a block, a rollback, a rebuild.
#[test]
fn pairs_are_those_of_brute_force_all_along() {
    if !gpu() {
        return;
    }
    let (mut spec, weights) = calm_model(32, 2, RadialBasis::gaussian(12, 5.0));
    spec.energy_scale = 0.02;
    for scene in scenes() {
        let mut engine = scene.engine(&spec, &weights, 0.3);
        let all: Vec<usize> = (0..scene.positions.len()).collect();
        let check = |engine: &mut dyn Engine, when: &str| {
            let state = engine.snapshot(Fields::ALL).unwrap();
            let listed = engine.listed(&all).unwrap();
            let found = audit::compare(&scene.cell, &state.positions, &all, &listed);
            assert_eq!(found, None, "{when}");
            let pairs = brute::pairs(&scene.cell, &state.positions, spec.cutoff);
            let count: usize = listed.rows.iter().map(Vec::len).sum();
            assert_eq!(count, pairs.len(), "{when}");
            for (i, row) in listed.rows.iter().enumerate() {
                for (found, p) in row.iter().zip(pairs.row(i)) {
                    let apart: Vec3 = found.vector - pairs.vectors[p];
                    // Rounding of a translation of some 10 A.
                    assert!(found.atom == pairs.neighbors[p] as usize && apart.norm() < 1e-12);
                }
            }
        };
        check(&mut engine, "start");
        let program = Program::velocity_verlet(0.1);
        for block in 0..6 {
            engine.save().unwrap();
            engine.run(&program, 40 * block..40 * block + 40).unwrap();
            check(&mut engine, "block");
        }
        engine.rollback().unwrap();
        check(&mut engine, "rollback");
        engine.rebuild().unwrap();
        check(&mut engine, "rebuild");
        let few = engine.listed(&[7, 3]).unwrap();
        assert_eq!(few.rows[1], engine.listed(&[3]).unwrap().rows[0]);
        assert!(engine.listed(&[all.len()]).is_err());
    }
}

/// Put back into an earlier state, the engine goes the same way again, bit for bit.
#[test]
fn an_earlier_state_leads_to_the_same_later_one() {
    if !gpu() {
        return;
    }
    let (mut spec, weights) = calm_model(32, 2, RadialBasis::gaussian(12, 5.0));
    spec.energy_scale = 0.02;
    let scene = &scenes()[0];
    for program in [
        Program::velocity_verlet(0.1),
        baoab(0.1, 0.02, 0.05).remove_drift(7),
    ] {
        let mut engine = scene.engine(&spec, &weights, 0.3);
        engine.run(&program, 0..50).unwrap();
        let early = engine.snapshot(Fields::ALL).unwrap();
        engine.run(&program, 50..200).unwrap();
        let late = engine.snapshot(Fields::ALL).unwrap();
        let phase = mdrun::core::Snapshot {
            forces: Vec::new(),
            ..early.clone()
        };
        engine.restore(&phase).unwrap();
        assert_eq!(bits(&engine.snapshot(Fields::ALL).unwrap()), bits(&early));
        engine.run(&program, 50..200).unwrap();
        assert_eq!(bits(&engine.snapshot(Fields::ALL).unwrap()), bits(&late));
        let half = mdrun::core::Snapshot {
            velocities: Vec::new(),
            ..early
        };
        assert!(engine.restore(&half).is_err());
    }
}
