//! Radial distribution functions of pairs of elements, and how many neighbours there are within a distance.
//!
//! g_ab(r) is the number of pairs whose distance is in a shell, divided by that of an ideal gas of the same density there:
//! N_a N_b / V (N_a (N_a - 1) / 2 / V for one element), of each frame's own volume, times the shell's volume 4/3 pi
//! (r_2^3 - r_1^3). Without a cell that is periodic in all directions there is no density to compare with: pairs are counted.

use rayon::prelude::*;
use serde_json::{Value, json};

use super::{AnalysisFinding, Chosen, CsvTable, FrameQuantity, Studied};
use crate::core::{Cell, Snapshot, Vec3};
use crate::neighbors::Near;
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};
use crate::text::significant;
use crate::{Error, Result};

/// Width of a shell (angstrom), about.
const WIDTH: f64 = 0.05;
/// Farthest distance that can be asked for (angstrom): counts of all pairs of elements take memory.
const FARTHEST: f64 = 1000.0;
/// Farthest distance that is looked at where nothing is said (angstrom): liquids have forgotten each other there.
const USUAL: f64 = 15.0;
/// A picture of g is so many times as high as g is in the farther half: what is bonded would leave no room for the rest.
const ABOVE: f64 = 4.0;
/// A shell of neighbours ends where g has no lower value within this distance (angstrom).
const CLEAR: f64 = 0.5;

/// Counts distances.
pub struct PairDistances {
    chosen: Chosen,
    range: f64,
    /// Pairs in each shell, of each pair of elements.
    counts: Vec<Vec<u64>>,
    /// Sum of the frames' inverse volumes; of a cell that is not periodic in all directions nothing.
    inverse_volumes: Option<f64>,
    frames: u64,
    positions: Vec<Vec3>,
}

impl PairDistances {
    /// Counts up to `range` (angstrom); without one, up to half of the distance between the cell's nearest faces, or 15 A.
    ///
    /// # Errors
    /// The range is farther than half of that distance, beyond which atoms meet their own images' neighbours, or than 1000 A.
    pub fn new(studied: &Studied, range: Option<f64>) -> Result<Self> {
        let half = half_height(&studied.cell);
        let range = match range {
            // What reads back from f32 may be a little less.
            Some(range) if range > half * (1.0 + 1e-6) => {
                return Err(Error::input(format!(
                    "distances up to {range} A are farther than half of the cell's height, {half:.3} A, where its images \
                     repeat themselves"
                )));
            }
            Some(range) => range.min(half),
            None => half.min(USUAL),
        };
        if range > FARTHEST {
            return Err(Error::input(format!(
                "distances up to {range} A are more than is counted, {FARTHEST} A"
            )));
        }
        let bins = ((range / WIDTH).round() as usize).max(1);
        let kinds = studied.chosen.kinds.len();
        Ok(Self {
            chosen: studied.chosen.clone(),
            range,
            counts: vec![vec![0; bins]; kinds * (kinds + 1) / 2],
            inverse_volumes: studied.cell.volume().map(|_| 0.0),
            frames: 0,
            positions: Vec::new(),
        })
    }

    fn bins(&self) -> usize {
        self.counts[0].len()
    }

    /// Distance at the inner end of a shell.
    fn edge(&self, bin: usize) -> f64 {
        self.range * bin as f64 / self.bins() as f64
    }

    fn middle(&self, bin: usize) -> f64 {
        0.5 * (self.edge(bin) + self.edge(bin + 1))
    }

    /// The pairs of elements, in the order of their counts.
    fn pairs(&self) -> Vec<[usize; 2]> {
        let kinds = self.chosen.kinds.len();
        let of = |a: usize| (a..kinds).map(move |b| [a, b]);
        (0..kinds).flat_map(of).collect()
    }

    fn name(&self, [a, b]: [usize; 2]) -> String {
        format!("{}-{}", self.chosen.symbol(a), self.chosen.symbol(b))
    }

    /// g of a pair of elements in each shell; of a system without density the mean number of pairs.
    pub fn distribution(&self, pair: usize) -> Vec<f64> {
        let [a, b] = self.pairs()[pair];
        let counts = &self.chosen.counts;
        let (n, m) = (counts[a] as f64, counts[b] as f64);
        let all = if a == b { 0.5 * n * (n - 1.0) } else { n * m };
        let shell = |bin: usize| match self.inverse_volumes {
            Some(inverse) => {
                let volume = self.edge(bin + 1).powi(3) - self.edge(bin).powi(3);
                all * inverse * volume * 4.0 / 3.0 * std::f64::consts::PI
            }
            None => self.frames as f64,
        };
        let found = self.counts[pair].iter().enumerate();
        found
            .map(|(bin, &count)| {
                if count == 0 {
                    0.0
                } else {
                    count as f64 / shell(bin)
                }
            })
            .collect()
    }

