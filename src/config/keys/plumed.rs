//! Keys of `[plumed]`.

use super::row::{Absent, ConfigKey, Form, KeyTable, Text};

/// `[plumed]`
pub static TABLE: KeyTable = KeyTable {
    name: "plumed",
    form: Form::Once,
    doc: "PLUMED beside the potential: collective variables and biases ([plumed.md](plumed.md)).",
    rows: &[&INPUT, &KERNEL],
};

/// `input`
pub static INPUT: ConfigKey<Text> = ConfigKey {
    name: "input",
    value: Text {
        what: "a file",
        example: "\"plumed.dat\"",
    },
    absent: Absent::Required,
    of: &[],
    doc: "PLUMED's input. Files that it names are relative to the output directory.",
};

/// `kernel`
pub static KERNEL: ConfigKey<Text> = ConfigKey {
    name: "kernel",
    value: Text {
        what: "a library",
        example: "\"/usr/lib/libplumedKernel.so\"",
    },
    absent: Absent::Told(
        "the environment variable `PLUMED_KERNEL`, or what the loader finds as `libplumedKernel.so`",
    ),
    of: &[],
    doc: "PLUMED itself, version 2.5 or later.",
};
