//! Energies and forces of many arrangements on a card: batches at rest, one after another.

use std::ops::Range;
use std::sync::Arc;

use super::field::{FORCES, SKIN};
use super::snapshot::{Landing, Underway};
use super::{CudaBatch, Making};
use crate::core::rng::Noise;
use crate::core::{Snapshot, System, Vec3};
use crate::cuda::{CardArray, Device};
use crate::dynamics::Program;
use crate::engine::{BatchMember, Limits, Start};
use crate::forcefield::{Arrangement, CardPoints, FoundPoint, ManyForceField};
use crate::potential::Evaluation;
use crate::potential::device::DevicePotential;
use crate::{Error, Result};

/// Most atoms of a batch: they keep any card busy, so that what is found of others is taken meanwhile.
const MOST_ATOMS: usize = 50_000;

/// A potential on a card, with the engine's kernels of batches.
///
/// Kernels are chosen for many atoms: what is found of an arrangement does not depend on the others, and is that of
/// [`DeviceForceField`](super::DeviceForceField), whose kernels are chosen for its atoms, to the rounding of f32.
pub struct DeviceForceFields<'p> {
    potential: Box<dyn DevicePotential + 'p>,
    index: usize,
    /// The batch that was used last, and what it is made for.
    batch: Option<(Vec<MemberShape>, CudaBatch)>,
}

/// What a member of a batch has for life.
#[derive(Debug, Clone, PartialEq)]
struct MemberShape {
    species: Vec<u8>,
    periodic: [bool; 3],
}

impl MemberShape {
    fn is_of(&self, at: &Arrangement<'_>) -> bool {
        self.species == at.species && self.periodic == at.cell.periodic()
    }
}

impl<'p> DeviceForceFields<'p> {
    /// Force fields on CUDA device `index`. Memory on the card is taken with the first arrangements.
    pub fn new(potential: Box<dyn DevicePotential + 'p>, index: usize) -> Self {
        Self {
            potential,
            index,
            batch: None,
        }
    }

    /// The batch in these arrangements. Members that are left over stay where they are.
    fn batch_at(&mut self, all: &[Arrangement<'_>]) -> Result<&mut CudaBatch> {
        // The memory of one that does not fit is given back before another is made.
        let fits = self.batch.take().filter(|(shapes, _)| {
            let mut each = shapes.iter().zip(all);
            all.len() <= shapes.len() && each.all(|(shape, at)| shape.is_of(at))
        });
        let batch = match fits {
            Some((shapes, mut batch)) => {
                // Put together while the card is busy with those before.
                let positions = all.iter().flat_map(|at| at.positions);
                let positions: Vec<Vec3> = positions.copied().collect();
                batch.arrange(all.iter().map(|at| at.cell), &positions)?;
                (shapes, batch)
            }
            None => {
                let shape = |at: &Arrangement<'_>| MemberShape {
                    species: at.species.to_vec(),
                    periodic: at.cell.periodic(),
                };
                let members = all.iter().map(at_rest).collect();
                let at = (SKIN, self.index);
                let batch = CudaBatch::made(members, &*self.potential, at, Making::default())?;
                (all.iter().map(shape).collect(), batch)
            }
        };
        Ok(&mut self.batch.insert(batch).1)
    }
}

/// What is found of so many arrangements, once the card has it.
fn taken((pending, count): (Underway, usize)) -> Result<impl Iterator<Item = FoundPoint>> {
    let point = |(snapshot, pairs): (Snapshot, u64)| FoundPoint {
        evaluation: Evaluation {
            energy: snapshot.observables.potential,
            forces: snapshot.forces,
            strain_derivative: snapshot.observables.strain_derivative,
            spread: snapshot.observables.spread,
        },
        atom_energies: None,
        pairs,
    };
    Ok(pending.with_pairs()?.into_iter().take(count).map(point))
}

/// An arrangement as a member of a batch that takes no step.
fn at_rest(at: &Arrangement<'_>) -> BatchMember {
    let atoms = at.species.len();
    let system = System {
        species: at.species.to_vec(),
        // No atom moves: any mass does.
        masses: vec![1.0; atoms],
    };
    let rest = vec![Vec3::zeros(); atoms];
    BatchMember {
        start: Start::new(system, at.cell.clone(), at.positions.to_vec(), rest),
        noise: Noise::new(0),
        program: Program::velocity_verlet(1.0),
        limits: Limits::default(),
    }
}

/// Checks that positions are numbers, one for each atom.
fn check(at: &Arrangement<'_>) -> Result<()> {
    let finite = |r: &Vec3| r.iter().all(|x| x.is_finite());
    match at.positions.len() == at.species.len() && at.positions.iter().all(finite) {
        true => Ok(()),
        false => Err(Error::input(
            "there is no position that is a number for each atom",
        )),
    }
}

