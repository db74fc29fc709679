//! Groups in runs of several stages: what is held while a run minimises and heats is let go, and nothing is lost on the way.

use std::fs;
use std::path::Path;

use mdrun::core::Vec3;
use mdrun::report::Checkpoint;
use mdrun::report::checkpoint::store;

use crate::restart::runs::{Bench, newest, record, stderr};
use crate::restart::stages::{KILLS, assert_same, bench, forces_of, hashes, survives, table};
use crate::support::calculators::lennard_jones;

/// What runs of these stages share.
const COMMON: &str = r#"
[dynamics]
ensemble = "langevin"
temperature = "60 K"
friction = "5 1/ps"
seed = 3
timestep = "4 fs"
steps = 20

[output]
thermo_every = 1
checkpoint_every = "7 steps"

[[output.trajectory]]
format = "xyz"
every = 5

[device]
kind = "cpu"
threads = 1
"#;

/// A slab that does not move, an atom that is held, one that is pulled, and a wall.
const GROUPS: &str = r#"
[[group]]
name = "slab"
atoms = "index 0:63"
frozen = true

[[group]]
name = "held"
atoms = "index 100:109"
spring = { constant = "2 eV/A^2" }
[[group.wall]]
centre = ["11 A", "11 A", "11 A"]
radius = "12 A"
constant = "1 eV/A^2"

[[group]]
name = "pulled"
atoms = "index 200"
[group.spring]
to = "centre"
constant = "3 eV/A^2"
velocity = ["0 A/ps", "0 A/ps", "5 A/ps"]

[[group]]
name = "warm"
atoms = "index 150:160"
thermostat = { temperature = "200 K", friction = "9 1/ps" }
"#;

/// Minimised and heated with all of it, with the slab alone, and free.
const STAGES: &str = r#"
[[stage]]
name = "relax"
groups = ["slab", "held"]
[stage.dynamics]
ensemble = "minimize"
force = "3 meV/A"
most_steps = 60

[[stage]]
name = "heat"
[stage.dynamics]
temperature = ["10 K", "60 K"]

[[stage]]
name = "pull"
groups = ["pulled", "slab"]
[stage.dynamics]
timestep = "2 fs"

[[stage]]
name = "free"
groups = []
[stage.dynamics]
ensemble = "nve"
timestep = "2 fs"
remove_drift = 1
"#;

const FILES: [&str; 7] = [
    "thermo.csv",
    "traj.xyz",
    "final.xyz",
    "state.relax.ckpt",
    "state.heat.ckpt",
    "state.pull.ckpt",
    "state.ckpt",
];

fn bench_of(stages: &str) -> Bench {
    bench(&format!("{COMMON}{GROUPS}{stages}"))
}

/// A column of the thermo table.
fn column(run: &Path, name: &str) -> Vec<f64> {
    let (names, lines) = table(run);
    let place = names.iter().position(|known| known == name).unwrap();
    lines
        .iter()
        .map(|line| line[place].parse().unwrap())
        .collect()
}

fn end_of(run: &Path, stage: &str) -> Checkpoint {
    store::read(&run.join(format!("state.{stage}.ckpt"))).unwrap()
}

/// Where the pulled atom starts: the centre of a group of one.
fn place(run: &Path) -> Vec3 {
    let places = &record(run)["config"]["group"][2]["spring"]["to"];
    let number = |k: usize| {
        let text = places[k].as_str().unwrap();
        text.trim_end_matches(" A").parse::<f64>().unwrap()
    };
    Vec3::new(number(0), number(1), number(2))
}

