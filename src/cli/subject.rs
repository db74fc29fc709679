//! What `mdrun energy` and `mdrun serve` compute: a structure with a model, on a device.

use std::path::PathBuf;

use clap::Args;

use crate::assemble::{Int8Scene, Model};
use crate::config::check_overlaps;
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice};
use crate::core::{Cell, Fitted, System, Vec3};
use crate::forcefield::ForceField;
use crate::formats::{self, Structure};
use crate::potential::{ElectronScene, Precision};
use crate::terminal::Terminal;
use crate::{Error, Result, assemble, bench, memory, models, streams};

/// Options that say what is computed, and where.
#[derive(Debug, Clone, Args)]
pub struct SubjectArgs {
    /// The model: a file, or the name of one that comes with mdrun (painn_hcno_gfn2, painn_organic_gfn2); given several
    /// times, the mean of a committee
    #[arg(long = "model", value_name = "MODEL", default_value = models::EMBEDDED[0].name)]
    pub models: Vec<PathBuf>,
    /// The structure: extended XYZ, PDB, GRO, CIF, mmCIF, MOL2, SDF or CML
    #[arg(long)]
    pub structure: PathBuf,
    /// Which of the structure's frames; the first is 0, the last -1. `mdrun energy` and `mdrun minimize` take
    /// all of them with "all"
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_frame)]
    pub frame: Option<FrameChoice>,
    /// Where to compute: cpu, cuda:0 and so on, or auto: on the first GPU if there is one
    #[arg(long, default_value = "auto", value_parser = bench::parse_device)]
    pub device: DeviceKind,
    /// Numbers of the network: f64 is the CPU's, tf32, bf16 and f16 a GPU's [default: f64, or f32 on a GPU]
    #[arg(long, value_parser = bench::precisions())]
    pub precision: Option<Precision>,
    /// CPU threads; one for each core if not given
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

/// What `--frame` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameChoice {
    /// One; a negative number counts from the end.
    One(i64),
    /// Each of them.
    All,
}

fn parse_frame(text: &str) -> std::result::Result<FrameChoice, String> {
    match text {
        "all" => Ok(FrameChoice::All),
        _ => (text.parse().map(FrameChoice::One))
            .map_err(|_| "a whole number (the first is 0, the last -1), or all".to_owned()),
    }
}

/// A structure and a model that have been read and fit each other.
pub struct Prepared {
    /// The structure.
    pub structure: Structure,
    /// Its cell.
    pub cell: Cell,
    /// The model.
    pub model: Model,
    /// What there is to say of the structure, for people.
    pub notes: Vec<String>,
    system: System,
    precision: Precision,
    device: DevicePlan,
    skin: f64,
}

impl SubjectArgs {
    /// Reads structure and model, and tells what there is to say of them; `skin` (angstrom) is that of the list of pairs.
    ///
    /// # Errors
    /// One of them cannot be read, two atoms overlap, or there is no memory for them.
    pub fn prepare(&self, skin: f64) -> Result<Prepared> {
        let within = |e: Error| e.within(self.structure.display());
        let frame = match self.frame {
            None => 0,
            Some(FrameChoice::One(frame)) => frame,
            Some(FrameChoice::All) => {
                return Err(Error::input(
                    "--frame all: one structure is wanted here; name one of its frames, such as --frame 0",
                ));
            }
        };
        let structure = formats::read_frame(&self.structure, frame)?;
        let fitted = structure.fitted();
        let notes = self.notes(&structure, fitted.as_ref().ok());
        for note in &notes {
            streams::tell(&Terminal::err().message(&format!("note: {note}")));
        }
        let Fitted { cell, .. } = fitted.map_err(within)?;
        let system = structure.system();
        check_overlaps(&system, &structure.positions, &cell).map_err(within)?;
        let model = self.model()?;
        let (device, precision) = self.place(&model)?;
        for doubt in model.doubts(&ElectronScene {
            species: &structure.species,
            cell: &cell,
            positions: &structure.positions,
            electrons: &structure.electrons,
        }) {
            streams::tell(&Terminal::err().message(&format!("warning: {doubt}")));
        }
        let prepared = Prepared {
            structure,
            cell,
            model,
            notes,
            system,
            precision,
            device,
            skin,
        };
        let positions = &prepared.structure.positions;
        (prepared.check_room(&prepared.cell, positions)).map_err(within)?;
        prepared.find_int8()?;
        Ok(prepared)
    }

