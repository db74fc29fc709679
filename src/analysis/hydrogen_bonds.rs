//! Hydrogen bonds by their geometry (Luzar and Chandler, Nature 379, 55 (1996)): from a donor N, O or F with a hydrogen to an
//! acceptor N, O or F that is nearer than 3.5 A, where the angle between the donor's hydrogen and the acceptor, at the donor, is
//! less than 30 degrees.

use serde_json::json;

use super::coordinates::{angle, bonded};
use super::diffusion::shortest;
use super::{AnalysisFinding, CsvTable, FrameQuantity, Studied, Thinned};
use crate::core::{Snapshot, Vec3, elements};
use crate::neighbors::Near;
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};
use crate::report::series::Series;
use crate::text::{counted, significant};
use crate::units::PICOSECOND;
use crate::{Error, Result};

/// Farthest acceptor from its donor (angstrom).
const FARTHEST: f64 = 3.5;
/// Widest angle (degrees) at the donor.
const WIDEST: f64 = 30.0;
/// Nitrogen, oxygen and fluorine.
const POLAR: [u8; 3] = [7, 8, 9];

/// Counts hydrogen bonds.
pub struct HydrogenBonds {
    /// Atoms that may be donors or acceptors.
    polar: Vec<usize>,
    species: Vec<u8>,
    /// Hydrogens of each of them.
    hydrogens: Vec<Vec<usize>>,
    /// Kinds that were seen, such as `O-H...O`, and how often.
    kinds: Vec<(String, u64)>,
    total: Series,
    course: Thinned,
    /// Sums of distances and angles.
    sums: [f64; 2],
    frames: u64,
}

/// A hydrogen bond: donor, hydrogen and acceptor, the distance of donor and acceptor (angstrom), and the angle (degrees).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HydrogenBond {
    /// The donor, its hydrogen, and the acceptor (numbers of atoms).
    pub atoms: [usize; 3],
    /// From donor to acceptor (angstrom).
    pub distance: f64,
    /// Between hydrogen and acceptor at the donor (degrees).
    pub angle: f64,
}

impl HydrogenBonds {
    /// Of the atoms that are looked at.
    ///
    /// # Errors
    /// None of them is a donor.
    pub fn new(studied: &Studied) -> Result<Self> {
        let species = &studied.system.species;
        let bonded = bonded(studied);
        let is_polar = |i: &usize| POLAR.contains(&species[*i]);
        let polar: Vec<usize> = (studied.chosen.atoms.iter().copied())
            .filter(is_polar)
            .collect();
        let hydrogens = |&i: &usize| -> Vec<usize> {
            let others = bonded[i].iter().copied();
            others.filter(|&j| species[j] == 1).collect()
        };
        let hydrogens: Vec<Vec<usize>> = polar.iter().map(hydrogens).collect();
        if hydrogens.iter().all(Vec::is_empty) {
            return Err(Error::input(
                "no nitrogen, oxygen or fluorine that is looked at has a hydrogen to give",
            ));
        }
        Ok(Self {
            polar,
            species: species.clone(),
            hydrogens,
            kinds: Vec::new(),
            total: Series::default(),
            course: Thinned::new(1),
            sums: [0.0; 2],
            frames: 0,
        })
    }

    /// The hydrogen bonds of a frame.
    ///
    /// # Errors
    /// Its atoms cannot be searched.
    pub fn of_frame(&self, frame: &Snapshot) -> Result<Vec<HydrogenBond>> {
        let place = |i: &usize| frame.positions[*i];
        let positions: Vec<Vec3> = self.polar.iter().map(place).collect();
        let near = Near::new(&frame.cell, &positions, FARTHEST)?;
        let mut found = Vec::new();
        for (donor, hydrogens) in self.hydrogens.iter().enumerate() {
            if hydrogens.is_empty() {
                continue;
            }
            let own = |h: &usize| {
                let vector = frame.positions[*h] - positions[donor];
                (*h, shortest(&frame.cell, vector))
            };
            let own: Vec<(usize, Vec3)> = hydrogens.iter().map(own).collect();
            near.each(donor, |acceptor, vector| {
                for (hydrogen, bond) in &own {
                    let angle = angle(bond, &vector);
                    if angle < WIDEST {
                        found.push(HydrogenBond {
                            atoms: [self.polar[donor], *hydrogen, self.polar[acceptor]],
                            distance: vector.norm(),
                            angle,
                        });
                    }
                }
            });
        }
        Ok(found)
    }

