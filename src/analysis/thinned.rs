//! The course of quantities over time in so many points at most: means over stretches of equal length, which double when there
//! are too many of them, with the least and the largest value within each.

use crate::plot::{Drawn, PlotSeries};

/// Most points where nothing else is said, an even number.
const MOST: usize = 2048;

/// Columns of a table over time, thinned out.
#[derive(Debug, Clone, PartialEq)]
pub struct Thinned {
    columns: usize,
    most: usize,
    /// Samples in a full stretch.
    width: u64,
    /// Means over full stretches: time, then the columns.
    full: Vec<Vec<f64>>,
    /// The least and the largest value of each column within them.
    extremes: Vec<Vec<[f64; 2]>>,
    /// Sums over the stretch that is not yet full.
    open: Vec<f64>,
    open_extremes: Vec<[f64; 2]>,
    count: u64,
}

/// The extremes of no samples.
const NOTHING: [f64; 2] = [f64::INFINITY, f64::NEG_INFINITY];

/// The extremes of two stretches together; what is no number counts in none.
fn joined(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0].min(b[0]), a[1].max(b[1])]
}

impl Thinned {
    /// No samples yet of so many columns.
    pub fn new(columns: usize) -> Self {
        Self::into_points(columns, MOST)
    }

    /// No samples yet of so many columns, of which at most so many points are to be made, rounded up to an even number.
    pub fn into_points(columns: usize, most: usize) -> Self {
        Self {
            columns,
            most: most.next_multiple_of(2).max(2),
            width: 1,
            full: Vec::new(),
            extremes: Vec::new(),
            open: vec![0.0; columns + 1],
            open_extremes: vec![NOTHING; columns],
            count: 0,
        }
    }

    /// Takes in the values of the columns at a time.
    pub fn add(&mut self, time: f64, values: impl IntoIterator<Item = f64>) {
        self.open[0] += time;
        let open = self.open[1..].iter_mut().zip(&mut self.open_extremes);
        for ((sum, extremes), value) in open.zip(values) {
            *sum += value;
            *extremes = joined(*extremes, [value; 2]);
        }
        self.count += 1;
        if self.count < self.width {
            return;
        }
        self.close();
        if self.full.len() >= self.most {
            self.halve();
        }
    }

    /// Makes a point of the samples that do not fill one, if there are any: the last point, where nothing follows.
    pub fn close(&mut self) {
        if self.count == 0 {
            return;
        }
        let samples = self.count as f64;
        self.full
            .push(self.open.iter().map(|sum| sum / samples).collect());
        self.extremes.push(self.open_extremes.clone());
        self.open.fill(0.0);
        self.open_extremes.fill(NOTHING);
        self.count = 0;
    }

    /// Makes one point of two.
    fn halve(&mut self) {
        let mean = |pair: &[Vec<f64>]| {
            let both = pair[0].iter().zip(&pair[1]);
            both.map(|(a, b)| 0.5 * (a + b)).collect()
        };
        self.full = self.full.chunks_exact(2).map(mean).collect();
        let both = |pair: &[Vec<[f64; 2]>]| {
            let both = pair[0].iter().zip(&pair[1]);
            both.map(|(a, b)| joined(*a, *b)).collect()
        };
        self.extremes = self.extremes.chunks_exact(2).map(both).collect();
        self.width *= 2;
    }

    /// Samples in each point.
    pub fn width(&self) -> u64 {
        self.width
    }

    /// The points: time, then the columns. What does not fill the last one is left out.
    pub fn points(&self) -> &[Vec<f64>] {
        &self.full
    }

    /// The course of one column.
    pub fn column(&self, column: usize) -> Vec<f64> {
        self.full.iter().map(|point| point[column + 1]).collect()
    }

    /// The same in so many points at most.
    pub fn coarser(&self, most: usize) -> Self {
        let mut coarser = self.clone();
        while coarser.full.len() > most.max(2) {
            coarser.halve();
        }
        coarser
    }

    /// A column over time (in units of `unit`) as a line, and behind it, where points stand for several samples, the range of
    /// these; each value as `turned` has it, an increasing linear function.
    pub fn traced(
        &self,
        column: usize,
        (name, colour): (&str, usize),
        unit: f64,
        turned: impl Fn(f64) -> f64,
    ) -> Vec<PlotSeries> {
        let times = || self.full.iter().map(|point| point[0] / unit);
        let line = times().zip(self.column(column));
        let line = PlotSeries {
            name: name.to_owned(),
            colour,
            points: line.map(|(time, mean)| [time, turned(mean), 0.0]).collect(),
            drawn: Drawn::Line,
        };
        if self.width < 2 {
            return vec![line];
        }
        let range = |(time, ends): (f64, [f64; 2])| {
            let [low, high] = ends.map(&turned);
            [time, 0.5 * (low + high), 0.5 * (high - low)]
        };
        let band = times().zip(self.extremes(column)).map(range);
        let band = PlotSeries {
            name: String::new(),
            colour,
            points: band.filter(|point| point[1].is_finite()).collect(),
            drawn: Drawn::Band,
        };
        vec![band, line]
    }

    /// The least and the largest value of one column within each point; infinities where it had no numbers there.
    pub fn extremes(&self, column: usize) -> Vec<[f64; 2]> {
        self.extremes.iter().map(|point| point[column]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_means_over_stretches() {
        let mut thinned = Thinned::new(1);
        for k in 0..10_000 {
            thinned.add(f64::from(k), [f64::from(k % 4)]);
        }
        assert_eq!(thinned.width(), 8);
        assert_eq!(thinned.points().len(), 1250);
        assert_eq!(thinned.points()[1], [11.5, 1.5]);
        assert_eq!(thinned.extremes(0)[1], [0.0, 3.0]);
    }

    /// Samples that do not fill a point are one where that is asked for; what is no number hides no extremes.
    #[test]
    fn the_last_point_may_be_of_fewer_samples() {
        let mut thinned = Thinned::into_points(2, 4);
        for k in 0..7 {
            let gap = if k == 2 { f64::NAN } else { f64::from(k) };
            thinned.add(f64::from(k), [f64::from(k), gap]);
        }
        thinned.close();
        let points: Vec<f64> = thinned.points().iter().map(|point| point[0]).collect();
        assert_eq!((thinned.width(), points), (2, vec![0.5, 2.5, 4.5, 6.0]));
        assert_eq!(
            thinned.extremes(0),
            [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 6.0]]
        );
        assert_eq!(
            thinned.extremes(1),
            [[0.0, 1.0], [3.0, 3.0], [4.0, 5.0], [6.0, 6.0]]
        );
        assert!(thinned.points()[1][2].is_nan());
        // The same in half as many points.
        let coarser = thinned.coarser(2);
        assert_eq!(coarser.extremes(0), [[0.0, 3.0], [4.0, 6.0]]);
        assert_eq!(
            coarser.traced(0, ("a", 1), 1.0, |value| value)[0].points[1],
            [5.25, 5.0, 1.0]
        );
    }
}
