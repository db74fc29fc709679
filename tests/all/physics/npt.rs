//! Stochastic cell rescaling: exact distributions of volumes, the work of a strain, stresses, and cells that fail.

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Mat3, Observables, Snapshot, System, Vec3, observe, velocities};
use mdrun::dynamics::{Coupling, Op, Program, Thermostat};
use mdrun::engine::{Engine, HostEngine, Start};

use super::bodies::{SIGMAS, run};
use super::doubles::Free;
use super::pressed::{self, BAR, CSVR, LANGEVIN, PHASE, npt, program, thermometer};
use super::statistics::{deviation, mean, slope, standard_error, variance};
use super::subjects::{FS, KB, argon};

/// An ideal gas under pressure.
struct Gas {
    atoms: usize,
    thermostat: Thermostat,
    coupling: Coupling,
    /// Steps of the barostat's relaxation, and between two strains.
    relaxation: f64,
    every: u64,
}

/// Volumes of an ideal gas over kT / P, every 20 steps.
fn volumes(gas: &Gas, samples: u64) -> Vec<f64> {
    const KT: f64 = 0.025;
    /// Then kT / P is 100 A^3.
    const PRESSURE: f64 = KT / 100.0;
    const STEP: f64 = 1.0;
    /// Wide, since pairs are found for nothing.
    const SKIN: f64 = 4.0;
    let system = System {
        species: vec![2; gas.atoms],
        masses: vec![4.0; gas.atoms],
    };
    let degrees = thermometer(&system, gas.thermostat).degrees_of_freedom as f64;
    let edge = (100.0 * (degrees / 3.0 + 1.0)).cbrt();
    let vectors = Mat3::new(edge, 0.0, 0.0, 0.0, edge, 0.0, 0.0, 0.0, edge);
    let cell = Cell::new(vectors, [true; 3]).unwrap();
    let positions = (0..gas.atoms)
        .map(|i| Vec3::new(i as f64, 0.5, 0.25))
        .collect();
    let mut start = velocities::maxwell_boltzmann(&system, KT, Noise::new(1));
    let drift = observe::momentum(&system, &start) / system.total_mass();
    start.iter_mut().for_each(|v| *v -= drift);
    let start = Start::new(system.clone(), cell, positions, start);
    let mut npt = npt(KT, PRESSURE, gas.thermostat, gas.coupling);
    // An ideal gas has the compressibility 1 / P.
    npt.barostat.compressibility = 1.0 / PRESSURE;
    npt.barostat.relaxation = gas.relaxation * STEP;
    npt.barostat.every = gas.every;
    npt.thermostat = match gas.thermostat {
        Thermostat::Csvr { .. } => Thermostat::Csvr {
            relaxation: 5.0 * STEP,
        },
        Thermostat::Langevin { .. } => Thermostat::Langevin {
            friction: 0.2 / STEP,
        },
    };
    let program = program(npt, STEP, &system);
    let mut engine = HostEngine::new(start, Noise::new(7), SKIN, Box::new(Free)).unwrap();
    run(&mut engine, &program, 0..2000);
    let mut volumes = Vec::new();
    for k in 0..samples {
        let first = 2000 + 20 * k;
        run(&mut engine, &program, first..first + 20);
        let volume = engine
            .snapshot(Fields::NONE)
            .unwrap()
            .cell
            .volume()
            .unwrap();
        volumes.push(volume / 100.0);
    }
    volumes
}

