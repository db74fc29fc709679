//! What is wrong with the present state.

use super::super::{Breach, Watched, at_fault, not_numbers};
use super::HostEngine;
use crate::core::{Vec3, observe};
use crate::neighbors;

impl HostEngine {
    /// Atoms whose positions are not finite, or too far out to count cells.
    pub(super) fn lost(&self) -> impl Iterator<Item = (usize, f64)> {
        let farthest = neighbors::farthest(&self.state.member.cell);
        let positions = self.state.positions.iter().enumerate();
        // False for coordinates that are not numbers, too.
        positions.filter_map(move |(i, r)| {
            let usable = r.norm_squared() <= farthest * farthest;
            (!usable).then(|| (i, worst(r)))
        })
    }

    /// What is wrong with the present state.
    pub(super) fn inspect(&self) -> Option<Breach> {
        let cell = || Some((Watched::Cell, (self.refused?, Vec::new())));
        let unmet = || {
            let unmet = self.constrained.as_ref()?.unmet()?;
            Some((Watched::Constraint, (unmet.deviation, unmet.atoms.to_vec())))
        };
        let volume = || Some((Watched::Volume, self.volume_outside(self.limits.volume?)?));
        let finite = || self.not_finite().map(|found| (Watched::Finite, found));
        let force = || Some((Watched::Force, self.force_over(self.limits.force?)?));
        let contact = || Some((Watched::Contact, self.contact_under(self.limits.contact?)?));
        let kinetic = || Some((Watched::Kinetic, self.kinetic_over(self.limits.kinetic?)?));
        let found = finite()
            .or_else(unmet)
            .or_else(cell)
            .or_else(volume)
            .or_else(force)
            .or_else(contact)
            .or_else(kinetic);
        found.map(|(what, (value, atoms))| Breach {
            step: self.state.step,
            what,
            value,
            atoms,
        })
    }

    /// A number that is not finite: positions first, since the others follow from them.
    fn not_finite(&self) -> Option<(f64, Vec<usize>)> {
        let evaluation = &self.state.evaluation;
        let energy = || (!evaluation.energy.is_finite()).then(|| (evaluation.energy, Vec::new()));
        at_fault(self.lost())
            .or_else(|| not_numbers(&evaluation.forces))
            .or_else(|| not_numbers(&self.state.velocities))
            .or_else(energy)
    }

    /// The largest force, if over the limit.
    fn force_over(&self, limit: f64) -> Option<(f64, Vec<usize>)> {
        let norms = (self.state.evaluation.forces.iter()).map(|f| f.norm());
        let (atom, force) = norms.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        (force > limit).then(|| (force, vec![atom]))
    }

    /// The smallest distance, if under the limit.
    fn contact_under(&self, limit: f64) -> Option<(f64, Vec<usize>)> {
        let pairs = self.field.found();
        let distances = pairs.distances.iter().copied().enumerate();
        let (pair, distance) = distances.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let atoms = || [pairs.receivers[pair], pairs.neighbors[pair]];
        (distance < limit).then(|| (distance, atoms().map(|i| i as usize).to_vec()))
    }

    /// The volume, if outside of its limits.
    fn volume_outside(&self, [least, most]: [f64; 2]) -> Option<(f64, Vec<usize>)> {
        let volume = self.state.member.cell.volume()?;
        (!(least..=most).contains(&volume)).then(|| (volume, Vec::new()))
    }

    /// The kinetic energy, if over the limit.
    fn kinetic_over(&self, limit: f64) -> Option<(f64, Vec<usize>)> {
        let kinetic = observe::counted_kinetic(&self.observables(), self.limits.held_mass);
        (kinetic > limit).then(|| (kinetic, Vec::new()))
    }
}

/// The component at fault: one that is not finite, else the largest.
fn worst(vector: &Vec3) -> f64 {
    let bad = vector.iter().copied().find(|x| !x.is_finite());
    bad.unwrap_or_else(|| vector[vector.iamax()])
}
