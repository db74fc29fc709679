//! A piston and chains of thermostats: exact distributions of volumes, what is conserved, and trajectories beside those of ASE
//! (`chains`).

use mdrun::core::observe::{self, Thermometer};
use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Mat3, Observables, System, Vec3, velocities};
use mdrun::dynamics::{Coupling, Ensemble, Mtk, Program};
use mdrun::engine::{Engine, Flags, HostEngine, Start, Watched};
use mdrun::validate::log_ratio;

use super::bodies::{SIGMAS, conserved_of, observe as watch, run};
use super::doubles::Free;
use super::nose_hoover::chain;
use super::pressed::{self, BAR, CSVR, npt};
use super::statistics::{deviation, mean, standard_error, variance};
use super::subjects::{FS, KB, Subject, argon};

/// A thermometer that leaves the flight out, as a run's.
fn thermometer(system: &System) -> Thermometer {
    pressed::thermometer(system, CSVR)
}

pub fn mtk(kt: f64, pressure: f64, relaxation: f64, barostat_relaxation: f64) -> Mtk {
    Mtk {
        kt,
        pressure,
        chain: chain(relaxation, 4),
        barostat_relaxation,
    }
}

fn program(subject: &Subject, pressure: f64, timestep: f64) -> Program {
    let ensemble = mtk(subject.kt, pressure, 100.0 * FS, 500.0 * FS);
    ensemble.program(timestep, &thermometer(&subject.system))
}

/// An ideal gas of N atoms whose motion as a whole is left out has the volumes of a gamma distribution of shape N: their mean in
/// kT / P, and N^(-1/2) for the relative deviation. Without the part 3 / f of the coupling the mean is one kT / P too large.
#[test]
fn an_ideal_gas_has_the_volumes_of_theory() {
    const ATOMS: usize = 8;
    const SHAPE: f64 = ATOMS as f64;
    const KT: f64 = 0.025;
    /// Then kT / P is 100 A^3.
    const PRESSURE: f64 = KT / 100.0;
    const SAMPLES: u64 = 40_000;
    let system = System {
        species: vec![2; ATOMS],
        masses: vec![4.0; ATOMS],
    };
    let cell = Cell::new(Mat3::identity() * (100.0 * SHAPE).cbrt(), [true; 3]).unwrap();
    let positions = (0..ATOMS).map(|i| Vec3::new(i as f64, 0.5, 0.25)).collect();
    let mut start = velocities::maxwell_boltzmann(&system, KT, Noise::new(1));
    let drift = observe::momentum(&system, &start) / system.total_mass();
    start.iter_mut().for_each(|v| *v -= drift);
    let ensemble = mtk(KT, PRESSURE, 15.0, 40.0);
    let program = ensemble.program(1.0, &thermometer(&system));
    let start = Start::new(system, cell, positions, start);
    let mut engine = HostEngine::new(start, Noise::new(7), 4.0, Box::new(Free)).unwrap();
    let mut volume = |k: u64| {
        run(&mut engine, &program, 20 * k..20 * (k + 1));
        engine
            .snapshot(Fields::NONE)
            .unwrap()
            .cell
            .volume()
            .unwrap()
            / 100.0
    };
    let volumes: Vec<f64> = (0..SAMPLES).map(&mut volume).skip(1000).collect();
    let off = deviation(&volumes, SHAPE);
    let squares: Vec<f64> = volumes.iter().map(|v| (v - SHAPE).powi(2)).collect();
    let off_variance = deviation(&squares, SHAPE);
    let error = standard_error(&volumes);
    println!(
        "mean {:.3} +- {error:.3} of {SHAPE} ({off:+.2}), variance {:.3} ({off_variance:+.2})",
        mean(&volumes),
        mean(&squares)
    );
    assert!(error < 0.1 && off.abs() < SIGMAS && off_variance.abs() < SIGMAS);
}

/// Argon at 120 K.
fn fluid() -> Subject {
    let mut subject = argon();
    subject.kt = 120.0 * KB;
    subject
}

/// Volumes of a fluid (cubic angstrom) every 20 steps, from the 2,000th on.
fn volumes(subject: &Subject, program: &Program, samples: u64) -> Vec<f64> {
    let mut engine = subject.engine(subject.start(2));
    run(&mut *engine, program, 0..2000);
    let volume = |k: u64| {
        let first = 2000 + 20 * k;
        run(&mut *engine, program, first..first + 20);
        engine
            .snapshot(Fields::NONE)
            .unwrap()
            .cell
            .volume()
            .unwrap()
    };
    (0..samples).map(volume).collect()
}

