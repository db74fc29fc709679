//! Structures in all formats, read back.

use std::fs;
use std::path::PathBuf;

use mdrun::core::{Mat3, Vec3};
use mdrun::formats::{self, Structure};
use mdrun::units::{ANGSTROM_PER_FS, ANGSTROM_PER_PS};

use crate::support::root;

/// Reads `text` as a file of this name.
fn parse(name: &str, text: &str) -> Result<Structure, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    formats::read(&path).map_err(|e| e.to_string())
}

fn read(name: &str, text: &str) -> Structure {
    parse(name, text).unwrap()
}

/// One water molecule in every format: the same atoms, as precisely as the format writes them.
#[test]
fn all_formats_give_the_same_molecule() {
    let expected = [
        Vec3::new(1.0, 2.0, 3.0),
        Vec3::new(1.96, 2.0, 3.0),
        Vec3::new(0.76, 2.93, 3.0),
    ];
    for name in [
        "water.xyz",
        "water.pdb",
        "water.ent",
        "water.gro",
        "water.cif",
        "water.mmcif",
        "other.cif",
        "water.mol2",
        "water.sdf",
        "water.mol",
        "water.cml",
    ] {
        let water = formats::read(&formats().join(name)).unwrap();
        assert_eq!(water.species, [8, 1, 1], "{name}");
        assert_eq!(water.masses, [15.999, 1.008, 1.008], "{name}");
        for (r, e) in water.positions.iter().zip(&expected) {
            // Fractional coordinates have 15 digits; nanometres and sums of digits add rounding.
            assert!((r - e).amax() < 1e-13, "{name}: {r} is not {e}");
        }
        assert_eq!(water.frames, 1, "{name}");
    }
}

fn formats() -> PathBuf {
    root().join("tests/all/config/good/files")
}

/// Cells: those of the formats that have one; edges of 1 A, as in `water.ent`, are none.
#[test]
fn cells_are_read() {
    let of = |name: &str| formats::read(&formats().join(name)).unwrap();
    let edges = Mat3::from_diagonal(&Vec3::new(10.0, 11.0, 12.0));
    for name in ["water.gro", "water.cif", "water.mmcif"] {
        let cell = of(name).cell().unwrap();
        assert!(
            (cell.vectors() - edges).amax() < 1e-13,
            "{name}: {}",
            cell.vectors()
        );
        assert_eq!(cell.periodic(), [true; 3], "{name}");
    }
    let skewed = of("water.pdb").cell().unwrap();
    let gamma = 100_f64.to_radians();
    let b = Vec3::new(11.0 * gamma.cos(), 11.0 * gamma.sin(), 0.0);
    assert!(
        (skewed.vector(1) - b).amax() < 1e-13,
        "{}",
        skewed.vectors()
    );
    for name in [
        "water.xyz",
        "water.ent",
        "water.mol2",
        "water.sdf",
        "water.cml",
    ] {
        assert!(!of(name).cell().unwrap().is_given(), "{name}");
    }
}

/// Numbers of extended XYZ are read to the last bit, whatever their form.
#[test]
fn numbers_of_xyz_are_exact() {
    let water = read(
        "n.xyz",
        "1\n\nO 0.1 -12.420655101246934 1.7976931348623157e+2\n",
    );
    let exact = Vec3::new(0.1, -12.420_655_101_246_934, 179.769_313_486_231_57);
    assert_eq!(water.positions, [exact]);
    assert_eq!(read("n.xyz", "1\n\nO 1.5D-1 0 0\n").positions[0].x, 0.15);
}

