//! Extended XYZ: text with everything in it, at full precision.
//!
//! The comment line holds `Lattice` (vectors one after the other, angstrom) where there is a cell,
//! `Properties`, `pbc`, `energy` (eV), `step` and `time` (fs). Columns:
//!
//! | column | what | unit | read as |
//! |---|---|---|---|
//! | `species` | element symbol | | by all |
//! | `pos` | position | angstrom | by all |
//! | `velo` | velocity | angstrom / fs | OVITO's Velocity; an array of ASE |
//! | `momenta` | momentum | sqrt(u eV) | what ASE's `get_velocities` and `get_temperature` use |
//! | `masses` | mass | u | ASE's `get_masses` |
//! | `forces` | force | eV / angstrom | ASE's `get_forces`, OVITO's Force |
//! | `velo_internal` | velocity, flight records and last states only | sqrt(eV / u) | mdrun: the very bits |
//!
//! Frames of a run with a thermostat say how far its noise has come: `noise_seed`, and `noise_step`, the number of
//! the step of noise that comes next. A run that begins from one of them goes on there.
//! Frames of a batch's members say which (`member`), and last states how it ended (`status`).
//!
//! Velocities come twice because ASE gives zeros, without a word, where there are no `momenta`; masses
//! come with them because ASE's own are others for some elements (argon) and for isotopes.
//! Frames of a committee have `force_spread` (eV / angstrom) and `energy_spread_per_atom` (eV): how far its models are apart.
//! With forces in a cell that is periodic in all directions comes `stress` (eV / angstrom^3, positive
//! for a stretched cell, as ASE has it). Numbers are the shortest that read back as the same f64.

use std::borrow::Cow;
use std::io::Write as _;

use super::encoder::Encoder;
use super::wrap::{self, Rounding};
use crate::Result;
use crate::core::rng::{NoiseCourse, NoiseMark};
use crate::core::{Cell, Fields, Mat3, Snapshot, Spread, System, Vec3, elements};
use crate::formats::{INTERNAL, NOISE_SEED, NOISE_STEP};
use crate::potential::Evaluation;
use crate::text::{number, round};
use crate::units::{ANGSTROM_PER_FS, FEMTOSECOND};

/// What of a frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Velocities and momenta.
    pub velocities: bool,
    /// Forces and stress.
    pub forces: bool,
    /// The potential energy.
    pub energy: bool,
    /// Whether molecules are moved into the cell along its periodic directions.
    pub wrap: bool,
    /// With velocities: the same in internal units, bit for bit, and energies that a replay can be compared
    /// with.
    pub exact: bool,
    /// The thermostat's noise: a frame tells its seed and how far it has come, for a run that begins from it.
    pub noise: Option<NoiseCourse>,
}

impl Content {
    /// All there is, positions unwrapped: enough to start again from.
    pub const ALL: Self = Self {
        velocities: true,
        forces: true,
        energy: true,
        wrap: false,
        exact: false,
        noise: None,
    };

    /// The arrays that this needs.
    pub fn fields(self) -> Fields {
        Fields {
            positions: true,
            velocities: self.velocities,
            forces: self.forces,
        }
    }
}

/// Writes frames of one system.
#[derive(Debug, Clone)]
pub struct Xyz {
    system: System,
    content: Content,
    /// What frames tell besides, as keys and values.
    tag: String,
}

impl Xyz {
    /// A writer of frames of `system`.
    pub fn new(system: &System, content: Content) -> Self {
        Self {
            system: system.clone(),
            content,
            tag: String::new(),
        }
    }

    /// Adds keys and values, such as `member=7`, to the comment of each frame.
    pub fn tagged(mut self, tag: &str) -> Self {
        self.tag = format!(" {tag}");
        self
    }

    /// Appends one frame, which must hold the arrays of [`Content::fields`].
    pub fn write_frame(&self, frame: &Snapshot, out: &mut Vec<u8>) {
        let atoms = self.system.len();
        // Room for 18 digits, sign, point and blank, so that it is allocated once.
        out.reserve(256 + atoms * (3 + 21 * 3 * (1 + 2 * usize::from(self.content.velocities))));
        out.extend_from_slice(atoms.to_string().as_bytes());
        out.push(b'\n');
        self.write_comment(frame, out);
        let mut positions = Cow::Borrowed(&frame.positions);
        if self.content.wrap {
            wrap::frame(
                &self.system,
                &frame.cell,
                positions.to_mut(),
                &Rounding::NONE,
            );
        }
        for (i, position) in positions.iter().enumerate() {
            out.extend_from_slice(elements::symbol(self.system.species[i]).as_bytes());
            vector(out, position);
            if self.content.velocities {
                let velocity = &frame.velocities[i];
                vector(out, &(velocity / ANGSTROM_PER_FS));
                vector(out, &(self.system.masses[i] * velocity));
                out.push(b' ');
                number(out, self.system.masses[i]);
                if self.content.exact {
                    vector(out, velocity);
                }
            }
            if self.content.forces {
                vector(out, &frame.forces[i]);
            }
            out.push(b'\n');
        }
    }