/// Two pressures weigh a volume by exp(-P V / kT) each, and cell rescaling finds the same mean.
#[test]
fn a_fluid_has_the_volumes_of_its_pressure() {
    const SAMPLES: u64 = 2500;
    let subject = fluid();
    let [low, high] = [300.0 * BAR, 500.0 * BAR];
    let [at_low, at_high] =
        [low, high].map(|p| volumes(&subject, &program(&subject, p, subject.timestep), SAMPLES));
    let ratio = log_ratio(&at_low, &at_high).unwrap();
    let found = ratio.slope.scaled(subject.kt / (low - high));
    println!("slope of the logarithm of the ratio: {} of 1", found.text());
    assert!(found.error < 0.2 && (found.value.abs() - 1.0).abs() < SIGMAS * found.error);
    let mut rescaled = npt(subject.kt, low, CSVR, Coupling::Isotropic);
    rescaled.barostat.relaxation = 500.0 * FS;
    rescaled.barostat.every = 2;
    let rescaled = pressed::program(rescaled, subject.timestep, &subject.system);
    let others = volumes(&subject, &rescaled, SAMPLES);
    let error = standard_error(&at_low).hypot(standard_error(&others));
    let apart = (mean(&at_low) - mean(&others)) / error;
    println!(
        "volumes {:.0} and {:.0} A^3, {apart:+.2} standard errors apart",
        mean(&at_low),
        mean(&others)
    );
    assert!(apart.abs() < SIGMAS && error < 0.01 * mean(&others));
}

/// The whole energy has no slope, and half the step a quarter of its fluctuation. What piston and chains have is what is missing
/// of the atoms' energy.
#[test]
fn the_energy_of_the_whole_is_conserved() {
    /// meV / ps / atom.
    const DRIFT: f64 = 1e-3;
    let subject = fluid();
    let atoms = subject.system.len() as f64;
    let mut deviations = Vec::new();
    for (timestep, steps) in [(4.0 * FS, 5000), (2.0 * FS, 10_000)] {
        let mut engine = subject.engine(subject.start(3));
        let program = program(&subject, 500.0 * BAR, timestep);
        let moments = watch(&mut *engine, &program, steps, 1);
        let (drift, width) = conserved_of(&subject, timestep, &moments);
        let swing = |of: fn(&Observables) -> f64| {
            let values: Vec<f64> = moments.iter().map(|o| 1e3 * of(o) / atoms).collect();
            variance(&values).sqrt()
        };
        let (heat, work) = (swing(|o| o.kept.heat), swing(|o| o.kept.work));
        println!(
            "step {:.0} fs: {drift:+.1e} meV/atom/ps, +- {width:.2e} meV/atom; heat +- {heat:.2}, work +- {work:.3}",
            timestep / FS,
        );
        assert!(drift.abs() < DRIFT && heat > 100.0 * width && work > 100.0 * width);
        deviations.push(width);
        let last = engine.snapshot(Fields::NONE).unwrap();
        let energy = piston_energy(&subject, &last.observables);
        let volumes = [&last.cell, &subject.cell].map(|cell| cell.volume().unwrap());
        let energy = energy + 500.0 * BAR * (volumes[0] - volumes[1]);
        let work = last.observables.kept.work;
        assert!((work + energy).abs() < 1e-9, "{work} {energy}");
    }
    let ratio = deviations[0] / deviations[1];
    assert!((3.4..4.6).contains(&ratio), "{ratio}");
}

/// Kinetic energy of the piston, as the papers have its mass.
fn piston_energy(subject: &Subject, o: &Observables) -> f64 {
    let freedom = (3 * subject.system.len() - 3) as f64;
    let mass = (freedom + 3.0) * subject.kt * (500.0 * FS).powi(2);
    0.5 * mass * o.kept.piston.rate.powi(2)
}

/// A flight of the whole is left alone, whatever the cell does.
#[test]
fn a_flight_is_left_alone() {
    let subject = fluid();
    let mut start = subject.start(1);
    let flight = Vec3::new(0.02, -0.01, 0.03);
    start.velocities.iter_mut().for_each(|v| *v += flight);
    let before = observe::momentum(&subject.system, &start.velocities);
    let mut still = subject.engine(subject.start(1));
    let mut flying = subject.engine(start);
    let program = program(&subject, 500.0 * BAR, subject.timestep);
    let ends = [&mut still, &mut flying].map(|engine| {
        run(&mut **engine, &program, 0..100);
        engine.snapshot(Fields::ALL).unwrap()
    });
    let after = ends[1].observables.momentum;
    assert!((after - before).norm() < 1e-9, "{after} {before}");
    let [still, flying] = ends.map(|end| end.cell.volume().unwrap());
    println!("volumes {still} and {flying} A^3");
    assert!((still - flying).abs() < 1e-6 * still);
}

/// A cell that is pressed far too fast ends the block with a reason.
#[test]
fn a_cell_that_is_pressed_too_fast_ends_the_block() {
    let subject = argon();
    let ensemble = mtk(subject.kt, 1.0, 100.0 * FS, 10.0 * FS);
    let program = ensemble.program(subject.timestep, &thermometer(&subject.system));
    let mut engine = subject.engine(subject.start(1));
    let outcome = engine.run(&program, 0..100).unwrap();
    let breach = outcome.breach.unwrap();
    assert_eq!((outcome.flags, breach.what), (Flags::CELL, Watched::Cell));
    assert!(breach.value > 0.1 && breach.step < 10, "{breach:?}");
}