#[test]
fn what_is_held_is_let_go_stage_by_stage() {
    let bench = bench_of(STAGES);
    let run = bench.at("run");
    bench.complete(&run, &[]);
    let ends = ["relax", "heat", "pull"].map(|stage| end_of(&run, stage));
    let last = newest(&run);
    let start: Vec<Vec3> = {
        let plan = mdrun::config::load_stage(&bench.config, &[], None, "free").unwrap();
        plan.start.positions
    };
    // Frozen to the bit while they are, and not from then on.
    for end in &ends {
        assert_eq!(end.positions[..64], start[..64]);
        assert!(end.velocities[..64].iter().all(|v| *v == Vec3::zeros()));
    }
    assert!((0..64).all(|i| last.positions[i] != start[i]));
    let freedom: Vec<u64> = (record(&run)["stages"].as_array().unwrap().iter())
        .map(|stage| stage["degrees_of_freedom"].as_u64().unwrap())
        .collect();
    assert_eq!(freedom[1..], [3 * 192, 3 * 192, 3 * 255]);
    // Energy less heat and work goes on from stage to stage: a step of argon changes it by less than this.
    const STEP: f64 = 2e-4;
    let conserved = column(&run, "conserved_energy_ev");
    let off = conserved.windows(2).map(|two| (two[1] - two[0]).abs());
    let worst = off.fold(0.0, f64::max);
    assert!(worst < STEP, "{worst}");
    let external = column(&run, "external_energy_ev");
    let (steps, count) = (column(&run, "step"), external.len());
    assert_eq!(steps.len() as f64, steps[count - 1] + 1.0);
    assert!(external[1] > 0.0 && external[count - 20..].iter().all(|e| *e == 0.0));
    // The clock of what moves is time in which it acts: none while the run is minimised, 20 steps of 4 fs and 20 of 2 fs.
    let pulled = &ends[2];
    let to = place(&run) + Vec3::new(0.0, 0.0, 5.0 * (20.0 * 4e-3 + 20.0 * 2e-3));
    let away = pulled.positions[200] - to;
    let energy = 0.5 * 3.0 * away.norm_squared();
    let told = external[pulled.step as usize];
    assert!((energy - told).abs() < 1e-9, "{energy} {told}");
    assert!(energy > 1e-3, "{energy}");
}

/// A run that goes through stages that are alike is the same run without any.
#[test]
fn two_stages_are_one_run_of_both() {
    let groups = "[dynamics]\nensemble = \"nve\"\n";
    let common = COMMON.replace(
        "[dynamics]\nensemble = \"langevin\"\ntemperature = \"60 K\"\nfriction = \"5 1/ps\"\nseed = 3\n",
        groups,
    );
    let held = GROUPS.split("[[group]]\nname = \"warm\"").next().unwrap();
    let whole = bench(&format!("{common}{held}"));
    let parts = bench(&format!(
        "{common}{held}[[stage]]\nname = \"a\"\n[stage.dynamics]\nsteps = 8\n[[stage]]\nname = \"b\"\n[stage.dynamics]\nsteps = 12\n"
    ));
    let [one, two] = [whole.at("run"), parts.at("run")];
    whole.complete(&one, &[]);
    parts.complete(&two, &[]);
    // A place that has moved is added up otherwise.
    const ROUNDING: f64 = 1e-9;
    for name in [
        "conserved_energy_ev",
        "external_energy_ev",
        "pulling_work_ev",
        "temperature_k",
    ] {
        let pairs = column(&one, name).into_iter().zip(column(&two, name));
        let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off < ROUNDING, "{name}: {off}");
    }
}

#[test]
fn stages_with_groups_survive_kills() {
    survives(&bench_of(STAGES), &FILES, 47, KILLS);
}

#[test]
fn a_run_with_groups_goes_on_from_a_stage() {
    let bench = bench_of(STAGES);
    let run = bench.at("run");
    bench.complete(&run, &[]);
    let right = hashes(&run, &FILES);
    for stage in ["heat", "pull", "free"] {
        bench.complete(&run, &["--from", stage]);
        assert_same(&run, &right, stage);
    }
    // A stage behind may hold others; what the stages before it held has to stay.
    bench.complete(
        &run,
        &[
            "--from",
            "free",
            "--set",
            "stage.free.groups=['held']",
            "--set",
            "stage.free.dynamics.remove_drift=0",
        ],
    );
    assert!(column(&run, "external_energy_ev").last().unwrap() > &0.0);
    let output = bench.run(
        &run,
        &["--from", "free", "--set", "stage.heat.groups=['slab']"],
    );
    let told = stderr(&output);
    assert!(output.status.code() == Some(2), "{told}");
}

