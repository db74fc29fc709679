//! `mdrun minimize` as a user runs it.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::mdrun;

const ETHANOL: &str = "configs/structures/ethanol.xyz";

fn minimize(structure: &str, more: &[&str]) -> Output {
    mdrun(
        &[
            &["minimize", "--structure", structure, "--device", "cpu"],
            more,
        ]
        .concat(),
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"))
}

/// What `mdrun energy` says of the last structure that was written.
fn energy(path: &Path) -> Value {
    let path = path.to_str().unwrap();
    json(&mdrun(&[
        "energy",
        "--structure",
        path,
        "--device",
        "cpu",
        "--json",
    ]))
}

#[test]
fn a_molecule_comes_to_rest_and_the_file_is_what_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("minimum.xyz");
    let path = out.to_str().unwrap();
    let shown = minimize(ETHANOL, &["--out", path, "--force", "1e-5 eV/A"]);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let summary = text(&shown.stdout);
    for part in [
        "verdict        converged, after",
        "largest force",
        "written",
        "open boundaries",
    ] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    let written = fs::read_to_string(&out).unwrap();
    assert!(written.contains("status=converged"), "{written}");
    // What stands there is a minimum to the last bit of what was told.
    let again = energy(&out);
    let told = json(&minimize(ETHANOL, &["--json", "--force", "1e-5 eV/A"]));
    assert_eq!(told["energy_ev"], again["energy_ev"]);
    assert_eq!(told["positions_angstrom"], again["positions_angstrom"]);
    assert_eq!(told["converged"], true);
    let forces = again["forces_ev_per_angstrom"].as_array().unwrap();
    let squares = |f: &Value| (0..3).map(|a| f[a].as_f64().unwrap().powi(2)).sum::<f64>();
    let largest = forces.iter().map(squares).fold(0.0, f64::max).sqrt();
    assert!(largest <= 1e-5, "{largest}");
    assert!((largest - told["largest_force_ev_per_angstrom"].as_f64().unwrap()).abs() < 1e-12);
    // A minimum is its own minimum.
    let rest = json(&minimize(path, &["--json", "--force", "1.1e-5 eV/A"]));
    assert_eq!(
        (&rest["steps"], &rest["evaluations"]),
        (&0.into(), &1.into())
    );
    // Nothing is written over without a word.
    let refused = minimize(ETHANOL, &["--out", path]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--overwrite replaces it"));
    assert_eq!(fs::read_to_string(&out).unwrap(), written);
    assert!(
        minimize(ETHANOL, &["--out", path, "--overwrite"])
            .status
            .success()
    );
    assert_ne!(fs::read_to_string(&out).unwrap(), written);
}

#[test]
fn too_few_steps_are_told_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("short.xyz");
    let path = out.to_str().unwrap();
    let shown = minimize(ETHANOL, &["--out", path, "--most-steps", "3"]);
    assert_eq!(shown.status.code(), Some(3), "{}", text(&shown.stderr));
    let summary = text(&shown.stdout);
    assert!(
        summary.contains("not converged: all steps are taken"),
        "{summary}"
    );
    assert!(
        fs::read_to_string(&out)
            .unwrap()
            .contains("status=most_steps")
    );
    let rough = minimize(
        ETHANOL,
        &["--json", "--precision", "f32", "--force", "1e-9 eV/A"],
    );
    assert_eq!(rough.status.code(), Some(3));
    assert_eq!(json(&rough)["end"], "numbers_end");
}

#[test]
fn a_cell_follows_the_pressure_that_is_asked_for() {
    /// Half of what is asked for each diagonal component of the stress (eV / angstrom^3): 100 bar.
    const STRESS: f64 = 6.3e-5;
    /// A gigapascal (eV / angstrom^3).
    const GIGAPASCAL: f64 = 1.0 / 160.217_663_4;
    let folder = tempfile::tempdir().unwrap();
    let crystal = folder.path().join("crystal.xyz");
    // Two molecules of carbon dioxide in a cell that leans.
    fs::write(
        &crystal,
        "6\nLattice=\"4.2 0 0 0.5 4.4 0 0 0.3 5.6\" Properties=species:S:1:pos:R:3 pbc=\"T T T\"\n\
         C 0 0 0\nO 0.7 0.7 0.6\nO -0.7 -0.7 -0.6\nC 2.3 2.3 2.8\nO 1.6 3.0 3.4\nO 3.0 1.6 2.2\n",
    )
    .unwrap();
    let volumes = ["0 GPa", "4 GPa"].map(|pressure| {
        let options = [
            "--json",
            "--cell",
            "full",
            "--stress",
            "100 bar",
            "--pressure",
            pressure,
        ];
        let output = minimize(crystal.to_str().unwrap(), &options);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let found = json(&output);
        let wanted = pressure[..1].parse::<f64>().unwrap() * GIGAPASCAL;
        for (a, b) in [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)] {
            let stress = found["stress_ev_per_angstrom3"][a][b].as_f64().unwrap();
            let beyond = stress + if a == b { wanted } else { 0.0 };
            assert!(beyond.abs() < STRESS, "{a}{b}: {beyond}");
        }
        let cell = &found["cell_angstrom"];
        let at = |a: usize, b: usize| cell[a][b].as_f64().unwrap();
        let volume = nalgebra::Matrix3::from_fn(at).determinant();
        let enthalpy = found["energy_ev"].as_f64().unwrap() + wanted * volume;
        assert!((found["enthalpy_ev"].as_f64().unwrap() - enthalpy).abs() < 1e-9);
        volume
    });
    assert!(volumes[1] < 0.98 * volumes[0], "{volumes:?}");
}

