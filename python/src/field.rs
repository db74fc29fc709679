//! A model with the force fields that it was bound to, which are used again.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mdrun::assemble::{self, Int8Scene, Model};
use mdrun::config::check_overlaps;
use mdrun::config::plan::{DeviceKind, DevicePlan, EngineChoice};
use mdrun::core::{Cell, FormalElectrons, Mat3, System, elements};
#[cfg(feature = "cuda")]
use mdrun::forcefield::CardPoints;
use mdrun::forcefield::{Arrangement, ForceField, ManyForceField};
use mdrun::potential::{ElectronScene, Evaluation, Precision};
use mdrun::{Error, Result, bench, memory};
use self_cell::self_cell;

use crate::atoms::GivenAtoms;

/// Skin of a single structure's list of pairs (angstrom): optimisers and integrators come back with much the same positions.
const SKIN: f64 = 1.0;
/// Most structures of different atoms that a force field is kept for.
const MOST_BOUND: usize = 8;
/// Structures of so many atoms are looked at whether there is memory for them.
const LARGE: usize = 1000;
/// Most structures that weights in 8 bits are found from.
const MOST_SCENES: usize = 8;
/// Most structures whose doubts are told.
const MOST_DOUBTED: usize = 20;

/// What computes: a model, its numbers and a device.
pub struct Computer {
    /// The model.
    pub model: Model,
    /// Numbers of its network.
    pub precision: Precision,
    /// Where it is evaluated.
    pub device: DevicePlan,
}

impl Computer {
    /// Reads models, several as a committee; numbers are f64 if not said, f32 on a card.
    ///
    /// # Errors
    /// A model cannot be read; or there are no such numbers, or no such device.
    pub fn load(
        models: &[PathBuf],
        precision: Option<&str>,
        device: &str,
        threads: Option<usize>,
    ) -> Result<Self> {
        let wrong = |what: &str, text: &str, wanted: String| {
            Error::input(format!("{what} = {text:?}: {wanted} is wanted"))
        };
        let kind = bench::parse_device(device).map_err(|wanted| wrong("device", device, wanted))?;
        let precision = match precision {
            Some(text) => text
                .parse()
                .map_err(|wanted| wrong("precision", text, wanted))?,
            None if matches!(kind, DeviceKind::Cuda(_)) => Precision::F32,
            None => Precision::F64,
        };
        let device = DevicePlan {
            kind,
            threads,
            engine: EngineChoice::Auto,
        };
        assemble::check_place(&device, precision)?;
        Ok(Self {
            model: assemble::load_networks(models)?,
            precision,
            device,
        })
    }

    /// Whether it is on a card.
    pub fn is_on_a_card(&self) -> bool {
        matches!(self.device.kind, DeviceKind::Cuda(_))
    }

    /// Does what is done with a structure before it is evaluated.
    ///
    /// # Errors
    /// The model does not know an element, two atoms overlap, or there is no memory for them.
    fn look(&self, atoms: &GivenAtoms, cell: &Cell) -> Result<()> {
        let system = System::of_species(&atoms.species);
        check_overlaps(&system, &atoms.positions, cell)?;
        if system.len() >= LARGE {
            let appetite = self.model.appetite(self.precision, &self.device);
            memory::check(
                cell,
                &atoms.positions,
                (self.model.cutoff(), SKIN),
                appetite,
            )?;
        }
        Ok(())
    }

    /// The cell of a structure that can be evaluated.
    ///
    /// # Errors
    /// It cannot.
    fn cell_of(&self, atoms: &GivenAtoms) -> Result<Cell> {
        let cell = atoms.cell()?;
        let system = System::of_species(&atoms.species);
        self.model.check_species(&system)?;
        self.look(atoms, &cell)?;
        Ok(cell)
    }

