//! A solute in a periodic box of water: an equilibrated liquid is tiled over the box, what touches the solute is left out, and
//! what touches across the faces, where the tiles do not meet, is moved apart.
//!
//! Nothing is drawn at random: the same solute and distance give the same box, to the last bit.

use std::path::Path;

use super::relative;
use crate::core::{Cell, Mat3, Vec3, elements};
use crate::formats::{self, Structure};
use crate::input::path_text;
use crate::neighbors::{Molecules, Near};
use crate::text::{number, significant};
use crate::units::GRAM_PER_CM3;
use crate::{Error, Result};

/// What the structure inside the program is called: 64 waters at 300 K and 0.999 g/cm3, with the distances of a liquid (first and
/// second peak of O-O at 2.8 and 4.4 A).
const LIQUID: &str = "64 waters";
const HYDROGEN: u8 = 1;
const OXYGEN: u8 = 8;
/// Radius (angstrom) of elements of which none is known here.
const LARGEST: f64 = 2.1;
/// Atoms of a water.
const ATOMS: usize = 3;
/// Most waters: more than any potential here moves in a day.
const MOST: f64 = 100_000.0;
/// Least distance to a face (angstrom): that of neighbours in water.
const THINNEST: f64 = 3.0;
/// Edges are rounded up to whole multiples of this (angstrom).
const STEP: f64 = 0.01;
/// Distances of atoms of two waters (angstrom) that the liquid itself does not go below: O-O, O-H, H-H.
const APART: [f64; 3] = [2.5, 1.55, 1.65];
/// Waters nearer to the solute than this part of the sum of van der Waals radii are left out. A hydrogen bond (O-H 1.8 to 2.1 A)
/// is made again where it belongs as soon as the water moves.
const NEAR_SOLUTE: f64 = 0.8;
/// The largest range of both (angstrom): that of two atoms of the largest radius.
const RANGE: f64 = 2.0 * LARGEST * NEAR_SOLUTE;
/// Most times that waters in contact are moved apart.
const SWEEPS: usize = 500;
/// How much farther apart they are moved than needed (angstrom), so that it comes to an end.
const SLACK: f64 = 0.01;

/// Water that was put around a solute.
pub(super) struct WaterBath {
    /// Waters that are there.
    pub(super) waters: usize,
    /// Waters of the tiled liquid that would touch the solute.
    pub(super) left_out: usize,
    /// Waters that came to no place of their own.
    crowded: usize,
    /// Least distance of the solute from a face (angstrom).
    distance: f64,
    /// Edges (angstrom).
    edges: [f64; 3],
    /// Mass of all in the volume (g/cm3).
    pub(super) density: f64,
}

impl WaterBath {
    /// What it is, for people.
    pub(super) fn words(&self) -> String {
        let edges = self.edges.map(|edge| format!("{edge:.2}")).join(" x ");
        let crowded = match self.crowded {
            0 => String::new(),
            n => format!(", {n} that had no room"),
        };
        format!(
            "{} waters in {edges} A, {} A or more from the solute to each face: {} g/cm3 in all; {} that touched the solute were \
             left out{crowded}",
            self.waters,
            significant(self.distance, 4),
            significant(self.density, 3),
            self.left_out
        )
    }
}

/// Atoms in a box: those of the solute first, where they were.
struct Filled {
    species: Vec<u8>,
    positions: Vec<Vec3>,
    /// Atoms of the solute.
    solute: usize,
    cell: Cell,
}

/// The solute in its water, `distance` (angstrom) or more from its atoms to each face of the box.
///
/// # Errors
/// The solute is periodic already, or the box would hold more waters than any potential here moves.
pub(super) fn solvate(solute: &Structure, distance: f64) -> Result<(Structure, WaterBath)> {
    if solute.periodic.contains(&true) {
        return Err(Error::input(
            "--solvate puts a molecule into a box of water, and this structure has a periodic cell already: leave out --solvate, \
             or take the molecule out of its cell",
        ));
    }
    if distance < THINNEST {
        return Err(Error::input(format!(
            "--solvate: {} A is less than a layer of water, which is {THINNEST} A; half of the potential's range is sound",
            significant(distance, 3)
        )));
    }
    let (origin, edges) = box_around(&solute.positions, distance);
    let volume: f64 = edges.iter().product();
    let liquid = Liquid::new()?;
    if volume / liquid.volume() > MOST / liquid.waters.len() as f64 {
        return Err(Error::input(format!(
            "--solvate: a box of {} A would hold more than {MOST} waters; a smaller distance will do",
            edges.map(|edge| format!("{edge:.0}")).join(" x ")
        )));
    }
    let mut filled = Filled {
        species: solute.species.clone(),
        positions: solute.positions.clone(),
        solute: solute.species.len(),
        cell: Cell::new(Mat3::from_diagonal(&Vec3::from(edges)), [true; 3])?,
    };
    liquid.fill(&mut filled, (origin, edges));
    let left_out = filled.clear_solute()?;
    let crowded = filled.move_apart()?;
    let mut masses = solute.masses.clone();
    let of_water = filled.species[filled.solute..].iter();
    masses.extend(of_water.map(|&z| elements::mass(z).unwrap_or(1.0)));
    let bath = WaterBath {
        waters: filled.waters(),
        left_out,
        crowded,
        distance,
        edges,
        density: masses.iter().sum::<f64>() / volume / GRAM_PER_CM3,
    };
    let mut electrons = solute.electrons.clone();
    if !electrons.charges.is_empty() {
        electrons.charges.resize(masses.len(), 0);
    }
    let structure = Structure {
        species: filled.species,
        masses,
        positions: filled.positions,
        electrons,
        vectors: Some(*filled.cell.vectors()),
        periodic: [true; 3],
        frames: 1,
        notes: solute.notes.clone(),
        ..Structure::default()
    };
    Ok((structure, bath))
}

