//! The weights of the stages of `kernels/strips.cu`: in halves, in the order in which a block streams them past its atoms.

use half::f16;

use super::super::Weights;
use super::numbers::CardNumbers;
use super::products::{PaddedMatrix, Product};

/// Inputs and outputs of one product on tensor cores.
const TILE: usize = 16;
/// The largest weight is brought to between half of this and this.
const LARGEST: i32 = 14;

/// How far below the largest weight a matrix's own largest may be (powers of two): what is lost under the smallest half is then
/// 2^-26 of it, less than f32 loses.
const SPAN: i32 = 12;

/// The largest weight of each matrix of the stages: not of the first context, which is a table of species, nor of the
/// readout's last layer.
fn largest(weights: &Weights) -> impl Iterator<Item = f64> {
    let layers = weights.layers.iter().enumerate().flat_map(|(l, layer)| {
        let context = if l == 0 { &[] } else { &layer.context[..] };
        context.iter().chain(&layer.update).chain([&layer.mix])
    });
    let hidden = weights.readout.len().saturating_sub(1);
    let all = layers.chain(&weights.readout[..hidden]);
    all.map(|linear| (linear.weight.iter()).fold(0.0_f64, |most, w| most.max(w.abs())))
}

/// Whether halves with one unit for all of them are accurate to f32 for each matrix.
pub(super) fn suit(weights: &Weights) -> bool {
    let most = largest(weights).fold(0.0, f64::max);
    largest(weights).all(|own| own == 0.0 || own >= most * 2.0_f64.powi(-SPAN))
}

/// What the packs are multiples of: a power of two.
pub(super) fn unit(weights: &Weights) -> f32 {
    let most = largest(weights).fold(1e-30, f64::max);
    // A unit that is a normal number in f32, and so is its inverse.
    let exponent = (most.log2().floor() as i32 + 1 - LARGEST).clamp(-126, 126);
    2.0_f32.powi(exponent)
}

/// All products of a stage: of each, for 16 inputs, each group of F outputs; of these, each strip of 16, in two tiles; of a
/// tile, what each lane has of the matrix, the upper halves and then the lower ones; where a product has one part, what each lane
/// has of both tiles, of whole numbers in 8 bits as well. Tensor cores take four numbers of the inputs
/// from lane 4 g + t, and give it two of the outputs of each tile: here inputs 4 t to 4 t + 3, and, for its column g of tile n,
/// output 4 (g / 2) + 2 n + g % 2, so that a lane's outputs in both tiles are 4 t to 4 t + 3 as well.
pub(super) fn of_stage(
    features: usize,
    products: &[Product],
    unit: f32,
    numbers: CardNumbers,
) -> Vec<u32> {
    let mut pack = Vec::new();
    for product in products {
        let matrix = &product.matrix;
        for column in (0..matrix.inputs).step_by(TILE) {
            for group in 0..product.groups {
                for row in (0..features).step_by(TILE) {
                    let rows = [0, 2].map(|down| group * features + row + down);
                    match numbers {
                        CardNumbers::Single => {
                            for row in rows {
                                fill(matrix, row, column, unit, &mut pack);
                            }
                        }
                        CardNumbers::Eight => fill_bytes(matrix, rows, column, &mut pack),
                        _ => fill_once(matrix, rows, column, unit, numbers, &mut pack),
                    }
                }
            }
        }
    }
    pack
}

/// What a lane has of a tile: its four numbers over the unit; zeros for outputs past the last.
fn lane_of(matrix: &PaddedMatrix, row: usize, column: usize, lane: usize, unit: f32) -> [f32; 4] {
    let g = lane / 4;
    let (output, input) = (row + g / 2 * 4 + g % 2, column + lane % 4 * 4);
    [0, 1, 2, 3].map(|k| {
        let value = matrix.values.get(output * matrix.inputs + input + k);
        value.map_or(0.0, |w| w / unit)
    })
}

fn pair(a: u16, b: u16) -> u32 {
    u32::from(a) | u32::from(b) << 16
}

/// A tile, in two parts.
fn fill(matrix: &PaddedMatrix, row: usize, column: usize, unit: f32, pack: &mut Vec<u32>) {
    for lane in 0..32 {
        let [a, b, c, d] = lane_of(matrix, row, column, lane, unit).map(halves);
        for part in 0..2 {
            pack.extend([pair(a[part], b[part]), pair(c[part], d[part])]);
        }
    }
}

/// Two tiles, in one part.
fn fill_once(
    matrix: &PaddedMatrix,
    rows: [usize; 2],
    column: usize,
    unit: f32,
    numbers: CardNumbers,
    pack: &mut Vec<u32>,
) {
    for lane in 0..32 {
        for row in rows {
            let [a, b, c, d] = lane_of(matrix, row, column, lane, unit).map(|x| numbers.bits(x));
            pack.extend([pair(a, b), pair(c, d)]);
        }
    }
}

