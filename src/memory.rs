//! The memory of this process, and what is left of the machine's, as far as the system tells (Linux).
//!
//! What is going to be allocated is looked at before it is: the system would end the process without a word, or
//! with the words of whatever allocation happened to be the first without room.

mod groups;

use std::fs::{read_to_string, write};
use std::io::{self, ErrorKind};
use std::path::Path;

use indicatif::HumanBytes;

use crate::core::{Cell, Vec3};
use crate::neighbors::{BYTES_PER_NEIGHBOR, expected_neighbors};
use crate::{Error, Result, input};

/// Least memory (bytes) that an atom takes apart from its pairs and the potential's arrays: positions, velocities,
/// forces and the cells they are sorted into, the engine's saved copy, the structure and a frame on its way to a file.
const BYTES_PER_ATOM: f64 = 400.0;
/// Memory (bytes) of a pair within the cutoff: three indices, vector and distance.
const BYTES_PER_PAIR: f64 = 44.0;

/// Most memory (bytes) that this process has held since it began, or since [`forget_peak`].
pub fn peak() -> Option<u64> {
    kibibytes("/proc/self/status", "VmHWM:")
}

/// Forgets the largest memory use so far, where the system can.
pub fn forget_peak() {
    // Where it fails the peak is that of the whole process: still a true bound.
    let _ = write("/proc/self/clear_refs", "5");
}

/// Memory (bytes) that this process can still take: what the machine has left, within the limits of its
/// control groups (of both versions) and of its own address space and data (`ulimit -v`, `ulimit -d`).
pub fn available() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};
    let machine = kibibytes("/proc/meminfo", "MemAvailable:")?;
    let own = |resource, used| {
        let limit = getrlimit(resource).current?;
        Some(limit.saturating_sub(kibibytes("/proc/self/status", used)?))
    };
    let limits = [
        groups::room(),
        own(Resource::As, "VmSize:"),
        own(Resource::Data, "VmData:"),
        promised(),
    ];
    Some(limits.into_iter().flatten().fold(machine, u64::min))
}

/// What may still be promised to processes, where the system promises no more than it has.
fn promised() -> Option<u64> {
    let strict = read_to_string("/proc/sys/vm/overcommit_memory").ok()?;
    if strict.trim() != "2" {
        return None;
    }
    let limit = kibibytes("/proc/meminfo", "CommitLimit:")?;
    Some(limit.saturating_sub(kibibytes("/proc/meminfo", "Committed_AS:")?))
}

/// The number of kB on the line that begins like this.
fn kibibytes(path: &str, label: &str) -> Option<u64> {
    let text = read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// Reads a plain file that fits into the memory that is left so many `times`, with what is made of it.
///
/// # Errors
/// As for [`input::read`]; the file is larger than what is left has room for.
pub fn read(path: &Path, times: u64) -> io::Result<Vec<u8>> {
    read_within(path, times, available())
}

/// Does what [`read`] does, with so much memory (bytes) left.
fn read_within(path: &Path, times: u64, left: Option<u64>) -> io::Result<Vec<u8>> {
    let most = left.map_or(u64::MAX, |bytes| bytes / times.max(1));
    input::read(path, most).map_err(|fault| match (fault.kind(), left) {
        (ErrorKind::FileTooLarge, Some(left)) => io::Error::new(
            ErrorKind::OutOfMemory,
            format!(
                "it takes more memory than the {} that are left: give the process more (`ulimit -v` and the job's \
                 limit tell what it has)",
                HumanBytes(left)
            ),
        ),
        _ => fault,
    })
}

/// What a potential keeps for a system, each atom and each pair within its cutoff (bytes), at the least.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Appetite {
    /// For the system, whatever its size.
    pub system: f64,
    /// For each atom.
    pub atom: f64,
    /// For each ordered pair.
    pub pair: f64,
}

/// Fails where there is no room for a system and what is to be computed of it: pairs within `cutoff`, found from
/// neighbours within `skin` more (angstrom), and the arrays of the potential.
///
/// # Errors
/// There is no room; or positions or cell are of no use for a search.
pub fn check(
    cell: &Cell,
    positions: &[Vec3],
    (cutoff, skin): (f64, f64),
    appetite: Appetite,
) -> Result<()> {
    let atoms = positions.len() as f64;
    require(least(atoms, 0.0, appetite), || format!("{atoms} atoms"))?;
    let (bytes, neighbors) = foreseen(cell, positions, (cutoff, skin), appetite)?;
    let range = cutoff + skin;
    require(bytes, || {
        format!(
            "{atoms} atoms and their {neighbors:.1e} neighbours within {range} A (cutoff and skin)"
        )
    })
}

/// The memory (bytes) of a system and of what is to be computed of it, as [`check`] foresees it.
///
/// # Errors
/// Positions or cell are of no use for a search.
pub fn of_system(
    cell: &Cell,
    positions: &[Vec3],
    reach: (f64, f64),
    appetite: Appetite,
) -> Result<f64> {
    foreseen(cell, positions, reach, appetite).map(|(bytes, _)| bytes)
}

/// Memory (bytes) of a system, and its neighbours within cutoff and skin.
fn foreseen(
    cell: &Cell,
    positions: &[Vec3],
    (cutoff, skin): (f64, f64),
    appetite: Appetite,
) -> Result<(f64, f64)> {
    let neighbors = expected_neighbors(cell, positions, cutoff + skin)?;
    let pairs = match skin > 0.0 {
        true => expected_neighbors(cell, positions, cutoff)?,
        false => neighbors,
    };
    let spare = (neighbors - pairs).max(0.0) * BYTES_PER_NEIGHBOR;
    let least = least(positions.len() as f64, pairs, appetite);
    Ok((least + spare, neighbors))
}

/// Memory (bytes) that so many atoms and pairs take, at the least.
pub fn least(atoms: f64, pairs: f64, appetite: Appetite) -> f64 {
    appetite.system
        + atoms * (BYTES_PER_ATOM + appetite.atom)
        + pairs * (BYTES_PER_NEIGHBOR + BYTES_PER_PAIR + appetite.pair)
}

/// Fails where fewer than so many bytes are left for something.
///
/// # Errors
/// Fewer are left.
pub fn require(bytes: f64, what: impl FnOnce() -> String) -> Result<()> {
    match available() {
        Some(available) if bytes > available as f64 => Err(Error::input(format!(
            "{} take at least {} of memory, and {} are left: use a smaller system, cutoff or skin, or give the \
             process more",
            what(),
            HumanBytes(bytes as u64),
            HumanBytes(available)
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of five bytes: an error speaks of the memory that is left, not of what the file is for.
    #[test]
    fn a_file_is_read_where_there_is_room_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, "12345").unwrap();
        for (times, left, fits) in [
            (1, Some(5), true),
            (2, Some(10), true),
            (2, Some(9), false),
            (1, Some(4), false),
            (2, None, true),
        ] {
            match read_within(&path, times, left) {
                Ok(bytes) => assert!(fits && bytes == b"12345", "{times} {left:?}"),
                Err(fault) => {
                    assert!(!fits, "{fault}");
                    assert_eq!(fault.kind(), ErrorKind::OutOfMemory);
                    let fault = fault.to_string();
                    assert!(fault.contains(" B that are left"), "{fault}");
                    assert!(!fault.contains("such file"), "{fault}");
                }
            }
        }
    }
}
