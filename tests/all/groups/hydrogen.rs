//! `[system] hydrogen_mass`: mass goes to hydrogen from what it is bonded to, and averages over positions stay what they are.

use std::fs;

use mdrun::config;
use mdrun::core::observe;

use crate::restart::runs::{Bench, Dynamics, Subject};
use crate::support::mdrun;

#[test]
fn the_total_mass_stays_and_the_start_has_no_momentum() {
    let bench = Bench::new(Subject::Ethanol, Dynamics::Nve, 40, "");
    let load = |more: &[String]| config::load(&bench.config, more, None).unwrap();
    let plain = load(&[]);
    let heavy = load(&["system.hydrogen_mass=\"3 u\"".to_owned()]);
    let (before, after) = (&plain.start.system, &heavy.start.system);
    assert!((before.total_mass() - after.total_mass()).abs() < 1e-12);
    for (i, (z, m)) in after.species.iter().zip(&after.masses).enumerate() {
        match z {
            1 => assert_eq!(*m, 3.0),
            _ => assert!(*m < before.masses[i] && *m > 3.0, "atom {i}: {m}"),
        }
    }
    assert_eq!(plain.start.positions, heavy.start.positions);
    assert!(
        heavy
            .notes
            .iter()
            .any(|note| note.contains("6 hydrogen atoms made heavier"))
    );
    let start = mdrun::assemble::start(&heavy);
    let momentum = observe::momentum(&start.system, &start.velocities).norm();
    assert!(momentum < 1e-12, "{momentum}");
}

/// A run of heavier hydrogen keeps its momentum and its energy, and a run that goes on from its last state has the same masses.
#[test]
fn a_run_and_the_one_behind_it_have_the_same_masses() {
    let more = "[device]\nkind = \"cpu\"\n";
    let bench = Bench::new(Subject::Ethanol, Dynamics::Nve, 40, more);
    let run = bench.at("run");
    let mass = "system.hydrogen_mass=\"3 u\"";
    bench.complete(&run, &["--set", mass]);
    let first = crate::restart::runs::newest(&run);
    let momentum = observe::momentum(&first.system, &first.velocities).norm();
    assert!(momentum < 1e-10, "{momentum}");
    let behind = bench.at("behind");
    let structure = format!("system.structure={:?}", run.display().to_string());
    let from = ["system.velocities=\"from the file\"", &structure, mass];
    let more: Vec<&str> = from.iter().flat_map(|key| ["--set", key]).collect();
    bench.complete(&behind, &more);
    assert_eq!(crate::restart::runs::newest(&behind).system, first.system);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let bench = Bench::new(Subject::Ethanol, Dynamics::Nve, 40, "");
    let pair = bench.at("pair.xyz");
    fs::write(&pair, "2\n\nH 0 0 0\nH 0 0 0.75\n").unwrap();
    let pair = format!("system.structure={:?}", pair.display().to_string());
    for (more, says) in [
        (vec!["system.hydrogen_mass=\"6 u\""], "would keep"),
        (vec!["system.hydrogen_mass=\"0.9 u\""], "not taken from it"),
        (vec!["system.hydrogen_mass=\"0 u\""], "is zero"),
        (
            vec!["system.hydrogen_mass=\"3 u\"", &pair],
            "hydrogen 0 is bonded to no other",
        ),
    ] {
        let config = bench.config.display().to_string();
        let mut args = vec!["check", &config];
        more.iter().for_each(|key| args.extend(["--set", key]));
        let output = mdrun(&args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains("system.hydrogen_mass") && error.contains(says),
            "{error}"
        );
    }
}
