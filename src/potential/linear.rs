//! Affine maps of networks, in f64.

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

impl Linear {
    /// Whether there are as many numbers as there should be.
    pub(in crate::potential) fn is_sound(
        &self,
        inputs: usize,
        outputs: usize,
        biases: usize,
    ) -> bool {
        (self.inputs, self.outputs) == (inputs, outputs)
            && self.weight.len() == inputs * outputs
            && self.bias.len() == biases
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.weight.len() + self.bias.len()
    }

    /// W x + b.
    pub(in crate::potential) fn apply(&self, x: &[f64]) -> Vec<f64> {
        let rows = self.weight.chunks_exact(self.inputs.max(1));
        let dot = |row: &[f64]| -> f64 { row.iter().zip(x).map(|(w, x)| w * x).sum() };
        rows.enumerate()
            .map(|(o, row)| dot(row) + self.bias.get(o).copied().unwrap_or(0.0))
            .collect()
    }

    /// W x + b of numbers with their first and second derivatives.
    pub(in crate::potential) fn jets(&self, x: &[[f64; 3]]) -> Vec<[f64; 3]> {
        let rows = self.weight.chunks_exact(self.inputs.max(1));
        rows.enumerate()
            .map(|(o, row)| {
                let mut y = [self.bias.get(o).copied().unwrap_or(0.0), 0.0, 0.0];
                for (weight, x) in row.iter().zip(x) {
                    for n in 0..3 {
                        y[n] += weight * x[n];
                    }
                }
                y
            })
            .collect()
    }
}
