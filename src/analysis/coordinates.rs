//! Lengths of bonds, angles between them, and torsions about them, as histograms by element.
//!
//! Bonds are those of the first frame that is looked at, by [`bonds::find`], as in the run's topology. Each vector is the
//! shortest one between its atoms' images. Torsions are from -180 to 180 degrees, 0 where the ends are on one side (cis), and
//! positive where the far bond is turned clockwise (IUPAC 1974).

use serde_json::{Value, json};

use super::diffusion::shortest;
use super::{AnalysisFinding, Chosen, CsvTable, FrameQuantity, Studied};
use crate::core::{Cell, Snapshot, Vec3, elements};
use crate::neighbors::bonds;
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};
use crate::text::counted;
use crate::{Error, Result};

/// Most coordinates of one kind: a metal's torsions are more than anyone asks for.
const MOST: usize = 2_000_000;
/// Kinds of coordinates that are told in lines and shown in a plot: the most frequent ones.
const SHOWN: usize = 8;

/// What is measured along bonds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinate {
    /// The length of a bond (angstrom).
    Bond,
    /// The angle between two bonds of an atom (degrees).
    Angle,
    /// The torsion about a bond (degrees).
    Torsion,
}

impl Coordinate {
    /// Least and largest value of its histogram, and the width of a bin.
    fn bins(self) -> [f64; 3] {
        match self {
            Self::Bond => [0.0, 6.0, 0.01],
            Self::Angle => [0.0, 180.0, 1.0],
            Self::Torsion => [-180.0, 180.0, 2.0],
        }
    }

    fn words(self) -> [&'static str; 4] {
        match self {
            Self::Bond => ["bonds", "Bond lengths", "A", "length (\u{c5})"],
            Self::Angle => ["angles", "Angles", "degrees", "angle (degrees)"],
            Self::Torsion => ["torsions", "Torsions", "degrees", "torsion (degrees)"],
        }
    }
}

/// What was seen of coordinates of the same elements.
#[derive(Debug, Clone)]
struct CoordinateKind {
    /// Symbols in order, such as `H-C-H`.
    name: String,
    /// How many there are.
    terms: usize,
    counts: Vec<u64>,
    /// Values beyond the histogram.
    beyond: u64,
    samples: u64,
    mean: f64,
    /// Sum of squared deviations (Welford 1962).
    squares: f64,
    ends: [f64; 2],
}

/// Measures coordinates of one kind.
pub struct Coordinates {
    coordinate: Coordinate,
    /// Which kind each is of, and its atoms; as many of them as the coordinate has.
    terms: Vec<(u32, [u32; 4])>,
    kinds: Vec<CoordinateKind>,
    frames: u64,
}

impl Coordinates {
    /// Those of the atoms that are looked at.
    ///
    /// # Errors
    /// There are none, or too many.
    pub fn new(studied: &Studied, coordinate: Coordinate) -> Result<Self> {
        let [name, ..] = coordinate.words();
        let bonded = bonded(studied);
        let mut found: Vec<Vec<usize>> = Vec::new();
        each(coordinate, &bonded, &mut |atoms| {
            if found.len() <= MOST {
                found.push(atoms.to_vec());
            }
        });
        if found.is_empty() || found.len() > MOST {
            return Err(Error::input(match found.is_empty() {
                true => format!("there are no {name} between the atoms that are looked at"),
                false => {
                    format!("there are more than {MOST} {name}; choose fewer atoms (--select)")
                }
            }));
        }
        let mut this = Self {
            coordinate,
            terms: Vec::with_capacity(found.len()),
            kinds: Vec::new(),
            frames: 0,
        };
        for atoms in found {
            this.add(&atoms, &studied.system.species);
        }
        Ok(this)
    }

    fn add(&mut self, atoms: &[usize], species: &[u8]) {
        let mut symbols: Vec<&str> = atoms
            .iter()
            .map(|&i| elements::symbol(species[i]))
            .collect();
        // Elements are named from the lighter end, by alphabet.
        let reversed: Vec<&str> = symbols.iter().rev().copied().collect();
        symbols = symbols.min(reversed);
        let name = symbols.join("-");
        let known = self.kinds.iter().position(|kind| kind.name == name);
        let kind = known.unwrap_or_else(|| {
            let [low, high, width] = self.coordinate.bins();
            self.kinds.push(CoordinateKind {
                name,
                terms: 0,
                counts: vec![0; ((high - low) / width).round() as usize],
                beyond: 0,
                samples: 0,
                mean: 0.0,
                squares: 0.0,
                ends: [f64::INFINITY, f64::NEG_INFINITY],
            });
            self.kinds.len() - 1
        });
        self.kinds[kind].terms += 1;
        let mut four = [0; 4];
        four.iter_mut()
            .zip(atoms)
            .for_each(|(to, from)| *to = *from as u32);
        self.terms.push((kind as u32, four));
    }

