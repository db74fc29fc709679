//! `[constraints]`: which distances stay what they are.

use toml::{Spanned, Table, Value};

use super::keys::constraints as keys;
use super::keys::row::{ConfigKey, Forms, Sign};
use super::plan::{Plan, StartPlan, VelocityPlan};
use super::raw::{ConstraintsTable, Leaf};
use super::section::{OneOfMany, Resolved, Section, quantity};
use super::source::Source;
use crate::Result;
use crate::core::observe::{self, WholeMotion};
use crate::core::{Vec3, elements};
use crate::dynamics::constraints::MOST_BROUGHT;
use crate::dynamics::{BondConstraint, ConstraintSolver, Constraints, Dynamics, WaterShape};
use crate::neighbors::bonds;
use crate::text::counted;
use crate::units::Dimension;

/// What a distance is kept to where nothing is said.
const USUAL_TOLERANCE: f64 = 1e-10;
/// Tolerances that numbers of 16 digits resolve, and that conserve energy.
const TOLERANCES: [f64; 2] = [1e-12, 1e-6];
/// A distance (angstrom) that no two atoms of a molecule are held at, but atoms on two sides of a cell are.
const LONGEST: f64 = 5.0;
/// A structure is brought onto constraints that it is off by more than this many tolerances: less is what a run leaves.
const LEFT: f64 = 10.0;

const HYDROGEN: u8 = 1;
const OXYGEN: u8 = 8;

/// The constraints of a start, which is brought onto them; of a member, where there are many.
pub(super) fn constraints(
    source: &Source,
    table: &Option<Spanned<ConstraintsTable>>,
    (start, member): (&mut StartPlan, Option<OneOfMany>),
) -> Result<(Constraints, Resolved)> {
    let Some(table) = table else {
        return Ok((Constraints::default(), Resolved::default()));
    };
    let mut section = Section::new(source, keys::TABLE.name, table.span()).of(member);
    let raw = table.get_ref();
    let waters = waters(&mut section, raw, start)?;
    let shape = shape(&mut section, raw, (&waters, start))?;
    let bonds = bonds_of(&mut section, raw, (&waters, start))?;
    let constraints = Constraints {
        bonds,
        waters,
        shape,
        tolerance: tolerance(&mut section, &raw.tolerance)?,
    };
    sound(&section, raw, (&constraints, start))?;
    bring(&mut section, raw, (&constraints, start))?;
    Ok((constraints, section.finish(keys::TABLE.name)))
}

/// The keys of a table as they are written, for many systems, each of which has atoms and lengths of its own.
pub(super) fn as_written(table: &ConstraintsTable) -> Table {
    let leaves = [
        (keys::BONDS.name, &table.bonds),
        (keys::LENGTHS.name, &table.lengths),
        (keys::WATER.name, &table.water),
        (keys::OH.name, &table.oh),
        (keys::HH.name, &table.hh),
        (keys::TOLERANCE.name, &table.tolerance),
    ];
    let given = leaves.into_iter().filter_map(|(name, leaf)| {
        let value = leaf.as_ref()?.get_ref().clone();
        Some((name.to_owned(), value))
    });
    given.collect()
}

