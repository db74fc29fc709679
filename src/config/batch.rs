//! Many systems of one run file: each a member, whose plan is that of its run alone.

use std::collections::HashMap;
use std::ops::Range;

use toml::{Spanned, Table, Value};

use super::constraints;
use super::keys::system::{
    ALL_FRAMES, FRAME, MOST_MEMBERS, PERIODIC, REPLICA, REPLICAS, STRUCTURE,
};
use super::keys::{self, dynamics, group, system};
use super::plan::{BatchPlan, MemberPlan, StartPlan, TrajectoryFormat, VelocityPlan};
use super::raw::{DeviceTable, Leaf, OutputTable, Raw, SystemTable, Systems, VelocitiesEntry};
use super::section::{OneOfMany, Resolved, Section};
use super::start::{self, Masses, StartingFrame};
use super::tables::Tables;
use crate::formats::{Structure, read_all};
use crate::{Result, memory};

/// Memory (bytes) that a plan takes apart from its atoms, and that each of these takes.
const BYTES_PER_PLAN: f64 = 14e3;
const BYTES_PER_ATOM: f64 = 100.0;
/// Most notes on single members that are told.
const MOST_NOTES: usize = 10;
/// Most members that a note names.
const MOST_NAMED: usize = 4;

/// Whether a run file is one of many systems, however many it has in the end.
pub(super) fn is_batch(raw: &Raw) -> bool {
    match raw.system.as_ref().map(Spanned::get_ref) {
        None => false,
        Some(Systems::Several(_)) => true,
        Some(Systems::One(table)) => table.replicas.is_some() || of_all_frames(table),
    }
}

/// Whether each frame of a table's structure is a system.
fn of_all_frames(table: &SystemTable) -> bool {
    let frame = table.frame.as_ref().map(Spanned::get_ref);
    frame.and_then(Value::as_str) == Some(ALL_FRAMES)
}

/// The plans of all systems.
///
/// # Errors
/// As for a run of one; an error about one of them says which.
pub(super) fn batch(tables: &Tables<'_>) -> Result<BatchPlan> {
    let entries = entries(tables)?;
    let mut starts = Vec::new();
    let mut systems = Vec::new();
    for entry in &entries {
        let first = starts.len();
        starts.extend(entry.members(tables, first)?);
        let resolved = &starts[first].resolved;
        systems.push(Value::Table(entry.resolved(resolved)));
    }
    let several =
        !matches!(&tables.raw.system, Some(one) if matches!(one.get_ref(), Systems::One(_)));
    let system = match several {
        true => Value::Array(systems),
        false => systems.remove(0),
    };
    let members = members(tables, starts)?;
    let mut resolved = of_all(tables, &members[0].plan.resolved, system);
    let (together, in_flight) = own_keys(tables, &members, &mut resolved)?;
    let mut notes = notes(&members);
    notes.extend(same_ways(&entries, &members));
    Ok(BatchPlan {
        source: tables.source.path.clone(),
        resolved,
        members,
        in_flight,
        together,
        notes,
    })
}

/// A table `[system]` among them.
struct SystemEntry<'t> {
    /// Its dotted name: `system`, or `system.3`.
    name: String,
    /// Where it is.
    span: Range<usize>,
    table: &'t SystemTable,
    /// Whether there are others beside it.
    beside_others: bool,
}

/// The tables `[system]`.
fn entries<'t>(tables: &Tables<'t>) -> Result<Vec<SystemEntry<'t>>> {
    let row = &system::TABLE;
    let of = |name: String, span, table, beside_others| SystemEntry {
        name,
        span,
        table,
        beside_others,
    };
    match tables.raw.system.as_ref().map(|s| (s.span(), s.get_ref())) {
        Some((span, Systems::One(table))) => Ok(vec![of(row.name.to_owned(), span, table, false)]),
        Some((_, Systems::Several(list))) if !list.is_empty() => {
            let numbered = list.iter().enumerate();
            let entry = |(k, one): (usize, &'t Spanned<SystemTable>)| {
                of(
                    format!("{}.{k}", row.name),
                    one.span(),
                    one.get_ref(),
                    list.len() > 1,
                )
            };
            Ok(numbered.map(entry).collect())
        }
        _ => {
            let why = format!("the table {} is missing", row.heading());
            Err(tables.source.fault(&(0..0), why))
        }
    }
}

/// A member that knows where it starts.
struct Starting {
    name: String,
    start: StartPlan,
    /// What errors call it.
    words: String,
    resolved: Resolved,
}

