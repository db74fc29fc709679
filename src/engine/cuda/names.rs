//! The kernels by name: what is in each part that is compiled apart, and which of them start early.

use std::ffi::CStr;

use super::compile::{STAGE_KERNELS, Shape};

/// Products of the atom-wise layers; one by one.
const PRODUCTS: &[&CStr] = &[
    c"context1",
    c"context2",
    c"mix",
    c"update1",
    c"update2",
    c"update2_back",
    c"update1_back",
    c"mix_back",
    c"context2_back",
    c"context1_back",
    c"head_linear",
];
/// The same for a readout with hidden layers.
const HEADS: &[&CStr] = &[c"head_forward", c"head_back"];
/// All products between two messages at once.
pub(super) const STAGES: [&CStr; STAGE_KERNELS] =
    [c"atoms_forward", c"atoms_turn", c"atoms_backward"];
pub(super) const MESSAGES: &[&CStr] = &[
    c"message_first",
    c"message",
    c"message_back",
    c"message_back_first",
];
/// What a step begins with.
const MEASURE: &[&CStr] = &[c"measure"];
/// The rest of a step.
const STEPS: &[&CStr] = &[
    c"sum_forces",
    c"advance",
    c"sum_momentum",
    c"remove_drift",
    c"sum_heat",
    c"check_kinetic",
];
/// A build of the pairs. These kernels and the last ones wait, unlike the others, until all that came before is done.
const PAIRS: &[&CStr] = &[
    c"make_grid",
    c"clear_cells",
    c"count_cells",
    c"scan_cells",
    c"fill_cells",
    c"sort_out",
    c"sort_in",
    c"count_pairs",
    c"scan_pairs",
    c"fill_pairs",
    c"sort_pairs",
    c"match_pairs",
];
/// Kernels between blocks of steps.
const OTHERS: &[&CStr] = &[
    c"observe",
    c"observe_all",
    c"to_ids",
    c"from_ids",
    c"set_state",
];

/// The kernels in each part, as `Shape` has them compiled.
pub(super) fn of_parts(shape: &Shape) -> Vec<Vec<&'static CStr>> {
    let mut layers = match (shape.division.stages(), shape.heads) {
        (true, _) => STAGES.iter().map(|&name| vec![name]).collect(),
        (false, 0) => vec![PRODUCTS.to_vec()],
        _ => vec![[PRODUCTS, HEADS].concat()],
    };
    let pairs = [MEASURE, PAIRS].concat();
    layers.extend([MESSAGES.to_vec(), pairs, [STEPS, OTHERS].concat()]);
    layers
}

/// Whether a kernel's prologue may run before the kernel ahead of it is done.
pub(super) fn follows(name: &CStr) -> bool {
    !PAIRS.contains(&name) && !OTHERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::super::compile::Division;
    use super::super::tables::Splines;
    use super::*;

    /// Every kernel that is looked for is in the sources, each in one part alone; this needs no compiler.
    #[test]
    fn kernels_are_in_the_sources() {
        let sources = super::super::compile::SOURCES.concat();
        let shape = shape(Division::Spread, 1);
        let mut names: Vec<&str> = (of_parts(&shape).concat().iter())
            .chain(&STAGES)
            .map(|name| name.to_str().expect("a name in ASCII"))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a kernel is in two parts");
        for name in names {
            let written = [
                format!(" {name}("),
                format!("({name},"),
                format!("({name})"),
            ];
            let found = sources.lines().any(|line| {
                let kernel = ["__global__", "MESSAGE(", "STAGE(", "PRODUCT("]
                    .iter()
                    .any(|word| line.contains(word));
                kernel && written.iter().any(|w| line.contains(w.as_str()))
            });
            assert!(found, "no kernel {name} in the sources");
        }
    }

    /// A shape of kernels that is quick to compile.
    fn shape(division: Division, heads: usize) -> Shape {
        Shape {
            features: 32,
            layers: 2,
            splines: Splines {
                degree: 5,
                intervals: 72,
            },
            heads,
            head_out: 32 * heads,
            head_max: 32,
            division,
            forward_team: 4,
            backward_team: 2,
            message_blocks: 2,
            staged: true,
            forward_warps: 12,
            backward_warps: 6,
            watched: false,
        }
    }

    /// Each part has the kernels that are looked for in it, and the parameters. Where MDRUN_REQUIRE_NVRTC or MDRUN_REQUIRE_GPU
    /// is set there has to be a compiler.
    #[test]
    fn parts_have_their_kernels() {
        let clusters = Division::Clusters {
            shared_weights: true,
        };
        for (division, heads) in [
            (clusters, 1),
            (Division::Strips, 1),
            (Division::Spread, 1),
            (Division::Spread, 0),
        ] {
            let shape = shape(division, heads);
            let parts = match shape.compile(90) {
                Ok((parts, _)) => parts,
                Err(error) => {
                    assert!(error.to_string().contains("no CUDA compiler"), "{error}");
                    let required = ["MDRUN_REQUIRE_GPU", "MDRUN_REQUIRE_NVRTC"];
                    let there = required.iter().all(|name| std::env::var_os(name).is_none());
                    assert!(there, "{error}");
                    eprintln!("skipped: {error}");
                    return;
                }
            };
            let names = of_parts(&shape);
            assert_eq!(parts.len(), names.len());
            for (part, names) in parts.iter().zip(names) {
                let has = |bytes: &[u8]| part.windows(bytes.len()).any(|window| window == bytes);
                for name in names {
                    let section = [b".text.", name.to_bytes_with_nul()].concat();
                    assert!(has(&section), "{name:?} is not in its part");
                }
                // The symbol of `Params P`.
                assert!(has(b"\0P\0"), "a part has no parameters");
            }
        }
    }
}