    /// Mean number of atoms of the second element around one of the first up to the outer end of each shell.
    pub fn neighbors(&self, pair: usize, swapped: bool) -> Vec<f64> {
        let [a, b] = self.pairs()[pair];
        let around = if swapped { b } else { a };
        let ends = if a == b { 2.0 } else { 1.0 };
        let scale = ends / (self.chosen.counts[around] as f64 * self.frames as f64);
        let mut sum = 0;
        let running = self.counts[pair].iter().map(|&count| {
            sum += count;
            sum as f64 * scale
        });
        running.collect()
    }

    /// The first shell of neighbours: where g is highest before it falls, where it is lowest behind, as bins.
    fn first_shell(&self, g: &[f64]) -> Option<[usize; 2]> {
        let clear = (CLEAR / self.range * self.bins() as f64).ceil() as usize;
        let near = |bin: usize| &g[bin.saturating_sub(clear)..(bin + clear + 1).min(g.len())];
        let top = |bin: &usize| g[*bin] > 1.0 && near(*bin).iter().all(|other| *other <= g[*bin]);
        let peak = (0..g.len()).find(top)?;
        let low = |bin: &usize| near(*bin).iter().all(|other| *other >= g[*bin]);
        let end = (peak + 1..g.len()).find(low)?;
        (end + 1 < g.len()).then_some([peak, end])
    }

    fn table(&self) -> CsvTable {
        let measured = self.inverse_volumes.is_some();
        let mut names = vec!["r_a".to_owned(), "r_outer_a".to_owned()];
        let mut columns: Vec<Vec<f64>> = Vec::new();
        for (k, [a, b]) in self.pairs().into_iter().enumerate() {
            let [first, second] = [a, b].map(|kind| self.chosen.symbol(kind));
            names.push(match measured {
                true => format!("g_{first}_{second}"),
                false => format!("pairs_{first}_{second}"),
            });
            columns.push(self.distribution(k));
            names.push(format!("{second}_around_{first}"));
            columns.push(self.neighbors(k, false));
            if a != b {
                names.push(format!("{first}_around_{second}"));
                columns.push(self.neighbors(k, true));
            }
        }
        let mut table = CsvTable::new(&names);
        for bin in 0..self.bins() {
            let ends = [self.middle(bin), self.edge(bin + 1)];
            table.row(ends.into_iter().chain(columns.iter().map(|c| c[bin])));
        }
        table
    }

    /// The distributions: those of a cell no higher than what is between molecules is seen at, those of atoms without one as far
    /// as there are any.
    fn plot(&self) -> Plot {
        let measured = self.inverse_volumes.is_some();
        let all: Vec<Vec<f64>> = (0..self.pairs().len())
            .map(|k| self.distribution(k))
            .collect();
        let most =
            |from: usize| (all.iter().flat_map(|g| &g[from..])).fold(0.0, |a: f64, b| a.max(*b));
        let top = match measured && ABOVE * most(self.bins() / 2) > 0.0 {
            true => ABOVE * most(self.bins() / 2),
            false => f64::INFINITY,
        };
        let seen = (all.iter())
            .filter_map(|g| g.iter().rposition(|g| *g > 0.0))
            .max();
        let end = match measured {
            true => self.bins(),
            false => (seen.unwrap_or(0) + 4).min(self.bins()),
        };
        let series = |(k, pair): (usize, [usize; 2])| PlotSeries {
            name: self.name(pair),
            colour: k + 1,
            points: (all[k][..end].iter().enumerate())
                .map(|(bin, g)| [self.middle(bin), g.min(top), 0.0])
                .collect(),
            drawn: Drawn::Line,
        };
        Plot {
            title: match measured {
                true if most(0) > top => format!(
                    "Radial distribution (what is higher than {} is cut)",
                    significant(top, 2)
                ),
                true => "Radial distribution".to_owned(),
                false => "Distances (not normalised)".to_owned(),
            },
            x: PlotAxis::linear("r (\u{c5})"),
            y: PlotAxis::linear(if measured { "g(r)" } else { "pairs in a shell" }),
            series: self.pairs().into_iter().enumerate().map(series).collect(),
        }
    }

