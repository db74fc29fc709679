//! What a run's directory says of its frames: atoms, masses, cell, time step, and the trajectories that there are.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::Chosen;
use crate::core::{Cell, Mat3, Snapshot, System, Vec3, elements};
use crate::formats::trajectory::{TrajectoryAbout, TrajectoryReader};
use crate::formats::{self, Structure};
use crate::neighbors::hydrogen;
use crate::report::checkpoint::store;
use crate::report::{members, names, record};
use crate::selection::SelectionScene;
use crate::units::{self, Dimension};
use crate::{Error, Result, shell};

/// Times are whole numbers of steps if they are so near to one.
const WHOLE: f64 = 1e-6;

/// What frames are of, and what of them is looked at.
#[derive(Debug, Clone)]
pub struct Studied {
    /// Species and masses.
    pub system: System,
    /// The cell of the first frame.
    pub cell: Cell,
    /// Positions in the first frame (angstrom).
    pub positions: Vec<Vec3>,
    /// The atoms that are looked at.
    pub chosen: Chosen,
    /// Time between frames that are looked at (internal).
    pub spacing: f64,
    /// Frames that are to be expected.
    pub frames: u64,
    /// Degrees of freedom that share the kinetic energy of all atoms.
    pub degrees_of_freedom: usize,
    /// Whether molecules are moved into the cell, so that positions jump.
    pub wrapped: bool,
}

/// What of a trajectory is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StudiedFrames<'c> {
    /// The atoms, in words; all of them where nothing is said.
    pub select: Option<&'c str>,
    /// Every so-manieth frame.
    pub stride: u64,
    /// No frame after this time (internal).
    pub until: Option<f64>,
}

/// A trajectory of a run, as its record has it.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenTrajectory {
    /// The file's name.
    pub name: String,
    /// Steps between frames.
    pub every: u64,
    /// Whether molecules are moved into the cell.
    pub wrapped: bool,
    /// Whether frames have velocities.
    pub velocities: bool,
}

/// A run, as its directory has it.
#[derive(Debug, Clone)]
pub struct StudiedRun {
    /// The directory.
    pub directory: PathBuf,
    /// Number of atoms.
    pub atoms: usize,
    /// Degrees of freedom.
    pub degrees_of_freedom: usize,
    /// When the run began, as its record has it.
    pub started: String,
    /// Whether it has not come to its end.
    pub unfinished: bool,
    /// Time step (internal).
    pub timestep: f64,
    /// Steps that it was to take.
    pub steps: u64,
    /// Its trajectories.
    pub trajectories: Vec<WrittenTrajectory>,
    /// When the stage began and ended that is looked at (internal), of a run in stages.
    pub window: Option<[f64; 2]>,
    /// Masses by element (u) that are others than standard ones, where no other file tells them.
    masses: Vec<(u8, f64)>,
    /// What hydrogen was made to weigh (u), by mass of what it is bonded to, likewise.
    hydrogen_mass: Option<f64>,
}

/// What is read of a run's record.
#[derive(Deserialize)]
struct RecordedRun {
    status: String,
    #[serde(default)]
    started: String,
    config: Value,
    atoms: usize,
    degrees_of_freedom: usize,
    members: Option<u64>,
    #[serde(default)]
    stages: Vec<RecordedStage>,
}

/// What is read of a stage, of which its record knows once it has ended.
#[derive(Deserialize)]
struct RecordedStage {
    name: String,
    first_step: u64,
    last_step: u64,
    begins_ps: f64,
    ends_ps: f64,
    degrees_of_freedom: usize,
}

impl StudiedRun {
    /// Reads the record of the run in a directory; of many systems one is named.
    ///
    /// # Errors
    /// There is none, or there is no such member, or its frames are not apart from those of others.
    pub fn read(directory: &Path, member: Option<usize>) -> Result<Self> {
        Self::of_stage(directory, (member, None))
    }

