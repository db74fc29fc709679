//! Bytes on the disk, read back by chemfiles, and the header of a DCD.

use std::path::Path;

use chemfiles::{Frame, Trajectory as Reader};
use mdrun::config::plan::TrajectoryFormat;
use mdrun::core::{Cell, Mat3, Snapshot, Vec3};
use mdrun::formats::write::Encoder;
use mdrun::formats::write::orient::{Standard, lengths_and_angles};
use mdrun::formats::write::xtc::Xtc;
use mdrun::formats::write::xyz;
use mdrun::report::trajectory::least_bytes;
use mdrun::units::ANGSTROM_PER_FS;
use proptest::prelude::*;

use super::frames::{EVERY, cases, frame, plan, system, write};
use super::wrapping::Wrapped;

/// f32 has 24 bits; coordinates here are below 128 A.
const F32_POSITION: f64 = 128.0 / 16_777_216.0;
/// Half a grid step of 0.01 A, and f32's rounding of nanometres before and after.
const XTC_POSITION: f64 = 0.005 + 3.0 * F32_POSITION;
/// Cell vectors pass through degrees and back in f64.
const CELL: f64 = 1e-9;
/// XTC's box is f32, in nanometres.
const F32_CELL: f64 = 50.0 / 16_777_216.0;

/// Products of three f64 matrices of order ten.
const ROUNDING: f64 = 1e-12;

const FRAMES: u64 = 3;

pub fn read_all(path: &Path) -> Vec<(Vec<Vec3>, Mat3, usize)> {
    let mut reader = Reader::open(path, 'r').unwrap();
    let mut frame = Frame::new();
    (0..reader.nsteps())
        .map(|_| {
            reader.read(&mut frame).unwrap();
            let positions = frame.positions().iter().map(|r| Vec3::from(*r)).collect();
            // chemfiles keeps vectors as columns.
            let vectors = frame.cell().matrix().map(Vec3::from);
            let matrix = Mat3::from_rows(&vectors.map(|v| v.transpose()));
            (positions, matrix.transpose(), frame.step())
        })
        .collect()
}

/// Both binary formats hold, in every kind of cell, what [`Standard`] makes of the frames.
#[test]
fn binary_trajectories_hold_the_frames() {
    let folder = tempfile::tempdir().unwrap();
    let system = system(31);
    for case in cases() {
        let frames: Vec<Snapshot> = (0..FRAMES).map(|k| frame(k, 31, &case.cell)).collect();
        for (format, name, position_tol, cell_tol) in [
            (TrajectoryFormat::Dcd, "t.dcd", F32_POSITION, CELL),
            (TrajectoryFormat::Xtc, "t.xtc", XTC_POSITION, F32_CELL),
        ] {
            let mut standard = Standard::new(&case.cell).unwrap();
            if format == TrajectoryFormat::Xtc {
                standard = standard.for_gromacs().unwrap();
            }
            let cell = standard.cell();
            let right = match cell.is_periodic() {
                true => *cell.vectors(),
                false => Mat3::zeros(),
            };
            for wrap in [false, true] {
                let path = folder.path().join(name);
                write(&path, &plan(format, wrap), &system, &frames);
                let read = read_all(&path);
                assert_eq!(read.len(), frames.len(), "{} {name}", case.name);
                for (snapshot, (positions, vectors, step)) in frames.iter().zip(read) {
                    let what = format!("{} {name} {wrap}", case.name);
                    let placed = snapshot.positions.iter().map(|r| standard.place(r));
                    let placed: Vec<Vec3> = placed.collect();
                    if wrap {
                        let about = Wrapped {
                            species: &system.species,
                            cell,
                            before: &placed,
                            after: &positions,
                        };
                        about.check(position_tol, &what);
                    } else {
                        let worst = (positions.iter().zip(&placed))
                            .map(|(a, b)| (a - b).amax())
                            .fold(0.0, f64::max);
                        assert!(worst <= position_tol, "{what}: {worst}");
                    }
                    let off = (vectors - right).amax();
                    assert!(off <= cell_tol, "{what}: {vectors} {right}");
                    if format == TrajectoryFormat::Xtc {
                        assert_eq!(step as u64, snapshot.step);
                    }
                }
            }
        }
    }
}

