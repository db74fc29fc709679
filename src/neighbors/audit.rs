//! Audits: the pairs that a run works with, compared with brute force for a few atoms now and then.
//!
//! Which atoms depends on the step alone, so that a run that is interrupted, or run again, audits the same
//! ones.

use super::brute;
use crate::core::rng::philox;
use crate::core::{Cell, Vec3};

/// Sets these bits apart from the noise of the dynamics.
const KEY: [u32; 2] = [0x6175_6469, 0x7473_0000];

/// Two ways to compute a vector may differ by so much (angstrom) for atoms near the origin; pairs this close
/// to the cutoff may be seen on either side of it.
const ROUNDING: f64 = 1e-8;

/// What that difference grows by for each angstrom of distance from the origin.
const ROUNDING_FAR: f64 = 64.0 * f64::EPSILON;

/// A neighbour as an engine has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// The atom (index from 0).
    pub atom: usize,
    /// r_ij = r_j - r_i + shift (angstrom).
    pub vector: Vec3,
}

/// The pairs of some receivers, as an engine has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Range (angstrom): closer pairs must be there, and no others.
    pub cutoff: f64,
    /// The neighbours of each receiver asked for, in any order.
    pub rows: Vec<Vec<Neighbor>>,
}

/// A pair that is missing, or that should not be there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mismatch {
    /// The receiver (index from 0).
    pub atom: usize,
    /// The neighbour (index from 0).
    pub neighbor: usize,
    /// Their distance (angstrom).
    pub distance: f64,
    /// The cutoff (angstrom).
    pub cutoff: f64,
    /// Whether the engine lacks it; else it has it for nothing.
    pub missing: bool,
}

/// The atoms to audit at a step: at most `count` of `atoms`, each once, ascending.
pub fn choose(step: u64, atoms: usize, count: usize) -> Vec<usize> {
    let word = |k: usize| philox([step as u32, (step >> 32) as u32, k as u32, 0], KEY);
    let mut chosen: Vec<usize> = match atoms <= count {
        true => (0..atoms).collect(),
        // The product's upper half: uniform, also for more atoms than 2^32.
        false => (0..count)
            .map(|k| {
                let [a, b, ..] = word(k);
                let wide = u64::from(a) << 32 | u64::from(b);
                ((u128::from(wide) * atoms as u128) >> 64) as usize
            })
            .collect(),
    };
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// Compares the rows of `receivers` with brute force over all atoms at unwrapped `positions` (angstrom) and
/// all their images. Returns the first difference: of the pairs missing the closest one, else an extra one.
pub fn compare(
    cell: &Cell,
    positions: &[Vec3],
    receivers: &[usize],
    listed: &Listed,
) -> Option<Mismatch> {
    let farthest = positions.iter().map(|r| r.amax()).fold(0.0, f64::max);
    let tolerance = ROUNDING + ROUNDING_FAR * farthest;
    let mut expected = Vec::new();
    (receivers.iter().zip(&listed.rows)).find_map(|(&atom, row)| {
        expected.clear();
        brute::row(cell, positions, atom, listed.cutoff, &mut expected);
        let expected: Vec<Neighbor> = (expected.iter())
            .map(|&(j, _, vector)| Neighbor {
                atom: j as usize,
                vector,
            })
            .collect();
        let mismatch = |neighbor: &Neighbor, missing: bool| Mismatch {
            atom,
            neighbor: neighbor.atom,
            distance: neighbor.vector.norm(),
            cutoff: listed.cutoff,
            missing,
        };
        let missing = without(&expected, row, listed.cutoff, tolerance);
        let extra = || without(row, &expected, listed.cutoff, tolerance);
        (missing.map(|n| mismatch(&n, true))).or_else(|| extra().map(|n| mismatch(&n, false)))
    })
}

/// The closest of `these` without a counterpart of its own among `those`.
fn without(
    these: &[Neighbor],
    those: &[Neighbor],
    cutoff: f64,
    tolerance: f64,
) -> Option<Neighbor> {
    let mut taken = vec![false; those.len()];
    let mut alone = these.iter().filter(|one| {
        let same = |other: &Neighbor| {
            other.atom == one.atom && (other.vector - one.vector).amax() <= tolerance
        };
        match (0..those.len()).find(|&k| !taken[k] && same(&those[k])) {
            Some(k) => taken[k] = true,
            None => return (one.vector.norm() - cutoff).abs() > tolerance,
        }
        false
    });
    let first = alone.next()?;
    let closest = alone.fold(first, |a, b| {
        match b.vector.norm_squared() < a.vector.norm_squared() {
            true => b,
            false => a,
        }
    });
    Some(*closest)
}
