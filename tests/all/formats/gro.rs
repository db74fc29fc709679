//! GROMACS files: fixed columns of any precision, boxes, ions by their names in force fields.

use mdrun::core::{Mat3, Vec3};
use mdrun::units::ANGSTROM_PER_PS;

use super::{edges, frame, read, refused, symbols};

/// A file of these lines of atoms, and a box.
fn file(rows: &[&str], cell: &str) -> String {
    let rows: String = rows.iter().flat_map(|row| [*row, "\n"]).collect();
    let count = rows.lines().count();
    format!("case\n{count:5}\n{rows}{cell}\n")
}

const WATER: [&str; 3] = [
    "    1SOL     OW    1   0.100   0.200   0.300",
    "    1SOL    HW1    2   0.196   0.200   0.300",
    "    1SOL    HW2    3   0.076   0.293   0.300",
];

/// A line of an ion.
fn ion(residue: &str, name: &str) -> String {
    format!("    1{residue:<5}{name:>5}    1   1.000   1.000   1.000")
}

#[test]
fn ions_are_what_their_force_field_calls_them() {
    for (residue, name, symbol) in [
        ("SOD", "SOD", "Na"),
        ("POT", "POT", "K"),
        ("CLA", "CLA", "Cl"),
        ("CAL", "CAL", "Ca"),
        ("CES", "CES", "Cs"),
        ("LIT", "LIT", "Li"),
        ("MG", "MG", "Mg"),
        ("ZN2", "ZN2", "Zn"),
        ("ZN", "ZN", "Zn"),
        ("RUB", "RUB", "Rb"),
        ("BAR", "BAR", "Ba"),
        ("CAD", "CAD", "Cd"),
        ("CD2", "CD2", "Cd"),
        ("NA+", "NA+", "Na"),
        ("Na+", "Na+", "Na"),
        ("NA", "NA", "Na"),
        ("CL-", "CL-", "Cl"),
        ("Cl-", "Cl-", "Cl"),
        ("CL", "CL", "Cl"),
        ("K+", "K+", "K"),
        ("K", "K", "K"),
        ("CA2+", "CA2+", "Ca"),
        ("ION", "CL", "Cl"),
        ("ION", "NA", "Na"),
        ("Ion", "Na+", "Na"),
        ("BR-", "BR-", "Br"),
        ("IOD", "I", "I"),
        ("FE2", "FE", "Fe"),
        ("CIO", "Cs+", "Cs"),
    ] {
        let found = read("i.gro", file(&[&ion(residue, name)], "3 3 3"));
        assert_eq!(symbols(&found), symbol, "{name} in {residue}");
    }
    for (residue, name, says) in [
        ("IB", "IB", "an ion together with its water"),
        ("SOL", "MW", "virtual sites"),
        ("W", "W", "coarse-grained"),
        ("ALA", "BB", "is it a bead?"),
        ("LIG", "CA", "C or Ca"),
    ] {
        refused(
            "i.gro",
            file(&[&ion(residue, name)], "3 3 3"),
            &["line 3: ", says],
        );
    }
    let all = file(
        &[&ion("SOD", "SOD"), WATER[0], WATER[1], WATER[2]],
        "   3.00000   3.00000   3.00000",
    );
    let found = read("s.gro", all);
    assert_eq!(
        (symbols(&found).as_str(), edges(&found)),
        ("Na O H H", [30.0; 3])
    );
    let names = found.names.unwrap();
    assert_eq!(
        (
            names[3].atom.as_str(),
            names[3].residue.as_str(),
            names[3].number
        ),
        ("HW2", "SOL", 1)
    );
}

/// A line of the box is three or nine numbers, however they stand: never no box.
#[test]
fn boxes_are_read_right_or_refused() {
    let with = |cell: &str| file(&WATER, cell);
    for (cell, wanted) in [
        ("40000.0000040000.0000040000.00000", [400_000.0; 3]),
        ("   3.00000   4.00000   5.00000", [30.0, 40.0, 50.0]),
        ("3 4 5", [30.0, 40.0, 50.0]),
        ("3\t4\t5\r", [30.0, 40.0, 50.0]),
        ("400000.00000400000.0000010000.00000", [4e6, 4e6, 1e5]),
        (
            "   3.00000   4.00000   5.00000   0.00000   0.00000   0.00000   0.00000   0.00000   0.00000",
            [30.0, 40.0, 50.0],
        ),
    ] {
        assert_eq!(edges(&read("b.gro", with(cell))), wanted, "{cell}");
    }
    let skewed = read("b.gro", with("3.0 4.0 5.0 0 0 0.5 0 -0.25 1.5"));
    let rows = Mat3::new(30.0, 0.0, 0.0, 5.0, 40.0, 0.0, -2.5, 15.0, 50.0);
    assert_eq!(skewed.vectors, Some(rows));
    assert_eq!(
        read("b.gro", with("   0.00000   0.00000   0.00000")).vectors,
        None
    );
    for (cell, says) in [
        ("3.0 4.0", "not three or nine numbers"),
        ("3.0 4.0 5.0 0.0", "not three or nine numbers"),
        ("three four five", "not three or nine numbers"),
        ("3.0 4.0 ******", "not three or nine numbers"),
        ("nan nan nan", "not three or nine numbers"),
        ("3.0 0.0 5.0", "make no cell"),
        ("3.0 4.0 -5.0", "make no cell"),
        ("3 4 5 0.1 0 0 0 0 0", "v1(y) is 0.1"),
        ("3 4 5 0 0.1 0 0 0 0", "v1(z) is 0.1"),
        ("3 4 5 0 0 0 0.1 0 0", "v2(z) is 0.1"),
    ] {
        refused("b.gro", with(cell), &["line 6: the box", says]);
    }
    refused(
        "b.gro",
        "case\n3\n".to_owned() + &WATER.join("\n"),
        &["line 2: 3 atoms and a box are announced but 3 lines follow"],
    );
}

