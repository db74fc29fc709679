//! `mdrun check`.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{json, mdrun, stderr, stdout, text};
use crate::support::root;

/// Tests of the model's physics that have a verdict.
const JUDGED: [&str; 3] = ["forces are slopes", "rotation", "cutoff is smooth"];

/// The finding of this name.
fn finding<'f>(found: &'f Value, what: &str) -> &'f Value {
    let findings = found["findings"].as_array().unwrap();
    let row = findings.iter().find(|f| f["what"] == what);
    row.unwrap_or_else(|| panic!("no {what} in {found}"))
}

/// Checks a run file with overrides: the exit code and the findings.
fn check(config: &str, overrides: &[&str]) -> (i32, Value) {
    let mut args = vec!["check", config, "--json"];
    for set in overrides {
        args.extend(["--set", set]);
    }
    let output = mdrun(&args);
    (output.status.code().unwrap(), json(&output))
}

/// A run file for a structure given as XYZ, at rest, with the shipped model.
fn at_rest(folder: &Path, name: &str, xyz: &str) -> String {
    let structure = folder.join(format!("{name}.xyz"));
    std::fs::write(&structure, xyz).unwrap();
    let config = folder.join(format!("{name}.toml"));
    let model = root().join("models/painn_hcno_gfn2.safetensors");
    let lines = format!(
        "[system]\nstructure = {structure:?}\nvelocities = \"zero\"\n[potential]\nmodel = {model:?}\n\
         [dynamics]\nensemble = \"nve\"\ntimestep = \"0.5 fs\"\nsteps = 10\n[output]\ndirectory = {:?}\n",
        folder.join("out")
    );
    std::fs::write(&config, lines).unwrap();
    text(&config).to_owned()
}

#[test]
fn shipped_run_files_pass() {
    for name in ["ethanol_nve", "water_langevin", "argon_nve"] {
        let (code, found) = check(&format!("configs/{name}.toml"), &[]);
        assert_eq!(code, 0, "{name}: {found}");
        assert_eq!(found["good"], true);
        for what in JUDGED
            .into_iter()
            .chain(["steps a vibration", "energy fluctuation"])
        {
            assert_eq!(finding(&found, what)["verdict"], "ok", "{name}: {found}");
        }
        for what in ["speed", "memory", "output", "closest contact"] {
            finding(&found, what);
        }
        if name != "ethanol_nve" {
            assert_eq!(
                finding(&found, "stress is a slope")["verdict"],
                "ok",
                "{name}"
            );
        }
    }
}

