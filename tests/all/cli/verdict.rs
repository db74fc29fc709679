//! What a run says of itself, as a user runs it: temperatures, motion of the whole, verdicts.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{json, mdrun, stderr, stdout, text};

/// A run of Lennard-Jones atoms from an XYZ file.
fn run_file(folder: &Path, xyz: &str, rest: &str) -> String {
    let structure = folder.join("atoms.xyz");
    fs::write(&structure, xyz).unwrap();
    let config = folder.join("run.toml");
    let lines = format!(
        "[system]\nstructure = {structure:?}\n{rest}\n[output]\ndirectory = {:?}\nthermo_every = 10\n",
        folder.join("out")
    );
    fs::write(&config, lines).unwrap();
    text(&config).to_owned()
}

/// Three argon atoms that never meet, in a bath of 300 K, their centre of mass stopped each ps: 300 K, where all of the
/// kinetic energy over 3 N - 3 degrees of freedom would be 440 K.
#[test]
fn the_temperature_with_remove_drift_is_the_baths() {
    let folder = TempDir::new().unwrap();
    let config = run_file(
        folder.path(),
        "3\nLattice=\"40 0 0 0 40 0 0 0 40\" pbc=\"T T T\"\nAr 0 0 0\nAr 20 0 0\nAr 0 20 0\n",
        "velocities = { temperature = \"300 K\", seed = 1 }\n[potential.lennard_jones]\nepsilon = \"1e-9 eV\"\n\
         sigma = \"1 A\"\ncutoff = \"3 A\"\n[dynamics]\nensemble = \"langevin\"\ntemperature = \"300 K\"\n\
         friction = \"10 1/ps\"\nseed = 5\ntimestep = \"2 fs\"\nduration = \"400 ps\"\nremove_drift = \"1 ps\"",
    );
    let output = mdrun(&[&config, "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let summary = json(&output);
    let number = |key: &str| summary[key].as_f64().unwrap();
    let (mean, error) = (
        number("mean_temperature_k"),
        number("mean_temperature_stderr_k"),
    );
    println!("{mean} +- {error} K");
    // The variance of 6 thermal degrees of freedom, 200 independent times of 1 / (2 friction) 8000 in all: 2 to 4 K.
    assert!(error < 6.0, "{error}");
    assert!((mean - 300.0).abs() < 3.0 * error, "{mean} +- {error}");
    // The table tells the same temperature.
    let table = fs::read_to_string(folder.path().join("out/thermo.csv")).unwrap();
    let mut lines = table.lines();
    let column = lines
        .next()
        .unwrap()
        .split(',')
        .position(|c| c == "temperature_k")
        .unwrap();
    let values: Vec<f64> = lines
        .map(|l| l.split(',').nth(column).unwrap().parse().unwrap())
        .collect();
    let tabled = values.iter().sum::<f64>() / values.len() as f64;
    assert!((tabled - mean).abs() < 3.0 * error, "{tabled} {mean}");
}

/// 32 argon atoms at rest among themselves but for a few kelvin, the box flying at 500 m/s.
#[test]
fn a_flying_box_is_named() {
    let folder = TempDir::new().unwrap();
    let mut xyz = String::from(
        "32\nLattice=\"10.6 0 0 0 10.6 0 0 0 10.6\" pbc=\"T T T\" Properties=species:S:1:pos:R:3:velo:R:3\n",
    );
    let basis = [
        [0.0, 0.0, 0.0],
        [0.0, 2.65, 2.65],
        [2.65, 0.0, 2.65],
        [2.65, 2.65, 0.0],
    ];
    for k in 0..8_u32 {
        let corner = [k % 2, k / 2 % 2, k / 4].map(|c| 5.3 * f64::from(c));
        for (n, b) in basis.iter().enumerate() {
            // 50 m/s up and down, alternately.
            let own = if (n as u32 + k).is_multiple_of(2) {
                5e-4
            } else {
                -5e-4
            };
            xyz += &format!(
                "Ar {} {} {} 0.005 {own} 0\n",
                corner[0] + b[0],
                corner[1] + b[1],
                corner[2] + b[2]
            );
        }
    }
    let lj = "velocities = \"from the file\"\n[potential.lennard_jones]\nepsilon = \"0.0103408 eV\"\n\
              sigma = \"3.405 A\"\ncutoff = \"8 A\"\n[dynamics]\nensemble = \"nve\"\ntimestep = \"4 fs\"\nsteps = 400";
    let config = run_file(folder.path(), &xyz, lj);
    let output = mdrun(&[&config]);
    let (printed, said) = (stdout(&output), stderr(&output));
    assert!(output.status.success(), "{printed}{said}");
    assert!(
        said.contains(
            "note: 99.0 % of the kinetic energy is motion of the system as a whole (500 m/s)"
        ),
        "{said}"
    );
    assert!(
        printed.contains("motion of the system as a whole (500 m/s)"),
        "{printed}"
    );
    let output = mdrun(&[&config, "--force", "--json"]);
    let summary = json(&output);
    let number = |key: &str| summary[key].as_f64().unwrap();
    // 39.95 u x (500 m/s)^2 / (3 k) = 400 K are flight.
    let flight = number("mean_temperature_k") * number("whole_motion_fraction");
    assert!((flight - 400.4).abs() < 1.0, "{flight}");
    assert!(
        number("mean_temperature_without_whole_motion_k") < 10.0,
        "{summary}"
    );
    assert!((number("whole_motion_speed_a_per_fs") - 0.005).abs() < 1e-6);
    let flying = number("mean_pressure_bar");
    // What is taken out is no motion of the whole.
    let output = mdrun(&[
        &config,
        "--force",
        "--json",
        "--set",
        "dynamics.remove_drift=1",
    ]);
    let summary = json(&output);
    assert!(summary["whole_motion_fraction"].is_null(), "{summary}");
    // The flight presses on nothing: with it, 32 k x 400 K over the volume, 1500 bar, would come on top.
    let resting = summary["mean_pressure_bar"].as_f64().unwrap();
    assert!((flying - resting).abs() < 1.0, "{flying} {resting} bar");
    assert!(
        summary["mean_temperature_k"].as_f64().unwrap() < 10.0,
        "{summary}"
    );
}
