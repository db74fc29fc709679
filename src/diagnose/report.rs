//! The diagnosis for people and for scripts.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Case, Conclusion, Effect, Findings, Question, Replay, Suspect};
use crate::report::series::Estimate;
use crate::units::{FEMTOSECOND, MEV_PER_PS, MILLIELECTRONVOLT, PICOSECOND};

/// What the replays found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The step that replays start from.
    pub start: u64,
    /// The run's time step (internal time).
    pub timestep: f64,
    /// What was to be explained.
    pub question: Question,
    /// The replays; the first is the run as it was.
    pub replays: Vec<Replay>,
    /// What the potential itself has shown.
    pub findings: Findings,
    /// The conclusion.
    pub verdict: Conclusion,
    /// Time that all of it took.
    pub elapsed: Duration,
}

impl Report {
    pub(super) fn new(
        case: &Case,
        replays: Vec<Replay>,
        findings: Findings,
        verdict: Conclusion,
        elapsed: Duration,
    ) -> Self {
        Self {
            start: case.start.step,
            timestep: case.timestep,
            question: case.question.clone(),
            replays,
            findings,
            verdict,
            elapsed,
        }
    }

    /// What a replay changes, in words.
    fn name(&self, replay: &Replay) -> String {
        let v = replay.variant;
        match (v.divisor, v.double, v.exhaustive) {
            (1, false, false) => "as it was".to_owned(),
            (1, true, _) => "in f64".to_owned(),
            (1, false, true) => "brute-force pairs".to_owned(),
            (parts, ..) => format!(
                "time step / {parts} ({} fs)",
                rounded(self.timestep / parts as f64 / FEMTOSECOND)
            ),
        }
    }

    fn same_end(&self, replay: &Replay) -> bool {
        let reference = &self.replays[0];
        replay.variant != reference.variant
            && !replay.end.is_empty()
            && replay.end == reference.end
            && replay.steps == reference.steps
    }

    /// The diagnosis as one JSON object; energies per atom and time in meV/atom/ps.
    pub fn to_json(&self) -> Value {
        let replays: Vec<Value> = (self.replays.iter().zip(&self.verdict.effects))
            .map(|(replay, effect)| {
                json!({
                    "what": self.name(replay),
                    "engine": replay.about,
                    "effect": effect,
                    "drift_mev_per_atom_ps": replay.drift.map(|d| d.value / MEV_PER_PS),
                    "drift_stderr": replay.drift.map(|d| d.error / MEV_PER_PS),
                    "drift_converged": replay.drift.map(|d| d.converged),
                    "steps": replay.steps,
                    "replayed_ps": replay.span / PICOSECOND,
                    "energy_change_over_kinetic": replay.change,
                    "broke_at_step": replay.broke.as_ref().map(|b| b.step),
                    "pairs_wrong_at_step": replay.mismatch.map(|(step, _)| step),
                    "same_states_as_the_run": self.same_end(replay),
                    "elapsed_s": replay.elapsed.as_secs_f64(),
                })
            })
            .collect();
        let f = &self.findings;
        let drift = |d: &Option<Estimate>| d.map(|d| [d.value / MEV_PER_PS, d.error / MEV_PER_PS]);
        let question = match &self.question {
            Question::Drift {
                seen, tolerable, ..
            } => json!({
                "kind": "drift",
                "seen_mev_per_atom_ps": drift(seen),
                "tolerable_mev_per_atom_ps": tolerable / MEV_PER_PS,
            }),
            Question::Breach { step, .. } => json!({ "kind": "limit", "step": step }),
        };
        json!({
            "question": question,
            "start_step": self.start,
            "suspect": self.verdict.suspect,
            "verdict": self.sentence(),
            "reproduced": self.replays[0].reproduced,
            "replays": replays,
            "potential": {
                "moments": f.moments,
                "force_minus_slope_ev_per_angstrom": f.force_error,
                "drift_of_forces_mev_per_atom_ps": drift(&f.force_drift),
                "crossings": f.crossings,
                "jump_at_cutoff_ev": f.jump.map(|j| [j.value, j.error]),
                "largest_jump_at_cutoff_ev": f.largest_jump,
                "drift_of_jump_mev_per_atom_ps": drift(&f.jump_drift),
            },
            "elapsed_s": self.elapsed.as_secs_f64(),
        })
    }

