//! Space groups by name, Hall symbol and number, against a table made independently of this project.

use std::f64::consts::TAU;
use std::fs;

use mdrun::core::Vec3;
use mdrun::formats::Structure;

use super::{atoms, cell, frame, operations, read, refused};
use crate::support::root;

/// A point on no symmetry element of any group, and printed exactly.
const GENERAL: &str = "C1 0.1234 0.2345 0.3456";

/// Sums of f over up to 192 points, printed with six decimals.
const PRINTED: f64 = 2e-6;
/// Five decimals of a coordinate, times the steepest slope of f, 2 pi e^2.1.
const FIVE_DECIMALS: f64 = 1e-5 * TAU * 8.2;

/// One setting of `spacegroups.txt`, which says what the parts are.
struct Setting {
    number: String,
    name: String,
    hall: String,
    cell: [f64; 6],
    order: usize,
    sum: f64,
    special: Option<(String, usize, f64)>,
}

fn settings() -> Vec<Setting> {
    let text = fs::read_to_string(root().join("tests/all/cif/spacegroups.txt")).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    let settings: Vec<Setting> = rows
        .map(|line| {
            let parts: Vec<&str> = line.split('|').collect();
            let cell: Vec<f64> = parts[3].split(' ').map(|x| x.parse().unwrap()).collect();
            let special = (!parts[6].is_empty()).then(|| {
                let [place, count, sum] = [parts[6], parts[7], parts[8]];
                (
                    format!("C1 {place}"),
                    count.parse().unwrap(),
                    sum.parse().unwrap(),
                )
            });
            Setting {
                number: parts[0].to_owned(),
                name: parts[1].to_owned(),
                hall: parts[2].to_owned(),
                cell: cell.try_into().unwrap(),
                order: parts[4].parse().unwrap(),
                sum: parts[5].parse().unwrap(),
                special,
            }
        })
        .collect();
    assert_eq!(settings.len(), 557);
    settings
}

/// The sum over atoms of a function that the lattice's translations leave as it is.
fn sum(structure: &Structure) -> f64 {
    let cell = structure.cell().unwrap();
    let f = |p: &Vec3| {
        let p = cell.fractional(p) * TAU;
        ((p.x + 0.3).sin() + 0.7 * (p.y + 0.9).sin() + 0.4 * (p.z + 1.7).sin()).exp()
    };
    structure.positions.iter().map(f).sum()
}

/// Fails unless a file with these symmetry tags has the atoms of the setting.
#[track_caller]
fn check(setting: &Setting, symmetry: &str) {
    let text = |row: &str| cell(setting.cell) + symmetry + &atoms(row);
    let general = read(&text(GENERAL));
    assert_eq!(general.species.len(), setting.order, "{symmetry}");
    assert!((sum(&general) - setting.sum).abs() < PRINTED, "{symmetry}");
    if let Some((row, count, wanted)) = &setting.special {
        let special = read(&text(row));
        assert_eq!(special.species.len(), *count, "{symmetry} {row}");
        let tolerance = FIVE_DECIMALS * *count as f64;
        assert!(
            (sum(&special) - wanted).abs() < tolerance,
            "{symmetry} {row}"
        );
    }
}

fn named(name: &str) -> String {
    format!("_space_group_name_H-M_alt \"{name}\"\n")
}

#[test]
fn all_settings_are_known_by_their_names() {
    for setting in settings() {
        check(&setting, &named(&setting.name));
    }
}

#[test]
fn all_settings_are_known_by_their_hall_symbols() {
    for setting in settings() {
        // Quotes of both kinds are in them.
        let tag = format!("_space_group_name_Hall\n;{}\n;\n", setting.hall);
        check(&setting, &tag);
    }
}

/// Blanks, underscores, parentheses, capitals and other tags change nothing.
#[test]
fn all_settings_are_known_in_every_spelling() {
    for setting in settings() {
        let (name, code) = match setting.name.split_once(':') {
            Some((name, code)) => (name, format!(":{code}")),
            None => (setting.name.as_str(), String::new()),
        };
        // Screw axes: an order and a smaller number.
        let screws = |between: [&str; 2]| {
            let parts: Vec<String> = (name.split(' '))
                .map(|part| match part.as_bytes() {
                    [n @ b'2'..=b'6', k @ b'1'..=b'5', ..] => {
                        let [n, k] = [n, k].map(|b| char::from(*b));
                        format!("{n}{}{k}{}{}", between[0], between[1], &part[2..])
                    }
                    _ => part.to_owned(),
                })
                .collect();
            parts
        };
        for name in [
            name.replace(' ', ""),
            name.replace(' ', "_"),
            name.to_uppercase(),
            screws(["(", ")"]).join(" "),
            screws(["(", ")"]).concat(),
            screws(["_", ""]).join(" "),
            screws(["~", "~"]).concat(),
        ] {
            let tag = "_symmetry_space_group_name_H-M";
            let text = cell(setting.cell) + &format!("{tag} '{name}{code}'\n") + &atoms(GENERAL);
            let found = read(&text);
            assert_eq!(found.species.len(), setting.order, "{name}");
            assert!((sum(&found) - setting.sum).abs() < PRINTED, "{name}");
        }
    }
}

