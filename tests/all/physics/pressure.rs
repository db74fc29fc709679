//! The pressure against values that do not come from the strain derivative: the change of the energy with the volume, and
//! the ideal gas. And every column of `thermo.csv` from the frames of the same run.

use mdrun::core::observe::Thermometer;
use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Mat3, Snapshot, System, Vec3, observe};
use mdrun::dynamics::Program;
use mdrun::engine::{HostEngine, Start};
use mdrun::forcefield::{ForceField as _, HostForceField};
use mdrun::potential::painn::{Spec, Weights, reference};
use mdrun::potential::{Potential, Precision};

use super::bodies::run;
use super::doubles::Free;
use super::subjects::{KB, Subject, argon, argon_potential, face_centred};
use crate::support::calculators::SHIPPED;
use crate::support::mdrun;

/// Elementary charge (C) and atomic mass constant (kg): exact, and CODATA 2022.
const CHARGE: f64 = 1.602_176_634e-19;
const DALTON: f64 = 1.660_539_068_92e-27;
/// Bar per eV / cubic angstrom, exact.
const BAR: f64 = CHARGE * 1e30 * 1e-5;

/// Step of the differences (of a length, over itself). The five-point formula is off by step^4 / 30 times a fifth derivative,
/// which for a repulsion of r^-12 is some 12^5 times the energy: 5e-14 of it. Pairs that cross the cutoff of Lennard-Jones, where
/// its slope jumps, are off by the step itself: 3e-13 eV / A^3 were seen. Rounding of -8,900 eV of water is 1e-11 eV / A^3.
const STEP: f64 = 5e-5;

/// The derivative at zero of a function, by the five-point formula.
fn derivative(mut f: impl FnMut(f64) -> f64) -> f64 {
    (8.0 * (f(STEP) - f(-STEP)) - (f(2.0 * STEP) - f(-2.0 * STEP))) / (12.0 * STEP)
}

/// The network without splines, whose energies bend at their knots.
fn exact(spec: &Spec, weights: &Weights, species: &[u8]) -> HostForceField {
    let device = reference::BurnDevice::Cpu;
    let potential = reference::potential(spec, weights, species, Precision::F64, device);
    HostForceField::new(potential.unwrap(), 0.0)
}

/// -dE/dV (eV / cubic angstrom) by energies of cells that are larger and smaller with all that is in them.
fn by_volume(field: &mut HostForceField, cell: &Cell, positions: &[Vec3]) -> f64 {
    let energy = |h: f64| {
        let scale = 1.0 + h;
        let cell = Cell::new(cell.vectors() * scale, cell.periodic()).unwrap();
        let positions: Vec<Vec3> = positions.iter().map(|r| r * scale).collect();
        field.at(&cell, &positions).unwrap().energy
    };
    // dV = 3 V dh.
    -derivative(energy) / (3.0 * cell.volume().unwrap())
}

/// (2/3) K / V (eV / cubic angstrom), from masses (u) and velocities (angstrom sqrt(eV / u)).
fn kinetic_part(system: &System, velocities: &[Vec3], volume: f64) -> f64 {
    let squares = system
        .masses
        .iter()
        .zip(velocities)
        .map(|(m, v)| m * v.norm_squared());
    squares.sum::<f64>() / (3.0 * volume)
}

/// Compares the pressure of an engine, some steps after its start, with that of the change of volume.
#[track_caller]
fn check(name: &str, subject: &Subject, potential: Box<dyn Potential>) {
    let mut field = HostForceField::new(potential, 0.0);
    let mut engine = subject.engine(subject.start(1));
    run(
        &mut *engine,
        &Program::velocity_verlet(subject.timestep),
        0..20,
    );
    let found: Snapshot = engine.snapshot(Fields::ALL).unwrap();
    let volume = subject.cell.volume().unwrap();
    let pressure = observe::pressure(&found, &subject.cell).unwrap();
    let virial = by_volume(&mut field, &subject.cell, &found.positions);
    let expected = kinetic_part(&subject.system, &found.velocities, volume) + virial;
    println!(
        "{name}: {:.6} bar, by volume {:.6} bar",
        pressure * BAR,
        expected * BAR
    );
    // The size of both terms: their sum may be small.
    let size = virial.abs() + expected.abs();
    assert!(
        (pressure - expected).abs() < 1e-8 * size,
        "{name}: {pressure} against {expected}"
    );
}

