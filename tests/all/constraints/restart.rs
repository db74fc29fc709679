//! Runs with constraints: killed and gone on with to the same bytes, in stages, and what they leave.

use std::fs;

use mdrun::config;
use mdrun::formats::read;

use crate::restart::kill::survives;
use crate::restart::runs::{Bench, Dynamics, Subject};
use crate::support::root;

/// Kills of each kind; ten times as many with MDRUN_VALIDATE=1.
fn kills() -> u32 {
    match std::env::var_os("MDRUN_VALIDATE") {
        Some(_) => 130,
        None => 13,
    }
}

const ONE_THREAD: &str = "[device]\nkind = \"cpu\"\nthreads = 1\n";

#[test]
fn ethanol_with_held_bonds_survives_kills() {
    let more = format!("{ONE_THREAD}[constraints]\nbonds = \"hydrogen\"\n");
    survives(
        &Bench::new(Subject::Ethanol, Dynamics::Langevin, 70, &more),
        41,
        kills(),
    );
}

#[test]
fn argon_in_triangles_survives_kills() {
    let more = format!("{ONE_THREAD}[constraints]\nbonds = [[0, 1], [0, 2], [1, 2], [4, 5]]\n");
    survives(
        &Bench::new(Subject::Argon, Dynamics::Csvr, 70, &more),
        42,
        kills(),
    );
}

/// What a run leaves satisfies its constraints, and is where another one begins without being moved.
#[test]
fn a_run_begins_from_what_another_one_left() {
    let more = format!("{ONE_THREAD}[constraints]\nbonds = \"hydrogen\"\n");
    let bench = Bench::new(Subject::Ethanol, Dynamics::Nve, 40, &more);
    let first = bench.at("first");
    bench.complete(&first, &[]);
    let plan = config::load(&bench.config, &[], None).unwrap();
    let left = read(&first.join("final.xyz")).unwrap();
    let off = plan.constraints.worst(&left.positions).unwrap();
    let fastest = (plan.constraints).fastest(&left.positions, left.velocities.as_ref().unwrap());
    assert!(
        off.deviation < 1e-9 && fastest < 1e-9,
        "{off:?} {fastest:e}"
    );
    let settings = [
        format!("system.structure={:?}", first.display().to_string()),
        "system.velocities=from the file".to_owned(),
    ];
    let next = config::load(&bench.config, &settings, None).unwrap();
    assert_eq!(next.start.positions, left.positions);
    assert_eq!(next.constraints.bonds.len(), 6);
    assert!(
        !next.notes.iter().any(|note| note.contains("constraints.")),
        "{:?}",
        next.notes
    );
}

/// People equilibrate, then produce: constraints are those of all stages, and a run that is cut goes on to the same bytes.
#[test]
fn stages_keep_their_constraints() {
    let structure = root().join("configs/structures/ethanol.xyz");
    let text = format!(
        "[system]\nstructure = {structure:?}\nvelocities = {{ temperature = \"300 K\", seed = 1 }}\n\
         [potential]\nmodel = \"painn_hcno_gfn2\"\n\
         [constraints]\nbonds = \"hydrogen\"\n\
         [dynamics]\nensemble = \"langevin\"\ntemperature = \"300 K\"\nfriction = \"5 1/ps\"\nseed = 3\n\
         timestep = \"1 fs\"\nsteps = 24\n\
         [output]\nthermo_every = 1\ncheckpoint_every = \"7 steps\"\n\
         [[output.trajectory]]\nformat = \"xyz\"\nevery = 3\nfields = [\"velocities\"]\n{ONE_THREAD}\
         [[stage]]\nname = \"warm\"\n[[stage]]\nname = \"produce\"\n[stage.dynamics]\nensemble = \"nve\"\n"
    );
    let bench = Bench::new(Subject::Ethanol, Dynamics::Nve, 1, "");
    fs::write(&bench.config, text).unwrap();
    let (whole, cut) = (bench.at("whole"), bench.at("cut"));
    bench.complete(&whole, &[]);
    let mut moments =
        crate::restart::kill::Moments::within(std::time::Duration::from_millis(600), 43);
    for _ in 0..5 {
        let mut child = bench.start(&cut, &["--resume"]);
        crate::restart::kill::kill_after(&mut child, moments.next());
    }
    bench.complete(&cut, &["--resume"]);
    for name in ["thermo.csv", "traj.xyz", "final.xyz"] {
        let [a, b] = [&whole, &cut].map(|run| fs::read(run.join(name)).unwrap());
        assert!(a == b, "{name}");
    }
    let left = read(&whole.join("final.xyz")).unwrap();
    let config::Asked::Staged(staged) = config::load_any(&bench.config, &[], None).unwrap() else {
        panic!("it has stages");
    };
    let constraints = &staged.stages[1].constraints;
    let off = constraints.worst(&left.positions).unwrap();
    assert!(off.deviation < 1e-9, "{off:?}");
}