#[test]
fn each_frame_goes_to_its_own_end() {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames.xyz");
    let read = |name: &str| fs::read_to_string(format!("configs/structures/{name}.xyz")).unwrap();
    let broken = "2\n\nH 0 0 0\nH 0 0 0.01\n";
    let all = [&read("ethanol"), broken, &read("benzene")].concat();
    fs::write(&frames, all).unwrap();
    let out = folder.path().join("out.xyz");
    let options = ["--frame", "all", "--json", "--out", out.to_str().unwrap()];
    let output = minimize(frames.to_str().unwrap(), &options);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("frame 1: atoms 0 (H) and 1 (H)"), "{told}");
    assert!(told.contains("3 frames: 2 converged, 1 at fault"), "{told}");
    let lines = text(&output.stdout);
    let lines: Vec<Value> = (lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap()))
    .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        text(&fs::read(&out).unwrap())
            .matches("status=converged")
            .count(),
        2
    );
    for (line, (number, name)) in lines.iter().zip([(0, "ethanol"), (2, "benzene")]) {
        assert_eq!(line["frame"], number);
        let alone = json(&minimize(
            &format!("configs/structures/{name}.xyz"),
            &["--json"],
        ));
        // One alone is found with a list of pairs that is kept, whose order of sums is the same.
        assert_eq!(line["energy_ev"], alone["energy_ev"]);
        assert_eq!(line["positions_angstrom"], alone["positions_angstrom"]);
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let water = "configs/structures/water64.xyz";
    for (structure, options, says) in [
        (
            ETHANOL,
            &["--out", "x.xyz", "--cell", "full"][..],
            "periodic in all directions",
        ),
        (ETHANOL, &["--out", "x.pdb"], "extended XYZ is written"),
        (
            ETHANOL,
            &["--out", ETHANOL, "--overwrite"],
            "a file that is read",
        ),
        (
            ETHANOL,
            &["--out", "x.xyz", "--pressure", "1 bar"],
            "--cell",
        ),
        (
            ETHANOL,
            &["--out", "x.xyz", "--force", "1e-3"],
            "needs a unit",
        ),
        (
            ETHANOL,
            &["--out", "x.xyz", "--force", "0 eV/A"],
            "larger than zero",
        ),
        (ETHANOL, &["--out", "x.xyz", "--method", "cg"], "lbfgs"),
        (ETHANOL, &[], "--out"),
        (water, &["--out", "x.xyz", "--cell", "cubic"], "isotropic"),
    ] {
        let output = minimize(structure, options);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {told}");
        assert!(told.contains(says), "{options:?}: {told}");
    }
    let skewed = tempfile::tempdir().unwrap();
    let path = skewed.path().join("skewed.xyz");
    fs::write(
        &path,
        "1\nLattice=\"6 0 0 2 6 0 0 0 6\" pbc=\"T T T\"\nO 0 0 0\n",
    )
    .unwrap();
    let options = ["--json", "--cell", "anisotropic"];
    let output = minimize(path.to_str().unwrap(), &options);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("edges at right angles"),
        "{}",
        text(&output.stderr)
    );
}

/// Interrupted, it writes the lowest arrangement so far, and ends with the signal's code.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_leaves_what_was_found() {
    use rustix::process::{Pid, Signal, kill_process};
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.xyz");
    let mut child = Command::new(env!("CARGO_BIN_EXE_mdrun"))
        .args([
            "minimize",
            "--structure",
            "configs/structures/water64.xyz",
            "--device",
            "cpu",
        ])
        .args(["--force", "1e-7 eV/A", "--out", out.to_str().unwrap()])
        .current_dir(crate::support::root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Signals are watched for once the model is read, which the thread of this name tells.
    let watched = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", child.id()));
        tasks.into_iter().flatten().flatten().any(|task| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "signals")
        })
    };
    while !watched() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(128 + Signal::TERM.as_raw()));
    assert!(
        fs::read_to_string(&out)
            .unwrap()
            .contains("status=interrupted")
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
