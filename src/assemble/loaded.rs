//! A model, or a committee of several, with all that acts beside it, as a run uses it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::model::{self, ModelKind, Place, check_committee, load_kinds, place};
use crate::config::plan::{DeviceKind, DevicePlan, Plan, StagedPlan, StartPlan};
use crate::core::{System, elements};
use crate::forcefield::HostForceField;
use crate::memory::Appetite;
use crate::models::ModelFile;
use crate::potential::committee::Committee;
#[cfg(feature = "cuda")]
use crate::potential::committee::CudaCommittee;
#[cfg(feature = "cuda")]
use crate::potential::device::{self, DevicePotential};
use crate::potential::painn::import::UNTOLD;
#[cfg(feature = "cuda")]
use crate::potential::pair::CudaBeside;
use crate::potential::pair::{Beside, PairEnergy as _, PairLaw, Repulsion, sum_of};
use crate::potential::{ElectronScene, Potential, Precision};
use crate::report::OriginFile;
use crate::{Error, Result};

/// A potential that has been read and checked, to be bound to atoms.
#[derive(Debug)]
pub struct Model {
    /// What it is: one, or the members of a committee, whose mean it is.
    pub members: Vec<ModelKind>,
    /// What a run adds to it at short range.
    pub repulsion: Option<Repulsion>,
}

/// Reads the potential that a plan asks for. A plan that leaves the device open gets the CPU, with a note, where the kernels on
/// a card do not have all of the model.
///
/// # Errors
/// A model file cannot be read, is no network that is known, or does not know an element of the structure; several are no
/// committee; a repulsion beside it has no end, or one beyond its range.
pub fn load(plan: &mut Plan) -> Result<Model> {
    let mut model = Model {
        members: load_kinds(plan)?,
        repulsion: plan.repulsion.map(|plan| plan.term()),
    };
    if let Some(term) = &model.repulsion {
        let elements = elements::kinds(&plan.start.system.species);
        term.check(&elements, model.cutoff()).map_err(|e| {
            e.within(plan.places.of("potential.repulsion.end"))
                .advise("give a shorter one, such as end = \"0.8 A\"")
        })?;
    }
    model.advise(&plan.start.system.species);
    if let Some(why) = left_to_the_host(plan, &model) {
        plan.device.kind = DeviceKind::Cpu;
        plan.notes
            .push(format!("device.kind: {why}: the CPU is used"));
    }
    Ok(model)
}

/// Does as [`load`] for a run in stages, all of which have the same potential and device.
///
/// # Errors
/// As for [`load`].
pub fn load_staged(staged: &mut StagedPlan) -> Result<Model> {
    let pressed = |plan: &Plan| plan.dynamics.ensemble.pressure().is_some();
    // A barostat asks most of a model.
    let asking = staged.stages.iter().position(pressed).unwrap_or(0);
    let told = staged.stages[asking].notes.len();
    let groups = staged.stages.iter().flat_map(|plan| plan.groups.clone());
    let groups = groups.collect();
    // What any stage does to groups decides where all of them are computed.
    let own = std::mem::replace(&mut staged.stages[asking].groups, groups);
    let model = load(&mut staged.stages[asking]);
    staged.stages[asking].groups = own;
    let model = model?;
    let (device, notes) = {
        let plan = &mut staged.stages[asking];
        (plan.device, plan.notes.split_off(told))
    };
    for plan in &mut staged.stages {
        plan.device = device;
    }
    staged.stages[0].notes = std::mem::take(&mut staged.notes);
    staged.stages[0].notes.extend(notes);
    Ok(model)
}

/// Why a plan that leaves the device open and would get a card does not get it.
fn left_to_the_host(plan: &Plan, model: &Model) -> Option<Error> {
    let device = &plan.device;
    let on_a_card = place(device, super::precision(&plan.potential)) != Place::Cpu;
    let open = device.kind == DeviceKind::Auto && on_a_card;
    let groups = || super::groups::check_card(plan).err();
    model.lacks_kernels().or_else(groups).filter(|_| open)
}

/// Where a command computes whose user may leave the device open, and in which numbers where they are open too: on the first
/// GPU in f32, if there is one that has all of the model, else on the CPU in f64. What there is to say of it comes along.
pub fn settle(
    device: &DevicePlan,
    precision: Option<Precision>,
    model: &Model,
) -> (DevicePlan, Precision, Option<String>) {
    let on_a_card = precision.unwrap_or(Precision::F32);
    let at = |kind| DevicePlan { kind, ..*device };
    let on_the_host = |note| {
        let precision = precision.unwrap_or(Precision::F64);
        (at(DeviceKind::Cpu), precision, note)
    };
    match (device.kind, place(device, on_a_card)) {
        (DeviceKind::Cuda(_), _) => (*device, on_a_card, None),
        (_, Place::Cpu) => on_the_host(None),
        (_, Place::Cuda(index)) => match model.lacks_kernels() {
            Some(why) => on_the_host(Some(format!("note: {why}: the CPU is used"))),
            None => (at(DeviceKind::Cuda(index)), on_a_card, None),
        },
    }
}

