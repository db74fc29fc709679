//! The network's block of constants `N` and its layers: one table from which Rust's structs, the C++ text and the lengths of
//! arrays come.

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
}

impl NetworkSizes {
    /// Numbers of an array with so many rows of the width for each atom.
    fn rows(&self, rows: usize) -> usize {
        (rows * self.width).saturating_mul(self.atoms)
    }

    /// Length of as many rows, or none in the first layer.
    fn later(&self, rows: usize) -> usize {
        if self.later { self.rows(rows) } else { 0 }
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
        /// \[slices\]\[KNOTS + DEGREE\]\[3\]\[SLICE\]: B-spline coefficients of the filters.
        table: Constant<f32>,
        /// Packs of the stages, see `stages.cu` and `strips.cu`.
        forward: Constant<f32>,
        backward: Constant<f32>,
        /// Under the root of |v|.
        epsilon: f32,
    }
    /// What it computes of each atom.
    arrays ATOMS (NetworkSizes) {
        /// \[3\]\[F\]: vector features that enter the layer.
        mu: Pointer<f32> = |s| s.later(3),
        /// \[3F\]: context; backward its gradient.
        x: Pointer<f32> = |s| s.later(3),
        /// Before the context's SiLU; backward its gradient.
        h: Pointer<f32> = |s| s.later(1),
        /// \[3\]\[2F\]: mixed vectors; backward their gradient.
        vw: Pointer<f32> = |s| s.rows(6),
        /// |v|.
        norm: Pointer<f32> = |s| s.rows(1),
        /// v.w.
        dot: Pointer<f32> = |s| s.rows(1),
        /// Before the update's SiLU; backward its gradient.
        k: Pointer<f32> = |s| s.rows(1),
        /// What scales w.
        b: Pointer<f32> = |s| s.rows(1),
        /// What scales v.w.
        c: Pointer<f32> = |s| s.rows(1),
    }
}

device_struct! {
    /// A hidden layer of the readout; widths are padded with zeros to multiples of 32.
    pub(super) struct HeadBlock = "Head" {
        weight: Constant<f32>,
        bias: Constant<f32>,
        weight_t: Constant<f32>,
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
        first_context: Constant<f32>,
        /// Weights of the last, linear layer of the readout.
        head_out: Constant<f32>,
        knots_per_length: f32,
        /// What the packs of `strips.cu` are multiples of.
        weights_unit: f32,
    }
    /// What it computes of each atom, shared by all layers.
    arrays ATOMS (NetworkSizes) {
        /// Scalars entering a layer.
        q: Pointer<f32> = |s| s.rows(1),
        /// Scalars and vectors past the message.
        q1: Pointer<f32> = |s| s.rows(1),
        mu1: Pointer<f32> = |s| s.rows(3),
        /// Gradients; those of vectors are read and written in turn.
        grad_q: Pointer<f32> = |s| s.rows(1),
        grad_mu: [Pointer<f32>; 2] = |s| s.rows(3),
    }
}

/// The C++ text of the block and its layers.
pub(super) fn source() -> String {
    let name = NetworkBlock::NAME;
    [
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
