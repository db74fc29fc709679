//! PLUMED's bias as a function of positions and cell: forces are slopes of its energy, and so is its strain derivative.

use std::path::{Path, PathBuf};

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::forcefield::{BiasScene, RunBias as _};
use mdrun::plumed::{PlumedBias, PlumedKernel, PlumedScene};
use mdrun::potential::Evaluation;

use crate::support::atoms::Random;

/// Step of a difference (angstrom; of a strain), and the largest error of one (eV / angstrom; eV): the next order of the expansion
/// of a harmonic energy of 10 eV is some 1e-11, and its rounding over the step 1e-12.
const STEP: f64 = 1e-3;
const TOLERANCE: f64 = 1e-9;
const ATOMS: usize = 5;

/// A bias that is asked about one arrangement after another.
pub struct Asked {
    bias: PlumedBias,
    step: u64,
    _folder: tempfile::TempDir,
}

impl Asked {
    /// With an input, of atoms in a cell that is periodic or not.
    pub fn new(kernel: &Path, input: &str, periodic: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plumed.dat");
        std::fs::write(&path, input).unwrap();
        let bias = PlumedBias::begin(
            PlumedKernel::load(kernel).unwrap(),
            &scene(folder.path(), path, periodic),
        );
        Self {
            bias: bias.unwrap(),
            step: 0,
            _folder: folder,
        }
    }

    /// What it adds to nothing, with its energy.
    pub fn at(&mut self, cell: &Cell, positions: &[Vec3]) -> Evaluation {
        self.beside(cell, positions, Evaluation::zeros(positions.len()))
    }

    /// What it makes of what acts without it.
    pub fn beside(&mut self, cell: &Cell, positions: &[Vec3], mut out: Evaluation) -> Evaluation {
        let scene = BiasScene {
            step: self.step,
            cell,
            positions,
        };
        self.step += 1;
        let energy = self.bias.act(&scene, &mut out).unwrap();
        out.energy = energy;
        out
    }
}

fn scene(directory: &Path, input: PathBuf, periodic: bool) -> PlumedScene {
    PlumedScene {
        input,
        directory: directory.to_owned(),
        log: "plumed.log".to_owned(),
        masses: (0..ATOMS).map(|i| 1.0 + i as f64).collect(),
        periodic: [periodic; 3],
        timestep: 0.05,
        kt: Some(0.025),
        restart: false,
        checkpoint_every: 0,
    }
}

/// A central difference of the fourth order.
fn slope(mut energy: impl FnMut(f64) -> f64) -> f64 {
    let mut pair = |h: f64| (energy(h) - energy(-h)) / (2.0 * h);
    (4.0 * pair(STEP) - pair(2.0 * STEP)) / 3.0
}

/// Forces and strain derivative are slopes of the energy, at places far outside of the cell too.
pub fn forces_are_slopes(kernel: &Path, input: &str) {
    let mut random = Random::new(31);
    let rows = [9.0, 0.0, 0.0, 2.0, 8.0, 0.0, -1.5, 1.0, 7.5];
    let skew = Cell::new(Mat3::from_row_slice(&rows), [true; 3]).unwrap();
    for cell in [Cell::open(), skew] {
        let mut asked = Asked::new(kernel, input, cell.is_periodic());
        let far = if cell.is_periodic() { 20.0 } else { 2.0 };
        let mut positions: Vec<Vec3> = (0..ATOMS).map(|_| far * random.vector()).collect();
        let found = asked.at(&cell, &positions);
        assert!(found.energy > 0.1, "{}", found.energy);
        assert!(found.forces.iter().map(|f| f.norm()).fold(0.0, f64::max) > 0.1);
        for atom in 0..ATOMS {
            for axis in 0..3 {
                let place = positions[atom][axis];
                let slope = slope(|h| {
                    positions[atom][axis] = place + h;
                    asked.at(&cell, &positions).energy
                });
                positions[atom][axis] = place;
                let apart = (slope + found.forces[atom][axis]).abs();
                assert!(apart < TOLERANCE, "atom {atom}, axis {axis}: {apart:e}");
            }
        }
        if !cell.is_periodic() {
            continue;
        }
        assert!(found.strain_derivative.amax() > 0.1);
        for (a, b) in (0..9).map(|k| (k / 3, k % 3)) {
            let slope = slope(|h| {
                let mut strain = Mat3::identity();
                strain[(a, b)] += h;
                let strained = cell.strained(&strain).unwrap();
                let moved: Vec<Vec3> = positions.iter().map(|r| strain * r).collect();
                asked.at(&strained, &moved).energy
            });
            let apart = (slope - found.strain_derivative[(a, b)]).abs();
            assert!(apart < TOLERANCE, "strain {a}{b}: {apart:e}");
        }
    }
}

#[test]
fn forces_and_strain_derivative_are_slopes() {
    if let Some(kernel) = super::kernel() {
        forces_are_slopes(&kernel, "spring 1 4 0.11 40000\n");
    }
}

/// What acts without it stays: it is added to.
#[test]
fn a_bias_is_added_to_what_there_is() {
    let Some(kernel) = super::kernel() else {
        return;
    };
    let mut random = Random::new(32);
    let cell = Cell::new(Mat3::identity() * 12.0, [true; 3]).unwrap();
    let positions: Vec<Vec3> = (0..ATOMS).map(|_| 3.0 * random.vector()).collect();
    let mut asked = Asked::new(&kernel, "spring 2 3 0.2 9000\n", true);
    let alone = asked.at(&cell, &positions);
    let mut without = Evaluation::zeros(ATOMS);
    without.energy = -7.0;
    without.forces.iter_mut().for_each(|f| *f = random.vector());
    without.strain_derivative = Mat3::new(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0);
    let both = asked.beside(&cell, &positions, without.clone());
    assert_eq!(both.energy, alone.energy);
    for k in 0..ATOMS {
        let apart = both.forces[k] - without.forces[k] - alone.forces[k];
        assert!(apart.norm() < 1e-12, "{apart}");
    }
    let apart = both.strain_derivative - without.strain_derivative - alone.strain_derivative;
    assert!(apart.amax() < 1e-12, "{apart}");
}
