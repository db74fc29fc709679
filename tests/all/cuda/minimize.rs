//! `mdrun minimize` on a card: the minima of the CPU's f64, one system and many, and cells.

use std::fs;

use serde_json::Value;

use super::gpu;
use crate::support::{mdrun, root};

/// Energies of a minimum in f32 and f64 differ by what f32 rounds (eV), for these small systems.
const ENERGY: f64 = 2e-4;

fn found(structure: &str, more: &[&str]) -> Vec<Value> {
    let fixed = ["minimize", "--structure", structure, "--json", "--force"];
    let output = mdrun(&[&fixed[..], &["5e-4 eV/A"], more].concat());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn compare(card: &[Value], host: &[Value], key: &str) {
    assert_eq!(card.len(), host.len());
    for (card, host) in card.iter().zip(host) {
        let [a, b] = [card, host].map(|found| found[key].as_f64().unwrap());
        println!(
            "{key} {a} and {b}; {} and {} evaluations",
            card["evaluations"], host["evaluations"]
        );
        assert!((a - b).abs() < ENERGY, "{key}: {a} {b}");
        assert_eq!(card["converged"], true);
    }
}

#[test]
fn minima_on_a_card_are_those_of_the_host() {
    if !gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let structure = |name: &str| root().join("configs/structures").join(name);
    let all = ["ethanol.xyz", "benzene.xyz", "aspirin.xyz", "ethanol.xyz"];
    let all = all.map(|name| fs::read_to_string(structure(name)).unwrap());
    let many = folder.path().join("many.xyz");
    fs::write(&many, all.concat()).unwrap();
    let many = many.to_str().unwrap();
    let [card, host] = [["--device", "cuda:0"], ["--device", "cpu"]].map(|device| {
        let alone = structure("ethanol.xyz");
        let mut found_here = found(alone.to_str().unwrap(), &device);
        found_here.extend(found(many, &[&device[..], &["--frame", "all"]].concat()));
        found_here
    });
    compare(&card, &host, "energy_ev");
    // Twice the same, in one batch.
    assert_eq!(card[1]["energy_ev"], card[4]["energy_ev"]);
    let crystal = folder.path().join("crystal.xyz");
    fs::write(
        &crystal,
        "6\nLattice=\"4.2 0 0 0.5 4.4 0 0 0.3 5.6\" Properties=species:S:1:pos:R:3 pbc=\"T T T\"\n\
         C 0 0 0\nO 0.7 0.7 0.6\nO -0.7 -0.7 -0.6\nC 2.3 2.3 2.8\nO 1.6 3.0 3.4\nO 3.0 1.6 2.2\n",
    )
    .unwrap();
    let [card, host] = ["cuda:0", "cpu"].map(|device| {
        let options = ["--device", device, "--cell", "full", "--stress", "100 bar"];
        found(crystal.to_str().unwrap(), &options)
    });
    compare(&card, &host, "enthalpy_ev");
}
