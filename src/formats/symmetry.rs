//! Symmetry operations of crystals, and the atoms that they make of one.
//!
//! An operation takes fractional coordinates x to W x + w (International Tables for Crystallography A, 1.2).

use std::collections::HashMap;

use nalgebra::Matrix3;

use super::star::number;
use crate::core::{Mat3, Vec3};
use crate::{Error, Result};

/// The most operations that a space group has in a cell: those of F m -3 m and its like.
pub(super) const MOST_OPERATIONS: usize = 192;

/// Translations nearer than this (fractional) are the same: three decimals leave errors up to 0.002 in
/// products, and the closest that a group has are 1/12 apart.
const SAME_TRANSLATION: f64 = 5e-3;

/// Images of an atom nearer than this (angstrom) are no two atoms: the shortest bond has 0.74 A.
const TOO_NEAR: f64 = 0.5;

/// Coordinates that are off by less than this (angstrom) are on a special position, however many decimals
/// they have: programs pad 1/3 as 0.333330.
const ROUNDING: f64 = 0.01;

/// The part of a cell by which an operation may change its edges and angles: cells are refined or relaxed
/// to better than this, and another crystal system's differ by more.
pub(super) const MISFIT: f64 = 0.02;

/// Largest whole number before an axis in an operation.
const LARGEST_FACTOR: i32 = 9;

/// An operation: the matrix W and the translation w, which is in [0, 1).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operation {
    pub rotation: Matrix3<i32>,
    pub translation: Vec3,
}

impl Operation {
    pub fn identity() -> Self {
        Self {
            rotation: Matrix3::identity(),
            translation: Vec3::zeros(),
        }
    }

    /// Where the operation takes a point (fractional).
    pub fn apply(&self, point: &Vec3) -> Vec3 {
        self.rotation.map(f64::from) * point + self.translation
    }

    /// First `other`, then this one.
    pub fn after(&self, other: &Self) -> Self {
        Self {
            rotation: self.rotation * other.rotation,
            translation: self.apply(&other.translation).map(|x| x.rem_euclid(1.0)),
        }
    }

    /// Whether the translations are the same but for whole cells.
    fn same_translation(&self, other: &Vec3) -> bool {
        let difference = self.translation - other;
        (difference.map(|x| x - x.round()).amax()) < SAME_TRANSLATION
    }

    /// Largest change that the operation makes to products of lattice vectors (rows, angstrom), over the
    /// product of their lengths: none where the cell has the symmetry.
    fn misfit(&self, vectors: &Mat3) -> f64 {
        let rotation = self.rotation.map(f64::from);
        let metric = vectors * vectors.transpose();
        let change = rotation.transpose() * metric * rotation - metric;
        let scale = |k: usize, l: usize| (metric[(k, k)] * metric[(l, l)]).sqrt();
        let parts = (0..9).map(|n| (n / 3, n % 3));
        parts
            .map(|(k, l)| change[(k, l)].abs() / scale(k, l))
            .fold(0.0, f64::max)
    }
}

/// Largest misfit of any of the operations to lattice vectors (rows, angstrom), as a part of them.
pub(super) fn misfit(operations: &[Operation], vectors: &Mat3) -> f64 {
    let each = operations.iter().map(|o| o.misfit(vectors));
    each.fold(0.0, f64::max)
}

/// Reads an operation: `-x+1/2, y, 1/2-Z`, `X,Y,Z`, `0.5+x,-y,.3333-z`.
pub(super) fn parse_operation(text: &str) -> Option<Operation> {
    let mut operation = Operation::identity();
    let mut rows = 0;
    for part in text.split(',') {
        let (row, translation) = parse_row(part)?;
        if rows == 3 {
            return None;
        }
        for (k, factor) in row.into_iter().enumerate() {
            operation.rotation[(rows, k)] = factor;
        }
        operation.translation[rows] = translation.rem_euclid(1.0);
        rows += 1;
    }
    let volume = operation.rotation.map(f64::from).determinant();
    (rows == 3 && (volume.abs() - 1.0).abs() < 1e-9).then_some(operation)
}