    /// Finds weights in 8 bits from structures that come, where those are wanted and not found yet.
    fn find_int8(&self, all: &[Arrangement<'_>]) -> Result<()> {
        if self.precision != Precision::Int8 || all.is_empty() {
            return Ok(());
        }
        assemble::check_numbers(&self.model, &self.device, self.precision)?;
        let every = all.len().div_ceil(MOST_SCENES);
        let systems: Vec<(System, &Arrangement<'_>)> = (all.iter().step_by(every))
            // Weights are found on a trajectory, which masses matter to.
            .map(|at| (System::of_standard_masses(at.species), at))
            .collect();
        let scenes = systems.iter().map(|(system, at)| Int8Scene {
            system,
            cell: at.cell,
            positions: at.positions,
            kt: None,
        });
        let scenes: Vec<_> = scenes.collect();
        assemble::find_int8(&self.model, self.precision, &self.device, &scenes)
    }

    fn doubts(&self, atoms: &GivenAtoms, cell: &Cell) -> Vec<String> {
        self.model.doubts(&ElectronScene {
            species: &atoms.species,
            cell,
            positions: &atoms.positions,
            electrons: &FormalElectrons::default(),
        })
    }
}

self_cell!(
    /// A model and what is bound to it.
    struct Held {
        owner: Computer,
        #[not_covariant]
        dependent: Bound,
    }
);

/// Force fields that were made before.
#[derive(Default)]
struct Bound<'m> {
    /// Of structures that came one by one, the one used last at the end.
    alone: Vec<BoundAlone<'m>>,
    /// Of structures that come together, and the elements that it knows.
    together: Option<(Vec<u8>, Box<dyn ManyForceField + 'm>)>,
    /// Atoms whose doubts were told.
    doubted: HashSet<Vec<u8>>,
    /// Time that evaluations took so far.
    spent: Duration,
}

/// The force field of some atoms.
struct BoundAlone<'m> {
    species: Vec<u8>,
    field: Box<dyn ForceField + 'm>,
    /// The lattice that came last, and its cell.
    last: Option<((Mat3, [bool; 3]), Cell)>,
}

/// A force field of any atoms that a model knows.
pub struct AnyField(Held);

/// What was found of a structure.
pub struct FoundField {
    /// Energy, forces and strain derivative.
    pub evaluation: Evaluation,
    /// Energy of each atom (eV), where it is told.
    pub atom_energies: Option<Vec<f64>>,
    /// Volume (cubic angstrom) where the cell is periodic in all directions.
    pub volume: Option<f64>,
    /// What of its electrons the model has not learned, where it was not told before.
    pub doubts: Vec<String>,
}

impl AnyField {
    /// A force field that is not bound to any atoms yet.
    pub fn new(computer: Computer) -> Self {
        Self(Held::new(computer, |_| Bound::default()))
    }

    /// Time that evaluations took so far, without what is around them.
    pub fn spent(&self) -> Duration {
        self.0.with_dependent(|_, bound| bound.spent)
    }

    /// Evaluates a structure, on all threads.
    ///
    /// # Errors
    /// The structure is none that can be evaluated, or the device failed.
    pub fn evaluate(&mut self, atoms: &GivenAtoms) -> Result<FoundField> {
        (self.0).with_dependent_mut(|computer, bound| bound.evaluate(computer, atoms))
    }

    /// Evaluates structures together on a card, where what is found stays; and what the model has not learned of them.
    ///
    /// # Errors
    /// Something is wrong with a structure, which is named, or the device failed.
    #[cfg(feature = "cuda")]
    pub fn evaluate_on_card(&mut self, all: &[GivenAtoms]) -> Result<(CardPoints, Vec<String>)> {
        (self.0).with_dependent_mut(|computer, bound| bound.evaluate_on_card(computer, all))
    }

    /// Evaluates structures side by side, each on one thread, or all of them together on a card.
    ///
    /// # Errors
    /// The device failed; what is wrong with one structure is in its place.
    pub fn evaluate_all(&mut self, all: &[GivenAtoms]) -> Result<Vec<Result<FoundField>>> {
        (self.0).with_dependent_mut(|computer, bound| bound.evaluate_all(computer, all))
    }
}

impl<'m> Bound<'m> {
    fn evaluate(&mut self, computer: &'m Computer, atoms: &GivenAtoms) -> Result<FoundField> {
        let known = (self.alone.iter()).position(|bound| bound.species == atoms.species);
        let mut alone = match known {
            Some(k) => self.alone.remove(k),
            None => BoundAlone::new(computer, atoms)?,
        };
        let found = alone.evaluate(computer, atoms, &mut self.spent);
        let atom_energies = alone.field.atom_energies().filter(|_| found.is_ok());
        let doubts = match &alone.last {
            Some((_, cell)) => self.doubts(computer, atoms, cell),
            None => Vec::new(),
        };
        if self.alone.len() == MOST_BOUND {
            self.alone.remove(0);
        }
        self.alone.push(alone);
        let (evaluation, volume) = found?;
        Ok(FoundField {
            evaluation,
            atom_energies,
            volume,
            doubts,
        })
    }

    fn evaluate_all(
        &mut self,
        computer: &'m Computer,
        all: &[GivenAtoms],
    ) -> Result<Vec<Result<FoundField>>> {
        let mut cells: Vec<Result<Cell>> =
            (all.iter()).map(|atoms| computer.cell_of(atoms)).collect();
        let sound = all.iter().zip(&cells).filter_map(|(atoms, cell)| {
            Some(Arrangement {
                species: &atoms.species,
                cell: cell.as_ref().ok()?,
                positions: &atoms.positions,
            })
        });
        let sound: Vec<Arrangement<'_>> = sound.collect();
        let field = self.together(computer, &sound)?;
        let began = Instant::now();
        let mut points = field.evaluate(&sound)?.into_iter();
        self.spent += began.elapsed();
        let mut found = Vec::with_capacity(all.len());
        for (atoms, cell) in all.iter().zip(cells.drain(..)) {
            found.push(cell.and_then(|cell| {
                // There is one for each that is sound.
                let point = points.next();
                let point = point.unwrap_or_else(|| Err(Error::run("it was not evaluated")))?;
                Ok(FoundField {
                    evaluation: finite(point.evaluation)?,
                    atom_energies: point.atom_energies,
                    volume: cell.volume(),
                    doubts: self.doubts(computer, atoms, &cell),
                })
            }));
        }
        Ok(found)
    }