/// Lattice, pbc and columns of extended XYZ mean what ASE means by them.
#[test]
fn extended_xyz_is_understood() {
    let text = "2\nLattice=\"0 5 0 5 0 0 0 1 5\" pbc=\"T F T\" \
        Properties=Z:I:1:forces:R:3:pos:R:3:momenta:R:3:masses:R:1 energy=-1.5 flag name='a b'\n\
        8 9 9 9 1 2 3 16 32 48 16\n1 9 9 9 4 5 6 2 4 8 2\n";
    let s = read("a.xyz", text);
    assert_eq!(s.species, [8, 1]);
    assert_eq!(s.masses, [16.0, 2.0]);
    assert_eq!(
        s.positions,
        [Vec3::new(1.0, 2.0, 3.0), Vec3::new(4.0, 5.0, 6.0)]
    );
    // ASE's momenta are in sqrt(u eV): over u, they are velocities in internal units.
    let velocities = [Vec3::new(1.0, 2.0, 3.0), Vec3::new(1.0, 2.0, 4.0)];
    assert_eq!(s.velocities.as_deref(), Some(&velocities[..]));
    // A left-handed cell, whose vectors are not along the axes.
    assert_eq!(
        s.vectors.unwrap(),
        Mat3::new(0.0, 5.0, 0.0, 5.0, 0.0, 0.0, 0.0, 1.0, 5.0)
    );
    let cell = s.cell().unwrap();
    assert_eq!(cell.periodic(), [true, false, true]);
    // The open edge is too short for atoms 3 A from each other and vacuum: twice as much, and 20 A.
    assert_eq!(
        *cell.vectors(),
        Mat3::new(0.0, 5.0, 0.0, 26.0, 0.0, 0.0, 0.0, 1.0, 5.0)
    );

    let with = |comment: &str| read("b.xyz", &format!("1\n{comment}\nAr 0 0 0\n"));
    // A Lattice alone is a periodic cell; brackets are as good as quotes; T is true in any spelling.
    assert_eq!(with("Lattice=\"5 0 0 0 5 0 0 0 5\"").periodic, [true; 3]);
    assert_eq!(
        with("Lattice=[[5,0,0],[0,5,0],[0,0,6]] pbc=[True, False, 1]").periodic,
        [true, false, true]
    );
    assert_eq!(
        with("Lattice={5 0 0 0 5 0 0 0 6}").vectors.unwrap()[(2, 2)],
        6.0
    );
    assert_eq!(with("pbc=\"F F F\"").periodic, [false; 3]);
    assert_eq!(
        with("Lattice=\"5 0 0 0 0 0 0 0 0\" pbc=\"T F F\"")
            .cell()
            .unwrap()
            .periodic(),
        [true, false, false]
    );
}

/// The units of velocities: angstrom / fs in extended XYZ, nanometres / ps in GROMACS files.
#[test]
fn velocities_come_in_their_units() {
    let xyz = read(
        "v.xyz",
        "1\nProperties=species:S:1:pos:R:3:velocities:R:3\nAr 0 0 0 0.01 0 -2e-3\n",
    );
    let expected = Vec3::new(0.01, 0.0, -2e-3) * ANGSTROM_PER_FS;
    assert!((xyz.velocities.unwrap()[0] - expected).amax() < 1e-15);
    let gro = "argon\n    1\n    1AR      AR    1   0.100   0.200   0.300  0.1000 -0.0200  0.0030\n   2.0 2.0 2.0\n";
    let gro = read("v.gro", gro);
    let expected = Vec3::new(1.0, -0.2, 0.03) * ANGSTROM_PER_PS;
    assert!((gro.velocities.unwrap()[0] - expected).amax() < 1e-15);
    let rest = formats::read(&formats().join("water.gro")).unwrap();
    assert_eq!(
        rest.velocities, None,
        "a file without velocities is not at rest"
    );
}

#[test]
fn frames_are_chosen_from_either_end() {
    let path = formats().join("two_frames.xyz");
    let z = |k: i64| formats::read_frame(&path, k).map(|s| s.positions[0].z);
    assert_eq!([0, 1, -1, -2].map(|k| z(k).unwrap()), [0.0, 0.1, 0.1, 0.0]);
    assert!(z(2).is_err() && z(-3).is_err());
    let models: String = (1..=3)
        .map(|k| format!("MODEL {k:8}\nATOM      1  O   HOH A   1    {:8.3}   0.000   0.000  1.00  0.00           O\nENDMDL\n", f64::from(k)))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.pdb");
    fs::write(&path, models + "END\n").unwrap();
    let x = |k: i64| formats::read_frame(&path, k).unwrap().positions[0].x;
    assert_eq!([0, 1, -1].map(x), [1.0, 2.0, 3.0]);
}

/// Crystals with symmetry come out as their full cell: quartz has nine atoms.
#[test]
fn symmetry_of_crystals_is_applied() {
    let quartz = formats::read(&formats().join("quartz.cif")).unwrap();
    let count = |z: u8| quartz.species.iter().filter(|s| **s == z).count();
    assert_eq!((count(14), count(8)), (3, 6));
    let cell = quartz.cell().unwrap();
    let a = cell.vector(0).norm();
    assert!(
        (a - 4.916).abs() < 1e-12,
        "uncertainties are not digits: {a}"
    );
    // Silicon to oxygen is 1.6 A.
    let pairs = mdrun::neighbors::Pairs::within(&cell, &quartz.positions, 1.7).unwrap();
    assert_eq!(pairs.len(), 2 * 12, "four oxygens around each silicon");
}

/// Records of PDB files that are not about atoms do no harm.
#[test]
fn pdb_files_of_proteins_are_read() {
    let protein = formats::read(&formats().join("protein.pdb")).unwrap();
    assert_eq!(protein.species, [7, 6, 6, 8]);
    assert_eq!(protein.frames, 2);
}

