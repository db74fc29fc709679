//! Potentials, an engine and a reporter made for tests.

use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex};

use crate::support::double::pass_on;
use mdrun::core::{Fields, Snapshot, Vec3};
use mdrun::dynamics::Program;
use mdrun::engine::{Engine, Flags, Outcome, Pending};
use mdrun::neighbors::{Listed, Pairs};
use mdrun::potential::{About, Evaluation, Potential};

use mdrun::simulation::{Reporter, Signal, next_multiple};
use mdrun::{Error, Result};

/// No interaction.
pub struct Free;

impl Potential for Free {
    fn cutoff(&self) -> f64 {
        1.0
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        *out = Evaluation::zeros(pairs.atoms());
        Ok(())
    }

    fn about(&self) -> About {
        About::plain("nothing")
    }
}

/// Springs without length between all atoms within 1000 A: u = k r^2 / 2.
pub struct Springs {
    /// k (eV / angstrom^2).
    pub stiffness: f64,
}

impl Potential for Springs {
    fn cutoff(&self) -> f64 {
        1000.0
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        *out = Evaluation::zeros(pairs.atoms());
        for (p, r) in pairs.vectors.iter().enumerate() {
            out.energy += 0.25 * self.stiffness * r.norm_squared();
            out.forces[pairs.receivers[p] as usize] += self.stiffness * r;
            out.strain_derivative += 0.5 * self.stiffness * r * r.transpose();
        }
        Ok(())
    }

    fn about(&self) -> About {
        About::plain("springs")
    }
}

/// Free atoms, except that something is not a number as soon as two are closer than a distance.
pub struct Hole {
    /// That distance (angstrom).
    pub distance: f64,
    /// Whether it is the energy alone, or the forces on the two atoms too.
    pub energy_only: bool,
}

impl Potential for Hole {
    fn cutoff(&self) -> f64 {
        2.0 * self.distance
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        *out = Evaluation::zeros(pairs.atoms());
        for (p, distance) in pairs.distances.iter().enumerate() {
            if *distance < self.distance {
                out.energy = f64::NAN;
                if !self.energy_only {
                    out.forces[pairs.receivers[p] as usize].y = f64::INFINITY;
                }
            }
        }
        Ok(())
    }

    fn about(&self) -> About {
        About::plain("a hole")
    }
}

/// What happens in a [`Beside`], with the step of a snapshot, or the first of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Requested(u64),
    Taken(u64),
    Begun(u64),
    BrokenOff(u64),
    Done(u64),
}

/// An engine that works by itself: it takes half of a block before the host's work beside it is done, and the rest
/// after. Once that work has broken a block off, it will only go back.
pub struct Beside {
    pub inner: Box<dyn Engine>,
    pub log: Arc<Mutex<Vec<Event>>>,
    lost: bool,
}

impl Beside {
    pub fn new(inner: Box<dyn Engine>) -> Self {
        Self {
            inner,
            log: Arc::default(),
            lost: false,
        }
    }

    fn note(&self, event: Event) {
        self.log.lock().unwrap().push(event);
    }

    /// Nothing that was requested is still to be taken.
    fn settled(&self) -> bool {
        let log = self.log.lock().unwrap();
        let count = |wanted: fn(&Event) -> bool| log.iter().filter(|e| wanted(e)).count();
        count(|e| matches!(e, Event::Requested(_))) == count(|e| matches!(e, Event::Taken(_)))
    }
}

/// A snapshot that says when it is taken.
struct Logged(Snapshot, Arc<Mutex<Vec<Event>>>);

impl Pending for Logged {
    fn take(self: Box<Self>) -> Result<Snapshot> {
        self.1.lock().unwrap().push(Event::Taken(self.0.step));
        Ok(self.0)
    }
}

impl Engine for Beside {
    pass_on!(inner: rebuild watch statistics about);

    fn run(&mut self, program: &Program, steps: Range<u64>) -> Result<Outcome> {
        assert!(!self.lost, "a block is taken from a state that is lost");
        self.inner.run(program, steps)
    }

