//! `view.vmd` and `view.pml`: scripts that show a run in VMD and in PyMOL, as what it is.
//!
//! A script loads the topology and the trajectory with the most frames from the folder that it is in, wherever that is now;
//! bonds are the topology's. What is drawn is chosen from the atoms that the run begins with ([`ViewedMatter`]). Both scripts
//! follow from the plan alone.

mod pymol;
mod vmd;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::console::Console;
use super::names::{VIEW_PYMOL, VIEW_VMD};
use super::{file, trajectory};
use crate::config::plan::{Plan, TrajectoryFormat, TrajectoryPlan};
use crate::core::{Cell, System, Vec3, elements};
use crate::formats::write::orient::Standard;
use crate::neighbors::Molecules;
use crate::text::counted;

/// Most bytes of coordinates that a viewer is to keep: of a trajectory that has more, some frames are left out.
const MOST_BYTES: u64 = 1 << 30;
/// Bytes of an atom's coordinates in a viewer.
const ATOM_BYTES: u64 = 12;
/// Atoms up to which they are drawn with thickness.
const MOST_THICK: usize = 5_000;

/// What the atoms of a run are to the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewedMatter {
    /// Molecules, without a cell.
    Molecule,
    /// Molecules in a cell.
    Liquid,
    /// For the most part single atoms.
    Atoms,
    /// For the most part bonded to their own images: a crystal, a layer, a framework.
    Crystal,
}

impl ViewedMatter {
    /// What atoms at `positions` (angstrom) are, by the bonds that their distances tell.
    pub fn of(system: &System, cell: &Cell, positions: &[Vec3]) -> Self {
        Self::told_by(&Molecules::of(&system.species, cell, positions), cell)
    }

    fn told_by(molecules: &Molecules, cell: &Cell) -> Self {
        let groups = || molecules.atoms.iter().zip(&molecules.endless);
        let all = molecules.of_atom.len();
        let endless = groups().filter(|(_, endless)| **endless != [false; 3]);
        let endless: usize = endless.map(|(atoms, _)| atoms.len()).sum();
        let alone = groups().filter(|(atoms, endless)| atoms.len() == 1 && **endless == [false; 3]);
        if 2 * endless >= all {
            Self::Crystal
        } else if 2 * alone.count() >= all {
            Self::Atoms
        } else if cell.is_periodic() {
            Self::Liquid
        } else {
            Self::Molecule
        }
    }

    /// The word for it.
    fn word(self) -> &'static str {
        match self {
            Self::Molecule => "molecule",
            Self::Liquid => "liquid",
            Self::Atoms => "atoms",
            Self::Crystal => "crystal",
        }
    }
}

/// What the scripts are made from.
struct ViewedRun<'p> {
    matter: ViewedMatter,
    atoms: usize,
    /// Whether some atoms have no bond.
    single: bool,
    /// Which directions are periodic.
    periodic: [bool; 3],
    /// Whether the cell changes.
    pressed: bool,
    /// The middle of the cell, turned as viewers have it (angstrom).
    middle: Vec3,
    /// The trajectory that is shown.
    trajectory: Option<&'p TrajectoryPlan>,
    /// Names of the others.
    others: Vec<String>,
    /// Every so-manieth frame is loaded.
    stride: u64,
    /// What it is, for people.
    words: String,
}

impl<'p> ViewedRun<'p> {
    fn of(plan: &'p Plan, trajectories: &[&'p TrajectoryPlan]) -> Self {
        let start = &plan.start;
        let molecules = Molecules::of(&start.system.species, &start.cell, &start.positions);
        let matter = ViewedMatter::told_by(&molecules, &start.cell);
        let atoms = start.system.len();
        let shown = shown(trajectories);
        let others = (trajectories.iter())
            .filter(|one| Some(**one) != shown)
            .map(|one| trajectory::name(one));
        let mut words = format!(
            "{}: {}, {}",
            matter.word(),
            elements::formula(&start.system.species),
            counted(atoms as u64, "atom")
        );
        if matches!(matter, ViewedMatter::Molecule | ViewedMatter::Liquid) {
            words += &format!(", {}", counted(molecules.atoms.len() as u64, "molecule"));
        }
        Self {
            matter,
            atoms,
            single: molecules.atoms.iter().any(|atoms| atoms.len() == 1),
            periodic: start.cell.periodic(),
            pressed: plan.dynamics.ensemble.pressure().is_some(),
            trajectory: shown,
            others: others.collect(),
            stride: shown.map_or(1, |one| stride(one, atoms, plan.dynamics.steps)),
            middle: middle(&start.cell, shown),
            words,
        }
    }

    /// Whether the cell is periodic in all directions.
    fn is_full(&self) -> bool {
        self.periodic == [true; 3]
    }

    /// Whether viewers are to move the atoms of a crystal back to where their bonds are: the file has each in the cell.
    fn unwraps(&self) -> bool {
        let wrapped = self.trajectory.is_some_and(|one| one.wrap);
        self.is_full() && wrapped && self.matter == ViewedMatter::Crystal
    }

    fn has_cell(&self) -> bool {
        self.periodic != [false; 3]
    }

    /// Whether viewers are to move molecules into the cell: the file leaves them where they have gone. Along open directions
    /// they would be torn from each other.
    fn wraps(&self) -> bool {
        let wrapped = self.trajectory.is_some_and(|one| one.wrap);
        self.is_full() && !wrapped && self.matter != ViewedMatter::Crystal
    }

    /// The file's name, and what viewers call its format; of a run without a trajectory those of its last state.
    fn file(&self) -> (String, &'static str) {
        match self.trajectory {
            Some(one) => (trajectory::name(one), trajectory::extension(one.format)),
            None => (super::names::FINAL.to_owned(), "xyz"),
        }
    }

    /// Whether frames are in the run's own frame of reference, and tell their cell where viewers do not look.
    fn is_text(&self) -> bool {
        self.file().1 == "xyz"
    }

    /// The names of trajectories that are not shown, for people.
    fn others(&self) -> String {
        match self.others.is_empty() {
            true => String::new(),
            false => format!("# Not shown: {}\n", self.others.join(", ")),
        }
    }
}

