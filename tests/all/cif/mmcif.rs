//! mmCIF: rows, models, names, and atoms that are there only in part.

use mdrun::core::{AtomName, Mat3, Vec3};

use super::{file, frame, read, refused};

/// A water molecule.
#[track_caller]
fn is_water(text: &str) {
    let water = read(text);
    assert_eq!(water.species, [8, 1, 1]);
    let places = [[1.0, 2.0, 3.0], [1.96, 2.0, 3.0], [0.76, 2.93, 3.0]].map(Vec3::from);
    assert_eq!(water.positions, places);
    let cell = Mat3::from_diagonal(&Vec3::new(10.0, 11.0, 12.0));
    assert_eq!(water.vectors, Some(cell));
}

#[test]
fn rows_may_be_broken_and_parted() {
    let blank = file("mmcif-blank-line.cif");
    let wrapped = file("mmcif-wrapped-rows.cif");
    is_water(&blank);
    is_water(&wrapped);
    is_water(&blank.replace("\n\n", "\n# a comment\n\n  # and another: H . 0 0 0 1\n"));
    is_water(&wrapped.replace('\n', "\r\n"));
    is_water(&wrapped.replace('\n', "\r"));
    is_water(&wrapped.replace(' ', "\n"));
    is_water(
        &blank
            .replace("Cartn", "CARTN")
            .replace("_cell.length_a", "_CELL.Length_A"),
    );
    is_water(&blank.replace("2.93", "'2.93(2)'"));
    let half = file("mmcif-half-occupied.cif");
    refused(
        &half,
        &[
            "line 15: the site is occupied to 0.5",
            "choose one arrangement",
        ],
    );
}

fn table(columns: &str, rows: &str) -> String {
    let tags: String = (columns.split(' '))
        .map(|c| format!("_atom_site.{c}\n"))
        .collect();
    format!("data_a\nloop_\n{tags}{rows}\n")
}

#[test]
fn one_atom_needs_no_loop() {
    let text = "data_a\n_atom_site.type_symbol AR\n_atom_site.Cartn_x 1.0\n_atom_site.Cartn_y 2\n\
        _atom_site.Cartn_z -3.5\n_atom_site.label_atom_id AR\n";
    let argon = read(text);
    assert_eq!(argon.species, [18]);
    assert_eq!(argon.positions, [Vec3::new(1.0, 2.0, -3.5)]);
    assert!(argon.vectors.is_none());
}

/// Programs that place atoms write an occupancy of 0, in mmCIF as in PDB files.
#[test]
fn atoms_of_no_occupancy_are_there_and_told() {
    let columns = "type_symbol Cartn_x Cartn_y Cartn_z occupancy";
    let placed = read(&table(columns, "C 0 0 0 1.00\nH 0 0 1.1 0.00\nH 0 1.1 0 0"));
    assert_eq!(placed.species, [6, 1, 1]);
    assert!(
        placed.notes[0].starts_with("2 of 3 atoms have an occupancy of 0"),
        "{:?}",
        placed.notes
    );
    assert_eq!(read(&table(columns, "C 0 0 0 1.00")).notes, [""; 0]);
}

#[test]
fn atoms_keep_their_names() {
    let columns = "type_symbol label_atom_id label_comp_id label_asym_id label_seq_id pdbx_PDB_ins_code \
        Cartn_x Cartn_y Cartn_z auth_seq_id auth_comp_id auth_asym_id auth_atom_id";
    let rows = "C CA ALA A 1 ? 0 0 0 52 ALA H CA\nO \"O5'\" GLY B . A 0 0 2 -3 HIS L \"O5'\"\nN N1 ALA A 2 . 0 2 0 ? . ? .";
    let name = |atom: &str, residue: &str, number: i32, insertion: &str, chain: &str| AtomName {
        atom: atom.into(),
        residue: residue.into(),
        number,
        insertion: insertion.into(),
        chain: chain.into(),
    };
    let expected = [
        name("CA", "ALA", 52, "", "H"),
        name("O5'", "HIS", -3, "A", "L"),
        name("N1", "ALA", 2, "", "A"),
    ];
    assert_eq!(
        read(&table(columns, rows)).names.as_deref(),
        Some(&expected[..])
    );
    let plain = read(&table("type_symbol Cartn_x Cartn_y Cartn_z", "C 0 0 0"));
    assert_eq!(plain.names, None);
}

#[test]
fn elements_come_from_symbols_or_names() {
    let columns = "type_symbol label_atom_id label_comp_id Cartn_x Cartn_y Cartn_z";
    let rows = "ZN ZN ZN 0 0 0\n? CA ALA 0 0 3\nD D1 DOD 0 3 0\n. OW HOH 0 3 3";
    let read_back = read(&table(columns, rows));
    assert_eq!(read_back.species, [30, 6, 1, 8]);
    assert!((read_back.masses[2] - 2.014).abs() < 1e-3);
    refused(
        &table(columns, "X UNK LIG 0 0 0"),
        &["line 9: \"X\" is not an element's symbol"],
    );
    refused(
        &table(columns, "? FE HEM 0 0 0"),
        &["line 9", "F or Fe", "_atom_site.type_symbol"],
    );
    refused(
        &table("Cartn_x Cartn_y Cartn_z", "0 0 0"),
        &["no column _atom_site.type_symbol"],
    );
    refused(
        &table("type_symbol Cartn_x Cartn_z", "C 0 0"),
        &["no column _atom_site.Cartn_y"],
    );
    refused(
        &table("type_symbol Cartn_x Cartn_y Cartn_z", "C 0 ? 0"),
        &["line 7: atom \"C\" has no coordinates"],
    );
    refused(
        &table("type_symbol Cartn_x Cartn_y Cartn_z", "C 0 0 nan"),
        &["line 7: \"nan\" is not a coordinate"],
    );
}