/// The header is complete after every frame, not only at the end.
#[test]
fn dcd_header_tells_time_and_count_at_every_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.dcd");
    let cell = &cases()[1].cell;
    let i32_at =
        |bytes: &[u8], at: usize| i32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    for frames in 1..=FRAMES {
        let frames: Vec<Snapshot> = (2..2 + frames).map(|k| frame(k, 12, cell)).collect();
        write(
            &path,
            &plan(TrajectoryFormat::Dcd, false),
            &system(12),
            &frames,
        );
        let bytes = std::fs::read(&path).unwrap();
        let count = frames.len() as i32;
        assert_eq!(&bytes[4..8], b"CORD");
        assert_eq!(i32_at(&bytes, 8), count);
        assert_eq!(i32_at(&bytes, 12), 2 * EVERY as i32);
        assert_eq!(i32_at(&bytes, 16), EVERY as i32);
        assert_eq!(i32_at(&bytes, 20), (count - 1) * EVERY as i32);
        let delta = f32::from_le_bytes(bytes[44..48].try_into().unwrap());
        // 0.5 fs in AKMA units of 48.88821 fs, as f32.
        assert!((f64::from(delta) * 48.888_21 - 0.5).abs() < 1e-7);
        assert_eq!((i32_at(&bytes, 48), i32_at(&bytes, 84)), (1, 24));
        // Header, title of two lines, atom count; then cell and three records of coordinates.
        let header = (84 + 8) + (4 + 160 + 8) + (4 + 8);
        let frame = (48 + 8) + 3 * (12 * 4 + 8);
        assert_eq!(bytes.len(), header + frames.len() * frame);
    }
}

/// Steps beyond 32 bits keep their times.
#[test]
fn dcd_counts_frames_where_steps_are_too_many() {
    let mut late = frame(0, 3, &Cell::open());
    late.step = 3_000_000_000;
    let mut bytes = Vec::new();
    mdrun::formats::write::dcd::Dcd::new(1000, 0.5 * mdrun::units::FEMTOSECOND, None)
        .encode(&late, &mut bytes)
        .unwrap();
    let i32_at = |at: usize| i32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let delta = f32::from_le_bytes(bytes[44..48].try_into().unwrap());
    assert_eq!((i32_at(12), i32_at(16)), (3_000_000, 1));
    assert!((f64::from(delta) * 48.888_21 - 500.0).abs() < 1e-4);
}

/// Standard orientation changes no distance and no handedness, and its cell spans the same lattice.
#[test]
fn standard_orientation_is_a_rotation_of_the_same_lattice() {
    for case in cases().into_iter().filter(|c| c.cell.is_periodic()) {
        let standard = Standard::new(&case.cell).unwrap();
        let image = |r: Vec3| standard.place(&r);
        let axes = Mat3::from_columns(&[Vec3::x(), Vec3::y(), Vec3::z()].map(image));
        assert!((axes * axes.transpose() - Mat3::identity()).amax() < ROUNDING);
        assert!((axes.determinant() - 1.0).abs() < ROUNDING, "{}", case.name);
        let vectors = standard.cell().vectors();
        assert!(vectors.determinant() > 0.0, "{}", case.name);
        assert_eq!([vectors.m12, vectors.m13, vectors.m23], [0.0; 3]);
        // Each lattice vector, turned, is a whole combination of the new ones.
        for k in 0..3 {
            let whole = standard.cell().fractional(&image(case.cell.vector(k)));
            assert!(
                (whole - whole.map(f64::round)).amax() < ROUNDING,
                "{}",
                case.name
            );
        }
        let turned = !["orthorhombic", "triclinic", "slab", "wire", "leaning"].contains(&case.name);
        assert_eq!(standard.is_turned(), turned, "{}", case.name);
        let (lengths, angles) = lengths_and_angles(standard.cell());
        assert!((lengths[0] - case.cell.vector(0).norm()).abs() < ROUNDING);
        if case.name == "orthorhombic" {
            assert_eq!(angles, [90.0; 3]);
        }
    }
}

/// The numbers of one XYZ line, by column.
fn columns(line: &str) -> Vec<f64> {
    let fields = line.split_whitespace().skip(1);
    fields.map(|x| x.parse().unwrap()).collect()
}

