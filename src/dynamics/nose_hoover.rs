//! Constant temperature: chains of Nose-Hoover thermostats (Martyna, Klein and Tuckerman, J. Chem. Phys. 97, 2635 (1992)),
//! integrated as by Martyna, Tuckerman, Tobias and Klein, Mol. Phys. 87, 1117 (1996).
//!
//! The first of M thermostats drags at all velocities, counted from that of the centre of mass, each other one at the one before
//! it. With f degrees of freedom of kinetic energy K, thermostats of positions x, velocities w, masses Q and the accelerations G,
//!
//! ```text
//! v' = -w1 v        x' = w        wk' = Gk - w(k+1) wk
//! G1 = (2 K - f kT) / Q1          Gk = (Q(k-1) w(k-1)^2 - kT) / Qk
//! Q1 = f kT T^2                   Qk = kT T^2
//! ```
//!
//! for a time T. Nothing is random: the canonical distribution is what the whole of it leaves as it is, and
//!
//! ```text
//! H = K + U + sum over k of Qk wk^2 / 2 + f kT x1 + kT (x2 + ... + xM)
//! ```
//!
//! is conserved. Two thermostats at least make the motion of a stiff system, a harmonic one say, fill its ensemble.
//!
//! The chain moves in the middle of a step's drift, by a time step at once, as what other thermostats do. Its own steps are
//! cut as by Suzuki and Yoshida, so that they are of fourth order.

use super::{Bath, Collective, Ensemble, Op, Parameter, Program, Value};
use crate::core::ChainState;
use crate::core::observe::Thermometer;

/// The canonical ensemble, by a chain of thermostats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoseHoover {
    /// Temperature kT (eV).
    pub kt: f64,
    /// The chain.
    pub chain: Chain,
}

/// A chain of thermostats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chain {
    /// The time T of the masses (angstrom sqrt(u / eV)).
    pub relaxation: f64,
    /// Thermostats, 1 to [`crate::core::MOST_LINKS`].
    pub links: usize,
    /// Steps of the chain in a time step, at least 1.
    pub steps: u32,
    /// How each of them is cut.
    pub scheme: SuzukiYoshida,
}

/// How a step is cut into some of second order so that it is of fourth order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuzukiYoshida {
    /// Three steps (Yoshida, Phys. Lett. A 150, 262 (1990)).
    Three,
    /// Five shorter ones (Suzuki, Phys. Lett. A 146, 319 (1990)).
    Five,
}

impl SuzukiYoshida {
    /// The parts of a step, whose sum is 1.
    pub fn parts(self) -> &'static [f64] {
        /// 1 / (2 - 2^(1/3)).
        const OUTER: f64 = 1.351_207_191_959_657_8;
        /// 1 / (4 - 4^(1/3)).
        const EACH: f64 = 0.414_490_771_794_375_7;
        match self {
            Self::Three => &[OUTER, 1.0 - 2.0 * OUTER, OUTER],
            Self::Five => &[EACH, EACH, 1.0 - 4.0 * EACH, EACH, EACH],
        }
    }

    /// How many parts it has.
    pub fn count(self) -> u64 {
        self.parts().len() as u64
    }
}

/// What a chain does at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChainMove {
    /// The chain.
    pub chain: Chain,
    /// For how long it acts (angstrom sqrt(u / eV)).
    pub time: f64,
    /// Temperature kT (eV).
    pub kt: f64,
    /// Degrees of freedom that share the kinetic energy it acts on.
    pub degrees_of_freedom: usize,
}

impl ChainMove {
    /// The mass Q of a thermostat (eV time^2), counted from 0.
    fn mass(&self, link: usize) -> f64 {
        let Self { chain, kt, .. } = self;
        let freedom = if link == 0 {
            self.degrees_of_freedom as f64
        } else {
            1.0
        };
        freedom * kt * chain.relaxation * chain.relaxation
    }

