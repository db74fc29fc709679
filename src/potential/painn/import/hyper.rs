//! Hyper-parameters from a file's metadata.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::core::elements::symbol;
use crate::error::nearest;
use crate::{Error, Result};

use super::keys::{self, Style};
use super::shown::shown;
use super::{json, units};

/// Which radial basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Gaussians on a grid.
    Gaussian,
    /// Gaussians centred on zero, of growing width.
    CentredGaussian,
    /// sin(frequency d) / d.
    Bessel,
}

/// What the metadata say, in the model's own units where nothing else is said.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyper {
    pub style: Style,
    pub features: usize,
    pub layers: usize,
    pub functions: usize,
    pub basis: Basis,
    /// First and last centre (centred: width) of Gaussians.
    range: [Option<f64>; 2],
    /// Width of Gaussians on a grid.
    width: Option<f64>,
    pub cutoff: f64,
    /// One per layer.
    pub epsilon: Vec<f64>,
    pub shared_filters: bool,
    pub shared_interactions: bool,
    /// Which output module gives the energy.
    pub energy_module: usize,
    /// eV per unit of energy.
    pub energy: f64,
    /// Angstrom per unit of length.
    pub length: f64,
    /// Ascending; `None` where nothing is said.
    pub elements: Option<Vec<u8>>,
    /// Reference energies (eV) by atomic number, ascending.
    pub references: Vec<(u8, f64)>,
    /// Energy per atom: in eV in the style of `painn`, else in the model's unit.
    pub mean: Option<f64>,
    pub add_mean: Option<bool>,
    pub add_atomrefs: Option<bool>,
    /// Charge and spin multiplicity of what it was trained on.
    pub charge: Option<i64>,
    pub spin: Option<u32>,
    /// A repulsion beside the network.
    pub repulsion: Option<keys::StatedRepulsion>,
}

impl Hyper {
    /// Reads either style.
    ///
    /// # Errors
    /// Everything that is missing, unknown or wrong among the keys and values, at once.
    pub fn read(metadata: &HashMap<String, String>) -> Result<Self> {
        if let Some(text) = metadata.get("painn") {
            check_beside_painn(metadata)?;
            let value = json::parse(text).map_err(|e| {
                Error::input(format!("the 'painn' metadata are not valid JSON: {e}"))
            })?;
            return match value {
                Value::Object(map) => from_painn(&Table::checked(Style::Painn, map)?),
                _ => Err(Error::input("the 'painn' metadata are not a JSON object")),
            };
        }
        if metadata.keys().any(|key| keys::is_schnetpack(key)) {
            return from_schnetpack(&Table::checked(Style::SchNetPack, values(metadata)?)?);
        }
        let near = (metadata.keys()).find(|key| nearest(key, ["painn"].into_iter()).is_some());
        Err(Error::input(format!(
            "the file's metadata have no hyper-parameters: expected a JSON object under 'painn'{}, or \
             SchNetPack's ('n_atom_basis', 'n_interactions', 'cutoff', 'units', ...); {}",
            near.map(|key| format!(" (there is '{}')", shown(key)))
                .unwrap_or_default(),
            Style::Painn.whole_example()
        )))
    }

    /// Centres and widths of the Gaussians as SchNetPack computes them.
    pub fn gaussians(&self, cutoff: f64) -> (Vec<f64>, Vec<f64>) {
        let centred = self.basis == Basis::CentredGaussian;
        let start = self.range[0].unwrap_or(if centred { 1.0 } else { 0.0 });
        let stop = self.range[1].unwrap_or(cutoff);
        let step = (stop - start) / (self.functions.max(2) - 1) as f64;
        let grid = (0..self.functions).map(|k| start + k as f64 * step);
        if centred {
            return (vec![0.0; self.functions], grid.collect());
        }
        (grid.collect(), vec![step; self.functions])
    }

