//! Potentials as they are read, and where they are evaluated.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::int8::Int8Slot;
use super::thread_count;
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice, Plan, PotentialPlan};
use crate::convert;
use crate::core::System;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::forcefield::ForceField as _;
use crate::ipi::Remote;
use crate::memory::Appetite;
use crate::models::ModelFile;
use crate::potential::architectures;
use crate::potential::committee;
#[cfg(feature = "cuda")]
use crate::potential::device::DevicePotential;
use crate::potential::lennard_jones::LennardJones;
use crate::potential::network::{NeuralNetwork, ReadNetwork};
use crate::potential::painn::cpu::FusedPainn;
#[cfg(feature = "cuda")]
use crate::potential::painn::cuda::CudaPainn;
use crate::potential::painn::{self, Int8Weights, Spec, Weights, reference};
use crate::potential::pair::{PairEnergy, PairLaw, PowerLaw};
use crate::potential::{Potential, Precision, TrainedOn};
use crate::report::OriginFile;
use crate::{Error, Result};

/// What kind of potential a model is, with its numbers.
#[derive(Debug)]
pub enum ModelKind {
    /// A trained PaiNN.
    Painn {
        /// Where its weights are.
        file: ModelFile,
        /// The file of its weights with its hash.
        source: OriginFile,
        /// Hyper-parameters.
        spec: Box<Spec>,
        /// Weights.
        weights: Box<Weights>,
        /// Its products in 8 bits, once they are found for a system or read.
        int8: Int8Slot,
        /// What is added for each pair.
        repulsion: Option<PowerLaw>,
        /// What it was trained on, as far as the file says.
        trained_on: TrainedOn,
        /// What is to be said of the file.
        notes: Vec<String>,
        /// Remarks of its metadata by key.
        remarks: BTreeMap<String, Value>,
    },
    /// A trained network of another architecture.
    Network {
        /// Where its numbers are.
        file: ModelFile,
        /// The file with its hash.
        source: OriginFile,
        /// The network, with what is to be said of its file.
        read: ReadNetwork,
    },
    /// Lennard-Jones.
    LennardJones {
        /// Depth of the well (eV).
        epsilon: f64,
        /// Distance of zero energy (angstrom).
        sigma: f64,
        /// Range (angstrom).
        cutoff: f64,
    },
    /// Another program, over a socket.
    Socket(Remote),
}

/// Reads the potential that a plan asks for: one, or the members of a committee.
///
/// # Errors
/// A model file cannot be read, is no network that is known, or does not know an element of the structure; those of a committee
/// have different ranges, or are the same.
pub(super) fn load_kinds(plan: &Plan) -> Result<Vec<ModelKind>> {
    match &plan.potential {
        PotentialPlan::Network { models, .. } => {
            let loaded = models.iter().map(|file| load_member(plan, file));
            let loaded = loaded.collect::<Result<Vec<_>>>()?;
            check_committee(&loaded).map_err(|e| e.within(plan.places.of("potential.model")))?;
            Ok(loaded)
        }
        &PotentialPlan::LennardJones {
            epsilon,
            sigma,
            cutoff,
        } => Ok(vec![ModelKind::LennardJones {
            epsilon,
            sigma,
            cutoff,
        }]),
        PotentialPlan::Socket { address } => {
            let needs_virial = plan.dynamics.ensemble.pressure().is_some();
            let remote = Remote::new(address.clone(), needs_virial);
            Ok(vec![ModelKind::Socket(remote)])
        }
    }
}

/// Reads a network of a plan and checks that it knows the structure's elements.
fn load_member(plan: &Plan, file: &ModelFile) -> Result<ModelKind> {
    let mut model = load_network(file).map_err(|e| e.within(plan.places.of("potential.model")))?;
    if let Some(elements) = &plan.stated_elements {
        (model.restrict(elements)).map_err(|e| e.within(plan.places.of("potential.elements")))?;
    }
    let species = &plan.start.system.species;
    match &model {
        ModelKind::Painn { spec, .. } => spec.check_species(species),
        ModelKind::Network { read, .. } => read.check_species(species),
        ModelKind::LennardJones { .. } | ModelKind::Socket(_) => Ok(()),
    }
    .map_err(|e| match &plan.potential {
        PotentialPlan::Network { models, .. } if models.len() > 1 => e.within(file),
        _ => e,
    })
    .map_err(|e| e.within(plan.places.of("system.structure")))?;
    Ok(model)
}

