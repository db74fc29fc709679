//! The closing summary of a batch: how many members came to their end, how fast all of them together were, and how their drifts
//! and temperatures are spread.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::table::status;
use crate::report::{Status, Summary};
use crate::simulation::batch::{MemberCourse, MemberStage};
use crate::terminal::Mood;
use crate::text::{counted, duration, significant};

/// A shorter time (s) tells no speed.
const SHORTEST_TIMED: f64 = 0.05;
/// Failed members that the text names.
const NAMED: usize = 3;

/// The closing summary of a batch. As JSON its keys are these names; what is not known is null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchSummary {
    /// How it ended: failed where a member did.
    pub status: Status,
    /// Number of members.
    pub members: usize,
    /// Members that have taken all of their steps.
    pub complete: usize,
    /// Members that failed.
    pub failed: usize,
    /// Members that have begun and were interrupted.
    pub interrupted: usize,
    /// Members that have not begun.
    pub waiting: usize,
    /// Atoms of all members.
    pub atoms: usize,
    /// Steps of all members.
    pub steps: u64,
    /// Time that the steps took (s).
    pub elapsed_s: f64,
    /// Steps of all members in a second.
    pub steps_per_second: f64,
    /// Steps of all atoms in a second.
    pub atom_steps_per_second: f64,
    /// Mean over members of their mean temperatures (K).
    pub mean_temperature_k: Option<f64>,
    /// The coldest member.
    pub lowest_temperature: Option<MemberValue>,
    /// The warmest member.
    pub highest_temperature: Option<MemberValue>,
    /// Median over members of the slope of the conserved energy (meV/atom/ps).
    pub median_drift_mev_per_atom_ps: Option<f64>,
    /// The member whose slope is the largest, up or down (meV/atom/ps).
    pub worst_drift: Option<MemberValue>,
    /// Of a committee: the member with the largest sample of the force on the worst atom (eV/A).
    pub largest_force_spread: Option<MemberValue>,
    /// Members whose energy is conserved.
    pub energy_conserved: usize,
    /// Members whose energy is not.
    pub energy_not_conserved: usize,
    /// Members that are too short to tell.
    pub energy_undecided: usize,
    /// What became of the energy, in a sentence.
    pub verdict: String,
    /// Members that failed.
    pub failures: Vec<MemberFailure>,
    /// Where the files are.
    #[serde(serialize_with = "crate::input::serialize_path")]
    pub output_directory: PathBuf,
    /// Why the batch ended before all members had; null if it did not.
    pub stopped_by: Option<String>,
}

/// A number of one member.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemberValue {
    /// Its index.
    pub member: usize,
    /// What it is called.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Its standard error.
    pub stderr: Option<f64>,
}

/// A member that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberFailure {
    /// Its index.
    pub member: usize,
    /// What it is called.
    pub name: String,
    /// Steps taken.
    pub steps: u64,
    /// Why.
    pub reason: String,
}

/// How a batch went, besides its members.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchOutcome {
    /// How it ended.
    pub status: Status,
    /// Time that the steps took.
    pub elapsed: Duration,
    /// Where its files are.
    pub directory: PathBuf,
    /// Why it ended before all members had; `None` if it did not.
    pub stopped_by: Option<String>,
}

/// How a member went: what it is called, how far it came, and what its lone run would sum up.
#[derive(Debug, Clone, Copy)]
pub struct MemberSummary<'s> {
    /// What it is called.
    pub name: &'s str,
    /// How far it has come.
    pub course: &'s MemberCourse,
    /// The summary of its run.
    pub summary: &'s Summary,
}

