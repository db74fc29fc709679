//! The resolved run: every default filled in, every quantity in internal units (eV, angstrom, u,
//! kT in eV, time in angstrom sqrt(u / eV)), every path absolute or relative to the process.

mod group;
mod stages;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::core::rng::{NoiseCourse, NoiseMark};
use crate::core::{AtomName, Cell, FormalElectrons, System, Vec3};
use crate::dynamics::{Constraints, Dynamics, Ramps};
use crate::ipi::Address;
use crate::models::ModelFile;
use crate::potential::Precision;
use crate::potential::pair::{PowerLaw, Repulsion, RepulsionEnd, Zbl};
use crate::{Error, Result};

pub use group::GroupPlan;
pub use stages::{SettlePlan, Settled, StageBeginning, StagePlace, StagedPlan};

/// A run, ready to be assembled.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The run file.
    pub source: PathBuf,
    /// The resolved run file as TOML, overrides applied: what `run.json` keeps.
    pub resolved: toml::Table,
    /// The atoms and where they start.
    pub start: StartPlan,
    /// What acts between them.
    pub potential: PotentialPlan,
    /// The elements (atomic numbers, ascending) that its model was trained on, where the run file says so.
    pub stated_elements: Option<Vec<u8>>,
    /// A repulsion beside it.
    pub repulsion: Option<RepulsionPlan>,
    /// How they move.
    pub dynamics: DynamicsPlan,
    /// Distances that stay what they are.
    pub constraints: Constraints,
    /// What is done to some of them.
    pub groups: Vec<GroupPlan>,
    /// What biases the system.
    pub plumed: Option<PlumedPlan>,
    /// What is written.
    pub output: OutputPlan,
    /// What is watched.
    pub monitor: MonitorPlan,
    /// What it runs on.
    pub device: DevicePlan,
    /// Remarks for the user: what was rounded, chosen or looks odd.
    pub notes: Vec<String>,
    /// Where each key is written, for errors that show later, when models are loaded or files made.
    pub places: Places,
    /// Which stage of a run in stages it is; `None` of a run without any.
    pub stage: Option<StagePlace>,
}

/// Several systems side by side, each with a run of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchPlan {
    /// The run file.
    pub source: PathBuf,
    /// The resolved run file as TOML, overrides applied: what `run.json` keeps.
    pub resolved: toml::Table,
    /// The plan of each member, in the order of tables, then of frames, then of replicas; each is as `--member` runs it alone,
    /// but for the directory, which is that of all of them. Potential, monitor and device are alike in all; so are dynamics but
    /// for temperatures and for where the noise goes on of the run that wrote a structure, and output but for what frames tell
    /// of that noise.
    pub members: Vec<MemberPlan>,
    /// Most members that run at once; `None` for as many as there is memory for.
    pub in_flight: Option<usize>,
    /// Whether the trajectories of all members are one file.
    pub together: bool,
    /// Remarks for the user on all of it.
    pub notes: Vec<String>,
}

/// One member of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberPlan {
    /// What it is called: the file that its atoms come from, or the run whose last state it is, with the number of the frame
    /// where there are others (`many.sdf:17`). Replicas have one name.
    pub name: String,
    /// Its run.
    pub plan: Plan,
}

impl BatchPlan {
    /// A member by its number.
    ///
    /// # Errors
    /// There is none of it.
    pub fn member(&self, number: usize) -> Result<&MemberPlan> {
        self.members.get(number).ok_or_else(|| {
            Error::input(format!(
                "{}: there is no member {number}: {}",
                self.source.display(),
                self.numbers()
            ))
        })
    }

    /// How its members are numbered, in words.
    pub fn numbers(&self) -> String {
        match self.members.len() {
            1 => "there is one, number 0".to_owned(),
            count => format!("there are {count}, numbered from 0 to {}", count - 1),
        }
    }
}

impl Plan {
    /// The thermostat's noise over the run; `None` for a run at constant energy that begins anywhere.
    pub fn noise(&self) -> Option<NoiseCourse> {
        self.dynamics.noise(self.start.noise)
    }
}

impl Plan {
    /// Whether something acts beside the potential, in any of the stages where it is one of several.
    pub fn has_external(&self) -> bool {
        let own = self.plumed.is_some() || self.groups.iter().any(|group| !group.terms.is_empty());
        own || self.stage.as_ref().is_some_and(|stage| stage.external)
    }

    /// Steps between looks at how far the models of a committee are apart, where there is a limit to it.
    pub fn spread_every(&self) -> Option<u64> {
        let every = self.monitor.spread_every;
        let every = every.unwrap_or(self.output.thermo_every);
        self.monitor.spread.map(|_| every)
    }
}

