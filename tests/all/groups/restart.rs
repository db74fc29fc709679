//! Runs with groups that are killed and taken up again leave what an undisturbed run leaves.

use std::fs;

use crate::restart::kill::survives;
use crate::restart::runs::{Bench, Dynamics, Subject, assert_same, hashes, stderr};

/// One thread, and the groups.
fn bench(subject: Subject, dynamics: Dynamics, steps: u64, groups: &str) -> Bench {
    let more = format!("[device]\nkind = \"cpu\"\nthreads = 1\n{groups}");
    let bench = Bench::new(subject, dynamics, steps, &more);
    let text = fs::read_to_string(&bench.config).unwrap();
    fs::write(&bench.config, text.replace("remove_drift = 10", "")).unwrap();
    bench
}

const FROZEN: &str =
    "[[group]]\nname = \"slab\"\natoms = \"within 6 A of index 7\"\nfrozen = true\n";

#[test]
fn frozen_atoms_survive_kills() {
    for (dynamics, seed) in [(Dynamics::Langevin, 21), (Dynamics::Csvr, 22)] {
        survives(&bench(Subject::Argon, dynamics, 70, FROZEN), seed, 4);
    }
}

/// Springs of each kind, two of which move, a wall and a force.
const PULLED: &str = r#"
[[group]]
name = "probe"
atoms = "index 7"
[group.spring]
to = "centre"
constant = "2 eV/A^2"
velocity = ["0 A/ps", "0 A/ps", "2 A/ps"]

[[group]]
name = "held"
atoms = "within 5 A of index 100"
[group.spring]
constant = "0.5 eV/A^2"

[[group]]
name = "pair"
atoms = "index 30,31"
[group.spring]
to = "probe"
constant = "0.1 eV/A^2"
speed = "1 A/ps"

[[group]]
name = "pushed"
atoms = "index 200:210"
force = ["0 eV/A", "0.01 eV/A", "0 eV/A"]
[[group.wall]]
centre = ["11 A", "11 A", "11 A"]
radius = "12 A"
constant = "1 eV/A^2"
"#;

/// A bath of its own, and none.
const BATHS: &str = r#"
[[group]]
name = "hot"
atoms = "index 0:19"
[group.thermostat]
temperature = "400 K"
friction = "2 1/ps"

[[group]]
name = "free"
atoms = "index 50:99"
[group.thermostat]
temperature = "0 K"
friction = "0 1/ps"
"#;

#[test]
fn springs_and_baths_survive_kills() {
    let both = format!("{PULLED}{BATHS}");
    for (dynamics, groups, seed) in [
        (Dynamics::Nve, PULLED, 23),
        (Dynamics::Langevin, both.as_str(), 24),
        (Dynamics::Csvr, PULLED, 25),
        (Dynamics::NoseHoover, PULLED, 26),
    ] {
        let bench = bench(Subject::Argon, dynamics, 70, groups);
        survives(&bench, seed, 4);
        let table = fs::read_to_string(bench.at("whole/thermo.csv")).unwrap();
        let columns: Vec<&str> = table.lines().next().unwrap().split(',').collect();
        let place = columns
            .iter()
            .position(|name| *name == "pulling_work_ev")
            .unwrap();
        assert_eq!(columns[place - 1], "external_energy_ev");
        let last: Vec<&str> = table.lines().last().unwrap().split(',').collect();
        let number = |k: usize| last[k].parse::<f64>().unwrap();
        assert!(number(place) != 0.0 && number(place - 1) != 0.0);
    }
}

/// Other commands take a run with groups as it is.
#[test]
fn commands_take_a_run_with_groups() {
    let both = format!("{PULLED}{BATHS}");
    let bench = bench(Subject::Argon, Dynamics::Langevin, 70, &both);
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    let (config, run) = (
        bench.config.display().to_string(),
        run.display().to_string(),
    );
    for args in [
        &["check", &config][..],
        &["report", &run],
        &["analyze", &run, "--what", "thermo"],
        &["diagnose", &run],
    ] {
        let output = crate::support::mdrun(args);
        // A verdict is no failure of the command.
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 3 | 4)),
            "{args:?}: {}",
            stderr(&output)
        );
    }
    let page = fs::read_to_string(bench.at("run/report.html")).unwrap();
    assert!(page.contains("Work of moving springs"));
}

/// Without the structure, which the groups were looked up in, and in which they would not be found any more.
#[test]
fn groups_are_known_without_the_structure() {
    let all = format!("{PULLED}{BATHS}{FROZEN}")
        .replace("within 6 A of index 7", "within 4 A of index 150");
    let bench = bench(Subject::Argon, Dynamics::Langevin, 60, &all);
    let here = bench.at("argon.xyz");
    fs::copy(
        crate::support::root().join("configs/structures/argon256.xyz"),
        &here,
    )
    .unwrap();
    let structure = format!("system.structure={:?}", here.display().to_string());
    let (whole, parts) = (bench.at("whole"), bench.at("parts"));
    bench.complete(&whole, &["-q", "--set", &structure]);
    bench.complete(&parts, &["--set", &structure, "--set", "dynamics.steps=30"]);
    fs::remove_file(&here).unwrap();
    let run = parts.display().to_string();
    let output = crate::support::mdrun(&["resume", &run, "--set", "dynamics.steps=60"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_same(&parts, &hashes(&whole), &stderr(&output));
}
