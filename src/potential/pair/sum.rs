//! Sums over pairs, in their order, so that no bit depends on the number of threads.

use rayon::prelude::*;

use crate::core::{Mat3, Vec3};
use crate::neighbors::Pairs;

/// Rows that one task goes through.
const CHUNK: usize = 128;

/// Pairs below which threads cost more than they save.
const PARALLEL: usize = 20_000;

/// What the pairs of one receiver add to the whole.
#[derive(Debug, Clone, Copy)]
pub struct ReceiverSum {
    /// Half of their energy (eV).
    energy: f64,
    /// Half of their strain derivative (eV).
    strain: Mat3,
}

impl ReceiverSum {
    /// The energy (eV) of all.
    pub fn energy(shares: &[Self]) -> f64 {
        shares.iter().map(|s| s.energy).sum()
    }

    /// The energy (eV) of each: half of what its pairs have.
    pub fn energies(shares: &[Self]) -> impl Iterator<Item = f64> {
        shares.iter().map(|s| s.energy)
    }

    /// The strain derivative (eV) of all.
    pub fn strain(shares: &[Self]) -> Mat3 {
        shares.iter().map(|s| s.strain).sum()
    }
}

/// The force on each atom (eV / angstrom) and what its pairs add, for a function of receiver, neighbour and distance (angstrom)
/// that gives energy (eV) and slope (eV / angstrom).
pub fn rows(
    at: &(impl Fn(usize, usize, f64) -> (f64, f64) + Sync),
    pairs: &Pairs,
    forces: &mut Vec<Vec3>,
    shares: &mut Vec<ReceiverSum>,
) {
    let nothing = ReceiverSum {
        energy: 0.0,
        strain: Mat3::zeros(),
    };
    shares.resize(pairs.atoms(), nothing);
    forces.resize(pairs.atoms(), Vec3::zeros());
    let several = |first: usize, forces: &mut [Vec3], shares: &mut [ReceiverSum]| {
        for (k, (force, share)) in forces.iter_mut().zip(shares).enumerate() {
            (*force, *share) = receiver(at, pairs, first + k);
        }
    };
    if pairs.len() < PARALLEL {
        several(0, forces, shares);
        return;
    }
    let forces = forces.par_chunks_mut(CHUNK);
    let chunks = forces.zip(shares.par_chunks_mut(CHUNK)).enumerate();
    chunks.for_each(|(k, (forces, shares))| several(k * CHUNK, forces, shares));
}

/// Force on one receiver, and its half of the energy and strain derivative of its pairs.
fn receiver(
    at: &impl Fn(usize, usize, f64) -> (f64, f64),
    pairs: &Pairs,
    receiver: usize,
) -> (Vec3, ReceiverSum) {
    let (mut force, mut energy, mut strain) = (Vec3::zeros(), 0.0, Mat3::zeros());
    for p in pairs.row(receiver) {
        let (u, slope) = at(receiver, pairs.neighbors[p] as usize, pairs.distances[p]);
        let vector = pairs.vectors[p];
        let pull = vector * (slope / pairs.distances[p]);
        force += pull;
        energy += 0.5 * u;
        strain += 0.5 * vector * pull.transpose();
    }
    (force, ReceiverSum { energy, strain })
}
