//! A model with all that acts beside it, as a run uses it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::model::{self, ModelKind, load_kind};
use crate::Result;
use crate::config::plan::{DevicePlan, Plan, StartPlan};
use crate::core::{System, elements};
use crate::forcefield::HostForceField;
use crate::memory::Appetite;
use crate::models::ModelFile;
#[cfg(feature = "cuda")]
use crate::potential::device::DevicePotential;
use crate::potential::painn::import::UNTOLD;
#[cfg(feature = "cuda")]
use crate::potential::pair::CudaBeside;
use crate::potential::pair::{Beside, PairEnergy as _, PairLaw, Repulsion, sum_of};
use crate::potential::{ElectronScene, Potential, Precision};
use crate::report::OriginFile;

/// A potential that has been read and checked, to be bound to atoms.
#[derive(Debug)]
pub struct Model {
    /// What it is.
    pub kind: ModelKind,
    /// What a run adds to it at short range.
    pub repulsion: Option<Repulsion>,
}

/// Reads the potential that a plan asks for.
///
/// # Errors
/// The model file cannot be read, is not a PaiNN, or does not know an element of the structure; a repulsion beside it has no
/// end, or one beyond its range.
pub fn load(plan: &Plan) -> Result<Model> {
    let kind = load_kind(plan)?;
    let repulsion = plan.repulsion.map(|plan| plan.term());
    if let Some(term) = &repulsion {
        let elements = elements::kinds(&plan.start.system.species);
        term.check(&elements, kind.cutoff()).map_err(|e| {
            e.within(plan.places.of("potential.repulsion.end"))
                .advise("give a shorter one, such as end = \"0.8 A\"")
        })?;
    }
    let mut model = Model { kind, repulsion };
    model.advise(&plan.start.system.species);
    Ok(model)
}

/// Reads a trained network.
///
/// # Errors
/// The file cannot be read or is no network that is known.
pub fn load_network(file: &ModelFile) -> Result<Model> {
    Ok(Model {
        kind: model::load_network(file)?,
        repulsion: None,
    })
}

impl Model {
    /// Says what to do where the file of a run's model does not list its elements.
    fn advise(&mut self, species: &[u8]) {
        let symbols = elements::kinds(species).into_iter().map(elements::symbol);
        let list: Vec<String> = symbols.map(|symbol| format!("{symbol:?}")).collect();
        let advice = format!(
            "; [potential] elements = [{}] would say it",
            list.join(", ")
        );
        let notes = match &mut self.kind {
            ModelKind::Painn { notes, .. } => Some(notes),
            ModelKind::Network { read, .. } => Some(&mut read.notes),
            ModelKind::LennardJones { .. } | ModelKind::Socket(_) => None,
        };
        if let Some(notes) = notes {
            let untold = notes.iter_mut().filter(|note| note.starts_with(UNTOLD));
            untold.for_each(|note| *note += &advice);
        }
    }

    /// What of the electrons of some atoms the model has not learned.
    pub fn doubts(&self, scene: &ElectronScene<'_>) -> Vec<String> {
        let trained_on = self.kind.trained_on();
        trained_on.map_or_else(Vec::new, |trained_on| trained_on.doubts(scene))
    }

    /// What of the electrons of a plan's start it has not learned.
    pub fn doubts_of(&self, start: &StartPlan) -> Vec<String> {
        self.doubts(&ElectronScene {
            species: &start.system.species,
            cell: &start.cell,
            positions: &start.positions,
            electrons: &start.electrons,
        })
    }

    /// Range (angstrom).
    pub fn cutoff(&self) -> f64 {
        self.kind.cutoff()
    }

    /// What it is, for people.
    pub fn describe(&self) -> String {
        let beside = self.repulsion.as_ref();
        let beside = beside.map_or_else(String::new, |term| format!(", and {}", term.words()));
        self.kind.describe() + &beside
    }

    /// What is to be said of its file.
    pub fn notes(&self) -> &[String] {
        self.kind.notes()
    }

    /// The model file with its hash; `None` where there is none.
    pub fn source(&self) -> Option<&OriginFile> {
        self.kind.source()
    }

    /// Memory that the potential's arrays take in that of the host, at the least.
    pub fn appetite(&self, precision: Precision, device: &DevicePlan) -> Appetite {
        self.kind.appetite(precision, device)
    }

    /// What is added for each pair.
    fn term(&self) -> Option<PairLaw> {
        let beside = (self.repulsion.clone()).map(|term| Arc::new(term) as PairLaw);
        sum_of(self.kind.own_term().into_iter().chain(beside).collect())
    }

    /// The potential of atoms of these species, on a device.
    ///
    /// # Errors
    /// The model does not know an element, or the device is not there.
    pub fn bind(
        &self,
        system: &System,
        precision: Precision,
        device: &DevicePlan,
    ) -> Result<Box<dyn Potential>> {
        let potential = self.kind.bind(system, precision, device)?;
        Ok(match self.term() {
            None => potential,
            Some(term) => Box::new(Beside::new(potential, term, &system.species)),
        })
    }

    /// The force field of atoms of these species in host memory: with a Verlet list of this skin (angstrom) or, without one,
    /// with pairs found by trying every image.
    ///
    /// # Errors
    /// The model does not know an element, or the device is not there.
    pub fn in_host_memory(
        &self,
        system: &System,
        precision: Precision,
        device: &DevicePlan,
        skin: Option<f64>,
    ) -> Result<HostForceField> {
        if let ModelKind::Socket(remote) = &self.kind {
            return Ok(HostForceField::around(Box::new(remote.clone()), skin));
        }
        let potential = self.bind(system, precision, device)?;
        Ok(match skin {
            Some(skin) => HostForceField::new(potential, skin),
            None => HostForceField::exhaustive(potential),
        })
    }

    /// Whether another program computes it.
    pub fn is_remote(&self) -> bool {
        matches!(self.kind, ModelKind::Socket(_))
    }

    /// Waits for nobody at the other end of a socket, from now on, once `stop` is set.
    pub fn heed(&self, stop: &Arc<AtomicBool>) {
        if let ModelKind::Socket(remote) = &self.kind {
            remote.heed(Arc::clone(stop));
        }
    }

    /// The potential for the engine that lives on a GPU.
    ///
    /// # Errors
    /// The model does not know an element of the system.
    #[cfg(feature = "cuda")]
    pub fn on_a_card(&self, system: &System) -> Result<Box<dyn DevicePotential + '_>> {
        let potential = self.kind.on_a_card(system)?;
        Ok(match self.term() {
            None => potential,
            Some(term) => Box::new(CudaBeside::new(potential, term)),
        })
    }
}
