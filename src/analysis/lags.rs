//! Squared displacements over many lags of time, in memory that does not grow with the trajectory.
//!
//! Level k keeps the last P frames of those whose number is a multiple of 2^k. Lags of 1 to P frames are measured from every
//! frame, those up to 2 P from every second, those up to 4 P from every fourth, and so on: the scheme of multiple-tau
//! correlators (Frenkel and Smit, Understanding Molecular Simulation, 4.4.2), without averaging over the frames in between,
//! so that each displacement is one that was made. Sums are kept apart by time, for error bars: in bins of equal numbers of
//! frames, each two of which become one when there are too many.

use rayon::prelude::*;

use super::{Chosen, MOST_BYTES};
use crate::core::Vec3;

/// Most frames of a level, an even number.
const DEEPEST: usize = 128;
/// Fewest.
const SHALLOWEST: usize = 8;
/// Bins of time, an even number.
const BINS: usize = 40;
/// Displacements from which on threads pay.
const MANY: usize = 50_000;

/// Squared displacements of one lag.
#[derive(Debug, Clone, Default)]
struct LagSums {
    /// Of each bin, the sums of each element.
    squares: Vec<Vec<f64>>,
    /// Of each bin, how often.
    counts: Vec<u64>,
}

/// Frames whose number is a multiple of a power of two.
struct LagLevel {
    /// The last of them, one after another.
    ring: Vec<Vec3>,
    /// By lag, the shortest first: those that the level before does not have.
    sums: Vec<LagSums>,
}

/// Displacements that are gathered frame by frame.
pub struct Displacements {
    chosen: Chosen,
    depth: usize,
    levels: Vec<LagLevel>,
    frames: u64,
    /// Frames in a bin of time.
    width: u64,
}

/// The mean squared displacement after a lag.
#[derive(Debug, Clone, PartialEq)]
pub struct LagMean {
    /// The lag, in frames.
    pub lag: u64,
    /// Frames from which it was measured.
    pub origins: u64,
    /// That of the atoms of each element (square angstrom).
    pub of_kind: Vec<f64>,
    /// That of all atoms.
    pub all: f64,
}

impl Displacements {
    /// Those of some atoms, in a trajectory of about so many frames.
    pub fn new(chosen: &Chosen, expected: u64) -> Self {
        let frame = (size_of::<Vec3>() * chosen.len()).max(1);
        let fits = |depth: &usize| {
            let levels = (expected as f64 / *depth as f64).max(1.0).log2().ceil() + 1.0;
            levels * (frame * depth) as f64 <= MOST_BYTES as f64
        };
        let depths = std::iter::successors(Some(DEEPEST), |depth| Some(depth / 2));
        let depth = depths.take_while(|depth| *depth >= SHALLOWEST).find(fits);
        Self {
            chosen: chosen.clone(),
            depth: depth.unwrap_or(SHALLOWEST),
            levels: Vec::new(),
            frames: 0,
            width: 1,
        }
    }

    /// Lags up to this are measured from every frame.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Frames that were taken in.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Takes in the unwrapped positions (angstrom) of the atoms that are looked at.
    pub fn add(&mut self, positions: &[Vec3]) {
        while self.frames / self.width >= BINS as u64 {
            self.merge_bins();
        }
        let bin = (self.frames / self.width) as usize;
        self.grow();
        for k in 0..self.levels.len() {
            if !self.frames.is_multiple_of(1 << k) {
                break;
            }
            let number = self.frames >> k;
            let shortest = if k == 0 { 1 } else { self.depth / 2 + 1 };
            let level = &mut self.levels[k];
            level.measure(&self.chosen, positions, (number, shortest, self.depth), bin);
            level.put(positions, number, self.depth);
        }
        self.frames += 1;
    }

    /// Begins another level where the last one is full, before what it will need is overwritten there.
    fn grow(&mut self) {
        let Some(last) = self.levels.last() else {
            self.levels.push(LagLevel {
                ring: Vec::new(),
                sums: vec![LagSums::default(); self.depth],
            });
            return;
        };
        let full = (self.depth as u64) << (self.levels.len() - 1);
        if self.frames == full && !self.chosen.is_empty() {
            let every_second = last.ring.chunks(self.chosen.len()).step_by(2);
            let ring = every_second.flatten().copied().collect();
            self.levels.push(LagLevel {
                ring,
                sums: vec![LagSums::default(); self.depth / 2],
            });
        }
    }

