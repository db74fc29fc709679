//! `[group.spring]`: where it leads, and how it moves.

use toml::{Spanned, Value};

use super::super::keys::group as keys;
use super::super::raw::{Leaf, SpringTable};
use super::super::section::Section;
use super::{NamedAtoms, numbers, vector};
use crate::Result;
use crate::core::{Cell, System, Vec3};
use crate::forcefield::external::{ExternalCourse, ExternalLaw, ExternalTerm};
use crate::units::Dimension;

/// What a spring hangs on.
pub(super) struct SpringScene<'p> {
    /// Its group.
    pub own: &'p NamedAtoms,
    /// All groups.
    pub all: &'p [NamedAtoms],
    pub system: &'p System,
    pub cell: &'p Cell,
    pub positions: &'p [Vec3],
    pub timestep: f64,
}

impl SpringScene<'_> {
    /// Centre of mass of some atoms.
    fn centre(&self, atoms: &[usize]) -> Vec3 {
        let masses = &self.system.masses;
        let weighted = atoms.iter().map(|&i| masses[i] * self.positions[i]);
        weighted.sum::<Vec3>() / atoms.iter().map(|&i| masses[i]).sum::<f64>()
    }
}

/// The term of a spring.
pub(super) fn spring(
    section: &mut Section<'_>,
    raw: &Spanned<SpringTable>,
    scene: &SpringScene<'_>,
) -> Result<ExternalTerm> {
    let mut inner = section.inner(&keys::SPRING, raw.span());
    let raw = raw.get_ref();
    let constant = inner.quantity(&keys::CONSTANT, &raw.constant)?;
    let law = match raw.to.as_ref().map(Spanned::get_ref) {
        None => places(&mut inner, raw, (scene, constant))?,
        Some(Value::String(word)) if word == "start" => places(&mut inner, raw, (scene, constant))?,
        Some(Value::String(word)) if word == "centre" => {
            let place = scene.centre(&scene.own.atoms);
            inner.keep(&keys::TO, &raw.to, shown(&place));
            centre(&mut inner, raw, (scene, constant, place))?
        }
        Some(Value::String(word)) => distance(&mut inner, raw, (scene, constant, word))?,
        Some(_) => {
            let place = vector(&mut inner, &keys::TO, &raw.to, Dimension::Length)?;
            centre(&mut inner, raw, (scene, constant, place))?
        }
    };
    section.adopt(&keys::SPRING, inner);
    Ok(ExternalTerm {
        atoms: scene.own.atoms.clone(),
        law,
    })
}

/// A place as it is written, to the bit.
fn shown(place: &Vec3) -> Vec<Value> {
    let one = |x: &f64| Value::String(format!("{x:?} A"));
    place.iter().map(one).collect()
}

/// What a place moves by in a step.
fn course(
    section: &mut Section<'_>,
    leaf: &Leaf,
    scene: &SpringScene<'_>,
) -> Result<ExternalCourse<Vec3>> {
    let velocity = match leaf {
        None => Vec3::zeros(),
        Some(_) => vector(section, &keys::VELOCITY, leaf, Dimension::Velocity)?,
    };
    Ok(ExternalCourse {
        origin: 0,
        each: velocity * scene.timestep,
    })
}

/// Refuses what is of a spring between two groups.
fn refuse_distance(section: &Section<'_>, raw: &SpringTable) -> Result<()> {
    let why = "is of a spring to another group; a spring to places moves with a velocity, and has no length: remove it";
    section.refuse(&keys::LENGTH, &raw.length, why)?;
    section.refuse(&keys::SPEED, &raw.speed, why)?;
    section.refuse(&keys::IMAGE, &raw.image, why)
}

