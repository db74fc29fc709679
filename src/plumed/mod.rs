//! PLUMED as what biases a run: the order in which it is told what, in which units, and where its files are.
//!
//! Before the first step it is told units, the number of atoms and the time step, then `init`; at each step the number of the
//! step, masses, cell, positions, forces, strain derivative and energy of the potential, then `prepareCalc` and `performCalc`,
//! which add to the forces and to the strain derivative in place.
//! PLUMED counts a virial as the derivative of the energy with respect to a strain,
//! of the same sign as [`Evaluation::strain_derivative`].
//!
//! PLUMED opens files relative to the folder of the process: while it is told something that is the folder of the run, and one
//! PLUMED is told something at a time.

mod kernel;

use std::env;
use std::ffi::{CString, c_int, c_long};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kernel::{CStream, PlumedArgument, PlumedObject};

use crate::core::{Cell, Mat3, Vec3};
use crate::forcefield::{BiasScene, RunBias};
use crate::potential::Evaluation;
use crate::units::{KJ_PER_MOL, NANOMETRE, PICOSECOND};
use crate::{Error, Result};

pub use kernel::{PlumedKernel, USUAL_KERNEL};

/// What PLUMED is told the program is.
const ENGINE: &str = "mdrun";
/// Bytes of a number.
const REAL: c_int = 8;

/// One PLUMED is told something at a time: the folder of the process is one for all of its threads.
static FOLDER: Mutex<()> = Mutex::new(());

/// What a run tells PLUMED before its first step.
#[derive(Debug, Clone, PartialEq)]
pub struct PlumedScene {
    /// Its input.
    pub input: PathBuf,
    /// Where it writes: the run's directory.
    pub directory: PathBuf,
    /// Its log, in there.
    pub log: String,
    /// Masses (u).
    pub masses: Vec<f64>,
    /// Which directions of the cell are periodic.
    pub periodic: [bool; 3],
    /// Time step (internal).
    pub timestep: f64,
    /// Temperature kT (eV) of the bath, where there is one and it stays.
    pub kt: Option<f64>,
    /// Whether the run goes on from a checkpoint.
    pub restart: bool,
    /// Steps between checkpoints, at which PLUMED writes down its state too; 0 where no step says when.
    pub checkpoint_every: u64,
}

/// PLUMED beside a run.
pub struct PlumedBias {
    object: PlumedObject,
    directory: PathBuf,
    checkpoint_every: u64,
    numbers: Box<PlumedNumbers>,
    /// Whether it has asked for the end of the run.
    ends: Arc<AtomicBool>,
    /// Behind the object, which writes to it until it ends.
    log: CStream,
}

/// PlumedNumbers that PLUMED has been told where they are. It may look at any of them until it ends.
struct PlumedNumbers {
    timestep: f64,
    kt: f64,
    energy: f64,
    /// Not 0 where PLUMED asks for the end of the run.
    stop: c_int,
    masses: Vec<f64>,
    positions: Vec<f64>,
    forces: Vec<f64>,
    cell: [f64; 9],
    derivative: [f64; 9],
}

impl PlumedBias {
    /// Begins PLUMED: it reads its input and opens its files.
    ///
    /// # Errors
    /// The cell is periodic in some directions alone, or what PLUMED says of its input.
    pub fn begin(kernel: PlumedKernel, scene: &PlumedScene) -> Result<Self> {
        if scene.periodic.contains(&true) && scene.periodic.contains(&false) {
            return Err(Error::input(
                "PLUMED takes a cell that is periodic in all directions, or in none",
            ));
        }
        let atoms = scene.masses.len();
        let numbers = PlumedNumbers {
            timestep: scene.timestep,
            kt: scene.kt.unwrap_or_default(),
            energy: 0.0,
            stop: 0,
            masses: scene.masses.clone(),
            positions: vec![0.0; 3 * atoms],
            forces: vec![0.0; 3 * atoms],
            cell: [0.0; 9],
            derivative: [0.0; 9],
        };
        let directory = absolute(&scene.directory)?;
        let log = directory.join(&scene.log);
        let log = CStream::append(&text(&log)?)
            .map_err(|e| Error::input(format!("cannot write {}: {e}", log.display())))?;
        let mut bias = Self {
            object: PlumedObject::create(kernel)?,
            directory,
            checkpoint_every: scene.checkpoint_every,
            numbers: Box::new(numbers),
            ends: Arc::default(),
            log,
        };
        let input = text(&absolute(&scene.input)?)?;
        bias.within(|bias| bias.init(scene, &input))?;
        Ok(bias)
    }

