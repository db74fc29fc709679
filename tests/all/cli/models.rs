//! Models by name: beside the run file, in the data folders, in the program; from anywhere, and for every command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::{json, stderr, stdout, text};
use crate::support::root;

const NAME: &str = "painn_hcno_gfn2";
const OTHER: &str = "painn_organic_gfn2";
/// Most bytes of the installed program.
const MOST_BYTES: u64 = 35_000_000;

/// A folder far from the project, with a run file that names a model, and no data folder but its own.
struct Place(TempDir);

impl Place {
    fn new(model: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::copy(
            root().join("configs/structures/ethanol.xyz"),
            place.at("ethanol.xyz"),
        )
        .unwrap();
        let file = format!(
            "[system]\nstructure = \"ethanol.xyz\"\nvelocities = {{ temperature = \"300 K\", seed = 1 }}\n\
             [potential]\nmodel = \"{model}\"\n[dynamics]\nensemble = \"nve\"\ntimestep = \"0.5 fs\"\nsteps = 20\n\
             [output]\ndirectory = \"run\"\n"
        );
        fs::write(place.at("run.toml"), file).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Copies the shipped model `from` to where `to` says, folders made.
    fn put(&self, from: &str, to: &str) {
        fs::create_dir_all(self.at(to).parent().unwrap()).unwrap();
        fs::copy(shipped(from), self.at(to)).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        self.run_by(Path::new(env!("CARGO_BIN_EXE_mdrun")), args)
    }

    fn run_by(&self, program: &Path, args: &[&str]) -> Output {
        Command::new(program)
            .args(args)
            .current_dir(self.0.path())
            .env("HOME", self.at("home"))
            .env("MDRUN_DATA", self.at("data"))
            .env_remove("XDG_DATA_HOME")
            .output()
            .unwrap()
    }

    /// What run.json says of the model of a run that is made now.
    fn recorded(&self) -> Value {
        let output = self.run(&["run.toml", "--force", "-q"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let record = fs::read(self.at("run/run.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        record["model"].clone()
    }
}

fn shipped(name: &str) -> PathBuf {
    root().join("models").join(format!("{name}.safetensors"))
}

/// The hash that run.json has of a shipped model.
fn hash_of(name: &str) -> Value {
    Place::new(text(&shipped(name))).recorded()["sha256"].clone()
}

#[test]
fn a_name_is_found_beside_the_run_file_then_in_the_data_folders_then_in_the_program() {
    let (own, other) = (hash_of(NAME), hash_of(OTHER));
    assert_ne!(own, other);
    let place = Place::new(NAME);
    let inside = place.recorded();
    assert_eq!(inside["sha256"], own);
    assert_eq!(inside["embedded"], true);
    assert_eq!(inside["path"], NAME);
    let length = fs::metadata(shipped(NAME)).unwrap().len();
    assert_eq!(inside["bytes"], length);
    // Each place that is filled comes before the ones filled so far; the other model's hash tells.
    let file = format!("{NAME}.safetensors");
    for (from, to) in [
        (OTHER, format!("home/.local/share/mdrun/models/{file}")),
        (NAME, format!("data/models/{file}")),
        (OTHER, file),
    ] {
        place.put(from, &to);
        let found = place.recorded();
        assert_eq!(found["embedded"], false, "{to}");
        assert_eq!(
            place.at(found["path"].as_str().unwrap()),
            place.at(&to),
            "{to}"
        );
        let hash = if from == NAME { &own } else { &other };
        assert_eq!(found["sha256"], *hash, "{to}");
    }
}

#[test]
fn runs_of_a_model_inside_the_program_are_resumed_and_diagnosed() {
    let place = Place::new(NAME);
    place.recorded();
    let longer = place.run(&[
        "run.toml",
        "--resume",
        "--set",
        "dynamics.steps=30",
        "--json",
    ]);
    assert_eq!(json(&longer)["steps"], 30, "{}", stderr(&longer));
    for more in [&[][..], &["--model", NAME]] {
        let output = place.run(&[&["diagnose", "run", "--minutes", "0.01"], more].concat());
        assert_ne!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stdout(&output).contains("verdict:"), "{}", stdout(&output));
    }
    let wrong = place.run(&["diagnose", "run", "--model", OTHER]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        stderr(&wrong).contains("not the model of the run"),
        "{}",
        stderr(&wrong)
    );
}

#[test]
fn every_command_takes_a_name() {
    let place = Place::new(NAME);
    let energy = |model: &str| {
        let output = place.run(&[
            "energy",
            "--model",
            model,
            "--structure",
            "ethanol.xyz",
            "--json",
        ]);
        json(&output)["energy_ev"].as_f64().unwrap()
    };
    assert_eq!(energy(NAME), energy(text(&shipped(NAME))));
    assert_ne!(energy(NAME), energy(OTHER));
    let bench = place.run(&["bench", "--sizes", "9", "--iters", "1"]);
    assert!(stdout(&bench).starts_with(NAME), "{}", stderr(&bench));
    let check = place.run(&["check", "run.toml"]);
    assert!(stdout(&check).contains(NAME), "{}", stdout(&check));
}

/// Paths of `--set` are those of the shell, and text needs no quotes there.
#[test]
fn settings_are_text_and_their_paths_are_the_shells() {
    let place = Place::new(NAME);
    place.put(OTHER, "elsewhere/mine.safetensors");
    fs::create_dir(place.at("files")).unwrap();
    fs::rename(place.at("run.toml"), place.at("files/run.toml")).unwrap();
    let set = |settings: &[&str]| {
        let mut args = vec!["files/run.toml", "--force", "--json"];
        for setting in settings {
            args.extend(["--set", setting]);
        }
        place.run(&args)
    };
    let settings = [
        "system.structure=ethanol.xyz",
        "potential.model=elsewhere/mine.safetensors",
        "output.directory=there",
        "dynamics.timestep=1 fs",
        "dynamics.duration=10fs",
    ];
    let output = set(&settings);
    let summary = json(&output);
    assert_eq!(summary["steps"], 10, "{}", stderr(&output));
    assert_eq!(summary["simulated_ps"], 0.01);
    assert_eq!(summary["output_directory"], "there");
    assert!(place.at("there/run.json").is_file());
    // The file's own paths stay relative to it.
    let missing = set(&settings[1..]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        stderr(&missing).contains("files/ethanol.xyz: no such file"),
        "{}",
        stderr(&missing)
    );
    for (setting, says) in [
        ("dynamics.timestep=1 fsec", "unknown unit"),
        ("system.cell=[\"12 A\"", "is not a TOML value"),
        ("dynamics.timestep=\"1 fs", "is not a TOML value"),
        ("dynamics.timestep=", "is not a TOML value"),
        ("dynamics..timestep=1fs", "is not a dotted key"),
    ] {
        let output = set(&[settings[0], setting]);
        assert_eq!(output.status.code(), Some(2), "{setting}");
        let message = stderr(&output);
        assert!(message.contains(says), "{setting}: {message}");
        assert!(
            message.contains(&format!("--set {setting}")),
            "{setting}: {message}"
        );
    }
}

/// What `make install` installs, into a folder of its own, works from anywhere.
#[test]
fn an_installed_program_is_small_and_finds_what_was_installed() {
    let place = Place::new("mine");
    let make = Command::new("make")
        .args(["-s", "install-files", "PREFIX=/usr"])
        .arg(format!("MDRUN={}", env!("CARGO_BIN_EXE_mdrun")))
        .arg(format!("DESTDIR={}", place.at("root").display()))
        .current_dir(root())
        .output()
        .unwrap();
    assert!(make.status.success(), "{}", stderr(&make));
    let usr = place.at("root/usr");
    for file in [
        "share/mdrun/models/README.md",
        "share/mdrun/configs/ethanol_nve.toml",
        "share/mdrun/configs/structures/ethanol.xyz",
        "share/doc/mdrun/docs/guide.md",
        "share/man/man1/mdrun.1",
        "share/man/man1/mdrun-check.1",
        "share/bash-completion/completions/mdrun",
        "share/zsh/site-functions/_mdrun",
        "share/fish/vendor_completions.d/mdrun.fish",
    ] {
        let length = fs::metadata(usr.join(file)).map(|file| file.len());
        assert!(length.is_ok_and(|length| length > 100), "{file}");
    }
    let program = usr.join("bin/mdrun");
    let bytes = fs::metadata(&program).unwrap().len();
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
    // A model of the site's own, found from the program, through a link as well.
    place.put(OTHER, "root/usr/share/mdrun/models/mine.safetensors");
    std::os::unix::fs::symlink(&program, place.at("link")).unwrap();
    for program in [program, place.at("link")] {
        let output = place.run_by(&program, &["check", "run.toml"]);
        assert!(
            stdout(&output).contains("mine.safetensors"),
            "{}",
            stderr(&output)
        );
    }
    // A shipped run file, copied away from the project.
    let copied = place.at("configs");
    fs::create_dir_all(copied.join("structures")).unwrap();
    for file in ["ethanol_nve.toml", "structures/ethanol.xyz"] {
        fs::copy(
            usr.join("share/mdrun/configs").join(file),
            copied.join(file),
        )
        .unwrap();
    }
    let output = place.run(&[
        "configs/ethanol_nve.toml",
        "--set",
        "dynamics.steps=2",
        "-q",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
}