impl SystemEntry<'_> {
    /// Its systems, of which the first is member number `first`: its frames in their order, and of each all replicas.
    fn members(&self, tables: &Tables<'_>, first: usize) -> Result<Vec<Starting>> {
        let mut section = self.section(tables);
        let why = "is of a single system; among many each has the number of its place: remove it";
        section.refuse(&REPLICA, &self.table.replica, why)?;
        let frames = self.frames(&section, tables)?;
        let replicas = section.whole(&REPLICAS, &self.table.replicas)?.unwrap_or(1);
        let replicas = usize::try_from(replicas).unwrap_or(usize::MAX);
        let of = frames.len().saturating_mul(replicas);
        self.check_count(&section, first.saturating_add(of))?;
        self.check_room(&section, &frames, replicas)?;
        let replicated = Replicated {
            entry: self,
            tables,
            first,
            replicas,
            of,
            masses: start::masses(&section, self.table)?,
            beside: frames.first().and_then(|(frame, _)| start::beside(frame)),
        };
        let mut all = Vec::with_capacity(of);
        for (structure, number) in &frames {
            replicated.add(&mut all, structure, *number)?;
        }
        Ok(all)
    }

    /// Its table, of no system yet.
    fn section<'s>(&self, tables: &Tables<'s>) -> Section<'s> {
        Section::new(tables.source, &self.name, self.span.clone())
    }

    /// Checks that there are not too many systems with those of this table.
    fn check_count(&self, section: &Section<'_>, count: usize) -> Result<()> {
        if count as u64 <= MOST_MEMBERS {
            return Ok(());
        }
        let (key, leaf) = match &self.table.replicas {
            Some(_) => (REPLICAS.name, &self.table.replicas),
            None => (FRAME.name, &self.table.frame),
        };
        let why = format!("makes {count} systems, and {MOST_MEMBERS} are the most");
        Err(section.fault(key, leaf, why))
    }

    /// Checks that there is memory for the plans of so many replicas of frames.
    fn check_room(
        &self,
        section: &Section<'_>,
        frames: &[(Structure, i64)],
        replicas: usize,
    ) -> Result<()> {
        let atoms = frames.iter().map(|(structure, _)| structure.species.len());
        let atoms = atoms.sum::<usize>() as f64;
        let bytes = frames.len() as f64 * BYTES_PER_PLAN + atoms * BYTES_PER_ATOM;
        let what = || format!("{} systems", frames.len().saturating_mul(replicas));
        memory::require(replicas as f64 * bytes, what)
            .map_err(|e| section.fault(REPLICAS.name, &self.table.replicas, e.to_string()))
    }

    /// Its frames with their numbers.
    fn frames(&self, section: &Section<'_>, tables: &Tables<'_>) -> Result<Vec<(Structure, i64)>> {
        if !of_all_frames(self.table) {
            return Ok(vec![start::structure(section, self.table, tables.base())?]);
        }
        let path = start::file(section, self.table, tables.base())?;
        let all = read_all(&path);
        let all =
            all.map_err(|e| section.fault(&STRUCTURE, &self.table.structure, e.to_string()))?;
        Ok(all.into_iter().zip(0..).collect())
    }

    /// What errors call a member.
    fn words(&self, member: usize, frame: i64) -> String {
        let table = self.beside_others.then(|| self.name.clone());
        let frame = of_all_frames(self.table).then(|| format!("frame {frame}"));
        let from: Vec<String> = table.into_iter().chain(frame).collect();
        match from.is_empty() {
            true => format!("member {member}"),
            false => format!("member {member} ({})", from.join(", ")),
        }
    }

    /// What it resolves to for all of its systems, from what it does for the first of them.
    fn resolved(&self, first: &Resolved) -> Table {
        let mut table = match first.tables.get(system::TABLE.name) {
            Some(Value::Table(table)) => table.clone(),
            _ => Table::new(),
        };
        table.remove(REPLICA.name);
        if self.table.periodic.is_none() {
            table.remove(PERIODIC.name);
        }
        let given = [
            (FRAME.name, &self.table.frame),
            (REPLICAS.name, &self.table.replicas),
        ];
        for (key, leaf) in given {
            if let Some(leaf) = leaf {
                table.insert(key.to_owned(), leaf.get_ref().clone());
            }
        }
        if let Some(Value::Table(velocities)) = table.get_mut(system::VELOCITIES.name) {
            put_list(velocities, system::TEMPERATURE.name, self.temperature());
        }
        table
    }

    /// The temperature of its velocities, as it is written.
    fn temperature(&self) -> &Leaf {
        match self.table.velocities.as_ref().map(Spanned::get_ref) {
            Some(VelocitiesEntry::Thermal(thermal)) => &thermal.temperature,
            _ => &None,
        }
    }
}