/// Molecules whose symmetry makes vector features vanish, where a network's energy bends within 1e-4 A.
#[test]
fn symmetric_molecules_pass() {
    let folder = TempDir::new().unwrap();
    let ring = |radius: f64, symbol: &str| -> String {
        let at = |k: u32| f64::from(k) * std::f64::consts::FRAC_PI_3;
        (0..6)
            .map(|k| {
                let (sin, cos) = at(k).sin_cos();
                format!("{symbol} {} {} 0\n", radius * cos, radius * sin)
            })
            .collect()
    };
    let benzene = format!("12\n\n{}{}", ring(1.39, "C"), ring(2.475, "H"));
    let diamond = "8\nLattice=\"3.567 0 0 0 3.567 0 0 0 3.567\" pbc=\"T T T\" Properties=species:S:1:pos:R:3\n\
                   C 0 0 0\nC 0 1.7835 1.7835\nC 1.7835 0 1.7835\nC 1.7835 1.7835 0\n\
                   C 0.89175 0.89175 0.89175\nC 0.89175 2.67525 2.67525\nC 2.67525 0.89175 2.67525\n\
                   C 2.67525 2.67525 0.89175\n";
    for (name, xyz) in [
        (
            "CH4",
            "5\n\nC 0 0 0\nH 0.629118 0.629118 0.629118\nH -0.629118 -0.629118 0.629118\n\
             H 0.629118 -0.629118 -0.629118\nH -0.629118 0.629118 -0.629118\n",
        ),
        (
            "H2O",
            "3\n\nO 0 0 0.119262\nH 0 0.763239 -0.477047\nH 0 -0.763239 -0.477047\n",
        ),
        (
            "NH3",
            "4\n\nN 0 0 0.116489\nH 0 0.939731 -0.271808\nH 0.813831 -0.469865 -0.271808\n\
             H -0.813831 -0.469865 -0.271808\n",
        ),
        ("CO2", "3\n\nC 0 0 0\nO 0 0 1.178658\nO 0 0 -1.178658\n"),
        (
            "C2H2",
            "4\n\nC 0 0 0.60808\nC 0 0 -0.60808\nH 0 0 1.67399\nH 0 0 -1.67399\n",
        ),
        ("C6H6", &benzene),
        ("diamond", diamond),
    ] {
        let (code, found) = check(&at_rest(folder.path(), name, xyz), &[]);
        let row = finding(&found, "forces are slopes");
        println!("{name}: {}", row["found"]);
        assert_eq!(row["verdict"], "ok", "{name}: {row}");
        // The shipped model is none for diamond: its crystal flies apart, which the time step's trial tells.
        assert!(code == 0 || name == "diamond", "{name}: {found}");
        let (value, limit) = (
            row["value"].as_f64().unwrap(),
            row["limit"].as_f64().unwrap(),
        );
        // The energy of diamond is rounded to 1e-13 eV, over steps of 1e-6 A.
        assert!(value <= 100.0 * limit && row["unit"] == "eV/A", "{row}");
    }
}

/// Ethanol's O-H vibrates within 9 fs: 18 steps of 0.5 fs, 9 of 1 fs, 4.5 of 2 fs, 1.8 of 5 fs.
#[test]
fn the_time_step_is_tried() {
    for (timestep, verdict, code) in [
        ("0.5 fs", "ok", 0),
        ("1 fs", "look", 0),
        ("2 fs", "bad", 2),
        ("5 fs", "bad", 2),
    ] {
        let set = format!("dynamics.timestep={timestep:?}");
        let (exit, found) = check("configs/ethanol_nve.toml", &[&set]);
        let steps = finding(&found, "steps a vibration");
        assert_eq!(
            (steps["verdict"].as_str().unwrap(), exit),
            (verdict, code),
            "{found}"
        );
        let femtoseconds: f64 = timestep.trim_end_matches(" fs").parse().unwrap();
        let period = steps["value"].as_f64().unwrap() * femtoseconds;
        assert!((8.5..10.0).contains(&period), "{steps}");
        let fluctuation = finding(&found, "energy fluctuation");
        match timestep {
            "0.5 fs" | "1 fs" => assert_eq!(fluctuation["verdict"], "ok", "{fluctuation}"),
            "2 fs" => assert_eq!(fluctuation["verdict"], "look", "{fluctuation}"),
            _ => assert_eq!(fluctuation["verdict"], "bad", "{fluctuation}"),
        }
    }
}

/// What would end the run in its first state is bad.
#[test]
fn a_start_beyond_a_limit_is_bad() {
    for (set, what) in [
        ("monitor.force=\"0.1 eV/A\"", "largest force"),
        ("monitor.contact=\"1.2 A\"", "closest contact"),
        ("monitor.temperature=\"250 K\"", "starting temperature"),
    ] {
        let (code, found) = check("configs/ethanol_nve.toml", &[set]);
        let row = finding(&found, what);
        assert_eq!(
            (row["verdict"].as_str().unwrap(), code),
            ("bad", 2),
            "{found}"
        );
        assert!(
            row["found"].as_str().unwrap().contains("[monitor]"),
            "{row}"
        );
        assert!(row["limit"].is_number(), "{row}");
    }
}