/// Checks that several models can be one committee.
///
/// # Errors
/// They have different ranges, or two are the same.
pub(super) fn check_committee(members: &[ModelKind]) -> Result<()> {
    if members.len() < 2 {
        return Ok(());
    }
    let cutoffs: Vec<f64> = members.iter().map(ModelKind::cutoff).collect();
    committee::check(&cutoffs)?;
    let sources: Vec<&OriginFile> = members.iter().filter_map(ModelKind::source).collect();
    for (k, one) in sources.iter().enumerate() {
        if let Some(same) = sources[..k].iter().find(|s| s.sha256 == one.sha256) {
            return Err(Error::input(format!(
                "{} and {} are the same model: their spread would say nothing",
                same.path.display(),
                one.path.display()
            )));
        }
    }
    Ok(())
}

/// A model's file with its hash.
///
/// # Errors
/// The hyper-parameters beside it cannot be read.
pub fn origin(file: &ModelFile, bytes: &[u8]) -> Result<OriginFile> {
    let beside = match architectures::architecture(bytes) {
        Some(_) => file.beside()?,
        None => None,
    };
    Ok(OriginFile::of_model(file, bytes, beside.as_deref()))
}

/// Reads a trained network.
///
/// # Errors
/// The file cannot be read or is no network that is known.
pub(super) fn load_network(file: &ModelFile) -> Result<ModelKind> {
    let bytes = file.read()?;
    if let Some(architecture) = architectures::architecture(&bytes) {
        let beside = file.beside()?;
        let read = (architecture.read)(&bytes, beside.as_deref()).map_err(|e| e.within(file))?;
        return Ok(ModelKind::Network {
            source: origin(file, &bytes)?,
            file: file.clone(),
            read,
        });
    }
    if convert::is_foreign(&bytes) {
        return Err(convert::advice(&bytes, file.path()).within(file));
    }
    let painn::Imported {
        spec,
        weights,
        repulsion,
        trained_on,
        notes,
        remarks,
    } = painn::import_noted(&bytes, &file.to_string())?;
    Ok(ModelKind::Painn {
        source: origin(file, &bytes)?,
        file: file.clone(),
        spec: Box::new(spec),
        weights: Box::new(weights),
        int8: Int8Slot::default(),
        repulsion,
        trained_on,
        notes,
        remarks,
    })
}

impl ModelKind {
    /// A PaiNN of weights that are of no file, such as random ones; `name` is what it is called.
    pub fn of_weights(spec: Spec, weights: Weights, name: &str) -> Self {
        let file = ModelFile::Path(name.into());
        Self::Painn {
            source: OriginFile::of_model(&file, &[], None),
            file,
            spec: Box::new(spec),
            weights: Box::new(weights),
            int8: Int8Slot::default(),
            repulsion: None,
            trained_on: TrainedOn::default(),
            notes: Vec::new(),
            remarks: BTreeMap::new(),
        }
    }

    /// Range (angstrom).
    pub fn cutoff(&self) -> f64 {
        match self {
            Self::Painn { spec, .. } => spec.cutoff,
            Self::Network { read, .. } => read.network.cutoff(),
            Self::LennardJones { cutoff, .. } => *cutoff,
            Self::Socket(remote) => remote.cutoff(),
        }
    }

