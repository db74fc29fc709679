//! The thermo table of a run, followed as it grows: what was read is not read again, and a line that is not whole yet waits.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::analysis::Thinned;
use crate::report::own;

/// Bytes that are read at once.
const PIECE: usize = 1 << 16;
/// Longest line (bytes); what is longer is none.
const LONGEST_LINE: usize = 1 << 16;
/// Most members whose steps are kept.
const MOST_MEMBERS: usize = 1 << 24;

/// Columns of the course over time.
pub(super) const COURSES: [&str; 2] = ["conserved_energy_ev", "potential_energy_ev"];

/// A thermo table as far as it was read.
#[derive(Debug)]
pub(super) struct FollowedTable {
    path: PathBuf,
    /// Which file it is.
    identity: Option<(u64, u64)>,
    /// Bytes of it that were read.
    offset: u64,
    /// The beginning of a line that is not whole yet.
    rest: Vec<u8>,
    columns: Vec<String>,
    /// The newest line: a value for each column, where there is one.
    newest: Vec<Option<f64>>,
    /// The first value of each column.
    first: Vec<Option<f64>>,
    lines: u64,
    course: Thinned,
    /// Of many systems: the newest step of each.
    steps: Vec<u64>,
}

impl FollowedTable {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            identity: None,
            offset: 0,
            rest: Vec::new(),
            columns: Vec::new(),
            newest: Vec::new(),
            first: Vec::new(),
            lines: 0,
            course: Thinned::new(COURSES.len()),
            steps: Vec::new(),
        }
    }

    /// Forgets what was read.
    pub fn restart(&mut self) {
        *self = Self::new(std::mem::take(&mut self.path));
    }

    /// Reads what is new. A file that is another one, or shorter than it was, is read from its start; one that cannot be read
    /// has nothing new.
    pub fn follow(&mut self) {
        let _ = self.read();
    }

    fn read(&mut self) -> io::Result<()> {
        let mut file = own::open(File::options().read(true), &self.path)?;
        let found = file.metadata()?;
        let identity = Some((found.dev(), found.ino()));
        if self.identity != identity || found.len() < self.offset {
            self.restart();
            self.identity = identity;
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut piece = vec![0; PIECE];
        loop {
            let count = file.read(&mut piece)?;
            if count == 0 {
                return Ok(());
            }
            self.offset += count as u64;
            self.take(&piece[..count]);
        }
    }

    /// Takes in the bytes that follow.
    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let mut line = std::mem::take(&mut self.rest);
            line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            if let Ok(line) = std::str::from_utf8(&line) {
                self.take_line(line);
            }
        }
        if self.rest.len() + bytes.len() <= LONGEST_LINE {
            self.rest.extend_from_slice(bytes);
        }
    }

    fn take_line(&mut self, line: &str) {
        if self.columns.is_empty() {
            self.columns = line.split(',').map(str::to_owned).collect();
            self.first = vec![None; self.columns.len()];
            return;
        }
        let values: Vec<Option<f64>> = line.split(',').map(|cell| cell.parse().ok()).collect();
        if values.len() != self.columns.len() {
            return;
        }
        self.lines += 1;
        for (first, value) in self.first.iter_mut().zip(&values) {
            *first = first.or(*value);
        }
        self.newest = values;
        if self.is_of_many() {
            self.take_member();
        } else if let (Some(time), [Some(conserved), Some(potential)]) =
            (self.value("time_fs"), COURSES.map(|name| self.value(name)))
        {
            self.course.add(time, [conserved, potential]);
        }
    }

    fn take_member(&mut self) {
        let (Some(member), Some(step)) = (self.value("member"), self.value("step")) else {
            return;
        };
        let member = member as usize;
        if member < MOST_MEMBERS {
            let count = self.steps.len().max(member + 1);
            self.steps.resize(count, 0);
            self.steps[member] = step as u64;
        }
    }

    fn is_of_many(&self) -> bool {
        self.columns.first().is_some_and(|name| name == "member")
    }

    fn at(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The newest value of a column.
    pub fn value(&self, name: &str) -> Option<f64> {
        *self.newest.get(self.at(name)?)?
    }

    /// The first value of a column.
    pub fn first(&self, name: &str) -> Option<f64> {
        *self.first.get(self.at(name)?)?
    }

    /// Lines so far, the names of the columns aside.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Steps taken, of all members together; 0 before the first line.
    pub fn progress(&self) -> u64 {
        match self.is_of_many() {
            true => self.steps.iter().sum(),
            false => self.value("step").unwrap_or(0.0) as u64,
        }
    }

    /// Of many systems: the newest step of each that has one.
    pub fn steps(&self) -> &[u64] {
        &self.steps
    }

    /// The course of a column of [`COURSES`]: times (fs) and values.
    pub fn course(&self, column: usize) -> Vec<[f64; 2]> {
        let points = self.course.points().iter();
        points.map(|point| [point[0], point[column + 1]]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const HEADER: &str = "step,time_fs,potential_energy_ev,conserved_energy_ev,temperature_k\n";

    fn append(path: &std::path::Path, text: &str) {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_table_is_followed_line_by_line_whatever_is_half_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thermo.csv");
        let mut table = FollowedTable::new(path.clone());
        table.follow();
        assert_eq!((table.lines(), table.progress()), (0, 0));
        append(&path, HEADER);
        let text = "0,0,-1.5,-1,300\n10,5,-1.25,-1.0625,280\n20,10,-2,-1.125,\n";
        for (k, letter) in text.char_indices() {
            append(&path, &letter.to_string());
            table.follow();
            let whole = text[..=k].matches('\n').count() as u64;
            assert_eq!(table.lines(), whole, "{k}");
        }
        assert_eq!(table.progress(), 20);
        assert_eq!(table.value("temperature_k"), None);
        assert_eq!(table.first("temperature_k"), Some(300.0));
        assert_eq!(
            table.course(0),
            [[0.0, -1.0], [5.0, -1.0625], [10.0, -1.125]]
        );
        assert_eq!(table.course(1)[1], [5.0, -1.25]);
        // What was read is not read again: other bytes there are not seen.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEADER.len()..HEADER.len() + 4].copy_from_slice(b"9,9,");
        std::fs::write(&path, bytes).unwrap();
        append(&path, "30,15,-2,-1,1\n");
        table.follow();
        assert_eq!((table.lines(), table.first("step")), (4, Some(0.0)));
    }

    #[test]
    fn a_table_that_was_cut_or_replaced_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thermo.csv");
        append(&path, &format!("{HEADER}0,0,1,1,1\n10,5,1,1,1\n"));
        let mut table = FollowedTable::new(path.clone());
        table.follow();
        assert_eq!(table.progress(), 10);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(HEADER.len() as u64 + 10).unwrap();
        table.follow();
        assert_eq!((table.progress(), table.lines()), (0, 1));
        std::fs::rename(&path, folder.path().join("old.csv")).unwrap();
        append(
            &path,
            &format!("{HEADER}0,0,1,1,1\n7,5,1,1,1\n8,6,1,1,1\n9,6,1,1,1\n"),
        );
        table.follow();
        assert_eq!((table.progress(), table.lines()), (9, 4));
    }

    #[test]
    fn steps_of_many_systems_are_those_of_each() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thermo.csv");
        append(&path, "member,step,time_fs\n0,0,0\n2,0,0\n0,10,5\n2,20,5\n");
        let mut table = FollowedTable::new(path);
        table.follow();
        assert_eq!(table.steps(), [10, 0, 20]);
        assert_eq!(table.progress(), 30);
    }
}
