//! Kernels compile for every architecture that is claimed, with or without a GPU.

use mdrun::engine::cuda::compile::{Division, Shape, Splines};

/// A shape of kernels for many or few atoms.
fn shape(features: usize, many: bool, division: Division) -> Shape {
    Shape {
        features,
        layers: 3,
        splines: Splines {
            degree: if many { 3 } else { 5 },
            intervals: if many { 320 } else { 72 },
        },
        heads: 1,
        head_out: features / 2,
        head_max: features,
        message_blocks: if many { 1 } else { 4 },
        forward_team: if many { 1 } else { 4 },
        backward_team: if many { 1 } else { 4 },
        division,
        staged: many,
        forward_warps: 24,
        backward_warps: 12,
        watched: false,
    }
}

#[test]
fn kernels_compile_for_ampere_hopper_and_blackwell() {
    let clusters = Division::Clusters {
        shared_weights: true,
    };
    // Clusters and the strips' bulk copies came with Hopper.
    let kinds = [
        (shape(128, true, Division::Tiles { shrink: 1 }), 80),
        (shape(32, false, Division::Spread), 80),
        (shape(128, false, clusters), 90),
        (shape(96, true, Division::Strips), 90),
    ];
    for (shape, from) in kinds {
        for capability in [80, 90, 100].into_iter().filter(|&c| c >= from) {
            match shape.compile(capability) {
                Ok((parts, _)) => assert!(parts.iter().all(|p| p.starts_with(b"\x7fELF"))),
                Err(error) if error.to_string().contains("no CUDA compiler library") => {
                    let required = ["MDRUN_REQUIRE_GPU", "MDRUN_REQUIRE_NVRTC"];
                    assert!(
                        required.iter().all(|name| std::env::var_os(name).is_none()),
                        "{error}"
                    );
                    eprintln!("skipped: {error}");
                    return;
                }
                Err(error) => panic!("{shape:?}, sm_{capability}: {error}"),
            }
        }
    }
}

/// Without a driver the reason names what was looked for.
#[test]
fn a_missing_gpu_is_explained() {
    if let Err(error) = mdrun::engine::cuda::devices() {
        let text = error.to_string();
        assert!(
            text.contains("libcuda") && text.contains("libnvrtc"),
            "{text}"
        );
        assert_eq!(error.exit_code(), 2);
    } else {
        eprintln!("skipped: there is a GPU");
    }
}