/// Findings have numbers for scripts, and speeds digits that mean something.
#[test]
fn findings_have_numbers() {
    let (_, found) = check("configs/argon_nve.toml", &[]);
    for row in found["findings"].as_array().unwrap() {
        let keys: Vec<&str> = row
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        for key in ["key", "what", "value", "unit", "limit", "verdict", "found"] {
            assert!(keys.contains(&key), "{row}");
        }
        let key = row["key"].as_str().unwrap();
        assert!(
            key.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
            "{key}"
        );
        if row["limit"].is_number() && row["verdict"] != "" {
            assert!(row["value"].is_number(), "{row}");
        }
    }
    assert_eq!(finding(&found, "atoms")["value"], 256.0);
    assert!(finding(&found, "speed")["value"].as_f64().unwrap() > 0.0);
    // Two atoms that never meet: a step takes no time, and no speed is made up for it.
    let folder = TempDir::new().unwrap();
    let config = at_rest(folder.path(), "two", "2\n\nAr 0 0 0\nAr 0 0 50\n");
    let lines = std::fs::read_to_string(&config).unwrap();
    let (before, after) = lines.split_once("[potential]").unwrap();
    let (_, after) = after.split_once("[dynamics]").unwrap();
    let lj = "[potential.lennard_jones]\nepsilon = \"0.01 eV\"\nsigma = \"3.4 A\"\ncutoff = \"8 A\"\n[dynamics]";
    std::fs::write(&config, format!("{before}{lj}{after}")).unwrap();
    let output = mdrun(&["check", &config]);
    let printed = stdout(&output);
    assert!(output.status.success(), "{printed}{}", stderr(&output));
    for nonsense in ["0.000 ms", "ns/day", "NaN", "inf"] {
        assert!(!printed.contains(nonsense), "{printed}");
    }
    assert!(printed.contains("too small a system to tell"), "{printed}");
}

#[test]
fn overrides_are_checked_too() {
    let output = mdrun(&[
        "check",
        "configs/ethanol_nve.toml",
        "--set",
        "dynamics.timestep=\"0.5\"",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--set"), "{}", stderr(&output));
}

/// What the run's numbers change, each with a number of the right size: nothing in f64, a little in f32.
#[test]
fn what_the_precision_changes_is_told() {
    /// A f32 network of this size is off by about 1e-5 eV and 1e-5 eV / angstrom per molecule.
    const SINGLE: f64 = 1e-3;
    for (precision, least, most) in [("f64", 0.0, 1e-9), ("f32", 1e-9, SINGLE)] {
        let set = format!("potential.precision={precision:?}");
        let (code, found) = check("configs/ethanol_nve.toml", &[&set]);
        assert_eq!(code, 0, "{found}");
        let value = |what: &str| finding(&found, what)["value"].as_f64().unwrap().abs();
        let (rms, worst) = (value("forces against f64"), value("run against f64"));
        assert!((least..most).contains(&rms), "{found}");
        assert!(
            rms <= worst && worst <= 3.0 * rms * 3.0,
            "nine atoms: {found}"
        );
        let energy = finding(&found, "energy against f64");
        assert!(energy["found"].as_str().unwrap().starts_with(precision));
        // In meV.
        assert!(value("energy against f64") <= 1e3 * most, "{found}");
        let drift = finding(&found, "energy drift");
        assert_eq!(drift["unit"], "meV/atom/ps");
        let text = drift["found"].as_str().unwrap();
        assert!(
            text.contains(&format!("over 1.00 ps at constant energy in {precision}")),
            "{text}"
        );
    }
    let (code, found) = check(
        "configs/ethanol_nve.toml",
        &["monitor.precision=\"1e-6 meV/A\""],
    );
    assert_eq!(code, 0, "it is only to be looked at: {found}");
    let row = finding(&found, "run against f64");
    assert_eq!(
        (&row["verdict"], &row["limit"]),
        (&"look".into(), &1e-9.into())
    );
    // A drift that no force explains is not to be had here, but a limit that none meets is.
    let (code, found) = check(
        "configs/ethanol_nve.toml",
        &["monitor.drift=\"1000 meV/atom/ps\""],
    );
    assert_eq!(code, 0);
    assert_eq!(finding(&found, "energy drift")["limit"], 1000.0);
}
