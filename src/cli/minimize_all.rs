//! `mdrun minimize --frame all`: each frame of a structure file to its own minimum.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::energy_of_all::{FrameJob, FrameRemarks, ReadyFrame, SoundFrame, sound};
use super::interrupt::Interrupt;
use super::minimize::{MinimizeArgs, RelaxedFrame, exit_code, progress};
use crate::minimize::{MembersMoment, MinimizerEnd, Minimum, minimize_many};
use crate::report::WholeFile;
use crate::terminal::Terminal;
use crate::text::counted;
use crate::{Error, Result, formats, streams};

/// Runs the command.
///
/// # Errors
/// The model or the file cannot be used, what is found cannot be written, or a frame cannot be minimised.
pub(super) fn run(args: &MinimizeArgs) -> Result<ExitCode> {
    let subject = args.place();
    let model = subject.model()?;
    let (device, precision) = subject.place(&model)?;
    let frames = formats::read_all(&subject.structure)?;
    let job = FrameJob {
        json: args.json,
        appetite: model.appetite(precision, &device),
        model: &model,
    };
    let mut field = job.field(&frames, (precision, &device))?;
    let ready = job.look(&frames, 0..frames.len());
    let interrupt = Interrupt::watch()?;
    let asked = interrupt.shared();
    let bar = progress(args.json);
    let found = minimize_many(
        field.as_mut(),
        &args.settings(),
        &sound(&ready),
        &mut |moment| {
            bar.set_message(line(moment));
            match asked.load(Ordering::Acquire) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        },
    );
    bar.finish_and_clear();
    let mut course = AllFrames::default();
    course.take(&ready, found?, args.json);
    if let Some(out) = args.out.as_ref().filter(|_| !course.ends.is_empty()) {
        let mut file = WholeFile::begin(out)?;
        file.append(&course.xyz)?;
        file.finish()?;
    }
    streams::print(&course.lines)?;
    course.remarks.tell(frames.len());
    streams::tell(&Terminal::err().message(&course.words(frames.len())));
    if let Some(signal) = interrupt.signal() {
        return Ok(signal.exit_code());
    }
    match course.remarks.faults.is_empty() {
        true => Ok(exit_code(course.ends)),
        false => Err(course
            .remarks
            .verdict(frames.len())
            .within(subject.structure.display())),
    }
}

/// How far they have come, in a line.
fn line(moment: &MembersMoment) -> String {
    format!(
        "{} of {} have ended, {} on their way, {}",
        moment.ended,
        moment.members,
        moment.underway,
        counted(moment.evaluations, "evaluation")
    )
}

/// What was found of all frames.
#[derive(Default)]
struct AllFrames {
    xyz: Vec<u8>,
    /// JSON, where that is asked for.
    lines: String,
    ends: Vec<MinimizerEnd>,
    evaluations: u64,
    remarks: FrameRemarks,
}

impl AllFrames {
    /// Takes what was found of the frames that are sound, in their order.
    fn take(&mut self, ready: &[ReadyFrame<'_>], found: Vec<Option<Result<Minimum>>>, json: bool) {
        let mut found = found.into_iter();
        for frame in ready {
            let result = match &frame.sound {
                Err(error) => Some(Err(Error::run(error.to_string()))),
                // There is one for each that is sound; one that had not begun is neither at fault nor written.
                Ok(sound) => (found.next().flatten()).map(|result| result.map(|m| (sound, m))),
            };
            match result {
                None => {}
                Some(Err(error)) => self.remarks.faults.push((frame.number, error.to_string())),
                Some(Ok((sound, minimum))) => self.add(frame, sound, &minimum, json),
            }
        }
    }

    fn add(&mut self, frame: &ReadyFrame<'_>, sound: &SoundFrame, minimum: &Minimum, json: bool) {
        self.remarks.remarks(frame.number, sound);
        self.ends.push(minimum.end);
        self.evaluations += minimum.evaluations;
        let relaxed = RelaxedFrame {
            structure: frame.structure,
            minimum,
            notes: &sound.notes,
            number: frame.number,
        };
        relaxed.write(&mut self.xyz);
        if json {
            let mut value = relaxed.json();
            value["frame"] = json!(frame.number);
            self.lines += &streams::json(&value);
            self.lines.push('\n');
        }
    }

    /// What became of them, of so many.
    fn words(&self, frames: usize) -> String {
        let of = |end: MinimizerEnd| self.ends.iter().filter(|e| **e == end).count();
        let ends = [
            (of(MinimizerEnd::Converged), "converged"),
            (
                of(MinimizerEnd::MostSteps),
                "took all steps (--most-steps allows more)",
            ),
            (
                of(MinimizerEnd::NumbersEnd),
                "came as low as these numbers allow (--precision f64 has the finest)",
            ),
            (
                of(MinimizerEnd::Interrupted),
                "interrupted, and written where they had come to",
            ),
            (self.remarks.faults.len(), "at fault"),
            (
                frames - self.ends.len() - self.remarks.faults.len(),
                "not begun, and not written",
            ),
        ];
        let told = ends.iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        format!(
            "{}: {}; {}",
            counted(frames as u64, "frame"),
            told.join(", "),
            counted(self.evaluations, "evaluation")
        )
    }
}
