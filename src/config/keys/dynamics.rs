//! Keys of `[dynamics]`, and which ensemble each belongs to.

use super::row::{
    Absent, ConfigKey, Duration, Form, KeyTable, MOST_STEPS, OneOf, Quantity, Ramped, SEEDS,
    Sampled, Sign, Steps, Temperatures, Whole,
};
use crate::core::MOST_LINKS;
use crate::dynamics::Coupling;
use crate::units::Dimension;

/// What `thermostat` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heated {
    /// `"csvr"`
    Csvr,
    /// `"langevin"`
    Langevin,
}

/// `[dynamics]`
pub static TABLE: KeyTable = KeyTable {
    name: "dynamics",
    form: Form::Once,
    doc: "How the atoms move, and how long.",
    rows: &[
        &ENSEMBLE,
        &TEMPERATURE,
        &PRESSURE,
        &THERMOSTAT,
        &RELAXATION,
        &CHAIN,
        &CHAIN_STEPS,
        &SUZUKI_YOSHIDA,
        &FRICTION,
        &SEED,
        &BAROSTAT_RELAXATION,
        &COMPRESSIBILITY,
        &BAROSTAT_EVERY,
        &COUPLING,
        &TIMESTEP,
        &STEPS,
        &DURATION,
        &REMOVE_DRIFT,
        &SKIN,
        &NOISE_START,
    ],
};

/// `ensemble`
pub static ENSEMBLE: ConfigKey<OneOf<Sampled>> = ConfigKey {
    name: "ensemble",
    value: OneOf {
        words: &[
            (Sampled::Nve.word(), Sampled::Nve),
            (Sampled::Langevin.word(), Sampled::Langevin),
            (Sampled::Csvr.word(), Sampled::Csvr),
            (Sampled::Npt.word(), Sampled::Npt),
            (Sampled::NoseHoover.word(), Sampled::NoseHoover),
            (Sampled::Mtk.word(), Sampled::Mtk),
        ],
        or: "",
    },
    absent: Absent::Required,
    of: &[],
    doc: "Constant energy by velocity Verlet; constant temperature by Langevin dynamics (BAOAB), by velocity rescaling or by \
          a Nose-Hoover chain; constant temperature and pressure by cell rescaling, or by a piston with chains \
          (Martyna, Tobias and Klein). [physics.md](physics.md) has them all.",
};

/// Ensembles with a bath.
const HEATED: &[Sampled] = &[
    Sampled::Langevin,
    Sampled::Csvr,
    Sampled::Npt,
    Sampled::NoseHoover,
    Sampled::Mtk,
];

/// Ensembles with a chain of thermostats.
const CHAINED: &[Sampled] = &[Sampled::NoseHoover, Sampled::Mtk];

/// Ensembles whose bath draws noise.
const NOISY: &[Sampled] = &[Sampled::Langevin, Sampled::Csvr, Sampled::Npt];

/// `temperature`
pub static TEMPERATURE: ConfigKey<Temperatures> = ConfigKey {
    name: "temperature",
    value: Temperatures { ramped: true },
    absent: Absent::Required,
    of: HEATED,
    doc: "Temperature of the bath, or a [ramp](physics.md#ramps): `[\"0 K\", \"300 K\"]` over the run, \
          `[[\"0 ps\", \"0 K\"], [\"2 ps\", \"300 K\"]]` at times. For many systems a [list](#many-systems-at-once) without \
          times is one for each, or the two ends of a ladder.",
};

/// `pressure`
pub static PRESSURE: ConfigKey<Ramped> = ConfigKey {
    name: "pressure",
    value: Ramped(Quantity {
        dimension: Dimension::Pressure,
        sign: Sign::Any,
    }),
    absent: Absent::Required,
    of: &[Sampled::Npt, Sampled::Mtk],
    doc: "Pressure on the cell, such as `\"1 bar\"`, or a [ramp](physics.md#ramps) as of the temperature.",
};

/// `thermostat`
pub static THERMOSTAT: ConfigKey<OneOf<Heated>> = ConfigKey {
    name: "thermostat",
    value: OneOf {
        words: &[("csvr", Heated::Csvr), ("langevin", Heated::Langevin)],
        or: "",
    },
    absent: Absent::Is("csvr"),
    of: &[Sampled::Npt],
    doc: "What keeps the temperature: velocity rescaling, with `relaxation`, or Langevin dynamics, with `friction`.",
};

/// `relaxation`
pub static RELAXATION: ConfigKey<Quantity> = ConfigKey {
    name: "relaxation",
    value: Quantity {
        dimension: Dimension::Time,
        sign: Sign::Positive,
    },
    absent: Absent::Required,
    of: &[
        Sampled::Csvr,
        Sampled::Npt,
        Sampled::NoseHoover,
        Sampled::Mtk,
    ],
    doc: "Velocity rescaling: the time in which the kinetic energy comes back to that of the bath. Nose-Hoover chains: \
          the time T of the masses (f kT T^2 of the first); the kinetic energy swings with a period of about 4.4 T. \
          `\"0.1 ps\"` is usual.",
};

/// `chain`
pub static CHAIN: ConfigKey<Whole> = ConfigKey {
    name: "chain",
    value: Whole {
        least: 1,
        most: MOST_LINKS as u64,
    },
    absent: Absent::Is("3"),
    of: CHAINED,
    doc: "Thermostats of the chain, at most 8. One alone does not sample a stiff system, such as a crystal at rest.",
};

