//! PaiNN on Burn: the portable way to run it, and the one that all others are tested against.

use burn::backend::{Autodiff, Flex};
use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Element, Tensor, TensorData};
use rayon::prelude::*;

use crate::core::Vec3;
use crate::neighbors::Pairs;
use crate::potential::{Evaluation, Potential, Precision};
use crate::{Error, Result};

use super::adjoint::PairGradient;
use super::layout::{self, Numbers, Slots};
use super::model::{Matrix, Painn, Platform, Rows};
use super::passes::{Forward, Start};
use super::{RadialBasis, Spec, Weights};

/// Size of a tensor of one number per slot and feature on the CPU (bytes): a handful fit into a core's
/// cache, and matrix products are long enough.
const CPU_TENSOR: usize = 256 * 1024;
/// The same on a GPU, which wants much work at once: a few dozen of them fit into its memory.
#[cfg(feature = "cuda")]
const GPU_TENSOR: usize = 128 * 1024 * 1024;

/// Where Burn runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The CPU, in as many threads as rayon's current pool has.
    Cpu,
    /// The CUDA device of this index.
    Cuda(usize),
}

/// The model, bound to atoms of the given species (atomic numbers, in order).
///
/// On the CPU in f32 and f64; on CUDA in f32, which is all that Burn has there.
///
/// # Errors
/// An element that the model does not know, weights that do not fit the hyper-parameters, no such
/// device, or a precision that it does not have.
pub fn potential(
    spec: &Spec,
    weights: &Weights,
    species: &[u8],
    precision: Precision,
    device: Device,
) -> Result<Box<dyn Potential>> {
    check(spec, weights, species)?;
    let subject = Subject {
        spec,
        weights,
        species,
    };
    let cpu = "the CPU";
    match (device, precision) {
        (Device::Cpu, Precision::F32) => {
            let device = Default::default();
            Ok(Box::new(
                subject.bind::<Flex, f32>(&device, CPU_TENSOR, cpu),
            ))
        }
        (Device::Cpu, Precision::F64) => {
            let device = Default::default();
            Ok(Box::new(
                subject.bind::<Flex, f64>(&device, CPU_TENSOR, cpu),
            ))
        }
        (Device::Cuda(_), Precision::F64) => Err(Error::input(
            "Burn computes in f32 only on CUDA: set precision = \"f32\", or device = \"cpu\"",
        )),
        (Device::Cuda(index), Precision::F32) => subject.bind_cuda(index),
    }
}

/// The name of CUDA device `index` (from 0), if there is one that Burn can run on.
///
/// # Errors
/// What was looked for and is missing.
pub fn cuda_device(index: usize) -> Result<String> {
    #[cfg(feature = "cuda")]
    return super::cuda::device_name(index);
    #[cfg(not(feature = "cuda"))]
    Err(Error::input(format!(
        "there is no CUDA device {index}: this program was built without CUDA (the feature `cuda`)"
    )))
}

/// The same model in f64 on the CPU with forces by automatic differentiation: slow, and no use but to
/// check the others.
///
/// # Errors
/// As [`potential`].
pub fn by_autodiff(spec: &Spec, weights: &Weights, species: &[u8]) -> Result<Box<dyn Potential>> {
    check(spec, weights, species)?;
    let device = Default::default();
    let model = Painn::<Autodiff<Flex>>::new(spec, weights, &device, DType::F64).no_grad();
    Ok(Box::new(ByAutodiff {
        start: Start::new(&model, species),
        model,
        spec: spec.clone(),
        offset: spec.offset(species),
        atoms: species.len(),
    }))
}

/// Refuses what would otherwise break in the middle of a tensor operation.
fn check(spec: &Spec, weights: &Weights, species: &[u8]) -> Result<()> {
    if species.is_empty() {
        return Err(Error::input("there are no atoms"));
    }
    spec.check_species(species)?;
    weights.check(spec)
}

/// A model and atoms.
struct Subject<'a> {
    spec: &'a Spec,
    weights: &'a Weights,
    species: &'a [u8],
}

impl Subject<'_> {
    fn bind<B: Platform, E: Element>(
        &self,
        device: &B::Device,
        tensor: usize,
        place: &str,
    ) -> Bound<B, E> {
        let slot = self.spec.features * size_of::<E>();
        let model = Painn::new(self.spec, self.weights, device, E::dtype()).no_grad();
        Bound {
            start: Start::new(&model, self.species),
            model,
            spec: self.spec.clone(),
            offset: self.spec.offset(self.species),
            atoms: self.species.len(),
            device: device.clone(),
            most_slots: tensor.div_ceil(slot),
            place: place.to_owned(),
            element: std::marker::PhantomData,
        }
    }

    #[cfg(feature = "cuda")]
    fn bind_cuda(&self, index: usize) -> Result<Box<dyn Potential>> {
        use burn_cuda::{Cuda, CudaDevice};
        let place = format!("CUDA device {index} ({})", cuda_device(index)?);
        let device = CudaDevice::new(index);
        let bind = || Ok(self.bind::<Cuda, f32>(&device, GPU_TENSOR, &place));
        Ok(Box::new(Guarded(super::cuda::guarded(bind)?)))
    }

    #[cfg(not(feature = "cuda"))]
    fn bind_cuda(&self, index: usize) -> Result<Box<dyn Potential>> {
        Err(cuda_device(index)
            .err()
            .unwrap_or_else(|| Error::input("no CUDA")))
    }
}

