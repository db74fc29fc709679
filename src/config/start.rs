//! `[system]`: atoms, cell, masses and velocities.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Spanned, Table, Value};

use super::keys::row::Sign;
use super::keys::system as keys;
use super::ladder::temperature;
use super::overlap::check_overlaps;
use super::plan::{StartPlan, VelocityPlan};
use super::raw::{self, Leaf};
use super::section::{Section, quantity};
use crate::core::{AtomName, Cell, Fitted, Mat3, System, Vec3, elements};
use crate::error::nearest;
use crate::formats::{Structure, TOPOLOGY, read, read_frame};
use crate::input::path_of;
use crate::neighbors::{Molecules, hydrogen};
use crate::paths::{absolute, join};
use crate::text::counted;
use crate::units::Dimension;
use crate::{Error, Result};
use keys::FROM_FILE;

/// `[system]` of one system; reads the structure.
pub(super) fn system(
    section: &mut Section<'_>,
    raw: &raw::SystemTable,
    base: &Path,
) -> Result<StartPlan> {
    let (structure, frame) = structure(section, raw, base)?;
    let masses = masses(section, raw)?;
    let replica = section.whole(&keys::REPLICA, &raw.replica)?;
    let mut start = place(
        section,
        raw,
        &StartingFrame {
            structure: &structure,
            number: frame,
            masses: &masses,
        },
    )?;
    start.velocities = velocities(section, raw, &structure)?;
    start.names = names(&structure, &beside(&structure));
    start.replica = replica.and_then(|replica| u32::try_from(replica).ok());
    Ok(start)
}

/// A frame that atoms start from.
pub(super) struct StartingFrame<'s> {
    /// It.
    pub structure: &'s Structure,
    /// Its number, as the run file has it.
    pub number: i64,
    /// Masses (u) of symbols.
    pub masses: &'s Masses,
}

/// The atoms of a frame in their cell, at rest and without names.
pub(super) fn place(
    section: &mut Section<'_>,
    raw: &raw::SystemTable,
    frame: &StartingFrame<'_>,
) -> Result<StartPlan> {
    let structure = frame.structure;
    section.keep(&keys::STRUCTURE, &raw.structure, absolute(&structure.path));
    section.keep(&keys::FRAME, &raw.frame, frame.number);
    for note in &structure.notes {
        section.note(&keys::STRUCTURE, note);
    }
    keep_masses(section, raw);
    let mut system = structure.system();
    apply_masses(section, frame.masses, &mut system);
    let cell = cell(section, raw, structure)?;
    check_overlaps(&system, &structure.positions, &cell)
        .map_err(|e| in_structure(section, raw, structure, &e))?;
    let positions = whole(section, structure, &cell);
    repartition(section, raw, &mut system, (&cell, &positions))?;
    Ok(StartPlan {
        structure: structure.path.clone(),
        velocities: VelocityPlan::Given(vec![Vec3::zeros(); system.len()]),
        system,
        names: None,
        cell,
        positions,
        electrons: structure.electrons.clone(),
        replica: None,
        noise: structure.noise,
        degrees_of_freedom: None,
        volume: None,
    })
}

/// The structure file of a table.
pub(super) fn file(section: &Section<'_>, raw: &raw::SystemTable, base: &Path) -> Result<PathBuf> {
    let text = section.text(&keys::STRUCTURE, &raw.structure)?;
    Ok(join(section.base(&raw.structure, base), &path_of(text)))
}

/// The frame that a table is of, and its number.
pub(super) fn structure(
    section: &Section<'_>,
    raw: &raw::SystemTable,
    base: &Path,
) -> Result<(Structure, i64)> {
    let path = file(section, raw, base)?;
    let frame = match raw.frame.as_ref().map(Spanned::get_ref) {
        None => 0,
        Some(Value::Integer(frame)) => *frame,
        Some(other) => {
            let why = format!(
                "{other} is not the number of a frame; the first is 0, the last is -1, and all of them are {:?}",
                keys::ALL_FRAMES
            );
            return Err(section.fault(&keys::FRAME, &raw.frame, why));
        }
    };
    let structure = match &raw.frame {
        None => read(&path),
        Some(_) => read_frame(&path, frame),
    };
    let structure =
        structure.map_err(|e| section.fault(&keys::STRUCTURE, &raw.structure, e.to_string()))?;
    Ok((structure, frame))
}

