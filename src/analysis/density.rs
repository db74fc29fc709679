//! Density along the cell's axes: mass and atoms of each element in slabs between parallel faces, of equal volume.

use serde_json::{Value, json};

use super::{AnalysisFinding, Chosen, CsvTable, FrameQuantity, Studied};
use crate::core::{Snapshot, Vec3};
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};
use crate::text::significant;
use crate::units::GRAM_PER_CM3;
use crate::{Error, Result};

/// Thickness of a slab (angstrom), at least.
const THICKNESS: f64 = 0.25;
/// Most slabs along an axis.
const MOST: f64 = 2000.0;
/// Names of the axes.
const AXES: [&str; 3] = ["a", "b", "c"];

/// Gathers densities.
pub struct DensityProfiles {
    chosen: Chosen,
    masses: Vec<f64>,
    /// Axis by axis, slab by slab, element by element: sums of mass over volume, and of atoms over volume.
    sums: [Vec<Vec<[f64; 2]>>; 3],
    /// Sum of the heights (angstrom) of the cell along each axis.
    heights: Vec3,
    frames: u64,
}

impl DensityProfiles {
    /// Of the atoms that are looked at.
    ///
    /// # Errors
    /// The cell is not periodic in all directions: it has no volume.
    pub fn new(studied: &Studied) -> Result<Self> {
        let cell = &studied.cell;
        if cell.volume().is_none() {
            return Err(Error::input(
                "a density needs a cell that is periodic in all directions, and this run has none",
            ));
        }
        let kinds = studied.chosen.kinds.len();
        let slabs = |axis: usize| (cell.height(axis) / THICKNESS).clamp(1.0, MOST) as usize;
        let masses = (studied.chosen.atoms.iter()).map(|&i| studied.system.masses[i]);
        Ok(Self {
            masses: masses.collect(),
            chosen: studied.chosen.clone(),
            sums: [0, 1, 2].map(|axis| vec![vec![[0.0; 2]; kinds]; slabs(axis)]),
            heights: Vec3::zeros(),
            frames: 0,
        })
    }

    /// Mass density of all elements (g/cm^3) in each slab along an axis.
    pub fn profile(&self, axis: usize) -> Vec<f64> {
        let scale = 1.0 / self.frames as f64 / GRAM_PER_CM3;
        let slab = |kinds: &Vec<[f64; 2]>| scale * kinds.iter().map(|[mass, _]| mass).sum::<f64>();
        self.sums[axis].iter().map(slab).collect()
    }

    /// Distance (angstrom) of a slab's middle from the cell's lower face.
    fn place(&self, axis: usize, slab: usize) -> f64 {
        let height = self.heights[axis] / self.frames as f64;
        height * (slab as f64 + 0.5) / self.sums[axis].len() as f64
    }

    fn table(&self) -> CsvTable {
        let mut names: Vec<String> = ["axis", "place_a", "density_g_cm3"]
            .map(str::to_owned)
            .into();
        let kinds = 0..self.chosen.kinds.len();
        names.extend(kinds.map(|kind| format!("{}_per_a3", self.chosen.symbol(kind))));
        let mut table = CsvTable::new(&names);
        for (axis, name) in AXES.iter().enumerate() {
            for (slab, density) in self.profile(axis).into_iter().enumerate() {
                let counts = self.sums[axis][slab].iter();
                let counts = counts.map(|[_, count]| count / self.frames as f64);
                let first = [self.place(axis, slab), density];
                table.labelled(&[name], first.into_iter().chain(counts));
            }
        }
        table
    }

    fn plot(&self) -> Plot {
        let series = |(axis, name): (usize, &&str)| PlotSeries {
            name: format!("along {name}"),
            colour: axis + 1,
            points: (self.profile(axis).into_iter().enumerate())
                .map(|(slab, density)| [self.place(axis, slab), density, 0.0])
                .collect(),
            drawn: Drawn::Line,
        };
        Plot {
            title: "Density along the cell's axes".to_owned(),
            x: PlotAxis::linear("distance from the lower face (\u{c5})"),
            y: PlotAxis::linear("density (g/cm\u{b3})"),
            series: AXES.iter().enumerate().map(series).collect(),
        }
    }
}

impl FrameQuantity for DensityProfiles {
    fn take(&mut self, frame: &Snapshot) -> Result<()> {
        let Some(volume) = frame.cell.volume() else {
            return Err(Error::input("its cell is not periodic in all directions"));
        };
        for (place, &i) in self.chosen.atoms.iter().enumerate() {
            let fractional = frame.cell.fractional(&frame.positions[i]);
            for axis in 0..3 {
                let slabs = self.sums[axis].len();
                let inside = fractional[axis] - fractional[axis].floor();
                let slab = (inside * slabs as f64) as usize;
                let kind = self.chosen.kind_of[place];
                let sum = &mut self.sums[axis][slab.min(slabs - 1)][kind];
                let share = slabs as f64 / volume;
                sum[0] += self.masses[place] * share;
                sum[1] += share;
            }
        }
        self.heights += Vec3::from([0, 1, 2].map(|axis| frame.cell.height(axis)));
        self.frames += 1;
        Ok(())
    }

    fn finding(&self) -> Result<AnalysisFinding> {
        let profile = self.profile(0);
        let mean = profile.iter().sum::<f64>() / profile.len() as f64;
        let (lines, axes): (Vec<String>, Vec<Value>) = (AXES.iter().enumerate())
            .map(|(axis, name)| {
                let profile = self.profile(axis);
                let low = profile.iter().copied().fold(f64::INFINITY, f64::min);
                let high = profile.iter().copied().fold(0.0, f64::max);
                let [low_text, high_text] = [low, high].map(|d| significant(d, 4));
                (
                    format!("along {name} {low_text} to {high_text} g/cm^3"),
                    json!({ "axis": name, "least_g_cm3": low, "largest_g_cm3": high }),
                )
            })
            .unzip();
        let first = format!("mean    {} g/cm^3", significant(mean, 5));
        Ok(AnalysisFinding {
            name: "density",
            title: "Density profiles".to_owned(),
            lines: std::iter::once(first).chain(lines).collect(),
            notes: vec![format!(
                "slabs of {:.3}, {:.3} and {:.3} A between the cell's faces",
                self.place(0, 0) * 2.0,
                self.place(1, 0) * 2.0,
                self.place(2, 0) * 2.0
            )],
            figures: json!({ "mean_g_cm3": mean, "axes": axes }),
            table: self.table(),
            plots: vec![("density".to_owned(), self.plot())],
        })
    }
}