/// Refuses what constraints do not go with.
pub(super) fn check(source: &Source, plan: &Plan, table: &Spanned<ConstraintsTable>) -> Result<()> {
    if plan.constraints.is_empty() {
        return Ok(());
    }
    let fault = |why: &str| {
        let name = keys::TABLE.name;
        Err(source.fault(&table.span(), format!("{name}: {why}")))
    };
    let ensemble = &plan.dynamics.ensemble;
    if !matches!(
        ensemble,
        Dynamics::Nve(_) | Dynamics::Langevin(_) | Dynamics::Csvr(_)
    ) {
        return fault(&format!(
            "goes with the ensembles \"nve\", \"langevin\" and \"csvr\", and not with {:?}: set [dynamics] ensemble to one of \
             these, or remove [constraints]",
            ensemble.name()
        ));
    }
    let start = &plan.start;
    let at_rest = matches!(start.velocities, VelocityPlan::Thermal { .. });
    let (system, whole) = (&start.system, WholeMotion::Conserved);
    let free = observe::degrees_of_freedom(system, &start.cell, &start.positions, whole);
    if ensemble.conserves_momentum() && at_rest && free <= plan.constraints.count() {
        return fault(
            "leaves nothing to move but the whole, which starts at rest: leave out a constraint, or set [dynamics] ensemble to \
             \"langevin\"",
        );
    }
    let frozen = plan.groups.iter().find(|group| group.frozen);
    let bath = plan.groups.iter().find(|group| group.bath.is_some());
    if let Some(group) = frozen.or(bath) {
        return fault(&format!(
            "goes with springs, walls and forces of groups, and not with atoms that are frozen or have a thermostat of their \
             own, as those of the group {:?}: remove [group] frozen or thermostat, or [constraints]",
            group.name
        ));
    }
    Ok(())
}

/// Some whole numbers of atoms, from a list of lists of `N`.
fn lists<const N: usize>(
    section: &Section<'_>,
    (key, leaf): (&ConfigKey<Forms>, &Leaf),
    start: &StartPlan,
) -> Result<Vec<[usize; N]>> {
    let fault = |why: String| section.fault(key, leaf, why);
    let given = leaf.as_ref().map(|leaf| leaf.get_ref());
    let Some(list) = given.and_then(Value::as_array) else {
        return Err(fault(format!("{} is wanted", key.value.0)));
    };
    let mut found = Vec::with_capacity(list.len());
    for entry in list {
        let numbers: Option<Vec<usize>> = entry.as_array().and_then(|numbers| {
            let number = |value: &Value| usize::try_from(value.as_integer()?).ok();
            numbers.iter().map(number).collect()
        });
        let atoms = numbers.and_then(|numbers| <[usize; N]>::try_from(numbers).ok());
        let atoms = atoms.ok_or_else(|| {
            fault(format!(
                "{entry} is not a list of {N} numbers of atoms, counted from 0"
            ))
        })?;
        if let Some(atom) = atoms.iter().find(|&&atom| atom >= start.system.len()) {
            let of = counted(start.system.len() as u64, "atom");
            return Err(fault(format!(
                "there is no atom {atom}: the system has {of}, counted from 0"
            )));
        }
        found.push(atoms);
    }
    if found.is_empty() {
        return Err(fault("is an empty list: remove it".to_owned()));
    }
    Ok(found)
}

/// The word that a key says, unless it is a list.
fn word<'l>(key: &ConfigKey<Forms>, leaf: &'l Leaf) -> Option<&'l str> {
    match leaf {
        None => key.absent.value(),
        Some(leaf) => leaf.get_ref().as_str(),
    }
}

/// Keeps lists of atoms by their numbers, so that a run that goes on has the same.
fn keep_lists<const N: usize>(
    section: &mut Section<'_>,
    (key, leaf): (&ConfigKey<Forms>, &Leaf),
    lists: &[[usize; N]],
) {
    let number = |&atom: &usize| Value::Integer(i64::try_from(atom).unwrap_or(i64::MAX));
    let list = |atoms: &[usize; N]| Value::Array(atoms.iter().map(number).collect());
    section.keep(key, leaf, lists.iter().map(list).collect::<Vec<Value>>());
}

/// A length as it is written, to the bit.
fn shown(length: f64) -> String {
    format!("{length:?} A")
}

