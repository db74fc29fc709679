//! `mdrun energy`.

use super::{json, mdrun, stderr, stdout};
use crate::support::reference;

const MODEL: &str = "models/painn_hcno_gfn2.safetensors";
/// Forces of an open system add up to nothing but rounding (eV / angstrom), 200 times that of a force of
/// 10 eV / angstrom.
const SUM_TOLERANCE: f64 = 1e-12;

fn energy(structure: &str, more: &[&str]) -> serde_json::Value {
    let fixed = [
        "energy",
        "--model",
        MODEL,
        "--structure",
        structure,
        "--json",
    ];
    let output = mdrun(&[&fixed[..], more].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    json(&output)
}

#[test]
fn a_molecule_has_energy_and_forces_but_no_stress() {
    let out = energy("configs/structures/ethanol.xyz", &[]);
    let forces = out["forces_ev_per_angstrom"].as_array().unwrap();
    assert_eq!(forces.len(), 9);
    for axis in 0..3 {
        let sum: f64 = forces.iter().map(|f| f[axis].as_f64().unwrap()).sum();
        assert!(sum.abs() < SUM_TOLERANCE, "{sum}");
    }
    assert!(out["energy_ev"].as_f64().unwrap() < -300.0);
    assert_eq!(out["pairs"], 72);
    assert!(out.get("stress_ev_per_angstrom3").is_none());
}

#[test]
fn a_cell_has_a_symmetric_stress() {
    let out = energy("configs/structures/water64.xyz", &[]);
    let stress = &out["stress_ev_per_angstrom3"];
    let at = |a: usize, b: usize| stress[a][b].as_f64().unwrap();
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        // Rotational invariance makes it symmetric, to rounding.
        assert!((at(a, b) - at(b, a)).abs() < SUM_TOLERANCE);
    }
    assert!(at(0, 0).is_finite() && at(0, 0) != 0.0);
}

#[test]
fn both_precisions_agree() {
    /// A f32 network of this size is off by about 1e-5 eV per molecule.
    const TOLERANCE: f64 = 1e-4;
    let of = |precision| {
        let out = energy(
            "configs/structures/aspirin.xyz",
            &["--precision", precision],
        );
        out["energy_ev"].as_f64().unwrap()
    };
    let (single, double) = (of("f32"), of("f64"));
    assert!((single - double).abs() < TOLERANCE, "{single} {double}");
    assert!(single != double, "f32 was not used");
}

#[test]
fn foreign_models_and_elements_are_named() {
    let run = |model: &str, structure: &str| {
        let output = mdrun(&["energy", "--model", model, "--structure", structure]);
        assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
        stderr(&output).to_owned()
    };
    let message = run(MODEL, "configs/structures/argon256.xyz");
    assert!(message.contains("Ar"), "{message}");
    let message = run("README.md", "configs/structures/ethanol.xyz");
    assert!(message.contains("README.md"), "{message}");
    if let Some(student) = reference("student_427k.safetensors") {
        let message = run(student.to_str().unwrap(), "configs/structures/ethanol.xyz");
        assert!(message.contains("student_427k"), "{message}");
    }
}