/// Two tiles of whole numbers, a byte each that counts from -128.
fn fill_bytes(matrix: &PaddedMatrix, rows: [usize; 2], column: usize, pack: &mut Vec<u32>) {
    for lane in 0..32 {
        for row in rows {
            let bytes = lane_of(matrix, row, column, lane, 1.0).map(|q| (q + 128.0) as u8);
            pack.push(u32::from_le_bytes(bytes));
        }
    }
}

/// The bits of the nearest half, and of that to the rest.
fn halves(x: f32) -> [u16; 2] {
    let hi = f16::from_f32(x);
    [hi, f16::from_f32(x - hi.to_f32())].map(f16::to_bits)
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    /// Every weight is found where `strips.cu` reads it, to 2^-22 of the largest.
    #[test]
    fn products_find_their_weights() {
        for (features, inputs, outputs, groups) in [
            (32, 64, 32, 1),
            (128, 128, 384, 3),
            (96, 192, 96, 1),
            (64, 64, 32, 1),
        ] {
            let values: Vec<f32> = (0..inputs * outputs)
                .map(|k| (k as f32 * 0.7).sin())
                .collect();
            let product = Product {
                matrix: PaddedMatrix { values, inputs },
                groups,
                scattered: false,
            };
            let unit = 2.0_f32.powi(-13);
            let products = [product];
            let pack = of_stage(features, &products, unit, CardNumbers::Single);
            assert_eq!(pack.len(), groups * features * inputs);
            for (at, quad) in pack.chunks_exact(4).enumerate() {
                let (lane, tile) = (at % 32, at / 32);
                let (strip, chunk) = (tile % (features / 8), tile / (features / 8));
                let (g, t) = (lane / 4, lane % 4);
                let output =
                    chunk % groups * features + strip / 2 * 16 + g / 2 * 4 + strip % 2 * 2 + g % 2;
                let input = chunk / groups * 16 + t * 4;
                for (k, shift, word) in [(0, 0, 0), (1, 16, 0), (2, 0, 1), (3, 16, 1)] {
                    let part = |word: usize| f16::from_bits((quad[word] >> shift) as u16).to_f32();
                    let expected = (products[0].matrix.values)
                        .get(output * inputs + input + k)
                        .map_or(0.0, |w| w / unit);
                    let seen = part(word) + part(word + 2);
                    assert!(
                        (seen - expected).abs() <= 2.0_f32.powi(13 - 22),
                        "{seen} for {expected}"
                    );
                }
            }
        }
    }

    /// In 8 bits likewise.
    #[test]
    fn whole_numbers_are_found() {
        let (features, inputs) = (64, 128);
        let number = |k: usize| (k * 37 % 255) as f32 - 127.0;
        let matrix = PaddedMatrix {
            values: (0..inputs * features).map(number).collect(),
            inputs,
        };
        let products = [Product {
            matrix,
            groups: 1,
            scattered: false,
        }];
        let pack = of_stage(features, &products, 1.0, CardNumbers::Eight);
        assert_eq!(pack.len(), features * inputs / 4);
        for (at, both) in pack.chunks_exact(2).enumerate() {
            let (lane, strip) = (at % 32, at / 32 % (features / 16));
            let (chunk, g) = (at / 32 / (features / 16), lane / 4);
            for (n, word) in both.iter().enumerate() {
                let output = strip * 16 + g / 2 * 4 + 2 * n + g % 2;
                for (k, byte) in word.to_le_bytes().into_iter().enumerate() {
                    let input = chunk * 16 + lane % 4 * 4 + k;
                    let expected = products[0].matrix.values[output * inputs + input];
                    assert_eq!(f32::from(byte) - 128.0, expected);
                }
            }
        }
    }

    /// In one part, a lane's four numbers of both tiles follow each other.
    #[test]
    fn weights_of_one_part_are_found() {
        let (features, inputs) = (64, 128);
        let values: Vec<f32> = (0..inputs * features)
            .map(|k| (k as f32 * 0.7).sin())
            .collect();
        let product = Product {
            matrix: PaddedMatrix { values, inputs },
            groups: 1,
            scattered: false,
        };
        let products = [product];
        for numbers in [CardNumbers::Half, CardNumbers::OnePart, CardNumbers::Bfloat] {
            let pack = of_stage(features, &products, 0.5, numbers);
            assert_eq!(pack.len(), features * inputs / 2);
            for (at, quad) in pack.chunks_exact(4).enumerate() {
                let (lane, strip) = (at % 32, at / 32 % (features / 16));
                let (chunk, g) = (at / 32 / (features / 16), lane / 4);
                for (k, word) in quad.iter().enumerate() {
                    for two in 0..2 {
                        let output = strip * 16 + g / 2 * 4 + k / 2 * 2 + g % 2;
                        let input = chunk * 16 + lane % 4 * 4 + k % 2 * 2 + two;
                        let bits = (word >> (16 * two)) as u16;
                        let found = match numbers {
                            CardNumbers::Bfloat => bf16::from_bits(bits).to_f32(),
                            _ => f16::from_bits(bits).to_f32(),
                        };
                        let expected = products[0].matrix.values[output * inputs + input] / 0.5;
                        assert!((found - expected).abs() < 0.01, "{found} for {expected}");
                    }
                }
            }
        }
    }
}
