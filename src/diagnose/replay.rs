//! One replay: an engine that walks the window, its energies sampled at every femtosecond or so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Build, Case, Question, Variant};
use crate::Result;
use crate::core::{Fields, Observables, Snapshot};
use crate::engine::{Breach, Limits};
use crate::neighbors::Mismatch;
use crate::report::series::Estimate;
use crate::report::{Energies, EnergyRecord};
use crate::simulation::{Cause, Finish, Guard, Reporter, Signal, Simulation, next_multiple};
use crate::units::FEMTOSECOND;

/// Time (fs) between samples: a fourth of the shortest period of an energy error, that of bonds to hydrogen
/// (9 fs, of which the error follows the square), so that nothing aliases.
const SAMPLE_FS: f64 = 1.0;
/// Moments of the replay as it was that are kept for a look at the potential, and memory (bytes) for them.
const MOMENTS: u64 = 64;
const MEMORY: usize = 128 << 20;
/// Steps between audits of the pairs in the replay as it was: every step, so that the one where the run found
/// a pair missing is among them.
const AUDIT: u64 = 1;

/// What a change does to the drift or to the broken limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It is what was there; the others are compared with it.
    Reference,
    /// It is gone, or less than half of what it was.
    Removed,
    /// It stays, at more than half of what it was.
    Stays,
    /// It cannot be said.
    Undecided,
    /// The replay could not be made.
    NotDone,
}

/// How a replay went.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// What was changed.
    pub variant: Variant,
    /// What computed it; or why nothing did.
    pub about: String,
    /// Whether it could be made at all.
    pub done: bool,
    /// Steps taken, of the variant's own length.
    pub steps: u64,
    /// Time replayed (internal time).
    pub span: f64,
    /// Drift (eV per atom and time).
    pub drift: Option<Estimate>,
    /// Largest change of the conserved energy from that of the start, over the kinetic energy of the start.
    pub change: f64,
    /// The limit that it broke, its step in the variant's own steps.
    pub broke: Option<Breach>,
    /// A pair that was missing or for nothing, and the step.
    pub mismatch: Option<(u64, Mismatch)>,
    /// Whether it came through the later state of the run, bit for bit; `None` where there is none to
    /// compare with.
    pub reproduced: Option<bool>,
    /// Positions and velocities at the end, in bits: replays that end alike are the same throughout.
    pub end: Vec<u64>,
    /// Time that it took.
    pub elapsed: Duration,
}

/// A replay under way.
pub(super) struct Walk {
    pub replay: Replay,
    simulation: Option<Simulation>,
    energies: Energies,
    clock: Arc<Mutex<Clock>>,
    moments: Arc<Mutex<Vec<Snapshot>>>,
    first: u64,
}

/// When to stop; and how far the conserved energy has gone.
struct Clock {
    deadline: Instant,
    /// Conserved and kinetic energy at the start (eV).
    first: Option<[f64; 2]>,
    /// Largest change of the conserved energy (eV).
    change: f64,
}

impl Clock {
    fn see(&mut self, o: &Observables) {
        let [conserved, _] = *self.first.get_or_insert([o.conserved(), o.kinetic]);
        let change = (o.conserved() - conserved).abs();
        if change.is_finite() {
            self.change = self.change.max(change);
        }
    }
}

impl Walk {
    /// A replay that cannot be made, and why.
    pub fn impossible(variant: Variant, why: &str) -> Self {
        Self {
            replay: Replay {
                variant,
                about: why.to_owned(),
                done: false,
                steps: 0,
                span: 0.0,
                drift: None,
                change: 0.0,
                broke: None,
                mismatch: None,
                reproduced: None,
                end: Vec::new(),
                elapsed: Duration::ZERO,
            },
            simulation: None,
            energies: Energies::new(EnergyRecord::new(1, 1)),
            clock: Arc::new(Mutex::new(Clock {
                deadline: Instant::now(),
                first: None,
                change: 0.0,
            })),
            moments: Arc::default(),
            first: 0,
        }
    }

    /// A replay at its start.
    pub fn begin(case: &Case, build: &Build<'_>, variant: Variant) -> Result<Self> {
        let mut start = case.start.clone();
        start.step *= variant.divisor;
        let (first, atoms) = (start.step, start.system.len());
        let built = build(start, variant)?;
        let mut walk = Self::impossible(variant, &built.engine.about().to_string());
        walk.replay.done = true;
        walk.first = first;
        walk.energies = Energies::new(EnergyRecord::measured_by(atoms, &case.thermometer));
        let step = case.timestep / variant.divisor as f64;
        let sampler = Sampler {
            every: ((SAMPLE_FS * FEMTOSECOND / step).round() as u64).max(1),
            energies: walk.energies.clone(),
            clock: Arc::clone(&walk.clock),
            last: None,
        };
        let mut reporters: Vec<Box<dyn Reporter>> = vec![Box::new(sampler)];
        if variant == Variant::AS_RUN {
            reporters.push(Box::new(Moments {
                every: (super::first_window(case) / MOMENTS).max(1),
                most: (MEMORY / (72 * atoms).max(1)).clamp(2, MOMENTS as usize),
                kept: Arc::clone(&walk.moments),
            }));
        }
        let limits = match case.question {
            Question::Drift { .. } => Limits::default(),
            Question::Breach { limits, .. } => Limits {
                stop: true,
                ..limits
            },
        };
        let audit = if variant == Variant::AS_RUN { AUDIT } else { 0 };
        walk.simulation = Some(Simulation {
            engine: built.engine,
            program: built.program,
            limits,
            reporters,
            keeper: None,
            successor: None,
            guard: Guard::new(None, audit),
            step: first,
            end: first,
        });
        Ok(walk)
    }

