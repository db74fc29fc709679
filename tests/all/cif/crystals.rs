//! Core CIF: atoms, disorder, symmetry operations and special positions.

use mdrun::core::Vec3;

use super::{atoms, cell, file, frame, has_atoms, operations, read, refused};

const CUBE: [f64; 6] = [5.0, 5.0, 5.0, 90.0, 90.0, 90.0];
const HEXAGONAL: [f64; 6] = [5.0, 5.0, 7.0, 90.0, 90.0, 120.0];

/// Files that other readers read wrongly, with the right number of atoms.
#[test]
fn operations_of_the_file_decide() {
    for (name, atoms) in [
        ("cif-no-name.cif", 8),
        ("cif-shelx-name.cif", 8),
        ("cif-origin-choice-2.cif", 8),
        ("cif-word-with-digits.cif", 1),
    ] {
        let structure = read(&file(name));
        assert_eq!(structure.species.len(), atoms, "{name}");
        assert!(structure.notes.is_empty(), "{name}: {:?}", structure.notes);
    }
    let [x, y, z] = [0.1, 0.12, 0.14];
    let [u, v, w] = [0.2, 0.22, 0.14];
    let expected = [
        (6, [x, y, z]),
        (6, [-x, y + 0.5, 0.5 - z]),
        (6, [-x, -y, -z]),
        (6, [x, 0.5 - y, z + 0.5]),
        (8, [u, v, w]),
        (8, [-u, v + 0.5, 0.5 - w]),
        (8, [-u, -v, -w]),
        (8, [u, 0.5 - v, w + 0.5]),
    ];
    has_atoms(&read(&file("cif-no-name.cif")), &expected);
    // Diamond: each carbon has its neighbours at a sqrt(3) / 4.
    let diamond = read(&file("cif-origin-choice-2.cif"));
    let cell = diamond.cell().unwrap();
    let pairs = mdrun::neighbors::Pairs::within(&cell, &diamond.positions, 1.6).unwrap();
    assert_eq!(pairs.len(), 8 * 4);
}

/// The file's order is kept: all images of the first atom, then of the second. Molecules stay whole.
#[test]
fn images_have_an_order_and_stay_together() {
    let text = cell(CUBE)
        + &operations(&["x,y,z", "-x,-y,-z"])
        + &atoms("O1 0.9 0.9 0.9\nH1 1.05 0.9 0.9\nC1 0.5 0.5 0.5");
    let structure = read(&text);
    assert_eq!(structure.species, [8, 8, 1, 1, 6]);
    let place = |k: usize| structure.positions[k] / 5.0;
    let near = |a: Vec3, b: [f64; 3]| (a - Vec3::from(b)).amax() < 1e-12;
    assert!(near(place(0), [0.9, 0.9, 0.9]) && near(place(2), [1.05, 0.9, 0.9]));
    let bond = place(2) - place(0);
    assert!(
        (place(3) - place(1) + bond).amax() < 1e-12,
        "the image is cut"
    );
    // The half of a molecule on either side of a centre stays with the other.
    let half = cell(CUBE) + &operations(&["x,y,z", "-x,1-y,-z"]) + &atoms("N1 0.05 0.55 0.05");
    let whole = read(&half);
    assert!((whole.positions[1] - Vec3::new(-0.25, 2.25, -0.25)).amax() < 1e-12);
}