/// A potential on a device whose failures are panics.
#[cfg(feature = "cuda")]
struct Guarded<P>(P);

#[cfg(feature = "cuda")]
impl<P: Potential> Potential for Guarded<P> {
    fn cutoff(&self) -> f64 {
        self.0.cutoff()
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        super::cuda::guarded(|| self.0.evaluate(pairs, out))
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// A model bound to atoms on one backend, in numbers of type E.
struct Bound<B: Platform, E> {
    model: Painn<B>,
    start: Start<B>,
    spec: Spec,
    offset: f64,
    atoms: usize,
    device: B::Device,
    most_slots: usize,
    place: String,
    element: std::marker::PhantomData<E>,
}

impl<B: Platform, E: Element> Bound<B, E> {
    fn tensor<const D: usize>(&self, values: Vec<E>, shape: [usize; D]) -> Tensor<B, D> {
        Tensor::from_data(TensorData::new(values, shape), (&self.device, E::dtype()))
    }

    fn group(&self, slots: &Slots, numbers: Numbers<E>) -> (Rows<B>, Matrix<B>) {
        let (all, columns) = (slots.len(), self.spec.basis.len() + 1);
        let neighbors = TensorData::new(numbers.neighbors, [all]);
        let rows = Rows {
            atoms: slots.atoms.clone(),
            width: slots.width,
            neighbors: Tensor::from_data(neighbors, (&self.device, DType::I32)),
            basis: self.tensor(numbers.basis, [all, columns]),
            units: self.tensor(numbers.units, [slots.atoms.len(), 4, slots.width]),
        };
        (rows, self.tensor(numbers.slope, [all, columns]))
    }

    fn compute(&self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        let slots = layout::cut(pairs, self.most_slots);
        let numbers: Vec<Numbers<E>> = (slots.par_iter())
            .map(|slots| slots.numbers(pairs, &self.spec))
            .collect();
        let groups = slots.iter().zip(numbers).map(|(s, n)| self.group(s, n));
        let (rows, slopes): (Vec<Rows<B>>, Vec<Matrix<B>>) = groups.unzip();
        let (energies, gradients) = Forward::new(&self.model, &self.start, &rows).backward(&slopes);
        out.energy = self.energy(energies)?;
        let gradients: Result<Vec<Vec<Vec3>>> = (slots.iter().zip(gradients))
            .map(|(slots, gradient)| read_gradient::<B, E>(slots, pairs, gradient))
            .collect();
        layout::assemble(pairs, &gradients?.concat(), self.spec.energy_scale, out);
        Ok(())
    }

    /// The total, summed over atoms in their order in f64.
    fn energy(&self, parts: Vec<Matrix<B>>) -> Result<f64> {
        let mut network = 0.0;
        for part in parts {
            let values = read::<B, E, 2>(part)?;
            network += values.iter().map(|e| e.to_f64()).sum::<f64>();
        }
        Ok(network * self.spec.energy_scale + self.offset)
    }
}

fn read_gradient<B: Platform, E: Element>(
    slots: &Slots,
    pairs: &Pairs,
    gradient: PairGradient<B>,
) -> Result<Vec<Vec3>> {
    let radial = read::<B, E, 3>(gradient.radial)?;
    let angular = read::<B, E, 3>(gradient.angular)?;
    let slanted = read::<B, E, 3>(gradient.slanted)?;
    Ok(slots.gradients(pairs, [&radial, &angular, &slanted]))
}

/// The numbers of a tensor.
fn read<B: Backend, E: Element, const D: usize>(tensor: Tensor<B, D>) -> Result<Vec<E>> {
    let failed = |why: String| Error::run(format!("the device failed: {why}"));
    let data = tensor
        .try_into_data()
        .map_err(|e| failed(format!("{e:?}")))?;
    data.into_vec().map_err(|e| failed(format!("{e:?}")))
}

impl<B: Platform, E: Element> Potential for Bound<B, E> {
    fn cutoff(&self) -> f64 {
        self.spec.cutoff
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        check_atoms(pairs, self.atoms)?;
        self.compute(pairs, out)
    }

    fn describe(&self) -> String {
        let numbers = if E::dtype() == DType::F64 {
            "f64"
        } else {
            "f32"
        };
        format!(
            "PaiNN, {} layers of {}, {numbers}, Burn on {}",
            self.spec.layers, self.spec.features, self.place
        )
    }
}

fn check_atoms(pairs: &Pairs, atoms: usize) -> Result<()> {
    if pairs.atoms() == atoms {
        return Ok(());
    }
    Err(Error::run(format!(
        "the pairs are of {} atoms, the potential was made for {atoms}",
        pairs.atoms()
    )))
}

/// The check on the others.
struct ByAutodiff {
    model: Painn<Autodiff<Flex>>,
    start: Start<Autodiff<Flex>>,
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

    fn describe(&self) -> String {
        format!(
            "PaiNN, {} layers of {}, f64, Burn on the CPU, forces by automatic differentiation",
            self.spec.layers, self.spec.features
        )
    }
}
