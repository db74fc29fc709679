//! Arrangements of atoms to try potentials on: those that are shipped, and random ones.

use mdrun::core::rng::philox;
use mdrun::core::{Cell, Mat3, Vec3, elements};
use mdrun::potential::{Evaluation, Potential};

use super::{brute, root};

/// Elements of random atoms.
pub const ELEMENTS: [u8; 4] = [1, 6, 7, 8];

/// Numbers that look random, the same at every run.
pub struct Random(u32);

impl Random {
    pub fn new(seed: u32) -> Self {
        Self(seed << 16)
    }

    /// Uniform from 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        self.0 += 1;
        let bits = philox([self.0, 0, 0, 0], [11, 13]);
        f64::from(bits[0]) / 4_294_967_296.0
    }

    /// In the cube from -1 to 1.
    pub fn vector(&mut self) -> Vec3 {
        Vec3::from_fn(|_, _| 2.0 * self.unit() - 1.0)
    }

    /// A rotation about an axis somewhere.
    pub fn rotation(&mut self) -> Mat3 {
        let axis = nalgebra::Unit::new_normalize(self.vector());
        let angle = std::f64::consts::TAU * self.unit();
        *nalgebra::Rotation3::from_axis_angle(&axis, angle).matrix()
    }
}

/// Atoms in a cell.
#[derive(Clone)]
pub struct Atoms {
    pub species: Vec<u8>,
    pub cell: Cell,
    pub positions: Vec<Vec3>,
}

impl Atoms {
    /// A structure of `configs/structures`.
    pub fn shipped(name: &str) -> Self {
        let path = root().join("configs/structures").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        let count: usize = lines.next().unwrap().trim().parse().unwrap();
        let cell = match lines.next().unwrap().split_once("Lattice=\"") {
            None => Cell::open(),
            Some((_, rest)) => {
                let numbers = rest.split('"').next().unwrap().split_whitespace();
                let numbers = numbers.map(|x| x.parse().unwrap());
                Cell::new(Mat3::from_row_iterator(numbers), [true; 3]).unwrap()
            }
        };
        let mut atoms = Self {
            species: Vec::new(),
            cell,
            positions: Vec::new(),
        };
        for line in lines.take(count) {
            let mut words = line.split_whitespace();
            let z = elements::number(words.next().unwrap()).unwrap();
            let numbers = words.take(3).map(|x| x.parse().unwrap());
            atoms.species.push(z);
            atoms.positions.push(Vec3::from_iterator(numbers));
        }
        assert_eq!(atoms.positions.len(), count);
        atoms
    }

    /// Atoms of H, C, N and O at random in a cell, none within 0.9 angstrom of another or of an image of any.
    pub fn random(count: usize, cell: Cell, random: &mut Random) -> Self {
        const NEAREST: f64 = 0.9;
        const TRIES: usize = 200_000;
        let shifts = neighbouring_images(&cell);
        let mut positions: Vec<Vec3> = Vec::new();
        for _ in 0..TRIES {
            if positions.len() == count {
                break;
            }
            let r = cell.cartesian(&Vec3::from_fn(|_, _| random.unit()));
            let far = |other: &Vec3| shifts.iter().all(|s| (other + s - r).norm() > NEAREST);
            if positions.iter().all(far) {
                positions.push(r);
            }
        }
        assert_eq!(positions.len(), count, "the cell has room for all atoms");
        let species = (0..count).map(|_| ELEMENTS[(random.unit() * 4.0) as usize]);
        Self {
            species: species.collect(),
            cell,
            positions,
        }
    }

    /// Random atoms in a skewed cell with edges of 3.5 to 6 angstrom, so that there are pairs of an atom with its own images,
    /// periodic in some directions.
    pub fn crowded(count: usize, periodic: [bool; 3], seed: u32) -> Self {
        let mut random = Random::new(seed);
        let skew = Mat3::from_fn(|_, _| 0.6 * (2.0 * random.unit() - 1.0));
        let edges = Mat3::from_diagonal(&Vec3::from_fn(|_, _| 3.5 + 2.5 * random.unit()));
        let cell = Cell::new(edges + skew, periodic).unwrap();
        Self::random(count, cell, &mut random)
    }

    /// Moved by up to so much (angstrom) in each direction, so that no force is small by symmetry.
    pub fn shaken(mut self, most: f64, seed: u32) -> Self {
        let mut random = Random::new(seed);
        for position in &mut self.positions {
            *position += most * random.vector();
        }
        self
    }

    /// Deformed by R -> (1 + strain) R, cell and positions.
    pub fn strained(&self, strain: &Mat3) -> Self {
        let map = Mat3::identity() + strain;
        let vectors = self.cell.vectors() * map.transpose();
        Self {
            species: self.species.clone(),
            cell: Cell::new(vectors, self.cell.periodic()).unwrap(),
            positions: self.positions.iter().map(|r| map * r).collect(),
        }
    }

    /// What a potential says of them.
    pub fn evaluate(&self, potential: &mut dyn Potential) -> Evaluation {
        let pairs = brute::pairs(&self.cell, &self.positions, potential.cutoff());
        let mut out = Evaluation::zeros(0);
        potential.evaluate(&pairs, &mut out).unwrap();
        out
    }

    /// Their energy (eV).
    pub fn energy(&self, potential: &mut dyn Potential) -> f64 {
        self.evaluate(potential).energy
    }
}

/// Translations to the cell itself and to those around it.
fn neighbouring_images(cell: &Cell) -> Vec<Vec3> {
    let periodic = cell.periodic();
    (0..27)
        .map(|n| [n % 3 - 1, n / 3 % 3 - 1, n / 9 - 1])
        .filter(|image| (0..3).all(|k| periodic[k] || image[k] == 0))
        .map(|image| cell.shift(image))
        .collect()
}

/// The largest difference between two sets of forces.
pub fn farthest(a: &[Vec3], b: &[Vec3]) -> f64 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).amax());
    differences.fold(0.0, |most, d| if d.is_nan() { d } else { most.max(d) })
}

/// The derivative at zero of a function, by the five-point formula: its error is h^4 f^(5) / 30.
pub fn derivative(h: f64, mut f: impl FnMut(f64) -> f64) -> f64 {
    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
}
