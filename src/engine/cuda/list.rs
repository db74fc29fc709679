//! The list of pairs on the card between two builds: how far atoms have come, and how long it will last.

use super::block::DeviceState;

/// The strain of a cell that is what it was.
const UNSTRAINED: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// A list of pairs since its build, as of the last read of the flags.
pub(super) struct ListAge {
    /// Squared displacement of an atom (square angstrom) before pairs may be missing, in a cell that is not strained.
    room: f64,
    /// Largest squared displacement, as f32 bits.
    pub reach: u32,
    /// Strain of the cell.
    pub strain: [[f64; 3]; 3],
    /// Squared displacement that the strain leaves room for.
    pub slack2: f64,
    /// Steps since the build.
    age: u64,
    /// Steps that the list before lasted.
    lasted: u64,
    /// Lists built so far.
    pub builds: u64,
}

impl ListAge {
    /// No list yet, of a `skin` (angstrom).
    pub fn new(skin: f64) -> Self {
        let room = 0.25 * skin * skin;
        Self {
            room,
            reach: 0,
            strain: UNSTRAINED,
            slack2: room,
            age: 0,
            lasted: 0,
            builds: 0,
        }
    }

    /// Begins anew with a list built from the present positions.
    pub fn renew(&mut self) {
        *self = Self {
            lasted: self.age,
            builds: self.builds + 1,
            strain: UNSTRAINED,
            slack2: self.room,
            age: 0,
            reach: 0,
            ..*self
        };
    }

    /// Takes over what the flags say.
    pub fn see(&mut self, state: &DeviceState) {
        self.reach = state.reach;
        (self.strain, self.slack2) = (state.strain, state.slack2);
    }

    /// Counts steps that were taken.
    pub fn pass(&mut self, steps: u64) {
        self.age += steps;
    }

    /// About how many steps the list will last from here on: nine tenths of the one before, until atoms have moved.
    pub fn left(&self) -> u64 {
        let reach = f64::from(f32::from_bits(self.reach)).sqrt();
        if self.age == 0 || reach == 0.0 {
            return self.lasted * 9 / 10;
        }
        ((self.slack2.max(0.0).sqrt() / reach - 1.0).max(0.0) * self.age as f64 * 0.8) as u64
    }
}
