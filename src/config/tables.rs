//! The tables after `[system]`, resolved for a system that is known: once for a run of one system, and of many systems what
//! does not depend on them once for all.

use std::path::Path;

use toml::Spanned;

use super::group::{self, GroupContext, StageGroups};
use super::keys::row::KeyTable;
use super::output::OutputContext;
use super::plan::{
    DevicePlan, DynamicsPlan, GroupPlan, MonitorPlan, OutputPlan, Plan, PlumedPlan, PotentialPlan,
    RepulsionPlan, StartPlan,
};
use super::plumed::{self, PlumedContext};
use super::raw::{DeviceTable, MonitorTable, OutputTable, Raw};
use super::section::{OneOfMany, Resolved, Section};
use super::source::Source;
use super::{constraints, keys, output, repulsion, resolve};
use crate::Result;
use crate::dynamics::Constraints;

/// A run file, of which `[system]` is resolved elsewhere.
pub(super) struct Tables<'s> {
    /// Where it comes from.
    pub source: &'s Source,
    /// What it says.
    pub raw: &'s Raw,
    /// What takes the place of the output directory.
    pub out: Option<&'s Path>,
    /// What a stage of it does to groups, where it is one.
    pub stage: Option<StageGroups<'s>>,
}

/// `[potential]`.
pub(super) struct Acting {
    potential: PotentialPlan,
    stated_elements: Option<Vec<u8>>,
    repulsion: Option<RepulsionPlan>,
    resolved: Resolved,
}

/// `[dynamics]`, `[[group]]`, `[plumed]` and `[output]`, which depend on the system.
pub(super) struct Moving {
    dynamics: DynamicsPlan,
    groups: Vec<GroupPlan>,
    plumed: Option<PlumedPlan>,
    output: OutputPlan,
    resolved: Resolved,
}

/// `[monitor]` and `[device]`.
pub(super) struct Surroundings {
    monitor: MonitorPlan,
    device: DevicePlan,
    resolved: Resolved,
}