    /// Goes on until `window` steps of the run have been replayed since the start, unless it is broken or
    /// time is up before.
    pub fn advance(
        &mut self,
        case: &Case,
        window: u64,
        deadline: Instant,
        interrupt: &AtomicBool,
    ) -> Result<()> {
        let began = Instant::now();
        locked(&self.clock).deadline = deadline;
        let goal = self.first + window * self.replay.variant.divisor;
        let later = case
            .later
            .as_ref()
            .filter(|_| self.replay.variant == Variant::AS_RUN);
        if let Some(later) = later.filter(|l| self.replay.reproduced.is_none() && l.step <= goal) {
            self.go(later.step, interrupt)?;
            self.compare(later)?;
        }
        self.go(goal, interrupt)?;
        self.take_stock(case)?;
        self.replay.elapsed += began.elapsed();
        Ok(())
    }

    fn go(&mut self, goal: u64, interrupt: &AtomicBool) -> Result<()> {
        let Some(simulation) = &mut self.simulation else {
            return Ok(());
        };
        simulation.end = goal;
        while self.replay.broke.is_none() && simulation.step < goal {
            match simulation.run(interrupt, &mut |_| {})? {
                Finish::Fault {
                    cause: Cause::Breach(breach),
                    ..
                } => {
                    let broken = simulation.engine.snapshot(Fields::NONE)?;
                    locked(&self.clock).see(&broken.observables);
                    self.replay.broke = Some(breach);
                }
                Finish::Fault {
                    cause: Cause::Pairs { step, mismatch },
                    ..
                } => {
                    self.replay.mismatch = Some((step, mismatch));
                    simulation.guard.audit = 0;
                }
                // Time is up, or all steps are taken.
                _ => break,
            }
            if interrupt.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(())
    }

    /// Whether the present state is a later one of the run.
    fn compare(&mut self, later: &Snapshot) -> Result<()> {
        let Some(simulation) = &mut self.simulation else {
            return Ok(());
        };
        if simulation.step == later.step && self.replay.broke.is_none() {
            let present = simulation.engine.snapshot(Fields::ALL)?;
            self.replay.reproduced = Some(bits(&present) == bits(later));
        }
        Ok(())
    }

    fn take_stock(&mut self, case: &Case) -> Result<()> {
        let Some(simulation) = &mut self.simulation else {
            return Ok(());
        };
        let replay = &mut self.replay;
        replay.steps = simulation.step.saturating_sub(self.first);
        replay.span = replay.steps as f64 * case.timestep / replay.variant.divisor as f64;
        let (drift, mean) = (self.energies).read(|record| {
            (
                record.drift(),
                record.kinetic.mean().map_or(0.0, |k| k.value),
            )
        });
        replay.drift = drift;
        let clock = locked(&self.clock);
        // A start at rest has no kinetic energy to compare with.
        let kinetic = clock.first.map_or(0.0, |[_, kinetic]| kinetic);
        replay.change = match kinetic.max(mean) {
            none if none <= 0.0 => 0.0,
            _ if kinetic > 0.0 => clock.change / kinetic,
            mean => clock.change / mean,
        };
        drop(clock);
        if replay.broke.is_none() {
            replay.end = bits(&simulation.engine.snapshot(Fields::ALL)?);
        }
        Ok(())
    }

    /// Moments on the way: positions and velocities.
    pub fn frames(&self) -> Vec<Snapshot> {
        locked(&self.moments).clone()
    }
}

/// What a reporter and its walk share; neither leaves it half changed.
fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Positions and velocities, bit for bit.
fn bits(state: &Snapshot) -> Vec<u64> {
    let vectors = state.positions.iter().chain(&state.velocities);
    vectors
        .flat_map(|v| [v.x, v.y, v.z])
        .map(f64::to_bits)
        .collect()
}

/// Samples energies; ends the walk when time is up.
struct Sampler {
    every: u64,
    energies: Energies,
    clock: Arc<Mutex<Clock>>,
    /// The step last sampled: a walk that goes on looks at it twice.
    last: Option<u64>,
}

impl Reporter for Sampler {
    fn next(&self, step: u64) -> u64 {
        next_multiple(step, self.every)
    }

    fn wants(&self) -> Fields {
        Fields::NONE
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        if self.last.is_none_or(|last| last < snapshot.step) {
            self.last = Some(snapshot.step);
            self.energies.add(snapshot);
            locked(&self.clock).see(&snapshot.observables);
        }
        Ok(if Instant::now() < locked(&self.clock).deadline {
            Signal::Continue
        } else {
            Signal::Stop("time is up".to_owned())
        })
    }
}

/// Keeps moments; every other one goes when there are too many, and from then on half as many come.
struct Moments {
    every: u64,
    most: usize,
    kept: Arc<Mutex<Vec<Snapshot>>>,
}

impl Reporter for Moments {
    fn next(&self, step: u64) -> u64 {
        next_multiple(step, self.every)
    }

    fn wants(&self) -> Fields {
        Fields::ALL
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        let mut kept = locked(&self.kept);
        if kept.last().is_none_or(|last| last.step < snapshot.step) {
            kept.push(snapshot.clone());
        }
        if kept.len() > self.most {
            let mut odd = true;
            kept.retain(|_| {
                odd = !odd;
                !odd
            });
            self.every *= 2;
        }
        Ok(Signal::Continue)
    }
}