    fn run_beside(
        &mut self,
        program: &Program,
        steps: Range<u64>,
        meanwhile: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Outcome>> {
        assert!(!self.lost, "a block is taken from a state that is lost");
        self.note(Event::Begun(steps.start));
        let middle = steps.start + (steps.end - steps.start).div_ceil(2);
        let mut outcome = self.inner.run(program, steps.start..middle)?;
        if meanwhile().is_break() {
            self.lost = true;
            self.note(Event::BrokenOff(steps.start));
            return Ok(None);
        }
        if outcome.step == middle && outcome.flags == Flags::OK && middle < steps.end {
            outcome = self.inner.run(program, middle..steps.end)?;
        }
        self.note(Event::Done(steps.start));
        Ok(Some(outcome))
    }

    fn save(&mut self) -> Result<()> {
        assert!(!self.lost, "a state that is lost is saved");
        self.inner.save()
    }

    fn rollback(&mut self) -> Result<()> {
        self.lost = false;
        self.inner.rollback()
    }

    fn restore(&mut self, state: &Snapshot) -> Result<()> {
        self.lost = false;
        self.inner.restore(state)
    }

    fn listed(&mut self, receivers: &[usize]) -> Result<Listed> {
        assert!(
            !self.lost && self.settled(),
            "an audit with a report to come"
        );
        self.inner.listed(receivers)
    }

    fn snapshot(&mut self, want: Fields) -> Result<Snapshot> {
        assert!(!self.lost, "a state that is lost is looked at");
        self.inner.snapshot(want)
    }

    fn request(&mut self, want: Fields) -> Result<Box<dyn Pending>> {
        let snapshot = self.snapshot(want)?;
        self.note(Event::Requested(snapshot.step));
        Ok(Box::new(Logged(snapshot, Arc::clone(&self.log))))
    }
}

/// What a [`Recorder`] saw.
#[derive(Default)]
pub struct Seen {
    pub snapshots: Vec<Snapshot>,
    pub finished: u32,
}

/// A reporter that keeps what it sees.
pub struct Recorder {
    pub every: u64,
    pub wants: Fields,
    /// What it answers at a step.
    pub answer: fn(u64) -> Result<Signal>,
    pub seen: Arc<Mutex<Seen>>,
}

impl Recorder {
    /// Looks at everything every so many steps.
    pub fn new(every: u64) -> (Self, Arc<Mutex<Seen>>) {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let recorder = Self {
            every,
            wants: Fields::ALL,
            answer: |_| Ok(Signal::Continue),
            seen: Arc::clone(&seen),
        };
        (recorder, seen)
    }
}

impl Reporter for Recorder {
    fn next(&self, step: u64) -> u64 {
        next_multiple(step, self.every)
    }

    fn wants(&self) -> Fields {
        self.wants
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        self.seen.lock().unwrap().snapshots.push(snapshot.clone());
        (self.answer)(snapshot.step)
    }

    fn finish(&mut self) -> Result<()> {
        self.seen.lock().unwrap().finished += 1;
        Ok(())
    }
}

/// A full disk.
pub fn full(_: u64) -> Result<Signal> {
    Err(Error::run("no space left"))
}

/// Every bit of a snapshot.
pub fn bits(snapshot: &Snapshot) -> Vec<u64> {
    let o = &snapshot.observables;
    let mut bits = vec![
        snapshot.step,
        snapshot.time.to_bits(),
        o.potential.to_bits(),
        o.kinetic.to_bits(),
        o.kept.heat.to_bits(),
        o.kept.work.to_bits(),
    ];
    for chain in [&o.kept.chain, &o.kept.piston.chain] {
        let both = chain.positions.iter().chain(&chain.velocities);
        bits.extend(both.map(|x| x.to_bits()));
    }
    bits.push(o.kept.piston.rate.to_bits());
    let vectors = [&snapshot.positions, &snapshot.velocities, &snapshot.forces];
    let vectors = vectors.into_iter().flatten().chain([&o.momentum]);
    bits.extend(vectors.flat_map(Vec3::iter).map(|x| x.to_bits()));
    let matrices = [
        &o.strain_derivative,
        &o.kept.response,
        snapshot.cell.vectors(),
    ];
    bits.extend(matrices.into_iter().flatten().map(|x| x.to_bits()));
    bits
}