    /// Names of the kinds, how many there are of each, and the mean and standard deviation of their values.
    pub fn summary(&self) -> Vec<(String, usize, [f64; 2])> {
        (self.kinds.iter())
            .map(|kind| {
                let deviation = (kind.squares / (kind.samples as f64 - 1.0).max(1.0)).sqrt();
                (kind.name.clone(), kind.terms, [kind.mean, deviation])
            })
            .collect()
    }

    fn value(&self, cell: &Cell, positions: &[Vec3], atoms: &[u32; 4]) -> f64 {
        let [a, b, c, d] = atoms.map(|i| positions[i as usize]);
        let along = |from: Vec3, to: Vec3| shortest(cell, to - from);
        match self.coordinate {
            Coordinate::Bond => along(a, b).norm(),
            Coordinate::Angle => angle(&along(b, a), &along(b, c)),
            Coordinate::Torsion => torsion(&along(a, b), &along(b, c), &along(c, d)),
        }
    }

    /// The most frequent kinds.
    fn shown(&self) -> Vec<&CoordinateKind> {
        let mut kinds: Vec<&CoordinateKind> = self.kinds.iter().collect();
        kinds.sort_by(|a, b| b.terms.cmp(&a.terms).then(a.name.cmp(&b.name)));
        kinds
    }

    fn middle(&self, bin: usize) -> f64 {
        let [low, _, width] = self.coordinate.bins();
        low + (bin as f64 + 0.5) * width
    }

    /// Probability per unit of each bin.
    fn density(&self, kind: &CoordinateKind) -> Vec<f64> {
        let [_, _, width] = self.coordinate.bins();
        let scale = 1.0 / (kind.samples as f64 * width);
        kind.counts.iter().map(|&n| n as f64 * scale).collect()
    }

    fn said(&self, kind: &CoordinateKind) -> (String, Value) {
        let [_, _, unit, _] = self.coordinate.words();
        let deviation = (kind.squares / (kind.samples as f64 - 1.0).max(1.0)).sqrt();
        let [low, high] = kind.ends;
        let decimals = if self.coordinate == Coordinate::Bond {
            4
        } else {
            2
        };
        let line = match self.coordinate {
            // A mean of angles that go round says nothing.
            Coordinate::Torsion => format!(
                "{:<12} {}",
                kind.name,
                counted(kind.terms as u64, "torsion")
            ),
            _ => format!(
                "{:<10} {:.decimals$} +- {:.decimals$} {unit} ({:.3} to {:.3}), {} of them",
                kind.name, kind.mean, deviation, low, high, kind.terms
            ),
        };
        let figures = json!({
            "kind": kind.name,
            "count": kind.terms,
            "mean": (self.coordinate != Coordinate::Torsion).then_some(kind.mean),
            "standard_deviation": (self.coordinate != Coordinate::Torsion).then_some(deviation),
            "least": low,
            "largest": high,
            "beyond": kind.beyond,
        });
        (line, figures)
    }

    fn table(&self, kinds: &[&CoordinateKind]) -> CsvTable {
        let mut names = vec![match self.coordinate {
            Coordinate::Bond => "length_a".to_owned(),
            _ => "degrees".to_owned(),
        }];
        names.extend(kinds.iter().map(|kind| kind.name.clone()));
        let columns: Vec<Vec<f64>> = kinds.iter().map(|kind| self.density(kind)).collect();
        let seen = |bin: &usize| columns.iter().any(|column| column[*bin] > 0.0);
        let bins = 0..columns[0].len();
        let first = bins.clone().find(seen).unwrap_or(0);
        let last = bins.rev().find(seen).unwrap_or(0);
        let mut table = CsvTable::new(&names);
        for bin in first..=last {
            let each = columns.iter().map(|column| column[bin]);
            table.row(std::iter::once(self.middle(bin)).chain(each));
        }
        table
    }

