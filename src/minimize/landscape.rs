//! The energy, or the enthalpy of a cell that may change, as a function of one list of coordinates.

use crate::core::{Cell, Mat3, Vec3};
use crate::dynamics::cell_rescaling::Coupling;
use crate::potential::Evaluation;
use crate::{Error, Result};

/// Below this half difference of two eigenvalues sinh(d) / d is its series to f64.
const SERIES: f64 = 1e-3;

/// What is minimised, as a function of coordinates: one vector for each atom, and, where the cell may change, three that are the
/// rows of the symmetric U, in [`LooseCell::scale`].
#[derive(Debug, Clone)]
pub(super) struct Landscape {
    start: Cell,
    atoms: usize,
    loose: Option<LooseCell>,
    /// Whether each atom stays where it is; empty where all may move.
    frozen: Vec<bool>,
}

/// A cell that may change.
#[derive(Debug, Clone, Copy)]
pub(super) struct LooseCell {
    coupling: Coupling,
    /// eV / cubic angstrom.
    pressure: f64,
    /// Coordinates (angstrom) for a strain of 1.
    pub scale: f64,
}

/// A place that was evaluated.
#[derive(Debug, Clone)]
pub(super) struct WalkPoint {
    /// The coordinates.
    pub x: Vec<Vec3>,
    /// What is minimised (eV), and its gradient (eV / angstrom).
    pub value: f64,
    pub gradient: Vec<Vec3>,
    /// The same as an arrangement, and what the force field says of it.
    pub cell: Cell,
    pub positions: Vec<Vec3>,
    pub evaluation: Evaluation,
}

impl WalkPoint {
    /// Whether value and gradient are numbers.
    pub fn is_finite(&self) -> bool {
        self.value.is_finite() && (self.gradient.iter()).all(|g| g.iter().all(|x| x.is_finite()))
    }
}

impl Landscape {
    /// That of atoms in a cell, which may change as a coupling lets it at a pressure (eV / cubic angstrom).
    ///
    /// # Errors
    /// A cell that is to change is not periodic in all directions, or lacks the right angles that the coupling wants.
    pub fn new(start: &Cell, atoms: usize, loose: Option<(Coupling, f64)>) -> Result<Self> {
        let lacking = loose.and_then(|(coupling, _)| Some((coupling, coupling.lacks(start)?)));
        if let Some((coupling, wanted)) = lacking {
            return Err(Error::input(format!(
                "{:?} is for a cell with {wanted}; \"triclinic\" or \"isotropic\" takes any",
                coupling.name()
            )));
        }
        let loose = match (loose, start.volume()) {
            (None, _) => None,
            (Some(_), None) => {
                return Err(Error::input(
                    "a cell that is to change has to be periodic in all directions, and this one is not",
                ));
            }
            (Some((coupling, pressure)), Some(volume)) => Some(LooseCell {
                coupling,
                pressure,
                scale: volume.cbrt() * (atoms.max(1) as f64).powf(1.0 / 6.0),
            }),
        };
        Ok(Self {
            start: start.clone(),
            atoms,
            loose,
            frozen: Vec::new(),
        })
    }

    /// The same where some of the atoms, as many as are told of, stay where they are.
    ///
    /// # Errors
    /// It is of another number of atoms, or its cell may change, which they would not follow.
    pub fn holding(self, frozen: &[bool]) -> Result<Self> {
        if !frozen.is_empty() && frozen.len() != self.atoms {
            let (told, atoms) = (frozen.len(), self.atoms);
            return Err(Error::input(format!(
                "{told} of {atoms} atoms are told whether they move"
            )));
        }
        if frozen.contains(&true) && self.loose.is_some() {
            return Err(Error::input(
                "frozen atoms do not follow a cell that is to change: leave it as it is",
            ));
        }
        let frozen = frozen.to_vec();
        Ok(Self { frozen, ..self })
    }

    /// Largest force (eV / angstrom) on an atom that may move.
    pub fn force(&self, found: &Evaluation) -> f64 {
        let forces = found.forces.iter().enumerate();
        let moving = forces.filter(|(i, _)| self.moves(*i));
        moving.map(|(_, force)| force.norm()).fold(0.0, f64::max)
    }

    fn moves(&self, atom: usize) -> bool {
        self.frozen.get(atom) != Some(&true)
    }

    /// The cell that may change.
    pub fn loose(&self) -> Option<&LooseCell> {
        self.loose.as_ref()
    }

    /// The coordinates of the start.
    pub fn coordinates(&self, positions: &[Vec3]) -> Vec<Vec3> {
        let mut x = positions.to_vec();
        if self.loose.is_some() {
            x.extend([Vec3::zeros(); 3]);
        }
        x
    }

