//! `[[group]]`: which atoms, and what is done to them.

mod spring;
mod wall;

use toml::{Spanned, Value};

use super::keys::group as keys;
use super::keys::row::{ConfigKey, Forms, Sign};
use super::plan::{DynamicsPlan, GroupPlan, StartPlan};
use super::raw::{GroupTable, Leaf};
use super::section::{OneOfMany, Resolved, Section, quantity};
use super::source::Source;
use crate::Result;
use crate::core::Vec3;
use crate::dynamics::Dynamics;
use crate::engine::OwnBath;
use crate::forcefield::external::{ExternalLaw, ExternalTerm};
use crate::selection::{Selection, SelectionScene};
use crate::units::Dimension;
use spring::SpringScene;
use wall::WallScene;

/// What groups depend on.
pub(super) struct GroupContext<'p> {
    /// Where they are written.
    pub source: &'p Source,
    /// The atoms that they are of.
    pub start: &'p StartPlan,
    /// How these move.
    pub dynamics: &'p DynamicsPlan,
    /// The system among many.
    pub member: Option<OneOfMany>,
    /// Of a run in stages, the one that it is of.
    pub stage: Option<StageGroups<'p>>,
}

/// What a stage does to groups.
#[derive(Clone, Copy)]
pub(super) struct StageGroups<'p> {
    /// Names of those that something is done to; `None` for all.
    pub acting: Option<&'p [String]>,
}

impl GroupContext<'_> {
    /// Whether something is done to the group of a name.
    fn acts(&self, name: &str) -> bool {
        let acting = self.stage.and_then(|stage| stage.acting);
        acting.is_none_or(|names| names.iter().any(|one| one == name))
    }

    /// What to do where a group does not go with its stage; nothing of a run without stages.
    fn advice(&self) -> &'static str {
        match self.stage {
            Some(_) => "; or leave the group out of the stage, by its key groups",
            None => "",
        }
    }
}

/// A group whose atoms are known.
pub(in crate::config) struct NamedAtoms {
    pub name: String,
    pub atoms: Vec<usize>,
}

/// The groups that something is done to, and what all of them resolve to: their atoms by number, so that a run that goes on has
/// the same.
pub(super) fn groups(
    tables: &[Spanned<GroupTable>],
    context: &GroupContext<'_>,
) -> Result<(Vec<GroupPlan>, Resolved)> {
    let mut sections = Vec::new();
    let mut all: Vec<NamedAtoms> = Vec::new();
    for (k, table) in tables.iter().enumerate() {
        let name = format!("{}.{k}", keys::TABLE.name);
        let section = Section::new(context.source, &name, table.span());
        let mut section = section.of(context.member.clone());
        let group = named(&mut section, table.get_ref(), context.start)?;
        if all.iter().any(|other| other.name == group.name) {
            let why = format!(
                "there is a group {:?} already; choose another name",
                group.name
            );
            return Err(section.fault(&keys::NAME, &table.get_ref().name, why));
        }
        all.push(group);
        sections.push((section, name));
    }
    let mut groups: Vec<GroupPlan> = Vec::new();
    let mut resolved = Resolved::default();
    let mut list = Vec::new();
    for (k, (mut section, name)) in sections.into_iter().enumerate() {
        let table = tables[k].get_ref();
        let group = acts(&mut section, table, (k, &all, context))?;
        if context.acts(&group.name) {
            check(&section, table, (&group, context))?;
            check_baths(&section, table, (&group, &groups))?;
            groups.push(group);
        }
        let mut finished = section.finish(&name);
        list.extend(finished.tables.remove(&name));
        resolved.take(finished);
    }
    if !list.is_empty() {
        let name = keys::TABLE.name.to_owned();
        resolved.tables.insert(name, Value::Array(list));
    }
    Ok((groups, resolved))
}

/// Which atoms a group has.
fn named(section: &mut Section<'_>, raw: &GroupTable, start: &StartPlan) -> Result<NamedAtoms> {
    Ok(NamedAtoms {
        name: name(section, raw)?,
        atoms: atoms(section, raw, start)?,
    })
}

