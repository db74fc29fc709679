//! What acts on some atoms from outside of the potential: springs, walls and constant forces, which may move with the steps.
//!
//! Positions are unwrapped: a spring or a wall acts on an atom where it has gone to, not on its images. All but springs between
//! two centres depend on places in space; their energy has no derivative with respect to a strain of the cell.

use std::ops::AddAssign;

use crate::core::{System, Vec3};
use crate::potential::Evaluation;
use crate::{Error, Result};

/// Something that acts on some atoms.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalTerm {
    /// The atoms, counted from 0.
    pub atoms: Vec<usize>,
    /// What acts on them.
    pub law: ExternalLaw,
}

/// What acts. Energies in eV, lengths in angstrom; spring constants k (eV / angstrom^2) in energies k x^2 / 2.
#[derive(Debug, Clone, PartialEq)]
pub enum ExternalLaw {
    /// A spring from each atom to a place of its own.
    Places {
        /// k.
        constant: f64,
        /// One for each atom.
        places: Vec<Vec3>,
        /// How they move.
        course: ExternalCourse<Vec3>,
    },
    /// A spring from the centre of mass to a place.
    Centre {
        /// k.
        constant: f64,
        /// The place.
        place: Vec3,
        /// How it moves.
        course: ExternalCourse<Vec3>,
    },
    /// A spring from the centre of mass to that of other atoms.
    Distance {
        /// k.
        constant: f64,
        /// The others.
        others: Vec<usize>,
        /// Translation to the image of their centre.
        shift: Vec3,
        /// Length at rest.
        length: f64,
        /// How it changes.
        course: ExternalCourse<f64>,
    },
    /// A wall, on whose one side each atom is kept.
    Wall {
        /// Where it is.
        shape: WallShape,
        /// How it pushes.
        push: WallPush,
    },
    /// The same force on each atom (eV / angstrom), with the energy -F r.
    Force(Vec3),
}

/// What is added to something with every step behind one of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExternalCourse<T> {
    /// The step at which nothing is added.
    pub origin: u64,
    /// What is added with a step.
    pub each: T,
}

/// Where a wall is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WallShape {
    /// A plane: atoms are kept where n r is larger than `at`.
    Plane {
        /// n, of length 1.
        normal: Vec3,
        /// Distance of the plane from the origin along n.
        at: f64,
    },
    /// A sphere, in which atoms are kept.
    Sphere {
        /// Its centre.
        centre: Vec3,
        /// Its radius.
        radius: f64,
    },
}

/// How a wall pushes an atom at a distance z from it, negative behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WallPush {
    /// k z^2 / 2 behind the wall, nothing ahead of it.
    Harmonic {
        /// k.
        constant: f64,
    },
    /// epsilon (2/15 (sigma / z)^9 - (sigma / z)^3), as a half-space of Lennard-Jones matter (Steele, Surf. Sci. 36, 317 (1973));
    /// infinite at the wall and behind it.
    NineThree {
        /// epsilon (eV).
        epsilon: f64,
        /// sigma.
        sigma: f64,
    },
}

/// Sums over all that acts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ExternalSums {
    /// Energy (eV).
    pub energy: f64,
    /// Its derivative with respect to the number of the step (eV), positions at rest: what moving springs do.
    pub work: f64,
}

impl AddAssign for ExternalSums {
    fn add_assign(&mut self, other: Self) {
        self.energy += other.energy;
        self.work += other.work;
    }
}

/// Atoms with their masses and positions, to which forces are added.
struct Pushed<'a> {
    masses: &'a [f64],
    positions: &'a [Vec3],
    out: &'a mut Evaluation,
}

impl Pushed<'_> {
    /// Adds a force on an atom.
    fn push(&mut self, atom: usize, force: Vec3) {
        self.out.forces[atom] += force;
    }

    /// Centre of mass of some atoms.
    fn centre(&self, atoms: &[usize]) -> Vec3 {
        let weighted = atoms.iter().map(|&i| self.masses[i] * self.positions[i]);
        weighted.sum::<Vec3>() / self.mass(atoms)
    }

    fn mass(&self, atoms: &[usize]) -> f64 {
        atoms.iter().map(|&i| self.masses[i]).sum()
    }

    /// Adds a force on the centre of mass of some atoms.
    fn push_centre(&mut self, atoms: &[usize], force: Vec3) {
        let mass = self.mass(atoms);
        for &i in atoms {
            self.push(i, force * (self.masses[i] / mass));
        }
    }
}

