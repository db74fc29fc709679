//! Minimisation: minima that are known, what must hold of any, and what happens where there is none to be had.

mod clusters;
mod command;
mod crystals;
mod ends;
mod molecules;
mod python;

use std::ops::ControlFlow;

use mdrun::core::{Cell, Vec3};
use mdrun::forcefield::{ForceField, HostForceField};
use mdrun::minimize::{
    DescentMethod, MinimizerEnd, MinimizerMoment, MinimizerSettings, Minimum, minimize,
};
use mdrun::potential::lennard_jones::LennardJones;
use mdrun::potential::{About, Evaluation};

const METHODS: [DescentMethod; 2] = [DescentMethod::Lbfgs, DescentMethod::Fire];

/// Lennard-Jones with a well of 1 eV and a diameter of 1 angstrom, of a range (angstrom).
fn unit_lennard_jones(cutoff: f64) -> HostForceField {
    HostForceField::new(Box::new(LennardJones::new(1.0, 1.0, cutoff).unwrap()), 0.3)
}

/// Looks at nothing.
fn unwatched(_: &MinimizerMoment<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The minimum that a way down from a start ends in.
fn found(
    field: &mut dyn ForceField,
    settings: &MinimizerSettings,
    cell: &Cell,
    positions: &[Vec3],
) -> Minimum {
    minimize(field, settings, (cell, positions), &mut unwatched).unwrap()
}

/// The same, which has to converge.
fn converged(
    field: &mut dyn ForceField,
    settings: &MinimizerSettings,
    cell: &Cell,
    positions: &[Vec3],
) -> Minimum {
    let minimum = found(field, settings, cell, positions);
    assert_eq!(minimum.end, MinimizerEnd::Converged, "{settings:?}");
    assert!(minimum.force <= settings.force);
    minimum
}

/// A force field that is a function.
struct FunctionField<F>(F);

impl<F: FnMut(&[Vec3], &mut Evaluation) + Send> ForceField for FunctionField<F> {
    fn cutoff(&self) -> f64 {
        1.0
    }

    fn evaluate(
        &mut self,
        _: &Cell,
        positions: &[Vec3],
        out: &mut Evaluation,
    ) -> mdrun::Result<()> {
        (self.0)(positions, out);
        Ok(())
    }

    fn pairs(&self) -> u64 {
        0
    }

    fn about(&self) -> About {
        About::plain("a function".to_owned())
    }
}
