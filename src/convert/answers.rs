//! What the user says of a model beside its file, and the question for all that is still missing: one message, with the
//! command to type.

use std::path::Path;

use crate::core::elements;
use crate::potential::painn::import::{ENERGY_UNITS, LENGTH_UNITS, energy_unit, length_unit};
use crate::shell::quoted;
use crate::{Error, Result};

use super::question::OpenQuestion;

/// What the user says of a model; what its file says need not be said.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub struct ModelAnswers {
    /// Unit of its energies: eV, kcal/mol, kJ/mol, Hartree, ..., or a number of eV
    #[arg(long, value_name = "UNIT")]
    pub energy_unit: Option<String>,
    /// Unit of its distances: angstrom, Bohr, nm
    #[arg(long, value_name = "UNIT")]
    pub length_unit: Option<String>,
    /// Elements that it was trained on, as in H,C,O
    #[arg(long, value_name = "LIST")]
    pub elements: Option<String>,
    /// Total charge of the structures that it was trained on: 0 for neutral molecules
    #[arg(long, value_name = "Q", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1000..=1000))]
    pub charge: Option<i64>,
    /// Their spin multiplicity, 2 S + 1: 1 for closed shells
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub spin: Option<u32>,
    /// The output that is the energy, where there are several; NAME:K is state K of several states
    #[arg(long, value_name = "NAME")]
    pub head: Option<String>,
    /// Which weights, where a checkpoint has several: ema (averaged), plain, or a name that the question lists
    #[arg(long, value_name = "NAME")]
    pub weights: Option<String>,
    /// Number under the root of the vectors' norm, where the file does not say (SchNetPack: 1e-8)
    #[arg(long, value_name = "X")]
    pub epsilon: Option<f64>,
    /// Activation, where the file does not say
    #[arg(long, value_parser = ["silu"])]
    pub activation: Option<String>,
    /// Range, in its unit of length, where the file does not say
    #[arg(long, value_name = "X")]
    pub cutoff: Option<f64>,
    /// What becomes of energies that a file has without saying whether they are added
    #[arg(long, value_parser = ["added", "left-out"])]
    pub offsets: Option<String>,
    /// Energies of elements that are kept outside of the file, in its unit of energy, as in H=-13.6,O=-2042.6
    #[arg(long, value_name = "LIST")]
    pub reference_energies: Option<String>,
    /// Leave out tensors whose names begin so: they must do nothing to the energy
    #[arg(long, value_name = "NAME")]
    pub leave_out: Vec<String>,
    /// Take a class of another name for PaiNN; needs --validate
    #[arg(long = "as", value_name = "ARCHITECTURE", value_parser = ["painn"], requires = "validate")]
    pub architecture: Option<String>,
    /// Structures with energies and forces of the model itself (extended XYZ, in the model's units), to compare with
    #[arg(long, value_name = "FILE")]
    pub validate: Option<std::path::PathBuf>,
}

impl ModelAnswers {
    /// Whether a class of another name is meant to be PaiNN.
    pub fn as_painn(&self) -> bool {
        self.architecture.is_some()
    }

    /// eV per unit of energy.
    ///
    /// # Errors
    /// The unit is not known.
    pub fn energy(&self) -> Result<Option<f64>> {
        let read = |text: &String| {
            let number = text
                .parse()
                .ok()
                .filter(|x: &f64| *x > 0.0 && x.is_finite());
            number.or_else(|| energy_unit(text)).ok_or_else(|| {
                Error::input(format!(
                    "--energy-unit {}: not known; known are {ENERGY_UNITS}, or a number of eV",
                    text.escape_default()
                ))
            })
        };
        self.energy_unit.as_ref().map(read).transpose()
    }

    /// Angstrom per unit of length.
    ///
    /// # Errors
    /// The unit is not known.
    pub fn length(&self) -> Result<Option<f64>> {
        let read = |text: &String| {
            length_unit(text).ok_or_else(|| {
                Error::input(format!(
                    "--length-unit {}: not known; known are {LENGTH_UNITS}",
                    text.escape_default()
                ))
            })
        };
        self.length_unit.as_ref().map(read).transpose()
    }

