//! Autocorrelation of velocities, and the spectrum of vibrations.
//!
//! Velocities are taken in windows of M frames, each of which begins at the middle of the one before. Of each window come
//!
//! - the power spectrum of the mass-weighted velocities under Hann's window (Welch, IEEE Trans. Audio Electroacoust. 15, 70
//!   (1967)), scaled so that its integral over wavenumbers is the number of degrees of freedom that share the kinetic energy
//!   (Lin, Blanco and Goddard, J. Chem. Phys. 119, 11792 (2003), with the run's own mean kinetic energy in the place of kT);
//! - their autocorrelation sum m v(0) v(t) / sum m v(0) v(0), each lag divided by the number of its pairs, by Fourier transforms
//!   of windows that zeros make twice as long.
//!
//! Transforms are of powers of two: zeros fill up what is shorter. The resolution is 1 / (M dt). Where the atoms' windows do not
//! fit into memory, a part of the atoms is drawn by their numbers.

use phastft::fft_f64_dit_with_planner;
use phastft::planner::{Direction, PlannerDit64};
use rayon::prelude::*;
use serde_json::json;

use super::{AnalysisFinding, Chosen, CsvTable, FrameQuantity, MOST_BYTES, Studied};
use crate::core::Snapshot;
use crate::core::rng::{Noise, Stream};
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};
use crate::text::significant;
use crate::units::{FEMTOSECOND, PICOSECOND};
use crate::{Error, Result};

/// Speed of light (cm / fs).
const LIGHT: f64 = 2.997_924_58e-5;
/// Resolution where nothing is said (1/cm).
const USUAL_RESOLUTION: f64 = 4.0;
/// Fewest frames of a window.
const FEWEST: usize = 16;
/// Windows that a short trajectory is cut into at least, as far as it has the frames.
const WINDOWS: u64 = 4;
/// Fastest vibration of usual matter (1/cm): what is not sampled twice as fast shows where it is not.
const FASTEST: f64 = 4000.0;
/// Lines that are told, and how strong they are at least, of the strongest.
const LINES: usize = 8;
const FAINT: f64 = 0.02;
/// Parts of the work, whose sums are added in order.
const CHUNKS: usize = 16;

/// Gathers velocities.
pub struct Vibrations {
    chosen: Chosen,
    /// Places among the chosen atoms of those that are measured, by element.
    sample: Vec<Vec<usize>>,
    masses: Vec<f64>,
    /// Degrees of freedom of the chosen atoms.
    degrees_of_freedom: f64,
    /// Time between frames (internal).
    spacing: f64,
    /// Frames of a window.
    window: usize,
    /// Of each component of each measured atom the velocities of a window, one component after another.
    series: Vec<f64>,
    filled: usize,
    frames: u64,
    sums: WindowSums,
}

/// Sums over windows, of each element.
#[derive(Debug, Clone, Default)]
struct WindowSums {
    windows: u64,
    /// Frames of the windows.
    length: usize,
    /// Power under Hann's window, by frequency.
    power: Vec<Vec<f64>>,
    /// Power of the window that zeros make twice as long.
    padded: Vec<Vec<f64>>,
}

/// A spectrum and an autocorrelation.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// Wavenumbers (1/cm), evenly from 0.
    pub wavenumbers: Vec<f64>,
    /// Degrees of freedom per 1/cm, of each element.
    pub density: Vec<Vec<f64>>,
    /// Autocorrelation by lag in frames from 0, of all atoms, weighted by mass; 1 at 0.
    pub correlation: Vec<f64>,
    /// That of each element.
    pub correlation_of: Vec<Vec<f64>>,
}