/// An ideal gas of N atoms with f kinetic degrees of freedom has the volumes of a gamma distribution of shape
/// f / 3 + 1: its mean in kT / P, and (f / 3 + 1)^(-1/2) for the relative deviation. One atom more or less is 11 % off, and a
/// measure other than dV too.
#[test]
fn an_ideal_gas_has_the_volumes_of_theory() {
    for (name, thermostat, shape) in [("CSVR", CSVR, 8.0), ("Langevin", LANGEVIN, 9.0)] {
        // Scaling all velocities alike brings nothing from one direction to another, and no atom of a gas does.
        let couplings = match thermostat {
            Thermostat::Csvr { .. } => &[Coupling::Isotropic][..],
            Thermostat::Langevin { .. } => &[Coupling::Isotropic, Coupling::Plane][..],
        };
        for &coupling in couplings {
            let gas = Gas {
                atoms: 8,
                thermostat,
                coupling,
                relaxation: 300.0,
                every: 1,
            };
            let volumes = volumes(&gas, 60_000);
            let error = standard_error(&volumes) / shape;
            let off = deviation(&volumes, shape);
            let squares: Vec<f64> = volumes.iter().map(|v| (v - shape).powi(2)).collect();
            let off_variance = deviation(&squares, shape);
            println!(
                "{name}, {}: mean {:.4} of {shape} ({off:+.2} standard errors of {:.2} %), relative deviation {:.4} of {:.4} \
                 ({off_variance:+.2})",
                coupling.name(),
                mean(&volumes),
                100.0 * error,
                variance(&volumes).sqrt() / mean(&volumes),
                shape.powf(-0.5)
            );
            assert!(error < 0.02 && off.abs() < SIGMAS && off_variance.abs() < SIGMAS);
        }
    }
}

/// Strains a fifth of the relaxation time apart. Of an ideal gas of N atoms whose kinetic energy the thermostat has relaxed from
/// one strain to the next, the deviation v of the logarithm of the volume follows, with m = 1/5, the response -5/3 of the
/// pressure to a strain, and thermal noise k of the kinetic energy (variance 2/3N),
///
/// v' = v - m (v + (5/6) (v - v_before) + k) + sqrt(2m / N) x,
///
/// whose variance is 1.039 / N. Without the response it is 1.185 / N.
#[test]
fn coarse_strains_leave_the_variance_of_the_volume() {
    const ATOMS: usize = 160;
    const SAMPLES: u64 = 15_000;
    let gas = Gas {
        atoms: ATOMS,
        thermostat: LANGEVIN,
        coupling: Coupling::Isotropic,
        relaxation: 50.0,
        every: 10,
    };
    let shape = ATOMS as f64 + 1.0;
    let volumes = volumes(&gas, SAMPLES);
    let squares: Vec<f64> = volumes
        .iter()
        .map(|v| (v - shape).powi(2) / shape)
        .collect();
    let (of_theory, without) = (deviation(&squares, 1.039), deviation(&squares, 1.185));
    println!(
        "variance {:.3} +- {:.3} of an exact sampler's ({of_theory:+.2} from theory)",
        mean(&squares),
        standard_error(&squares)
    );
    assert!(deviation(&volumes, shape).abs() < SIGMAS);
    assert!(of_theory.abs() < SIGMAS && without < -SIGMAS);
}

/// What is kept of a strain is what it added to the pressure tensor.
#[test]
fn the_response_is_what_a_strain_adds_to_the_pressure() {
    /// Rounding, of pressures of a thousand bar.
    const ROUNDING: f64 = 1e-8;
    let subject = argon();
    let mut npt = npt(subject.kt, 0.0, CSVR, Coupling::Triclinic);
    npt.barostat.every = 1;
    npt.barostat.relaxation = 400.0 * FS;
    let program = program(npt, subject.timestep, &subject.system);
    let program = Program::of(vec![program.ops[2], Op::Forces]);
    let mut engine = subject.engine(subject.start(1));
    let mut before = engine.snapshot(Fields::ALL).unwrap();
    for step in 0..5 {
        run(&mut *engine, &program, step..step + 1);
        let after = engine.snapshot(Fields::ALL).unwrap();
        let added = stress(&subject.system, &after) - stress(&subject.system, &before);
        let off = (after.observables.kept.response / BAR - added).amax();
        println!("{:.1} bar at most, {off:.1e} off", added.amax());
        assert!(added.amax() > 1.0 && off < ROUNDING);
        before = after;
    }
}

