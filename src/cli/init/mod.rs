//! `mdrun init`: a commented run file for a structure of one's own.

mod potential;
mod runfile;
mod sound;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::core::{Cell, Fitted, elements};
use crate::formats::{self, Structure};
use crate::input::path_text;
use crate::potential::ElectronScene;
use crate::report::file::replace;
use crate::shell::quoted;
use crate::terminal::Terminal;
use crate::text::counted;
use crate::{Error, Result, streams};
use potential::Chosen;
use runfile::{Around, Draft};

/// `mdrun init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes a run file in stages (minimise, heat, equilibrate, produce) whose comments say why each value, with the shipped \
potential that knows the elements. Nothing runs.

  mdrun init my.sdf
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
/// The structure cannot be used or is no structure in space with its hydrogens, no potential knows its elements, the protocol does not
/// fit, or a file is there already or cannot be written.
pub fn run(args: &InitArgs) -> Result<ExitCode> {
    let within = |e: Error| e.within(args.structure.display());
    let structure = read(args)?;
    let target = args.target(&structure)?;
    target.check_free(args.force, &structure)?;
    let fitted = structure.fitted().map_err(within)?;
    crate::config::check_overlaps(&structure.system(), &structure.positions, &fitted.cell)
        .map_err(within)?;
    if !args.as_is {
        sound::check(&structure, &fitted.cell).map_err(within)?;
    }
    let surroundings = Around::of(&fitted.cell);
    let protocol = protocol(args, surroundings)?;
    let chosen = Chosen::find(&args.models, &structure.species, &target.folder).map_err(within)?;
    let remarks = remarks(&structure, &fitted, &chosen);
    for remark in &remarks {
        streams::tell(&Terminal::err().message(remark));
    }
    let draft = Draft {
        structure: text_of(&relative(&structure.path, &target.folder)),
        frame: args.frame.filter(|_| structure.frames > 1),
        name: &target.name,
        species: &structure.species,
        surroundings,
        protocol,
        potential: &chosen,
        bath: None,
        remarks: &remarks,
    };
    replace(&target.file, draft.text().as_bytes())?;
    report(&structure, protocol, &chosen, &target)?;
    Ok(ExitCode::SUCCESS)
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
fn protocol(args: &InitArgs, surroundings: Around) -> Result<Protocol> {
    let open = surroundings != Around::Box;
    match args.protocol {
        None if open => Ok(Protocol::Nvt),
        None => Ok(Protocol::Npt),
        Some(Protocol::Npt) if open => {
            let structure = quoted(&args.structure);
            let place = args.structure.display();
            Err(Error::input(match surroundings {
                Around::Partly => format!(
                    "{place}: --protocol npt presses on a cell that is periodic in all directions, and this one is not; type \
                     `mdrun init {structure} --protocol nvt`"
                ),
                _ => format!(
                    "{place}: --protocol npt presses on a box, and this molecule is in the open, where there is nothing to press \
                     on; type `mdrun init {structure} --protocol nvt`"
                ),
            }))
        }
        Some(asked) => Ok(asked),
    }
}

/// What there is to say of the structure, each with `note:` or `warning:` before it.
fn remarks(structure: &Structure, fitted: &Fitted, chosen: &Chosen) -> Vec<String> {
    let notes = structure.notes.iter().chain(&fitted.notes);
    let notes = notes.map(|note| format!("note: {note}"));
    let charge = structure.electrons.charge();
    let charged = (charge != 0).then(|| {
        format!(
            "warning: the file gives these atoms a charge of {charge:+}, and the potential has no charges: it moves them as if \
             they were neutral; take the neutral form, or a potential that was trained for this ion (--model)"
        )
    });
    let doubts = chosen.model.doubts(&ElectronScene {
        species: &structure.species,
        cell: &fitted.cell,
        positions: &structure.positions,
        electrons: &structure.electrons,
    });
    let doubts = doubts.into_iter().map(|doubt| format!("warning: {doubt}"));
    notes.chain(charged).chain(doubts).collect()
}

/// Says what was written, and what to type next.
fn report(
    structure: &Structure,
    protocol: Protocol,
    chosen: &Chosen,
    target: &RunFilePlace,
) -> Result<()> {
    let atoms = counted(structure.species.len() as u64, "atom");
    let file = quoted(&target.file);
    let text = format!(
        "  structure      {} ({atoms})\n  potential      {}\n  protocol       {}\n  written        {}\n\n\
         Next: `mdrun check {file}`, then `mdrun {file}`\n",
        elements::formula(&structure.species),
        chosen.words(),
        protocol.word(),
        target.file.display(),
    );
    streams::print(&Terminal::out().fit(&text))
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
    /// Checks that nothing is lost by writing the run file.
    fn check_free(&self, force: bool, structure: &Structure) -> Result<()> {
        free(&self.file, force, structure)
    }
}

/// Checks that nothing is lost by writing a file.
fn free(file: &Path, force: bool, structure: &Structure) -> Result<()> {
    let place = file.display();
    let canonical = |path: &Path| std::fs::canonicalize(path).ok();
    if canonical(file).is_some_and(|file| canonical(&structure.path) == Some(file)) {
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