    /// What is said of a pair of elements.
    fn said(&self, k: usize, pair: [usize; 2]) -> (String, Value) {
        let name = self.name(pair);
        let g = self.distribution(k);
        let Some([peak, end]) = self
            .first_shell(&g)
            .filter(|_| self.inverse_volumes.is_some())
        else {
            return (
                format!("{name:<6} no shell of neighbours"),
                json!({ "pair": name }),
            );
        };
        let around = self.neighbors(k, false)[end];
        let [a, b] = pair.map(|kind| self.chosen.symbol(kind));
        let line = format!(
            "{name:<6} first peak at {:.2} A (g = {}); up to {:.2} A {} {b} around each {a}",
            self.middle(peak),
            significant(g[peak], 3),
            self.edge(end + 1),
            significant(around, 3),
        );
        let figures = json!({
            "pair": name,
            "peak_angstrom": self.middle(peak),
            "peak_g": g[peak],
            "shell_end_angstrom": self.edge(end + 1),
            "neighbors": around,
        });
        (line, figures)
    }
}

impl FrameQuantity for PairDistances {
    fn take(&mut self, frame: &Snapshot) -> Result<()> {
        self.positions.clear();
        (self.positions).extend(self.chosen.atoms.iter().map(|&i| frame.positions[i]));
        let near = Near::new(&frame.cell, &self.positions, self.range)?;
        let (bins, kinds) = (self.bins(), self.chosen.kinds.len());
        let scale = bins as f64 / self.range;
        let kind_of = &self.chosen.kind_of;
        let blank = || vec![vec![0_u64; bins]; kinds * (kinds + 1) / 2];
        let count = |mut counts: Vec<Vec<u64>>, i: usize| {
            near.each(i, |j, vector| {
                if j > i {
                    let (a, b) = (kind_of[i].min(kind_of[j]), kind_of[i].max(kind_of[j]));
                    let pair = a * kinds - a * (a + 1) / 2 + b;
                    let bin = (vector.norm() * scale) as usize;
                    counts[pair][bin.min(bins - 1)] += 1;
                }
            });
            counts
        };
        // Whole numbers: the order of sums does not matter.
        let counts = (0..self.positions.len())
            .into_par_iter()
            .with_min_len(64)
            .fold(blank, count)
            .reduce(blank, |mut a, b| {
                let each = a.iter_mut().flatten().zip(b.iter().flatten());
                each.for_each(|(sum, more)| *sum += more);
                a
            });
        let each = self
            .counts
            .iter_mut()
            .flatten()
            .zip(counts.iter().flatten());
        each.for_each(|(sum, more)| *sum += more);
        self.frames += 1;
        if let (Some(sum), Some(volume)) = (&mut self.inverse_volumes, frame.cell.volume()) {
            *sum += 1.0 / volume;
        }
        Ok(())
    }

    fn finding(&self) -> Result<AnalysisFinding> {
        let pairs = self.pairs();
        let (lines, figures): (Vec<_>, Vec<_>) = pairs
            .iter()
            .enumerate()
            .map(|(k, pair)| self.said(k, *pair))
            .unzip();
        let shells = format!(
            "shells of {:.4} A up to {:.3} A",
            self.range / self.bins() as f64,
            self.range
        );
        let (lines, note) = match self.inverse_volumes {
            Some(_) => (
                lines,
                format!(
                    "{shells}; pairs over those of an ideal gas of the same density, in each frame's own volume; all pairs, \
                     those within molecules as well"
                ),
            ),
            None => (
                vec![format!("distances of {} atoms, {shells}", self.chosen.len())],
                "without a cell that is periodic in all directions there is no density: numbers of pairs in a shell, \
                 not normalised"
                    .to_owned(),
            ),
        };
        Ok(AnalysisFinding {
            name: "rdf",
            title: match self.inverse_volumes {
                Some(_) => "Radial distribution".to_owned(),
                None => "Distances (not normalised)".to_owned(),
            },
            lines,
            notes: vec![note],
            figures: json!({
                "range_angstrom": self.range,
                "shells": self.bins(),
                "normalised": self.inverse_volumes.is_some(),
                "pairs": figures,
            }),
            table: self.table(),
            plots: vec![("rdf".to_owned(), self.plot())],
        })
    }
}

/// Half of the distance between the nearest faces that are periodic (angstrom).
fn half_height(cell: &Cell) -> f64 {
    let periodic = (0..3).filter(|&k| cell.periodic()[k]);
    periodic
        .map(|k| 0.5 * cell.height(k))
        .fold(f64::INFINITY, f64::min)
}
