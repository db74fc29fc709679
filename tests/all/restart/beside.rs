//! Outputs and checkpoints of an engine that goes on while reports are made are those of one that waits.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use mdrun::engine::Engine;
use mdrun::report::{Console, Identity};
use mdrun::run::{Keeper, RunDirectory};
use mdrun::simulation::{Finish, Simulation};
use mdrun::{assemble, config};

use super::runs::{Bench, Dynamics, Subject, assert_same, hashes, newest};
use crate::physics::doubles::Beside;

/// Runs a run file on the engine that `wrap` makes of its own, into a directory.
fn run(bench: &Bench, directory: &Path, wrap: fn(Box<dyn Engine>) -> Box<dyn Engine>) {
    let mut plan = config::load(&bench.config, &[], Some(directory)).unwrap();
    let model = assemble::load(&mut plan).unwrap();
    let engine = assemble::engine(&plan, &model).unwrap();
    let energies = assemble::energies(&plan);
    let place = RunDirectory::create(directory, false).unwrap();
    let console = Console::silent();
    let reporters = assemble::reporters(&plan, directory, &energies, &console, None).unwrap();
    let state = assemble::state(&plan, &energies, Identity::of(&plan, &[]));
    let held = place.keep().unwrap();
    let every = plan.output.checkpoint;
    let mut simulation = Simulation {
        engine: wrap(engine),
        program: assemble::program(&plan),
        limits: assemble::limits(&plan),
        reporters,
        guard: assemble::guard(&plan),
        step: 0,
        end: plan.dynamics.steps,
        keeper: Some(Box::new(Keeper::new(
            held.path().to_owned(),
            every,
            (state, false),
            &energies,
        ))),
        successor: None,
    };
    let finish = simulation.run(&AtomicBool::new(false), &mut |_| {});
    assert_eq!(finish.unwrap(), Finish::Complete);
}

/// Checkpoints every 7 steps, most of them with reports of the same step: those are in the files that the checkpoint
/// tells of. The last one is of step 49, so that it is seen what a checkpoint in the middle holds.
#[test]
fn outputs_and_checkpoints_are_the_same() {
    let more = "[device]\nkind = \"cpu\"";
    for steps in [49, 60] {
        let bench = Bench::new(Subject::Argon, Dynamics::Langevin, steps, more);
        let (waits, goes_on) = (bench.at("waits"), bench.at("goes_on"));
        run(&bench, &waits, |engine| engine);
        run(&bench, &goes_on, |engine| Box::new(Beside::new(engine)));
        assert_same(&goes_on, &hashes(&waits), "reports beside blocks");
        assert_eq!(newest(&goes_on).files, newest(&waits).files);
        assert_eq!(newest(&goes_on).step, steps);
    }
}