/// Rigid molecules of water, oxygen first.
fn waters(
    section: &mut Section<'_>,
    raw: &ConstraintsTable,
    start: &StartPlan,
) -> Result<Vec<[usize; 3]>> {
    let (key, leaf) = (&keys::WATER, &raw.water);
    let species = &start.system.species;
    let found = match word(key, leaf) {
        Some("flexible") => {
            section.keep(key, leaf, "flexible");
            return Ok(Vec::new());
        }
        Some("rigid") => all_water(start),
        Some(other) => {
            let why = format!("{other:?}: {} is wanted", key.value.0);
            return Err(section.fault(key, leaf, why));
        }
        None => lists(section, (key, leaf), start)?,
    };
    if found.is_empty() {
        let why = "there is no molecule of water in the structure: remove it";
        return Err(section.fault(key, leaf, why));
    }
    for water in &found {
        if water.map(|atom| species[atom]) != [OXYGEN, HYDROGEN, HYDROGEN] {
            let symbols = water.map(|atom| elements::symbol(species[atom]));
            let why = format!(
                "atoms {water:?} are {}: oxygen and its two hydrogens are wanted, in this order",
                symbols.join(", ")
            );
            return Err(section.fault(key, leaf, why));
        }
        if start.system.masses[water[1]] != start.system.masses[water[2]] {
            let why = format!(
                "the hydrogens of atoms {water:?} have different masses: give them the same, or list the three distances in bonds"
            );
            return Err(section.fault(key, leaf, why));
        }
    }
    keep_lists(section, (key, leaf), &found);
    Ok(found)
}

/// The molecules of water that distances tell.
fn all_water(start: &StartPlan) -> Vec<[usize; 3]> {
    let species = &start.system.species;
    let mut bonded: Vec<Vec<usize>> = vec![Vec::new(); species.len()];
    for bond in bonds::find(species, &start.cell, &start.positions) {
        bonded[bond.first].push(bond.second);
        bonded[bond.second].push(bond.first);
    }
    let water = |oxygen: usize| match bonded[oxygen].as_slice() {
        &[a, b] if species[oxygen] == OXYGEN => {
            let own = |h: usize| species[h] == HYDROGEN && bonded[h] == [oxygen];
            (own(a) && own(b)).then_some([oxygen, a, b])
        }
        _ => None,
    };
    (0..species.len()).filter_map(water).collect()
}

/// The shape of rigid water.
fn shape(
    section: &mut Section<'_>,
    raw: &ConstraintsTable,
    (waters, start): (&[[usize; 3]], &StartPlan),
) -> Result<WaterShape> {
    if waters.is_empty() {
        let why = "is of rigid water, and there is none: remove it, or set water = \"rigid\"";
        section.refuse(&keys::OH, &raw.oh, why)?;
        section.refuse(&keys::HH, &raw.hh, why)?;
        return Ok(WaterShape::default());
    }
    let shape = match (&raw.oh, &raw.hh) {
        (None, None) => {
            let shape = mean_shape(waters, &start.positions);
            section.keep(&keys::OH, &None, shown(shape.oh));
            section.keep(&keys::HH, &None, shown(shape.hh));
            let note = format!(
                "{} rigid, of the structure's mean shape: oh = \"{:.4} A\", hh = \"{:.4} A\" ({:.2} degrees)",
                counted(waters.len() as u64, "molecule"),
                shape.oh,
                shape.hh,
                shape.angle()
            );
            section.note(&keys::WATER, &note);
            shape
        }
        _ => WaterShape {
            oh: section.quantity(&keys::OH, &raw.oh)?,
            hh: section.quantity(&keys::HH, &raw.hh)?,
        },
    };
    if !shape.is_triangle() {
        let why = format!(
            "{} A between the hydrogens and {} A to each of them are no triangle: hh has to be less than twice oh",
            shape.hh, shape.oh
        );
        return Err(section.fault(&keys::HH, &raw.hh, why));
    }
    Ok(shape)
}

fn mean_shape(waters: &[[usize; 3]], positions: &[Vec3]) -> WaterShape {
    let distance = |i: usize, j: usize| (positions[i] - positions[j]).norm();
    let count = waters.len() as f64;
    let sum_oh: f64 = (waters.iter())
        .map(|&[o, a, b]| distance(o, a) + distance(o, b))
        .sum();
    let sum_hh: f64 = waters.iter().map(|&[_, a, b]| distance(a, b)).sum();
    WaterShape {
        oh: sum_oh / (2.0 * count),
        hh: sum_hh / count,
    }
}

