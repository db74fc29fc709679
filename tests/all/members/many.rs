//! A thousand members of one atom, each with a trajectory, and few files open.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mdrun::report::Status;

use super::plans::{atoms, read, rows_of};

const MEMBERS: usize = 1000;
/// Most files that may be open at once, of a run and of all else that the process has.
const MOST: usize = 64;

/// Files in a folder that this process has open.
fn open_files(folder: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    let to = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
    to.filter(|to| to.starts_with(folder)).count()
}

#[test]
fn a_thousand_members_have_few_files_open() {
    let output =
        "[output]\nthermo_every = 10\n[[output.trajectory]]\nformat = \"xyz\"\nevery = 5\n";
    let members = atoms(MEMBERS, 20, output);
    let batch = fs::canonicalize(members.bench.folder.path())
        .unwrap()
        .join("batch");
    let (most, over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
    let looking = std::thread::spawn({
        let (most, over, batch) = (Arc::clone(&most), Arc::clone(&over), batch.clone());
        move || {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(open_files(&batch), Ordering::Relaxed);
            }
        }
    });
    let ending = members.run(&batch, Some(600));
    over.store(true, Ordering::Relaxed);
    looking.join().unwrap();
    assert_eq!(
        (ending.status, ending.steps),
        (Status::Complete, 20 * MEMBERS as u64)
    );
    let most = most.load(Ordering::Relaxed);
    println!("{most} files of {MEMBERS} were open at once");
    assert!((2..MOST).contains(&most), "{most}");
    assert_eq!(open_files(&batch), 0);
    // One atom flies on a line; each has velocities of its own.
    let table = read(&batch.join("thermo.csv"));
    assert_eq!(table.lines().count(), 1 + 3 * MEMBERS);
    assert_eq!(rows_of(&table, 999).len(), 3);
    let frames = |member: usize| read(&batch.join(format!("members/{member:04}/traj.xyz")));
    for member in [0, 500, 599, 600, 999] {
        assert_eq!(frames(member).lines().count(), 15);
    }
    assert_ne!(frames(0), frames(1));
    let last = read(&batch.join("final.xyz"));
    assert_eq!(last.lines().count(), 3 * MEMBERS);
    assert!(last.contains(" member=999 status=complete\n"));
}
