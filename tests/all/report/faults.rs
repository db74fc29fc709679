//! Disks that are full and places that cannot be written to.

use std::path::Path;
use std::process::Command;

use mdrun::config::plan::TrajectoryFormat;
use mdrun::core::Cell;
use mdrun::formats::write::xyz;
use mdrun::report::thermo::Scope;
use mdrun::report::{Console, Energies, EnergyRecord, Thermo, Trajectory, replace};
use mdrun::simulation::Reporter;
use mdrun::{Error, Result};

use super::frames::{EVERY, TIMESTEP, cases, frame, plan, system};

const FORMATS: [(TrajectoryFormat, &str); 3] = [
    (TrajectoryFormat::Xyz, "traj.xyz"),
    (TrajectoryFormat::Dcd, "traj.dcd"),
    (TrajectoryFormat::Xtc, "traj.xtc"),
];
const ATOMS: usize = 50;
/// Names the folder to fill, for the part of a test that runs in a process of its own.
const CHILD: &str = "MDRUN_TEST_FULL_DISK";

/// Reports frames until one fails, then finishes; what failed first.
fn fill(path: &Path, format: TrajectoryFormat, frames: u64) -> Result<()> {
    let cell = &cases()[1].cell;
    let mut trajectory = Trajectory::create(path, &plan(format, false), &system(ATOMS), TIMESTEP)?;
    let reported =
        (0..frames).try_for_each(|k| trajectory.report(&frame(k, ATOMS, cell)).map(|_| ()));
    let finished = trajectory.finish();
    // Told once: the run ends with the first error, and finishes its reporters after that.
    if reported.is_err() {
        finished.unwrap();
        return reported;
    }
    finished
}

fn assert_tells(result: Result<()>, path: &Path, reason: &str) {
    match result {
        Err(Error::Run(message)) => {
            assert!(message.contains(path.to_str().unwrap()), "{message}");
            assert!(message.contains(reason), "{message}");
        }
        other => panic!("{}: {other:?}", path.display()),
    }
}

/// Not lost, however few or many frames come after it.
#[test]
fn a_full_device_is_an_error_of_the_run() {
    let path = Path::new("/dev/full");
    for (format, _) in FORMATS {
        for frames in [1, 2, 30] {
            let filled = fill(path, format, frames);
            assert_tells(filled, path, "No space left on device");
        }
    }
}

#[test]
fn a_full_device_stops_the_thermo_table_too() {
    let path = Path::new("/dev/full");
    let energies = Energies::new(EnergyRecord::new(2, 3));
    let made = Thermo::create(
        path,
        &Scope::unpressed(&Cell::open(), 1, 10),
        &energies,
        &Console::silent(),
    );
    assert_tells(made.map(|_| ()), path, "No space left on device");
}

/// A file system that refuses growth halfway through a frame: up to the last complete frame the file
/// can be read.
#[test]
fn what_was_written_before_the_disk_was_full_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    // The limit on the size of a file acts like a full disk, and needs no privileges. Blocks of 512
    // or 1024 bytes, as the shell has it.
    let filled = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact report::faults::fill_disk",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, folder.path())
        .output()
        .unwrap();
    assert!(filled.status.success(), "{filled:?}");
    for (_, name) in FORMATS {
        let path = folder.path().join(name);
        let mut reader = chemfiles::Trajectory::open(&path, 'r').unwrap();
        let frames = reader.nsteps();
        let mut read = chemfiles::Frame::new();
        for k in 0..frames {
            reader.read(&mut read).unwrap();
            let right = &frame(k as u64, ATOMS, &cases()[1].cell).positions[ATOMS - 1];
            let off = (right.x - read.positions()[ATOMS - 1][0]).abs();
            assert!(off < 0.01, "{name} {k}: {off}");
        }
        assert!(frames >= 1, "{name} has no frame");
        if name == "traj.dcd" {
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes[8..12], (frames as i32).to_le_bytes());
            let (header, one) = (276, 56 + 3 * (4 * ATOMS + 8));
            assert_eq!(
                bytes.len(),
                header + frames * one,
                "no part of a frame is left"
            );
        }
    }
}

/// The other half of the test above; on its own it does nothing.
#[test]
fn fill_disk() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    for (format, name) in FORMATS {
        let path = Path::new(&folder).join(name);
        let filled = fill(&path, format, 2000);
        assert_tells(filled, &path, "File too large");
    }
}

#[test]
fn a_file_that_cannot_be_created_is_an_error_of_the_input() {
    let folder = tempfile::tempdir().unwrap();
    for (format, name) in FORMATS {
        let path = folder.path().join("missing").join(name);
        let made = Trajectory::create(&path, &plan(format, false), &system(3), TIMESTEP);
        match made.map(|_| ()) {
            Err(Error::Input(message)) => {
                assert!(message.starts_with("cannot create "), "{message}");
                assert!(message.contains(path.to_str().unwrap()), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
    let path = folder.path().join("missing/last_good.xyz");
    let saved = replace(&path, &xyz::text(&system(3), &frame(0, 3, &Cell::open())));
    assert_tells(saved, &path, "No such file");
}

/// Numbers that a 32-bit format cannot hold are refused, not turned into others.
#[test]
fn coordinates_beyond_32_bits_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for (format, name) in &FORMATS[1..] {
        for wrong in [f64::NAN, f64::INFINITY, 1e40] {
            let path = folder.path().join(name);
            let mut trajectory =
                Trajectory::create(&path, &plan(*format, false), &system(ATOMS), TIMESTEP).unwrap();
            let mut broken = frame(EVERY, ATOMS, &Cell::open());
            broken.positions[7].y = wrong;
            let ended = trajectory
                .report(&broken)
                .map(|_| ())
                .and(trajectory.finish());
            assert_tells(ended, &path, "not a finite 32-bit number");
        }
    }
}