    /// The diagnosis for people.
    pub fn to_text(&self) -> String {
        let mut lines = vec![format!(
            "Replayed {} ps from step {} on, one thing changed at a time:",
            rounded(self.replays[0].span / PICOSECOND),
            self.start
        )];
        for (replay, effect) in self.replays.iter().zip(&self.verdict.effects) {
            let (name, outcome) = (self.name(replay), self.outcome(replay));
            let line = format!("  {name:26} {outcome:38} {}", self.remark(replay, *effect));
            lines.push(line.trim_end().to_owned());
        }
        let f = &self.findings;
        if let Some(drift) = f.force_drift {
            let made = if f.force_error > super::potential::FORCE {
                estimate(&drift)
            } else {
                "none".to_owned()
            };
            let differ = match f.force_error {
                0.0 => "differ by no more than their rounding".to_owned(),
                error => format!("differ by {error:.1e} eV/A at most"),
            };
            lines.push(format!(
                "  {:26} {made:38} {differ}",
                "forces against slopes"
            ));
        }
        if let Some(jump) = f.jump.filter(|_| f.jumps()) {
            let drift = (f.jump_drift.as_ref()).map_or_else(|| "unknown".to_owned(), estimate);
            lines.push(format!(
                "  {:26} {drift:38} {:+.4} meV as a pair enters the range",
                "jump at the cutoff",
                jump.value / MILLIELECTRONVOLT
            ));
        } else if f.crossings > 0 {
            lines.push(format!(
                "  {:26} {:38} under {:.0e} eV in {} pairs",
                "jump at the cutoff",
                "none",
                super::potential::JUMP,
                f.crossings
            ));
        }
        if let Some(same) = self.replays[0].reproduced {
            lines.push(format!(
                "  the replay {} the run's own later state bit for bit",
                if same { "reaches" } else { "does not reach" }
            ));
        }
        lines.push(format!("  verdict: {}", self.sentence()));
        lines.join("\n")
    }

    /// Drift, or the step where the limit broke.
    fn outcome(&self, replay: &Replay) -> String {
        if !replay.done {
            return "not done".to_owned();
        }
        if let Some(broke) = &replay.broke {
            return format!("breaks at step {}", broke.step);
        }
        match (&self.question, &replay.drift) {
            (Question::Breach { .. }, _) => {
                format!("holds for {} ps", rounded(replay.span / PICOSECOND))
            }
            (_, Some(drift)) => estimate(drift),
            (_, None) => "too short to tell".to_owned(),
        }
    }

    fn remark(&self, replay: &Replay, effect: Effect) -> String {
        let fault = match self.question {
            Question::Drift { .. } => "the drift",
            Question::Breach { .. } => "the fault",
        };
        match effect {
            Effect::Reference => match self.question {
                Question::Drift {
                    seen: Some(seen), ..
                } => format!("the run had {}", estimate(&seen)),
                Question::Breach { step, .. } => format!("the run broke at step {step}"),
                Question::Drift { .. } => String::new(),
            },
            Effect::Removed => format!("removes {fault}"),
            Effect::Stays if self.same_end(replay) => {
                "changes nothing: the same states, bit for bit".to_owned()
            }
            Effect::Stays => format!("{fault} stays"),
            Effect::Undecided => match self.verdict.suspect {
                Suspect::Nothing | Suspect::Passed => String::new(),
                _ => "undecided".to_owned(),
            },
            Effect::NotDone => replay.about.clone(),
        }
    }

