//! `view.pml` in Debian's PyMOL, without a window (`tests/viewers/look.py`): what it shows, and that its pictures are not blank.
//! PyMOL reads trajectories by VMD's own molfile readers.

use std::path::{Path, PathBuf};
use std::process::Command;

use mdrun::core::{Cell, Vec3};
use mdrun::formats;
use serde::Deserialize;

use super::{EVERY, STEPS, SUBJECTS, Scene, Subject, skip};
use crate::support::root;

/// A name that PyMOL takes as it is.
const NAME: &str = "run";
/// A directory's name that PyMOL would take for something else.
const ODD: &str = "a [x], $y (z; #";
const FRAMES: usize = (STEPS / EVERY + 1) as usize;

/// What `look.py` tells.
#[derive(Deserialize)]
struct Look {
    names: Vec<String>,
    /// How far each periodic image is from the atoms.
    images: Vec<[f64; 3]>,
    states: usize,
    atoms: usize,
    bonds: Vec<[usize; 2]>,
    shown: std::collections::BTreeMap<String, usize>,
    cells: Vec<Vec<f64>>,
    coordinates: Vec<Vec<[f64; 3]>>,
    directory: PathBuf,
}

/// PyMOL with the Python that it is made for, which may be another one than comes first; `None`, with the reason printed,
/// where there is none.
fn pymol() -> Option<Command> {
    let path = std::env::var("PATH").unwrap_or_default();
    let command = || {
        let mut command = Command::new("pymol");
        command.env("PATH", format!("/usr/bin:/bin:{path}"));
        command
    };
    let answer = command()
        .args(["-cq", "-d", "print(\"here it is\")"])
        .output();
    let there =
        answer.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains("here it is"));
    if !there {
        skip("there is no PyMOL", "MDRUN_REQUIRE_PYMOL");
        return None;
    }
    Some(command())
}

/// What PyMOL shows of a run, and its picture's brightness: the part of its pixels that are not background.
fn look(mut pymol: Command, directory: &Path, label: &str) -> (Look, f64) {
    let out = tempfile::tempdir().unwrap();
    let output = pymol
        .arg("-cq")
        .arg("view.pml")
        .arg("-r")
        .arg(root().join("tests/viewers/look.py"))
        .current_dir(directory)
        .env("MDRUN_VIEW_OUT", out.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let sound = ["Error", "error:", "Traceback"];
    assert!(output.status.success(), "{told}\n{errors}");
    assert!(
        !sound
            .iter()
            .any(|word| told.contains(word) || errors.contains(word)),
        "{told}\n{errors}"
    );
    let json = std::fs::read(out.path().join("look.json"))
        .unwrap_or_else(|e| panic!("{e}: {told}\n{errors}"));
    if let Some(kept) = std::env::var_os("MDRUN_KEEP_PICTURES") {
        let target = PathBuf::from(kept).join(format!("{label}.png"));
        std::fs::copy(out.path().join("look.png"), target).unwrap();
    }
    let picture = std::fs::read(out.path().join("look.ppm")).unwrap();
    (serde_json::from_slice(&json).unwrap(), lit(&picture))
}

/// The part of a picture (PPM, three bytes a pixel) that is not black.
fn lit(picture: &[u8]) -> f64 {
    let mut rest = picture;
    let mut words = Vec::new();
    while words.len() < 4 {
        let end = rest.iter().position(u8::is_ascii_whitespace).unwrap();
        words.push(std::str::from_utf8(&rest[..end]).unwrap().to_owned());
        rest = &rest[end + 1..];
    }
    assert_eq!(words[0], "P6");
    let [width, height] = [1, 2].map(|k| words[k].parse::<usize>().unwrap());
    assert_eq!(rest.len(), 3 * width * height);
    let lit = rest
        .chunks(3)
        .filter(|pixel| pixel.iter().any(|value| *value > 24));
    lit.count() as f64 / (width * height) as f64
}

/// The representations that all atoms have.
fn intended(subject: Subject) -> &'static [&'static str] {
    match subject {
        Subject::Molecule | Subject::Crystal | Subject::Atoms => &["sticks", "spheres"],
        Subject::Liquid | Subject::TurnedLiquid => &["sticks"],
    }
}

