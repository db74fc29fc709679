//! The shortest vibration, from the curvature of the potential.
//!
//! The square of the highest frequency is the largest eigenvalue of the mass-weighted Hessian. Lanczos iteration
//! (J. Res. Natl. Bur. Stand. 45, 255 (1950)) finds it from products of the Hessian with vectors alone, and each is
//! the difference of the forces at two places. It works in the engine of the run: on a GPU, in f32.
//!
//! Where distances are held, places differ along the constraints, and forces are without what strains these: found is the
//! curvature of the energy on the surface that the atoms move on.

use nalgebra::DMatrix;

use crate::core::rng::{Noise, Stream};
use crate::core::{Fields, Snapshot, System, Vec3};
use crate::dynamics::{ConstraintSolver, Constraints, UnmetConstraint};
use crate::engine::Engine;
use crate::{Error, Result};

/// Largest displacement (angstrom) of an atom in a difference of forces: small beside a vibration at room
/// temperature, large beside the rounding of forces in f32, and beside bends of a network on the scale of 1e-4.
const DISPLACEMENT: f64 = 0.01;
/// Most products of the Hessian with a vector.
const PRODUCTS: usize = 48;
/// Fewest products, so that no frequency is missed that the first vector has little of.
const FEWEST_PRODUCTS: usize = 12;
/// The iteration has converged where a product changes the largest eigenvalue by less than this part.
const CONVERGED: f64 = 1e-3;

/// What vibrates: atoms, some of whose distances may be held.
#[derive(Debug, Clone)]
pub struct Vibrating<'s> {
    system: &'s System,
    /// What holds distances, where something does.
    solver: Option<ConstraintSolver>,
}

impl<'s> Vibrating<'s> {
    /// Of atoms under constraints.
    pub fn new(system: &'s System, constraints: &Constraints) -> Self {
        let held = !constraints.is_empty();
        Self {
            system,
            solver: held.then(|| ConstraintSolver::new(constraints, &system.masses)),
        }
    }

    /// Takes from displacements or accelerations of atoms at `positions` (angstrom) what changes a held distance.
    fn free(&self, positions: &[Vec3], vectors: &mut [Vec3]) -> Result<()> {
        match &self.solver {
            None => Ok(()),
            Some(solver) => solver.project(positions, vectors).map_err(unmet),
        }
    }

    /// Positions (angstrom) displaced along the constraints.
    fn displaced(&self, positions: &[Vec3], by: &[Vec3], times: f64) -> Result<Vec<Vec3>> {
        let displaced = positions.iter().zip(by).map(|(r, d)| r + d * times);
        let mut displaced: Vec<Vec3> = displaced.collect();
        if let Some(solver) = &self.solver {
            let mut unused = vec![Vec3::zeros(); displaced.len()];
            let both = (displaced.as_mut_slice(), unused.as_mut_slice());
            solver.place(positions, both, 1.0).map_err(unmet)?;
        }
        Ok(displaced)
    }
}

fn unmet(unmet: UnmetConstraint) -> Error {
    let [i, j] = unmet.atoms;
    Error::run(format!(
        "atoms {i} and {j} cannot be kept at their distance {DISPLACEMENT} A from the state"
    ))
}

/// Finds the period (internal time) of the fastest vibration about a state that holds positions and velocities; `None`
/// where nothing is bound. The engine is at that state again afterwards.
///
/// # Errors
/// The device failed, or a constraint cannot be kept.
pub fn shortest_period(
    engine: &mut dyn Engine,
    vibrating: &Vibrating<'_>,
    state: &Snapshot,
) -> Result<Option<f64>> {
    let largest = largest_curvature(engine, vibrating, state)?;
    engine.restore(state)?;
    Ok((largest > 0.0).then(|| std::f64::consts::TAU / largest.sqrt()))
}