/// Every number reads back as the same f64; units are those that the header names.
#[test]
fn xyz_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.xyz");
    let mut system = system(8);
    system.masses[1] = 2.014;
    for case in cases() {
        let frames: Vec<Snapshot> = (0..FRAMES).map(|k| frame(k, 8, &case.cell)).collect();
        write(&path, &plan(TrajectoryFormat::Xyz, false), &system, &frames);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 10 * frames.len());
        for (block, snapshot) in lines.chunks(10).zip(&frames) {
            assert_eq!(block[0], "8");
            let comment = block[1];
            let properties =
                "Properties=species:S:1:pos:R:3:velo:R:3:momenta:R:3:masses:R:1:forces:R:3 ";
            assert!(comment.contains(properties), "{comment}");
            assert_eq!(comment.contains("Lattice="), case.cell.is_given());
            assert_eq!(comment.contains("stress="), case.cell.volume().is_some());
            let time = format!("step={} time={} time_unit=fs", snapshot.step, {
                let time = 0.5 * snapshot.step as f64;
                format!("{time:.1}")
            });
            assert!(comment.contains(&time), "{comment}");
            let drawn = format!(" noise_seed=3 noise_step={}", 10 + snapshot.step);
            assert!(comment.contains(&drawn), "{comment}");
            for (i, line) in block[2..].iter().enumerate() {
                let read = columns(line);
                let vector = |at: usize| Vec3::from_column_slice(&read[at..at + 3]);
                assert_eq!(vector(0), snapshot.positions[i]);
                assert_eq!(vector(3), snapshot.velocities[i] / ANGSTROM_PER_FS);
                assert_eq!(vector(6), system.masses[i] * snapshot.velocities[i]);
                assert_eq!(read[9], system.masses[i]);
                assert_eq!(vector(10), snapshot.forces[i]);
            }
        }
    }
}

/// The last good frame of a broken run holds all that is needed to go on.
#[test]
fn a_single_frame_is_saved_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last_good.xyz");
    let frame = frame(3, 5, &cases()[2].cell);
    std::fs::write(&path, xyz::text(&system(5), &frame)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 7);
    assert!(
        text.contains("velo:R:3:momenta:R:3:masses:R:1:forces:R:3 pbc=\"T T T\" energy=-1237.567")
    );
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing else is left behind");
}

/// What a trajectory takes at least is not more than it takes, and not far less.
#[test]
fn least_sizes_are_bounds() {
    let folder = tempfile::tempdir().unwrap();
    for format in [
        TrajectoryFormat::Xyz,
        TrajectoryFormat::Dcd,
        TrajectoryFormat::Xtc,
    ] {
        let path = folder.path().join("t");
        let frames: Vec<Snapshot> = (0..FRAMES)
            .map(|k| frame(k, 300, &cases()[1].cell))
            .collect();
        write(&path, &plan(format, false), &system(300), &frames);
        let size = std::fs::metadata(&path).unwrap().len();
        let least = least_bytes(&plan(format, false), 300, (FRAMES - 1) * EVERY);
        assert!(
            least <= size && 2 * least > size,
            "{format:?}: {least} {size}"
        );
    }
}

fn unpacked(positions: &[Vec3]) -> (Vec<Vec3>, f64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.xtc");
    let mut snapshot = frame(0, 0, &Cell::open());
    snapshot.positions = positions.to_vec();
    let mut bytes = Vec::new();
    Xtc::new(None).encode(&snapshot, &mut bytes).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let mut reader = Reader::open(&path, 'r').unwrap();
    let mut read = Frame::new();
    reader.read(&mut read).unwrap();
    let precision = match read.get("xtc_precision") {
        Some(chemfiles::Property::Double(points)) => points,
        _ => f64::INFINITY,
    };
    let positions = read.positions().iter().map(|r| Vec3::from(*r)).collect();
    (positions, precision)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the arrangement (clusters, gases, atoms microns away), another implementation unpacks
    /// what was packed, to half a grid step and f32's rounding.
    #[test]
    fn xtc_is_unpacked_by_another_implementation(
        atoms in 1_usize..120,
        group in 1_usize..12,
        seed in 0_u64..1_000_000,
        // Powers of ten, angstrom.
        spread in -2.0..6.5_f64,
        local in -3.0..1.5_f64,
        offset in -1.0..1.0_f64,
    ) {
        let (spread, local) = (10_f64.powf(spread), 10_f64.powf(local));
        let positions: Vec<Vec3> = (0..atoms)
            .map(|i| {
                let centre = super::frames::random(seed, i / group) * spread;
                centre + super::frames::random(seed + 1, i) * local + Vec3::repeat(offset * spread)
            })
            .collect();
        let (read, precision) = unpacked(&positions);
        prop_assert_eq!(read.len(), atoms);
        let farthest = positions.iter().map(|r| r.amax()).fold(0.0, f64::max);
        if atoms > 9 && farthest < 1e3 {
            prop_assert_eq!(precision, 1000.0);
        }
        // Rounded to f32 in nanometres, times the precision, and back: three roundings of 2^-24.
        let tolerance = 10.0 * 0.5 / precision + 4.0 * farthest / 16_777_216.0;
        for (a, b) in positions.iter().zip(&read) {
            prop_assert!((a - b).amax() <= tolerance, "{} {} {}", a, b, tolerance);
        }
    }
}
