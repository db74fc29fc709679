//! Exact restart: checkpoints, runs that are killed and taken up, and faults of disks and directories.

mod beside;
pub mod faults;
mod format;
mod fuzz;
mod int8;
pub mod kill;
mod last;
mod library;
mod member;
mod moved;
mod numbers;
mod resume;
pub mod runs;
mod signals;
pub mod stages;

use mdrun::core::{Cell, ChainState, Kept, Mat3, PistonState, System, Vec3};
use std::collections::BTreeMap;

use mdrun::report::checkpoint::StageMark;
use mdrun::report::{Checkpoint, EnergyRecord, Identity};
use mdrun::simulation::FileMark;

/// A checkpoint with something in every part of it.
pub fn sample(atoms: usize) -> Checkpoint {
    let mut energies = EnergyRecord::new(atoms, 3 * atoms);
    for k in 0..100 {
        let x = f64::from(k);
        energies.conserved.add(0.1 * x, -1234.5 + (0.7 * x).sin());
        energies.kinetic.add(0.1 * x, 3.0 + (1.3 * x).cos());
    }
    let vector = |i: usize, scale: f64| {
        let x = i as f64 + 1.0 / 3.0;
        Vec3::new(x.sin(), -x.sqrt(), 1e-300 * x) * scale
    };
    let rows = [9.0, 0.0, 0.0, 3.0, 8.0, 0.0, -2.0, 1.0, 7.0 + 1.0 / 7.0];
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    Checkpoint {
        step: 123_456_789_012,
        kept: Kept {
            heat: -1.0 / 3.0,
            work: 2.0 / 7.0,
            pulled: 5.0 / 11.0,
            response: Mat3::new(0.1, 0.2, 0.3, 0.2, 0.5, 0.6, 0.3, 0.6, 1.0 / 9.0),
            chain: ChainState {
                positions: [2.0 / 3.0, -1e-300, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                velocities: [0.1, -7.0 / 9.0, 1.0 / 11.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            },
            piston: PistonState {
                rate: -1.0 / 13.0,
                chain: ChainState {
                    positions: [1.0 / 17.0; 8],
                    velocities: [-5.0 / 19.0; 8],
                },
            },
        },
        system: System {
            species: (0..atoms).map(|i| 1 + (i % 118) as u8).collect(),
            masses: (0..atoms).map(|i| 1.008 + i as f64 / 3.0).collect(),
        },
        cell: Cell::new(Mat3::from_row_slice(&rows), [true, true, false]).unwrap(),
        positions: (0..atoms).map(|i| vector(i, 10.0)).collect(),
        velocities: (0..atoms).map(|i| vector(i, 0.01)).collect(),
        energies,
        stretch: 20,
        files: vec![FileMark {
            name: "thermo.csv".to_owned(),
            length: 1 << 40,
            records: 17,
            amended: vec![[8, 4]],
            sha256: "00".repeat(32),
        }],
        foreign: vec![FileMark {
            name: "COLVAR".to_owned(),
            length: 1 << 33,
            records: 0,
            amended: Vec::new(),
            sha256: "11".repeat(32),
        }],
        identity: Identity {
            run: vec![pair("dynamics.timestep", "0.5 fs")],
            platform: vec![pair("engine", "fused, \"quoted\"")],
        },
        elapsed: 12.25,
        stage: Some(StageMark {
            name: "heat".to_owned(),
            step: 17,
            time: 1.0 / 7.0,
            moved: BTreeMap::from([("probe".to_owned(), 1.0 / 3.0)]),
        }),
    }
}
