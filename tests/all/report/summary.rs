//! The closing summary and `run.json`.

use std::time::Duration;

use mdrun::config::plan::{Action, MonitorPlan};
use mdrun::core::rng::{Noise, Stream};
use mdrun::core::{Cell, Vec3};
use mdrun::report::{
    Description, DriftMonitor, Energies, EnergyRecord, OriginFile, RunOutcome, RunRecord, Status,
    Summary,
};
use mdrun::simulation::Reporter;
use mdrun::units::{ANGSTROM_PER_FS, FEMTOSECOND, KELVIN, MEV_PER_PS};
use serde_json::Value;

use super::frames;

const ATOMS: usize = 12;

pub(super) fn course(steps: u64) -> RunOutcome {
    RunOutcome {
        status: Status::Complete,
        steps,
        timestep: 0.5 * FEMTOSECOND,
        elapsed: Duration::from_secs(10),
        directory: "trajectories/run".into(),
        stopped_by: None,
        bath: None,
        began: (0, 0.0),
        ramped: false,
        press: None,
        whole: None,
        resumed_from: Vec::new(),
    }
}

/// What is known after a run of so many picoseconds at 300 K whose energy drifts by `slope`
/// (meV/atom/ps) and fluctuates by `noise` (meV/atom).
fn energies(picoseconds: u64, slope: f64, noise: f64) -> Energies {
    Sampled {
        picoseconds,
        slope,
        noise,
        ..Sampled::default()
    }
    .energies()
}

/// Samples of a run, one each 10 fs.
pub(super) struct Sampled {
    pub picoseconds: u64,
    /// Drift (meV/atom/ps).
    pub slope: f64,
    /// Fluctuation (meV/atom).
    pub noise: f64,
    /// Temperature (K) over the part of the run that is over.
    pub kelvin: fn(f64) -> f64,
    /// Kick that each sample's energy gets for good (meV/atom), as a thermostat's noise gives.
    pub kick: f64,
    /// Cell of the frames.
    pub cell: Cell,
}

impl Default for Sampled {
    fn default() -> Self {
        Self {
            picoseconds: 100,
            slope: 0.0,
            noise: 0.2,
            kelvin: |_| 300.0,
            kick: 0.0,
            cell: Cell::open(),
        }
    }
}

impl Sampled {
    pub fn energies(&self) -> Energies {
        let energies = Energies::new(EnergyRecord::new(ATOMS, 3 * ATOMS - 3));
        let plan = MonitorPlan {
            drift: None,
            temperature: None,
            force: None,
            contact: None,
            spread: None,
            spread_every: None,
            numbers: None,
            action: Action::Warn,
            audit: mdrun::config::plan::Audit::Off,
            record: false,
        };
        let mut monitor = DriftMonitor::new(energies.clone(), 1, &plan);
        let samples = 100 * self.picoseconds;
        let mut walked = 0.0;
        for k in 0..samples {
            let random = Noise::new(1).normal3(k, 0, Stream::Thermostat);
            let mut snapshot = frames::frame(0, 0, &self.cell);
            snapshot.time = k as f64 * 10.0 * FEMTOSECOND;
            let degrees = (3 * ATOMS - 3) as f64;
            let kelvin = (self.kelvin)(k as f64 / samples as f64);
            walked += self.kick * random.z;
            let o = &mut snapshot.observables;
            o.kinetic = kelvin * KELVIN * (degrees / 2.0 + (degrees / 2.0).sqrt() * random.y);
            let per_atom =
                self.slope * MEV_PER_PS * snapshot.time + 1e-3 * (self.noise * random.x + walked);
            o.potential = ATOMS as f64 * per_atom - o.kinetic;
            o.kept.heat = 0.0;
            o.momentum = Vec3::new(0.0, 3.0, 4.0) * ANGSTROM_PER_FS;
            monitor.report(&snapshot).unwrap();
        }
        energies
    }
}

