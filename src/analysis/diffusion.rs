//! Mean squared displacements, and the diffusion coefficient that their slope tells (Einstein 1905): D = slope / 6.
//!
//! Positions have to be unwrapped. Where a trajectory was written with molecules moved into the cell, each frame's displacement
//! from the one before is taken to be the shortest (von Buelow, Bullerjahn and Hummer, J. Chem. Phys. 153, 021101 (2020)),
//! which holds while atoms move by less than half of the cell between frames.
//!
//! The error of D is that of its mean over five equal parts of the time. In a periodic cell D is too small, by
//! 2.837297 kT / (6 pi viscosity L) in a cubic one (Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004), eq. 12).

use std::f64::consts::PI;

use serde_json::{Value, json};

use super::lags::{Displacements, LagMean};
use super::{AnalysisFinding, Chosen, CsvTable, FrameQuantity, Studied};
use crate::core::{Cell, Snapshot, Vec3};
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};
use crate::report::series::Estimate;
use crate::text::significant;
use crate::units::{FEMTOSECOND, GIGAPASCAL, PICOSECOND};
use crate::{Error, Result};

/// Parts of the time for the error bar.
const PARTS: usize = 5;
/// The lags that are fitted, as parts of the trajectory, where nothing is said.
const USUAL_FIT: [f64; 2] = [0.05, 0.15];
/// Fewest lags that a line is fitted to.
const FEWEST_LAGS: usize = 3;
/// A displacement that grows as time to a power this far from 1 is no diffusion.
const DIFFUSIVE: f64 = 0.1;
/// Of a cubic lattice (Yeh and Hummer 2004).
const MADELUNG: f64 = 2.837_297;
/// Edges and angles of a cube may differ by so much.
const CUBIC: f64 = 0.01;
/// 1e-9 m^2/s in square angstrom per internal time.
const NANO: f64 = 0.1 / PICOSECOND;

/// What a user says of how diffusion is to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DiffusionOptions {
    /// First and last lag of the fit (internal time).
    pub fit: Option<[f64; 2]>,
    /// Shear viscosity (Pa s).
    pub viscosity: Option<f64>,
    /// Temperature (kT, eV).
    pub kt: Option<f64>,
}

/// Measures displacements.
pub struct Diffusion {
    chosen: Chosen,
    options: DiffusionOptions,
    /// Time between frames (internal).
    spacing: f64,
    cell: Cell,
    wrapped: bool,
    /// Positions in the frame before: as they are there, and unwrapped.
    before: Vec<Vec3>,
    unwrapped: Vec<Vec3>,
    displacements: Displacements,
}

/// A diffusion coefficient.
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficient {
    /// The coefficient (square angstrom per internal time), and its error.
    pub value: Estimate,
    /// The power of time that displacements grow with: 1 in diffusion.
    pub power: f64,
}

impl Diffusion {
    /// Of the atoms that are looked at.
    pub fn new(studied: &Studied, options: DiffusionOptions) -> Self {
        Self {
            chosen: studied.chosen.clone(),
            options,
            spacing: studied.spacing,
            cell: studied.cell.clone(),
            wrapped: studied.wrapped,
            before: Vec::new(),
            unwrapped: Vec::new(),
            displacements: Displacements::new(&studied.chosen, studied.frames),
        }
    }

    /// Mean squared displacements by lag.
    pub fn means(&self) -> Vec<LagMean> {
        self.displacements.means()
    }

    fn follow(&mut self, frame: &Snapshot) {
        let now = self.chosen.atoms.iter().map(|&i| frame.positions[i]);
        if self.before.is_empty() || !self.wrapped {
            self.unwrapped.clear();
            self.unwrapped.extend(now.clone());
        } else {
            let steps = self.unwrapped.iter_mut().zip(&self.before).zip(now.clone());
            for ((unwrapped, before), now) in steps {
                *unwrapped += shortest(&frame.cell, now - before);
            }
        }
        self.before.clear();
        self.before.extend(now);
    }

    /// The lags that are fitted (internal time).
    fn fit(&self) -> [f64; 2] {
        let whole = self.spacing * self.displacements.frames() as f64;
        (self.options.fit).unwrap_or(USUAL_FIT.map(|part| part * whole))
    }

