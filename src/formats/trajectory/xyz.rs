//! Frames of extended XYZ, line by line.

use std::io::{BufRead as _, Read as _};

use super::{Bytes, FrameRead, FrameSource, TrajectoryAbout, other_atoms, unreadable};
use crate::core::{Cell, Mat3, Snapshot, Vec3};
use crate::formats::fields::shorten;
use crate::formats::xyz::columns::Columns;
use crate::formats::xyz::comment::Keys;
use crate::{Error, Result};

/// Longest line (bytes).
const LONGEST_LINE: u64 = 1 << 20;

/// Reads frames.
pub(super) struct XyzFrames {
    bytes: Bytes,
    about: TrajectoryAbout,
    line: Vec<u8>,
    /// Lines that have been read.
    lines: u64,
    /// The columns, and the text that told them.
    columns: Option<(String, Columns)>,
    /// Symbol and mass of each atom, as the first frame has them.
    atoms: Vec<(String, f64)>,
}

impl XyzFrames {
    pub(super) fn new(bytes: Bytes, about: &TrajectoryAbout) -> Self {
        Self {
            bytes,
            about: *about,
            line: Vec::new(),
            lines: 0,
            columns: None,
            atoms: Vec::new(),
        }
    }

    /// Reads a line; false where the file ends before its end.
    fn read_line(&mut self) -> Result<bool> {
        self.line.clear();
        let mut some = (&mut self.bytes.file).take(LONGEST_LINE);
        let read = some.read_until(b'\n', &mut self.line);
        let count = read.map_err(|e| unreadable(&e))?;
        self.bytes.position += count as u64;
        self.lines += 1;
        let whole = self.line.pop_if(|byte| *byte == b'\n').is_some();
        if !whole && count as u64 == LONGEST_LINE {
            return Err(self.at_line("is too long: the file is damaged"));
        }
        Ok(whole)
    }

    /// The line that was read last.
    fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.line)
            .map_err(|_| self.at_line("is not text: the file is damaged"))
    }

    fn at_line(&self, what: &str) -> Error {
        Error::input(format!("line {} {what}", self.lines))
    }

    /// Reads the comment line: step, time and cell.
    fn comment(&mut self, frame: &mut Snapshot) -> Result<()> {
        let keys = Keys::parse(self.text()?)?;
        let vectors = keys.lattice()?;
        let periodic = keys.periodic(vectors.is_some())?;
        frame.cell = Cell::new(vectors.unwrap_or_else(Mat3::zeros), periodic)?;
        let step = keys.value("step")?.and_then(|step| step.parse().ok());
        frame.step = step.ok_or_else(|| {
            Error::input("its comment tells no step (step=...): no run has written it")
        })?;
        frame.time = frame.step as f64 * self.about.timestep;
        let told = keys.value("Properties")?.unwrap_or_default();
        if self.columns.as_ref().is_none_or(|(text, _)| text != told) {
            self.columns = Some((told.to_owned(), Columns::new(&keys)?));
        }
        Ok(())
    }

    /// Reads the line of an atom.
    fn atom(&mut self, k: usize, frame: &mut Snapshot) -> Result<()> {
        let Some((_, columns)) = &self.columns else {
            return Ok(());
        };
        let row = self.text()?;
        let (position, velocity) = match self.atoms.get(k) {
            Some((symbol, mass)) => columns.moved(row, symbol, *mass)?,
            None => {
                let atom = columns.read(row)?;
                let known = (atom.label.to_owned(), atom.element.1);
                let moved = (atom.position, atom.velocity);
                self.atoms.push(known);
                moved
            }
        };
        frame.positions.push(position);
        frame.velocities.extend(velocity);
        Ok(())
    }
}

impl FrameSource for XyzFrames {
    fn next(&mut self, frame: &mut Snapshot) -> Result<FrameRead> {
        if !self.read_line()? {
            return Ok(match self.line.is_empty() {
                true => FrameRead::End,
                false => FrameRead::Cut,
            });
        }
        let count = self.text()?.trim();
        if count.parse() != Ok(self.about.atoms) {
            return Err(match count.parse::<usize>() {
                Ok(count) => other_atoms(count, self.about.atoms),
                Err(_) => Error::input(format!("{:?} is not a number of atoms", shorten(count)))
                    .within(format!("line {}", self.lines)),
            });
        }
        if !self.read_line()? {
            return Ok(FrameRead::Cut);
        }
        self.comment(frame)
            .map_err(|e| e.within(format!("line {}", self.lines)))?;
        frame.positions.clear();
        frame.velocities.clear();
        for k in 0..self.about.atoms {
            if !self.read_line()? {
                return Ok(FrameRead::Cut);
            }
            self.atom(k, frame)
                .map_err(|e| e.within(format!("line {}: atom {k}", self.lines)))?;
        }
        let finite = |list: &[Vec3]| list.iter().flatten().all(|x| x.is_finite());
        match finite(&frame.positions) && finite(&frame.velocities) {
            true => Ok(FrameRead::One),
            false => Err(Error::input("a number in it is not finite")),
        }
    }

    fn position(&self) -> u64 {
        self.bytes.position
    }
}