    /// Checks that nothing is said of Gaussians where there are none.
    ///
    /// # Errors
    /// Names the key that says something else than that they end at the cutoff.
    pub fn check_no_gaussians(&self) -> Result<()> {
        let said = [
            ("rbf_start", self.range[0], 0.0),
            ("rbf_stop", self.range[1], self.cutoff),
        ];
        let other = said
            .iter()
            .find(|(_, said, usual)| said.is_some_and(|said| said != *usual));
        match (other, self.width) {
            (None, None) => Ok(()),
            (other, _) => Err(Error::input(format!(
                "'{}' in the metadata is of Gaussians, but 'radial_basis' is Bessel's: which of them is right?",
                other.map_or("rbf_width", |(key, ..)| key)
            ))),
        }
    }

    /// Checks that Gaussians are those that the metadata speak of, where they do.
    ///
    /// # Errors
    /// Names the key that says something else.
    pub fn check_gaussians(&self, centers: &[f64], widths: &[f64]) -> Result<()> {
        let grid = match self.basis {
            Basis::CentredGaussian => widths,
            _ => centers,
        };
        let ends = [grid.first(), grid.last()];
        let said = [
            ("rbf_start", self.range[0], ends[0]),
            ("rbf_stop", self.range[1], ends[1]),
            ("rbf_width", self.width, widths.first()),
        ];
        for (key, said, found) in said {
            let (Some(said), Some(&found)) = (said, found) else {
                continue;
            };
            if (said - found).abs() > super::SAME * found.abs().max(1.0) {
                return Err(Error::input(format!(
                    "'{key}' in the metadata is {said}, but the file's Gaussians have {found}: which of them is right?"
                )));
            }
        }
        Ok(())
    }
}

/// What the metadata say that no energy depends on, by key, in either style.
pub fn remarks(metadata: &HashMap<String, String>) -> BTreeMap<String, Value> {
    let text = |(key, text): (&String, &String)| (key.clone(), Value::String(text.clone()));
    let mut all: BTreeMap<String, Value> = metadata.iter().map(text).collect();
    let painn = all
        .remove("painn")
        .and_then(|painn| json::parse(painn.as_str()?).ok());
    if let Some(Value::Object(map)) = painn {
        all.extend(map);
    }
    all.retain(|key, _| keys::is_remark(key));
    all
}

/// Checks that nothing that would be part of the energy stands beside a `painn` object.
fn check_beside_painn(metadata: &HashMap<String, String>) -> Result<()> {
    let mut others: Vec<&String> = (metadata.keys())
        .filter(|key| *key != "painn" && !keys::is_remark(key))
        .collect();
    others.sort_unstable();
    let Some(first) = others.first() else {
        return Ok(());
    };
    let names: Vec<String> = others
        .iter()
        .map(|key| format!("'{}'", shown(key)))
        .collect();
    let names = names.join(", ");
    Err(Error::input(match keys::is_schnetpack(first) {
        true => format!(
            "the metadata have 'painn' and, beside it, keys of SchNetPack's style ({names}): which of them hold cannot \
             be told; keep one style"
        ),
        false => format!(
            "the metadata have unknown keys beside 'painn': {names}; what the energy depends on goes into the object \
             'painn', remarks under 'notes'"
        ),
    }))
}

/// The values of SchNetPack's style: JSON, or words as they are.
fn values(metadata: &HashMap<String, String>) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    for (key, text) in metadata {
        let value = match serde_json::from_str::<Value>(text) {
            Err(_) => Value::String(text.clone()),
            Ok(_) => json::parse(text)
                .map_err(|e| Error::input(format!("'{}' in the metadata: {e}", shown(key))))?,
        };
        map.insert(key.clone(), value);
    }
    Ok(map)
}

