//! The weights of the fused stages, each block's share in one piece and in the order in which tensor cores take it
//! (`kernels/stages.cu`).

use super::products::{PaddedMatrix, Product};

/// Features of a tile of inputs, and of one of outputs.
const INPUTS: usize = 16;
const OUTPUTS: usize = 8;

/// Blocks of a cluster.
pub(super) fn cluster(features: usize) -> usize {
    (features / 16).clamp(1, 8)
}

/// Numbers in a block's share of the largest stage's weights: those of the last layer's update both ways and of the readout.
pub(super) fn largest(features: usize, head_out: usize) -> usize {
    features / cluster(features) * (15 * features + head_out)
}

/// Appends a tile of the outputs from `row` on, zeros past the last, and the inputs from `column` on: lane 4 g + t has inputs
/// 4 t to 4 t + 3 of output g.
fn tile(matrix: &PaddedMatrix, row: usize, column: usize, pack: &mut Vec<f32>) {
    for output in row..row + OUTPUTS {
        let from = output * matrix.inputs + column;
        match matrix.values.get(from..from + INPUTS) {
            Some(inputs) => pack.extend(inputs),
            None => pack.extend([0.0; INPUTS]),
        }
    }
}

/// One block's share of some products' weights.
struct Share {
    features: usize,
    /// The block in its cluster.
    rank: usize,
    pack: Vec<f32>,
}

impl Share {
    fn width(&self) -> usize {
        self.features / cluster(self.features)
    }

    /// All inputs and the block's own outputs, of each of `groups`.
    fn gathered(&mut self, matrix: &PaddedMatrix, groups: usize) -> &mut Self {
        let outputs = matrix.values.len() / matrix.inputs / groups;
        for group in 0..groups {
            for output in (0..self.width()).step_by(OUTPUTS) {
                let output = self.rank * self.width() + output;
                // What is past the last output of a group is not the next group's.
                let row = if output < outputs {
                    group * outputs + output
                } else {
                    groups * outputs
                };
                for column in (0..matrix.inputs).step_by(INPUTS) {
                    tile(matrix, row, column, &mut self.pack);
                }
            }
        }
        self
    }

    /// The block's own inputs, of each group of a feature each, and all outputs.
    fn scattered(&mut self, matrix: &PaddedMatrix) -> &mut Self {
        for group in 0..matrix.inputs / self.features {
            for input in (0..self.width()).step_by(INPUTS) {
                let column = group * self.features + self.rank * self.width() + input;
                for row in (0..self.features).step_by(OUTPUTS) {
                    tile(matrix, row, column, &mut self.pack);
                }
            }
        }
        self
    }
}

/// The shares of all blocks of a cluster, one after the other.
fn all(features: usize, fill: impl Fn(&mut Share)) -> Vec<f32> {
    (0..cluster(features))
        .flat_map(|rank| {
            let mut share = Share {
                features,
                rank,
                pack: Vec::new(),
            };
            fill(&mut share);
            share.pack
        })
        .collect()
}

/// The shares of the blocks of a cluster, one after the other, of all products of a stage.
pub(super) fn of_stage(features: usize, products: &[Product]) -> Vec<f32> {
    all(features, |share| {
        for product in products {
            if product.scattered {
                share.scattered(&product.matrix);
            } else {
                share.gathered(&product.matrix, product.groups);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix whose numbers say where they are, counted from 1.
    fn numbered(outputs: usize, inputs: usize) -> PaddedMatrix {
        PaddedMatrix {
            values: (1..=outputs * inputs).map(|k| k as f32).collect(),
            inputs,
        }
    }

    /// The number of a lane's first input, as `stages.cu` looks for it: zero where there is no such output.
    fn there(pack: &[f32], tile: usize, lane: usize) -> f32 {
        pack[(tile * 32 + lane) * 4]
    }

    /// All tiles of a gathered product are where `Gathered::fetch` reads them.
    #[test]
    fn gathered_products_find_their_weights() {
        for (features, inputs, outputs, groups) in [
            (32, 32, 32, 2),
            (64, 192, 64, 1),
            (128, 128, 128, 3),
            (128, 128, 64, 1),
            (256, 256, 256, 2),
        ] {
            let matrix = numbered(groups * outputs, inputs);
            let width = features / cluster(features);
            let packs = all(features, |share| {
                share.gathered(&matrix, groups);
            });
            let size = groups * width * inputs;
            assert_eq!(packs.len(), cluster(features) * size);
            for (rank, pack) in packs.chunks_exact(size).enumerate() {
                for tile in 0..size / 128 {
                    let (row, block) = (tile / (inputs / 16), tile % (inputs / 16));
                    let (group, strip) = (row / (width / 8), row % (width / 8));
                    for lane in 0..32 {
                        let output = rank * width + strip * 8 + lane / 4;
                        let at = (group * outputs + output) * inputs + block * 16 + lane % 4 * 4;
                        let expected = if output < outputs { at + 1 } else { 0 };
                        assert_eq!(there(pack, tile, lane), expected as f32);
                    }
                }
            }
        }
    }

    /// All tiles of a scattered product are where `Scattered::fetch` reads them.
    #[test]
    fn scattered_products_find_their_weights() {
        for (features, groups) in [(32, 2), (64, 3), (128, 3), (256, 2)] {
            let inputs = groups * features;
            let matrix = numbered(features, inputs);
            let width = features / cluster(features);
            let packs = all(features, |share| {
                share.scattered(&matrix);
            });
            let size = width * groups * features;
            assert_eq!(packs.len(), cluster(features) * size);
            for (rank, pack) in packs.chunks_exact(size).enumerate() {
                for tile in 0..size / 128 {
                    let (i, strip) = (tile / (features / 8), tile % (features / 8));
                    let k = i * 16 / width * features + rank * width + i * 16 % width;
                    for lane in 0..32 {
                        let at = (strip * 8 + lane / 4) * inputs + k + lane % 4 * 4;
                        assert_eq!(there(pack, tile, lane), (at + 1) as f32);
                    }
                }
            }
        }
    }
}
