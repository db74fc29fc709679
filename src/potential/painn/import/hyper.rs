//! Hyper-parameters from a file's metadata, checked one by one.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::{Error, Result};

/// Joule per electronvolt (exact, SI 2019).
const ELECTRONVOLT: f64 = 1.602_176_634e-19;
/// Particles per mole (exact, SI 2019).
const AVOGADRO: f64 = 6.022_140_76e23;
/// Joule per thermochemical calorie (exact).
const CALORIE: f64 = 4.184;
/// eV per kJ/mol.
const KILOJOULE_PER_MOLE: f64 = 1e3 / (AVOGADRO * ELECTRONVOLT);
/// eV per kcal/mol, 0.0433641...
const KILOCALORIE_PER_MOLE: f64 = CALORIE * KILOJOULE_PER_MOLE;
/// eV per hartree (CODATA 2022).
const HARTREE: f64 = 27.211_386_245_981;
/// Angstrom per bohr (CODATA 2022).
const BOHR: f64 = 0.529_177_210_544;

/// Bounds on sizes, far beyond any model, so that products of them cannot overflow.
const MOST_FEATURES: usize = 1 << 16;
const MOST_LAYERS: usize = 1 << 10;

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
    pub features: usize,
    pub layers: usize,
    pub functions: usize,
    pub basis: Basis,
    /// First and last centre, where the basis is not stored.
    range: [Option<f64>; 2],
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
    /// Reference energies (eV) by atomic number.
    pub references: Vec<(u8, f64)>,
    pub mean: Option<f64>,
    pub add_mean: Option<bool>,
    pub add_atomrefs: bool,
}

