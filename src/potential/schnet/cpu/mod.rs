//! The fused engine of a SchNet: its energy and analytic gradient on the processor, with what `fused` has.
//!
//! Filters are splines of the distance, messages gathers over receiver-sorted rows, atom-wise layers products over blocks of
//! atoms that one task takes through from gather to gather. What the first layer sends depends on the species, and is computed
//! once. Sums run in an order that depends on atoms alone, so that bits depend neither on threads nor on how work is cut.

mod atomwise;
mod message;
mod program;
mod view;

use std::sync::Arc;

use super::Schnet;
use super::packed::PackedSchnet;
use crate::Result;
use crate::neighbors::Pairs;
use crate::potential::fused::pool::Pool;
use crate::potential::fused::{
    self, ATOMS_PER_THREAD, Isa, SplineError, check_instructions, indices_among, lane,
    species_indices, spline, with_lanes,
};
use crate::potential::{About, Evaluation, Potential, Precision};

use program::SchnetKernels;
use view::SchnetArrays;

/// A SchNet on the processor, bound to the species of one system.
pub struct FusedSchnet {
    runner: Box<dyn SchnetRunner>,
    cutoff: f64,
    energy_scale: f64,
    mean_per_atom: f64,
    atoms: usize,
    about: About,
}

impl FusedSchnet {
    /// The engine for atoms of these species (atomic numbers), on `threads` threads, the caller's included.
    ///
    /// # Errors
    /// Numbers that do not fit together, an element that it does not know, or no threads.
    pub fn new(
        schnet: &Schnet,
        species: &[u8],
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        let isa = Isa::available().first().copied().unwrap_or(Isa::Portable);
        Self::with_isa(schnet, species, precision, threads, isa)
    }

    /// Binds a model, with the instructions chosen by the caller.
    ///
    /// # Errors
    /// As [`FusedSchnet::new`], or where the processor lacks the instructions.
    pub fn with_isa(
        schnet: &Schnet,
        species: &[u8],
        precision: Precision,
        threads: usize,
        isa: Isa,
    ) -> Result<Self> {
        check_instructions(isa)?;
        schnet.check()?;
        schnet.check_elements(species)?;
        let (runner, error) = with_lanes!(precision, isa, bind(schnet, species, threads))?;
        Ok(Self {
            runner,
            cutoff: schnet.cutoff,
            energy_scale: schnet.energy_scale,
            mean_per_atom: schnet.mean_per_atom,
            atoms: species.len(),
            about: fused::about(schnet.words(), precision, error, isa, threads),
        })
    }

    /// Least memory (bytes) that the arrays of an evaluation take for the system on each thread, for each atom and for each pair.
    pub fn bytes_needed(schnet: &Schnet, precision: Precision) -> [f64; 3] {
        let bytes = match precision {
            Precision::F64 => view::bytes_needed::<f64>(schnet),
            _ => view::bytes_needed::<f32>(schnet),
        };
        bytes.map(|bytes| bytes as f64)
    }
}

impl Potential for FusedSchnet {
    fn cutoff(&self) -> f64 {
        self.cutoff
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        let energy = self.runner.evaluate(pairs, self.energy_scale, out)?;
        let offset = self.mean_per_atom * self.atoms as f64;
        out.energy = offset + self.energy_scale * energy;
        Ok(())
    }

    fn about(&self) -> About {
        self.about.clone()
    }

    fn atom_energies(&self) -> Option<Vec<f64>> {
        let energies = self.runner.energies().iter();
        let whole = energies.map(|energy| self.mean_per_atom + self.energy_scale * energy);
        Some(whole.collect())
    }

    fn bound_to(&self, species: &[u8]) -> Result<Option<Box<dyn Potential>>> {
        Ok(Some(Box::new(Self {
            runner: self.runner.bound_to(species)?,
            cutoff: self.cutoff,
            energy_scale: self.energy_scale,
            mean_per_atom: self.mean_per_atom,
            atoms: species.len(),
            about: self.about.clone().on_threads(1),
        })))
    }
}

/// A network of one lane type with its arrays and threads.
trait SchnetRunner: Send {
    /// Forces and strain derivative in eV; returns the network's energy in its own unit.
    fn evaluate(&mut self, pairs: &Pairs, scale: f64, out: &mut Evaluation) -> Result<f64>;

    /// The network's energy of each atom in the arrangement evaluated last, in its own unit.
    fn energies(&self) -> &[f64];

    /// The same network with arrays for other atoms, on one thread.
    fn bound_to(&self, species: &[u8]) -> Result<Box<dyn SchnetRunner>>;
}

struct LanesOfSchnet<V: SchnetKernels> {
    network: Arc<PackedSchnet<V::T>>,
    arrays: SchnetArrays<V::T>,
    pool: Pool,
}

fn bind<V: SchnetKernels>(
    schnet: &Schnet,
    species: &[u8],
    threads: usize,
) -> Result<(Box<dyn SchnetRunner>, SplineError)> {
    let (present, indices) = species_indices(species);
    let bound = spline::bound::<V::T>();
    let (network, error) = PackedSchnet::new(schnet, &present, 2 * V::N, bound)?;
    let runner = LanesOfSchnet::<V>::new(Arc::new(network), indices, threads)?;
    Ok((Box::new(runner), error))
}

impl<V: SchnetKernels> LanesOfSchnet<V> {
    /// For atoms with these species indices.
    fn new(network: Arc<PackedSchnet<V::T>>, species: Vec<u32>, threads: usize) -> Result<Self> {
        let stages = program::stages(network.layers.len());
        Ok(Self {
            arrays: SchnetArrays::new(&network, species, threads.max(1)),
            pool: Pool::new(threads, stages.len())?,
            network,
        })
    }
}

impl<V: SchnetKernels> SchnetRunner for LanesOfSchnet<V> {
    fn evaluate(&mut self, pairs: &Pairs, scale: f64, out: &mut Evaluation) -> Result<f64> {
        let Self {
            network,
            arrays,
            pool,
        } = self;
        let threads = pool
            .threads()
            .min(arrays.rows.atoms() / ATOMS_PER_THREAD)
            .max(1);
        arrays.rows.prepare(pairs, network.cutoff, threads, out)?;
        let stages = program::stages(network.layers.len());
        let view = arrays.view(network, pairs, (threads, scale), out);
        let work = |thread: usize, stage: usize, task: usize| {
            // What the first stage finds not to be a pair list is not followed.
            if stage == 0 || !view.faulty() {
                // SAFETY: `with_isa` has checked the processor, `prepare` the sizes; tasks of one
                // stage write to different places, and a stage ends before the next begins.
                unsafe { V::task(&view, stages[stage], task, thread) }
            }
        };
        pool.run(threads, stages.iter().map(|s| s.tasks(&view)), &work);
        arrays.rows.finish(out)
    }

    fn energies(&self) -> &[f64] {
        self.arrays.rows.energies()
    }

    fn bound_to(&self, species: &[u8]) -> Result<Box<dyn SchnetRunner>> {
        let indices = indices_among(&self.network.species, species)?;
        let network = Arc::clone(&self.network);
        Ok(Box::new(Self::new(network, indices, 1)?))
    }
}
