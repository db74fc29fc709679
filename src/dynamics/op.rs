//! A step is data: the list of operators that make it up.
//!
//! Splittings follow Leimkuhler and Matthews, "Robust and efficient configurational molecular
//! sampling via Langevin dynamics", J. Chem. Phys. 138, 174102 (2013). B is a kick, A a drift, O what a thermostat
//! does, F the evaluation of forces.

use super::cell_rescaling::CellRescaling;
use super::csvr::Rescaling;
use super::mtk::PistonMove;
use super::nose_hoover::ChainMove;
use super::ramp::Ramps;

/// One operator of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// What every atom does by itself.
    Local(Local),
    /// F: forces at the present positions.
    Forces,
    /// What takes all atoms together.
    Collective {
        /// Steps between two, at least 1: it is part of step s (counted from 0) where this divides s + 1.
        every: u64,
        /// What is done.
        what: Collective,
    },
}

impl Op {
    /// The operator without what differs between systems at different temperatures.
    fn without_system(&self) -> Self {
        let mut op = *self;
        match &mut op {
            Self::Local(Local::Noise { kt, .. }) => *kt = 0.0,
            Self::Collective { what, .. } => match what {
                Collective::RemoveDrift => {}
                Collective::RescaleVelocities(how) => {
                    how.kt = 0.0;
                    how.degrees_of_freedom = 0;
                }
                Collective::RescaleCell(how) => how.kt = 0.0,
                Collective::MoveChain(how)
                | Collective::MovePiston(PistonMove { atoms: how, .. }) => {
                    how.kt = 0.0;
                    how.degrees_of_freedom = 0;
                }
            },
            Self::Local(_) | Self::Forces => {}
        }
        op
    }
}

/// What an atom does by itself. Times are in angstrom sqrt(u / eV).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Local {
    /// B: v += t F / m.
    Kick(f64),
    /// A: r += t v.
    Drift(f64),
    /// O: v = c v + sqrt((1 - c^2) kT / m) xi, with xi standard normal.
    Noise {
        /// exp(-friction t), dimensionless.
        c: f64,
        /// Temperature kT (eV).
        kt: f64,
    },
}

/// What takes all atoms together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Collective {
    /// Subtracts the velocity of the centre of mass.
    RemoveDrift,
    /// Scales the velocities about that of the centre of mass by one random number.
    RescaleVelocities(Rescaling),
    /// Strains the cell, and positions and velocities with it.
    RescaleCell(CellRescaling),
    /// Moves a chain of thermostats, and scales the velocities about that of the centre of mass by what it finds.
    MoveChain(ChainMove),
    /// Moves a piston and the chains on it and the atoms, and lets the cell grow with all that is in it.
    MovePiston(PistonMove),
}

/// One step, as operators from first to last. The last drift is followed by an evaluation of the
/// forces, so that a state after a step holds forces at its positions.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// The operators.
    pub ops: Vec<Op>,
    /// What of the bath changes from step to step: it takes the place of what the operators say.
    pub ramps: Ramps,
    /// Step and time at which its time begins to be counted: 0, but for a program that takes over from another.
    pub began: (u64, f64),
}

/// Times of states by the numbers of their steps.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepClock {
    /// A step and its time.
    began: (u64, f64),
    /// Time of a step.
    timestep: f64,
}

impl StepClock {
    /// The time of the state after so many steps. It gathers no rounding.
    pub fn time(&self, step: u64) -> f64 {
        let (from, time) = self.began;
        time + (step as f64 - from as f64) * self.timestep
    }
}

impl Program {
    /// A program of these operators, in a bath that does not change.
    pub fn of(ops: Vec<Op>) -> Self {
        Self {
            ops,
            ramps: Ramps::default(),
            began: (0, 0.0),
        }
    }

    /// The same in a bath that changes.
    #[must_use]
    pub fn with_ramps(self, ramps: Ramps) -> Self {
        Self { ramps, ..self }
    }

    /// The same, taking over from another program at a step and its time (angstrom sqrt(u / eV)).
    #[must_use]
    pub fn from_time(self, began: (u64, f64)) -> Self {
        Self { began, ..self }
    }

    /// The times of its states.
    pub fn clock(&self) -> StepClock {
        StepClock {
            began: self.began,
            timestep: self.timestep(),
        }
    }

    /// Velocity Verlet, B A F B (Swope et al., J. Chem. Phys. 76, 637 (1982)).
    pub fn velocity_verlet(timestep: f64) -> Self {
        let half = 0.5 * timestep;
        Self::of(vec![
            Op::Local(Local::Kick(half)),
            Op::Local(Local::Drift(timestep)),
            Op::Forces,
            Op::Local(Local::Kick(half)),
        ])
    }

    /// B A O A F B, with what a thermostat (and a barostat before it) does in the middle of the drift: the same number of
    /// evaluations as velocity Verlet, and positions that are sampled to a higher order than with O at the end.
    pub fn with_middle(timestep: f64, middle: impl IntoIterator<Item = Op>) -> Self {
        let half = 0.5 * timestep;
        let [kick, drift] = [Op::Local(Local::Kick(half)), Op::Local(Local::Drift(half))];
        let mut ops = vec![kick, drift];
        ops.extend(middle);
        ops.extend([drift, Op::Forces, kick]);
        Self::of(ops)
    }

    /// Time that one step takes: the sum of its drifts.
    pub fn timestep(&self) -> f64 {
        let drift = |op: &Op| match op {
            Op::Local(Local::Drift(time)) => *time,
            _ => 0.0,
        };
        self.ops.iter().map(drift).sum()
    }

    /// Steps after which all that is done now and then comes round again.
    pub fn cycle(&self) -> u64 {
        let periods = self.ops.iter().map(|op| match op {
            Op::Collective { every, .. } => (*every).max(1),
            Op::Local(_) | Op::Forces => 1,
        });
        periods.fold(1, |cycle, period| {
            (cycle / common_divisor(cycle, period)).saturating_mul(period)
        })
    }

    /// Whether another one has the same operators, temperatures and degrees of freedom apart.
    pub fn is_like(&self, other: &Self) -> bool {
        let plain = |program: &Self| {
            program
                .ops
                .iter()
                .map(Op::without_system)
                .collect::<Vec<_>>()
        };
        plain(self) == plain(other) && (&self.ramps, self.began) == (&other.ramps, other.began)
    }

    /// The same step, with the centre-of-mass velocity removed every so many steps.
    pub fn remove_drift(mut self, every: u64) -> Self {
        let what = Collective::RemoveDrift;
        self.ops.push(Op::Collective { every, what });
        self
    }
}

/// The greatest common divisor of two numbers that are not zero.
fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_the_least_common_multiple() {
        let op = |every| {
            let what = Collective::RemoveDrift;
            Op::Collective { every, what }
        };
        let mut program = Program::velocity_verlet(1.0);
        assert_eq!(program.cycle(), 1);
        program.ops.extend([op(10), op(0), op(15)]);
        assert_eq!(program.cycle(), 30);
    }
}
