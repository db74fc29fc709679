//! `mdrun bench --suite guide`: what it finds, and what it says of what it does not find.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{mdrun, pty, root};

const PAINN: &str = "painn_hcno_gfn2";
const ETHANOL: &str = "configs/structures/ethanol.xyz";
/// Fields that every row has, whether or not they could be measured.
const FIELDS: [&str; 12] = [
    "atoms",
    "engine",
    "precision",
    "median_ms",
    "min_ms",
    "max_ms",
    "speedup",
    "energy_error_ev",
    "force_rmse_ev_per_angstrom",
    "force_max_ev_per_angstrom",
    "memory_bytes",
    "drift_mev_per_atom_ps",
];

fn suite(more: &[&str]) -> Output {
    let first = [
        "bench", "--suite", "guide", "--device", "cpu", "--iters", "3",
    ];
    mdrun(&[&first[..], more].concat())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn number(row: &Value, field: &str) -> f64 {
    row[field]
        .as_f64()
        .unwrap_or_else(|| panic!("no {field} in {row}"))
}

/// Two models beside each other on one molecule: all columns, their errors and drifts, and the page.
#[test]
fn every_precision_is_measured_or_said_to_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, page) = (
        folder.path().join("suite.json"),
        folder.path().join("suite.html"),
    );
    let [file_text, page_text] = [&file, &page].map(|path| path.to_str().unwrap());
    let output = suite(&[
        "--structure",
        ETHANOL,
        "--model",
        PAINN,
        "--model",
        "painn_organic_gfn2",
        "--minutes",
        "5",
        "--json",
        file_text,
        "--html",
        page_text,
    ]);
    assert!(output.status.success(), "{output:?}");
    let found = json(&file);
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2 * 6);
    for row in rows {
        for field in FIELDS {
            assert!(row.get(field).is_some(), "{field}");
        }
        assert_eq!(row["atoms"], 9);
    }
    for model in rows.chunks(6) {
        let [burn, f32] = [&model[0], &model[1]];
        assert_eq!([&burn["engine"], &burn["precision"]], ["burn", "f32"]);
        assert_eq!([&f32["engine"], &f32["precision"]], ["fused", "f32"]);
        assert_eq!(number(burn, "speedup"), 1.0);
        let ratio = number(burn, "median_ms") / number(f32, "median_ms");
        assert!((number(f32, "speedup") / ratio - 1.0).abs() < 1e-12);
        for row in [burn, f32] {
            // Rounding of f32: forces of some eV/A to seven digits, and not zero.
            let [rmse, most] =
                ["rmse", "max"].map(|w| number(row, &format!("force_{w}_ev_per_angstrom")));
            assert!(rmse > 0.0 && rmse <= most && most < 1e-4, "{row}");
            assert!(number(row, "energy_error_ev") < 1e-4);
            assert!(number(row, "memory_bytes") > 1e6);
        }
        assert!(burn["drift_mev_per_atom_ps"].is_null());
        assert!(number(f32, "drift_mev_per_atom_ps").abs() < 0.1, "{f32}");
        let int8 = &model[5];
        assert_eq!([&int8["engine"], &int8["precision"]], ["fused", "int8"]);
        // Rounding of 8 bits: some meV/A, and no drift of it, since forces are the gradient of the same energy.
        let rmse = number(int8, "force_rmse_ev_per_angstrom");
        assert!(rmse > 1e-4 && rmse < 0.05, "{int8}");
        assert!(number(int8, "drift_mev_per_atom_ps").abs() < 0.1, "{int8}");
        for (row, precision) in model[2..5].iter().zip(["tf32", "bf16", "f16"]) {
            assert_eq!(row["precision"], precision);
            let unknown = |field: &&&str| !["atoms", "engine", "precision"].contains(*field);
            assert!(
                FIELDS
                    .iter()
                    .filter(unknown)
                    .all(|field| row[field].is_null()),
                "{row}"
            );
            assert!(row["why"][0].as_str().unwrap().contains(precision), "{row}");
        }
    }
    let students = found["students"].as_array().unwrap();
    assert_eq!(students.len(), 2 + 5 * 3);
    assert!(students[0]["apart_from_first_ev_per_angstrom"].is_null());
    // Both were trained on the same molecules, by other weights.
    let apart = number(&students[1], "apart_from_first_ev_per_angstrom");
    assert!(apart > 1e-3 && apart < 1.0, "{apart}");
    assert!(students.iter().all(|row| row["median_ms"].is_number()));
    check_page(&fs::read_to_string(&page).unwrap());
}