/// For the last state of a run, which is XYZ and has no names of atoms: the topology beside it.
pub(super) fn beside(structure: &Structure) -> Option<Structure> {
    let nameless = structure.names.is_none() && structure.is_last_state();
    let topology = || read(&structure.path.with_file_name(TOPOLOGY)).ok();
    nameless.then(topology).flatten()
}

/// What the atoms are called: as the file says, or as in the topology beside it.
pub(super) fn names(structure: &Structure, beside: &Option<Structure>) -> Option<Vec<AtomName>> {
    let other = beside
        .as_ref()
        .filter(|other| other.species == structure.species);
    let named = other.and_then(|other| other.names.as_ref());
    structure.names.as_ref().or(named).cloned()
}

/// Positions (angstrom) in which the molecules are whole that the cell's faces cut.
fn whole(section: &mut Section<'_>, structure: &Structure, cell: &Cell) -> Vec<Vec3> {
    let mut positions = structure.positions.clone();
    if cell.is_periodic() && !structure.is_last_state() {
        let molecules = Molecules::of(&structure.species, cell, &positions);
        let cut = molecules.cut();
        if cut > 0 {
            molecules.make_whole(cell, &mut positions);
            let them = if cut == 1 {
                "molecule that"
            } else {
                "molecules that"
            };
            let note = format!("has {cut} {them} the cell's faces cut; made whole");
            section.note(&keys::STRUCTURE, &note);
        }
    }
    positions
}

/// An error about what is in the structure file.
fn in_structure(
    section: &Section<'_>,
    raw: &raw::SystemTable,
    structure: &Structure,
    e: &Error,
) -> Error {
    let message = format!("{}: {e}", structure.path.display());
    section.misfit(&keys::STRUCTURE, &raw.structure, message)
}

/// Masses (u) by symbol: of elements, or of D and T.
pub(super) type Masses = BTreeMap<String, f64>;

/// `masses`.
pub(super) fn masses(section: &Section<'_>, raw: &raw::SystemTable) -> Result<Masses> {
    let mut masses = BTreeMap::new();
    for (symbol, value) in raw.masses.iter().flatten() {
        let key = format!("masses.{}", symbol.get_ref());
        if elements::number_and_mass(symbol.get_ref()).is_none() {
            let all = (1..=elements::LAST).map(elements::symbol);
            let near = nearest(
                symbol.get_ref(),
                all.filter(|s| s.eq_ignore_ascii_case(symbol.get_ref())),
            );
            let near = near.map_or_else(String::new, |n| format!("; did you mean {n}?"));
            let why = format!("is not an element's symbol{near}");
            return Err(section.fault_at(&key, &symbol.span(), why));
        }
        let mass = quantity(value.get_ref(), Dimension::Mass, Sign::Positive)
            .map_err(|e| section.fault_at(&key, &value.span(), e.to_string()))?;
        masses.insert(symbol.get_ref().clone(), mass);
    }
    Ok(masses)
}

/// Keeps `masses` as they were given.
fn keep_masses(section: &mut Section<'_>, raw: &raw::SystemTable) {
    let mut kept = Table::new();
    for (symbol, value) in raw.masses.iter().flatten() {
        section.place(format!("masses.{}", symbol.get_ref()), &value.span());
        kept.insert(symbol.get_ref().clone(), value.get_ref().clone());
    }
    if !kept.is_empty() {
        section.keep(&keys::MASSES, &None, kept);
    }
}

/// Gives the atoms of each symbol their mass. What the file calls D keeps its mass where H is given one.
fn apply_masses(section: &mut Section<'_>, masses: &Masses, system: &mut System) {
    let symbols: Vec<&str> = (system.species.iter().zip(&system.masses))
        .map(|(&z, &mass)| elements::isotope(z, mass).unwrap_or(elements::symbol(z)))
        .collect();
    for (symbol, &mass) in masses {
        let mut met = false;
        for (own, m) in symbols.iter().zip(&mut system.masses) {
            if *own == *symbol {
                *m = mass;
                met = true;
            }
        }
        if !met {
            let key = format!("masses.{symbol}");
            section.note(&key, "there is no such atom in the structure");
        }
    }
}

