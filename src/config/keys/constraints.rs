//! Keys of `[constraints]`.

use super::row::{Absent, ConfigKey, Form, Forms, KeyTable, Quantity, Sign};
use crate::units::Dimension;

/// `[constraints]`
pub static TABLE: KeyTable = KeyTable {
    name: "constraints",
    form: Form::Once,
    doc: "Distances that stay what they are, by RATTLE and SETTLE ([constraints.md](constraints.md)).",
    rows: &[&BONDS, &LENGTHS, &WATER, &OH, &HH, &TOLERANCE],
};

/// `bonds`
pub static BONDS: ConfigKey<Forms> = ConfigKey {
    name: "bonds",
    value: Forms(
        "`\"none\"`, `\"hydrogen\"`, `\"all\"`, or a list of pairs of atoms, such as `[[0, 1], [0, 2]]`",
    ),
    absent: Absent::Is("none"),
    of: &[],
    doc: "Which distances: of bonds to hydrogen, of all bonds (both as the structure's distances tell), or of pairs of atoms, \
          counted from 0.",
};

/// `lengths`
pub static LENGTHS: ConfigKey<Forms> = ConfigKey {
    name: "lengths",
    value: Forms(
        "a list of lengths, one for each pair of a list, such as `[\"1.09 A\", \"1.09 A\"]`",
    ),
    absent: Absent::Told("what they are in the structure"),
    of: &[],
    doc: "What the distances of a list of pairs are.",
};

/// `water`
pub static WATER: ConfigKey<Forms> = ConfigKey {
    name: "water",
    value: Forms(
        "`\"flexible\"`, `\"rigid\"`, or a list of molecules, oxygen first, such as `[[0, 1, 2], [3, 4, 5]]`",
    ),
    absent: Absent::Is("flexible"),
    of: &[],
    doc: "Whether molecules of water are rigid: all of them, or those of a list.",
};

/// `oh`
pub static OH: ConfigKey<Quantity> = length(
    "oh",
    "Distance of oxygen and hydrogen in rigid water; goes with `hh`.",
);

/// `hh`
pub static HH: ConfigKey<Quantity> = length(
    "hh",
    "Distance of the two hydrogens in rigid water; goes with `oh`.",
);

/// A length of rigid water.
const fn length(name: &'static str, doc: &'static str) -> ConfigKey<Quantity> {
    ConfigKey {
        name,
        value: Quantity {
            dimension: Dimension::Length,
            sign: Sign::Positive,
        },
        absent: Absent::Told("the mean over the structure's rigid water"),
        of: &[],
        doc,
    }
}

/// `tolerance`
pub static TOLERANCE: ConfigKey<Forms> = ConfigKey {
    name: "tolerance",
    value: Forms("a number from 1e-12 to 1e-6"),
    absent: Absent::Told("1e-10"),
    of: &[],
    doc: "What a distance may be off by after a step, as a part of it; and how fast it may change, as a part of it in 10.18 fs.",
};