/// A page fetches nothing, runs nothing, and has its plots.
fn check_page(page: &str) {
    assert!(page.len() < 2 << 20);
    for foreign in [
        "http:", "https:", "<script", "src=", "@import", "url(", "NaN", "inf",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("@media print"));
    assert_eq!(
        page.matches("<svg").count(),
        6,
        "four of columns, two of networks"
    );
    assert!(page.contains("not on the CPU"));
}

/// A peer's rows are compared where its boxes are the same; what there is no time for is left out, and said.
#[test]
fn a_peer_stands_beside_the_columns() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("peer.py");
    let text = r#"
import argparse, json, os
p = argparse.ArgumentParser()
for option in ("--device", "--sizes", "--modes", "--iters", "--weights"):
    p.add_argument(option, required=True)
a = p.parse_args()
assert a.device == "cpu" and a.modes == "eager,jit" and os.path.getsize(a.weights) > 1000
print("no JSON")
pairs = {9: 72, 21: 350, 51: 1518, 102: 4038, 192: 1}
for n in map(int, a.sizes.split(",")):
    print(json.dumps({"atoms": n, "pairs": pairs[n], "eager_ms": 2.0 * n, "eager_queued_ms": 1.0 * n, "jit_error": "no jit"}))
"#;
    fs::write(&script, text).unwrap();
    let file = folder.path().join("suite.json");
    let [script, file_text] = [&script, &file].map(|path| path.to_str().unwrap());
    let output = suite(&["--peer", script, "--minutes", "0.02", "--json", file_text]);
    assert!(output.status.success(), "{output:?}");
    let found = json(&file);
    let rows = found["rows"].as_array().unwrap();
    let peers: Vec<&Value> = rows
        .iter()
        .filter(|row| row["engine"] == "peer eager")
        .collect();
    let atoms: Vec<f64> = peers.iter().map(|row| number(row, "atoms")).collect();
    assert_eq!(atoms, [9.0, 21.0, 51.0, 102.0]);
    for row in peers {
        assert_eq!(number(row, "median_ms"), number(row, "atoms"));
        assert_eq!(row["precision"], "f32");
    }
    let notes = found["notes"].to_string();
    assert!(
        notes.contains("not the same box") && notes.contains("no jit"),
        "{notes}"
    );
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("peer eager f32"), "{told}");
    assert!(told.contains("no time"), "{told}");
}

#[test]
fn what_does_not_go_together_is_said() {
    for (asked, says) in [
        (&["--members", "2"][..], "cannot be used with"),
        (&["--precision", "f64"], "cannot be used with"),
        (&["--peer", "no-such-script"], "no such file"),
        (&["--minutes", "0"], "greater than zero"),
        (
            &["--structure", "configs/structures/argon256.xyz"],
            "--structure FILE, once or several times",
        ),
    ] {
        let output = suite(asked);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{asked:?}: {told}");
        assert!(told.contains(says), "{asked:?}: {told}");
    }
    let output = mdrun(&["bench", "--structure", ETHANOL]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("with --members N, or with --suite guide"),
        "{told}"
    );
}

#[test]
fn tables_of_the_suite_fit_a_terminal() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    command.current_dir(root());
    command.args([
        "bench", "--suite", "guide", "--device", "cpu", "--iters", "3",
    ]);
    command.args(["--structure", ETHANOL, "--minutes", "0.2"]);
    let (status, shown) = pty::run(command, 80);
    assert!(status.success(), "{shown}");
    let lines = shown.split(['\n', '\r']).map(str::trim_end);
    // Lines of progress are cut to the terminal by who writes them.
    for line in lines.filter(|line| !line.contains('\x1b')) {
        assert!(line.chars().count() <= 80, "{line:?}");
    }
}
