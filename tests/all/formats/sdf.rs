//! Molfiles and SD files: both versions, isotopes, charges, queries, drawings.

use super::{frame, read, refused, symbols};

/// A V2000 molecule of these atoms (symbol and the columns after it), drawn in so many dimensions, with
/// property lines.
fn v2000(dimension: &str, atoms: &[(&str, [f64; 3], &str)], properties: &str) -> String {
    let rows: String = (atoms.iter())
        .map(|(symbol, [x, y, z], tail)| format!("{x:10.4}{y:10.4}{z:10.4} {symbol:<3}{tail}\n"))
        .collect();
    format!(
        "name\n  program 01012000{dimension:>4}\n\n{:3}  0  0  0  0  0  0  0  0  0999 V2000\n{rows}{properties}M  END\n",
        atoms.len()
    )
}

const WATER: [(&str, [f64; 3], &str); 3] = [
    ("O", [1.0, 2.0, 3.0], " 0  0"),
    ("H", [1.96, 2.0, 3.0], " 0  0"),
    ("H", [0.76, 2.93, 3.0], " 0  0"),
];

#[test]
fn isotopes_have_their_masses() {
    const DEUTERIUM: f64 = 2.014101778;
    let with = |symbol: &str, tail: &str, properties: &str| {
        let atoms = [WATER[0], (symbol, WATER[1].1, tail)];
        read("i.sdf", v2000("3D", &atoms, properties)).masses[1]
    };
    for (symbol, tail, properties, mass) in [
        ("D", " 0  0", "", DEUTERIUM),
        ("T", " 0  0", "", 3.016049282),
        ("H", " 1  0", "", DEUTERIUM),
        ("H", " 2  0", "", 3.016049282),
        ("H", " 0  0", "M  ISO  1   2   2\n", DEUTERIUM),
        ("C", " 0  0", "M  ISO  2   1  18   2  13\n", 13.003354835),
        ("C", " 1  0", "", 13.003354835),
        ("Cl", " 2  0", "", 36.965902573),
        ("C", "", "", 12.011),
        // Absolute mass numbers replace all differences.
        ("C", " 1  0", "M  ISO  1   1  18\n", 12.011),
    ] {
        assert_eq!(
            with(symbol, tail, properties),
            mass,
            "{symbol}{tail} {properties}"
        );
    }
    let copper = read(
        "i.sdf",
        v2000("3D", &[("Cu", [0.0; 3], "")], "M  ISO  1   1  64\n"),
    );
    assert_eq!((copper.masses[0], copper.notes.len()), (64.0, 1));
    let impossible = v2000("3D", &[("C", [0.0; 3], "")], "M  ISO  1   1  99\n");
    refused(
        "i.sdf",
        impossible,
        &["line 5: there is no isotope 99 of C"],
    );
}

#[test]
fn version_3000_is_read() {
    let text = "x\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS 3 2 0 0 0\n\
        M  V30 BEGIN ATOM\nM  V30 1 O 1.0 2.0 3.0 0 CHG=1\nM  V30 2 H 1.96 -\nM  V30 2.0 3.0 0 MASS=2\n\
        M  V30 3 T 0.76 2.93 3.0 0\nM  V30 END ATOM\nM  V30 BEGIN BOND\nM  V30 1 1 1 2\nM  V30 END BOND\n\
        M  V30 END CTAB\nM  END\n$$$$\n";
    let found = read("v.sdf", text);
    assert_eq!(symbols(&found), "O H H");
    assert_eq!(found.masses, [15.999, 2.014101778, 3.016049282]);
    assert_eq!(found.positions[1].as_slice(), [1.96, 2.0, 3.0]);
    assert!(found.notes[0].contains("in all +1"), "{:?}", found.notes);
    for (from, to, says) in [
        (
            "COUNTS 3",
            "COUNTS 4",
            "4 atoms are announced (COUNTS) but 3 are there",
        ),
        ("M  V30 END ATOM", "", "no END ATOM"),
        ("M  V30 2.0 3.0 0 MASS=2\n", "", "line 9: "),
        (
            "M  V30 2.0 3.0 0 MASS=2\nM  V30 3",
            "2.0\nM  V30 3",
            "line 9: ends with \"-\", but no line goes on",
        ),
        (
            " 1 O ",
            " 1 [C,N] ",
            "line 8: \"[C,N]\" is not an element's symbol",
        ),
        (" 1 O ", " 1 R# ", "line 8: \"R#\" stands for"),
        ("MASS=2", "MASS=x", "line 9: MASS=\"x\""),
        (
            "1.0 2.0 3.0 0 CHG",
            "1.0 2.0 z 0 CHG",
            "line 8: z: \"z\" is not a number",
        ),
    ] {
        refused("v.sdf", text.replace(from, to), &[says]);
    }
}