/// Constrained bonds outside of rigid water.
fn bonds_of(
    section: &mut Section<'_>,
    raw: &ConstraintsTable,
    (waters, start): (&[[usize; 3]], &StartPlan),
) -> Result<Vec<BondConstraint>> {
    let (key, leaf) = (&keys::BONDS, &raw.bonds);
    let alone = "is of a list of pairs in bonds: remove it, or give such a list";
    let pairs = match word(key, leaf) {
        Some("none") => {
            section.refuse(&keys::LENGTHS, &raw.lengths, alone)?;
            section.keep(key, leaf, "none");
            return Ok(Vec::new());
        }
        Some(word @ ("hydrogen" | "all")) => {
            section.refuse(&keys::LENGTHS, &raw.lengths, alone)?;
            bonded(section, (key, leaf), (word == "all", waters, start))?
        }
        Some(other) => {
            let why = format!("{other:?}: {} is wanted", key.value.0);
            return Err(section.fault(key, leaf, why));
        }
        None => lists(section, (key, leaf), start)?,
    };
    let lengths = lengths(section, &raw.lengths, (&pairs, &start.positions))?;
    keep_lists(section, (key, leaf), &pairs);
    let texts: Vec<Value> = lengths.iter().map(|&l| shown(l).into()).collect();
    section.keep(&keys::LENGTHS, &raw.lengths, texts);
    let both = pairs.into_iter().zip(lengths);
    Ok(both
        .map(|(atoms, length)| BondConstraint { atoms, length })
        .collect())
}

/// The pairs that are bonded, as distances tell: to hydrogen, or all.
fn bonded(
    section: &Section<'_>,
    (key, leaf): (&ConfigKey<Forms>, &Leaf),
    (all, waters, start): (bool, &[[usize; 3]], &StartPlan),
) -> Result<Vec<[usize; 2]>> {
    let species = &start.system.species;
    let mut rigid = vec![false; species.len()];
    waters.iter().flatten().for_each(|&atom| rigid[atom] = true);
    let mut pairs = Vec::new();
    for bond in bonds::find(species, &start.cell, &start.positions) {
        let atoms = [bond.first, bond.second];
        let wanted = all || atoms.iter().any(|&atom| species[atom] == HYDROGEN);
        if !wanted || atoms.iter().all(|&atom| rigid[atom]) {
            continue;
        }
        if bond.image != [0; 3] {
            let why = format!(
                "the bond of atoms {} and {} leads through the cell's face, as in a molecule without end: list pairs of others",
                bond.first, bond.second
            );
            return Err(section.fault(key, leaf, why));
        }
        pairs.push(atoms);
    }
    if pairs.is_empty() {
        let why = "there are no such bonds in the structure outside of rigid water: remove it";
        return Err(section.fault(key, leaf, why));
    }
    Ok(pairs)
}

/// The lengths of pairs: those given, or what they are.
fn lengths(
    section: &Section<'_>,
    leaf: &Leaf,
    (pairs, positions): (&[[usize; 2]], &[Vec3]),
) -> Result<Vec<f64>> {
    let Some(given) = leaf else {
        let distance = |[i, j]: &[usize; 2]| (positions[*i] - positions[*j]).norm();
        return Ok(pairs.iter().map(distance).collect());
    };
    let fault = |why: String| section.fault(&keys::LENGTHS, leaf, why);
    let list = given.get_ref().as_array();
    let list = list.ok_or_else(|| fault(format!("{} is wanted", keys::LENGTHS.value.0)))?;
    if list.len() != pairs.len() {
        let (pairs, lengths) = (
            counted(pairs.len() as u64, "pair"),
            counted(list.len() as u64, "length"),
        );
        return Err(fault(format!(
            "there are {lengths} for {pairs}: give one for each"
        )));
    }
    let one = |value: &Value| quantity(value, Dimension::Length, Sign::Positive);
    let lengths: Result<Vec<f64>> = list.iter().map(one).collect();
    lengths.map_err(|e| fault(e.to_string()))
}

