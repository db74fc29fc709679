//! PDB: fixed columns, elements by column or name, occupancy, alternates, models and cells.

use mdrun::core::Vec3;

use super::{edges, frame, read, refused, symbols};

const CRYST1: &str = "CRYST1   20.000   21.000   22.000  90.00  90.00  90.00 P 1           1\n";

/// A line of an atom: columns 13 to 27, coordinates, and all after column 54.
fn line(middle: &str, x: f64, tail: &str) -> String {
    format!("HETATM    1 {middle:<15}   {x:8.3}   2.000   3.000{tail}\n")
}

/// A line with an element in its columns.
fn atom(middle: &str, x: f64, element: &str) -> String {
    line(middle, x, &format!("  1.00  0.00          {element:>2}"))
}

#[test]
fn water_is_read_without_a_remark() {
    let text = [
        CRYST1,
        &atom(" O   HOH A   1 ", 1.0, "O"),
        &atom(" H1  HOH A   1 ", 1.96, "H"),
        &atom(" H2  HOH A   1 ", 0.04, "H"),
        "END\n",
    ]
    .concat();
    let water = read("w.pdb", &text);
    assert_eq!(
        (symbols(&water).as_str(), edges(&water)),
        ("O H H", [20.0, 21.0, 22.0])
    );
    assert_eq!(water.notes, [""; 0]);
    let name = &water.names.as_ref().unwrap()[1];
    assert_eq!(
        (
            name.atom.as_str(),
            name.residue.as_str(),
            name.number,
            name.chain.as_str()
        ),
        ("H1", "HOH", 1, "A")
    );
    // Line ends of Windows, small letters, and no line end at all.
    for text in [
        text.replace('\n', "\r\n"),
        text.to_lowercase(),
        text.trim_end().to_owned(),
    ] {
        let same = read("w.pdb", &text);
        assert_eq!(
            (symbols(&same).as_str(), &same.vectors),
            ("O H H", &water.vectors)
        );
        assert_eq!(same.positions, water.positions);
    }
}

/// One line without an element does not make the others' names count.
#[test]
fn elements_come_from_columns_line_by_line_else_from_names() {
    let text = [
        atom(" CA  LIG A   1 ", 1.0, "C"),
        line(" O   HOH A   1 ", 6.0, "  1.00  0.00            "),
        line(" CA  LIG A   2 ", 9.0, ""),
        line("CA   LIG A   2 ", 12.0, ""),
        line("CL1  LIG A   2 ", 15.0, ""),
        line("HG11 VAL A   3 ", 18.0, ""),
        line("SOD  SOD A   4 ", 21.0, ""),
        line(" CA   CA A   5 ", 24.0, ""),
        atom("XX   LIG A   2 ", 27.0, "Br"),
        atom(" D   LIG A   2 ", 30.0, "D"),
    ];
    let mixed = read("m.pdb", text.concat());
    assert_eq!(symbols(&mixed), "C O C Ca Cl H Na Ca Br H");
    assert_eq!(mixed.masses[9], 2.014101778);
    assert_eq!(
        mixed.notes,
        ["7 of 10 atoms have no element in columns 77 and 78; it is told from their names"]
    );
    // Numbers of lines, as files from before 1996 have them after column 72, are no elements.
    let old = line(" N   ALA A   1 ", 1.0, "  1.00  0.00      1ABC 123");
    assert_eq!(symbols(&read("m.pdb", old)), "N");
    // Without any name set by its element, columns say nothing, and CA may be either.
    let left = [
        line("CA   LIG A   1 ", 1.0, ""),
        line("O1   LIG A   1 ", 4.0, ""),
    ]
    .concat();
    refused(
        "m.pdb",
        left,
        &["line 1: ", "\"CA\"", "C or Ca", "columns 77 and 78"],
    );
    for (middle, element) in [
        (" M   HOH A   1 ", "M"),
        (" EP  HOH A   1 ", "EP"),
        (" X   LIG A   1 ", "X"),
    ] {
        refused(
            "m.pdb",
            atom(middle, 1.0, element),
            &["line 1: columns 77 and 78", element],
        );
    }
    refused(
        "m.pdb",
        line(" MW  SOL A   1 ", 1.0, ""),
        &["\"MW\"", "virtual sites"],
    );
}

