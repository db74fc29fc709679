//! Constraints: what solves them, how what they hold moves, and what a run file says of them.

mod ase;
mod ethanol;
mod keys;
mod motion;
mod pressing;
mod restart;
mod sampling;
mod solver;
mod stages;
mod swings;
mod thermal;
mod water;

use mdrun::core::rng::Noise;
use mdrun::core::velocities;
use mdrun::core::{Cell, Fields, Mat3, Snapshot, System, Vec3};
use mdrun::dynamics::{BondConstraint, ConstraintSolver, Constraints, WaterShape};
use mdrun::engine::{Engine, HostEngine, Start};
use mdrun::potential::Potential;

use crate::support::atoms::Random;

/// What constraints are kept to here, where nothing else is said.
const TOLERANCE: f64 = 1e-12;
/// What they have to be kept to.
const KEPT: f64 = 1e-10;
/// TIP3P (Jorgensen et al., J. Chem. Phys. 79, 926 (1983)).
const TIP3P: WaterShape = WaterShape {
    oh: 0.9572,
    hh: 1.513_900_6,
};
/// Masses of oxygen and hydrogen (u).
const WATER_MASSES: [f64; 3] = [15.999, 1.008, 1.008];

/// A molecule of water of a shape, anywhere near the origin and turned anyhow.
fn water(shape: &WaterShape, random: &mut Random) -> [Vec3; 3] {
    let half = 0.5 * shape.hh;
    let height = (shape.oh * shape.oh - half * half).sqrt();
    let turn = random.rotation();
    let place = random.vector();
    let corners = [
        Vec3::zeros(),
        Vec3::new(half, height, 0.0),
        Vec3::new(-half, height, 0.0),
    ];
    corners.map(|r| turn * r + place)
}

/// Pairs that stay at the distances that they have.
fn held(pairs: &[[usize; 2]], positions: &[Vec3]) -> Constraints {
    let bond = |&atoms: &[usize; 2]| BondConstraint {
        atoms,
        length: (positions[atoms[0]] - positions[atoms[1]]).norm(),
    };
    Constraints {
        bonds: pairs.iter().map(bond).collect(),
        tolerance: TOLERANCE,
        ..Constraints::default()
    }
}

/// A system whose molecules are held by constraints.
struct Held {
    system: System,
    cell: Cell,
    positions: Vec<Vec3>,
    constraints: Constraints,
}

impl Held {
    /// Velocities of a temperature kT (eV), at rest as a whole, that change no constrained distance.
    fn velocities(&self, kt: f64, seed: u32) -> Vec<Vec3> {
        let mut found = velocities::maxwell_boltzmann(&self.system, kt, Noise::new(seed));
        velocities::remove_momentum(&self.system, &mut found);
        let solver = ConstraintSolver::new(&self.constraints, &self.system.masses);
        solver.project(&self.positions, &mut found).unwrap();
        found
    }

    fn start(&self, velocities: Vec<Vec3>) -> Start {
        let (system, cell) = (self.system.clone(), self.cell.clone());
        Start::new(system, cell, self.positions.clone(), velocities)
            .with_constraints(self.constraints.clone())
    }

    fn engine(&self, start: Start, potential: impl Potential + 'static) -> HostEngine {
        HostEngine::new(start, Noise::new(7), 1.0, Box::new(potential)).unwrap()
    }

    /// A gas of dimers, and of three atoms in triangles and in chains, each in a place of its own.
    fn gas(edge: f64) -> Self {
        let mut random = Random::new(3);
        let (mut positions, mut masses, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        for k in 0..27_usize {
            let place = Vec3::new((k % 3) as f64, (k / 3 % 3) as f64, (k / 9) as f64);
            let centre = (place.add_scalar(0.5)) * (edge / 3.0);
            let turn = random.rotation();
            let first = positions.len();
            let (shape, mass, bonds): (&[[f64; 2]], &[f64], &[[usize; 2]]) = match k % 3 {
                0 => (&[[0.0, 0.0], [1.1, 0.0]], &[12.0, 16.0], &[[0, 1]]),
                1 => (
                    &[[0.0, 0.0], [1.0, 0.0], [0.3, 0.9]],
                    &[16.0, 1.0, 2.0],
                    &[[0, 1], [0, 2], [1, 2]],
                ),
                _ => (
                    &[[0.0, 0.0], [1.0, 0.0], [0.3, 0.9]],
                    &[14.0, 3.0, 5.0],
                    &[[0, 1], [0, 2]],
                ),
            };
            let place = |at: &[f64; 2]| centre + turn * Vec3::new(at[0], at[1], 0.0);
            positions.extend(shape.iter().map(place));
            masses.extend(mass);
            pairs.extend(bonds.iter().map(|pair| pair.map(|i| first + i)));
        }
        Self {
            system: System {
                species: vec![6; masses.len()],
                masses,
            },
            cell: Cell::new(Mat3::identity() * edge, [true; 3]).unwrap(),
            constraints: held(&pairs, &positions),
            positions,
        }
    }
}

fn state(engine: &mut dyn Engine) -> Snapshot {
    engine.snapshot(Fields::ALL).unwrap()
}

/// Asserts that positions and velocities satisfy constraints.
fn assert_kept(constraints: &Constraints, state: &Snapshot) {
    let off = constraints.worst(&state.positions).unwrap();
    let fastest = constraints.fastest(&state.positions, &state.velocities);
    assert!(
        off.deviation < KEPT && fastest < KEPT,
        "{off:?}, {fastest:e}"
    );
}