/// One strain of the cell and forces behind it: total energy changes by the work, up to third order in the strain. With a
/// quarter of the mobility the strain is half as large, and the difference an eighth.
#[test]
fn work_is_the_change_of_energy() {
    let subject = argon();
    for coupling in [
        Coupling::Isotropic,
        Coupling::Anisotropic,
        Coupling::Triclinic,
        Coupling::Plane,
    ] {
        let missed = |part: f64| {
            let mut engine = subject.engine(subject.start(1));
            let first = engine.snapshot(Fields::ALL).unwrap();
            // That of the start, so that the strain is the noise's, which falls as the root of the mobility.
            let pressure = stress(&subject.system, &first).trace() / 3.0;
            let mut npt = npt(subject.kt, pressure * BAR, CSVR, coupling);
            npt.barostat.every = 1;
            npt.barostat.relaxation = 400.0 * FS / part;
            let whole = program(npt, subject.timestep, &subject.system);
            let rescaling = whole.ops[2];
            let program = Program::of(vec![rescaling, Op::Forces]);
            let mut worst = 0.0_f64;
            let mut most = 0.0_f64;
            for step in 0..20 {
                let before = engine.snapshot(PHASE).unwrap();
                run(&mut *engine, &program, step..step + 1);
                let after = engine.snapshot(Fields::NONE).unwrap();
                let (a, b) = (after.observables, before.observables);
                let energy = a.total() - b.total();
                worst = worst.max((energy - (a.kept.work - b.kept.work)).abs());
                most = most.max(energy.abs());
                engine.restore(&before).unwrap();
            }
            (worst, most)
        };
        let ((whole, energy), (part, _)) = (missed(1.0), missed(0.25));
        println!(
            "{}: energy changes by {energy:.3} eV, work misses {whole:.1e} eV; half the strain: {part:.1e}",
            coupling.name()
        );
        assert!(whole < 0.02 * energy && (5.5..11.0).contains(&(whole / part)));
    }
}

/// Energy less heat and work has no slope, and half the step has a quarter of its fluctuation.
#[test]
fn energy_less_heat_and_work_is_conserved() {
    /// meV / ps / atom.
    const DRIFT: f64 = 1e-3;
    let subject = argon();
    let atoms = subject.system.len() as f64;
    for thermostat in [CSVR, LANGEVIN] {
        let mut deviations = Vec::new();
        for (timestep, steps) in [(4.0 * FS, 5000), (2.0 * FS, 10_000)] {
            let mut npt = npt(subject.kt, 500.0 * BAR, thermostat, Coupling::Triclinic);
            // Strains whose own third order is small beside the step's.
            npt.barostat.relaxation = 10_000.0 * FS;
            let program = program(npt, timestep, &subject.system);
            let mut engine = subject.engine(subject.start(3));
            let moments = super::bodies::observe(&mut *engine, &program, steps, 5);
            let times: Vec<f64> = (0..moments.len())
                .map(|k| k as f64 * 5.0 * timestep / (1000.0 * FS))
                .collect();
            let conserved: Vec<f64> = moments.iter().map(Observables::conserved).collect();
            let drift = 1e3 * slope(&times, &conserved) / atoms;
            let width = 1e3 * variance(&conserved).sqrt() / atoms;
            let work: Vec<f64> = moments.iter().map(|o| 1e3 * o.kept.work / atoms).collect();
            println!(
                "step {:.0} fs: {drift:+.1e} meV/atom/ps, +- {width:.2e} meV/atom; work +- {:.3}",
                timestep / FS,
                variance(&work).sqrt()
            );
            assert!(drift.abs() < DRIFT);
            deviations.push(width);
        }
        // Noise on every atom makes it a random walk, whose width in one run says little.
        let ratio = deviations[0] / deviations[1];
        let walks = matches!(thermostat, Thermostat::Langevin { .. });
        assert!(walks || (3.0..5.5).contains(&ratio), "{ratio}");
    }
}

/// Stress tensor (bar), without the flight.
fn stress(system: &System, s: &Snapshot) -> Mat3 {
    let twice = observe::kinetic_about(system, s.velocities.iter(), &Vec3::zeros());
    let w = s.observables.strain_derivative;
    (twice - 0.5 * (w + w.transpose())) / (s.cell.volume().unwrap() * BAR)
}