/// The middle of a cell as a trajectory has it (angstrom); zero where there is none.
fn middle(cell: &Cell, trajectory: Option<&TrajectoryPlan>) -> Vec3 {
    let is_xtc = trajectory.is_some_and(|one| one.format == TrajectoryFormat::Xtc);
    let standard = Standard::new(cell).and_then(|standard| match is_xtc {
        true => standard.for_gromacs(),
        false => Ok(standard),
    });
    standard.map_or(Vec3::zeros(), |standard| {
        standard.cell().cartesian(&Vec3::repeat(0.5))
    })
}

/// The trajectory with the most frames; of several such the one whose cells viewers read, and the more exact.
fn shown<'p>(trajectories: &[&'p TrajectoryPlan]) -> Option<&'p TrajectoryPlan> {
    let rank = |format| match format {
        TrajectoryFormat::Dcd => 0,
        TrajectoryFormat::Xtc => 1,
        TrajectoryFormat::Xyz => 2,
    };
    let order = |one: &&&TrajectoryPlan| (one.every, rank(one.format));
    trajectories.iter().min_by_key(order).copied()
}

/// The number of frames for each that is loaded.
fn stride(plan: &TrajectoryPlan, atoms: usize, steps: u64) -> u64 {
    let frames = steps / plan.every.max(1) + 1;
    let bytes = frames.saturating_mul(ATOM_BYTES.saturating_mul(atoms as u64));
    bytes.div_ceil(MOST_BYTES).max(1)
}

/// The scripts of a plan with these trajectories, by their names.
pub fn scripts(plan: &Plan, trajectories: &[&TrajectoryPlan]) -> [(&'static str, String); 2] {
    let run = ViewedRun::of(plan, trajectories);
    [
        (VIEW_VMD, vmd::script(&run)),
        (VIEW_PYMOL, pymol::script(&run)),
    ]
}

/// Writes the scripts of a plan into its run's directory; those that are there stay where the run goes on. What cannot be
/// written is told, and does not end the run.
pub fn write(directory: &Path, plan: &Plan, goes_on: bool, console: &Console) {
    if !plan.output.view {
        return;
    }
    let missing = |name: &str| !(goes_on && directory.join(name).is_file());
    if ![VIEW_VMD, VIEW_PYMOL].into_iter().any(missing) {
        return;
    }
    let trajectories: Vec<&TrajectoryPlan> = plan.output.trajectories.iter().collect();
    for (name, text) in scripts(plan, &trajectories) {
        if !missing(name) {
            continue;
        }
        if let Err(error) = file::replace(&directory.join(name), text.as_bytes()) {
            console.remark(&format!("warning: {error}; the run goes on without it"));
        }
    }
}

/// Writes the scripts of a batch's member, which follow from its plan, into its folder. What cannot be written is left out.
pub(super) fn write_member(folder: &Path, plan: &Plan, trajectories: &[&TrajectoryPlan]) {
    if !plan.output.view {
        return;
    }
    for (name, text) in scripts(plan, trajectories) {
        let path = folder.join(name);
        let there = fs::read(&path).is_ok_and(|bytes| bytes == text.as_bytes());
        if !there {
            // A member's frames are there without it.
            let _ = file::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_left_out_where_a_viewer_would_need_too_much_memory() {
        let plan = TrajectoryPlan {
            format: TrajectoryFormat::Dcd,
            every: 10,
            wrap: false,
            velocities: false,
            forces: false,
            noise: None,
            stage: None,
        };
        for (atoms, steps, right) in [
            (9, 1_000_000, 1),
            (1_000, 894_770, 1),
            (1_000, 894_780, 2),
            (100_000, 1_000_000, 112),
            (usize::MAX, u64::MAX, 17_179_869_184),
        ] {
            assert_eq!(stride(&plan, atoms, steps), right, "{atoms} {steps}");
        }
    }
}