/// The replicas of a table's frames.
struct Replicated<'r, 't> {
    entry: &'r SystemEntry<'t>,
    tables: &'r Tables<'r>,
    /// Number of the table's first member.
    first: usize,
    /// How many there are of each frame.
    replicas: usize,
    /// How many the table has.
    of: usize,
    masses: Masses,
    beside: Option<Structure>,
}

impl Replicated<'_, '_> {
    /// Adds those of a frame to those of the table so far. What they share is resolved once.
    fn add(&self, all: &mut Vec<Starting>, structure: &Structure, number: i64) -> Result<()> {
        let table = self.entry.table;
        let member = |index: usize| OneOfMany {
            index,
            of: self.of,
            words: self.entry.words(self.first + index, number),
        };
        let section = self.entry.section(self.tables);
        let mut section = section.of(Some(member(all.len())));
        let frame = StartingFrame {
            structure,
            number,
            masses: &self.masses,
        };
        let mut start = start::place(&mut section, table, &frame)?;
        start.names = start::names(structure, &self.beside);
        for _ in 0..self.replicas {
            let member = member(all.len());
            let words = member.words.clone();
            let mut section = section.clone().of(Some(member));
            let velocities = start::velocities(&mut section, table, structure)?;
            let replica = u32::try_from(self.first + all.len()).unwrap_or(u32::MAX);
            section.keep(&REPLICA, &None, i64::from(replica));
            all.push(Starting {
                name: name_of(structure, number),
                start: StartPlan {
                    velocities,
                    replica: Some(replica),
                    ..start.clone()
                },
                words,
                resolved: section.finish(system::TABLE.name),
            });
        }
        Ok(())
    }
}

/// What a member is called that starts from a frame: the file, and the number of the frame where there are others.
fn name_of(structure: &Structure, frame: i64) -> String {
    let path = &structure.path;
    let named = match structure.is_last_state() {
        true => path.parent().and_then(|run| run.file_name()),
        false => path.file_name(),
    };
    let file = named.unwrap_or(path.as_os_str()).to_string_lossy();
    let frames = i64::try_from(structure.frames).unwrap_or(i64::MAX);
    let frame = if frame < 0 { frame + frames } else { frame };
    match frames {
        1 => file.into_owned(),
        _ => format!("{file}:{frame}"),
    }
}

/// Puts a list into a table in the place of what it had for one member.
fn put_list(table: &mut Table, key: &str, leaf: &Leaf) {
    if let Some(list) = leaf.as_ref().map(Spanned::get_ref).filter(|v| v.is_array()) {
        table.insert(key.to_owned(), list.clone());
    }
}

/// The plans of systems that know where they start.
fn members(tables: &Tables<'_>, starts: Vec<Starting>) -> Result<Vec<MemberPlan>> {
    let of = starts.len();
    let acting = tables.acting()?;
    let mut around = None;
    let mut members = Vec::with_capacity(of);
    for (index, one) in starts.into_iter().enumerate() {
        let Starting {
            name,
            mut start,
            words,
            mut resolved,
        } = one;
        let member = OneOfMany { index, of, words };
        let table = &tables.raw.constraints;
        let place = (&mut start, Some(member.clone()));
        let (constraints, found) = constraints::constraints(tables.source, table, place)?;
        resolved.take(found);
        let moving = tables.moving(&start, Some(member))?;
        let around = match &around {
            Some(around) => around,
            None => around.insert(tables.surroundings(&acting, &moving)?),
        };
        let mut plan = tables.plan((start, resolved), &acting, moving, around);
        plan.constraints = constraints;
        if let Some(table) = table {
            constraints::check(tables.source, &plan, table)?;
        }
        members.push(MemberPlan { name, plan });
    }
    Ok(members)
}