    /// Energy of the chain (eV), which is part of what is conserved.
    pub fn energy(&self, state: &ChainState) -> f64 {
        let freedom = |k: usize| {
            if k == 0 {
                self.degrees_of_freedom as f64
            } else {
                1.0
            }
        };
        (0..self.chain.links)
            .map(|k| {
                let velocity = state.velocities[k];
                0.5 * self.mass(k) * velocity * velocity + freedom(k) * self.kt * state.positions[k]
            })
            .sum()
    }

    /// Moves the chain; returns the factor of the velocities whose kinetic energy (eV) is `kinetic`.
    pub fn advance(&self, state: &mut ChainState, kinetic: f64) -> f64 {
        if self.degrees_of_freedom == 0 {
            return 1.0;
        }
        let (mut factor, mut twice) = (1.0, 2.0 * kinetic);
        let step = self.time / f64::from(self.chain.steps.max(1));
        for _ in 0..self.chain.steps.max(1) {
            for part in self.chain.scheme.parts() {
                let time = part * step;
                for k in (0..self.chain.links).rev() {
                    self.push(state, k, twice, time);
                }
                for k in 0..self.chain.links {
                    state.positions[k] += state.velocities[k] * time;
                }
                let drag = (-state.velocities[0] * time).exp();
                factor *= drag;
                twice *= drag * drag;
                for k in 0..self.chain.links {
                    self.push(state, k, twice, time);
                }
            }
        }
        factor
    }

    /// Pushes a thermostat for half of a time, between two quarters of the drag of the next one.
    fn push(&self, state: &mut ChainState, k: usize, twice: f64, time: f64) {
        let drag = match state.velocities[..self.chain.links].get(k + 1) {
            Some(next) => (-0.25 * time * next).exp(),
            None => 1.0,
        };
        let lack = match k {
            0 => twice - self.degrees_of_freedom as f64 * self.kt,
            _ => self.mass(k - 1) * state.velocities[k - 1].powi(2) - self.kt,
        };
        let velocity = &mut state.velocities[k];
        *velocity = (*velocity * drag + 0.5 * time * lack / self.mass(k)) * drag;
    }
}

impl Chain {
    /// The operator for a time (as `relaxation`) of dynamics.
    pub(super) fn over(self, time: f64, kt: f64, degrees_of_freedom: usize) -> Op {
        let what = Collective::MoveChain(ChainMove {
            chain: self,
            time,
            kt,
            degrees_of_freedom,
        });
        Op::Collective { every: 1, what }
    }

    /// What it was given, in the order in which people read it.
    pub(super) fn parameters(&self) -> [(&'static str, Value); 4] {
        [
            ("relaxation", Value::Time(self.relaxation)),
            ("chain", Value::Count(self.links as u64)),
            ("chain_steps", Value::Count(u64::from(self.steps))),
            ("suzuki_yoshida", Value::Count(self.scheme.count())),
        ]
    }
}

impl Ensemble for NoseHoover {
    fn name(&self) -> &'static str {
        "nose_hoover"
    }

