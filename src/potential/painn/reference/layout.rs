//! From pairs to the slots of tensors, and back from derivatives by slots to forces. All in f64 but
//! for the last rounding.

use std::ops::Range;

use burn::tensor::{Element, ElementConversion};

use crate::core::{Mat3, Vec3};
use crate::neighbors::Pairs;
use crate::potential::Evaluation;

use crate::potential::painn::Spec;

/// Basis functions smaller than this are zero: what they add to a filter is lost in its rounding, in
/// f64 too, while in f32 they would make products subnormal, which costs a CPU a hundred cycles each.
const TINY: f64 = 1e-30;

/// Some atoms with consecutive numbers, with as many slots each as the one with most pairs needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Slots {
    /// Which atoms.
    pub atoms: Range<usize>,
    /// Slots per atom, at least one.
    pub width: usize,
}

/// Cuts all atoms into groups of at most so many slots, or of one atom where that has more. The cut
/// depends on the pairs alone.
pub fn cut(pairs: &Pairs, most: usize) -> Vec<Slots> {
    let mut groups: Vec<Slots> = Vec::new();
    for atom in 0..pairs.atoms() {
        let width = pairs.row(atom).len().max(1);
        if let Some(last) = groups.last_mut() {
            let joint = last.width.max(width);
            if (last.atoms.len() + 1) * joint <= most {
                last.atoms.end = atom + 1;
                last.width = joint;
                continue;
            }
        }
        groups.push(Slots {
            atoms: atom..atom + 1,
            width,
        });
    }
    groups
}

/// The numbers of a group's slots, zero where a slot is left over.
pub struct Numbers<E> {
    /// Neighbour, \[n K\]; the atom itself in a slot left over.
    pub neighbors: Vec<i32>,
    /// Basis functions times the cutoff function, then the cutoff function alone, \[n K\]\[R + 1\].
    pub basis: Vec<E>,
    /// Their derivatives by the distance (1 / angstrom).
    pub slope: Vec<E>,
    /// One, then the unit vector, \[n\]\[4\]\[K\].
    pub units: Vec<E>,
}

impl Slots {
    /// Number of slots.
    pub fn len(&self) -> usize {
        self.atoms.len() * self.width
    }

    /// Each pair of these atoms with its slot.
    pub fn pairs<'a>(&'a self, pairs: &'a Pairs) -> impl Iterator<Item = (usize, usize)> + 'a {
        self.atoms.clone().enumerate().flat_map(move |(n, atom)| {
            let first = n * self.width;
            pairs
                .row(atom)
                .enumerate()
                .map(move |(k, p)| (first + k, p))
        })
    }

    /// The numbers that go into tensors.
    pub fn numbers<E: Element>(&self, pairs: &Pairs, spec: &Spec) -> Numbers<E> {
        let columns = spec.basis.len() + 1;
        let zero: E = 0.elem();
        let mut all = Numbers {
            neighbors: Vec::with_capacity(self.len()),
            basis: vec![zero; self.len() * columns],
            slope: vec![zero; self.len() * columns],
            units: vec![zero; 4 * self.len()],
        };
        for atom in self.atoms.clone() {
            all.neighbors.extend([atom as i32].repeat(self.width));
        }
        for (slot, p) in self.pairs(pairs) {
            let d = pairs.distances[p];
            all.neighbors[slot] = pairs.neighbors[p] as i32;
            let [cut, falling] = spec.cutoff_function(d);
            for k in 0..columns {
                let [value, rising] = if k + 1 < columns {
                    spec.basis.evaluate(k, d)
                } else {
                    [1.0, 0.0]
                };
                all.basis[slot * columns + k] = round(value * cut);
                all.slope[slot * columns + k] = round(rising * cut + value * falling);
            }
            let (n, k) = (slot / self.width, slot % self.width);
            let at = |row: usize| (4 * n + row) * self.width + k;
            all.units[at(0)] = 1.elem();
            for a in 0..3 {
                all.units[at(1 + a)] = (pairs.vectors[p][a] / d).elem();
            }
        }
        all
    }

    /// dE/dr of these atoms' pairs, in their order, from the derivatives of [`super::adjoint`]: the
    /// radial one \[n K\], the angular and the slanted one \[n K\]\[3\].
    pub fn gradients<E: Element>(&self, pairs: &Pairs, derivatives: [&[E]; 3]) -> Vec<Vec3> {
        let [radial, angular, slanted] = derivatives;
        let vector = |all: &[E], slot: usize| {
            let one = &all[3 * slot..3 * slot + 3];
            Vec3::new(one[0].to_f64(), one[1].to_f64(), one[2].to_f64())
        };
        let gradient = |(slot, p): (usize, usize)| {
            let d = pairs.distances[p];
            let u = pairs.vectors[p] / d;
            let t = vector(angular, slot);
            let s = radial[slot].to_f64() + u.dot(&vector(slanted, slot));
            u * s + (t - u * t.dot(&u)) / d
        };
        self.pairs(pairs).map(gradient).collect()
    }
}

/// The nearest number of type E; zero for a tiny one.
fn round<E: Element>(x: f64) -> E {
    if x.abs() < TINY { 0.elem() } else { x.elem() }
}

/// Forces and strain derivative from dE/dr of every pair: what a pair pulls on its receiver, the
/// opposite pair pulls on it from the other side.
pub fn assemble(pairs: &Pairs, gradients: &[Vec3], scale: f64, out: &mut Evaluation) {
    out.forces.clear();
    out.strain_derivative = Mat3::zeros();
    for atom in 0..pairs.atoms() {
        let mut force = Vec3::zeros();
        for p in pairs.row(atom) {
            force += gradients[p] - gradients[pairs.reverse[p] as usize];
            out.strain_derivative += pairs.vectors[p] * gradients[p].transpose();
        }
        out.forces.push(force * scale);
    }
    out.strain_derivative *= scale;
}
