//! Energies, forces and stress of given atoms.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use mdrun::assemble;
use mdrun::config::plan::{DeviceKind, DevicePlan, EngineChoice};
use mdrun::core::{Mat3, Spread};
use mdrun::{Error, Result};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyTuple};
use rayon::ThreadPool;

use crate::array::Array;
use crate::atoms::{GivenAtoms, GivenBytes};
use crate::fault::Fault;
use crate::field::{AnyField, Computer, FoundField};
use crate::state::fill;

/// Atoms that are evaluated between two looks for Ctrl-C: a fraction of a second on the host; a card wants more at once.
const MOST_ATOMS: usize = 16_384;
const MOST_ATOMS_ON_A_CARD: usize = 400_000;

/// The process that has begun to compute; 0 before that.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Checks that threads which this process has begun are in it: a fork has none of them.
///
/// # Errors
/// They are in the process that this one was forked from.
pub fn check_process() -> Result<()> {
    let own = std::process::id();
    match OWNER.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed) {
        Err(owner) if owner != own => Err(Error::run(
            "this process was forked from one that has computed already, and has none of its threads: begin it with \
             multiprocessing's \"spawn\" or \"forkserver\"",
        )),
        _ => Ok(()),
    }
}

/// A model on a device. `mdrun.Potential` is made around it.
#[pyclass(frozen, module = "mdrun._mdrun")]
pub struct Potential {
    field: Mutex<AnyField>,
    /// Threads of its own, where their number was asked for.
    pool: Option<ThreadPool>,
    /// What it is, for people.
    words: String,
    notes: Vec<String>,
    cutoff: f64,
    most_atoms: usize,
    #[cfg(feature = "cuda")]
    is_on_a_card: bool,
}

#[pymethods]
impl Potential {
    /// Reads models, several as a committee.
    #[new]
    fn new(
        py: Python<'_>,
        models: Vec<PathBuf>,
        precision: Option<&str>,
        device: &str,
        threads: Option<usize>,
    ) -> Result<Self, Fault> {
        Ok(py.detach(|| Self::load(&models, precision, device, threads))?)
    }

    /// What it is, in a line.
    #[getter]
    fn description(&self) -> &str {
        &self.words
    }

    /// What is to be said of the model files.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// Range (angstrom).
    #[getter]
    fn cutoff(&self) -> f64 {
        self.cutoff
    }

    /// Time that evaluations took so far (s).
    #[getter]
    fn evaluating(&self, py: Python<'_>) -> f64 {
        let spent = || {
            self.field
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .spent()
        };
        py.detach(spent).as_secs_f64()
    }

    /// Evaluates a structure: its energy, the bytes of atoms' energies, of forces and of stress, how far the models of a committee are apart, and what
    /// of it the model has not learned.
    fn evaluate<'py>(&self, py: Python<'py>, atoms: GivenBytes) -> PyResult<Bound<'py, PyTuple>> {
        let found = py.detach(|| {
            check_process()?;
            let atoms = GivenAtoms::read(&atoms)?;
            self.on_its_threads(|field| field.evaluate(&atoms))
        });
        answer(py, found.map_err(Fault)?)
    }

    /// Evaluates structures side by side. The first that cannot be evaluated is an error that names it.
    fn evaluate_all<'py>(
        &self,
        py: Python<'py>,
        all: Vec<GivenBytes>,
    ) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let mut answers = Vec::with_capacity(all.len());
        let mut left = &all[..];
        while !left.is_empty() {
            let found = py.detach(|| self.piece(left));
            let found = found.map_err(Fault)?;
            left = &left[found.len()..];
            for one in found {
                let number = answers.len();
                let one = one.map_err(|e| Fault(e.within(format!("frame {number}"))))?;
                answers.push(answer(py, one)?);
            }
            py.check_signals()?;
        }
        Ok(answers)
    }

    /// Evaluates structures side by side: their energies, the forces on the atoms of one behind those of the other, and their
    /// stresses where all have some, where they were computed; and what of them the model has not learned.
    fn evaluate_arrays(&self, py: Python<'_>, all: Vec<GivenBytes>) -> PyResult<FoundArrays> {
        #[cfg(feature = "cuda")]
        if self.is_on_a_card {
            return self.arrays_on_card(py, &all);
        }
        self.arrays(py, &all)
    }
}

/// Energies, forces and stresses of structures, and what the model has not learned of them.
type FoundArrays = (Array, Array, Option<Array>, Vec<String>);

impl Potential {
    /// Puts what is found of structures one behind the other into the host's memory.
    fn arrays(&self, py: Python<'_>, all: &[GivenBytes]) -> PyResult<FoundArrays> {
        let (mut energies, mut forces, mut doubts) = (Vec::new(), Vec::new(), Vec::new());
        let mut stresses = Some(Vec::new());
        while energies.len() < all.len() {
            let found = py.detach(|| self.piece(&all[energies.len()..]));
            for one in found.map_err(Fault)? {
                let number = energies.len();
                let one = one.map_err(|e| Fault(e.within(format!("frame {number}"))))?;
                let evaluation = one.evaluation;
                energies.push(evaluation.energy);
                forces.extend(evaluation.forces.iter().flatten());
                stresses = stresses.zip(one.volume).map(|(mut stresses, volume)| {
                    let rows = evaluation.stress(volume).transpose();
                    stresses.extend(rows.iter());
                    stresses
                });
                doubts.extend(one.doubts);
            }
            py.check_signals()?;
        }
        let (count, atoms) = (energies.len(), forces.len() / 3);
        let stresses = stresses.map(|all| Array::in_host_memory(all, &[count, 3, 3]));
        Ok((
            Array::in_host_memory(energies, &[count]),
            Array::in_host_memory(forces, &[atoms, 3]),
            stresses,
            doubts,
        ))
    }

