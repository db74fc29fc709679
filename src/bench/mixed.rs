//! A batch of members of several kinds in turn, beside what equal batches of each cost a member.

use serde::Serialize;

use super::Args;
use super::measure::Times;
use super::members::{MembersRow, Original, time_batch};
use crate::assemble::{self, Model};
use crate::{Error, Result};

/// The line of a mixed batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct MixedRow {
    /// "mixed".
    system: &'static str,
    /// What is mixed, in turn.
    mixed: Vec<String>,
    /// Numbers of atoms of each.
    mixed_atoms: Vec<usize>,
    /// Number of members.
    members: usize,
    device: String,
    precision: String,
    threads: usize,
    ensemble: String,
    /// A step of all members.
    step_ms: Times,
    /// Sum over members of what an equal batch of as many members costs one of its own.
    equal_ms: f64,
    /// `step_ms.median` over `equal_ms`.
    over_equal: f64,
    /// Steps of atoms in a second.
    atom_steps_per_s: f64,
}

/// Checks that there is something to mix.
///
/// # Errors
/// There is one kind alone, or there are fewer members than kinds.
pub(super) fn check(members: usize, originals: &[Original]) -> Result<()> {
    let kinds = originals.len();
    if kinds < 2 {
        return Err(Error::input(
            "--mixed: there is one system alone; give several --sizes, or --structure several times",
        ));
    }
    if members < kinds {
        return Err(Error::input(format!(
            "--members {members}: --mixed takes {kinds} systems in turn; give {kinds} members or more"
        )));
    }
    Ok(())
}

/// Times a batch of as many members as `equal` have, of their kinds in turn; `equal` are of one ensemble, in the order of
/// `originals`.
///
/// # Errors
/// As for [`time_batch`].
pub(super) fn measure(
    args: &Args,
    model: &Model,
    originals: &[Original],
    equal: &[&MembersRow],
) -> Result<MixedRow> {
    let (members, ensemble) = (equal[0].members, equal[0].ensemble.clone());
    let turns: Vec<&Original> = originals.iter().cycle().take(members).collect();
    let step_ms = time_batch(args, model, &turns, &ensemble)?;
    let of_one = |row: &&MembersRow| row.step_ms.median / members as f64;
    let equal_ms: f64 = equal.iter().map(of_one).cycle().take(members).sum();
    let atoms: usize = turns.iter().map(|turn| turn.start.system.len()).sum();
    Ok(MixedRow {
        system: "mixed",
        mixed: equal.iter().map(|row| row.system.clone()).collect(),
        mixed_atoms: equal.iter().map(|row| row.atoms).collect(),
        members,
        device: args.device_name(),
        precision: args.precision.to_string(),
        threads: assemble::thread_count(&args.device()),
        ensemble,
        step_ms,
        equal_ms,
        over_equal: step_ms.median / equal_ms,
        atom_steps_per_s: 1e3 * atoms as f64 / step_ms.median,
    })
}

impl MixedRow {
    /// It as a row of the table, and a sentence on what it is held against.
    pub(super) fn line(&self) -> String {
        format!(
            "{:>9} {:>6} {:>7} {:>8} {:>9} {:>9.4} {:>9.3} {:>8.2e} {:>6}\n\
             mixed in turn: {:.3} times the {:.4} ms that equal batches of {} cost a member, summed over its members\n",
            self.system,
            "",
            self.members,
            self.ensemble,
            "",
            self.step_ms.median,
            1e3 * self.step_ms.median / self.members as f64,
            self.atom_steps_per_s,
            "",
            self.over_equal,
            self.equal_ms,
            self.members,
        )
    }
}