impl BatchSummary {
    /// Sums up a batch.
    pub fn new(outcome: &BatchOutcome, members: &[MemberSummary<'_>]) -> Self {
        let elapsed = outcome.elapsed.as_secs_f64();
        let rate = |count: f64| if elapsed > 0.0 { count / elapsed } else { 0.0 };
        let count = |word: &str| {
            let is = |one: &&MemberSummary<'_>| status(one.course, true) == word;
            members.iter().filter(is).count()
        };
        let temperatures = values(members, |s| {
            Some((s.mean_temperature_k?, s.mean_temperature_stderr_k))
        });
        let drifts = values(members, |s| {
            Some((s.energy_drift_mev_per_atom_ps?, s.energy_drift_stderr))
        });
        let spreads = values(members, |s| Some((s.largest_force_spread_ev_a?, None)));
        let atom_steps =
            |one: &MemberSummary<'_>| one.course.step as f64 * one.summary.atoms as f64;
        let steps = members.iter().map(|one| one.course.step).sum();
        let judged = [Some(true), Some(false), None].map(|is| judged(members, is));
        let [conserved, not, undecided] = judged;
        Self {
            status: outcome.status,
            members: members.len(),
            complete: count("complete"),
            failed: count("failed"),
            interrupted: count("interrupted"),
            waiting: count("waiting"),
            atoms: members.iter().map(|one| one.summary.atoms).sum(),
            steps,
            elapsed_s: elapsed,
            steps_per_second: rate(steps as f64),
            atom_steps_per_second: rate(members.iter().map(atom_steps).sum()),
            mean_temperature_k: mean(&temperatures),
            lowest_temperature: most(&temperatures, |value| -value),
            highest_temperature: most(&temperatures, |value| value),
            median_drift_mev_per_atom_ps: median(&drifts),
            worst_drift: most(&drifts, f64::abs),
            largest_force_spread: most(&spreads, |value| value),
            energy_conserved: conserved,
            energy_not_conserved: not,
            energy_undecided: undecided,
            verdict: verdict(judged),
            failures: failures(members),
            output_directory: outcome.directory.clone(),
            stopped_by: outcome.stopped_by.clone(),
        }
    }

    /// The summary as one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// How the verdict is to be taken.
    pub fn mood(&self) -> Mood {
        match (
            self.energy_not_conserved,
            self.energy_undecided,
            self.energy_conserved,
        ) {
            (1.., _, _) => Mood::Bad,
            (0, 0, 1..) => Mood::Good,
            _ => Mood::Doubt,
        }
    }

    /// The summary for people.
    pub fn to_text(&self) -> String {
        let mut lines = vec![self.first_line()];
        if let Some(reason) = &self.stopped_by {
            lines.push(format!("  stopped by    {reason}"));
        }
        lines.push(format!("  members       {}", self.counts()));
        for failure in self.failures.iter().take(NAMED) {
            lines.push(format!(
                "  failed        member {}: {}",
                failure.member, failure.reason
            ));
        }
        if let Some(more) = self
            .failures
            .len()
            .checked_sub(NAMED)
            .filter(|more| *more > 0)
        {
            lines.push(format!(
                "  failed        and {more} more: members.csv has them all"
            ));
        }
        lines.extend(self.temperatures());
        lines.extend(self.drifts());
        if let Some(spread) = &self.largest_force_spread {
            lines.push(format!(
                "  spread        {} eV/A at most on the worst atom (member {})",
                significant(spread.value, 3),
                spread.member
            ));
        }
        lines.push(format!("  verdict       {}", self.verdict));
        lines.push(format!(
            "  output        {}",
            self.output_directory.display()
        ));
        lines.join("\n")
    }

    fn first_line(&self) -> String {
        let speed = match self.elapsed_s < SHORTEST_TIMED {
            true => String::new(),
            false => format!(
                ": {} steps/s, {} atom-steps/s",
                significant(self.steps_per_second, 4),
                significant(self.atom_steps_per_second, 4)
            ),
        };
        let ended = match (self.status, &self.stopped_by) {
            (Status::Running | Status::Complete, _) => "Done:",
            (Status::Interrupted, _) => "Interrupted after",
            (Status::Failed, Some(_)) => "Stopped after",
            (Status::Failed, None) => "Ended, with members that failed:",
        };
        format!(
            "{ended} {} of {} with {} in all, in {}{speed}",
            counted(self.steps, "step"),
            counted(self.members as u64, "member"),
            counted(self.atoms as u64, "atom"),
            duration(Duration::from_secs_f64(self.elapsed_s)),
        )
    }

    fn counts(&self) -> String {
        let counts = [
            (self.complete, "complete"),
            (self.failed, "failed"),
            (self.interrupted, "interrupted"),
            (self.waiting, "waiting"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        told.join(", ")
    }

    fn temperatures(&self) -> Option<String> {
        let (low, high) = (
            self.lowest_temperature.as_ref()?,
            self.highest_temperature.as_ref()?,
        );
        Some(format!(
            "  temperature   {:.1} K on average, from {:.1} K (member {}) to {:.1} K (member {})",
            self.mean_temperature_k?, low.value, low.member, high.value, high.member
        ))
    }

    fn drifts(&self) -> Option<String> {
        let worst = self.worst_drift.as_ref()?;
        let error = worst
            .stderr
            .map_or_else(String::new, |error| format!(" +- {error:.5}"));
        Some(format!(
            "  energy drift  {:+.5} meV/atom/ps in the median, {:+.5}{error} at worst (member {})",
            self.median_drift_mev_per_atom_ps?, worst.value, worst.member
        ))
    }
}

/// Members that have begun, with their numbers.
fn begun<'m, 's>(
    members: &'m [MemberSummary<'s>],
) -> impl Iterator<Item = (usize, &'m MemberSummary<'s>)> {
    members
        .iter()
        .enumerate()
        .filter(|(_, one)| one.course.step > 0)
}

/// Members whose energy is conserved, or is not, or that are too short to tell.
fn judged(members: &[MemberSummary<'_>], is: Option<bool>) -> usize {
    let of = |(_, one): &(usize, &MemberSummary<'_>)| one.summary.energy_conserved == is;
    begun(members).filter(of).count()
}

/// A number of each member that has begun and has one, with its standard error.
fn values(
    members: &[MemberSummary<'_>],
    value: impl Fn(&Summary) -> Option<(f64, Option<f64>)>,
) -> Vec<MemberValue> {
    let of = |(member, one): (usize, &MemberSummary<'_>)| {
        let (value, stderr) = value(one.summary)?;
        value.is_finite().then(|| MemberValue {
            member,
            name: one.name.to_owned(),
            value,
            stderr,
        })
    };
    begun(members).filter_map(of).collect()
}

fn failures(members: &[MemberSummary<'_>]) -> Vec<MemberFailure> {
    let failed = members.iter().enumerate();
    let failed = failed.filter(|(_, one)| one.course.stage == MemberStage::Failed);
    let failure = |(member, one): (usize, &MemberSummary<'_>)| MemberFailure {
        member,
        name: one.name.to_owned(),
        steps: one.course.step,
        reason: one.course.remark.clone().unwrap_or_default(),
    };
    failed.map(failure).collect()
}

/// What became of the energies of so many members that conserve it, that do not, and that are too short to tell.
fn verdict(counts: [usize; 3]) -> String {
    let words = [
        "energy is conserved in",
        "energy is not conserved in",
        "too short a run to say whether energy is conserved in",
    ];
    let told = counts.iter().zip(words).filter(|(count, _)| **count > 0);
    let told: Vec<String> = told
        .map(|(count, words)| format!("{words} {}", counted(*count as u64, "member")))
        .collect();
    match told.as_slice() {
        [] => "no step was taken".to_owned(),
        told => told.join("; "),
    }
}

fn mean(values: &[MemberValue]) -> Option<f64> {
    let sum: f64 = values.iter().map(|one| one.value).sum();
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

fn median(values: &[MemberValue]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().map(|one| one.value).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(0.5 * (sorted[middle - 1] + sorted[middle])),
    }
}

/// The first of those that are the most, by a measure.
fn most(values: &[MemberValue], measure: impl Fn(f64) -> f64) -> Option<MemberValue> {
    let mut found: Option<&MemberValue> = None;
    for one in values {
        if found.is_none_or(|most| measure(one.value) > measure(most.value)) {
            found = Some(one);
        }
    }
    found.cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(of: &[f64]) -> Vec<MemberValue> {
        let one = |(member, value): (usize, &f64)| MemberValue {
            member,
            name: format!("m{member}"),
            value: *value,
            stderr: None,
        };
        of.iter().enumerate().map(one).collect()
    }

    #[test]
    fn a_spread_has_a_middle_and_its_ends() {
        assert_eq!(median(&values(&[])), None);
        assert_eq!(median(&values(&[3.0, 1.0, 2.0])), Some(2.0));
        assert_eq!(median(&values(&[4.0, 1.0, 2.0, 3.0])), Some(2.5));
        let drifts = values(&[0.1, -0.4, 0.4]);
        assert_eq!(most(&drifts, f64::abs).unwrap().member, 1);
        assert_eq!(most(&drifts, |v| v).unwrap().member, 2);
        assert_eq!(most(&values(&[]), |v| v), None);
    }

    #[test]
    fn a_verdict_counts() {
        assert_eq!(
            verdict([2, 1, 0]),
            "energy is conserved in 2 members; energy is not conserved in 1 member"
        );
        assert_eq!(verdict([0, 0, 0]), "no step was taken");
    }
}
