//! Keys of `[[stage]]`.

use super::row::{Absent, ConfigKey, Form, Forms, KeyTable, OneOf, Quantity, Sign, Text};
use crate::config::plan::Settled;
use crate::units::Dimension;

/// `[[stage]]`
pub static TABLE: KeyTable = KeyTable {
    name: "stage",
    form: Form::Many,
    doc: "A [stage](stages.md) of a run that has several, one after another: what it changes of `[dynamics]`, `[monitor]`, and \
          of `thermo_every` and the trajectories of `[output]` stands in tables within it, such as `[stage.dynamics]`.",
    rows: &[
        &NAME,
        &UNTIL,
        &UNTIL_WINDOW,
        &VELOCITIES,
        &GROUPS,
        &DYNAMICS,
        &MONITOR,
        &OUTPUT,
    ],
};

/// `name`
pub static NAME: ConfigKey<Text> = ConfigKey {
    name: "name",
    value: Text {
        what: "letters, digits, `-` and `_`",
        example: "\"heat\"",
    },
    absent: Absent::Required,
    of: &[],
    doc: "What it is called.",
};

/// `until`
pub static UNTIL: ConfigKey<OneOf<Settled>> = ConfigKey {
    name: "until",
    value: OneOf {
        words: &[
            (Settled::Density.words(), Settled::Density),
            (Settled::Temperature.words(), Settled::Temperature),
            (Settled::Energy.words(), Settled::Energy),
        ],
        or: "",
    },
    absent: Absent::Told("its `duration`"),
    of: &[],
    doc: "Ends the stage before its duration is over, once the means of two windows agree and the second has no slope, both \
          within twice their errors. The energy is the potential one.",
};

/// `until_window`
pub static UNTIL_WINDOW: ConfigKey<Quantity> = ConfigKey {
    name: "until_window",
    value: Quantity {
        dimension: Dimension::Time,
        sign: Sign::Positive,
    },
    absent: Absent::Is("1 ps"),
    of: &[],
    doc: "How long a window of `until` is.",
};

/// `velocities`
pub static VELOCITIES: ConfigKey<Forms> = ConfigKey {
    name: "velocities",
    value: Forms("`\"zero\"`, or `{ temperature, seed }`"),
    absent: Absent::Told("those that the stage before ended with"),
    of: &[],
    doc: "New velocities that the stage begins with.",
};

/// `groups`
pub static GROUPS: ConfigKey<Forms> = ConfigKey {
    name: "groups",
    value: Forms("a list of names, such as `[\"slab\"]`; `[]` for none"),
    absent: Absent::Told("all"),
    of: &[],
    doc: "The groups that something is done to in this stage; those that are not among them move freely in it.",
};

/// `dynamics`
pub static DYNAMICS: ConfigKey<Forms> = ConfigKey {
    name: "dynamics",
    value: Forms("a table `[stage.dynamics]`"),
    absent: Absent::Told("`[dynamics]` of the file"),
    of: &[],
    doc: "Keys of `[dynamics]` that are others in this stage. Those of another ensemble than the stage's are left out.",
};

/// `monitor`
pub static MONITOR: ConfigKey<Forms> = ConfigKey {
    name: "monitor",
    value: Forms("a table `[stage.monitor]`"),
    absent: Absent::Told("`[monitor]` of the file"),
    of: &[],
    doc: "Keys of `[monitor]` that are others in this stage.",
};

/// `output`
pub static OUTPUT: ConfigKey<Forms> = ConfigKey {
    name: "output",
    value: Forms("`thermo_every`, and tables `[[stage.output.trajectory]]`"),
    absent: Absent::Told("`[output]` of the file"),
    of: &[],
    doc: "How often `thermo.csv` gets a line in this stage, and trajectories of its own, `traj.NAME.xyz`, in the place of \
          those of the file, which go through all stages that have none.",
};