    /// What it is, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Painn {
                file,
                spec,
                repulsion,
                ..
            } => {
                let beside = repulsion.map(|law| format!(", and {}", law.words()));
                format!(
                    "PaiNN {file}, {} layers of {} features, cutoff {} A{}",
                    spec.layers,
                    spec.features,
                    spec.cutoff,
                    beside.unwrap_or_default()
                )
            }
            Self::Network { file, read, .. } => {
                let network = &read.network;
                format!("{}, {file}, cutoff {} A", network.words(), network.cutoff())
            }
            Self::LennardJones {
                epsilon,
                sigma,
                cutoff,
            } => format!(
                "Lennard-Jones, epsilon {epsilon:.6} eV, sigma {sigma} A, cutoff {cutoff} A"
            ),
            Self::Socket(remote) => format!("forces of a client at {}", remote.address()),
        }
    }

    /// Takes it for a model of these elements (atomic numbers) alone, as its user says.
    ///
    /// # Errors
    /// It does not know one of them.
    pub fn restrict(&mut self, elements: &[u8]) -> Result<()> {
        match self {
            Self::Painn {
                spec,
                trained_on,
                notes,
                ..
            } => {
                spec.restrict(elements)?;
                trained_on.elements = true;
                notes.retain(|note| !note.starts_with(painn::import::UNTOLD));
                Ok(())
            }
            Self::Network { read, .. } => read.restrict(elements),
            Self::LennardJones { .. } | Self::Socket(_) => Ok(()),
        }
    }

    /// What it was trained on, as far as its file says; `None` of a potential that was not trained.
    pub fn trained_on(&self) -> Option<TrainedOn> {
        match self {
            Self::Painn { trained_on, .. } => Some(*trained_on),
            Self::Network { read, .. } => Some(read.trained_on()),
            Self::LennardJones { .. } | Self::Socket(_) => None,
        }
    }

    /// What is to be said of its file.
    pub fn notes(&self) -> &[String] {
        match self {
            Self::Painn { notes, .. } => notes,
            Self::Network { read, .. } => &read.notes,
            Self::LennardJones { .. } | Self::Socket(_) => &[],
        }
    }

    /// The model file with its hash; `None` where there is none.
    pub fn source(&self) -> Option<&OriginFile> {
        match self {
            Self::Painn { source, .. } | Self::Network { source, .. } => Some(source),
            Self::LennardJones { .. } | Self::Socket(_) => None,
        }
    }

    /// Whether there is nothing to find before it is computed in int8.
    pub fn has_int8(&self) -> bool {
        match self {
            Self::Painn { int8, .. } => int8.get().is_some(),
            Self::Network { .. } | Self::LennardJones { .. } | Self::Socket(_) => true,
        }
    }

    /// Its products in 8 bits, where they are found.
    pub fn int8(&self) -> Option<Arc<Int8Weights>> {
        match self {
            Self::Painn { int8, .. } => int8.get(),
            Self::Network { .. } | Self::LennardJones { .. } | Self::Socket(_) => None,
        }
    }

    /// Whether it is a trained network.
    pub fn is_network(&self) -> bool {
        matches!(self, Self::Painn { .. } | Self::Network { .. })
    }

    /// Whether its authors' code leaves the cell out.
    pub fn leaves_cells_out(&self) -> bool {
        matches!(self, Self::Network { read, .. } if read.network.leaves_cells_out())
    }

    /// Memory that the potential's arrays take in that of the host, at the least.
    pub fn appetite(&self, precision: Precision, device: &DevicePlan) -> Appetite {
        let [system, atom, pair] = match (self, place(device, precision), device.engine) {
            (Self::LennardJones { .. } | Self::Socket(_), ..) | (_, Place::Cuda(_), _) => [0.0; 3],
            (Self::Painn { spec, .. }, _, EngineChoice::Burn) => {
                reference::bytes_needed(spec, precision)
            }
            (Self::Painn { spec, .. }, ..) => FusedPainn::bytes_needed(spec, precision),
            (Self::Network { read, .. }, ..) => read.network.bytes_needed(precision),
        };
        Appetite { system, atom, pair }
    }

    /// What its file says to add for each pair.
    pub fn own_term(&self) -> Option<PairLaw> {
        match self {
            Self::Painn { repulsion, .. } => repulsion.map(|law| Arc::new(law) as PairLaw),
            Self::Network { .. } | Self::LennardJones { .. } | Self::Socket(_) => None,
        }
    }

    /// The potential of atoms of these species, on a device, without what is added for each pair.
    ///
    /// # Errors
    /// The model does not know an element, or the device is not there.
    pub fn bind(
        &self,
        system: &System,
        precision: Precision,
        device: &DevicePlan,
    ) -> Result<Box<dyn Potential>> {
        match self.fit(system)? {
            Fitting::Painn(spec, weights) if precision == Precision::Int8 => {
                let int8 = self.int8().ok_or_else(|| {
                    Error::run("weights in 8 bits are not found yet for these atoms")
                })?;
                let threads = thread_count(device);
                let numbers = (weights, &*int8);
                let fused = FusedPainn::in_int8(spec, numbers, &system.species, threads)?;
                Ok(Box::new(fused))
            }
            Fitting::Painn(spec, weights) => {
                bind_painn(spec, weights, &system.species, precision, device)
            }
            Fitting::Network(network) => {
                if place(device, precision) != Place::Cpu || device.engine == EngineChoice::Burn {
                    return Err(Error::input(format!(
                        "{} has no engine in Burn's tensors: leave out [device] engine",
                        network.words()
                    )));
                }
                network.on_the_host(&system.species, precision, thread_count(device))
            }
            Fitting::LennardJones(potential) => Ok(Box::new(potential)),
        }
    }

    /// The potential for the engine that lives on a GPU, without what is added for each pair.
    ///
    /// # Errors
    /// The model does not know an element of the system, or is not computed in these numbers there.
    #[cfg(feature = "cuda")]
    pub fn on_a_card(
        &self,
        system: &System,
        precision: Precision,
    ) -> Result<Box<dyn DevicePotential + '_>> {
        (self.check_kernels()).map_err(|e| e.advise("set [device] kind = \"cpu\""))?;
        Ok(match self.fit(system)? {
            Fitting::Painn(spec, weights) => {
                let painn = CudaPainn::new(spec, weights).in_numbers(precision);
                painn.check_numbers()?;
                let painn = match self.int8().filter(|_| precision == Precision::Int8) {
                    Some(int8) => painn.in_int8(int8),
                    None => painn,
                };
                Box::new(painn)
            }
            Fitting::Network(network) => network.on_a_card(precision)?,
            Fitting::LennardJones(potential) => Box::new(potential),
        })
    }

    /// Checks that kernels on a card have all of the model.
    ///
    /// # Errors
    /// They leave something out.
    pub(super) fn check_kernels(&self) -> Result<()> {
        match self {
            #[cfg(feature = "cuda")]
            Self::Painn { weights, .. } => CudaPainn::check(weights),
            _ => Ok(()),
        }
    }

    /// Checks that it knows the elements of a system.
    ///
    /// # Errors
    /// It does not know one.
    pub fn check_species(&self, system: &System) -> Result<()> {
        match self {
            Self::Socket(_) => Ok(()),
            _ => self.fit(system).map(drop),
        }
    }

    /// Checks that the model fits the elements of a system.
    fn fit(&self, system: &System) -> Result<Fitting<'_>> {
        match self {
            Self::Painn {
                file,
                spec,
                weights,
                ..
            } => {
                spec.check_species(&system.species)
                    .map_err(|e| e.within(file))?;
                Ok(Fitting::Painn(spec, weights))
            }
            Self::Network { file, read, .. } => {
                read.check_species(&system.species)
                    .map_err(|e| e.within(file))?;
                Ok(Fitting::Network(&*read.network))
            }
            &Self::LennardJones {
                epsilon,
                sigma,
                cutoff,
            } => LennardJones::new(epsilon, sigma, cutoff).map(Fitting::LennardJones),
            Self::Socket(_) => Err(Error::input(
                "a client at the other end of a socket is no function of pairs",
            )),
        }
    }
}

