//! Kernels compile for every architecture that is claimed, with or without a GPU.

use mdrun::cuda::compiler::compile;
use mdrun::engine::cuda::source;
use mdrun::potential::painn::RadialBasis;
use mdrun::potential::painn::cuda::{CardNumbers, Choice, Division, Messages, Shape, Teams};

use crate::support::models::calm_model;

/// Kernels for many or few atoms.
fn shape(features: usize, many: bool, division: Division) -> Shape {
    let (spec, weights) = calm_model(features, 3, RadialBasis::gaussian(20, 5.0));
    let one = |warps| Teams { warps, team: 1 };
    let messages = if many {
        Messages::Staged {
            degree: 3,
            most: 480,
            forward: one(24),
            backward: one(12),
            blocks: 1,
        }
    } else {
        Messages::Direct {
            degree: 3,
            forward: 4,
            backward: 4,
            blocks: 4,
        }
    };
    let choice = Choice {
        division,
        messages,
        numbers: CardNumbers::Single,
    };
    Shape::new(&spec, &weights, choice, false)
}

/// Compiles the kernels of a shape; `false` where there is no compiler, and need not be one.
///
/// # Panics
/// They do not compile.
pub fn compiles(shape: &Shape, capability: u32) -> bool {
    match compile(&shape.parts(&source(false)), capability) {
        Ok((parts, _)) => {
            assert!(parts.iter().all(|p| p.starts_with(b"\x7fELF")));
            true
        }
        Err(error) if error.to_string().contains("no CUDA compiler library") => {
            let required = ["MDRUN_REQUIRE_GPU", "MDRUN_REQUIRE_NVRTC"];
            let needed = required.iter().any(|name| std::env::var_os(name).is_some());
            assert!(!needed, "{error}");
            eprintln!("skipped: {error}");
            false
        }
        Err(error) => panic!("{shape:?}, sm_{capability}: {error}"),
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
        (shape(96, true, Division::Strips { together: 1 }), 90),
    ];
    for (shape, from) in kinds {
        for capability in [80, 90, 100].into_iter().filter(|&c| c >= from) {
            if !compiles(&shape, capability) {
                return;
            }
        }
    }
}

/// Where no GPU can be used, what is said names what was looked for and the key to set, and that key helps. Hiding the GPUs from
/// the program shows it on machines that have some.
#[test]
fn a_missing_gpu_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let run = |kind: &str| {
        std::process::Command::new(env!("CARGO_BIN_EXE_mdrun"))
            .args([
                "configs/ethanol_nve.toml",
                "--set",
                "dynamics.duration=\"20 fs\"",
                "-q",
            ])
            .args([
                "--set",
                "potential={model=\"models/painn_hcno_gfn2.safetensors\"}",
            ])
            .args([
                "--set",
                "system={structure=\"configs/structures/ethanol.xyz\",velocities=\"zero\"}",
            ])
            .args(["--set", &format!("device={{kind=\"{kind}\"}}"), "--out"])
            .arg(folder.path().join(kind.replace(':', "_")))
            .current_dir(crate::support::root())
            .env("CUDA_VISIBLE_DEVICES", "")
            .output()
            .unwrap()
    };
    let refused = run("cuda:0");
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    for part in [
        "device.kind",
        "libcuda",
        "libnvrtc",
        "[device] kind = \"cpu\"",
    ] {
        assert!(text.contains(part), "no {part} in: {text}");
    }
    let advised = run("cpu");
    assert!(
        advised.status.success(),
        "{}",
        String::from_utf8_lossy(&advised.stderr)
    );
}

/// `mdrun energy` says what is missing likewise, with its own option; and there is no f64 on a GPU.
#[test]
fn a_missing_gpu_is_explained_for_a_single_point() {
    let run = |more: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_mdrun"))
            .args(["energy", "--model", "painn_hcno_gfn2", "--structure"])
            .arg("configs/structures/ethanol.xyz")
            .args(more)
            .current_dir(crate::support::root())
            .env("CUDA_VISIBLE_DEVICES", "")
            .output()
            .unwrap()
    };
    let refused = run(&["--device", "cuda:0"]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    for part in ["libcuda", "libnvrtc", "--device cpu"] {
        assert!(text.contains(part), "no {part} in: {text}");
    }
    assert!(run(&["--device", "cpu"]).status.success());
    let refused = run(&["--device", "gpu"]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("cpu, or cuda:0 and so on"), "{text}");
}

/// A single point on a GPU is that of the CPU, as far as f32 goes, and a check tells how far.
#[test]
fn single_points_and_checks_are_computed_on_the_card() {
    /// Energy (eV) and forces (eV/A) of 21 atoms: rounding of the network in f32.
    const SINGLE: [f64; 2] = [1e-3, 1e-4];
    if !super::gpu() {
        return;
    }
    let point = |device: &str| -> serde_json::Value {
        let structure = "configs/structures/aspirin.xyz";
        let command = ["energy", "--model", "painn_hcno_gfn2", "--json"];
        let more = ["--structure", structure, "--device", device];
        let output = crate::support::mdrun(&[&command[..], &more].concat());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let [card, host] = ["cuda:0", "cpu"].map(point);
    assert_eq!(point("auto"), card, "a GPU is taken where there is one");
    assert_eq!(card["pairs"], host["pairs"]);
    let energy = |found: &serde_json::Value| found["energy_ev"].as_f64().unwrap();
    assert!((energy(&card) - energy(&host)).abs() < SINGLE[0]);
    let forces = |found: &serde_json::Value| -> Vec<[f64; 3]> {
        serde_json::from_value(found["forces_ev_per_angstrom"].clone()).unwrap()
    };
    let (a, b) = (forces(&card), forces(&host));
    let off = (a.as_flattened().iter().zip(b.as_flattened())).map(|(a, b)| (a - b).abs());
    let off = off.fold(0.0, f64::max);
    assert!(off > 0.0 && off < SINGLE[1], "{off}");
    let check = ["check", "configs/argon_nve.toml", "--json", "--set"];
    let output = crate::support::mdrun(&[&check[..], &["device.kind=\"cuda:0\""]].concat());
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && found.contains("run against f64"),
        "{found}"
    );
}
