//! Programs as the kernels take them.

use super::block::{
    DeviceBarostat, DeviceChain, DeviceOp, DevicePiston, DeviceRamp, DeviceRamps, DeviceRescaling,
    MOST_OPS, coupling, kind,
};
use crate::dynamics::mtk::PistonMove;
use crate::dynamics::nose_hoover::ChainMove;
use crate::dynamics::{CellRescaling, Collective, Coupling, Local, MOST_POINTS, Op, Program, Ramp};
use crate::{Error, Result};

/// A program as the kernels take it.
#[derive(Default)]
pub(super) struct DeviceProgram {
    /// What atoms do by themselves, in order.
    pub ops: Vec<DeviceOp>,
    /// How many of them come ahead of what takes all atoms together in the middle; all those ahead of the forces where
    /// nothing does.
    pub opening: usize,
    /// How many come ahead of the forces.
    pub before: usize,
    /// Temperature kT (eV) of all that draws noise, if anything does.
    pub kt: Option<f64>,
    /// Degrees of freedom of the scaling of velocities.
    pub degrees: u32,
    /// Steps between removals of the drift; 0 for never.
    pub remove_drift: u32,
    /// The scaling of velocities in the middle.
    pub velocities: DeviceRescaling,
    /// The chain of thermostats that finds it.
    pub chain: DeviceChain,
    /// The piston, which moves in every step.
    pub piston: DevicePiston,
    /// Steps between strains of the cell in the middle; 0 for never.
    pub press_every: u64,
    /// What they are given.
    pub barostat: DeviceBarostat,
    /// What of the bath changes from step to step.
    pub ramps: DeviceRamps,
    /// Where the reading of the program is.
    place: ProgramStage,
}

/// What of a program comes next at most.
#[derive(Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ProgramStage {
    #[default]
    Opening,
    Cell,
    Velocities,
    Closing,
    Behind,
    End,
}

impl DeviceProgram {
    /// # Errors
    /// The program is one that the kernels cannot run.
    pub fn of(program: &Program) -> Result<Self> {
        let mut plan = Self {
            ramps: DeviceRamps {
                temperature: ramp(program.ramps.temperature.as_ref()),
                pressure: ramp(program.ramps.pressure.as_ref()),
            },
            ..Self::default()
        };
        let taken = program.ops.iter().all(|op| plan.take(op));
        if !taken || plan.place < ProgramStage::Behind || plan.ops.len() > MOST_OPS {
            return Err(Error::input(format!(
                "the CUDA engine takes programs of up to {MOST_OPS} operators with one evaluation of forces; ahead of it, at \
                 one place, a strain of the cell and then a scaling of velocities in every step; behind it only kicks, and \
                 drift removal at the end; all of one temperature"
            )));
        }
        Ok(plan)
    }

    /// Takes the next operator, if it may come here.
    fn take(&mut self, op: &Op) -> bool {
        match *op {
            Op::Local(local) => self.take_local(local),
            Op::Forces => {
                let first = self.place < ProgramStage::Behind;
                if self.place < ProgramStage::Cell {
                    self.opening = self.ops.len();
                }
                self.before = self.ops.len();
                self.place = ProgramStage::Behind;
                first
            }
            Op::Collective { every, what } => match what {
                Collective::RemoveDrift => {
                    self.remove_drift = u32::try_from(every.max(1)).unwrap_or(u32::MAX);
                    self.reach(ProgramStage::End) && every > 0
                }
                Collective::RescaleCell(how) => {
                    self.opening = self.ops.len();
                    self.press_every = every.max(1);
                    self.barostat = barostat(&how);
                    self.reach(ProgramStage::Cell) && self.has_bath(how.kt)
                }
                Collective::RescaleVelocities(how) => {
                    let bath = (how.kt, how.degrees_of_freedom);
                    self.scale(how.c, bath) && every == 1
                }
                Collective::MovePiston(how) => self.press(&how) && every == 1,
                Collective::MoveChain(how) => {
                    let bath = (how.kt, how.degrees_of_freedom);
                    self.chain = chain(&how);
                    self.scale(0.0, bath) && every == 1
                }
            },
        }
    }