/// Lowest corner and edges (angstrom) of a box around positions, with at least `distance` to each face.
fn box_around(positions: &[Vec3], distance: f64) -> (Vec3, [f64; 3]) {
    let first = positions.first().copied().unwrap_or_else(Vec3::zeros);
    let (low, high) = positions
        .iter()
        .fold((first, first), |(low, high), r| (low.inf(r), high.sup(r)));
    let extent = high - low;
    let edges = [0, 1, 2].map(|k| ((extent[k] + 2.0 * distance) / STEP).ceil() * STEP);
    let origin = (low + high - Vec3::from(edges)) / 2.0;
    (origin, edges)
}

/// A periodic cube of liquid water.
struct Liquid {
    edge: f64,
    /// Oxygen, in the cube, and both hydrogens of each water (angstrom).
    waters: Vec<[Vec3; ATOMS]>,
}

impl Liquid {
    fn new() -> Result<Self> {
        let all = formats::embedded()?;
        let found = all.into_iter().find(|(name, _)| *name == LIQUID);
        let (_, structure) = found.ok_or_else(|| Error::run("there is no water in the program"))?;
        let cell = structure.cell()?;
        let molecules = Molecules::of(&structure.species, &cell, &structure.positions);
        let mut positions = structure.positions;
        molecules.make_whole(&cell, &mut positions);
        let waters = molecules.atoms.iter().map(|atoms| {
            let mut atoms = atoms.clone();
            atoms.sort_by_key(|&i| u8::MAX - structure.species[i]);
            let oxygen = positions[atoms[0]];
            let shift = cell.wrap(&oxygen) - oxygen;
            [0, 1, 2].map(|k| positions[atoms[k]] + shift)
        });
        Ok(Self {
            edge: cell.height(0),
            waters: waters.collect(),
        })
    }

    /// Its volume (angstrom^3).
    fn volume(&self) -> f64 {
        self.edge.powi(3)
    }

    /// Fills a box from its lowest corner on with waters whose oxygens are within.
    fn fill(&self, filled: &mut Filled, (origin, edges): (Vec3, [f64; 3])) {
        let tiles = edges.map(|edge| (edge / self.edge).ceil() as usize);
        for x in 0..tiles[0] {
            for y in 0..tiles[1] {
                for z in 0..tiles[2] {
                    let shift = Vec3::new(x as f64, y as f64, z as f64) * self.edge;
                    let inside = |water: &&[Vec3; ATOMS]| {
                        let oxygen = water[0] + shift;
                        (0..3).all(|k| oxygen[k] < edges[k])
                    };
                    for water in self.waters.iter().filter(inside) {
                        filled.species.extend([OXYGEN, HYDROGEN, HYDROGEN]);
                        (filled.positions).extend(water.map(|r| r + shift + origin));
                    }
                }
            }
        }
    }
}

impl Filled {
    fn waters(&self) -> usize {
        (self.species.len() - self.solute) / ATOMS
    }

    /// The water of an atom; `None` of the solute's.
    fn water_of(&self, atom: usize) -> Option<usize> {
        Some(atom.checked_sub(self.solute)? / ATOMS)
    }

    /// The least distance of two atoms of different molecules (angstrom).
    fn least(&self, i: usize, j: usize) -> f64 {
        let kinds = [self.species[i], self.species[j]];
        match i.min(j) < self.solute {
            true => NEAR_SOLUTE * kinds.map(radius).iter().sum::<f64>(),
            false => APART[kinds.iter().filter(|z| **z == HYDROGEN).count()],
        }
    }