#[test]
fn pressure_is_that_of_a_change_of_volume() {
    check("argon", &argon(), argon_potential());
    let skew = Mat3::new(17.0, 0.0, 0.0, 5.0, 17.5, 0.0, -4.0, 3.0, 18.0);
    let cell = Cell::new(skew, [true; 3]).unwrap();
    let cube = argon().cell;
    let positions = (argon().positions.iter())
        .map(|r| cell.cartesian(&cube.fractional(r)))
        .collect();
    let triclinic = Subject {
        cell,
        positions,
        ..argon()
    };
    check("triclinic argon", &triclinic, argon_potential());
}

/// P V = (N - 1) kT of atoms that do not meet, at rest as a whole.
#[test]
fn an_ideal_gas_has_the_pressure_of_its_temperature() {
    let subject = Subject {
        positions: face_centred(3, 40.0),
        cell: Cell::new(Mat3::identity() * 120.0, [true; 3]).unwrap(),
        ..argon()
    };
    let mut engine = HostEngine::new(subject.start(1), Noise::new(1), 1.0, Box::new(Free)).unwrap();
    run(
        &mut engine,
        &Program::velocity_verlet(subject.timestep),
        0..50,
    );
    let found = mdrun::engine::Engine::snapshot(&mut engine, Fields::ALL).unwrap();
    let pressure = observe::pressure(&found, &subject.cell).unwrap();
    let expected = 107.0 * subject.kt / 120f64.powi(3);
    // The start has this temperature to rounding, and nothing changes it.
    assert!(
        (pressure / expected - 1.0).abs() < 1e-12,
        "{pressure} against {expected}"
    );
}

/// A gas that flies as a whole has the pressure that is seen from its centre of mass, unless a thermostat made the flight.
#[test]
fn the_flight_of_a_gas_presses_only_where_it_is_thermal() {
    let subject = Subject {
        positions: face_centred(3, 40.0),
        cell: Cell::new(Mat3::identity() * 120.0, [true; 3]).unwrap(),
        ..argon()
    };
    let resting = subject.start(1);
    let mut flying = subject.start(1);
    let flight = Vec3::new(0.03, -0.04, 0.12);
    flying.velocities.iter_mut().for_each(|v| *v += flight);
    let found = |start: Start| -> Snapshot {
        let noise = Noise::new(1);
        let mut engine = HostEngine::new(start, noise, 1.0, Box::new(Free)).unwrap();
        mdrun::engine::Engine::snapshot(&mut engine, Fields::ALL).unwrap()
    };
    let (resting, flying) = (found(resting), found(flying));
    let mass = subject.system.total_mass();
    let thermal = Thermometer::of_all(3 * subject.system.len());
    let from_within = Thermometer {
        flying_mass: Some(mass),
        ..thermal
    };
    let expected = observe::pressure(&resting, &subject.cell).unwrap();
    let on_top = mass * flight.norm_squared() / (3.0 * 120f64.powi(3));
    // Rounding of a sum that is some 30 times as large.
    let near = |found: f64, right: f64| (found / right - 1.0).abs() < 1e-11;
    assert!(on_top > expected);
    assert!(near(from_within.pressure(&flying).unwrap(), expected));
    assert!(near(from_within.pressure(&resting).unwrap(), expected));
    assert!(near(thermal.pressure(&flying).unwrap(), expected + on_top));
}

/// One frame of an extended XYZ trajectory.
struct Frame {
    comment: String,
    species: Vec<String>,
    /// The columns that follow the element.
    numbers: Vec<Vec<f64>>,
}

impl Frame {
    fn all(text: &str) -> Vec<Self> {
        let mut lines = text.lines();
        let mut frames = Vec::new();
        while let Some(count) = lines.next() {
            let comment = lines.next().unwrap().to_owned();
            let mut frame = Self {
                comment,
                species: Vec::new(),
                numbers: Vec::new(),
            };
            for line in lines.by_ref().take(count.trim().parse().unwrap()) {
                let mut words = line.split_whitespace();
                frame.species.push(words.next().unwrap().to_owned());
                frame
                    .numbers
                    .push(words.map(|x| x.parse().unwrap()).collect());
            }
            frames.push(frame);
        }
        frames
    }

    /// Columns `first` to `first + 2` of every atom.
    fn vectors(&self, first: usize) -> Vec<Vec3> {
        let vector = |row: &Vec<f64>| Vec3::new(row[first], row[first + 1], row[first + 2]);
        self.numbers.iter().map(vector).collect()
    }
}

