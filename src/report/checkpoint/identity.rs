//! Whose checkpoint it is: everything that the bits of a run depend on, as text, key by key.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::plan::{
    GroupPlan, NumbersAction, Plan, PotentialPlan, TrajectoryPlan, VelocityPlan,
};
use crate::core::{Cell, Vec3, elements};
use crate::dynamics::{Parameter, Value};
use crate::potential::About;
use crate::potential::pair::PairEnergy as _;
use crate::report::trajectory::extension;
use crate::text::{counted, hexadecimal, round};
use crate::units::{BAR, FEMTOSECOND, KELVIN, PICOSECOND};

/// Digits of a hash that are kept: enough that two inputs never have the same by chance.
const DIGITS: usize = 16;

/// What says which weights in 8 bits a run is computed with: they are none of its plan.
const INT8: &str = "potential.precision (int8)";

/// What keys of the system begin with.
const SYSTEM: &str = "system";

/// Keys of a run and their values: two runs whose identities are equal give the same files, but for how
/// long they are.
///
/// Left out is what no bit depends on, and may change when a run goes on: the duration, the skin, threads,
/// limits and when checkpoints are written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Identity {
    /// What the run is defined by: it cannot go on with another value.
    pub run: Vec<(String, String)>,
    /// What computes it: with another value it can go on, with other rounding.
    pub platform: Vec<(String, String)>,
}

impl Identity {
    /// The identity of a plan whose models' files have these hashes. The platform is left empty.
    pub fn of(plan: &Plan, models: &[String]) -> Self {
        let mut run: Vec<(String, String)> = Vec::new();
        let mut put = |key: &str, value: String| run.push((key.to_owned(), value));
        system(plan, &mut put);
        potential(&plan.potential, models, &mut put);
        if let Some(repulsion) = plan.repulsion {
            put("potential.repulsion", repulsion.term().words());
        }
        dynamics(plan, &mut put);
        if !plan.constraints.is_empty() {
            // Numbers are written so that they come back to the bit.
            let all = format!("{:?}", plan.constraints);
            let count = counted(plan.constraints.count() as u64, "constraint");
            put("constraints", format!("{count}, {}", short(all.as_bytes())));
        }
        for group in &plan.groups {
            put(&format!("group {}", group.name), group_of(group));
        }
        if let Some(plumed) = &plan.plumed {
            put(
                "plumed.input",
                format!("SHA-256 {}...", &plumed.sha256[..DIGITS]),
            );
        }
        put("output.thermo_every", plan.output.thermo_every.to_string());
        if let Some(every) = plan.spread_every() {
            put("monitor.spread_every", every.to_string());
        }
        if let Some(audit) = plan.monitor.numbers {
            put("monitor.precision_every", audit.every.to_string());
            if let (NumbersAction::Raise, Some(limit)) = (audit.action, audit.limit) {
                put("monitor.precision_action", "raise".to_owned());
                put("monitor.precision", format!("{} eV/A", round(limit)));
            }
        }
        for (k, one) in plan.output.trajectories.iter().enumerate() {
            put(&format!("output.trajectory.{k}"), trajectory(one));
        }
        Self {
            run,
            platform: Vec::new(),
        }
    }