/// Every number of International Tables is known, in its standard setting.
#[test]
fn all_groups_are_known_by_their_numbers() {
    let settings = settings();
    for number in 1..=230 {
        let standard = (settings.iter())
            .find(|s| s.number == number.to_string())
            .unwrap();
        let tag = format!("_space_group_IT_number {number}\n");
        let code = standard.name.split_once(':').map(|(_, code)| code);
        if let Some(code @ ("1" | "2")) = code {
            let text = cell(standard.cell) + &tag + &atoms(GENERAL);
            refused(&text, &["two origins", "\":1\" or \":2\""]);
            let tag = tag + &format!("_space_group_IT_coordinate_system_code {code}\n");
            check(standard, &tag);
        } else {
            check(standard, &tag);
        }
    }
}

/// Names in use beside those of the tables, and what they mean.
#[test]
fn names_in_use_are_understood() {
    const RIGHT: [f64; 6] = [51.0, 51.0, 51.0, 90.0, 90.0, 90.0];
    const HEXAGONAL: [f64; 6] = [51.0, 51.0, 73.0, 90.0, 90.0, 120.0];
    const RHOMBOHEDRAL: [f64; 6] = [51.0, 51.0, 51.0, 75.0, 75.0, 75.0];
    let unique = |axis: usize| {
        let mut six = [51.0, 62.0, 73.0, 90.0, 90.0, 90.0];
        six[3 + axis] = 100.0;
        six
    };
    let settings = settings();
    for (name, six, means) in [
        ("Fm3m", RIGHT, "F m -3 m"),
        ("F m 3 m", RIGHT, "F m -3 m"),
        ("F 4/m -3 2/m", RIGHT, "F m -3 m"),
        ("Fm-3m", RIGHT, "F m -3 m"),
        ("P a 3", RIGHT, "P a -3"),
        ("I a 3 d", RIGHT, "I a -3 d"),
        ("F d 3 m :2", RIGHT, "F d -3 m:2"),
        ("F d -3 m Z", RIGHT, "F d -3 m:2"),
        ("F d -3 m S", RIGHT, "F d -3 m:1"),
        ("Fd-3m (origin choice 2)", RIGHT, "F d -3 m:2"),
        ("F d -3 m, origin 1", RIGHT, "F d -3 m:1"),
        ("F 41/d -3 2/m O2", RIGHT, "F d -3 m:2"),
        ("R -3 m", HEXAGONAL, "R -3 m:H"),
        ("R-3m", RHOMBOHEDRAL, "R -3 m:R"),
        ("R -3 m H", HEXAGONAL, "R -3 m:H"),
        ("R -3 m HR", HEXAGONAL, "R -3 m:H"),
        ("R -3 m :h", HEXAGONAL, "R -3 m:H"),
        ("H -3 m", HEXAGONAL, "R -3 m:H"),
        ("H3", HEXAGONAL, "R 3:H"),
        ("R 3 R", RHOMBOHEDRAL, "R 3:R"),
        ("P 21/c", unique(1), "P 1 21/c 1"),
        ("P21/c", unique(1), "P 1 21/c 1"),
        ("P2(1)/c", unique(1), "P 1 21/c 1"),
        ("P 1 21/c 1", unique(1), "P 1 21/c 1"),
        ("P 21/n", unique(1), "P 1 21/n 1"),
        ("P 21/n", unique(2), "P 1 1 21/n"),
        ("P 21/a", unique(1), "P 1 21/a 1"),
        ("P 21/b", unique(2), "P 1 1 21/b"),
        ("P 21/c", unique(0), "P 21/c 1 1"),
        ("P 21", unique(1), "P 1 21 1"),
        ("P 21", unique(2), "P 1 1 21"),
        ("I 2/a", unique(1), "I 1 2/a 1"),
        ("A 2/n", unique(1), "A 1 2/n 1"),
        ("B 2/b", unique(2), "B 1 1 2/b"),
        ("C2/c", unique(1), "C 1 2/c 1"),
        ("c 2/C", unique(1), "C 1 2/c 1"),
        ("P n m a", RIGHT, "P n m a"),
        ("Pbnm", RIGHT, "P b n m"),
        ("P 21/n 21/m 21/a", RIGHT, "P n m a"),
        ("P212121", RIGHT, "P 21 21 21"),
        ("P2(1)2(1)2(1)", RIGHT, "P 21 21 21"),
        ("C m c a", RIGHT, "C m c a"),
        ("C m c e", RIGHT, "C m c a"),
        ("C m c b", RIGHT, "C m c a"),
        ("A e a 2", RIGHT, "A b a 2"),
        ("C m m b", RIGHT, "C m m b"),
        ("C m m e", RIGHT, "C m m a"),
        ("P63/mmc", HEXAGONAL, "P 63/m m c"),
        ("P 6_3/m 2/m 2/c", HEXAGONAL, "P 63/m m c"),
        ("P 3 2 1", HEXAGONAL, "P 3 2 1"),
        ("P 31 2 1", HEXAGONAL, "P 31 2 1"),
        ("P3(1)12", HEXAGONAL, "P 31 1 2"),
        ("I4(1)/amd:2", RIGHT, "I 41/a m d:2"),
        ("P \u{2212}1", RIGHT, "P -1"),
        ("P 1\u{304}", RIGHT, "P -1"),
        ("P \\=1", RIGHT, "P -1"),
    ] {
        let setting = settings.iter().find(|s| s.name == means).unwrap();
        let found = read(&(cell(six) + &named(name) + &atoms(GENERAL)));
        assert_eq!(found.species.len(), setting.order, "{name}");
        assert!((sum(&found) - setting.sum).abs() < PRINTED, "{name}");
    }
}

