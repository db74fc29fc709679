//! A checkpoint's file: what is read is what was written, and of two generations the sound one is found.

use std::fs;
use std::path::Path;

use mdrun::Error;
use mdrun::core::Cell;
use mdrun::report::Checkpoint;
use mdrun::report::checkpoint::store;
use mdrun::report::names::{NEWEST, PREVIOUS};

use super::sample;

fn bits(checkpoint: &Checkpoint) -> Vec<u64> {
    let vectors = checkpoint.positions.iter().chain(&checkpoint.velocities);
    let numbers = vectors.flatten().chain(&checkpoint.system.masses);
    let numbers = numbers.chain(checkpoint.cell.vectors().iter());
    let kept = &checkpoint.kept;
    let numbers = numbers.chain(kept.response.iter());
    let more = [kept.heat, kept.work, checkpoint.elapsed];
    (numbers.copied().chain(more)).map(f64::to_bits).collect()
}

#[test]
fn what_is_read_is_what_was_written_to_the_bit() {
    for atoms in [0, 1, 200] {
        let mut checkpoint = sample(atoms);
        checkpoint.energies.momentum = [0.1 + 0.2, -0.0, 5e-324];
        if atoms == 1 {
            checkpoint.cell = Cell::open();
        }
        let bytes = checkpoint.encode().unwrap();
        let read = Checkpoint::decode(&bytes).unwrap();
        assert_eq!(read, checkpoint);
        assert_eq!(bits(&read), bits(&checkpoint));
        assert_eq!(read.encode().unwrap(), bytes);
    }
}

#[test]
fn numbers_that_are_not_finite_are_not_written() {
    for spoil in [
        |c: &mut Checkpoint| c.positions[1].y = f64::NAN,
        |c: &mut Checkpoint| c.velocities[0].x = f64::INFINITY,
        |c: &mut Checkpoint| c.kept.response[(1, 2)] = f64::NAN,
        |c: &mut Checkpoint| c.velocities.truncate(2),
    ] {
        let mut checkpoint = sample(3);
        spoil(&mut checkpoint);
        assert!(matches!(checkpoint.encode(), Err(Error::Run(_))));
    }
}

fn at_step(step: u64) -> Checkpoint {
    Checkpoint { step, ..sample(5) }
}

/// The step of the newest sound checkpoint, and whether it is the older generation for a reason.
fn found(directory: &Path) -> (u64, Option<String>) {
    let found = store::newest(directory).unwrap().unwrap();
    (found.checkpoint.step, found.remark)
}

#[test]
fn two_generations_are_kept_and_the_sound_one_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert_eq!(store::newest(folder.path()).unwrap(), None);
    for step in 1..=3 {
        store::write(folder.path(), &at_step(step)).unwrap();
        assert_eq!(found(folder.path()), (step, None));
    }
    assert_eq!(store::read(&at(PREVIOUS)).unwrap().step, 2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);

    // One flipped bit, anywhere.
    let sound = fs::read(at(NEWEST)).unwrap();
    for k in [0, 9, 13, 40, sound.len() / 2, sound.len() - 1] {
        let mut bytes = sound.clone();
        bytes[k] ^= 4;
        fs::write(at(NEWEST), &bytes).unwrap();
        let (step, remark) = found(folder.path());
        assert_eq!(step, 2, "byte {k}");
        let remark = remark.unwrap();
        assert!(
            remark.contains("state.ckpt: not a sound checkpoint"),
            "{remark}"
        );
    }
    // Cut short anywhere, or too long.
    for length in [0, 7, 15, 16, 60, sound.len() - 1] {
        fs::write(at(NEWEST), &sound[..length]).unwrap();
        assert_eq!(found(folder.path()).0, 2, "{length} bytes");
    }
    fs::write(at(NEWEST), [&sound[..], b"more"].concat()).unwrap();
    assert_eq!(found(folder.path()).0, 2);

    // The sound one takes the place of the other, so that the next one does not push it out.
    let path = store::newest(folder.path()).unwrap().unwrap().path;
    store::promote(folder.path(), &path).unwrap();
    assert_eq!(found(folder.path()), (2, None));
    store::write(folder.path(), &at_step(4)).unwrap();
    assert_eq!(store::read(&at(PREVIOUS)).unwrap().step, 2);

    // Killed between the two renames.
    fs::remove_file(at(NEWEST)).unwrap();
    assert_eq!(found(folder.path()), (2, None));

    fs::write(at(NEWEST), "nonsense").unwrap();
    fs::write(at(PREVIOUS), "").unwrap();
    let both = store::newest(folder.path()).unwrap_err().to_string();
    assert!(both.contains(NEWEST) && both.contains(PREVIOUS), "{both}");
}

#[test]
fn what_is_no_file_is_no_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(NEWEST)).unwrap();
    let message = store::newest(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("no plain file") && message.contains("before it"),
        "{message}"
    );
    std::os::unix::fs::symlink("/dev/zero", folder.path().join(PREVIOUS)).unwrap();
    assert!(store::newest(folder.path()).is_err());
}
