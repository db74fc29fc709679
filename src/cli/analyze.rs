//! `mdrun analyze RUN_DIR`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::interrupt::Interrupt;
use crate::analysis::coordinates::{Coordinate, Coordinates};
use crate::analysis::density::DensityProfiles;
use crate::analysis::diffusion::{Diffusion, DiffusionOptions};
use crate::analysis::hydrogen_bonds::HydrogenBonds;
use crate::analysis::pair_distances::PairDistances;
use crate::analysis::statistics::ThermoStatistics;
use crate::analysis::vibrations::Vibrations;
use crate::analysis::{
    AnalysisFinding, FrameQuantity, Studied, StudiedFrames, StudiedRun, WrittenTrajectory, output,
    page,
};
use crate::core::{Cell, Snapshot};
use crate::report::names;
use crate::run::Interruption as _;
use crate::terminal::Terminal;
use crate::text::{counted, significant};
use crate::units::{self, Dimension, FEMTOSECOND, KELVIN, PICOSECOND};
use crate::{Error, Result, streams};

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Statistics of the thermo table, in equilibrium
    Thermo,
    /// Radial distribution by pair of elements
    Rdf,
    /// Mean squared displacement, diffusion
    Msd,
    /// Velocity autocorrelation
    Vacf,
    /// Vibrational spectrum
    Spectrum,
    /// Lengths of bonds
    Bonds,
    /// Angles between bonds
    Angles,
    /// Torsions about bonds
    Torsions,
    /// Density along the cell's axes
    Density,
    /// Hydrogen bonds
    Hbonds,
}

impl What {
    fn needs_velocities(self) -> bool {
        matches!(self, Self::Vacf | Self::Spectrum)
    }
}

/// `mdrun analyze RUN_DIR`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Reads the trajectory one frame after another, in memory that does not grow with it, and writes a table (CSV) and pictures \
(SVG) of each quantity into RUN_DIR/analysis; of many systems --member K names one, and they go into its folder. \
The run may still be going on: what is whole of its files is read.

  mdrun analyze trajectories/water --what rdf,msd,hbonds --from 5ps --html

Exit codes: 0 done; 1 a file could not be written; 2 the input is wrong; 128 + a signal's number: it was interrupted, and has \
written nothing.")]
pub struct AnalyzeArgs {
    /// The run's directory
    #[arg(value_name = "RUN_DIR")]
    pub directory: PathBuf,
    /// Of many systems, look at this one; the first is 0
    #[arg(long, value_name = "K")]
    pub member: Option<usize>,
    /// What to measure; everything that the run's files allow if it is not given
    #[arg(long, value_enum, value_delimiter = ',')]
    pub what: Vec<What>,
    /// Look at these atoms alone: a selection, such as "element O and within 5 A of index 7", or in short O,H or 0-63,99
    #[arg(long, value_name = "ATOMS")]
    pub select: Option<String>,
    /// The trajectory to read, such as traj.dcd, instead of the one with the most frames
    #[arg(long, value_name = "FILE")]
    pub trajectory: Option<String>,
    /// Of a run in stages, look at this one [default: the last that has begun]
    #[arg(long, value_name = "NAME")]
    pub stage: Option<String>,
    /// Leave out what is before this time, as in --from 5ps
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<f64>,
    /// Leave out what is after this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub to: Option<f64>,
    /// Take every so-manieth frame
    #[arg(long, value_name = "FRAMES", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// Count distances up to this (rdf), as in --range 8A
    #[arg(long, value_name = "LENGTH", value_parser = parse_length)]
    pub range: Option<f64>,
    /// Fit the mean squared displacement between these lags, as in --fit 2ps..10ps
    #[arg(long, value_name = "TIME..TIME", value_parser = parse_fit)]
    pub fit: Option<[f64; 2]>,
    /// Shear viscosity, for the diffusion coefficient in an infinite cell, as in --viscosity 0.85mPa*s
    #[arg(long, value_name = "VISCOSITY", value_parser = parse_viscosity)]
    pub viscosity: Option<f64>,
    /// Resolution of the spectrum in 1/cm
    #[arg(long, value_name = "1/CM", value_parser = parse_resolution)]
    pub resolution: Option<f64>,
    /// Write into this folder instead of RUN_DIR/analysis
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Write a page of all of it as well, analysis.html
    #[arg(long)]
    pub html: bool,
    /// Print the figures as JSON, and nothing else on standard output
    #[arg(long)]
    pub json: bool,
}

