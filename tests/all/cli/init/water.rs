//! `mdrun init --solvate`: what stands in the box, by brute force over all images.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mdrun::core::{Vec3, elements};
use mdrun::formats::{self, Structure};
use mdrun::neighbors::Molecules;
use tempfile::TempDir;

use super::{made, mdrun_in, refused, run_shortly};
use crate::cli::{stderr, stdout, text};
use crate::support::root;

/// Least distances (angstrom) of atoms of two waters: of O-O, O-H and H-H.
const WATERS: [f64; 3] = [2.5, 1.55, 1.65];
/// Least distance (angstrom) of a solute's atom from a water's: 0.8 times the sum of the smallest radii, 1.1 of a hydrogen.
const SOLUTE: f64 = 0.8 * 2.2;
/// Rounding of positions of some ten angstrom.
const ROUNDING: f64 = 1e-9;
/// Volume (angstrom^3) of a water at 0.997 g/cm3.
const WATER: f64 = 30.0;

/// Puts a structure into water in a folder, and reads what was written.
fn solvated(folder: &Path, structure: &Path, distance: &str) -> (Structure, String) {
    let args = [
        "init",
        text(structure),
        "--solvate",
        distance,
        "--out",
        "my.toml",
        "--force",
    ];
    let output = mdrun_in(folder, &args);
    assert!(output.status.success(), "{}", stderr(&output));
    let found = formats::read(&folder.join("my_solvated.xyz")).unwrap();
    (found, stdout(&output).to_owned())
}

/// The shortest vector between two positions in a box at right angles.
fn nearest(a: &Vec3, b: &Vec3, edges: &Vec3) -> Vec3 {
    let mut d = b - a;
    for k in 0..3 {
        d[k] -= edges[k] * (d[k] / edges[k]).round();
    }
    d
}

/// Shortest distance of atoms of different molecules by kind of pair: the solute with water, O-O, O-H, H-H.
fn shortest(structure: &Structure, solute: usize) -> [f64; 4] {
    let edges = structure.vectors.unwrap().diagonal();
    let molecule = |i: usize| {
        if i < solute {
            usize::MAX
        } else {
            (i - solute) / 3
        }
    };
    let mut least = [f64::INFINITY; 4];
    for i in 0..structure.species.len() {
        for j in i + 1..structure.species.len() {
            if molecule(i) == molecule(j) {
                continue;
            }
            let kind = match i < solute {
                true => 0,
                false => {
                    1 + [i, j]
                        .iter()
                        .filter(|&&k| structure.species[k] == 1)
                        .count()
                }
            };
            let r = nearest(&structure.positions[i], &structure.positions[j], &edges).norm();
            least[kind] = least[kind].min(r);
        }
    }
    least
}

/// Molecules of each size as their distances tell.
fn sizes(structure: &Structure) -> BTreeMap<usize, usize> {
    let cell = structure.cell().unwrap();
    let molecules = Molecules::of(&structure.species, &cell, &structure.positions);
    let mut found = BTreeMap::new();
    for atoms in &molecules.atoms {
        *found.entry(atoms.len()).or_insert(0) += 1;
    }
    found
}