impl<'s> Tables<'s> {
    /// The folder that paths in it start from.
    pub fn base(&self) -> &'s Path {
        self.source.path.parent().unwrap_or(Path::new(""))
    }

    /// The plan of one system alone.
    pub fn alone(&self, mut start: StartPlan, mut system: Resolved) -> Result<Plan> {
        self.refuse_keys_of_many()?;
        let table = &self.raw.constraints;
        let (constraints, resolved) =
            constraints::constraints(self.source, table, (&mut start, None))?;
        system.take(resolved);
        let acting = self.acting()?;
        let moving = self.moving(&start, None)?;
        let around = self.surroundings(&acting, &moving)?;
        let mut plan = self.plan((start, system), &acting, moving, &around);
        plan.constraints = constraints;
        if let Some(table) = table {
            constraints::check(self.source, &plan, table)?;
        }
        Ok(plan)
    }

    /// `[potential]`.
    pub fn acting(&self) -> Result<Acting> {
        let (mut section, table) =
            required(self.source, &keys::potential::TABLE, &self.raw.potential)?;
        let potential = resolve::potential(&mut section, table, self.base())?;
        let stated_elements = resolve::elements(&mut section, table)?;
        let repulsion = repulsion::resolve(&mut section, &table.repulsion)?;
        Ok(Acting {
            potential,
            stated_elements,
            repulsion,
            resolved: section.finish(keys::potential::TABLE.name),
        })
    }

    /// `[dynamics]`, `[[group]]`, `[plumed]` and `[output]` of a run from this start.
    pub fn moving(&self, start: &StartPlan, member: Option<OneOfMany>) -> Result<Moving> {
        let (section, table) = required(self.source, &keys::dynamics::TABLE, &self.raw.dynamics)?;
        let mut section = section.of(member.clone());
        let dynamics = resolve::dynamics(&mut section, table, start)?;
        if start.system.len() == 1 && dynamics.remove_drift > 0 {
            let why =
                "takes away the only motion that one atom has: nothing is left to move; remove it";
            return Err(section.misfit(&keys::dynamics::REMOVE_DRIFT, &table.remove_drift, why));
        }
        let mut resolved = section.finish(keys::dynamics::TABLE.name);
        let context = GroupContext {
            source: self.source,
            start,
            dynamics: &dynamics,
            member: member.clone(),
            stage: self.stage,
        };
        let (groups, of_groups) = group::groups(&self.raw.group, &context)?;
        resolved.take(of_groups);
        let context = PlumedContext {
            source: self.source,
            base: self.base(),
            start,
            of_many: member.is_some(),
        };
        let (plumed, of_plumed) = plumed::resolve(&self.raw.plumed, &context)?;
        resolved.take(of_plumed);

        let none = OutputTable::default();
        let (section, table) = self.output(&none);
        let mut section = section.of(member);
        let context = OutputContext {
            source: &self.source.path,
            base: self.base(),
            out: self.out,
            dynamics: &dynamics,
            periodic: start.cell.is_periodic(),
            noise: start.noise,
        };
        let output = output::output(&mut section, table, &context)?;
        resolved.take(section.finish(keys::output::TABLE.name));
        Ok(Moving {
            dynamics,
            groups,
            plumed,
            output,
            resolved,
        })
    }

    /// `[monitor]` and `[device]`.
    pub fn surroundings(&self, acting: &Acting, moving: &Moving) -> Result<Surroundings> {
        let none = MonitorTable::default();
        let (mut section, table) =
            optional(self.source, &keys::monitor::TABLE, &self.raw.monitor, &none);
        let potential = &acting.potential;
        let mut monitor =
            resolve::monitor(&mut section, table, moving.dynamics.timestep, potential)?;
        if moving.plumed.is_some() {
            let why = "compares forces with those of the network alone, and PLUMED adds to them: remove it";
            let given = table
                .precision
                .clone()
                .filter(|_| monitor.numbers.is_some());
            section.refuse(&keys::monitor::PRECISION, &given, why)?;
            let why = "walks steps once more, and PLUMED cannot go back: remove it; a run with [plumed] records nothing";
            let given = table.record.clone().filter(|_| monitor.record);
            section.refuse(&keys::monitor::RECORD, &given, why)?;
            monitor.record = false;
            section.keep(&keys::monitor::RECORD, &table.record, false);
        }
        if moving.groups.iter().any(|group| !group.terms.is_empty()) && monitor.numbers.is_some() {
            let why = "compares forces with those of the network alone, and groups have springs, walls or forces: remove it";
            return Err(section.fault(&keys::monitor::PRECISION, &table.precision, why));
        }
        let mut resolved = section.finish(keys::monitor::TABLE.name);

        let none = DeviceTable::default();
        let (mut section, table) = self.device(&none);
        let device = resolve::device(&mut section, table, potential)?;
        resolved.take(section.finish(keys::device::TABLE.name));
        Ok(Surroundings {
            monitor,
            device,
            resolved,
        })
    }

    /// All of it in one.
    pub fn plan(
        &self,
        (start, mut system): (StartPlan, Resolved),
        acting: &Acting,
        moving: Moving,
        around: &Surroundings,
    ) -> Plan {
        system.take(acting.resolved.clone());
        system.take(moving.resolved);
        system.take(around.resolved.clone());
        Plan {
            source: self.source.path.clone(),
            resolved: system.tables,
            start,
            potential: acting.potential.clone(),
            stated_elements: acting.stated_elements.clone(),
            repulsion: acting.repulsion,
            dynamics: moving.dynamics,
            constraints: Constraints::default(),
            groups: moving.groups,
            plumed: moving.plumed,
            output: moving.output,
            monitor: around.monitor,
            device: around.device,
            notes: system.notes,
            places: system.places,
            stage: None,
        }
    }

    /// `[output]`, or `none`.
    pub fn output<'t>(&'t self, none: &'t OutputTable) -> (Section<'s>, &'t OutputTable) {
        optional(self.source, &keys::output::TABLE, &self.raw.output, none)
    }

    /// `[device]`, or `none`.
    pub fn device<'t>(&'t self, none: &'t DeviceTable) -> (Section<'s>, &'t DeviceTable) {
        optional(self.source, &keys::device::TABLE, &self.raw.device, none)
    }

    /// Refuses keys that mean nothing for one system, but for their defaults.
    fn refuse_keys_of_many(&self) -> Result<()> {
        let why = "is of many systems at once, and this run has one: remove it, or make more of it with [system] replicas";
        let (output, device) = (OutputTable::default(), DeviceTable::default());
        let (section, table) = self.output(&output);
        let key = &keys::output::MEMBERS;
        let usual = |leaf: &Spanned<toml::Value>| leaf.get_ref().as_str() == key.absent.value();
        let members = table.members.clone().filter(|leaf| !usual(leaf));
        section.refuse(key, &members, why)?;
        let (section, table) = self.device(&device);
        section.refuse(&keys::device::IN_FLIGHT, &table.in_flight, why)
    }
}

/// A table that has to be there.
pub(super) fn required<'s, 't, T>(
    source: &'s Source,
    row: &KeyTable,
    table: &'t Option<Spanned<T>>,
) -> Result<(Section<'s>, &'t T)> {
    let Some(table) = table else {
        let why = format!("the table {} is missing", row.heading());
        return Err(source.fault(&(0..0), why));
    };
    let section = Section::new(source, row.name, table.span());
    Ok((section, table.get_ref()))
}

/// A table that need not be there; then all of it is at its defaults, as in `none`.
fn optional<'s, 't, T>(
    source: &'s Source,
    row: &KeyTable,
    table: &'t Option<Spanned<T>>,
    none: &'t T,
) -> (Section<'s>, &'t T) {
    let (span, table) = match table {
        Some(table) => (table.span(), table.get_ref()),
        None => (0..0, none),
    };
    (Section::new(source, row.name, span), table)
}
