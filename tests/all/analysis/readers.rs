//! Trajectories of runs are read back frame by frame: what was written, cut files, damaged ones.

use std::fs;
use std::path::Path;

use mdrun::config::plan::TrajectoryFormat;
use mdrun::core::{Cell, Snapshot};
use mdrun::formats::trajectory::{TrajectoryAbout, TrajectoryReader};
use mdrun::formats::write::orient::Standard;
use mdrun::report::trajectory::extension;
use tempfile::TempDir;

use crate::report::frames::{Case, EVERY, TIMESTEP, cases, frame, plan, system, write};

/// f32 has 24 bits; coordinates here are below 128 A.
const F32: f64 = 128.0 / 16_777_216.0;
/// Half of a grid step of 0.01 A, and f32's rounding of nanometres before and after.
const GRID: f64 = 0.005 + 3.0 * F32;
const FRAMES: u64 = 5;
const FORMATS: [TrajectoryFormat; 3] = [
    TrajectoryFormat::Xyz,
    TrajectoryFormat::Dcd,
    TrajectoryFormat::Xtc,
];

fn about(case: &Case, atoms: usize) -> TrajectoryAbout {
    TrajectoryAbout {
        atoms,
        periodic: case.cell.periodic(),
        timestep: TIMESTEP,
        every: EVERY,
    }
}

fn read(path: &Path, about: &TrajectoryAbout) -> mdrun::Result<(Vec<Snapshot>, bool)> {
    let mut reader = TrajectoryReader::open(path, about)?;
    let mut one = Snapshot::blank(0, 0.0, Cell::open());
    let mut all = Vec::new();
    while reader.next(&mut one)? {
        all.push(one.clone());
    }
    assert!((0.0..=1.0).contains(&reader.progress()));
    Ok((all, reader.cut_short()))
}

/// Every format, in every kind of cell, of few atoms and of many, gives back steps, times, cells and positions; extended XYZ
/// velocities, too.
#[test]
fn what_was_written_is_read() {
    let folder = TempDir::new().unwrap();
    for (case, atoms) in cases().iter().flat_map(|case| [(case, 7), (case, 31)]) {
        let system = system(atoms);
        let frames: Vec<Snapshot> = (0..FRAMES).map(|k| frame(k, atoms, &case.cell)).collect();
        for format in FORMATS {
            let path = folder.path().join(format!("t.{}", extension(format)));
            write(&path, &plan(format, false), &system, &frames);
            let (found, cut) = read(&path, &about(case, atoms)).unwrap();
            let what = format!("{} {} {atoms}", case.name, extension(format));
            assert_eq!((found.len(), cut), (frames.len(), false), "{what}");
            for (found, right) in found.iter().zip(&frames) {
                compare(found, right, format, &what);
            }
        }
    }
}

fn compare(found: &Snapshot, right: &Snapshot, format: TrajectoryFormat, what: &str) {
    assert_eq!(found.step, right.step, "{what}");
    assert!((found.time - right.time).abs() < 1e-9, "{what}");
    if format == TrajectoryFormat::Xyz {
        assert_eq!(found.positions, right.positions, "{what}: every bit");
        assert_eq!(found.cell, right.cell, "{what}");
        for (found, right) in found.velocities.iter().zip(&right.velocities) {
            // A conversion of units, there and back.
            assert!((found - right).norm() < 1e-12 * right.norm(), "{what}");
        }
        assert_eq!(found.velocities.len(), right.velocities.len());
        return;
    }
    let mut standard = Standard::new(&right.cell).unwrap();
    let tolerance = match format {
        TrajectoryFormat::Xtc if right.positions.len() > 9 => GRID,
        _ => 4.0 * F32,
    };
    if format == TrajectoryFormat::Xtc {
        standard = standard.for_gromacs().unwrap();
    }
    assert!(found.velocities.is_empty());
    assert_eq!(found.cell.periodic(), right.cell.periodic(), "{what}");
    if right.cell.is_periodic() {
        let off = (found.cell.vectors() - standard.cell().vectors()).amax();
        assert!(off < 1e-4, "{what}: {off}");
    }
    for (found, right) in found.positions.iter().zip(&right.positions) {
        let off = (found - standard.place(right)).amax();
        assert!(off < tolerance, "{what}: {off}");
    }
}

/// A file that ends anywhere gives the frames before, and says whether it ended within one.
#[test]
fn a_cut_file_gives_the_frames_that_are_whole() {
    let folder = TempDir::new().unwrap();
    let case = &cases()[2];
    let system = system(13);
    let frames: Vec<Snapshot> = (0..FRAMES).map(|k| frame(k, 13, &case.cell)).collect();
    for format in FORMATS {
        let path = folder.path().join(format!("t.{}", extension(format)));
        // How long the file is after each frame.
        let ends: Vec<usize> = (0..=frames.len())
            .map(|n| {
                write(&path, &plan(format, false), &system, &frames[..n]);
                fs::read(&path).unwrap().len()
            })
            .collect();
        let whole = fs::read(&path).unwrap();
        for length in (0..whole.len()).step_by(23) {
            fs::write(&path, &whole[..length]).unwrap();
            let count = ends.iter().filter(|end| **end <= length).count() - 1;
            // A DCD's header is written with its first frame.
            match read(&path, &about(case, 13)) {
                Ok((found, cut)) => {
                    assert_eq!(found.len(), count, "{format:?} {length}");
                    let begun =
                        !ends.contains(&length) && (count > 0 || format != TrajectoryFormat::Dcd);
                    assert!(
                        cut || !begun,
                        "{format:?} {length}: cut short, and nothing says so"
                    );
                }
                Err(error) => {
                    assert!(
                        count == 0 && format == TrajectoryFormat::Dcd,
                        "{length}: {error}"
                    );
                }
            }
        }
    }
}

/// Files with flipped bytes end in frames or in an error, never otherwise.
#[test]
fn damaged_files_end_in_an_error() {
    let folder = TempDir::new().unwrap();
    let case = &cases()[2];
    let system = system(31);
    let frames: Vec<Snapshot> = (0..3).map(|k| frame(k, 31, &case.cell)).collect();
    let mut refused = 0;
    for format in FORMATS {
        let path = folder.path().join(format!("t.{}", extension(format)));
        write(&path, &plan(format, false), &system, &frames);
        let whole = fs::read(&path).unwrap();
        for k in 0..400_usize {
            let mut bytes = whole.clone();
            for hit in 0..1 + k % 3 {
                let at = (k * 7919 + hit * 104_729) % bytes.len();
                bytes[at] ^= 1 << (k % 8);
            }
            fs::write(&path, &bytes).unwrap();
            if let Err(error) = read(&path, &about(case, 31)) {
                assert!(error.to_string().contains("t."), "{error}");
                refused += 1;
            } else {
                continue;
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

/// A trajectory of another run is refused, with both numbers of atoms.
#[test]
fn other_atoms_are_refused() {
    let folder = TempDir::new().unwrap();
    let case = &cases()[1];
    let frames: Vec<Snapshot> = (0..2).map(|k| frame(k, 31, &case.cell)).collect();
    for format in FORMATS {
        let path = folder.path().join(format!("t.{}", extension(format)));
        write(&path, &plan(format, false), &system(31), &frames);
        let error = read(&path, &about(case, 30)).err().unwrap().to_string();
        assert!(error.contains("31 atoms, and the run has 30"), "{error}");
    }
    let nowhere = read(&folder.path().join("none.xyz"), &about(case, 30));
    assert!(nowhere.is_err());
}
