//! `mdrun energy --frame all`: energies and forces of all frames of a structure file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;

use super::EnergyArgs;
use super::energy::SinglePoint;
use super::subject::{SubjectArgs, advise};
use crate::assemble::{Int8Scene, Model};
use crate::config::check_overlaps;
use crate::config::plan::DevicePlan;
use crate::core::{Cell, Fitted, System, elements};
use crate::forcefield::{Arrangement, FoundPoint, ManyForceField};
use crate::formats::write::xyz::EvaluatedFrame;
use crate::formats::{self, Structure};
use crate::memory::Appetite;
use crate::potential::{ElectronScene, Evaluation, Precision};
use crate::report::WholeFile;
use crate::terminal::Terminal;
use crate::text::{counted, significant};
use crate::workers::heaviest_first;
use crate::{Error, Result, assemble, memory, streams};

/// Most frames and atoms that are evaluated before they are written.
const MOST_FRAMES: usize = 16_384;
const MOST_ATOMS: usize = 400_000;
/// Most frames that weights in 8 bits are found from.
const MOST_SCENES: usize = 8;
/// Frames of so many atoms are looked at whether there is memory for them.
const LARGE: usize = 1000;
/// Most lines that are told of faults, and of remarks.
const MOST_TOLD: usize = 20;

/// Runs the command.
///
/// # Errors
/// The model or the file cannot be used, what is found cannot be written, or a frame cannot be evaluated.
pub fn run(args: &EnergyArgs) -> Result<ExitCode> {
    let subject = &args.subject;
    if let Some(out) = &args.out {
        check_target(args, out)?;
    }
    let model = subject.model()?;
    let (device, precision) = subject.place(&model)?;
    let mut times = FrameTimes::default();
    let frames = (times.reading).of(|| formats::read_all(&subject.structure))?;
    let job = FrameJob {
        json: args.json,
        appetite: model.appetite(precision, &device),
        model: &model,
    };
    let mut field = job.field(&frames, (precision, &device))?;
    let mut target = FrameSink::begin(args.out.as_deref())?;
    let mut told = FrameRemarks::default();
    for range in pieces(&frames) {
        let first = range.start == 0;
        let ready = times.checking.of(|| job.look(&frames, range));
        let sound = sound(&ready);
        if first {
            let mut preparing = Stopwatch::default();
            let prepared = preparing.of(|| field.prepare(&sound))?;
            times.preparing = prepared.then_some(preparing);
        }
        let found = times.evaluating.of(|| field.evaluate(&sound))?;
        let goes_on = times.writing.of(|| {
            let text = job.text(&ready, found, &mut told);
            target.write(&text)
        })?;
        if !goes_on {
            // Who reads has had what was wanted.
            return Ok(ExitCode::SUCCESS);
        }
    }
    let (all, written) = (frames.len(), frames.len() - told.faults.len());
    if written > 0 {
        times.writing.of(|| target.finish())?;
    }
    told.tell(all);
    streams::tell(&Terminal::err().message(&times.words([all, all, written])));
    match written == all {
        true => Ok(ExitCode::SUCCESS),
        false => Err(told.verdict(all).within(subject.structure.display())),
    }
}

/// Checks that nothing is lost by writing the file.
fn check_target(args: &EnergyArgs, out: &Path) -> Result<()> {
    is_free(
        &args.subject,
        out,
        args.force.then_some(()).ok_or("--force"),
    )
}

/// Checks that a file to be written is none that is read, nor there already, unless it is to be replaced: else the option that
/// says so is named.
///
/// # Errors
/// It is one of them.
pub(super) fn is_free(
    subject: &SubjectArgs,
    out: &Path,
    replace: std::result::Result<(), &str>,
) -> Result<()> {
    let place = out.display();
    let SubjectArgs {
        structure, models, ..
    } = subject;
    let canonical = |path: &Path| std::fs::canonicalize(path).ok();
    let mut read = models.iter().chain([structure]);
    if canonical(out).is_some_and(|out| read.any(|path| canonical(path).as_ref() == Some(&out))) {
        return Err(Error::input(format!(
            "{place}: this is a file that is read; name another one"
        )));
    }
    match (out.try_exists(), replace) {
        (Ok(true), Err(option)) => Err(Error::input(format!(
            "{place} is there already; {option} replaces it"
        ))),
        _ => Ok(()),
    }
}

