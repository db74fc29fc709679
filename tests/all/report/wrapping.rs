//! Wrapped frames: molecules whole with their centres in the cell, single atoms in [0, L) as every format
//! rounds them.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use mdrun::config::plan::TrajectoryFormat;
use mdrun::core::{Cell, Mat3, Snapshot, System, Vec3};
use mdrun::formats;
use mdrun::formats::write::orient::Standard;
use mdrun::formats::write::wrap::{self, Rounding};
use mdrun::neighbors::{Molecules, bonds};
use proptest::prelude::*;

use super::formats::read_all;
use super::frames::{frame, plan, write};
use super::topology::{of, waters};

/// Sums and differences of f64 up to a few hundred.
const ROUNDING: f64 = 1e-12;

/// Positions before and after wrapping, in one cell.
pub struct Wrapped<'a> {
    pub species: &'a [u8],
    pub cell: &'a Cell,
    pub before: &'a [Vec3],
    pub after: &'a [Vec3],
}

impl Wrapped<'_> {
    /// Bonds by trying all pairs and near images: each with both its ends, and the image of the second.
    fn bonds(&self) -> Vec<(usize, usize, [i32; 3])> {
        let near = |k: usize| {
            if self.cell.periodic()[k] {
                -1..=1
            } else {
                0..=0
            }
        };
        let mut found = Vec::new();
        for (i, r) in self.before.iter().enumerate() {
            for (j, s) in self.before.iter().enumerate() {
                let (Some(a), Some(b)) = (
                    bonds::radius(self.species[i]),
                    bonds::radius(self.species[j]),
                ) else {
                    continue;
                };
                let fractional = self.cell.fractional(&(r - s));
                let base = [0, 1, 2].map(|k| match self.cell.periodic()[k] {
                    true => fractional[k].round() as i32,
                    false => 0,
                });
                for a_image in near(0) {
                    for b_image in near(1) {
                        for c_image in near(2) {
                            let step = [a_image, b_image, c_image];
                            let image = [0, 1, 2].map(|k| base[k] + step[k]);
                            let distance = (s + self.cell.shift(image) - r).norm();
                            let itself = i == j && image == [0; 3];
                            if !itself && distance < a + b + bonds::MARGIN {
                                found.push((i, j, image));
                            }
                        }
                    }
                }
            }
        }
        found
    }

    /// All atoms and images, by walking along bonds from one atom; `None` once the walk is far out: what
    /// has no end never comes to one.
    fn walk(
        start: usize,
        near: &HashMap<usize, Vec<(usize, [i32; 3])>>,
    ) -> Option<HashSet<(usize, [i32; 3])>> {
        let mut reached = HashSet::from([(start, [0; 3])]);
        let mut open = vec![(start, [0; 3])];
        while let Some((i, at)) = open.pop() {
            for &(j, image) in near.get(&i).into_iter().flatten() {
                let next = (j, [0, 1, 2].map(|k| at[k] + image[k]));
                if next.1.iter().any(|n: &i32| n.abs() > 6) {
                    return None;
                }
                if reached.insert(next) {
                    open.push(next);
                }
            }
        }
        Some(reached)
    }

    /// Checks that every atom is an image of itself, and every molecule whole, its centre in the cell (single
    /// atoms within a tolerance in angstrom).
    pub fn check(&self, tolerance: f64, what: &str) {
        let mut near: HashMap<usize, Vec<(usize, [i32; 3])>> = HashMap::new();
        for (i, j, image) in self.bonds() {
            near.entry(i).or_default().push((j, image));
        }
        let slack = |k: usize| 2.0 * tolerance / self.cell.height(k);
        for (i, (before, after)) in self.before.iter().zip(self.after).enumerate() {
            let moved = self.cell.fractional(&(after - before));
            let whole = Vec3::from([0, 1, 2].map(|k| match self.cell.periodic()[k] {
                true => moved[k].round(),
                false => 0.0,
            }));
            let off = (after - before - self.cell.cartesian(&whole)).amax();
            assert!(
                off <= tolerance,
                "{what}: atom {i} is {off} A from any image"
            );
            let Some(molecule) = Self::walk(i, &near) else {
                continue;
            };
            // The same images of all, as far as the atom sees.
            let mut centre = Vec3::zeros();
            for (j, image) in &molecule {
                let right = self.before[*j] + self.cell.shift(*image) - before;
                let seen = self.after[*j] - after;
                let off = (right - seen).amax();
                assert!(
                    off <= 2.0 * tolerance,
                    "{what}: {i} and {j} are torn apart by {off} A"
                );
                centre += self.cell.fractional(&self.after[*j]);
            }
            centre /= molecule.len() as f64;
            for k in (0..3).filter(|&k| self.cell.periodic()[k]) {
                let inside = -slack(k) <= centre[k] && centre[k] < 1.0 + slack(k);
                assert!(
                    inside,
                    "{what}: a molecule of {i} has its centre at {}",
                    centre[k]
                );
            }
        }
    }
}

