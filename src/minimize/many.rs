//! Many systems on their ways down at once: each goes the way that it goes alone, and ends by itself.

use std::ops::ControlFlow;

use super::{Minimizer, MinimizerEnd, MinimizerSettings, MinimizerTurn, Minimum};
use crate::forcefield::{Arrangement, ManyForceField};
use crate::{Error, Result};

/// Most systems, and atoms of all of them, that are evaluated together; those in line take the room of those that have ended.
const MOST_MEMBERS: usize = 4096;
const MOST_ATOMS: usize = 200_000;

/// How far many minimisations have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembersMoment {
    /// Systems that have ended, for whatever reason.
    pub ended: usize,
    /// Those on their way.
    pub underway: usize,
    /// All of them.
    pub members: usize,
    /// Evaluations of all of them so far.
    pub evaluations: u64,
}

/// Minimises many systems that do not see each other, each as [`super::minimize`] does, from these starts. `watch` looks after
/// each round of evaluations, and may ask for an end.
///
/// In the order of the starts, what was found of each, or what is wrong with it; `None` of those that had not begun when an end
/// was asked for.
///
/// # Errors
/// The device failed.
pub fn minimize_many(
    field: &mut dyn ManyForceField,
    settings: &MinimizerSettings,
    starts: &[Arrangement<'_>],
    watch: &mut dyn FnMut(&MembersMoment) -> ControlFlow<()>,
) -> Result<Vec<Option<Result<Minimum>>>> {
    let mut results: Vec<Option<Result<Minimum>>> = starts.iter().map(|_| None).collect();
    let mut line = MembersLine {
        settings,
        starts,
        next: 0,
        underway: Vec::new(),
    };
    let mut evaluations = 0;
    loop {
        line.fill(&mut results);
        if line.underway.is_empty() {
            return Ok(results);
        }
        let found = field.evaluate(&line.wanted())?;
        evaluations += found.len() as u64;
        let round = std::mem::take(&mut line.underway).into_iter().zip(found);
        for ((member, mut minimizer), point) in round {
            let turn = point.and_then(|point| minimizer.take(&point.evaluation));
            match turn {
                Ok(MinimizerTurn::Ended(end)) => results[member] = minimizer.minimum(end).map(Ok),
                Ok(_) => line.underway.push((member, minimizer)),
                Err(error) => results[member] = Some(Err(error)),
            }
        }
        let moment = MembersMoment {
            ended: line.next - line.underway.len(),
            underway: line.underway.len(),
            members: starts.len(),
            evaluations,
        };
        if watch(&moment).is_break() {
            for (member, minimizer) in line.underway {
                results[member] = minimizer.minimum(MinimizerEnd::Interrupted).map(Ok);
            }
            return Ok(results);
        }
    }
}

/// Those on their way, and those in line.
struct MembersLine<'a> {
    settings: &'a MinimizerSettings,
    starts: &'a [Arrangement<'a>],
    next: usize,
    underway: Vec<(usize, Minimizer)>,
}

impl MembersLine<'_> {
    /// Lets those in line begin while there is room; one that cannot has its error at once.
    fn fill(&mut self, results: &mut [Option<Result<Minimum>>]) {
        let mut atoms: usize = (self.underway.iter())
            .map(|(k, _)| self.starts[*k].species.len())
            .sum();
        while let Some(start) = self.starts.get(self.next) {
            let full =
                self.underway.len() >= MOST_MEMBERS || atoms + start.species.len() > MOST_ATOMS;
            if full && !self.underway.is_empty() {
                return;
            }
            match Minimizer::new(self.settings, (start.cell, start.positions)) {
                Ok(minimizer) => {
                    atoms += start.species.len();
                    self.underway.push((self.next, minimizer));
                }
                Err(error) => results[self.next] = Some(Err::<Minimum, Error>(error)),
            }
            self.next += 1;
        }
    }

    /// What they want to know of.
    fn wanted(&self) -> Vec<Arrangement<'_>> {
        let wanted = self.underway.iter().map(|(member, minimizer)| {
            let (cell, positions) = minimizer.wanted();
            Arrangement {
                species: self.starts[*member].species,
                cell,
                positions,
            }
        });
        wanted.collect()
    }
}