    fn plot(&self, kinds: &[&CoordinateKind]) -> Plot {
        let [_, title, unit, label] = self.coordinate.words();
        let series = |(k, kind): (usize, &&CoordinateKind)| {
            let density = self.density(kind);
            let seen = |bin: &usize| {
                let near = bin.saturating_sub(1)..(bin + 2).min(density.len());
                self.coordinate == Coordinate::Torsion || density[near].iter().any(|d| *d > 0.0)
            };
            PlotSeries {
                name: kind.name.clone(),
                colour: k + 1,
                points: (0..density.len())
                    .filter(seen)
                    .map(|bin| [self.middle(bin), density[bin], 0.0])
                    .collect(),
                drawn: Drawn::Line,
            }
        };
        Plot {
            title: title.to_owned(),
            x: PlotAxis::linear(label),
            y: PlotAxis::linear(match unit {
                "A" => "probability density (1/\u{c5})",
                _ => "probability density (1/degree)",
            }),
            series: kinds.iter().take(SHOWN).enumerate().map(series).collect(),
        }
    }
}

impl FrameQuantity for Coordinates {
    fn take(&mut self, frame: &Snapshot) -> Result<()> {
        let [low, high, width] = self.coordinate.bins();
        let terms = std::mem::take(&mut self.terms);
        for (kind, atoms) in &terms {
            let value = self.value(&frame.cell, &frame.positions, atoms);
            let kind = &mut self.kinds[*kind as usize];
            kind.samples += 1;
            let before = value - kind.mean;
            kind.mean += before / kind.samples as f64;
            kind.squares += before * (value - kind.mean);
            kind.ends = [kind.ends[0].min(value), kind.ends[1].max(value)];
            // 180 degrees belong to the last bin.
            let bin = ((value - low) / width) as usize;
            let last = kind.counts.len() - 1;
            match value <= high {
                true => kind.counts[bin.min(last)] += 1,
                false => kind.beyond += 1,
            }
        }
        self.terms = terms;
        self.frames += 1;
        Ok(())
    }

    fn finding(&self) -> Result<AnalysisFinding> {
        let [name, title, ..] = self.coordinate.words();
        let kinds = self.shown();
        let (mut lines, figures): (Vec<String>, Vec<Value>) =
            kinds.iter().map(|kind| self.said(kind)).unzip();
        if lines.len() > SHOWN {
            lines.truncate(SHOWN);
            lines.push(format!(
                "and {} more kinds, in the table",
                kinds.len() - SHOWN
            ));
        }
        Ok(AnalysisFinding {
            name,
            title: title.to_owned(),
            lines,
            notes: vec![
                "bonds as the first frame's distances tell them, by covalent radii; +- is the standard deviation".to_owned(),
            ],
            figures: json!({ "kinds": figures }),
            table: self.table(&kinds),
            plots: vec![(name.to_owned(), self.plot(&kinds))],
        })
    }
}

/// The atoms bonded to each atom, both of them looked at; ascending.
pub fn bonded(studied: &Studied) -> Vec<Vec<usize>> {
    let Chosen { atoms, .. } = &studied.chosen;
    let mut is_chosen = vec![false; studied.system.len()];
    atoms.iter().for_each(|&i| is_chosen[i] = true);
    let mut bonded = vec![Vec::new(); studied.system.len()];
    for bond in bonds::find(&studied.system.species, &studied.cell, &studied.positions) {
        let (i, j) = (bond.first, bond.second);
        // A bond to an image of the atom itself has no direction that one vector tells.
        if i != j && is_chosen[i] && is_chosen[j] {
            bonded[i].push(j);
            bonded[j].push(i);
        }
    }
    for others in &mut bonded {
        others.sort_unstable();
        others.dedup();
    }
    bonded
}

/// Shows the atoms of each coordinate, each coordinate once.
fn each(coordinate: Coordinate, bonded: &[Vec<usize>], see: &mut impl FnMut(&[usize])) {
    for (b, others) in bonded.iter().enumerate() {
        for (k, &c) in others.iter().enumerate() {
            match coordinate {
                Coordinate::Bond if b < c => see(&[b, c]),
                Coordinate::Angle => others[..k].iter().for_each(|&a| see(&[a, b, c])),
                Coordinate::Torsion if b < c => {
                    for &a in others.iter().filter(|&&a| a != c) {
                        let ends = bonded[c].iter().filter(|&&d| d != b && d != a);
                        ends.for_each(|&d| see(&[a, b, c, d]));
                    }
                }
                _ => {}
            }
        }
    }
}

/// The angle between two vectors (degrees), exact also where it is near 0 or 180.
pub fn angle(a: &Vec3, b: &Vec3) -> f64 {
    a.cross(b).norm().atan2(a.dot(b)).to_degrees()
}

/// The torsion of three bonds in sequence (degrees).
pub fn torsion(first: &Vec3, middle: &Vec3, last: &Vec3) -> f64 {
    let (before, after) = (first.cross(middle), middle.cross(last));
    let sine = middle.norm() * first.dot(&after);
    sine.atan2(before.dot(&after)).to_degrees()
}
