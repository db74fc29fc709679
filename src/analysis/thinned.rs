//! The course of quantities over time in so many points at most: means over stretches of equal length, which double when there
//! are too many of them.

/// Most points, an even number.
const MOST: usize = 2048;

/// Columns of a table over time, thinned out.
#[derive(Debug, Clone, PartialEq)]
pub struct Thinned {
    columns: usize,
    /// Samples in a full stretch.
    width: u64,
    /// Means over full stretches: time, then the columns.
    full: Vec<Vec<f64>>,
    /// Sums over the stretch that is not yet full.
    open: Vec<f64>,
    count: u64,
}

impl Thinned {
    /// No samples yet of so many columns.
    pub fn new(columns: usize) -> Self {
        Self {
            columns,
            width: 1,
            full: Vec::new(),
            open: vec![0.0; columns + 1],
            count: 0,
        }
    }

    /// Takes in the values of the columns at a time.
    pub fn add(&mut self, time: f64, values: impl IntoIterator<Item = f64>) {
        let all = std::iter::once(time).chain(values);
        (self.open.iter_mut().zip(all)).for_each(|(sum, value)| *sum += value);
        self.count += 1;
        if self.count < self.width {
            return;
        }
        let width = self.width as f64;
        let mean = self.open.iter().map(|sum| sum / width).collect();
        self.full.push(mean);
        self.open.fill(0.0);
        self.count = 0;
        if self.full.len() >= MOST {
            let pairs = self.full.chunks(2);
            let mean = |pair: &[Vec<f64>]| {
                let both = pair[0].iter().zip(&pair[1]);
                both.map(|(a, b)| 0.5 * (a + b)).collect()
            };
            self.full = pairs.map(mean).collect();
            self.width *= 2;
        }
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
    }
}
