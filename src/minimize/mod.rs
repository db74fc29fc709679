//! Minimisation of the energy over positions, and of the enthalpy over positions and cell, on any force field.
//!
//! A [`Minimizer`] says which arrangement it wants to know of, and is told what a force field says of it: it asks nobody itself,
//! so that one system ([`minimize`]) and many at once ([`minimize_many`]) go the same way, wherever energies are computed. Where
//! it goes depends on its start and on these numbers alone: the same start gives the same bits, on one device.
//!
//! # What is minimised
//!
//! Over positions r the energy E. Over a cell too the enthalpy H = E + p V, in the coordinates q and U for which
//!
//! ```text
//! r = F q,   lattice vectors = F (those of the start),   F = exp(U),   U symmetric
//! ```
//!
//! so that U never turns the cell, nor makes its volume zero (as Tadmor, Smith, Bernstein and Kaxiras, Phys. Rev. B 59, 235
//! (1999), with the logarithm of F in its place). With W the strain derivative of the energy,
//!
//! ```text
//! dH/dq = -F f,   dH/dF = (W + p V) F^-1,   dH/dU = L(U, dH/dF)
//! ```
//!
//! where L is the derivative of the matrix exponential (self-adjoint, as U is symmetric), of which the part is taken that the
//! [`Coupling`] lets the cell do. U is measured in V^(1/3) N^(1/6), which makes it as stiff as a
//! bond (Sheppard, Xiao, Chemelewski, Johnson and Henkelman, J. Chem. Phys. 136, 074103 (2012), equation 12).

mod fire;
mod landscape;
mod lbfgs;
mod many;
mod minimizer;
mod reach;
mod standstill;

use std::ops::ControlFlow;

use crate::core::{Cell, Vec3};
use crate::dynamics::cell_rescaling::Coupling;
use crate::forcefield::ForceField;
use crate::potential::Evaluation;
use crate::{Error, Result};

pub use many::{MembersMoment, minimize_many};
pub use minimizer::{Minimizer, MinimizerTurn};

/// Farthest that an atom moves in one step (angstrom) where nothing else is asked for.
pub const LONGEST: f64 = 0.2;

/// How the way down is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DescentMethod {
    /// L-BFGS (Nocedal, Math. Comp. 35, 773 (1980)) with steps along its directions that lower the energy.
    #[default]
    Lbfgs,
    /// FIRE 2.0 (Guenole et al., Comput. Mater. Sci. 175, 109584 (2020)).
    Fire,
}

impl DescentMethod {
    /// Each by its name, for tables of words.
    pub const WORDS: [(&'static str, Self); 2] = [("lbfgs", Self::Lbfgs), ("fire", Self::Fire)];

    /// What users call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lbfgs => "lbfgs",
            Self::Fire => "fire",
        }
    }
}

/// What is minimised, how, and until when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinimizerSettings {
    /// How the way down is found.
    pub method: DescentMethod,
    /// What the cell may do; `None` where it stays as it is.
    pub cell: Option<Coupling>,
    /// Pressure on a cell that may change (eV / cubic angstrom).
    pub pressure: f64,
    /// Done where no atom feels more than this force (eV / angstrom), and
    pub force: f64,
    /// where the cell may change, no principal value of its stress beyond the pressure, as far as the cell may follow it, is
    /// larger (eV / cubic angstrom).
    pub stress: f64,
    /// Most steps.
    pub most_steps: u64,
    /// Farthest that an atom moves in one step (angstrom).
    pub longest: f64,
}

impl MinimizerSettings {
    /// A minimisation over positions down to a largest force (eV / angstrom), in so many steps at the most.
    pub fn of_positions(force: f64, most_steps: u64) -> Self {
        Self {
            method: DescentMethod::default(),
            cell: None,
            pressure: 0.0,
            force,
            stress: 0.0,
            most_steps,
            longest: LONGEST,
        }
    }

    /// The same over the cell too, at a pressure, down to a largest stress beyond it (both eV / cubic angstrom).
    pub fn with_cell(self, coupling: Coupling, pressure: f64, stress: f64) -> Self {
        Self {
            cell: Some(coupling),
            pressure,
            stress,
            ..self
        }
    }