/// `hydrogen_mass`: moves mass to hydrogen from what it is bonded to.
fn repartition(
    section: &mut Section<'_>,
    raw: &raw::SystemTable,
    system: &mut System,
    (cell, positions): (&Cell, &[Vec3]),
) -> Result<()> {
    let (key, leaf) = (&keys::HYDROGEN_MASS, &raw.hydrogen_mass);
    if leaf.is_none() {
        return Ok(());
    }
    let mass = section.given(key.name, leaf, &key.value)?;
    let count = hydrogen::repartition(system, cell, positions, mass)
        .map_err(|e| section.misfit(key, leaf, format!("{e}; give another mass, or remove it")))?;
    let atoms = counted(count as u64, "hydrogen atom");
    section.note(
        key,
        &format!("{atoms} made heavier, by mass of their neighbours"),
    );
    Ok(())
}

/// The cell: from the structure file, from here, or none.
fn cell(section: &mut Section<'_>, raw: &raw::SystemTable, structure: &Structure) -> Result<Cell> {
    let (vectors, usual) = match raw.cell.as_ref().map(Spanned::get_ref) {
        Some(Value::Array(rows)) => {
            let vectors =
                vectors(rows).map_err(|e| section.fault(&keys::CELL, &raw.cell, e.to_string()))?;
            section.keep(&keys::CELL, &raw.cell, rows.clone());
            (vectors, [true; 3])
        }
        None | Some(Value::String(_)) => match section.choice(&keys::CELL, &raw.cell)? {
            true => (
                structure.vectors.unwrap_or_else(Mat3::zeros),
                structure.periodic,
            ),
            false => (Mat3::zeros(), [false; 3]),
        },
        Some(other) => {
            let why = format!("{other}: {CELL_FORMS}");
            return Err(section.fault(&keys::CELL, &raw.cell, why));
        }
    };
    let periodic = periodic(section, &raw.periodic, usual)?;
    let (key, leaf) = match raw.cell.is_none() && raw.periodic.is_some() {
        true => (keys::PERIODIC.name, &raw.periodic),
        false => (keys::CELL.name, &raw.cell),
    };
    let none = vectors == Mat3::zeros();
    if none && periodic != [false; 3] {
        return Err(section.misfit(
            key,
            leaf,
            "the system is periodic, but the structure file has no cell; give one here, such as \
             cell = [\"12.4 A\", \"12.4 A\", \"12.4 A\"], or periodic = false",
        ));
    }
    let fitted = match raw.cell.is_none() && structure.is_last_state() {
        true => Cell::new(vectors, periodic).map(Fitted::from),
        false => Cell::fitting(vectors, periodic, &structure.positions),
    };
    let Fitted { cell, notes } = fitted.map_err(|e| match &raw.cell {
        Some(_) => section.misfit(&keys::CELL, &raw.cell, e.to_string()),
        None => in_structure(section, raw, structure, &e),
    })?;
    for note in notes {
        section.note(&keys::CELL, &note);
    }
    Ok(cell)
}

/// What a cell may be.
const CELL_FORMS: &str = "a cell is \"from the file\", \"none\", three edges such as \
    [\"12.4 A\", \"12.4 A\", \"12.4 A\"], or three vectors such as \
    [[\"10 A\", \"0 A\", \"0 A\"], [\"2 A\", \"9 A\", \"0 A\"], [\"0 A\", \"0 A\", \"8 A\"]]";

/// Lattice vectors as rows (angstrom), from three edges or three vectors.
fn vectors(rows: &[Value]) -> Result<Mat3> {
    if rows.len() != 3 {
        return Err(Error::input(format!(
            "{} entries; {CELL_FORMS}",
            rows.len()
        )));
    }
    let length = |value: &Value, sign: Sign| quantity(value, Dimension::Length, sign);
    let mut vectors = Mat3::zeros();
    for (k, row) in rows.iter().enumerate() {
        let Value::Array(parts) = row else {
            vectors[(k, k)] = length(row, Sign::NotNegative)?;
            continue;
        };
        if parts.len() != 3 || !rows.iter().all(Value::is_array) {
            return Err(Error::input(format!(
                "vector {k} is not of three lengths; {CELL_FORMS}"
            )));
        }
        for (c, part) in parts.iter().enumerate() {
            vectors[(k, c)] = length(part, Sign::Any)?;
        }
    }
    Ok(vectors)
}

