//! All frames of a file at once: each is what it is when it is asked for by its number, and a fault names its frame.

use std::fs;
use std::path::Path;

use mdrun::formats::{self, Structure};

use crate::support::root;

/// Frames of a file.
const FRAMES: usize = 20;
/// The frame that is damaged.
const DAMAGED: usize = 17;

/// Writes frame `k`, whose atoms are at these places along x.
type Write = fn(k: usize, x: &[f64]) -> String;

/// Every format that has frames, with what stands before and behind them.
const FORMATS: [(&str, &str, Write, &str); 9] = [
    ("a.xyz", "", xyz, ""),
    (
        "a.pdb",
        "CRYST1   10.000   11.000   12.000  90.00  90.00 100.00 P 1           1\n",
        pdb,
        "END\n",
    ),
    ("a.ent", "", ended, ""),
    ("a.gro", "", gro, ""),
    ("a.mmcif", MMCIF, mmcif, "#\n"),
    ("a.cif", "", cif, ""),
    ("a.mol2", "", mol2, ""),
    ("a.sdf", "", sdf, ""),
    ("a.cml", "<?xml version=\"1.0\"?>\n<cml>\n", cml, "</cml>\n"),
];

/// Plain frames, and those with cells, velocities and other atoms.
fn xyz(k: usize, x: &[f64]) -> String {
    match k % 3 {
        0 => format!("2\nframe {k}\nO {} 0 0\nH {} 1 0\n", x[0], x[1]),
        1 => format!(
            "3\nLattice=\"9 0 0 0 9 0 0 0 9\" Properties=species:S:1:pos:R:3:velo:R:3\n\
             O {} 0 0 1 2 3\nH {} 1 0 0 0 1\nH 0 0 1 0 0 0\n",
            x[0], x[1]
        ),
        _ => format!("\n2\npbc=F\n8 {} 0 0\n6 {} 1 0\n", x[0], x[1]),
    }
}

fn atom_of_pdb(k: usize, name: &str, x: f64, symbol: &str) -> String {
    format!(
        "HETATM{k:5} {name:4} HOH A   1    {x:8.3}   2.000   3.000  1.00  0.00          {symbol:>2}\n"
    )
}

fn pdb(k: usize, x: &[f64]) -> String {
    let atoms = atom_of_pdb(1, " OW", x[0], "O") + &atom_of_pdb(2, " HW1", x[1], "H");
    // From frame 9 on there is another cell.
    let cell = "CRYST1   20.000   20.000   20.000  90.00  90.00  90.00 P 1           1\n";
    let cell = if k == 9 { cell } else { "" };
    format!("MODEL     {k:4}\n{cell}{atoms}ENDMDL\n")
}

/// Frames that END ends, the last ones of which have a cell.
fn ended(k: usize, x: &[f64]) -> String {
    let cell = "CRYST1   20.000   20.000   20.000  90.00  90.00  90.00 P 1           1\n";
    let cell = if k == 12 { cell } else { "" };
    let atoms = atom_of_pdb(1, " C1", x[0], "C") + &atom_of_pdb(2, " O1", x[1], "O");
    format!("{cell}{atoms}END\n")
}

fn gro(k: usize, x: &[f64]) -> String {
    format!(
        "t= {k}\n2\n    1SOL     OW    1{:8.3}   0.200   0.300  0.1000  0.2000  0.3000\n    1SOL    HW1    2{:8.3}   \
         0.200   0.300  0.0000  0.0000  0.{k:02}00\n   1.00000   1.10000   1.20000\n",
        0.1 * x[0],
        0.1 * x[1]
    )
}

const MMCIF: &str = "data_W\n_cell.length_a 10\n_cell.length_b 11\n_cell.length_c 12\n_cell.angle_alpha 90\n\
    _cell.angle_beta 90\n_cell.angle_gamma 90\nloop_\n_atom_site.id\n_atom_site.type_symbol\n_atom_site.label_atom_id\n\
    _atom_site.label_comp_id\n_atom_site.Cartn_x\n_atom_site.Cartn_y\n_atom_site.Cartn_z\n_atom_site.pdbx_PDB_model_num\n";

fn mmcif(k: usize, x: &[f64]) -> String {
    format!(
        "1 O OW HOH {} 2 3 {k}\n2 H HW1 HOH {} 2 3 {k}\n",
        x[0], x[1]
    )
}

fn cif(k: usize, x: &[f64]) -> String {
    format!(
        "data_b{k}\n_cell_length_a 10\n_cell_length_b 10\n_cell_length_c 10\n_cell_angle_alpha 90\n_cell_angle_beta 90\n\
         _cell_angle_gamma 90\nloop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\nloop_\n_atom_site_label\n_atom_site_type_symbol\n\
         _atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nO1 O {} 0.2 0.3\nH1 H {} 0.2 0.4\n",
        0.1 * x[0],
        0.1 * x[1]
    )
}

fn mol2(k: usize, x: &[f64]) -> String {
    format!(
        "# molecule {k}\n@<TRIPOS>MOLECULE\nm{k}\n2 1\nSMALL\nNO_CHARGES\n\n@<TRIPOS>ATOM\n1 O1 {} 2.0 3.0 O.3 1 HOH\n\
         2 H1 {} 2.0 3.0 H 1 HOH\n@<TRIPOS>BOND\n1 1 2 1\n",
        x[0], x[1]
    )
}

