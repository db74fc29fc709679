//! Whether a system fits into a card's memory: foreseen from the numbers of atoms and pairs, before memory is
//! taken.

use cudarc::driver::result;

use super::device::{Device, failed};
use super::tables::padded;
use crate::potential::painn::Spec;
use crate::{Error, Result};

/// Bytes in a GiB.
const GIB: f64 = (1 << 30) as f64;
/// Bytes of an atom's entries in arrays whose width is not that of the network: phase space, the state saved and
/// positions of the last build, forces, a snapshot on its way, sums of it, heat and masses, order, cells and record
/// of `Buffers`.
const PLAIN: usize = 2 * 48 + 24 + 24 + 72 + 16 + 8 + 8 + 8 * 4 + 8 + 8 + 88;

/// What is wanted of a card.
pub(super) struct Demand {
    /// Number of atoms.
    pub atoms: usize,
    /// Pairs that there is to be room for, if they have been counted.
    pub pairs: Option<usize>,
    /// Bytes.
    pub bytes: usize,
}

/// Bytes that so many atoms take, without their pairs and without weights; `hidden` are the widths of the readout's
/// hidden layers.
pub(super) fn of_atoms(atoms: usize, spec: &Spec, hidden: &[usize]) -> usize {
    let f = padded(spec.features);
    // As placed in `Buffers::new`, `place_layer` (the first layer has no vectors coming in) and `place_heads`.
    let shared = 12;
    let layers = (11 + 7) * spec.layers - 7 * spec.layers.min(1);
    let heads: usize = hidden.iter().map(|width| padded(*width)).sum();
    atoms.saturating_mul(PLAIN + 4 * (f * (shared + layers) + heads))
}

/// Bytes that room for so many pairs takes, as placed in `Buffers::make_room`.
pub(super) fn of_pairs(pairs: usize, slices: usize) -> usize {
    pairs.saturating_mul(4 + 4 + 8 + 16 * slices + 16 + 8 + 4)
}

impl Demand {
    /// That the card has so much free memory; `given_back` bytes are in use now and will be free by then.
    ///
    /// # Errors
    /// It has not.
    pub fn check(&self, device: &Device, given_back: usize) -> Result<()> {
        device.bind()?;
        let (free, total) = result::mem_get_info().map_err(failed("asking for the free memory"))?;
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
             more memory, or [device] kind = \"cpu\"",
            device.name,
            self.atoms,
            free as f64 / GIB,
            total as f64 / GIB
        )))
    }
}