    /// Becomes true when PLUMED asks for the end of the run.
    pub fn ends(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ends)
    }

    /// Does something while the folder of the process is that of the run.
    fn within<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let _alone = FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = |e| {
            Error::run(format!(
                "cannot go to the folder of the run for PLUMED: {e}"
            ))
        };
        let before = env::current_dir().map_err(moved)?;
        env::set_current_dir(&self.directory).map_err(moved)?;
        let done = act(self);
        env::set_current_dir(before).map_err(moved)?;
        done
    }

    fn init(&mut self, scene: &PlumedScene, input: &CString) -> Result<()> {
        let engine = CString::new(ENGINE).map_err(|e| Error::input(e.to_string()))?;
        let atoms = c_int::try_from(scene.masses.len())
            .map_err(|_| Error::input("there are more atoms than PLUMED can count"))?;
        let Self {
            object,
            numbers,
            log,
            ..
        } = self;
        object.tell("setRealPrecision", PlumedArgument::Integer(REAL))?;
        // Internal units in those of PLUMED: kJ/mol, nm, ps; u and e are the same.
        for (word, mut unit) in [
            ("setMDEnergyUnits", 1.0 / KJ_PER_MOL),
            ("setMDLengthUnits", 1.0 / NANOMETRE),
            ("setMDTimeUnits", 1.0 / PICOSECOND),
            ("setMDMassUnits", 1.0),
            ("setMDChargeUnits", 1.0),
        ] {
            object.tell(word, PlumedArgument::Number(&mut unit))?;
        }
        object.tell("setMDEngine", PlumedArgument::Text(&engine))?;
        object.tell(
            "setRestart",
            PlumedArgument::Integer(c_int::from(scene.restart)),
        )?;
        object.tell("setLog", PlumedArgument::Stream(log))?;
        object.tell("setPlumedDat", PlumedArgument::Text(input))?;
        object.tell("setNatoms", PlumedArgument::Integer(atoms))?;
        object.tell("setTimestep", PlumedArgument::Number(&mut numbers.timestep))?;
        if scene.kt.is_some() {
            object.tell("setKbT", PlumedArgument::Number(&mut numbers.kt))?;
        }
        object.tell("init", PlumedArgument::Nothing)?;
        object.tell("setStopFlag", PlumedArgument::Flag(&mut numbers.stop))
    }

    /// One step; returns the energy of the bias.
    fn step(&mut self, step: u64) -> Result<f64> {
        let due = self.checkpoint_every > 0 && step.is_multiple_of(self.checkpoint_every);
        let step = c_long::try_from(step).map_err(|e| Error::run(e.to_string()))?;
        let Self {
            object, numbers, ..
        } = self;
        let atoms = numbers.masses.len();
        object.tell("setStepLong", PlumedArgument::Long(step))?;
        object.tell(
            "setMasses",
            PlumedArgument::Numbers(&mut numbers.masses, &[atoms]),
        )?;
        object.tell(
            "setBox",
            PlumedArgument::Numbers(&mut numbers.cell, &[3, 3]),
        )?;
        let shape = &[atoms, 3];
        object.tell(
            "setPositions",
            PlumedArgument::Numbers(&mut numbers.positions, shape),
        )?;
        object.tell(
            "setForces",
            PlumedArgument::Numbers(&mut numbers.forces, shape),
        )?;
        object.tell(
            "setVirial",
            PlumedArgument::Numbers(&mut numbers.derivative, &[3, 3]),
        )?;
        object.tell("setEnergy", PlumedArgument::Number(&mut numbers.energy))?;
        if due {
            object.tell("doCheckPoint", PlumedArgument::Integer(1))?;
        }
        object.tell("prepareCalc", PlumedArgument::Nothing)?;
        object.tell("performCalc", PlumedArgument::Nothing)?;
        let mut bias = 0.0;
        object.tell("getBias", PlumedArgument::Number(&mut bias))?;
        if numbers.stop != 0 {
            self.ends.store(true, Ordering::Release);
        }
        Ok(bias)
    }
}

impl PlumedNumbers {
    /// Takes in the present state, and what acts without a bias.
    fn take(&mut self, scene: &BiasScene<'_>, without: &Evaluation) {
        copy(scene.positions, &mut self.positions);
        copy(&without.forces, &mut self.forces);
        self.cell = box_of(scene.cell);
        self.derivative = rows(&without.strain_derivative);
        self.energy = without.energy;
    }
}

impl RunBias for PlumedBias {
    fn act(&mut self, scene: &BiasScene<'_>, out: &mut Evaluation) -> Result<f64> {
        self.numbers.take(scene, out);
        let step = scene.step;
        let bias = self.within(|bias| bias.step(step));
        let bias = bias.map_err(|e| e.within(format!("step {step}")))?;
        let (triples, _) = self.numbers.forces.as_chunks::<3>();
        for (force, with) in out.forces.iter_mut().zip(triples) {
            *force = Vec3::from(*with);
        }
        out.strain_derivative = Mat3::from_row_slice(&self.numbers.derivative);
        Ok(bias)
    }
}

impl Drop for PlumedBias {
    fn drop(&mut self) {
        // Where the folder is gone PLUMED ends in another one.
        let _ = self.within(|bias| {
            bias.object.end();
            Ok(())
        });
    }
}

/// Gives to the system all that PLUMED has written: what its files hold is what it has said.
///
/// # Errors
/// Some of it cannot be written.
pub fn flush() -> Result<()> {
    kernel::flush_all()
        .map_err(|e| Error::run(format!("what PLUMED writes cannot be written: {e}")))
}

/// The cell as PLUMED takes it: lattice vectors as rows, zeros where nothing is periodic.
fn box_of(cell: &Cell) -> [f64; 9] {
    match cell.is_periodic() {
        true => rows(cell.vectors()),
        false => [0.0; 9],
    }
}

fn rows(of: &Mat3) -> [f64; 9] {
    std::array::from_fn(|k| of[(k / 3, k % 3)])
}

fn copy(from: &[Vec3], to: &mut [f64]) {
    let (triples, _) = to.as_chunks_mut::<3>();
    for (triple, vector) in triples.iter_mut().zip(from) {
        *triple = (*vector).into();
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::input(format!("{}: {e}", path.display())))
}

fn text(path: &Path) -> Result<CString> {
    let bytes = path.as_os_str().as_bytes();
    CString::new(bytes).map_err(|e| Error::input(format!("{}: {e}", path.display())))
}