    /// Atomic numbers, ascending.
    ///
    /// # Errors
    /// One is no element, or is there twice.
    pub fn elements(&self) -> Result<Option<Vec<u8>>> {
        let Some(text) = &self.elements else {
            return Ok(None);
        };
        let mut found = Vec::new();
        for word in text.split(',') {
            let z = element(word, "--elements")?;
            if found.contains(&z) {
                return Err(Error::input(format!(
                    "--elements has {} twice",
                    elements::symbol(z)
                )));
            }
            found.push(z);
        }
        found.sort_unstable();
        Ok(Some(found))
    }

    /// Energies of elements in the model's unit, by atomic number from 0; empty for none.
    ///
    /// # Errors
    /// It is no list of `ELEMENT=ENERGY`.
    pub fn references(&self) -> Result<Vec<f64>> {
        let mut energies = Vec::new();
        for part in self
            .reference_energies
            .iter()
            .flat_map(|text| text.split(','))
        {
            let wrong = || {
                Error::input(format!(
                    "--reference-energies: '{}' is not ELEMENT=ENERGY, as in H=-13.6,O=-2042.6",
                    part.escape_default()
                ))
            };
            let (name, energy) = part.split_once('=').ok_or_else(wrong)?;
            let z = usize::from(element(name, "--reference-energies")?);
            let energy: f64 = energy.trim().parse().map_err(|_| wrong())?;
            if !energy.is_finite() {
                return Err(wrong());
            }
            energies.resize(energies.len().max(z + 1), 0.0);
            energies[z] = energy;
        }
        Ok(energies)
    }

    /// What units and elements are still to be asked, where the file says `elements` or not.
    pub fn open_questions(&self, says_elements: bool) -> Vec<OpenQuestion> {
        let mut open = Vec::new();
        if self.energy_unit.is_none() {
            let what = format!("the unit of its energies ({ENERGY_UNITS})");
            open.push(OpenQuestion::new("--energy-unit", "UNIT", what));
        }
        if self.length_unit.is_none() {
            let what = format!("that of its distances ({LENGTH_UNITS})");
            open.push(OpenQuestion::new("--length-unit", "UNIT", what));
        }
        if self.elements.is_none() && !says_elements {
            let what = "the elements that it was trained on (as in H,C,O)";
            open.push(OpenQuestion::new("--elements", "LIST", what));
        }
        open
    }

    /// The options that were given, as they are typed.
    fn given(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut add = |option: &str, value: &str| {
            all.push(format!("{option} {}", quoted(Path::new(value))));
        };
        let number = |x: f64| format!("{x:?}");
        for (option, value) in [
            ("--energy-unit", self.energy_unit.clone()),
            ("--length-unit", self.length_unit.clone()),
            ("--elements", self.elements.clone()),
            ("--head", self.head.clone()),
            ("--weights", self.weights.clone()),
            ("--epsilon", self.epsilon.map(number)),
            ("--activation", self.activation.clone()),
            ("--cutoff", self.cutoff.map(number)),
            ("--offsets", self.offsets.clone()),
            ("--reference-energies", self.reference_energies.clone()),
            ("--as", self.architecture.clone()),
        ] {
            if let Some(value) = value {
                add(option, &value);
            }
        }
        for name in &self.leave_out {
            add("--leave-out", name);
        }
        // Typed as they are: a path that begins with a sign is quoted as ./-1.
        all.extend(self.charge.map(|charge| format!("--charge {charge}")));
        all.extend(self.spin.map(|spin| format!("--spin {spin}")));
        if let Some(path) = &self.validate {
            all.push(format!("--validate {}", quoted(path)));
        }
        all
    }

    /// The command that answers `questions`: what was given stays.
    pub fn command(&self, from: &Path, to: &Path, questions: &[OpenQuestion]) -> String {
        let mut words = vec![format!(
            "mdrun model convert {} {}",
            quoted(from),
            quoted(to)
        )];
        words.extend(self.given());
        words.extend(questions.iter().map(|q| match q.value.as_str() {
            placeholder @ ("UNIT" | "LIST" | "NAME" | "X") => format!("{} {placeholder}", q.option),
            value => format!("{} {}", q.option, quoted(Path::new(value))),
        }));
        words.join(" ")
    }
}

/// An element by its symbol or number.
fn element(text: &str, option: &str) -> Result<u8> {
    let text = text.trim();
    let number = text.parse().ok().filter(|z| (1..=118).contains(z));
    number.or_else(|| elements::number(text)).ok_or_else(|| {
        Error::input(format!(
            "{option}: '{}' is no element; a list such as H,C,O is wanted",
            text.escape_default()
        ))
    })
}
