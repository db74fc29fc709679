//! `mdrun minimize`: the nearest minimum of the energy, over positions and cell.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::energy::SinglePoint;
use super::energy_of_all::is_free;
use super::interrupt::Interrupt;
use super::minimize_all;
use super::subject::{FrameChoice, Prepared, SubjectArgs};
use crate::config::plan::DeviceKind;
use crate::core::Cell;
use crate::dynamics::Coupling;
use crate::formats::Structure;
use crate::formats::write::xyz::EvaluatedFrame;
use crate::minimize::{
    DescentMethod, LONGEST, MinimizerEnd, MinimizerMoment, MinimizerSettings, Minimum, minimize,
};
use crate::potential::Precision;
use crate::report::WholeFile;
use crate::run::words;
use crate::terminal::{Mood, Terminal};
use crate::text::{counted, significant};
use crate::units::{self, Dimension, GIGAPASCAL};
use crate::{Error, Result, streams};

/// It has not come to a minimum.
const NOT_CONVERGED: u8 = 3;
/// Skin of the list of pairs (angstrom): steps are a fifth of an angstrom at the most, and smaller and smaller.
const SKIN: f64 = 0.5;
/// Largest force (eV / angstrom) that is safely above the error of f32; smaller ones are found in f64.
const REACH_OF_F32: f64 = 1e-3;
/// The key of a frame that says how it ended.
const STATUS: &str = "status";

/// `mdrun minimize`.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes extended XYZ with energy, forces and, for a cell, stress; ASE and OVITO read it. With --frame all each frame of the \
structure file is minimised by itself, all at once, and written in its place; the comment tells how it ended (status).

  mdrun minimize --structure molecule.sdf --out minimum.xyz
  mdrun minimize --structure crystal.cif --out minimum.xyz --cell triclinic --pressure '1 GPa'

Ctrl-C, or another signal that asks for an end, ends it after the evaluation under way; the lowest arrangement found so far is \
written.

Exit codes: 0 converged; 3 not converged, by --most-steps or because the numbers allow no more, and written all the same; 1 the \
energy is not a finite number, or some frames could not be minimised; 2 the input is wrong; 128 + a signal's number: it was \
interrupted.")]
pub struct MinimizeArgs {
    /// What is computed, and where.
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Write into this file (extended XYZ)
    #[arg(long, value_name = "FILE", required_unless_present = "json")]
    pub out: Option<PathBuf>,
    /// Replace the file of --out
    #[arg(long, requires = "out")]
    pub overwrite: bool,
    /// The way down
    #[arg(long, default_value = "lbfgs", value_parser = methods())]
    pub method: DescentMethod,
    /// Done where no atom feels a larger force
    #[arg(long, value_name = "FORCE", default_value = "1e-3 eV/A", value_parser = force)]
    pub force: f64,
    /// Change the cell too: its size; its edges, at right angles; edges and angles (full is the same); or a and b alike and c not
    #[arg(long, value_parser = couplings())]
    pub cell: Option<Coupling>,
    /// With --cell: the pressure on it [default: 0 bar]
    #[arg(long, value_name = "PRESSURE", requires = "cell", value_parser = pressure, allow_negative_numbers = true)]
    pub pressure: Option<f64>,
    /// With --cell: done where the stress beyond the pressure is no larger either [default: 10 bar]
    #[arg(long, value_name = "STRESS", requires = "cell", value_parser = stress)]
    pub stress: Option<f64>,
    /// Most steps
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub most_steps: u64,
    /// Print JSON (with --frame all a line for each, with its number as frame): what `mdrun energy --json` prints of the minimum,
    /// pairs aside, and converged, end, steps, evaluations, largest_force_ev_per_angstrom, of a cell that changes enthalpy_ev and
    /// largest_stress_ev_per_angstrom3
    #[arg(long)]
    pub json: bool,
}

fn methods() -> impl TypedValueParser<Value = DescentMethod> {
    let words = DescentMethod::WORDS;
    PossibleValuesParser::new(words.map(|(name, _)| name)).map(move |name| {
        let found = words.iter().find(|(word, _)| *word == name);
        found.map_or_else(DescentMethod::default, |(_, method)| *method)
    })
}

fn couplings() -> impl TypedValueParser<Value = Coupling> {
    let names = ["isotropic", "anisotropic", "triclinic", "full", "xy"];
    PossibleValuesParser::new(names).map(|name| match name.as_str() {
        "isotropic" => Coupling::Isotropic,
        "anisotropic" => Coupling::Anisotropic,
        "xy" => Coupling::Plane,
        _ => Coupling::Triclinic,
    })
}

fn quantity(text: &str, wanted: Dimension) -> std::result::Result<f64, String> {
    units::parse(text, wanted).map_err(|error| error.to_string())
}

