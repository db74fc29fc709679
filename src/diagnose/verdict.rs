//! What the replays say together.

use serde::Serialize;

use super::{Case, Effect, Findings, Question, Replay, SEEN, SURE, Variant};
use crate::report::series::Estimate;

/// Largest change of the conserved energy, as a part of the kinetic energy, of a sound integration: one that
/// breaks a limit did so by the motion itself, not by what computes it.
const SOUND: f64 = 0.1;

/// What is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspect {
    /// Nothing is wrong.
    Nothing,
    /// The time step is too long.
    TimeStep,
    /// The network's f32.
    Precision,
    /// Pairs are missing, or there for nothing.
    PairList,
    /// The potential: its forces are not the slopes of its energy.
    Forces,
    /// The potential: its energy jumps where a pair passes the cutoff.
    Cutoff,
    /// The potential, in a way that was not found.
    Potential,
    /// The motion itself: energy was conserved while the limit was reached.
    Motion,
    /// The drift was seen in the run, but the window replayed has none.
    Passed,
    /// It cannot be decided.
    #[default]
    Undecided,
}

/// The conclusion.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conclusion {
    /// What is at fault.
    pub suspect: Suspect,
    /// What each replay does to the fault, in their order.
    pub effects: Vec<Effect>,
}

impl Conclusion {
    /// Whether replaying further would tell no more.
    pub(super) fn is_final(&self) -> bool {
        self.suspect != Suspect::Undecided
    }

    /// What replays say so far.
    pub(super) fn of(case: &Case, replays: &[&Replay]) -> Self {
        let effects: Vec<Effect> = (replays.iter().enumerate())
            .map(|(k, replay)| match (k, replay.done) {
                (0, _) => Effect::Reference,
                (_, false) => Effect::NotDone,
                _ => match case.question {
                    Question::Drift { .. } => on_drift(replays[0], replay),
                    Question::Breach { .. } => on_breach(replays[0], replay),
                },
            })
            .collect();
        let suspect = match &case.question {
            _ if replays[0].mismatch.is_some() => Suspect::PairList,
            Question::Drift {
                seen, tolerable, ..
            } => drift(replays[0], *seen, *tolerable, replays, &effects),
            Question::Breach { .. } => breach(replays[0], replays, &effects),
        };
        Self { suspect, effects }
    }

    /// Takes in what the potential itself has shown.
    pub(super) fn conclude(&mut self, case: &Case, replays: &[Replay], findings: &Findings) {
        let Some(drift) = replays.first().and_then(|c| c.drift) else {
            return;
        };
        let broken = matches!(case.question, Question::Breach { .. });
        let [forces, cutoff] = findings.explain(&drift);
        let jumps = broken && findings.jumps();
        self.suspect = match self.suspect {
            Suspect::Potential if forces => Suspect::Forces,
            Suspect::Potential if cutoff || jumps => Suspect::Cutoff,
            other => other,
        };
    }
}

/// Whether a drift is certainly less than half of another, or certainly more.
fn on_drift(reference: &Replay, replay: &Replay) -> Effect {
    if replay.broke.is_some() && reference.broke.is_none() {
        return Effect::Stays;
    }
    if replay.end == reference.end && !replay.end.is_empty() && same_step(replay, reference) {
        // The same states throughout, hence the same drift, whatever its error.
        return Effect::Stays;
    }
    let (Some(from), Some(to)) = (reference.drift, replay.drift) else {
        return Effect::Undecided;
    };
    let half = 0.5 * from.value.abs();
    let along = to.value * from.value.signum();
    match (SURE * to.error, along) {
        (bar, _) if to.value.abs() + bar <= half => Effect::Removed,
        (bar, along) if along - bar >= half => Effect::Stays,
        _ => Effect::Undecided,
    }
}

fn same_step(a: &Replay, b: &Replay) -> bool {
    a.variant.divisor == b.variant.divisor && a.steps == b.steps
}

/// Whether the limit holds all through the window.
fn on_breach(reference: &Replay, replay: &Replay) -> Effect {
    if reference.broke.is_none() {
        return Effect::Undecided;
    }
    match &replay.broke {
        Some(_) => Effect::Stays,
        // Not as far as the other came: time was up.
        None if replay.span < reference.span => Effect::Undecided,
        None => Effect::Removed,
    }
}

/// The first of the causes that removes the fault, most special first: a shorter step lets fewer pairs be
/// missed, too, and nothing but exact pairs can find pairs that are missing.
fn remover(replays: &[&Replay], effects: &[Effect]) -> Option<Suspect> {
    let removed = |wanted: fn(&Variant) -> bool| {
        (replays.iter().zip(effects))
            .any(|(c, e)| wanted(&c.variant) && matches!(e, Effect::Removed))
    };
    if removed(|v| v.exhaustive) {
        return Some(Suspect::PairList);
    }
    if removed(|v| v.double) {
        return Some(Suspect::Precision);
    }
    removed(|v| v.divisor > 1).then_some(Suspect::TimeStep)
}

/// Whether every change that could be made leaves the fault as it is.
fn all_stay(effects: &[Effect]) -> bool {
    let rest = effects.iter().skip(1);
    rest.clone()
        .all(|e| matches!(e, Effect::Stays | Effect::NotDone))
        && rest.clone().any(|e| *e == Effect::Stays)
}

fn drift(
    reference: &Replay,
    seen: Option<Estimate>,
    tolerable: f64,
    replays: &[&Replay],
    effects: &[Effect],
) -> Suspect {
    if reference.broke.is_some() {
        return remover(replays, effects).unwrap_or(Suspect::Undecided);
    }
    let Some(drift) = reference.drift else {
        return Suspect::Undecided;
    };
    let most = drift.value.abs() + SURE * drift.error;
    if let Some(seen) = seen
        && seen.value.abs() > tolerable
        && most < 0.5 * seen.value.abs()
    {
        return Suspect::Passed;
    }
    if most < tolerable {
        return Suspect::Nothing;
    }
    if drift.value.abs() < SEEN * drift.error {
        return Suspect::Undecided;
    }
    // All that might remove it must have been decided, unless a more special cause has been found.
    let found = remover(replays, effects);
    let open = |wanted: fn(&Variant) -> bool| {
        (replays.iter().zip(effects)).any(|(c, e)| wanted(&c.variant) && *e == Effect::Undecided)
    };
    match found {
        Some(Suspect::PairList) => Suspect::PairList,
        _ if open(|v| v.exhaustive) => Suspect::Undecided,
        Some(Suspect::Precision) => Suspect::Precision,
        _ if open(|v| v.double) => Suspect::Undecided,
        Some(other) => other,
        None if all_stay(effects) => Suspect::Potential,
        None => Suspect::Undecided,
    }
}

fn breach(reference: &Replay, replays: &[&Replay], effects: &[Effect]) -> Suspect {
    if reference.broke.is_none() {
        return Suspect::Undecided;
    }
    if reference.change < SOUND {
        // A missing pair need not show in the energy that the same pairs make.
        let pairs = remover(replays, effects).filter(|s| *s == Suspect::PairList);
        return pairs.unwrap_or(Suspect::Motion);
    }
    match remover(replays, effects) {
        Some(suspect) => suspect,
        None if all_stay(effects) => Suspect::Potential,
        None => Suspect::Undecided,
    }
}