    /// Adds what computes it.
    pub fn on(mut self, engine: &About) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.platform = vec![
            ("mdrun".to_owned(), version),
            ("engine".to_owned(), engine.rounding()),
        ];
        self
    }

    /// Takes over what another one says of the system: for a plan that has the state of a run, and no longer
    /// its start.
    pub fn with_system_of(mut self, other: &Self) -> Self {
        let of_system = |(key, _): &&(String, String)| key.starts_with(SYSTEM);
        let system: Vec<_> = other.run.iter().filter(of_system).cloned().collect();
        self.run.retain(|pair| !of_system(&pair));
        self.run.splice(0..0, system);
        self
    }

    /// Adds the hash of the file of weights in 8 bits that it is computed with.
    pub fn with_int8(mut self, sha256: &str) -> Self {
        self.run.push((INT8.to_owned(), sha256.to_owned()));
        self
    }

    /// Adds a key with a value.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.run.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Adds which stage it is, and what the stages before it were.
    pub fn with_stage(mut self, name: &str, before: &str) -> Self {
        self.run.push(("stage".to_owned(), name.to_owned()));
        let before = short(before.as_bytes());
        self.run
            .push(("what the stages before it are".to_owned(), before));
        self
    }

    /// The hash of the file of weights in 8 bits that it is computed with.
    pub fn int8(&self) -> Option<&str> {
        self.get(INT8)
    }

    /// The value of a key of the run.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.run.iter().find(|(k, _)| k == key);
        found.map(|(_, value)| value.as_str())
    }

    /// What the run has otherwise now, such as `dynamics.timestep was 0.5 fs and is 1 fs now`.
    pub fn run_differences(&self, now: &Self) -> Vec<String> {
        differences(&self.run, &now.run)
    }

    /// What computes it otherwise now.
    pub fn platform_differences(&self, now: &Self) -> Vec<String> {
        differences(&self.platform, &now.platform)
    }
}

fn differences(before: &[(String, String)], now: &[(String, String)]) -> Vec<String> {
    let value = |of: &[(String, String)], key: &str| {
        let found = of.iter().find(|(k, _)| k == key);
        found.map_or_else(|| "not there".to_owned(), |(_, value)| value.clone())
    };
    let new = (now.iter()).filter(|(key, _)| !before.iter().any(|(k, _)| k == key));
    (before.iter().chain(new))
        .map(|(key, _)| (key, value(before, key), value(now, key)))
        .filter(|(_, before, now)| before != now)
        .map(|(key, before, now)| format!("{key} was {before} and is {now} now"))
        .collect()
}

fn system(plan: &Plan, put: &mut impl FnMut(&str, String)) {
    let start = &plan.start;
    let vectors = |vectors: &[Vec3]| hash(vectors.iter().flatten().copied());
    let species = &start.system.species;
    put(
        "system (elements)",
        format!("{}, {}", elements::formula(species), short(species)),
    );
    put("system (positions)", vectors(&start.positions));
    put("system.masses", hash(start.system.masses.iter().copied()));
    put("system.cell", cell(&start.cell));
    let velocities = match &start.velocities {
        VelocityPlan::Given(given) => format!("as given, {}", vectors(given)),
        VelocityPlan::Thermal { kt, seed } => format!("{} K, seed {seed}", round(kt / KELVIN)),
    };
    put("system.velocities", velocities);
    if let Some(replica) = start.replica {
        put("system.replica", replica.to_string());
    }
}

fn cell(cell: &Cell) -> String {
    if !cell.is_given() {
        return "none".to_owned();
    }
    let axes: String = (["a", "b", "c"].into_iter().zip(cell.periodic()))
        .filter_map(|(name, periodic)| periodic.then_some(name))
        .collect();
    let rows: Vec<String> = (0..3)
        .map(|k| {
            let v = cell.vector(k);
            format!("({} {} {})", v.x, v.y, v.z)
        })
        .collect();
    match axes.is_empty() {
        true => format!("{} A, not periodic", rows.join(" ")),
        false => format!("{} A, periodic along {axes}", rows.join(" ")),
    }
}

fn potential(plan: &PotentialPlan, models: &[String], put: &mut impl FnMut(&str, String)) {
    match plan {
        PotentialPlan::Network { precision, .. } => {
            let file = |hash: &String| {
                let hash = hash.get(..DIGITS).unwrap_or(hash);
                format!("a file of SHA-256 {hash}...")
            };
            let files: Vec<String> = models.iter().map(file).collect();
            put("potential.model", files.join(", "));
            put("potential.precision", precision.to_string());
        }
        PotentialPlan::LennardJones {
            epsilon,
            sigma,
            cutoff,
        } => {
            put("potential.lennard_jones.epsilon", format!("{epsilon} eV"));
            put("potential.lennard_jones.sigma", format!("{sigma} A"));
            put("potential.lennard_jones.cutoff", format!("{cutoff} A"));
        }
        // Whose they are is not known, and where it connects is nothing to the run.
        PotentialPlan::Socket { .. } => put("potential.socket", "forces of a client".to_owned()),
    }
}

