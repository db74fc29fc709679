//! `[[group]]` in run files: what is meant, and what is refused by name.

use mdrun::assemble;
use mdrun::config;

use crate::restart::runs::{Bench, Dynamics, Subject};

/// A run file of argon with these groups.
fn bench(dynamics: Dynamics, groups: &str) -> Bench {
    Bench::new(Subject::Argon, dynamics, 40, groups)
}

/// What is said of groups that are refused.
fn refused(dynamics: Dynamics, groups: &str) -> String {
    let found = config::load(&bench(dynamics, groups).config, &[], None);
    found.err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn frozen_atoms_are_no_part_of_the_temperature() {
    let slab = "[[group]]\nname = \"slab\"\natoms = \"index 0:63\"\nfrozen = true\n";
    for dynamics in [Dynamics::Nve, Dynamics::Csvr] {
        let plan = config::load(&bench(dynamics, slab).config, &[], None).unwrap();
        assert_eq!(plan.groups[0].atoms, (0..64).collect::<Vec<_>>());
        assert_eq!(assemble::degrees_of_freedom(&plan), 3 * (256 - 64));
        let thermometer = assemble::thermometer(&plan);
        assert_eq!(
            (thermometer.held_mass, thermometer.flying_mass),
            (None, None)
        );
    }
}

/// Atoms are kept by their numbers, so that a run that goes on has the same.
#[test]
fn atoms_are_resolved_to_numbers() {
    let near = "[[group]]\nname = \"near\"\natoms = \"within 4.5 A of index 7\"\n";
    let plan = config::load(&bench(Dynamics::Nve, near).config, &[], None).unwrap();
    let kept = plan.resolved["group"][0]["atoms"].as_str().unwrap();
    let again = mdrun::selection::Selection::parse(kept).unwrap();
    let scene = mdrun::selection::SelectionScene {
        species: &plan.start.system.species,
        cell: &plan.start.cell,
        positions: &plan.start.positions,
    };
    // Those nearest in the lattice.
    assert_eq!(plan.groups[0].atoms.len(), 13);
    assert_eq!(again.atoms(&scene).unwrap(), plan.groups[0].atoms);
    assert!(kept.starts_with("index "), "{kept}");
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let group =
        |more: &str| format!("[[group]]\nname = \"slab\"\natoms = \"index 0:63\"\n{more}\n");
    let frozen = group("frozen = true");
    for (dynamics, text, says) in [
        (
            Dynamics::Npt,
            frozen.clone(),
            ["group.0.frozen", "barostat"],
        ),
        (
            Dynamics::Langevin,
            frozen.clone(),
            ["group.0.frozen", "remove_drift"],
        ),
        (
            Dynamics::Nve,
            frozen.replace("index 0:63", "all"),
            ["group.0.frozen", "nothing is left to move"],
        ),
        (
            Dynamics::Nve,
            group("frozen = 1"),
            ["group.0.frozen", "neither true nor false"],
        ),
        (
            Dynamics::Nve,
            group("").replace("slab", "a slab"),
            ["group.0.name", "letters, digits"],
        ),
        (
            Dynamics::Nve,
            group("").repeat(2),
            ["group.1.name", "already"],
        ),
        (
            Dynamics::Nve,
            group("").replace("index 0:63", "index 0:256"),
            [
                "group.0.atoms",
                "at character 7 (\"0:256\"): atoms are 0 to 255",
            ],
        ),
        (
            Dynamics::Nve,
            group("").replace("index 0:63", "indx 3"),
            ["group.0.atoms", "did you mean \"index\""],
        ),
        (
            Dynamics::Nve,
            group("frosen = true"),
            ["did you mean", "frozen"],
        ),
        (
            Dynamics::Nve,
            "[[group]]\nname = \"slab\"\n".to_owned(),
            ["group.0.atoms", "is missing"],
        ),
    ] {
        let error = refused(dynamics, &text);
        assert!(
            says.iter().all(|part| error.contains(part)),
            "{text}: {error}"
        );
    }
}

/// What is refused of springs, walls, forces and thermostats.
#[test]
fn what_acts_is_refused_by_name() {
    let group = |more: &str| {
        format!(
            "[[group]]\nname = \"a\"\natoms = \"index 0:3\"\n{more}\n[[group]]\nname = \"b\"\natoms = \"index 3:9\"\n"
        )
    };
    let spring = |more: &str| group(&format!("spring = {{ constant = \"1 eV/A^2\"{more} }}"));
    let wall = |more: &str| group(&format!("wall = [{{ {more} }}]"));
    for (dynamics, text, says) in [
        (Dynamics::Npt, spring(""), ["group.0.spring", "barostat"]),
        (
            Dynamics::Langevin,
            spring(""),
            ["group.0.spring", "remove_drift"],
        ),
        (
            Dynamics::Nve,
            group("spring = {}"),
            ["group.0.spring.constant", "1 eV/A^2"],
        ),
        (
            Dynamics::Nve,
            spring(", to = \"c\""),
            ["group.0.spring.to", "there is no group \"c\""],
        ),
        (
            Dynamics::Nve,
            spring(", to = \"b\""),
            ["group.0.spring.to", "share none"],
        ),
        (
            Dynamics::Nve,
            spring(", to = 3"),
            ["group.0.spring.to", "is wanted"],
        ),
        (
            Dynamics::Nve,
            spring(", length = \"3 A\""),
            ["group.0.spring.length", "another group"],
        ),
        (
            Dynamics::Nve,
            spring(", velocity = [\"1 A\", \"0 A\", \"0 A\"]"),
            ["group.0.spring.velocity", "a velocity is wanted"],
        ),
        (
            Dynamics::Nve,
            spring(", places = [[0.0, 0.0, 0.0]]"),
            ["group.0.spring.places", "4 places"],
        ),
        (
            Dynamics::Nve,
            group("frozen = true\nforce = [\"0 eV/A\", \"0 eV/A\", \"1 eV/A\"]"),
            ["group.0.frozen", "do not follow"],
        ),
        (
            Dynamics::Nve,
            group("force = [\"1 eV/A\"]"),
            ["group.0.force", "three forces"],
        ),
        (
            Dynamics::Nve,
            group("thermostat = { temperature = \"1 K\", friction = \"1 1/ps\" }"),
            ["group.0.thermostat", "\"langevin\" alone"],
        ),
        (
            Dynamics::Nve,
            wall(""),
            ["group.0.wall.0.constant", "is missing"],
        ),
        (
            Dynamics::Nve,
            wall("constant = \"1 eV/A^2\""),
            ["group.0.wall.0.normal", "give a plane"],
        ),
        (
            Dynamics::Nve,
            wall("constant = \"1 eV/A^2\", normal = [0, 0, 1], at = \"0 A\""),
            ["group.0.wall.0.normal", "periodic direction"],
        ),
        (
            Dynamics::Nve,
            wall(
                "kind = \"lj93\", epsilon = \"1 eV\", sigma = \"1 A\", centre = [\"50 A\", \"0 A\", \"0 A\"], radius = \"3 A\"",
            ),
            ["group.0.wall.0.radius", "behind the wall"],
        ),
        (
            Dynamics::Nve,
            wall(
                "kind = \"lj93\", constant = \"1 eV/A^2\", centre = [\"0 A\", \"0 A\", \"0 A\"], radius = \"99 A\"",
            ),
            ["group.0.wall.0.constant", "epsilon and sigma"],
        ),
    ] {
        let error = refused(dynamics, &text);
        assert!(
            says.iter().all(|part| error.contains(part)),
            "{text}: {error}"
        );
    }
}

/// On a card a run has frozen atoms alone; where the device is left open, the processor is used.
#[test]
fn what_acts_is_for_the_processor() {
    let spring =
        "[[group]]\nname = \"a\"\natoms = \"index 0\"\nspring = { constant = \"1 eV/A^2\" }\n";
    let bench = Bench::new(
        Subject::Ethanol,
        Dynamics::Nve,
        40,
        &format!("{spring}[device]\nkind = \"cuda:0\"\n"),
    );
    let mut plan = config::load(&bench.config, &[], None).unwrap();
    let model = assemble::load(&mut plan).unwrap();
    let error = assemble::engine(&plan, &model)
        .err()
        .map(|e| e.to_string())
        .unwrap();
    // Without a card there is none to run on, which is said first.
    let known = ["act on the processor alone", "CUDA", "cuda"];
    assert!(known.iter().any(|part| error.contains(part)), "{error}");
}

#[test]
fn validate_says_that_it_takes_none() {
    let bench = bench(
        Dynamics::Nve,
        "[[group]]\nname = \"a\"\natoms = \"index 0\"\nfrozen = true\n",
    );
    let config = bench.config.display().to_string();
    let output = crate::support::mdrun(&["validate", &config, "--quick"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("group.0.name") && error.contains("take the groups out"),
        "{error}"
    );
}
