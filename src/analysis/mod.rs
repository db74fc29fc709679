//! What a run's trajectory and thermo table say of its matter: distances, diffusion, vibrations, bonds, densities, hydrogen
//! bonds.
//!
//! A [`FrameQuantity`] is shown one frame after another and keeps sums alone, so that memory does not grow with the trajectory;
//! where it needs frames of the past, it keeps so many as fit into [`MOST_BYTES`]. What comes out is an [`AnalysisFinding`]:
//! lines for a terminal, tables, plots, and the same as JSON. [`studied`] finds in a run's directory what its frames are of,
//! [`output`] writes findings down, [`page`] as one page.

pub mod chosen;
pub mod coordinates;
pub mod density;
pub mod diffusion;
pub mod equilibrium;
pub mod hydrogen_bonds;
pub mod kinetic_energy;
pub mod lags;
pub mod output;
pub mod page;
pub mod pair_distances;
pub mod statistics;
pub mod studied;
pub mod table;
pub mod thermo_lines;
pub mod thinned;
pub mod vibrations;

pub use chosen::Chosen;
pub use studied::{Studied, StudiedFrames, StudiedRun, WrittenTrajectory};
pub use table::CsvTable;
pub use thinned::Thinned;

use serde_json::Value;

use crate::Result;
use crate::core::Snapshot;
use crate::plot::Plot;

/// Most memory (bytes) that a quantity takes for frames of the past.
pub const MOST_BYTES: usize = 256 << 20;

/// Something that is measured over frames.
pub trait FrameQuantity: Send {
    /// Takes in a frame. All have the same atoms, and follow each other evenly.
    ///
    /// # Errors
    /// It cannot be measured on this frame.
    fn take(&mut self, frame: &Snapshot) -> Result<()>;

    /// Passes a frame between those that are taken in: of use to what follows atoms from one image to the next.
    fn pass(&mut self, _frame: &Snapshot) {}

    /// What has been found so far.
    ///
    /// # Errors
    /// There were too few frames.
    fn finding(&self) -> Result<AnalysisFinding>;
}

/// What has been found of a quantity.
#[derive(Debug, Clone, Default)]
pub struct AnalysisFinding {
    /// The word that asks for it, which its files are named by as well.
    pub name: &'static str,
    /// What it is.
    pub title: String,
    /// What it says, in lines for a terminal.
    pub lines: Vec<String>,
    /// How it was measured, and what to heed.
    pub notes: Vec<String>,
    /// The figures.
    pub figures: Value,
    /// The whole of it.
    pub table: CsvTable,
    /// Pictures of it; a file each, which the name tells apart where there are several.
    pub plots: Vec<(String, Plot)>,
}