fn dynamics(plan: &Plan, put: &mut impl FnMut(&str, String)) {
    let dynamics = &plan.dynamics;
    put("dynamics.ensemble", dynamics.ensemble.name().to_owned());
    let ramps = &dynamics.ramps;
    for Parameter { key, value } in dynamics.ensemble.parameters() {
        let ramp = match key {
            "temperature" => ramps.temperature.as_ref().map(|ramp| (ramp, KELVIN, "K")),
            "pressure" => ramps.pressure.as_ref().map(|ramp| (ramp, BAR, "bar")),
            _ => None,
        };
        if let Some((ramp, unit, name)) = ramp {
            let point = |[step, value]: &[f64; 2]| {
                format!("{} {name} at step {}", round(value / unit), round(*step))
            };
            let points: Vec<String> = ramp.points().iter().map(point).collect();
            put(&format!("dynamics.{key}"), points.join(", "));
            continue;
        }
        let text = match value {
            Value::Temperature(kt) => format!("{} K", round(kt / KELVIN)),
            Value::Rate(rate) => format!("{} 1/ps", round(rate * PICOSECOND)),
            Value::Time(time) => format!("{} ps", round(time / PICOSECOND)),
            Value::Pressure(pressure) => format!("{} bar", round(pressure / BAR)),
            Value::Compressibility(inverse) => format!("{} 1/bar", round(inverse * BAR)),
            Value::Steps(steps) => format!("every {steps} steps"),
            Value::Count(count) => count.to_string(),
            Value::Word(word) => word.to_owned(),
            Value::Seed(seed) => seed.to_string(),
        };
        put(&format!("dynamics.{key}"), text);
    }
    // Left out where it is 0: earlier versions knew no other.
    if dynamics.noise_start > 0 {
        put("dynamics.noise_start", dynamics.noise_start.to_string());
    }
    let timestep = round(dynamics.timestep / FEMTOSECOND);
    put("dynamics.timestep", format!("{timestep} fs"));
    let every = dynamics.remove_drift;
    put("dynamics.remove_drift", format!("every {every} steps"));
}

/// What is done to which atoms.
fn group_of(group: &GroupPlan) -> String {
    let numbers = group.atoms.iter().map(|&atom| atom as f64);
    let atoms = counted(group.atoms.len() as u64, "atom");
    let frozen = if group.frozen { ", frozen" } else { "" };
    let mut text = format!("{atoms}, {}{frozen}", hash(numbers));
    if !group.terms.is_empty() || group.bath.is_some() {
        // Numbers are written so that they come back to the bit.
        let acts = format!("{:?}{:?}", group.terms, group.bath);
        text += &format!(", held or pushed: {}", short(acts.as_bytes()));
    }
    text
}

fn trajectory(plan: &TrajectoryPlan) -> String {
    let mut text = format!("{} every {} steps", extension(plan.format), plan.every);
    for (is, what) in [
        (plan.wrap, ", wrapped"),
        (plan.velocities, ", with velocities"),
        (plan.forces, ", with forces"),
    ] {
        text += if is { what } else { "" };
    }
    text
}

/// The hash of numbers, to the bit.
fn hash(numbers: impl Iterator<Item = f64>) -> String {
    let bytes: Vec<u8> = numbers.flat_map(f64::to_le_bytes).collect();
    short(&bytes)
}

fn short(bytes: &[u8]) -> String {
    let mut text = hexadecimal(&Sha256::digest(bytes));
    text.truncate(DIGITS);
    format!("SHA-256 {text}...")
}
