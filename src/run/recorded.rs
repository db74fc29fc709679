//! A run as its directory has it: its plan from `run.json`, to go on with it wherever the directory is now.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::config::plan::{StartPlan, VelocityPlan};
use crate::config::{Asked, RecordedConfig};
use crate::core::FormalElectrons;
use crate::models::ModelFile;
use crate::report::checkpoint::{Checkpoint, store};
use crate::report::names;
use crate::report::{Earlier, OriginFile};
use crate::text::counted;
use crate::units::{self, Dimension};
use crate::{Error, Result, input, shell};

/// Key of the overrides that a run without its structure cannot take.
const SYSTEM: &str = "system";

/// What a run that goes on in `directory` asks for, as its record resolved it, with overrides (`dynamics.duration="1 ns"`) and
/// with other places of its models if some are given.
///
/// The run starts from its structure where that is what it was. Without it, the checkpoint tells all that matters. Many systems
/// at once and runs in stages start from their structures.
///
/// # Errors
/// The directory holds no run, its model is not there, an override is wrong, or a structure of many systems is not there.
pub fn asked(directory: &Path, models: &[PathBuf], overrides: &[String]) -> Result<Asked> {
    let path = directory.join(names::RECORD);
    let (earlier, mut config) = read(directory)?;
    name_models(&mut config, &path, models)?;
    let recorded = RecordedConfig {
        config: &config,
        path: &path,
        overrides,
        directory: Some(directory),
    };
    let source = earlier.config_file.clone().unwrap_or(path.clone());
    if recorded.is_of_many() {
        let mut batch = recorded.of_many()?;
        for member in &mut batch.members {
            member.plan.source.clone_from(&source);
        }
        batch.source = source;
        return Ok(Asked::Several(Box::new(batch)));
    }
    if recorded.is_staged() {
        let mut staged = recorded.staged()?;
        for plan in &mut staged.stages {
            plan.source.clone_from(&source);
        }
        staged.source = source;
        return Ok(Asked::Staged(Box::new(staged)));
    }
    let structure = earlier.structure.as_ref();
    let there = structure
        .is_some_and(|had| OriginFile::read(&had.path).is_ok_and(|has| has.sha256 == had.sha256));
    let mut plan = if there {
        recorded.from_structure()?
    } else {
        recorded.from_state(state(&earlier, &config, directory, overrides)?)?
    };
    plan.source = source;
    Ok(Asked::One(Box::new(plan)))
}

/// The record of the run in a directory, and the run file that it resolved.
fn read(directory: &Path) -> Result<(Earlier, Table)> {
    let place = directory.display();
    if directory.is_file() {
        return Err(Error::input(format!(
            "{place} is a file; the directory of a run is wanted (that of a run file: mdrun {} --resume)",
            shell::quoted(directory)
        )));
    }
    if !directory.is_dir() {
        return Err(Error::input(format!(
            "{place} is not the directory of a run: there is no such directory; to begin a run: mdrun CONFIG.toml"
        )));
    }
    let mut earlier = Earlier::read(directory);
    let config = earlier.config.take();
    let table = config.and_then(|config| serde_json::from_value(config).ok());
    table.map(|table| (earlier, table)).ok_or_else(|| {
        Error::input(format!(
            "{place} holds no run to go on with: it has no {} that says what was run; to begin a run: mdrun \
             CONFIG.toml",
            names::RECORD
        ))
    })
}

/// Puts models in the place of a run's, if some are given, and checks that they are there.
fn name_models(config: &mut Table, record: &Path, models: &[PathBuf]) -> Result<()> {
    if !models.is_empty() {
        return rename_models(config, models);
    }
    let named = config.get("potential").and_then(|p| p.get("model"));
    let base = record.parent().unwrap_or(Path::new(""));
    let several = named.and_then(Value::as_array).into_iter().flatten();
    for model in named.into_iter().chain(several).filter_map(Value::as_str) {
        (ModelFile::find(&input::path_of(model), base).map(drop)).map_err(|e| {
            Error::input(format!(
                "{}: the run's model: {e}; --model tells where it is now",
                record.display()
            ))
        })?;
    }
    Ok(())
}

/// Puts models in the place of those that a resolved run file names.
///
/// # Errors
/// There is no such model, or the run has more of them, or fewer.
pub(crate) fn rename_models(config: &mut Table, models: &[PathBuf]) -> Result<()> {
    let find = |model: &PathBuf| Ok(ModelFile::find(model, Path::new(""))?.whole_name());
    let mut places = models.iter().map(find).collect::<Result<Vec<String>>>()?;
    let potential = config.get_mut("potential").and_then(|p| p.as_table_mut());
    let Some(named) = potential.and_then(|potential| potential.get_mut("model")) else {
        return Ok(());
    };
    let count = named.as_array().map_or(1, Vec::len);
    if places.len() != count {
        return Err(Error::input(format!(
            "the run has {}, and --model names {}: name each, in their order",
            counted(count as u64, "model"),
            places.len()
        )));
    }
    *named = match named {
        Value::Array(_) => places.into(),
        _ => places.remove(0).into(),
    };
    Ok(())
}

/// The start of a run whose structure is not there any more: the state that it has come to.
fn state(
    earlier: &Earlier,
    config: &Table,
    directory: &Path,
    overrides: &[String],
) -> Result<StartPlan> {
    let structure = earlier.structure.as_ref().map(|had| had.path.clone());
    let structure = structure.unwrap_or_else(|| PathBuf::from("the structure"));
    let is_system = |setting: &&String| {
        let key = setting.split(['=', '.']).next();
        key.is_some_and(|key| key.trim() == SYSTEM)
    };
    let gone = structure.display();
    if let Some(setting) = overrides.iter().find(is_system) {
        return Err(Error::input(format!(
            "--set {setting}: {gone} is not the structure of this run any more, and the run goes on from its \
             checkpoint alone: no key of [system] can be set"
        )));
    }
    let found = store::newest(directory)?.ok_or_else(|| {
        Error::input(format!(
            "{} holds no checkpoint to go on from, and {gone} is not the structure of this run any more: put it \
             back, then type the same again",
            directory.display()
        ))
    })?;
    let Checkpoint {
        system,
        cell,
        positions,
        velocities,
        energies,
        ..
    } = found.checkpoint;
    Ok(StartPlan {
        structure,
        system,
        names: None,
        cell,
        positions,
        // The checkpoint has no structure file's word.
        electrons: FormalElectrons::default(),
        velocities: drawn(config).unwrap_or(VelocityPlan::Given(velocities)),
        // The plan takes that of the record.
        replica: None,
        noise: None,
        degrees_of_freedom: Some(energies.degrees_of_freedom),
        volume: energies.volume.first(),
    })
}

/// The velocities of a run that drew its own.
fn drawn(config: &Table) -> Option<VelocityPlan> {
    let velocities = config.get(SYSTEM)?.get("velocities")?;
    let kt = units::parse(
        velocities.get("temperature")?.as_str()?,
        Dimension::Temperature,
    )
    .ok()?;
    let seed = u32::try_from(velocities.get("seed")?.as_integer()?).ok()?;
    Some(VelocityPlan::Thermal { kt, seed })
}
