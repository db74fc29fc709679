//! The list of pairs on the card between two builds: how far atoms have come, and how long it will last.

/// A list of pairs since its build, as of the last read of the flags.
#[derive(Default)]
pub(super) struct ListAge {
    /// Largest squared displacement, as f32 bits.
    pub reach: u32,
    /// Steps since the build.
    age: u64,
    /// Steps that the list before lasted.
    lasted: u64,
    /// Lists built so far.
    pub builds: u64,
}

impl ListAge {
    /// Begins anew with a list built from the present positions.
    pub fn renew(&mut self) {
        *self = Self {
            lasted: self.age,
            builds: self.builds + 1,
            age: 0,
            reach: 0,
        };
    }

    /// Counts steps that were taken.
    pub fn pass(&mut self, steps: u64) {
        self.age += steps;
    }

    /// About how many steps the list will last from here on, where pairs may be missing beyond a squared displacement (square
    /// angstrom): nine tenths of the one before, until atoms have moved.
    pub fn left(&self, slack2: f64) -> u64 {
        let reach = f64::from(f32::from_bits(self.reach)).sqrt();
        if self.age == 0 || reach == 0.0 {
            return self.lasted * 9 / 10;
        }
        ((slack2.max(0.0).sqrt() / reach - 1.0).max(0.0) * self.age as f64 * 0.8) as u64
    }
}
