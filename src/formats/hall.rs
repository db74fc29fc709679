//! Hall symbols: a space group in one setting, by its generators.
//!
//! Hall, Acta Cryst. A37, 517 (1981); International Tables for Crystallography B, A1.4.2.3.

use nalgebra::Matrix3;

use super::symmetry::Operation;
use crate::core::Vec3;

/// Most operations of a group, but for translations.
const MOST_ROTATIONS: usize = 48;

/// All operations in a cell of a Hall symbol, if it is one: `-P 2ybc`, `R 3 2"`, `F 4d 2 3 -1d`,
/// `P 31 2 (0 0 4)`. A change of basis behind it is not understood.
pub(super) fn operations(symbol: &str) -> Option<Vec<Operation>> {
    let symbol = symbol.replace('_', " ");
    let (symbol, origin) = match symbol.split_once('(') {
        Some((symbol, origin)) => (symbol, shift(origin)?),
        None => (symbol.as_str(), Vec3::zeros()),
    };
    let mut parts = symbol.split_whitespace();
    let lattice = parts.next()?.to_ascii_uppercase();
    let centring = lattice.strip_prefix('-').unwrap_or(&lattice);
    let centrings = centrings(centring)?;
    let mut generators = Vec::new();
    let mut before = None;
    for (place, part) in parts.enumerate() {
        let (operation, rotation) = generator(&part.to_ascii_lowercase(), place, before)?;
        generators.push(operation);
        before = Some(rotation);
    }
    if generators.is_empty() {
        return None;
    }
    if centring.len() < lattice.len() {
        generators.push(Operation {
            rotation: -Matrix3::identity(),
            translation: Vec3::zeros(),
        });
    }
    for generator in &mut generators {
        let rotation = generator.rotation.map(f64::from);
        generator.translation += origin - rotation * origin;
    }
    let rotations = close(&generators)?;
    let centred = |shift: Vec3| {
        rotations.iter().map(move |o| Operation {
            rotation: o.rotation,
            translation: (o.translation + shift).map(|x| x.rem_euclid(1.0)),
        })
    };
    Some(centrings.into_iter().flat_map(centred).collect())
}

/// One operation for each rotation that the generators make, if these are a group.
fn close(generators: &[Operation]) -> Option<Vec<Operation>> {
    let mut list = vec![Operation::identity()];
    let mut next = 0;
    while next < list.len() {
        for generator in generators {
            let product = list[next].after(generator);
            if list.iter().all(|o| o.rotation != product.rotation) {
                list.push(product);
            }
        }
        if list.len() > MOST_ROTATIONS {
            return None;
        }
        next += 1;
    }
    Some(list)
}

/// Translations of a lattice with this centring (fractional).
fn centrings(letter: &str) -> Option<Vec<Vec3>> {
    const THIRD: f64 = 1.0 / 3.0;
    let half = |a: u8, b: u8, c: u8| Vec3::new(a.into(), b.into(), c.into()) / 2.0;
    let more = match letter {
        "P" => vec![],
        "A" => vec![half(0, 1, 1)],
        "B" => vec![half(1, 0, 1)],
        "C" => vec![half(1, 1, 0)],
        "I" => vec![half(1, 1, 1)],
        "F" => vec![half(0, 1, 1), half(1, 0, 1), half(1, 1, 0)],
        // Obverse.
        "R" => vec![
            Vec3::new(2.0, 1.0, 1.0) * THIRD,
            Vec3::new(1.0, 2.0, 2.0) * THIRD,
        ],
        "H" => vec![
            Vec3::new(2.0, 1.0, 0.0) * THIRD,
            Vec3::new(1.0, 2.0, 0.0) * THIRD,
        ],
        _ => return None,
    };
    Some(std::iter::once(Vec3::zeros()).chain(more).collect())
}

/// The shift of the origin, in twelfths: what stands in the parentheses.
fn shift(text: &str) -> Option<Vec3> {
    let text = text.trim().strip_suffix(')')?;
    let twelfths: Vec<i8> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [a, b, c] = twelfths[..] else {
        return None;
    };
    Some(Vec3::new(a.into(), b.into(), c.into()) / 12.0)
}

/// The order of a rotation and the cell's edge that it is about, or that its diagonal is at right angles
/// to.
type Rotation = (char, usize);

