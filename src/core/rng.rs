//! Counter-based noise: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011).
//!
//! A number is a pure function of (seed, replica) and (step, atom, stream), so that a block of steps
//! that is run again, a restart, another device or another number of threads draws the same noise.

use super::Vec3;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Philox 4x32-10: 128 random bits for a counter and a key.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let mut c = counter;
    let mut k = key;
    for _ in 0..ROUNDS {
        let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c[0]);
        let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c[2]);
        c = [
            (p1 >> 32) as u32 ^ c[1] ^ k[0],
            p1 as u32,
            (p0 >> 32) as u32 ^ c[3] ^ k[1],
            p0 as u32,
        ];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

/// What a stream of noise is for; part of the counter, so that two uses never share numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// Initial velocities.
    Velocities = 0,
    /// The Ornstein-Uhlenbeck step of Langevin dynamics.
    Thermostat = 1,
}

/// The source of a run's noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noise {
    key: [u32; 2],
}

impl Noise {
    /// Noise of one seed; `replica` tells the members of a batch apart.
    pub fn new(seed: u32, replica: u32) -> Self {
        Self {
            key: [seed, replica],
        }
    }

    /// Three independent standard normal numbers for one atom at one step (Box and Muller 1958).
    pub fn normal3(&self, step: u64, atom: u32, stream: Stream) -> Vec3 {
        let bits = philox(
            [step as u32, (step >> 32) as u32, atom, stream as u32],
            self.key,
        );
        let [a, b] = box_muller(bits[0], bits[1]);
        let [c, _] = box_muller(bits[2], bits[3]);
        Vec3::new(a, b, c)
    }
}

/// Two standard normal numbers from two words.
fn box_muller(u: u32, v: u32) -> [f64; 2] {
    const SCALE: f64 = 1.0 / 4_294_967_296.0;
    // Centred in their bins: never zero, so that the logarithm is finite.
    let radius = (-2.0 * ((f64::from(u) + 0.5) * SCALE).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * (f64::from(v) + 0.5) * SCALE).sin_cos();
    [radius * cos, radius * sin]
}
