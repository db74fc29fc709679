//! The run file as it is written: serde's mirror of the TOML. Unknown keys are refused here. What the values mean is found
//! in [`super::resolve`], by the rows of [`super::keys`], where errors can name key and place.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use toml::{Spanned, Value};

/// A key that may be there, and where.
pub(super) type Leaf = Option<Spanned<Value>>;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub system: Option<Spanned<System>>,
    pub potential: Option<Spanned<Potential>>,
    pub dynamics: Option<Spanned<Dynamics>>,
    pub output: Option<Spanned<Output>>,
    pub monitor: Option<Spanned<Monitor>>,
    pub device: Option<Spanned<Device>>,
}

/// `[system]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct System {
    pub structure: Leaf,
    pub frame: Leaf,
    pub cell: Leaf,
    pub periodic: Leaf,
    pub velocities: Option<Spanned<Velocities>>,
    pub masses: Option<BTreeMap<Spanned<String>, Spanned<Value>>>,
}

/// `system.velocities`: a word, or a temperature with a seed.
pub(super) enum Velocities {
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
pub(super) struct Potential {
    pub model: Leaf,
    pub precision: Leaf,
    pub lennard_jones: Option<Spanned<LennardJones>>,
}

/// `[potential.lennard_jones]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LennardJones {
    pub epsilon: Leaf,
    pub sigma: Leaf,
    pub cutoff: Leaf,
}

/// `[dynamics]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dynamics {
    pub ensemble: Leaf,
    pub temperature: Leaf,
    pub pressure: Leaf,
    pub thermostat: Leaf,
    pub relaxation: Leaf,
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

/// `[output]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    pub directory: Leaf,
    pub thermo_every: Leaf,
    pub checkpoint_every: Leaf,
    #[serde(default)]
    pub trajectory: Vec<Spanned<Trajectory>>,
}

/// `[[output.trajectory]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trajectory {
    pub format: Leaf,
    pub every: Leaf,
    pub wrap: Leaf,
    pub fields: Leaf,
}

/// `[monitor]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Monitor {
    pub drift: Leaf,
    pub temperature: Leaf,
    pub force: Leaf,
    pub contact: Leaf,
    pub action: Leaf,
    pub audit: Leaf,
    pub record: Leaf,
}

/// `[device]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Device {
    pub kind: Leaf,
    pub threads: Leaf,
    pub engine: Leaf,
}

impl<'de> Deserialize<'de> for Velocities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Velocities;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("\"from the file\", \"zero\" or { temperature = \"300 K\", seed = 1 }")
            }
            fn visit_str<E>(self, word: &str) -> Result<Velocities, E> {
                Ok(Velocities::Word(word.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Velocities, A::Error> {
                Thermal::deserialize(MapAccessDeserializer::new(map)).map(Velocities::Thermal)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
