//! The closing summary and `run.json`.

use std::time::Duration;

use mdrun::config::plan::{Action, MonitorPlan};
use mdrun::core::rng::{Noise, Stream};
use mdrun::core::{Cell, Vec3};
use mdrun::report::{
    Course, Description, DriftMonitor, Energies, EnergyRecord, Reporter, RunRecord, Source, Status,
    Summary,
};
use mdrun::units::{ANGSTROM_PER_FS, FEMTOSECOND, KELVIN, MEV_PER_PS};
use serde_json::Value;

use super::frames;

const ATOMS: usize = 12;

fn course(steps: u64) -> Course {
    Course {
        status: Status::Complete,
        steps,
        timestep: 0.5 * FEMTOSECOND,
        elapsed: Duration::from_secs(10),
        directory: "trajectories/run".into(),
        stopped_by: None,
        thermostat: false,
        resumed_from: Vec::new(),
    }
}

/// What is known after a run of so many picoseconds at 300 K whose energy drifts by `slope`
/// (meV/atom/ps) and fluctuates by `noise` (meV/atom).
fn energies(picoseconds: u64, slope: f64, noise: f64) -> Energies {
    let energies = Energies::new(EnergyRecord::new(ATOMS, 3 * ATOMS - 3));
    let plan = MonitorPlan {
        drift: None,
        temperature: None,
        force: None,
        contact: None,
        action: Action::Warn,
        audit: mdrun::config::plan::Audit::Off,
        record: false,
    };
    let mut monitor = DriftMonitor::new(energies.clone(), 1, &plan);
    for k in 0..100 * picoseconds {
        let random = Noise::new(1, 0).normal3(k, 0, Stream::Thermostat);
        let mut snapshot = frames::frame(0, 0, &Cell::open());
        snapshot.time = k as f64 * 10.0 * FEMTOSECOND;
        let degrees = (3 * ATOMS - 3) as f64;
        let o = &mut snapshot.observables;
        o.kinetic = 300.0 * KELVIN * (degrees / 2.0 + (degrees / 2.0).sqrt() * random.y);
        let per_atom = slope * MEV_PER_PS * snapshot.time + 1e-3 * noise * random.x;
        o.potential = ATOMS as f64 * per_atom - o.kinetic;
        o.heat = 0.0;
        o.momentum = Vec3::new(0.0, 3.0, 4.0) * ANGSTROM_PER_FS;
        monitor.report(&snapshot).unwrap();
    }
    energies
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

/// A sentence that a chemist understands, and whose judgement is right.
#[test]
fn the_verdict_fits_the_energies() {
    for (ps, slope, noise, conserved, says) in [
        // 300 K are 26 meV; 3 k for each atom: 0.258 meV warm it by 1 K.
        (
            10,
            0.0,
            0.2,
            Some(true),
            "energy is conserved: no drift is seen",
        ),
        (
            10,
            0.05,
            0.1,
            Some(true),
            "energy is conserved: the total energy drifts by +0.0",
        ),
        (10, 0.5, 0.2, Some(true), "well enough for this run"),
        (
            10,
            -0.5,
            0.2,
            Some(true),
            "enough to cool the system by 19 K in this run of 9.99 ps",
        ),
        (
            10,
            5.0,
            0.2,
            Some(false),
            "energy is not conserved: the total energy drifts by +5.0",
        ),
        (10, 0.0, 3.0, Some(false), "the time step is too long"),
        (0, 0.0, 0.2, None, "too short a run"),
    ] {
        let summary = Summary::new(&course(20_000), &energies(ps, slope, noise));
        let verdict = &summary.verdict;
        assert!(verdict.contains(says), "{slope} {noise}: {verdict}");
        assert_eq!(summary.energy_conserved, conserved, "{verdict}");
        assert!(summary.to_text().contains(verdict));
    }
    let mut warm = course(20_000);
    warm.thermostat = true;
    let summary = Summary::new(&warm, &energies(10, 5.0, 0.2));
    assert!(
        summary
            .verdict
            .contains("the total energy less the thermostat's heat drifts")
    );
}

fn description() -> Description {
    Description {
        config: "[dynamics]\ntimestep = \"0.5 fs\"\nsteps = 10\n"
            .parse()
            .unwrap(),
        config_file: "run.toml".into(),
        model: None,
        structure: None,
        formula: "C2H6O".to_owned(),
        atoms: 9,
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
    description.model = Some(Source::read(&model).unwrap());
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
    let error = Source::read(std::path::Path::new("missing.safetensors")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read missing.safetensors: ")
    );
}
