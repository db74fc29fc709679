//! Constant temperature and pressure without noise: a piston that is the size of the cell, and chains of thermostats (Martyna,
//! Tobias and Klein, J. Chem. Phys. 101, 4177 (1994); Tuckerman, Alejandre, Lopez-Rendon, Jochim and Martyna, J. Phys. A 39,
//! 5629 (2006)).
//!
//! The cell and all positions grow at the strain rate e of the piston, of mass M; with f degrees of freedom of kinetic energy K
//! about the centre of mass, the volume V, the strain derivative W of the energy, and the pressure P0 that is asked for,
//!
//! ```text
//! r' = v + e r      V' = 3 e V      v' = F / m - a e v      a = 1 + 3 / f
//! M e' = 2 a K - tr W - 3 P0 V      M = (f + 3) kT T^2
//! ```
//!
//! for a time T of the barostat. A chain of thermostats ([`super::nose_hoover`]) drags at v, another one, of the time T and one
//! degree of freedom, at e. With the energies of both chains,
//!
//! ```text
//! H = K + U + P0 V + M e^2 / 2 + chains
//! ```
//!
//! is conserved, and what stays is exp(-(E + P0 V) / kT) with the measure dV: the part 3 / f of a is what makes it so.
//!
//! # A step
//!
//! Kicks of the atoms and of the piston by W and P0 depend on positions and the volume alone, and are done together where
//! forces are there. All else happens in the middle of a step's drift: kick of the piston by K (half), growth (half), both
//! chains, growth, kick. The kick by W that begins a step is done there too, since no drift knows of the piston. Each part is
//! exact and keeps the measure of phase space; together they are reversible, and of second order.

use super::cell_rescaling::MOST_STRAIN;
use super::nose_hoover::{Chain, ChainMove};
use super::{Bath, Collective, Ensemble, Op, Parameter, Program, Value};
use crate::core::Kept;
use crate::core::observe::Thermometer;

/// The isothermal-isobaric ensemble, by a piston and chains of thermostats; the cell keeps its shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mtk {
    /// Temperature kT (eV).
    pub kt: f64,
    /// Pressure (eV / cubic angstrom).
    pub pressure: f64,
    /// The chain on the atoms; that on the piston differs in its time.
    pub chain: Chain,
    /// The time T of the piston and of its chain (angstrom sqrt(u / eV)).
    pub barostat_relaxation: f64,
}

/// What a piston does in a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PistonMove {
    /// The chain on the atoms, and how long a step is.
    pub atoms: ChainMove,
    /// Pressure (eV / cubic angstrom).
    pub pressure: f64,
    /// The time T of the piston (as that of the chain).
    pub relaxation: f64,
}

/// What the middle of a step does to a system.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Logarithm of the factor of the cell's edges and of positions.
    pub strain: f64,
    /// The factor of velocities about that of the centre of mass.
    pub factor: f64,
}

impl PistonMove {
    /// Mass M of the piston (eV time^2).
    pub fn mass(&self) -> f64 {
        let freedom = self.atoms.degrees_of_freedom as f64;
        (freedom + 3.0) * self.atoms.kt * self.relaxation * self.relaxation
    }

    /// The coupling a of growth to velocities.
    fn coupling(&self) -> f64 {
        1.0 + 3.0 / self.atoms.degrees_of_freedom.max(1) as f64
    }

    /// The chain on the piston.
    fn own_chain(&self) -> ChainMove {
        ChainMove {
            chain: Chain {
                relaxation: self.relaxation,
                ..self.atoms.chain
            },
            degrees_of_freedom: 1,
            ..self.atoms
        }
    }

    /// Energy (eV) of the piston in a cell of this volume (cubic angstrom): what the work of the barostat has come from.
    pub fn energy(&self, kept: &Kept, volume: f64) -> f64 {
        self.pressure * volume + 0.5 * self.mass() * kept.piston.rate * kept.piston.rate
    }

    /// Energy of both chains (eV).
    pub fn chains(&self, kept: &Kept) -> f64 {
        self.atoms.energy(&kept.chain) + self.own_chain().energy(&kept.piston.chain)
    }

    /// Kicks the piston for half a step by the trace of the strain derivative (eV) and the pressure on a volume (cubic angstrom).
    pub fn kick(&self, kept: &mut Kept, derivative: f64, volume: f64) {
        let force = -derivative - 3.0 * self.pressure * volume;
        kept.piston.rate += 0.5 * self.atoms.time * force / self.mass();
    }

    /// Does what the middle of a step does to piston and chains, of atoms with a kinetic energy (eV) about the centre of mass. A
    /// strain of more than [`MOST_STRAIN`] is no more than told.
    pub fn advance(&self, kept: &mut Kept, kinetic: f64) -> Growth {
        let (half, mass, coupling) = (0.5 * self.atoms.time, self.mass(), self.coupling());
        let pushed = |kinetic: f64| half * coupling * 2.0 * kinetic / mass;
        kept.piston.rate += pushed(kinetic);
        let first = half * kept.piston.rate;
        // Refused, and before anything overflows.
        if first.abs() > MOST_STRAIN {
            return Growth {
                strain: first,
                factor: 1.0,
            };
        }
        let mut factor = (-coupling * first).exp();
        factor *= self
            .atoms
            .advance(&mut kept.chain, kinetic * factor * factor);
        let own = 0.5 * mass * kept.piston.rate * kept.piston.rate;
        kept.piston.rate *= self.own_chain().advance(&mut kept.piston.chain, own);
        let second = half * kept.piston.rate;
        factor *= (-coupling * second).exp();
        kept.piston.rate += pushed(kinetic * factor * factor);
        Growth {
            strain: first + second,
            factor,
        }
    }
}