/// Ranges of arrangements that are evaluated at once.
fn pieces(all: &[Arrangement<'_>]) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let mut atoms = 0;
    for (k, at) in all.iter().enumerate() {
        atoms += at.species.len();
        match pieces.last_mut() {
            Some(piece) if atoms <= MOST_ATOMS => piece.end = k + 1,
            _ => {
                pieces.push(k..k + 1);
                atoms = at.species.len();
            }
        }
    }
    pieces
}

impl ManyForceField for DeviceForceFields<'_> {
    fn prepare(&mut self, all: &[Arrangement<'_>]) -> Result<bool> {
        let sound: Vec<_> = all.iter().filter(|at| check(at).is_ok()).copied().collect();
        let piece = pieces(&sound).into_iter().next();
        let first = piece.map(|piece| self.batch_at(&sound[piece]).map(drop));
        first.transpose().map(|made| made.is_some())
    }

    fn evaluate(&mut self, all: &[Arrangement<'_>]) -> Result<Vec<Result<FoundPoint>>> {
        let checked: Vec<Result<()>> = all.iter().map(check).collect();
        let sound = all
            .iter()
            .zip(&checked)
            .filter(|(_, checked)| checked.is_ok());
        let sound: Vec<Arrangement<'_>> = sound.map(|(at, _)| *at).collect();
        let mut found = Vec::with_capacity(sound.len());
        // What is found of a piece is taken while the card is busy with the next.
        let mut before = None;
        for piece in pieces(&sound) {
            let count = piece.len();
            let pending = self.batch_at(&sound[piece])?.look(FORCES)?;
            if let Some(before) = before.replace((pending, count)) {
                found.extend(taken(before)?);
            }
        }
        if let Some(last) = before {
            found.extend(taken(last)?);
        }
        let mut found = found.into_iter();
        let missing = || Error::run("an arrangement was not evaluated");
        let each = checked.into_iter().map(|checked| {
            checked?;
            found.next().ok_or_else(missing)
        });
        Ok(each.collect())
    }

    fn evaluate_on_card(&mut self, all: &[Arrangement<'_>]) -> Result<CardPoints> {
        for (k, at) in all.iter().enumerate() {
            check(at).map_err(|e| e.within(format!("frame {k}")))?;
        }
        let device = Device::open(self.index)?;
        let ahead = all.len() * (ENERGY + STRESS);
        let atoms: usize = all.iter().map(|at| at.species.len()).sum();
        let memory = device.zeros(numbers(ahead + 3 * atoms))?;
        device.wait()?;
        let mut found = Vec::with_capacity(all.len());
        let mut at = numbers(ahead);
        for piece in pieces(all) {
            let count = piece.len();
            let own: usize = all[piece.clone()].iter().map(|at| at.species.len()).sum();
            let landing = Landing {
                memory: &memory,
                at,
                length: numbers(3 * own),
            };
            at += landing.length;
            // The memory is waited for before anything else is done with it.
            let pending = self.batch_at(&all[piece])?.land(landing)?;
            found.extend(taken((pending, count))?);
        }
        if let Some(k) = (found.iter()).position(|point| !point.evaluation.energy.is_finite()) {
            return Err(Error::run(
                "the energy is not a finite number; two atoms may be at one place",
            )
            .within(format!("frame {k}")));
        }
        let (sums, has_stress) = summed(all, &found);
        memory.write(&sums)?;
        let memory = Arc::new(memory);
        let part = |before: usize, shape: &[usize]| {
            CardArray::new(Arc::clone(&memory), numbers(before), shape, self.index)
        };
        let count = all.len();
        Ok(CardPoints {
            energies: part(0, &[count]),
            stresses: has_stress.then(|| part(count * ENERGY, &[count, 3, 3])),
            forces: part(ahead, &[atoms, 3]),
        })
    }
}

/// Numbers of each arrangement ahead of the forces: energies of all, then stresses of all.
const ENERGY: usize = 1;
const STRESS: usize = 9;

/// Bytes of so many numbers.
fn numbers(count: usize) -> usize {
    count * size_of::<f64>()
}

/// Energies (eV), and stresses (eV / angstrom^3) row by row where all cells have a volume; zeros where not.
fn summed(all: &[Arrangement<'_>], found: &[FoundPoint]) -> (Vec<f64>, bool) {
    let mut sums: Vec<f64> = found.iter().map(|point| point.evaluation.energy).collect();
    let volumes: Option<Vec<f64>> = all.iter().map(|at| at.cell.volume()).collect();
    match &volumes {
        Some(volumes) => {
            for (point, volume) in found.iter().zip(volumes) {
                let rows = point.evaluation.stress(*volume).transpose();
                sums.extend(rows.iter());
            }
        }
        None => sums.resize(all.len() * (ENERGY + STRESS), 0.0),
    }
    (sums, volumes.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Cell;

    /// Pieces have at most so many atoms, unless one arrangement alone has more, and nothing is left out.
    #[test]
    fn pieces_are_no_larger_than_they_may_be() {
        let cell = Cell::open();
        let species = vec![1; MOST_ATOMS + 1];
        let of = |atoms: usize| Arrangement {
            species: &species[..atoms],
            cell: &cell,
            positions: &[],
        };
        let half = MOST_ATOMS / 2;
        let all = [half, half, 1, MOST_ATOMS + 1, 3, 4].map(of);
        assert_eq!(pieces(&all), [0..2, 2..3, 3..4, 4..6]);
        assert!(pieces(&[]).is_empty());
    }
}