fn positive(text: &str, wanted: Dimension) -> std::result::Result<f64, String> {
    match quantity(text, wanted)? {
        value if value > 0.0 => Ok(value),
        _ => Err("it has to be larger than zero".to_owned()),
    }
}

fn force(text: &str) -> std::result::Result<f64, String> {
    positive(text, Dimension::Force)
}

fn stress(text: &str) -> std::result::Result<f64, String> {
    positive(text, Dimension::Pressure)
}

fn pressure(text: &str) -> std::result::Result<f64, String> {
    quantity(text, Dimension::Pressure)
}

impl MinimizeArgs {
    /// What is minimised, how, and until when.
    pub(super) fn settings(&self) -> MinimizerSettings {
        MinimizerSettings {
            method: self.method,
            cell: self.cell,
            pressure: self.pressure.unwrap_or(0.0),
            force: self.force,
            stress: self.stress.unwrap_or(10.0 * units::BAR),
            most_steps: self.most_steps,
            longest: LONGEST,
        }
    }

    /// What is computed, and where: in f64, on the CPU, where finer forces are asked for than f32 has, and nothing else.
    pub(super) fn place(&self) -> SubjectArgs {
        let mut subject = self.subject.clone();
        let chosen = subject.device == DeviceKind::Auto && subject.precision.is_none();
        if chosen && self.force < REACH_OF_F32 {
            subject.device = DeviceKind::Cpu;
            subject.precision = Some(Precision::F64);
        }
        subject
    }

    /// Checks that the file can be written.
    fn check_target(&self) -> Result<()> {
        let Some(out) = &self.out else {
            return Ok(());
        };
        let ending = out
            .extension()
            .map(|ending| ending.to_string_lossy().to_lowercase());
        if !ending.is_some_and(|ending| ["xyz", "extxyz"].contains(&ending.as_str())) {
            return Err(Error::input(format!(
                "{}: extended XYZ is written, for a name that ends in .xyz or .extxyz",
                out.display()
            )));
        }
        is_free(
            &self.subject,
            out,
            self.overwrite.then_some(()).ok_or("--overwrite"),
        )
    }
}

/// Runs the command.
///
/// # Errors
/// The model or the structure cannot be used, the energy of the start is not a finite number, or the result cannot be written.
pub fn run(args: &MinimizeArgs) -> Result<ExitCode> {
    args.check_target()?;
    if args.subject.frame == Some(FrameChoice::All) {
        return minimize_all::run(args);
    }
    let prepared = args.place().prepare(SKIN)?;
    let Prepared {
        structure, cell, ..
    } = &prepared;
    let mut field = prepared.field()?;
    let interrupt = Interrupt::watch()?;
    let asked = interrupt.shared();
    let bar = progress(args.json);
    let mut first = None;
    let minimum = minimize(
        field.as_mut(),
        &args.settings(),
        (cell, &structure.positions),
        &mut |moment| {
            first.get_or_insert(moment.enthalpy);
            bar.set_message(line(moment));
            match asked.load(Ordering::Acquire) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        },
    );
    bar.finish_and_clear();
    let minimum = minimum.map_err(|e| e.within(args.subject.structure.display()))?;
    let relaxed = RelaxedFrame {
        structure,
        minimum: &minimum,
        notes: &prepared.notes,
        number: 0,
    };
    if let Some(out) = &args.out {
        let mut text = Vec::new();
        relaxed.write(&mut text);
        let mut file = WholeFile::begin(out)?;
        file.append(&text)?;
        file.finish()?;
    }
    match args.json {
        true => streams::print(&format!("{}\n", relaxed.json()))?,
        false => relaxed.summary(args, first.unwrap_or(minimum.enthalpy))?,
    }
    match interrupt.signal() {
        Some(signal) if minimum.end == MinimizerEnd::Interrupted => Ok(signal.exit_code()),
        _ => Ok(exit_code([minimum.end])),
    }
}

/// The exit code of minimisations that have ended so.
pub(super) fn exit_code(ends: impl IntoIterator<Item = MinimizerEnd>) -> ExitCode {
    match ends.into_iter().all(|end| end == MinimizerEnd::Converged) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(NOT_CONVERGED),
    }
}

/// A line of progress; nothing where standard error is no terminal.
pub(super) fn progress(hidden: bool) -> ProgressBar {
    let bar = match hidden {
        true => ProgressBar::hidden(),
        false => ProgressBar::new_spinner(),
    };
    if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
        bar.set_style(style);
    }
    bar
}

/// Where it has come, in a line.
fn line(moment: &MinimizerMoment<'_>) -> String {
    let stress = moment.stress.map_or_else(String::new, |stress| {
        format!(", stress {} GPa", significant(stress / GIGAPASCAL, 3))
    });
    format!(
        "step {}: {:.6} eV, largest force {} eV/A{stress}",
        moment.step,
        moment.enthalpy,
        significant(moment.force, 3)
    )
}