fn check(scene: &Scene, look: &Look, lit: f64, frames: usize) {
    let subject = scene.subject;
    let (_, positions, cell) = scene.topology();
    assert_eq!(look.atoms, positions.len());
    assert_eq!(look.states, frames, "{subject:?}");
    let mut bonds = look.bonds.clone();
    bonds.iter_mut().for_each(|bond| bond.sort_unstable());
    bonds.sort_unstable();
    assert_eq!(bonds, scene.bonds(), "{subject:?}");
    for representation in intended(subject) {
        assert_eq!(
            look.shown[*representation], look.atoms,
            "{subject:?}: {representation}"
        );
    }
    assert!(lit > 0.02 && lit < 0.9, "{subject:?}: {lit} of the picture");
    let (lengths, angles) = formats::write::orient::lengths_and_angles(&cell);
    for found in &look.cells {
        // PyMOL gives what has no cell one of 1 A.
        let has_cell = found.first().is_some_and(|edge| *edge != 1.0);
        assert_eq!(has_cell, subject.has_cell(), "{subject:?}: {found:?}");
        let right = lengths.iter().chain(&angles);
        for (found, right) in found.iter().zip(right).filter(|_| has_cell) {
            assert!((found - right).abs() < 0.006, "{found}: {right}");
        }
    }
    check_images(scene, look, &cell);
    for state in &look.coordinates {
        check_whole(scene, state, &positions, &cell);
    }
}

/// A crystal has an image at each lattice vector around it, other matter none unasked.
fn check_images(scene: &Scene, look: &Look, cell: &Cell) {
    let crystal = scene.subject == Subject::Crystal;
    assert_eq!(look.images.len(), if crystal { 26 } else { 0 });
    let mut steps: Vec<[i64; 3]> = Vec::new();
    for image in &look.images {
        let step = cell.fractional(&Vec3::from(*image));
        let whole = step.map(f64::round);
        // PyMOL keeps edges and angles to 0.005.
        assert!((step - whole).norm() < 0.01, "{:?}: {step}", scene.subject);
        steps.push([0, 1, 2].map(|k| whole[k] as i64));
    }
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps.len(), look.images.len());
    assert!(steps.iter().flatten().all(|n| n.abs() <= 1));
}

/// Atoms are where the topology has them, molecules whole, up to lattice vectors.
fn check_whole(scene: &Scene, found: &[[f64; 3]], positions: &[Vec3], cell: &Cell) {
    let found: Vec<Vec3> = found.iter().map(|r| Vec3::from(*r)).collect();
    for (r, right) in found.iter().zip(positions) {
        let mut apart = r - right;
        if cell.is_periodic() {
            apart -= cell.cartesian(&cell.fractional(&apart).map(f64::round));
        }
        assert!(apart.norm() < 0.02, "{:?}: {r} {right}", scene.subject);
    }
    for [i, j] in scene.bonds() {
        let (now, right) = (found[j] - found[i], positions[j] - positions[i]);
        assert!(
            (now - right).norm() < 0.03,
            "{:?}: {i} {j} {now} {right}",
            scene.subject
        );
    }
}

#[test]
fn every_run_is_drawn_with_the_right_bonds() {
    if pymol().is_none() {
        return;
    }
    for (subject, format, more) in SUBJECTS.into_iter().flat_map(|subject| {
        let format = match subject {
            Subject::Molecule => "xyz",
            Subject::Liquid | Subject::Crystal => "dcd",
            Subject::Atoms | Subject::TurnedLiquid => "xtc",
        };
        let turned = matches!(subject, Subject::Crystal | Subject::TurnedLiquid);
        let mut all = vec![(subject, Some(format), "")];
        all.extend(turned.then_some((subject, Some("xyz"), "")));
        all.extend((subject == Subject::Crystal).then_some((subject, Some("dcd"), "wrapped")));
        all.extend((subject == Subject::Liquid).then_some((subject, Some("xyz"), "wrapped")));
        all.extend((subject == Subject::TurnedLiquid).then_some((subject, None, "")));
        all
    }) {
        let formats: Vec<&str> = format.into_iter().collect();
        let label = format!("{subject:?}-{}{more}", formats.concat());
        let scene = Scene::of(subject, &formats, NAME, more);
        let (look, lit) = look(pymol().unwrap(), &scene.directory, &label);
        eprintln!(
            "{subject:?} {format:?} {more}: {} bonds, {lit:.3} of the picture",
            look.bonds.len()
        );
        assert_eq!(look.names, [NAME]);
        assert_eq!(look.directory, scene.directory.canonicalize().unwrap());
        // Of an unwrapped crystal the topology stays as the first state.
        let first = usize::from(subject == Subject::Crystal && more == "wrapped");
        let frames = if format.is_some() { FRAMES } else { 1 };
        check(&scene, &look, lit, frames + first);
    }
}