#[test]
fn sites_that_are_occupied_in_part_are_refused() {
    let with = |part: &str| {
        line(
            " O   HOH A   1 ",
            1.0,
            &format!("{part:>6}  0.00           O"),
        )
    };
    for part in ["0.50", "0.99", "0.01"] {
        refused(
            "o.pdb",
            with(part),
            &[
                "line 1: ",
                &format!("occupied to {}", part.trim_end_matches('0')),
            ],
        );
    }
    for part in ["1.00", "", "1.0", "1"] {
        assert_eq!(read("o.pdb", with(part)).notes, [""; 0], "{part}");
    }
    // Programs that place atoms write zeros; others keep numbers of their own there.
    let zero = [with("0.00"), with("1.00")].concat();
    assert!(read("o.pdb", zero).notes[0].starts_with("1 of 2 atoms have an occupancy of 0"));
    assert!(read("o.pdb", with("5.00")).notes[0].contains("over 1"));
    refused(
        "o.pdb",
        with("-0.30"),
        &["line 1: ", "columns 55 to 60", "PQR"],
    );
    refused("o.pdb", with("1.0 0"), &["columns 55 to 60"]);
}

/// Charges and radii stand in a PQR file where PDB has occupancy and temperature factor.
#[test]
fn pqr_files_are_named() {
    let text = "ATOM      1  N   ALA     1      46.457  12.189  21.556  0.1414 1.8240\n";
    refused("q.pdb", text, &["line 1: columns 61 to 66", "PQR"]);
    let text = "ATOM      1  O   ALA     1      46.457  12.189  21.556 -0.5679 1.6612\n";
    refused("q.pdb", text, &["line 1: columns 55 to 60", "PQR"]);
}

#[test]
fn one_location_of_each_atom_is_read_whichever_its_letter() {
    let at =
        |name: &str, label: &str, x: f64| atom(&format!(" {name:<3}{label}ALA A   1 "), x, "C");
    let twice = [at("CB", "A", 1.0), at("CB", "B", 1.5)].concat();
    refused(
        "a.pdb",
        twice,
        &["line 2: an atom in an alternate location (B)"],
    );
    let none_first = [at("CB", " ", 1.0), at("CB", "B", 1.5)].concat();
    refused("a.pdb", none_first, &["line 2: "]);
    for label in ["A", "B", "1"] {
        let once = [at("CA", " ", 0.0), at("CB", label, 1.5)].concat();
        assert_eq!(read("a.pdb", once).positions.len(), 2, "{label}");
    }
    // Residues 52 and 52A are two.
    let insertion = [
        atom(" CB AALA A  52 ", 1.0, "C"),
        atom(" CB AALA A  52A", 4.0, "C"),
    ]
    .concat();
    let names = read("a.pdb", insertion).names.unwrap();
    assert_eq!((names[1].number, names[1].insertion.as_str()), (52, "A"));
}

#[test]
fn a_cell_holds_for_all_models_until_there_is_another() {
    let model = |x: f64| [atom(" O   HOH A   1 ", x, "O"), "ENDMDL\n".into()].concat();
    let text = [
        CRYST1,
        "MODEL        1\n",
        &model(1.0),
        "MODEL        2\n",
        &model(2.0),
        "MODEL        3\n",
        &model(3.0),
        "END\n",
    ]
    .concat();
    for (k, x) in [(0, 1.0), (1, 2.0), (-1, 3.0)] {
        let found = frame("m.pdb", &text, k).unwrap();
        assert_eq!(
            (found.frames, edges(&found), found.positions[0].x),
            (3, [20.0, 21.0, 22.0], x)
        );
    }
    assert!(read("m.pdb", &text).notes[0].contains("has 3 frames"));
    assert!(
        frame("m.pdb", &text, -1).unwrap().notes.is_empty(),
        "it was asked for"
    );
    assert!(frame("m.pdb", &text, 3).is_err());
    // VMD ends frames with END, and writes each one's cell before it.
    let small = CRYST1.replace("20.000", "10.000");
    let one = atom(" O   HOH A   1 ", 1.0, "O");
    let text = [CRYST1, &one, "END\n", &small, &one, "END\n"].concat();
    assert_eq!(edges(&frame("m.pdb", &text, 0).unwrap())[0], 20.0);
    assert_eq!(edges(&frame("m.pdb", &text, 1).unwrap())[0], 10.0);
    // Models without ENDMDL, and TER, which ends none.
    let text = [
        "MODEL 1\n",
        &one,
        "TER\n",
        &one,
        "MODEL 2\n",
        &one,
        "TER\n",
        &one,
    ]
    .concat();
    let found = read("m.pdb", &text);
    assert_eq!((found.frames, found.positions.len()), (2, 2));
}