    fn merge_bins(&mut self) {
        self.width *= 2;
        let sums = self.levels.iter_mut().flat_map(|level| &mut level.sums);
        for lag in sums {
            let counts = lag.counts.chunks(2).map(|pair| pair.iter().sum());
            lag.counts = counts.collect();
            // Bins in which nothing was measured have no sums.
            let add = |pair: &[Vec<f64>]| match pair {
                [a, b] if !a.is_empty() && !b.is_empty() => {
                    a.iter().zip(b).map(|(a, b)| a + b).collect()
                }
                _ => pair.concat(),
            };
            lag.squares = lag.squares.chunks(2).map(add).collect();
        }
    }

    /// Mean squared displacements by lag, ascending, over all of the time.
    pub fn means(&self) -> Vec<LagMean> {
        self.means_within(0, BINS)
    }

    /// Those of one of `parts` equal parts of the time, in which the displacements have ended.
    pub fn means_of_part(&self, part: usize, parts: usize) -> Vec<LagMean> {
        let bins = self.frames.div_ceil(self.width) as usize;
        self.means_within(part * bins / parts, (part + 1) * bins / parts)
    }

    fn means_within(&self, first: usize, end: usize) -> Vec<LagMean> {
        let mut means = Vec::new();
        for (k, level) in self.levels.iter().enumerate() {
            let shortest = if k == 0 { 1 } else { self.depth / 2 + 1 };
            for (place, sums) in level.sums.iter().enumerate() {
                let lag = ((shortest + place) as u64) << k;
                means.extend(self.mean(lag, sums, first..end.min(sums.counts.len())));
            }
        }
        means
    }

    fn mean(&self, lag: u64, sums: &LagSums, bins: std::ops::Range<usize>) -> Option<LagMean> {
        if bins.start >= bins.end {
            return None;
        }
        let origins: u64 = sums.counts[bins.clone()].iter().sum();
        if origins == 0 {
            return None;
        }
        let mut squares = vec![0.0; self.chosen.kinds.len()];
        for bin in sums.squares[bins].iter().filter(|bin| !bin.is_empty()) {
            squares
                .iter_mut()
                .zip(bin)
                .for_each(|(sum, more)| *sum += more);
        }
        let all = squares.iter().sum::<f64>() / (origins as f64 * self.chosen.len() as f64);
        let each = squares.iter().zip(&self.chosen.counts);
        Some(LagMean {
            lag,
            origins,
            of_kind: each
                .map(|(sum, n)| sum / (origins as f64 * *n as f64))
                .collect(),
            all,
        })
    }
}

impl LagLevel {
    /// Adds the displacements from the frames in the ring to the one of this number: its lags begin with `shortest`.
    fn measure(
        &mut self,
        chosen: &Chosen,
        now: &[Vec3],
        (number, shortest, depth): (u64, usize, usize),
        bin: usize,
    ) {
        let (atoms, ring) = (chosen.len(), &self.ring);
        let kinds = chosen.kinds.len();
        let squares = |(place, sums): (usize, &mut LagSums)| {
            let lag = (shortest + place) as u64;
            if lag > number {
                return;
            }
            let slot = ((number - lag) % depth as u64) as usize;
            let before = &ring[slot * atoms..(slot + 1) * atoms];
            let mut of_kind = vec![0.0; kinds];
            for ((now, before), &kind) in now.iter().zip(before).zip(&chosen.kind_of) {
                of_kind[kind] += (now - before).norm_squared();
            }
            if sums.counts.len() <= bin {
                sums.counts.resize(bin + 1, 0);
                sums.squares.resize(bin + 1, Vec::new());
            }
            sums.counts[bin] += 1;
            let bin = &mut sums.squares[bin];
            bin.resize(kinds, 0.0);
            bin.iter_mut()
                .zip(of_kind)
                .for_each(|(sum, more)| *sum += more);
        };
        match atoms * self.sums.len() > MANY {
            true => self.sums.par_iter_mut().enumerate().for_each(squares),
            false => self.sums.iter_mut().enumerate().for_each(squares),
        }
    }

    /// Keeps a frame in the place of the oldest.
    fn put(&mut self, positions: &[Vec3], number: u64, depth: usize) {
        let slot = (number % depth as u64) as usize * positions.len();
        if slot == self.ring.len() {
            self.ring.extend_from_slice(positions);
        } else {
            self.ring[slot..slot + positions.len()].copy_from_slice(positions);
        }
    }
}
