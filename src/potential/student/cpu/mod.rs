//! The fused engine of a StudentForceField: its energy and analytic gradient on the processor, with what `fused` has.
//!
//! Filters are splines of the distance, messages gathers over receiver-sorted rows, atom-wise layers products over blocks of
//! atoms that one task takes through from gather to gather. The last layer's vectors, which nothing reads, and the first
//! layer's gradients are left out. Sums run in an order that depends on atoms alone, so that bits depend neither on threads nor
//! on how work is cut.

mod atomwise;
mod message;
mod program;
mod view;

use std::sync::Arc;

use super::Student;
use super::packed::PackedStudent;
use crate::Result;
use crate::neighbors::Pairs;
use crate::potential::fused::pool::Pool;
use crate::potential::fused::{
    self, ATOMS_PER_THREAD, Isa, SplineError, check_instructions, indices_among, lane,
    species_indices, spline, with_lanes,
};
use crate::potential::{About, Evaluation, Potential, Precision};

use program::StudentKernels;
use view::StudentArrays;

/// A StudentForceField on the processor, bound to the species of one system.
pub struct FusedStudent {
    runner: Box<dyn StudentRunner>,
    cutoff: f64,
    energy_scale: f64,
    error: SplineError,
    about: About,
}

impl FusedStudent {
    /// The engine for atoms of these species (atomic numbers), on `threads` threads, the caller's included.
    ///
    /// # Errors
    /// Numbers that do not fit together, a species without embedding, or no threads.
    pub fn new(
        student: &Student,
        species: &[u8],
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        let isa = Isa::available().first().copied().unwrap_or(Isa::Portable);
        Self::with_isa(student, species, precision, threads, isa)
    }

    /// Binds a model, with the instructions chosen by the caller.
    ///
    /// # Errors
    /// As [`FusedStudent::new`], or where the processor lacks the instructions.
    pub fn with_isa(
        student: &Student,
        species: &[u8],
        precision: Precision,
        threads: usize,
        isa: Isa,
    ) -> Result<Self> {
        check_instructions(isa)?;
        student.check()?;
        student.check_embedding(species)?;
        let (runner, error) = with_lanes!(precision, isa, bind(student, species, threads))?;
        Ok(Self {
            runner,
            cutoff: student.cutoff,
            energy_scale: student.energy_scale,
            error,
            about: fused::about(student.words(), precision, error, isa, threads),
        })
    }

    /// Least memory (bytes) that the arrays of an evaluation take for the system on each thread, for each atom and for each pair.
    pub fn bytes_needed(student: &Student, precision: Precision) -> [f64; 3] {
        let bytes = match precision {
            Precision::F64 => view::bytes_needed::<f64>(student),
            _ => view::bytes_needed::<f32>(student),
        };
        bytes.map(|bytes| bytes as f64)
    }

    /// Largest errors of the filters' splines.
    pub fn spline_error(&self) -> SplineError {
        self.error
    }
}

impl Potential for FusedStudent {
    fn cutoff(&self) -> f64 {
        self.cutoff
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        let energy = self.runner.evaluate(pairs, self.energy_scale, out)?;
        out.energy = self.energy_scale * energy;
        Ok(())
    }

    fn about(&self) -> About {
        self.about.clone()
    }

    fn atom_energies(&self) -> Option<Vec<f64>> {
        let energies = self.runner.energies().iter();
        Some(energies.map(|energy| self.energy_scale * energy).collect())
    }

    fn bound_to(&self, species: &[u8]) -> Result<Option<Box<dyn Potential>>> {
        Ok(Some(Box::new(Self {
            runner: self.runner.bound_to(species)?,
            cutoff: self.cutoff,
            energy_scale: self.energy_scale,
            error: self.error,
            about: self.about.clone().on_threads(1),
        })))
    }
}

/// A network of one lane type with its arrays and threads.
trait StudentRunner: Send {
    /// Forces and strain derivative in eV; returns the network's energy in its own unit.
    fn evaluate(&mut self, pairs: &Pairs, scale: f64, out: &mut Evaluation) -> Result<f64>;

    /// The network's energy of each atom in the arrangement evaluated last, in its own unit.
    fn energies(&self) -> &[f64];

    /// The same network with arrays for other atoms, on one thread.
    fn bound_to(&self, species: &[u8]) -> Result<Box<dyn StudentRunner>>;
}

struct LanesOfStudent<V: StudentKernels> {
    network: Arc<PackedStudent<V::T>>,
    arrays: StudentArrays<V::T>,
    pool: Pool,
}

fn bind<V: StudentKernels>(
    student: &Student,
    species: &[u8],
    threads: usize,
) -> Result<(Box<dyn StudentRunner>, SplineError)> {
    let (present, indices) = species_indices(species);
    let bound = spline::bound::<V::T>();
    let (network, error) = PackedStudent::new(student, &present, 2 * V::N, bound)?;
    let runner = LanesOfStudent::<V>::new(Arc::new(network), indices, threads)?;
    Ok((Box::new(runner), error))
}

impl<V: StudentKernels> LanesOfStudent<V> {
    /// For atoms with these species indices.
    fn new(network: Arc<PackedStudent<V::T>>, species: Vec<u32>, threads: usize) -> Result<Self> {
        let stages = program::stages(network.layers.len());
        Ok(Self {
            arrays: StudentArrays::new(&network, species, threads.max(1)),
            pool: Pool::new(threads, stages.len())?,
            network,
        })
    }
}

impl<V: StudentKernels> StudentRunner for LanesOfStudent<V> {
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

    fn bound_to(&self, species: &[u8]) -> Result<Box<dyn StudentRunner>> {
        let indices = indices_among(&self.network.species, species)?;
        let network = Arc::clone(&self.network);
        Ok(Box::new(Self::new(network, indices, 1)?))
    }
}