impl Vibrations {
    /// Of the atoms that are looked at, with a resolution (1/cm) if one is asked for.
    pub fn new(studied: &Studied, resolution: Option<f64>) -> Self {
        let chosen = studied.chosen.clone();
        let wanted = resolution.unwrap_or(USUAL_RESOLUTION);
        let frames = 1.0 / (LIGHT * wanted * studied.spacing / FEMTOSECOND);
        let wanted = frames.ceil().min(1e9) as usize;
        let some = (studied.frames / WINDOWS).max(FEWEST as u64) as usize;
        let window = match resolution {
            Some(_) => wanted.min(studied.frames.max(1) as usize),
            None => wanted.min(some).next_power_of_two(),
        };
        let window = window.max(FEWEST);
        let room = (MOST_BYTES / (24 * window)).max(1);
        let part = studied.chosen.len() as f64 / studied.system.len() as f64;
        let masses = chosen.atoms.iter().map(|&i| studied.system.masses[i]);
        Self {
            masses: masses.collect(),
            sample: draw(&chosen, room),
            degrees_of_freedom: studied.degrees_of_freedom as f64 * part,
            spacing: studied.spacing,
            window,
            series: Vec::new(),
            filled: 0,
            frames: 0,
            sums: WindowSums::default(),
            chosen,
        }
    }

    fn measured(&self) -> usize {
        self.sample.iter().map(Vec::len).sum()
    }

    /// Takes in the window that is there, of `length` frames.
    fn sum(&self, length: usize) -> WindowSums {
        let window = self.window;
        let plans = [length, 2 * length].map(Plan1d::new);
        let mut sums = WindowSums {
            windows: 1,
            length,
            ..WindowSums::default()
        };
        let mut first = 0;
        for atoms in &self.sample {
            // Two components are the real and the imaginary part of one transform.
            let components = &self.series[first * window..(first + 3 * atoms.len()) * window];
            let pairs: Vec<&[f64]> = components.chunks(2 * window).collect();
            let chunk = pairs.len().div_ceil(CHUNKS).max(1);
            let parts: Vec<[Vec<f64>; 2]> = (pairs.par_chunks(chunk))
                .map(|some| powers(some, window, length, &plans))
                .collect();
            let mut total = plans.each_ref().map(|plan| vec![0.0; plan.size]);
            for part in parts {
                for (total, part) in total.iter_mut().zip(part) {
                    total
                        .iter_mut()
                        .zip(part)
                        .for_each(|(sum, more)| *sum += more);
                }
            }
            let [power, padded] = total;
            sums.power.push(power);
            sums.padded.push(padded);
            first += 3 * atoms.len();
        }
        sums
    }

    /// All windows; what there is, where not even one is full.
    fn all(&self) -> WindowSums {
        match self.sums.windows {
            0 => self.sum(self.filled),
            _ => self.sums.clone(),
        }
    }

    /// The spectrum.
    ///
    /// # Errors
    /// There were too few frames, or nothing moves.
    pub fn spectrum(&self) -> Result<Spectrum> {
        if self.frames < FEWEST as u64 {
            return Err(Error::input(format!(
                "{} frames are too few for a spectrum: {FEWEST} are wanted at least",
                self.frames
            )));
        }
        let sums = self.all();
        let length = sums.length;
        let size = sums.power[0].len();
        let bins = size / 2 + 1;
        let folded = |power: &Vec<f64>| -> Vec<f64> {
            let both = |f: usize| match f {
                0 => power[0],
                f if 2 * f == size => power[f],
                f => power[f] + power[size - f],
            };
            (0..bins).map(both).collect()
        };
        // An element of which a part is drawn stands for all of its atoms.
        let weight = |kind: usize| self.chosen.counts[kind] as f64 / self.sample[kind].len() as f64;
        let mut density: Vec<Vec<f64>> = sums.power.iter().map(folded).collect();
        for (kind, density) in density.iter_mut().enumerate() {
            density.iter_mut().for_each(|power| *power *= weight(kind));
        }
        let total: f64 = density.iter().flatten().sum();
        let steady = total > 0.0 && total.is_finite();
        if !steady {
            return Err(Error::input("no atom moves: all velocities are zero"));
        }
        let width = 1.0 / (LIGHT * size as f64 * self.spacing / FEMTOSECOND);
        let scale = self.degrees_of_freedom / total / width;
        density
            .iter_mut()
            .flatten()
            .for_each(|power| *power *= scale);
        let lags: Vec<Vec<f64>> = (sums.padded.iter().enumerate())
            .map(|(kind, padded)| correlation(padded, length, weight(kind)))
            .collect();
        let sum_at = |lag: usize| lags.iter().map(|of| of[lag]).sum::<f64>();
        let unit = |of: &Vec<f64>| of.iter().map(|c| c / of[0]).collect();
        Ok(Spectrum {
            wavenumbers: (0..bins).map(|f| f as f64 * width).collect(),
            density,
            correlation: (0..lags[0].len())
                .map(|lag| sum_at(lag) / sum_at(0))
                .collect(),
            correlation_of: lags.iter().map(unit).collect(),
        })
    }