/// Ranges of frames that are evaluated and written together.
fn pieces(frames: &[Structure]) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let (mut start, mut atoms) = (0, 0);
    for (k, frame) in frames.iter().enumerate() {
        atoms += frame.species.len();
        if atoms >= MOST_ATOMS || k + 1 - start == MOST_FRAMES || k + 1 == frames.len() {
            pieces.push(start..k + 1);
            (start, atoms) = (k + 1, 0);
        }
    }
    pieces
}

/// What is done with every frame.
pub(super) struct FrameJob<'a> {
    pub(super) json: bool,
    pub(super) model: &'a Model,
    pub(super) appetite: Appetite,
}

/// A frame that is ready to be evaluated, or what is wrong with it.
pub(super) struct ReadyFrame<'f> {
    pub(super) number: usize,
    pub(super) structure: &'f Structure,
    pub(super) sound: Result<SoundFrame>,
}

/// The frames that are sound, as they are evaluated.
pub(super) fn sound<'r>(ready: &'r [ReadyFrame<'_>]) -> Vec<Arrangement<'r>> {
    let sound = ready.iter().filter_map(|frame| {
        Some(Arrangement {
            species: &frame.structure.species,
            cell: &frame.sound.as_ref().ok()?.cell,
            positions: &frame.structure.positions,
        })
    });
    sound.collect()
}

/// What else there is to know of a frame.
pub(super) struct SoundFrame {
    pub(super) cell: Cell,
    pub(super) notes: Vec<String>,
    doubts: Vec<String>,
}

impl<'m> FrameJob<'m> {
    /// What evaluates the frames: of the elements in them that the model knows.
    pub(super) fn field(
        &self,
        frames: &[Structure],
        (precision, device): (Precision, &DevicePlan),
    ) -> Result<Box<dyn ManyForceField + 'm>> {
        let known = frames.iter().filter(|frame| self.knows(frame));
        let present = elements::present(known.map(|frame| frame.species.as_slice()));
        if precision == Precision::Int8 {
            self.find_int8(frames, device)?;
        }
        let field = assemble::many(self.model, &present, precision, device);
        field.map_err(|e| advise(e, device))
    }

    /// Finds weights in 8 bits from some of the frames that are sound, evenly spread.
    fn find_int8(&self, frames: &[Structure], device: &DevicePlan) -> Result<()> {
        const INT8: Precision = Precision::Int8;
        assemble::check_numbers(self.model, device, INT8).map_err(|e| advise(e, device))?;
        let every = frames.len().div_ceil(MOST_SCENES).max(1);
        let ready = frames.iter().step_by(every).filter_map(|frame| {
            let (system, cell) = (frame.system(), frame.fitted().ok()?.cell);
            let sound = check_overlaps(&system, &frame.positions, &cell).is_ok();
            (sound && self.knows(frame)).then_some((system, cell, &frame.positions))
        });
        let ready: Vec<_> = ready.collect();
        let scenes = ready.iter().map(|(system, cell, positions)| Int8Scene {
            system,
            cell,
            positions,
            kt: None,
        });
        assemble::find_int8(self.model, INT8, device, &scenes.collect::<Vec<_>>())
    }

    /// Whether the model knows the elements of a frame.
    pub(super) fn knows(&self, frame: &Structure) -> bool {
        let system = System::of_species(&frame.species);
        self.model.check_species(&system).is_ok()
    }

    /// Looks at frames.
    pub(super) fn look<'f>(
        &self,
        frames: &'f [Structure],
        range: Range<usize>,
    ) -> Vec<ReadyFrame<'f>> {
        let atoms = |number: &usize| frames[*number].species.len();
        let look = |_: &mut (), number| {
            let structure: &Structure = &frames[number];
            ReadyFrame {
                number,
                structure,
                sound: self.look_at(structure),
            }
        };
        heaviest_first(range, atoms, || (), look)
    }

    /// Does what `mdrun energy` does with one structure before it evaluates it.
    fn look_at(&self, structure: &Structure) -> Result<SoundFrame> {
        let Fitted { cell, notes: more } = structure.fitted()?;
        let system = structure.system();
        self.model.check_species(&system)?;
        check_overlaps(&system, &structure.positions, &cell)?;
        if system.len() >= LARGE {
            let reach = (self.model.cutoff(), 0.0);
            memory::check(&cell, &structure.positions, reach, self.appetite)?;
        }
        let mut notes = structure.notes.clone();
        notes.extend(more);
        let doubts = self.model.doubts(&ElectronScene {
            species: &structure.species,
            cell: &cell,
            positions: &structure.positions,
            electrons: &structure.electrons,
        });
        Ok(SoundFrame {
            cell,
            notes,
            doubts,
        })
    }

    /// The text of frames; what there is to say of them is noted.
    fn text(
        &self,
        ready: &[ReadyFrame<'_>],
        found: Vec<Result<FoundPoint>>,
        told: &mut FrameRemarks,
    ) -> Vec<u8> {
        let mut text = Vec::new();
        let mut found = found.into_iter();
        for frame in ready {
            let point = match &frame.sound {
                Err(error) => Err(Error::run(error.to_string())),
                // There is one for each that is sound.
                Ok(sound) => match found.next() {
                    Some(point) => point.and_then(finite).map(|point| (sound, point)),
                    None => Err(Error::run("it was not evaluated")),
                },
            };
            match point {
                Ok((sound, point)) => {
                    told.remarks(frame.number, sound);
                    self.write(frame, sound, &point, &mut text);
                }
                Err(error) => told.faults.push((frame.number, error.to_string())),
            }
        }
        text
    }

    /// Writes one frame.
    fn write(
        &self,
        frame: &ReadyFrame<'_>,
        SoundFrame { cell, notes, .. }: &SoundFrame,
        point: &FoundPoint,
        text: &mut Vec<u8>,
    ) {
        let (number, structure) = (frame.number, frame.structure);
        if !self.json {
            let frame = EvaluatedFrame {
                number,
                species: &structure.species,
                cell,
                positions: &structure.positions,
                evaluation: &point.evaluation,
                tag: ("", ""),
            };
            return frame.write(text);
        }
        let mut value = SinglePoint {
            cell,
            structure,
            notes,
            evaluation: &point.evaluation,
            pairs: point.pairs,
        }
        .json();
        value["frame"] = json!(number);
        text.extend_from_slice(streams::json(&value).as_bytes());
        text.push(b'\n');
    }
}