#[test]
fn charges_that_are_not_used_are_told() {
    let columns = "type_symbol Cartn_x Cartn_y Cartn_z pdbx_formal_charge";
    let notes = |rows: &str| read(&table(columns, rows)).notes;
    assert!(notes("N 0 0 0 1\nO 0 0 3 -1\nC 0 3 0 ?").is_empty());
    let charged = notes("N 0 0 0 1\nC 0 3 0 .");
    assert!(charged[0].contains("in all +1"), "{charged:?}");
}

#[test]
fn alternate_locations_are_refused() {
    let columns = "type_symbol label_alt_id Cartn_x Cartn_y Cartn_z";
    refused(
        &table(columns, "C A 0 0 0\nC B 0 0 0.5"),
        &[
            "line 9",
            "alternate location",
            "keep one location of each atom",
        ],
    );
    assert_eq!(
        read(&table(columns, "C A 0 0 0\nC . 0 0 2\nC ? 0 2 0"))
            .species
            .len(),
        3
    );
}

#[test]
fn models_are_frames_whatever_their_order() {
    let columns = "type_symbol Cartn_x Cartn_y Cartn_z pdbx_PDB_model_num";
    let text = table(columns, "O 1 0 0 1\nC 5 0 0 7\nO 2 0 0 1\nC 6 0 0 7");
    let model = |k: i64| frame("a.mmcif", &text, k).unwrap();
    assert_eq!(model(0).species, [8, 8]);
    assert_eq!(model(-1).positions[1].x, 6.0);
    assert_eq!((model(1).frames, model(1).notes.len()), (2, 0));
    let two = text.clone() + &text.replace("data_a", "data_b").replace(" 0 0", " 0 1");
    let last = frame("a.cif", &two, 3).unwrap();
    assert_eq!(
        (last.frames, last.positions[0]),
        (4, Vec3::new(5.0, 0.0, 1.0))
    );
    assert!(
        last.notes[0].contains("this is \"data_b\""),
        "{:?}",
        last.notes
    );
}

#[test]
fn cells_are_kept_without_symmetry() {
    let atom = table("type_symbol Cartn_x Cartn_y Cartn_z", "C 1 2 3");
    let six = |values: [&str; 6]| {
        let tags = [
            "length_a",
            "length_b",
            "length_c",
            "angle_alpha",
            "angle_beta",
            "angle_gamma",
        ];
        let pairs = tags.iter().zip(values);
        atom.clone()
            + &pairs
                .map(|(t, v)| format!("_cell.{t} {v}\n"))
                .collect::<String>()
    };
    let cell =
        six(["10", "11", "12", "90", "90", "90"]) + "_symmetry.space_group_name_H-M 'P 21 21 21'\n";
    let read_back = read(&cell);
    assert_eq!(read_back.species.len(), 1);
    assert_eq!(read_back.periodic, [true; 3]);
    for none in [
        ["1", "1", "1", "90", "90", "90"],
        ["1.000", "1.000", "1.000", "90.00", "90.00", "90.00"],
        ["?", "?", "?", "?", "?", "?"],
        ["0", "0", "0", "0", "0", "0"],
    ] {
        let read_back = read(&six(none));
        assert!(
            read_back.vectors.is_none() && read_back.periodic == [false; 3],
            "{none:?}"
        );
    }
    refused(
        &six(["10", "?", "12", "90", "90", "90"]),
        &["_cell_length_b: there is no value"],
    );
    refused(
        &six(["10", "x", "12", "90", "90", "90"]),
        &["line 9: _cell_length_b: \"x\""],
    );
    let matrix = |m: [f64; 9]| -> String {
        let tag = |k: usize| {
            format!(
                "_atom_sites.fract_transf_matrix[{}][{}]",
                k / 3 + 1,
                k % 3 + 1
            )
        };
        (0..9)
            .map(|k| format!("{} {:.6}\n", tag(k), m[k]))
            .collect()
    };
    let usual = [
        1.0 / 10.0,
        0.0,
        0.0,
        0.0,
        1.0 / 11.0,
        0.0,
        0.0,
        0.0,
        1.0 / 12.0,
    ];
    assert!(read(&(cell.clone() + &matrix(usual))).vectors.is_some());
    let turned = [
        0.0,
        1.0 / 10.0,
        0.0,
        1.0 / 11.0,
        0.0,
        0.0,
        0.0,
        0.0,
        1.0 / 12.0,
    ];
    refused(&(cell + &matrix(turned)), &["does not put a along x"]);
}
