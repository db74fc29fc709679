//! When the scripts are written, and when they go.

use std::fs;
use std::process::Command;

use super::{Scene, Subject, text};
use crate::restart::runs::{Bench, Dynamics, Subject as BenchSubject};

const NAMES: [&str; 2] = ["view.vmd", "view.pml"];

/// They are files of the run: told in its record, replaced with it, and not written where they are not wanted.
#[test]
fn scripts_come_and_go_with_their_run() {
    let scene = Scene::of(Subject::Liquid, &["dcd"], "run", "");
    let record: serde_json::Value = serde_json::from_str(&text(&scene.path("run.json"))).unwrap();
    for name in NAMES {
        let files = record["files"].as_array().unwrap();
        assert!(files.iter().any(|file| file == name), "{files:?}");
        assert!(text(&scene.path(name)).contains("H128O64, 192 atoms, 64 molecules"));
    }
    assert_eq!(record["config"]["output"]["view"], true);
    let again = |more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_mdrun"))
            .args(["run.toml", "-q"])
            .args(more)
            .current_dir(scene.folder.path())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, error) = again(&[]);
    assert!(
        code == Some(2) && error.contains("holds a run already"),
        "{error}"
    );
    let (code, error) = again(&["--force", "--set", "output.view=false"]);
    assert_eq!(code, Some(0), "{error}");
    for name in NAMES {
        assert!(!scene.path(name).exists(), "{name}");
    }
}

/// A run that was killed and goes on has the scripts of one that nobody disturbed, to the byte, wherever it is; one that goes on
/// keeps what a user has made of them.
#[test]
fn a_run_that_goes_on_has_the_scripts_that_it_began_with() {
    let bench = Bench::new(BenchSubject::Argon, Dynamics::Nve, 40, "");
    let (whole, killed) = (bench.at("whole"), bench.at("killed"));
    bench.complete(&whole, &["-q"]);
    let mut child = bench.start(&killed, &["-q"]);
    while !killed.join("state.ckpt").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let changed = killed.join(NAMES[1]);
    fs::write(&changed, "mine").unwrap();
    fs::remove_file(killed.join(NAMES[0])).unwrap();
    bench.complete(&killed, &["-q", "--resume", "--set", "dynamics.steps=60"]);
    assert_eq!(text(&killed.join(NAMES[0])), text(&whole.join(NAMES[0])));
    assert_eq!(text(&changed), "mine");
}

/// Members of a batch have scripts where they have trajectories of their own.
#[test]
fn members_have_scripts_beside_their_trajectories() {
    let folder = tempfile::tempdir().unwrap();
    for (members, there) in [("apart", true), ("together", false)] {
        let out = folder.path().join(members);
        let output = crate::support::mdrun(&[
            "configs/conformers.toml",
            "-q",
            "--set",
            "dynamics.steps=4",
            "--set",
            "output.trajectory=[{ format = \"xyz\", every = 2 }]",
            "--set",
            &format!("output.members={members}"),
            "--out",
            out.to_str().unwrap(),
        ]);
        assert!(output.status.success(), "{output:?}");
        for name in NAMES {
            assert!(!out.join(name).exists(), "{name} of all");
            let own = out.join("members/0007").join(name);
            assert_eq!(own.exists(), there, "{}", own.display());
            if there {
                assert!(text(&own).contains("traj.xyz"), "{}", own.display());
            }
        }
    }
}
