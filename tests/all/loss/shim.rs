//! Runs whose calls to the system fail, stop halfway or are their last, at any of them: see `tests/faults/shim.c`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::restart::runs::{Bench, Dynamics, Subject, hashes, outputs};
use crate::support::root;

/// The preloaded library; `None`, with the reason printed, where there is no C compiler.
pub fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shim.so");
        let cc = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&path)
            .arg(root().join("tests/faults/shim.c"))
            .args(["-ldl", "-lpthread"])
            .output();
        match cc {
            Ok(output) => {
                assert!(output.status.success(), "{output:?}");
                Some(path)
            }
            Err(why) => {
                eprintln!("skipped: no C compiler ({why})");
                None
            }
        }
    });
    built.as_deref()
}

/// What a run is about to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scene {
    /// It begins where nothing is.
    Begin,
    /// It goes on with one that has taken half of its steps.
    GoOn,
    /// It replaces another one.
    Replace,
}

/// Runs that are about to do something, over and over.
pub struct Stage {
    pub bench: Bench,
    pub scene: Scene,
    /// What is there before each of them.
    before: PathBuf,
    /// The outputs of one that nobody disturbed, with its last state.
    right: Vec<(String, Vec<u8>)>,
    library: &'static Path,
}

/// Steps of a run, and of one that is to be gone on with.
const STEPS: u64 = 16;
const HALF: &str = "dynamics.steps=8";

impl Stage {
    /// `None` where there is no C compiler.
    pub fn new(scene: Scene) -> Option<Self> {
        let library = library()?;
        let one_thread = "[device]\nkind = \"cpu\"\nthreads = 1\n";
        let bench = Bench::new(Subject::Argon, Dynamics::Langevin, STEPS, one_thread);
        let (whole, before) = (bench.at("whole"), bench.at("before"));
        bench.complete(&whole, &["-q"]);
        match scene {
            Scene::Begin => {}
            Scene::GoOn => drop(bench.complete(&before, &["-q", "--set", HALF])),
            Scene::Replace => {
                let other = ["-q", "--set", "dynamics.seed=9", "--set", HALF];
                bench.complete(&before, &other);
                fs::write(before.join("notes.txt"), "mine").unwrap();
            }
        }
        Some(Self {
            right: hashes(&whole),
            bench,
            scene,
            before,
            library,
        })
    }

    /// A directory in which all is as before such a run.
    pub fn set(&self, name: &str) -> PathBuf {
        let run = self.bench.at(name);
        let _ = fs::remove_dir_all(&run);
        if self.scene != Scene::Begin {
            copy(&self.before, &run);
        }
        run
    }

    /// Files that were there before, by their names in the directory.
    pub fn before(&self) -> Option<&Path> {
        (self.scene != Scene::Begin).then_some(&self.before)
    }

    fn flags(&self) -> [&'static str; 2] {
        match self.scene {
            Scene::Begin | Scene::GoOn => ["-q", "--resume"],
            Scene::Replace => ["-q", "--force"],
        }
    }

    /// Runs with the library's variables set.
    pub fn run(&self, run: &Path, variables: &[(&str, &str)]) -> Output {
        let mut command = self.bench.command(run, &self.flags());
        command
            .env("LD_PRELOAD", self.library)
            .env("SHIM_UNDER", run)
            .envs(variables.iter().copied());
        command.output().unwrap()
    }

    /// The number of calls that an undisturbed run makes; none alters anything outside of its directory.
    pub fn calls(&self) -> usize {
        let (run, count) = (self.set("counted"), self.bench.at("count"));
        let output = self.run(&run, &[("SHIM_COUNT", count.to_str().unwrap())]);
        assert!(output.status.success(), "{output:?}");
        let text = fs::read_to_string(count).unwrap();
        assert!(!text.contains("outside"), "{text}");
        text.trim().parse().unwrap()
    }

    /// Fails unless nothing is lost in a directory in which such a run was disturbed: it goes on to the bytes of one that
    /// was not, or the run that it was to replace is what it was.
    pub fn check(&self, run: &Path, told: &str) {
        if self.scene == Scene::Replace {
            // A run that is refused puts right what a killed one left.
            let refused = self.bench.run(run, &["-q"]);
            let told = format!("{told}\nthen: {refused:?}");
            assert_eq!(fs::read(run.join("notes.txt")).unwrap(), b"mine", "{told}");
            if outputs_of(run) == outputs_of(&self.before) {
                let same = |name: &str| {
                    let (now, then) = (fs::read(run.join(name)), fs::read(self.before.join(name)));
                    assert!(now.unwrap() == then.unwrap(), "{name}: {told}");
                };
                ["run.json", "state.ckpt", "state_prev.ckpt"]
                    .iter()
                    .for_each(|name| same(name));
                return;
            }
        }
        let output = self.bench.run(run, &["-q", "--resume"]);
        let told = format!("{told}\nat last: {output:?}");
        assert!(output.status.success(), "{told}");
        for ((name, found), (_, right)) in hashes(run).iter().zip(&self.right) {
            assert!(found == right, "{name} is another one: {told}");
        }
        let names = fs::read_dir(run).unwrap().map(|e| e.unwrap().file_name());
        for name in names {
            let name = name.into_string().unwrap();
            assert!(
                !name.starts_with('.') && !name.ends_with(".part"),
                "{name} is left: {told}"
            );
        }
    }

    /// Whether a run is there as an undisturbed one leaves it.
    pub fn is_right(&self, run: &Path) -> bool {
        outputs_of(run).is_some_and(|found| found[..] == self.right[..found.len()])
    }
}

/// The outputs of a run, if all are there.
fn outputs_of(run: &Path) -> Option<Vec<(String, Vec<u8>)>> {
    let all = crate::restart::runs::OUTPUTS;
    all.iter()
        .all(|name| run.join(name).is_file())
        .then(|| outputs(run))
}

/// Copies a folder and what is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
