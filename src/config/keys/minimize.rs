//! Keys of `[stage.dynamics]` where a stage is a minimisation.

use super::row::{Absent, ConfigKey, Form, Forms, KeyTable, OneOf, Quantity, Sign, Whole};
use crate::dynamics::Coupling;
use crate::minimize::DescentMethod;
use crate::units::Dimension;

/// What `ensemble` is then.
pub const MINIMIZE: &str = "minimize";

/// `[stage.dynamics]` with `ensemble = "minimize"`
pub static TABLE: KeyTable = KeyTable {
    name: "stage.dynamics",
    form: Form::Once,
    doc: "Of a [stage](stages.md) with `ensemble = \"minimize\"`, which goes down to the nearest minimum of the energy.",
    rows: &[
        &ENSEMBLE,
        &METHOD,
        &FORCE,
        &MOST_STEPS,
        &CELL,
        &PRESSURE,
        &STRESS,
    ],
};

/// `ensemble`
pub static ENSEMBLE: ConfigKey<Forms> = ConfigKey {
    name: "ensemble",
    value: Forms("`\"minimize\"`"),
    absent: Absent::Required,
    of: &[],
    doc: "What makes the stage a minimisation.",
};

/// `method`
pub static METHOD: ConfigKey<OneOf<DescentMethod>> = ConfigKey {
    name: "method",
    value: OneOf {
        words: &DescentMethod::WORDS,
        or: "",
    },
    absent: Absent::Is("lbfgs"),
    of: &[],
    doc: "How the way down is found.",
};

/// `force`
pub static FORCE: ConfigKey<Quantity> = ConfigKey {
    name: "force",
    value: Quantity {
        dimension: Dimension::Force,
        sign: Sign::Positive,
    },
    absent: Absent::Is("0.01 eV/A"),
    of: &[],
    doc: "The largest force on an atom at which it is done.",
};

/// `most_steps`
pub static MOST_STEPS: ConfigKey<Whole> = ConfigKey {
    name: "most_steps",
    value: Whole {
        least: 1,
        most: 1_000_000_000,
    },
    absent: Absent::Is("1000"),
    of: &[],
    doc: "Most steps; where they are not enough, the run says so and goes on.",
};

/// `cell`
pub static CELL: ConfigKey<OneOf<Option<Coupling>>> = ConfigKey {
    name: "cell",
    value: OneOf {
        words: &[
            ("fixed", None),
            ("isotropic", Some(Coupling::Isotropic)),
            ("anisotropic", Some(Coupling::Anisotropic)),
            ("triclinic", Some(Coupling::Triclinic)),
            ("xy", Some(Coupling::Plane)),
        ],
        or: "",
    },
    absent: Absent::Is("fixed"),
    of: &[],
    doc: "What the cell may do, as `coupling` of a barostat.",
};

/// `pressure`
pub static PRESSURE: ConfigKey<Quantity> = ConfigKey {
    name: "pressure",
    value: Quantity {
        dimension: Dimension::Pressure,
        sign: Sign::Any,
    },
    absent: Absent::Is("0 bar"),
    of: &[],
    doc: "Pressure on a cell that may change.",
};

/// `stress`
pub static STRESS: ConfigKey<Quantity> = ConfigKey {
    name: "stress",
    value: Quantity {
        dimension: Dimension::Pressure,
        sign: Sign::Positive,
    },
    absent: Absent::Is("10 bar"),
    of: &[],
    doc: "The largest stress of a cell that may change, beyond the pressure, at which it is done.",
};