    /// Does as [`StudiedRun::read`] for the stage of a name, of a run in stages; without one for the last that has begun.
    ///
    /// # Errors
    /// As for [`StudiedRun::read`]; or there is no such stage.
    pub fn of_stage(
        directory: &Path,
        (member, stage): (Option<usize>, Option<&str>),
    ) -> Result<Self> {
        let place = directory.display();
        let path = directory.join(names::RECORD);
        let fault = |e: &dyn std::fmt::Display| Error::input(format!("{}: {e}", path.display()));
        let recorded = RecordedRun::deserialize(record::read(directory, "mdrun analyze")?)
            .map_err(|e| fault(&e))?;
        let own = match (recorded.members, member) {
            (None, None) => OneSystem {
                folder: directory.to_owned(),
                atoms: recorded.atoms,
                degrees_of_freedom: recorded.degrees_of_freedom,
            },
            (None, Some(_)) => {
                return Err(Error::input(format!(
                    "{place} is a run of one system, which has no members: leave --member out"
                )));
            }
            (Some(members), None) => {
                return Err(Error::input(format!(
                    "{place} is a run of {members} systems at once, and an analysis is of one: choose it with --member K, from 0 \
                     to {}",
                    members.saturating_sub(1)
                )));
            }
            (Some(members), Some(member)) => {
                OneSystem::of_member(directory, &recorded, [members as usize, member])?
            }
        };
        let staged = chosen_stage(&recorded, stage).map_err(|e| fault(&e))?;
        let config = &staged
            .as_ref()
            .map_or(recorded.config.clone(), |(config, _)| config.clone());
        let at = |table: &str, key: &str| config.get(table).and_then(|table| table.get(key));
        let text = at("dynamics", "timestep").and_then(Value::as_str);
        let timestep = text.ok_or_else(|| fault(&"it tells no time step"))?;
        let timestep = units::parse(timestep, Dimension::Time).map_err(|e| fault(&e))?;
        let steps_of = |value: Option<&Value>| value.and_then(|value| steps(value, timestep));
        let steps = steps_of(at("dynamics", "steps")).or(steps_of(at("dynamics", "duration")));
        let listed = at("output", "trajectory").and_then(Value::as_array);
        let trajectory = |one: &Value| {
            let format = one.get("format")?.as_str()?;
            let name = match one.get("stage").and_then(Value::as_str) {
                Some(stage) => format!("traj.{stage}.{format}"),
                None => format!("traj.{format}"),
            };
            let fields = one.get("fields").and_then(Value::as_array);
            Some(WrittenTrajectory {
                name,
                every: steps_of(one.get("every"))?.max(1),
                wrapped: one.get("wrap").and_then(Value::as_bool) == Some(true),
                velocities: fields.is_some_and(|all| all.iter().any(|field| field == "velocities")),
            })
        };
        let masses = at("system", "masses").and_then(Value::as_object);
        let mass = |(symbol, mass): (&String, &Value)| {
            let mass = units::parse(mass.as_str()?, Dimension::Mass).ok()?;
            Some((elements::number(symbol)?, mass))
        };
        Ok(Self {
            directory: own.folder,
            atoms: own.atoms,
            degrees_of_freedom: match &staged {
                Some((_, stage)) => stage.degrees_of_freedom,
                None => own.degrees_of_freedom,
            },
            started: recorded.started.clone(),
            unfinished: recorded.status == "running",
            timestep,
            steps: match &staged {
                Some((_, stage)) => stage.last_step - stage.first_step,
                None => steps.unwrap_or(0),
            },
            window: staged.as_ref().map(|(_, stage)| {
                [stage.begins_ps, stage.ends_ps].map(|ps| ps * units::PICOSECOND)
            }),
            trajectories: listed
                .into_iter()
                .flatten()
                .filter_map(trajectory)
                .collect(),
            masses: masses.into_iter().flatten().filter_map(mass).collect(),
            hydrogen_mass: (at("system", "hydrogen_mass").and_then(Value::as_str))
                .and_then(|text| units::parse(text, Dimension::Mass).ok()),
        })
    }

