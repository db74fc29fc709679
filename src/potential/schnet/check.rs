//! Whether the numbers of a model fit together: what kernels rely on.

use super::{Schnet, SchnetLayer};
use crate::core::elements::symbol;
use crate::potential::Linear;
use crate::{Error, Result};

impl Schnet {
    /// Checks shapes and cutoff.
    ///
    /// # Errors
    /// Names the part that does not fit.
    pub fn check(&self) -> Result<()> {
        let (f, k) = (self.features, self.basis.len());
        let fits = |l: &Linear, inputs, outputs| l.is_sound(inputs, outputs, outputs);
        let layer = |l: &SchnetLayer| {
            l.input.is_sound(f, f, 0)
                && fits(&l.filter[0], k, f)
                && fits(&l.filter[1], f, f)
                && l.output.iter().all(|l| fits(l, f, f))
        };
        let mut inputs = f;
        let readout = self.readout.iter().all(|l| {
            let fits = fits(l, inputs, l.outputs) && l.outputs > 0;
            inputs = l.outputs;
            fits
        });
        let rows = self.embedding.len() / f.max(1);
        let known = |z: &u8| usize::from(*z) < rows;
        let embedding = f > 0 && k > 0 && self.embedding.len() == rows * f;
        let sound = [
            (embedding && self.elements.iter().all(known), "embedding"),
            (
                !self.layers.is_empty() && self.layers.iter().all(layer),
                "layers",
            ),
            (
                !self.readout.is_empty() && readout && inputs == 1,
                "readout",
            ),
            (self.cutoff > 0.0 && self.cutoff.is_finite(), "cutoff"),
        ];
        match sound.iter().find(|(sound, _)| !sound) {
            Some((_, part)) => Err(Error::input(format!(
                "the model's {part} do not fit its hyper-parameters"
            ))),
            None => Ok(()),
        }
    }

    /// Checks that it knows every element.
    ///
    /// # Errors
    /// It does not know one.
    pub(super) fn check_elements(&self, species: &[u8]) -> Result<()> {
        let unknown = |z: &&u8| self.elements.binary_search(z).is_err();
        let Some(z) = species.iter().find(unknown) else {
            return Ok(());
        };
        let known: Vec<&str> = self.elements.iter().map(|z| symbol(*z)).collect();
        Err(Error::input(format!(
            "the model does not know {}; it knows {}: use a model trained on these elements",
            symbol(*z),
            known.join(", ")
        )))
    }
}