fn from_painn(table: &Table) -> Result<Hyper> {
    let energy = table.energy_unit("energy_unit");
    let length = table.length_unit("length_unit");
    let cutoff = (table.number("cutoff"))
        .or_else(|| Some(table.number("cutoff_angstrom")? / length))
        .ok_or_else(|| lacks("cutoff_angstrom"))?;
    let mut hyper = common(table, cutoff)?;
    hyper.energy = energy;
    hyper.length = length;
    hyper.references = table.references();
    if hyper.elements.is_none() && !hyper.references.is_empty() {
        hyper.elements = Some(hyper.references.iter().map(|r| r.0).collect());
    }
    check_references(&hyper)?;
    hyper.mean = table.number("mean_per_atom_eV");
    Ok(hyper)
}

/// Checks that reference energies, where there are any, are there for the elements listed and no others.
fn check_references(hyper: &Hyper) -> Result<()> {
    let (Some(elements), false) = (&hyper.elements, hyper.references.is_empty()) else {
        return Ok(());
    };
    let known = |z: &u8| hyper.references.iter().any(|r| r.0 == *z);
    if let Some(&z) = elements.iter().find(|z| !known(z)) {
        return Err(Error::input(format!(
            "'reference_energies_eV' has none for atomic number {z} ({}), which 'elements' lists",
            symbol(z)
        )));
    }
    match hyper.references.iter().find(|r| !elements.contains(&r.0)) {
        None => Ok(()),
        Some(&(z, _)) => Err(Error::input(format!(
            "'reference_energies_eV' has one for atomic number {z} ({}), which 'elements' does not list",
            symbol(z)
        ))),
    }
}

fn from_schnetpack(table: &Table) -> Result<Hyper> {
    let units = table.get("units").and_then(Value::as_object);
    let units = Table(units.cloned().unwrap_or_default());
    let cutoff = table.number("cutoff").ok_or_else(|| lacks("cutoff"))?;
    let mut hyper = common(table, cutoff)?;
    hyper.style = Style::SchNetPack;
    hyper.energy = units.energy_unit("energy");
    hyper.length = units.length_unit("distance");
    hyper.energy_module = energy_module(table)?;
    hyper.mean = table.number("mean_per_atom");
    hyper.add_mean = table.flag("add_mean");
    hyper.add_atomrefs = table.flag("add_atomrefs");
    check_postprocessors(table, &hyper)?;
    Ok(hyper)
}

/// Checks that what is done with the energy at last is one thing, and what the flags say.
fn check_postprocessors(table: &Table, hyper: &Hyper) -> Result<()> {
    let adds = [
        ("add_mean", hyper.add_mean),
        ("add_atomrefs", hyper.add_atomrefs),
    ];
    let Some((flag, _)) = adds.iter().find(|(_, adds)| *adds == Some(true)) else {
        return Ok(());
    };
    if table.flag("is_extensive") == Some(false) {
        return Err(Error::input(
            "'is_extensive' is false: offsets would be added once, not per atom, which is no energy of a system of \
             any size",
        ));
    }
    let steps = table.words("postprocessors");
    let offsets = (steps.iter()).filter(|step| step.eq_ignore_ascii_case("AddOffsets"));
    match (steps.is_empty(), offsets.count()) {
        (true, _) | (_, 1) => Ok(()),
        (_, 0) => Err(Error::input(format!(
            "the metadata say '{flag}', but 'postprocessors' has no AddOffsets: are offsets added or not?"
        ))),
        _ => Err(Error::input(
            "'postprocessors' has AddOffsets more than once: whether offsets are added twice cannot be told; add them up \
             to one",
        )),
    }
}

