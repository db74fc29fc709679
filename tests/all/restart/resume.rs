//! What `--resume` goes on with, what it refuses, and what it leaves.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use mdrun::report::checkpoint::store;
use mdrun::report::names::{NEWEST, PREVIOUS};

use super::runs::{
    Bench, CHECKPOINT_EVERY, Dynamics, Subject, assert_same, hashes, newest, outputs, record,
    status, stderr,
};

const STEPS: u64 = 60;
const HALF: &str = "dynamics.steps=30";

fn argon() -> Bench {
    Bench::new(Subject::Argon, Dynamics::Langevin, STEPS, "")
}

/// Resumes, which must be refused as a wrong input and leave all as it is; the message.
fn refused(bench: &Bench, run: &Path, more: &[&str]) -> String {
    let before = outputs(run);
    let output = bench.run(run, &[&["--resume"], more].concat());
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_eq!(outputs(run), before);
    message
}

/// A shorter run that goes on for longer is the longer run, on another number of threads and with another
/// skin too.
#[test]
fn a_longer_duration_goes_on() {
    for subject in [Subject::Argon, Subject::Ethanol] {
        let bench = Bench::new(
            subject,
            Dynamics::Langevin,
            STEPS,
            "[device]\nkind = \"cpu\"",
        );
        let (whole, parts) = (bench.at("whole"), bench.at("parts"));
        bench.complete(&whole, &["-q"]);
        bench.complete(&parts, &["--set", HALF]);
        assert_eq!(newest(&parts).step, 30);
        let other = [
            "--resume",
            "--json",
            "--set",
            "device.threads=2",
            "--set",
            "dynamics.skin=\"0.3 A\"",
            "--set",
            "output.checkpoint_every=\"1 h\"",
        ];
        let output = bench.complete(&parts, &other);
        assert_same(&parts, &hashes(&whole), &stderr(&output));
        assert_eq!(record(&parts)["resumed_from"][0]["step"], 30);
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["resumed_from"], serde_json::json!([30]));
        assert_eq!(summary["steps"], STEPS);
    }
}

/// The interval of the table and the sampling of the drift follow from the duration where nothing is said: from the
/// one that the run began with.
#[test]
fn defaults_stay_those_of_the_beginning() {
    let bench = argon();
    let text = fs::read_to_string(&bench.config).unwrap();
    let text = text.replace("thermo_every = 1\n", "");
    fs::write(&bench.config, text).unwrap();
    let run = bench.at("run");
    bench.complete(&run, &["--set", "dynamics.steps=1000"]);
    let (table, stretch) = (
        record(&run)["config"]["output"].clone(),
        newest(&run).stretch,
    );
    bench.complete(&run, &["--resume", "--set", "dynamics.steps=2400"]);
    assert_eq!(record(&run)["config"]["output"], table);
    assert_eq!(newest(&run).stretch, stretch);
    let lines = fs::read_to_string(run.join("thermo.csv")).unwrap();
    assert_eq!(lines.lines().count(), 1 + 1 + 240);
}

#[test]
fn a_complete_run_is_left_as_it_is() {
    let bench = argon();
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    let before = (hashes(&run), fs::read(run.join("run.json")).unwrap());
    let output = bench.complete(&run, &["--resume"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("is complete"));
    let output = bench.complete(&run, &["--resume", "--json"]);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["steps"], STEPS);
    assert_eq!(
        (hashes(&run), fs::read(run.join("run.json")).unwrap()),
        before
    );
    let message = refused(&bench, &run, &["--set", HALF]);
    assert!(
        message.contains("gone past the steps asked for")
            && message.contains("step 60 already, and 30 are"),
        "{message}"
    );
}

