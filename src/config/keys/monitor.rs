//! Keys of `[monitor]`.

use super::row::{Absent, ConfigKey, Flag, Form, KeyTable, Limit, OneOf, Steps};
use crate::config::plan::{Action, NumbersAction};
use crate::units::Dimension;

/// `[monitor]`
pub static TABLE: KeyTable = KeyTable {
    name: "monitor",
    form: Form::Once,
    doc: "Limits that a run is watched by. A number that is not finite always ends it.",
    rows: &[
        &DRIFT,
        &TEMPERATURE,
        &FORCE,
        &CONTACT,
        &SPREAD,
        &SPREAD_EVERY,
        &PRECISION,
        &PRECISION_EVERY,
        &PRECISION_ACTION,
        &ACTION,
        &AUDIT,
        &RECORD,
    ],
};

/// `drift`
pub static DRIFT: ConfigKey<Limit> = ConfigKey {
    name: "drift",
    value: Limit {
        dimension: Dimension::DriftPerAtom,
    },
    absent: Absent::Is("off"),
    of: &[],
    doc: "Largest slope, up or down, of what should be conserved.",
};

/// `temperature`
pub static TEMPERATURE: ConfigKey<Limit> = ConfigKey {
    name: "temperature",
    value: Limit {
        dimension: Dimension::Temperature,
    },
    absent: Absent::Is("10000 K"),
    of: &[],
    doc: "Largest temperature of a moment.",
};

/// `force`
pub static FORCE: ConfigKey<Limit> = ConfigKey {
    name: "force",
    value: Limit {
        dimension: Dimension::Force,
    },
    absent: Absent::Is("200 eV/A"),
    of: &[],
    doc: "Largest force on an atom.",
};

/// `contact`
pub static CONTACT: ConfigKey<Limit> = ConfigKey {
    name: "contact",
    value: Limit {
        dimension: Dimension::Length,
    },
    absent: Absent::Is("0.4 A"),
    of: &[],
    doc: "Smallest distance of two atoms.",
};

/// `spread`
pub static SPREAD: ConfigKey<Limit> = ConfigKey {
    name: "spread",
    value: Limit {
        dimension: Dimension::Force,
    },
    absent: Absent::Is("off"),
    of: &[],
    doc: "Of a [committee](#committees): largest standard deviation of the force on an atom over its models. Frames \
          beyond it are written to `uncertain.xyz`.",
};

/// `spread_every`
pub static SPREAD_EVERY: ConfigKey<Steps> = ConfigKey {
    name: "spread_every",
    value: Steps { least: 1, or: "" },
    absent: Absent::Told("as `[output] thermo_every`"),
    of: &[],
    doc: "How often that is looked at.",
};

/// `precision`
pub static PRECISION: ConfigKey<Limit> = ConfigKey {
    name: "precision",
    value: Limit {
        dimension: Dimension::Force,
    },
    absent: Absent::Is("off"),
    of: &[],
    doc: "Of a network: largest difference of the force on an atom from that in f64, which is [computed beside the \
          run](#audits-of-the-precision) now and then.",
};

/// `precision_every`
pub static PRECISION_EVERY: ConfigKey<Steps> = ConfigKey {
    name: "precision_every",
    value: Steps { least: 2, or: "" },
    absent: Absent::Told("5000 steps with a limit `precision`, else never"),
    of: &[],
    doc: "How often that is done; with or without a limit the difference is written to `thermo.csv`.",
};

/// Steps between audits where a limit alone is given: an audit takes as long as four steps or so on the same processor, and as
/// hundreds of steps on a GPU.
pub const PRECISION_EVERY_STEPS: u64 = 5_000;

/// `precision_action`
pub static PRECISION_ACTION: ConfigKey<OneOf<NumbersAction>> = ConfigKey {
    name: "precision_action",
    value: OneOf {
        words: &[
            ("warn", NumbersAction::Warn),
            ("stop", NumbersAction::Stop),
            ("raise", NumbersAction::Raise),
        ],
        or: "",
    },
    absent: Absent::Told("a warning"),
    of: &[],
    doc: "What happens where that limit breaks: a warning, the end of the run as failed, or the run goes on in the next finer \
          numbers (`int8` or `bf16`, `f16`, `tf32`, `f32`, `f64`) that its device has.",
};

/// `action`
pub static ACTION: ConfigKey<OneOf<Action>> = ConfigKey {
    name: "action",
    value: OneOf {
        words: &[("warn", Action::Warn), ("stop", Action::Stop)],
        or: "",
    },
    absent: Absent::Is("stop"),
    of: &[],
    doc: "What happens where a limit breaks: a warning, or the end of the run as failed.",
};

/// `audit`
pub static AUDIT: ConfigKey<Steps> = ConfigKey {
    name: "audit",
    value: Steps {
        least: 1,
        or: "`\"auto\"` (costs less than a hundredth of the run), or `\"off\"`",
    },
    absent: Absent::Is("auto"),
    of: &[],
    doc: "How often the pairs of four atoms are compared with brute force.",
};

/// `record`
pub static RECORD: ConfigKey<Flag> = ConfigKey {
    name: "record",
    value: Flag,
    absent: Absent::Is("true"),
    of: &[],
    doc: "Whether the steps before a fault are written, as `flight.xyz` and `flight.ckpt`.",
};
