//! The force field in host memory: a Verlet list, and any [`Potential`], or what needs no list of ours.

use super::ForceField;
use crate::Result;
use crate::core::{Cell, Vec3};
use crate::neighbors::{Pairs, VerletList};
use crate::potential::{About, Evaluation, Potential};

/// A potential in host memory with the list that finds its pairs.
///
/// The list is searched anew when it may lack pairs of the arrangement ([`VerletList::holds`]). Evaluating allocates
/// nothing, apart from that and from what the potential does.
pub struct HostForceField {
    source: EnergySource,
    /// Skin of the Verlet list (angstrom); `None` where every image of every atom is tried instead, every time.
    skin: Option<f64>,
    /// Once there was something to search.
    list: Option<VerletList>,
    pairs: Pairs,
    searches: u64,
}

/// What computes energies.
enum EnergySource {
    /// A function of the pairs.
    Pairs(Box<dyn Potential>),
    /// A function of cell and positions. Pairs are found for those alone who watch them.
    Whole(Box<dyn ForceField>),
}

impl HostForceField {
    /// Finds pairs with a Verlet list of this skin (angstrom).
    pub fn new(potential: Box<dyn Potential>, skin: f64) -> Self {
        Self::with(EnergySource::Pairs(potential), Some(skin))
    }

    /// Finds pairs by trying every image of every atom, every time: slow, and simple enough to judge a list by.
    pub fn exhaustive(potential: Box<dyn Potential>) -> Self {
        Self::with(EnergySource::Pairs(potential), None)
    }

    /// Asks another force field, which finds its pairs by itself; those within its cutoff are found here too, for limits and
    /// audits, with a Verlet list of this skin (angstrom) or, without one, by trying every image.
    pub fn around(field: Box<dyn ForceField>, skin: Option<f64>) -> Self {
        Self::with(EnergySource::Whole(field), skin)
    }

    fn with(source: EnergySource, skin: Option<f64>) -> Self {
        Self {
            source,
            skin,
            list: None,
            pairs: Pairs::default(),
            searches: 0,
        }
    }

    /// Finds the pairs of an arrangement.
    ///
    /// # Errors
    /// Those of [`VerletList::build`].
    pub fn find(&mut self, cell: &Cell, positions: &[Vec3]) -> Result<&Pairs> {
        if self.skin.is_none() {
            let cutoff = self.cutoff();
            self.pairs.exhaust(cell, positions, cutoff);
            return Ok(&self.pairs);
        }
        if !(self.list.as_ref()).is_some_and(|list| list.holds(cell, positions)) {
            self.search(cell, positions)?;
        }
        if let Some(list) = &mut self.list {
            list.pairs(cell, positions, &mut self.pairs);
        }
        Ok(&self.pairs)
    }

    /// Searches the Verlet list anew, whether or not it still holds.
    ///
    /// # Errors
    /// Those of [`VerletList::build`].
    pub fn search(&mut self, cell: &Cell, positions: &[Vec3]) -> Result<()> {
        let Some(skin) = self.skin else {
            return Ok(());
        };
        match self.list.take() {
            Some(mut list) => {
                list.rebuild(cell, positions)?;
                self.list = Some(list);
            }
            None => {
                let cutoff = self.cutoff();
                self.list = Some(VerletList::build(cell, positions, cutoff, skin)?);
            }
        }
        self.searches += 1;
        Ok(())
    }

    /// Evaluates the arrangement whose pairs were found last, which is this one.
    ///
    /// # Errors
    /// The device failed.
    pub fn evaluate_found(
        &mut self,
        cell: &Cell,
        positions: &[Vec3],
        out: &mut Evaluation,
    ) -> Result<()> {
        // A potential that is no committee says nothing of it.
        out.spread = None;
        match &mut self.source {
            EnergySource::Pairs(potential) => potential.evaluate(&self.pairs, out),
            EnergySource::Whole(field) => field.evaluate(cell, positions, out),
        }
    }

    /// The pairs that were found last.
    pub fn found(&self) -> &Pairs {
        &self.pairs
    }

    /// Times that the list was searched.
    pub fn searches(&self) -> u64 {
        self.searches
    }
}

impl ForceField for HostForceField {
    fn cutoff(&self) -> f64 {
        match &self.source {
            EnergySource::Pairs(potential) => potential.cutoff(),
            EnergySource::Whole(field) => field.cutoff(),
        }
    }

    fn evaluate(&mut self, cell: &Cell, positions: &[Vec3], out: &mut Evaluation) -> Result<()> {
        self.find(cell, positions)?;
        self.evaluate_found(cell, positions, out)
    }

    fn pairs(&self) -> u64 {
        self.pairs.len() as u64
    }

    fn atom_energies(&self) -> Option<Vec<f64>> {
        match &self.source {
            EnergySource::Pairs(potential) => potential.atom_energies(),
            EnergySource::Whole(field) => field.atom_energies(),
        }
    }

    fn about(&self) -> About {
        match &self.source {
            EnergySource::Pairs(potential) => potential.about(),
            EnergySource::Whole(field) => field.about(),
        }
    }
}