#[test]
fn keys_and_numbers_for_machines() {
    let summary = Summary::new(&course(20_000), &energies(10, 0.5, 0.2));
    let json = summary.to_json();
    assert_eq!(json["steps"], 20_000);
    assert_eq!(json["atoms"], 12);
    assert_eq!(json["steps_per_second"], 2000.0);
    // 2000 steps/s x 86,400 s x 0.5 fs = 8.64e7 fs
    let speed = json["ns_per_day"].as_f64().unwrap();
    assert!((speed - 86.4).abs() < 1e-9, "{speed}");
    assert_eq!(json["simulated_ps"], 10.0);
    let near = |key: &str, right: f64, tolerance: f64| {
        let found = json[key].as_f64().unwrap();
        assert!((found - right).abs() < tolerance, "{key}: {found}");
    };
    near("mean_temperature_k", 300.0, 10.0);
    near("energy_drift_mev_per_atom_ps", 0.5, 0.01);
    // 0.2 meV, 1000 samples over 10 ps: 0.2 / 10 sqrt(12 / 1000)
    near("energy_drift_stderr", 0.002_19, 0.000_8);
    near("energy_fluctuation_mev_per_atom", 0.2, 0.02);
    // 12 atoms x 5 meV over 300 K k sqrt(33 / 2)
    near(
        "drift_over_std_ekin",
        0.06 / (300.0 * 8.617_333e-5 * 16.5_f64.sqrt()),
        0.06,
    );
    near("momentum_u_a_per_fs", 5.0, 1e-12);
    // 0.1 k 300 K
    near(
        "energy_drift_limit_mev_per_atom_ps",
        0.1 * 300.0 * 8.617_333e-5,
        2e-4,
    );
    near("first_fifth_temperature_k", 300.0, 20.0);
    near("last_fifth_temperature_k", 300.0, 20.0);
    // The mean slope over 10 ps of 12 atoms; kinetic energy takes from the potential what it has.
    let kinetic = 300.0 * 8.617_333e-5 * 16.5;
    near("mean_kinetic_energy_ev", kinetic, 0.015);
    near(
        "mean_kinetic_energy_stderr_ev",
        kinetic / 16.5_f64.sqrt() / 1000.0_f64.sqrt(),
        1e-3,
    );
    near("mean_total_energy_ev", 0.03, 1e-3);
    near("mean_potential_energy_ev", 0.03 - kinetic, 0.015);
    for key in [
        "mean_pressure_bar",
        "whole_motion_fraction",
        "whole_motion_speed_a_per_fs",
    ] {
        assert_eq!(json[key], Value::Null, "{key}");
    }
    assert_eq!(json["output_directory"], "trajectories/run");
    assert_eq!(json["stopped_by"], Value::Null);
    assert_eq!(json["energy_drift_converged"], true);
}

#[test]
fn a_run_too_short_for_statistics_has_nulls() {
    let mut course = course(0);
    course.elapsed = Duration::ZERO;
    course.status = Status::Interrupted;
    course.stopped_by = Some("SIGTERM".to_owned());
    let none = Energies::new(EnergyRecord::new(3, 6));
    let summary = Summary::new(&course, &none);
    let json = summary.to_json();
    for key in [
        "mean_temperature_k",
        "energy_drift_mev_per_atom_ps",
        "energy_drift_stderr",
        "drift_over_std_ekin",
        "energy_fluctuation_mev_per_atom",
        "energy_conserved",
    ] {
        assert!(json.as_object().unwrap().contains_key(key));
        assert_eq!(json[key], Value::Null, "{key}");
    }
    assert_eq!(json["steps_per_second"], 0.0);
    assert_eq!(json["stopped_by"], "SIGTERM");
    assert_eq!(json["status"], "interrupted");
    let text = summary.to_text();
    assert!(
        text.starts_with("Interrupted after 0 steps of 3 atoms"),
        "{text}"
    );
    assert!(
        text.contains("stopped by    SIGTERM") && text.contains("too short"),
        "{text}"
    );
}