    /// The arrangement at coordinates.
    ///
    /// # Errors
    /// The cell has no volume that can be worked with.
    pub fn arrangement(&self, x: &[Vec3]) -> Result<(Cell, Vec<Vec3>)> {
        let Some(loose) = &self.loose else {
            return Ok((self.start.clone(), x.to_vec()));
        };
        let stretch = Exponential::of(&self.strain(loose, x)).value();
        let cell = self.start.strained(&stretch)?;
        let positions = x[..self.atoms].iter().map(|q| stretch * q).collect();
        Ok((cell, positions))
    }

    /// The place at coordinates, whose arrangement is known, and what the force field says of it.
    pub fn point(
        &self,
        x: Vec<Vec3>,
        (cell, positions): (Cell, Vec<Vec3>),
        evaluation: &Evaluation,
    ) -> WalkPoint {
        let (value, gradient) = self.slope(&x, &cell, evaluation);
        WalkPoint {
            x,
            value,
            gradient,
            cell,
            positions,
            evaluation: evaluation.clone(),
        }
    }

    /// What is minimised, and its gradient.
    fn slope(&self, x: &[Vec3], cell: &Cell, found: &Evaluation) -> (f64, Vec<Vec3>) {
        let (Some(loose), Some(volume)) = (&self.loose, cell.volume()) else {
            let forces = found.forces.iter().enumerate();
            let slope = |(i, force): (usize, &Vec3)| match self.moves(i) {
                true => -force,
                false => Vec3::zeros(),
            };
            return (found.energy, forces.map(slope).collect());
        };
        let exponential = Exponential::of(&self.strain(loose, x));
        let (stretch, back) = (exponential.value(), exponential.inverse());
        let work = loose.pressure * volume;
        let by_stretch = (found.strain_derivative + Mat3::identity() * work) * back;
        let by_strain = exponential.slope(&symmetric(&by_stretch));
        let by_strain = loose.coupling.part(&by_strain, &self.start) / loose.scale;
        let mut gradient: Vec<Vec3> = found.forces.iter().map(|f| -(stretch * f)).collect();
        gradient.extend((0..3).map(|k| by_strain.row(k).transpose()));
        (found.energy + work, gradient)
    }

    /// Largest principal value (eV / cubic angstrom) of the stress beyond the pressure that the cell may follow; `None` of a cell
    /// that stays as it is.
    pub fn stress(&self, cell: &Cell, found: &Evaluation) -> Option<f64> {
        let (loose, volume) = (self.loose?, cell.volume()?);
        let stress = symmetric(&found.strain_derivative) / volume;
        let beyond = stress + Mat3::identity() * loose.pressure;
        let part = loose.coupling.part(&beyond, cell);
        // An eigenvalue of what is no number would be looked for without an end.
        match part.iter().all(|x| x.is_finite()) {
            true => Some(part.symmetric_eigenvalues().amax()),
            false => Some(f64::NAN),
        }
    }

    /// U, from its rows behind the atoms.
    fn strain(&self, loose: &LooseCell, x: &[Vec3]) -> Mat3 {
        let rows = &x[self.atoms..];
        Mat3::from_fn(|a, b| rows[a][b]) / loose.scale
    }
}

fn symmetric(of: &Mat3) -> Mat3 {
    0.5 * (of + of.transpose())
}

/// The exponential of a symmetric matrix, by its eigenvalues.
struct Exponential {
    axes: Mat3,
    logarithms: Vec3,
}

impl Exponential {
    fn of(strain: &Mat3) -> Self {
        // Exactly so at the start, and nothing that is no number is looked into.
        if *strain == Mat3::zeros() || !strain.iter().all(|x| x.is_finite()) {
            let logarithms = Vec3::repeat(strain.sum());
            return Self {
                axes: Mat3::identity(),
                logarithms,
            };
        }
        let eigen = symmetric(strain).symmetric_eigen();
        Self {
            axes: eigen.eigenvectors,
            logarithms: eigen.eigenvalues,
        }
    }

    fn with(&self, function: impl Fn(f64) -> f64) -> Mat3 {
        let diagonal = Mat3::from_diagonal(&self.logarithms.map(function));
        symmetric(&(self.axes * diagonal * self.axes.transpose()))
    }

    fn value(&self) -> Mat3 {
        self.with(f64::exp)
    }

    fn inverse(&self) -> Mat3 {
        self.with(|x| (-x).exp())
    }

