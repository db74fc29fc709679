//! A stage that is a minimisation: its steps are no steps of a time, and are counted on all the same.
//!
//! Energy that goes down, and what was in velocities, is counted as work, so that the energy less heat and work goes on as it
//! was. A minimisation writes no checkpoint on its way: one that is killed begins anew from its start, and goes the same way.

use std::ops::ControlFlow;

use super::Interruption;
use super::underway::{Begun, DirectoryHold};
use crate::Result;
use crate::assemble;
use crate::core::{Cell, Fields, Kept, Observables, Snapshot, System, Vec3};
use crate::forcefield::ActedField;
use crate::forcefield::external::{self, ExternalTerm};
use crate::minimize::{Minimizer, MinimizerEnd, MinimizerSettings, minimize_by};
use crate::potential::Evaluation;
use crate::simulation::{Finish, Simulation};
use crate::text::significant;

/// What states on the way down have alike.
struct Descended {
    /// The first state, and its total energy (eV).
    first: Snapshot,
    total: f64,
    /// What acts beside the potential, and on which atoms.
    terms: Vec<ExternalTerm>,
    system: System,
}

impl Descended {
    /// The state after so many steps, at rest.
    fn state(
        &self,
        step: u64,
        (cell, positions): (&Cell, &[Vec3]),
        found: &Evaluation,
    ) -> Snapshot {
        let kept = self.first.observables.kept;
        let mut beside = Evaluation::zeros(positions.len());
        let atoms = (&self.system, positions);
        let external = external::act(&self.terms, self.first.step, atoms, &mut beside);
        let observables = Observables {
            potential: found.energy,
            external: external.energy,
            kept: Kept {
                work: kept.work + found.energy - self.total,
                ..kept
            },
            strain_derivative: found.strain_derivative,
            spread: found.spread,
            ..Observables::default()
        };
        Snapshot {
            observables,
            positions: positions.to_vec(),
            velocities: vec![Vec3::zeros(); positions.len()],
            forces: found.forces.clone(),
            ..Snapshot::blank(self.first.step + step, self.first.time, cell.clone())
        }
    }
}

impl Begun {
    /// Goes down to a minimum.
    ///
    /// # Errors
    /// The device failed, or an output could not be written.
    pub(super) fn descend(
        &self,
        settings: &MinimizerSettings,
        (tenure, simulation): (&mut DirectoryHold, &mut Simulation),
        interruption: &dyn Interruption,
    ) -> Result<Finish> {
        let field = assemble::field_of(&self.plan, &self.model)?;
        let rules = assemble::rules(&self.plan);
        // The clock of the engine is the program's.
        let here = simulation.step;
        simulation.engine.run(&simulation.program, here..here)?;
        let first = simulation.engine.snapshot(Fields::PHASE)?;
        let descended = Descended {
            total: first.observables.total(),
            first,
            terms: rules.terms.clone(),
            system: self.plan.start.system.clone(),
        };
        // Terms stand still, at any step.
        let mut field = ActedField {
            field,
            system: &descended.system,
            step: here,
            terms: &descended.terms,
        };
        let mut walk = |show: &mut crate::simulation::ShownState<'_>| {
            let mut failed = None;
            let start = (&descended.first.cell, descended.first.positions.as_slice());
            let minimizer = Minimizer::new(settings, start)?.holding(&rules.frozen)?;
            let minimum = minimize_by(&mut field, minimizer, &mut |moment| {
                let arrangement = (moment.cell, moment.positions);
                let state = descended.state(moment.step, arrangement, moment.evaluation);
                show(&state).unwrap_or_else(|error| {
                    failed = Some(error);
                    ControlFlow::Break(())
                })
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            if minimum.end == MinimizerEnd::Interrupted {
                return Ok(None);
            }
            let force = significant(minimum.force, 3);
            let told = match minimum.end {
                MinimizerEnd::MostSteps => "no minimum yet, and most_steps are taken",
                MinimizerEnd::NumbersEnd => "these numbers lead no lower",
                MinimizerEnd::Converged | MinimizerEnd::Interrupted => "a minimum",
            };
            self.console.note(&format!(
                "{told}: {} eV, the largest force {force} eV/A, after {} steps",
                significant(minimum.evaluation.energy, 9),
                minimum.steps
            ));
            // A stage takes a step at the least: its end is not that of the stage before.
            let arrangement = (&minimum.cell, minimum.positions.as_slice());
            let last = descended.state(minimum.steps.max(1), arrangement, &minimum.evaluation);
            self.energies.has_settled(last.step);
            Ok(Some(last))
        };
        simulation.run_by(
            interruption.flag(),
            &mut |warning| self.warn(&warning),
            (&mut || self.begin(tenure), &mut walk),
        )
    }
}