#[test]
fn queries_and_groups_are_no_atoms() {
    for symbol in ["R#", "*", "L", "Q", "A", "X", "LP", "R"] {
        let text = v2000("3D", &[WATER[0], (symbol, [0.0; 3], "")], "");
        refused(
            "q.mol",
            text,
            &[
                "line 6: ",
                symbol,
                "stands for a choice of atoms or a group",
            ],
        );
    }
    refused(
        "q.mol",
        v2000("3D", &[("Pol", [0.0; 3], "")], ""),
        &["line 5: \"Pol\" is not an element's"],
    );
    refused(
        "q.mol",
        v2000("3D", &[("CL", [0.0; 3], "")], ""),
        &["\"CL\""],
    );
}

#[test]
fn charges_and_drawings_are_told() {
    let ion = [("Na", [0.0; 3], " 0  3")];
    assert!(read("c.sdf", v2000("3D", &ion, "")).notes[0].contains("in all +1"));
    let ion = [("Cl", [0.0; 3], "")];
    assert!(read("c.sdf", v2000("3D", &ion, "M  CHG  1   1  -1\n")).notes[0].contains("in all -1"));
    // A zwitterion is neutral.
    let both = [("N", [0.0; 3], ""), ("O", [1.0, 0.0, 0.0], "")];
    assert_eq!(
        read("c.sdf", v2000("3D", &both, "M  CHG  2   1   1   2  -1\n")).notes,
        [""; 0]
    );
    let flat = [
        ("C", [0.0; 3], ""),
        ("C", [1.5, 0.0, 0.0], ""),
        ("O", [2.0, 1.0, 0.0], ""),
        ("N", [2.0, -1.0, 0.0], ""),
    ];
    for (dimension, told) in [("2D", true), ("", true), ("3D", false)] {
        let notes = read("d.sdf", v2000(dimension, &flat, "")).notes;
        assert_eq!(
            notes.iter().any(|n| n.contains("flat drawing")),
            told,
            "{dimension}"
        );
    }
    // Water is flat in space too.
    assert_eq!(read("d.sdf", v2000("", &flat[..3], "")).notes, [""; 0]);
}

/// Charges and radicals of the atoms' lines hold where no property replaces them.
#[test]
fn electrons_are_read() {
    let lines = [("N", [0.0; 3], " 0  3"), ("C", [1.5, 0.0, 0.0], " 0  4")];
    let electrons = |text: String| read("e.sdf", text).electrons;
    let found = electrons(v2000("3D", &lines, ""));
    assert_eq!((found.charges, found.radicals), (vec![1, 0], vec![1]));
    let found = electrons(v2000("3D", &lines, "M  RAD  2   1   2   2   1\n"));
    assert_eq!((found.charges, found.radicals), (vec![], vec![0]));
    let found = electrons(v2000(
        "3D",
        &lines,
        "M  CHG  1   2  -2\nM  RAD  1   2   3\n",
    ));
    assert_eq!((found.charges, found.radicals), (vec![0, -2], vec![1]));
    assert_eq!(electrons(v2000("3D", &WATER, "")), Default::default());
    let text = "x\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS 2 1 0 0 0\n\
        M  V30 BEGIN ATOM\nM  V30 1 O 1.0 2.0 3.0 0 CHG=-1\nM  V30 2 H 1.96 2.0 3.0 0 RAD=2\n\
        M  V30 END ATOM\nM  V30 END CTAB\nM  END\n";
    let found = electrons(text.to_owned());
    assert_eq!((found.charges, found.radicals), (vec![-1, 0], vec![1]));
}

#[test]
fn molecules_are_frames() {
    let one = v2000("3D", &WATER, "");
    let two = v2000("3D", &WATER[..1], "");
    let text = [
        &one,
        "> <energy>\n1.0\n\n$$$$\n",
        &two,
        "$$$$\n",
        &one,
        "$$$$\n\n",
    ]
    .concat();
    for (k, atoms) in [(0, 3), (1, 1), (-1, 3)] {
        let found = frame("m.sdf", &text, k).unwrap();
        assert_eq!((found.frames, found.species.len()), (3, atoms));
    }
    assert_eq!(read("m.mol", &two).frames, 1);
}

#[test]
fn columns_and_counts_are_looked_at() {
    let good = v2000("3D", &WATER, "");
    for (from, to, says) in [
        (
            "  3  0",
            "  9  0",
            "line 4: 9 atoms are announced but 4 lines follow",
        ),
        ("  3  0", "  4  0", "line 8: columns 1 to 10 (x)"),
        ("  3  0", "  x  0", "line 4: numbers of atoms and bonds"),
        ("    1.9600", "1.9600", "line 6: columns 21 to 30 (z)"),
        ("    1.9600", " 11111.9600", "line 6: columns "),
        ("    1.9600", "         2", "line 6: columns 1 to 10 (x)"),
        ("    1.9600", "       nan", "line 6: columns 1 to 10 (x)"),
        ("M  END", "M  CHG  2   1   1\nM  END", "line 8: \"M  CHG"),
        ("M  END", "M  CHG  1   9   1\nM  END", "line 8: \"M  CHG"),
        ("M  END", "M  ISO  1   0   1\nM  END", "line 8: \"M  ISO"),
    ] {
        refused("l.mol", good.replace(from, to), &[says]);
    }
    // The comment line was left out.
    refused(
        "l.mol",
        good.replace("\n\n", "\n"),
        &["line 4: numbers of atoms and bonds"],
    );
}