/// The directory's name is any, the trajectory may be gone.
#[test]
fn a_view_is_drawn_wherever_its_run_is() {
    let Some(first) = pymol() else {
        return;
    };
    let scene = Scene::of(Subject::Molecule, &["dcd"], ODD, "");
    let (found, lit) = look(first, &scene.directory, "odd");
    assert_eq!(found.names, ["a_x_y_z"], "PyMOL has names of its own");
    check(&scene, &found, lit, FRAMES);
    std::fs::remove_file(scene.path("traj.dcd")).unwrap();
    let (found, lit) = look(pymol().unwrap(), &scene.directory, "still");
    check(&scene, &found, lit, 1);
}

/// What `readers.py` tells of a file.
#[derive(Deserialize)]
struct Read {
    coordinates: Vec<Vec<[f64; 3]>>,
    cells: Vec<[f64; 6]>,
}

/// Every frame of every format, with the cell of that moment: of water under pressure, against the numbers of extended XYZ,
/// which are exact.
#[test]
fn readers_of_vmd_read_every_frame() {
    let Some(mut pymol) = pymol() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let trajectories =
        ["dcd", "xtc", "xyz"].map(|format| format!("{{ format = \"{format}\", every = 4 }}"));
    let output = crate::support::mdrun(&[
        "configs/water_npt.toml",
        "-q",
        "--set",
        "dynamics.steps=20",
        "--set",
        "dynamics.barostat_every=2",
        "--set",
        &format!("output.trajectory=[{}]", trajectories.join(", ")),
        "--out",
        run.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let output = pymol
        .arg("-cq")
        .arg(root().join("tests/viewers/readers.py"))
        .current_dir(&run)
        .env("MDRUN_VIEW_OUT", folder.path())
        .output()
        .unwrap();
    let json = std::fs::read(folder.path().join("readers.json"))
        .unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let found: std::collections::BTreeMap<String, Read> = serde_json::from_slice(&json).unwrap();
    let frames = formats::read_all(&run.join("traj.xyz")).unwrap();
    assert_eq!(frames.len(), 6);
    let moved = (frames[5].positions[0] - frames[0].positions[0]).norm();
    assert!(
        moved > 0.02,
        "{moved} A in all: frames could not be told apart"
    );
    let edge = |k: usize| frames[k].vectors.unwrap().row(0).norm();
    assert!(
        (edge(5) - edge(0)).abs() > 1e-4,
        "cells could not be told apart"
    );
    for (name, read) in &found {
        assert_eq!(read.coordinates.len(), frames.len(), "{name}");
        // f32 of up to 16 A, besides XTC's steps of 0.01 A.
        let bound = if name == "traj.xtc" {
            0.005 + 2e-6
        } else {
            2e-6
        };
        for (k, frame) in frames.iter().enumerate() {
            for (found, right) in read.coordinates[k].iter().zip(&frame.positions) {
                let apart = (Vec3::from(*found) - right).amax();
                assert!(apart <= bound, "{name}, frame {k}: {apart}");
            }
            // Viewers do not look for the cell of extended XYZ.
            let edge = if name == "traj.xyz" {
                continue;
            } else {
                edge(k)
            };
            let right = [edge, edge, edge, 90.0, 90.0, 90.0];
            for (found, right) in read.cells[k].iter().zip(right) {
                assert!(
                    (found - right).abs() < 1e-5,
                    "{name}, frame {k}: {found} {right}"
                );
            }
        }
    }
}