impl Ensemble for Mtk {
    fn name(&self) -> &'static str {
        "mtk"
    }

    fn describe(&self) -> &'static str {
        "constant pressure (Martyna-Tobias-Klein)"
    }

    fn program(&self, timestep: f64, thermometer: &Thermometer) -> Program {
        let what = Collective::MovePiston(PistonMove {
            atoms: ChainMove {
                chain: self.chain,
                time: timestep,
                kt: self.kt,
                degrees_of_freedom: thermometer.degrees_of_freedom,
            },
            pressure: self.pressure,
            relaxation: self.barostat_relaxation,
        });
        Program::with_middle(timestep, [Op::Collective { every: 1, what }])
    }

    fn bath(&self) -> Option<Bath> {
        Some(Bath {
            kt: self.kt,
            seed: None,
        })
    }

    fn conserves_momentum(&self) -> bool {
        true
    }

    fn pressure(&self) -> Option<f64> {
        Some(self.pressure)
    }

    fn parameters(&self) -> Vec<Parameter> {
        let first = [
            ("temperature", Value::Temperature(self.kt)),
            ("pressure", Value::Pressure(self.pressure)),
        ];
        let last = ("barostat_relaxation", Value::Time(self.barostat_relaxation));
        (first.into_iter())
            .chain(self.chain.parameters())
            .chain([last])
            .map(|(key, value)| Parameter { key, value })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::SuzukiYoshida;

    fn piston() -> PistonMove {
        PistonMove {
            atoms: ChainMove {
                chain: Chain {
                    relaxation: 5.0,
                    links: 3,
                    steps: 1,
                    scheme: SuzukiYoshida::Five,
                },
                time: 0.5,
                kt: 0.025,
                degrees_of_freedom: 21,
            },
            pressure: 1e-4,
            relaxation: 20.0,
        }
    }

    fn moving() -> Kept {
        let mut kept = Kept::default();
        kept.piston.rate = 0.011;
        kept.piston.chain.velocities[..3].copy_from_slice(&[0.03, -0.01, 0.02]);
        kept.chain.velocities[..3].copy_from_slice(&[-0.04, 0.1, 0.05]);
        kept
    }

    /// The middle of a step taken back by the same time leaves what there was.
    #[test]
    fn the_middle_can_be_taken_back() {
        let there = piston();
        let mut back = there;
        back.atoms.time = -there.atoms.time;
        let mut kept = moving();
        let kinetic = 0.3;
        let one = there.advance(&mut kept, kinetic);
        let other = back.advance(&mut kept, kinetic * one.factor * one.factor);
        assert!((one.factor * other.factor - 1.0).abs() < 1e-14);
        assert!(one.strain.abs() > 1e-3 && (one.strain + other.strain).abs() < 1e-16);
        assert!((kept.piston.rate - moving().piston.rate).abs() < 1e-16);
        let off = |a: [f64; 8], b: [f64; 8]| {
            let errors = a.iter().zip(b).map(|(a, b)| (a - b).abs());
            errors.fold(0.0, f64::max)
        };
        let velocities = off(kept.chain.velocities, moving().chain.velocities);
        let of_piston = off(
            kept.piston.chain.velocities,
            moving().piston.chain.velocities,
        );
        assert!(velocities < 1e-15 && of_piston < 1e-15);
    }

    /// Phase space is not compressed by growth: of the logarithms of volume and velocities, f and three directions,
    /// 3 (f / 3) e + 3 e - a f e is 0.
    #[test]
    fn growth_keeps_the_measure() {
        let piston = piston();
        let freedom = piston.atoms.degrees_of_freedom as f64;
        assert!((freedom + 3.0 - piston.coupling() * freedom).abs() < 1e-12);
    }

    /// Kinetic energy, energy of the piston but for the pressure's part, and of the chains are exchanged to third order over a
    /// step: half of it, an eighth.
    #[test]
    fn the_middle_exchanges_energy() {
        let off = |time: f64| {
            let mut piston = piston();
            piston.atoms.time = time;
            let mut kept = moving();
            let kinetic = 0.3;
            let energy = |kept: &Kept| piston.energy(kept, 0.0) + piston.chains(kept);
            let before = energy(&kept);
            let found = piston.advance(&mut kept, kinetic);
            ((found.factor * found.factor - 1.0) * kinetic + energy(&kept) - before).abs()
        };
        let ratio = off(0.5) / off(0.25);
        assert!((6.5..9.5).contains(&ratio), "{ratio}");
    }
}
