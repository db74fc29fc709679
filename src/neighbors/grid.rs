//! A grid of bins over the atoms, for one search of neighbours: time and memory O(N), whatever the
//! shape of the cell and however far apart the atoms are.
//!
//! Bins are slabs in fractional coordinates, so a triclinic cell is a box here. Along a periodic
//! direction they tile the cell exactly and the search walks on into the images; along an open one
//! they span the atoms. Bins live in a table of O(N) buckets: the plain linear index where there are
//! few bins, a hash of the bin's coordinates where there are more (an atom that has flown off would
//! otherwise cost memory for all the empty space between).

use super::{Candidate, MOST_PAIRS};
use crate::core::{Cell, Vec3};
use crate::{Error, Result};

/// Farthest (angstrom) an atom may be from the origin: there, f64 still resolves 1e-4 A.
const FARTHEST: f64 = 1e12;

/// Largest magnitude of a lattice index of one atom, so that differences of two fit an i32.
const MOST_CELLS: f64 = 536_870_912.0;

/// Bins along the range of the search: finer bins waste less volume around the sphere, but cost more
/// visits.
const BINS_PER_RANGE: f64 = 2.0;

/// Most bins along one direction (they get wider then).
const MOST_BINS: f64 = 1_073_741_824.0;

/// Most bins that the search for one atom may visit, images included. Only a cell that is many times
/// smaller than the range, or very skewed, needs more.
const MOST_VISITS: f64 = 1e7;

/// Widening of the search (relative to the range), far above the rounding of distances.
const MARGIN: f64 = 1e-9;

/// Bins along one lattice direction.
struct Axis {
    /// Number of bins.
    bins: i32,
    /// Bins to look at on either side.
    reach: i32,
    /// Fractional coordinate where the first bin begins.
    origin: f64,
    /// Bins per unit of the fractional coordinate.
    scale: f64,
    /// Whether images follow beyond the last bin.
    periodic: bool,
}

impl Axis {
    /// The bin of a fractional coordinate (already moved into the cell where periodic).
    fn bin(&self, fractional: f64) -> i32 {
        (((fractional - self.origin) * self.scale) as i32).clamp(0, self.bins - 1)
    }

    /// The bins near `bin`, each with the lattice index of the image it is in.
    fn window(&self, bin: i32) -> impl Iterator<Item = (i32, i32)> + use<> {
        let (bins, periodic) = (self.bins, self.periodic);
        let (first, last) = if periodic {
            (bin - self.reach, bin + self.reach)
        } else {
            (
                (bin - self.reach).max(0),
                bin.saturating_add(self.reach).min(bins - 1),
            )
        };
        (first..=last).map(move |b| {
            if periodic {
                (b.rem_euclid(bins), b.div_euclid(bins))
            } else {
                (b, 0)
            }
        })
    }

    /// Bins that a window has at most.
    fn visits(&self) -> f64 {
        let window = 2.0 * f64::from(self.reach) + 1.0;
        if self.periodic {
            window
        } else {
            window.min(f64::from(self.bins))
        }
    }
}

/// How bins are numbered.
enum Buckets {
    /// One bucket for each bin.
    Linear([u64; 2]),
    /// 2^(64 - shift) buckets, shared by bins of equal hash.
    Hashed { shift: u32 },
}

impl Buckets {
    fn new(axes: &[Axis; 3], atoms: usize) -> (Self, usize) {
        let [a, b, c] = [0, 1, 2].map(|k| f64::from(axes[k].bins));
        let room = 64.max(4 * atoms);
        if a * b * c <= room as f64 {
            let linear = Self::Linear([a as u64, (a * b) as u64]);
            return (linear, (a * b * c) as usize);
        }
        let bits = room.next_power_of_two().trailing_zeros();
        (Self::Hashed { shift: 64 - bits }, 1 << bits)
    }

    fn index(&self, bin: [i32; 3]) -> usize {
        let [a, b, c] = bin.map(|x| x as u64);
        match self {
            Self::Linear([row, plane]) => (a + row * b + plane * c) as usize,
            Self::Hashed { shift } => {
                // Odd constants without structure; the final product mixes all bits to the top.
                let mixed = a.wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    ^ b.wrapping_mul(0xC2B2_AE3D_27D4_EB4F).rotate_left(21)
                    ^ c.wrapping_mul(0x1656_67B1_9E37_79F9).rotate_left(42);
                ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> shift) as usize
            }
        }
    }
}

