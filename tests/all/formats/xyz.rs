//! Extended XYZ as other programs and people write it: quotes, types, isotopes, old velocities, names.

use mdrun::core::Vec3;
use mdrun::units::ANGSTROM_PER_FS;

use super::{edges, frame, read, refused, symbols};

/// Water with this comment.
fn water(comment: &str) -> String {
    format!("3\n{comment}\nO 1 2 3\nH 1.96 2 3\nH 0.76 2.93 3\n")
}

#[test]
fn encodings_of_editors_are_read_or_named() {
    let text = water("water");
    let plain = read("e.xyz", &text);
    let dos = text.replace('\n', "\r\n");
    let mac = text.replace('\n', "\r");
    let tabs = text.replace(' ', "\t");
    for other in [format!("\u{feff}{text}"), dos, mac, tabs] {
        let found = read("e.xyz", &other);
        assert_eq!(
            (found.species, found.positions),
            (plain.species.clone(), plain.positions.clone())
        );
    }
    let wide = |first: [u8; 2], order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        first
            .into_iter()
            .chain(text.encode_utf16().flat_map(order))
            .collect()
    };
    refused(
        "e.xyz",
        wide([0xff, 0xfe], u16::to_le_bytes),
        &["UTF-16", "save it as UTF-8"],
    );
    refused("e.xyz", wide([0xfe, 0xff], u16::to_be_bytes), &["UTF-16"]);
    let bare: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused("e.xyz", bare, &["UTF-16"]);
    // A byte order mark in front of every other format.
    for (name, text) in [
        (
            "e.pdb",
            "ATOM      1  N   ALA A   1       1.000   2.000   3.000\n",
        ),
        (
            "e.gro",
            "x\n1\n    1SOL     OW    1   0.100   0.200   0.300\n0 0 0\n",
        ),
        (
            "e.mol2",
            "@<TRIPOS>MOLECULE\nx\n1\n@<TRIPOS>ATOM\n1 N 1 2 3 N.3\n",
        ),
        (
            "e.sdf",
            "\n\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n    1.0000    2.0000    3.0000 N\nM  END\n",
        ),
        (
            "e.cml",
            "<molecule><atomArray><atom elementType='N' x3='1' y3='2' z3='3'/></atomArray></molecule>",
        ),
    ] {
        assert_eq!(
            read(name, format!("\u{feff}{text}")).positions.len(),
            1,
            "{name}"
        );
    }
}

#[test]
fn escaped_quotes_do_not_end_a_value() {
    let comment = "Lattice=\"10 0 0 0 10 0 0 0 10\" Properties=species:S:1:pos:R:3 \
        note=\"made with mode=\\\"A\\\" and pbc=F F F\" pbc=\"T T T\"";
    let found = read("q.xyz", water(comment));
    assert_eq!((edges(&found), found.periodic), ([10.0; 3], [true; 3]));
    refused(
        "q.xyz",
        water("note=\"open Lattice=\"10 0 0 0 10 0 0 0 10"),
        &["line 2: ", "follows the closing quote"],
    );
    refused(
        "q.xyz",
        water("pbc=T note=\"open"),
        &["line 2: note: ", "never closed"],
    );
    refused(
        "q.xyz",
        water("Lattice=\"10 0 0 0 10 0 0 0 10\" pbc=T T F"),
        &["line 2: pbc=\"T\"", "quotes"],
    );
    refused(
        "q.xyz",
        water("pbc=T pbc=F"),
        &["line 2: pbc is there twice"],
    );
    refused(
        "q.xyz",
        water("Lattice=10 0 0 0 10 0 0 0 10"),
        &["line 2: Lattice has 1 numbers"],
    );
    assert_eq!(
        read("q.xyz", water("it's 5\" long, \"as they say")).periodic,
        [false; 3]
    );
}

#[test]
fn labels_that_are_types_are_refused() {
    let of = |comment: &str, labels: &[&str]| {
        let rows: String = (labels.iter().enumerate())
            .map(|(k, label)| format!("{label} {k}.5 0 0\n"))
            .collect();
        format!("{}\n{comment}\n{rows}", labels.len())
    };
    for (comment, labels) in [
        ("Atoms. Timestep: 0", ["1", "1", "1"]),
        ("Atoms. Timestep: 100", ["6", "8", "8"]),
        ("", ["1", "2", "1"]),
        ("", ["3", "2", "1"]),
        ("Properties=species:S:1:pos:R:3", ["2", "1", "1"]),
    ] {
        refused(
            "t.xyz",
            of(comment, &labels),
            &["line 3: ", "atom types", "Properties=Z:I:1:pos:R:3"],
        );
    }
    let numbers = read("t.xyz", of("", &["8", "1", "1"]));
    assert_eq!(symbols(&numbers), "O H H");
    assert!(
        numbers.notes[0].contains("(1, 8) are taken as atomic numbers"),
        "{:?}",
        numbers.notes
    );
    let said = read("t.xyz", of("Properties=Z:I:1:pos:R:3", &["1", "2", "1"]));
    assert_eq!((symbols(&said).as_str(), said.notes.len()), ("H He H", 0));
    assert_eq!(
        symbols(&read("t.xyz", of("Atoms. Timestep: 0", &["O", "H", "H"]))),
        "O H H"
    );
    for (label, says) in [
        ("X", "ghosts"),
        ("Bq", "ghosts"),
        ("Tv", "Lattice"),
        ("Xx", "ghosts"),
        ("c", "\"c\""),
    ] {
        refused("t.xyz", of("", &["O", label]), &["line 4: atom 1", says]);
    }
}

