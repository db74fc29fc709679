//! PaiNN on Burn: the portable way to run it, and the one that all others are tested against.

use burn::backend::Flex;
use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Element, Tensor, TensorData};
use rayon::prelude::*;

use crate::core::Vec3;
use crate::neighbors::Pairs;
use crate::potential::{About, Evaluation, Potential, Precision, Processor};
use crate::{Error, Result};

use super::adjoint::PairGradient;
use super::layout::{self, Numbers, Slots};
use super::model::{Matrix, Painn, Platform, Rows};
use super::passes::{FirstState, Forward};
use crate::potential::painn::{Spec, Weights};

/// Size of a tensor of one number per slot and feature on the CPU (bytes): a handful fit into a core's
/// cache, and matrix products are long enough.
const CPU_TENSOR: usize = 256 * 1024;
/// Size of such a tensor on a GPU (bytes), which wants much work at once: a few dozen of them fit into its memory.
#[cfg(feature = "cuda")]
const GPU_TENSOR: usize = 128 * 1024 * 1024;

/// Where Burn runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BurnDevice {
    /// The CPU, in as many threads as rayon's current pool has.
    Cpu,
    /// The CUDA device of this index.
    Cuda(usize),
}

/// Least memory (bytes) that an evaluation takes for the system, for each atom and for each pair: of every layer the filters
/// and the contexts of its pairs, which the way back needs.
pub fn bytes_needed(spec: &Spec, precision: Precision) -> [f64; 3] {
    let size = match precision {
        Precision::F64 => size_of::<f64>(),
        _ => size_of::<f32>(),
    };
    let layer = (spec.layers * spec.features * size) as f64;
    [0.0, 4.0 * layer, 6.0 * layer]
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
    device: BurnDevice,
) -> Result<Box<dyn Potential>> {
    check(spec, weights, species)?;
    let subject = Subject {
        spec,
        weights,
        species,
    };
    let cpu = Processor::HOST;
    match (device, precision) {
        (BurnDevice::Cpu, Precision::F32) => {
            let device = Default::default();
            Ok(Box::new(
                subject.bind::<Flex, f32>(&device, CPU_TENSOR, cpu),
            ))
        }
        (BurnDevice::Cpu, Precision::F64) => {
            let device = Default::default();
            Ok(Box::new(
                subject.bind::<Flex, f64>(&device, CPU_TENSOR, cpu),
            ))
        }
        (BurnDevice::Cuda(index), Precision::F32) => subject.bind_cuda(index),
        (BurnDevice::Cuda(_), other) => Err(Error::input(format!(
            "Burn computes in f32 only on CUDA, not in {other}"
        ))),
        (BurnDevice::Cpu, other) => Err(Error::input(format!(
            "Burn computes in f64 or f32 on the CPU, not in {other}: set precision = \"f32\""
        ))),
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

/// Refuses what would otherwise break in the middle of a tensor operation.
pub(super) fn check(spec: &Spec, weights: &Weights, species: &[u8]) -> Result<()> {
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
        place: Processor,
    ) -> BoundModel<B, E> {
        let slot = self.spec.features * size_of::<E>();
        let model = Painn::new(self.spec, self.weights, device, E::dtype()).no_grad();
        BoundModel {
            start: FirstState::new(&model, self.species),
            model,
            spec: self.spec.clone(),
            offset: self.spec.offset(self.species),
            atoms: self.species.len(),
            device: device.clone(),
            most_slots: tensor.div_ceil(slot),
            place,
            element: std::marker::PhantomData,
        }
    }

    #[cfg(feature = "cuda")]
    fn bind_cuda(&self, index: usize) -> Result<Box<dyn Potential>> {
        use burn_cuda::{Cuda, CudaDevice};
        let name = cuda_device(index)?;
        let place = Processor::Card { name, index };
        let device = CudaDevice::new(index);
        let bind = || Ok(self.bind::<Cuda, f32>(&device, GPU_TENSOR, place));
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

    fn about(&self) -> About {
        self.0.about()
    }
}

/// A model bound to atoms on one backend, in numbers of type E.
struct BoundModel<B: Platform, E> {
    model: Painn<B>,
    start: FirstState<B>,
    spec: Spec,
    offset: f64,
    atoms: usize,
    device: B::Device,
    most_slots: usize,
    place: Processor,
    element: std::marker::PhantomData<E>,
}

impl<B: Platform, E: Element> BoundModel<B, E> {
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
pub(super) fn read<B: Backend, E: Element, const D: usize>(tensor: Tensor<B, D>) -> Result<Vec<E>> {
    let failed = |why: String| Error::run(format!("the device failed: {why}"));
    let data = tensor
        .try_into_data()
        .map_err(|e| failed(format!("{e:?}")))?;
    data.into_vec().map_err(|e| failed(format!("{e:?}")))
}

impl<B: Platform, E: Element> Potential for BoundModel<B, E> {
    fn cutoff(&self) -> f64 {
        self.spec.cutoff
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        check_atoms(pairs, self.atoms)?;
        self.compute(pairs, out)
    }

    fn about(&self) -> About {
        let numbers = if E::dtype() == DType::F64 {
            "f64"
        } else {
            "f32"
        };
        About {
            potential: self.spec.words(),
            arithmetic: numbers.to_owned(),
            implementation: "Burn".to_owned(),
            approximation: String::new(),
            place: self.place.clone(),
        }
    }
}

pub(super) fn check_atoms(pairs: &Pairs, atoms: usize) -> Result<()> {
    if pairs.atoms() == atoms {
        return Ok(());
    }
    Err(Error::run(format!(
        "the pairs are of {} atoms, the potential was made for {atoms}",
        pairs.atoms()
    )))
}
