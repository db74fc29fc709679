//! Bonds, molecules and the PDB that viewers open.

use mdrun::core::{AtomName, Cell, Mat3, System, Vec3, elements};
use mdrun::formats::write::topology::{self, Scene};
use mdrun::neighbors::{Molecules, bonds};

use super::frames;

/// The topology of atoms without names.
fn pdb(system: &System, cell: &Cell, positions: &[Vec3]) -> String {
    let scene = Scene {
        system,
        names: None,
        cell,
        positions,
    };
    topology::pdb(&scene).unwrap()
}

pub fn of(symbols: &[&str]) -> System {
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
    // An atom that makes no bonds is far from all others.
    let radius = |i: usize| bonds::radius(system.species[i]).unwrap_or(-9.0);
    let range = |k: usize| if cell.periodic()[k] { -5..=5 } else { 0..=0 };
    let mut count = 0;
    for i in 0..system.len() {
        for j in i..system.len() {
            for (a, b, c) in
                range(0).flat_map(|a| range(1).flat_map(move |b| range(2).map(move |c| (a, b, c))))
            {
                let image = [a, b, c];
                let distance = (positions[j] + cell.shift(image) - positions[i]).norm();
                if distance < radius(i) + radius(j) + bonds::MARGIN && (j > i || image > [0; 3]) {
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
            // Dense, and within five images of the cell.
            let mut frame = frames::frame(number, 60, &case.cell);
            frame.positions.iter_mut().for_each(|r| *r *= 0.4);
            let system = frames::system(60);
            let bonds = bonds::find(&system.species, &case.cell, &frame.positions);
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
    let bonds = bonds::find(&system.species, &cell, &split);
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
    let mut made = split.clone();
    molecules.make_whole(&cell, &mut made);
    assert!(molecules.cut() > 0);
    for (i, r) in made.iter().enumerate() {
        assert_eq!(
            *r == split[i],
            molecules.images[i] == [0; 3],
            "moved or not a bit"
        );
    }
    // CONECT records: 4 for the bonds of each water, seen from both sides, in 3 records.
    let text = pdb(&system, &cell, &made);
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
    let text = pdb(&system, &cell, &positions);
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
    let text = pdb(&system, &Cell::open(), &positions);
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
    let bonds = bonds::find(&system.species, &cell, &positions);
    assert_eq!(bonds.len(), 16);
    let text = pdb(&system, &cell, &positions);
    assert_eq!(
        text.lines().filter(|l| l.contains(" MOL A   1 ")).count(),
        8
    );
}

/// An atom's name as a file has it.
fn called(atom: &str, residue: &str, number: i32, chain: &str) -> AtomName {
    AtomName {
        atom: atom.to_owned(),
        residue: residue.to_owned(),
        number,
        insertion: String::new(),
        chain: chain.to_owned(),
    }
}

/// The topology of atoms 30 A from each other, which are called so.
fn named(symbols: &[&str], names: &[AtomName]) -> Vec<String> {
    let system = of(symbols);
    let positions: Vec<Vec3> = (0..symbols.len())
        .map(|k| Vec3::new(30.0 * k as f64, 0.0, 0.0))
        .collect();
    let scene = Scene {
        system: &system,
        names: Some(names),
        cell: &Cell::open(),
        positions: &positions,
    };
    let text = topology::pdb(&scene).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Columns 1 to 27 and those of segment and element.
fn columns(lines: &[String]) -> Vec<String> {
    let atoms = lines
        .iter()
        .filter(|l| l.starts_with("ATOM") || l.starts_with("HETATM"));
    atoms
        .map(|l| {
            assert_eq!(l.len(), 80, "{l}");
            format!("{}|{}", &l[..27], &l[72..78])
        })
        .collect()
}

#[test]
fn names_are_in_the_columns_that_the_format_gives_them() {
    let symbols = ["C", "Ca", "H", "H", "Fe", "O", "C", "Na", "Cl"];
    let mut names = [
        called("CA", "ALA", 5, "A"),
        called("CA", "CA", -12, "A"),
        called("HG21", "THR", 9_999, "A"),
        called("1HB", "ALA", 10_000, "A"),
        called("FE", "HEM", 123_456, "A"),
        called("OW", "TIP3", -1_234, "w"),
        called("C1", "LIG", 0, ""),
        called("Na+", "Na+", 7, "7"),
        called("", "", 0, ""),
    ];
    names[6].insertion = "B".to_owned();
    assert_eq!(
        columns(&named(&symbols, &names)),
        [
            "ATOM      1  CA  ALA A   5 |     C",
            "HETATM    2 CA    CA A -12 |    CA",
            "ATOM      3 HG21 THR A9999 |     H",
            "ATOM      4 1HB  ALA A   0 |     H",
            "HETATM    5 FE   HEM A3456 |    FE",
            "HETATM    6  OW  TIP3w-234 |     O",
            "HETATM    7  C1  LIG     0B|     C",
            "HETATM    8 Na+  Na+ 7   7 |    NA",
            "HETATM    9 CL    CL     9 |    CL",
        ]
    );
}

/// Names that are too long for their columns are shortened, no two to the same; remarks say how. Chains of
/// several letters are there in full as segments.
#[test]
fn long_names_are_shortened_and_told() {
    let names = [
        called("CA", "ALA", 1, "AAA"),
        called("CA", "ALA", 2, "AAB"),
        called("CA", "ALA", 3, "A"),
        called("C12AX", "DSPEP", 4, "AAA"),
        called("C12BX", "DSPEG", 5, "AAA"),
        called("C12A", "DSPE", 6, "AAA"),
        called("C\u{e9}\n", "D x", 7, "AAA"),
    ];
    let lines = named(&["C"; 7], &names);
    assert_eq!(
        columns(&lines),
        [
            "ATOM      1  CA  ALA B   1 |AAA  C",
            "ATOM      2  CA  ALA C   2 |AAB  C",
            "ATOM      3  CA  ALA A   3 |A    C",
            "HETATM    4 C12B DSPAB   4 |AAA  C",
            "HETATM    5 C12C DSPBB   5 |AAA  C",
            "HETATM    6 C12A DSPEB   6 |AAA  C",
            "HETATM    7  C__ D_x B   7 |AAA  C",
        ]
    );
    for told in [
        "REMARK   1 CHAIN AAA IS WRITTEN B",
        "REMARK   1 CHAIN AAB IS WRITTEN C",
        "REMARK   1 RESIDUE DSPEP IS WRITTEN DSPA",
    ] {
        assert!(lines.iter().any(|l| l.trim_end() == told), "{lines:#?}");
    }
    assert!(lines.iter().all(|l| l.is_ascii() && l.len() <= 80));
}

/// Chains end after the last atom of a polymer; a modified residue within, and what is bonded to the end,
/// belong to the chain; so do numbers that start again, where there are no chains.
#[test]
fn chains_of_polymers_end() {
    let symbols = ["C", "C", "Se", "C", "O", "C", "C"];
    let names = [
        called("CA", "ALA", 1, "A"),
        called("CA", "GLY", 2, "A"),
        called("SE", "MSE", 3, "A"),
        called("CA", "GLY", 4, "A"),
        called("O", "HOH", 5, "A"),
        called("CA", "ALA", 1, "B"),
        called("C1", "LIG", 1, "C"),
    ];
    let ends = |names: &[AtomName]| -> Vec<usize> {
        let lines = named(&symbols, names);
        let body = lines.iter().filter(|l| !l.starts_with("REMARK"));
        let mut atoms = 0;
        let mut ends = Vec::new();
        for line in body {
            match line == "TER" {
                true => ends.push(atoms),
                false => atoms += 1,
            }
        }
        ends
    };
    assert_eq!(ends(&names), [4, 6]);
    let mut without = names.clone();
    without.iter_mut().for_each(|n| n.chain.clear());
    assert_eq!(ends(&without), [4, 6]);
}