/// Two files joined by `cat` are no two frames: the second would be lost without a word.
#[test]
fn atoms_after_an_end_that_are_others_are_refused() {
    let one = atom(" O   HOH A   1 ", 1.0, "O");
    let joined = [&one, "END\n", &one, &one, "END\n"].concat();
    refused(
        "j.pdb",
        joined,
        &["line 3: atoms follow after END (line 2)", "remove that END"],
    );
}

/// A frame that ends before the first cell of the file has none, which is told.
#[test]
fn a_cell_that_comes_after_a_frame_is_not_its_own() {
    let model = |x: f64| [atom(" O   HOH A   1 ", x, "O"), "ENDMDL\n".into()].concat();
    let text = [
        "MODEL        1\n",
        &model(1.0),
        CRYST1,
        "MODEL        2\n",
        &model(2.0),
    ]
    .concat();
    let first = read("m.pdb", &text);
    assert_eq!(first.vectors, None);
    assert!(
        first.notes[0].contains("no cell (CRYST1) stands before the end of this frame")
            && first.notes[0].contains("after line 4"),
        "{:?}",
        first.notes
    );
    let last = frame("m.pdb", &text, 1).unwrap();
    assert_eq!(edges(&last), [20.0, 21.0, 22.0]);
    assert_eq!(last.notes, [""; 0]);
    // Behind the atoms of the only frame, it is that frame's.
    let alone = [&atom(" O   HOH A   1 ", 1.0, "O"), CRYST1, "END\n"].concat();
    assert_eq!(edges(&read("m.pdb", &alone)), [20.0, 21.0, 22.0]);
}

#[test]
fn cells_that_mean_none_and_cells_that_cannot_be() {
    let with = |cell: &str| [cell, "\n", &atom(" O   HOH A   1 ", 1.0, "O")].concat();
    for none in [
        "CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1",
        "CRYST1    0.000    0.000    0.000  90.00  90.00  90.00 P 1           1",
        "CRYST1    0.000    0.000    0.000   0.00   0.00   0.00",
    ] {
        assert_eq!(read("c.pdb", with(none)).vectors, None, "{none}");
    }
    for (bad, says) in [
        (
            "CRYST1   20.000   21.000    0.000  90.00  90.00  90.00 P 1",
            "20, 21 and 0 A",
        ),
        (
            "CRYST1   20.000   21.000  -22.000  90.00  90.00  90.00 P 1",
            "make no cell",
        ),
        (
            "CRYST1   20.000   21.000   22.000  90.00  90.00 200.00 P 1",
            "angles",
        ),
        ("CRYST1   20.000   21.000", "columns 25 to 33 (c)"),
        ("CRYST1 20.0 21.0 22.0 90 90 90", "columns 7 to 15 (a)"),
        ("CRYST1", "columns 7 to 15 (a)"),
    ] {
        refused("c.pdb", with(bad), &["line 1: CRYST1", says]);
    }
    let crystal = CRYST1.replace("P 1 ", "P 21");
    let notes = read("c.pdb", with(&crystal)).notes;
    assert!(notes[0].contains("space group \"P 21\""), "{notes:?}");
}

