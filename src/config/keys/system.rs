//! Keys of `[system]`.

use super::row::{
    Absent, ConfigKey, Form, Forms, KeyTable, OneOf, Quantity, SEEDS, Sign, Temperatures, Text,
    Whole,
};
use crate::units::Dimension;

/// What a value says that is taken from the structure file.
pub const FROM_FILE: &str = "from the file";

/// What `frame` says where each frame of the structure file is a system.
pub const ALL_FRAMES: &str = "all";

/// More systems than one run file is good for.
pub const MOST_MEMBERS: u64 = 50_000;

/// `[system]`
pub static TABLE: KeyTable = KeyTable {
    name: "system",
    form: Form::Once,
    doc: "The atoms, their cell, and how they start. Several tables, each `[[system]]`, are \
          [many systems at once](#many-systems-at-once).",
    rows: &[
        &STRUCTURE,
        &FRAME,
        &REPLICAS,
        &REPLICA,
        &CELL,
        &PERIODIC,
        &VELOCITIES,
        &MASSES,
        &HYDROGEN_MASS,
    ],
};

/// `structure`
pub static STRUCTURE: ConfigKey<Text> = ConfigKey {
    name: "structure",
    value: Text {
        what: "a path",
        example: "\"structures/ethanol.xyz\"",
    },
    absent: Absent::Required,
    of: &[],
    doc: "Structure file: `.xyz` (plain or extended), `.pdb`, `.gro`, `.cif`, `.mmcif`, `.mol2`, `.sdf` or `.cml`; or a \
          run's directory, to begin from its last state.",
};

/// `frame`
pub static FRAME: ConfigKey<Forms> = ConfigKey {
    name: "frame",
    value: Forms("a whole number, or `\"all\"`"),
    absent: Absent::Is("0"),
    of: &[],
    doc: "Frame of the structure file: 0 is the first, -1 the last; `\"all\"` makes each of them a system of its own.",
};

/// `replicas`
pub static REPLICAS: ConfigKey<Whole> = ConfigKey {
    name: "replicas",
    value: Whole {
        least: 1,
        most: MOST_MEMBERS,
    },
    absent: Absent::Told("the run is of one system"),
    of: &[],
    doc: "Makes so many systems of each, with velocities and noise of their own, which run side by side.",
};

/// `replica`
pub static REPLICA: ConfigKey<Whole> = ConfigKey {
    name: "replica",
    value: SEEDS,
    absent: Absent::Told("none; velocities and noise are those of replica 0"),
    of: &[],
    doc: "Of a single system: gives it the velocities and noise that the member of this number has among many systems with \
          the same seeds, so that its run is that member's.",
};

/// `cell`
pub static CELL: ConfigKey<OneOf<bool>> = ConfigKey {
    name: "cell",
    value: OneOf {
        words: &[(FROM_FILE, true), ("none", false)],
        or: "three edges such as `[\"12.4 A\", \"12.4 A\", \"12.4 A\"]`, three vectors such as \
             `[[\"12 A\", \"0 A\", \"0 A\"], ...]`",
    },
    absent: Absent::Is(FROM_FILE),
    of: &[],
    doc: "Vectors of the cell.",
};

/// `periodic`
pub static PERIODIC: ConfigKey<Forms> = ConfigKey {
    name: "periodic",
    value: Forms("`true`, `false`, or one of these per direction: `[true, true, false]`"),
    absent: Absent::Told("as the file says; `true` with a `cell` given here"),
    of: &[],
    doc: "Along which vectors of the cell the system is repeated.",
};

/// `velocities`
pub static VELOCITIES: ConfigKey<Forms> = ConfigKey {
    name: "velocities",
    value: Forms("`\"from the file\"`, `\"zero\"`, or a table (below)"),
    absent: Absent::Is(FROM_FILE),
    of: &[],
    doc: "Starting velocities. A file without any needs one of the other two.",
};

/// `masses`
pub static MASSES: ConfigKey<Forms> = ConfigKey {
    name: "masses",
    value: Forms("a table of masses (u) by symbol, such as `{ H = \"2.014 u\" }`"),
    absent: Absent::Told("those of the file, else of the elements"),
    of: &[],
    doc: "Masses of elements, or of the isotopes `D` and `T`.",
};

/// `hydrogen_mass`
pub static HYDROGEN_MASS: ConfigKey<Quantity> = ConfigKey {
    name: "hydrogen_mass",
    value: Quantity {
        dimension: Dimension::Mass,
        sign: Sign::Positive,
    },
    absent: Absent::Told("hydrogen has its own mass"),
    of: &[],
    doc: "Gives every hydrogen this mass, such as `\"3 u\"`, taken from the atom that it is bonded to: a longer step, and the \
          same averages of positions ([groups.md](groups.md#hydrogen-mass)).",
};

/// `system.velocities = { ... }`
pub static VELOCITIES_TABLE: KeyTable = KeyTable {
    name: "system.velocities",
    form: Form::Inline,
    doc: "Starting velocities of a temperature, from the Maxwell-Boltzmann distribution; the system as a whole does not \
          move.",
    rows: &[&TEMPERATURE, &SEED],
};

/// `velocities.temperature`
pub static TEMPERATURE: ConfigKey<Temperatures> = ConfigKey {
    name: "temperature",
    value: Temperatures { ramped: false },
    absent: Absent::Required,
    of: &[],
    doc: "Temperature of the start, which is met to the last digit. A [list](#many-systems-at-once) is for the systems of this \
          table.",
};

/// `velocities.seed`
pub static SEED: ConfigKey<Whole> = ConfigKey {
    name: "seed",
    value: SEEDS,
    absent: Absent::Required,
    of: &[],
    doc: "Seed of the velocities: equal seeds give equal runs.",
};
