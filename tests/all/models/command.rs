//! `mdrun model`: from a saved file to a run in two commands, and what is said of a model.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::convert::ZIP;
use super::layouts::SchNetPack;
use super::pickled::save;
use crate::parity::model_file::small;
use crate::support::naive;
use mdrun::core::{Cell, Vec3};
use mdrun::neighbors::Pairs;
use mdrun::potential::painn::{Spec, Weights};

/// Runs the program in a folder.
fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    command.args(args).current_dir(folder).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const WATER: &str = "3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n";

/// A folder with a saved model, water, and a run file for both.
fn folder(network: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = small();
    let file = SchNetPack {
        network: network.into(),
        ..SchNetPack::of(&model)
    };
    fs::write(
        folder.path().join("best_model"),
        save(&file.module(&model), ZIP),
    )
    .unwrap();
    fs::write(folder.path().join("water.xyz"), WATER).unwrap();
    let text = "system.structure = \"water.xyz\"\nsystem.velocities = { temperature = \"10 K\", seed = 1 }\n\
                potential.model = \"best_model\"\n\
                dynamics = { ensemble = \"nve\", timestep = \"0.1 fs\", steps = 5 }\noutput.directory = \"run\"\n";
    fs::write(folder.path().join("run.toml"), text).unwrap();
    folder
}

const OWN: &str = "schnetpack.representation.painn";
const ANSWERS: [&str; 6] = [
    "--energy-unit",
    "kcal/mol",
    "--length-unit",
    "angstrom",
    "--elements",
    "H,O",
];

#[test]
fn a_run_says_the_command_and_two_commands_lead_to_a_trajectory() {
    let folder = folder(OWN);
    let refused = run(folder.path(), &["run.toml"]);
    assert_eq!(refused.status.code(), Some(2));
    let message = stderr(&refused);
    let told = message.replace('\n', " ");
    let command = "best_model.safetensors --energy-unit UNIT --length-unit UNIT --elements LIST";
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        told.contains("mdrun model convert ") && told.contains(command),
        "{message}"
    );
    assert!(!folder.path().join("run").exists());
    let convert = [
        &["model", "convert", "best_model", "best_model.safetensors"][..],
        &ANSWERS,
    ]
    .concat();
    let converted = run(folder.path(), &convert);
    assert!(converted.status.success(), "{}", stderr(&converted));
    assert!(
        stdout(&converted).contains("SHA-256"),
        "{}",
        stdout(&converted)
    );
    // The name without an ending finds the converted file first.
    let done = run(folder.path(), &["run.toml"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(folder.path().join("run/run.json").is_file());
    // What is there is not lost.
    let again = run(folder.path(), &convert);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("--force"), "{}", stderr(&again));
    let forced = run(folder.path(), &[&convert[..], &["--force"]].concat());
    assert!(forced.status.success(), "{}", stderr(&forced));
    for (to, says) in [
        ("best_model", "has to end with"),
        ("x.pt", "has to end with"),
    ] {
        let wrong = run(folder.path(), &["model", "convert", "best_model", to]);
        assert!(stderr(&wrong).contains(says), "{}", stderr(&wrong));
    }
}