    fn notes(&self) -> Vec<String> {
        let sums = self.all();
        let window = sums.length as f64 * self.spacing;
        let mut notes = vec![format!(
            "{} of {} ps, half of each over the next, under Hann's window: resolution {} 1/cm; integral {} degrees of \
             freedom",
            crate::text::counted(sums.windows, "window"),
            significant(window / PICOSECOND, 3),
            significant(1.0 / (LIGHT * window / FEMTOSECOND), 3),
            significant(self.degrees_of_freedom, 6),
        )];
        let highest = 0.5 / (LIGHT * self.spacing / FEMTOSECOND);
        if highest < FASTEST {
            notes.push(format!(
                "frames are {} fs apart: what vibrates faster than {highest:.0} 1/cm shows at lower wavenumbers; \
                 write a frame every {} fs or more often",
                significant(self.spacing / FEMTOSECOND, 3),
                (0.5 / (LIGHT * FASTEST)).floor()
            ));
        }
        if self.measured() < self.chosen.len() {
            notes.push(format!(
                "windows of {} of {} atoms, drawn at random, fit into memory",
                self.measured(),
                self.chosen.len()
            ));
        }
        notes
    }

    /// The spectrum as a finding.
    ///
    /// # Errors
    /// As for [`Vibrations::spectrum`].
    pub fn spectrum_finding(&self) -> Result<AnalysisFinding> {
        let spectrum = self.spectrum()?;
        let total: Vec<f64> = (0..spectrum.wavenumbers.len())
            .map(|f| spectrum.density.iter().map(|of| of[f]).sum())
            .collect();
        let peaks = peaks(&spectrum.wavenumbers, &total);
        let shown: Vec<String> = peaks.iter().map(|peak| format!("{peak:.0}")).collect();
        let mut names = vec!["wavenumber_per_cm".to_owned(), "all".to_owned()];
        names.extend((0..self.chosen.kinds.len()).map(|kind| self.chosen.symbol(kind).to_owned()));
        let mut table = CsvTable::new(&names);
        for (f, &wavenumber) in spectrum.wavenumbers.iter().enumerate() {
            let each = spectrum.density.iter().map(|of| of[f]);
            table.row([wavenumber, total[f]].into_iter().chain(each));
        }
        Ok(AnalysisFinding {
            name: "spectrum",
            title: "Vibrational spectrum".to_owned(),
            lines: vec![match shown.is_empty() {
                true => "no line stands out".to_owned(),
                false => format!("strongest at {} 1/cm", shown.join(", ")),
            }],
            notes: self.notes(),
            figures: json!({
                "peaks_per_cm": peaks,
                "degrees_of_freedom": self.degrees_of_freedom,
                "resolution_per_cm": 1.0 / (LIGHT * self.all().length as f64 * self.spacing / FEMTOSECOND),
            }),
            table,
            plots: vec![(
                "spectrum".to_owned(),
                Plot {
                    title: "Vibrational spectrum".to_owned(),
                    x: PlotAxis::linear("wavenumber (1/cm)"),
                    y: PlotAxis::linear("degrees of freedom per 1/cm"),
                    series: self.curves(&spectrum.wavenumbers, &total, &spectrum.density),
                },
            )],
        })
    }

