//! Keys of `[[group]]`.

use super::row::{Absent, ConfigKey, Flag, Form, Forms, KeyTable, OneOf, Quantity, Sign, Text};
use crate::units::Dimension;

/// `[[group]]`
pub static TABLE: KeyTable = KeyTable {
    name: "group",
    form: Form::Many,
    doc: "Some of the atoms, and what is done to them while they move ([groups.md](groups.md)).",
    rows: &[&NAME, &ATOMS, &FROZEN, &SPRING, &WALL, &FORCE, &THERMOSTAT],
};

/// `name`
pub static NAME: ConfigKey<Text> = ConfigKey {
    name: "name",
    value: Text {
        what: "letters, digits, `-` and `_`",
        example: "\"slab\"",
    },
    absent: Absent::Required,
    of: &[],
    doc: "What it is called; each has a name of its own.",
};

/// `atoms`
pub static ATOMS: ConfigKey<Text> = ConfigKey {
    name: "atoms",
    value: Text {
        what: "a selection",
        example: "\"element O and within 5 A of index 7\"",
    },
    absent: Absent::Required,
    of: &[],
    doc: "Its atoms, in the [selection language](groups.md#selections), looked up in the structure that the run starts from.",
};

/// `frozen`
pub static FROZEN: ConfigKey<Flag> = ConfigKey {
    name: "frozen",
    value: Flag,
    absent: Absent::Is("false"),
    of: &[],
    doc: "Whether its atoms stay where they are. They are no part of the temperature; forces on them are still reported.",
};

/// `spring`
pub static SPRING: ConfigKey<Forms> = told(
    "spring",
    "a table (below)",
    "A harmonic spring, which may move.",
);

/// `wall`
pub static WALL: ConfigKey<Forms> = told(
    "wall",
    "tables (below)",
    "Walls that its atoms are kept by.",
);

/// `force`
pub static FORCE: ConfigKey<Forms> = told(
    "force",
    "three forces, such as `[\"0 eV/A\", \"0 eV/A\", \"0.01 eV/A\"]`",
    "The same force on each of its atoms, with the energy -F r of unwrapped positions.",
);

/// `thermostat`
pub static THERMOSTAT: ConfigKey<Forms> = told(
    "thermostat",
    "a table (below)",
    "A bath of its own, with the ensemble `\"langevin\"`.",
);

/// A key that need not be there.
const fn told(name: &'static str, value: &'static str, doc: &'static str) -> ConfigKey<Forms> {
    ConfigKey {
        name,
        value: Forms(value),
        absent: Absent::Told("none"),
        of: &[],
        doc,
    }
}

/// A quantity that is needed where a sentence says.
const fn quantity(
    name: &'static str,
    (dimension, sign): (Dimension, Sign),
    absent: &'static str,
    doc: &'static str,
) -> ConfigKey<Quantity> {
    ConfigKey {
        name,
        value: Quantity { dimension, sign },
        absent: Absent::Told(absent),
        of: &[],
        doc,
    }
}

/// `[group.spring]`
pub static SPRING_TABLE: KeyTable = KeyTable {
    name: "group.spring",
    form: Form::Once,
    doc: "A spring of the energy k x^2 / 2 ([groups.md](groups.md#springs)).",
    rows: &[&CONSTANT, &TO, &LENGTH, &SPEED, &VELOCITY, &PLACES, &IMAGE],
};

/// `constant`
pub static CONSTANT: ConfigKey<Quantity> = ConfigKey {
    name: "constant",
    value: Quantity {
        dimension: Dimension::SpringConstant,
        sign: Sign::Positive,
    },
    absent: Absent::Required,
    of: &[],
    doc: "Its constant k.",
};

/// `to`
pub static TO: ConfigKey<Forms> = ConfigKey {
    name: "to",
    value: Forms(
        "`\"start\"`, `\"centre\"`, a place such as `[\"1 A\", \"2 A\", \"3 A\"]`, or the name of another group",
    ),
    absent: Absent::Is("start"),
    of: &[],
    doc: "Where it leads: from each atom to where that starts; from the centre of mass to where it starts, to a place, or to the \
          centre of mass of another group.",
};

/// `length`
pub static LENGTH: ConfigKey<Quantity> = quantity(
    "length",
    (Dimension::Length, Sign::NotNegative),
    "the distance at the start",
    "To another group: its length at rest.",
);

/// `speed`
pub static SPEED: ConfigKey<Quantity> = quantity(
    "speed",
    (Dimension::Velocity, Sign::Any),
    "0",
    "To another group: how fast the length grows.",
);

