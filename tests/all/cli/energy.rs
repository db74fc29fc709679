//! `mdrun energy`.

use serde_json::json;

use super::{mdrun, stderr, stdout};

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
        "--device",
        "cpu",
    ];
    let output = mdrun(&[&fixed[..], more].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    super::json(&output)
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

/// In 8 bits forces are some meV/A off, for one structure as for frames of a file, and the same every time.
#[test]
fn weights_in_8_bits_are_found_for_the_structure() {
    const STRUCTURE: &str = "configs/structures/ethanol.xyz";
    /// Rounding of 8 bits is seen, and is under half of the model's own error (eV / angstrom).
    const LEAST: f64 = 1e-4;
    const MOST: f64 = 0.011;
    let exact = energy(STRUCTURE, &[]);
    let found = energy(STRUCTURE, &["--precision", "int8"]);
    let [f, g] = [&exact, &found].map(|out| out["forces_ev_per_angstrom"].as_array().unwrap());
    let components = (0..9).flat_map(|i| [0, 1, 2].map(|a| (i, a)));
    let off = components.fold(0.0, |off: f64, (i, a)| {
        off.max((f[i][a].as_f64().unwrap() - g[i][a].as_f64().unwrap()).abs())
    });
    assert!(off > LEAST && off < MOST, "{off}");
    let threads = ["--precision", "int8", "--threads", "1"];
    assert_eq!(energy(STRUCTURE, &threads), found);
    let all = energy(STRUCTURE, &["--precision", "int8", "--frame", "all"]);
    assert_eq!(
        all["forces_ev_per_angstrom"],
        found["forces_ev_per_angstrom"]
    );
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
}

/// What was read is there for others to compare, with every note: here on a cell that another takes the place of.
#[test]
fn what_was_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("skewed.xyz");
    let water = "3\nLattice=\"10 0 0 90 10 0 70 30 10\" Properties=species:S:1:pos:R:3 pbc=\"T T T\"\n\
                 O 1 2 3\nH 1.96 2 3\nH 0.76 2.927 3\n";
    std::fs::write(&path, water.repeat(2)).unwrap();
    let path = path.to_str().unwrap();
    let shown = mdrun(&["energy", "--model", MODEL, "--structure", path]);
    assert!(
        stderr(&shown)
            .contains("note: the cell is very skewed; the reduced one of the same lattice")
            && stderr(&shown).contains("has 2 frames; this is the first"),
        "{}",
        stderr(&shown)
    );
    assert!(
        stdout(&shown)
            .contains("H2O, 3 atoms, 6 ordered pairs; cell 10.0000 x 10.0000 x 10.0000 A"),
        "{}",
        stdout(&shown)
    );
    let out = energy(path, &[]);
    assert_eq!(out["elements"], json!(["O", "H", "H"]));
    assert_eq!(out["positions_angstrom"][2], json!([0.76, 2.927, 3.0]));
    assert_eq!(
        out["cell_angstrom"],
        json!([[10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 10.0]])
    );
    assert_eq!(out["periodic"], json!([true, true, true]));
    assert_eq!(out["frames"], 2);
    assert_eq!(out["notes"].as_array().unwrap().len(), 2);
    let open = energy("configs/structures/ethanol.xyz", &[]);
    assert!(open["cell_angstrom"].is_null());
    assert_eq!(open["notes"], json!([]));
}
