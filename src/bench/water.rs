//! Water-like boxes to measure on, made without random numbers so that any program can build the same.

use crate::Result;
use crate::core::{Cell, Mat3, System, Vec3, elements};
use crate::engine::Start;

/// Atoms per cubic angstrom: liquid water.
pub(super) const DENSITY: f64 = 0.1002;
/// O-H distance (angstrom) and H-O-H angle (degrees) of a water molecule.
const BOND: f64 = 0.9572;
const ANGLE: f64 = 104.52;
/// Sizes under this are clusters without a cell, as molecules are run.
pub(super) const PERIODIC_FROM: usize = 150;
/// Steps of the three-dimensional R sequence (Roberts 2018): powers of the root of x^4 = x + 1.
const STEPS: [f64; 3] = [
    0.819_172_513_396_164_5,
    0.671_043_606_703_789_3,
    0.549_700_477_901_970_3,
];

/// `atoms / 3` water molecules at rest.
///
/// Molecule k has its oxygen on point k of the smallest cubic m x m x m grid that holds them all, last
/// index fastest, and is turned by the unit quaternion (Shoemake 1992) of point k of the R sequence.
///
/// # Errors
/// None for a positive number of atoms.
pub fn start(atoms: usize) -> Result<Start> {
    let molecules = (atoms / 3).max(1);
    placed(molecules, (3.0 * molecules as f64 / DENSITY).cbrt())
}

/// So many water molecules at rest in a cube of this edge (angstrom), placed alike.
///
/// # Errors
/// None for a positive number of molecules and a positive edge.
pub fn placed(molecules: usize, edge: f64) -> Result<Start> {
    let grid = (1..).find(|m: &usize| m.pow(3) >= molecules).unwrap_or(1);
    let angle = ANGLE.to_radians();
    let molecule = [
        Vec3::zeros(),
        Vec3::new(BOND, 0.0, 0.0),
        Vec3::new(BOND * angle.cos(), BOND * angle.sin(), 0.0),
    ];
    let mut positions = Vec::with_capacity(3 * molecules);
    for k in 0..molecules {
        let point = [k / (grid * grid), k / grid % grid, k % grid];
        let oxygen = Vec3::from(point.map(|n| n as f64)) * (edge / grid as f64);
        let turn = rotation(k);
        positions.extend(molecule.iter().map(|r| oxygen + turn * r));
    }
    let species = [8, 1, 1].repeat(molecules);
    let masses = (species.iter())
        .map(|&z| elements::mass(z).unwrap_or(1.0))
        .collect();
    let cell = if positions.len() < PERIODIC_FROM {
        Cell::open()
    } else {
        Cell::new(Mat3::identity() * edge, [true; 3])?
    };
    let velocities = vec![Vec3::zeros(); positions.len()];
    let system = System { species, masses };
    Ok(Start::new(system, cell, positions, velocities))
}

/// The rotation of molecule `k`.
fn rotation(k: usize) -> Mat3 {
    let [u1, u2, u3] = STEPS.map(|step| ((k + 1) as f64 * step).fract());
    let (sin2, cos2) = (std::f64::consts::TAU * u2).sin_cos();
    let (sin3, cos3) = (std::f64::consts::TAU * u3).sin_cos();
    let (w, x) = ((1.0 - u1).sqrt() * sin2, (1.0 - u1).sqrt() * cos2);
    let (y, z) = (u1.sqrt() * sin3, u1.sqrt() * cos3);
    Mat3::new(
        1.0 - 2.0 * (y * y + z * z),
        2.0 * (x * y - z * w),
        2.0 * (x * z + y * w),
        2.0 * (x * y + z * w),
        1.0 - 2.0 * (x * x + z * z),
        2.0 * (y * z - x * w),
        2.0 * (x * z - y * w),
        2.0 * (y * z + x * w),
        1.0 - 2.0 * (x * x + y * y),
    )
}