/// Each number of a line of `thermo.csv`, from positions and velocities in the frame of the same step, standard atomic
/// weights, and energies of single points.
#[test]
fn every_column_of_the_thermo_table_is_that_of_the_frame() {
    let out = tempfile::TempDir::new().unwrap();
    let folder = out.path().join("run");
    let output = mdrun(&[
        "configs/water_langevin.toml",
        "--set",
        "dynamics={ensemble=\"langevin\",temperature=\"300 K\",friction=\"1 1/ps\",seed=1,timestep=\"0.5 fs\",steps=30}",
        "--set",
        "potential={model=\"models/painn_hcno_gfn2.safetensors\",precision=\"f64\"}",
        "--set",
        "output.trajectory=[{format=\"xyz\",every=10,fields=[\"velocities\",\"forces\"]}]",
        "--set",
        "device.kind=\"cpu\"",
        "--out",
        folder.to_str().unwrap(),
        "-q",
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let frames = Frame::all(&std::fs::read_to_string(folder.join("traj.xyz")).unwrap());
    let table = std::fs::read_to_string(folder.join("thermo.csv")).unwrap();
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(
        names[..8],
        [
            "step",
            "time_fs",
            "potential_energy_ev",
            "kinetic_energy_ev",
            "total_energy_ev",
            "conserved_energy_ev",
            "temperature_k",
            "pressure_bar"
        ]
    );
    let edge = 12.420_655_101_246_934;
    let cell = Cell::new(Mat3::identity() * edge, [true; 3]).unwrap();
    let (spec, weights) = &*SHIPPED;
    assert_eq!(frames.len(), 4);
    for (k, (line, frame)) in lines.zip(&frames).enumerate() {
        let found: Vec<f64> = line
            .split(',')
            .take(8)
            .map(|x| x.parse().unwrap())
            .collect();
        let species: Vec<u8> = frame
            .species
            .iter()
            .map(|s| if s == "O" { 8 } else { 1 })
            .collect();
        let weight = |z: &u8| if *z == 8 { 15.999 } else { 1.008 };
        let (positions, velocities) = (frame.vectors(0), frame.vectors(3));
        let mut field = exact(spec, weights, &species);
        let of_positions = field.at(&cell, &positions).unwrap();
        let energy = of_positions.energy;
        // u (angstrom / fs)^2 = u 1e10 m^2 / s^2.
        let unit = DALTON * 1e10 / CHARGE;
        let twice: f64 = (species.iter().zip(&velocities))
            .map(|(z, v)| weight(z) * v.norm_squared() * unit)
            .sum();
        let volume = edge.powi(3);
        // Differences are no judge here: water's energy bends within 1e-4 A.
        let virial = -of_positions.strain_derivative.trace() / (3.0 * volume);
        let expected = [
            10.0 * k as f64,
            5.0 * k as f64,
            energy,
            0.5 * twice,
            energy + 0.5 * twice,
            found[5],
            twice / (3.0 * species.len() as f64 * KB),
            (twice / (3.0 * volume) + virial) * BAR,
        ];
        for ((name, found), expected) in names.iter().zip(&found).zip(expected) {
            // Constants of CODATA's editions differ by 3e-10.
            let off = (found - expected).abs() / expected.abs().max(1e-3);
            assert!(
                off < 1e-8,
                "step {}: {name} is {found}, not {expected}",
                10 * k
            );
        }
        assert!(
            frame.comment.contains(&format!("step={}", 10 * k)),
            "{}",
            frame.comment
        );
        // Where the run begins, nothing has come from the bath.
        assert!(k > 0 || found[5] == found[4], "{line}");
        // Forces in the frame are minus the slopes of the energy: of one atom, along one axis.
        let mut moved = positions.clone();
        let slope = derivative(|h| {
            moved[3 * k].x = positions[3 * k].x + h;
            field.at(&cell, &moved).unwrap().energy
        });
        let force = frame.numbers[3 * k].last_chunk::<3>().unwrap()[0];
        assert!(
            (force + slope).abs() < 1e-6 * force.abs().max(1.0),
            "{force} {slope}"
        );
    }
}

/// The start of a run at constant energy has the temperature asked for, as the kinetic energy says.
#[test]
fn a_start_has_its_temperature() {
    let subject = argon();
    let start: Start = subject.start(3);
    let squares =
        (subject.system.masses.iter().zip(&start.velocities)).map(|(m, v)| m * v.norm_squared());
    let temperature = squares.sum::<f64>() / (3.0 * 107.0 * KB);
    assert!((temperature / 95.0 - 1.0).abs() < 1e-12, "{temperature}");
}