/// No force is left on an atom that may move; what holds others is part of it.
#[test]
fn a_minimum_is_one_of_what_moves() {
    // Pushed onto the slab, which a perfect crystal does not press on.
    const PUSHED: &str = "[[group]]\nname = \"pushed\"\natoms = \"index 70\"\nforce = [\"0.001 eV/A\", \"0.002 eV/A\", \"-0.008 eV/A\"]\n";
    let stages = STAGES
        .replace("force = \"3 meV/A\"", "force = \"0.3 meV/A\"")
        .replace(
            "groups = [\"slab\", \"held\"]",
            "groups = [\"slab\", \"held\", \"pushed\"]",
        )
        .replace("name = \"heat\"", "name = \"heat\"\ngroups = [\"slab\"]");
    let bench = bench_of(&format!("{PUSHED}{stages}"));
    let run = bench.at("run");
    bench.complete(&run, &[]);
    let end = end_of(&run, "relax");
    let forces = forces_of(&mut lennard_jones(), &end);
    let start = mdrun::config::load_stage(&bench.config, &[], None, "free").unwrap();
    let start = start.start.positions;
    let mut largest: f64 = 0.0;
    for (i, force) in forces.iter().enumerate().skip(64) {
        let mut force = *force;
        if i == 70 {
            force += Vec3::new(0.001, 0.002, -0.008);
        }
        if (100..110).contains(&i) {
            force -= 2.0 * (end.positions[i] - start[i]);
            let out = end.positions[i] - Vec3::repeat(11.0);
            force -= out * (1.0 * (out.norm() - 12.0).max(0.0) / out.norm());
        }
        largest = largest.max(force.norm());
    }
    assert!(largest < 3.001e-4, "{largest}");
    let slab = forces[..64]
        .iter()
        .map(|force| force.norm())
        .fold(0.0, f64::max);
    assert!(slab > 6e-4, "the slab is no minimum: {slab}");
}

/// What cannot be is refused by name.
#[test]
fn what_does_not_go_with_a_stage_is_refused() {
    let npt = "temperature = [\"10 K\", \"60 K\"]\nensemble = \"npt\"\npressure = \"1 bar\"\nrelaxation = \"0.1 ps\"\n\
               barostat_relaxation = \"1 ps\"\ncompressibility = \"2e-4 1/bar\"\n";
    for (old, new, says) in [
        (
            "groups = []",
            "groups = [\"slap\"]",
            "stage.3.groups: there is no group \"slap\": there are slab, held, pulled, warm",
        ),
        (
            "groups = []",
            "groups = \"slab\"",
            "stage.3.groups: a list of names",
        ),
        (
            "groups = []",
            "",
            "or leave the group out of the stage, by its key groups",
        ),
        (
            "force = \"3 meV/A\"",
            "force = \"3 meV/A\"\ncell = \"isotropic\"",
            "the group \"slab\" does not follow a cell that changes",
        ),
        (
            "temperature = [\"10 K\", \"60 K\"]",
            npt,
            "does not follow a cell that a barostat strains",
        ),
    ] {
        let bench = bench_of(STAGES);
        let text = fs::read_to_string(&bench.config).unwrap();
        assert!(text.contains(old), "{old}");
        fs::write(&bench.config, text.replacen(old, new, 1)).unwrap();
        let run = bench.at("run");
        let told = stderr(&bench.run(&run, &[]));
        assert!(
            told.contains(says) && told.contains("run.toml:"),
            "{says}: {told}"
        );
        assert!(!run.exists());
    }
}