/// One atom, moved into the cell.
#[derive(Clone, Copy)]
struct GridAtom {
    /// Position + shift(wrap) (angstrom).
    position: Vec3,
    /// Lattice translation that moved it into the cell.
    wrap: [i32; 3],
    bin: [i32; 3],
    atom: u32,
}

/// All atoms, sorted by bucket.
pub(super) struct Grid<'a> {
    cell: &'a Cell,
    limit: f64,
    axes: [Axis; 3],
    buckets: Buckets,
    /// Entries `starts[b]..starts[b + 1]` are in bucket b.
    starts: Vec<u32>,
    entries: Vec<GridAtom>,
    /// Entry of each atom.
    places: Vec<u32>,
}

/// Farthest from the origin (angstrom) that atoms may be for a search in this cell.
pub fn farthest(cell: &Cell) -> f64 {
    (0..3)
        .filter(|&k| cell.periodic()[k])
        .map(|k| MOST_CELLS * cell.height(k))
        .fold(FARTHEST, f64::min)
}

impl<'a> Grid<'a> {
    /// Sorts atoms into bins for a search of everything within `range` (angstrom).
    pub(super) fn new(cell: &'a Cell, positions: &[Vec3], range: f64) -> Result<Self> {
        check(cell, positions)?;
        let radius = positions.iter().map(|r| r.norm()).fold(0.0, f64::max);
        let limit = range + margin(cell, range, radius);
        let (entries, fractions): (Vec<_>, Vec<_>) = (positions.iter().enumerate())
            .map(|(i, r)| enter(cell, i as u32, r))
            .unzip();
        let axes = axes(cell, &fractions, range, limit)?;
        let (buckets, count) = Buckets::new(&axes, positions.len());
        let mut grid = Self {
            cell,
            limit,
            axes,
            buckets,
            starts: vec![0; count + 1],
            entries,
            places: vec![0; positions.len()],
        };
        grid.sort(&fractions);
        Ok(grid)
    }

    /// Counting sort of the entries by bucket; within one, atoms stay in their order.
    fn sort(&mut self, fractions: &[Vec3]) {
        for (entry, f) in self.entries.iter_mut().zip(fractions) {
            entry.bin = [0, 1, 2].map(|k| self.axes[k].bin(f[k]));
            self.starts[self.buckets.index(entry.bin) + 1] += 1;
        }
        for b in 1..self.starts.len() {
            self.starts[b] += self.starts[b - 1];
        }
        let mut next = self.starts.clone();
        let mut sorted = self.entries.clone();
        for entry in &self.entries {
            let place = &mut next[self.buckets.index(entry.bin)];
            sorted[*place as usize] = *entry;
            self.places[entry.atom as usize] = *place;
            *place += 1;
        }
        self.entries = sorted;
    }

    /// Neighbours of all atoms, images included, judged from a few of them.
    pub(super) fn expected(&self) -> f64 {
        /// Atoms looked at, spread over the system.
        const SAMPLE: usize = 64;
        /// Neighbours after which no further atom is looked at.
        const ENOUGH: usize = 1_000_000;
        let atoms = self.places.len();
        let mut found = Vec::new();
        let (mut looked, mut neighbors) = (0_u32, 0);
        for k in 0..SAMPLE.min(atoms) {
            found.clear();
            self.search(k * atoms / SAMPLE.min(atoms), &mut found);
            looked += 1;
            neighbors += found.len();
            if neighbors > ENOUGH {
                break;
            }
        }
        neighbors as f64 / f64::from(looked.max(1)) * atoms as f64
    }

    /// Appends the neighbours of `atom`, images of itself included, in no particular order.
    ///
    /// Whether j is found from i is decided by the very numbers that decide it from j.
    pub(super) fn search(&self, atom: usize, found: &mut Vec<Candidate>) {
        self.around(atom, |candidate, _| found.push(candidate));
    }

    /// Shows the neighbours of `atom` and the vectors to them (angstrom), likewise.
    pub(super) fn around(&self, atom: usize, mut see: impl FnMut(Candidate, Vec3)) {
        let centre = &self.entries[self.places[atom] as usize];
        for (c, kc) in self.axes[2].window(centre.bin[2]) {
            for (b, kb) in self.axes[1].window(centre.bin[1]) {
                for (a, ka) in self.axes[0].window(centre.bin[0]) {
                    self.visit(centre, [a, b, c], [ka, kb, kc], &mut see);
                }
            }
        }
    }

