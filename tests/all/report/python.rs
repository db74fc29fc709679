//! Trajectories and topologies read back by MDAnalysis, mdtraj and ASE (see `tests/python`).

use std::path::Path;
use std::process::Command;

use mdrun::config::plan::TrajectoryFormat;
use mdrun::core::{AtomName, Cell, Mat3, Snapshot, System, Vec3, elements};
use mdrun::formats::write::topology::{self, Scene};
use mdrun::neighbors::bonds;
use mdrun::report::trajectory;
use mdrun::units::{ANGSTROM_PER_FS, FEMTOSECOND};
use serde_json::{Value, json};

use super::frames::{Case, cases, frame, plan, system, write};
use super::topology::{of, waters};
use crate::support::{python, root};

const FRAMES: u64 = 3;

fn rows(vectors: &[Vec3]) -> Value {
    json!(vectors.iter().map(|v| [v.x, v.y, v.z]).collect::<Vec<_>>())
}

fn matrix(matrix: &Mat3) -> Value {
    json!([0, 1, 2].map(|k| [0, 1, 2].map(|l| matrix[(k, l)])))
}

/// Writes one trajectory and says what is in it.
fn trajectory(
    folder: &Path,
    case: &Case,
    system: &System,
    format: TrajectoryFormat,
    wrap: bool,
) -> Value {
    let frames: Vec<Snapshot> = (0..FRAMES)
        .map(|k| frame(k, system.len(), &case.cell))
        .collect();
    let extension = trajectory::extension(format);
    let name = format!("{}-{}-{wrap}.{extension}", case.name, system.len());
    let (file, beside) = (folder.join(&name), folder.join(format!("{name}.pdb")));
    write(&file, &plan(format, wrap), system, &frames);
    let scene = Scene {
        system,
        names: None,
        cell: &case.cell,
        positions: &frames[0].positions,
    };
    std::fs::write(&beside, topology::pdb(&scene).unwrap()).unwrap();
    let symbols: Vec<_> = system
        .species
        .iter()
        .map(|&z| elements::symbol(z))
        .collect();
    let velocities =
        |f: &Snapshot| -> Vec<Vec3> { f.velocities.iter().map(|v| v / ANGSTROM_PER_FS).collect() };
    let stress = frames[0].observables.strain_derivative / case.cell.volume().unwrap_or(1.0);
    json!({
        "name": name,
        "wrong": false,
        "format": extension,
        "file": file,
        "topology": beside,
        "wrap": wrap,
        "symbols": symbols,
        "masses": system.masses,
        "radii": system.species.iter().map(|&z| bonds::radius(z)).collect::<Vec<_>>(),
        "periodic": case.cell.periodic(),
        "vectors": case.cell.is_given().then(|| matrix(case.cell.vectors())),
        "stress": matrix(&stress),
        "steps": frames.iter().map(|f| f.step).collect::<Vec<_>>(),
        "times_fs": frames.iter().map(|f| f.time / FEMTOSECOND).collect::<Vec<_>>(),
        "energies": frames.iter().map(|f| f.observables.potential).collect::<Vec<_>>(),
        "positions": frames.iter().map(|f| rows(&f.positions)).collect::<Vec<_>>(),
        "velocities_a_fs": frames.iter().map(|f| rows(&velocities(f))).collect::<Vec<_>>(),
        "forces": frames.iter().map(|f| rows(&f.forces)).collect::<Vec<_>>(),
    })
}

/// The case as if the file had been written from other data: `change` must be noticed.
fn spoilt(case: &Value, what: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut wrong = case.clone();
    wrong["name"] = json!(format!("{} with wrong {what}", case["name"]));
    wrong["wrong"] = json!(true);
    change(&mut wrong[what]);
    wrong
}

fn add(value: &mut Value, more: f64) {
    *value = json!(value.as_f64().unwrap() + more);
}

/// The topology of so many waters and what readers should make of it.
fn topology_case(folder: &Path, edge: usize, conect: bool) -> Value {
    let (system, positions, cell) = waters(edge);
    let file = folder.join(format!("waters-{edge}.pdb"));
    let scene = Scene {
        system: &system,
        names: None,
        cell: &cell,
        positions: &positions,
    };
    std::fs::write(&file, topology::pdb(&scene).unwrap()).unwrap();
    let molecules = edge.pow(3);
    let length = 4.0 * edge as f64;
    json!({
        "name": format!("topology of {molecules} waters"),
        "wrong": false,
        "format": "pdb",
        "file": file,
        "atoms": system.len(),
        "residues": molecules,
        "bonds": conect.then_some(2 * molecules),
        // mdtraj knows the bonds of water without being told.
        "mdtraj_bonds": 2 * molecules,
        "last_position": rows(&positions[positions.len() - 1..])[0],
        "cell": [length, length, length, 90.0, 90.0, 90.0],
    })
}

