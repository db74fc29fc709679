//! Files that cannot be trusted: run files, models and structures with slips and forgeries in them.
//! Whatever is in a file, reading it ends, soon, with a result or an error of one line: no panic, no
//! hang, no memory for sizes that only the file speaks of.
//!
//! `corpus/` holds files that once did harm, or were made to. Besides them every test makes its own from
//! good files, the same ones each time; `MDRUN_FUZZ=100` makes 100 times as many.

mod configs;
mod corpus;
mod models;
mod selections;
mod slips;
mod structures;

use std::fs;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use mdrun::Result;

use crate::support::allocator::largest_allocation;

/// Far longer than any file here takes; what takes longer hangs.
const HANGING: Duration = Duration::from_secs(120);

/// Memory (bytes) that reading any file may take at once, and so many times the file's length.
const ROOM: usize = 1 << 20;
const TIMES_LENGTH: usize = 64;

/// How many files are made, of so many by default.
fn tries(usual: u32) -> u32 {
    let times = std::env::var("MDRUN_FUZZ")
        .ok()
        .and_then(|n| n.parse().ok());
    usual.saturating_mul(times.unwrap_or(1))
}

/// Reads a file of so many bytes: `None` where it is refused, in one line, with something to go by.
#[track_caller]
fn survives<T>(what: &str, length: usize, read: impl FnOnce() -> Result<T>) -> Option<T> {
    let (read, largest) = watched(what, || largest_allocation(read));
    let most = ROOM + TIMES_LENGTH * length;
    assert!(
        largest <= most,
        "{what}: {largest} bytes at once for a file of {length}"
    );
    match read {
        Ok(read) => Some(read),
        Err(error) => {
            let error = error.to_string();
            assert!(!error.contains('\n') && error.len() > 10, "{what}: {error}");
            None
        }
    }
}

/// Writes a file anew. One that is cut to nothing and written again is brought to the disk by some file systems
/// (ext4) before the next step, which takes a hundred times as long.
fn put(path: &Path, bytes: &[u8]) {
    // The first time there is none.
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
}

/// Does `work`, or ends all tests, saying what hangs: no panic here would reach a thread that does.
fn watched<T>(what: &str, work: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let (done, wait) = sync_channel::<()>(1);
        scope.spawn(move || {
            if wait.recv_timeout(HANGING) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{what}: hangs");
                std::process::abort();
            }
        });
        let result = work();
        drop(done);
        result
    })
}