fn tolerance(section: &mut Section<'_>, leaf: &Leaf) -> Result<f64> {
    let key = &keys::TOLERANCE;
    let value = match leaf.as_ref().map(|leaf| leaf.get_ref()) {
        None => Some(USUAL_TOLERANCE),
        Some(Value::Float(number)) => Some(*number),
        Some(_) => None,
    };
    let [least, most] = TOLERANCES;
    let value = value.filter(|value| (least..=most).contains(value));
    let value = value.ok_or_else(|| {
        let why = format!("{} is wanted, such as {USUAL_TOLERANCE:e}", key.value.0);
        section.fault(key, leaf, why)
    })?;
    section.keep(key, leaf, value);
    Ok(value)
}

/// The key, and where it is, that a pair of atoms comes from.
fn origin<'r>(
    raw: &'r ConstraintsTable,
    constraints: &Constraints,
    pair: [usize; 2],
) -> (&'static ConfigKey<Forms>, &'r Leaf) {
    let water = |water: &[usize; 3]| pair.iter().all(|atom| water.contains(atom));
    match constraints.waters.iter().any(water) {
        true => (&keys::WATER, &raw.water),
        false => (&keys::BONDS, &raw.bonds),
    }
}

/// Refuses constraints that no atoms can satisfy, that say a thing twice, or that the structure is far from.
fn sound(
    section: &Section<'_>,
    raw: &ConstraintsTable,
    (constraints, start): (&Constraints, &StartPlan),
) -> Result<()> {
    for pair in constraints.pairs() {
        let [i, j] = pair.atoms;
        let (key, leaf) = origin(raw, constraints, pair.atoms);
        let apart = (start.positions[i] - start.positions[j]).norm();
        if i != j && apart.max(pair.length) > LONGEST {
            let why = format!(
                "atoms {i} and {j} are {apart:.2} A apart, and constraints of more than {LONGEST} A are refused: they are not of \
                 one molecule, or lie at two faces of the cell; give other atoms"
            );
            return Err(section.fault(key, leaf, why));
        }
        if i != j && pair.deviation(&start.positions) > MOST_BROUGHT {
            let why = format!(
                "atoms {i} and {j} are {apart:.4} A apart, too far from the {:.4} A that they are to be held at: minimise the \
                 structure, or give the distance that it has",
                pair.length
            );
            return Err(section.fault(key, leaf, why));
        }
    }
    let (key, leaf) = match constraints.bonds.is_empty() {
        true => (&keys::WATER, &raw.water),
        false => (&keys::BONDS, &raw.bonds),
    };
    (constraints.check(&start.system.masses, &start.positions))
        .map_err(|e| section.fault(key, leaf, e.to_string()))
}

/// Brings a start onto the constraints.
fn bring(
    section: &mut Section<'_>,
    raw: &ConstraintsTable,
    (constraints, start): (&Constraints, &mut StartPlan),
) -> Result<()> {
    let Some(worst) = constraints.worst(&start.positions) else {
        return Ok(());
    };
    let solver = ConstraintSolver::new(constraints, &start.system.masses);
    let least = LEFT * constraints.tolerance;
    let (key, leaf) = origin(raw, constraints, worst.atoms);
    let [i, j] = worst.atoms;
    if worst.deviation > least {
        solver.bring(&mut start.positions).map_err(|unmet| {
            let [i, j] = unmet.atoms;
            let why = format!("atoms {i} and {j} cannot be brought to their distance: minimise the structure first");
            section.fault(key, leaf, why)
        })?;
        let note = format!(
            "the structure is off by up to {:.1e} of a distance (atoms {i} and {j}), and was brought onto the constraints",
            worst.deviation
        );
        section.note(key, &note);
    }
    if let VelocityPlan::Given(velocities) = &mut start.velocities
        && constraints.fastest(&start.positions, velocities) > least
    {
        let fault = |_| {
            section.fault(
                key,
                leaf,
                "velocities cannot be brought onto the constraints",
            )
        };
        (solver.project(&start.positions, velocities)).map_err(fault)?;
        let note = "velocities along constrained distances were taken out";
        section.note(key, note);
    }
    Ok(())
}