/// What shifts columns, or outgrows them, is never read as another number.
#[test]
fn shifted_and_overgrown_columns_are_refused() {
    let good = "ATOM      1  N   ALA A   1    1000.000-200.0003000.000  1.00  0.00           N\n";
    let read_as = read("s.pdb", good).positions[0];
    assert_eq!(read_as, Vec3::new(1000.0, -200.0, 3000.0));
    for by in 1..12 {
        let right = [&good[..11], &" ".repeat(by), &good[11..]].concat();
        let left = [&good[..12], &good[12 + by..]].concat();
        for text in [right, left] {
            match frame("s.pdb", &text, 0) {
                Ok(found) => assert_eq!(found.positions[0], read_as, "{text}"),
                Err(error) => assert!(error.contains("line 1: columns "), "{error}"),
            }
        }
    }
    for (bad, says) in [
        (
            "ATOM 100000  N   ALA A   1     -1000.000   2.000   3.000  1.00  0.00           N",
            "columns 39 to 46 (y)",
        ),
        (
            "ATOM      1  N   ALA A   1   10000.000   2.000   3.000  1.00  0.00           N",
            "columns 28 to 30",
        ),
        (
            "ATOM      1  N   ALA A   1       1.000   2.000  ",
            "columns 47 to 54 (z)",
        ),
        (
            "ATOM      1  N   ALA A   1       1.000   2.000 *******",
            "columns 47 to 54 (z)",
        ),
        (
            "ATOM      1  N   ALA A   1       1.000   2.000     nan",
            "columns 47 to 54 (z)",
        ),
        (
            "ATOM      1  N   ALA A   1           1       2       3",
            "columns 31 to 38 (x)",
        ),
        ("ATOM", "columns 31 to 38 (x)"),
        ("ATOM\t1\tN\tALA\tA\t1\t1.0\t2.0\t3.0", "a tab in column 5"),
        (
            "ATOM      1  N   ALA A   1       1.000   2.000   3.000  1.00 100.000          CL",
            "columns 79 and 80",
        ),
        (
            "ATOM      1  N   ALA A   1       1.000   2.000   3.000  1.001000.00           CL",
            "columns 79 and 80",
        ),
        (
            " ATOM      1  N   ALA A   1       1.000   2.000   3.000",
            "begins with blanks",
        ),
    ] {
        refused("s.pdb", bad, &["line 1: ", says]);
    }
    refused(
        "s.pdb",
        "HEADER    NOTHING\nEND\n",
        &["there are no atoms (ATOM, HETATM)"],
    );
}

#[test]
fn numbers_beyond_their_columns_are_understood() {
    let text = [
        "ATOM  99999  N   ALA A9999       1.000   2.000   3.000  1.00  0.00           N\n",
        "ATOM  A0000  N   ALA AA000       1.000   2.000   4.000  1.00  0.00           N\n",
        "ATOM  186a0  N   ALA A271a       1.000   2.000   5.000  1.00  0.00           N\n",
        "ATOM  *****  N   ALA A10000      1.000   2.000   6.000  1.00  0.00           N\n",
        "HETATM100000 N   TIP3A****       1.000   2.000   7.000  1.00  0.00           N\n",
    ];
    let found = read("n.pdb", text.concat());
    let names = found.names.unwrap();
    let numbers: Vec<i32> = names.iter().map(|n| n.number).collect();
    assert_eq!(numbers, [9999, 10_000, 10_010, 10_000, 10_001]);
    assert_eq!(
        (names[4].residue.as_str(), names[4].chain.as_str()),
        ("TIP3", "A")
    );
    assert_eq!(found.positions[4].z, 7.0);
}

#[test]
fn formal_charges_that_are_not_balanced_are_told() {
    let with = |charge: &str| {
        line(
            "NA    NA A   1 ",
            1.0,
            &format!("  1.00  0.00          NA{charge}"),
        )
    };
    for (charge, total) in [("1+", "+1"), ("+", "+1"), ("2-", "-2"), ("+1", "+1")] {
        let notes = read("q.pdb", with(charge)).notes;
        assert!(
            notes[0].contains(&format!("in all {total})")),
            "{charge}: {notes:?}"
        );
    }
    assert_eq!(
        read("q.pdb", [with("1+"), with("1-")].concat()).notes,
        [""; 0]
    );
    assert_eq!(read("q.pdb", with("  ")).notes, [""; 0]);
}