#[test]
fn another_run_is_refused_by_name() {
    let bench = argon();
    let run = bench.at("run");
    bench.complete(&run, &["--set", HALF]);
    let skewed = "system.cell=[\"23 A\", \"23 A\", \"23 A\"]";
    for (key, says) in [
        (
            "dynamics.timestep=\"3 fs\"",
            "dynamics.timestep was 4 fs and is 3 fs now",
        ),
        ("dynamics.seed=4", "dynamics.seed was 3 and is 4 now"),
        (
            "dynamics.temperature=\"201 K\"",
            "dynamics.temperature was 200 K and is 201 K",
        ),
        (
            "dynamics.friction=\"6 1/ps\"",
            "dynamics.friction was 5 1/ps and is 6 1/ps",
        ),
        ("dynamics.remove_drift=11", "dynamics.remove_drift"),
        (
            "potential.lennard_jones.sigma=\"3.4 A\"",
            "sigma was 3.405 A and is 3.4 A",
        ),
        ("system.masses={ Ar = \"40 u\" }", "system.masses"),
        (skewed, "system.cell"),
        (
            "system.velocities.seed=2",
            "system.velocities was 184 K, seed 1 and is 184 K, seed 2",
        ),
        (
            "output.thermo_every=2",
            "output.thermo_every was 1 and is 2",
        ),
        (
            "output.trajectory.1.every=6",
            "output.trajectory.1 was dcd every 5 steps and is",
        ),
        ("output.trajectory.0.fields=[]", "output.trajectory.0"),
    ] {
        let message = refused(&bench, &run, &["--set", key]);
        assert!(message.contains(says), "{key}: {message}");
        assert!(message.contains("--force"), "{message}");
    }
    let text = fs::read_to_string(&bench.config).unwrap();
    let nve = text
        .replace("langevin", "nve")
        .replace("temperature = \"200 K\"\n", "");
    let nve = nve.replace("friction = \"5 1/ps\"\nseed = 3\n", "");
    fs::write(&bench.config, nve).unwrap();
    let message = refused(&bench, &run, &[]);
    assert!(
        message.contains("dynamics.ensemble was langevin and is nve now"),
        "{message}"
    );
}

#[test]
fn another_model_or_structure_is_refused() {
    let bench = Bench::new(
        Subject::Ethanol,
        Dynamics::Nve,
        STEPS,
        "[device]\nkind = \"cpu\"",
    );
    let run = bench.at("run");
    bench.complete(&run, &["--set", HALF]);
    // The same weights, one byte of the metadata altered: another file.
    let model = crate::support::root().join("models/painn_hcno_gfn2.safetensors");
    let mut bytes = fs::read(model).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let copy = bench.at("other.safetensors");
    fs::write(&copy, bytes).unwrap();
    let key = format!("potential.model={:?}", copy.display().to_string());
    let message = refused(&bench, &run, &["--set", &key]);
    assert!(
        message.contains("potential.model was a file of SHA-256"),
        "{message}"
    );
    let message = refused(&bench, &run, &["--set", "potential.precision=\"f64\""]);
    assert!(
        message.contains("potential.precision was f32 and is f64"),
        "{message}"
    );
    let aspirin = crate::support::root().join("configs/structures/aspirin.xyz");
    let key = format!("system.structure={:?}", aspirin.display().to_string());
    let message = refused(&bench, &run, &["--set", &key]);
    assert!(
        message.contains("elements) was C2H6O") && message.contains("C9H8O4"),
        "{message}"
    );
    // Another implementation has other rounding: that is told, and goes on.
    let output = bench.complete(&run, &["--resume", "--set", "device.engine=\"burn\""]);
    assert!(
        stderr(&output).contains("warning: engine was"),
        "{}",
        stderr(&output)
    );
}

/// A flipped bit, a cut: the generation before is used, with a warning, and the result is the same.
#[test]
fn a_spoilt_checkpoint_gives_way_to_the_one_before() {
    let bench = argon();
    let whole = bench.at("whole");
    bench.complete(&whole, &["-q"]);
    let right = hashes(&whole);
    for cut in [false, true] {
        let run = bench.at(if cut { "cut" } else { "flipped" });
        bench.complete(&run, &["--set", HALF]);
        let (path, mut bytes) = (run.join(NEWEST), fs::read(run.join(NEWEST)).unwrap());
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        bytes.truncate(if cut { middle } else { bytes.len() });
        fs::write(&path, bytes).unwrap();
        let before = store::read(&run.join(PREVIOUS)).unwrap().step;
        assert_eq!(before, 30 / CHECKPOINT_EVERY * CHECKPOINT_EVERY);
        let output = bench.complete(&run, &["--resume", "-q"]);
        let message = stderr(&output);
        assert!(
            message.contains("state.ckpt: not a sound checkpoint"),
            "{message}"
        );
        assert!(
            message.contains("the checkpoint before it is used"),
            "{message}"
        );
        assert_same(&run, &right, &message);
    }
    let run = bench.at("both");
    bench.complete(&run, &["--set", HALF]);
    for name in [NEWEST, PREVIOUS] {
        fs::write(run.join(name), "spoilt").unwrap();
    }
    let message = refused(&bench, &run, &[]);
    assert!(
        message.contains(NEWEST) && message.contains(PREVIOUS),
        "{message}"
    );
    assert!(message.contains("--force"), "{message}");
}

