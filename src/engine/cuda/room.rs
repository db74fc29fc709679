//! Whether a system fits into a card's memory: foreseen from the numbers of atoms and pairs, before memory is
//! taken.

use crate::cuda::device::Device;
use crate::{Error, Result};

/// Bytes in a GiB.
const GIB: f64 = (1 << 30) as f64;
/// What is wanted of a card.
pub(super) struct Demand {
    /// Number of atoms.
    pub atoms: usize,
    /// Number of pairs, once counted.
    pub pairs: Option<usize>,
    /// Bytes.
    pub bytes: usize,
}

impl Demand {
    /// Checks that the card has as much free memory; `given_back` bytes are in use now and will be free by then.
    ///
    /// # Errors
    /// It has not.
    pub fn check(&self, device: &Device, given_back: usize) -> Result<()> {
        let [free, total] = device.memory()?;
        let free = free.saturating_add(given_back);
        if self.bytes <= free {
            return Ok(());
        }
        let pairs = match self.pairs {
            Some(pairs) => format!(
                " with {pairs} pairs in reach need {:.2} GiB more",
                self.bytes as f64 / GIB
            ),
            None => format!(
                " need {:.2} GiB, their pairs not counted",
                self.bytes as f64 / GIB
            ),
        };
        Err(Error::input(format!(
            "{} has too little memory: {} atoms{pairs}, {:.2} of its {:.2} GiB are free; use fewer atoms, a card with \
             more memory, or the CPU",
            device.name,
            self.atoms,
            free as f64 / GIB,
            total as f64 / GIB
        )))
    }
}