/// What an end is called where machines read it.
pub(super) fn word(end: MinimizerEnd) -> &'static str {
    match end {
        MinimizerEnd::Converged => "converged",
        MinimizerEnd::MostSteps => "most_steps",
        MinimizerEnd::NumbersEnd => "numbers_end",
        MinimizerEnd::Interrupted => "interrupted",
    }
}

/// The end of a minimisation of a frame.
pub(super) struct RelaxedFrame<'a> {
    pub(super) structure: &'a Structure,
    pub(super) minimum: &'a Minimum,
    pub(super) notes: &'a [String],
    pub(super) number: usize,
}

impl RelaxedFrame<'_> {
    /// Appends it as extended XYZ.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        EvaluatedFrame {
            number: self.number,
            species: &self.structure.species,
            cell: &self.minimum.cell,
            positions: &self.minimum.positions,
            evaluation: &self.minimum.evaluation,
            tag: (STATUS, word(self.minimum.end)),
        }
        .write(out);
    }

    /// All of it.
    pub(super) fn json(&self) -> Value {
        let minimum = self.minimum;
        let structure = Structure {
            positions: minimum.positions.clone(),
            ..self.structure.clone()
        };
        let mut value = SinglePoint {
            cell: &minimum.cell,
            structure: &structure,
            notes: self.notes,
            evaluation: &minimum.evaluation,
            pairs: 0,
        }
        .json();
        // They were counted of the last arrangement on the way.
        value.as_object_mut().map(|keys| keys.remove("pairs"));
        value["converged"] = json!(minimum.end == MinimizerEnd::Converged);
        value["end"] = json!(word(minimum.end));
        value["steps"] = json!(minimum.steps);
        value["evaluations"] = json!(minimum.evaluations);
        value["largest_force_ev_per_angstrom"] = json!(minimum.force);
        if let Some(stress) = minimum.stress {
            value["enthalpy_ev"] = json!(minimum.enthalpy);
            value["largest_stress_ev_per_angstrom3"] = json!(stress);
        }
        value
    }

    /// Prints what was found, for people; `first` is the energy, or the enthalpy, of the start (eV).
    fn summary(&self, args: &MinimizeArgs, first: f64) -> Result<()> {
        let minimum = self.minimum;
        let (verdict, mood) = verdict(minimum.end);
        let mut text = format!(
            "  verdict        {verdict}, after {} and {}\n",
            counted(minimum.steps, "step"),
            counted(minimum.evaluations, "evaluation")
        );
        text += &format!("  energy         {:.9} eV\n", minimum.evaluation.energy);
        if minimum.stress.is_some() {
            text += &format!("  enthalpy       {:.9} eV\n", minimum.enthalpy);
        }
        text += &format!(
            "  came down by   {} eV\n",
            significant(first - minimum.enthalpy, 6)
        );
        text += &format!(
            "  largest force  {} eV/A (asked for: {})\n",
            significant(minimum.force, 3),
            significant(args.force, 3)
        );
        if let Some(stress) = minimum.stress {
            let asked = args.settings();
            text += &format!(
                "  stress         {} GPa beyond the pressure of {} GPa (asked for: {})\n",
                significant(stress / GIGAPASCAL, 3),
                significant(asked.pressure / GIGAPASCAL, 3),
                significant(asked.stress / GIGAPASCAL, 3)
            );
        }
        text += &cell(&minimum.cell);
        if let Some(out) = &args.out {
            text += &written(out);
        }
        streams::print(&Terminal::out().verdict(&text, "verdict", mood))
    }
}

/// What an end means.
fn verdict(end: MinimizerEnd) -> (&'static str, Mood) {
    match end {
        MinimizerEnd::Converged => ("converged", Mood::Good),
        MinimizerEnd::MostSteps => (
            "not converged: all steps are taken (--most-steps allows more)",
            Mood::Bad,
        ),
        MinimizerEnd::NumbersEnd => (
            "not converged: neither energy nor forces become smaller in these numbers (--precision f64 has the finest; else ask \
             for a larger --force)",
            Mood::Bad,
        ),
        MinimizerEnd::Interrupted => (
            "interrupted: this is the lowest arrangement so far",
            Mood::Doubt,
        ),
    }
}

fn cell(cell: &Cell) -> String {
    let volume = cell.volume();
    let volume = volume.map_or_else(String::new, |v| format!("; {} A^3", significant(v, 7)));
    format!("  cell           {}{volume}\n", words::cell(cell))
}

fn written(out: &Path) -> String {
    format!("  written        {}\n", out.display())
}
