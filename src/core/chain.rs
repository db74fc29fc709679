//! What chains of thermostats, and a piston that presses on the cell, are at one moment.

/// Most thermostats of a chain.
pub const MOST_LINKS: usize = 8;

/// Positions and velocities of the thermostats of a chain, from the one that acts on the system on; zero of those that a
/// chain does not have, and of all before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ChainState {
    /// Positions (dimensionless).
    pub positions: [f64; MOST_LINKS],
    /// Velocities (inverse time).
    pub velocities: [f64; MOST_LINKS],
}

impl ChainState {
    /// Whether all of it are numbers.
    pub fn is_finite(&self) -> bool {
        let mut all = self.positions.iter().chain(&self.velocities);
        all.all(|x| x.is_finite())
    }

    /// Whether no thermostat has moved yet.
    pub fn is_at_rest(&self) -> bool {
        *self == Self::default()
    }
}

/// A piston that is the size of the cell, with the chain of thermostats on it; at rest before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PistonState {
    /// Strain rate of the cell (inverse time).
    pub rate: f64,
    /// The chain.
    pub chain: ChainState,
}

impl PistonState {
    /// Whether all of it are numbers.
    pub fn is_finite(&self) -> bool {
        self.rate.is_finite() && self.chain.is_finite()
    }
}