/// Reads a rotation with its translation, such as `-2ybc`, `4`, `3*`, `61` or `2"`.
fn generator(part: &str, place: usize, before: Option<Rotation>) -> Option<(Operation, Rotation)> {
    let (improper, part) = match part.strip_prefix('-') {
        Some(part) => (true, part),
        None => (false, part),
    };
    let order = part.chars().next()?;
    let rest = &part[order.len_utf8()..];
    let (mark, rest) = match rest.chars().next() {
        Some(mark @ ('\'' | '"' | '*')) => (Some(mark), &rest[1..]),
        _ => (None, rest),
    };
    let (named, rest) = match rest.chars().next() {
        Some(axis @ ('x' | 'y' | 'z')) => (Some(usize::from(axis as u8 - b'x')), &rest[1..]),
        _ => (None, rest),
    };
    let before_axis = before.map_or(2, |b| b.1);
    // Axes that need not be written.
    let (mark, axis) = match (mark, named, place, before) {
        (Some('*'), ..) => (Some('*'), 2),
        (mark, Some(axis), ..) => (mark, axis),
        (Some(mark), None, ..) => (Some(mark), before_axis),
        _ if order == '1' => (None, 2),
        (None, None, 0, _) => (None, 2),
        (None, None, 1, Some(('2' | '4', _))) if order == '2' => (None, 0),
        (None, None, 1, Some(('3' | '6', _))) if order == '2' => (Some('\''), before_axis),
        (None, None, 2, _) if order == '3' => (Some('*'), 2),
        _ => return None,
    };
    let rotation = match mark {
        None => about(order, axis)?,
        Some('*') if order == '3' => Matrix3::new(0, 0, 1, 1, 0, 0, 0, 1, 0),
        Some('\'') if order == '2' => turn(&Matrix3::new(0, -1, 0, -1, 0, 0, 0, 0, -1), axis),
        Some('"') if order == '2' => turn(&Matrix3::new(0, 1, 0, 1, 0, 0, 0, 0, -1), axis),
        _ => return None,
    };
    let rotation = if improper { -rotation } else { rotation };
    let mut translation = Vec3::zeros();
    for c in rest.chars() {
        translation += match c.to_digit(10) {
            Some(screw) if mark.is_none() => {
                Vec3::ith(axis, f64::from(screw) / f64::from(order.to_digit(10)?))
            }
            Some(_) => return None,
            None => letter(c)?,
        };
    }
    let operation = Operation {
        rotation,
        translation,
    };
    Some((operation, (order, axis)))
}

/// The translation of a letter (fractional).
fn letter(c: char) -> Option<Vec3> {
    Some(match c {
        'a' => Vec3::new(0.5, 0.0, 0.0),
        'b' => Vec3::new(0.0, 0.5, 0.0),
        'c' => Vec3::new(0.0, 0.0, 0.5),
        'n' => Vec3::new(0.5, 0.5, 0.5),
        'u' => Vec3::new(0.25, 0.0, 0.0),
        'v' => Vec3::new(0.0, 0.25, 0.0),
        'w' => Vec3::new(0.0, 0.0, 0.25),
        'd' => Vec3::new(0.25, 0.25, 0.25),
        _ => return None,
    })
}

/// The rotation of an order about an edge of the cell.
#[rustfmt::skip]
fn about(order: char, axis: usize) -> Option<Matrix3<i32>> {
    let about_c = match order {
        '1' => Matrix3::identity(),
        '2' => Matrix3::new(-1, 0, 0, 0, -1, 0, 0, 0, 1),
        '3' => Matrix3::new(0, -1, 0, 1, -1, 0, 0, 0, 1),
        '4' => Matrix3::new(0, -1, 0, 1, 0, 0, 0, 0, 1),
        '6' => Matrix3::new(1, -1, 0, 1, 0, 0, 0, 0, 1),
        _ => return None,
    };
    Some(turn(&about_c, axis))
}

/// A rotation about c, turned to be about another edge: the edges change places in a ring.
fn turn(about_c: &Matrix3<i32>, axis: usize) -> Matrix3<i32> {
    let from = |k: usize| (k + 2 - axis) % 3;
    Matrix3::from_fn(|k, l| about_c[(from(k), from(l))])
}