/// `chain_steps`
pub static CHAIN_STEPS: ConfigKey<Whole> = ConfigKey {
    name: "chain_steps",
    value: Whole {
        least: 1,
        most: 1000,
    },
    absent: Absent::Is("1"),
    of: CHAINED,
    doc: "Steps of the chain in a time step; more where `relaxation` is only a few time steps.",
};

/// `suzuki_yoshida`
pub static SUZUKI_YOSHIDA: ConfigKey<Whole> = ConfigKey {
    name: "suzuki_yoshida",
    value: Whole { least: 3, most: 5 },
    absent: Absent::Is("3"),
    of: CHAINED,
    doc: "Parts of each step of the chain, 3 or 5: both are of fourth order, 5 are more accurate.",
};

/// `friction`
pub static FRICTION: ConfigKey<Quantity> = ConfigKey {
    name: "friction",
    value: Quantity {
        dimension: Dimension::Rate,
        sign: Sign::Positive,
    },
    absent: Absent::Required,
    of: &[Sampled::Langevin, Sampled::Npt],
    doc: "Langevin dynamics: the rate at which every atom forgets its velocity, such as `\"1 1/ps\"`.",
};

/// `seed`
pub static SEED: ConfigKey<Whole> = ConfigKey {
    name: "seed",
    value: SEEDS,
    absent: Absent::Required,
    of: NOISY,
    doc: "Seed of the noise; give every run that is to be independent of others one of its own.",
};

/// `barostat_relaxation`
pub static BAROSTAT_RELAXATION: ConfigKey<Quantity> = ConfigKey {
    name: "barostat_relaxation",
    value: Quantity {
        dimension: Dimension::Time,
        sign: Sign::Positive,
    },
    absent: Absent::Required,
    of: &[Sampled::Npt, Sampled::Mtk],
    doc: "Cell rescaling: the time in which the volume comes back to its mean, if the compressibility is right. A piston: \
          the time T of its mass, (f + 3) kT T^2. `\"1 ps\"` is usual.",
};

/// `compressibility`
pub static COMPRESSIBILITY: ConfigKey<Quantity> = ConfigKey {
    name: "compressibility",
    value: Quantity {
        dimension: Dimension::Compressibility,
        sign: Sign::Positive,
    },
    absent: Absent::Required,
    of: &[Sampled::Npt],
    doc: "Isothermal compressibility, such as `\"4.5e-5 1/bar\"` of water; an estimate will do, since it changes the \
          relaxation alone.",
};

/// `barostat_every`
pub static BAROSTAT_EVERY: ConfigKey<Steps> = ConfigKey {
    name: "barostat_every",
    value: Steps { least: 1, or: "" },
    absent: Absent::Is("10"),
    of: &[Sampled::Npt],
    doc: "How often the cell is strained.",
};

/// `coupling`
pub static COUPLING: ConfigKey<OneOf<Coupling>> = ConfigKey {
    name: "coupling",
    value: OneOf {
        words: &[
            ("isotropic", Coupling::Isotropic),
            ("anisotropic", Coupling::Anisotropic),
            ("triclinic", Coupling::Triclinic),
            ("xy", Coupling::Plane),
        ],
        or: "",
    },
    absent: Absent::Is("isotropic"),
    of: &[Sampled::Npt],
    doc: "What the cell may do: change its size; its three edges, at right angles; its edges and angles; or a and b by the \
          same factor, with c as it is.",
};

/// `timestep`
pub static TIMESTEP: ConfigKey<Quantity> = ConfigKey {
    name: "timestep",
    value: Quantity {
        dimension: Dimension::Time,
        sign: Sign::Positive,
    },
    absent: Absent::Required,
    of: &[],
    doc: "Time step; 0.5 fs is usual with hydrogen.",
};

/// `steps`
pub static STEPS: ConfigKey<Whole> = ConfigKey {
    name: "steps",
    value: Whole {
        least: 1,
        most: MOST_STEPS,
    },
    absent: Absent::Told("required, or `duration`"),
    of: &[],
    doc: "Length of the run in steps.",
};

/// `duration`
pub static DURATION: ConfigKey<Duration> = ConfigKey {
    name: "duration",
    value: Duration,
    absent: Absent::Told("required, or `steps`"),
    of: &[],
    doc: "Length of the run, rounded up to whole steps.",
};

/// `remove_drift`
pub static REMOVE_DRIFT: ConfigKey<Steps> = ConfigKey {
    name: "remove_drift",
    value: Steps { least: 0, or: "" },
    absent: Absent::Is("0"),
    of: &[],
    doc: "How often the velocity of the centre of mass is removed, which is then no part of the temperature; 0 is never.",
};

/// `skin`
pub static SKIN: ConfigKey<Quantity> = ConfigKey {
    name: "skin",
    value: Quantity {
        dimension: Dimension::Length,
        sign: Sign::Positive,
    },
    absent: Absent::Is("0.5 A"),
    of: &[],
    doc: "How much farther than the cutoff neighbours are listed; it changes the speed, and no bit of the result.",
};

/// `noise_start`
pub static NOISE_START: ConfigKey<Whole> = ConfigKey {
    name: "noise_start",
    value: Whole {
        least: 0,
        most: MOST_STEPS,
    },
    absent: Absent::Told("those that the run before drew"),
    of: NOISY,
    doc: "Steps of the seed's noise to leave out, for a run that begins from the last state of another.",
};
