//! Kernels compile for every architecture that is claimed, with or without a GPU.

use mdrun::engine::cuda::compile::{Shape, Splines};

/// A shape of kernels for many or few atoms.
fn shape(features: usize, many: bool) -> Shape {
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
        tiled: many,
        shrink: 1,
        fused: false,
        shared_weights: true,
        strips: false,
        staged: many,
        forward_warps: 24,
        backward_warps: 12,
    }
}

#[test]
fn kernels_compile_for_ampere_hopper_and_blackwell() {
    // Fused stages need the clusters of Hopper, strips its bulk copies.
    let kinds = [
        (128, true, false, false),
        (32, false, false, false),
        (128, false, true, false),
        (96, true, false, true),
    ];
    for (features, many, fused, strips) in kinds {
        for capability in [80, 90, 100] {
            if (fused || strips) && capability < 90 {
                continue;
            }
            let shape = Shape {
                fused,
                strips,
                tiled: many && !strips,
                ..shape(features, many)
            };
            match shape.compile(capability) {
                Ok((parts, _)) => assert!(parts.iter().all(|p| p.starts_with(b"\x7fELF"))),
                Err(error) if error.to_string().contains("no CUDA compiler library") => {
                    assert!(std::env::var_os("MDRUN_REQUIRE_GPU").is_none(), "{error}");
                    eprintln!("skipped: {error}");
                    return;
                }
                Err(error) => panic!("F = {features}, many = {many}, sm_{capability}: {error}"),
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
