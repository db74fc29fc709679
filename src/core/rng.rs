//! Counter-based noise: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011).
//!
//! A number is a pure function of (seed, replica) and (step, atom, stream), so that a block of steps
//! that is run again, a restart, another device or another number of threads draws the same noise.

use std::convert::Infallible;

use rand::TryRng;
use rand::rand_core::utils;

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
    /// What a thermostat draws: of an atom the Ornstein-Uhlenbeck step of Langevin dynamics, of the whole system the factor of
    /// its velocities.
    Thermostat = 1,
    /// What a barostat draws.
    Barostat = 2,
}

/// The source of a run's noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noise {
    key: [u32; 2],
    /// Steps that were drawn before step 0.
    start: u64,
}

impl Noise {
    /// Noise of one seed, as replica 0 draws it.
    pub fn new(seed: u32) -> Self {
        let key = [seed, 0];
        Self { key, start: 0 }
    }

    /// The noise that replica number `replica` of the same seed draws.
    pub fn of_replica(self, replica: u32) -> Self {
        let key = [self.key[0], replica];
        Self { key, ..self }
    }

    /// Continues this noise in a run that follows another, which drew `start` steps of it: step 0 of this one
    /// has the numbers of step `start`.
    pub fn after(self, start: u64) -> Self {
        Self { start, ..self }
    }

    /// Steps that were drawn before step 0.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// An unlimited stream of random words of one atom, for the distributions of `rand_distr`.
    pub fn words(&self, atom: u32, stream: Stream) -> Words {
        Words {
            key: self.key,
            block: 0,
            atom,
            stream,
            left: 0,
            words: [0; 4],
        }
    }

    /// Seed and replica, for devices that draw the same noise themselves.
    pub fn key(&self) -> [u32; 2] {
        self.key
    }

    /// Three independent standard normal numbers for one atom at one step (Box and Muller 1958).
    pub fn normal3(&self, step: u64, atom: u32, stream: Stream) -> Vec3 {
        let bits = self.block(step, atom, stream);
        let [a, b] = box_muller(bits[0], bits[1]);
        let [c, _] = box_muller(bits[2], bits[3]);
        Vec3::new(a, b, c)
    }

    /// A standard normal number R, and the sum S of the squares of `degrees_of_freedom` - 1 more (at least 1 degree), for the
    /// system as a whole at one step.
    ///
    /// S is twice a gamma number of half as large a shape, by the method of Marsaglia and Tsang (ACM Trans. Math. Softw. 26,
    /// 363 (2000)), whose attempt number k takes block k; of an odd number of squares the first is drawn by itself, so that no
    /// shape is below 1.
    pub fn chi(&self, step: u64, degrees_of_freedom: usize) -> (f64, f64) {
        let first = self.block(step, 0, Stream::Thermostat);
        let [r, one] = box_muller(first[0], first[1]);
        let squares = degrees_of_freedom - 1;
        let odd = if squares % 2 == 1 { one * one } else { 0.0 };
        if squares < 2 {
            return (r, odd);
        }
        let d = (squares / 2) as f64 - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        let attempt = |k: u32| {
            let bits = self.block(step, k, Stream::Thermostat);
            let [x, _] = box_muller(bits[0], bits[1]);
            let v = (1.0 + c * x).powi(3);
            let inside = v > 0.0 && centred(bits[2]).ln() < 0.5 * x * x + d - d * v + d * v.ln();
            inside.then_some(d * v)
        };
        // An attempt fails in less than 5 of 100 cases.
        let gamma = (1..=MOST_ATTEMPTS).find_map(attempt).unwrap_or(d);
        (r, odd + 2.0 * gamma)
    }

    /// Six independent standard normal numbers for the cell at one step.
    pub fn cell(&self, step: u64) -> [f64; 6] {
        let [p, q] = [0, 1].map(|k| self.block(step, k, Stream::Barostat));
        let pairs = [[p[0], p[1]], [p[2], p[3]], [q[0], q[1]]].map(|[u, v]| box_muller(u, v));
        let [[a, b], [c, d], [e, f]] = pairs;
        [a, b, c, d, e, f]
    }

    /// The bits of one atom, or of block number `index` of the whole system, at one step.
    fn block(&self, step: u64, index: u32, stream: Stream) -> [u32; 4] {
        let at = step.wrapping_add(self.start);
        let counter = [at as u32, (at >> 32) as u32, index, stream as u32];
        philox(counter, self.key)
    }
}

/// How far a run had come in its thermostat's noise, so that another one goes on there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseMark {
    /// The thermostat's seed.
    pub seed: u32,
    /// Steps drawn so far: the number of the next one.
    pub step: u64,
}

/// A thermostat's noise over a run, as its files tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseCourse {
    /// How far it had come before step 0.
    pub start: NoiseMark,
    /// Whether this run's steps draw on it. A run at constant energy hands on what it was given.
    pub draws: bool,
}

impl NoiseCourse {
    /// How far it has come after so many steps.
    pub fn after(&self, steps: u64) -> NoiseMark {
        let drawn = if self.draws { steps } else { 0 };
        NoiseMark {
            step: self.start.step.saturating_add(drawn),
            ..self.start
        }
    }
}

/// Random words of one atom: the blocks of the counters (0, atom, stream), (1, atom, stream), ...
#[derive(Debug, Clone)]
pub struct Words {
    key: [u32; 2],
    block: u64,
    atom: u32,
    stream: Stream,
    /// Words of the present block that were not handed out.
    left: usize,
    words: [u32; 4],
}

impl TryRng for Words {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        if self.left == 0 {
            let [low, high] = [self.block as u32, (self.block >> 32) as u32];
            self.words = philox([low, high, self.atom, self.stream as u32], self.key);
            self.block += 1;
            self.left = self.words.len();
        }
        self.left -= 1;
        Ok(self.words[self.words.len() - 1 - self.left])
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_u64_via_u32(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        utils::fill_bytes_via_next_word(bytes, || self.try_next_u32())
    }
}

/// Most attempts at a gamma number: one that needs as many never comes.
pub(crate) const MOST_ATTEMPTS: u32 = 64;

/// A number between 0 and 1 from a word, in the middle of its bin: never zero, so that its logarithm is finite.
fn centred(word: u32) -> f64 {
    const SCALE: f64 = 1.0 / 4_294_967_296.0;
    (f64::from(word) + 0.5) * SCALE
}

/// Two standard normal numbers from two words.
fn box_muller(u: u32, v: u32) -> [f64; 2] {
    let radius = (-2.0 * centred(u).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * centred(v)).sin_cos();
    [radius * cos, radius * sin]
}
