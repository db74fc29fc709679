//! What is measured on trajectories, against what is known exactly, and against other programs (`tests/python/analysis.py`).

mod command;
mod equilibrium;
mod matter;
mod motion;
mod python;
mod readers;

use mdrun::analysis::{Chosen, FrameQuantity, Studied};
use mdrun::core::{Cell, Snapshot, System, Vec3, elements};

/// Time between the frames of these tests (internal).
const SPACING: f64 = 0.1;

/// A system of these elements as the tests study it: all atoms, from a first frame at these positions.
fn studied(species: &[u8], cell: &Cell, positions: &[Vec3], frames: u64) -> Studied {
    let mass = |z: &u8| elements::mass(*z).unwrap();
    Studied {
        system: System {
            species: species.to_vec(),
            masses: species.iter().map(mass).collect(),
        },
        cell: cell.clone(),
        positions: positions.to_vec(),
        chosen: Chosen::all(species),
        spacing: SPACING,
        frames,
        degrees_of_freedom: 3 * species.len(),
        wrapped: false,
    }
}

/// A frame of this number.
fn frame(number: u64, cell: &Cell, positions: Vec<Vec3>) -> Snapshot {
    Snapshot {
        positions,
        ..Snapshot::blank(number, number as f64 * SPACING, cell.clone())
    }
}

/// Shows a quantity one frame.
fn show(quantity: &mut impl FrameQuantity, cell: &Cell, positions: &[Vec3]) {
    quantity.take(&frame(0, cell, positions.to_vec())).unwrap();
}