/// Where the keys of a run file are: dotted key to `run.toml:12:5`, or to the override that set it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places(pub BTreeMap<String, String>);

impl Places {
    /// `run.toml:12:5: potential.model`: what to put before a message about a key. A key that is left
    /// to its default is at the place of its table.
    pub fn of(&self, key: &str) -> String {
        let mut near = Some(key);
        while let Some(name) = near {
            if let Some(place) = self.0.get(name) {
                return format!("{place}: {key}");
            }
            near = name.rsplit_once('.').map(|(table, _)| table);
        }
        key.to_owned()
    }
}

/// Atoms, cell and starting point.
#[derive(Debug, Clone, PartialEq)]
pub struct StartPlan {
    /// The structure file.
    pub structure: PathBuf,
    /// Species and masses.
    pub system: System,
    /// What the structure file calls each atom, if it names residues.
    pub names: Option<Vec<AtomName>>,
    /// Cell and periodic directions.
    pub cell: Cell,
    /// Positions (angstrom).
    pub positions: Vec<Vec3>,
    /// What the structure file says of electrons.
    pub electrons: FormalElectrons,
    /// Where velocities come from.
    pub velocities: VelocityPlan,
    /// Number of the system among those that share a seed, each with noise and velocities of its own, where the run file gives
    /// one or it is a member of a batch; `None` of a system alone, which has those of number 0.
    pub replica: Option<u32>,
    /// How far the run that wrote the structure had come in its thermostat's noise, if the file says so.
    pub noise: Option<NoiseMark>,
    /// Degrees of freedom, where all of this is a state in the middle of a run; at a start they follow from it.
    pub degrees_of_freedom: Option<usize>,
    /// Volume (cubic angstrom) at the start of the run, likewise.
    pub volume: Option<f64>,
}

/// Where the starting velocities come from.
#[derive(Debug, Clone, PartialEq)]
pub enum VelocityPlan {
    /// The structure file (angstrom / time).
    Given(Vec<Vec3>),
    /// A Maxwell-Boltzmann distribution, scaled to the exact temperature.
    Thermal {
        /// Temperature kT (eV).
        kt: f64,
        /// Seed of the noise.
        seed: u32,
    },
}

/// What acts between the atoms.
#[derive(Debug, Clone, PartialEq)]
pub enum PotentialPlan {
    /// A trained network, or several: their mean.
    Network {
        /// Where their weights are: one, or the members of a committee.
        models: Vec<ModelFile>,
        /// Numbers of the networks.
        precision: Precision,
    },
    /// Lennard-Jones, the same for all atoms.
    LennardJones {
        /// Depth of the well (eV).
        epsilon: f64,
        /// Distance of zero energy (angstrom).
        sigma: f64,
        /// Range (angstrom).
        cutoff: f64,
    },
    /// Another program, over a socket.
    Socket {
        /// Where it is listened for.
        address: Address,
    },
}

impl PotentialPlan {
    /// Whether it is a committee of several models.
    pub fn is_committee(&self) -> bool {
        matches!(self, Self::Network { models, .. } if models.len() > 1)
    }
}

/// A repulsion at short range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RepulsionPlan {
    /// The law, without its end.
    pub law: RepulsionLaw,
    /// Where it ends.
    pub end: RepulsionEnd,
}

/// The law of a repulsion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RepulsionLaw {
    /// That of Ziegler, Biersack and Littmark.
    Zbl,
    /// A power of the distance.
    Power(PowerLaw),
}

impl RepulsionPlan {
    /// The term that it asks for.
    pub fn term(self) -> Repulsion {
        match self.law {
            RepulsionLaw::Zbl => Repulsion::new(Zbl, self.end),
            RepulsionLaw::Power(law) => Repulsion::new(law, self.end),
        }
    }
}

/// PLUMED beside the potential.
#[derive(Debug, Clone, PartialEq)]
pub struct PlumedPlan {
    /// Its input.
    pub input: PathBuf,
    /// SHA-256 of the input, in hexadecimal.
    pub sha256: String,
    /// The library, where the run file names it.
    pub kernel: Option<PathBuf>,
}

/// How the atoms move.
#[derive(Debug, Clone, PartialEq)]
pub struct DynamicsPlan {
    /// Which ensemble.
    pub ensemble: Dynamics,
    /// What of its bath changes in the course of the run.
    pub ramps: Ramps,
    /// Time step (angstrom sqrt(u / eV)).
    pub timestep: f64,
    /// Number of steps.
    pub steps: u64,
    /// Steps between removals of the centre-of-mass velocity; 0 for never.
    pub remove_drift: u64,
    /// Skin of the Verlet list (angstrom).
    pub skin: f64,
    /// Steps of the thermostat's noise that were drawn before step 0, by a run that this one goes on from.
    pub noise_start: u64,
}

