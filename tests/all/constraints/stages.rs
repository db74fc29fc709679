//! Minimised, heated, settled and left alone by one command: a minimisation moves all atoms freely, and what follows it is brought
//! onto the constraints.

use std::fs;
use std::path::Path;

use mdrun::config;
use mdrun::dynamics::Constraints;

use crate::restart::kill::survives;
use crate::restart::runs::{Bench, Dynamics, Subject, newest};
use crate::support::root;

const STAGES: &str = r#"
[constraints]
bonds = "hydrogen"

[dynamics]
ensemble = "nve"
timestep = "1 fs"

[output]
thermo_every = 1
checkpoint_every = "7 steps"

[[output.trajectory]]
format = "xyz"
every = 3
fields = ["velocities", "forces"]

[[output.trajectory]]
format = "dcd"
every = 5

[[output.trajectory]]
format = "xtc"
every = 4

[device]
kind = "cpu"
threads = 1

[[stage]]
name = "relax"
[stage.dynamics]
ensemble = "minimize"
force = "0.1 eV/A"
most_steps = 40

[[stage]]
name = "heat"
[stage.dynamics]
ensemble = "langevin"
temperature = ["50 K", "200 K"]
friction = "5 1/ps"
seed = 3
remove_drift = 1
steps = 21

[[stage]]
name = "settle"
[stage.dynamics]
ensemble = "csvr"
temperature = "200 K"
relaxation = "0.1 ps"
seed = 4
steps = 21

[[stage]]
name = "again"
velocities = { temperature = "150 K", seed = 5 }
[stage.dynamics]
steps = 21
"#;

fn bench() -> Bench {
    let bench = Bench::new(Subject::Ethanol, Dynamics::Nve, 1, "");
    let structure = root().join("configs/structures/ethanol.xyz");
    let system = format!(
        "[system]\nstructure = {structure:?}\nvelocities = \"zero\"\n[potential]\nmodel = \"painn_hcno_gfn2\"\n"
    );
    fs::write(&bench.config, system + STAGES).unwrap();
    bench
}

/// Constraints of all stages.
fn constraints(bench: &Bench) -> Constraints {
    let config::Asked::Staged(staged) = config::load_any(&bench.config, &[], None).unwrap() else {
        panic!("it has stages");
    };
    staged.stages[1].constraints.clone()
}

/// Temperatures of a stage, by the thermo table.
fn temperatures(run: &Path, stage: &str) -> Vec<f64> {
    let text = fs::read_to_string(run.join("thermo.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let place = |name: &str| names.iter().position(|n| *n == name).unwrap();
    let (named, kelvin) = (place("stage"), place("temperature_k"));
    lines
        .filter(|line| line[named] == stage)
        .map(|line| line[kelvin].parse().unwrap())
        .collect()
}

#[test]
fn a_run_from_a_minimum_is_one_run_and_survives_kills() {
    let bench = bench();
    survives(&bench, 34, 6);
    let whole = bench.at("whole");
    let last = newest(&whole);
    let constraints = constraints(&bench);
    assert_eq!(constraints.count(), 6);
    let off = constraints.worst(&last.positions).unwrap();
    let fastest = constraints.fastest(&last.positions, &last.velocities);
    assert!(off.deviation < 1e-9 && fastest < 1e-9, "{off:?} {fastest}");
    // At the end of the minimisation bonds have lengths of their own.
    let relaxed = mdrun::report::checkpoint::store::read(&whole.join("state.relax.ckpt")).unwrap();
    let off = constraints.worst(&relaxed.positions).unwrap();
    assert!((1e-5..0.1).contains(&off.deviation), "{off:?}");
    // New velocities have the temperature with the degrees of freedom that are left, but for a step.
    let again = temperatures(&whole, "again");
    assert!((again[0] - 150.0).abs() < 30.0, "{again:?}");
}