#[test]
fn isotopes_are_hydrogen_of_their_mass_unless_a_column_says_otherwise() {
    let text = water("").replace('H', "D");
    let found = read("d.xyz", text);
    assert_eq!(
        (symbols(&found).as_str(), found.masses),
        ("O H H", vec![15.999, 2.014101778, 2.014101778])
    );
    let own = read(
        "d.xyz",
        "1\nProperties=species:S:1:pos:R:3:mass:R:1\nT 0 0 0 3.5\n",
    );
    assert_eq!(own.masses, [3.5]);
}

/// Velocities of an earlier run stand beside the momenta that another program drew anew.
#[test]
fn velocities_and_momenta_that_disagree_are_refused() {
    let with = |velocity: &str, momentum: &str| {
        format!(
            "1\nProperties=species:S:1:pos:R:3:velo:R:3:momenta:R:3:masses:R:1\nO 0 0 0 {velocity} {momentum} 16\n"
        )
    };
    // 0.01 A/fs times 16 u, in ASE's unit of momentum, sqrt(u eV).
    let momentum = 16.0 * 0.01 * ANGSTROM_PER_FS;
    let agreed = read("v.xyz", with("0.01 0 0", &format!("{momentum:.8} 0 0")));
    let velocity = Vec3::new(0.01, 0.0, 0.0) * ANGSTROM_PER_FS;
    assert_eq!(agreed.velocities.unwrap()[0], velocity);
    // Masses of another year's table.
    assert!(
        frame(
            "v.xyz",
            with("0.01 0 0", &format!("{:.8} 0 0", momentum * 1.0005)),
            0
        )
        .is_ok()
    );
    for other in [
        format!("{:.8} 0 0", -momentum),
        format!("{momentum:.8} 0 0.01"),
        "0 0 0".to_owned(),
    ] {
        refused(
            "v.xyz",
            with("0.01 0 0", &other),
            &["line 3: ", "velo and momenta", "atom 0", "out of date"],
        );
    }
    refused(
        "v.xyz",
        "1\nProperties=species:S:1:pos:R:3:velo:R:3:vel:R:3\nO 0 0 0 1 0 0 2 0 0\n",
        &["velo and vel"],
    );
}

#[test]
fn columns_of_all_kinds_are_passed_over_and_names_are_kept() {
    let text = "2\nProperties=species:S:1:fixed:L:1:pos:R:3:tags:I:2:label:S:1 energy=1\n\
        O T 0 0 0 1 2 \"two words\"\nH F 0.96 0 0 3 4 one\n";
    let found = read("c.xyz", text);
    assert_eq!((symbols(&found).as_str(), found.names), ("O H", None));
    let text = "1\nProperties=species:S:1:pos:R:3:residuenumbers:I:1:residuenames:S:1:atomtypes:S:1\nC 0 0 0 12 ALA CA\n";
    let name = &read("c.xyz", text).names.unwrap()[0];
    assert_eq!(
        (name.atom.as_str(), name.residue.as_str(), name.number),
        ("CA", "ALA", 12)
    );
    refused(
        "c.xyz",
        "1\nProperties=species:S:1:pos:R:3:tags:I:2\nO 0 0 0 1\n",
        &["line 3: ", "5 columns, 6 are wanted"],
    );
}

#[test]
fn numbers_are_numbers_in_every_form() {
    let of = |number: &str| {
        frame("n.xyz", format!("1\n\nO {number} 0 0\n"), 0).map(|s| s.positions[0].x)
    };
    for (text, x) in [
        ("1.0d0", 1.0),
        ("1.5D-1", 0.15),
        ("1e3", 1000.0),
        ("+.5", 0.5),
        ("-5.", -5.0),
        ("1E+2", 100.0),
    ] {
        assert_eq!(of(text), Ok(x), "{text}");
    }
    for text in [
        "*****", "1.0.0", "0x10", "1,5", "nan", "inf", "1e400", "d", "--1",
    ] {
        assert!(
            of(text).is_err_and(|e| e.contains("line 3: atom 0")),
            "{text}"
        );
    }
}

#[test]
fn blank_lines_may_stand_between_frames() {
    let text = format!("\n{}\n\n{}\n\n", water("one"), water("two"));
    assert_eq!(frame("b.xyz", text, -1).unwrap().frames, 2);
    refused("b.xyz", "3\n\nO 0 0 0\n\nH 1 0 0\n", &["line 4: atom 1"]);
}
