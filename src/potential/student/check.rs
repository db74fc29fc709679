//! Whether the numbers of a model fit together: what kernels rely on.

use super::{Student, StudentLayer};
use crate::potential::Linear;
use crate::{Error, Result};

impl Student {
    /// Checks shapes, cutoff and widths.
    ///
    /// # Errors
    /// Names the part that does not fit.
    pub fn check(&self) -> Result<()> {
        let (f, k) = (self.features, self.centers.len());
        let fits = |l: &Linear, inputs, outputs| l.is_sound(inputs, outputs, outputs);
        let layer = |l: &StudentLayer| {
            fits(&l.filter[0], k, f)
                && fits(&l.filter[1], f, 3 * f)
                && fits(&l.update[0], 2 * f, f)
                && fits(&l.update[1], f, 3 * f)
        };
        let mut inputs = f;
        let readout = self.readout.iter().all(|l| {
            let fits = fits(l, inputs, l.outputs) && l.outputs > 0;
            inputs = l.outputs;
            fits
        });
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let sound = [
            (
                f > 0 && k > 0 && self.embedding.len().is_multiple_of(f) && self.rows() > 1,
                "embedding",
            ),
            (
                !self.layers.is_empty() && self.layers.iter().all(layer),
                "layers",
            ),
            (
                !self.readout.is_empty() && readout && inputs == 1,
                "readout",
            ),
            (positive(self.cutoff), "cutoff"),
            (
                self.widths.len() == k && self.widths.iter().all(|w| positive(w.abs())),
                "widths of Gaussians",
            ),
        ];
        match sound.iter().find(|(sound, _)| !sound) {
            Some((_, part)) => Err(Error::input(format!(
                "the model's {part} do not fit its hyper-parameters"
            ))),
            None => Ok(()),
        }
    }

    /// Checks that every atom has a row of the embedding.
    ///
    /// # Errors
    /// One has none.
    pub(super) fn check_embedding(&self, species: &[u8]) -> Result<()> {
        let known = self.rows();
        let unknown = |z: &&u8| **z == 0 || usize::from(**z) >= known;
        match species.iter().find(unknown) {
            Some(z) => Err(Error::input(format!(
                "the model has no embedding for atomic number {z}, only for those from 1 to {}",
                known.saturating_sub(1)
            ))),
            None => Ok(()),
        }
    }
}