/// Adds energy, forces and strain derivative of all terms at a step to what a potential says; returns the sums.
pub fn act(
    terms: &[ExternalTerm],
    step: u64,
    (system, positions): (&System, &[Vec3]),
    out: &mut Evaluation,
) -> ExternalSums {
    let mut sums = ExternalSums::default();
    let mut pushed = Pushed {
        masses: &system.masses,
        positions,
        out,
    };
    for term in terms {
        sums += term.act(step, &mut pushed);
    }
    out.energy += sums.energy;
    sums
}

impl ExternalCourse<Vec3> {
    /// What has been added at a step.
    fn by(&self, step: u64) -> Vec3 {
        self.each * steps_between(self.origin, step)
    }
}

impl ExternalCourse<f64> {
    /// What has been added at a step.
    fn by(&self, step: u64) -> f64 {
        self.each * steps_between(self.origin, step)
    }
}

/// Steps from one to another; replays may begin ahead of where they count from.
fn steps_between(from: u64, to: u64) -> f64 {
    match to.checked_sub(from) {
        Some(steps) => steps as f64,
        None => -((from - to) as f64),
    }
}

impl ExternalTerm {
    /// Whether it ties the system to places in space, or pushes it as a whole.
    pub fn is_anchored(&self) -> bool {
        !matches!(self.law, ExternalLaw::Distance { .. })
    }

    /// Whether it follows a strain of the cell: it depends on atoms alone, and not on their images.
    pub fn is_strained(&self) -> bool {
        matches!(&self.law, ExternalLaw::Distance { shift, .. } if *shift == Vec3::zeros())
    }

    /// Checks that it is of some of so many atoms.
    ///
    /// # Errors
    /// It is of none, or of one that is not there; or there is not a place for each.
    pub fn check(&self, atoms: usize) -> Result<()> {
        let others = match &self.law {
            ExternalLaw::Distance { others, .. } => others.as_slice(),
            _ => &self.atoms,
        };
        let all = self.atoms.iter().chain(others);
        if self.atoms.is_empty() || others.is_empty() || all.clone().any(|&i| i >= atoms) {
            return Err(Error::input(format!(
                "a term beside the potential is of atoms that are not among the {atoms}"
            )));
        }
        match &self.law {
            ExternalLaw::Places { places, .. } if places.len() != self.atoms.len() => {
                let (count, atoms) = (places.len(), self.atoms.len());
                Err(Error::input(format!("{count} places for {atoms} atoms")))
            }
            _ => Ok(()),
        }
    }

    /// Whether it moves with the steps.
    pub fn is_moving(&self) -> bool {
        match &self.law {
            ExternalLaw::Places { course, .. } | ExternalLaw::Centre { course, .. } => {
                course.each != Vec3::zeros()
            }
            ExternalLaw::Distance { course, .. } => course.each != 0.0,
            ExternalLaw::Wall { .. } | ExternalLaw::Force(_) => false,
        }
    }

    /// The same for steps that are so many times shorter, counted from a step on.
    pub fn refined(mut self, origin: u64, divisor: u64) -> Self {
        match &mut self.law {
            ExternalLaw::Places { places, course, .. } => {
                let moved = course.by(origin);
                places.iter_mut().for_each(|place| *place += moved);
                *course = course.refined(origin, course.each / divisor as f64);
            }
            ExternalLaw::Centre { place, course, .. } => {
                *place += course.by(origin);
                *course = course.refined(origin, course.each / divisor as f64);
            }
            ExternalLaw::Distance { length, course, .. } => {
                *length += course.by(origin);
                *course = course.refined(origin, course.each / divisor as f64);
            }
            ExternalLaw::Wall { .. } | ExternalLaw::Force(_) => {}
        }
        self
    }

    /// The same of atoms whose numbers are larger by so many.
    pub fn behind(mut self, before: usize) -> Self {
        if let ExternalLaw::Distance { others, .. } = &mut self.law {
            others.iter_mut().for_each(|atom| *atom += before);
        }
        self.atoms.iter_mut().for_each(|atom| *atom += before);
        self
    }

    /// The same where what moves has done so for so many steps when it comes to a step.
    pub fn moved_on(mut self, step: u64, moved: f64) -> Self {
        match &mut self.law {
            ExternalLaw::Places { places, course, .. } => {
                course.origin = step;
                let moved = course.each * moved;
                places.iter_mut().for_each(|place| *place += moved);
            }
            ExternalLaw::Centre { place, course, .. } => {
                course.origin = step;
                *place += course.each * moved;
            }
            ExternalLaw::Distance { length, course, .. } => {
                course.origin = step;
                *length += course.each * moved;
            }
            ExternalLaw::Wall { .. } | ExternalLaw::Force(_) => {}
        }
        self
    }