/// One operation in many spellings.
#[test]
fn operations_are_read_in_every_spelling() {
    let expected = [(6, [0.1, 0.2, 0.3]), (6, [0.4, 0.2, 0.2])];
    for spelling in [
        "-x+1/2,y,-z+1/2",
        "-X+1/2,Y,-Z+1/2",
        "1/2-x, y, 1/2-z",
        " 1/2 - x , + y , 1/2 - z ",
        "0.5-x,y,.5-z",
        "-x+0.5,+y,-z+.50",
        "-1*x+1/2,y,-1z+2/4",
        "-x-1/2,y-1,3/2-z",
        "\u{2212}x+1/2,y,1/2\u{2013}z",
    ] {
        for tag in [
            "_space_group_symop_operation_xyz",
            "_symmetry_equiv_pos_as_xyz",
            "_Symmetry_Equiv_Pos_As_XYZ",
            "_space_group_symop.operation_xyz",
        ] {
            let text = cell(CUBE)
                + &format!("loop_\n{tag}\n'x,y,z'\n\"{spelling}\"\n")
                + &atoms("C1 0.1 0.2 0.3");
            has_atoms(&read(&text), &expected);
        }
    }
    // With a number before each, the identity left out, or one alone outside of a loop.
    let numbered = "loop_\n_symmetry_equiv_pos_site_id\n_symmetry_equiv_pos_as_xyz\n1 x,y,z\n2 1/2-x,y,1/2-z\n";
    has_atoms(
        &read(&(cell(CUBE) + numbered + &atoms("C1 0.1 0.2 0.3"))),
        &expected,
    );
    let alone = "_symmetry_equiv_pos_as_xyz 1/2-x,y,1/2-z\n";
    has_atoms(
        &read(&(cell(CUBE) + alone + &atoms("C1 0.1 0.2 0.3"))),
        &expected,
    );
    let magnetic = "loop_\n_space_group_symop_magn_operation.id\n_space_group_symop_magn_operation.xyz\n\
        1 x,y,z,+1\nloop_\n_space_group_symop_magn_centering.xyz\nx,y,z,+1\n1/2-x,y,1/2-z,-1\n";
    has_atoms(
        &read(&(cell(CUBE) + magnetic + &atoms("C1 0.1 0.2 0.3"))),
        &expected,
    );
}

#[test]
fn operations_that_are_none_are_refused() {
    for (list, parts) in [
        (
            &["x,y"][..],
            ["line 10: \"x,y\" is no symmetry operation", "'-x,y+1/2,-z'"],
        ),
        (
            &["x,y,z", "x,y,z,x"],
            ["line 11: \"x,y,z,x\"", "is no symmetry operation"],
        ),
        (
            &["x,y,z", "x,x,z"],
            ["line 11: \"x,x,z\"", "is no symmetry operation"],
        ),
        (
            &["x,y,z", "x,y,1/0-z"],
            ["line 11:", "is no symmetry operation"],
        ),
        (
            &["x,y,z", "x,y,2z"],
            ["line 11:", "is no symmetry operation"],
        ),
        (
            &["x,y,z", "x,y,q"],
            ["line 11:", "is no symmetry operation"],
        ),
        (
            &["x,y,z", "-x,-y,z", "x,-y,-z"],
            ["operations are incomplete", "-x,y,-z"],
        ),
        (&["x,y,z", "y,z,x"], ["operations are incomplete", "z,x,y"]),
        (
            &["x,y,z", "-y,x-y,z", "-x+y,-x,z"],
            ["the cell does not have the symmetry", "-y,x-y,z"],
        ),
    ] {
        refused(
            &(cell(CUBE) + &operations(list) + &atoms("C1 0.1 0.2 0.3")),
            &parts,
        );
    }
    let many: String = (0..400)
        .map(|k| format!("'x+{}/20,y+{}/20,z'\n", k / 20, k % 20))
        .collect();
    let text =
        cell(CUBE) + "loop_\n_symmetry_equiv_pos_as_xyz\n" + &many + &atoms("C1 0.1 0.2 0.3");
    refused(&text, &["more than 192", "x,y,z alone"]);
}

