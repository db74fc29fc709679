//! `mdrun init`: a commented run file for a structure of one's own.

mod potential;
mod runfile;
mod sound;
mod water;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::config::check_overlaps;
use crate::core::{Cell, Fitted, elements};
use crate::formats::{self, Structure};
use crate::input::path_text;
use crate::potential::ElectronScene;
use crate::report::file::replace;
use crate::shell::quoted;
use crate::terminal::Terminal;
use crate::text::counted;
use crate::units::{self, Dimension};
use crate::{Error, Result, streams};
use potential::ChosenModel;
use runfile::{AroundAtoms, RunFileDraft};
use water::WaterBath;

/// `mdrun init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes a run file in stages (minimise, heat, equilibrate, produce) whose comments say why each value, with the shipped \
potential that knows the elements. Nothing runs.

  mdrun init my.sdf
  mdrun init my.sdf --solvate '15 A' --protocol npt
  mdrun check my.toml
  mdrun my.toml

Exit codes: 0 written; 1 a file cannot be written; 2 the input is wrong, and nothing was written.")]
pub struct InitArgs {
    /// The structure: extended XYZ, PDB, GRO, CIF, mmCIF, MOL2, SDF, CML, or the directory of a run
    #[arg(value_name = "STRUCTURE")]
    structure: PathBuf,
    /// What is held constant while it produces: energy, volume and temperature, pressure and temperature
    /// [default: npt for a box, else nvt]
    #[arg(long)]
    protocol: Option<Protocol>,
    /// Put the molecule into a periodic box of water, at least this far from its faces, as in --solvate '15 A'; written as
    /// NAME_solvated.xyz beside the run file
    #[arg(long, value_name = "DISTANCE", value_parser = length)]
    solvate: Option<f64>,
    /// The potential: a file, or the name of one that comes with mdrun; given several times, a committee [default: the first
    /// shipped one that knows the elements]
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<PathBuf>,
    /// Which frame of the structure file; the first is 0, the last -1
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    frame: Option<i64>,
    /// The run file to write [default: NAME.toml here, for a structure NAME.sdf]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    /// Take a structure that lacks hydrogens or looks like a drawing as it is
    #[arg(long)]
    as_is: bool,
}

fn length(text: &str) -> std::result::Result<f64, String> {
    units::parse(text, Dimension::Length).map_err(|error| error.to_string())
}

/// What is held constant while a run produces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// Energy: a test of how stable the potential and the time step are
    Nve,
    /// Volume, or nothing around a molecule, and temperature
    Nvt,
    /// Pressure and temperature: for a box
    Npt,
}

impl Protocol {
    fn word(self) -> &'static str {
        match self {
            Self::Nve => "nve",
            Self::Nvt => "nvt",
            Self::Npt => "npt",
        }
    }
}

/// Where the run file is written, and what it and what comes of it are called.
struct RunFilePlace {
    file: PathBuf,
    /// The folder that its paths are relative to.
    folder: PathBuf,
    /// Its name without the ending.
    name: String,
}

/// Runs the command.
///
/// # Errors
/// The structure cannot be used or is no structure in space with its hydrogens, no potential knows its elements, the protocol
/// does not fit, or a file is there already or cannot be written.
pub fn run(args: &InitArgs) -> Result<ExitCode> {
    let within = |e: Error| e.within(args.structure.display());
    let read = read(args)?;
    let target = args.target(&read)?;
    let fitted = read.fitted().map_err(within)?;
    check_overlaps(&read.system(), &read.positions, &fitted.cell).map_err(within)?;
    if !args.as_is {
        sound::check(&read, &fitted.cell).map_err(within)?;
    }
    let subject = InitSubject::of(read, fitted, args.solvate).map_err(within)?;
    let mut files = vec![target.file.clone()];
    files.extend(subject.bath.as_ref().map(|_| target.solvated()));
    for file in &files {
        free(file, args.force, &subject.path)?;
    }
    let around = AroundAtoms::of(&subject.cell);
    let protocol = protocol(args, around)?;
    let species = &subject.structure.species;
    let chosen = ChosenModel::find(&args.models, species, &target.folder).map_err(within)?;
    let remarks = subject.remarks(&chosen);
    for remark in &remarks {
        streams::tell(&Terminal::err().message(remark));
    }
    if subject.bath.is_some() {
        let solvated = target.solvated();
        replace(
            &solvated,
            &water::xyz(&subject.structure, &subject.path, &solvated),
        )?;
    }
    let structure = files.last().filter(|_| subject.bath.is_some());
    let words = subject.bath.as_ref().map(WaterBath::words);
    let draft = RunFileDraft {
        structure: text_of(&relative(
            structure.unwrap_or(&subject.path),
            &target.folder,
        )),
        frame: args
            .frame
            .filter(|_| subject.structure.frames > 1 && subject.bath.is_none()),
        name: &target.name,
        species,
        surroundings: around,
        protocol,
        potential: &chosen,
        bath: words.as_deref(),
        remarks: &remarks,
    };
    replace(&target.file, draft.text().as_bytes())?;
    subject.report(protocol, &chosen, &files)?;
    Ok(ExitCode::SUCCESS)
}