fn quantity(text: &str, dimension: Dimension) -> std::result::Result<f64, String> {
    match units::parse(text, dimension).map_err(|e| e.to_string())? {
        value if value >= 0.0 => Ok(value),
        _ => Err("it is less than zero".to_owned()),
    }
}

fn parse_time(text: &str) -> std::result::Result<f64, String> {
    quantity(text, Dimension::Time)
}

fn parse_length(text: &str) -> std::result::Result<f64, String> {
    let length = quantity(text, Dimension::Length)?;
    if length > 0.0 {
        Ok(length)
    } else {
        Err("a length greater than zero is wanted".to_owned())
    }
}

fn parse_fit(text: &str) -> std::result::Result<[f64; 2], String> {
    let ends = text
        .split_once("..")
        .ok_or("two times are wanted, as in 2ps..10ps")?;
    let [first, last] = [parse_time(ends.0)?, parse_time(ends.1)?];
    if first < last {
        Ok([first, last])
    } else {
        Err("the first time is the shorter one".to_owned())
    }
}

fn parse_viscosity(text: &str) -> std::result::Result<f64, String> {
    let number = ["mPa*s", "mPa s", "mPa.s", "mPas", "cP"]
        .iter()
        .find_map(|unit| text.strip_suffix(unit));
    let number = number.ok_or("a viscosity is wanted, as in 0.85mPa*s (or cP)")?;
    match number.trim().parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(1e-3 * value),
        _ => Err(format!(
            "{:?} is not a number greater than zero",
            number.trim()
        )),
    }
}

fn parse_resolution(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (1e-3..=1e4).contains(&value) => Ok(value),
        _ => Err("a number of 1/cm from 0.001 to 10000 is wanted".to_owned()),
    }
}

/// Runs the command.
///
/// # Errors
/// The directory holds no run, its files are not what they should be, or what was asked for cannot be measured.
pub fn run(args: &AnalyzeArgs) -> Result<ExitCode> {
    let interrupt = Interrupt::watch()?;
    let run = StudiedRun::of_stage(&args.directory, (args.member, args.stage.as_deref()))?;
    let mut args = args.clone();
    if let Some([begins, ends]) = run.window {
        args.from = Some(args.from.map_or(begins, |from| from.max(begins)));
        args.to = args.to.map(|to| to.min(ends)).or(Some(ends));
    }
    let args = &args;
    let mut analysis = Analysis {
        args,
        run,
        interrupt,
        kt: None,
        findings: Vec::new(),
        remarks: Vec::new(),
        looked: Vec::new(),
    };
    analysis.all()?;
    if let Some(signal) = analysis.interrupt.signal() {
        streams::tell(&Terminal::err().message("interrupted: nothing was written"));
        return Ok(signal.exit_code());
    }
    analysis.close()?;
    Ok(ExitCode::SUCCESS)
}

/// What is under way.
struct Analysis<'a> {
    args: &'a AnalyzeArgs,
    run: StudiedRun,
    interrupt: Interrupt,
    /// Mean temperature (kT, eV), where the thermo table tells it.
    kt: Option<f64>,
    findings: Vec<AnalysisFinding>,
    /// What could not be measured, and what to heed.
    remarks: Vec<String>,
    /// What was read, in lines.
    looked: Vec<String>,
}

/// A quantity that is being measured, and what it was asked for as.
struct Measured {
    what: Vec<What>,
    quantity: Measuring,
}