    /// The verdict in a sentence or two.
    pub fn sentence(&self) -> String {
        let drift = self.replays[0].drift;
        let known = drift.as_ref().map_or_else(String::new, estimate);
        let parts = self.replays.iter().map(|c| c.variant.divisor).max();
        let parts = parts.unwrap_or(2).max(2);
        let breach = matches!(self.question, Question::Breach { .. });
        let what = if breach { "fault" } else { "drift" };
        match self.verdict.suspect {
            Suspect::Nothing => match self.question {
                Question::Drift { tolerable, .. } => format!(
                    "nothing is wrong: the drift is {known}, under {} meV/atom/ps",
                    rounded(tolerable / MEV_PER_PS)
                ),
                Question::Breach { .. } => "nothing is wrong".to_owned(),
            },
            Suspect::TimeStep => format!(
                "the time step is too long: steps of {} fs remove the {what}; use a smaller [dynamics] \
                 timestep",
                rounded(self.timestep / parts as f64 / FEMTOSECOND)
            ),
            Suspect::Precision => format!(
                "the precision: the network in f64 removes the {what}; set [potential] precision = \"f64\""
            ),
            Suspect::PairList => match self.replays[0].mismatch {
                Some((step, m)) => format!(
                    "the pair list: at step {step} the pair of atoms {} and {} at {:.4} A is {}; this is a \
                     fault of the program: please report it, with the run's directory",
                    m.atom,
                    m.neighbor,
                    m.distance,
                    if m.missing {
                        "missing"
                    } else {
                        "there for nothing"
                    }
                ),
                None => format!(
                    "the pair list: pairs found by brute force remove the {what}; this is a fault of the \
                     program: please report it, with the run's directory (a larger [dynamics] skin may help)"
                ),
            },
            Suspect::Forces => format!(
                "the potential: its forces are not the slopes of its energy (by up to {:.2e} eV/A), which \
                 makes a drift of {}; no choice of step, precision or pairs can mend that",
                self.findings.force_error,
                (self.findings.force_drift.as_ref()).map_or_else(String::new, estimate)
            ),
            Suspect::Cutoff => format!(
                "the potential: its energy jumps by {:+.4} meV where a pair enters its cutoff; use a \
                 potential that goes to zero smoothly there",
                (self.findings.jump).map_or(self.findings.largest_jump, |j| j.value)
                    / MILLIELECTRONVOLT
            ),
            Suspect::Potential => format!(
                "the potential: neither a smaller step nor f64 nor brute-force pairs remove the {what}, and \
                 its forces are the slopes of an energy without a jump at the cutoff as far as was looked; \
                 `mdrun check` looks further{}",
                if self.replays.iter().any(|c| !c.done && c.variant.double) {
                    " (f64 could not be tried)"
                } else {
                    ""
                }
            ),
            Suspect::Motion => format!(
                "the motion itself: until the limit broke the energy was conserved within {:.2} % of the \
                 kinetic energy, so the steps are sound; look at the frames recorded: a start that is too \
                 hot or strained, a structure outside of what the model knows, or too tight a limit",
                100.0 * self.replays[0].change
            ),
            Suspect::Passed => format!(
                "the window replayed does not drift ({known}): what made the drift came before it and has \
                 passed, or was chance"
            ),
            Suspect::Undecided if breach => match self.replays[0].broke {
                None => "it cannot be decided: the replay does not break the limit".to_owned(),
                Some(_) => "it cannot be decided in the time given (--minutes)".to_owned(),
            },
            Suspect::Undecided if drift.is_none() => {
                "it cannot be decided: the window is too short to fit a drift to".to_owned()
            }
            Suspect::Undecided => format!(
                "it cannot be decided: the drift is known to be {known}, which does not tell the replays \
                 apart; give them more time (--minutes)"
            ),
        }
    }
}

/// A drift with its error.
fn estimate(drift: &Estimate) -> String {
    let [value, error] = [drift.value, drift.error].map(|x| x / MEV_PER_PS);
    // As many digits as the error has two of.
    let digits = if error > 0.0 && error.is_finite() {
        (1.0 - error.log10().floor()).clamp(1.0, 7.0) as usize
    } else {
        4
    };
    format!("{value:+.digits$} +- {error:.digits$} meV/atom/ps")
}

/// To six significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}