    /// The derivative along a symmetric matrix (Daleckii and Krein; Higham, Functions of Matrices (2008), theorem 3.11): in the
    /// eigenvectors each component times the divided difference of two eigenvalues.
    fn slope(&self, along: &Mat3) -> Mat3 {
        let turned = self.axes.transpose() * along * self.axes;
        let divided = |a: usize, b: usize| {
            let (middle, half) = (
                0.5 * (self.logarithms[a] + self.logarithms[b]),
                0.5 * (self.logarithms[a] - self.logarithms[b]),
            );
            let ratio = match half.abs() < SERIES {
                true => 1.0 + half * half / 6.0 * (1.0 + half * half / 20.0),
                false => half.sinh() / half,
            };
            middle.exp() * ratio
        };
        let scaled = Mat3::from_fn(|a, b| turned[(a, b)] * divided(a, b));
        symmetric(&(self.axes * scaled * self.axes.transpose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::cell::oblique_rotation;
    use crate::forcefield::{ForceField as _, HostForceField};
    use crate::potential::lennard_jones::LennardJones;

    /// Four atoms in a skewed cell, or in one of right angles that lies across the axes; pairs of atoms with their own images
    /// among them.
    fn crystal(coupling: Coupling) -> (Cell, Vec<Vec3>) {
        let vectors = match coupling {
            Coupling::Isotropic | Coupling::Triclinic => {
                Mat3::new(2.1, 0.1, 0.0, 0.3, 1.9, -0.2, 0.0, 0.4, 2.3)
            }
            Coupling::Anisotropic | Coupling::Plane => {
                Mat3::from_diagonal(&Vec3::new(2.1, 1.9, 2.3)) * oblique_rotation()
            }
        };
        let cell = Cell::new(vectors, [true; 3]);
        let places = [[0.0; 3], [1.1, 0.9, 0.2], [0.1, 1.2, 1.1], [1.2, 0.1, 1.3]];
        (cell.unwrap(), places.map(Vec3::from).to_vec())
    }

    /// Every component of the gradient is the slope of the enthalpy, also far from the start, where F is not near 1.
    #[test]
    fn gradients_are_slopes_of_the_enthalpy() {
        /// The error of a five-point difference at this step, and of rounding over it.
        const STEP: f64 = 1e-3;
        const OFF: f64 = 1e-6;
        let potential = LennardJones::new(1.0, 1.0, 2.5).unwrap();
        let mut field = HostForceField::exhaustive(Box::new(potential));
        for coupling in [
            Coupling::Isotropic,
            Coupling::Anisotropic,
            Coupling::Triclinic,
            Coupling::Plane,
        ] {
            let (cell, positions) = crystal(coupling);
            let landscape = Landscape::new(&cell, 4, Some((coupling, 0.7))).unwrap();
            let mut at = |x: &[Vec3]| {
                let (cell, positions) = landscape.arrangement(x).unwrap();
                let found = field.at(&cell, &positions).unwrap();
                landscape.point(x.to_vec(), (cell, positions), &found)
            };
            let scale = landscape.loose().unwrap().scale;
            let mut x = landscape.coordinates(&positions);
            let strain = Mat3::new(0.21, 0.05, -0.08, 0.05, 0.07, 0.03, -0.08, 0.03, 0.13);
            let strain = coupling.part(&strain, &cell) * scale;
            (0..3).for_each(|k| x[4 + k] = strain.row(k).transpose());
            let here = at(&x);
            let mut slope = |direction: &dyn Fn(&mut [Vec3], f64)| {
                let mut value = |h: f64| {
                    let mut moved = x.clone();
                    direction(&mut moved, h);
                    at(&moved).value
                };
                (8.0 * (value(STEP) - value(-STEP)) - value(2.0 * STEP) + value(-2.0 * STEP))
                    / (12.0 * STEP)
            };
            for (i, a) in (0..4).flat_map(|i| [0, 1, 2].map(|a| (i, a))) {
                let off = slope(&|x, h| x[i][a] += h) - here.gradient[i][a];
                assert!(off.abs() < OFF, "{coupling:?}: atom {i}: {off}");
            }
            // Along any symmetric strain that the cell may do, which moves two components at once.
            for (a, b) in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)] {
                let mut unit = Mat3::zeros();
                (unit[(a, b)], unit[(b, a)]) = (1.0, 1.0);
                let along = coupling.part(&unit, &cell);
                let told: f64 = (0..3)
                    .map(|k| along.row(k).transpose().dot(&here.gradient[4 + k]))
                    .sum();
                let off = told
                    - slope(&|x, h| {
                        (0..3).for_each(|k| x[4 + k] += h * along.row(k).transpose());
                    });
                assert!(off.abs() < OFF, "{coupling:?}: strain {a}{b}: {off}");
            }
        }
    }

    /// The exponential is that of the barostat's series, and its inverse undoes it.
    #[test]
    fn exponentials_agree_with_the_series() {
        let strain = Mat3::new(0.1, 0.05, -0.08, 0.05, 0.1, 0.03, -0.08, 0.03, -0.2);
        let exponential = Exponential::of(&strain);
        let series = crate::dynamics::cell_rescaling::exponential(&strain);
        assert!((exponential.value() - series).amax() < 1e-14);
        assert!((exponential.value() * exponential.inverse() - Mat3::identity()).amax() < 1e-14);
        assert_eq!(Exponential::of(&Mat3::zeros()).value(), Mat3::identity());
    }
}
