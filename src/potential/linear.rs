//! Affine maps of networks: in f64, and with weights in 8 bits.

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

/// An affine map whose weights are integers of 8 bits times a scale for each output.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8Linear {
    /// Number of inputs.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
    /// Integers from -127 to 127, row-major, \[outputs\]\[inputs\].
    pub q: Vec<i8>,
    /// What the integers of each output are multiplied by, \[outputs\]; of 17 bits, so that f32 holds the products exactly.
    pub scale: Vec<f32>,
    /// b, \[outputs\]; empty for none.
    pub bias: Vec<f32>,
}

impl Int8Linear {
    /// The same map in f64, exactly.
    pub fn widened(&self) -> Linear {
        let rows = self.q.chunks_exact(self.inputs.max(1)).zip(&self.scale);
        let weight = rows.flat_map(|(row, scale)| {
            let scale = f64::from(*scale);
            row.iter().map(move |q| scale * f64::from(*q))
        });
        Linear {
            inputs: self.inputs,
            outputs: self.outputs,
            weight: weight.collect(),
            bias: self.bias.iter().map(|b| f64::from(*b)).collect(),
        }
    }

    /// The integers alone, without scales and bias.
    pub fn integers(&self) -> Linear {
        Linear {
            inputs: self.inputs,
            outputs: self.outputs,
            weight: self.q.iter().map(|q| f64::from(*q)).collect(),
            bias: Vec::new(),
        }
    }

    /// Bytes of weights, scales and bias.
    pub fn bytes(&self) -> usize {
        self.q.len() + size_of::<f32>() * (self.scale.len() + self.bias.len())
    }
}
