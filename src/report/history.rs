//! What became of a quantity in the course of a run: means over parts of it, of however many samples.
//!
//! Samples are summed in bins of equal counts. When all bins are taken, each two neighbours become one, and from
//! then on bins are twice as wide: between half of them and all of them are in use, whatever the length of the run.

use serde::{Deserialize, Serialize};

use super::series::Estimate;

/// Bins, an even number.
const BINS: usize = 160;
/// Fewest full bins of which a fifth has a mean with an error bar.
const FEWEST_BINS: usize = 40;
/// Fewest blocks from which the error bar of a fifth is estimated.
const FEWEST_BLOCKS: usize = 4;

/// The course of a quantity.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    /// Samples in a full bin are 2 to this power.
    doublings: u32,
    /// Sums over full bins.
    full: Vec<f64>,
    /// Samples in the bin that is not yet full, and their sum.
    open: (u64, f64),
}

impl History {
    /// Takes in a value.
    pub fn add(&mut self, value: f64) {
        self.open.0 += 1;
        self.open.1 += value;
        if self.open.0 < self.width() {
            return;
        }
        self.full.push(self.open.1);
        self.open = (0, 0.0);
        if self.full.len() >= BINS {
            self.full = self.full.chunks(2).map(|pair| pair.iter().sum()).collect();
            self.doublings += 1;
        }
    }

    fn width(&self) -> u64 {
        1_u64.checked_shl(self.doublings).unwrap_or(u64::MAX)
    }

    /// Means over the first and the last fifth; `None` for less than 40 samples. What is in the last bin, while it
    /// is not full, is left out: less than 1 part in 16 of a fifth once the bins have been full.
    pub fn fifths(&self) -> Option<[Estimate; 2]> {
        let bins = self.full.len();
        if bins < FEWEST_BINS {
            return None;
        }
        let fifth = bins / 5;
        let means = |bins: &[f64]| -> Vec<f64> {
            let width = self.width() as f64;
            bins.iter().map(|sum| sum / width).collect()
        };
        let first = means(&self.full[..fifth]);
        let last = means(&self.full[bins - fifth..]);
        Some([mean(first), mean(last)])
    }
}

/// Mean of values in sequence. Its standard error is the largest that blocks of 1, 2, 4 ... of them give: those of
/// correlated values grow with the length of the blocks.
fn mean(values: Vec<f64>) -> Estimate {
    let value = values.iter().sum::<f64>() / values.len() as f64;
    let (mut blocks, mut error) = (values, 0.0_f64);
    while blocks.len() >= FEWEST_BLOCKS {
        let n = blocks.len() as f64;
        let middle = blocks.iter().sum::<f64>() / n;
        let squares: f64 = blocks.iter().map(|b| (b - middle).powi(2)).sum();
        error = error.max((squares / (n * (n - 1.0))).sqrt());
        let pairs = blocks.chunks_exact(2);
        blocks = pairs.map(|pair| 0.5 * (pair[0] + pair[1])).collect();
    }
    Estimate {
        value,
        error,
        converged: true,
    }
}
