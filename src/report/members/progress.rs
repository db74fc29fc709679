//! The progress of a batch in one line: how many members run and have ended, the slowest of them, the speed and the time left.

use std::time::{Duration, Instant};

use indicatif::ProgressStyle;

use crate::config::plan::BatchPlan;
use crate::report::console::Console;
use crate::report::progress::fitting;
use crate::simulation::batch::{MemberCourse, MemberStage};
use crate::terminal::Terminal;
use crate::text::significant;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// Columns of the bar, and of the time left beside it, before the message begins.
const BEFORE: usize = 32;

/// Moves the progress bar of a batch.
pub(super) struct BatchProgress {
    console: Console,
    /// Atoms of each member.
    atoms: Vec<u64>,
    end: u64,
    /// Steps of atoms that were taken at the first look, and when that was.
    began: Option<(f64, Instant)>,
    last: Option<Instant>,
}

impl BatchProgress {
    pub fn new(console: &Console, plan: &BatchPlan) -> Self {
        let atoms = plan
            .members
            .iter()
            .map(|member| member.plan.start.system.len() as u64);
        let atoms: Vec<u64> = atoms.collect();
        let steps = plan
            .members
            .first()
            .map_or(0, |first| first.plan.dynamics.steps);
        let bar = console.bar();
        bar.set_length(steps.saturating_mul(atoms.iter().sum()));
        if let Ok(style) =
            ProgressStyle::with_template("{bar:10} {percent:>3}%, {eta} left | {wide_msg}")
        {
            bar.set_style(style);
        }
        Self {
            console: console.clone(),
            atoms,
            end: steps,
            began: None,
            last: None,
        }
    }

    /// Shows how far members have come, where it is time to.
    pub fn show(&mut self, members: &[MemberCourse]) {
        let bar = self.console.bar();
        if bar.is_hidden() || self.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        let now = Instant::now();
        let (mut taken, mut behind) = (0.0, 0);
        for (course, atoms) in members.iter().zip(&self.atoms) {
            taken += course.step as f64 * *atoms as f64;
            // What a failed one leaves is no work that is left.
            let done = if course.has_ended() {
                self.end
            } else {
                course.step
            };
            behind += done * atoms;
        }
        if self.began.is_none() {
            self.began = Some((taken, now));
            bar.set_position(behind);
            bar.reset_eta();
        }
        let rate = self.began.filter(|(before, _)| taken > *before);
        let rate =
            rate.map(|(before, moment)| (taken - before) / (now - moment).as_secs_f64().max(1e-9));
        let width = Terminal::err().width.unwrap_or(0);
        let parts = parts(members, rate);
        bar.set_message(fitting(&parts, width.saturating_sub(BEFORE)));
        bar.set_position(behind);
        self.last = Some(now);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.console.clear();
    }
}

/// What the line says, the most telling first.
fn parts(members: &[MemberCourse], rate: Option<f64>) -> Vec<String> {
    let count = |stage| {
        members
            .iter()
            .filter(|course| course.stage == stage)
            .count()
    };
    let running = members
        .iter()
        .filter(|course| course.stage == MemberStage::Running);
    let mut parts = vec![format!("{} running", count(MemberStage::Running))];
    for (stage, word) in [
        (MemberStage::Complete, "complete"),
        (MemberStage::Failed, "failed"),
        (MemberStage::Waiting, "waiting"),
    ] {
        let number = count(stage);
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    parts.extend(
        running
            .map(|course| course.step)
            .min()
            .map(|step| format!("step {step}")),
    );
    parts.extend(rate.map(|rate| format!("{} atom-steps/s", significant(rate, 3))));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_are_where() {
        let at = |stage, step| MemberCourse {
            stage,
            step,
            ..MemberCourse::new()
        };
        let members = [
            at(MemberStage::Running, 70),
            at(MemberStage::Running, 40),
            at(MemberStage::Failed, 3),
            at(MemberStage::Waiting, 0),
        ];
        let line = parts(&members, Some(1234.0)).join(", ");
        assert_eq!(
            line,
            "2 running, 1 failed, 1 waiting, step 40, 1234 atom-steps/s"
        );
    }
}
