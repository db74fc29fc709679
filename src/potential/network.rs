//! Networks of any architecture, as they are read from files: what is asked of each.

use std::collections::BTreeMap;
use std::fmt;

#[cfg(feature = "cuda")]
use super::device::DevicePotential;
use super::painn::import::UNTOLD;
use super::{Potential, Precision, TrainedOn};
use crate::core::elements::symbol;
use crate::{Error, Result};

/// A network with its trained numbers, in host memory.
pub trait NeuralNetwork: fmt::Debug + Send + Sync {
    /// Range (angstrom).
    fn cutoff(&self) -> f64;

    /// The network and its size, for people: `StudentForceField, 3 layers of 128`.
    fn words(&self) -> String;

    /// Checks that it knows every element.
    ///
    /// # Errors
    /// It does not know one.
    fn check_species(&self, species: &[u8]) -> Result<()>;

    /// Least memory (bytes) that the arrays of an evaluation on the host take for the system on each thread, for each atom and
    /// for each pair.
    fn bytes_needed(&self, precision: Precision) -> [f64; 3];

    /// The potential of atoms of these species, on the processor.
    ///
    /// # Errors
    /// It does not know an element, or no threads can be started.
    fn on_the_host(
        &self,
        species: &[u8],
        precision: Precision,
        threads: usize,
    ) -> Result<Box<dyn Potential>>;

    /// The potential on a card.
    ///
    /// # Errors
    /// It is not computed in these numbers there.
    #[cfg(feature = "cuda")]
    fn on_a_card(&self, precision: Precision) -> Result<Box<dyn DevicePotential + '_>>;

    /// Whether its authors' code leaves out the cell, so that it was trained on atoms without their images.
    fn leaves_cells_out(&self) -> bool {
        false
    }

    /// What there is to know of it.
    fn facts(&self) -> NetworkFacts;
}

/// What there is to know of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkFacts {
    /// Name of the architecture.
    pub architecture: &'static str,
    /// Features per atom.
    pub features: usize,
    /// Interactions.
    pub layers: usize,
    /// Kind of radial basis, and number of its functions.
    pub basis: &'static str,
    /// Number of radial functions.
    pub functions: usize,
    /// Outputs of the readout's layers.
    pub readout: Vec<usize>,
    /// Number of trained numbers.
    pub parameters: usize,
    /// Symbols of the elements that it takes.
    pub elements: Vec<&'static str>,
    /// eV per unit of the network's output.
    pub energy_scale: f64,
    /// Energy added for each atom (eV).
    pub mean_per_atom: f64,
}

/// A network that was read, with what is to be said of its file.
#[derive(Debug)]
pub struct ReadNetwork {
    /// The network.
    pub network: Box<dyn NeuralNetwork>,
    /// What the file does not say, for people.
    pub notes: Vec<String>,
    /// Remarks by key: where it is from, how it was trained.
    pub remarks: BTreeMap<String, String>,
    /// Whether the file lists its elements.
    pub lists_elements: bool,
    /// What it is taken for a model of (atomic numbers), where its user says so.
    pub stated: Option<Vec<u8>>,
}

impl ReadNetwork {
    /// Takes it for a model of these elements (atomic numbers) alone, as its user says.
    ///
    /// # Errors
    /// It does not know one of them.
    pub fn restrict(&mut self, elements: &[u8]) -> Result<()> {
        self.network.check_species(elements)?;
        self.notes.retain(|note| !note.starts_with(UNTOLD));
        self.stated = Some(elements.to_vec());
        Ok(())
    }

    /// Checks that it knows every element.
    ///
    /// # Errors
    /// It does not know one.
    pub fn check_species(&self, species: &[u8]) -> Result<()> {
        self.network.check_species(species)?;
        let Some(stated) = &self.stated else {
            return Ok(());
        };
        match species.iter().find(|z| !stated.contains(z)) {
            None => Ok(()),
            Some(z) => Err(Error::input(format!(
                "the model is not said to know {}; it is said to know {}",
                symbol(*z),
                stated
                    .iter()
                    .map(|z| symbol(*z))
                    .collect::<Vec<_>>()
                    .join(", ")
            ))),
        }
    }

    /// What it was trained on, as far as is said.
    pub fn trained_on(&self) -> TrainedOn {
        TrainedOn {
            elements: self.lists_elements || self.stated.is_some(),
            ..TrainedOn::default()
        }
    }
}

/// An architecture, as it is found in files.
#[derive(Clone, Copy)]
pub struct Architecture {
    /// Whether tensors of these names are of it.
    pub recognises: fn(&[&str]) -> bool,
    /// Reads the bytes of a safetensors file, and the text of the hyper-parameters beside it if there are any.
    pub read: fn(&[u8], Option<&str>) -> Result<ReadNetwork>,
}
