//! Committees on the command line: the two models inside the program, which learned the same theory from different structures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{mdrun, root};

const MODELS: [&str; 2] = ["painn_hcno_gfn2", "painn_organic_gfn2"];
/// A limit that some frames of ethanol at 300 K are beyond (eV / angstrom).
const LIMIT: f64 = 0.03;
const ETHANOL: &str = "configs/structures/ethanol.xyz";

/// A run of the committee in a folder of its own; `monitor` are lines of `[monitor]`.
struct Scene {
    folder: TempDir,
    config: PathBuf,
}

impl Scene {
    fn new(monitor: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("run.toml");
        let lines = format!(
            "[system]\nstructure = {:?}\nvelocities = {{ temperature = \"300 K\", seed = 1 }}\n\
             [potential]\nmodel = {MODELS:?}\n[dynamics]\nensemble = \"nve\"\ntimestep = \"0.5 fs\"\nsteps = 60\n\
             [output]\nthermo_every = 3\n[[output.trajectory]]\nformat = \"xyz\"\nevery = 30\n\
             [monitor]\n{monitor}\n[device]\nkind = \"cpu\"\nthreads = 1\n",
            root().join(ETHANOL)
        );
        fs::write(&config, lines).unwrap();
        Self { folder, config }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn run(&self, more: &[&str]) -> Output {
        let (config, out) = (self.config.to_str().unwrap(), self.out());
        mdrun(&[&[config, "--out", out.to_str().unwrap()], more].concat())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.out().join(name)).unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Steps and force spreads of a thermo table.
fn spreads(thermo: &str) -> Vec<(u64, f64)> {
    let mut lines = thermo.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let place = |name: &str| names.iter().position(|n| *n == name).unwrap();
    let (step, force) = (place("step"), place("force_spread_ev_a"));
    place("energy_spread_mev_per_atom");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), names.len());
        (cells[step].parse().unwrap(), cells[force].parse().unwrap())
    };
    lines.map(row).collect()
}