    /// Checks that they are numbers that can be reached.
    ///
    /// # Errors
    /// Names the one that cannot.
    fn check(&self) -> Result<()> {
        let positive = |what: &str, value: f64| match value > 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(Error::input(format!(
                "{what} is {value}, but must be a positive number"
            ))),
        };
        positive("the largest force of a minimum", self.force)?;
        positive("the longest step", self.longest)?;
        if self.cell.is_some() {
            positive("the largest stress of a minimum", self.stress)?;
            if !self.pressure.is_finite() {
                return Err(Error::input("the pressure is not a finite number"));
            }
        }
        Ok(())
    }
}

/// Why a minimisation has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinimizerEnd {
    /// Forces, and the stress of a cell that may change, are as small as asked for.
    Converged,
    /// The most steps are taken.
    MostSteps,
    /// The energy goes down no farther along the forces, nor do these become smaller: what is left is the error of the numbers
    /// that they are computed in, or of a potential that is not smooth.
    NumbersEnd,
    /// Who watched has asked for an end.
    Interrupted,
}

/// Where a minimisation has come: after `step` steps.
#[derive(Debug, Clone, Copy)]
pub struct MinimizerMoment<'a> {
    /// Steps taken; 0 at the start.
    pub step: u64,
    /// Evaluations so far.
    pub evaluations: u64,
    /// The cell.
    pub cell: &'a Cell,
    /// Unwrapped positions (angstrom).
    pub positions: &'a [Vec3],
    /// Energy, forces and strain derivative there.
    pub evaluation: &'a Evaluation,
    /// E + p V (eV) where the cell may change, else E.
    pub enthalpy: f64,
    /// Largest force (eV / angstrom) on an atom that may move.
    pub force: f64,
    /// Largest principal value of the stress beyond the pressure that the cell may follow (eV / cubic angstrom); `None` of a cell
    /// that stays as it is.
    pub stress: Option<f64>,
}

/// Where a minimisation has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// Why.
    pub end: MinimizerEnd,
    /// Steps taken.
    pub steps: u64,
    /// Evaluations.
    pub evaluations: u64,
    /// The cell.
    pub cell: Cell,
    /// Unwrapped positions (angstrom).
    pub positions: Vec<Vec3>,
    /// Energy, forces and strain derivative there.
    pub evaluation: Evaluation,
    /// E + p V (eV) where the cell may change, else E.
    pub enthalpy: f64,
    /// Largest force (eV / angstrom) on an atom that may move.
    pub force: f64,
    /// As [`MinimizerMoment::stress`].
    pub stress: Option<f64>,
}

/// Minimises the energy of a force field from a start: a cell, and unwrapped positions (angstrom). `watch` sees the start and
/// every step, and may ask for an end.
///
/// Where it ends without having converged, what is given back is the lowest arrangement on the way.
///
/// # Errors
/// Settings that cannot be, a cell that is to change and is not periodic in all directions, an energy or a force of the start
/// that is not a finite number, or what the force field cannot evaluate.
pub fn minimize(
    field: &mut dyn ForceField,
    settings: &MinimizerSettings,
    start: (&Cell, &[Vec3]),
    watch: &mut dyn FnMut(&MinimizerMoment<'_>) -> ControlFlow<()>,
) -> Result<Minimum> {
    minimize_by(field, Minimizer::new(settings, start)?, watch)
}

/// Does as [`minimize`] by a minimizer that was made for it, whose start was not evaluated yet.
///
/// # Errors
/// As for [`minimize`], but for settings and cell.
pub fn minimize_by(
    field: &mut dyn ForceField,
    mut minimizer: Minimizer,
    watch: &mut dyn FnMut(&MinimizerMoment<'_>) -> ControlFlow<()>,
) -> Result<Minimum> {
    let mut found = Evaluation::zeros(minimizer.wanted().1.len());
    loop {
        let (cell, positions) = minimizer.wanted();
        field.evaluate(cell, positions, &mut found)?;
        let turn = minimizer.take(&found)?;
        let mut end = match turn {
            MinimizerTurn::Trial => continue,
            MinimizerTurn::Step => None,
            MinimizerTurn::Ended(end) => Some(end),
        };
        let asked = minimizer.moment().map(|moment| watch(&moment));
        if end.is_none() && asked == Some(ControlFlow::Break(())) {
            end = Some(MinimizerEnd::Interrupted);
        }
        if let Some(minimum) = end.and_then(|end| minimizer.minimum(end)) {
            return Ok(minimum);
        }
    }
}