/// `velocity`
pub static VELOCITY: ConfigKey<Forms> = told(
    "velocity",
    "three velocities, such as `[\"0 A/ps\", \"0 A/ps\", \"1 A/ps\"]`",
    "To places: how fast these move.",
);

/// `places`
pub static PLACES: ConfigKey<Forms> = told(
    "places",
    "a list of three numbers (A) for each atom",
    "With `to = \"start\"`: other places than those of the start, by which a run that goes on knows them.",
);

/// `image`
pub static IMAGE: ConfigKey<Forms> = ConfigKey {
    name: "image",
    value: Forms("three whole numbers, such as `[0, 0, 1]`"),
    absent: Absent::Told("that which is nearest at the start"),
    of: &[],
    doc: "To another group: which image of its centre of mass, by lattice vectors.",
};

/// `[[group.wall]]`
pub static WALL_TABLE: KeyTable = KeyTable {
    name: "group.wall",
    form: Form::Many,
    doc: "A wall: a plane, by `normal` and `at`, or a sphere around the atoms, by `centre` and `radius` \
          ([groups.md](groups.md#walls)).",
    rows: &[
        &KIND,
        &NORMAL,
        &AT,
        &CENTRE,
        &RADIUS,
        &WALL_CONSTANT,
        &EPSILON,
        &SIGMA,
    ],
};

/// What a wall may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WallKind {
    /// `"harmonic"`
    Harmonic,
    /// `"lj93"`
    NineThree,
}

/// `kind`
pub static KIND: ConfigKey<OneOf<WallKind>> = ConfigKey {
    name: "kind",
    value: OneOf {
        words: &[
            ("harmonic", WallKind::Harmonic),
            ("lj93", WallKind::NineThree),
        ],
        or: "",
    },
    absent: Absent::Is("harmonic"),
    of: &[],
    doc: "`\"harmonic\"`: k z^2 / 2 behind the wall, nothing ahead of it. `\"lj93\"`: at the distance z, \
          `epsilon` (2/15 (`sigma` / z)^9 - (`sigma` / z)^3).",
};

/// `normal`
pub static NORMAL: ConfigKey<Forms> = told(
    "normal",
    "three numbers, such as `[0, 0, 1]`",
    "Of a plane: the direction in which it pushes.",
);

/// `at`
pub static AT: ConfigKey<Quantity> = quantity(
    "at",
    (Dimension::Length, Sign::Any),
    "required of a plane",
    "Of a plane: its distance from the origin along `normal`.",
);

/// `centre`
pub static CENTRE: ConfigKey<Forms> = told(
    "centre",
    "a place, such as `[\"0 A\", \"0 A\", \"0 A\"]`",
    "Of a sphere: its centre.",
);

/// `radius`
pub static RADIUS: ConfigKey<Quantity> = quantity(
    "radius",
    (Dimension::Length, Sign::Positive),
    "required of a sphere",
    "Of a sphere: its radius.",
);

/// `constant`
pub static WALL_CONSTANT: ConfigKey<Quantity> = quantity(
    "constant",
    (Dimension::SpringConstant, Sign::Positive),
    "required with `\"harmonic\"`",
    "Of `\"harmonic\"`: its constant k.",
);

/// `epsilon`
pub static EPSILON: ConfigKey<Quantity> = quantity(
    "epsilon",
    (Dimension::Energy, Sign::Positive),
    "required with `\"lj93\"`",
    "Of `\"lj93\"`: the energy.",
);

/// `sigma`
pub static SIGMA: ConfigKey<Quantity> = quantity(
    "sigma",
    (Dimension::Length, Sign::Positive),
    "required with `\"lj93\"`",
    "Of `\"lj93\"`: the length.",
);

/// `[group.thermostat]`
pub static THERMOSTAT_TABLE: KeyTable = KeyTable {
    name: "group.thermostat",
    form: Form::Once,
    doc: "The bath of a group with the ensemble `\"langevin\"`.",
    rows: &[&TEMPERATURE, &FRICTION],
};

/// `temperature`
pub static TEMPERATURE: ConfigKey<Quantity> = ConfigKey {
    name: "temperature",
    value: Quantity {
        dimension: Dimension::Temperature,
        sign: Sign::NotNegative,
    },
    absent: Absent::Required,
    of: &[],
    doc: "Its temperature.",
};

/// `friction`
pub static FRICTION: ConfigKey<Quantity> = ConfigKey {
    name: "friction",
    value: Quantity {
        dimension: Dimension::Rate,
        sign: Sign::NotNegative,
    },
    absent: Absent::Required,
    of: &[],
    doc: "Its friction; 0 for no thermostat at all.",
};