/// Special positions are met as precisely as they are printed, thirds cut or rounded.
#[test]
fn special_positions_are_merged() {
    let threefold = operations(&["x,y,z", "-y,x-y,z", "-x+y,-x,z"]);
    for place in [
        "0.3333 0.6667 0.1",
        "0.3333 0.6666 0.1",
        "0.33333 0.66667 0.10000",
        "0.333 0.667 0.1",
        "0.33 0.67 0.1",
        "0.333330 0.666670 0.100000",
        "0.33333333333333 0.66666666666667 0.1",
        "0.3333(2) 0.6667(2) 0.1000(5)",
        "0 0 0.1",
    ] {
        let text = cell(HEXAGONAL) + &threefold + &atoms(&format!("C1 {place}"));
        assert_eq!(read(&text).species.len(), 1, "{place}");
    }
    // Operations with thirds as decimals.
    let screw = operations(&["x,y,z", "-y,x-y,z+0.3333", "-x+y,-x,.6667+z"]);
    let text = cell(HEXAGONAL) + &screw + &atoms("C1 0.2 0.1 0.0");
    has_atoms(
        &read(&text),
        &[
            (6, [0.2, 0.1, 0.0]),
            (6, [-0.1, 0.1, 1.0 / 3.0]),
            (6, [-0.1, -0.2, 2.0 / 3.0]),
        ],
    );
    // (x, 2x, z) as printed with three decimals.
    let mirror = operations(&["x,y,z", "-x+y,y,z"]);
    let text = cell(HEXAGONAL) + &mirror + &atoms("C1 0.123 0.247 0.500");
    assert_eq!(read(&text).species.len(), 1);
    // Clear of the special position: a bond of 0.8 A across it.
    let centre = operations(&["x,y,z", "-x,-y,-z"]);
    let text = cell(CUBE) + &centre + &atoms("H1 0.08 0 0");
    assert_eq!(read(&text).species.len(), 2);
    // Neither on it nor clear of it: half an atom, or a wrong number.
    let text = cell(CUBE) + &centre + &atoms("H1 0.0200 0.0000 0.0000");
    refused(
        &text,
        &[
            "line 17: atom \"H1\"",
            "0.200 A away from its own image by -x,-y,-z",
        ],
    );
}

#[test]
fn elements_are_read_from_symbols_and_labels() {
    let with_symbols = |rows: &str| {
        cell(CUBE)
            + "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n\
               _atom_site_fract_z\n"
            + rows
    };
    let all = "A1 O2- 0 0 0\nA2 Fe3+ 0 0 .2\nA3 D 0 0 .4\nA4 T 0 .2 0\nA5 CL1- 0 .2 .2\nA6 Na+1 0 .2 .4\nCl7 ? 0 .4 0\n";
    let found = read(&with_symbols(all));
    assert_eq!(found.species, [8, 26, 1, 1, 17, 11, 17]);
    assert!((found.masses[2] - 2.014).abs() < 1e-3 && (found.masses[3] - 3.016).abs() < 1e-3);
    assert_eq!(found.masses[0], 15.999);
    let labels = read(&(cell(CUBE) + &atoms("Si1 0 0 0\nO1 0 0 .2\nH12A 0 0 .4\nD3 0 .2 0")));
    assert_eq!(labels.species, [14, 8, 1, 1]);
    assert!((labels.masses[3] - 2.014).abs() < 1e-3);
    refused(
        &with_symbols("A1 Xx 0 0 0\n"),
        &["line 14: atom \"A1\"", "\"Xx\" is not an element's symbol"],
    );
    refused(
        &(cell(CUBE) + &atoms("CA1 0 0 0")),
        &["line 13: atom \"CA1\"", "C or Ca", "_atom_site_type_symbol"],
    );
}

/// Atoms with further columns.
fn with_column(tag: &str, rows: &str) -> String {
    cell(CUBE)
        + "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        + &format!("{tag}\n{rows}")
}