    fn describe(&self) -> &'static str {
        "Nose-Hoover chain"
    }

    fn program(&self, timestep: f64, thermometer: &Thermometer) -> Program {
        let degrees = thermometer.degrees_of_freedom;
        let chain = self.chain.over(timestep, self.kt, degrees);
        Program::with_middle(timestep, [chain])
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

    fn parameters(&self) -> Vec<Parameter> {
        std::iter::once(("temperature", Value::Temperature(self.kt)))
            .chain(self.chain.parameters())
            .map(|(key, value)| Parameter { key, value })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::MOST_LINKS;

    const KT: f64 = 0.025;

    fn chain_of(links: usize, steps: u32, scheme: SuzukiYoshida) -> ChainMove {
        ChainMove {
            chain: Chain {
                relaxation: 3.0,
                links,
                steps,
                scheme,
            },
            time: 1.0,
            kt: KT,
            degrees_of_freedom: 30,
        }
    }

    /// A chain that has been moving for a while.
    fn moving(of: &ChainMove) -> ChainState {
        let mut state = ChainState::default();
        for k in 0..of.chain.links {
            state.positions[k] = 0.3 - 0.1 * k as f64;
            state.velocities[k] = if k == 0 { 0.05 } else { 0.3 - 0.1 * k as f64 };
        }
        state
    }

    /// Parts are those of the papers, and cancel errors of third order: their cubes sum to zero.
    #[test]
    fn schemes_are_of_fourth_order() {
        for scheme in [SuzukiYoshida::Three, SuzukiYoshida::Five] {
            let parts = scheme.parts();
            assert!((parts.iter().sum::<f64>() - 1.0).abs() < 1e-15);
            let cubes: f64 = parts.iter().map(|part| part.powi(3)).sum();
            assert!(cubes.abs() < 1e-14, "{cubes:e}");
        }
    }

    /// The kinetic energy and the chain's energy are exchanged: what their sum is off falls by about 32 (fifth order, over one
    /// step) with half of the time; in second order it would fall by 8.
    #[test]
    fn a_move_exchanges_energy_to_fifth_order() {
        for scheme in [SuzukiYoshida::Three, SuzukiYoshida::Five] {
            for links in 1..=MOST_LINKS {
                let off = |time: f64| {
                    let of = ChainMove {
                        time,
                        ..chain_of(links, 1, scheme)
                    };
                    let mut state = moving(&of);
                    let before = of.energy(&state);
                    let kinetic = 0.7 * 30.0 * KT;
                    let factor = of.advance(&mut state, kinetic);
                    ((factor * factor - 1.0) * kinetic + of.energy(&state) - before).abs()
                };
                let ratio = off(0.2) / off(0.1);
                assert!((20.0..60.0).contains(&ratio), "{links}: {ratio}");
            }
        }
    }

    /// A move back by the same time ends where it began.
    #[test]
    fn a_move_can_be_taken_back() {
        for links in 1..=MOST_LINKS {
            let there = chain_of(links, 2, SuzukiYoshida::Five);
            let back = ChainMove {
                time: -there.time,
                ..there
            };
            let first = moving(&there);
            let mut state = first;
            let kinetic = 0.4;
            let factor = there.advance(&mut state, kinetic);
            let other = back.advance(&mut state, kinetic * factor * factor);
            assert!((factor * other - 1.0).abs() < 1e-13);
            let pairs = (first.positions.iter().zip(state.positions))
                .chain(first.velocities.iter().zip(state.velocities));
            for (a, b) in pairs {
                assert!((a - b).abs() < 1e-13);
            }
        }
    }

    /// Twice as many steps of a chain have a sixteenth of the error, five parts less of it than three, and thermostats beyond the
    /// chain stay at rest.
    #[test]
    fn steps_of_a_chain_converge() {
        let end = |steps: u32, scheme| {
            let of = chain_of(3, steps, scheme);
            let mut state = moving(&of);
            let factor = of.advance(&mut state, 0.3);
            assert_eq!(state.velocities[3..], [0.0; MOST_LINKS - 3]);
            [factor, state.velocities[0], state.positions[2]]
        };
        let exact = end(400, SuzukiYoshida::Five);
        let off = |steps, scheme| {
            let errors = end(steps, scheme).into_iter().zip(exact);
            errors.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        for scheme in [SuzukiYoshida::Three, SuzukiYoshida::Five] {
            let ratio = off(4, scheme) / off(8, scheme);
            assert!((14.0..18.0).contains(&ratio), "{scheme:?}: {ratio}");
        }
        let [three, five] =
            [SuzukiYoshida::Three, SuzukiYoshida::Five].map(|scheme| off(1, scheme));
        assert!(5.0 * five < three && three < 1e-2, "{three:e} {five:e}");
    }
}