impl Hyper {
    /// Reads either style.
    pub fn read(metadata: &HashMap<String, String>) -> Result<Self> {
        if let Some(text) = metadata.get("painn") {
            let map = match serde_json::from_str(text) {
                Ok(Value::Object(map)) => map,
                Ok(_) => return Err(Error::input("the 'painn' metadata are not a JSON object")),
                Err(e) => {
                    return Err(Error::input(format!(
                        "the 'painn' metadata are not valid JSON: {e}"
                    )));
                }
            };
            return from_painn(&Table(map));
        }
        if metadata.contains_key("n_atom_basis") || metadata.contains_key("representation") {
            let parse = |v: &String| serde_json::from_str(v).unwrap_or(Value::String(v.clone()));
            let map = metadata.iter().map(|(k, v)| (k.clone(), parse(v)));
            return from_schnetpack(&Table(map.collect()));
        }
        Err(Error::input(
            "the file's metadata have no hyper-parameters: expected a JSON object under 'painn', or \
             SchNetPack's ('n_atom_basis', 'n_interactions', 'cutoff', 'units', ...)",
        ))
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
}

fn from_painn(table: &Table) -> Result<Hyper> {
    if let Some(architecture) = table.text("architecture")? {
        one_of("architecture", architecture, &["painn"])?;
    }
    let energy = match table.get("energy_unit") {
        Some(Value::Number(_)) => table.positive("energy_unit")?,
        _ => energy_unit(table.need("energy_unit", table.text("energy_unit")?)?)?,
    };
    let length = length_unit(table.need("length_unit", table.text("length_unit")?)?)?;
    let cutoff = match table.get("cutoff") {
        Some(_) => table.positive("cutoff")?,
        None => table.positive("cutoff_angstrom")? / length,
    };
    let mut hyper = common(table, cutoff)?;
    hyper.energy = energy;
    hyper.length = length;
    hyper.references = table.references()?;
    if hyper.elements.is_none() && !hyper.references.is_empty() {
        hyper.elements = Some(hyper.references.iter().map(|r| r.0).collect());
    }
    check_references(&hyper)?;
    hyper.mean = table.number("mean_per_atom_eV")?.map(|mean| mean / energy);
    hyper.add_mean = Some(hyper.mean.is_some());
    Ok(hyper)
}

/// Reference energies, where there are any, must be there for the elements listed and no others.
fn check_references(hyper: &Hyper) -> Result<()> {
    let (Some(elements), false) = (&hyper.elements, hyper.references.is_empty()) else {
        return Ok(());
    };
    let known = |z: &u8| hyper.references.iter().any(|r| r.0 == *z);
    if let Some(z) = elements.iter().find(|z| !known(z)) {
        return Err(Error::input(format!(
            "'reference_energies_eV' has none for atomic number {z}, which 'elements' lists"
        )));
    }
    match hyper.references.iter().find(|r| !elements.contains(&r.0)) {
        None => Ok(()),
        Some((z, _)) => Err(Error::input(format!(
            "'reference_energies_eV' has one for atomic number {z}, which 'elements' does not list"
        ))),
    }
}

fn from_schnetpack(table: &Table) -> Result<Hyper> {
    if let Some(representation) = table.text("representation")? {
        one_of("representation", representation, &["painn"])?;
    }
    let Some(Value::Object(units)) = table.get("units") else {
        return Err(Error::input(
            "the metadata lack 'units', a JSON object with 'energy' and 'distance'",
        ));
    };
    let units = Table(units.clone());
    let cutoff = table.positive("cutoff")?;
    let mut hyper = common(table, cutoff)?;
    hyper.energy = energy_unit(units.need("units: energy", units.text("energy")?)?)?;
    hyper.length = length_unit(units.need("units: distance", units.text("distance")?)?)?;
    hyper.energy_module = energy_module(table)?;
    hyper.mean = table.number("mean_per_atom")?;
    hyper.add_mean = table.flag("add_mean")?;
    hyper.add_atomrefs = table.flag("add_atomrefs")?.unwrap_or(false);
    if hyper.add_mean == Some(true) && table.flag("is_extensive")? == Some(false) {
        return Err(Error::input(
            "'is_extensive' is false: the mean would be added once, not per atom, which is no energy of \
             a system of any size",
        ));
    }
    if let Some(aggregation) = table.text("aggregation")? {
        one_of("aggregation", aggregation, &["sum"])?;
    }
    for step in table.texts("postprocessors")? {
        one_of(
            "postprocessors",
            step,
            &["castto64", "castto32", "addoffsets"],
        )?;
    }
    Ok(hyper)
}

/// Hyper-parameters that both styles call the same.
fn common(table: &Table, cutoff: f64) -> Result<Hyper> {
    for key in [
        "activation",
        "activation_interaction",
        "activation_mixing",
        "activation_outnet",
    ] {
        if let Some(activation) = table.text(key)? {
            one_of(key, activation, &["silu", "swish"])?;
        }
    }
    let cutoff_fn = table.need("cutoff_fn", table.text("cutoff_fn")?)?;
    one_of("cutoff_fn", cutoff_fn, &["cosine", "cosinecutoff"])?;
    let layers = table.count("n_interactions", MOST_LAYERS)?;
    Ok(Hyper {
        features: table.count("n_atom_basis", MOST_FEATURES)?,
        layers,
        functions: table.count("n_rbf", MOST_FEATURES)?,
        basis: basis(table.need("radial_basis", table.text("radial_basis")?)?)?,
        range: [table.number("rbf_start")?, table.number("rbf_stop")?],
        cutoff,
        epsilon: table.epsilon(layers)?,
        shared_filters: table.flag("shared_filters")?.unwrap_or(false),
        shared_interactions: table.flag("shared_interactions")?.unwrap_or(false),
        energy_module: 0,
        energy: 1.0,
        length: 1.0,
        elements: table.elements()?,
        references: Vec::new(),
        mean: None,
        add_mean: None,
        add_atomrefs: false,
    })
}

fn basis(name: &str) -> Result<Basis> {
    const KNOWN: [&str; 5] = [
        "gaussian",
        "gaussianrbf",
        "gaussianrbfcentered",
        "bessel",
        "besselrbf",
    ];
    Ok(match one_of("radial_basis", name, &KNOWN)? {
        0 | 1 => Basis::Gaussian,
        2 => Basis::CentredGaussian,
        _ => Basis::Bessel,
    })
}

/// Which output module is the readout; others than the forces would add to the energy.
fn energy_module(table: &Table) -> Result<usize> {
    let modules = table.texts("output_modules")?;
    for module in &modules {
        one_of("output_modules", module, &["atomwise", "forces"])?;
    }
    let energy = |m: &&str| m.eq_ignore_ascii_case("atomwise");
    if modules.iter().filter(|m| energy(m)).count() > 1 {
        return Err(Error::input(
            "'output_modules' has more than one Atomwise: which of them is the energy is not known",
        ));
    }
    Ok(modules.iter().position(energy).unwrap_or(0))
}

/// The place of `value` in `known` (lower case), whatever its case.
fn one_of(key: &str, value: &str, known: &[&str]) -> Result<usize> {
    let found = known.iter().position(|k| value.eq_ignore_ascii_case(k));
    found.ok_or_else(|| {
        Error::input(format!(
            "'{key}' is \"{value}\", which is not built in; known: {}",
            known.join(", ")
        ))
    })
}

fn energy_unit(name: &str) -> Result<f64> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "ev" => 1.0,
        "mev" => 1e-3,
        "kcal/mol" => KILOCALORIE_PER_MOLE,
        "kj/mol" => KILOJOULE_PER_MOLE,
        "hartree" | "ha" | "eh" => HARTREE,
        "rydberg" | "ry" => 0.5 * HARTREE,
        _ => {
            return Err(Error::input(format!(
                "the unit of energy \"{name}\" is not known; known: eV, meV, kcal/mol, kJ/mol, Hartree, Ry"
            )));
        }
    })
}

