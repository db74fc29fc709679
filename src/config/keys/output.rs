//! Keys of `[output]`.

use super::row::{Absent, ConfigKey, Flag, Form, Forms, KeyTable, OneOf, Steps, Text};
use crate::config::plan::TrajectoryFormat;

/// `[output]`
pub static TABLE: KeyTable = KeyTable {
    name: "output",
    form: Form::Once,
    doc: "What is written, where and how often.",
    rows: &[
        &DIRECTORY,
        &THERMO_EVERY,
        &CHECKPOINT_EVERY,
        &REPORT,
        &VIEW,
        &MEMBERS,
        &TRAJECTORY,
    ],
};

/// `directory`
pub static DIRECTORY: ConfigKey<Text> = ConfigKey {
    name: "directory",
    value: Text {
        what: "a path",
        example: "\"trajectories/my_run\"",
    },
    absent: Absent::Told("`trajectories/NAME` beside the run file `NAME.toml`"),
    of: &[],
    doc: "The run's own directory.",
};

/// `thermo_every`
pub static THERMO_EVERY: ConfigKey<Steps> = ConfigKey {
    name: "thermo_every",
    value: Steps { least: 1, or: "" },
    absent: Absent::Told("a hundredth of the run, at most 100 steps"),
    of: &[],
    doc: "How often `thermo.csv` gets a line.",
};

/// `checkpoint_every`
pub static CHECKPOINT_EVERY: ConfigKey<Steps> = ConfigKey {
    name: "checkpoint_every",
    value: Steps {
        least: 1,
        or: "`\"5000 steps\"`, or a time on the clock (s, min, h), or `\"off\"`",
    },
    absent: Absent::Is("10 min"),
    of: &[],
    doc: "How often a checkpoint is written: what a crash may cost at most.",
};

/// `report`
pub static REPORT: ConfigKey<Flag> = ConfigKey {
    name: "report",
    value: Flag,
    absent: Absent::Is("true"),
    of: &[],
    doc: "Whether a run leaves a page of its course, figures and settings when it ends, `report.html`.",
};

/// `view`
pub static VIEW: ConfigKey<Flag> = ConfigKey {
    name: "view",
    value: Flag,
    absent: Absent::Is("true"),
    of: &[],
    doc: "Whether scripts are written that show the run in VMD (`view.vmd`) and PyMOL (`view.pml`).",
};

/// `members`
pub static MEMBERS: ConfigKey<OneOf<bool>> = ConfigKey {
    name: "members",
    value: OneOf {
        words: &[("apart", false), ("together", true)],
        or: "",
    },
    absent: Absent::Is("apart"),
    of: &[],
    doc: "Of [many systems](#many-systems-at-once): whether each has trajectories of its own, as in `members/0007`, or all are \
          in one, extended XYZ alone.",
};

/// `trajectory`
pub static TRAJECTORY: ConfigKey<Forms> = ConfigKey {
    name: "trajectory",
    value: Forms("tables (below)"),
    absent: Absent::Told("none"),
    of: &[],
    doc: "The trajectories.",
};

/// `[[output.trajectory]]`
pub static TRAJECTORY_TABLE: KeyTable = KeyTable {
    name: "output.trajectory",
    form: Form::Many,
    doc: "A trajectory; at most one of each format.",
    rows: &[&FORMAT, &EVERY, &WRAP, &FIELDS],
};

/// `format`
pub static FORMAT: ConfigKey<OneOf<TrajectoryFormat>> = ConfigKey {
    name: "format",
    value: OneOf {
        words: &[
            ("xyz", TrajectoryFormat::Xyz),
            ("dcd", TrajectoryFormat::Dcd),
            ("xtc", TrajectoryFormat::Xtc),
        ],
        or: "",
    },
    absent: Absent::Required,
    of: &[],
    doc: "Extended XYZ, text and exact; or DCD (32 bits a number) and XTC (0.01 A), for VMD and others.",
};

/// `every`
pub static EVERY: ConfigKey<Steps> = ConfigKey {
    name: "every",
    value: Steps { least: 1, or: "" },
    absent: Absent::Required,
    of: &[],
    doc: "How often a frame is written.",
};

/// `wrap`
pub static WRAP: ConfigKey<Flag> = ConfigKey {
    name: "wrap",
    value: Flag,
    absent: Absent::Is("false"),
    of: &[],
    doc: "Whether molecules are moved, whole, into the cell.",
};

/// `fields`
pub static FIELDS: ConfigKey<Forms> = ConfigKey {
    name: "fields",
    value: Forms("a list of `\"velocities\"`, `\"forces\"`"),
    absent: Absent::Is("[]"),
    of: &[],
    doc: "What is written besides positions; extended XYZ only.",
};