/// Files that lost what they had at the checkpoint cannot be gone on with.
#[test]
fn altered_outputs_are_refused() {
    let bench = argon();
    for (name, at) in [
        ("traj.xyz", 100),
        ("traj.dcd", 400),
        ("traj.xtc", 60),
        ("thermo.csv", 40),
    ] {
        let run = bench.at(&format!("altered_{name}"));
        bench.complete(&run, &["--set", HALF]);
        let path = run.join(name);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        file.write_at(b"#", length - at).unwrap();
        let message = refused(&bench, &run, &[]);
        assert!(
            message.contains(name) && message.contains("was altered"),
            "{message}"
        );
        file.set_len(length - 1).unwrap();
        let message = refused(&bench, &run, &[]);
        assert!(message.contains("fewer than the"), "{message}");
        fs::remove_file(&path).unwrap();
        let output = bench.run(&run, &["--resume"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            stderr(&output).contains("is missing"),
            "{}",
            stderr(&output)
        );
        fs::create_dir(&path).unwrap();
        let output = bench.run(&run, &["--resume"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            stderr(&output).contains("is a folder, not a plain file"),
            "{}",
            stderr(&output)
        );
        assert_eq!(newest(&run).step, 30);
    }
}

/// What is not a run of this kind is not overwritten by way of `--resume`.
#[test]
fn runs_without_checkpoints_are_not_replaced() {
    let bench = argon();
    let off = ["--set", "output.checkpoint_every=\"off\""];
    let run = bench.at("run");
    bench.complete(&run, &off);
    assert!(!run.join(NEWEST).exists());
    let message = refused(&bench, &run, &off);
    assert!(message.contains("without checkpoints"), "{message}");

    // Nor one that was killed: it may be long.
    let text = fs::read_to_string(run.join("run.json")).unwrap();
    fs::write(run.join("run.json"), text.replace("complete", "running")).unwrap();
    let message = refused(&bench, &run, &[]);
    assert!(message.contains("without checkpoints"), "{message}");

    // Files of a run, without its record.
    let strange = bench.at("strange");
    fs::create_dir(&strange).unwrap();
    fs::write(strange.join("traj.xyz"), "precious").unwrap();
    let output = bench.run(&strange, &["--resume"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(
        fs::read_to_string(strange.join("traj.xyz")).unwrap(),
        "precious"
    );

    // Nothing at all: it begins.
    let fresh = bench.at("fresh");
    bench.complete(&fresh, &["--resume"]);
}

/// A run that lost its checkpoints is not begun anew over what it has, however it ended and whatever is left of its
/// record.
#[test]
fn runs_that_lost_their_checkpoints_are_not_replaced() {
    let bench = argon();
    for ended in [
        "complete",
        "interrupted",
        "failed",
        "running",
        "empty",
        "gone",
    ] {
        let run = bench.at(ended);
        bench.complete(&run, &["-q"]);
        for name in [NEWEST, PREVIOUS] {
            fs::remove_file(run.join(name)).unwrap();
        }
        let path = run.join("run.json");
        let text = fs::read_to_string(&path).unwrap();
        match ended {
            "gone" => fs::remove_file(&path).unwrap(),
            "empty" => fs::write(&path, "").unwrap(),
            status => fs::write(&path, text.replace("complete", status)).unwrap(),
        }
        let message = refused(&bench, &run, &[]);
        let says = "the checkpoints to go on from, state.ckpt and state_prev.ckpt, are not there";
        assert!(message.contains(says), "{ended}: {message}");
        // Nor by a plain run.
        let output = bench.run(&run, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("holds a run already"));
    }
}

/// A run that was killed before its first step is begun anew, with `--resume` and without: if it is this one.
#[test]
fn a_run_that_had_hardly_begun_is_in_nobodys_way() {
    let bench = argon();
    let whole = bench.at("whole");
    bench.complete(&whole, &["-q"]);
    for (k, flags) in [&["--resume"][..], &[]].into_iter().enumerate() {
        let run = bench.at(&format!("run{k}"));
        fs::create_dir(&run).unwrap();
        let text = fs::read_to_string(whole.join("run.json")).unwrap();
        let text = text.replace("\"complete\"", "\"running\"");
        let text = text.replace("\"begun\": true", "\"begun\": false");
        fs::write(run.join("run.json"), text).unwrap();
        let table = fs::read_to_string(whole.join("thermo.csv")).unwrap();
        let first: String = table.split_inclusive('\n').take(2).collect();
        fs::write(run.join("thermo.csv"), first).unwrap();
        fs::write(run.join("traj.xyz"), "256\nthe first frame").unwrap();
        if !flags.is_empty() {
            let output = bench.run(&run, &["--resume", "--set", "dynamics.seed=5"]);
            assert_eq!(output.status.code(), Some(2));
            let message = stderr(&output);
            assert!(message.contains("another run, its [dynamics]"), "{message}");
        }
        let output = bench.complete(&run, flags);
        assert_same(&run, &hashes(&whole), &stderr(&output));
    }
}

/// Checkpoints by the clock come at other steps every time, and nothing else changes: with every engine.
#[test]
fn checkpoints_by_the_clock_alter_nothing() {
    let settings = [
        (Subject::Argon, "kind = \"cpu\""),
        (Subject::Ethanol, "kind = \"cpu\""),
        (Subject::Ethanol, "kind = \"cpu\"\nengine = \"burn\""),
        #[cfg(feature = "cuda")]
        (Subject::Ethanol, "kind = \"cuda:0\""),
        #[cfg(feature = "cuda")]
        (Subject::Ethanol, "kind = \"cuda:0\"\nengine = \"burn\""),
    ];
    for (subject, device) in settings {
        #[cfg(feature = "cuda")]
        if device.contains("cuda") && !crate::cuda::gpu() {
            continue;
        }
        let device = format!("[device]\n{device}\n");
        let bench = Bench::new(subject, Dynamics::Langevin, 120, &device);
        let (plain, often) = (bench.at("plain"), bench.at("often"));
        let with = |every: &str| format!("output.checkpoint_every=\"{every}\"");
        bench.complete(&plain, &["-q", "--set", &with("off")]);
        bench.complete(&often, &["-q", "--set", &with("0.001 s")]);
        assert!(
            often.join(PREVIOUS).exists(),
            "{device}: one checkpoint only"
        );
        assert_eq!(outputs(&plain), outputs(&often), "{device}");
        // And a run in two parts is one run.
        let parts = bench.at("parts");
        bench.complete(&parts, &["-q", "--set", "dynamics.steps=53"]);
        bench.complete(&parts, &["-q", "--resume"]);
        assert_eq!(outputs(&plain), outputs(&parts), "{device}");
        assert_eq!(status(&parts), "complete");
    }
}

/// A bit that is flipped anywhere in what an output had at the checkpoint is seen, at its very beginning and in its middle
/// too; but for the number of frames in a header, which is written anew.
#[test]
fn a_flipped_bit_is_seen_wherever_it_is() {
    let bench = argon();
    let whole = bench.at("whole");
    bench.complete(&whole, &["-q"]);
    let run = bench.at("run");
    bench.complete(&run, &["--set", HALF]);
    for name in ["traj.xyz", "traj.dcd", "traj.xtc", "thermo.csv"] {
        let path = run.join(name);
        let good = fs::read(&path).unwrap();
        for at in [0, 5, 13, 30, good.len() / 3, good.len() / 2] {
            let mut bytes = good.clone();
            bytes[at] ^= 4;
            fs::write(&path, bytes).unwrap();
            let message = refused(&bench, &run, &[]);
            assert!(message.contains("was altered"), "{name} {at}: {message}");
        }
        fs::write(&path, good).unwrap();
    }
    let path = run.join("traj.dcd");
    let mut bytes = fs::read(&path).unwrap();
    for at in [8, 11, 20, 23] {
        bytes[at] ^= 4;
    }
    fs::write(&path, bytes).unwrap();
    let output = bench.complete(&run, &["--resume", "-q"]);
    assert_same(&run, &hashes(&whole), &stderr(&output));
}