fn length_unit(name: &str) -> Result<f64> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "ang" | "angstrom" | "a" => 1.0,
        "bohr" | "a0" => BOHR,
        "nm" => 10.0,
        "pm" => 1e-2,
        _ => {
            return Err(Error::input(format!(
                "the unit of length \"{name}\" is not known; known: Ang, Bohr, nm, pm"
            )));
        }
    })
}

/// A JSON object with typed access; null counts as absent.
struct Table(Map<String, Value>);

impl Table {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|v| !v.is_null())
    }

    fn need<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| Error::input(format!("the metadata lack '{key}'")))
    }

    fn text(&self, key: &str) -> Result<Option<&str>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let text = value.as_str().ok_or_else(|| wrong(key, "text", value))?;
        Ok(Some(text))
    }

    fn texts(&self, key: &str) -> Result<Vec<&str>> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let list = value.as_array().map(|a| a.iter().map(Value::as_str));
        list.and_then(Iterator::collect)
            .ok_or_else(|| wrong(key, "a list of text", value))
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|x| x.is_finite());
        Ok(Some(
            number.ok_or_else(|| wrong(key, "a finite number", value))?,
        ))
    }

    fn positive(&self, key: &str) -> Result<f64> {
        let value = self.need(key, self.number(key)?)?;
        if value > 0.0 {
            return Ok(value);
        }
        Err(Error::input(format!(
            "'{key}' in the metadata must be positive, not {value}"
        )))
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let flag = value.as_bool();
        Ok(Some(
            flag.ok_or_else(|| wrong(key, "true or false", value))?,
        ))
    }

    /// A size: at least one, at most `most`.
    fn count(&self, key: &str, most: usize) -> Result<usize> {
        let value = self.need(key, self.get(key))?;
        let count = value.as_u64().and_then(|n| usize::try_from(n).ok());
        count
            .filter(|n| (1..=most).contains(n))
            .ok_or_else(|| wrong(key, &format!("a whole number from 1 to {most}"), value))
    }

    /// One for all layers, or one each.
    fn epsilon(&self, layers: usize) -> Result<Vec<f64>> {
        let key = "epsilon";
        let value = self.need(key, self.get(key))?;
        let list = match value {
            Value::Array(list) if list.len() == layers => list.clone(),
            Value::Number(_) => vec![value.clone(); layers],
            _ => Vec::new(),
        };
        let valid = |v: &Value| v.as_f64().filter(|e| *e > 0.0 && e.is_finite());
        let epsilon: Option<Vec<f64>> = list.iter().map(valid).collect();
        epsilon.filter(|e| e.len() == layers).ok_or_else(|| {
            let wanted = format!("a positive number, or a list of {layers} (one per interaction)");
            wrong(key, &wanted, value)
        })
    }

    /// Atomic numbers, ascending.
    fn elements(&self) -> Result<Option<Vec<u8>>> {
        let key = "elements";
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let valid = |v: &Value| {
            let z = v.as_u64().and_then(|z| u8::try_from(z).ok());
            z.filter(|z| (1..=super::HEAVIEST).contains(&usize::from(*z)))
        };
        let list = value.as_array().map(|a| a.iter().map(valid));
        let elements: Option<Vec<u8>> = list.and_then(Iterator::collect);
        let mut elements = elements
            .filter(|e| !e.is_empty())
            .ok_or_else(|| wrong(key, "a list of atomic numbers from 1 to 118", value))?;
        elements.sort_unstable();
        elements.dedup();
        Ok(Some(elements))
    }

    /// Reference energies (eV) by atomic number, ascending.
    fn references(&self) -> Result<Vec<(u8, f64)>> {
        let key = "reference_energies_eV";
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let valid = |(z, e): (&String, &Value)| {
            let z = z.parse().ok().filter(|z| (1..=118).contains(z))?;
            Some((z, e.as_f64().filter(|e| e.is_finite())?))
        };
        let entries = value.as_object().map(|m| m.iter().map(valid));
        let references: Option<Vec<(u8, f64)>> = entries.and_then(Iterator::collect);
        let mut references = references
            .ok_or_else(|| wrong(key, "an object of energies by atomic number", value))?;
        references.sort_unstable_by_key(|r| r.0);
        Ok(references)
    }
}

fn wrong(key: &str, wanted: &str, found: &Value) -> Error {
    /// Longest value shown in full.
    const LONGEST: usize = 60;
    let mut shown = found.to_string();
    if let Some((cut, _)) = shown.char_indices().nth(LONGEST) {
        shown.truncate(cut);
        shown.push_str("...");
    }
    Error::input(format!(
        "'{key}' in the metadata must be {wanted}, not {shown}"
    ))
}