    /// The coefficient of one element, or of all atoms; `None` where too few lags are within the fit.
    pub fn coefficient(&self, kind: Option<usize>) -> Option<Coefficient> {
        let points = |means: &[LagMean]| -> Vec<[f64; 2]> {
            let [first, last] = self.fit();
            let room = 1e-9 * self.spacing;
            let point = |mean: &LagMean| {
                let square = kind.map_or(mean.all, |kind| mean.of_kind[kind]);
                [mean.lag as f64 * self.spacing, square]
            };
            let all = means.iter().map(point);
            all.filter(|[t, _]| (first - room..=last + room).contains(t))
                .collect()
        };
        let whole = points(&self.means());
        if whole.len() < FEWEST_LAGS {
            return None;
        }
        let parts: Vec<f64> = (0..PARTS)
            .map(|part| points(&self.displacements.means_of_part(part, PARTS)))
            .filter(|some| some.len() == whole.len())
            .filter_map(|some| slope(&some))
            .map(|slope| slope / 6.0)
            .collect();
        let n = parts.len() as f64;
        let mean = parts.iter().sum::<f64>() / n;
        let squares: f64 = parts.iter().map(|d| (d - mean).powi(2)).sum();
        let logarithms: Vec<[f64; 2]> = whole.iter().map(|p| p.map(f64::ln)).collect();
        Some(Coefficient {
            value: Estimate {
                value: slope(&whole)? / 6.0,
                error: (squares / (n * (n - 1.0))).sqrt(),
                converged: parts.len() == PARTS,
            },
            power: slope(&logarithms)?,
        })
    }

    /// What a cubic cell of this size takes off D (square angstrom per internal time).
    fn finite_size(&self) -> Option<f64> {
        let edge = cubic_edge(&self.cell)?;
        let viscosity = self.options.viscosity? * 1e-9 * GIGAPASCAL * 1e15 * FEMTOSECOND;
        Some(MADELUNG * self.options.kt? / (6.0 * PI * viscosity * edge))
    }

    fn size_note(&self) -> String {
        let law = "a periodic cell makes D too small: in a cubic one by 2.837297 kT / (6 pi viscosity L) (Yeh and Hummer 2004)";
        match (self.options.viscosity, cubic_edge(&self.cell)) {
            (Some(_), None) => format!("{law}; this cell is not cubic, so it is not computed"),
            (Some(_), Some(_)) if self.options.kt.is_none() => {
                format!("{law}; the run's temperature is not known, so it is not computed")
            }
            (Some(viscosity), Some(_)) => {
                format!(
                    "{law}; with a viscosity of {} mPa s",
                    significant(1e3 * viscosity, 4)
                )
            }
            (None, _) => format!("{law}; --viscosity computes it"),
        }
    }

    /// What is said of one element, or of all atoms.
    fn said(&self, kind: Option<usize>) -> (String, Value) {
        let name = kind.map_or("all", |kind| self.chosen.symbol(kind));
        let Some(found) = self.coefficient(kind) else {
            return (
                format!("{name:<4} too few frames for a fit"),
                json!({ "atoms": name }),
            );
        };
        let value = found.value.scaled(1.0 / NANO);
        let is_diffusive = (found.power - 1.0).abs() <= DIFFUSIVE && value.value > 0.0;
        let corrected = self.finite_size().map(|more| value.value + more / NANO);
        let line = match is_diffusive {
            true => {
                let mut line = format!("{name:<4} D = {} e-9 m^2/s", value.text());
                if let Some(corrected) = corrected {
                    line += &format!(", {} in an infinite cell", significant(corrected, 4));
                }
                line
            }
            false => format!(
                "{name:<4} no diffusion (yet): displacements grow as t^{:.2} within the fit",
                found.power
            ),
        };
        let figures = json!({
            "atoms": name,
            "diffusion_1e9_m2_per_s": value.value,
            "error": value.error,
            "power_of_time": found.power,
            "is_diffusive": is_diffusive,
            "corrected_1e9_m2_per_s": corrected,
        });
        (line, figures)
    }

    fn table(&self, means: &[LagMean]) -> CsvTable {
        let mut names = vec![
            "lag_ps".to_owned(),
            "origins".to_owned(),
            "msd_all_a2".to_owned(),
        ];
        let kinds = 0..self.chosen.kinds.len();
        names.extend(kinds.map(|kind| format!("msd_{}_a2", self.chosen.symbol(kind))));
        let mut table = CsvTable::new(&names);
        for mean in means {
            let time = mean.lag as f64 * self.spacing / PICOSECOND;
            let first = [time, mean.origins as f64, mean.all];
            table.row(first.into_iter().chain(mean.of_kind.iter().copied()));
        }
        table
    }