    /// The autocorrelation as a finding.
    ///
    /// # Errors
    /// As for [`Vibrations::spectrum`].
    pub fn correlation_finding(&self) -> Result<AnalysisFinding> {
        let spectrum = self.spectrum()?;
        let time = |lag: usize| lag as f64 * self.spacing / PICOSECOND;
        let mut names = vec!["lag_ps".to_owned(), "all".to_owned()];
        names.extend((0..self.chosen.kinds.len()).map(|kind| self.chosen.symbol(kind).to_owned()));
        let mut table = CsvTable::new(&names);
        for (lag, &all) in spectrum.correlation.iter().enumerate() {
            let each = spectrum.correlation_of.iter().map(|of| of[lag]);
            table.row([time(lag), all].into_iter().chain(each));
        }
        let times: Vec<f64> = (0..spectrum.correlation.len()).map(time).collect();
        let zero = spectrum
            .correlation
            .iter()
            .position(|c| *c <= 0.0)
            .map(time);
        Ok(AnalysisFinding {
            name: "vacf",
            title: "Velocity autocorrelation".to_owned(),
            lines: vec![match zero {
                Some(zero) => format!("crosses zero first after {} ps", significant(zero, 3)),
                None => "does not cross zero".to_owned(),
            }],
            notes: vec![format!(
                "weighted by mass, 1 at lag 0, over {}; lags up to half of one",
                crate::text::counted(self.all().windows, "window")
            )],
            figures: json!({ "zero_ps": zero }),
            table,
            plots: vec![(
                "vacf".to_owned(),
                Plot {
                    title: "Velocity autocorrelation".to_owned(),
                    x: PlotAxis::linear("lag (ps)"),
                    y: PlotAxis::linear("C(t) / C(0)"),
                    series: self.curves(&times, &spectrum.correlation, &spectrum.correlation_of),
                },
            )],
        })
    }

    fn curves(&self, x: &[f64], all: &[f64], each: &[Vec<f64>]) -> Vec<PlotSeries> {
        let curve = |name: &str, colour, y: &[f64]| PlotSeries {
            name: name.to_owned(),
            colour,
            points: x.iter().zip(y).map(|(x, y)| [*x, *y, 0.0]).collect(),
            drawn: Drawn::Line,
        };
        let mut curves = vec![curve("all", 0, all)];
        if each.len() > 1 {
            let of = each.iter().enumerate();
            curves.extend(of.map(|(kind, y)| curve(self.chosen.symbol(kind), kind + 1, y)));
        }
        curves
    }
}

impl FrameQuantity for Vibrations {
    fn take(&mut self, frame: &Snapshot) -> Result<()> {
        if frame.velocities.len() != frame.positions.len() {
            return Err(Error::input("it has no velocities"));
        }
        let window = self.window;
        if self.series.is_empty() {
            self.series = vec![0.0; 3 * self.measured() * window];
        }
        let mut at = self.filled;
        for &place in self.sample.iter().flatten() {
            let root = self.masses[place].sqrt();
            for component in frame.velocities[self.chosen.atoms[place]].iter() {
                self.series[at] = root * component;
                at += window;
            }
        }
        self.filled += 1;
        self.frames += 1;
        if self.filled == window {
            let sums = self.sum(window);
            self.sums.add(sums);
            // The second half is the first of the next window.
            let hop = window / 2;
            (self.series.chunks_mut(window)).for_each(|one| one.copy_within(hop.., 0));
            self.filled -= hop;
        }
        Ok(())
    }

    fn finding(&self) -> Result<AnalysisFinding> {
        self.spectrum_finding()
    }
}

impl WindowSums {
    fn add(&mut self, more: Self) {
        if self.windows == 0 {
            *self = more;
            return;
        }
        self.windows += more.windows;
        let pairs = [
            (&mut self.power, more.power),
            (&mut self.padded, more.padded),
        ];
        for (sums, more) in pairs {
            let each = sums.iter_mut().flatten().zip(more.into_iter().flatten());
            each.for_each(|(sum, more)| *sum += more);
        }
    }
}

/// Places of atoms among the chosen ones, of each element: all of them, or as many as there is room for, drawn by a hash of
/// their numbers so that no order in the file is favoured.
fn draw(chosen: &Chosen, room: usize) -> Vec<Vec<usize>> {
    let noise = Noise::new(0);
    let part = (room as f64 / chosen.len().max(1) as f64).min(1.0);
    let of_kind = |kind: usize| {
        let mut places: Vec<usize> = (0..chosen.len())
            .filter(|&place| chosen.kind_of[place] == kind)
            .collect();
        if part < 1.0 {
            let key = |place: &usize| noise.normal3(0, *place as u32, Stream::Velocities).x;
            places.sort_by(|a, b| key(a).total_cmp(&key(b)));
            places.truncate(((places.len() as f64 * part) as usize).max(1));
            places.sort_unstable();
        }
        places
    };
    (0..chosen.kinds.len()).map(of_kind).collect()
}

