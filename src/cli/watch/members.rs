//! The members of a batch as `members.csv` has them.

use std::path::Path;

use crate::input;
use crate::report::names;

/// Longest table that is read (bytes).
const LONGEST: u64 = 1 << 28;
/// Words for where a member is, in the order in which they are shown.
pub(super) const STAGES: [&str; 5] = ["running", "complete", "failed", "interrupted", "waiting"];

/// What is known of the members of a batch.
#[derive(Debug, Default)]
pub(super) struct WatchedMembers {
    /// How many are at each of [`STAGES`].
    pub counts: [u64; STAGES.len()],
    /// Numbers of those that have ended.
    pub ended: Vec<usize>,
    /// Number, name and remark of those that failed.
    pub failed: Vec<[String; 3]>,
}

impl WatchedMembers {
    /// Reads the table, which is written whole or not at all, where it is there.
    pub fn read(&mut self, directory: &Path) {
        let Ok(bytes) = input::read(&directory.join(names::MEMBERS_TABLE), LONGEST) else {
            return;
        };
        *self = Self::of(&String::from_utf8_lossy(&bytes));
    }

    fn of(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines().skip(1) {
            let cells = cells(line);
            let [index, name, _, status, ..] = &cells[..] else {
                continue;
            };
            let Some(stage) = STAGES.iter().position(|stage| stage == status) else {
                continue;
            };
            found.counts[stage] += 1;
            if matches!(STAGES[stage], "complete" | "failed") {
                found.ended.extend(index.parse::<usize>());
            }
            if STAGES[stage] == "failed" {
                let remark = cells.last().cloned().unwrap_or_default();
                found.failed.push([index.clone(), name.clone(), remark]);
            }
        }
        found
    }
}

/// The cells of a line, some of them in quotes.
fn cells(line: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = found.len() - 1;
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => found[last].extend(letters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(String::new()),
            _ => found[last].push(letter),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_counted_and_the_failed_are_named() {
        let members = WatchedMembers::of(
            "index,name,atoms,status,steps,a,b,c,remark\n\
             0,\"a, \"\"b\"\".xyz\",9,failed,3,,,,\"too hot, too fast\"\n\
             1,\"c\",9,running,3,,,,\n2,\"c\",9,complete,9,1,2,3,\n3,\"d\",9,waiting,0,,,,\n4,\"d",
        );
        assert_eq!(members.counts, [1, 1, 1, 0, 1]);
        assert_eq!(members.ended, [0, 2]);
        let failed = ["0", "a, \"b\".xyz", "too hot, too fast"].map(str::to_owned);
        assert_eq!(members.failed, [failed]);
    }
}
