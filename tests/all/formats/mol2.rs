//! MOL2: types of Tripos and of force fields, cells, several molecules.

use super::{edges, frame, read, refused, symbols};

/// A molecule of these lines of atoms.
fn file(rows: &[&str]) -> String {
    format!(
        "@<TRIPOS>MOLECULE\nx\n{} 0 1 0 0\nSMALL\nNO_CHARGES\n\n@<TRIPOS>ATOM\n{}\n@<TRIPOS>BOND\n",
        rows.len(),
        rows.join("\n")
    )
}

/// Dimethyl ether with the types of GAFF, in which os is no osmium.
#[test]
fn gaff_types_are_not_elements() {
    let ether = file(&[
        "1 C1 -1.165 -0.199 0.0 c3 1 DME 0.1",
        "2 O1 0.0 0.587 0.0 os 1 DME -0.4",
        "3 C2 1.165 -0.199 0.0 c3 1 DME 0.1",
        "4 H1 -2.018 0.479 0.0 h1 1 DME 0.03",
        "5 H2 -1.208 -0.838 0.892 h1 1 DME 0.03",
        "6 H3 -1.208 -0.838 -0.892 h1 1 DME 0.03",
        "7 H4 2.018 0.479 0.0 h1 1 DME 0.03",
        "8 H5 1.208 -0.838 0.892 h1 1 DME 0.03",
        "9 H6 1.208 -0.838 -0.892 h1 1 DME 0.03",
    ]);
    let found = read("e.mol2", ether);
    assert_eq!(symbols(&found), "C O C H H H H H H");
    assert!(
        found.notes[0].contains("a force field's (such as \"c3\")"),
        "{:?}",
        found.notes
    );
    let name = &found.names.unwrap()[1];
    assert_eq!(
        (name.atom.as_str(), name.residue.as_str(), name.number),
        ("O1", "DME", 1)
    );
}

#[test]
fn types_tell_elements_or_are_refused() {
    let of = |kinds: &[(&str, &str)]| {
        let rows: Vec<String> = (kinds.iter().enumerate())
            .map(|(k, (kind, name))| format!("{} {name} {k}.0 0.0 0.0 {kind} 1 LIG1 0.0", k + 1))
            .collect();
        file(&rows.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for (kinds, wanted) in [
        (
            vec![
                ("C.ar", "C1"),
                ("N.pl3", "CA"),
                ("O.co2", "O"),
                ("S.O2", "S"),
                ("Cl", "CL"),
                ("H", "H1"),
                ("Na", "NA"),
            ],
            "C N O S Cl H Na",
        ),
        (vec![("O.3", "OW"), ("H", "HW1"), ("H", "HW2")], "O H H"),
        (
            vec![
                ("ca", "C1"),
                ("na", "N1"),
                ("hn", "H1"),
                ("cl", "CL1"),
                ("cd", "C2"),
                ("nd", "N2"),
                ("os", "O1"),
                ("sh", "S1"),
            ],
            "C N H Cl C N O S",
        ),
        (
            vec![
                ("CT", "CA"),
                ("HC", "H1"),
                ("OS", "O1"),
                ("NA", "N1"),
                ("CB", "C1"),
                ("P", "P"),
            ],
            "C H O N C P",
        ),
        (
            vec![
                ("CG2R61", "C1"),
                ("HGR61", "H1"),
                ("NG2R60", "N1"),
                ("CLGR1", "CL1"),
            ],
            "C H N Cl",
        ),
        (vec![("1", "C1"), ("2", "H1")], "C H"),
    ] {
        assert_eq!(symbols(&read("t.mol2", of(&kinds))), wanted, "{kinds:?}");
    }
    for kinds in [
        vec![("C.3", "C1"), ("Du", "DU1")],
        vec![("C.3", "C1"), ("LP", "LP1")],
        vec![("C.3", "C1"), ("Hal", "X1")],
        vec![("c3", "C1"), ("Du", "D1")],
        vec![("C.3", "C1"), (".", "C2")],
        vec![("c3", "C1"), ("c3", "N1")],
        vec![("CA", "C1"), ("CA", "CA")],
    ] {
        refused("t.mol2", of(&kinds), &["line 9: "]);
    }
    refused(
        "t.mol2",
        of(&[("na", "NA"), ("cl", "CL")]),
        &["line 8: ", "N or Na"],
    );
}

/// Types that a reader in another language read beyond its arrays for.
#[test]
fn points_alone_are_no_types() {
    for kind in [".", "..."] {
        refused(
            "d.mol2",
            file(&[&format!("1 C 0.0 0.0 0.0 {kind} 1 LIG")]),
            &["line 8: ", kind],
        );
    }
}

#[test]
fn cells_frames_comments_and_continued_lines() {
    let one =
        file(&["# a comment", "1 O 1.0 \\", "2.0 3.0 \\", "O.3 1 HOH"]).replace("4 0 1", "1 0 1");
    let cell = "@<TRIPOS>CRYSIN\n10.0 11.0 12.0 90.0 90.0 90.0 1 1\n";
    let text = ["# made by hand\n", &one, cell, &one.replace("1.0 ", "5.0 ")].concat();
    let first = frame("f.mol2", &text, 0).unwrap();
    assert_eq!(
        (first.frames, first.positions[0].x, edges(&first)),
        (2, 1.0, [10.0, 11.0, 12.0])
    );
    let last = frame("f.mol2", &text, -1).unwrap();
    assert_eq!((last.positions[0].x, last.vectors), (5.0, None));
    let crystal = [one.as_str(), &cell.replace("90.0 1 1", "90.0 14 1")].concat();
    let notes = read("f.mol2", crystal).notes;
    assert!(notes[0].contains("space group 14"), "{notes:?}");
    let none = [&one, "@<TRIPOS>CRYSIN\n0 0 0 90 90 90 1 1\n"].concat();
    assert_eq!(read("f.mol2", none).vectors, None);
    refused(
        "f.mol2",
        [&one, "@<TRIPOS>CRYSIN\n1 2\n"].concat(),
        &["line 14: CRYSIN"],
    );
}

#[test]
fn counts_and_values_are_looked_at() {
    let good = file(&["1 O 1.0 2.0 3.0 O.3 1 HOH"]);
    refused(
        "c.mol2",
        good.replace("1 0 1", "2 0 1"),
        &["line 3: 2 atoms are announced but 1 are there"],
    );
    refused(
        "c.mol2",
        good.replace("1 0 1", "many"),
        &["line 3: a number of atoms is wanted"],
    );
    refused(
        "c.mol2",
        good.replace("3.0 O.3", "O.3"),
        &["line 8: z: \"O.3\" is not a number"],
    );
    refused(
        "c.mol2",
        good.replace(" O.3 1 HOH", ""),
        &["line 8: 5 values, six at least"],
    );
    refused("c.mol2", "nothing\n", &["no molecule"]);
}
