//! Energies and pressures of Lennard-Jones against published values: lattice sums of the crystal, and the reference
//! simulations of the fluid by NIST.

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Mat3, System, Vec3, observe};
use mdrun::dynamics;
use mdrun::engine::{Engine, HostEngine, Start};
use mdrun::potential::lennard_jones::LennardJones;

use super::bodies::{SIGMAS, run};
use super::statistics::{mean, standard_error};
use super::subjects::{Subject, face_centred, host};

/// Where the switch begins, as part of the cutoff.
const SWITCH_ON: f64 = 0.8;

/// What a potential that is switched off leaves out beyond, for an even density (units of epsilon and sigma): energy per
/// atom 2 pi rho int r^2 w dr, and pressure -(2/3) pi rho^2 int r^3 w' dr, of w(r) = u(r) - u_switched(r).
fn tail(density: f64, cutoff: f64) -> [f64; 2] {
    use std::f64::consts::PI;
    /// Intervals of Simpson's rule: its error is under 1e-9 of the integral.
    const INTERVALS: usize = 2000;
    let potential = LennardJones::new(1.0, 1.0, cutoff).unwrap();
    let left_out = |r: f64| {
        let sixth = r.powi(-6);
        let (energy, slope) = (
            4.0 * sixth * (sixth - 1.0),
            -24.0 * sixth * (2.0 * sixth - 1.0) / r,
        );
        let (switched, switched_slope) = potential.pair(r);
        [
            r * r * (energy - switched),
            r.powi(3) * (slope - switched_slope),
        ]
    };
    let on = SWITCH_ON * cutoff;
    let h = (cutoff - on) / INTERVALS as f64;
    let mut sums = [0.0; 2];
    for k in 0..=INTERVALS {
        let weight = match k {
            0 | INTERVALS => 1.0,
            _ if k % 2 == 1 => 4.0,
            _ => 2.0,
        };
        let part = left_out(on + h * k as f64);
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += weight * part * h / 3.0;
        }
    }
    // Beyond the cutoff, in closed form.
    let (third, ninth) = (cutoff.powi(-3), cutoff.powi(-9));
    let energy = sums[0] + 4.0 * (ninth / 9.0 - third / 3.0);
    let virial = sums[1] - 24.0 * (2.0 * ninth / 9.0 - third / 3.0);
    [
        2.0 * PI * density * energy,
        -2.0 / 3.0 * PI * density * density * virial,
    ]
}

/// Atoms of mass 1 in a cube, with epsilon = sigma = 1.
fn subject(positions: Vec<Vec3>, edge: f64, cutoff: f64, kt: f64) -> Subject {
    Subject {
        system: System {
            species: vec![18; positions.len()],
            masses: vec![1.0; positions.len()],
        },
        cell: Cell::new(Mat3::identity() * edge, [true; 3]).unwrap(),
        positions,
        timestep: 0.004,
        kt,
        build: host(move || Box::new(LennardJones::new(1.0, 1.0, cutoff).unwrap())),
    }
}

/// Face-centred cubic crystals: E / N = 2 (A12 d^-12 - A6 d^-6) with the lattice sums A12 = 12.13188 and A6 = 14.45392
/// (Jones and Ingham, Proc. R. Soc. A 107, 636 (1925); Kittel, Introduction to Solid State Physics, chapter 3), and the
/// pressure that follows from it, V / N being d^3 / sqrt 2.
#[test]
fn a_crystal_has_the_energy_and_the_pressure_of_its_lattice_sums() {
    const A12: f64 = 12.131_88;
    const A6: f64 = 14.453_92;
    /// The sums are known to 4e-7; what is left out lies beyond 9.6 sigma, a thousandth of the whole, and is even to a
    /// thousandth of that.
    const TOLERANCE: f64 = 3e-6;
    let cutoff = 12.0;
    for d in [1.0, 1.09, 1.2] {
        let edge = d * 2f64.sqrt();
        let subject = subject(face_centred(1, edge), edge, cutoff, 1.0);
        let atoms = subject.positions.len();
        let start = Start::new(
            subject.system.clone(),
            subject.cell.clone(),
            subject.positions.clone(),
            vec![Vec3::zeros(); atoms],
        );
        let mut engine = subject.engine(start);
        let found = engine.snapshot(Fields::ALL).unwrap();
        let [energy_left_out, pressure_left_out] = tail(2f64.sqrt() / d.powi(3), cutoff);
        let energy = found.observables.potential / atoms as f64 + energy_left_out;
        let pressure = observe::pressure(&found, &subject.cell).unwrap() + pressure_left_out;
        let repulsion = A12 * d.powi(-12);
        let attraction = A6 * d.powi(-6);
        let expected = 2.0 * (repulsion - attraction);
        let expected_pressure =
            2f64.sqrt() / (3.0 * d.powi(3)) * (24.0 * repulsion - 12.0 * attraction);
        println!(
            "d = {d}: energy {energy:.6} of {expected:.6}, pressure {pressure:.6} of {expected_pressure:.6}"
        );
        let size = 2.0 * (repulsion + attraction);
        assert!(
            (energy - expected).abs() < TOLERANCE * size,
            "{energy} {expected}"
        );
        let size = 2f64.sqrt() / (3.0 * d.powi(3)) * (24.0 * repulsion + 12.0 * attraction);
        assert!(
            (pressure - expected_pressure).abs() < TOLERANCE * size,
            "{pressure} {expected_pressure}"
        );
        assert!(
            found.forces.iter().all(|f| f.norm() < 1e-10),
            "atoms of a crystal are not pulled"
        );
    }
}

