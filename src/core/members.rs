//! The systems that a state is made of: one, or several side by side.

use std::ops::Range;

use super::{Cell, ChainState, Mat3, PistonState};
use crate::{Error, Result};

/// What thermostat, barostat and moving springs have put into a system, and what they go on from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Kept {
    /// Energy that thermostat and drift removal have put in since step 0 (eV).
    pub heat: f64,
    /// Work that a barostat's strains of the cell have done since step 0 (eV).
    pub work: f64,
    /// Work that moving springs have done since step 0 (eV).
    pub pulled: f64,
    /// What the last strain added to the pressure tensor (eV / cubic angstrom); symmetric, zero before the first.
    pub response: Mat3,
    /// The chain of thermostats on the atoms.
    pub chain: ChainState,
    /// The piston that presses on the cell.
    pub piston: PistonState,
}

impl Kept {
    /// Whether all of it are numbers.
    pub fn is_finite(&self) -> bool {
        let response = self.response.iter().all(|x| x.is_finite());
        let energies = [self.heat, self.work, self.pulled];
        let extended = self.chain.is_finite() && self.piston.is_finite();
        energies.iter().all(|x| x.is_finite()) && response && extended
    }
}

/// One system: which atoms are its own, and what of its state is not an array of theirs.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Indices of its atoms.
    pub atoms: Range<usize>,
    /// Number among the systems that share a seed: each draws noise of its own.
    pub replica: u32,
    /// Cell and periodic directions.
    pub cell: Cell,
    /// What was put in so far.
    pub kept: Kept,
}

/// Systems that do not see each other, in one set of arrays. Their atoms lie one member after another, without gaps.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Members(Vec<Member>);

impl Members {
    /// One system alone, of replica 0, into which nothing was put so far.
    pub fn alone(atoms: usize, cell: Cell) -> Self {
        Self::default().and(atoms, 0, cell)
    }

    /// Adds a system behind the others, into which nothing was put so far.
    pub fn and(mut self, atoms: usize, replica: u32, cell: Cell) -> Self {
        let first = self.atoms();
        self.0.push(Member {
            atoms: first..first + atoms,
            replica,
            cell,
            kept: Kept::default(),
        });
        self
    }

    /// Adds a system behind the others as it is: its own atoms are as many as before.
    pub fn push(&mut self, member: Member) {
        let first = self.atoms();
        self.0.push(Member {
            atoms: first..first + member.atoms.len(),
            ..member
        });
    }

    /// Number of atoms of all members.
    pub fn atoms(&self) -> usize {
        self.0.last().map_or(0, |member| member.atoms.end)
    }

    /// The members, in the order of their atoms.
    pub fn all(&self) -> &[Member] {
        &self.0
    }

    /// The members to change, in the order of their atoms.
    pub fn all_mut(&mut self) -> &mut [Member] {
        &mut self.0
    }

    /// The only member.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn only(&self) -> Result<&Member> {
        match self.0.as_slice() {
            [member] => Ok(member),
            several => Err(Error::input(format!(
                "{} systems at once, where one is taken: run them one by one",
                several.len()
            ))),
        }
    }
}