    fn visit(
        &self,
        centre: &GridAtom,
        bin: [i32; 3],
        image: [i32; 3],
        see: &mut impl FnMut(Candidate, Vec3),
    ) {
        let bucket = self.buckets.index(bin);
        let entries = &self.entries[self.starts[bucket] as usize..self.starts[bucket + 1] as usize];
        if entries.is_empty() {
            return;
        }
        let shift = self.cell.shift(image);
        let limit = self.limit * self.limit;
        for entry in entries {
            let vector = (entry.position - centre.position) + shift;
            if vector.norm_squared() < limit && entry.bin == bin {
                if entry.atom == centre.atom && image == [0; 3] {
                    continue;
                }
                let candidate = Candidate {
                    neighbor: entry.atom,
                    image: [0, 1, 2].map(|k| image[k] + entry.wrap[k] - centre.wrap[k]),
                };
                see(candidate, vector);
            }
        }
    }
}

/// Checks that positions are numbers, near enough to count cells in integers, and not too many.
fn check(cell: &Cell, positions: &[Vec3]) -> Result<()> {
    if positions.len() as u64 > MOST_PAIRS {
        return Err(Error::input(format!(
            "{} atoms are more than the {MOST_PAIRS} that pairs can number",
            positions.len()
        )));
    }
    let farthest = farthest(cell);
    for (i, r) in positions.iter().enumerate() {
        if !r.iter().all(|x| x.is_finite()) || r.norm() > farthest {
            return Err(Error::input(format!(
                "atom {i} is at ({:e}, {:e}, {:e}) A: coordinates must be numbers, and not farther \
                 than {farthest:.1e} A from the origin; move the structure towards it",
                r.x, r.y, r.z
            )));
        }
    }
    Ok(())
}

/// An atom moved into the cell along periodic directions, and its fractional coordinates there.
fn enter(cell: &Cell, atom: u32, position: &Vec3) -> (GridAtom, Vec3) {
    let fractional = cell.fractional(position);
    let mut wrap = [0; 3];
    for k in (0..3).filter(|&k| cell.periodic()[k]) {
        wrap[k] = -(fractional[k].floor() as i32);
    }
    let position = position + cell.shift(wrap);
    let entry = GridAtom {
        position,
        wrap,
        bin: [0; 3],
        atom,
    };
    (entry, cell.fractional(&position))
}

/// Bound on the rounding of wrapped positions (angstrom), for atoms within `radius` of the origin,
/// plus a small part of the range.
fn margin(cell: &Cell, range: f64, radius: f64) -> f64 {
    let stretch: f64 = (0..3)
        .filter(|&k| cell.periodic()[k])
        .map(|k| cell.vector(k).norm() / cell.height(k))
        .sum();
    MARGIN * range + 16.0 * f64::EPSILON * radius * (1.0 + stretch)
}

/// Bins for fractional coordinates; windows span `limit` (angstrom), which is `range` and a margin.
fn axes(cell: &Cell, fractions: &[Vec3], range: f64, limit: f64) -> Result<[Axis; 3]> {
    let axes = [0, 1, 2].map(|k| {
        let periodic = cell.periodic()[k];
        let (origin, extent) = if periodic {
            (0.0, 1.0)
        } else {
            let low = fractions.iter().map(|f| f[k]).fold(f64::INFINITY, f64::min);
            let high = (fractions.iter().map(|f| f[k])).fold(f64::NEG_INFINITY, f64::max);
            // Without atoms there is nothing between the two.
            (low, (high - low).max(0.0))
        };
        let height = cell.height(k);
        let bins = (extent * height * BINS_PER_RANGE / range)
            .floor()
            .clamp(1.0, MOST_BINS);
        let scale = if extent > 0.0 { bins / extent } else { 0.0 };
        let reach = (limit / height * scale).ceil();
        Axis {
            bins: bins as i32,
            // Wider windows than this are refused below, or are clipped to the bins there are.
            reach: reach.clamp(1.0, MOST_BINS / 2.0) as i32,
            origin,
            scale,
            periodic,
        }
    });
    let visits: f64 = axes.iter().map(Axis::visits).product();
    if visits > MOST_VISITS {
        return Err(Error::input(format!(
            "the cell is too small or too skewed for a range of {range} A: the distances between its \
             faces are {:.3}, {:.3} and {:.3} A; use a supercell, or the reduced cell of the lattice",
            cell.height(0),
            cell.height(1),
            cell.height(2)
        )));
    }
    Ok(axes)
}