/// Reads what both styles call the same.
fn common(table: &Table, cutoff: f64) -> Result<Hyper> {
    let count = |key: &str| {
        table
            .get(key)
            .and_then(keys::count)
            .ok_or_else(|| lacks(key))
    };
    let layers = count("n_interactions")?;
    Ok(Hyper {
        style: Style::Painn,
        features: count("n_atom_basis")?,
        layers,
        functions: count("n_rbf")?,
        basis: basis(table.word("radial_basis")),
        range: [table.number("rbf_start"), table.number("rbf_stop")],
        width: table.number("rbf_width"),
        cutoff,
        epsilon: table.epsilon(layers)?,
        shared_filters: table.flag("shared_filters").unwrap_or(false),
        shared_interactions: table.flag("shared_interactions").unwrap_or(false),
        energy_module: 0,
        energy: 1.0,
        length: 1.0,
        elements: table.elements(),
        references: Vec::new(),
        mean: None,
        add_mean: None,
        add_atomrefs: None,
        charge: table.get("charge").and_then(Value::as_i64),
        spin: (table.get("spin").and_then(Value::as_i64)).and_then(|spin| u32::try_from(spin).ok()),
        repulsion: table.get("repulsion").and_then(keys::repulsion),
    })
}

fn basis(name: &str) -> Basis {
    match name.to_ascii_lowercase().as_str() {
        "bessel" | "besselrbf" => Basis::Bessel,
        "gaussianrbfcentered" => Basis::CentredGaussian,
        _ => Basis::Gaussian,
    }
}

/// Which output module is the readout; others than the forces would add to the energy.
fn energy_module(table: &Table) -> Result<usize> {
    let modules = table.words("output_modules");
    let energy = |m: &&str| m.eq_ignore_ascii_case("atomwise");
    if modules.iter().filter(|m| energy(m)).count() > 1 {
        return Err(Error::input(
            "'output_modules' has more than one Atomwise: which of them is the energy is not known",
        ));
    }
    Ok(modules.iter().position(energy).unwrap_or(0))
}

fn lacks(key: &str) -> Error {
    Error::input(format!("the metadata lack '{key}'"))
}

/// A JSON object whose keys and values have been checked; null counts as absent.
struct Table(Map<String, Value>);

impl Table {
    fn checked(style: Style, map: Map<String, Value>) -> Result<Self> {
        match keys::fault(style, &map) {
            None => Ok(Self(map)),
            Some(fault) => Err(Error::input(fault)),
        }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|v| !v.is_null())
    }

    fn word(&self, key: &str) -> &str {
        self.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn words(&self, key: &str) -> Vec<&str> {
        let list = self.get(key).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.get(key).and_then(Value::as_f64)
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(Value::as_bool)
    }

    fn energy_unit(&self, key: &str) -> f64 {
        self.get(key).map_or(1.0, keys::energy_unit)
    }

    fn length_unit(&self, key: &str) -> f64 {
        units::length(self.word(key)).unwrap_or(1.0)
    }

    /// One for all layers, or one each.
    fn epsilon(&self, layers: usize) -> Result<Vec<f64>> {
        let key = "epsilon";
        let value = self.get(key).ok_or_else(|| lacks(key))?;
        let list: Vec<f64> = match value {
            Value::Array(list) => list.iter().filter_map(Value::as_f64).collect(),
            _ => vec![value.as_f64().unwrap_or_default(); layers],
        };
        if list.len() == layers {
            return Ok(list);
        }
        let wanted = format!("a positive number, or a list of {layers} (one per interaction)");
        Err(Error::input(keys::wrong(key, &wanted, value)))
    }

    /// Atomic numbers, ascending.
    fn elements(&self) -> Option<Vec<u8>> {
        let list = self.get("elements")?.as_array()?;
        let mut elements: Vec<u8> = list.iter().filter_map(keys::element_of).collect();
        elements.sort_unstable();
        Some(elements)
    }

    /// Reference energies (eV) by atomic number, ascending.
    fn references(&self) -> Vec<(u8, f64)> {
        let map = self.get("reference_energies_eV").and_then(Value::as_object);
        let entries = map.into_iter().flatten();
        let mut references: Vec<(u8, f64)> = entries
            .filter_map(|(name, energy)| Some((keys::element(name)?, energy.as_f64()?)))
            .collect();
        references.sort_unstable_by_key(|r| r.0);
        references
    }
}
