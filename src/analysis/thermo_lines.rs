//! A thermo table line by line, as it lies in a run's directory: all of it, or stretches of one that is long.

use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::{Error, Result, input};

/// Longest line (bytes).
const LONGEST_LINE: u64 = 1 << 16;
/// Bytes of a stretch, where not all of a table is read.
const STRETCH: u64 = 1 << 16;

/// The column of time.
pub const TIME: &str = "time_fs";
/// The column of stages' names.
const STAGE: &str = "stage";

/// What was found of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRead {
    /// The names of its columns.
    pub names: Vec<String>,
    /// Whether its last line was cut short, and left out.
    pub cut: bool,
    /// Whether all of its lines were shown, up to where enough was seen.
    pub whole: bool,
}

/// Shows the lines of a table, empty cells as NaN, until `see` has seen enough; gives the names of its columns, and whether the
/// last line was cut short.
///
/// # Errors
/// It cannot be read, or a line is none of a table. The message names file and line.
pub fn read_all(
    path: &Path,
    see: impl FnMut(&[f64]) -> Result<bool>,
) -> Result<(Vec<String>, bool)> {
    let read = read(path, u64::MAX, see)?;
    Ok((read.names, read.cut))
}

/// The names of a table's columns.
///
/// # Errors
/// As for [`read_all`].
pub fn header(path: &Path) -> Result<Vec<String>> {
    Ok(read(path, u64::MAX, |_| Ok(true))?.names)
}

/// Does as [`read_all`], but reads some `most` bytes of a table that is longer, in stretches that lie evenly in it.
///
/// # Errors
/// As for [`read_all`].
pub fn read(
    path: &Path,
    most: u64,
    mut see: impl FnMut(&[f64]) -> Result<bool>,
) -> Result<TableRead> {
    let within = |e: Error| e.within(path.display());
    let fault = |e: std::io::Error| Error::input(e.to_string()).within(path.display());
    let (file, bytes) = input::open(path).map_err(fault)?;
    let mut lines = Lines {
        file: BufReader::with_capacity(STRETCH as usize, file),
        line: String::new(),
        place: 0,
        number: Some(0),
    };
    if lines.next().map_err(fault)? != Some(true) {
        return Err(within(Error::input(
            "it has no line of names: the run has not begun",
        )));
    }
    let names: Vec<String> = lines
        .line
        .trim_end()
        .split(',')
        .map(str::to_owned)
        .collect();
    let mut read = TableRead {
        names,
        cut: false,
        whole: bytes <= most,
    };
    // Stretches begin evenly, the first at the beginning, the last so that it has the end.
    let stretches = match read.whole {
        true => 1,
        false => (most / STRETCH).max(2),
    };
    let begin = |k: u64| {
        let last = bytes.saturating_sub(STRETCH);
        (u128::from(last) * u128::from(k) / u128::from((stretches - 1).max(1))) as u64
    };
    let mut stretch = 0;
    let mut within_stretch = lines.line.len() as u64;
    let mut row = Vec::new();
    let words = read.names.iter().position(|name| name == STAGE);
    loop {
        if within_stretch >= STRETCH && stretch + 1 < stretches {
            stretch += 1;
            if begin(stretch) > lines.place {
                lines.skip_to(begin(stretch)).map_err(fault)?;
            }
            within_stretch = 0;
        }
        match lines.next().map_err(fault)? {
            None => break,
            Some(false) => {
                read.cut = true;
                break;
            }
            Some(true) => {}
        }
        within_stretch += lines.line.len() as u64;
        lines
            .cells(&mut row, (read.names.len(), words))
            .map_err(|e| within(Error::input(e)))?;
        if see(&row)? {
            break;
        }
    }
    Ok(read)
}

/// A file that is read line by line.
struct Lines {
    file: BufReader<std::fs::File>,
    line: String,
    /// Where the next one begins (bytes).
    place: u64,
    /// Lines that were read; `None` behind a leap.
    number: Option<u64>,
}

impl Lines {
    /// Reads the next line; `None` at the end, false where it is not whole.
    fn next(&mut self) -> std::io::Result<Option<bool>> {
        self.line.clear();
        let read = (&mut self.file)
            .take(LONGEST_LINE)
            .read_line(&mut self.line)?;
        self.place += read as u64;
        self.number = self.number.map(|number| number + 1);
        Ok((read > 0).then_some(self.line.ends_with('\n')))
    }

    /// Goes on with the first line that begins behind a place.
    fn skip_to(&mut self, place: u64) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(place))?;
        let mut rest = Vec::new();
        let read = (&mut self.file)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut rest)?;
        self.place = place + read as u64;
        self.number = None;
        Ok(())
    }

    /// The cells of the line, of which so many are wanted; what is in the column of words is no number.
    fn cells(
        &self,
        row: &mut Vec<f64>,
        (wanted, words): (usize, Option<usize>),
    ) -> std::result::Result<(), String> {
        let place = || {
            self.number
                .map_or_else(|| "a line".to_owned(), |number| format!("line {number}"))
        };
        row.clear();
        for (k, cell) in self.line.trim_end().split(',').enumerate() {
            row.push(match cell {
                _ if words == Some(k) => f64::NAN,
                "" => f64::NAN,
                cell => {
                    (cell.parse()).map_err(|_| format!("{}: {cell:?} is not a number", place()))?
                }
            });
        }
        match row.len() == wanted {
            true => Ok(()),
            false => Err(format!(
                "{} has {} cells, and {wanted} are wanted",
                place(),
                row.len()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lines: u64) -> String {
        let mut text = "step,time_fs\n".to_owned();
        for k in 0..lines {
            text += &format!("{k},{}.25\n", 2 * k);
        }
        text
    }

    /// A long table is read in stretches from its beginning to its end, whole lines alone, each once at most.
    #[test]
    fn a_long_table_is_read_in_stretches() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thermo.csv");
        std::fs::write(&path, table(400_000)).unwrap();
        let mut steps = Vec::new();
        let read = read(&path, 10 * STRETCH, |row| {
            assert_eq!(row[1], 2.0 * row[0] + 0.25);
            steps.push(row[0]);
            Ok(false)
        });
        let all = read_all(&path, |_| Ok(false));
        let read = read.unwrap();
        assert_eq!(read.names, ["step", "time_fs"]);
        assert!(!read.whole && !read.cut);
        assert!(steps.is_sorted_by(|a, b| a < b));
        assert_eq!((steps[0], *steps.last().unwrap()), (0.0, 399_999.0));
        let part = steps.len() as f64 / 400_000.0;
        assert!((0.05..0.15).contains(&part), "{part}");
        // No gap is longer than it has to be.
        let gap = steps
            .windows(2)
            .map(|two| two[1] - two[0])
            .fold(0.0, f64::max);
        assert!(gap < 50_000.0, "{gap}");
        assert_eq!(all.unwrap().0, ["step", "time_fs"]);
    }
}