/// From each atom to a place.
fn places(
    section: &mut Section<'_>,
    raw: &SpringTable,
    (scene, constant): (&SpringScene<'_>, f64),
) -> Result<ExternalLaw> {
    refuse_distance(section, raw)?;
    section.keep(&keys::TO, &raw.to, "start");
    let places = match &raw.places {
        None => (scene.own.atoms.iter())
            .map(|&i| scene.positions[i])
            .collect(),
        Some(_) => given_places(section, raw, scene.own.atoms.len())?,
    };
    let kept = |place: &Vec3| Value::from(place.iter().copied().collect::<Vec<f64>>());
    let list: Vec<Value> = places.iter().map(kept).collect();
    section.keep(&keys::PLACES, &raw.places, list);
    Ok(ExternalLaw::Places {
        constant,
        places,
        course: course(section, &raw.velocity, scene)?,
    })
}

fn given_places(section: &Section<'_>, raw: &SpringTable, atoms: usize) -> Result<Vec<Vec3>> {
    let (key, leaf) = (&keys::PLACES, &raw.places);
    let list = leaf.as_ref().and_then(|leaf| leaf.get_ref().as_array());
    let list = list.map_or(&[][..], Vec::as_slice);
    let places: Option<Vec<Vec3>> = list.iter().map(numbers).collect();
    places
        .filter(|places| places.len() == atoms)
        .ok_or_else(|| {
            let why = format!(
                "a list of {atoms} places is wanted, one for each atom of the group, of three numbers (A) each"
            );
            section.fault(key, leaf, why)
        })
}

/// From the centre of mass to a place.
fn centre(
    section: &mut Section<'_>,
    raw: &SpringTable,
    (scene, constant, place): (&SpringScene<'_>, f64, Vec3),
) -> Result<ExternalLaw> {
    refuse_distance(section, raw)?;
    let why = "is of a spring from each atom, to = \"start\": remove it";
    section.refuse(&keys::PLACES, &raw.places, why)?;
    Ok(ExternalLaw::Centre {
        constant,
        place,
        course: course(section, &raw.velocity, scene)?,
    })
}

/// From the centre of mass to that of another group.
fn distance(
    section: &mut Section<'_>,
    raw: &SpringTable,
    (scene, constant, name): (&SpringScene<'_>, f64, &str),
) -> Result<ExternalLaw> {
    let why =
        "is of a spring to places; the length of one to another group grows with speed: remove it";
    section.refuse(&keys::VELOCITY, &raw.velocity, why)?;
    section.refuse(&keys::PLACES, &raw.places, why)?;
    let other = scene.all.iter().find(|group| group.name == name);
    let Some(other) = other else {
        let why = format!(
            "there is no group {name:?}: give \"start\", \"centre\", a place such as [\"1 A\", \"2 A\", \"3 A\"], or the name of \
             another group"
        );
        return Err(section.fault(&keys::TO, &raw.to, why));
    };
    if other.atoms.iter().any(|i| scene.own.atoms.contains(i)) {
        let why =
            format!("the group {name:?} has atoms of this one: choose groups that share none");
        return Err(section.misfit(&keys::TO, &raw.to, why));
    }
    section.keep(&keys::TO, &raw.to, name);
    let apart = scene.centre(&other.atoms) - scene.centre(&scene.own.atoms);
    let image = match &raw.image {
        None => nearest_image(scene.cell, &apart),
        Some(_) => given_image(section, &raw.image)?,
    };
    let kept: Vec<Value> = image.map(|n| Value::from(i64::from(n))).to_vec();
    section.keep(&keys::IMAGE, &raw.image, kept);
    let shift = scene.cell.shift(image);
    let length = match &raw.length {
        None => {
            let length = (apart + shift).norm();
            section.keep(&keys::LENGTH, &None, format!("{length:?} A"));
            length
        }
        Some(_) => section.quantity(&keys::LENGTH, &raw.length)?,
    };
    let speed = match &raw.speed {
        None => 0.0,
        Some(_) => section.quantity(&keys::SPEED, &raw.speed)?,
    };
    Ok(ExternalLaw::Distance {
        constant,
        others: other.atoms.clone(),
        shift,
        length,
        course: ExternalCourse {
            origin: 0,
            each: speed * scene.timestep,
        },
    })
}

fn given_image(section: &Section<'_>, leaf: &Leaf) -> Result<[i32; 3]> {
    let list = leaf.as_ref().and_then(|leaf| leaf.get_ref().as_array());
    let number = |value: &Value| i32::try_from(value.as_integer()?).ok();
    let image: Option<Vec<i32>> = list.and_then(|list| list.iter().map(number).collect());
    let image = image.and_then(|image| <[i32; 3]>::try_from(image).ok());
    image.ok_or_else(|| {
        let why = "three whole numbers are wanted, such as [0, 0, 1]";
        section.fault(&keys::IMAGE, leaf, why)
    })
}

/// The image of the end of a vector that is nearest to its beginning.
fn nearest_image(cell: &Cell, apart: &Vec3) -> [i32; 3] {
    let fractional = cell.fractional(apart);
    let periodic = cell.periodic();
    let whole = |k: usize| {
        if periodic[k] {
            -fractional[k].round() as i32
        } else {
            0
        }
    };
    let near = [0, 1, 2].map(whole);
    // In a skewed cell the nearest one may be a neighbour of that.
    let around = (0..27).map(|n| [n % 3 - 1, n / 3 % 3 - 1, n / 9 - 1]);
    let around = around.filter(|step| (0..3).all(|k| periodic[k] || step[k] == 0));
    let images = around.map(|step| [0, 1, 2].map(|k: usize| near[k].saturating_add(step[k])));
    let distance = |image: &[i32; 3]| (apart + cell.shift(*image)).norm();
    let least = images.min_by(|a, b| distance(a).total_cmp(&distance(b)));
    least.unwrap_or(near)
}