/// Frames of `system` at `positions`, written and read in a format, the cell with them as it was read.
fn through(
    format: TrajectoryFormat,
    system: &System,
    cell: &Cell,
    positions: &[Vec3],
) -> (Vec<Vec3>, Mat3) {
    let folder = tempfile::tempdir().unwrap();
    let name = match format {
        TrajectoryFormat::Xyz => "t.xyz",
        TrajectoryFormat::Dcd => "t.dcd",
        TrajectoryFormat::Xtc => "t.xtc",
    };
    let path = folder.path().join(name);
    let count = positions.len();
    let snapshot = Snapshot {
        positions: positions.to_vec(),
        ..frame(0, count, cell)
    };
    write(&path, &plan(format, true), system, &[snapshot]);
    read(&path, format)
}

fn read(path: &Path, format: TrajectoryFormat) -> (Vec<Vec3>, Mat3) {
    if format == TrajectoryFormat::Xyz {
        let structure = formats::read(path).unwrap();
        return (structure.positions, structure.vectors.unwrap());
    }
    let (positions, vectors, _) = read_all(path).remove(0);
    (positions, vectors)
}

const FORMATS: [TrajectoryFormat; 3] = [
    TrajectoryFormat::Xyz,
    TrajectoryFormat::Dcd,
    TrajectoryFormat::Xtc,
];

fn cube(edge: f64) -> Cell {
    Cell::new(Mat3::identity() * edge, [true; 3]).unwrap()
}