    /// The trajectory of this name, or the one with the most frames that is there; one with velocities, if they are wanted.
    ///
    /// # Errors
    /// There is none: the message says what to set.
    pub fn trajectory(&self, name: Option<&str>, velocities: bool) -> Result<&WrittenTrajectory> {
        let place = self.directory.display();
        let all = &self.trajectories;
        if let Some(name) = name {
            let named = all.iter().find(|one| one.name == name);
            let known: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
            let named = named.ok_or_else(|| {
                Error::input(format!(
                    "{place} has no trajectory {name:?}; it has {}",
                    if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    }
                ))
            })?;
            return match velocities && !named.velocities {
                true => Err(no_velocities(&format!("{place}: {name}"))),
                false => Ok(named),
            };
        }
        let usable = |one: &&WrittenTrajectory| {
            (one.velocities || !velocities) && self.directory.join(&one.name).is_file()
        };
        // The first of those with the most frames: exact ones come first.
        let order = |one: &&WrittenTrajectory| {
            let exact = ["xyz", "dcd", "xtc"];
            let rank = exact.iter().position(|ending| one.name.ends_with(ending));
            (one.every, rank)
        };
        if let Some(found) = all.iter().filter(usable).min_by_key(order) {
            return Ok(found);
        }
        if !all.is_empty() && velocities {
            return Err(no_velocities(&place.to_string()));
        }
        Err(Error::input(match all.is_empty() {
            true => format!(
                "{place}: the run has written no trajectory; add [[output.trajectory]] with format = \"xyz\" and every = \
                 \"10 fs\" to its run file, and run it again"
            ),
            false => format!("{place}: the run's trajectory is not there any more"),
        }))
    }

    /// Opens a trajectory.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(&self, trajectory: &WrittenTrajectory) -> Result<TrajectoryReader> {
        let (_, periodic) = self.system()?;
        let about = TrajectoryAbout {
            atoms: self.atoms,
            periodic,
            timestep: self.timestep,
            every: trajectory.every,
        };
        TrajectoryReader::open(&self.directory.join(&trajectory.name), &about)
    }

    /// Species and masses, and which directions are periodic: as a checkpoint has them, the last state, or else the topology.
    ///
    /// # Errors
    /// None of them is there, or they are of another run.
    pub fn system(&self) -> Result<(System, [bool; 3])> {
        let right = |system: &System| system.len() == self.atoms;
        if let Ok(Some(found)) = store::newest(&self.directory) {
            let (system, cell) = (found.checkpoint.system, found.checkpoint.cell);
            if right(&system) {
                return Ok((system, cell.periodic()));
            }
        }
        for name in [names::FINAL, names::TOPOLOGY] {
            let path = self.directory.join(name);
            if !path.is_file() {
                continue;
            }
            let structure = formats::read_frame(&path, 0)?;
            let mut system = structure.system();
            if name == names::TOPOLOGY {
                self.apply_masses(&mut system);
                self.repartition(&mut system, &structure)?;
            }
            if right(&system) {
                return Ok((system, structure.periodic));
            }
        }
        Err(Error::input(format!(
            "{0} tells no elements: neither a checkpoint, nor {1}, nor {2} of its {3} atoms is there; go on with the run, which \
             writes them: mdrun resume {4}",
            self.directory.display(),
            names::FINAL,
            names::TOPOLOGY,
            self.atoms,
            shell::quoted(&self.directory)
        )))
    }

    /// Moves mass to hydrogen, as the run did at its start, whose positions the topology has.
    fn repartition(&self, system: &mut System, structure: &Structure) -> Result<()> {
        let Some(mass) = self.hydrogen_mass else {
            return Ok(());
        };
        let vectors = structure.vectors.unwrap_or_else(Mat3::zeros);
        let cell = Cell::new(vectors, structure.periodic)?;
        hydrogen::repartition(system, &cell, &structure.positions, mass).map(drop)
    }

    fn apply_masses(&self, system: &mut System) {
        for (mass, species) in system.masses.iter_mut().zip(&system.species) {
            let own = self.masses.iter().find(|(z, _)| z == species);
            *mass = own.map_or(*mass, |(_, own)| *own);
        }
    }

    /// What the frames of a trajectory are of that are looked at, the first of them `frame`.
    ///
    /// # Errors
    /// As for [`StudiedRun::system`]; or a selection names no atoms.
    pub fn studied(
        &self,
        trajectory: &WrittenTrajectory,
        frame: &Snapshot,
        choice: StudiedFrames<'_>,
    ) -> Result<Studied> {
        let (system, _) = self.system()?;
        let chosen = match choice.select {
            Some(text) => {
                let scene = SelectionScene {
                    species: &system.species,
                    cell: &frame.cell,
                    positions: &frame.positions,
                };
                Chosen::parse(text, &scene).map_err(|e| e.within("--select"))?
            }
            None => Chosen::all(&system.species),
        };
        let steps = trajectory.every.saturating_mul(choice.stride);
        let until = choice
            .until
            .map_or(u64::MAX, |time| (time / self.timestep).round() as u64);
        let ahead = self.steps.min(until).saturating_sub(frame.step);
        Ok(Studied {
            system,
            cell: frame.cell.clone(),
            positions: frame.positions.clone(),
            chosen,
            spacing: steps as f64 * self.timestep,
            frames: ahead / steps + 1,
            degrees_of_freedom: self.degrees_of_freedom,
            wrapped: trajectory.wrapped,
        })
    }
}

