//! Runs with PLUMED that are killed and taken up again leave what an undisturbed run leaves, PLUMED's files included.

use std::fs;
use std::path::Path;

use super::{bench, kernel};
use crate::restart::kill::survives;
use crate::restart::runs::{Dynamics, Subject, newest, stderr};

/// A hill falls on none of the steps of checkpoints, 7 and so on, before the 77th.
const INPUT: &str = "spring 4 62 0.6 2000\nhills 1 9 11 2 0.05\nprint 2\n";

#[test]
fn runs_with_plumed_survive_kills() {
    let Some(kernel) = kernel() else {
        return;
    };
    for (dynamics, seed) in [
        (Dynamics::Nve, 51),
        (Dynamics::Langevin, 52),
        (Dynamics::Npt, 53),
    ] {
        let bench = bench(&kernel, INPUT, (Subject::Argon, dynamics, 70), "");
        survives(&bench, seed, 4);
        let whole = bench.at("whole");
        // The last state tells how far the files have come, and what is in them.
        let names: Vec<String> = newest(&whole)
            .foreign
            .into_iter()
            .map(|mark| mark.name)
            .collect();
        assert_eq!(names, ["COLVAR", "HILLS"]);
        for name in ["COLVAR", "HILLS"] {
            let right = fs::read(whole.join(name)).unwrap();
            assert!(right.len() > 100);
            assert!(
                right == fs::read(bench.at("run0").join(name)).unwrap(),
                "{name}"
            );
        }
    }
}

/// Lines of COLVAR and HILLS behind the checkpoint go, and what was there of them is not repeated.
#[test]
fn files_are_cut_back_to_the_checkpoint() {
    let Some(kernel) = kernel() else {
        return;
    };
    let bench = bench(&kernel, INPUT, (Subject::Argon, Dynamics::Langevin, 40), "");
    let (whole, parts) = (bench.at("whole"), bench.at("parts"));
    bench.complete(&whole, &["-q"]);
    bench.complete(&parts, &["-q", "--set", "dynamics.steps=24"]);
    for name in ["COLVAR", "HILLS"] {
        let mut text = fs::read_to_string(parts.join(name)).unwrap();
        text += "25 1.0 2.0\n26 torn";
        fs::write(parts.join(name), text).unwrap();
    }
    // A file of the user's own is none of PLUMED's.
    fs::write(parts.join("notes.txt"), "mine\n").unwrap();
    bench.complete(&parts, &["--resume"]);
    for name in ["COLVAR", "HILLS", "thermo.csv", "final.xyz"] {
        assert!(
            fs::read(whole.join(name)).unwrap() == fs::read(parts.join(name)).unwrap(),
            "{name}"
        );
    }
    assert_eq!(
        fs::read_to_string(parts.join("notes.txt")).unwrap(),
        "mine\n"
    );
    let told = fs::read_to_string(parts.join("TOLD")).unwrap();
    assert!(
        told.lines()
            .last()
            .unwrap()
            .starts_with("restart 1 steps 17 last 40"),
        "{told}"
    );
}

/// A file that is gone, or another one, is not gone on with.
#[test]
fn files_that_are_not_what_they_were_are_told() {
    let Some(kernel) = kernel() else {
        return;
    };
    type Deed = fn(&Path);
    let deeds: [(Deed, &str); 3] = [
        (|path| fs::remove_file(path).unwrap(), "is missing"),
        (|path| fs::write(path, "0").unwrap(), "fewer than the"),
        (
            |path| {
                let text = fs::read_to_string(path).unwrap();
                fs::write(path, text.replacen('0', "7", 1)).unwrap();
            },
            "was altered",
        ),
    ];
    for (deed, says) in deeds {
        let bench = bench(&kernel, INPUT, (Subject::Argon, Dynamics::Nve, 30), "");
        let run = bench.at("run");
        bench.complete(&run, &["-q", "--set", "dynamics.steps=14"]);
        let hills = fs::read(run.join("HILLS")).unwrap();
        deed(&run.join("COLVAR"));
        let output = bench.run(&run, &["--resume"]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("COLVAR") && told.contains(says), "{told}");
        assert!(hills == fs::read(run.join("HILLS")).unwrap());
    }
}

/// A minimisation, which PLUMED has no part in, and two stages with it, the second with another time step.
const STAGES: &str = r#"
[[stage]]
name = "relax"
[stage.dynamics]
ensemble = "minimize"
most_steps = 4

[[stage]]
name = "warm"
[stage.dynamics]
steps = 24

[[stage]]
name = "produce"
[stage.dynamics]
ensemble = "nve"
timestep = "2 fs"
steps = 27
"#;

/// PLUMED ends with a stage and begins with the next, as in a run that goes on: its files go through all of them.
#[test]
fn stages_with_plumed_survive_kills() {
    let Some(kernel) = kernel() else {
        return;
    };
    let what = (Subject::Argon, Dynamics::Langevin, 70);
    let bench = bench(&kernel, INPUT, what, STAGES);
    survives(&bench, 54, 4);
    let whole = bench.at("whole");
    let table = fs::read_to_string(whole.join("COLVAR")).unwrap();
    let steps: Vec<u64> = (table.lines())
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect();
    let (first, last) = (steps[0], steps[steps.len() - 1]);
    let wanted: Vec<u64> = (first..=last).step_by(2).collect();
    assert_eq!(steps, wanted);
    assert!(last - first >= 50, "{steps:?}");
    for name in ["COLVAR", "HILLS"] {
        let right = fs::read(whole.join(name)).unwrap();
        assert!(
            right == fs::read(bench.at("run0").join(name)).unwrap(),
            "{name}"
        );
    }
    let told = fs::read_to_string(whole.join("TOLD")).unwrap();
    let begun: Vec<&str> = told.lines().map(|line| &line[..10]).collect();
    assert_eq!(begun, ["restart 0 ", "restart 1 "], "{told}");
    let external = super::column(&whole, "external_energy_ev");
    assert!(external.contains(&0.0) && external.iter().any(|e| *e > 0.01));
}