/// Reads a trained network, or several as a committee, by their names or paths.
///
/// # Errors
/// A file cannot be read or is no network that is known; several are no committee.
pub fn load_networks(named: &[PathBuf]) -> Result<Model> {
    let load = |named: &PathBuf| model::load_network(&ModelFile::find(named, Path::new(""))?);
    let members = named.iter().map(load).collect::<Result<Vec<_>>>()?;
    check_committee(&members)?;
    Ok(Model {
        members,
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
        for member in &mut self.members {
            let notes = match member {
                ModelKind::Painn { notes, .. } => notes,
                ModelKind::Network { read, .. } => &mut read.notes,
                ModelKind::LennardJones { .. } | ModelKind::Socket(_) => continue,
            };
            let untold = notes.iter_mut().filter(|note| note.starts_with(UNTOLD));
            untold.for_each(|note| *note += &advice);
        }
    }

    /// Whether it is made of trained networks.
    pub fn is_network(&self) -> bool {
        self.members.iter().all(ModelKind::is_network)
    }

    /// Whether the authors' code of one of its networks leaves the cell out.
    pub fn leaves_cells_out(&self) -> bool {
        self.members.iter().any(ModelKind::leaves_cells_out)
    }

    /// What of the electrons of some atoms the model has not learned.
    pub fn doubts(&self, scene: &ElectronScene<'_>) -> Vec<String> {
        let trained = self.members.iter().filter_map(ModelKind::trained_on);
        once_each(trained.flat_map(|trained_on| trained_on.doubts(scene)))
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
        self.members[0].cutoff()
    }

    /// What it is, for people.
    pub fn describe(&self) -> String {
        let members: Vec<String> = self.members.iter().map(ModelKind::describe).collect();
        let members = match members.len() {
            1 => members.concat(),
            count => format!("committee of {count}: {}", members.join("; ")),
        };
        let beside = self.repulsion.as_ref();
        let beside = beside.map_or_else(String::new, |term| format!(", and {}", term.words()));
        members + &beside
    }

    /// What is to be said of its files.
    pub fn notes(&self) -> Vec<String> {
        once_each(self.members.iter().flat_map(|m| m.notes().iter().cloned()))
    }

    /// The model files with their hashes; none where there are none.
    pub fn sources(&self) -> Vec<&OriginFile> {
        self.members.iter().filter_map(ModelKind::source).collect()
    }

    /// Memory that the potential's arrays take in that of the host, at the least.
    pub fn appetite(&self, precision: Precision, device: &DevicePlan) -> Appetite {
        let all = self.members.iter().map(|m| m.appetite(precision, device));
        all.fold(Appetite::default(), |sum, one| Appetite {
            system: sum.system + one.system,
            atom: sum.atom + one.atom,
            pair: sum.pair + one.pair,
        })
    }

    /// What is added for each pair to the whole, with what the file of a single model says to add.
    fn term(&self) -> Option<PairLaw> {
        let own = match self.members.as_slice() {
            [alone] => alone.own_term(),
            _ => None,
        };
        let beside = (self.repulsion.clone()).map(|term| Arc::new(term) as PairLaw);
        sum_of(own.into_iter().chain(beside).collect())
    }

    /// Checks that it knows the elements of a system.
    ///
    /// # Errors
    /// It does not know one.
    pub fn check_species(&self, system: &System) -> Result<()> {
        (self.members.iter()).try_for_each(|member| member.check_species(system))
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
        let beside = |potential, term| match term {
            None => potential,
            Some(term) => {
                Box::new(Beside::new(potential, term, &system.species)) as Box<dyn Potential>
            }
        };
        let whole = match self.members.as_slice() {
            [alone] => alone.bind(system, precision, device)?,
            several => {
                let member = |member: &ModelKind| {
                    let potential = member.bind(system, precision, device)?;
                    Ok(beside(potential, member.own_term()))
                };
                let members = several.iter().map(member).collect::<Result<Vec<_>>>()?;
                Box::new(Committee::new(members)?)
            }
        };
        Ok(beside(whole, self.term()))
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
        if let ModelKind::Socket(remote) = &self.members[0] {
            return Ok(HostForceField::around(Box::new(remote.clone()), skin));
        }
        let potential = self.bind(system, precision, device)?;
        Ok(match skin {
            Some(skin) => HostForceField::new(potential, skin),
            None => HostForceField::exhaustive(potential),
        })
    }

    /// Why it is not computed on a card, if something of it is not there.
    fn lacks_kernels(&self) -> Option<Error> {
        (self.members.iter()).find_map(|member| member.check_kernels().err())
    }

    /// Whether another program computes it.
    pub fn is_remote(&self) -> bool {
        matches!(self.members[0], ModelKind::Socket(_))
    }

    /// Waits for nobody at the other end of a socket, from now on, once `stop` is set.
    pub fn heed(&self, stop: &Arc<AtomicBool>) {
        if let ModelKind::Socket(remote) = &self.members[0] {
            remote.heed(Arc::clone(stop));
        }
    }

    /// The potential for the engine that lives on a GPU.
    ///
    /// # Errors
    /// The model does not know an element of the system, or is not computed in these numbers there.
    #[cfg(feature = "cuda")]
    pub fn on_a_card(
        &self,
        system: &System,
        precision: Precision,
    ) -> Result<Box<dyn DevicePotential + '_>> {
        let whole: Box<dyn DevicePotential> = match self.members.as_slice() {
            [alone] => alone.on_a_card(system, precision)?,
            several => {
                device::check_numbers("a committee", &[Precision::F32], precision)?;
                let mut members = Vec::new();
                for member in several {
                    let potential = member.on_a_card(system, precision)?;
                    members.push(beside_on_a_card(potential, member.own_term()));
                }
                Box::new(CudaCommittee::new(members)?)
            }
        };
        Ok(beside_on_a_card(whole, self.term()))
    }
}

#[cfg(feature = "cuda")]
fn beside_on_a_card<'a>(
    potential: Box<dyn DevicePotential + 'a>,
    term: Option<PairLaw>,
) -> Box<dyn DevicePotential + 'a> {
    match term {
        None => potential,
        Some(term) => Box::new(CudaBeside::new(potential, term)),
    }
}

/// What several say, each thing once, in their order.
fn once_each(said: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = Vec::new();
    for one in said {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}
