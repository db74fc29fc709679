//! The run's own directory: whose files go, whose stay.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mdrun::Error;
use mdrun::run::RunDirectory;

fn names(folder: &Path) -> BTreeSet<String> {
    (fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

fn refused(path: &Path, force: bool) -> String {
    match RunDirectory::create(path, force) {
        Err(Error::Input(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// A finished run with a stranger's file beside it.
fn run_in(path: &Path) {
    RunDirectory::create(path, false).unwrap().keep().unwrap();
    for name in [
        "run.json",
        "thermo.csv",
        "traj.dcd",
        "traj_12.xyz",
        "last_good.xyz.part",
        "flight.xyz",
        "flight.ckpt",
        "topology.pdb",
    ] {
        fs::write(path.join(name), "old").unwrap();
    }
    for name in ["analysis.py", "traj_best.xyz", "trajectory.xyz", "notes"] {
        fs::write(path.join(name), "mine").unwrap();
    }
}

#[test]
fn a_run_that_never_begins_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b/run");
    {
        let directory = RunDirectory::create(&path, false).unwrap();
        fs::write(directory.path().join("traj.xtc"), "begun").unwrap();
    }
    assert!(names(root.path()).is_empty());
    let path = RunDirectory::create(&path, false).unwrap().keep().unwrap();
    assert!(path.path().join("run.json").exists());
}

#[test]
fn a_run_is_not_overwritten_unless_forced() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    run_in(&path);
    let before = names(&path);
    let message = refused(&path, false);
    assert!(
        message.contains("holds a run already (run.json)"),
        "{message}"
    );
    assert!(message.contains("--force"), "{message}");
    assert_eq!(names(&path), before);

    let directory = RunDirectory::create(&path, true).unwrap();
    fs::write(path.join("thermo.csv"), "new").unwrap();
    directory.keep().unwrap();
    let strangers = ["analysis.py", "traj_best.xyz", "trajectory.xyz", "notes"];
    let own = ["run.json", "thermo.csv"];
    assert_eq!(names(&path), set(&[&strangers[..], &own[..]].concat()));
    assert_eq!(fs::read_to_string(path.join("thermo.csv")).unwrap(), "new");
}

/// Replaced is only what a run that has begun replaces.
#[test]
fn a_forced_run_that_never_begins_gives_the_old_one_back() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    run_in(&path);
    let before = names(&path);
    {
        let _directory = RunDirectory::create(&path, true).unwrap();
        assert!(!path.join("thermo.csv").exists());
        fs::write(path.join("thermo.csv"), "new").unwrap();
        fs::write(path.join("traj.xyz"), "new").unwrap();
    }
    assert_eq!(names(&path), before);
    for name in ["run.json", "thermo.csv", "traj.dcd"] {
        assert_eq!(fs::read_to_string(path.join(name)).unwrap(), "old");
    }
}

/// Killed at any moment of its start, a replacement leaves either run, and never a mixture: the old one until the new
/// one has begun.
#[test]
fn a_replacement_that_was_killed_is_undone_or_completed() {
    let own = [
        "flight.ckpt",
        "flight.xyz",
        "last_good.xyz.part",
        "run.json",
        "thermo.csv",
        "topology.pdb",
        "traj.dcd",
        "traj_12.xyz",
    ];
    // While files are moved aside, in any order.
    for moved in 0..=own.len() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        run_in(&path);
        let before = names(&path);
        let aside = path.join(".replacing");
        fs::create_dir(&aside).unwrap();
        for name in own.iter().cycle().skip(2 * moved).take(moved) {
            fs::rename(path.join(name), aside.join(name)).unwrap();
        }
        if moved == own.len() {
            // All are, and the new run has files of its own.
            fs::rename(&aside, path.join(".replaced")).unwrap();
            fs::write(path.join("run.json"), "new").unwrap();
            fs::write(path.join("traj.xtc"), "new").unwrap();
        }
        drop(RunDirectory::open(&path).unwrap());
        assert_eq!(names(&path), before, "{moved}");
        for name in own {
            let text = fs::read_to_string(path.join(name)).unwrap();
            assert_eq!(text, "old", "{name}");
        }
    }
    // While they are removed.
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    RunDirectory::create(&path, false).unwrap().keep().unwrap();
    fs::create_dir(path.join(".removed")).unwrap();
    fs::write(path.join(".removed/traj.dcd"), "old").unwrap();
    drop(RunDirectory::open(&path).unwrap());
    assert_eq!(names(&path), set(&["run.json"]));
}

/// A replacement that was killed while it started does not bar the way for ever.
#[test]
fn what_a_killed_start_left_aside_is_cleared() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    run_in(&path);
    std::mem::forget(RunDirectory::create(&path, true).unwrap());
    // The lock goes with a process; this one lives on.
    fs::remove_file(path.join(".lock")).unwrap();
    assert!(path.join(".replaced/traj.dcd").exists());
    RunDirectory::create(&path, true).unwrap().keep().unwrap();
    assert!(!path.join(".replaced").exists());
}

#[test]
fn a_directory_with_strangers_only_is_taken_and_left_to_them() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("notes"), "mine").unwrap();
    drop(RunDirectory::create(root.path(), false).unwrap());
    assert_eq!(names(root.path()), set(&["notes"]));
    RunDirectory::create(root.path(), false)
        .unwrap()
        .keep()
        .unwrap();
    assert_eq!(names(root.path()), set(&["notes", "run.json"]));
}

#[test]
fn two_runs_do_not_share_a_directory() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    let first = RunDirectory::create(&path, false).unwrap();
    let busy = |force| {
        let message = refused(&path, force);
        assert!(message.contains("another mdrun"), "{message}");
        let process = format!("process {}", std::process::id());
        assert!(message.contains(&process), "{message}");
    };
    busy(false);
    busy(true);
    let begun = first.keep().unwrap();
    busy(true);
    // An empty record is that of a run that has only claimed the directory.
    fs::write(path.join("run.json"), "old").unwrap();
    drop(begun);
    assert!(refused(&path, false).contains("holds a run already"));
    drop(RunDirectory::create(&path, true).unwrap());
    assert_eq!(names(&path), set(&["run.json"]));
}

#[test]
fn places_that_cannot_be_written_to_are_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(refused(&file, false).contains("is a file; choose another one"));
    let below = file.join("run");
    let message = refused(&below, true);
    assert!(
        message.contains("cannot make the output directory"),
        "{message}"
    );
    assert!(message.contains(below.to_str().unwrap()), "{message}");
    assert_eq!(names(root.path()), set(&["file"]));
    // Nobody can make files in the kernel's own file system, not even the superuser.
    if Path::new("/proc/sys").is_dir() {
        let message = refused(Path::new("/proc/sys/run"), false);
        assert!(
            message.contains("cannot make the output directory"),
            "{message}"
        );
        let message = refused(Path::new("/proc/sys"), false);
        assert!(message.contains("cannot write to /proc/sys"), "{message}");
    }
}

#[test]
fn a_disk_without_room_is_noticed_before_the_run() {
    let root = tempfile::tempdir().unwrap();
    let directory = RunDirectory::create(&root.path().join("run"), false).unwrap();
    directory.check_room(1).unwrap();
    match directory.check_room(1 << 60) {
        Err(Error::Input(message)) => {
            assert!(
                message.contains("at least 1153 PB, the disk has"),
                "{message}"
            );
        }
        other => panic!("{other:?}"),
    }
}
