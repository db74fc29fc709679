//! A run as its directory has it: its plan from `run.json`, to go on with it wherever the directory is now.

use std::path::{Path, PathBuf};

use toml::Table;

use crate::config::RecordedConfig;
use crate::config::plan::{Plan, StartPlan, VelocityPlan};
use crate::core::FormalElectrons;
use crate::models::ModelFile;
use crate::paths::absolute;
use crate::report::checkpoint::{Checkpoint, store};
use crate::report::names;
use crate::report::{Earlier, OriginFile};
use crate::units::{self, Dimension};
use crate::{Error, Result, input, shell};

/// Key of the overrides that a run without its structure cannot take.
const SYSTEM: &str = "system";

/// The plan of a run that goes on in `directory`, as its record resolved it, with overrides (`dynamics.duration="1 ns"`) and
/// with another place of its model if one is given.
///
/// The run starts from its structure where that is what it was. Without it, the checkpoint tells all that matters.
///
/// # Errors
/// The directory holds no run, its model is not there, or an override is wrong.
pub fn plan(directory: &Path, model: Option<&Path>, overrides: &[String]) -> Result<Plan> {
    let path = directory.join(names::RECORD);
    let (earlier, mut config) = read(directory)?;
    name_model(&mut config, &path, model)?;
    let recorded = RecordedConfig {
        config: &config,
        path: &path,
        overrides,
        directory: Some(directory),
    };
    let structure = earlier.structure.as_ref();
    let there = structure
        .is_some_and(|had| OriginFile::read(&had.path).is_ok_and(|has| has.sha256 == had.sha256));
    let mut plan = if there {
        recorded.from_structure()?
    } else {
        recorded.from_state(state(&earlier, &config, directory, overrides)?)?
    };
    plan.source = earlier.config_file.unwrap_or(path);
    Ok(plan)
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

/// Puts a model in the place of a run's, and checks that it is there.
fn name_model(config: &mut Table, record: &Path, model: Option<&Path>) -> Result<()> {
    if let Some(model) = model {
        rename_model(config, &ModelFile::find(model, Path::new(""))?);
        return Ok(());
    }
    let named = config.get("potential").and_then(|p| p.get("model"));
    let Some(named) = named.and_then(|model| model.as_str()) else {
        return Ok(());
    };
    let base = record.parent().unwrap_or(Path::new(""));
    (ModelFile::find(&input::path_of(named), base).map(drop)).map_err(|e| {
        Error::input(format!(
            "{}: the run's model: {e}; --model tells where it is now",
            record.display()
        ))
    })
}

/// Puts a model in the place of the one that a resolved run file names.
pub(crate) fn rename_model(config: &mut Table, model: &ModelFile) {
    let place = match model {
        ModelFile::Path(path) => absolute(path),
        ModelFile::Embedded(model) => model.name.to_owned(),
    };
    let potential = config.get_mut("potential").and_then(|p| p.as_table_mut());
    if let Some(potential) = potential.filter(|p| p.contains_key("model")) {
        potential.insert("model".to_owned(), place.into());
    }
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