/// What the run file resolves to, from what it does for the first member.
fn of_all(tables: &Tables<'_>, first: &Table, system: Value) -> Table {
    let mut resolved = first.clone();
    resolved.insert(system::TABLE.name.to_owned(), system);
    let written = tables.raw.dynamics.as_ref().map(Spanned::get_ref);
    if let (Some(Value::Table(table)), Some(written)) =
        (resolved.get_mut(dynamics::TABLE.name), written)
    {
        put_list(table, dynamics::TEMPERATURE.name, &written.temperature);
        // What follows from its structure is each member's own.
        if written.noise_start.is_none() {
            table.remove(dynamics::NOISE_START.name);
        }
    }
    if let Some(table) = &tables.raw.constraints {
        let written = constraints::as_written(table.get_ref());
        resolved.insert(keys::constraints::TABLE.name.to_owned(), written.into());
    }
    if let Some(Value::Array(groups)) = resolved.get_mut(group::TABLE.name) {
        // Numbers of the atoms are each member's own.
        for (group, written) in groups.iter_mut().zip(&tables.raw.group) {
            if let (Some(table), Some(atoms)) = (group.as_table_mut(), &written.get_ref().atoms) {
                table.insert(group::ATOMS.name.to_owned(), atoms.get_ref().clone());
            }
        }
    }
    resolved
}

/// Whether trajectories are together, and most members at once.
fn own_keys(
    tables: &Tables<'_>,
    members: &[MemberPlan],
    resolved: &mut Table,
) -> Result<(bool, Option<usize>)> {
    let (output, device) = (OutputTable::default(), DeviceTable::default());
    let (mut section, table) = tables.output(&output);
    let key = &keys::output::MEMBERS;
    let together = section.choice(key, &table.members)?;
    let trajectories = &members[0].plan.output.trajectories;
    let other = trajectories
        .iter()
        .position(|one| one.format != TrajectoryFormat::Xyz);
    if let (true, Some(other)) = (together, other) {
        let why = format!(
            "one file for all members is extended XYZ, and output.trajectory.{other} is not: make its format \"xyz\", \
             remove it, or leave the members apart"
        );
        return Err(section.fault(key, &table.members, why));
    }
    add(resolved, keys::output::TABLE.name, section);
    let (mut section, table) = tables.device(&device);
    let in_flight = section.whole(&keys::device::IN_FLIGHT, &table.in_flight)?;
    add(resolved, keys::device::TABLE.name, section);
    Ok((
        together,
        in_flight.and_then(|most| usize::try_from(most).ok()),
    ))
}

/// Adds what more keys of a table resolve to.
fn add(resolved: &mut Table, name: &str, section: Section<'_>) {
    if let Some(Value::Table(table)) = resolved.get_mut(name) {
        table.extend(section.resolved);
    }
}

/// The notes of all members, each once.
fn notes(members: &[MemberPlan]) -> Vec<String> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut told: Vec<(&str, Vec<usize>)> = Vec::new();
    for (k, member) in members.iter().enumerate() {
        for note in &member.plan.notes {
            let at = *known.entry(note).or_insert_with(|| {
                told.push((note, Vec::new()));
                told.len() - 1
            });
            told[at].1.push(k);
        }
    }
    let (of_all, of_some): (Vec<_>, Vec<_>) = told
        .into_iter()
        .partition(|(_, of)| of.len() == members.len());
    let left = of_some.len().saturating_sub(MOST_NOTES);
    let of_some = of_some.iter().take(MOST_NOTES);
    let mut notes: Vec<String> = of_all.iter().map(|(note, _)| (*note).to_owned()).collect();
    notes.extend(of_some.map(|(note, of)| format!("{note} ({})", named(of))));
    if left > 0 {
        notes.push(format!(
            "and {left} more of single members, which --member tells"
        ));
    }
    notes
}

/// Some members: `member 3`, `members 1, 2, 5, 8 and 12 more`.
fn named(members: &[usize]) -> String {
    let first: Vec<String> = members
        .iter()
        .take(MOST_NAMED)
        .map(usize::to_string)
        .collect();
    let first = first.join(", ");
    match members.len() {
        1 => format!("member {first}"),
        n if n > MOST_NAMED => format!("members {first} and {} more", n - MOST_NAMED),
        _ => format!("members {first}"),
    }
}

/// A note on replicas in which nothing is random.
fn same_ways(entries: &[SystemEntry<'_>], members: &[MemberPlan]) -> Option<String> {
    let repeated = entries.iter().any(|entry| {
        let replicas = entry.table.replicas.as_ref().map(Spanned::get_ref);
        replicas.and_then(Value::as_integer).is_some_and(|n| n > 1)
    });
    let still = members.iter().all(|member| {
        let given = matches!(member.plan.start.velocities, VelocityPlan::Given(_));
        given && (member.plan.dynamics.ensemble.bath()).is_none_or(|bath| bath.seed.is_none())
    });
    (repeated && still).then(|| {
        "system.replicas: nothing is random from given velocities without noise of a thermostat: the replicas of a system all go \
         the same way; velocities = { temperature = \"300 K\", seed = 1 } sets them apart"
            .to_owned()
    })
}
