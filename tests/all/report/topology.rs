//! Bonds, molecules and the PDB that viewers open.

use mdrun::core::{Cell, Mat3, System, Vec3, elements};
use mdrun::report::bonds::{self, Molecules};
use mdrun::report::topology::pdb;

use super::frames;

fn of(symbols: &[&str]) -> System {
    let species: Vec<u8> = symbols
        .iter()
        .map(|s| elements::number(s).unwrap())
        .collect();
    System {
        masses: species
            .iter()
            .map(|&z| elements::mass(z).unwrap())
            .collect(),
        species,
    }
}

/// So many waters on a grid of 4 A, each turned at random; and the cell that holds them.
pub fn waters(edge: usize) -> (System, Vec<Vec3>, Cell) {
    let mut symbols = Vec::new();
    let mut positions = Vec::new();
    for n in 0..edge.pow(3) {
        let place = [n % edge, n / edge % edge, n / edge / edge].map(|k| 4.0 * k as f64);
        let oxygen = Vec3::from(place);
        let turn = nalgebra::Rotation3::from_scaled_axis(frames::random(0, n));
        symbols.extend(["O", "H", "H"]);
        positions.push(oxygen);
        positions.push(oxygen + turn * Vec3::new(0.76, 0.59, 0.0));
        positions.push(oxygen + turn * Vec3::new(-0.76, 0.59, 0.0));
    }
    let cell = Cell::new(Mat3::identity() * (4.0 * edge as f64), [true; 3]).unwrap();
    (of(&symbols), positions, cell)
}

/// All pairs, all near images: the definition of a bond, without any grid.
fn brute_force(system: &System, cell: &Cell, positions: &[Vec3]) -> usize {
    let radius =
        |i: usize| chemfiles::Atom::new(elements::symbol(system.species[i])).covalent_radius();
    let range = |k: usize| if cell.periodic()[k] { -3..=3 } else { 0..=0 };
    let mut count = 0;
    for i in 0..system.len() {
        for j in i..system.len() {
            for (a, b, c) in
                range(0).flat_map(|a| range(1).flat_map(move |b| range(2).map(move |c| (a, b, c))))
            {
                let image = [a, b, c];
                let distance = (positions[j] + cell.shift(image) - positions[i]).norm();
                if distance < radius(i) + radius(j) + 0.4 && (j > i || image > [0; 3]) {
                    count += 1;
                }
            }
        }
    }
    count
}

#[test]
fn bonds_are_those_of_brute_force() {
    for case in frames::cases() {
        let mut found = 0;
        for number in 0..4 {
            // Dense, and within three images of the cell.
            let mut frame = frames::frame(number, 60, &case.cell);
            frame.positions.iter_mut().for_each(|r| *r *= 0.4);
            let system = frames::system(60);
            let bonds = bonds::find(&system, &case.cell, &frame.positions);
            assert_eq!(
                bonds.len(),
                brute_force(&system, &case.cell, &frame.positions),
                "{}",
                case.name
            );
            found += bonds.len();
        }
        assert!(found > 20, "{}", case.name);
    }
}

#[test]
fn a_molecule_split_by_the_boundary_is_made_whole() {
    let (system, whole, cell) = waters(3);
    let split: Vec<Vec3> = whole.iter().map(|r| cell.wrap(r)).collect();
    assert_ne!(whole, split);
    let bonds = bonds::find(&system, &cell, &split);
    assert_eq!(bonds.len(), 54);
    let molecules = Molecules::new(system.len(), &bonds);
    assert_eq!(molecules.atoms.len(), 27);
    for atoms in &molecules.atoms {
        let at = |i: usize| split[i] + cell.shift(molecules.images[i]);
        for &h in &atoms[1..] {
            let distance = (at(h) - at(atoms[0])).norm();
            assert!((distance - 0.962).abs() < 0.001, "{distance}");
        }
    }
    // CONECT records: 4 for the bonds of each water, seen from both sides, in 3 records.
    let text = pdb(&system, &cell, &split).unwrap();
    assert_eq!(text.lines().filter(|l| l.starts_with("CONECT")).count(), 81);
}

#[test]
fn columns_are_where_the_format_has_them() {
    let system = of(&["O", "H", "H", "Cl", "C", "O", "O"]);
    let mut positions = [0.0, 0.96, -0.24, 50.0, 100.0, 101.2, 98.8]
        .map(|x| Vec3::new(x, 0.0, 0.0))
        .to_vec();
    positions[2].y = 0.93;
    let cell = Cell::new(
        Mat3::from_diagonal(&Vec3::new(200.0, 20.0, 30.5)),
        [true; 3],
    )
    .unwrap();
    let text = pdb(&system, &cell, &positions).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[1],
        "CRYST1  200.000   20.000   30.500  90.00  90.00  90.00 P 1           1          "
    );
    assert_eq!(
        lines[2..9],
        [
            "HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O  ",
            "HETATM    2  H1  HOH A   1       0.960   0.000   0.000  1.00  0.00           H  ",
            "HETATM    3  H2  HOH A   1      -0.240   0.930   0.000  1.00  0.00           H  ",
            "HETATM    4 CL    CL A   2      50.000   0.000   0.000  1.00  0.00          CL  ",
            "HETATM    5  C   MOL A   3     100.000   0.000   0.000  1.00  0.00           C  ",
            "HETATM    6  O1  MOL A   3     101.200   0.000   0.000  1.00  0.00           O  ",
            "HETATM    7  O2  MOL A   3      98.800   0.000   0.000  1.00  0.00           O  ",
        ]
    );
    assert_eq!(lines[9], "CONECT    1    2    3");
    assert_eq!(lines[12], "CONECT    5    6    7");
    assert!(text.ends_with("END\n"));
    assert!(lines[..9].iter().all(|line| line.len() == 80));
}

#[test]
fn open_systems_have_no_cell_and_far_atoms_lose_decimals_only() {
    let system = of(&["Ar"; 5]);
    let positions = [12_345.678, -12_345.678, 1e9, -1e9, 0.0].map(|x| Vec3::new(x, 0.0, 0.0));
    let text = pdb(&system, &Cell::open(), &positions).unwrap();
    assert!(!text.contains("CRYST1"));
    let atoms = text.lines().filter(|l| l.starts_with("HETATM"));
    let x: Vec<&str> = atoms.map(|l| &l[30..38]).collect();
    assert_eq!(
        x,
        ["12345.68", "-12345.7", "99999999", "-9999999", "   0.000"]
    );
}

#[test]
fn a_crystal_without_end_is_written_too() {
    // Diamond: every atom has four bonds, all of them through the boundary somewhere.
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
    let positions = basis.map(|f| Vec3::from(f) * a);
    let system = of(&["C"; 8]);
    let cell = Cell::new(Mat3::identity() * a, [true; 3]).unwrap();
    let bonds = bonds::find(&system, &cell, &positions);
    assert_eq!(bonds.len(), 16);
    let text = pdb(&system, &cell, &positions).unwrap();
    assert_eq!(
        text.lines().filter(|l| l.contains(" MOL A   1 ")).count(),
        8
    );
}
