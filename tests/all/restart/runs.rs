//! Runs for the tests of this room: short, with every kind of output, and what is left of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use mdrun::report::Checkpoint;
use mdrun::report::checkpoint::store;

use crate::support::root;

/// What acts, on what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// 256 argon atoms, Lennard-Jones.
    Argon,
    /// Ethanol, the shipped PaiNN.
    Ethanol,
    /// Ethanol, both shipped models as a committee whose spread is watched.
    Committee,
}

/// Which dynamics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dynamics {
    Nve,
    Langevin,
    /// Velocity rescaling.
    Csvr,
    /// A chain of thermostats.
    NoseHoover,
    /// A piston, with chains of thermostats.
    Mtk,
    /// A pressed cell, with velocity rescaling: cubic, and of any shape with Langevin dynamics.
    Npt,
    NptTriclinic,
}

/// Steps between checkpoints: a good part of a run's time goes into writing them.
pub const CHECKPOINT_EVERY: u64 = 7;

/// The outputs that are compared: one of each format, the table, and the last state.
pub const OUTPUTS: [&str; 6] = [
    "traj.xyz",
    "traj.dcd",
    "traj.xtc",
    "thermo.csv",
    "topology.pdb",
    "final.xyz",
];

/// A run file, and the folder of its runs.
pub struct Bench {
    pub folder: TempDir,
    pub config: PathBuf,
}

impl Bench {
    /// A run of `steps` steps. `more` are further lines of `[output]`, `[device]` and so on.
    pub fn new(subject: Subject, dynamics: Dynamics, steps: u64, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("run.toml");
        fs::write(&config, text(subject, dynamics, steps, more)).unwrap();
        Self { folder, config }
    }

    /// A run directory.
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command that runs it into a directory.
    pub fn command(&self, run: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
        command.arg(&self.config).arg("--out").arg(run).args(more);
        command
    }

    /// Runs it to its end.
    pub fn run(&self, run: &Path, more: &[&str]) -> Output {
        self.command(run, more).output().unwrap()
    }

    /// Runs it to its end, which must be a good one.
    pub fn complete(&self, run: &Path, more: &[&str]) -> Output {
        let output = self.run(run, more);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(status(run), "complete");
        output
    }

    /// Starts it.
    pub fn start(&self, run: &Path, more: &[&str]) -> Child {
        let mut command = self.command(run, more);
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::piped());
        quiet.spawn().unwrap()
    }
}

fn text(subject: Subject, dynamics: Dynamics, steps: u64, more: &str) -> String {
    let path = |name: &str| root().join(name).display().to_string();
    let (system, timestep) = match subject {
        Subject::Argon => (
            format!(
                "structure = {:?}\nvelocities = {{ temperature = \"184 K\", seed = 1 }}\n\
                 [potential.lennard_jones]\nepsilon = \"0.0103408 eV\"\nsigma = \"3.405 A\"\n\
                 cutoff = \"8 A\"",
                path("configs/structures/argon256.xyz")
            ),
            "4 fs",
        ),
        Subject::Ethanol | Subject::Committee => (
            format!(
                "structure = {:?}\nvelocities = {{ temperature = \"300 K\", seed = 1 }}\n\
                 [potential]\nmodel = {}",
                path("configs/structures/ethanol.xyz"),
                match subject {
                    Subject::Committee =>
                        "[\"painn_hcno_gfn2\", \"painn_organic_gfn2\"]".to_owned(),
                    _ => format!("{:?}", path("models/painn_hcno_gfn2.safetensors")),
                }
            ),
            "0.5 fs",
        ),
    };
    let ensemble = match dynamics {
        Dynamics::Nve => "ensemble = \"nve\"".to_owned(),
        Dynamics::Langevin => "ensemble = \"langevin\"\ntemperature = \"200 K\"\n\
                               friction = \"5 1/ps\"\nseed = 3\nremove_drift = 10"
            .to_owned(),
        Dynamics::Csvr => "ensemble = \"csvr\"\ntemperature = \"200 K\"\n\
                           relaxation = \"0.1 ps\"\nseed = 3"
            .to_owned(),
        Dynamics::NoseHoover => "ensemble = \"nose_hoover\"\ntemperature = \"200 K\"\n\
                                 relaxation = \"0.1 ps\"\nchain = 4\nremove_drift = 10"
            .to_owned(),
        Dynamics::Mtk => "ensemble = \"mtk\"\ntemperature = \"200 K\"\npressure = \"1 kbar\"\n\
                          relaxation = \"0.1 ps\"\nbarostat_relaxation = \"0.5 ps\""
            .to_owned(),
        Dynamics::Npt => pressed("relaxation = \"0.1 ps\""),
        Dynamics::NptTriclinic => {
            pressed("thermostat = \"langevin\"\nfriction = \"5 1/ps\"\ncoupling = \"triclinic\"")
        }
    };
    format!(
        "[system]\n{system}\n\n[dynamics]\n{ensemble}\ntimestep = \"{timestep}\"\nsteps = {steps}\n\n\
         [output]\nthermo_every = 1\ncheckpoint_every = \"{CHECKPOINT_EVERY} steps\"\n\n\
         [[output.trajectory]]\nformat = \"xyz\"\nevery = 3\nfields = [\"velocities\", \"forces\"]\n\n\
         [[output.trajectory]]\nformat = \"dcd\"\nevery = 5\n\n\
         [[output.trajectory]]\nformat = \"xtc\"\nevery = 4\n\n{more}"
    )
}

fn pressed(more: &str) -> String {
    format!(
        "ensemble = \"npt\"\ntemperature = \"200 K\"\npressure = \"1 kbar\"\nseed = 3\n\
         barostat_relaxation = \"1 ps\"\ncompressibility = \"2e-4 1/bar\"\nbarostat_every = 4\n{more}"
    )
}

/// What a committee's run writes besides.
pub const UNCERTAIN: &str = "uncertain.xyz";

/// SHA-256 of every output of a run. One of the library alone has no record, and leaves no last state.
pub fn outputs(run: &Path) -> Vec<(String, Vec<u8>)> {
    let hash = |name: &&str| {
        let bytes = fs::read(run.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        ((*name).to_owned(), Sha256::digest(bytes).to_vec())
    };
    let recorded = fs::metadata(run.join("run.json")).is_ok_and(|file| file.len() > 0);
    let wanted = |name: &&&str| recorded || **name != "final.xyz";
    let watched = run.join(UNCERTAIN).is_file().then_some(UNCERTAIN);
    let all = OUTPUTS.iter().filter(wanted).copied().chain(watched);
    all.map(|name| hash(&name)).collect()
}

/// The same, with that of the final state: all of its checkpoint but the time it took.
pub fn hashes(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut hashes = outputs(run);
    let mut state = newest(run);
    state.elapsed = 0.0;
    let bytes = state.encode().unwrap();
    hashes.push(("state".to_owned(), Sha256::digest(bytes).to_vec()));
    hashes
}

/// The newest checkpoint of a run.
pub fn newest(run: &Path) -> Checkpoint {
    store::newest(run).unwrap().unwrap().checkpoint
}

/// What `run.json` says.
pub fn record(run: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap()
}

/// The status that `run.json` tells.
pub fn status(run: &Path) -> String {
    record(run)["status"].as_str().unwrap().to_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails with what differs.
pub fn assert_same(run: &Path, right: &[(String, Vec<u8>)], told: &str) {
    let found = hashes(run);
    assert_eq!(found.len(), right.len(), "{told}");
    for ((name, found), (_, wanted)) in found.iter().zip(right) {
        assert!(found == wanted, "{name} is another one: {told}");
    }
}