/// What will move.
struct InitSubject {
    structure: Structure,
    /// The file that was read.
    path: PathBuf,
    cell: Cell,
    /// Notes on the cell.
    notes: Vec<String>,
    /// The water that was put around it.
    bath: Option<WaterBath>,
}

impl InitSubject {
    /// A structure with its cell, in water where a distance (angstrom) to the faces of its box is given.
    fn of(read: Structure, fitted: Fitted, solvate: Option<f64>) -> Result<Self> {
        let path = read.path.clone();
        let Fitted { cell, notes } = fitted;
        match solvate {
            None => Ok(Self {
                structure: read,
                path,
                cell,
                notes,
                bath: None,
            }),
            Some(distance) => {
                let (structure, bath) = water::solvate(&read, distance)?;
                Ok(Self {
                    cell: structure.cell()?,
                    structure,
                    path,
                    notes,
                    bath: Some(bath),
                })
            }
        }
    }

    /// What there is to say of it, each with `note:` or `warning:` before it.
    fn remarks(&self, chosen: &ChosenModel) -> Vec<String> {
        let Self {
            structure, cell, ..
        } = self;
        let notes = structure.notes.iter().chain(&self.notes);
        let notes = notes.map(|note| format!("note: {note}"));
        let charge = structure.electrons.charge();
        let charged = (charge != 0).then(|| {
            format!(
                "warning: the file gives these atoms a charge of {charge:+}, and the potential has no charges: it moves them as \
                 if they were neutral; take the neutral form, or a potential that was trained for this ion (--model)"
            )
        });
        let doubts = chosen.model.doubts(&ElectronScene {
            species: &structure.species,
            cell,
            positions: &structure.positions,
            electrons: &structure.electrons,
        });
        let doubts = doubts.into_iter().map(|doubt| format!("warning: {doubt}"));
        notes.chain(charged).chain(doubts).collect()
    }

    /// Says what was written, and what to type next.
    fn report(&self, protocol: Protocol, chosen: &ChosenModel, files: &[PathBuf]) -> Result<()> {
        let species = &self.structure.species;
        let file = quoted(&files[0]);
        let mut text = format!(
            "  structure      {} ({})\n",
            elements::formula(species),
            counted(species.len() as u64, "atom")
        );
        if let Some(bath) = &self.bath {
            text += &format!("  water          {}\n", bath.words());
        }
        text += &format!("  potential      {}\n", chosen.words());
        text += &format!("  protocol       {}\n", protocol.word());
        for file in files.iter().rev() {
            text += &format!("  written        {}\n", file.display());
        }
        text += &format!("\nNext: `mdrun check {file}`, then `mdrun {file}`\n");
        streams::print(&Terminal::out().fit(&text))
    }
}

/// Reads the structure that is asked for.
fn read(args: &InitArgs) -> Result<Structure> {
    let mut structure = formats::read_frame(&args.structure, args.frame.unwrap_or(0))?;
    if structure.frames > 1 && args.frame.is_none() {
        structure.notes.push(format!(
            "it has {} frames; this is the first, --frame -1 takes the last",
            structure.frames
        ));
    }
    Ok(structure)
}