    /// Pairs of a water's atom with an atom of another molecule at less than the least distance: atoms, vector (angstrom) from
    /// the first to the second. The first is before the second.
    fn contacts(&self) -> Result<Vec<(usize, usize, Vec3)>> {
        let near = Near::new(&self.cell, &self.positions, RANGE)?;
        let mut found = Vec::new();
        for j in self.solute..self.species.len() {
            near.each(j, |i, vector| {
                if i < j && self.water_of(i) != self.water_of(j) && vector.norm() < self.least(i, j)
                {
                    found.push((i, j, -vector));
                }
            });
        }
        Ok(found)
    }

    /// Leaves out waters that touch the solute, and returns how many these were.
    fn clear_solute(&mut self) -> Result<usize> {
        let contacts = self.contacts()?;
        let touching = contacts.iter().filter(|(i, _, _)| *i < self.solute);
        let waters: Vec<usize> = touching.filter_map(|(_, j, _)| self.water_of(*j)).collect();
        Ok(self.leave_out(&waters))
    }

    /// Removes waters, each once, and returns how many.
    fn leave_out(&mut self, waters: &[usize]) -> usize {
        let before = self.waters();
        let mut keep = vec![true; before];
        waters.iter().for_each(|&water| keep[water] = false);
        let solute = self.solute;
        let kept = |atom: usize| atom < solute || keep[(atom - solute) / ATOMS];
        let mut atom = 0;
        self.species.retain(|_| {
            atom += 1;
            kept(atom - 1)
        });
        let mut atom = 0;
        self.positions.retain(|_| {
            atom += 1;
            kept(atom - 1)
        });
        before - self.waters()
    }

    /// Moves waters in contact apart, as they are, until none is left, and leaves out those for which there is no room: their
    /// number is returned. The solute stays.
    fn move_apart(&mut self) -> Result<usize> {
        for _ in 0..SWEEPS {
            let contacts = self.contacts()?;
            if contacts.is_empty() {
                return Ok(0);
            }
            let mut moves = vec![Vec3::zeros(); self.waters()];
            for (i, j, vector) in contacts {
                let distance = vector.norm();
                let way = match distance > SLACK {
                    true => vector / distance,
                    false => Vec3::x(),
                };
                let push = way * (self.least(i, j) - distance + SLACK);
                match (self.water_of(i), self.water_of(j)) {
                    (Some(first), Some(second)) => {
                        moves[first] -= push / 2.0;
                        moves[second] += push / 2.0;
                    }
                    (None, Some(second)) => moves[second] += push,
                    (_, None) => {}
                }
            }
            for (k, position) in self.positions.iter_mut().skip(self.solute).enumerate() {
                *position += moves[k / ATOMS];
            }
        }
        let mut crowded = 0;
        // One leaves of each pair that is still too near; what is near to nothing any more stays.
        while let Some(&(_, j, _)) = self.contacts()?.last() {
            let last = self.water_of(j).unwrap_or_default();
            crowded += self.leave_out(&[last]);
        }
        Ok(crowded)
    }
}

/// Van der Waals radii (angstrom) of Bondi, J. Phys. Chem. 68, 441 (1964), hydrogen's of Rowland and Taylor, J. Phys. Chem. 100,
/// 7384 (1996); others are taken for the largest.
fn radius(species: u8) -> f64 {
    match species {
        1 => 1.10,
        6 => 1.70,
        7 => 1.55,
        8 => 1.52,
        9 => 1.47,
        15 | 16 => 1.80,
        17 => 1.75,
        35 => 1.85,
        53 => 1.98,
        _ => LARGEST,
    }
}

/// Extended XYZ of a structure in a box, with masses where the solute has isotopes.
pub(super) fn xyz(structure: &Structure, solute: &Path, file: &Path) -> Vec<u8> {
    let standard = |(z, mass): (&u8, &f64)| elements::mass(*z) == Some(*mass);
    let plain = (structure.species.iter().zip(&structure.masses)).all(standard);
    let mut out = format!("{}\nLattice=\"", structure.species.len()).into_bytes();
    let vectors = structure.vectors.unwrap_or_else(Mat3::zeros);
    for row in 0..3 {
        for column in 0..3 {
            if (row, column) != (0, 0) {
                out.push(b' ');
            }
            number(&mut out, vectors[(row, column)]);
        }
    }
    out.extend_from_slice(b"\" Properties=species:S:1:pos:R:3");
    if !plain {
        out.extend_from_slice(b":masses:R:1");
    }
    let folder = file.parent().unwrap_or(Path::new("."));
    let solute = path_text(&relative(solute, folder)).replace(['"', '\\', '\n', '\r'], "_");
    out.extend_from_slice(format!(" pbc=\"T T T\" solute=\"{solute}\"\n").as_bytes());
    for (i, position) in structure.positions.iter().enumerate() {
        out.extend_from_slice(elements::symbol(structure.species[i]).as_bytes());
        for k in 0..3 {
            out.push(b' ');
            number(&mut out, position[k]);
        }
        if !plain {
            out.push(b' ');
            number(&mut out, structure.masses[i]);
        }
        out.push(b'\n');
    }
    out
}