#[test]
fn info_says_what_the_file_is() {
    let folder = folder(OWN);
    let convert = [
        &["model", "convert", "best_model", "mine.safetensors"][..],
        &ANSWERS,
    ]
    .concat();
    assert!(run(folder.path(), &convert).status.success());
    let info = run(folder.path(), &["model", "info", "mine", "--json"]);
    let facts: Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(facts["elements"], serde_json::json!(["H", "O"]));
    assert_eq!(facts["cutoff_angstrom"], 4.0);
    assert_eq!(facts["parameters"], small().1.parameters());
    let hash = |name: &str| -> String {
        let digest = Sha256::digest(fs::read(folder.path().join(name)).unwrap());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    assert_eq!(facts["sha256"], hash("mine.safetensors"));
    assert_eq!(facts["origin"]["sha256"], hash("best_model"));
    assert_eq!(facts["origin"]["source"], "best_model");
    let table = stdout(&run(folder.path(), &["model", "info", "mine"]));
    for part in ["network", "cutoff", "H, O", "SHA-256", "best_model"] {
        assert!(table.contains(part), "no {part} in: {table}");
    }
    let shipped = stdout(&run(folder.path(), &["model", "info", "painn_hcno_gfn2"]));
    assert!(shipped.contains("589057 parameters"), "{shipped}");
    let unconverted = run(folder.path(), &["model", "info", "best_model"]);
    assert!(
        stderr(&unconverted).contains("mdrun model convert"),
        "{}",
        stderr(&unconverted)
    );
}

/// Extended XYZ with what a model gives, times a factor.
fn labelled(spec: &Spec, weights: &Weights, factor: f64) -> String {
    let mut out = String::new();
    for k in 0..3 {
        let shift = 0.05 * f64::from(k);
        let positions = [
            [0.0, 0.0, shift],
            [0.96 + shift, 0.1, 0.0],
            [-0.24, 0.93, 0.2],
        ]
        .map(Vec3::from);
        let pairs = Pairs::within(&Cell::open(), &positions, spec.cutoff).unwrap();
        let species = [8, 1, 1];
        let found = naive::evaluate(spec, weights, &species, &pairs);
        out += &format!(
            "3\nProperties=species:S:1:pos:R:3:forces:R:3 energy={:?}\n",
            found.energy * factor
        );
        for ((z, r), f) in species.iter().zip(&positions).zip(&found.forces) {
            let f = f * factor;
            let symbol = if *z == 8 { "O" } else { "H" };
            out += &format!(
                "{symbol} {:?} {:?} {:?} {:?} {:?} {:?}\n",
                r.x, r.y, r.z, f.x, f.y, f.z
            );
        }
    }
    out
}

/// A class of another name is taken for a PaiNN where its own energies and forces say that it is one.
#[test]
fn a_copy_of_the_class_has_to_be_validated() {
    let folder = folder("nets.copy");
    let base = [
        &["model", "convert", "best_model", "mine.safetensors"][..],
        &ANSWERS,
    ]
    .concat();
    let refused = run(folder.path(), &base);
    assert!(
        stderr(&refused).contains("--as painn --validate"),
        "{}",
        stderr(&refused)
    );
    let bare = run(folder.path(), &[&base[..], &["--as", "painn"]].concat());
    assert_eq!(bare.status.code(), Some(2));
    assert!(stderr(&bare).contains("--validate"), "{}", stderr(&bare));
    let (spec, weights) = small();
    let spec = Spec {
        mean_per_atom: super::layouts::MEAN,
        ..spec
    };
    let validate = [&base[..], &["--as", "painn", "--validate", "own.xyz"]].concat();
    let mut other = weights.clone();
    other.readout[0].weight[0] += 1e-3;
    for (text, says) in [
        (labelled(&spec, &other, 1.0), "nothing was written"),
        (labelled(&spec, &weights, 2.0), "another network"),
        (WATER.to_owned(), "no forces"),
    ] {
        fs::write(folder.path().join("own.xyz"), text).unwrap();
        let refused = run(folder.path(), &validate);
        assert_eq!(refused.status.code(), Some(2));
        let message = stderr(&refused)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(message.contains(says), "no {says:?} in: {message}");
        assert!(!folder.path().join("mine.safetensors").exists());
    }
    // In the model's own units, or in eV and angstrom.
    for factor in [1.0, 0.043_364_104_241_800_934] {
        fs::write(
            folder.path().join("own.xyz"),
            labelled(&spec, &weights, factor),
        )
        .unwrap();
        let taken = run(folder.path(), &[&validate[..], &["--force"]].concat());
        assert!(taken.status.success(), "{}", stderr(&taken));
        assert!(
            stdout(&taken).contains("3 frames agree"),
            "{}",
            stdout(&taken)
        );
    }
}

/// A bias of vector layers points somewhere: `mdrun check` finds that the energy changes when a structure is turned.
#[test]
fn check_finds_that_a_model_is_not_equivariant() {
    let folder = folder(OWN);
    let (spec, mut weights) = small();
    for layer in &mut weights.layers {
        layer.mix.bias = vec![0.5; layer.mix.outputs];
    }
    let model = (spec, weights);
    let bytes = save(&SchNetPack::of(&model).module(&model), ZIP);
    let biased = folder.path().join("biased");
    fs::write(&biased, bytes).unwrap();
    for (from, sound) in [("best_model", true), ("biased", false)] {
        let convert = [
            &["model", "convert", from, "mine.safetensors", "--force"][..],
            &ANSWERS,
        ]
        .concat();
        assert!(run(folder.path(), &convert).status.success());
        let check = [
            "check",
            "run.toml",
            "--set",
            "potential.model=mine.safetensors",
            "--json",
        ];
        let check = run(folder.path(), &check);
        let found: Value = serde_json::from_slice(&check.stdout).unwrap();
        let rotation = (found["findings"].as_array().unwrap().iter())
            .find(|finding| finding.to_string().contains("\"rotation\""));
        let rotation = rotation.expect("rotations are tried");
        let [change, limit] = ["value", "limit"].map(|key| rotation[key].as_f64().unwrap());
        assert_eq!(change <= limit, sound, "{rotation}");
    }
}