    #[cfg(feature = "cuda")]
    fn evaluate_on_card(
        &mut self,
        computer: &'m Computer,
        all: &[GivenAtoms],
    ) -> Result<(CardPoints, Vec<String>)> {
        let mut cells = Vec::with_capacity(all.len());
        for (k, atoms) in all.iter().enumerate() {
            let cell = computer.cell_of(atoms);
            cells.push(cell.map_err(|e| e.within(format!("frame {k}")))?);
        }
        let arrangements = all.iter().zip(&cells).map(|(atoms, cell)| Arrangement {
            species: &atoms.species,
            cell,
            positions: &atoms.positions,
        });
        let arrangements: Vec<Arrangement<'_>> = arrangements.collect();
        let field = self.together(computer, &arrangements)?;
        let began = Instant::now();
        let found = field.evaluate_on_card(&arrangements)?;
        self.spent += began.elapsed();
        let each = all.iter().zip(&cells);
        let doubts = each.flat_map(|(atoms, cell)| self.doubts(computer, atoms, cell));
        Ok((found, doubts.collect()))
    }

    /// The force field of structures that come together.
    fn together(
        &mut self,
        computer: &'m Computer,
        all: &[Arrangement<'_>],
    ) -> Result<&mut (dyn ManyForceField + 'm)> {
        computer.find_int8(all)?;
        let before = self.together.take();
        let now = elements::present(all.iter().map(|at| at.species));
        let (known, field) = match before {
            Some((known, field)) if now.iter().all(|z| known.contains(z)) => (known, field),
            before => {
                let known = before.map_or_else(Vec::new, |(known, _)| known);
                let known = elements::kinds(&[known, now].concat());
                let Computer {
                    model,
                    precision,
                    device,
                } = computer;
                let field = assemble::many(model, &known, *precision, device)?;
                (known, field)
            }
        };
        Ok(self.together.insert((known, field)).1.as_mut())
    }

    /// What of the electrons of these atoms the model has not learned, the first time that they come.
    fn doubts(&mut self, computer: &Computer, atoms: &GivenAtoms, cell: &Cell) -> Vec<String> {
        if self.doubted.len() == MOST_DOUBTED || self.doubted.contains(&atoms.species) {
            return Vec::new();
        }
        self.doubted.insert(atoms.species.clone());
        computer.doubts(atoms, cell)
    }
}

impl<'m> BoundAlone<'m> {
    fn new(computer: &'m Computer, atoms: &GivenAtoms) -> Result<Self> {
        let Computer {
            model,
            precision,
            device,
        } = computer;
        let system = System::of_species(&atoms.species);
        model.check_species(&system)?;
        if *precision == Precision::Int8 {
            let cell = atoms.cell()?;
            computer.look(atoms, &cell)?;
            computer.find_int8(&[Arrangement {
                species: &atoms.species,
                cell: &cell,
                positions: &atoms.positions,
            }])?;
        }
        Ok(Self {
            species: atoms.species.clone(),
            field: assemble::field(model, &system, *precision, device, SKIN)?,
            last: None,
        })
    }

    fn evaluate(
        &mut self,
        computer: &Computer,
        atoms: &GivenAtoms,
        spent: &mut Duration,
    ) -> Result<(Evaluation, Option<f64>)> {
        let last = match self.last.take() {
            Some(last) if last.0 == atoms.lattice => last,
            _ => (atoms.lattice, atoms.cell()?),
        };
        let cell = &self.last.insert(last).1;
        computer.look(atoms, cell)?;
        let began = Instant::now();
        let evaluation = self.field.at(cell, &atoms.positions)?;
        *spent += began.elapsed();
        Ok((finite(evaluation)?, cell.volume()))
    }
}

/// Checks that energy and forces are numbers.
fn finite(evaluation: Evaluation) -> Result<Evaluation> {
    let mut forces = evaluation.forces.iter().flatten();
    match evaluation.energy.is_finite() && forces.all(|x| x.is_finite()) {
        true => Ok(evaluation),
        false => Err(Error::run(
            "the energy or a force is not a finite number; two atoms may be at one place",
        )),
    }
}
