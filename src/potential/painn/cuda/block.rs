//! The network's block of constants `N` and its layers: one table from which Rust's structs, the C++ text and the lengths of
//! arrays come.

use super::numbers::CardNumbers;
use crate::cuda::layout::{Constant, DeviceStruct, Element, Pointer};
use crate::device_struct;

/// What the lengths of arrays are made of.
#[derive(Clone, Copy)]
pub(super) struct NetworkSizes {
    pub atoms: usize,
    /// Features, padded; or outputs of a hidden layer of the readout.
    pub width: usize,
    /// Whether it is not of the first layer: that one has no vectors coming in, and its context is a table of species.
    pub later: bool,
    /// What features are kept in.
    pub numbers: CardNumbers,
}

/// A byte of features, whose type the kernels' text has.
#[derive(Clone, Copy)]
pub(super) struct StoredByte(#[expect(dead_code, reason = "for its size")] u8);

impl Element for StoredByte {
    const NAME: &'static str = "Stored";
}

/// A byte of splines' coefficients.
#[derive(Clone, Copy)]
pub(super) struct CoefficientByte(#[expect(dead_code, reason = "for its size")] u8);

impl Element for CoefficientByte {
    const NAME: &'static str = "Coefficient";
}

impl NetworkSizes {
    /// Numbers of an array with so many rows of the width for each atom.
    fn rows(&self, rows: usize) -> usize {
        (rows * self.width).saturating_mul(self.atoms)
    }

    /// Bytes of as many rows of features.
    fn stored(&self, rows: usize) -> usize {
        self.rows(rows).saturating_mul(self.numbers.stored())
    }

    /// The same, or none in the first layer.
    fn later(&self, rows: usize) -> usize {
        if self.later { self.stored(rows) } else { 0 }
    }

    /// Rows of an array that has those of another as well in 16 bits, where they are read together.
    fn with(&self, own: usize, other: usize) -> usize {
        if self.numbers.narrow() {
            own + other
        } else {
            own
        }
    }

    /// Rows of that other array.
    fn without(&self, own: usize) -> usize {
        if self.numbers.narrow() { 0 } else { own }
    }
}

device_struct! {
    /// One interaction. Weights are \[outputs\]\[inputs\]; those that end in t \[inputs\]\[outputs\].
    pub(super) struct LayerBlock = "Layer" {
        context1: Constant<f32>,
        context1_bias: Constant<f32>,
        context2: Constant<f32>,
        context2_bias: Constant<f32>,
        mix: Constant<f32>,
        update1: Constant<f32>,
        update1_bias: Constant<f32>,
        update2: Constant<f32>,
        update2_bias: Constant<f32>,
        context1_t: Constant<f32>,
        context2_t: Constant<f32>,
        mix_t: Constant<f32>,
        update1_t: Constant<f32>,
        update2_t: Constant<f32>,
        /// \[slices\]\[KNOTS + DEGREE\]\[3\]\[SLICE\]: B-spline coefficients of the filters; in 16 bits see
        /// `narrow_spline.cu`.
        table: Constant<CoefficientByte>,
        /// Packs of the stages, see `stages.cu` and `strips.cu`.
        forward: Constant<f32>,
        backward: Constant<f32>,
        /// In 8 bits \[10\]\[F\]: what weights of each output channel are multiples of, of the update's two layers, the mix and
        /// the context's two (`strips.cu`).
        scales: Constant<f32>,
        /// Under the root of |v|.
        epsilon: f32,
    }
    /// What it computes of each atom.
    arrays ATOMS (NetworkSizes) {
        /// \[3\]\[F\]: vector features that enter the layer.
        mu: Pointer<StoredByte> = |s| s.later(s.without(3)),
        /// \[3F\]: context; backward its gradient. In 16 bits the vectors as well (`places.cu`).
        x: Pointer<StoredByte> = |s| s.later(s.with(3, 3)),
        /// Before the context's SiLU; backward its gradient.
        h: Pointer<StoredByte> = |s| s.later(1),
        /// \[3\]\[2F\]: mixed vectors; backward their gradient.
        vw: Pointer<StoredByte> = |s| s.stored(6),
        /// |v|.
        norm: Pointer<StoredByte> = |s| s.stored(1),
        /// v.w.
        dot: Pointer<StoredByte> = |s| s.stored(1),
        /// Before the update's SiLU; backward its gradient.
        k: Pointer<StoredByte> = |s| s.stored(1),
        /// What scales w.
        b: Pointer<StoredByte> = |s| s.stored(1),
        /// What scales v.w.
        c: Pointer<StoredByte> = |s| s.stored(1),
    }
}

device_struct! {
    /// A hidden layer of the readout; widths are padded with zeros to multiples of 32.
    pub(super) struct HeadBlock = "Head" {
        weight: Constant<f32>,
        bias: Constant<f32>,
        weight_t: Constant<f32>,
        /// In 8 bits \[F\]: what weights of each output are multiples of.
        scales: Constant<f32>,
        inputs: i32,
        outputs: i32,
    }
    /// What it computes of each atom.
    arrays ATOMS (NetworkSizes) {
        /// Before SiLU; backward (but for the last) its gradient.
        h: Pointer<f32> = |s| s.rows(1),
    }
}

device_struct! {
    /// The network, up to its layers.
    pub(super) struct NetworkBlock = "Network" {
        /// \[elements\]\[F\].
        embedding: Constant<f32>,
        /// \[elements\]\[3F\].
        first_context: Constant<StoredByte>,
        /// Weights of the last, linear layer of the readout.
        head_out: Constant<f32>,
        knots_per_length: f32,
        /// What the packs of `strips.cu` are multiples of.
        weights_unit: f32,
        /// What gradients of features are multiplied with, and what takes it out again.
        gradient_scale: f32,
        gradient_unit: f32,
        /// In 16 bits: of each pair of the list its direction, and where on the splines it lies (`narrow_spline.cu`).
        spots: Pointer<[f32; 4]>,
    }
    /// What it computes of each atom, shared by all layers.
    arrays ATOMS (NetworkSizes) {
        /// Scalars entering a layer.
        q: Pointer<StoredByte> = |s| s.stored(1),
        /// Scalars and vectors past the message.
        q1: Pointer<StoredByte> = |s| s.stored(1),
        mu1: Pointer<StoredByte> = |s| s.stored(3),
        /// Gradients; those of vectors are read and written in turn. In 16 bits those of scalars are with them.
        grad_q: Pointer<StoredByte> = |s| s.stored(s.without(1)),
        grad_mu: [Pointer<StoredByte>; 2] = |s| s.stored(s.with(3, 1)),
    }
}

/// The C++ text of the block and its layers.
pub(super) fn source() -> String {
    let name = NetworkBlock::NAME;
    [
        include_str!("kernels/numbers.cu").to_owned(),
        "constexpr int F = FEATURES, SLICES = F / SLICE;\n".to_owned(),
        LayerBlock::declaration(),
        HeadBlock::declaration(),
        format!("struct {name} {{\n{}", NetworkBlock::members()),
        "    Layer layer[LAYERS];\n    Head head[HEADS > 0 ? HEADS : 1];\n};\n".to_owned(),
        format!("__constant__ {name} N;\n"),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::compiler::{BASE, check, excused};
    use crate::cuda::layout::defines;

    /// The compiler lays out every field where Rust does, and layers behind the rest.
    #[test]
    fn structures_are_laid_out_alike() {
        let name = NetworkBlock::NAME;
        let sizes = [
            size_of::<NetworkBlock>(),
            size_of::<LayerBlock>(),
            size_of::<HeadBlock>(),
        ];
        let [network, layer, head] = sizes;
        let (layers, heads) = (3, 2);
        let shape = [
            ("FEATURES", 64),
            ("SLICE", 32),
            ("LAYERS", layers),
            ("HEADS", heads),
            ("NARROW", 1),
            ("BFLOAT", 0),
        ];
        let all = network + layers * layer + heads * head;
        let source = [
            BASE.to_owned(),
            defines(shape),
            source(),
            NetworkBlock::probe(),
            LayerBlock::probe(),
            HeadBlock::probe(),
            format!("static_assert(sizeof({name}) == {all}, \"{name}\");\n"),
        ];
        match check(&source.concat()) {
            Err(error) if excused(&error) => {}
            found => found.unwrap(),
        }
    }
}