/// Where the files of one system are, and how large it is.
struct OneSystem {
    folder: PathBuf,
    atoms: usize,
    degrees_of_freedom: usize,
}

impl OneSystem {
    /// A member of many systems, whose files are apart from those of others.
    fn of_member(
        directory: &Path,
        run: &RecordedRun,
        [members, member]: [usize; 2],
    ) -> Result<Self> {
        let place = directory.display();
        if member >= members {
            return Err(Error::input(format!(
                "{place} has the members 0 to {}: there is no member {member}",
                members.saturating_sub(1)
            )));
        }
        let folder = directory.join(members::folder(member, members));
        let topology = folder.join(names::TOPOLOGY);
        if !topology.is_file() {
            return Err(Error::input(format!(
                "{}: is not there: frames of a member are looked at where they are apart from those of others, with [output] \
                 members = \"apart\" and a trajectory; or run it by itself: mdrun CONFIG.toml --member {member} --out DIRECTORY",
                topology.display()
            )));
        }
        let atoms = formats::read_frame(&topology, 0)?.positions.len();
        // What each system as a whole takes off is alike in all.
        let whole = (3 * run.atoms).saturating_sub(run.degrees_of_freedom) / members;
        Ok(Self {
            folder,
            atoms,
            degrees_of_freedom: (3 * atoms).saturating_sub(whole),
        })
    }
}

/// The stage that is to be looked at, and the run file as it is for it; `None` of a run without stages.
fn chosen_stage<'r>(
    recorded: &'r RecordedRun,
    name: Option<&str>,
) -> Result<Option<(Value, &'r RecordedStage)>> {
    let Some(all) = recorded.config.get("stage").and_then(Value::as_array) else {
        return match name {
            Some(_) => Err(Error::input(
                "it is of a run without stages: leave --stage out",
            )),
            None => Ok(None),
        };
    };
    let known: Vec<&str> = recorded
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    let found = match name {
        Some(name) => recorded.stages.iter().find(|stage| stage.name == name),
        None => recorded.stages.last(),
    };
    let stage = found.ok_or_else(|| {
        Error::input(format!(
            "it has no stage {:?} that has ended or come to a stop; it has {}",
            name.unwrap_or("at all"),
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        ))
    })?;
    let mut config = recorded.config.clone();
    let own = all.iter().find(|one| one["name"] == stage.name.as_str());
    if let Some(own) = own {
        config["dynamics"] = own["dynamics"].clone();
        if let Some(list) = own["output"].get("trajectory") {
            let mut list = list.clone();
            for one in list.as_array_mut().into_iter().flatten() {
                one["stage"] = stage.name.as_str().into();
            }
            config["output"]["trajectory"] = list;
        }
    }
    Ok(Some((config, stage)))
}

/// The error of a trajectory without velocities.
fn no_velocities(place: &str) -> Error {
    Error::input(format!(
        "{place}: there are no velocities in it, without which there are no vacf and spectrum; set \
         [[output.trajectory]] format = \"xyz\", fields = [\"velocities\"], every = \"4 fs\" or less, and run it again"
    ))
}

/// A number of steps, which may be given as a time.
fn steps(value: &Value, timestep: f64) -> Option<u64> {
    if let Some(steps) = value.as_u64() {
        return Some(steps);
    }
    let exact = units::parse(value.as_str()?, Dimension::Time).ok()? / timestep;
    let whole = (exact - exact.round()).abs() <= WHOLE * exact.max(1.0);
    Some(if whole { exact.round() } else { exact.ceil() } as u64)
}