    /// Has what is found of structures stay on the card.
    #[cfg(feature = "cuda")]
    fn arrays_on_card(&self, py: Python<'_>, all: &[GivenBytes]) -> PyResult<FoundArrays> {
        let found = py.detach(|| {
            check_process()?;
            let read = all.iter().enumerate().map(|(k, given)| {
                GivenAtoms::read(given).map_err(|e| e.within(format!("frame {k}")))
            });
            let all = read.collect::<Result<Vec<_>>>()?;
            self.on_its_threads(|field| field.evaluate_on_card(&all))
        });
        let (found, doubts) = found.map_err(Fault)?;
        Ok((
            Array::on_a_card(found.energies),
            Array::on_a_card(found.forces),
            found.stresses.map(Array::on_a_card),
            doubts,
        ))
    }

    fn load(
        models: &[PathBuf],
        precision: Option<&str>,
        device: &str,
        threads: Option<usize>,
    ) -> Result<Self> {
        check_process()?;
        let pool = match threads {
            Some(count) => Some(own_threads(count)?),
            None => {
                common_threads()?;
                None
            }
        };
        let computer = Computer::load(models, precision, device, threads)?;
        let model = &computer.model;
        Ok(Self {
            words: model.describe(),
            notes: model.notes(),
            cutoff: model.cutoff(),
            #[cfg(feature = "cuda")]
            is_on_a_card: computer.is_on_a_card(),
            most_atoms: match computer.is_on_a_card() {
                true => MOST_ATOMS_ON_A_CARD,
                false => MOST_ATOMS,
            },
            field: Mutex::new(AnyField::new(computer)),
            pool,
        })
    }

    /// Evaluates the first of some structures: as many as are evaluated between two looks for Ctrl-C.
    fn piece(&self, all: &[GivenBytes]) -> Result<Vec<Result<FoundField>>> {
        check_process()?;
        let (mut read, mut atoms) = (Vec::new(), 0);
        for given in all {
            let one = GivenAtoms::read(given);
            atoms += one.as_ref().map_or(0, |one| one.species.len());
            read.push(one);
            if atoms >= self.most_atoms {
                break;
            }
        }
        // Those behind one that cannot be read are not asked for.
        let sound = read.iter().position(Result::is_err).unwrap_or(read.len());
        let fault = read.drain(sound..).next();
        let sound: Vec<GivenAtoms> = read.into_iter().flatten().collect();
        let mut found = self.on_its_threads(|field| field.evaluate_all(&sound))?;
        found
            .extend(fault.map(|fault| fault.and_then(|_| Err(Error::run("it was not evaluated")))));
        Ok(found)
    }

    fn on_its_threads<T: Send>(&self, work: impl FnOnce(&mut AnyField) -> T + Send) -> T {
        let locked = || {
            // What a panic has left is made anew or overwritten.
            let mut field = self.field.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut field)
        };
        match &self.pool {
            Some(pool) => pool.install(locked),
            None => locked(),
        }
    }
}

/// Threads that all share who ask for no number: one for each core.
pub fn common_threads() -> Result<()> {
    assemble::threads(&DevicePlan {
        kind: DeviceKind::Cpu,
        threads: None,
        engine: EngineChoice::Auto,
    })
}

pub fn own_threads(count: usize) -> Result<ThreadPool> {
    if count == 0 {
        return Err(Error::input("threads = 0: one at the least is wanted"));
    }
    let built = rayon::ThreadPoolBuilder::new().num_threads(count).build();
    built.map_err(|e| Error::run(format!("cannot start {count} threads: {e}")))
}

/// What was found, for Python.
fn answer(py: Python<'_>, found: FoundField) -> PyResult<Bound<'_, PyTuple>> {
    let FoundField {
        evaluation,
        atom_energies,
        volume,
        doubts,
    } = found;
    let forces = evaluation.forces.iter().flatten().copied();
    let forces = writable(py, 3 * evaluation.forces.len(), forces)?;
    let energies = atom_energies.map(|all| writable(py, all.len(), all.into_iter()));
    let stress = volume.map(|volume| stress(py, &evaluation.strain_derivative, volume));
    let spread = evaluation
        .spread
        .map(|Spread { energy, force }| (energy, force));
    let (energies, stress) = (energies.transpose()?, stress.transpose()?);
    (evaluation.energy, energies, forces, stress, spread, doubts).into_pyobject(py)
}

/// eV / angstrom^3, row by row.
fn stress<'py>(py: Python<'py>, strain: &Mat3, volume: f64) -> PyResult<Bound<'py, PyByteArray>> {
    let rows = (strain / volume).transpose();
    writable(py, 9, rows.iter().copied())
}

/// So many numbers as bytes that Python may write over.
fn writable(
    py: Python<'_>,
    count: usize,
    numbers: impl Iterator<Item = f64>,
) -> PyResult<Bound<'_, PyByteArray>> {
    PyByteArray::new_with(py, 8 * count, |room| {
        fill(room, numbers);
        Ok(())
    })
}