    /// The device for a model, once its threads are there, and the numbers of the network.
    ///
    /// # Errors
    /// The threads cannot be started.
    pub fn place(&self, model: &Model) -> Result<(DevicePlan, Precision)> {
        let asked = DevicePlan {
            kind: self.device,
            threads: self.threads.map(usize::from),
            engine: EngineChoice::Auto,
        };
        let (device, precision, note) = assemble::settle(&asked, self.precision, model);
        let found = match (self.device, device.kind) {
            (DeviceKind::Auto, DeviceKind::Cuda(index)) if self.precision.is_none() => {
                Some(format!(
                    "note: computed on cuda:{index} in {precision}; --precision f64 computes on the CPU"
                ))
            }
            _ => None,
        };
        for note in note.into_iter().chain(found) {
            streams::tell(&Terminal::err().message(&note));
        }
        assemble::threads(&device)?;
        Ok((device, precision))
    }

    /// Reads the model, and tells what there is to say of it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn model(&self) -> Result<Model> {
        let model = assemble::load_networks(&self.models)?;
        for note in model.notes() {
            streams::tell(&Terminal::err().message(&format!("note: {note}")));
        }
        Ok(model)
    }

    /// What a run would say of the structure and its cell, and which frame it is.
    fn notes(&self, structure: &Structure, fitted: Option<&Fitted>) -> Vec<String> {
        let mut notes = structure.notes.clone();
        notes.extend(fitted.iter().flat_map(|fitted| fitted.notes.clone()));
        if structure.frames > 1 && self.frame.is_none() {
            notes.push(format!(
                "{} has {} frames; this is the first, --frame -1 takes the last, --frame all all of them",
                self.structure.display(),
                structure.frames
            ));
        }
        notes
    }
}

impl Prepared {
    /// Checks that there is memory to evaluate the atoms in an arrangement.
    ///
    /// # Errors
    /// There is none.
    pub fn check_room(&self, cell: &Cell, positions: &[Vec3]) -> Result<()> {
        let appetite = self.model.appetite(self.precision, &self.device);
        memory::check(cell, positions, (self.model.cutoff(), self.skin), appetite)
    }

    /// Finds weights in 8 bits for the structure, where those are asked for.
    fn find_int8(&self) -> Result<()> {
        let (model, precision, device) = (&self.model, self.precision, &self.device);
        if precision != Precision::Int8 {
            return Ok(());
        }
        assemble::check_numbers(model, device, precision).map_err(|e| advise(e, device))?;
        let scene = Int8Scene {
            system: &self.system,
            cell: &self.cell,
            positions: &self.structure.positions,
            kt: None,
        };
        assemble::find_int8(model, precision, device, &[scene])
    }

    /// The model as a force field for the structure's atoms.
    ///
    /// # Errors
    /// The model does not know an element, the device is not there, or it cannot compute in these numbers.
    pub fn field(&self) -> Result<Box<dyn ForceField + '_>> {
        let Self {
            model,
            system,
            precision,
            device,
            ..
        } = self;
        assemble::field(model, system, *precision, device, self.skin).map_err(|e| advise(e, device))
    }
}

/// Adds to what is wrong with a device what to do without it.
pub fn advise(error: Error, device: &DevicePlan) -> Error {
    match device.kind {
        DeviceKind::Cuda(_) => error.advise("--device cpu does without a GPU, in f64 too"),
        DeviceKind::Auto | DeviceKind::Cpu => error,
    }
}