/// Checks that energy and forces are numbers.
fn finite(point: FoundPoint) -> Result<FoundPoint> {
    let Evaluation { energy, forces, .. } = &point.evaluation;
    let forces_are = forces.iter().flatten().all(|x| x.is_finite());
    match energy.is_finite() && forces_are {
        true => Ok(point),
        false => Err(Error::run(
            "the energy or a force is not a finite number; two atoms may be at one place",
        )),
    }
}

/// Where frames are written.
enum FrameSink {
    Output,
    File(WholeFile),
}

impl FrameSink {
    fn begin(out: Option<&Path>) -> Result<Self> {
        match out {
            None => Ok(Self::Output),
            Some(path) => WholeFile::begin(path).map(Self::File),
        }
    }

    /// Writes text, and says whether anyone wants more.
    fn write(&mut self, text: &[u8]) -> Result<bool> {
        match self {
            Self::Output => streams::offer(text),
            Self::File(file) => file.append(text).map(|()| true),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Output => Ok(()),
            Self::File(file) => file.finish(),
        }
    }
}

/// What there is to say of frames.
#[derive(Default)]
pub(super) struct FrameRemarks {
    notes: BTreeMap<String, FramesTold>,
    doubts: BTreeMap<String, FramesTold>,
    /// FramesTold that have no energy, and why.
    pub(super) faults: Vec<(usize, String)>,
}