/// What fits the elements of a system.
enum Fitting<'a> {
    Painn(&'a Spec, &'a Weights),
    Network(&'a dyn NeuralNetwork),
    LennardJones(LennardJones),
}

/// Where a network is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the CPU.
    Cpu,
    /// On the CUDA device of this index.
    Cuda(usize),
}

/// A place on a card: where the atoms, pairs and network of a model are, and the numbers that it is computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residence {
    /// The GPU's index.
    pub index: usize,
    /// Numbers of the network.
    pub precision: Precision,
}

/// Where a plan's network is evaluated: as asked for, else on the first GPU that the CUDA engine can use
/// (f64 is the CPU's), else on the CPU.
pub fn place(device: &DevicePlan, precision: Precision) -> Place {
    match device.kind {
        DeviceKind::Cpu => Place::Cpu,
        DeviceKind::Cuda(index) => Place::Cuda(index),
        DeviceKind::Auto if device.engine == EngineChoice::Burn => Place::Cpu,
        DeviceKind::Auto if precision != Precision::F64 && has_cuda() => Place::Cuda(0),
        DeviceKind::Auto => Place::Cpu,
    }
}

fn has_cuda() -> bool {
    #[cfg(feature = "cuda")]
    return cuda::devices().is_ok();
    #[cfg(not(feature = "cuda"))]
    false
}

/// Checks that a network can be evaluated where it is to be, as far as can be told in advance.
///
/// # Errors
/// The GPU is not there, or cannot be used.
pub fn check_place(device: &DevicePlan, precision: Precision) -> Result<()> {
    match (place(device, precision), device.engine) {
        (Place::Cpu, _) => Ok(()),
        (Place::Cuda(index), EngineChoice::Burn) => reference::cuda_device(index).map(|_| ()),
        #[cfg(feature = "cuda")]
        (Place::Cuda(index), _) => cuda::check(index),
        #[cfg(not(feature = "cuda"))]
        (Place::Cuda(index), _) => Err(built_without(index)),
    }
}

/// Why there is no CUDA device in a program without CUDA.
#[cfg(not(feature = "cuda"))]
pub(super) fn built_without(index: usize) -> Error {
    Error::input(format!(
        "there is no CUDA device {index}: this program was built without CUDA (the feature `cuda`)"
    ))
}

/// A PaiNN in host memory: fused on the CPU, or Burn's on either device.
fn bind_painn(
    spec: &Spec,
    weights: &Weights,
    species: &[u8],
    precision: Precision,
    device: &DevicePlan,
) -> Result<Box<dyn Potential>> {
    match (place(device, precision), device.engine) {
        (Place::Cuda(_), _) if precision != Precision::F32 => Err(Error::input(
            "Burn computes in f32 only on CUDA: set [potential] precision = \"f32\", or [device] kind = \"cpu\"",
        )),
        (Place::Cuda(index), _) => reference::potential(
            spec,
            weights,
            species,
            precision,
            reference::BurnDevice::Cuda(index),
        ),
        (Place::Cpu, EngineChoice::Burn) => reference::potential(
            spec,
            weights,
            species,
            precision,
            reference::BurnDevice::Cpu,
        ),
        (Place::Cpu, _) => {
            let threads = thread_count(device);
            let fused = FusedPainn::new(spec, weights, species, precision, threads)?;
            Ok(Box::new(fused))
        }
    }
}
