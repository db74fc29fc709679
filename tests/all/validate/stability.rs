//! `mdrun validate --suite nve`: its systems, and a short run of the smallest ones.

use std::collections::BTreeMap;

use mdrun::bench::stability::stability_systems;
use serde_json::Value;

use crate::support::mdrun;

#[test]
fn systems_are_those_of_comparisons() {
    let systems = stability_systems().unwrap();
    let sizes: Vec<usize> = systems.iter().map(|s| s.start.system.len()).collect();
    assert_eq!(sizes, [9, 20, 21, 24, 46, 192, 1503, 2646]);
    let edge = |k: usize| {
        let cell = &systems[k].start.members.only().unwrap().cell;
        cell.volume().unwrap().cbrt()
    };
    assert!((edge(6) - 24.772).abs() < 1e-9);
    // Both boxes of water are as dense.
    let density = |k: usize| sizes[k] as f64 / edge(k).powi(3);
    assert!((density(6) / density(7) - 1.0).abs() < 1e-9);
    let mut elements = BTreeMap::new();
    for z in &systems[4].start.system.species {
        *elements.entry(*z).or_insert(0) += 1;
    }
    let expected = BTreeMap::from([(1, 26), (6, 17), (7, 2), (8, 1)]);
    assert_eq!(elements, expected);
}

#[test]
fn the_smallest_are_stable() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let asked = "validate --suite nve --largest 24 --duration 0.5ps --device cpu --json --out";
    let asked: Vec<&str> = asked.split(' ').chain([out]).collect();
    let output = mdrun(&asked);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for row in rows {
        println!("{row}");
        let number = |key: &str| row[key].as_f64().unwrap();
        assert!((number("duration_ps") - 0.5).abs() < 1e-9);
        assert!((150.0..500.0).contains(&number("temperature_k")));
        let drift = number("drift_mev_per_atom_ps").abs();
        let error = number("drift_stderr_mev_per_atom_ps");
        assert!(drift - 4.0 * error < 0.5, "{row}");
    }
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert_eq!(page.matches("<svg ").count(), 1);
    assert_eq!(
        mdrun(&["validate", "--suite", "nve", "--largest", "5"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(mdrun(&["validate"]).status.code(), Some(2));
}
