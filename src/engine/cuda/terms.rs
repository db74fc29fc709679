//! What acts on atoms beside the potential, as the kernels take it.

use std::ops::Range;

use super::block::{DeviceTerm, law};
use super::flat;
use crate::core::Member;
use crate::engine::GroupRules;
use crate::forcefield::external::{ExternalLaw, ExternalTerm, WallPush, WallShape};

/// The terms of all systems, those of one behind those of another, and the atoms of all of them.
#[derive(Default)]
pub(super) struct ActingTerms {
    /// The terms.
    pub terms: Vec<DeviceTerm>,
    /// Which of them each system has.
    pub ranges: Vec<Range<usize>>,
    /// Numbers (ids) of their atoms.
    pub atoms: Vec<u32>,
    /// A place for each (angstrom).
    pub places: Vec<f64>,
}

impl ActingTerms {
    /// The terms of the systems of members.
    pub fn of(rules: &GroupRules, members: &[Member]) -> Self {
        let mut all = Self::default();
        for member in members {
            let first = all.terms.len();
            let own = |term: &&ExternalTerm| term.atoms.iter().all(|i| member.atoms.contains(i));
            for term in rules.terms.iter().filter(own) {
                all.add(term);
            }
            all.ranges.push(first..all.terms.len());
        }
        all
    }

    fn add(&mut self, term: &ExternalTerm) {
        let first = self.atoms.len() as u32;
        self.list(&term.atoms);
        let end = self.atoms.len() as u32;
        let entry = DeviceTerm {
            first,
            end,
            others_end: end,
            ..DeviceTerm::default()
        };
        let entry = match &term.law {
            ExternalLaw::Places {
                constant,
                places,
                course,
            } => {
                self.places[3 * first as usize..].copy_from_slice(&flat(places));
                DeviceTerm {
                    law: law::PLACES,
                    constant: *constant,
                    origin: course.origin,
                    each: course.each.into(),
                    ..entry
                }
            }
            ExternalLaw::Centre {
                constant,
                place,
                course,
            } => DeviceTerm {
                law: law::CENTRE,
                constant: *constant,
                place: (*place).into(),
                origin: course.origin,
                each: course.each.into(),
                ..entry
            },
            ExternalLaw::Distance {
                constant,
                others,
                shift,
                length,
                course,
            } => {
                self.list(others);
                DeviceTerm {
                    law: law::DISTANCE,
                    others_end: self.atoms.len() as u32,
                    constant: *constant,
                    place: (*shift).into(),
                    length: *length,
                    origin: course.origin,
                    longer: course.each,
                    ..entry
                }
            }
            ExternalLaw::Wall { shape, push } => wall(shape, push, entry),
            ExternalLaw::Force(force) => DeviceTerm {
                law: law::FORCE,
                place: (*force).into(),
                ..entry
            },
        };
        self.terms.push(entry);
    }

    /// Puts atoms into the list, with places of no meaning.
    fn list(&mut self, atoms: &[usize]) {
        self.atoms.extend(atoms.iter().map(|&i| i as u32));
        self.places.resize(3 * self.atoms.len(), 0.0);
    }
}

fn wall(shape: &WallShape, push: &WallPush, entry: DeviceTerm) -> DeviceTerm {
    let (sphere, place, length) = match shape {
        WallShape::Plane { normal, at } => (false, *normal, *at),
        WallShape::Sphere { centre, radius } => (true, *centre, *radius),
    };
    let (hard, constant, sigma) = match *push {
        WallPush::Harmonic { constant } => (false, constant, 0.0),
        WallPush::NineThree { epsilon, sigma } => (true, epsilon, sigma),
    };
    let law = match (sphere, hard) {
        (false, false) => law::SOFT_PLANE,
        (false, true) => law::HARD_PLANE,
        (true, false) => law::SOFT_SPHERE,
        (true, true) => law::HARD_SPHERE,
    };
    DeviceTerm {
        law,
        constant,
        sigma,
        length,
        place: place.into(),
        ..entry
    }
}