    /// The same where nothing moves.
    pub fn at_rest(mut self) -> Self {
        match &mut self.law {
            ExternalLaw::Places { course, .. } | ExternalLaw::Centre { course, .. } => {
                course.each = Vec3::zeros();
            }
            ExternalLaw::Distance { course, .. } => course.each = 0.0,
            ExternalLaw::Wall { .. } | ExternalLaw::Force(_) => {}
        }
        self
    }

    fn act(&self, step: u64, pushed: &mut Pushed<'_>) -> ExternalSums {
        match &self.law {
            ExternalLaw::Places {
                constant,
                places,
                course,
            } => self.act_on_each(*constant, (places, course.by(step), course.each), pushed),
            ExternalLaw::Centre {
                constant,
                place,
                course,
            } => {
                let away = pushed.centre(&self.atoms) - (place + course.by(step));
                let force = -*constant * away;
                pushed.push_centre(&self.atoms, force);
                ExternalSums {
                    energy: 0.5 * constant * away.norm_squared(),
                    work: force.dot(&course.each),
                }
            }
            ExternalLaw::Distance { .. } => self.act_between(step, pushed),
            ExternalLaw::Wall { shape, push } => self.act_as_wall(shape, push, pushed),
            ExternalLaw::Force(force) => {
                let mut energy = 0.0;
                for &i in &self.atoms {
                    energy -= force.dot(&pushed.positions[i]);
                    pushed.push(i, *force);
                }
                ExternalSums { energy, work: 0.0 }
            }
        }
    }

    fn act_on_each(
        &self,
        constant: f64,
        (places, moved, each): (&[Vec3], Vec3, Vec3),
        pushed: &mut Pushed<'_>,
    ) -> ExternalSums {
        let mut sums = ExternalSums::default();
        for (&i, place) in self.atoms.iter().zip(places) {
            let away = pushed.positions[i] - (place + moved);
            let force = -constant * away;
            pushed.push(i, force);
            sums += ExternalSums {
                energy: 0.5 * constant * away.norm_squared(),
                work: force.dot(&each),
            };
        }
        sums
    }

    fn act_between(&self, step: u64, pushed: &mut Pushed<'_>) -> ExternalSums {
        let ExternalLaw::Distance {
            constant,
            others,
            shift,
            length,
            course,
        } = &self.law
        else {
            return ExternalSums::default();
        };
        let apart = pushed.centre(others) + shift - pushed.centre(&self.atoms);
        let distance = apart.norm();
        let stretched = distance - (length + course.by(step));
        // Centres that meet push each other nowhere.
        let along = match distance > 0.0 {
            true => apart / distance,
            false => Vec3::zeros(),
        };
        let force = along * (constant * stretched);
        pushed.push_centre(&self.atoms, force);
        pushed.push_centre(others, -force);
        pushed.out.strain_derivative += apart * force.transpose();
        ExternalSums {
            energy: 0.5 * constant * stretched * stretched,
            work: -constant * stretched * course.each,
        }
    }

    fn act_as_wall(
        &self,
        shape: &WallShape,
        push: &WallPush,
        pushed: &mut Pushed<'_>,
    ) -> ExternalSums {
        let mut sums = ExternalSums::default();
        for &i in &self.atoms {
            let (distance, inward) = shape.distance(&pushed.positions[i]);
            let (energy, force) = push.of(distance);
            sums.energy += energy;
            pushed.push(i, inward * force);
        }
        sums
    }
}

impl<T> ExternalCourse<T> {
    fn refined(&self, origin: u64, each: T) -> Self {
        Self { origin, each }
    }
}

impl WallShape {
    /// Distance of a position from the wall, negative behind it, and the direction in which it grows.
    pub fn distance(&self, position: &Vec3) -> (f64, Vec3) {
        match self {
            Self::Plane { normal, at } => (normal.dot(position) - at, *normal),
            Self::Sphere { centre, radius } => {
                let out = position - centre;
                let far = out.norm();
                let inward = if far > 0.0 { -out / far } else { Vec3::zeros() };
                (radius - far, inward)
            }
        }
    }
}

impl WallPush {
    /// Energy (eV) at a distance from the wall, and the force away from it (eV / angstrom).
    pub fn of(&self, distance: f64) -> (f64, f64) {
        match *self {
            Self::Harmonic { constant } => {
                let behind = distance.min(0.0);
                (0.5 * constant * behind * behind, -constant * behind)
            }
            Self::NineThree { .. } if distance <= 0.0 => (f64::INFINITY, 0.0),
            Self::NineThree { epsilon, sigma } => {
                let cube = (sigma / distance).powi(3);
                let ninth = 2.0 / 15.0 * cube * cube * cube;
                let energy = epsilon * (ninth - cube);
                (energy, epsilon * (9.0 * ninth - 3.0 * cube) / distance)
            }
        }
    }
}
