//! A repulsion at short range: a law that is switched off before the bonds of what it is added to.

use std::sync::Arc;

use super::switch::Switch;
use super::{PairEnergy, PairLaw};
use crate::core::elements::{covalent_radius, symbol};
use crate::neighbors::Pairs;
use crate::{Error, Result};

/// The default end in parts of the sum of two covalent radii: a bond of H2 is 1.19 of it, a triple one between atoms of
/// nitrogen or carbon 0.77, and vibrations shorten them by some hundredths.
pub const COVALENT_PART: f64 = 0.7;
/// The switch begins at this part of the end.
const SWITCH_ON: f64 = 0.5;

/// Where a repulsion ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RepulsionEnd {
    /// At the same distance (angstrom) for all pairs.
    Distance(f64),
    /// At [`COVALENT_PART`] of the sum of the covalent radii of a pair.
    Covalent,
}

/// A law of pairs times a switch from half of its end to its end, beyond which it is exactly zero.
#[derive(Debug, Clone)]
pub struct Repulsion {
    law: PairLaw,
    end: RepulsionEnd,
}

impl Repulsion {
    /// The law, up to an end.
    pub fn new(law: impl PairEnergy + 'static, end: RepulsionEnd) -> Self {
        Self {
            law: Arc::new(law),
            end,
        }
    }

    /// Checks that it has an end for each pair of some elements, and that it lies within the range (angstrom) of what it is
    /// added to.
    ///
    /// # Errors
    /// An element has no covalent radius, or an end lies beyond the range.
    pub fn check(&self, elements: &[u8], range: f64) -> Result<()> {
        let bare = |z: &&u8| covalent_radius(**z).is_none();
        if let (RepulsionEnd::Covalent, Some(&z)) = (self.end, elements.iter().find(bare)) {
            return Err(Error::input(format!(
                "there is no covalent radius of {} to end the repulsion by",
                symbol(z)
            )));
        }
        let ends = elements.iter().map(|&z| self.end([z; 2]));
        let farthest = ends.fold(0.0, f64::max);
        if farthest > range {
            return Err(Error::input(format!(
                "the repulsion ends at {farthest} A, beyond the potential's cutoff of {range} A, where pairs are not known"
            )));
        }
        Ok(())
    }

    /// The distance (angstrom) from which on two atoms of these atomic numbers have no such energy.
    pub fn end(&self, species: [u8; 2]) -> f64 {
        match self.end {
            RepulsionEnd::Distance(end) => end,
            RepulsionEnd::Covalent => {
                let radius = |z: u8| covalent_radius(z).unwrap_or(0.0);
                COVALENT_PART * (radius(species[0]) + radius(species[1]))
            }
        }
    }

    /// What it does to atoms of these species with these pairs.
    pub fn inside(&self, species: &[u8], pairs: &Pairs) -> RepelledPairs {
        let mut found = RepelledPairs::default();
        let (mut ordered, mut least) = (0, 1.0);
        for (p, &distance) in pairs.distances.iter().enumerate() {
            let of = [pairs.receivers[p], pairs.neighbors[p]].map(|i| species[i as usize]);
            let part = distance / self.end(of);
            if part >= 1.0 {
                continue;
            }
            ordered += 1;
            found.energy += 0.5 * self.at(of, distance).0;
            if part < least {
                (least, found.deepest) = (part, Some(p));
            }
        }
        // Each pair comes in both directions.
        found.count = ordered / 2;
        found
    }
}

/// Pairs that a repulsion acts on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RepelledPairs {
    /// How many there are.
    pub count: usize,
    /// Place in the list of the one that is deepest inside, as a part of its end.
    pub deepest: Option<usize>,
    /// Energy of all (eV).
    pub energy: f64,
}

impl PairEnergy for Repulsion {
    fn at(&self, species: [u8; 2], distance: f64) -> (f64, f64) {
        let end = self.end(species);
        if distance >= end {
            return (0.0, 0.0);
        }
        let on = SWITCH_ON * end;
        let [switch, change] = Switch {
            on,
            width: end - on,
        }
        .at(distance);
        let (energy, slope) = self.law.at(species, distance);
        (energy * switch, slope * switch + energy * change)
    }

    fn words(&self) -> String {
        let end = match self.end {
            RepulsionEnd::Distance(end) => format!("{end} A"),
            RepulsionEnd::Covalent => format!("{COVALENT_PART} of the sum of covalent radii"),
        };
        format!("{}, zero from {end} on", self.law.words())
    }

    #[cfg(feature = "cuda")]
    fn source(&self, elements: &[u8]) -> String {
        let ends = elements
            .iter()
            .map(|&a| super::list(elements.iter().map(|&b| self.end([a, b]))));
        let ends = ends.collect::<Vec<_>>().join(", ");
        let (count, law) = (elements.len(), self.law.source(elements));
        format!(
            "namespace law {{\n{law}}}\n{}\
             __constant__ double ENDS[{count}][{count}] = {{{ends}}};\n\
             __device__ __forceinline__ void pair_at(int i, int j, double r, double &energy, double &slope) {{\n\
             energy = slope = 0.0;\n\
             const double end = ENDS[E.species[i]][E.species[j]], on = {SWITCH_ON:?} * end;\n\
             if (r >= end) return;\n\
             double value, change;\n\
             switched(r, on, end - on, value, change);\n\
             law::pair_at(i, j, r, energy, slope);\n\
             slope = slope * value + energy * change;\n\
             energy *= value;\n\
             }}\n",
            Switch::SOURCE
        )
    }
}