/// The energy that is left out lies between that of plain cuts where the switch begins and ends.
#[test]
fn what_a_switch_leaves_out_lies_between_two_cuts() {
    // Allen and Tildesley, Computer Simulation of Liquids, eq. 2.144: 8/9 pi rho (rc^-9 - 3 rc^-3).
    let cut = |r: f64| 8.0 / 9.0 * std::f64::consts::PI * (r.powi(-9) - 3.0 * r.powi(-3));
    let [energy, _] = tail(1.0, 5.0);
    assert!(cut(4.0) < energy && energy < cut(5.0), "{energy}");
    // What is left out has no jump, so that its two integrals are one by parts: -(1/3) int r^3 w' = int r^2 w.
    let density = 0.7;
    let [energy, pressure] = tail(density, 5.0);
    assert!(
        (pressure - density * energy).abs() < 1e-9 * pressure.abs(),
        "{pressure} {energy}"
    );
}

/// Energy per atom and pressure of the fluid by Monte Carlo with 500 atoms and long-range corrections: NIST Standard
/// Reference Simulation Website, Lennard-Jones fluid reference calculations (T, rho, energy, its error, pressure, its error).
const NIST: [[f64; 6]; 2] = [
    [0.85, 0.776, -5.5121, 4.55e-4, 6.7714e-3, 1.72e-3],
    [0.90, 0.820, -5.7456, 4e-4, 8.2386e-1, 2e-3],
];

#[test]
fn the_fluid_has_the_energy_and_the_pressure_of_nists_simulations() {
    if std::env::var_os("MDRUN_VALIDATE").is_none() {
        eprintln!("skipped: set MDRUN_VALIDATE=1 to run it (minutes)");
        return;
    }
    const CUTOFF: f64 = 4.0;
    const SETTLE: u64 = 10_000;
    const SAMPLES: u64 = 2_000;
    const EVERY: u64 = 20;
    for [kt, density, energy, energy_error, pressure, pressure_error] in NIST {
        let edge = (500.0 / density).cbrt();
        let subject = subject(face_centred(5, edge / 5.0), edge, CUTOFF, kt);
        let potential = Box::new(LennardJones::new(1.0, 1.0, CUTOFF).unwrap());
        let mut engine = HostEngine::new(subject.start(1), Noise::new(5), 0.4, potential).unwrap();
        let program = dynamics::baoab(subject.timestep, kt, 0.5);
        // The crystal melts at twice the temperature, and forgets it.
        let hot = dynamics::baoab(subject.timestep, 2.0 * kt, 1.0);
        run(&mut engine, &hot, 0..SETTLE);
        run(&mut engine, &program, SETTLE..2 * SETTLE);
        let [energy_left_out, pressure_left_out] = tail(density, CUTOFF);
        let (mut energies, mut pressures) = (Vec::new(), Vec::new());
        for k in 0..SAMPLES {
            let first = 2 * SETTLE + k * EVERY;
            run(&mut engine, &program, first..first + EVERY);
            let found = engine.snapshot(Fields::NONE).unwrap();
            energies.push(found.observables.potential / 500.0 + energy_left_out);
            pressures.push(observe::pressure(&found, &subject.cell).unwrap() + pressure_left_out);
        }
        for (name, series, expected, error) in [
            ("energy", &energies, energy, energy_error),
            ("pressure", &pressures, pressure, pressure_error),
        ] {
            let both = standard_error(series).hypot(error);
            let off = (mean(series) - expected) / both;
            println!(
                "T = {kt}, rho = {density}: {name} {:.5} +- {:.5}, NIST {expected} +- {error}: {off:+.2} errors",
                mean(series),
                standard_error(series)
            );
            assert!(off.abs() < SIGMAS, "{name}: {off} errors off");
        }
    }
}