/// A crystal of argon under 2000 bar: each component of the stress that the coupling lets go has the pressure, or zero, and
/// where all may go the volume is the same.
#[test]
fn a_crystal_has_the_stress_asked_for() {
    const PRESSURE: f64 = 2000.0;
    let mut subject = argon();
    subject.kt = 40.0 * KB;
    subject.system.masses.fill(39.948);
    // Squeezed along c, so that each coupling has something to do.
    let vectors = Mat3::from_diagonal(&Vec3::new(16.2, 16.2, 15.6));
    let cell = Cell::new(vectors, [true; 3]).unwrap();
    let strain = subject.cell.strain_to(&cell);
    subject.positions.iter_mut().for_each(|r| *r = strain * *r);
    subject.cell = cell;
    let mut volumes = Vec::new();
    for (coupling, free) in [
        (Coupling::Isotropic, &[][..]),
        (Coupling::Anisotropic, &[(0, 0), (1, 1), (2, 2)][..]),
        (
            Coupling::Triclinic,
            &[(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)][..],
        ),
        (Coupling::Plane, &[][..]),
    ] {
        let mut npt = npt(subject.kt, PRESSURE * BAR, CSVR, coupling);
        npt.barostat.compressibility = 5e-5 / BAR;
        npt.barostat.relaxation = 400.0 * FS;
        let program = program(npt, subject.timestep, &subject.system);
        let mut engine = subject.engine(subject.start(2));
        run(&mut *engine, &program, 0..3000);
        let (mut stresses, mut sizes) = (Vec::new(), Vec::new());
        for k in 0..1500 {
            let first = 3000 + 10 * k;
            run(&mut *engine, &program, first..first + 10);
            let s = engine.snapshot(Fields::ALL).unwrap();
            stresses.push(stress(&subject.system, &s));
            sizes.push(s.cell.clone());
        }
        for &(a, b) in free {
            let series: Vec<f64> = stresses.iter().map(|s| s[(a, b)]).collect();
            let expected = if a == b { PRESSURE } else { 0.0 };
            let off = deviation(&series, expected);
            println!(
                "{}, {a}{b}: {:.0} +- {:.0} bar ({off:+.2})",
                coupling.name(),
                mean(&series),
                standard_error(&series)
            );
            assert!(off.abs() < SIGMAS, "{} {a}{b}", coupling.name());
        }
        let of = |value: &dyn Fn(&Mat3) -> f64| stresses.iter().map(value).collect::<Vec<f64>>();
        let (series, name) = match coupling {
            Coupling::Plane => (of(&|s| 0.5 * (s[(0, 0)] + s[(1, 1)])), "plane"),
            _ => (of(&|s| s.trace() / 3.0), "trace"),
        };
        let off = deviation(&series, PRESSURE);
        println!(
            "{}, {name}: {:.0} bar ({off:+.2})",
            coupling.name(),
            mean(&series)
        );
        assert!(off.abs() < SIGMAS, "{}", coupling.name());
        let ratios = |k: usize| sizes.iter().map(move |c: &Cell| c.vector(k).norm());
        match coupling {
            Coupling::Plane => assert!(ratios(2).all(|c| (c - 15.6).abs() < 1e-9)),
            Coupling::Isotropic => assert!(
                ratios(0)
                    .zip(ratios(2))
                    .all(|(a, c)| (c / a - 15.6 / 16.2).abs() < 1e-9)
            ),
            Coupling::Anisotropic | Coupling::Triclinic => volumes.push(
                sizes
                    .iter()
                    .map(|c| c.volume().unwrap())
                    .collect::<Vec<f64>>(),
            ),
        }
    }
    let error = standard_error(&volumes[0]).hypot(standard_error(&volumes[1]));
    let apart = (mean(&volumes[0]) - mean(&volumes[1])) / error;
    println!(
        "volumes {:.1} and {:.1} A^3: {apart:+.2}",
        mean(&volumes[0]),
        mean(&volumes[1])
    );
    assert!(apart.abs() < SIGMAS);
}

#[test]
fn bits_do_not_depend_on_how_a_run_is_cut() {
    pressed::bits_do_not_depend_on_how_a_run_is_cut(&argon());
}

#[test]
fn a_cell_that_fails_ends_the_block() {
    pressed::a_cell_that_fails_ends_the_block(&argon());
}