/// Solutes of three sizes: no two molecules touch, every water is whole, the solute is where it was, as far from the faces as was
/// asked for, and what is around it is as dense as water.
#[test]
fn a_box_of_water_is_sound() {
    let ropivacaine = root().join("configs/structures/ropivacaine.xyz");
    for (structure, distance, solute_volume) in [
        (made("ethanol.sdf"), 5.0, 90.0),
        (made("chloromethylthiophene.sdf"), 8.0, 165.0),
        (ropivacaine, 6.0, 430.0),
    ] {
        let folder = TempDir::new().unwrap();
        let alone = formats::read(&structure).unwrap();
        let (found, said) = solvated(folder.path(), &structure, &format!("{distance} A"));
        let solute = alone.species.len();
        assert_eq!(found.species[..solute], alone.species);
        assert_eq!(found.positions[..solute], alone.positions);
        assert_eq!(found.periodic, [true; 3]);
        let waters = (found.species.len() - solute) / 3;
        assert_eq!(found.species[solute..], [8, 1, 1].repeat(waters));
        assert!(said.contains(&format!("{waters} waters in ")), "{said}");
        assert_eq!(sizes(&found), BTreeMap::from([(3, waters), (solute, 1)]));
        let [with_solute, pairs @ ..] = shortest(&found, solute);
        println!("{waters} waters, solute {with_solute:.3}, O-O, O-H, H-H {pairs:.3?}");
        assert!(with_solute > SOLUTE - ROUNDING, "{with_solute}");
        for (pair, least) in pairs.iter().zip(WATERS) {
            assert!(*pair > least - ROUNDING, "{pairs:?}");
        }
        let edges = found.vectors.unwrap().diagonal();
        for k in 0..3 {
            let along = alone.positions.iter().map(|r| r[k]);
            let (low, high) = along.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
                (low.min(x), high.max(x))
            });
            let room = (edges[k] - (high - low)) / 2.0;
            assert!(
                (distance - ROUNDING..distance + 0.01).contains(&room),
                "{room}"
            );
        }
        // Numbers of oxygens in a box of a liquid vary by a few, and so do volumes of solutes.
        let free = edges.product() - solute_volume;
        let density = waters as f64 * WATER / free;
        println!("density of the water: {density:.3} of water's");
        assert!((density - 1.0).abs() < 0.06, "{density}");
    }
}

/// The same command writes the same box, to the byte; masses of isotopes stay.
#[test]
fn a_box_is_made_the_same_way_again() {
    let folder = TempDir::new().unwrap();
    let heavy = folder.path().join("heavy.xyz");
    fs::write(
        &heavy,
        "3\n\nO 0 0 0.119262\nD 0 0.763239 -0.477047\nH 0 -0.763239 -0.477047\n",
    )
    .unwrap();
    let written = || {
        let (found, _) = solvated(folder.path(), &heavy, "6 A");
        (
            found,
            fs::read(folder.path().join("my_solvated.xyz")).unwrap(),
        )
    };
    let (found, bytes) = written();
    assert_eq!(written().1, bytes);
    let (_, deuterium) = elements::number_and_mass("D").unwrap();
    assert_eq!(found.masses[1], deuterium);
    assert_eq!(Some(found.masses[4]), elements::mass(1));
}

/// A molecule in water goes through every protocol.
#[test]
fn a_molecule_in_water_runs() {
    for (protocol, option) in [("npt", &[][..]), ("nve", &["--protocol", "nve"])] {
        let folder = TempDir::new().unwrap();
        let ethanol = made("ethanol.sdf");
        let args = [
            "init",
            text(&ethanol),
            "--solvate",
            "4 A",
            "--out",
            "my.toml",
        ];
        let output = mdrun_in(folder.path(), &[&args, option].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        run_shortly(folder.path(), "my.toml", protocol);
    }
}

#[test]
fn what_cannot_be_solvated_is_refused() {
    let folder = TempDir::new().unwrap();
    let ethanol = made("ethanol.sdf");
    let water = root().join("configs/structures/water64.xyz");
    for (structure, distance, says) in [
        (&water, "5 A", "has a periodic cell already"),
        (&ethanol, "0.5 A", "less than a layer of water"),
        (&ethanol, "500 A", "more than 100000 waters"),
        (&ethanol, "5 eV", "length"),
    ] {
        let message = refused(
            folder.path(),
            &["init", text(structure), "--solvate", distance],
        );
        assert!(message.contains(says), "{message}");
    }
    // Neither of both files is replaced, nor is one written without the other.
    fs::write(folder.path().join("ethanol_solvated.xyz"), "mine").unwrap();
    let message = refused(folder.path(), &["init", text(&ethanol), "--solvate", "5 A"]);
    assert!(
        message.contains("ethanol_solvated.xyz is there already"),
        "{message}"
    );
}