/// The first frame that something is said of, and how many there are.
struct FramesTold {
    first: usize,
    count: usize,
}

impl FrameRemarks {
    pub(super) fn remarks(&mut self, number: usize, sound: &SoundFrame) {
        let said = [
            (&mut self.notes, &sound.notes),
            (&mut self.doubts, &sound.doubts),
        ];
        for (all, said) in said {
            for text in said {
                let frames = all.entry(text.clone()).or_insert(FramesTold {
                    first: number,
                    count: 0,
                });
                frames.count += 1;
            }
        }
    }

    /// Tells it: each remark once, with the frames that it is of, and what is wrong with a frame.
    pub(super) fn tell(&self, frames: usize) {
        for (label, all) in [("note", &self.notes), ("warning", &self.doubts)] {
            let mut all: Vec<_> = all.iter().map(|(text, of)| (of.first, of, text)).collect();
            all.sort_by_key(|(first, ..)| *first);
            let lines = all
                .iter()
                .map(|(_, of, text)| format!("{}: {text}", of.words(frames)));
            tell_some(label, lines);
        }
        let faults = self.faults.iter();
        tell_some(
            "error",
            faults.map(|(number, why)| format!("frame {number}: {why}")),
        );
    }

    /// What is wrong with all of it.
    pub(super) fn verdict(&self, frames: usize) -> Error {
        let left_out = self.faults.len();
        Error::run(match left_out == frames {
            true => "no frame could be evaluated; nothing was written".to_owned(),
            false => format!(
                "{left_out} of {} could not be evaluated; the others are written",
                counted(frames as u64, "frame")
            ),
        })
    }
}

impl FramesTold {
    fn words(&self, frames: usize) -> String {
        let Self { first, count } = self;
        match count {
            1 => format!("frame {first}"),
            _ if *count == frames => "all frames".to_owned(),
            _ => format!("frame {first} and {}", counted(*count as u64 - 1, "other")),
        }
    }
}

/// Tells lines, and how many there would be more.
fn tell_some(label: &str, lines: impl ExactSizeIterator<Item = String>) {
    let left = lines.len().saturating_sub(MOST_TOLD);
    let tell = |line: &str| streams::tell(&Terminal::err().message(&format!("{label}: {line}")));
    lines.take(MOST_TOLD).for_each(|line| tell(&line));
    if left > 0 {
        tell(&format!("and {left} more of this kind"));
    }
}

/// Time that something took.
#[derive(Default)]
struct Stopwatch(Duration);

impl Stopwatch {
    fn of<T>(&mut self, what: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let done = what();
        self.0 += begin.elapsed();
        done
    }

    /// Of so many frames: `0.21 s (23800 a second)`.
    fn words(&self, frames: usize) -> String {
        let seconds = self.0.as_secs_f64();
        format!(
            "{} s ({} a second)",
            significant(seconds, 3),
            significant(frames as f64 / seconds.max(1e-9), 3)
        )
    }
}

/// What took how long.
#[derive(Default)]
struct FrameTimes {
    reading: Stopwatch,
    checking: Stopwatch,
    /// Of a device that had to be made ready.
    preparing: Option<Stopwatch>,
    evaluating: Stopwatch,
    writing: Stopwatch,
}

impl FrameTimes {
    /// Of so many frames that were read, looked at, and written.
    fn words(&self, [read, evaluated, written]: [usize; 3]) -> String {
        let preparing = self.preparing.as_ref();
        let preparing = preparing.map_or_else(String::new, |time| {
            let seconds = significant(time.0.as_secs_f64(), 3);
            format!("device made ready in {seconds} s, ")
        });
        format!(
            "{}: read in {}, checked in {}, {preparing}evaluated in {}, written in {}",
            counted(read as u64, "frame"),
            self.reading.words(read),
            self.checking.words(read),
            self.evaluating.words(evaluated),
            self.writing.words(written)
        )
    }
}
