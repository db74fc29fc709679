//! Keys of `[device]`.

use super::row::{Absent, ConfigKey, Form, KeyTable, OneOf, Whole};
use super::system::MOST_MEMBERS;
use crate::config::plan::{DeviceKind, EngineChoice};

/// More threads than any machine has.
const MOST_THREADS: u64 = 4096;

/// `[device]`
pub static TABLE: KeyTable = KeyTable {
    name: "device",
    form: Form::Once,
    doc: "What the run is computed on.",
    rows: &[&KIND, &THREADS, &ENGINE, &IN_FLIGHT],
};

/// `kind`
pub static KIND: ConfigKey<OneOf<DeviceKind>> = ConfigKey {
    name: "kind",
    value: OneOf {
        words: &[
            ("auto", DeviceKind::Auto),
            ("cpu", DeviceKind::Cpu),
            ("cuda:0", DeviceKind::Cuda(0)),
            ("cuda", DeviceKind::Cuda(0)),
        ],
        or: "`\"cuda:1\"`, ...",
    },
    absent: Absent::Is("auto"),
    of: &[],
    doc: "`\"auto\"` takes a GPU for a network where there is one, and the CPU for Lennard-Jones.",
};

/// `threads`
pub static THREADS: ConfigKey<Whole> = ConfigKey {
    name: "threads",
    value: Whole {
        least: 1,
        most: MOST_THREADS,
    },
    absent: Absent::Told("one for each core"),
    of: &[],
    doc: "Threads on the CPU; their number changes no bit of the result.",
};

/// `engine`
pub static ENGINE: ConfigKey<OneOf<EngineChoice>> = ConfigKey {
    name: "engine",
    value: OneOf {
        words: &[
            ("auto", EngineChoice::Auto),
            ("burn", EngineChoice::Burn),
            ("fused", EngineChoice::Fused),
        ],
        or: "",
    },
    absent: Absent::Is("auto"),
    of: &[],
    doc: "How a network is evaluated: by fused kernels, or by Burn's tensors (the reference); `\"auto\"` takes the fused \
          ones where there are any.",
};

/// `in_flight`
pub static IN_FLIGHT: ConfigKey<Whole> = ConfigKey {
    name: "in_flight",
    value: Whole {
        least: 1,
        most: MOST_MEMBERS,
    },
    absent: Absent::Told("as many as there is memory for"),
    of: &[],
    doc: "Of [many systems](#many-systems-at-once): most that run at once; the others wait for the room that one leaves. It \
          changes no bit of the result.",
};
