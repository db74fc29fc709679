//! The force field in host memory: a Verlet list, and any [`Potential`].

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
    potential: Box<dyn Potential>,
    /// Skin of the Verlet list (angstrom); `None` where every image of every atom is tried instead, every time.
    skin: Option<f64>,
    /// Once there was something to search.
    list: Option<VerletList>,
    pairs: Pairs,
    searches: u64,
}

impl HostForceField {
    /// Finds pairs with a Verlet list of this skin (angstrom).
    pub fn new(potential: Box<dyn Potential>, skin: f64) -> Self {
        Self::with(potential, Some(skin))
    }

    /// Finds pairs by trying every image of every atom, every time: slow, and simple enough to judge a list by.
    pub fn exhaustive(potential: Box<dyn Potential>) -> Self {
        Self::with(potential, None)
    }

    fn with(potential: Box<dyn Potential>, skin: Option<f64>) -> Self {
        Self {
            potential,
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
            (self.pairs).exhaust(cell, positions, self.potential.cutoff());
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
                let cutoff = self.potential.cutoff();
                self.list = Some(VerletList::build(cell, positions, cutoff, skin)?);
            }
        }
        self.searches += 1;
        Ok(())
    }

    /// Evaluates the arrangement whose pairs were found last.
    ///
    /// # Errors
    /// The device failed.
    pub fn evaluate_found(&mut self, out: &mut Evaluation) -> Result<()> {
        self.potential.evaluate(&self.pairs, out)
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
        self.potential.cutoff()
    }

    fn evaluate(&mut self, cell: &Cell, positions: &[Vec3], out: &mut Evaluation) -> Result<()> {
        self.find(cell, positions)?;
        self.evaluate_found(out)
    }

    fn pairs(&self) -> u64 {
        self.pairs.len() as u64
    }

    fn about(&self) -> About {
        self.potential.about()
    }
}