/// Reads one row of an operation: the factors of x, y and z, and the translation.
fn parse_row(text: &str) -> Option<([i32; 3], f64)> {
    let text: String = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            // Minus signs of word processors.
            '\u{2212}' | '\u{2013}' => '-',
            c => c.to_ascii_lowercase(),
        })
        .collect();
    let mut rest = text.as_str();
    let (mut factors, mut translation) = ([0; 3], 0.0);
    let mut first = true;
    while !rest.is_empty() {
        let sign = match rest.as_bytes()[0] {
            b'-' => -1,
            b'+' => 1,
            _ if first => 1,
            _ => return None,
        };
        rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        let end = rest.find(['-', '+']).unwrap_or(rest.len());
        let (term, after) = rest.split_at(end);
        match term.strip_suffix(['x', 'y', 'z']) {
            Some(factor) => {
                let axis = usize::from(term.as_bytes()[term.len() - 1] - b'x');
                let factor = factor.strip_suffix('*').unwrap_or(factor);
                factors[axis] = i32::saturating_add(factors[axis], sign * parse_factor(factor)?);
            }
            None => translation += f64::from(sign) * parse_translation(term)?,
        }
        rest = after;
        first = false;
    }
    let small = factors.iter().all(|f| f.abs() <= LARGEST_FACTOR);
    (!first && small && translation.is_finite()).then_some((factors, translation))
}

/// A whole number of one digit before an axis; none is 1.
fn parse_factor(text: &str) -> Option<i32> {
    match text {
        "" => Some(1),
        _ if text.len() == 1 => text.parse().ok(),
        _ => None,
    }
}

/// A fraction or decimal number. Decimals that are cut or rounded from a multiple of 1/24 mean that: 0.33
/// and 0.6667 are thirds.
fn parse_translation(text: &str) -> Option<f64> {
    const PARTS: f64 = 24.0;
    if let Some((above, below)) = text.split_once('/') {
        let (above, below) = (number(above)?.value, number(below)?.value);
        return Some(above / below).filter(|x| x.is_finite());
    }
    let number = number(text)?;
    let meant = (number.value * PARTS).round() / PARTS;
    let cut = number.decimals >= 2 && (number.value - meant).abs() < 10_f64.powi(-number.decimals);
    Some(if cut { meant } else { number.value })
}

/// A group of operations, modulo the translations of the lattice. The identity is the first.
#[derive(Debug, Clone)]
pub(super) struct Group {
    operations: Vec<Operation>,
    /// Which operation is the k-th after the l-th, at `k * operations.len() + l`.
    products: Vec<u8>,
}

impl Group {
    /// Makes a group of a list that has all of its operations; the identity may be left out, and an
    /// operation may be there twice.
    ///
    /// # Errors
    /// There are more than a space group has, or two of them make one that is not in the list.
    pub fn new(list: &[Operation]) -> Result<Self> {
        let mut group = Self {
            operations: Vec::new(),
            products: Vec::new(),
        };
        let mut places: HashMap<Matrix3<i32>, Vec<u8>> = HashMap::new();
        for operation in std::iter::once(&Operation::identity()).chain(list) {
            if group.place(&places, operation).is_some() {
                continue;
            }
            if group.operations.len() == MOST_OPERATIONS {
                return Err(Error::input(format!(
                    "more than {MOST_OPERATIONS} different symmetry operations, which no space group has; \
                     write the structure with all atoms of the cell and x,y,z alone"
                )));
            }
            let place = u8::try_from(group.operations.len()).unwrap_or(u8::MAX);
            places.entry(operation.rotation).or_default().push(place);
            group.operations.push(operation.clone());
        }
        let size = group.operations.len();
        group.products.reserve_exact(size * size);
        for first in 0..size {
            for second in 0..size {
                let [one, two] = [first, second].map(|k| &group.operations[k]);
                let product = one.after(two);
                let place = group.place(&places, &product).ok_or_else(|| {
                    Error::input(format!(
                        "the symmetry operations are incomplete: {} and {} make {}, which is not among the \
                         {size}; give them all, with those of the lattice's centring",
                        show(one),
                        show(two),
                        show(&product)
                    ))
                })?;
                group.products.push(place);
            }
        }
        Ok(group)
    }