/// A peptide of two chains, an ion and water, named as a PDB names them, and what readers should make of it.
fn names_case(folder: &Path) -> Value {
    let rows_of = [
        ("N", "N", "ALA", 5, "A"),
        ("C", "CA", "ALA", 5, "A"),
        ("C", "C", "ALA", 5, "A"),
        ("N", "N", "GLY", 6, "A"),
        ("C", "CA", "GLY", 6, "A"),
        ("C", "CA", "ALA", 5, "B"),
        ("H", "HB1", "ALA", 5, "B"),
        ("C", "CA", "LIG", 5, "C"),
        ("Ca", "CA", "CA", 1200, "C"),
        ("O", "OH2", "TIP3", 9999, "W"),
    ];
    let symbols: Vec<&str> = rows_of.iter().map(|r| r.0).collect();
    let system = of(&symbols);
    let names: Vec<AtomName> = (rows_of.iter())
        .map(|&(_, atom, residue, number, chain)| AtomName {
            atom: atom.to_owned(),
            residue: residue.to_owned(),
            number,
            insertion: String::new(),
            chain: chain.to_owned(),
        })
        .collect();
    let positions: Vec<Vec3> = (0..names.len())
        .map(|k| Vec3::new(3.0 * k as f64, 0.0, 0.0))
        .collect();
    let file = folder.join("names.pdb");
    let scene = Scene {
        system: &system,
        names: Some(&names),
        cell: &Cell::open(),
        positions: &positions,
    };
    std::fs::write(&file, topology::pdb(&scene).unwrap()).unwrap();
    json!({
        "name": "names of a peptide",
        "wrong": false,
        "format": "names",
        "file": file,
        "names": names.iter().map(|n| &n.atom).collect::<Vec<_>>(),
        "residues": names.iter().map(|n| &n.residue).collect::<Vec<_>>(),
        "numbers": names.iter().map(|n| n.number).collect::<Vec<_>>(),
        "chains": names.iter().map(|n| &n.chain).collect::<Vec<_>>(),
        "records": (0..names.len()).map(|k| if k < 7 { "ATOM" } else { "HETATM" }).collect::<Vec<_>>(),
        "chain_count": 4,
        "selected": [1, 5],
    })
}

#[test]
fn others_read_what_was_written() {
    let python = match python::environment() {
        Ok(python) => python,
        Err(why) => {
            eprintln!("skipped: {why}");
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    let mut isotopes = system(31);
    isotopes.masses[2] = 2.014;
    for case in cases() {
        for format in [
            TrajectoryFormat::Xyz,
            TrajectoryFormat::Dcd,
            TrajectoryFormat::Xtc,
        ] {
            for wrap in [false, true] {
                for system in [&isotopes, &system(7)] {
                    all.push(trajectory(folder.path(), &case, system, format, wrap));
                }
            }
        }
    }
    // A comparison that notices nothing would pass as well.
    let triclinic = |extension: &str| {
        let name = format!("triclinic-31-false.{extension}");
        all.iter().find(|c| c["name"] == name.as_str()).unwrap()
    };
    let mut wrong = Vec::new();
    for extension in ["xyz", "dcd", "xtc"] {
        let case = triclinic(extension);
        wrong.push(spoilt(case, "positions", |p| add(&mut p[1][30][2], 0.006)));
        wrong.push(spoilt(case, "vectors", |v| add(&mut v[1][0], 0.01)));
        wrong.push(spoilt(case, "times_fs", |t| add(&mut t[2], 0.01)));
        wrong.push(spoilt(case, "wrap", |w| *w = json!(true)));
    }
    wrong.push(spoilt(triclinic("xyz"), "forces", |f| {
        add(&mut f[0][0][0], 1e-12)
    }));
    wrong.push(spoilt(triclinic("xyz"), "velocities_a_fs", |v| {
        add(&mut v[2][3][1], 1e-6)
    }));
    all.append(&mut wrong);
    all.push(topology_case(folder.path(), 3, true));
    // 107,811 atoms: beyond five digits of serial and four of residue numbers.
    all.push(topology_case(folder.path(), 33, false));
    let names = names_case(folder.path());
    all.push(spoilt(&names, "residues", |r| r[3] = json!("ALA")));
    all.push(spoilt(&names, "selected", |s| s[1] = json!(7)));
    all.push(names);
    let cases = folder.path().join("cases.json");
    std::fs::write(&cases, serde_json::to_string(&all).unwrap()).unwrap();
    let read = Command::new(python)
        .arg(root().join("tests/python/read_back.py"))
        .arg(&cases)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&read.stdout);
    let errors = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{told}\n{errors}");
    assert!(
        told.contains(&format!("{0} of {0} files", all.len())),
        "{told}"
    );
}