    fn name(&self, bond: &HydrogenBond) -> String {
        let [donor, _, acceptor] = bond.atoms.map(|i| elements::symbol(self.species[i]));
        format!("{donor}-H...{acceptor}")
    }
}

impl FrameQuantity for HydrogenBonds {
    fn take(&mut self, frame: &Snapshot) -> Result<()> {
        let found = self.of_frame(frame)?;
        for bond in &found {
            let name = self.name(bond);
            self.sums[0] += bond.distance;
            self.sums[1] += bond.angle;
            match self.kinds.iter_mut().find(|(kind, _)| *kind == name) {
                Some((_, count)) => *count += 1,
                None => self.kinds.push((name, 1)),
            }
        }
        let time = frame.time / PICOSECOND;
        self.total.add(time, found.len() as f64);
        self.course.add(time, [found.len() as f64]);
        self.frames += 1;
        Ok(())
    }

    fn finding(&self) -> Result<AnalysisFinding> {
        let donors = self.hydrogens.iter().filter(|h| !h.is_empty()).count();
        let seen: u64 = self.kinds.iter().map(|(_, count)| count).sum();
        let per_frame = seen as f64 / self.frames.max(1) as f64;
        let error = self.total.mean();
        let mut lines = vec![format!(
            "{} in a frame, {} for each of {}",
            error.map_or_else(|| significant(per_frame, 4), |mean| mean.text()),
            significant(per_frame / donors as f64, 3),
            counted(donors as u64, "donor")
        )];
        let mut kinds = self.kinds.clone();
        kinds.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        for (name, count) in &kinds {
            let each = *count as f64 / self.frames.max(1) as f64;
            lines.push(format!("{name:<9} {} in a frame", significant(each, 4)));
        }
        let means = self.sums.map(|sum| sum / seen.max(1) as f64);
        if seen > 0 {
            lines.push(format!(
                "mean distance {:.3} A, mean angle {:.1} degrees",
                means[0], means[1]
            ));
        }
        let mut table = CsvTable::new(&["time_ps".to_owned(), "hydrogen_bonds".to_owned()]);
        for point in self.course.points() {
            table.row(point.iter().copied());
        }
        let points = self.course.points().iter().map(|p| [p[0], p[1], 0.0]);
        let of_kinds: serde_json::Map<String, serde_json::Value> = (kinds.into_iter())
            .map(|(name, count)| (name, json!(count as f64 / self.frames.max(1) as f64)))
            .collect();
        Ok(AnalysisFinding {
            name: "hbonds",
            title: "Hydrogen bonds".to_owned(),
            lines,
            notes: vec![format!(
                "from N, O or F with a hydrogen to N, O or F nearer than {FARTHEST} A, {WIDEST} degrees at most between \
                 hydrogen and acceptor at the donor (Luzar and Chandler 1996); each point of the table is the mean of {}",
                counted(self.course.width(), "frame")
            )],
            figures: json!({
                "per_frame": per_frame,
                "error": error.map(|mean| mean.error),
                "donors": donors,
                "kinds": of_kinds,
                "mean_distance_angstrom": (seen > 0).then_some(means[0]),
                "mean_angle_degrees": (seen > 0).then_some(means[1]),
            }),
            table,
            plots: vec![(
                "hbonds".to_owned(),
                Plot {
                    title: "Hydrogen bonds".to_owned(),
                    x: PlotAxis::close("time (ps)"),
                    y: PlotAxis::close("hydrogen bonds in a frame"),
                    series: vec![PlotSeries {
                        name: "all".to_owned(),
                        colour: 1,
                        points: points.collect(),
                        drawn: Drawn::Line,
                    }],
                },
            )],
        })
    }
}