    fn place(&self, places: &HashMap<Matrix3<i32>, Vec<u8>>, operation: &Operation) -> Option<u8> {
        let same =
            |k: &&u8| self.operations[usize::from(**k)].same_translation(&operation.translation);
        places.get(&operation.rotation)?.iter().find(same).copied()
    }

    /// The operations, of which the first is the identity.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Checks that the operations leave the lattice (vectors as rows, angstrom) as it is.
    ///
    /// # Errors
    /// One of them changes edges or angles by more than 2 %.
    pub fn check_cell(&self, vectors: &Mat3) -> Result<()> {
        let wrong = (self.operations.iter()).find(|o| o.misfit(vectors) > MISFIT);
        wrong.map_or(Ok(()), |operation| {
            Err(Error::input(format!(
                "the cell does not have the symmetry of the operation {}: its edges or angles would have to \
                 be others; correct the cell or the symmetry",
                show(operation)
            )))
        })
    }

    /// Which operations make the different images of a point, in their order: all of them, unless the
    /// point is on a special position.
    ///
    /// Each coordinate is off by up to `error` (fractional), and no row of W - 1 has more than three of
    /// them: the point is on a symmetry element that moves it by no more than three errors.
    ///
    /// # Errors
    /// An image is neither the point itself nor clear of it.
    pub fn images(&self, point: &Vec3, vectors: &Mat3, error: f64) -> Result<Vec<usize>> {
        let edges = Vec3::from_fn(|k, _| vectors.row(k).norm());
        let mut fixing = Vec::new();
        for (k, operation) in self.operations.iter().enumerate() {
            let moved = operation.apply(point) - point;
            let moved = moved.map(|x| x - x.round());
            let distance = vectors.tr_mul(&moved).norm();
            if distance >= TOO_NEAR {
                continue;
            }
            let within = |a: usize| moved[a].abs() <= (3.0 * error).max(ROUNDING / edges[a]);
            if !(0..3).all(within) {
                return Err(Error::input(format!(
                    "it is {distance:.3} A away from its own image by {}: neither on that symmetry element \
                     nor clear of it; correct its coordinates, or choose one arrangement of a disordered \
                     structure and write it with x,y,z alone",
                    show(operation)
                )));
            }
            fixing.push(k);
        }
        let size = self.operations.len();
        let mut taken = vec![false; size];
        let mut images = Vec::with_capacity(size / fixing.len().max(1));
        for k in 0..size {
            if !taken[k] {
                images.push(k);
            }
            for l in &fixing {
                taken[usize::from(self.products[k * size + l])] = true;
            }
        }
        Ok(images)
    }
}

/// An operation as CIF writes it.
pub(super) fn show(operation: &Operation) -> String {
    let rows: Vec<String> = (0..3).map(|k| show_row(operation, k)).collect();
    rows.join(",")
}

fn show_row(operation: &Operation, row: usize) -> String {
    let mut text = String::new();
    for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
        let factor = operation.rotation[(row, axis)];
        let sign = match (factor < 0, text.is_empty()) {
            (true, _) => "-",
            (false, false) => "+",
            (false, true) => "",
        };
        match factor.abs() {
            0 => {}
            1 => text += &format!("{sign}{name}"),
            n => text += &format!("{sign}{n}{name}"),
        }
    }
    let translation = operation.translation[row];
    let translation = translation - (translation + 1e-6).floor();
    let fraction = [1, 2, 3, 4, 6, 8, 12, 24]
        .into_iter()
        .map(|below| (translation * f64::from(below), below))
        .find(|(above, _)| (above - above.round()).abs() < 1e-6);
    match fraction {
        Some((above, _)) if above.round() == 0.0 => {}
        Some((above, below)) => text += &format!("+{above:.0}/{below}"),
        None => text += &format!("+{translation:.4}"),
    }
    text
}
