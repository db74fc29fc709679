//! Rigid water under the shipped model, two femtoseconds at a time.

use mdrun::core::Observables;
use mdrun::core::observe;
use mdrun::dynamics::Program;
use mdrun::engine::{Engine, Start};
use mdrun::{assemble, config};

use super::keys::RunFile;
use super::{assert_kept, state};
use crate::physics::bodies::{observe as watch, run};
use crate::physics::statistics::{slope, variance};
use crate::physics::subjects::FS;

/// What energy may drift by (meV/atom/ps).
const DRIFT: f64 = 0.01;
const LANGEVIN: &str =
    "ensemble = \"langevin\"\ntemperature = \"300 K\"\nfriction = \"10 1/ps\"\nseed = 1";

/// Rigid water of a file, equilibrated for so many steps of noise; and its engine at constant energy.
struct Settled {
    plan: config::plan::Plan,
    model: assemble::Model,
    start: Start,
}

impl Settled {
    fn new(more: &str, steps: u64) -> Self {
        let text = format!("[device]\nkind = \"cpu\"\n[constraints]\nwater = \"rigid\"\n{more}");
        let file = RunFile::new("water64.xyz", LANGEVIN, &text);
        let mut plan = file.plan().unwrap();
        let model = assemble::load(&mut plan).unwrap();
        let start = assemble::start(&plan);
        let mut engine = assemble::engine(&plan, &model).unwrap();
        run(&mut *engine, &assemble::program(&plan), 0..steps);
        let now = state(&mut *engine);
        assert_kept(&plan.constraints, &now);
        let start = Start {
            positions: now.positions,
            velocities: now.velocities,
            ..start
        };
        Self { plan, model, start }
    }

    fn engine(&self) -> Box<dyn Engine> {
        assemble::engine_at(&self.plan, &self.model, self.start.clone()).unwrap()
    }
}

/// The energy of rigid water at 2 fs fluctuates by four times what it does at 1 fs: what is left is of the second order of the
/// step, and not of what solves constraints.
#[test]
fn energy_of_rigid_water_is_conserved_to_second_order() {
    let settled = Settled::new("oh = \"0.9572 A\"\nhh = \"1.5139 A\"", 20);
    let atoms = settled.start.system.len() as f64;
    let fluctuation = |step: f64, steps: u64| {
        let mut engine = settled.engine();
        let moments = watch(&mut *engine, &Program::velocity_verlet(step * FS), steps, 1);
        let energies: Vec<f64> = moments.iter().map(Observables::total).collect();
        assert_kept(&settled.plan.constraints, &state(&mut *engine));
        1e3 * variance(&energies).sqrt() / atoms
    };
    let (whole, half) = (fluctuation(2.0, 20), fluctuation(1.0, 40));
    println!(
        "fluctuations {whole:.4} and {half:.4} meV/atom, ratio {:.2}",
        whole / half
    );
    assert!((3.0..5.0).contains(&(whole / half)));
}

/// 64 rigid waters for 10 ps, two femtoseconds at a time.
#[test]
fn rigid_water_conserves_energy_at_two_femtoseconds() {
    if std::env::var_os("MDRUN_VALIDATE").is_none() {
        eprintln!("skipped: set MDRUN_VALIDATE=1 to run it (minutes)");
        return;
    }
    const STEPS: u64 = 5000;
    const EVERY: u64 = 5;
    let settled = Settled::new("oh = \"0.9572 A\"\nhh = \"1.5139 A\"", 1000);
    let mut engine = settled.engine();
    let thermometer = assemble::thermometer(&settled.plan);
    let moments = watch(
        &mut *engine,
        &Program::velocity_verlet(2.0 * FS),
        STEPS,
        EVERY,
    );
    assert_kept(&settled.plan.constraints, &state(&mut *engine));
    let ps: Vec<f64> = (0..moments.len())
        .map(|k| (k as u64 * EVERY) as f64 * 2e-3)
        .collect();
    let energies: Vec<f64> = moments.iter().map(Observables::total).collect();
    let atoms = settled.start.system.len() as f64;
    let drift = 1e3 * slope(&ps, &energies) / atoms;
    let width = 1e3 * variance(&energies).sqrt() / atoms;
    let kinetic: f64 = moments.iter().map(|o| o.kinetic).sum::<f64>() / moments.len() as f64;
    let kelvin =
        observe::kt(kinetic, thermometer.degrees_of_freedom) / crate::physics::subjects::KB;
    println!("drift {drift:+.5} meV/atom/ps, fluctuation {width:.4} meV/atom, {kelvin:.1} K");
    assert!(drift.abs() < DRIFT, "{drift}");
}