/// The protocol that is asked for, where it can be had of what is around the atoms.
fn protocol(args: &InitArgs, surroundings: AroundAtoms) -> Result<Protocol> {
    let open = surroundings != AroundAtoms::Box;
    match args.protocol {
        None if open => Ok(Protocol::Nvt),
        None => Ok(Protocol::Npt),
        Some(Protocol::Npt) if open => {
            let structure = quoted(&args.structure);
            let place = args.structure.display();
            Err(Error::input(match surroundings {
                AroundAtoms::Partly => format!(
                    "{place}: --protocol npt presses on a cell that is periodic in all directions, and this one is not; type \
                     `mdrun init {structure} --protocol nvt`"
                ),
                _ => format!(
                    "{place}: --protocol npt presses on a box, and this molecule is in the open, where there is nothing to press \
                     on; type `mdrun init {structure} --protocol npt --solvate '15 A'` for it in water, or \
                     `mdrun init {structure} --protocol nvt` for it alone"
                ),
            }))
        }
        Some(asked) => Ok(asked),
    }
}

impl InitArgs {
    /// Where the run file goes.
    fn target(&self, structure: &Structure) -> Result<RunFilePlace> {
        let file = match &self.out {
            Some(out) => out.clone(),
            None => {
                let whole = std::path::absolute(&self.structure).ok();
                let named = whole.as_deref().unwrap_or(&self.structure);
                let named = match self.structure.is_dir() {
                    true => named.file_name(),
                    false => structure.path.file_stem(),
                };
                let mut name = named.unwrap_or("run".as_ref()).to_owned();
                name.push(".toml");
                PathBuf::from(name)
            }
        };
        let place = file.display();
        if file.extension().is_none_or(|ending| ending != "toml") {
            return Err(Error::input(format!(
                "{place}: a run file's name ends with .toml: --out {}",
                quoted(&file.with_added_extension("toml"))
            )));
        }
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        if !folder.is_dir() {
            return Err(Error::input(format!(
                "{place}: there is no folder {}; make it first",
                folder.display()
            )));
        }
        let name = file.file_stem().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        Ok(RunFilePlace { file, folder, name })
    }
}

impl RunFilePlace {
    /// The structure in its water, beside the run file.
    fn solvated(&self) -> PathBuf {
        let mut name = self.file.file_stem().unwrap_or_default().to_owned();
        name.push("_solvated.xyz");
        self.file.with_file_name(name)
    }
}

/// Checks that nothing is lost by writing a file.
fn free(file: &Path, force: bool, structure: &Path) -> Result<()> {
    let place = file.display();
    let canonical = |path: &Path| std::fs::canonicalize(path).ok();
    if canonical(file).is_some_and(|file| canonical(structure) == Some(file)) {
        return Err(Error::input(format!(
            "{place}: this is the file that is read; name another one with --out"
        )));
    }
    match file.symlink_metadata() {
        Ok(found) if found.is_dir() => Err(Error::input(format!(
            "{place} is a directory; name another file with --out"
        ))),
        Ok(_) if !force => Err(Error::input(format!(
            "{place} is there already; --force replaces it, --out FILE writes another one"
        ))),
        _ => Ok(()),
    }
}

/// A path as it is found from a folder: relative, unless only the root is above both.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let whole = |path: &Path| {
        std::fs::canonicalize(path)
            .unwrap_or_else(|_| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()))
    };
    let (Some(parent), Some(file)) = (path.parent(), path.file_name()) else {
        return path.to_owned();
    };
    let parent = match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    };
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let (to, from) = (whole(parent), whole(folder));
    let shared = (to.components().zip(from.components()))
        .take_while(|(a, b)| a == b)
        .count();
    if shared < 2 && to != from {
        return to.join(file);
    }
    let up = from.components().skip(shared).map(|_| Path::new(".."));
    let down = to.components().skip(shared);
    let mut found: PathBuf = up.collect();
    found.extend(down);
    found.push(file);
    found
}

/// A path as run files have it.
fn text_of(path: &Path) -> String {
    toml::Value::String(path_text(path)).to_string()
}

/// A cell, for those who look at one.
fn is_periodic_box(cell: &Cell) -> bool {
    cell.periodic() == [true; 3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_as_the_run_file_finds_them() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        for folder in ["runs/new", "data"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        let found = |path: &str, folder: &str| relative(&at(path), &at(folder));
        assert_eq!(found("data/a.sdf", "data"), Path::new("a.sdf"));
        assert_eq!(found("data/a.sdf", "."), Path::new("data/a.sdf"));
        assert_eq!(
            found("data/a.sdf", "runs/new"),
            Path::new("../../data/a.sdf")
        );
        assert_eq!(found("a b.sdf", "runs"), Path::new("../a b.sdf"));
    }
}
