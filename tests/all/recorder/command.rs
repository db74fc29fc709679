//! `mdrun diagnose`, and what a run that breaks leaves for it.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{mdrun, root};

/// A run with keys set, into a directory; its output.
fn run(config: &str, settings: &[&str], out: &Path) -> Output {
    let mut args = vec![config, "--json", "--out", out.to_str().unwrap()];
    args.extend(settings.iter().flat_map(|s| ["--set", s]));
    mdrun(&args)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn record(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap()
}

/// The exit code and the diagnosis of a run.
fn diagnose(run: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let args = [&["diagnose", run.to_str().unwrap(), "--json"], more].concat();
    let output = mdrun(&args);
    let found = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)));
    (output.status.code(), found)
}

/// Argon at a step far too long for its heat: the drift ends the run, the run says why, and so does the
/// command, from what the run left.
#[test]
fn a_drift_ends_the_run_with_its_cause() {
    let out = TempDir::new().unwrap();
    let path = out.path().join("run");
    let output = run(
        "configs/argon_nve.toml",
        &[
            "dynamics.timestep=\"25 fs\"",
            "dynamics.steps=3000",
            "system.velocities.temperature=\"600 K\"",
            "monitor={drift=\"0.01 meV/atom/ps\"}",
        ],
        &path,
    );
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("verdict: the time step is too long"),
        "{said}"
    );
    let record = record(&path);
    assert_eq!(record["status"], "failed");
    assert_eq!(record["diagnosis"]["suspect"], "time_step", "{said}");
    assert_eq!(record["diagnosis"]["reproduced"], true, "{said}");
    let flight = &record["flight"];
    assert_eq!(flight["kind"], "drift");
    assert_eq!(flight["last_step"], flight["step"]);
    let (code, found) = diagnose(&path, &[]);
    assert_eq!(
        (code, &found["suspect"]),
        (Some(3), &Value::from("time_step")),
        "{found}"
    );
    let replays = found["replays"].as_array().unwrap();
    let effects: Vec<&str> = replays
        .iter()
        .filter_map(|r| r["effect"].as_str())
        .collect();
    assert_eq!(
        effects,
        ["reference", "removed", "not_done", "stays"],
        "{found}"
    );
}

/// Under a barostat a replay begins in the cell of the state that it begins with, not in the first of the run: here that of a
/// run that was gone on with from step 100.
#[test]
fn a_drift_under_a_barostat_is_walked_again_bit_for_bit() {
    let out = TempDir::new().unwrap();
    let path = out.path().join("run");
    let output = run(
        "configs/argon_nve.toml",
        &[
            "dynamics={ensemble=\"npt\", timestep=\"20 fs\", steps=100, temperature=\"300 K\", \
             pressure=\"500 bar\", thermostat=\"csvr\", relaxation=\"1 ps\", seed=1, \
             barostat_relaxation=\"5 ps\", compressibility=\"2e-4 1/bar\"}",
            "system.velocities.temperature=\"300 K\"",
            "monitor={drift=\"0.009 meV/atom/ps\"}",
        ],
        &path,
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = mdrun(&["resume", path.to_str().unwrap(), "--steps", "6000"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let record = record(&path);
    assert_eq!(record["flight"]["kind"], "drift", "{said}");
    assert_eq!(record["flight"]["state_step"], 100, "{said}");
    assert_eq!(record["diagnosis"]["reproduced"], true, "{said}");
}

/// Ethanol at a step that no bond to hydrogen survives.
#[test]
fn an_explosion_is_one_of_the_time_step() {
    let out = TempDir::new().unwrap();
    let path = out.path().join("run");
    let output = run(
        "configs/ethanol_nve.toml",
        &["dynamics.timestep=\"4 fs\"", "dynamics.steps=2000"],
        &path,
    );
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let record = record(&path);
    let (code, found) = diagnose(&path, &[]);
    assert_eq!(
        (code, &found["suspect"]),
        (Some(3), &Value::from("time_step")),
        "{found}"
    );
    // Walked again from the state recorded, it breaks at the very step.
    assert_eq!(
        found["replays"][0]["broke_at_step"], record["flight"]["step"],
        "{found}"
    );
    assert!(
        found["verdict"]
            .as_str()
            .unwrap()
            .contains("smaller [dynamics] timestep"),
        "{found}"
    );
}

/// A limit that the motion reaches with its energy conserved is no fault of what computes it; and a model that
/// is not the run's is refused.
#[test]
fn a_limit_that_the_motion_reaches_is_said_to_be_so() {
    let out = TempDir::new().unwrap();
    let path = out.path().join("run");
    let output = run(
        "configs/ethanol_langevin.toml",
        &["monitor={temperature=\"420 K\"}"],
        &path,
    );
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let (code, found) = diagnose(&path, &[]);
    assert_eq!(
        (code, &found["suspect"]),
        (Some(3), &Value::from("motion")),
        "{found}"
    );
    assert!(found["replays"][0]["broke_at_step"] == record(&path)["flight"]["step"]);

    let other = out.path().join("other.safetensors");
    let mut bytes = fs::read(root().join("models/painn_hcno_gfn2.safetensors")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&other, bytes).unwrap();
    let path = path.to_str().unwrap();
    let refused = mdrun(&["diagnose", path, "--model", other.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("not the model of the run"),
        "{}",
        text(&refused.stderr)
    );
}

/// A run that is done, with two checkpoints: the replay comes from one to the other bit for bit, and nothing is
/// wrong.
#[test]
fn a_healthy_run_has_nothing_wrong() {
    let out = TempDir::new().unwrap();
    let path = out.path().join("run");
    let settings = ["dynamics.steps=400", "output.checkpoint_every=200"];
    let output = run("configs/argon_nve.toml", &settings, &path);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // The structure is not looked for: state and model are enough.
    let mut kept = record(&path);
    kept["config"]["system"]["structure"] = "gone.xyz".into();
    fs::write(path.join("run.json"), kept.to_string()).unwrap();
    let (code, found) = diagnose(&path, &["--minutes", "5"]);
    assert_eq!(
        (code, &found["suspect"]),
        (Some(0), &Value::from("nothing")),
        "{found}"
    );
    assert_eq!(found["reproduced"], true, "{found}");
    assert_eq!(
        found["replays"][3]["same_states_as_the_run"], true,
        "{found}"
    );
}

#[test]
fn what_is_no_run_is_refused() {
    let out = TempDir::new().unwrap();
    let path = out.path().to_str().unwrap();
    let said = |wanted: &str| {
        let output = mdrun(&["diagnose", path]);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            text(&output.stderr).contains(wanted),
            "{}",
            text(&output.stderr)
        );
    };
    said("name the directory of a run");
    fs::write(out.path().join("run.json"), "{\"status\": 3").unwrap();
    said("not the record of a run");
    fs::write(out.path().join("run.json"), "{\"status\": 3}").unwrap();
    said("it has no config");
    fs::write(out.path().join("run.json"), "{\"config\": {}}").unwrap();
    said("neither a flight record nor a checkpoint");
    fs::write(
        out.path().join("run.json"),
        "{\"config\": {}, \"flight\": {\"kind\": 7}}",
    )
    .unwrap();
    said("its flight record");
    let output = mdrun(&["diagnose", path, "--minutes", "0"]);
    assert_eq!(output.status.code(), Some(2));
}
