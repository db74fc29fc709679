//! The run file as it is written: serde's mirror of the TOML. Unknown keys are refused here. What the values mean is found
//! in [`super::resolve`], by the rows of [`super::keys`], where errors can name key and place.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use toml::{Spanned, Value};

/// A key that may be there, and where.
pub(super) type Leaf = Option<Spanned<Value>>;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub system: Option<Spanned<Systems>>,
    pub potential: Option<Spanned<PotentialTable>>,
    pub dynamics: Option<Spanned<DynamicsTable>>,
    pub constraints: Option<Spanned<ConstraintsTable>>,
    #[serde(default)]
    pub group: Vec<Spanned<GroupTable>>,
    pub plumed: Option<Spanned<PlumedTable>>,
    pub output: Option<Spanned<OutputTable>>,
    pub monitor: Option<Spanned<MonitorTable>>,
    pub device: Option<Spanned<DeviceTable>>,
}

/// `[system]`, or several `[[system]]`.
pub(super) enum Systems {
    One(Box<SystemTable>),
    Several(Vec<Spanned<SystemTable>>),
}

/// `[system]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SystemTable {
    pub structure: Leaf,
    pub frame: Leaf,
    pub replicas: Leaf,
    pub replica: Leaf,
    pub cell: Leaf,
    pub periodic: Leaf,
    pub velocities: Option<Spanned<VelocitiesEntry>>,
    pub masses: Option<BTreeMap<Spanned<String>, Spanned<Value>>>,
    pub hydrogen_mass: Leaf,
}

/// `system.velocities`: a word, or a temperature with a seed.
pub(super) enum VelocitiesEntry {
    Word(String),
    Thermal(Thermal),
}

/// `system.velocities = { temperature, seed }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Thermal {
    pub temperature: Leaf,
    pub seed: Leaf,
}

/// `[potential]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PotentialTable {
    pub model: Leaf,
    pub precision: Leaf,
    pub elements: Leaf,
    pub lennard_jones: Option<Spanned<LennardJonesTable>>,
    pub socket: Leaf,
    pub repulsion: Option<Spanned<RepulsionTable>>,
}

/// `[potential.lennard_jones]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LennardJonesTable {
    pub epsilon: Leaf,
    pub sigma: Leaf,
    pub cutoff: Leaf,
}

/// `[potential.repulsion]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepulsionTable {
    pub kind: Leaf,
    pub energy: Leaf,
    pub sigma: Leaf,
    pub power: Leaf,
    pub end: Leaf,
}

/// `[dynamics]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DynamicsTable {
    pub ensemble: Leaf,
    pub temperature: Leaf,
    pub pressure: Leaf,
    pub thermostat: Leaf,
    pub relaxation: Leaf,
    pub chain: Leaf,
    pub chain_steps: Leaf,
    pub suzuki_yoshida: Leaf,
    pub friction: Leaf,
    pub seed: Leaf,
    pub barostat_relaxation: Leaf,
    pub compressibility: Leaf,
    pub barostat_every: Leaf,
    pub coupling: Leaf,
    pub timestep: Leaf,
    pub steps: Leaf,
    pub duration: Leaf,
    pub remove_drift: Leaf,
    pub skin: Leaf,
    pub noise_start: Leaf,
}

/// `[constraints]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConstraintsTable {
    pub bonds: Leaf,
    pub lengths: Leaf,
    pub water: Leaf,
    pub oh: Leaf,
    pub hh: Leaf,
    pub tolerance: Leaf,
}

/// `[[group]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupTable {
    pub name: Leaf,
    pub atoms: Leaf,
    pub frozen: Leaf,
    pub spring: Option<Spanned<SpringTable>>,
    #[serde(default)]
    pub wall: Vec<Spanned<WallTable>>,
    pub force: Leaf,
    pub thermostat: Option<Spanned<ThermostatTable>>,
}

/// `[group.spring]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpringTable {
    pub constant: Leaf,
    pub to: Leaf,
    pub length: Leaf,
    pub speed: Leaf,
    pub velocity: Leaf,
    pub places: Leaf,
    pub image: Leaf,
}

/// `[[group.wall]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WallTable {
    pub kind: Leaf,
    pub normal: Leaf,
    pub at: Leaf,
    pub centre: Leaf,
    pub radius: Leaf,
    pub constant: Leaf,
    pub epsilon: Leaf,
    pub sigma: Leaf,
}

/// `[group.thermostat]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ThermostatTable {
    pub temperature: Leaf,
    pub friction: Leaf,
}

/// `[plumed]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlumedTable {
    pub input: Leaf,
    pub kernel: Leaf,
}

/// Keys of `[[stage]]`, but for the tables that are laid over those of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StageKeys {
    pub name: Leaf,
    pub until: Leaf,
    pub until_window: Leaf,
    pub velocities: Option<Spanned<VelocitiesEntry>>,
    pub groups: Leaf,
}

impl StageKeys {
    /// Where `velocities` are.
    pub fn velocities(&self) -> Leaf {
        let span = self.velocities.as_ref()?.span();
        Some(Spanned::new(span, Value::Boolean(true)))
    }
}

/// Keys of `[stage.dynamics]` where the stage is a minimisation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DescentKeys {
    pub ensemble: Leaf,
    pub method: Leaf,
    pub force: Leaf,
    pub most_steps: Leaf,
    pub cell: Leaf,
    pub pressure: Leaf,
    pub stress: Leaf,
}

/// `[output]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputTable {
    pub directory: Leaf,
    pub thermo_every: Leaf,
    pub checkpoint_every: Leaf,
    pub report: Leaf,
    pub view: Leaf,
    pub members: Leaf,
    #[serde(default)]
    pub trajectory: Vec<Spanned<TrajectoryTable>>,
}

/// `[[output.trajectory]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrajectoryTable {
    pub format: Leaf,
    pub every: Leaf,
    pub wrap: Leaf,
    pub fields: Leaf,
}

/// `[monitor]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct MonitorTable {
    pub drift: Leaf,
    pub temperature: Leaf,
    pub force: Leaf,
    pub contact: Leaf,
    pub spread: Leaf,
    pub spread_every: Leaf,
    pub precision: Leaf,
    pub precision_every: Leaf,
    pub precision_action: Leaf,
    pub action: Leaf,
    pub audit: Leaf,
    pub record: Leaf,
}

/// `[device]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceTable {
    pub kind: Leaf,
    pub threads: Leaf,
    pub engine: Leaf,
    pub in_flight: Leaf,
}

impl<'de> Deserialize<'de> for Systems {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Systems;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a table [system], or several [[system]]")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Systems, A::Error> {
                let table = SystemTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Systems::One(Box::new(table)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Systems, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Systems::Several)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for VelocitiesEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = VelocitiesEntry;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("\"from the file\", \"zero\" or { temperature = \"300 K\", seed = 1 }")
            }
            fn visit_str<E>(self, word: &str) -> Result<VelocitiesEntry, E> {
                Ok(VelocitiesEntry::Word(word.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VelocitiesEntry, A::Error> {
                Thermal::deserialize(MapAccessDeserializer::new(map)).map(VelocitiesEntry::Thermal)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
