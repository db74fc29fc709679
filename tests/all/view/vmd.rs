//! `view.vmd` in Debian's tclsh, with VMD's commands as recorders (`tests/viewers/vmd.tcl`).

use std::path::Path;
use std::process::{Command, Output};

use mdrun::core::{Mat3, Vec3};
use mdrun::formats;

use super::{EVERY, STEPS, SUBJECTS, Scene, Subject, skip};
use crate::support::root;

/// A directory's name that Tcl would take for something else.
const ODD: &str = "a [x] $y {z \"q\"; #é";
/// Frames of a trajectory.
const FRAMES: u64 = STEPS / EVERY + 1;

/// How the script is run.
#[derive(Clone, Copy, Debug)]
enum How {
    /// As `vmd -e` does.
    Line,
    /// As `source` does.
    Source,
}

/// Whether there is a tclsh; prints the reason where there is none.
fn tclsh() -> bool {
    let there = Command::new("tclsh").arg("/dev/null").output().is_ok();
    if !there {
        skip("there is no tclsh", "MDRUN_REQUIRE_TCLSH");
    }
    there
}

fn run(directory: &Path, how: How, pbctools: bool) -> Output {
    let how = match how {
        How::Line => "-e",
        How::Source => "source",
    };
    Command::new("tclsh")
        .arg(root().join("tests/viewers/vmd.tcl"))
        .args([FRAMES.to_string(), u8::from(pbctools).to_string()])
        .arg(how)
        .arg(directory.join("view.vmd"))
        .output()
        .unwrap()
}

/// The calls that a script makes, one a line.
fn calls(scene: &Scene, how: How) -> String {
    let output = run(&scene.directory, how, true);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let script = super::text(&scene.path("view.vmd"));
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{how:?}: {told}\n{}\n{script}",
        String::from_utf8_lossy(&output.stderr)
    );
    told
}

/// The lines that begin so.
fn of<'c>(calls: &'c str, start: &str) -> Vec<&'c str> {
    let lines = calls.lines().filter(|line| line.starts_with(start));
    lines.map(|line| line[start.len()..].trim()).collect()
}

/// What is drawn of each subject: styles, and periodic images with whether they are shown at first.
fn intended(subject: Subject) -> (Vec<&'static str>, Option<(&'static str, &'static str)>) {
    const ALL: &str = "xXyYzZn";
    match subject {
        Subject::Molecule => (vec!["CPK 0.8 0.4 24 24"], None),
        Subject::Liquid | Subject::TurnedLiquid => {
            (vec!["Licorice 0.15 16 16", "Lines 1"], Some((ALL, "off")))
        }
        Subject::Atoms => (vec!["VDW 0.4 20", "Points 3"], Some((ALL, "off"))),
        Subject::Crystal => (vec!["CPK 1.0 0.5 20 20", "Points 3"], Some((ALL, "on"))),
    }
}

fn check(scene: &Scene, format: Option<&str>, wrapped: bool) {
    let subject = scene.subject;
    let calls = calls(scene, How::Line);
    let what = format!("{subject:?} {format:?} {wrapped}: {calls}");
    assert_eq!(calls, self::calls(scene, How::Source), "{what}");
    let (styles, images) = intended(subject);
    assert_eq!(of(&calls, "mol representation"), styles, "{what}");
    assert_eq!(of(&calls, "mol color"), vec!["Element"; styles.len()]);
    assert_eq!(of(&calls, "mol addrep").len(), styles.len(), "{what}");
    let shown: Vec<String> = images
        .iter()
        .map(|(flags, _)| format!("7 1 {flags}"))
        .collect();
    assert_eq!(of(&calls, "mol showperiodic"), shown, "{what}");
    if let Some((_, shown)) = images {
        assert_eq!(of(&calls, "mol showrep")[1], format!("7 1 {shown}"));
    }
    let bonds = scene.bonds().len();
    let told = of(&calls, "bonds");
    assert!(told[0].starts_with(&format!("{bonds} ")), "{bonds}: {what}");
    // The bonds are analysed after they are set.
    let order = ["bonds ", "mol reanalyze", "mol addfile", "mol addrep"];
    let places: Vec<usize> = order.iter().filter_map(|call| calls.find(call)).collect();
    assert!(places.is_sorted() && places.len() == order.len(), "{what}");
    let file = format.map_or("final.xyz".to_owned(), |format| format!("traj.{format}"));
    let loaded = of(&calls, "mol addfile");
    assert!(loaded.len() == 1 && loaded[0].contains(&file), "{what}");
    assert_eq!(of(&calls, "animate delete"), ["beg 0 end 0 skip -1 7"]);
    assert!(of(&calls, "at-last")[0].starts_with(&format!("frames {FRAMES} ")));
    let has_cell = subject.has_cell();
    assert_eq!(of(&calls, "pbc box").len(), usize::from(has_cell), "{what}");
    let crystal = subject == Subject::Crystal;
    let wraps = has_cell && !wrapped && !crystal;
    assert_eq!(of(&calls, "pbc wrap").len(), usize::from(wraps), "{what}");
    let unwraps = wrapped && crystal;
    assert_eq!(
        of(&calls, "pbc unwrap").len(),
        usize::from(unwraps),
        "{what}"
    );
    let orthographic = of(&calls, "display projection").len();
    assert_eq!(orthographic, usize::from(has_cell), "{what}");
    // VMD reads the cells of binary formats.
    let text = file.ends_with(".xyz") && has_cell;
    let cells = of(&calls, "molinfo set {a b c alpha beta gamma}");
    assert_eq!(cells.len() as u64, if text { FRAMES } else { 0 }, "{what}");
    if text {
        check_cells(scene, &calls, &file);
    }
}