/// Faults of the formats that the files in `bad/` do not cover.
#[test]
fn faults_of_formats_are_named() {
    let atom = |tail: &str| format!("ATOM      1  CA {tail}\nEND\n");
    for (name, text, says) in [
        ("a.pdb", atom(" ALA A   1       0.000   0.000   0.000  1.00  0.00           Q"), "\"Q\" is not an element's symbol"),
        ("a.mol2", "@<TRIPOS>MOLECULE\nx\n\n".into(), "a.mol2: line 3: a number of atoms is wanted"),
        ("a.sdf", "x\n\n\n12\n".into(), "a.sdf: line 4: numbers of atoms and bonds are wanted"),
        ("a.cif", "data_x\n_cell_length_a 5\n".into(), "there is no table of atoms"),
        ("a.cml", "<molecule".into(), "not a CML file, or damaged"),
        ("a.mmcif", "loop_\n_atom_site.id\n1\n".into(), "there are no atoms with coordinates"),
        ("a.mmcif", "loop_\n_atom_site.type_symbol\n_atom_site.Cartn_x\n_atom_site.Cartn_y\n_atom_site.Cartn_z\nC 1 2\n".into(), "line 6: 3 values for 4 columns in the last row of the loop of line 1"),
        ("a.xyz", "1\n\nCA 0 0 0\n".into(), "\"CA\" is not an element's symbol"),
        ("a.xyz", "1\n\nC 0 0 1e300\n".into(), "more than a millimetre away"),
        ("a.xyz", "1\nProperties=species:S:1:pos:R:3:masses:R:1\nC 0 0 0 0\n".into(), "the mass of atom 0 (C) is 0 u"),
        ("a.xyz", "1\nProperties=species:S:1:pos:R:0\nC 0 0 0\n".into(), "\"0\" is not a number of columns for pos"),
        ("a.xyz", "1\n\nC 0 0 0\nmore\n".into(), "line 4: \"more\" is not a number of atoms"),
    ] {
        let error = parse(name, &text).err().unwrap_or_else(|| panic!("{name} is accepted: {text}"));
        assert!(error.contains(says), "{name}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

/// D and T are hydrogen with the mass of its isotopes, unless the file gives a mass.
#[test]
fn deuterium_and_tritium_have_their_masses_in_every_format() {
    for (name, text) in [
        ("d.xyz", "3\n\nO 0 0 0\nD 0.96 0 0\nT -0.24 0.93 0\n"),
        (
            "d.gro",
            "x\n3\n    1DOD     OW    1   0.000   0.000   0.000\n    1DOD     DW    2   0.096   0.000   0.000\n    1DOD     TW    3  -0.024   0.093   0.000\n 0 0 0\n",
        ),
        (
            "d.pdb",
            "HETATM    1  O   DOD A   1       0.000   0.000   0.000  1.00  0.00           O\nHETATM    2  D1  DOD A   1       0.960   0.000   0.000  1.00  0.00           D\nHETATM    3  T2  DOD A   1      -0.240   0.930   0.000  1.00  0.00           T\n",
        ),
        (
            "d.mol2",
            "@<TRIPOS>MOLECULE\nx\n3 0\nSMALL\nNO_CHARGES\n\n@<TRIPOS>ATOM\n1 O 0.0 0.0 0.0 O.3\n2 D1 0.96 0.0 0.0 D\n3 T1 -0.24 0.93 0.0 T\n@<TRIPOS>BOND\n",
        ),
        (
            "d.sdf",
            "x\n\n\n  3  0  0  0  0  0  0  0  0  0999 V2000\n    0.0000    0.0000    0.0000 O   0  0\n    0.9600    0.0000    0.0000 D   0  0\n   -0.2400    0.9300    0.0000 T   0  0\nM  END\n",
        ),
        (
            "d.cml",
            "<molecule><atomArray><atom id=\"a\" elementType=\"O\" x3=\"0\" y3=\"0\" z3=\"0\"/><atom id=\"b\" elementType=\"D\" x3=\"0.96\" y3=\"0\" z3=\"0\"/><atom id=\"c\" elementType=\"T\" x3=\"-0.24\" y3=\"0.93\" z3=\"0\"/></atomArray></molecule>",
        ),
    ] {
        let heavy = read(name, text);
        assert_eq!(heavy.species, [8, 1, 1], "{name}");
        assert_eq!(heavy.masses, [15.999, 2.014101778, 3.016049282], "{name}");
    }
    let own = "1\nProperties=species:S:1:pos:R:3:masses:R:1\nD 0 0 0 2.5\n";
    assert_eq!(read("d.xyz", own).masses, [2.5]);
}
