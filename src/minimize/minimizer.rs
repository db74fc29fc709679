//! One system on its way down: which arrangement it wants to know of, and when it has come to an end.

use super::fire::Fire;
use super::landscape::{Landscape, WalkPoint};
use super::lbfgs::Lbfgs;
use super::reach::Reach;
use super::standstill::Standstill;
use super::{DescentMethod, MinimizerEnd, MinimizerMoment, MinimizerSettings, Minimum};
use crate::core::{Cell, Vec3};
use crate::potential::Evaluation;
use crate::{Error, Result};

/// Steps without progress after which nothing more is to be had, of each method.
const WINDOW_OF_LBFGS: usize = 100;
const WINDOW_OF_FIRE: usize = 500;

/// A way down that is told of one place after another.
pub(super) trait Descent: Send {
    /// The coordinates that it wants to know of.
    fn trial(&self) -> &[Vec3];

    /// Where it is.
    fn here(&self) -> &WalkPoint;

    /// Takes note of the place that it wanted to know of.
    fn tell(&mut self, there: WalkPoint) -> DescentReply;
}

/// What becomes of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DescentReply {
    /// A step was taken.
    Taken,
    /// None was: another place is wanted.
    Refused,
    /// No place along the forces is lower.
    Stuck,
}

/// What an evaluation was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinimizerTurn {
    /// One on the way to the next step.
    Trial,
    /// That of a step, or of the start.
    Step,
    /// The last one.
    Ended(MinimizerEnd),
}

/// One system on its way down.
pub struct Minimizer {
    settings: MinimizerSettings,
    landscape: Landscape,
    reach: Reach,
    /// Once the start was evaluated.
    walk: Option<Box<dyn Descent>>,
    /// What it wants to know of: coordinates, and the same as an arrangement.
    trial: Vec<Vec3>,
    wanted: (Cell, Vec<Vec3>),
    /// The lowest place, where that is not the one where it is.
    lowest: Option<WalkPoint>,
    standstill: Standstill,
    steps: u64,
    evaluations: u64,
}

impl Minimizer {
    /// A minimisation from a cell, and unwrapped positions (angstrom).
    ///
    /// # Errors
    /// Settings that cannot be, no atoms, or a cell that is to change and is not periodic in all directions.
    pub fn new(settings: &MinimizerSettings, (cell, positions): (&Cell, &[Vec3])) -> Result<Self> {
        settings.check()?;
        if positions.is_empty() {
            return Err(Error::input("there are no atoms"));
        }
        let loose = settings.cell.map(|coupling| (coupling, settings.pressure));
        let landscape = Landscape::new(cell, positions.len(), loose)?;
        let window = match settings.method {
            DescentMethod::Lbfgs => WINDOW_OF_LBFGS,
            DescentMethod::Fire => WINDOW_OF_FIRE,
        };
        Ok(Self {
            settings: *settings,
            reach: Reach::new(settings.longest, positions.len(), landscape.loose()),
            trial: landscape.coordinates(positions),
            wanted: (cell.clone(), positions.to_vec()),
            landscape,
            walk: None,
            lowest: None,
            standstill: Standstill::over(window),
            steps: 0,
            evaluations: 0,
        })
    }

    /// The same where some of the atoms, as many as are told of, stay where they are: forces on them do not count. To be asked
    /// for before the start was evaluated.
    ///
    /// # Errors
    /// It is of another number of atoms, or the cell may change, which they would not follow.
    pub fn holding(self, frozen: &[bool]) -> Result<Self> {
        let landscape = self.landscape.holding(frozen)?;
        Ok(Self { landscape, ..self })
    }

    /// The arrangement that it wants to know of.
    pub fn wanted(&self) -> (&Cell, &[Vec3]) {
        (&self.wanted.0, &self.wanted.1)
    }