/// Frames of extended XYZ come to where the topology is, in the cell that it has.
fn check_cells(scene: &Scene, calls: &str, file: &str) {
    let numbers = |text: &str| -> Vec<f64> {
        let words = text.split(|c: char| "{} ".contains(c));
        words.filter_map(|word| word.parse().ok()).collect()
    };
    let (_, positions, cell) = scene.topology();
    let cells = of(calls, "molinfo set {a b c alpha beta gamma}");
    let (lengths, angles) = formats::write::orient::lengths_and_angles(&cell);
    for (found, right) in numbers(cells[0]).iter().zip(lengths.iter().chain(&angles)) {
        assert!(
            (found - right).abs() < 0.006,
            "{cells:?}: {lengths:?} {angles:?}"
        );
    }
    let matrix = numbers(of(calls, "move")[0]);
    let turn = Mat3::new(
        matrix[0], matrix[1], matrix[2], matrix[4], matrix[5], matrix[6], matrix[8], matrix[9],
        matrix[10],
    );
    let frame = formats::read_frame(&scene.path(file), 0).unwrap();
    let vectors = frame.vectors.unwrap() * turn.transpose();
    assert!(
        (vectors - cell.vectors()).amax() < 0.003,
        "{vectors} {cell:?}"
    );
    for (r, right) in frame.positions.iter().zip(&positions) {
        let apart: Vec3 = turn * r - right;
        let images = cell.fractional(&apart).map(f64::round);
        let apart = apart - cell.cartesian(&images);
        assert!(apart.norm() < 0.004, "{apart}");
    }
}

#[test]
fn every_run_is_shown_as_what_it_is() {
    if !tclsh() {
        return;
    }
    for subject in SUBJECTS {
        for format in [None, Some("dcd"), Some("xtc"), Some("xyz")] {
            for wrapped in [false, true] {
                if wrapped && (format.is_none() || !subject.has_cell()) {
                    continue;
                }
                let formats: Vec<&str> = format.into_iter().collect();
                let more = if wrapped { "wrapped" } else { "" };
                let scene = Scene::of(subject, &formats, ODD, more);
                check(&scene, format, wrapped);
            }
        }
    }
}

/// The directory may go elsewhere; files in it may be gone; VMD may be without its plugin for cells.
#[test]
fn a_view_works_wherever_its_run_is() {
    if !tclsh() {
        return;
    }
    let scene = Scene::of(Subject::Liquid, &["dcd", "xyz"], "run", "");
    let moved = scene.folder.path().join(ODD);
    std::fs::rename(&scene.directory, &moved).unwrap();
    let scene = Scene {
        directory: moved,
        ..scene
    };
    let told = calls(&scene, How::Line);
    assert!(of(&told, "mol addfile")[0].contains("traj.dcd"), "{told}");
    assert!(super::text(&scene.path("view.vmd")).contains("# Not shown: traj.xyz\n"));
    let plain = run(&scene.directory, How::Line, false);
    let told = String::from_utf8_lossy(&plain.stdout).into_owned();
    assert!(plain.status.success(), "{plain:?}");
    assert!(
        told.contains("the cell is not drawn: can't find package pbctools"),
        "{told}"
    );
    std::fs::remove_file(scene.path("traj.dcd")).unwrap();
    let told = calls(&scene, How::Source);
    assert!(
        told.contains("there is no traj.dcd yet: the topology is shown"),
        "{told}"
    );
    assert!(of(&told, "at-last")[0].starts_with("frames 1 "), "{told}");
    std::fs::remove_file(scene.path("topology.pdb")).unwrap();
    let output = run(&scene.directory, How::Line, true);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("topology.pdb is not in "), "{error}");
}

/// A cell that changes is read frame by frame from extended XYZ, and by VMD itself from the others.
#[test]
fn a_cell_that_changes_is_that_of_each_frame() {
    if !tclsh() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = crate::support::mdrun(&[
        "configs/water_npt.toml",
        "-q",
        "--set",
        "dynamics.steps=60",
        "--set",
        "dynamics.barostat_every=2",
        "--set",
        "output.trajectory=[{ format = \"xyz\", every = 20 }]",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let output = run(&out, How::Line, true);
    let calls = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    let cells = of(&calls, "molinfo set {a b c alpha beta gamma}");
    assert_eq!(cells.len() as u64, FRAMES, "{calls}");
    let distinct: std::collections::BTreeSet<&&str> = cells.iter().collect();
    assert!(distinct.len() > 1, "{cells:?}");
    for (k, cell) in cells.iter().enumerate() {
        let frame = formats::read_frame(&out.join("traj.xyz"), k as i64).unwrap();
        let edge = frame.vectors.unwrap().row(0).norm();
        let found: f64 = cell
            .trim_matches(['{', '}'])
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!((found - edge).abs() < 1e-9, "{cell}: {edge}");
    }
}

/// A trajectory that would not fit into a viewer is loaded in part, every so-manieth frame.
#[test]
fn long_trajectories_are_thinned() {
    if !tclsh() {
        return;
    }
    let scene = Scene::of(Subject::Liquid, &["xyz"], "run", "");
    let path = scene.path("view.vmd");
    let script = super::text(&path);
    assert!(script.contains("variable stride 1\n"), "{script}");
    std::fs::write(
        &path,
        script.replace("variable stride 1", "variable stride 2"),
    )
    .unwrap();
    let told = calls(&scene, How::Line);
    assert!(of(&told, "mol addfile")[0].contains("step 2"), "{told}");
    assert_eq!(of(&told, "move").len() as u64, FRAMES / 2, "{told}");
}