    fn write_comment(&self, frame: &Snapshot, out: &mut Vec<u8>) {
        if frame.cell.is_given() {
            matrix(out, "Lattice", frame.cell.vectors());
        }
        out.extend_from_slice(b"Properties=species:S:1:pos:R:3");
        if self.content.velocities {
            out.extend_from_slice(b":velo:R:3:momenta:R:3:masses:R:1");
            if self.content.exact {
                let _ = write!(out, ":{INTERNAL}:R:3");
            }
        }
        if self.content.forces {
            out.extend_from_slice(b":forces:R:3");
        }
        periodic(out, &frame.cell);
        if self.content.energy {
            out.extend_from_slice(b" energy=");
            number(out, frame.observables.potential);
        }
        if let (true, Some(volume)) = (self.content.forces, frame.cell.volume()) {
            out.push(b' ');
            matrix(
                out,
                "stress",
                &(frame.observables.strain_derivative / volume),
            );
        } else {
            out.push(b' ');
        }
        let _ = write!(out, "step={} time=", frame.step);
        number(out, round(frame.time / FEMTOSECOND));
        out.extend_from_slice(b" time_unit=fs");
        if self.content.velocities {
            out.extend_from_slice(b" velo_unit=A/fs");
        }
        spread(out, frame.observables.spread);
        if let Some(noise) = &self.content.noise {
            let NoiseMark { seed, step } = noise.after(frame.step);
            let _ = write!(out, " {NOISE_SEED}={seed} {NOISE_STEP}={step}");
        }
        if self.content.exact {
            let o = &frame.observables;
            let energies = [
                ("kinetic", o.kinetic),
                ("heat", o.kept.heat),
                ("conserved", o.conserved()),
            ];
            for (key, value) in energies {
                let _ = write!(out, " {key}=");
                number(out, value);
            }
        }
        out.extend_from_slice(self.tag.as_bytes());
        out.push(b'\n');
    }
}

impl Encoder for Xyz {
    fn encode(&mut self, frame: &Snapshot, out: &mut Vec<u8>) -> Result<()> {
        self.write_frame(frame, out);
        Ok(())
    }
}

/// The text of one frame, with all that it holds.
pub fn text(system: &System, frame: &Snapshot) -> Vec<u8> {
    let content = Content {
        velocities: !frame.velocities.is_empty(),
        forces: !frame.forces.is_empty(),
        energy: true,
        wrap: false,
        exact: false,
        noise: None,
    };
    let mut text = Vec::new();
    Xyz::new(system, content).write_frame(frame, &mut text);
    text
}

/// An arrangement with what a potential says of it.
#[derive(Debug, Clone, Copy)]
pub struct EvaluatedFrame<'a> {
    /// Its number in the file that it is from.
    pub number: usize,
    /// Atomic number of each atom.
    pub species: &'a [u8],
    /// Cell and periodic directions.
    pub cell: &'a Cell,
    /// Positions (angstrom).
    pub positions: &'a [Vec3],
    /// Energy, forces and strain derivative.
    pub evaluation: &'a Evaluation,
    /// What else the frame tells, as a key and a word; nothing where it is empty.
    pub tag: (&'static str, &'a str),
}

impl EvaluatedFrame<'_> {
    /// Appends the frame: positions and forces, energy, stress where the cell is periodic in all directions, the spread of a
    /// committee, the frame's number, and its tag.
    pub fn write(&self, out: &mut Vec<u8>) {
        let atoms = self.positions.len();
        out.reserve(512 + atoms * (3 + 21 * 3 * 2));
        let _ = writeln!(out, "{atoms}");
        if self.cell.is_given() {
            matrix(out, "Lattice", self.cell.vectors());
        }
        out.extend_from_slice(b"Properties=species:S:1:pos:R:3:forces:R:3");
        periodic(out, self.cell);
        out.extend_from_slice(b" energy=");
        number(out, self.evaluation.energy);
        out.push(b' ');
        if let Some(volume) = self.cell.volume() {
            matrix(out, "stress", &self.evaluation.stress(volume));
        }
        let _ = write!(out, "frame={}", self.number);
        spread(out, self.evaluation.spread);
        if let (key, word @ [_, ..]) = (self.tag.0, self.tag.1.as_bytes()) {
            let _ = write!(out, " {key}=");
            out.extend_from_slice(word);
        }
        out.push(b'\n');
        for (i, position) in self.positions.iter().enumerate() {
            out.extend_from_slice(elements::symbol(self.species[i]).as_bytes());
            vector(out, position);
            vector(out, &self.evaluation.forces[i]);
            out.push(b'\n');
        }
    }
}

/// The periodic directions.
fn periodic(out: &mut Vec<u8>, cell: &Cell) {
    let pbc = cell.periodic().map(|p| if p { 'T' } else { 'F' });
    let _ = write!(out, " pbc=\"{} {} {}\"", pbc[0], pbc[1], pbc[2]);
}

/// How far the models of a committee are apart.
fn spread(out: &mut Vec<u8>, spread: Option<Spread>) {
    let Some(Spread { force, energy }) = spread else {
        return;
    };
    for (key, value) in [("force_spread", force), ("energy_spread_per_atom", energy)] {
        let _ = write!(out, " {key}=");
        number(out, value);
    }
}

fn matrix(out: &mut Vec<u8>, key: &str, matrix: &Mat3) {
    let _ = write!(out, "{key}=\"");
    for row in 0..3 {
        for column in 0..3 {
            if (row, column) != (0, 0) {
                out.push(b' ');
            }
            number(out, matrix[(row, column)]);
        }
    }
    out.extend_from_slice(b"\" ");
}

fn vector(out: &mut Vec<u8>, vector: &Vec3) {
    for component in vector.iter() {
        out.push(b' ');
        number(out, *component);
    }
}