#[test]
fn names_that_are_not_understood_are_refused() {
    const CUBE: [f64; 6] = [51.0, 51.0, 51.0, 90.0, 90.0, 90.0];
    const TRICLINIC: [f64; 6] = [51.0, 62.0, 73.0, 80.0, 95.0, 103.0];
    let ask = "give its operations (_space_group_symop_operation_xyz)";
    for (six, tags, parts) in [
        (CUBE, named("P 21/q"), ["\"P 21/q\" is not understood", ask]),
        (
            CUBE,
            named("Monoclinic"),
            ["\"Monoclinic\" is not understood", ask],
        ),
        (
            CUBE,
            named("F d -3 m"),
            ["\"F d -3 m\" has two origins", "\":1\" or \":2\""],
        ),
        (CUBE, named("F m -3 m:R"), ["has no setting \"r\"", ask]),
        (
            CUBE,
            named("P 1") + "_space_group_IT_number 2\n",
            ["does not have the number 2", ask],
        ),
        (
            TRICLINIC,
            named("P 21/c"),
            ["the cell does not have the symmetry", "P 21/c"],
        ),
        (
            TRICLINIC,
            named("R -3 m"),
            ["the cell does not have the symmetry", "R -3 m"],
        ),
        (
            CUBE,
            "_space_group_IT_number 231\n".into(),
            ["line 8: \"231\"", "1 to 230"],
        ),
        (
            CUBE,
            "_space_group_IT_number x\n".into(),
            ["line 8: \"x\"", "1 to 230"],
        ),
        (
            CUBE,
            "_space_group_name_Hall 'P 7x'\n".into(),
            ["\"P 7x\" is not understood", ask],
        ),
        (
            CUBE,
            "_space_group_name_Hall 'P 6 4x'\n".into(),
            ["\"P 6 4x\" is not understood", ask],
        ),
        (
            CUBE,
            "_space_group_name_Hall 'P (1 2'\n".into(),
            ["\"P (1 2\" is not understood", ask],
        ),
    ] {
        refused(&(cell(six) + &tags + &atoms(GENERAL)), &parts);
    }
    // A Hall symbol that is not understood beside a name that is.
    let tags = named("P -1") + "_space_group_name_Hall 'P 1 (x-y,x+y,z)'\n";
    assert_eq!(
        read(&(cell(CUBE) + &tags + &atoms(GENERAL))).species.len(),
        2
    );
}

/// The operations decide, and a name that is none of theirs is told.
#[test]
fn operations_prevail_over_the_name() {
    const CUBE: [f64; 6] = [51.0, 51.0, 51.0, 90.0, 90.0, 90.0];
    let text =
        |list: &[&str], name: &str| cell(CUBE) + &named(name) + &operations(list) + &atoms(GENERAL);
    let stale = read(&text(&["x,y,z"], "P 21/c"));
    assert_eq!(stale.species.len(), 1);
    assert!(stale.notes[0].contains("\"P 21/c\""), "{:?}", stale.notes);
    for name in ["P -1", "gibberish", "?"] {
        let right = read(&text(&["x,y,z", "-x,-y,-z"], name));
        assert_eq!((right.species.len(), right.notes.len()), (2, 0), "{name}");
    }
    // Nothing is said: the atoms are all there are.
    let nothing = read(&(cell(CUBE) + &atoms(GENERAL)));
    assert_eq!(nothing.species.len(), 1);
    assert!(nothing.notes[0].contains("P 1"), "{:?}", nothing.notes);
    let unknown = named("?") + "_symmetry_Int_Tables_number ?\n";
    assert_eq!(
        read(&(cell(CUBE) + &unknown + &atoms(GENERAL))).notes,
        nothing.notes
    );
    // The number alone: the setting is told.
    let number = read(&(cell(CUBE) + "_symmetry_Int_Tables_number 14\n" + &atoms(GENERAL)));
    assert!(number.notes[0].contains("P 1 21/c 1"), "{:?}", number.notes);
    assert!(frame("a.cif", &text(&["x,y,z"], "P 1"), 1).is_err());
}
