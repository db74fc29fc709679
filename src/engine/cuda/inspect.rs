//! What is wrong with a state that the device has flagged, in full: a look at everything, since it is rare. And
//! the pairs of a few atoms, for an audit.

use super::CudaEngine;
use crate::Result;
use crate::core::observe::counted_kinetic;
use crate::core::{Fields, Vec3};
use crate::engine::{AtFault, Breach, Watched, not_numbers};
use crate::neighbors::{Listed, Neighbor};

impl CudaEngine {
    /// The breach of the state after `step` steps: a number that is not finite, or else the first broken limit of
    /// force, contact and kinetic energy.
    pub(super) fn inspect(&mut self, step: u64, not_finite: bool) -> Result<Breach> {
        let breach = |what, (value, atoms)| Breach {
            step,
            what,
            value,
            atoms,
        };
        if not_finite {
            let state = self.look(Fields::ALL)?;
            let first = not_numbers(&state.positions).or_else(|| not_numbers(&state.forces));
            let found = first.or_else(|| not_numbers(&state.velocities));
            let energy = || (state.observables.potential, Vec::new());
            return Ok(breach(Watched::Finite, found.unwrap_or_else(energy)));
        }
        let state = self.look(Fields {
            positions: self.limits.contact.is_some(),
            velocities: false,
            forces: self.limits.force.is_some(),
        })?;
        if let Some(limit) = self.limits.force {
            let norms = state.forces.iter().map(|f| f.norm()).enumerate();
            let most = norms.max_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((atom, force)) = most.filter(|m| m.1 > limit) {
                return Ok(breach(Watched::Force, (force, vec![atom])));
            }
        }
        if let Some(limit) = self.limits.contact
            && let Some(found) = self.closest(&state.positions)?.filter(|c| c.0 < limit)
        {
            return Ok(breach(Watched::Contact, found));
        }
        let kinetic = counted_kinetic(&state.observables, self.limits.held_mass);
        Ok(breach(Watched::Kinetic, (kinetic, Vec::new())))
    }

    /// The pairs of some receivers that the last evaluation worked with.
    pub(super) fn pairs_of(&mut self, receivers: &[usize]) -> Result<Listed> {
        let want = Fields {
            positions: true,
            ..Fields::NONE
        };
        // First: it sees to it that the pairs are those of an evaluation.
        let positions = self.look(want)?.positions;
        let active = self.buffers.read_active(&self.device, receivers)?;
        let neighbor = |i: usize, (j, image): (usize, [i32; 3])| Neighbor {
            atom: j,
            vector: positions[j] - positions[i] + self.member.cell.shift(image),
        };
        let row = |(&i, row): (&usize, Vec<_>)| row.into_iter().map(|n| neighbor(i, n)).collect();
        Ok(Listed {
            cutoff: self.buffers.block.cutoff,
            rows: receivers.iter().zip(active).map(row).collect(),
        })
    }

    /// The smallest distance among the pairs, and its two atoms in ascending order.
    fn closest(&self, positions: &[Vec3]) -> Result<Option<AtFault>> {
        let list = self.buffers.read_pairs(&self.device)?;
        let distance = |&(i, j, image): &(usize, usize, [i32; 3])| {
            let vector = positions[j] - positions[i] + self.member.cell.shift(image);
            (vector.norm(), i, j)
        };
        let found = list.iter().filter(|pair| pair.0 <= pair.1).map(distance);
        let least = found.min_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        Ok(least.map(|(d, i, j)| (d, vec![i, j])))
    }
}