    /// Takes note of what a force field says of [`Minimizer::wanted`].
    ///
    /// # Errors
    /// The energy or a force of the start is not a finite number, or the cell has collapsed.
    pub fn take(&mut self, found: &Evaluation) -> Result<MinimizerTurn> {
        self.evaluations += 1;
        let trial = std::mem::take(&mut self.trial);
        let there = self.landscape.point(trial, self.wanted.clone(), found);
        let reply = match &mut self.walk {
            Some(walk) => walk.tell(there),
            none => {
                *none = Some(begin(self.settings.method, there, self.reach)?);
                DescentReply::Taken
            }
        };
        let taken = reply == DescentReply::Taken;
        if taken && self.evaluations > 1 {
            self.steps += 1;
        }
        let end = match reply {
            DescentReply::Taken => self.judge(),
            DescentReply::Refused => None,
            DescentReply::Stuck => Some(MinimizerEnd::NumbersEnd),
        };
        if let Some(end) = end {
            return Ok(MinimizerTurn::Ended(end));
        }
        if let Some(walk) = &self.walk {
            self.trial = walk.trial().to_vec();
            self.wanted = self.landscape.arrangement(&self.trial)?;
        }
        Ok(match taken {
            true => MinimizerTurn::Step,
            false => MinimizerTurn::Trial,
        })
    }

    /// Whether the place where it is is the last one.
    fn judge(&mut self) -> Option<MinimizerEnd> {
        let moment = self.moment()?;
        let by_stress = moment
            .stress
            .map_or(0.0, |stress| stress / self.settings.stress);
        let excess = (moment.force / self.settings.force).max(by_stress);
        let value = moment.enthalpy;
        if excess <= 1.0 {
            self.lowest = None;
            return Some(MinimizerEnd::Converged);
        }
        self.keep_lowest();
        if self.steps >= self.settings.most_steps {
            return Some(MinimizerEnd::MostSteps);
        }
        (self.standstill.is_after(value, excess)).then_some(MinimizerEnd::NumbersEnd)
    }

    /// Keeps the lowest place of a way that goes up now and then.
    fn keep_lowest(&mut self) {
        let Some(walk) = &self.walk else {
            return;
        };
        let here = walk.here();
        if self.settings.method == DescentMethod::Fire
            && !(self.lowest.as_ref()).is_some_and(|lowest| lowest.value <= here.value)
        {
            self.lowest = Some(here.clone());
        }
    }

    /// Where it is; `None` before the start was evaluated.
    pub fn moment(&self) -> Option<MinimizerMoment<'_>> {
        self.walk.as_ref().map(|walk| self.moment_at(walk.here()))
    }

    fn moment_at<'p>(&self, point: &'p WalkPoint) -> MinimizerMoment<'p> {
        MinimizerMoment {
            step: self.steps,
            evaluations: self.evaluations,
            cell: &point.cell,
            positions: &point.positions,
            evaluation: &point.evaluation,
            enthalpy: point.value,
            force: self.landscape.force(&point.evaluation),
            stress: self.landscape.stress(&point.cell, &point.evaluation),
        }
    }

    /// What has been found, where it ends now; `None` before the start was evaluated.
    pub fn minimum(&self, end: MinimizerEnd) -> Option<Minimum> {
        let walk = self.walk.as_ref()?;
        let moment = self.moment_at(self.lowest.as_ref().unwrap_or(walk.here()));
        Some(Minimum {
            end,
            steps: moment.step,
            evaluations: moment.evaluations,
            cell: moment.cell.clone(),
            positions: moment.positions.to_vec(),
            evaluation: moment.evaluation.clone(),
            enthalpy: moment.enthalpy,
            force: moment.force,
            stress: moment.stress,
        })
    }
}

/// The way down from a start.
fn begin(method: DescentMethod, start: WalkPoint, reach: Reach) -> Result<Box<dyn Descent>> {
    if !start.is_finite() {
        return Err(Error::run(
            "the energy or a force of the start is not a finite number; two atoms may be at one place",
        ));
    }
    Ok(match method {
        DescentMethod::Lbfgs => Box::new(Lbfgs::new(start, reach)),
        DescentMethod::Fire => Box::new(Fire::new(start, reach)),
    })
}
