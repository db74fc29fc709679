//! The trained numbers of one PaiNN, in f64 (exact for f32 files), one entry per layer also where
//! the model shares its filters or interactions.

/// y = W x + b.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// Number of inputs.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
    /// W, row-major, \[outputs\]\[inputs\].
    pub weight: Vec<f64>,
    /// b, \[outputs\]; empty for none.
    pub bias: Vec<f64>,
}

/// One interaction and mixing block.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Filter, basis -> 3 F; multiplied, bias included, by the cutoff function.
    pub filter: Linear,
    /// Context net of the interaction, F -> F -> 3 F with SiLU between.
    pub context: [Linear; 2],
    /// Channel mix of vector features, F -> 2 F, without bias.
    pub mix: Linear,
    /// Context net of the mixing, 2 F -> F -> 3 F with SiLU between.
    pub update: [Linear; 2],
}

/// All weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// Embedding, row-major, \[atomic numbers from 0\]\[F\].
    pub embedding: Vec<f64>,
    /// Layers in the order of evaluation.
    pub layers: Vec<Layer>,
    /// Readout, F -> ... -> 1 with SiLU between.
    pub readout: Vec<Linear>,
}