#[test]
fn columns_are_as_wide_as_their_decimals() {
    for (row, position) in [
        (
            "    1AR      AR    1   0.100   0.200  -0.300",
            [1.0, 2.0, -3.0],
        ),
        (
            "    1AR      AR    1   0.10001   0.20002  -0.30003",
            [1.0001, 2.0002, -3.0003],
        ),
        (
            "    1AR      AR    1   0.100000001   0.200000002  -0.300000003",
            [1.00000001, 2.00000002, -3.00000003],
        ),
        ("    1AR      AR    1  0.10  0.20 -0.30", [1.0, 2.0, -3.0]),
        (
            "    1AR      AR    11234.5671234.567-123.456",
            [12345.67, 12345.67, -1234.56],
        ),
    ] {
        let found = read("w.gro", file(&[row], "5 5 5"));
        assert!(
            (found.positions[0] - Vec3::from(position)).amax() < 1e-11,
            "{row}"
        );
        assert_eq!(found.velocities, None);
    }
    let moving = "    1AR      AR    1   0.100   0.200   0.300  0.1000 -0.0200  0.0030";
    let wide = "    1AR      AR    1   0.10000   0.20000   0.30000  0.100000 -0.020000  0.003000";
    for row in [moving, wide] {
        let velocity = read("v.gro", file(&[row], "5 5 5")).velocities.unwrap()[0];
        let expected = Vec3::new(1.0, -0.2, 0.03) * ANGSTROM_PER_PS;
        assert!((velocity - expected).amax() < 1e-15, "{row}");
    }
    for (rows, says) in [
        (
            vec!["    1AR      AR    110000.000   0.200   0.300"],
            "columns 29 to 36 (y)",
        ),
        (
            vec!["    1AR      AR    110000.1231234.5671234.567"],
            "velocity along x",
        ),
        (
            vec!["    1AR      AR    1   0.100   0.20   0.300"],
            "not equally far apart",
        ),
        (
            vec!["    1AR      AR    1   0.100   0.200"],
            "three coordinates",
        ),
        (
            vec!["    1AR      AR    1   0.100   0.200     nan"],
            "three coordinates",
        ),
        (
            vec!["    1AR      AR    1   0.1x0   0.200   0.300"],
            "columns 21 to 28 (x)",
        ),
        (
            vec!["    xAR      AR    1   0.100   0.200   0.300"],
            "columns 1 to 5 hold \"x\"",
        ),
        (
            vec![moving, "    1AR      AR    1   0.100   0.200   0.300"],
            "velocities are on some lines",
        ),
    ] {
        refused("w.gro", file(&rows, "5 5 5"), &["line ", says]);
    }
}

#[test]
fn frames_follow_each_other() {
    let one = file(&["    1AR      AR    1   0.100   0.200   0.300"], "1 1 1");
    let two = file(&["    1AR      AR    1   0.400   0.200   0.300"], "2 2 2");
    // A title may be blank.
    let text = [one.as_str(), two.as_str(), &one.replace("case", ""), "\n\n"].concat();
    for (k, x, edge) in [(0, 1.0, 10.0), (1, 4.0, 20.0), (-1, 1.0, 10.0)] {
        let found = frame("f.gro", &text, k).unwrap();
        assert_eq!(
            (found.frames, found.positions[0].x, edges(&found)[0]),
            (3, x, edge)
        );
    }
    refused(
        "f.gro",
        [one.as_str(), "case\n"].concat(),
        &["line 6: \"\" is not a number of atoms"],
    );
    refused("f.gro", "case\n0\n1 1 1\n", &["line 2: a frame of 0 atoms"]);
    refused(
        "f.gro",
        "case\n-1\n1 1 1\n",
        &["line 2: \"-1\" is not a number of atoms"],
    );
}

/// Numbers of residues start again after 99999; what does not fit is stars.
#[test]
fn residues_beyond_their_columns_keep_the_atoms() {
    let rows = [
        "99999SOL     OW    1   0.100   0.200   0.300",
        "    0SOL     OW    1   0.400   0.200   0.300",
        "*****SOL     OW*****   0.700   0.200   0.300",
    ];
    let names = read("r.gro", file(&rows, "9 9 9")).names.unwrap();
    assert_eq!(
        names.iter().map(|n| n.number).collect::<Vec<_>>(),
        [99_999, 0, 0]
    );
}