#[test]
fn disorder_is_refused() {
    const CHOOSE: &str = "choose one arrangement of it";
    for (tag, rows, parts) in [
        (
            "_atom_site_occupancy",
            "C1 0 0 0 1\nC2 0 0 .2 0.5\n",
            ["line 15: atom \"C2\"", CHOOSE],
        ),
        (
            "_atom_site_occupancy",
            "C1 0 0 0 0.9945(5)\n",
            ["occupied to 0.9945", CHOOSE],
        ),
        (
            "_atom_site_occupancy",
            "C1 0 0 0 half\n",
            ["line 14", "\"half\" is not an occupancy"],
        ),
        (
            "_atom_site_disorder_group",
            "C1 0 0 0 .\nC2 0 0 .2 1\nC3 .2 0 .2 2\n",
            ["line 16: atom \"C3\"", CHOOSE],
        ),
        (
            "_atom_site_disorder_group",
            "C1 0 0 0 -1\n",
            ["disorder group \"-1\"", CHOOSE],
        ),
        (
            "_atom_site_attached_hydrogens",
            "C1 0 0 0 0\nC2 0 0 .3 3\n",
            ["atom \"C2\": 3 hydrogen", "add them"],
        ),
    ] {
        refused(&with_column(tag, rows), &parts);
    }
    for (tag, rows) in [
        (
            "_atom_site_occupancy",
            "C1 0 0 0 1.0\nC2 0 0 .3 1.000(2)\nC3 0 .3 0 ?\nC4 .3 0 0 .\n",
        ),
        // One arrangement was chosen.
        (
            "_atom_site_disorder_group",
            "C1 0 0 0 .\nC2 0 0 .3 2\nC3 0 .3 0 2\nC4 .3 0 0 ?\n",
        ),
        (
            "_atom_site_attached_hydrogens",
            "C1 0 0 0 0\nC2 0 0 .3 ?\nC3 0 .3 0 .\nC4 .3 0 0 0\n",
        ),
    ] {
        assert_eq!(read(&with_column(tag, rows)).species.len(), 4, "{tag}");
    }
    let two = "C1 0 0 0 A 1\nC2 0 0 .3 B 2\n";
    let text = with_column(
        "_atom_site_disorder_assembly\n_atom_site_disorder_group",
        two,
    );
    assert_eq!(
        read(&text).species.len(),
        2,
        "assemblies are chosen one by one"
    );
    // Displacements are no atoms.
    let aniso = "loop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\nC1 0.01\nC2 0.02\n";
    assert_eq!(
        read(&(cell(CUBE) + aniso + &atoms("C1 0 0 0")))
            .species
            .len(),
        1
    );
}

#[test]
fn atoms_without_a_place_are_refused_and_dummies_left_out() {
    let missing = cell(CUBE) + &atoms("C1 0 0 0\nH1 ? ? ?");
    refused(&missing, &["line 14: atom \"H1\" has no coordinates"]);
    let word = cell(CUBE) + &atoms("C1 0 0 zero");
    refused(
        &word,
        &["line 13: \"zero\" is not a coordinate of atom \"C1\""],
    );
    let dummies = "C1 0 0 0 d\nCg1 0 0 .3 dum\nX1 ? ? ? DUM\n";
    let read = read(&with_column("_atom_site_calc_flag", dummies));
    assert_eq!(read.species, [6]);
    assert!(
        read.notes.iter().any(|n| n.starts_with("2 dummy atoms")),
        "{:?}",
        read.notes
    );
}

#[test]
fn cartesian_coordinates_are_taken_in_the_usual_axes() {
    let table = |rows: &str| {
        format!(
            "loop_\n_atom_site_label\n_atom_site_Cartn_x\n_atom_site_Cartn_y\n_atom_site_Cartn_z\n{rows}\n"
        )
    };
    let text = cell(HEXAGONAL)
        + &operations(&["x,y,z", "-x,-y,-z"])
        + &table("C1 1.0 0.5 0.7\nO1 2.5 4.330127 3.5");
    let found = read(&text);
    assert_eq!(found.species, [6, 6, 8], "O1 is at the centre (1, 1, 1/2)");
    assert!((found.positions[0] - Vec3::new(1.0, 0.5, 0.7)).amax() < 1e-12);
    // No cell: a molecule.
    let molecule = read(&format!(
        "data_m\n{}",
        table("C1 1.0 0.5 0.7\nO1 2.2 0.5 0.7")
    ));
    assert!(
        molecule.vectors.is_none() && molecule.notes.is_empty(),
        "{:?}",
        molecule.notes
    );
    assert_eq!(molecule.positions[1], Vec3::new(2.2, 0.5, 0.7));
    let matrix = |m: [f64; 9]| -> String {
        let tag = |k: usize| format!("_atom_sites_Cartn_tran_matrix_{}{}", k / 3 + 1, k % 3 + 1);
        (0..9).map(|k| format!("{} {}\n", tag(k), m[k])).collect()
    };
    let usual = matrix([5.0, -2.5, 0.0, 0.0, 4.330127, 0.0, 0.0, 0.0, 7.0]);
    assert_eq!(read(&(text.clone() + &usual)).species, [6, 6, 8]);
    let turned = matrix([4.330127, 0.0, 0.0, -2.5, 5.0, 0.0, 0.0, 0.0, 7.0]);
    refused(&(text.clone() + &turned), &["does not put a along x"]);
    refused(
        &(text + "_atom_sites_Cartn_tran_vector_2 0.5\n"),
        &["line 19", "origin"],
    );
}