/// The periodic directions.
fn periodic(section: &mut Section<'_>, leaf: &Leaf, usual: [bool; 3]) -> Result<[bool; 3]> {
    let flags = match leaf.as_ref().map(Spanned::get_ref) {
        None => usual,
        Some(Value::Boolean(all)) => [*all; 3],
        Some(Value::Array(list)) => {
            let flags: Option<Vec<bool>> = list.iter().map(Value::as_bool).collect();
            let Some(Ok(flags)) = flags.map(<[bool; 3]>::try_from) else {
                return Err(section.fault(&keys::PERIODIC, leaf, PERIODIC_FORMS));
            };
            flags
        }
        Some(_) => return Err(section.fault(&keys::PERIODIC, leaf, PERIODIC_FORMS)),
    };
    section.keep(&keys::PERIODIC, leaf, flags.map(Value::from).to_vec());
    Ok(flags)
}

/// What `periodic` may be.
const PERIODIC_FORMS: &str =
    "true, false, or one of these per direction is wanted, such as [true, true, false]";

/// `velocities` of a system that starts from a frame.
pub(super) fn velocities(
    section: &mut Section<'_>,
    raw: &raw::SystemTable,
    structure: &Structure,
) -> Result<VelocityPlan> {
    let zeros = || VelocityPlan::Given(vec![Vec3::zeros(); structure.species.len()]);
    let Some(spanned) = &raw.velocities else {
        return from_file(section, structure, &None);
    };
    let span = spanned.span();
    section.place(&keys::VELOCITIES, &span);
    let thermal = match spanned.get_ref() {
        raw::VelocitiesEntry::Word(word) if word == FROM_FILE => {
            return from_file(
                section,
                structure,
                &Some(Spanned::new(span, Value::from(FROM_FILE))),
            );
        }
        raw::VelocitiesEntry::Word(word) if word == "zero" => {
            section.keep(&keys::VELOCITIES, &None, "zero");
            return Ok(zeros());
        }
        raw::VelocitiesEntry::Word(word) => {
            return Err(section.fault_at(
                &keys::VELOCITIES,
                &span,
                format!("{word:?}: {VELOCITY_FORMS}"),
            ));
        }
        raw::VelocitiesEntry::Thermal(thermal) => thermal,
    };
    let atoms = structure.species.len();
    self::thermal(section, keys::VELOCITIES.name, (span, thermal), atoms)
}

/// Velocities of a temperature, which a table of this key gives to so many atoms.
pub(super) fn thermal(
    section: &mut Section<'_>,
    key: &str,
    (span, raw): (std::ops::Range<usize>, &raw::Thermal),
    atoms: usize,
) -> Result<VelocityPlan> {
    let mut inner = section.inner(key, span);
    let kt = temperature(&mut inner, &keys::TEMPERATURE, &raw.temperature)?;
    let seed = inner.seed(&keys::SEED, &raw.seed)?;
    section.adopt(key, inner);
    // At 0 K there is no distribution to scale.
    if kt == 0.0 {
        return Ok(VelocityPlan::Given(vec![Vec3::zeros(); atoms]));
    }
    Ok(VelocityPlan::Thermal { kt, seed })
}

/// What `velocities` may be.
const VELOCITY_FORMS: &str =
    "velocities are \"from the file\", \"zero\" or { temperature = \"300 K\", seed = 1 }";

fn from_file(
    section: &mut Section<'_>,
    structure: &Structure,
    leaf: &Leaf,
) -> Result<VelocityPlan> {
    let Some(velocities) = &structure.velocities else {
        let why = format!(
            "{} has no velocities; {VELOCITY_FORMS}",
            structure.path.display()
        );
        return Err(section.misfit(&keys::VELOCITIES, leaf, why));
    };
    section.keep(&keys::VELOCITIES, &None, FROM_FILE);
    Ok(VelocityPlan::Given(velocities.clone()))
}
