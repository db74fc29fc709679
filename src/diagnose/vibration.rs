//! The shortest vibration, from the curvature of the potential.
//!
//! The square of the highest frequency is the largest eigenvalue of the mass-weighted Hessian. Lanczos iteration
//! (J. Res. Natl. Bur. Stand. 45, 255 (1950)) finds it from products of the Hessian with vectors alone, and each is
//! the difference of the forces at two places. It works in the engine of the run: on a GPU, in f32.

use nalgebra::DMatrix;

use crate::Result;
use crate::core::rng::{Noise, Stream};
use crate::core::{Fields, Snapshot, System, Vec3};
use crate::engine::Engine;

/// Largest displacement (angstrom) of an atom in a difference of forces: small beside a vibration at room
/// temperature, large beside the rounding of forces in f32, and beside bends of a network on the scale of 1e-4.
const DISPLACEMENT: f64 = 0.01;
/// Most products of the Hessian with a vector.
const PRODUCTS: usize = 48;
/// Fewest products, so that no frequency is missed that the first vector has little of.
const FEWEST_PRODUCTS: usize = 12;
/// The iteration has converged where a product changes the largest eigenvalue by less than this part.
const CONVERGED: f64 = 1e-3;

/// Finds the period (internal time) of the fastest vibration about a state that holds positions and velocities; `None`
/// where nothing is bound. The engine is at that state again afterwards.
///
/// # Errors
/// The device failed.
pub fn shortest_period(
    engine: &mut dyn Engine,
    system: &System,
    state: &Snapshot,
) -> Result<Option<f64>> {
    let largest = largest_curvature(engine, system, state)?;
    engine.restore(state)?;
    Ok((largest > 0.0).then(|| std::f64::consts::TAU / largest.sqrt()))
}

/// The largest eigenvalue (1 / time^2) of the mass-weighted Hessian.
fn largest_curvature(engine: &mut dyn Engine, system: &System, state: &Snapshot) -> Result<f64> {
    let atoms = system.len();
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
        let mut next = hessian_times(engine, system, state, &vector)?;
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

/// The mass-weighted Hessian (1 / time^2) times a vector, by the difference of forces about a state. The engine is left
/// displaced.
///
/// # Errors
/// The device failed.
pub(crate) fn hessian_times(
    engine: &mut dyn Engine,
    system: &System,
    state: &Snapshot,
    vector: &[Vec3],
) -> Result<Vec<Vec3>> {
    let weighted: Vec<Vec3> = (vector.iter().zip(&system.masses))
        .map(|(v, m)| v / m.sqrt())
        .collect();
    let farthest = weighted.iter().map(|v| v.norm()).fold(0.0, f64::max);
    let step = DISPLACEMENT / farthest;
    let mut forces = |sign: f64| -> Result<Vec<Vec3>> {
        let moved = (state.positions.iter().zip(&weighted))
            .map(|(r, d)| r + d * (sign * step))
            .collect();
        engine.restore(&Snapshot {
            positions: moved,
            forces: Vec::new(),
            ..state.clone()
        })?;
        let want = Fields {
            forces: true,
            ..Fields::NONE
        };
        Ok(engine.snapshot(want)?.forces)
    };
    let (there, back) = (forces(1.0)?, forces(-1.0)?);
    Ok((there.iter().zip(&back).zip(&system.masses))
        .map(|((a, b), m)| (b - a) / (2.0 * step * m.sqrt()))
        .collect())
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