/// The largest eigenvalue (1 / time^2) of the mass-weighted Hessian.
fn largest_curvature(
    engine: &mut dyn Engine,
    vibrating: &Vibrating<'_>,
    state: &Snapshot,
) -> Result<f64> {
    let atoms = vibrating.system.len();
    let noise = Noise::new(0);
    let mut vector: Vec<Vec3> = (0..atoms)
        .map(|i| noise.normal3(1, i as u32, Stream::Velocities))
        .collect();
    let Some(length) = norm(&vector) else {
        return Ok(0.0);
    };
    scale(&mut vector, 1.0 / length);
    let mut before = vec![Vec3::zeros(); atoms];
    let (mut diagonal, mut beside): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut largest = 0.0_f64;
    for product in 1..=PRODUCTS.min(3 * atoms) {
        let mut next = hessian_times(engine, vibrating, state, &vector)?;
        let along = dot(&next, &vector);
        let back = beside.last().copied().unwrap_or(0.0);
        for ((n, v), b) in next.iter_mut().zip(&vector).zip(&before) {
            *n -= v * along + b * back;
        }
        diagonal.push(along);
        let found = largest_of(&diagonal, &beside);
        let change = (found - largest).abs();
        largest = found;
        let Some(length) = norm(&next).filter(|l| *l > f64::EPSILON * found.abs()) else {
            break;
        };
        if product >= FEWEST_PRODUCTS && change <= CONVERGED * largest.abs() {
            break;
        }
        scale(&mut next, 1.0 / length);
        beside.push(length);
        before = std::mem::replace(&mut vector, next);
    }
    Ok(if largest.is_finite() { largest } else { 0.0 })
}

/// The mass-weighted Hessian (1 / time^2) times a vector, by the difference of forces about a state, both without what strains
/// constraints. The engine is left displaced.
///
/// # Errors
/// The device failed, or a constraint cannot be kept.
pub(crate) fn hessian_times(
    engine: &mut dyn Engine,
    vibrating: &Vibrating<'_>,
    state: &Snapshot,
    vector: &[Vec3],
) -> Result<Vec<Vec3>> {
    let masses = &vibrating.system.masses;
    let mut along: Vec<Vec3> = (vector.iter().zip(masses))
        .map(|(v, m)| v / m.sqrt())
        .collect();
    vibrating.free(&state.positions, &mut along)?;
    let farthest = along.iter().map(|v| v.norm()).fold(0.0, f64::max);
    let step = DISPLACEMENT / farthest;
    let mut accelerations = |sign: f64| -> Result<Vec<Vec3>> {
        let positions = vibrating.displaced(&state.positions, &along, sign * step)?;
        engine.restore(&Snapshot {
            positions: positions.clone(),
            forces: Vec::new(),
            ..state.clone()
        })?;
        let want = Fields {
            forces: true,
            ..Fields::NONE
        };
        let forces = engine.snapshot(want)?.forces;
        let mut found: Vec<Vec3> = forces.iter().zip(masses).map(|(f, m)| f / *m).collect();
        vibrating.free(&positions, &mut found)?;
        Ok(found)
    };
    let (there, back) = (accelerations(1.0)?, accelerations(-1.0)?);
    let mut product: Vec<Vec3> = (there.iter().zip(&back))
        .map(|(a, b)| (b - a) / (2.0 * step))
        .collect();
    vibrating.free(&state.positions, &mut product)?;
    let weighted = product.iter().zip(masses).map(|(p, m)| p * m.sqrt());
    Ok(weighted.collect())
}

/// The largest eigenvalue of a symmetric tridiagonal matrix.
fn largest_of(diagonal: &[f64], beside: &[f64]) -> f64 {
    let n = diagonal.len();
    let mut matrix = DMatrix::from_diagonal(&diagonal.to_vec().into());
    for (k, value) in beside.iter().enumerate().take(n.saturating_sub(1)) {
        matrix[(k, k + 1)] = *value;
        matrix[(k + 1, k)] = *value;
    }
    if matrix.iter().all(|x| x.is_finite()) {
        matrix.symmetric_eigenvalues().max()
    } else {
        f64::NAN
    }
}

fn dot(a: &[Vec3], b: &[Vec3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a.dot(b)).sum()
}

/// The norm, where it is one to divide by.
fn norm(a: &[Vec3]) -> Option<f64> {
    Some(dot(a, a).sqrt()).filter(|n| *n > 0.0 && n.is_finite())
}

fn scale(a: &mut [Vec3], factor: f64) {
    a.iter_mut().for_each(|v| *v *= factor);
}
