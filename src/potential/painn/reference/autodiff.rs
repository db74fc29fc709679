//! PaiNN with forces by automatic differentiation: the check on the adjoint that is written out.

use burn::backend::{Autodiff, Flex};
use burn::module::Module;
use burn::tensor::{DType, Tensor, TensorData};

use crate::core::Vec3;
use crate::neighbors::Pairs;
use crate::potential::{About, Evaluation, Potential};
use crate::{Error, Result};

use super::evaluate::{check, check_atoms, read};
use super::layout::{self, Slots};
use super::model::{Painn, Rows};
use super::passes::{FirstState, Forward};
use crate::potential::painn::{RadialBasis, Spec, Weights};

/// A model in f64 on the CPU with forces by automatic differentiation: slow, and no use but to
/// check the others.
///
/// # Errors
/// As [`super::potential`].
pub fn by_autodiff(spec: &Spec, weights: &Weights, species: &[u8]) -> Result<Box<dyn Potential>> {
    check(spec, weights, species)?;
    let device = Default::default();
    let model = Painn::<Autodiff<Flex>>::new(spec, weights, &device, DType::F64).no_grad();
    Ok(Box::new(ByAutodiff {
        start: FirstState::new(&model, species),
        model,
        spec: spec.clone(),
        offset: spec.offset(species),
        atoms: species.len(),
    }))
}

/// A model bound to atoms.
struct ByAutodiff {
    model: Painn<Autodiff<Flex>>,
    start: FirstState<Autodiff<Flex>>,
    spec: Spec,
    offset: f64,
    atoms: usize,
}

type Checked<const D: usize> = Tensor<Autodiff<Flex>, D>;

impl ByAutodiff {
    /// All atoms as one group, its geometry made of the vectors by tensor operations.
    fn rows(&self, slots: &Slots, pairs: &Pairs, vectors: Checked<2>) -> Rows<Autodiff<Flex>> {
        let device = Default::default();
        let f64s = (&device, DType::F64);
        let numbers = slots.numbers::<f64>(pairs, &self.spec);
        let (all, functions) = (slots.len(), self.spec.basis.len());
        let shape = [slots.atoms.len(), 4, slots.width];
        // One where there is a pair, from the table that this is the check of.
        let units: Checked<3> = Tensor::from_data(TensorData::new(numbers.units, shape), f64s);
        let real = units.narrow(1, 0, 1).reshape([all, 1]);

        let d = (vectors.clone() * vectors.clone()).sum_dim(1).sqrt();
        let u = vectors / d.clone();
        let table = |values: &[f64]| -> Checked<2> {
            let data = TensorData::new(values.to_vec(), [1, functions]);
            Tensor::from_data(data, f64s).repeat_dim(0, all)
        };
        let wide = d.clone().repeat_dim(1, functions);
        let phi = match &self.spec.basis {
            RadialBasis::Gaussian { centers, widths } => {
                let x = (wide - table(centers)) / table(widths);
                (x.clone() * x * -0.5).exp()
            }
            RadialBasis::Bessel { frequencies, scale } => {
                (wide.clone() * table(frequencies)).sin() / wide * *scale
            }
        };
        let turn = std::f64::consts::PI / self.spec.cutoff;
        let cut = ((d * turn).cos() + 1.0) * 0.5 * real.clone();
        let ones = real.ones_like();
        let basis = Tensor::cat(vec![phi, ones], 1) * cut.repeat_dim(1, functions + 1);
        let units = Tensor::cat(vec![real.clone(), u * real.repeat_dim(1, 3)], 1);
        let shape = [slots.atoms.len(), slots.width, 4];
        let neighbors = TensorData::new(numbers.neighbors, [all]);
        Rows {
            atoms: slots.atoms.clone(),
            width: slots.width,
            neighbors: Tensor::from_data(neighbors, (&device, DType::I32)),
            basis,
            units: units.reshape(shape).swap_dims(1, 2),
        }
    }
}

impl Potential for ByAutodiff {
    fn cutoff(&self) -> f64 {
        self.spec.cutoff
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        check_atoms(pairs, self.atoms)?;
        let slots = layout::cut(pairs, usize::MAX);
        let Some(slots) = slots.first() else {
            *out = Evaluation::zeros(0);
            return Ok(());
        };
        // Slots left over hold a vector of length one, whose basis functions are then set to zero.
        let mut vectors = [1.0, 0.0, 0.0].repeat(slots.len());
        for (slot, p) in slots.pairs(pairs) {
            vectors[3 * slot..3 * slot + 3].copy_from_slice(pairs.vectors[p].as_slice());
        }
        let data = TensorData::new(vectors, [slots.len(), 3]);
        let vectors: Checked<2> = Tensor::from_data(data, (&Default::default(), DType::F64));
        let vectors = vectors.require_grad();
        let rows = [self.rows(slots, pairs, vectors.clone())];
        let energies = Forward::new(&self.model, &self.start, &rows).energies();
        let energy = Tensor::cat(energies, 0).sum();
        let gradients = vectors
            .grad(&energy.backward())
            .ok_or_else(|| Error::run("the energy does not depend on the geometry"))?;
        let gradients: Vec<f64> = read(gradients)?;
        let one = |slot: usize| Vec3::from_row_slice(&gradients[3 * slot..3 * slot + 3]);
        let gradients: Vec<Vec3> = slots.pairs(pairs).map(|(slot, _)| one(slot)).collect();
        let network: Vec<f64> = read(energy)?;
        out.energy = network[0] * self.spec.energy_scale + self.offset;
        layout::assemble(pairs, &gradients, self.spec.energy_scale, out);
        Ok(())
    }

    fn about(&self) -> About {
        About {
            implementation: "Burn's automatic differentiation".to_owned(),
            ..About::plain(self.spec.words())
        }
    }
}
