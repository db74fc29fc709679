//! Keys of `[potential]`.

use super::row::{Absent, ConfigKey, Form, Forms, KeyTable, OneOf, Quantity, Sign, Text, Whole};
use crate::potential::Precision;
use crate::potential::pair::PowerLaw;
use crate::units::Dimension;

/// `[potential]`
pub static TABLE: KeyTable = KeyTable {
    name: "potential",
    form: Form::Once,
    doc: "What acts between the atoms: a trained network, Lennard-Jones, or another program.",
    rows: &[
        &MODEL,
        &PRECISION,
        &ELEMENTS,
        &LENNARD_JONES,
        &SOCKET,
        &REPULSION,
    ],
};

/// `model`
pub static MODEL: ConfigKey<Forms> = ConfigKey {
    name: "model",
    value: Forms("a name or a path, or a list of them"),
    absent: Absent::Told("required, but for Lennard-Jones and `socket`"),
    of: &[],
    doc: "A trained PaiNN, SchNet or StudentForceField: its [name](#models-by-name), or its file, such as \
          `\"net.safetensors\"`. Several, `[\"a\", \"b\", \"c\"]`, are a [committee](#committees): their mean acts, and how far \
          they are apart is written and [watched](#monitor).",
};

/// `precision`
pub static PRECISION: ConfigKey<OneOf<Precision>> = ConfigKey {
    name: "precision",
    value: OneOf {
        words: &Precision::WORDS,
        or: "",
    },
    absent: Absent::Is("f32"),
    of: &[],
    doc: "Numbers of the [network](#precision). Positions, velocities and sums of energies are f64 always, and all of \
          Lennard-Jones is. On the CPU `\"f64\"`, `\"f32\"` and, of PaiNN, `\"int8\"`; on a GPU all but `\"f64\"`.",
};

/// `elements`
pub static ELEMENTS: ConfigKey<Forms> = ConfigKey {
    name: "elements",
    value: Forms("a list of symbols, such as `[\"H\", \"C\", \"O\"]`"),
    absent: Absent::Told("as the model's file says"),
    of: &[],
    doc: "Elements that the model was trained on: for a file that does not say so. Others are refused.",
};

/// `lennard_jones`
pub static LENNARD_JONES: ConfigKey<Forms> = ConfigKey {
    name: "lennard_jones",
    value: Forms("a table (below)"),
    absent: Absent::Told("none"),
    of: &[],
    doc: "Lennard-Jones instead of a network, the same for all atoms.",
};

/// `socket`
pub static SOCKET: ConfigKey<Text> = ConfigKey {
    name: "socket",
    value: Text {
        what: "`\"unix:NAME\"` or `\"tcp:HOST:PORT\"`",
        example: "\"unix:water\"",
    },
    absent: Absent::Told("none"),
    of: &[],
    doc: "Energy, forces and virial of another program, which connects here and speaks [i-PI's protocol](ipi.md).",
};

/// `[potential.lennard_jones]`
pub static LENNARD_JONES_TABLE: KeyTable = KeyTable {
    name: "potential.lennard_jones",
    form: Form::Once,
    doc: "Lennard-Jones, instead of `model`; it goes smoothly to zero at the cutoff.",
    rows: &[&EPSILON, &SIGMA, &CUTOFF],
};

const LENGTH: Quantity = Quantity {
    dimension: Dimension::Length,
    sign: Sign::Positive,
};

/// `epsilon`
pub static EPSILON: ConfigKey<Quantity> = ConfigKey {
    name: "epsilon",
    value: Quantity {
        dimension: Dimension::Energy,
        sign: Sign::Positive,
    },
    absent: Absent::Required,
    of: &[],
    doc: "Depth of the well.",
};

/// `sigma`
pub static SIGMA: ConfigKey<Quantity> = ConfigKey {
    name: "sigma",
    value: LENGTH,
    absent: Absent::Required,
    of: &[],
    doc: "Distance at which the energy is zero.",
};

/// `cutoff`
pub static CUTOFF: ConfigKey<Quantity> = ConfigKey {
    name: "cutoff",
    value: LENGTH,
    absent: Absent::Required,
    of: &[],
    doc: "Distance from which on there is no interaction; more than `sigma`, 2.5 `sigma` is usual.",
};

/// `repulsion`
pub static REPULSION: ConfigKey<Forms> = ConfigKey {
    name: "repulsion",
    value: Forms("a table (below)"),
    absent: Absent::Told("none"),
    of: &[],
    doc: "A repulsion at short range beside the potential, so that atoms cannot fall into each other.",
};

/// `[potential.repulsion]`
pub static REPULSION_TABLE: KeyTable = KeyTable {
    name: "potential.repulsion",
    form: Form::Once,
    doc: "A repulsion beside `model` or Lennard-Jones: switched off smoothly from half of its `end` on, exactly zero beyond it.",
    rows: &[&KIND, &ENERGY, &AT, &POWER, &END],
};

/// What a repulsion may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepulsionKind {
    /// `"zbl"`
    Zbl,
    /// `"power"`
    Power,
}

/// `kind`
pub static KIND: ConfigKey<OneOf<RepulsionKind>> = ConfigKey {
    name: "kind",
    value: OneOf {
        words: &[("zbl", RepulsionKind::Zbl), ("power", RepulsionKind::Power)],
        or: "",
    },
    absent: Absent::Required,
    of: &[],
    doc: "`\"zbl\"`: two nuclei screened by their electrons (Ziegler, Biersack and Littmark), without parameters. `\"power\"`: \
          `energy` (`sigma` / r)^`power`.",
};

/// `energy`
pub static ENERGY: ConfigKey<Quantity> = ConfigKey {
    name: "energy",
    value: Quantity {
        dimension: Dimension::Energy,
        sign: Sign::Positive,
    },
    absent: Absent::Told("required with `\"power\"`"),
    of: &[],
    doc: "Of `\"power\"`: energy of two atoms at the distance `sigma`.",
};

/// `sigma`
pub static AT: ConfigKey<Quantity> = ConfigKey {
    name: "sigma",
    value: LENGTH,
    absent: Absent::Told("required with `\"power\"`"),
    of: &[],
    doc: "Of `\"power\"`: that distance.",
};

/// `power`
pub static POWER: ConfigKey<Whole> = ConfigKey {
    name: "power",
    value: Whole {
        least: 1,
        most: PowerLaw::MOST as u64,
    },
    absent: Absent::Told("12"),
    of: &[],
    doc: "Of `\"power\"`: the power.",
};

/// `end`
pub static END: ConfigKey<Quantity> = ConfigKey {
    name: "end",
    value: LENGTH,
    absent: Absent::Told("0.7 times the sum of the covalent radii of the two atoms"),
    of: &[],
    doc: "Distance from which on there is none, for all pairs; a model that was trained without it knows its bonds, which \
          should lie beyond.",
};