impl DynamicsPlan {
    /// The thermostat's noise over a run that begins where another one had come so far, if it did.
    pub fn noise(&self, before: Option<NoiseMark>) -> Option<NoiseCourse> {
        match self.ensemble.bath().and_then(|bath| bath.seed) {
            None => before.map(|start| NoiseCourse {
                start,
                draws: false,
            }),
            Some(seed) => Some(NoiseCourse {
                start: NoiseMark {
                    seed,
                    step: self.noise_start,
                },
                draws: true,
            }),
        }
    }
}

/// What is written, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputPlan {
    /// The run's own directory.
    pub directory: PathBuf,
    /// Trajectories.
    pub trajectories: Vec<TrajectoryPlan>,
    /// Steps between lines of the thermo table.
    pub thermo_every: u64,
    /// When checkpoints are written.
    pub checkpoint: CheckpointPlan,
    /// Whether a page is left when the run ends.
    pub report: bool,
    /// Whether scripts for viewers are written.
    pub view: bool,
}

/// When checkpoints are written while a run goes on; but for `Off`, one more is written when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointPlan {
    /// After every so many steps.
    Steps(u64),
    /// After so much time on the clock.
    Clock(Duration),
    /// Never.
    Off,
}

/// A trajectory's file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrajectoryFormat {
    /// Extended XYZ, text, full precision.
    Xyz,
    /// CHARMM/NAMD DCD, binary, f32.
    Dcd,
    /// GROMACS XTC, compressed, three decimals of a nanometre.
    Xtc,
}

/// One trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct TrajectoryPlan {
    /// Its format.
    pub format: TrajectoryFormat,
    /// Steps between frames.
    pub every: u64,
    /// Whether atoms are moved into the cell along periodic directions.
    pub wrap: bool,
    /// Whether velocities are written (XYZ only).
    pub velocities: bool,
    /// Whether forces are written (XYZ only).
    pub forces: bool,
    /// The thermostat's noise, which frames tell of (XYZ only).
    pub noise: Option<NoiseCourse>,
    /// The stage whose own it is; `None` of one that goes through all of a run.
    pub stage: Option<String>,
}

/// What to do when a limit is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Say so and go on.
    Warn,
    /// End the run as failed.
    Stop,
}

/// Limits on a run. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MonitorPlan {
    /// Largest |slope| of the conserved quantity per atom (eV / time).
    pub drift: Option<f64>,
    /// Largest instantaneous temperature kT (eV).
    pub temperature: Option<f64>,
    /// Largest force on an atom (eV / angstrom).
    pub force: Option<f64>,
    /// Smallest distance between two atoms (angstrom).
    pub contact: Option<f64>,
    /// Largest standard deviation of the force on an atom over the models of a committee (eV / angstrom).
    pub spread: Option<f64>,
    /// Steps between looks at it; `None` for those between lines of the thermo table.
    pub spread_every: Option<u64>,
    /// How the network's numbers are audited, if they are.
    pub numbers: Option<NumbersAudit>,
    /// What to do.
    pub action: Action,
    /// How often pairs are compared with brute force.
    pub audit: Audit,
    /// Whether the steps before a fault are recorded.
    pub record: bool,
}

/// What to do where the network's numbers are off by too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumbersAction {
    /// Say so and go on.
    Warn,
    /// End the run as failed.
    Stop,
    /// Go on in the next finer ones.
    Raise,
}

/// How the network's numbers are audited: forces are compared with those in f64.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumbersAudit {
    /// Largest difference of the force on an atom (eV / angstrom).
    pub limit: Option<f64>,
    /// Steps between audits.
    pub every: u64,
    /// What to do beyond the limit.
    pub action: NumbersAction,
}

/// How often the pairs of a few atoms are compared with brute force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// As often as costs less than a hundredth of the run.
    Auto,
    /// Never.
    Off,
    /// Once in so many steps.
    Every(u64),
}

/// Which device is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// The fastest there is.
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this index.
    Cuda(usize),
}

/// What a run runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevicePlan {
    /// Which device.
    pub kind: DeviceKind,
    /// CPU threads; `None` for as many as there are cores.
    pub threads: Option<usize>,
    /// Which implementation of a network.
    pub engine: EngineChoice,
}

/// Which implementation of a network is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineChoice {
    /// The fused one where there is one for the device and the precision, else Burn.
    Auto,
    /// Burn's tensor operations: the reference.
    Burn,
    /// Fused kernels.
    Fused,
}
