//! `[[group.wall]]`: a plane or a sphere, and how it pushes.

use super::super::keys::group as keys;
use super::super::keys::group::WallKind;
use super::super::raw::WallTable;
use super::super::section::Section;
use super::{numbers, vector};
use crate::Result;
use crate::core::{Cell, Vec3};
use crate::forcefield::external::{ExternalLaw, ExternalTerm, WallPush, WallShape};
use crate::units::Dimension;

/// A plane is at right angles to a lattice vector where the cosine of their angle is below this: the rounding of what is written.
const ALONG: f64 = 1e-6;

/// What a wall keeps.
pub(super) struct WallScene<'p> {
    pub atoms: &'p [usize],
    pub cell: &'p Cell,
    pub positions: &'p [Vec3],
}

/// The term of a wall.
pub(super) fn wall(
    inner: &mut Section<'_>,
    raw: &WallTable,
    scene: &WallScene<'_>,
) -> Result<ExternalTerm> {
    let push = push(inner, raw)?;
    let shape = match (&raw.normal, &raw.centre) {
        (Some(_), None) => plane(inner, raw, scene.cell)?,
        (None, Some(_)) => sphere(inner, raw)?,
        (Some(_), Some(_)) => {
            let why = "a wall is a plane, by normal and at, or a sphere, by centre and radius: remove one of the two";
            return Err(inner.fault(&keys::CENTRE, &raw.centre, why));
        }
        (None, None) => {
            let why = "is missing; give a plane, normal = [0, 0, 1] and at = \"2 A\", or a sphere, centre and radius";
            return Err(inner.fault(&keys::NORMAL, &None, why));
        }
    };
    if let WallPush::NineThree { .. } = push {
        let behind = (scene.atoms.iter()).find(|&&i| shape.distance(&scene.positions[i]).0 <= 0.0);
        if let Some(atom) = behind {
            let why = format!(
                "atom {atom} starts behind the wall, where its energy has no end: move the wall"
            );
            let (key, leaf) = match shape {
                WallShape::Plane { .. } => (&keys::AT, &raw.at),
                WallShape::Sphere { .. } => (&keys::RADIUS, &raw.radius),
            };
            return Err(inner.misfit(key, leaf, why));
        }
    }
    Ok(ExternalTerm {
        atoms: scene.atoms.to_vec(),
        law: ExternalLaw::Wall { shape, push },
    })
}

fn push(section: &mut Section<'_>, raw: &WallTable) -> Result<WallPush> {
    match section.choice(&keys::KIND, &raw.kind)? {
        WallKind::Harmonic => {
            let why = "is of kind = \"lj93\"; a harmonic wall has a constant: remove it";
            section.refuse(&keys::EPSILON, &raw.epsilon, why)?;
            section.refuse(&keys::SIGMA, &raw.sigma, why)?;
            let constant = section.quantity(&keys::WALL_CONSTANT, &raw.constant)?;
            Ok(WallPush::Harmonic { constant })
        }
        WallKind::NineThree => {
            let why = "is of kind = \"harmonic\"; \"lj93\" has epsilon and sigma: remove it";
            section.refuse(&keys::WALL_CONSTANT, &raw.constant, why)?;
            let epsilon = section.quantity(&keys::EPSILON, &raw.epsilon)?;
            let sigma = section.quantity(&keys::SIGMA, &raw.sigma)?;
            Ok(WallPush::NineThree { epsilon, sigma })
        }
    }
}

fn plane(section: &mut Section<'_>, raw: &WallTable, cell: &Cell) -> Result<WallShape> {
    let (key, leaf) = (&keys::NORMAL, &raw.normal);
    let why = "is of a sphere: remove it";
    section.refuse(&keys::RADIUS, &raw.radius, why)?;
    let given = leaf.as_ref().and_then(|leaf| numbers(leaf.get_ref()));
    let given = given.filter(|n| n.norm() > 0.0 && n.norm().is_finite());
    let Some(given) = given else {
        let why = "three numbers are wanted, not all of them 0, such as [0, 0, 1]";
        return Err(section.fault(key, leaf, why));
    };
    let normal = given.normalize();
    let along = |k: &usize| {
        let vector = cell.vector(*k);
        cell.periodic()[*k] && normal.dot(&vector).abs() > ALONG * vector.norm()
    };
    if (0..3).any(|k| along(&k)) {
        let why = "the wall stands across a periodic direction, in which atoms would come to it from behind: make that direction \
                   open ([system] periodic), or turn the wall";
        return Err(section.misfit(key, leaf, why));
    }
    section.keep(key, leaf, given.iter().copied().collect::<Vec<f64>>());
    let at = section.quantity(&keys::AT, &raw.at)?;
    Ok(WallShape::Plane { normal, at })
}

fn sphere(section: &mut Section<'_>, raw: &WallTable) -> Result<WallShape> {
    let why = "is of a plane: remove it";
    section.refuse(&keys::AT, &raw.at, why)?;
    let centre = vector(section, &keys::CENTRE, &raw.centre, Dimension::Length)?;
    let radius = section.quantity(&keys::RADIUS, &raw.radius)?;
    Ok(WallShape::Sphere { centre, radius })
}
