//! The fused engine: PaiNN's energy and its analytic gradient on the processor, without a tensor
//! library.
//!
//! What makes it fast:
//! * Filters depend on the distance alone: each is a spline of it ([`Filters`]), six multiply-adds a
//!   value, and forces are the exact gradient of the splined energy.
//! * Messages are gathers over receiver-sorted rows, vectorised over channels, the receiver's sums in
//!   registers; backward gathers over the same rows, since every pair is there in both directions.
//! * Atom-wise layers are products over blocks of atoms with weights packed once, followed at once by
//!   what is element by element.
//! * The first layer's context is a function of the species, computed once when the engine is made;
//!   what nothing reads (the last layer's vector update, the first layer's gradients) is left out.
//! * The cost per atom hardly grows with their number: atoms and pairs lie in memory along a curve
//!   through space, gathers fetch the neighbours of later pairs into cache, products what their block
//!   stores next, what only the next product reads stays in scratch arrays of one block, and arrays
//!   are in huge pages.
//! * Threads hand stages over within a microsecond, and nothing is allocated once sizes are known.
//!
//! Every number is a sum in a fixed order: over a row's pairs in the list's canonical order, over the
//! inputs of a product in ascending order, over channels lane by lane, over atoms in the caller's
//! order (energies, strain: f64). No order depends on the number of threads or on how work is cut into
//! tasks, so bits do not either; they do depend on the width of the processor's registers.

#![allow(
    clippy::needless_range_loop,
    reason = "kernels index small arrays in step: axes, filters, lanes"
)]

mod atomwise;
pub(in crate::potential) mod filters;
mod inputs;
mod message;
mod network;
mod readout;
mod stages;
mod view;
mod workspace;

use std::sync::Arc;

use crate::neighbors::Pairs;
use crate::potential::fused::{
    self, ATOMS_PER_BLOCK, ATOMS_PER_THREAD, affine, check_instructions, for_each_lane, gemm,
    indices_among, lane, memory, pool, rows, slices, species_indices, spline, with_lanes,
};
use crate::potential::painn::{Int8Product, Int8Weights, Spec, Weights};
use crate::potential::{About, Evaluation, Potential, Precision};
use crate::{Error, Result};

pub use crate::potential::fused::{Isa, SplineError};
pub use filters::Filters;
pub use inputs::ProductInputs;

use network::Network;
use pool::Pool;
use stages::LaneKernels;
use workspace::Workspace;

/// PaiNN on the processor, bound to the species of one system.
pub struct FusedPainn {
    runner: Box<dyn Runner>,
    spec: Arc<Spec>,
    species: Vec<u8>,
    /// What the network leaves out of the energy of these atoms (eV).
    offset: f64,
    error: SplineError,
    about: About,
}

impl FusedPainn {
    /// The fused engine for atoms of the given species (atomic numbers), on `threads` threads, the
    /// caller's included.
    ///
    /// # Errors
    /// Weights that do not fit the hyper-parameters, a species without embedding, or no threads.
    pub fn new(
        spec: &Spec,
        weights: &Weights,
        species: &[u8],
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        // `Portable` is always there.
        let isa = Isa::available().first().copied().unwrap_or(Isa::Portable);
        Self::with_isa(spec, weights, species, precision, threads, isa)
    }

    /// Binds a model, with the instructions chosen by the caller.
    ///
    /// # Errors
    /// As [`FusedPainn::new`], or where the processor lacks the instructions.
    pub fn with_isa(
        spec: &Spec,
        weights: &Weights,
        species: &[u8],
        precision: Precision,
        threads: usize,
        isa: Isa,
    ) -> Result<Self> {
        check_instructions(isa)?;
        if precision == Precision::Int8 {
            return Err(Error::run(
                "PaiNN in int8 is bound with its weights in 8 bits",
            ));
        }
        let numbers = (weights, None);
        let made = with_lanes!(precision, isa, bind(spec, numbers, species, threads))?;
        Ok(Self::of(spec, species, made, (precision, isa, threads)))
    }

    /// Binds a model whose products are in 8 bits, expanded to f32 where they are computed; `weights` has what is not in 8 bits.
    ///
    /// # Errors
    /// As [`FusedPainn::new`]; or the two do not fit each other.
    pub fn in_int8(
        spec: &Spec,
        (weights, int8): (&Weights, &Int8Weights),
        species: &[u8],
        threads: usize,
    ) -> Result<Self> {
        let isa = Isa::available().first().copied().unwrap_or(Isa::Portable);
        Self::in_int8_with_isa(spec, (weights, int8), species, threads, isa)
    }

    /// Does as [`FusedPainn::in_int8`], with the instructions chosen by the caller.
    ///
    /// # Errors
    /// As [`FusedPainn::in_int8`], or where the processor lacks the instructions.
    pub fn in_int8_with_isa(
        spec: &Spec,
        (weights, int8): (&Weights, &Int8Weights),
        species: &[u8],
        threads: usize,
        isa: Isa,
    ) -> Result<Self> {
        check_instructions(isa)?;
        let widened = int8.widened(weights)?;
        let numbers = (&widened, Some(int8));
        let made = with_lanes!(Precision::F32, isa, bind(spec, numbers, species, threads))?;
        Ok(Self::of(
            spec,
            species,
            made,
            (Precision::Int8, isa, threads),
        ))
    }

    fn of(
        spec: &Spec,
        species: &[u8],
        (runner, error): (Box<dyn Runner>, SplineError),
        (precision, isa, threads): (Precision, Isa, usize),
    ) -> Self {
        let about = fused::about(spec.words(), precision, error, isa, threads);
        Self {
            runner,
            species: species.to_vec(),
            offset: spec.offset(species),
            spec: Arc::new(spec.clone()),
            error,
            about,
        }
    }