/// A Fourier transform of so many numbers, filled up with zeros to a power of two.
struct Plan1d {
    size: usize,
    planner: PlannerDit64,
}

impl Plan1d {
    fn new(length: usize) -> Self {
        let size = length.next_power_of_two();
        Self {
            size,
            planner: PlannerDit64::new(size),
        }
    }

    fn transform(&self, real: &mut [f64], imaginary: &mut [f64]) {
        fft_f64_dit_with_planner(real, imaginary, Direction::Forward, &self.planner);
    }
}

/// Sums of the powers of pairs of components, each `window` numbers of which `length` count: under Hann's window, and as they
/// are.
fn powers(pairs: &[&[f64]], window: usize, length: usize, plans: &[Plan1d; 2]) -> [Vec<f64>; 2] {
    let hann = |t: usize| {
        let angle = 2.0 * std::f64::consts::PI * t as f64 / length as f64;
        0.5 - 0.5 * angle.cos()
    };
    let weights = [(0..length).map(hann).collect(), vec![1.0; length]];
    let mut sums = plans.each_ref().map(|plan| vec![0.0; plan.size]);
    let mut work = [0, 1].map(|_| vec![0.0; plans[1].size]);
    for pair in pairs {
        // Where the number of components is odd, the last has no other.
        let components = [Some(&pair[..length]), pair.get(window..window + length)];
        for ((sum, plan), weights) in sums.iter_mut().zip(plans).zip(&weights) {
            for (part, component) in work.iter_mut().zip(components) {
                part.fill(0.0);
                let numbers = component.into_iter().flatten().zip(weights);
                part.iter_mut()
                    .zip(numbers)
                    .for_each(|(to, (v, w))| *to = v * w);
            }
            let [real, imaginary] = work.each_mut().map(|part| &mut part[..plan.size]);
            plan.transform(real, imaginary);
            let powers = real
                .iter()
                .zip(imaginary.iter())
                .map(|(a, b)| a * a + b * b);
            sum.iter_mut()
                .zip(powers)
                .for_each(|(sum, power)| *sum += power);
        }
    }
    sums
}

/// The autocorrelation that a power spectrum of padded windows tells, up to lags of half a window: means over the pairs of each
/// lag.
fn correlation(padded: &[f64], length: usize, weight: f64) -> Vec<f64> {
    // The spectrum is that of a real series, with or without its mirror image: forward is as good as back.
    let (mut real, mut imaginary) = (padded.to_vec(), vec![0.0; padded.len()]);
    Plan1d::new(padded.len()).transform(&mut real, &mut imaginary);
    let scale = weight / padded.len() as f64;
    (0..=length / 2)
        .map(|lag| real[lag] * scale / (length - lag) as f64)
        .collect()
}

/// Where the strongest lines are (1/cm), ascending: tops of parabolas through the logarithms of three points.
fn peaks(wavenumbers: &[f64], total: &[f64]) -> Vec<f64> {
    let strongest = total.iter().copied().fold(0.0, f64::max);
    let is_top = |f: &usize| {
        let here = total[*f];
        here > FAINT * strongest && here > total[f - 1] && here >= total[f + 1]
    };
    let mut tops: Vec<usize> = (2..total.len().saturating_sub(1)).filter(is_top).collect();
    tops.sort_by(|a, b| total[*b].total_cmp(&total[*a]));
    tops.truncate(LINES);
    tops.sort_unstable();
    let width = wavenumbers.get(1).copied().unwrap_or(0.0);
    let place = |&f: &usize| {
        let [a, b, c] = [total[f - 1], total[f], total[f + 1]].map(f64::ln);
        let shift = 0.5 * (a - c) / (a - 2.0 * b + c);
        wavenumbers[f]
            + width
                * if shift.is_finite() {
                    shift.clamp(-0.5, 0.5)
                } else {
                    0.0
                }
    };
    tops.iter().map(place).collect()
}
