//! The syntax of CIF: quotes, text fields, comments, loops, and what breaks them.

use super::{atoms, cell, frame, operations, read, refused};

const CUBE: [f64; 6] = [5.0, 5.0, 5.0, 90.0, 90.0, 90.0];

fn carbon() -> String {
    cell(CUBE) + &operations(&["x,y,z"]) + &atoms("C1 .1 .2 .3")
}

/// A file to which this is added is read as if it were not there, wherever it stands.
#[track_caller]
fn does_no_harm(more: &str) {
    for text in [
        carbon() + more,
        carbon().replace("data_test\n", &format!("data_test\n{more}")),
        carbon().replace("loop_\n_atom", &format!("{more}loop_\n_atom")),
    ] {
        let read = read(&text);
        assert_eq!((read.species.len(), read.notes.len()), (1, 0), "{text}");
    }
}

#[test]
fn whatever_else_stands_in_a_file_does_no_harm() {
    for more in [
        "_audit_creation_method 'release2024'\n",
        "_audit_creation_method release2024\n",
        "_chemical_name 'don't 2e5 loop_ data_x'\n",
        "_chemical_name \"5'-O-2.3 'a' #5\"\n",
        "_publ_section_title\n;\nloop_\n_atom_site_label\ndata_none ' \" 12\n;\n",
        "_publ_section_title\n;1 2 3\n; \n",
        "# _cell_length_a 99\n",
        "   \t \n\n#\n",
        "loop_\n_a\n_b\n1 2 # 3\n\n# 4\n'5\t'\n;\n6\n;\n",
        "loop_\n_citation_author_name\n'A. B'\n'C. D\u{e9}'\n_refine_ls_R 1e99999999999\n",
        "_x ?\n_y .\n_z -\n_w 1.2.3e+x(\n",
        "_empty_tag\n_other 1\n",
        "_two words here\n",
        "_brackets [1,2]\n",
        "save_frame\n_cell_length_a 3\nloop_\n_atom_site_label\n_atom_site_fract_x\nX 1\nsave_\n",
    ] {
        does_no_harm(more);
    }
}

#[test]
fn line_ends_and_marks_are_all_read() {
    let plain = read(&carbon());
    for text in [
        carbon().replace('\n', "\r\n"),
        carbon().replace('\n', "\r"),
        format!("\u{feff}{}", carbon()),
        carbon().trim_end().to_owned(),
        carbon().replace("data_test\n", ""),
        carbon().replace("data_", "DATA_").replace("loop_", "LOOP_"),
        carbon().replace(' ', "\n\n  "),
        carbon().replace("_cell_", "_CELL_"),
        carbon().replace("C1 .1", "'C1' +.1000(3)"),
        carbon().replace("C1 .1", "C1 1.0E-1"),
        carbon().replace("C1 .1", "C1\n;0.1\n;"),
    ] {
        let read = read(&text);
        assert_eq!(read.positions, plain.positions, "{text}");
        assert_eq!(read.vectors, plain.vectors, "{text}");
    }
    // Lines are counted in every kind of line ends.
    for end in ["\n", "\r\n", "\r"] {
        let text = carbon().replace(".3", "x").replace('\n', end);
        refused(&text, &["line 16: \"x\" is not a coordinate"]);
    }
}

/// CIF 2.0: triple quotes, lists and tables.
#[test]
fn cif_2_is_read() {
    let second = |more: &str| format!("#\\#CIF_2.0\n{}{more}", carbon());
    for more in [
        "_a '''one ' two\n''' _b \"\"\"_cell_length_a 3\"\"\"\n",
        "_a [1 2 [3 'x]' 4] {'k':[5]}]\n_b {\"a\":1}\n",
    ] {
        assert_eq!(read(&second(more)).species.len(), 1, "{more}");
    }
    refused(&second("_a [1 2\n"), &["line 18: a list opens here"]);
    refused(&second("_a '''x\n"), &["line 18: triple quotes opens here"]);
}

#[test]
fn broken_files_are_refused_with_their_line() {
    for (more, parts) in [
        (
            "_a 'open\n",
            ["line 17: a quote opens here", "never closes"],
        ),
        (
            "_a\n;open\n",
            ["line 18: a text field (;) opens here", "never closes"],
        ),
        (
            "loop_\n_a\n_b\n1 2\n3\n",
            ["line 21: 1 values for 2 columns", "loop of line 17"],
        ),
        (
            "loop_\n1 2\n",
            ["line 18: \"1\" stands where the tags", "line 17"],
        ),
        ("data_b\n5\n", ["line 18: \"5\" belongs to no tag", ""]),
        (
            "_cell_length_a 6\n",
            ["line 17: _cell_length_a stands here again", "line 2"],
        ),
    ] {
        refused(&(carbon() + more), &parts);
    }
    let stray = carbon().replace("_cell_length_b 5", "_cell_length_b 5 6");
    refused(&stray, &["line 3: a second value for _cell_length_b"]);
    let apart = "loop_\n_atom_site_occupancy\n1\n1\n";
    refused(
        &(carbon() + apart),
        &[
            "line 18: _atom_site_occupancy is not in one loop with the coordinates of the atoms (line 13)",
        ],
    );
    let error = frame("a.cif", "data_a\n_cell_length_a 5\n", 0).unwrap_err();
    assert!(error.contains("no table of atoms (_atom_site)"), "{error}");
    let error = frame("a.cif", "data_a\n_atom_site_label C1\n", 0).unwrap_err();
    assert!(error.contains("no atoms with coordinates"), "{error}");
}

/// Files made to be slow where a reader looks at everything again and again: they end.
#[test]
fn costs_grow_as_the_file() {
    const MANY: usize = 200_000;
    let tags = "_atom_site.type_symbol\n_atom_site.Cartn_x\n_atom_site.Cartn_y\n_atom_site.Cartn_z\n\
        _atom_site.pdbx_PDB_model_num\n";
    let models: String = (0..MANY).map(|k| format!("C {k} 0 0 {k}\n")).collect();
    let last = frame("a.cif", &format!("data_a\nloop_\n{tags}{models}"), -1).unwrap();
    assert_eq!((last.frames, last.species.len()), (MANY, 1));
    let quotes = "' ".repeat(MANY) + &"\"a'".repeat(MANY);
    refused(&format!("data_a\n_a {quotes}\n"), &["line 2"]);
    let open: String = (0..MANY).map(|_| "'a 'b 'c\n").collect();
    refused(
        &format!("data_a\nloop_\n{tags}{open}"),
        &["line 8: a quote opens here"],
    );
    let fields = ";\n;;\n".repeat(MANY);
    assert!(frame("a.cif", &format!("data_a\nloop_\n_a\n{fields}"), 0).is_err());
    let blocks: String = (0..MANY)
        .map(|k| format!("data_{k}\n_cell_length_a 5\n"))
        .collect();
    assert!(frame("a.cif", &blocks, 0).is_err());
    let tags: String = (0..MANY).map(|k| format!("_t{k} {k}\n")).collect();
    assert_eq!(read(&(carbon() + &tags)).species.len(), 1);
}
