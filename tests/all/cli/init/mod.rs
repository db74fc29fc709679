//! `mdrun init`: run files for structures of one's own, as they are written, checked and run.
//!
//! `structures/` was made by RDKit: in space by ETKDG and MMFF94, drawn by Compute2DCoords.

mod water;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::{json, mdrun, stderr, stdout, text};
use crate::support::root;

const WRONG_INPUT: Option<i32> = Some(2);

/// A run file's stages by protocol.
const STAGES: [(&str, [&str; 4]); 3] = [
    ("nve", ["relax", "heat", "equilibrate", "produce"]),
    ("nvt", ["relax", "heat", "equilibrate", "produce"]),
    ("npt", ["relax", "heat", "press", "produce"]),
];

fn made(name: &str) -> PathBuf {
    root().join("tests/all/cli/init/structures").join(name)
}

/// Runs the binary in a folder.
fn mdrun_in(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mdrun"))
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// The error of a command that is refused, which leaves nothing new in the folder.
fn refused(folder: &Path, args: &[&str]) -> String {
    let count = || fs::read_dir(folder).unwrap().count();
    let before = count();
    let output = mdrun_in(folder, args);
    let message = stderr(&output).to_owned();
    assert_eq!(output.status.code(), WRONG_INPUT, "{args:?}: {message}");
    assert!(message.contains("error: "), "{args:?}: {message}");
    assert_eq!(count(), before, "{args:?}");
    message
}

/// A run of a file that is cut to a few steps a stage: it has to pass.
fn run_shortly(folder: &Path, file: &str, protocol: &str) {
    let (_, stages) = STAGES.iter().find(|s| s.0 == protocol).unwrap();
    let mut args = vec![file.to_owned(), "-q".to_owned()];
    let mut set = |text: String| args.extend(["--set".to_owned(), text]);
    set("device.kind=\"cpu\"".to_owned());
    set("stage.relax.dynamics.most_steps=3".to_owned());
    for stage in &stages[1..] {
        set(format!("stage.{stage}.dynamics.duration=\"5 fs\""));
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = mdrun_in(folder, &args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
}

/// Checks a run file that was written: it has the stages of its protocol, `mdrun check` finds nothing wrong, and it runs.
fn is_sound(folder: &Path, file: &str, protocol: &str) {
    let written = fs::read_to_string(folder.join(file)).unwrap();
    let document: toml::Table = written.parse().unwrap();
    let names = document["stage"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|stage| stage["name"].as_str().unwrap()).collect();
    let (_, stages) = STAGES.iter().find(|s| s.0 == protocol).unwrap();
    assert_eq!(names, stages, "{written}");
    assert!(
        written.lines().all(|line| line.chars().count() <= 130),
        "{written}"
    );
    let checked = mdrun_in(
        folder,
        &["check", file, "--json", "--set", "device.kind=\"cpu\""],
    );
    let found = json(&checked);
    assert_eq!(found["good"], true, "{protocol}: {found}");
    run_shortly(folder, file, protocol);
}

#[test]
fn a_molecule_runs_by_every_protocol() {
    for (protocol, option) in [("nvt", &[][..]), ("nve", &["--protocol", "nve"])] {
        let folder = TempDir::new().unwrap();
        fs::copy(made("ethanol.sdf"), folder.path().join("my.sdf")).unwrap();
        let output = mdrun_in(folder.path(), &[&["init", "my.sdf"], option].concat());
        let said = stdout(&output);
        assert!(output.status.success(), "{}", stderr(&output));
        for line in [
            "C2H6O (9 atoms)",
            "painn_hcno_gfn2",
            "`mdrun check my.toml`, then `mdrun my.toml`",
        ] {
            assert!(said.contains(line), "no {line:?} in {said}");
        }
        is_sound(folder.path(), "my.toml", protocol);
    }
}

#[test]
fn a_box_runs_by_every_protocol() {
    for (protocol, option) in [
        ("npt", &[][..]),
        ("nvt", &["--protocol", "nvt"]),
        ("nve", &["--protocol", "nve"]),
    ] {
        let folder = TempDir::new().unwrap();
        let water = root().join("configs/structures/water64.xyz");
        let output = mdrun_in(
            folder.path(),
            &[&["init", text(&water), "--out", "box.toml"], option].concat(),
        );
        assert!(output.status.success(), "{}", stderr(&output));
        // What `mdrun check` measures of a box takes its time, and is of the box, whatever is held constant.
        match protocol {
            "npt" => is_sound(folder.path(), "box.toml", protocol),
            _ => run_shortly(folder.path(), "box.toml", protocol),
        }
    }
}

/// The second shipped potential is taken where the first lacks an element, and the structure is found from another folder.
#[test]
fn the_potential_is_the_first_that_knows_the_elements() {
    let folder = TempDir::new().unwrap();
    for name in ["data", "my runs"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let structure = folder.path().join("data/it's.sdf");
    fs::copy(made("chloromethylthiophene.sdf"), &structure).unwrap();
    let file = "my runs/thiophene.toml";
    let output = mdrun_in(folder.path(), &["init", "data/it's.sdf", "--out", file]);
    assert!(output.status.success(), "{}", stderr(&output));
    let written = fs::read_to_string(folder.path().join(file)).unwrap();
    let document: toml::Table = written.parse().unwrap();
    let of = |table: &str, key: &str| document[table][key].as_str().unwrap().to_owned();
    assert_eq!(of("system", "structure"), "../data/it's.sdf");
    assert_eq!(of("potential", "model"), "painn_organic_gfn2");
    run_shortly(folder.path(), file, "nvt");
    assert!(
        folder
            .path()
            .join("my runs/trajectories/thiophene")
            .is_dir()
    );
}

/// A model of one's own is named as the run file finds it; what it does not know is told.
#[test]
fn a_model_of_one_s_own_is_named_from_the_run_file() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("runs")).unwrap();
    fs::copy(
        root().join("models/painn_hcno_gfn2.safetensors"),
        folder.path().join("net.safetensors"),
    )
    .unwrap();
    let ethanol = made("ethanol.sdf");
    let args = [
        "init",
        text(&ethanol),
        "--model",
        "net.safetensors",
        "--out",
        "runs/a.toml",
    ];
    let output = mdrun_in(folder.path(), &args);
    assert!(output.status.success(), "{}", stderr(&output));
    let written = fs::read_to_string(folder.path().join("runs/a.toml")).unwrap();
    assert!(
        written.contains("model = \"../net.safetensors\""),
        "{written}"
    );
    run_shortly(folder.path(), "runs/a.toml", "nvt");
    let chlorine = made("chloromethylthiophene.sdf");
    let says = refused(
        folder.path(),
        &["init", text(&chlorine), "--model", "net.safetensors"],
    );
    assert!(
        says.contains("net.safetensors does not know S, Cl: it knows H, C, N, O"),
        "{says}"
    );
}

#[test]
fn what_cannot_be_run_is_refused() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    let of = |name: &str| text(&made(name)).to_owned();
    let cases: [(&[&str], &[&str]); 6] = [
        (
            &["init", &of("tetramethylsilane.sdf")],
            &[
                "knows Si (",
                "painn_hcno_gfn2 knows H, C, N, O;",
                "painn_organic_gfn2 knows H, C, N, O, F, P, S, Cl, Br)",
                "--model FILE",
            ],
        ),
        (
            &["init", &of("without_hydrogens.sdf")],
            &[
                "hydrogens seem to be missing: 3 atoms have",
                "obabel",
                "Chem.AddHs",
            ],
        ),
        (
            &["init", &of("paracetamol_drawn.sdf")],
            &["a flat drawing", "--gen3d"],
        ),
        (
            &["init", &of("ethanol_drawn.sdf")],
            &["a flat drawing", "--gen3d"],
        ),
        (
            &["init", &of("ethanol.sdf"), "--protocol", "npt"],
            &["in the open", "--protocol nvt`"],
        ),
        (
            &["init", &of("ethanol.sdf"), "--out", "my.yaml"],
            &["ends with .toml: --out my.yaml.toml"],
        ),
    ];
    for (args, says) in cases {
        let message = refused(place, args);
        for part in says {
            assert!(message.contains(part), "no {part:?} in {message}");
        }
    }
    let asked = ["init", &of("without_hydrogens.sdf"), "--as-is"];
    assert!(mdrun_in(place, &asked).status.success());
}

/// A file that is there stays, to the byte, without `--force`.
#[test]
fn no_file_is_replaced_without_force() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ethanol.toml");
    fs::write(&file, "mine").unwrap();
    let ethanol = made("ethanol.sdf");
    let says = refused(folder.path(), &["init", text(&ethanol)]);
    assert!(
        says.contains("is there already; --force replaces it"),
        "{says}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let output = mdrun_in(folder.path(), &["init", text(&ethanol), "--force"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read_to_string(&file).unwrap().contains("[[stage]]"));
}

/// A charge that the file states is told where it is read first, and in the run file.
#[test]
fn a_charge_is_told() {
    let folder = TempDir::new().unwrap();
    let ion = made("methylammonium.sdf");
    let output = mdrun_in(folder.path(), &["init", text(&ion)]);
    assert!(output.status.success(), "{}", stderr(&output));
    let says = "a charge of +1, and the potential has no charges";
    assert!(stderr(&output).contains(says), "{}", stderr(&output));
    let written = fs::read_to_string(folder.path().join("methylammonium.toml")).unwrap();
    assert!(written.contains("# warning: the file gives"), "{written}");
}

/// Whole molecules of every hybridisation, without hydrogens or with few, are not taken for lacking ones.
#[test]
fn shipped_structures_are_whole() {
    let folder = TempDir::new().unwrap();
    for name in [
        "alanine_dipeptide.xyz",
        "aspirin.xyz",
        "benzene.xyz",
        "caffeine.xyz",
        "ethanol.xyz",
        "paracetamol.sdf",
        "ropivacaine.xyz",
        "water216.xyz",
    ] {
        let structure = root().join("configs/structures").join(name);
        let out = format!("{name}.toml");
        let output = mdrun_in(folder.path(), &["init", text(&structure), "--out", &out]);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
    }
}

#[test]
fn help_has_the_options() {
    let help = mdrun(&["init", "--help"]);
    let help = stdout(&help);
    for option in [
        "--protocol",
        "--solvate",
        "--model",
        "--out",
        "--force",
        "--as-is",
    ] {
        assert!(help.contains(option), "no {option} in {help}");
    }
}
