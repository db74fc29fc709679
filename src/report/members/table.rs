//! `members.csv`: how far each member has come, and how it ended.
//!
//! | column | what |
//! |---|---|
//! | `index` | number of the member, from 0 |
//! | `name` | where its atoms come from |
//! | `atoms` | number of atoms |
//! | `status` | `waiting`, `running`, `complete`, `interrupted` or `failed` |
//! | `steps` | steps taken |
//! | `drift_mev_per_atom_ps`, `drift_stderr_mev_per_atom_ps` | slope of the conserved energy, its standard error |
//! | `mean_temperature_k` | mean temperature |
//! | `remark` | why it failed, or else the first warning of it |
//!
//! What is not known is empty. The table is written whole, or not at all.

use std::path::PathBuf;

use crate::Result;
use crate::config::plan::BatchPlan;
use crate::report::drift::Energies;
use crate::report::file;
use crate::simulation::batch::{MemberCourse, MemberStage};
use crate::text::number;
use crate::units::{KELVIN, MEV_PER_PS};

const HEADER: &str = "index,name,atoms,status,steps,drift_mev_per_atom_ps,drift_stderr_mev_per_atom_ps,\
                      mean_temperature_k,remark\n";

/// Writes the table.
#[derive(Debug)]
pub struct MembersTable {
    path: PathBuf,
    /// Name, number of atoms, and whether there is a thermostat.
    rows: Vec<(String, usize, bool)>,
}

impl MembersTable {
    /// The table of a batch, at a path.
    pub fn of(plan: &BatchPlan, path: PathBuf) -> Self {
        let rows = plan.members.iter().map(|member| {
            let bath = member.plan.dynamics.ensemble.bath().is_some();
            (quoted(&member.name), member.plan.start.system.len(), bath)
        });
        Self {
            path,
            rows: rows.collect(),
        }
    }

    /// Writes it; `ended` says that no member takes steps any more.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write<'e>(
        &self,
        members: &[MemberCourse],
        energies: impl Iterator<Item = &'e Energies>,
        ended: bool,
    ) -> Result<()> {
        let mut text = HEADER.as_bytes().to_vec();
        let rows = self.rows.iter().zip(members).zip(energies).enumerate();
        for (index, (((name, atoms, bath), course), energies)) in rows {
            let (status, steps) = (status(course, ended), course.step);
            text.extend_from_slice(format!("{index},{name},{atoms},{status},{steps}").as_bytes());
            let (drift, kt) = energies.read(|record| (record.drift_with(*bath), record.mean_kt()));
            let drift = drift.map(|d| d.scaled(1.0 / MEV_PER_PS));
            let temperature = kt.map(|kt| kt.scaled(1.0 / KELVIN));
            let values = [
                drift.map(|d| d.value),
                drift.map(|d| d.error),
                temperature.map(|t| t.value),
            ];
            for value in values {
                text.push(b',');
                if let Some(value) = value {
                    number(&mut text, value);
                }
            }
            text.push(b',');
            text.extend(course.remark.iter().flat_map(|r| quoted(r).into_bytes()));
            text.push(b'\n');
        }
        file::replace(&self.path, &text)
    }
}

/// The word for where a member is in its life; `ended` says that no member takes steps any more.
pub fn status(course: &MemberCourse, ended: bool) -> &'static str {
    match course.stage {
        MemberStage::Complete => "complete",
        MemberStage::Failed => "failed",
        MemberStage::Running if ended => "interrupted",
        MemberStage::Running => "running",
        MemberStage::Waiting if ended && course.step > 0 => "interrupted",
        MemberStage::Waiting => "waiting",
    }
}

/// A text as a cell: in quotes, on one line.
fn quoted(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!("\"{}\"", line.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line_in_quotes() {
        assert_eq!(quoted("a, \"b\"\nc"), "\"a, \"\"b\"\" c\"");
    }
}