impl Measured {
    fn pass(&mut self, frame: &Snapshot) {
        if let Measuring::Other(quantity) = &mut self.quantity {
            quantity.pass(frame);
        }
    }
}

/// Velocities are measured once for two quantities.
enum Measuring {
    Velocities(Box<Vibrations>),
    Other(Box<dyn FrameQuantity>),
}

impl Analysis<'_> {
    fn wants(&self, what: What) -> bool {
        self.args.what.is_empty() || self.args.what.contains(&what)
    }

    /// Passes what cannot be measured: an error where it was asked for by name, a remark where all was.
    fn pass(&mut self, error: Error) -> Result<()> {
        if !self.args.what.is_empty() {
            return Err(error);
        }
        self.remarks.push(error.to_string());
        Ok(())
    }

    fn all(&mut self) -> Result<()> {
        self.thermo()?;
        let asked = What::value_variants().iter().copied();
        let asked: Vec<What> = asked
            .filter(|what| *what != What::Thermo && self.wants(*what))
            .collect();
        let (moving, resting): (Vec<What>, Vec<What>) =
            asked.into_iter().partition(|what| what.needs_velocities());
        let name = self.args.trajectory.as_deref();
        if name.is_some() {
            self.run.trajectory(name, false)?;
        }
        let mut passes: Vec<(WrittenTrajectory, Vec<What>)> = Vec::new();
        for (some, velocities) in [(resting, false), (moving, true)] {
            if some.is_empty() {
                continue;
            }
            match self.run.trajectory(name, velocities).cloned() {
                Ok(found) => match passes.iter_mut().find(|(one, _)| *one == found) {
                    Some((_, all)) => all.extend(some),
                    None => passes.push((found, some)),
                },
                Err(error) => self.pass(error)?,
            }
        }
        for (trajectory, some) in passes {
            self.pass_over(&trajectory, &some)?;
        }
        let order = |finding: &AnalysisFinding| {
            let names = What::value_variants()
                .iter()
                .map(|what| what.to_possible_value());
            names
                .flatten()
                .position(|name| name.get_name() == finding.name)
        };
        self.findings.sort_by_key(order);
        Ok(())
    }

    fn thermo(&mut self) -> Result<()> {
        let path = self.args.directory.join(names::THERMO);
        let wanted = self.wants(What::Thermo);
        // Its temperature is asked for, too.
        if !(wanted || self.args.viscosity.is_some()) {
            return Ok(());
        }
        if self.args.member.is_some() {
            return self.pass(Error::input(format!(
                "{}: has the lines of all members, of which there are no statistics of one",
                path.display()
            )));
        }
        let times = [self.args.from, self.args.to].map(|t| t.map(|t| t / FEMTOSECOND));
        match ThermoStatistics::read(&path, times) {
            Ok(statistics) => {
                self.kt = statistics
                    .mean("temperature_k")
                    .map(|kelvin| kelvin * KELVIN);
                if wanted {
                    if self.args.from.is_none() && statistics.start > 0.0 {
                        self.remarks.push(format!(
                            "thermo.csv is in equilibrium from {} ps on, and the trajectory is looked at from its beginning: \
                             --from {0}ps leaves out what is before",
                            significant(1e-3 * statistics.start, 4)
                        ));
                    }
                    self.findings.push(statistics.finding());
                }
                Ok(())
            }
            Err(error) if wanted => self.pass(error),
            Err(_) => Ok(()),
        }
    }

    /// Reads a trajectory and measures quantities on it.
    fn pass_over(&mut self, trajectory: &WrittenTrajectory, some: &[What]) -> Result<()> {
        let mut reader = self.run.open(trajectory)?;
        let bar = self.bar(&trajectory.name);
        let mut frame = Snapshot::blank(0, 0.0, Cell::open());
        let mut measured: Option<Vec<Measured>> = None;
        let (mut within, mut taken) = (0_u64, 0_u64);
        let mut ends = [0.0; 2];
        let mut before: Option<u64> = None;
        while !self
            .interrupt
            .flag()
            .load(std::sync::atomic::Ordering::Relaxed)
            && reader.next(&mut frame)?
        {
            let room = 1e-6 * self.run.timestep;
            if self.args.from.is_some_and(|from| frame.time < from - room) {
                continue;
            }
            if self.args.to.is_some_and(|to| frame.time > to + room) {
                break;
            }
            if let Some(before) = before.filter(|before| frame.step != before + trajectory.every) {
                return Err(Error::input(format!(
                    "{}: step {} follows step {before}, and frames are {} apart: the file is damaged",
                    trajectory.name,
                    frame.step,
                    counted(trajectory.every, "step")
                )));
            }
            before = Some(frame.step);
            within += 1;
            if !(within - 1).is_multiple_of(self.args.every) {
                let others = measured.iter_mut().flatten();
                others.for_each(|one| one.pass(&frame));
                continue;
            }
            if measured.is_none() {
                measured = Some(self.begin(trajectory, &frame, some)?);
                ends[0] = frame.time;
            }
            for one in measured.iter_mut().flatten() {
                let taken = match &mut one.quantity {
                    Measuring::Velocities(vibrations) => vibrations.take(&frame),
                    Measuring::Other(quantity) => quantity.take(&frame),
                };
                taken.map_err(|e| e.within(format!("{}: step {}", trajectory.name, frame.step)))?;
            }
            ends[1] = frame.time;
            taken += 1;
            if let Some(bar) = &bar {
                bar.set_position((1000.0 * reader.progress()) as u64);
            }
        }
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        // The caller tells that it was interrupted.
        if self.interrupt.signal().is_some() {
            return Ok(());
        }
        if reader.cut_short() {
            self.remarks.push(format!(
                "{} ends within a frame, which is left out: the run {}",
                trajectory.name,
                if self.run.unfinished {
                    "is going on, or was killed"
                } else {
                    "was cut short"
                }
            ));
        }
        let Some(measured) = measured else {
            return Err(Error::input(format!(
                "{}: there is no whole frame in it{}",
                self.run.directory.join(&trajectory.name).display(),
                if within == 0 && (self.args.from.is_some() || self.args.to.is_some()) {
                    " between --from and --to"
                } else {
                    ""
                }
            )));
        };
        let [first, last] = ends.map(|t| significant(t / PICOSECOND, 6));
        self.looked.push(format!(
            "{}: {} from {first} to {last} ps",
            trajectory.name,
            counted(taken, "frame")
        ));
        self.take_findings(measured)
    }

    fn take_findings(&mut self, measured: Vec<Measured>) -> Result<()> {
        for one in measured {
            let found: Vec<Result<AnalysisFinding>> = match &one.quantity {
                Measuring::Other(quantity) => vec![quantity.finding()],
                Measuring::Velocities(vibrations) => (one.what.iter())
                    .map(|what| match what {
                        What::Vacf => vibrations.correlation_finding(),
                        _ => vibrations.spectrum_finding(),
                    })
                    .collect(),
            };
            for found in found {
                match found {
                    Ok(finding) => self.findings.push(finding),
                    Err(error) => self.pass(error)?,
                }
            }
        }
        Ok(())
    }

    /// Begins to measure.
    fn begin(
        &mut self,
        trajectory: &WrittenTrajectory,
        frame: &Snapshot,
        some: &[What],
    ) -> Result<Vec<Measured>> {
        let choice = StudiedFrames {
            select: self.args.select.as_deref(),
            stride: self.args.every,
            until: self.args.to,
        };
        let studied = self.run.studied(trajectory, frame, choice)?;
        let mut measured: Vec<Measured> = Vec::new();
        for &what in some {
            let velocities = |one: &&mut Measured| matches!(one.quantity, Measuring::Velocities(_));
            if what.needs_velocities() {
                match measured.iter_mut().find(velocities) {
                    Some(one) => one.what.push(what),
                    None => measured.push(Measured {
                        what: vec![what],
                        quantity: Measuring::Velocities(Box::new(Vibrations::new(
                            &studied,
                            self.args.resolution,
                        ))),
                    }),
                }
                continue;
            }
            match self.quantity(what, &studied) {
                Ok(quantity) => measured.push(Measured {
                    what: vec![what],
                    quantity: Measuring::Other(quantity),
                }),
                Err(error) => self.pass(error)?,
            }
        }
        Ok(measured)
    }

    fn quantity(&self, what: What, studied: &Studied) -> Result<Box<dyn FrameQuantity>> {
        let coordinates = |coordinate| Coordinates::new(studied, coordinate);
        Ok(match what {
            What::Rdf => Box::new(PairDistances::new(studied, self.args.range)?),
            What::Bonds => Box::new(coordinates(Coordinate::Bond)?),
            What::Angles => Box::new(coordinates(Coordinate::Angle)?),
            What::Torsions => Box::new(coordinates(Coordinate::Torsion)?),
            What::Density => Box::new(DensityProfiles::new(studied)?),
            What::Hbonds => Box::new(HydrogenBonds::new(studied)?),
            _ => Box::new(Diffusion::new(
                studied,
                DiffusionOptions {
                    fit: self.args.fit,
                    viscosity: self.args.viscosity,
                    kt: self.kt,
                },
            )),
        })
    }

    /// A bar that shows how far a file is read, at a terminal.
    fn bar(&self, name: &str) -> Option<ProgressBar> {
        if self.args.json || !std::io::stderr().is_terminal() {
            return None;
        }
        let style = ProgressStyle::with_template("{prefix} {bar:40} {percent} % {eta}").ok()?;
        let bar = ProgressBar::new(1000).with_style(style);
        bar.set_prefix(name.to_owned());
        Some(bar)
    }

    /// Writes the files and tells what was found.
    fn close(&self) -> Result<()> {
        let folder =
            (self.args.out.clone()).unwrap_or_else(|| self.run.directory.join(output::FOLDER));
        let title = format!("Analysis of {}", self.run.directory.display());
        let about = self.about();
        let page = self
            .args
            .html
            .then(|| page::html(&title, &about, &self.findings));
        let files = output::write(&folder, &self.findings, page.as_deref())?;
        if self.args.json {
            return streams::print_json(&self.to_json(&folder.display().to_string(), &files));
        }
        let mut text = String::new();
        for line in &self.looked {
            text += &format!("{line}\n");
        }
        for finding in &self.findings {
            text += &format!("\n{} ({})\n", finding.title, finding.name);
            for line in &finding.lines {
                text += &format!("  {line}\n");
            }
            for note in &finding.notes {
                text += &format!("  - {note}\n");
            }
        }
        text += &format!(
            "\n{} in {}\n",
            counted(files.len() as u64, "file"),
            folder.display()
        );
        let terminal = Terminal::out();
        streams::print(&terminal.fit(&text))?;
        for remark in &self.remarks {
            streams::tell(&Terminal::err().message(&format!("note: {remark}")));
        }
        Ok(())
    }

    fn about(&self) -> Vec<String> {
        let mut about = vec![format!(
            "mdrun {}, run of {}",
            env!("CARGO_PKG_VERSION"),
            self.run.started
        )];
        about.extend(self.looked.iter().cloned());
        about.extend(self.args.select.iter().map(|text| format!("atoms: {text}")));
        about.extend(self.remarks.iter().cloned());
        about
    }

    fn to_json(&self, folder: &str, files: &[String]) -> Value {
        let findings = self.findings.iter().map(|finding| {
            let notes = json!(finding.notes);
            let mut figures = finding.figures.clone();
            if let Some(figures) = figures.as_object_mut() {
                figures.insert("notes".to_owned(), notes);
            }
            (finding.name.to_owned(), figures)
        });
        json!({
            "folder": folder,
            "files": files,
            "looked_at": self.looked,
            "notes": self.remarks,
            "findings": findings.collect::<serde_json::Map<String, Value>>(),
        })
    }
}
