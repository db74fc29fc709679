//! What networks share on a card: blocks of atoms, splines of filters, the readout.
//!
//! The text of a network's kernels is `KNOT`, its messages, `DENSE`, its layers, `READOUT`. Its block of constants, `S`, has
//! `knots_per_length`, `head_out` and `head`; its layers define `final_feature` and `final_gradient`.

use std::ffi::CStr;

use crate::Result;
use crate::cuda::launch::{LoadedKernels, Size};
use crate::cuda::layout::{Arena, Constant, DeviceStruct, Pointer, bytes_of, defines};
use crate::device_struct;
use crate::potential::Linear;
use crate::potential::fused::affine::{Hidden, Readout};

/// Splines of filters, for kernels of messages.
pub(in crate::potential) const KNOT: &str = include_str!("knot.cu");
/// Layers of blocks of atoms.
pub(in crate::potential) const DENSE: &str = include_str!("dense.cu");
/// The readout.
pub(in crate::potential) const READOUT: &str = include_str!("readout.cu");

/// Channels of a slice, and outputs of a panel of weights.
pub(in crate::potential) const SLICE: usize = 32;
/// Threads of the blocks of atoms.
const THREADS: u32 = 128;
/// Atoms that such a block takes, the most first.
const ROWS: [usize; 3] = [16, 4, 1];
/// Blocks of the most atoms that a card is busy with; with fewer, blocks take fewer atoms.
const BUSY: usize = 128;
/// Most shared memory of a block (bytes), which every card has.
const MOST_SHARED: usize = 96 << 10;

/// What blocks of atoms are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::potential) struct BlockShape {
    /// Padded.
    pub(in crate::potential) features: usize,
    /// Hidden layers of the readout.
    heads: usize,
    /// The widest of them and of the features.
    widest: usize,
    /// Rows of features in shared memory, for each atom.
    room: usize,
    /// Atoms of a block.
    pub(in crate::potential) rows: usize,
}

impl BlockShape {
    /// For so many padded features and atoms, and layers that keep `room` rows of features of an atom in shared memory.
    pub(in crate::potential) fn new(
        features: usize,
        readout: &Readout<f32>,
        room: usize,
        atoms: usize,
    ) -> Self {
        let hidden = readout.hidden.iter().map(|h| h.width);
        let shape = Self {
            features,
            heads: readout.hidden.len(),
            widest: hidden.fold(features, usize::max),
            room,
            rows: 1,
        };
        let fits = |rows: &usize| {
            let few = *rows > 1 && atoms < rows * BUSY;
            !few && Self {
                rows: *rows,
                ..shape
            }
            .shared()
                <= MOST_SHARED
        };
        let [.., fewest] = ROWS;
        Self {
            rows: ROWS.into_iter().find(fits).unwrap_or(fewest),
            ..shape
        }
    }

    /// Shared memory of a block (bytes): the layers' rows, or two of the readout's.
    pub(in crate::potential) fn shared(self) -> usize {
        self.rows * (self.room * self.features).max(2 * self.widest) * size_of::<f32>()
    }

    pub(in crate::potential) fn slices(self) -> usize {
        self.features / SLICE
    }

    /// Its numbers for the C++ text.
    pub(in crate::potential) fn defines(self) -> String {
        defines([
            ("FEATURES", self.features),
            ("SLICE", SLICE),
            ("HEADS", self.heads),
            ("WIDEST", self.widest),
            ("ROWS", self.rows),
            ("THREADS", THREADS as usize),
        ])
    }

    /// A warp each for the slices of all atoms.
    pub(in crate::potential) fn messages(self, atoms: usize) -> Size {
        Size::warps(atoms * self.slices())
    }

    /// A block each for some atoms.
    pub(in crate::potential) fn blocks(self, atoms: usize) -> Size {
        Size {
            grid: [atoms.div_ceil(self.rows).max(1) as u32, 1],
            threads: THREADS,
            shared: self.shared() as u32,
        }
    }

    /// Lets kernels of blocks take their shared memory.
    ///
    /// # Errors
    /// The device failed.
    pub(in crate::potential) fn allow(
        self,
        program: &LoadedKernels,
        names: &[&CStr],
    ) -> Result<()> {
        let bytes = self.shared() as u32;
        (names.iter()).try_for_each(|name| program.allow_shared(name, bytes))
    }
}

/// What the lengths of a hidden layer's arrays are made of.
#[derive(Clone, Copy)]
pub(in crate::potential) struct HeadSizes {
    atoms: usize,
    width: usize,
}