#[test]
fn cells_that_are_none_or_wrong() {
    let one = [1.0, 1.0, 1.0, 90.0, 90.0, 90.0];
    let molecule = read(&(cell(one) + &operations(&["x,y,z"]) + &atoms("C1 0.5 0.25 3.0")));
    assert!(molecule.vectors.is_none());
    assert_eq!(molecule.positions, [Vec3::new(0.5, 0.25, 3.0)]);
    let symmetry = cell(one) + &operations(&["x,y,z", "-x,-y,-z"]) + &atoms("C1 0.5 0.25 3.0");
    refused(&symmetry, &["symmetry in it but no cell"]);
    refused(
        &format!("data_a\n{}", atoms("C1 0 0 0")),
        &["fractional, but there is no cell"],
    );
    let some = "data_a\n_cell_length_a 5\n_cell_length_b ?\n_cell_length_c 5\n";
    refused(
        &(some.to_owned() + &atoms("C1 0 0 0")),
        &["_cell_length_b: there is no value"],
    );
    let bad = cell([5.0, -5.0, 5.0, 90.0, 90.0, 90.0]) + &atoms("C1 0 0 0");
    refused(
        &bad,
        &["_cell_length_b: -5 is not a number greater than zero"],
    );
    let flat = cell([5.0, 5.0, 5.0, 20.0, 20.0, 90.0]) + &atoms("C1 0 0 0");
    refused(&flat, &["no cell has the angles"]);
    let edges = "data_a\n_cell_length_a 5\n_cell_length_b 6\n_cell_length_c 7.000(2)\n";
    let right = read(&(edges.to_owned() + &operations(&["x,y,z"]) + &atoms("C1 0 0 0")));
    assert_eq!(right.vectors.unwrap().diagonal(), Vec3::new(5.0, 6.0, 7.0));
    assert!(
        right.notes[0].contains("taken as 90 degrees"),
        "{:?}",
        right.notes
    );
    let modulated = cell(CUBE) + "_cell_modulation_dimension 1\n" + &atoms("C1 0 0 0");
    refused(&modulated, &["line 8", "modulated"]);
}

/// Every block with atoms is a frame; one without is none.
#[test]
fn data_blocks_are_frames() {
    let block =
        |name: &str, x: f64| cell(CUBE).replace("test", name) + &atoms(&format!("C1 {x} 0 0"));
    let text =
        "data_global\n_journal_year 2001\n".to_owned() + &block("one", 0.1) + &block("two", 0.2);
    let x = |k: i64| frame("a.cif", &text, k).map(|s| (s.positions[0].x * 2.0).round() / 10.0);
    assert_eq!([0, 1, -1, -2].map(|k| x(k).unwrap()), [0.1, 0.2, 0.2, 0.1]);
    let error = x(2).unwrap_err();
    assert!(error.contains("there is no frame 2: it has 2"), "{error}");
    let first = read(&text);
    assert_eq!(first.frames, 2);
    let note = first
        .notes
        .iter()
        .find(|n| n.contains("data blocks"))
        .unwrap();
    assert!(
        note.contains("\"data_one\", \"data_two\"; this is \"data_one\""),
        "{note}"
    );
}

/// A cell of 192 operations makes many atoms of few, but no end of them.
#[test]
fn atoms_made_by_symmetry_have_a_bound() {
    let rows: String = (0..6000).map(|_| "C1 .1 .2 .3\n").collect();
    let text = cell(CUBE) + "_symmetry_space_group_name_H-M 'F m -3 m'\n" + &atoms(&rows);
    refused(&text, &["6000 atoms and 192 symmetry operations"]);
}
