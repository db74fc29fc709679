//! The names of what a run writes in its directory.

pub use crate::formats::{FINAL, TOPOLOGY};

/// The run's record.
pub const RECORD: &str = "run.json";
/// The page of a run.
pub const REPORT: &str = "report.html";
/// The figures of a validation, in a folder of its own.
pub const VALIDATION: &str = "validation.json";
/// The thermo table.
pub const THERMO: &str = "thermo.csv";
/// The script that shows the run in VMD.
pub const VIEW_VMD: &str = "view.vmd";
/// The script that shows the run in PyMOL.
pub const VIEW_PYMOL: &str = "view.pml";
/// Frames that the models of a committee disagree on.
pub const UNCERTAIN: &str = "uncertain.xyz";
/// The trajectory of all members of a batch, where it is one.
pub const TRAJECTORY: &str = "traj.xyz";
/// The table of a batch's members.
pub const MEMBERS_TABLE: &str = "members.csv";
/// The folder of the files of a batch's members, a folder for each.
pub const MEMBERS: &str = "members";
/// The newest checkpoint.
pub const NEWEST: &str = "state.ckpt";
/// The checkpoint before it.
pub const PREVIOUS: &str = "state_prev.ckpt";
/// The state at the end of a stage.
pub fn end_of_stage(stage: &str) -> String {
    format!("state.{stage}.ckpt")
}

/// The weights in 8 bits that a run is computed with.
pub const INT8: &str = "int8.safetensors";
/// What PLUMED says.
pub const PLUMED_LOG: &str = "plumed.log";
/// The steps before a fault.
pub const FLIGHT: &str = "flight.xyz";
/// The state before them.
pub const FLIGHT_STATE: &str = "flight.ckpt";

/// Where the files of a run that is replaced are gathered, and put back from.
pub(crate) const GATHERED: &str = ".replacing";
/// Where they are, all of them, until the new run has begun.
pub(crate) const WHOLE: &str = ".replaced";
/// Where they are once it has: what is in it goes.
pub(crate) const REMOVED: &str = ".removed";
/// All of these folders.
pub(crate) const FOLDERS: [&str; 3] = [GATHERED, WHOLE, REMOVED];