    /// Shows what the products of the network are applied to in an arrangement, in the order in which they are computed.
    ///
    /// # Errors
    /// The list of pairs is none of these atoms.
    pub fn visit_inputs(
        &self,
        pairs: &Pairs,
        visit: &mut dyn FnMut(Int8Product, &ProductInputs),
    ) -> Result<()> {
        self.runner.visit_inputs(&self.species, pairs, visit)
    }

    /// Least memory (bytes) that the arrays of an evaluation take for the system on each thread, for each atom and for each pair.
    pub fn bytes_needed(spec: &Spec, precision: Precision) -> [f64; 3] {
        let bytes = match precision {
            Precision::F64 => workspace::bytes_needed::<f64>(spec),
            _ => workspace::bytes_needed::<f32>(spec),
        };
        bytes.map(|bytes| bytes as f64)
    }

    /// Largest errors of the filters' splines.
    pub fn spline_error(&self) -> SplineError {
        self.error
    }
}

impl Potential for FusedPainn {
    fn cutoff(&self) -> f64 {
        self.spec.cutoff
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        let scale = self.spec.energy_scale;
        let network = self.runner.evaluate(pairs, scale, out)?;
        out.energy = self.offset + scale * network;
        Ok(())
    }

    fn about(&self) -> About {
        self.about.clone()
    }

    fn atom_energies(&self) -> Option<Vec<f64>> {
        let energies = self.runner.energies().iter().zip(&self.species);
        let whole = energies.map(|(e, z)| self.spec.offset(&[*z]) + self.spec.energy_scale * e);
        Some(whole.collect())
    }

    fn bound_to(&self, species: &[u8]) -> Result<Option<Box<dyn Potential>>> {
        Ok(Some(Box::new(Self {
            runner: self.runner.bound_to(species)?,
            spec: Arc::clone(&self.spec),
            species: species.to_vec(),
            offset: self.spec.offset(species),
            error: self.error,
            about: self.about.clone().on_threads(1),
        })))
    }
}

/// A network of one lane type with its arrays and threads.
trait Runner: Send {
    /// Forces and strain derivative in eV; returns the network's energy in its own unit.
    fn evaluate(&mut self, pairs: &Pairs, scale: f64, out: &mut Evaluation) -> Result<f64>;

    /// The network's energy of each atom in the arrangement evaluated last, in its own unit.
    fn energies(&self) -> &[f64];

    /// See [`FusedPainn::visit_inputs`].
    fn visit_inputs(
        &self,
        species: &[u8],
        pairs: &Pairs,
        visit: &mut dyn FnMut(Int8Product, &ProductInputs),
    ) -> Result<()>;

    /// The same network with arrays for other atoms, on one thread.
    fn bound_to(&self, species: &[u8]) -> Result<Box<dyn Runner>>;
}

struct BoundNetwork<V: LaneKernels> {
    network: Arc<Network<V::T>>,
    workspace: Workspace<V::T>,
    pool: Pool,
}

fn bind<V: LaneKernels>(
    spec: &Spec,
    numbers: (&Weights, Option<&Int8Weights>),
    species: &[u8],
    threads: usize,
) -> Result<(Box<dyn Runner>, SplineError)> {
    let (present, indices) = species_indices(species);
    let bound = spline::bound::<V::T>();
    let (network, error) = Network::new(spec, numbers, &present, 2 * V::N, bound)?;
    let runner = BoundNetwork::<V>::new(Arc::new(network), indices, threads)?;
    Ok((Box::new(runner), error))
}

impl<V: LaneKernels> BoundNetwork<V> {
    /// For atoms with these species indices.
    fn new(network: Arc<Network<V::T>>, species: Vec<u32>, threads: usize) -> Result<Self> {
        let workspace = Workspace::new(&network, species, threads.max(1));
        let pool = Pool::new(threads, workspace.stages())?;
        Ok(Self {
            network,
            workspace,
            pool,
        })
    }
}

impl<V: LaneKernels> Runner for BoundNetwork<V> {
    fn evaluate(&mut self, pairs: &Pairs, scale: f64, out: &mut Evaluation) -> Result<f64> {
        let atoms = self.workspace.rows.atoms();
        let threads = self.pool.threads().min(atoms / ATOMS_PER_THREAD).max(1);
        (self.workspace.rows).prepare(pairs, self.network.cutoff, threads, out)?;
        let cut = stages::cut(atoms, threads);
        let (view, program) = (self.workspace).view(&self.network, pairs, cut, scale, out);
        let work = |thread: usize, stage: usize, task: usize| {
            // What the first stage finds not to be a pair list is not followed.
            if stage == 0 || !view.faulty() {
                // SAFETY: `with_isa` has checked the processor, `prepare` the sizes; tasks of one
                // stage write to different places, and a stage ends before the next begins.
                unsafe { V::task(&view, program[stage], task, thread) }
            }
        };
        let tasks = program.iter().map(|stage| stage.tasks(&view));
        self.pool.run(threads, tasks, &work);
        self.workspace.rows.finish(out)
    }

    fn visit_inputs(
        &self,
        species: &[u8],
        pairs: &Pairs,
        visit: &mut dyn FnMut(Int8Product, &ProductInputs),
    ) -> Result<()> {
        let indices = indices_among(&self.network.species, species)?;
        inputs::visit::<V>(&self.network, indices, pairs, visit)
    }

    fn energies(&self) -> &[f64] {
        self.workspace.rows.energies()
    }

    fn bound_to(&self, species: &[u8]) -> Result<Box<dyn Runner>> {
        let indices = indices_among(&self.network.species, species)?;
        let network = Arc::clone(&self.network);
        Ok(Box::new(Self::new(network, indices, 1)?))
    }
}