device_struct! {
    /// A hidden layer of the readout; widths are padded with zeros. Maps are panels of 32 outputs, \[panel\]\[input\]\[32\].
    pub(in crate::potential) struct PanelHead = "Head" {
        weight: Constant<f32>,
        bias: Constant<f32>,
        weight_back: Constant<f32>,
        inputs: i32,
        outputs: i32,
    }
    /// What it computes of each atom.
    arrays ATOMS (HeadSizes) {
        /// Before SiLU.
        h: Pointer<f32> = |s| s.width.saturating_mul(s.atoms),
    }
}

/// Forecasts what hidden layers of the readout take (bytes), without weights.
pub(in crate::potential) fn demand_of_heads(readout: &[Linear], atoms: usize) -> usize {
    let hidden = readout.len().saturating_sub(1);
    let bytes = readout[..hidden].iter().map(|linear| {
        let width = linear.outputs.next_multiple_of(SLICE);
        bytes_of(PanelHead::ATOMS, &HeadSizes { atoms, width })
    });
    bytes.fold(0, usize::saturating_add)
}

/// The hidden layers of a readout on a card.
///
/// # Errors
/// There is no room.
pub(in crate::potential) fn place_heads(
    arena: &mut Arena<'_>,
    readout: &Readout<f32>,
    atoms: usize,
) -> Result<Vec<PanelHead>> {
    let place = |hidden: &Hidden<f32>| {
        let mut head = PanelHead {
            weight: arena.copy(hidden.map.forward.numbers())?,
            bias: arena.copy(hidden.map.bias.as_slice())?,
            weight_back: arena.copy(hidden.map.backward.numbers())?,
            inputs: hidden.map.forward.k as i32,
            outputs: hidden.width as i32,
            ..PanelHead::default()
        };
        let width = hidden.width;
        arena.place(&mut head, PanelHead::ATOMS, &HeadSizes { atoms, width })?;
        Ok(head)
    };
    readout.hidden.iter().map(place).collect()
}

/// Weights of the readout's last layer, in units of `scale` (eV).
pub(in crate::potential) fn head_out(readout: &Readout<f32>, scale: f64) -> Vec<f32> {
    (readout.last.as_slice().iter())
        .map(|w| (f64::from(*w) * scale) as f32)
        .collect()
}

/// The C++ text of a block `S`: a network N, its layers L, then the hidden layers of the readout.
pub(in crate::potential) fn block_source<N: DeviceStruct, L: DeviceStruct>() -> String {
    let (name, members, layer) = (N::NAME, N::members(), L::NAME);
    [
        &L::declaration(),
        "constexpr int F = FEATURES, SLICES = F / SLICE;\n",
        &PanelHead::declaration(),
        &format!("struct {name} {{\n{members}"),
        &format!("    {layer} layer[LAYERS];\n"),
        "    Head head[HEADS > 0 ? HEADS : 1];\n};\n",
        &format!("__constant__ {name} S;\n"),
    ]
    .concat()
}

/// The bytes of such a block.
pub(in crate::potential) fn block_bytes(
    network: &impl DeviceStruct,
    layers: &[impl DeviceStruct],
    heads: &[PanelHead],
) -> Vec<u8> {
    let mut bytes = network.bytes();
    bytes.extend(layers.iter().flat_map(DeviceStruct::bytes));
    bytes.extend(heads.iter().flat_map(DeviceStruct::bytes));
    if heads.is_empty() {
        bytes.extend(PanelHead::default().bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::compiler::{BASE, check, excused};

    /// The compiler lays out every field of a head where Rust does.
    #[test]
    fn heads_are_laid_out_alike() {
        let source = [BASE, &PanelHead::declaration(), &PanelHead::probe()].concat();
        match check(&source) {
            Err(error) if excused(&error) => {}
            found => found.unwrap(),
        }
    }

    /// Blocks take fewer atoms where there are few, and where more would not fit into shared memory.
    #[test]
    fn blocks_take_what_there_is_and_what_fits() {
        let shape = |features, atoms| {
            let readout = Readout {
                hidden: Vec::new(),
                size: 0,
                last: Default::default(),
                bias: 0.0,
            };
            BlockShape::new(features, &readout, 4, atoms)
        };
        assert_eq!(shape(128, 9).rows, 1);
        assert_eq!(shape(128, 600).rows, 4);
        assert_eq!(shape(128, 12_288).rows, 16);
        assert_eq!(shape(512, 12_288).rows, 4);
        for features in [32, 128, 512] {
            assert!(shape(features, 12_288).shared() <= MOST_SHARED);
        }
    }
}