/// Both versions, with charges and isotopes.
fn sdf(k: usize, x: &[f64]) -> String {
    match k % 2 {
        1 => format!(
            "m{k}\n  program 010120003D\n\n  2  1  0  0  0  0  0  0  0  0999 V2000\n{:10.4}    2.0000    3.0000 O   0  5\n\
             {:10.4}    2.0000    3.0000 H   1  0\n  1  2  1  0\nM  END\n> <n>\n{k}\n\n$$$$\n",
            x[0], x[1]
        ),
        _ => format!(
            "m{k}\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS 2 1 0 0 0\nM  V30 BEGIN ATOM\n\
             M  V30 1 O {} 2.0 3.0 0 CHG=-1\nM  V30 2 H {} 2.0 3.0 0\nM  V30 END ATOM\nM  V30 END CTAB\nM  END\n$$$$\n",
            x[0], x[1]
        ),
    }
}

fn cml(k: usize, x: &[f64]) -> String {
    format!(
        "<molecule id=\"m{k}\"><atomArray>\n<atom elementType=\"O\" x3=\"{}\" y3=\"2\" z3=\"3\"/>\n\
         <atom elementType=\"H\" x3=\"{}\" y3=\"2\" z3=\"3\"/>\n</atomArray></molecule>\n",
        x[0], x[1]
    )
}

/// A file of frames; `odd` has the place of the first atom of one of them.
fn file(format: &(&str, &str, Write, &str), odd: Option<f64>) -> String {
    let frames = (0..FRAMES).map(|k| {
        let x = 1.0 + 0.01 * k as f64;
        let first = odd.filter(|_| k == DAMAGED).unwrap_or(x);
        (format.2)(k, &[first, x + 0.95])
    });
    format!("{}{}{}", format.1, frames.collect::<String>(), format.3)
}

/// All frames are those that are read one by one, from the front and from the back.
#[track_caller]
fn same(path: &Path) -> Vec<Structure> {
    let all = formats::read_all(path).unwrap();
    for (k, structure) in all.iter().enumerate() {
        let frame = k as i64;
        assert_eq!(structure.frames, all.len(), "{}", path.display());
        for number in [frame, frame - all.len() as i64] {
            let one = formats::read_frame(path, number).unwrap();
            assert_eq!(*structure, one, "{}: frame {number}", path.display());
        }
    }
    assert!(formats::read_frame(path, all.len() as i64).is_err());
    all
}

#[test]
fn all_frames_are_those_that_are_read_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    for format in &FORMATS {
        let path = folder.path().join(format.0);
        fs::write(&path, file(format, None)).unwrap();
        let all = same(&path);
        assert_eq!(all.len(), FRAMES, "{}", format.0);
        // They differ, and stand in their order.
        for (k, structure) in all.iter().enumerate() {
            let x = 1.0 + 0.01 * k as f64;
            assert!((structure.positions[0].x - x).abs() < 1e-9, "{}", format.0);
        }
    }
}

/// Files of one frame too, and what programs write.
#[test]
fn files_at_hand_are_read_the_same() {
    let mut seen = 0;
    for folder in [
        "tests/all/config/good/files",
        "tests/all/fuzz/seeds",
        "configs/structures",
    ] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            same(&entry.unwrap().path());
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen}");
}

/// What is wrong with one frame is what is said of it when it is asked for alone, with its number; the others can be read.
#[test]
fn a_fault_names_its_frame() {
    let folder = tempfile::tempdir().unwrap();
    for format in &FORMATS {
        let path = folder.path().join(format.0);
        let text = file(format, Some(2.5));
        let sound = text.clone();
        fs::write(&path, &sound).unwrap();
        assert_eq!(
            formats::read_all(&path).unwrap()[DAMAGED].positions[0].x,
            2.5
        );
        // The first number of the frame, in as many columns.
        let damaged = match format.0 {
            "a.gro" | "a.cif" => text.replacen("0.25", "0.x5", 1),
            _ => text.replacen("2.5", "2.x", 1),
        };
        assert_ne!(damaged, sound);
        fs::write(&path, damaged).unwrap();
        let said = |e: mdrun::Error| {
            assert_eq!(e.exit_code(), 2);
            e.to_string()
        };
        let all = said(formats::read_all(&path).unwrap_err());
        let one = said(formats::read_frame(&path, DAMAGED as i64).unwrap_err());
        let place = format!("{}: ", path.display());
        let expected = one.replacen(&place, &format!("{place}frame {DAMAGED}: "), 1);
        assert_eq!(all, expected);
        assert!(formats::read_frame(&path, DAMAGED as i64 + 1).is_ok());
    }
}

/// What holds of any structure is looked at in every frame.
#[test]
fn a_frame_that_is_no_structure_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xyz");
    fs::write(&path, file(&FORMATS[0], Some(2e8))).unwrap();
    let said = formats::read_all(&path).unwrap_err().to_string();
    assert!(
        said.contains("a.xyz: frame 17: atom 0 (O) is at 2e8 A"),
        "{said}"
    );
}

/// A text of no frames is refused, as where one is asked for.
#[test]
fn a_file_of_no_structure_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.xyz", " \n"),
        ("a.pdb", "END\n"),
        ("a.mol2", "x\n"),
        ("a.cml", "<cml/>"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let [all, one] = [
            formats::read_all(&path).map(|_| ()),
            formats::read_frame(&path, 0).map(|_| ()),
        ];
        assert_eq!(all.unwrap_err().to_string(), one.unwrap_err().to_string());
    }
}