/// Steps, spreads and comments of frames of extended XYZ.
fn frames(text: &str) -> Vec<(u64, f64, String)> {
    let value = |comment: &str, key: &str| -> f64 {
        let (_, rest) = comment.split_once(&format!(" {key}=")).unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    let comments = text.lines().filter(|line| line.contains("Properties="));
    comments
        .map(|c| {
            (
                value(c, "step") as u64,
                value(c, "force_spread"),
                c.to_owned(),
            )
        })
        .collect()
}

#[test]
fn frames_beyond_the_limit_are_written_and_told_of_once() {
    let scene = Scene::new(&format!("spread = \"{LIMIT} eV/A\"\naction = \"warn\""));
    let output = scene.run(&["--json"]);
    let summary = json(&output);
    let told = stderr(&output);
    assert_eq!(
        told.matches("beyond the limit of 0.03 ([monitor] spread)")
            .count(),
        1,
        "{told}"
    );
    assert!(told.contains("are written to uncertain.xyz"), "{told}");

    let all = spreads(&scene.read("thermo.csv"));
    assert_eq!(all.len(), 21);
    let beyond: Vec<(u64, f64)> = all.iter().copied().filter(|row| row.1 > LIMIT).collect();
    println!("{} of {} frames, {all:?}", beyond.len(), all.len());
    assert!(!beyond.is_empty() && beyond.len() < all.len());
    let uncertain = scene.read("uncertain.xyz");
    let written = frames(&uncertain);
    let pairs: Vec<(u64, f64)> = written.iter().map(|frame| (frame.0, frame.1)).collect();
    assert_eq!(pairs, beyond);
    // Structures to be labelled have no label of the models'.
    for (_, _, comment) in &written {
        assert!(
            comment.contains("Properties=species:S:1:pos:R:3 "),
            "{comment}"
        );
        assert!(
            !comment.contains("energy=") && !comment.contains("forces"),
            "{comment}"
        );
    }
    // Those of the trajectory have both.
    for (step, spread, comment) in frames(&scene.read("traj.xyz")) {
        assert!(comment.contains(" energy="), "{comment}");
        assert!(all.contains(&(step, spread)));
    }
    let worst = all.iter().map(|row| row.1).fold(0.0, f64::max);
    let mean = summary["mean_force_spread_ev_a"].as_f64().unwrap();
    let most = summary["largest_force_spread_ev_a"].as_f64().unwrap();
    assert!(
        0.0 < mean && mean < most && most < 2.0 * worst,
        "{mean} {most} {worst}"
    );

    let record: Value = serde_json::from_str(&scene.read("run.json")).unwrap();
    let models = record["model"].as_array().unwrap();
    assert_eq!(models.len(), 2);
    assert_ne!(models[0]["sha256"], models[1]["sha256"]);
    assert!(
        record["files"]
            .as_array()
            .unwrap()
            .contains(&"uncertain.xyz".into())
    );
    let engine = record["engine"].as_str().unwrap();
    assert!(
        engine.starts_with("the mean of 2 times PaiNN, 3 layers of 128"),
        "{engine}"
    );
}

#[test]
fn a_run_stops_at_a_limit_with_the_frame_written() {
    let scene = Scene::new(&format!("spread = \"{LIMIT} eV/A\"\nspread_every = 1"));
    let output = scene.run(&["-q"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let written = frames(&scene.read("uncertain.xyz"));
    let [(step, spread, _)] = written.as_slice() else {
        panic!("{written:?}");
    };
    assert!(*step > 0 && *spread > LIMIT);
    let record: Value = serde_json::from_str(&scene.read("run.json")).unwrap();
    let why = record["summary"]["stopped_by"].as_str().unwrap();
    assert!(
        why.starts_with(&format!("step {step}: the models' forces on an atom are")),
        "{why}"
    );
    assert!(scene.out().join("flight.xyz").is_file());
}

/// Without a limit nothing is written and nothing said, and the spread is in the table all the same.
#[test]
fn without_a_limit_the_spread_is_shown() {
    let scene = Scene::new("");
    let output = scene.run(&[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(spreads(&scene.read("thermo.csv")).len(), 21);
    assert!(!scene.out().join("uncertain.xyz").exists());
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        shown.contains("dF/(eV/A)") && shown.contains("eV/A on the worst atom"),
        "{shown}"
    );
    assert!(
        shown.contains("committee of 2: PaiNN painn_hcno_gfn2"),
        "{shown}"
    );
}

#[test]
fn a_run_goes_on_with_models_that_were_moved() {
    let scene = Scene::new("");
    let half = scene.run(&["--set", "dynamics.steps=30", "-q"]);
    assert!(half.status.success(), "{}", stderr(&half));
    let copies: Vec<PathBuf> = (MODELS.iter())
        .map(|name| {
            let to = scene.folder.path().join(format!("{name}.safetensors"));
            fs::copy(root().join(format!("models/{name}.safetensors")), &to).unwrap();
            to
        })
        .collect();
    let out = scene.out();
    let resume = |models: &[&Path]| {
        let mut args = vec!["resume", out.to_str().unwrap(), "--steps", "60", "-q"];
        for model in models {
            args.extend(["--model", model.to_str().unwrap()]);
        }
        mdrun(&args)
    };
    for (models, words) in [
        (
            vec![&*copies[0]],
            "the run has 2 models, and --model names 1",
        ),
        (vec![&*copies[1], &*copies[0]], "is of another run"),
    ] {
        let refused = resume(&models);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains(words), "{}", stderr(&refused));
    }
    let done = resume(&[&copies[0], &copies[1]]);
    assert!(done.status.success(), "{}", stderr(&done));
    let whole = Scene::new("");
    assert!(whole.run(&["-q"]).status.success());
    assert_eq!(scene.read("thermo.csv"), whole.read("thermo.csv"));
}

/// `mdrun energy` with several models: their mean, and how far apart they are.
#[test]
fn a_single_point_has_a_spread() {
    let at = |models: &[&str]| {
        // In f64, in which a mean of two is exact to the last digit printed.
        let mut args = vec![
            "energy",
            "--structure",
            ETHANOL,
            "--json",
            "--device",
            "cpu",
        ];
        for model in models {
            args.extend(["--model", model]);
        }
        json(&mdrun(&args))
    };
    let forces = |found: &Value| -> Vec<f64> {
        let rows = found["forces_ev_per_angstrom"].as_array().unwrap().iter();
        rows.flat_map(|row| row.as_array().unwrap().clone())
            .map(|x| x.as_f64().unwrap())
            .collect()
    };
    let alone = MODELS.map(|name| at(&[name]));
    assert!(alone[0].get("force_spread_ev_per_angstrom").is_none());
    let found = at(&MODELS);
    let number = |found: &Value, key: &str| found[key].as_f64().unwrap();
    let energies = [0, 1].map(|k| number(&alone[k], "energy_ev"));
    assert_eq!(
        number(&found, "energy_ev"),
        (energies[0] + energies[1]) / 2.0
    );
    // Two numbers have a standard deviation of their difference over the square root of two.
    let (a, b) = (forces(&alone[0]), forces(&alone[1]));
    let apart: Vec<f64> = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).collect();
    let worst = apart
        .chunks(3)
        .map(|d| d.iter().sum::<f64>())
        .fold(0.0, f64::max);
    let spread = number(&found, "force_spread_ev_per_angstrom");
    assert!(
        (spread - (worst / 2.0).sqrt()).abs() < 1e-12 * spread,
        "{spread}"
    );
    let energy = number(&found, "energy_spread_ev_per_atom");
    let expected = (energies[0] - energies[1]).abs() / 2.0_f64.sqrt() / 9.0;
    assert!(
        (energy - expected).abs() < 1e-9 * expected,
        "{energy} {expected}"
    );
}

#[test]
fn check_says_how_far_models_are_apart() {
    let scene = Scene::new("spread = \"0.001 eV/A\"");
    let found = json(&mdrun(&["check", scene.config.to_str().unwrap(), "--json"]));
    let rows = found["findings"].as_array().unwrap();
    let row = rows.iter().find(|row| row["what"] == "committee").unwrap();
    assert_eq!(row["verdict"], "look");
    assert!(row["value"].as_f64().unwrap() > 0.001, "{row}");
    let text = row["found"].as_str().unwrap();
    assert!(
        text.contains("over the limit of 0.001 eV/A ([monitor] spread)"),
        "{text}"
    );
}

/// The same model twice is no committee, under whatever names.
#[test]
fn the_same_model_twice_is_refused() {
    let scene = Scene::new("");
    let copy = scene.folder.path().join("copy.safetensors");
    fs::copy(root().join("models/painn_hcno_gfn2.safetensors"), &copy).unwrap();
    let set = format!("potential.model=[{:?}, {copy:?}]", MODELS[0]);
    let output = scene.run(&["--set", &set]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("are the same model"),
        "{}",
        stderr(&output)
    );
}
