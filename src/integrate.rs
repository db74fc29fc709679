//! An integrator is data: the list of operators that make up one step.
//!
//! Splittings follow Leimkuhler and Matthews, "Robust and efficient configurational molecular
//! sampling via Langevin dynamics", J. Chem. Phys. 138, 174102 (2013). B is a kick, A a drift, O the
//! Ornstein-Uhlenbeck process, F the evaluation of forces.

/// One operator of a step. Times are in angstrom sqrt(u / eV).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// B: v += t F / m.
    Kick(f64),
    /// A: r += t v.
    Drift(f64),
    /// O: v = c v + sqrt((1 - c^2) kT / m) xi, with xi standard normal.
    Noise {
        /// exp(-friction t), dimensionless.
        c: f64,
        /// Temperature kT (eV).
        kt: f64,
    },
    /// F: forces at the present positions.
    Forces,
    /// Subtracts the velocity of the centre of mass at the end of every so many steps.
    RemoveDrift {
        /// Steps between removals, at least 1.
        every: u64,
    },
}

/// One step, as operators from first to last. The last drift is followed by an evaluation of the
/// forces, so that a state after a step holds forces at its positions.
#[derive(Debug, Clone, PartialEq)]
pub struct Integrator(pub Vec<Op>);

/// Velocity Verlet, B A F B: microcanonical dynamics (Swope et al., J. Chem. Phys. 76, 637 (1982)).
pub fn nve(timestep: f64) -> Integrator {
    let half = 0.5 * timestep;
    Integrator(vec![
        Op::Kick(half),
        Op::Drift(timestep),
        Op::Forces,
        Op::Kick(half),
    ])
}

/// Langevin dynamics, B A O A F B (BAOAB): canonical sampling at `kt` (eV) with `friction` in inverse
/// time. Configurational averages are exact to second order in the step, and to fourth order for
/// harmonic forces.
pub fn langevin(timestep: f64, kt: f64, friction: f64) -> Integrator {
    let half = 0.5 * timestep;
    let c = (-friction * timestep).exp();
    Integrator(vec![
        Op::Kick(half),
        Op::Drift(half),
        Op::Noise { c, kt },
        Op::Drift(half),
        Op::Forces,
        Op::Kick(half),
    ])
}

impl Integrator {
    /// Time that one step takes: the sum of its drifts.
    pub fn timestep(&self) -> f64 {
        let drift = |op: &Op| match op {
            Op::Drift(time) => *time,
            _ => 0.0,
        };
        self.0.iter().map(drift).sum()
    }

    /// The same step, with the centre-of-mass velocity removed every so many steps.
    pub fn remove_drift(mut self, every: u64) -> Self {
        self.0.push(Op::RemoveDrift { every });
        self
    }
}
