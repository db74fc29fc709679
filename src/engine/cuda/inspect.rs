//! What is wrong with a state that the device has flagged, in full: a look at everything, since it is rare. And
//! the pairs of a few atoms, for an audit.

use super::CudaEngine;
use crate::Result;
use crate::core::observe::counted_kinetic;
use crate::core::{Fields, Member, Vec3};
use crate::engine::{AtFault, Breach, Limits, Watched, not_numbers};
use crate::neighbors::{Listed, Neighbor};

impl CudaEngine {
    /// The breach of the state of system `k`, with limits of its own, after `step` steps: a number that is not finite, or else
    /// the first broken limit of force, contact and kinetic energy.
    pub(super) fn inspect(
        &mut self,
        (k, limits): (usize, Limits),
        step: u64,
        not_finite: bool,
    ) -> Result<Breach> {
        let breach = |what, (value, atoms)| Breach {
            step,
            what,
            value,
            atoms,
        };
        if not_finite {
            let state = self.look_at(k, Fields::ALL)?;
            let first = not_numbers(&state.positions).or_else(|| not_numbers(&state.forces));
            let found = first.or_else(|| not_numbers(&state.velocities));
            let energy = || (state.observables.potential, Vec::new());
            return Ok(breach(Watched::Finite, found.unwrap_or_else(energy)));
        }
        let want = Fields {
            positions: limits.contact.is_some(),
            velocities: false,
            forces: limits.force.is_some(),
        };
        let state = self.look_at(k, want)?;
        if let Some(limit) = limits.force {
            let norms = state.forces.iter().map(|f| f.norm()).enumerate();
            let most = norms.max_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((atom, force)) = most.filter(|m| m.1 > limit) {
                return Ok(breach(Watched::Force, (force, vec![atom])));
            }
        }
        if let Some(limit) = limits.contact
            && let Some(found) = self.closest(k, &state.positions)?.filter(|c| c.0 < limit)
        {
            return Ok(breach(Watched::Contact, found));
        }
        let kinetic = counted_kinetic(&state.observables, limits.held_mass);
        Ok(breach(Watched::Kinetic, (kinetic, Vec::new())))
    }

    /// The pairs of some receivers of system `k` that the last evaluation worked with.
    pub(super) fn pairs_of(&mut self, k: usize, receivers: &[usize]) -> Result<Listed> {
        let want = Fields {
            positions: true,
            ..Fields::NONE
        };
        // First: it sees to it that the pairs are those of an evaluation.
        let positions = self.look_at(k, want)?.positions;
        let Member { atoms, cell, .. } = &self.systems.members[k];
        let ids: Vec<usize> = receivers.iter().map(|i| i + atoms.start).collect();
        let active = self.buffers.read_active(&self.device, &ids)?;
        let neighbor = |i: usize, (id, image): (usize, [i32; 3])| {
            let j = id - atoms.start;
            Neighbor {
                atom: j,
                vector: positions[j] - positions[i] + cell.shift(image),
            }
        };
        let row = |(&i, row): (&usize, Vec<_>)| row.into_iter().map(|n| neighbor(i, n)).collect();
        Ok(Listed {
            cutoff: self.buffers.block.cutoff,
            rows: receivers.iter().zip(active).map(row).collect(),
        })
    }

    /// The smallest distance among the pairs of system `k`, and its two atoms in ascending order.
    fn closest(&self, k: usize, positions: &[Vec3]) -> Result<Option<AtFault>> {
        let list = self.buffers.read_pairs(&self.device)?;
        let Member { atoms, cell, .. } = &self.systems.members[k];
        let distance = |&(i, j, image): &(usize, usize, [i32; 3])| {
            let [i, j] = [i, j].map(|id| id - atoms.start);
            let vector = positions[j] - positions[i] + cell.shift(image);
            (vector.norm(), i, j)
        };
        let own = list.iter().filter(|pair| atoms.contains(&pair.0));
        let found = own.filter(|pair| pair.0 <= pair.1).map(distance);
        let least = found.min_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        Ok(least.map(|(d, i, j)| (d, vec![i, j])))
    }
}
