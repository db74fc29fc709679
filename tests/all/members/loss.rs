//! Calls to the system that concern a batch's files fail, stop halfway, or are the last, while it begins, goes on and replaces
//! another one: what goes on comes to the bytes of a batch that nobody disturbed (see `tests/faults/shim.c`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::ends::{assert_same, files_of};
use super::plans::CPU;
use crate::loss::shim::{Scene, copy, library};
use crate::restart::runs::{Bench, stderr};

/// Calls tried of each kind of fault; all of them with MDRUN_VALIDATE=1.
const SOME: usize = 6;
/// Kinds of faults, and whether the process is killed by them, may tell an error, or is to notice nothing.
const FAULTS: [(&str, &str); 7] = [
    ("kill-before", "killed"),
    ("kill-after", "killed"),
    ("kill-half", "killed"),
    ("errno:28", "told"),
    ("errno:5", "told"),
    ("full:28", "told"),
    ("short", "unnoticed"),
];
const HALF: &str = "dynamics.steps=8";

/// Pairs of argon atoms, of which two are in flight at once.
fn argon() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let structure = folder.path().join("pair.xyz");
    fs::write(&structure, "2\n\nAr 0 0 0\nAr 0 0 3.8\n").unwrap();
    let config = folder.path().join("run.toml");
    let text = format!(
        "[system]\nstructure = {:?}\nreplicas = 3\nvelocities = {{ temperature = \"84 K\", seed = 1 }}\n\
         [potential.lennard_jones]\nepsilon = \"0.0103408 eV\"\nsigma = \"3.405 A\"\ncutoff = \"8 A\"\n\
         [dynamics]\nensemble = \"langevin\"\ntemperature = [\"84 K\", \"100 K\"]\nfriction = \"5 1/ps\"\nseed = 3\n\
         timestep = \"4 fs\"\nsteps = 16\n[output]\nthermo_every = 2\ncheckpoint_every = \"5 steps\"\n\
         [[output.trajectory]]\nformat = \"xyz\"\nevery = 3\n[[output.trajectory]]\nformat = \"dcd\"\nevery = 5\n\
         {CPU}threads = 1\nin_flight = 2\n",
        structure.display().to_string()
    );
    fs::write(&config, text).unwrap();
    Bench { folder, config }
}

/// Batches that are about to do something, over and over.
struct BatchScene {
    bench: Bench,
    scene: Scene,
    before: PathBuf,
    right: BTreeMap<String, Vec<u8>>,
}

impl BatchScene {
    fn new(scene: Scene, library: &Path) -> Self {
        let bench = argon();
        let (whole, before) = (bench.at("whole"), bench.at("before"));
        match scene {
            Scene::Begin => {}
            Scene::GoOn => {
                // Killed when it has checkpoints already.
                let at = Self::counted(&bench, Scene::Begin, library) / 2;
                let kill = [("SHIM_AT", &*at.to_string()), ("SHIM_KIND", "kill-after")];
                Self::run(&bench, Scene::Begin, library, (&before, &kill));
                assert!(before.join("state_prev.ckpt").is_file());
            }
            Scene::Replace => {
                bench.complete(&before, &["-q", "--set", "dynamics.seed=9", "--set", HALF]);
            }
        }
        bench.complete(&whole, &["-q"]);
        Self {
            right: files_of(&whole),
            bench,
            scene,
            before,
        }
    }

    fn set(&self) -> PathBuf {
        let run = self.bench.at("disturbed");
        let _ = fs::remove_dir_all(&run);
        if self.scene != Scene::Begin {
            copy(&self.before, &run);
        }
        run
    }

    fn run(
        bench: &Bench,
        scene: Scene,
        library: &Path,
        (run, variables): (&Path, &[(&str, &str)]),
    ) -> Output {
        let flag = match scene {
            Scene::Begin | Scene::GoOn => "--resume",
            Scene::Replace => "--force",
        };
        let mut command = bench.command(run, &["-q", flag]);
        command.env("LD_PRELOAD", library).env("SHIM_UNDER", run);
        command.envs(variables.iter().copied()).output().unwrap()
    }

    fn calls(&self, library: &Path) -> usize {
        self.set();
        Self::counted(&self.bench, self.scene, library)
    }

    /// The number of calls that an undisturbed one makes.
    fn counted(bench: &Bench, scene: Scene, library: &Path) -> usize {
        let (run, count) = (bench.at("disturbed"), bench.at("count"));
        let _ = fs::remove_file(&count);
        let counting = [("SHIM_COUNT", count.to_str().unwrap())];
        let output = Self::run(bench, scene, library, (&run, &counting));
        assert!(output.status.success(), "{output:?}");
        let text = fs::read_to_string(count).unwrap();
        assert!(!text.contains("outside"), "{text}");
        text.trim().parse().unwrap()
    }

    /// One batch with one fault, and what comes of it.
    fn disturb(&self, library: &Path, (kind, outcome): (&str, &str), at: usize) {
        let run = self.set();
        let at = at.to_string();
        let fault = [("SHIM_AT", &*at), ("SHIM_KIND", kind)];
        let output = Self::run(&self.bench, self.scene, library, (&run, &fault));
        let mut told = format!("{:?}, {kind} at call {at}: {output:?}", self.scene);
        assert!(!stderr(&output).contains("panicked"), "{told}");
        match (output.status.code(), outcome) {
            (Some(0), _) => assert_same(&files_of(&run), &self.right, &told),
            (None, "killed") => {}
            (Some(1 | 2), "told") => assert!(stderr(&output).contains("error: "), "{told}"),
            _ => panic!("{told}"),
        }
        if self.scene == Scene::Replace {
            // One that is refused puts right what a killed one left.
            let refused = self.bench.run(&run, &["-q"]);
            told += &format!("\nthen: {refused:?}");
            if run.join("final.xyz").is_file() && files_of(&run) == files_of(&self.before) {
                return;
            }
        }
        let output = self.bench.run(&run, &["-q", "--resume"]);
        told += &format!("\nat last: {output:?}");
        assert!(output.status.success(), "{told}");
        assert_same(&files_of(&run), &self.right, &told);
        // What a batch could not remove of the one before is removed by the next.
        for entry in fs::read_dir(&run).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let left = name.starts_with('.') || name.ends_with(".part");
            assert!(!left, "{name} is left: {told}");
        }
    }
}

fn survives(scene: Scene) {
    let Some(library) = library() else {
        return;
    };
    let batch = BatchScene::new(scene, library);
    let calls = batch.calls(library);
    assert!(calls > 50, "only {calls} calls are seen");
    let stride = match std::env::var_os("MDRUN_VALIDATE") {
        Some(_) => 1,
        None => (calls / SOME).max(1),
    };
    let mut tried = 0;
    for (k, fault) in FAULTS.into_iter().enumerate() {
        for at in (1 + k * stride / FAULTS.len()..=calls).step_by(stride) {
            batch.disturb(library, fault, at);
            tried += 1;
        }
    }
    println!("{scene:?}: {tried} faults at {calls} calls");
}

#[test]
fn a_batch_that_begins_survives_every_fault() {
    survives(Scene::Begin);
}

#[test]
fn a_batch_that_goes_on_survives_every_fault() {
    survives(Scene::GoOn);
}

#[test]
fn a_batch_that_is_replaced_survives_every_fault() {
    survives(Scene::Replace);
}
