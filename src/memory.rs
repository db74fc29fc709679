//! The memory of this process, and what is left of the machine's, as far as the system tells (Linux).

use std::fs::{read_to_string, write};

use indicatif::HumanBytes;

use crate::core::{Cell, Vec3};
use crate::neighbors::{BYTES_PER_NEIGHBOR, expected_neighbors};
use crate::{Error, Result};

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
/// control group and of its own address space.
pub fn available() -> Option<u64> {
    let machine = kibibytes("/proc/meminfo", "MemAvailable:")?;
    let group = || Some(number(GROUP_LIMIT)?.saturating_sub(number(GROUP_USE)?));
    let own = || {
        let limit = rustix::process::getrlimit(rustix::process::Resource::As).current?;
        Some(limit.saturating_sub(kibibytes("/proc/self/status", "VmSize:")?))
    };
    let limits = [group(), own()].into_iter().flatten();
    Some(limits.fold(machine, u64::min))
}

const GROUP_LIMIT: &str = "/sys/fs/cgroup/memory.max";
const GROUP_USE: &str = "/sys/fs/cgroup/memory.current";

fn number(path: &str) -> Option<u64> {
    read_to_string(path).ok()?.trim().parse().ok()
}

/// The number of kB on the line that begins like this.
fn kibibytes(path: &str, label: &str) -> Option<u64> {
    let text = read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// That there is room for the list of neighbours within `range` (angstrom), before it is built: the
/// system would end the process without a word.
///
/// # Errors
/// There is none; or positions or cell are of no use for a search.
pub fn check_neighbors(cell: &Cell, positions: &[Vec3], range: f64) -> Result<()> {
    let neighbors = expected_neighbors(cell, positions, range)?;
    let needed = (neighbors * BYTES_PER_NEIGHBOR) as u64;
    match available() {
        Some(available) if needed > available => Err(Error::input(format!(
            "{} atoms have about {neighbors:.1e} neighbours within {range} A (cutoff and skin), which take \
             at least {}, and {} of memory are left: use a smaller system, cutoff or skin",
            positions.len(),
            HumanBytes(needed),
            HumanBytes(available)
        ))),
        _ => Ok(()),
    }
}
