//! Validations of sound and of spoiled systems: each fault fails the line that is about it.

mod bends;
mod command;
mod ensembles;
mod faults;
mod spoiled;
mod stability;
mod steps;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use mdrun::Result;
use mdrun::core::System;
use mdrun::core::observe::Thermometer;
use mdrun::core::rng::Noise;
use mdrun::dynamics::{Dynamics, Nve, Program};
use mdrun::engine::{Engine, HostEngine, Start};
use mdrun::forcefield::{ForceField, HostForceField};
use mdrun::potential::{Potential, Precision};
use mdrun::units::PICOSECOND;
use mdrun::validate::{
    Depth, Judgement, PairSearch, PhysicsWorkshop, Setup, Validated, ValidationLine,
    ValidationListener, validate,
};

use crate::physics::subjects::{Subject, argon_potential};

static NEVER: AtomicBool = AtomicBool::new(false);

/// Skin (angstrom) of the engines.
const SKIN: f64 = 1.0;

type MakePotential = Box<dyn Fn(&System, PairSearch) -> Box<dyn Potential>>;
type MakeProgram = Box<dyn Fn(f64) -> Program>;
type Wrap<T> = Box<dyn Fn(Box<T>) -> Box<T>>;

/// Makes what a validation asks for, with a fault where one is put in.
struct Faulty {
    /// The potential in f64.
    exact: MakePotential,
    /// The potential in the run's numbers.
    rounded: MakePotential,
    /// What is put around force fields, in the run too.
    field: Wrap<dyn ForceField>,
    /// What is put around engines.
    engine: Wrap<dyn Engine>,
    /// A step at constant energy.
    constant_energy: MakeProgram,
    thermometer: Thermometer,
    system: System,
}

impl Faulty {
    /// Without a fault, of argon's potential.
    fn sound(subject: &Subject) -> Self {
        Self {
            exact: Box::new(|_, _| argon_potential()),
            rounded: Box::new(|_, _| argon_potential()),
            field: Box::new(|field| field),
            engine: Box::new(|engine| engine),
            constant_energy: Box::new(Program::velocity_verlet),
            thermometer: Thermometer::of_all(3 * subject.system.len() - 3),
            system: subject.system.clone(),
        }
    }

    /// Of a potential, in f64 and in the run.
    fn of(subject: &Subject, make: impl Fn() -> Box<dyn Potential> + Clone + 'static) -> Self {
        let again = make.clone();
        Self {
            exact: Box::new(move |_, _| make()),
            rounded: Box::new(move |_, _| again()),
            ..Self::sound(subject)
        }
    }
}

fn field(potential: Box<dyn Potential>, search: PairSearch, skin: f64) -> HostForceField {
    match search {
        PairSearch::Listed => HostForceField::new(potential, skin),
        PairSearch::Exhaustive => HostForceField::exhaustive(potential),
    }
}

impl PhysicsWorkshop for Faulty {
    fn exact(&self, system: &System, search: PairSearch) -> Result<Box<dyn ForceField + '_>> {
        let potential = (self.exact)(system, search);
        Ok((self.field)(Box::new(field(potential, search, 0.0))))
    }

    fn rounded(&self) -> Result<Box<dyn ForceField + '_>> {
        let potential = (self.rounded)(&self.system, PairSearch::Listed);
        Ok((self.field)(Box::new(field(
            potential,
            PairSearch::Listed,
            0.0,
        ))))
    }

    fn engine(&self, start: Start, replica: u32) -> Result<Box<dyn Engine>> {
        let potential = (self.rounded)(&start.system, PairSearch::Listed);
        let inner = (self.field)(Box::new(field(potential, PairSearch::Listed, SKIN)));
        let field = HostForceField::around(inner, Some(SKIN));
        let engine = HostEngine::of(start.of_replica(replica), Noise::new(7), field)?;
        Ok((self.engine)(Box::new(engine)))
    }

    fn constant_energy(&self, timestep: f64) -> Program {
        (self.constant_energy)(timestep)
    }

    fn ensemble(&self, ensemble: &Dynamics, timestep: f64) -> Program {
        ensemble.program(timestep, &self.thermometer)
    }
}

/// A little of everything: a second or two for argon.
const SHORT: Depth = Depth {
    constant_energy: 2.0 * PICOSECOND,
    whole: Duration::from_secs(600),
    stepping: Duration::from_secs(60),
    sampling: Duration::from_secs(4),
    temperature: 0.1,
    ratio: 1.0,
};

/// Prints what comes.
struct Printer;

impl ValidationListener for Printer {
    fn begin(&mut self, part: &str) {
        println!("{part}");
    }

    fn line(&mut self, line: &ValidationLine) {
        println!(
            "{:9} {:22} {} (bar {})",
            line.judgement.word(),
            line.key,
            line.found,
            line.bar_text()
        );
    }
}

fn setup<'w>(subject: &Subject, workshop: &'w Faulty, timestep: f64) -> Setup<'w> {
    Setup {
        workshop,
        start: subject.start(1),
        ensemble: Dynamics::Nve(Nve),
        timestep,
        thermometer: workshop.thermometer,
        precision: Precision::F64,
        drift: None,
        force_error: None,
        remote: false,
        depth: SHORT,
    }
}

fn validated(setup: &Setup<'_>) -> Validated {
    validate(setup, &mut Printer, &NEVER).unwrap()
}

/// The keys of the tests that came to a judgement.
fn keys(found: &Validated, judgement: Judgement) -> Vec<&'static str> {
    let alike = found.lines.iter().filter(|l| l.judgement == judgement);
    alike.map(|line| line.key).collect()
}

fn line<'v>(found: &'v Validated, key: &str) -> &'v ValidationLine {
    let line = found.lines.iter().find(|line| line.key == key);
    line.unwrap_or_else(|| panic!("there is no line {key}"))
}
