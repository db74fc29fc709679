//! Limits that control groups set on memory: those of a batch system or of a container.
//!
//! A process is in one group of version 2, or in one of version 1's memory controller, or in one of each; the limits of
//! all groups above hold as well. Files in the cache count as used, and are given up when memory is short.

use std::fs;
use std::path::{Path, PathBuf};

/// Room (bytes) that the groups of this process leave it; `None` where they set no limit.
pub(super) fn room() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    least(&read)
}

/// Memory that control groups leave, as the files say that `read` reads.
fn least(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let mounts = read(Path::new("/proc/self/mountinfo"))?;
    let rooms = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
        let version = match controllers {
            "" => &SECOND,
            list if list.split(',').any(|name| name == "memory") => &FIRST,
            _ => return None,
        };
        let (top, folder) = version.folder(&mounts, Path::new(group))?;
        let above = folder.ancestors().take_while(|f| f.starts_with(&top));
        above.filter_map(|folder| version.room(read, folder)).min()
    });
    rooms.min()
}

/// How a version of control groups names things.
struct Version {
    /// Type of its file system.
    system: &'static str,
    /// An option that its mount has.
    option: &'static str,
    limits: &'static [&'static str],
    used: &'static str,
    /// Lines of `memory.stat` that tell what can be given up.
    reclaimable: [&'static str; 2],
}

const SECOND: Version = Version {
    system: "cgroup2",
    option: "",
    limits: &["memory.max", "memory.high"],
    used: "memory.current",
    reclaimable: ["inactive_file", "active_file"],
};

const FIRST: Version = Version {
    system: "cgroup",
    option: "memory",
    limits: &["memory.limit_in_bytes"],
    used: "memory.usage_in_bytes",
    reclaimable: ["total_inactive_file", "total_active_file"],
};

impl Version {
    /// Where its file system is mounted, and the folder of a group in it.
    fn folder(&self, mounts: &str, group: &Path) -> Option<(PathBuf, PathBuf)> {
        mounts.lines().find_map(|line| {
            // Number, parent, device, root, mount point, options, tags, "-", type, source, options.
            let (before, after) = line.split_once(" - ")?;
            let mut before = before.split(' ').skip(3);
            let (root, point) = (before.next()?, before.next()?);
            let mut after = after.split(' ');
            let (system, options) = (after.next()?, after.nth(1).unwrap_or_default());
            let has = self.option.is_empty() || options.split(',').any(|o| o == self.option);
            if system != self.system || !has {
                return None;
            }
            // In a container the group may lie above what is mounted: then that is all there is to see.
            let inside = group.strip_prefix(root).unwrap_or(Path::new(""));
            let inside: PathBuf = (inside.components())
                .filter(|part| matches!(part, std::path::Component::Normal(_)))
                .collect();
            Some((PathBuf::from(point), Path::new(point).join(inside)))
        })
    }

    /// What the group of a folder has left; `None` without a limit.
    fn room(&self, read: &dyn Fn(&Path) -> Option<String>, folder: &Path) -> Option<u64> {
        let number = |name: &str| read(&folder.join(name))?.trim().parse::<u64>().ok();
        let limit = self.limits.iter().filter_map(|name| number(name)).min()?;
        let stat = read(&folder.join("memory.stat")).unwrap_or_default();
        let cached: u64 = (stat.lines())
            .filter_map(|line| line.split_once(' '))
            .filter(|(name, _)| self.reclaimable.contains(name))
            .filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok())
            .sum();
        let used = number(self.used)?.saturating_sub(cached);
        Some(limit.saturating_sub(used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn room_of(files: &[(&str, &str)]) -> Option<u64> {
        let files: HashMap<PathBuf, String> = (files.iter())
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
            .collect();
        least(&|path| files.get(path).cloned())
    }

    const MOUNTED: &str = "\
        25 20 0:22 / /proc rw - proc proc rw\n\
        30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
        31 20 0:27 / /cg1/memory rw shared:10 - cgroup cgroup rw,memory\n";

    /// The narrowest of all groups on the way up counts; files in the cache do not.
    #[test]
    fn the_second_version() {
        let files = [
            ("/proc/self/cgroup", "0::/slurm/job_7/step\n"),
            ("/proc/self/mountinfo", MOUNTED),
            ("/sys/fs/cgroup/slurm/job_7/step/memory.max", "max\n"),
            ("/sys/fs/cgroup/slurm/job_7/step/memory.current", "100\n"),
            ("/sys/fs/cgroup/slurm/job_7/memory.max", "5000\n"),
            ("/sys/fs/cgroup/slurm/job_7/memory.current", "3000\n"),
            (
                "/sys/fs/cgroup/slurm/job_7/memory.stat",
                "anon 900\ninactive_file 1500\nactive_file 500\n",
            ),
            ("/sys/fs/cgroup/slurm/memory.max", "90000\n"),
            ("/sys/fs/cgroup/slurm/memory.current", "1000\n"),
        ];
        assert_eq!(room_of(&files), Some(4000));
        assert_eq!(room_of(&files[..4]), None);
    }

    #[test]
    fn the_first_version() {
        let files = [
            (
                "/proc/self/cgroup",
                "7:cpu,cpuacct:/a\n5:memory:/docker/x\n0::/a\n",
            ),
            ("/proc/self/mountinfo", MOUNTED),
            (
                "/cg1/memory/docker/x/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("/cg1/memory/docker/x/memory.usage_in_bytes", "500\n"),
            ("/cg1/memory/docker/memory.limit_in_bytes", "2000\n"),
            ("/cg1/memory/docker/memory.usage_in_bytes", "600\n"),
            (
                "/cg1/memory/docker/memory.stat",
                "total_inactive_file 100\n",
            ),
        ];
        assert_eq!(room_of(&files), Some(1500));
    }

    /// In a container without a namespace of its own the paths are those of the host.
    #[test]
    fn a_group_above_what_is_mounted() {
        let files = [
            ("/proc/self/cgroup", "0::/docker/abc\n"),
            (
                "/proc/self/mountinfo",
                "30 20 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
            ),
            ("/sys/fs/cgroup/memory.max", "1000\n"),
            ("/sys/fs/cgroup/memory.current", "400\n"),
        ];
        assert_eq!(room_of(&files), Some(600));
        let other = [
            files[0],
            files[2],
            files[3],
            ("/proc/self/mountinfo", MOUNTED),
        ];
        assert_eq!(room_of(&other), Some(600));
    }
}