    fn plot(&self, means: &[LagMean]) -> Plot {
        let series = |(colour, kind): (usize, Option<usize>)| PlotSeries {
            name: kind
                .map_or("all", |kind| self.chosen.symbol(kind))
                .to_owned(),
            colour,
            points: (means.iter())
                .map(|mean| {
                    let time = mean.lag as f64 * self.spacing / PICOSECOND;
                    let square = kind.map_or(mean.all, |kind| mean.of_kind[kind]);
                    [time, square, 0.0]
                })
                .collect(),
            drawn: Drawn::Line,
        };
        let kinds = (0..self.chosen.kinds.len()).map(Some);
        let shown = std::iter::once(None).chain(kinds).enumerate();
        Plot {
            title: "Mean squared displacement".to_owned(),
            x: PlotAxis::logarithmic("lag (ps)"),
            y: PlotAxis::logarithmic("mean squared displacement (\u{c5}\u{b2})"),
            series: shown.map(series).collect(),
        }
    }
}

impl FrameQuantity for Diffusion {
    fn take(&mut self, frame: &Snapshot) -> Result<()> {
        self.follow(frame);
        self.displacements.add(&self.unwrapped);
        Ok(())
    }

    fn pass(&mut self, frame: &Snapshot) {
        // Where molecules are moved into the cell, no step from frame to frame may be missed.
        if self.wrapped {
            self.follow(frame);
        }
    }

    fn finding(&self) -> Result<AnalysisFinding> {
        let means = self.means();
        if means.is_empty() {
            return Err(Error::input("displacements need two frames at least"));
        }
        let mut notes = vec![format!(
            "lags up to {} frames from every frame, longer ones from every second, fourth, ...; {}",
            self.displacements.depth(),
            match self.wrapped {
                true => "unwrapped here: each step is taken to be the shortest",
                false => "positions as the run wrote them, unwrapped",
            }
        )];
        let kinds = (0..self.chosen.kinds.len()).map(Some);
        let shown: Vec<Option<usize>> = match self.chosen.kinds.len() {
            1 => kinds.collect(),
            _ => std::iter::once(None).chain(kinds).collect(),
        };
        let [first, last] = self.fit().map(|t| t / PICOSECOND);
        let (mut lines, mut figures) = (Vec::new(), Vec::new());
        if self.cell.is_periodic() {
            (lines, figures) = shown.into_iter().map(|kind| self.said(kind)).unzip();
            notes.push(format!(
                "D = slope / 6 of a line through lags of {} to {} ps; its error from {PARTS} parts of the time",
                significant(first, 3),
                significant(last, 3)
            ));
            notes.push(self.size_note());
        } else {
            let farthest = means.last().map_or(0.0, |mean| mean.all.sqrt());
            lines.push(format!(
                "atoms are {} A away at the longest lag",
                significant(farthest, 3)
            ));
            notes.push("without a cell there is nothing to diffuse in: no D".to_owned());
        }
        Ok(AnalysisFinding {
            name: "msd",
            title: "Mean squared displacement".to_owned(),
            lines,
            notes,
            figures: json!({ "fit_ps": [first, last], "diffusion": figures }),
            table: self.table(&means),
            plots: vec![("msd".to_owned(), self.plot(&means))],
        })
    }
}

/// A vector (angstrom) less the lattice vectors that make it longer: right for vectors shorter than half of the cell's height.
pub fn shortest(cell: &Cell, vector: Vec3) -> Vec3 {
    if !cell.is_periodic() {
        return vector;
    }
    let fractional = cell.fractional(&vector);
    let mut image = Vec3::zeros();
    for k in (0..3).filter(|&k| cell.periodic()[k]) {
        image[k] = fractional[k].round();
    }
    vector - cell.cartesian(&image)
}

/// The edge of a cube (angstrom).
fn cubic_edge(cell: &Cell) -> Option<f64> {
    let edge = cell.volume()?.cbrt();
    let is_cubic = (0..3).all(|k| {
        let (length, height) = (cell.vector(k).norm(), cell.height(k));
        (length / edge - 1.0).abs() < CUBIC && (height / edge - 1.0).abs() < CUBIC
    });
    is_cubic.then_some(edge)
}

/// Slope of the least-squares line through points.
fn slope(points: &[[f64; 2]]) -> Option<f64> {
    let n = points.len() as f64;
    let mean = |k: usize| points.iter().map(|p| p[k]).sum::<f64>() / n;
    let (x, y) = (mean(0), mean(1));
    let xx: f64 = points.iter().map(|p| (p[0] - x).powi(2)).sum();
    let xy: f64 = points.iter().map(|p| (p[0] - x) * (p[1] - y)).sum();
    (xx > 0.0 && xy.is_finite()).then(|| xy / xx)
}