/// One is one, and what took no time that is shown had no speed.
#[test]
fn the_first_line_counts_in_words() {
    let first = |steps: u64, seconds: f64| {
        let elapsed = Duration::from_secs_f64(seconds);
        let went = RunOutcome {
            elapsed,
            ..course(steps)
        };
        let text = Summary::new(&went, &energies(10, 0.5, 0.2)).to_text();
        text.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        first(1, 0.04),
        "Done: 1 step of 12 atoms, 0.0005 ps, in 0.0 s"
    );
    assert_eq!(
        first(2000, 1.0),
        "Done: 2000 steps of 12 atoms, 1 ps, in 1.0 s: 2000 steps/s, 86.40 ns/day"
    );
}

/// P V = (2 K - tr dE/d(strain)) / 3.
#[test]
fn means_have_error_bars_in_text_too() {
    let edge = 10.0;
    let cell = Cell::new(mdrun::core::Mat3::identity() * edge, [true; 3]).unwrap();
    let sampled = Sampled {
        cell,
        ..Sampled::default()
    };
    let summary = Summary::new(&course(20_000), &sampled.energies());
    let strain = frames::frame(0, 0, &Cell::open())
        .observables
        .strain_derivative;
    let kinetic = 300.0 * KELVIN * 16.5;
    let right = (2.0 * kinetic - strain.trace()) / (3.0 * edge.powi(3)) / mdrun::units::BAR;
    let (found, error) = (
        summary.mean_pressure_bar.unwrap(),
        summary.mean_pressure_stderr_bar.unwrap(),
    );
    assert!(
        (found - right).abs() < 4.0 * error,
        "{found} +- {error}, {right}"
    );
    let text = summary.to_text();
    for line in [
        "  pressure      ",
        "  potential     -0.4",
        "  kinetic       0.4",
        "  total         ",
    ] {
        let line = text.lines().find(|l| l.starts_with(line));
        assert!(line.is_some_and(|l| l.contains(" +- ")), "{text}");
    }
}

fn description() -> Description {
    Description {
        config: "[dynamics]\ntimestep = \"0.5 fs\"\nsteps = 10\n"
            .parse()
            .unwrap(),
        config_file: "run.toml".into(),
        models: Vec::new(),
        structure: None,
        formula: "C2H6O".to_owned(),
        atoms: 9,
        members: None,
        degrees_of_freedom: 21,
        engine: "Burn (flex)".to_owned(),
        device: "CPU".to_owned(),
        threads: 2,
        seeds: vec![("velocities".to_owned(), 7)],
        versions: vec![("burn".to_owned(), "0.21.0".to_owned())],
        files: vec!["thermo.csv".to_owned()],
    }
}

#[test]
fn run_json_tells_how_it_began_and_how_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    std::fs::write(&model, "abc").unwrap();
    let mut description = description();
    description.models = vec![OriginFile::read(&model).unwrap()];
    let record = RunRecord::begin(folder.path(), description).unwrap();
    let read = || -> Value {
        let text = std::fs::read_to_string(folder.path().join("run.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let begun = read();
    assert_eq!(begun["status"], "running");
    assert_eq!(
        (&begun["ended"], &begun["summary"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(begun["config"]["dynamics"]["timestep"], "0.5 fs");
    // The test vector of FIPS 180-2 for "abc".
    assert_eq!(
        begun["model"]["sha256"],
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(begun["model"]["bytes"], 3);
    assert_eq!(begun["seeds"]["velocities"], 7);
    assert_eq!(begun["versions"]["mdrun"], env!("CARGO_PKG_VERSION"));
    let summary = Summary::new(&course(10), &energies(1, 0.0, 0.1));
    record
        .end(Status::Complete, &summary, &[("stepping", 1.5)])
        .unwrap();
    let ended = read();
    assert_eq!(ended["status"], "complete");
    assert_eq!(ended["started"], begun["started"]);
    assert!(ended["ended"].as_str().unwrap() >= begun["started"].as_str().unwrap());
    assert_eq!(ended["timings_s"]["stepping"], 1.5);
    assert!(ended["timings_s"]["total"].as_f64().unwrap() >= 0.0);
    assert_eq!(ended["summary"], summary.to_json());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_source_that_cannot_be_read_is_named() {
    let error = OriginFile::read(std::path::Path::new("missing.safetensors")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read missing.safetensors: ")
    );
}
