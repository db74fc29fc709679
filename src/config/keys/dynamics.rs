//! Keys of `[dynamics]`, and which ensemble each belongs to.

use super::{Absent, Choice, Duration, Form, Key, Quantity, SEEDS, Steps, Table, Whole};
use crate::config::section::{MOST_STEPS, Sign};
use crate::units::Dimension;

/// What `ensemble` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampled {
    /// `"nve"`
    Nve,
    /// `"langevin"`
    Langevin,
}

impl Sampled {
    /// What run files call it.
    pub fn word(self) -> &'static str {
        let words = ENSEMBLE.value.words.iter();
        words
            .filter(|(_, sampled)| *sampled == self)
            .map(|(word, _)| *word)
            .next()
            .unwrap_or_default()
    }
}

/// `[dynamics]`
pub static TABLE: Table = Table {
    name: "dynamics",
    form: Form::Once,
    doc: "How the atoms move, and how long.",
    rows: &[
        &ENSEMBLE,
        &TEMPERATURE,
        &FRICTION,
        &SEED,
        &TIMESTEP,
        &STEPS,
        &DURATION,
        &REMOVE_DRIFT,
        &SKIN,
        &NOISE_START,
    ],
};

/// `ensemble`
pub static ENSEMBLE: Key<Choice<Sampled>> = Key {
    name: "ensemble",
    value: Choice {
        words: &[("nve", Sampled::Nve), ("langevin", Sampled::Langevin)],
        or: "",
    },
    absent: Absent::Required,
    of: &[],
    doc: "Constant energy by velocity Verlet, or constant temperature by Langevin dynamics (BAOAB); \
          [physics.md](physics.md) has both.",
};

/// `temperature`
pub static TEMPERATURE: Key<Quantity> = Key {
    name: "temperature",
    value: Quantity {
        dimension: Dimension::Temperature,
        sign: Sign::NotNegative,
    },
    absent: Absent::Required,
    of: &[Sampled::Langevin],
    doc: "Temperature of the bath.",
};

/// `friction`
pub static FRICTION: Key<Quantity> = Key {
    name: "friction",
    value: Quantity {
        dimension: Dimension::Rate,
        sign: Sign::Positive,
    },
    absent: Absent::Required,
    of: &[Sampled::Langevin],
    doc: "Rate at which every atom forgets its velocity, such as `\"1 1/ps\"`.",
};

/// `seed`
pub static SEED: Key<Whole> = Key {
    name: "seed",
    value: SEEDS,
    absent: Absent::Required,
    of: &[Sampled::Langevin],
    doc: "Seed of the noise; give every run that is to be independent of others one of its own.",
};

/// `timestep`
pub static TIMESTEP: Key<Quantity> = Key {
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
pub static STEPS: Key<Whole> = Key {
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
pub static DURATION: Key<Duration> = Key {
    name: "duration",
    value: Duration,
    absent: Absent::Told("required, or `steps`"),
    of: &[],
    doc: "Length of the run, rounded up to whole steps.",
};

/// `remove_drift`
pub static REMOVE_DRIFT: Key<Steps> = Key {
    name: "remove_drift",
    value: Steps { least: 0, or: "" },
    absent: Absent::Is("0"),
    of: &[],
    doc: "How often the velocity of the centre of mass is removed, which is then no part of the temperature; 0 is never.",
};

/// `skin`
pub static SKIN: Key<Quantity> = Key {
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
pub static NOISE_START: Key<Whole> = Key {
    name: "noise_start",
    value: Whole {
        least: 0,
        most: MOST_STEPS,
    },
    absent: Absent::Told("those that the run before drew"),
    of: &[Sampled::Langevin],
    doc: "Steps of the seed's noise to leave out, for a run that begins from the last state of another.",
};