    /// Takes a piston and its chains, if they may come here.
    fn press(&mut self, how: &PistonMove) -> bool {
        let ChainMove { time, kt, .. } = how.atoms;
        self.chain = chain(&how.atoms);
        self.piston = DevicePiston {
            moves: 1,
            time,
            relaxation: how.relaxation,
            pressure: how.pressure,
        };
        let alone = self.press_every == 0;
        self.press_every = 1;
        self.scale(0.0, (kt, how.atoms.degrees_of_freedom)) && alone
    }

    /// Takes a scaling of velocities to a temperature (eV) of so many degrees of freedom, if it may come here.
    fn scale(&mut self, c: f64, (kt, degrees): (f64, usize)) -> bool {
        if self.place < ProgramStage::Cell {
            self.opening = self.ops.len();
        }
        self.velocities = DeviceRescaling { scaled: 1, c };
        self.degrees = degrees as u32;
        self.reach(ProgramStage::Velocities) && self.has_bath(kt)
    }

    fn take_local(&mut self, local: Local) -> bool {
        let op = |kind, a| DeviceOp { kind, a };
        self.ops.push(match local {
            Local::Kick(time) => op(kind::KICK, time),
            Local::Drift(time) => op(kind::DRIFT, time),
            Local::Noise { c, .. } => op(kind::NOISE, c),
        });
        if let Local::Noise { kt, .. } = local
            && !self.has_bath(kt)
        {
            return false;
        }
        match self.place {
            ProgramStage::Opening => true,
            ProgramStage::Cell | ProgramStage::Velocities | ProgramStage::Closing => {
                self.place_at(ProgramStage::Closing)
            }
            ProgramStage::Behind => matches!(local, Local::Kick(_)),
            ProgramStage::End => false,
        }
    }

    /// Whether all that draws noise so far has this temperature (eV).
    fn has_bath(&mut self, kt: f64) -> bool {
        *self.kt.get_or_insert(kt) == kt
    }

    /// Goes to a place that has not been reached yet; whether it has not.
    fn reach(&mut self, place: ProgramStage) -> bool {
        let behind = place == ProgramStage::End;
        let on = self.place < place && behind == (self.place == ProgramStage::Behind);
        self.place = place;
        on
    }

    fn place_at(&mut self, place: ProgramStage) -> bool {
        self.place = place;
        true
    }
}

fn ramp(of: Option<&Ramp>) -> DeviceRamp {
    let points = of.map_or(&[][..], Ramp::points);
    let column = |c: usize| {
        let mut column = [0.0; MOST_POINTS];
        (column.iter_mut().zip(points)).for_each(|(to, point)| *to = point[c]);
        column
    };
    DeviceRamp {
        points: points.len() as u32,
        steps: column(0),
        values: column(1),
    }
}

fn chain(how: &ChainMove) -> DeviceChain {
    let ChainMove { chain, time, .. } = how;
    let step = time / f64::from(chain.steps.max(1));
    let mut device = DeviceChain {
        links: chain.links as u32,
        steps: chain.steps.max(1),
        relaxation: chain.relaxation,
        ..DeviceChain::default()
    };
    let parts = chain.scheme.parts();
    for (to, part) in device.parts.iter_mut().zip(parts) {
        *to = part * step;
    }
    device.count = parts.len() as u32;
    device
}

fn barostat(how: &CellRescaling) -> DeviceBarostat {
    DeviceBarostat {
        coupling: match how.coupling {
            Coupling::Isotropic => coupling::ISOTROPIC,
            Coupling::Anisotropic => coupling::ANISOTROPIC,
            Coupling::Plane => coupling::PLANE,
            Coupling::Triclinic => coupling::TRICLINIC,
        },
        flight: u32::from(how.flight),
        pressure: how.pressure,
        mobility: how.mobility,
    }
}