/// Atoms on, just below and just above both faces, in cells whose edges f64, f32 and XTC's grid hold or
/// do not: whatever a program reads, it is in [0, L), in binary formats also in f32.
#[test]
fn single_atoms_are_below_the_upper_face_in_every_format() {
    let tiny = [
        0.0, -0.0, 1e-300, 2.5e-17, 1e-15, 1e-9, 1e-7, 1e-6, 4e-6, 1e-4, 0.003, 0.005, 0.007,
    ];
    for edge in [
        21.04,
        10.0,
        12.420655101246934,
        49.0,
        7.3333333,
        30.017,
        99.995,
    ] {
        let cell = cube(edge);
        let near = tiny
            .iter()
            .flat_map(|&d| [d, -d, edge - d, edge + d, 3.0 * edge - d, d - edge]);
        let all: Vec<f64> = near
            .chain([edge.next_down(), edge.next_up(), -f64::MIN_POSITIVE])
            .collect();
        // More than nine atoms, which XTC packs, and few, which it does not.
        for some in [&all[..], &all[3..9], &all[20..27]] {
            let spread = |(n, &x): (usize, &f64)| {
                // Far enough from each other along y and z, which stay in the middle.
                Vec3::new(
                    x,
                    0.05 * edge + (n % 9) as f64 * 0.1 * edge,
                    0.05 * edge + (n / 9) as f64 * 0.1 * edge,
                )
            };
            let positions: Vec<Vec3> = some.iter().enumerate().map(spread).collect();
            // Ions, which nothing binds, however near.
            let system = of(&vec!["Na"; some.len()]);
            for format in FORMATS {
                let (read, vectors) = through(format, &system, &cell, &positions);
                let exact = format == TrajectoryFormat::Xyz;
                let tolerance = match format {
                    TrajectoryFormat::Xyz => 4.0 * edge * f64::EPSILON,
                    TrajectoryFormat::Dcd => 3.0 * edge * f64::from(f32::EPSILON),
                    TrajectoryFormat::Xtc if some.len() > 9 => 0.005 + 1e-5,
                    TrajectoryFormat::Xtc => 3.0 * edge * f64::from(f32::EPSILON),
                };
                for (r, before) in read.iter().zip(&positions) {
                    let length = vectors[(0, 0)];
                    assert!(
                        (0.0..length).contains(&r.x) && (exact || (r.x as f32) < length as f32),
                        "{format:?}: {} is read as {} in {length}",
                        before.x,
                        r.x
                    );
                    let moved = (r.x - before.x) / edge;
                    let off = (moved - moved.round()).abs() * edge;
                    assert!(
                        off <= tolerance,
                        "{format:?}: {} is read as {}",
                        before.x,
                        r.x
                    );
                    assert!((r.y - before.y).abs() <= tolerance);
                }
            }
        }
    }
    // Rounding below nothing is nothing, and not a lattice vector less something.
    let (read, _) = through(
        TrajectoryFormat::Xyz,
        &of(&["Ar"]),
        &cube(21.04),
        &[Vec3::new(-2.5e-17, 21.04, 5.0)],
    );
    assert_eq!(read[0], Vec3::new(0.0, 0.0, 5.0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// In cells of any shape: fractional coordinates in [0, 1), for atoms near faces, edges and corners,
    /// and an image of where they were.
    #[test]
    fn positions_wrap_into_any_cell(
        (a, b, c) in (3.0..30.0_f64, 3.0..30.0_f64, 3.0..30.0_f64),
        (ab, ac, bc) in (-0.9..0.9_f64, -0.9..0.9_f64, -0.9..0.9_f64),
        corner in prop::array::uniform3(-3..4_i32),
        off in prop::array::uniform3(prop_oneof![Just(0.0), -1e-15..1e-15_f64, -1.0..1.0_f64]),
        turn in prop::array::uniform3(-3.0..3.0_f64),
    ) {
        let upright = Mat3::new(a, 0.0, 0.0, ab * b, b, 0.0, ac * c, bc * c, c);
        let turned = upright * nalgebra::Rotation3::new(Vec3::from(turn)).matrix();
        for vectors in [upright, turned] {
            let cell = Cell::new(vectors, [true; 3]).unwrap();
            let position = cell.cartesian(&(Vec3::from(corner.map(f64::from)) + Vec3::from(off)));
            let wrapped = cell.wrap(&position);
            let inside = cell.fractional(&wrapped);
            prop_assert!(inside.iter().all(|f| (0.0..1.0).contains(f)), "{} {}", position, inside);
            let moved = cell.fractional(&(wrapped - position));
            prop_assert!((moved - moved.map(f64::round)).amax() < ROUNDING, "{}", moved);
            prop_assert_eq!(cell.wrap(&wrapped), wrapped);
            // And as the numbers of the binary formats.
            let mut single = [position];
            let system = of(&["Ar"]);
            for (rounding, round) in [
                (Rounding::to_f32(&cell, 1.0), (|x: f64| f64::from(x as f32)) as fn(f64) -> f64),
                (Rounding::to_grid(1000.0), |x: f64| f64::from(((x / 10.0) as f32 * 1000.0).round()) * 0.01),
            ] {
                single[0] = position;
                wrap::frame(&system, &cell, &mut single, &rounding);
                let inside = cell.fractional(&single[0].map(round));
                prop_assert!(inside.iter().all(|f| (0.0..1.0).contains(f)), "{} {}", position, inside);
            }
        }
    }
}

/// Waters cut over faces, edges and corners, as a box of ice is when its atoms are wrapped one by one.
#[test]
fn waters_are_whole_in_every_format() {
    let (system, whole, cell) = waters(3);
    let skewed = Cell::new(
        Mat3::new(12.0, 0.0, 0.0, 4.0, 12.0, 0.0, -4.0, 4.0, 12.0),
        [true; 3],
    );
    let left = Cell::new(
        Mat3::new(0.0, 12.0, 0.0, 12.0, 0.0, 0.0, 0.0, 0.0, 12.0),
        [true; 3],
    );
    for cell in [cell, skewed.unwrap(), left.unwrap()] {
        let split: Vec<Vec3> = whole.iter().map(|r| cell.wrap(r)).collect();
        let standard = Standard::new(&cell).unwrap();
        let placed: Vec<Vec3> = split.iter().map(|r| standard.place(r)).collect();
        for format in FORMATS {
            let (after, _) = through(format, &system, &cell, &split);
            let (cell, before) = match format {
                TrajectoryFormat::Xyz => (&cell, &split),
                _ => (standard.cell(), &placed),
            };
            let about = Wrapped {
                species: &system.species,
                cell,
                before,
                after: &after,
            };
            let tolerance = match format {
                TrajectoryFormat::Xyz => ROUNDING,
                TrajectoryFormat::Dcd => 1e-5,
                TrajectoryFormat::Xtc => 0.0051,
            };
            about.check(tolerance, &format!("{format:?}"));
            for water in after.chunks(3) {
                for h in &water[1..] {
                    let distance = (h - water[0]).norm();
                    assert!(
                        (distance - 0.962).abs() < 0.001 + 4.0 * tolerance,
                        "{distance}"
                    );
                }
            }
        }
    }
}

/// A molecule that two faces cut comes together at its first atom.
#[test]
fn a_molecule_cut_by_two_faces_is_one_again() {
    let cell = cube(10.0);
    let symbols = ["O", "H", "H"];
    let cut = [
        Vec3::new(0.2, 9.9, 5.0),
        Vec3::new(9.24, 9.9, 5.0),
        Vec3::new(0.44, 0.83, 5.0),
    ];
    let system = of(&symbols);
    let molecules = Molecules::of(&system.species, &cell, &cut);
    assert_eq!((molecules.cut(), molecules.atoms.len()), (1, 1));
    let mut whole = cut;
    molecules.make_whole(&cell, &mut whole);
    let right = [
        Vec3::new(0.2, 9.9, 5.0),
        Vec3::new(-0.76, 9.9, 5.0),
        Vec3::new(0.44, 10.83, 5.0),
    ];
    for (r, right) in whole.iter().zip(right) {
        assert!((r - right).amax() < ROUNDING, "{r}");
    }
}

/// A crystal and a layer have no whole: nothing is moved in the one, and in the other only across it; their
/// atoms wrap one by one along the directions without end.
#[test]
fn what_has_no_end_is_left_where_it_is() {
    // Diamond, atoms wrapped one by one.
    let a = 3.567;
    let basis = [
        [0.0, 0.0, 0.0],
        [0.5, 0.5, 0.0],
        [0.5, 0.0, 0.5],
        [0.0, 0.5, 0.5],
        [0.25, 0.25, 0.25],
        [0.75, 0.75, 0.25],
        [0.75, 0.25, 0.75],
        [0.25, 0.75, 0.75],
    ];
    let crystal = basis.map(|f| Vec3::from(f) * a);
    let molecules = Molecules::of(&[6; 8], &cube(a), &crystal);
    assert_eq!(molecules.endless, [[true; 3]]);
    assert_eq!(molecules.images, [[0; 3]; 8]);
    let mut moved = crystal.map(|r| r + Vec3::new(-a, 2.0 * a, -1e-17));
    wrap::frame(&of(&["C"; 8]), &cube(a), &mut moved, &Rounding::NONE);
    for (r, right) in moved.iter().zip(crystal) {
        assert!((r - right).amax() < ROUNDING, "{r}");
    }

    // A buckled sheet of carbon that the faces across it cut: z is made whole, x and y have no end.
    let cell = Cell::new(
        Mat3::new(2.52, 0.0, 0.0, 0.0, 4.37, 0.0, 0.0, 0.0, 20.0),
        [true; 3],
    )
    .unwrap();
    let sheet = [
        Vec3::new(0.0, 0.0, 0.1),
        Vec3::new(1.26, 0.73, 19.85),
        Vec3::new(1.26, 2.18, 0.1),
        Vec3::new(0.0, 2.91, 19.85),
    ];
    let molecules = Molecules::of(&[6; 4], &cell, &sheet);
    assert_eq!(molecules.endless, [[true, true, false]]);
    assert_eq!(
        molecules.images,
        [[0, 0, 0], [0, 0, -1], [0, 0, 0], [0, 0, -1]]
    );
    let mut wrapped = sheet;
    wrap::frame(&of(&["C"; 4]), &cell, &mut wrapped, &Rounding::NONE);
    let heights = wrapped.map(|r| r.z);
    // Its centre is at -0.025, so that it is whole at the upper face.
    for (z, right) in heights.iter().zip([20.1, 19.85, 20.1, 19.85]) {
        assert!((z - right).abs() < ROUNDING, "{heights:?}");
    }
}

/// Ions stand apart from the water around them.
#[test]
fn a_salt_does_not_bind_its_water() {
    let symbols = ["Na", "O", "H", "H", "Cl"];
    let positions = [
        Vec3::new(5.0, 5.0, 5.0),
        Vec3::new(7.3, 5.0, 5.0),
        Vec3::new(7.9, 5.76, 5.0),
        Vec3::new(7.9, 4.24, 5.0),
        Vec3::new(5.0, 5.0, 7.6),
    ];
    let molecules = Molecules::of(&of(&symbols).species, &cube(20.0), &positions);
    assert_eq!(molecules.atoms, [vec![0], vec![1, 2, 3], vec![4]]);
}

/// A hundred thousand atoms, and atoms heaped upon each other without measure: time stays in proportion.
#[test]
fn bonds_of_many_atoms() {
    let (system, positions, cell) = waters(33);
    assert_eq!(
        bonds::find(&system.species, &cell, &positions).len(),
        2 * 33_usize.pow(3)
    );
    // A million atoms of carbon in a cube of 4 A would have 5e11 pairs.
    let heap: Vec<Vec3> = (0..1_000_000_u32)
        .map(|k| {
            Vec3::new(
                f64::from(k % 100),
                f64::from(k / 100 % 100),
                f64::from(k / 10_000),
            ) * 0.04
        })
        .collect();
    assert_eq!(bonds::find(&vec![6; heap.len()], &cube(4.0), &heap), []);
}