/// What is done to a group, number `k` of all.
fn acts(
    section: &mut Section<'_>,
    raw: &GroupTable,
    (k, all, context): (usize, &[NamedAtoms], &GroupContext<'_>),
) -> Result<GroupPlan> {
    let (own, start) = (&all[k], context.start);
    let frozen = section.flag(&keys::FROZEN, &raw.frozen)?;
    let mut terms = Vec::new();
    if let Some(raw) = &raw.spring {
        let scene = SpringScene {
            own,
            all,
            system: &start.system,
            cell: &start.cell,
            positions: &start.positions,
            timestep: context.dynamics.timestep,
        };
        terms.push(spring::spring(section, raw, &scene)?);
    }
    terms.extend(walls(section, raw, (own, start))?);
    if raw.force.is_some() {
        let force = vector(section, &keys::FORCE, &raw.force, Dimension::Force)?;
        terms.push(ExternalTerm {
            atoms: own.atoms.clone(),
            law: ExternalLaw::Force(force),
        });
    }
    Ok(GroupPlan {
        name: own.name.clone(),
        atoms: own.atoms.clone(),
        frozen,
        terms,
        bath: bath(section, raw, (&own.name, context))?,
    })
}

fn walls(
    section: &mut Section<'_>,
    raw: &GroupTable,
    (own, start): (&NamedAtoms, &StartPlan),
) -> Result<Vec<ExternalTerm>> {
    let scene = WallScene {
        atoms: &own.atoms,
        cell: &start.cell,
        positions: &start.positions,
    };
    let (mut terms, mut list) = (Vec::new(), Vec::new());
    for (k, raw) in raw.wall.iter().enumerate() {
        let mut inner = section.inner(format!("{}.{k}", keys::WALL.name), raw.span());
        terms.push(wall::wall(&mut inner, raw.get_ref(), &scene)?);
        list.push(Value::Table(section.absorb(inner)));
    }
    if !list.is_empty() {
        section.keep(&keys::WALL, &None, list);
    }
    Ok(terms)
}

/// The bath of a group.
fn bath(
    section: &mut Section<'_>,
    raw: &GroupTable,
    (name, context): (&str, &GroupContext<'_>),
) -> Result<Option<OwnBath>> {
    let Some(raw) = &raw.thermostat else {
        return Ok(None);
    };
    let span = raw.span();
    let mut inner = section.inner(&keys::THERMOSTAT, raw.span());
    let raw = raw.get_ref();
    let kt = inner.quantity(&keys::TEMPERATURE, &raw.temperature)?;
    let friction = inner.quantity(&keys::FRICTION, &raw.friction)?;
    section.adopt(&keys::THERMOSTAT, inner);
    match &context.dynamics.ensemble {
        _ if !context.acts(name) => Ok(None),
        Dynamics::Langevin(whole) => {
            let friction = friction / whole.friction;
            Ok(Some(OwnBath { kt, friction }))
        }
        // A stage without a bath leaves those of groups out as it does that of the file.
        Dynamics::Nve(_) if context.stage.is_some() => Ok(None),
        _ => {
            let why = format!(
                "a group has a thermostat of its own with [dynamics] ensemble = \"langevin\" alone: choose that, or remove \
                 this{}",
                context.advice()
            );
            Err(section.fault_at(&keys::THERMOSTAT, &span, why))
        }
    }
}

fn name(section: &mut Section<'_>, raw: &GroupTable) -> Result<String> {
    let text = section.text(&keys::NAME, &raw.name)?.to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !text.chars().all(plain) {
        let why = format!("{text:?}: a name has letters, digits, - and _ alone");
        return Err(section.fault(&keys::NAME, &raw.name, why));
    }
    section.keep(&keys::NAME, &raw.name, text.clone());
    Ok(text)
}

fn atoms(section: &mut Section<'_>, raw: &GroupTable, start: &StartPlan) -> Result<Vec<usize>> {
    let (key, leaf) = (&keys::ATOMS, &raw.atoms);
    let text = section.text(key, leaf)?;
    let selection = Selection::parse(text).map_err(|e| section.fault(key, leaf, e.to_string()))?;
    let scene = SelectionScene {
        species: &start.system.species,
        cell: &start.cell,
        positions: &start.positions,
    };
    let atoms = (selection.atoms(&scene)).map_err(|e| section.misfit(key, leaf, e.to_string()))?;
    section.keep(key, leaf, by_number(&atoms));
    Ok(atoms)
}

/// The selection of atoms by their numbers, ascending: `index 0:12,40`.
fn by_number(atoms: &[usize]) -> String {
    let mut ranges: Vec<[usize; 2]> = Vec::new();
    for &atom in atoms {
        match ranges.last_mut().filter(|[_, last]| *last + 1 == atom) {
            Some(range) => range[1] = atom,
            None => ranges.push([atom, atom]),
        }
    }
    let shown = |[first, last]: &[usize; 2]| match first == last {
        true => first.to_string(),
        false => format!("{first}:{last}"),
    };
    let list: Vec<String> = ranges.iter().map(shown).collect();
    format!("index {}", list.join(","))
}

/// Three quantities.
fn vector(
    section: &mut Section<'_>,
    key: &ConfigKey<Forms>,
    leaf: &Leaf,
    dimension: Dimension,
) -> Result<Vec3> {
    let list = leaf.as_ref().and_then(|leaf| leaf.get_ref().as_array());
    let Some([x, y, z]) = list.map(Vec::as_slice) else {
        let why = format!("{} is wanted", key.value.0);
        return Err(section.fault(key, leaf, why));
    };
    let mut vector = Vec3::zeros();
    for (to, one) in vector.iter_mut().zip([x, y, z]) {
        *to = quantity(one, dimension, Sign::Any)
            .map_err(|e| section.fault(key, leaf, e.to_string()))?;
    }
    section.keep(key, leaf, vec![x.clone(), y.clone(), z.clone()]);
    Ok(vector)
}

/// Three numbers.
fn numbers(value: &Value) -> Option<Vec3> {
    let number = |value: &Value| match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Float(x) => Some(*x).filter(|x| x.is_finite()),
        _ => None,
    };
    let [x, y, z] = value.as_array()?.as_slice() else {
        return None;
    };
    Some(Vec3::new(number(x)?, number(y)?, number(z)?))
}

/// Refuses what a group does not go with.
fn check(
    section: &Section<'_>,
    raw: &GroupTable,
    (group, context): (&GroupPlan, &GroupContext<'_>),
) -> Result<()> {
    let acting = !group.terms.is_empty() || group.bath.is_some();
    if !group.frozen && !acting {
        return Ok(());
    }
    let spans = [
        raw.frozen
            .as_ref()
            .filter(|_| group.frozen)
            .map(|leaf| (keys::FROZEN.name, leaf.span())),
        raw.spring
            .as_ref()
            .map(|table| (keys::SPRING.name, table.span())),
        raw.wall
            .first()
            .map(|table| (keys::WALL.name, table.span())),
        raw.force
            .as_ref()
            .map(|leaf| (keys::FORCE.name, leaf.span())),
        raw.thermostat
            .as_ref()
            .map(|table| (keys::THERMOSTAT.name, table.span())),
    ];
    let Some((key, span)) = spans.into_iter().flatten().next() else {
        return Ok(());
    };
    let fault = |why: &str| {
        let advice = context.advice();
        Err(section.fault_at(key, &span, format!("{why}{advice}")))
    };
    let dynamics = context.dynamics;
    let strained = !group.frozen && group.terms.iter().all(ExternalTerm::is_strained);
    if dynamics.ensemble.pressure().is_some() && !strained {
        return fault(
            "what is at places in space, or leads through a periodic border, does not follow a cell that a barostat strains: \
             remove it, or choose another [dynamics] ensemble",
        );
    }
    let anchored = group.frozen || group.terms.iter().any(ExternalTerm::is_anchored);
    if dynamics.remove_drift > 0 && anchored {
        return fault(
            "holds the system or pushes it as a whole, whose motion is thermal then: remove it, or [dynamics] remove_drift",
        );
    }
    if group.frozen && acting {
        return fault(
            "atoms that stay where they are do not follow springs, walls, forces and thermostats: remove one of the two",
        );
    }
    if group.frozen && group.atoms.len() == context.start.system.len() {
        return fault("all atoms are frozen, and nothing is left to move: choose fewer");
    }
    Ok(())
}

/// Refuses a second bath of an atom.
fn check_baths(
    section: &Section<'_>,
    raw: &GroupTable,
    (group, before): (&GroupPlan, &[GroupPlan]),
) -> Result<()> {
    let (Some(_), Some(table)) = (group.bath, &raw.thermostat) else {
        return Ok(());
    };
    let shares = |other: &&GroupPlan| other.atoms.iter().any(|i| group.atoms.contains(i));
    let mut others = before.iter().filter(|other| other.bath.is_some());
    match others.find(shares) {
        None => Ok(()),
        Some(other) => {
            let why = format!(
                "the group {:?} has some of its atoms, and a thermostat too: choose groups that share none",
                other.name
            );
            Err(section.fault_at(&keys::THERMOSTAT, &table.span(), why))
        }
    }
}
