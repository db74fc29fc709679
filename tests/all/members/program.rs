//! Batches by the program: killed at random moments and taken up again, with few files, on a disk that fills up, and last states that
//! others begin from.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use mdrun::report::checkpoint::store;

use super::ends::{assert_same, files_of};
use super::plans::{CPU, MOLECULES, frame_of, read, row_of};
use crate::restart::kill::{Moments, kill_after};
use crate::restart::runs::{Bench, record, status, stderr};
use crate::support::root;

/// Kills of each kind of batch. Ten times as many with MDRUN_VALIDATE=1.
const KILLS: u32 = 8;
const MOST_SITTINGS: u32 = 200;

/// Molecules of each size, so many of each and most of them at once; the last is so hot that it breaks the limit on forces.
fn molecules(dynamics: &str, replicas: usize, in_flight: usize, output: &str) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let mut systems = String::new();
    for (name, text) in MOLECULES {
        let path = match text {
            "" => root().join("configs/structures/ethanol.xyz"),
            text => {
                let path = folder.path().join(format!("{name}.xyz"));
                fs::write(&path, text).unwrap();
                path
            }
        };
        let kelvin = if name == "ethanol" { 9000 } else { 300 };
        systems += &format!(
            "[[system]]\nstructure = {:?}\nreplicas = {replicas}\n\
             velocities = {{ temperature = \"{kelvin} K\", seed = 1 }}\n",
            path.display().to_string()
        );
    }
    let config = folder.path().join("run.toml");
    let text = format!(
        "{systems}[potential]\nmodel = \"painn_hcno_gfn2\"\n[dynamics]\n{dynamics}\ntimestep = \"0.5 fs\"\nsteps = 50\n\
         [output]\nthermo_every = 1\ncheckpoint_every = \"7 steps\"\n{output}\n\
         [monitor]\nforce = \"9 eV/A\"\naction = \"stop\"\nrecord = false\n{CPU}threads = 2\nin_flight = {in_flight}\n"
    );
    fs::write(&config, text).unwrap();
    Bench { folder, config }
}

const NVE: &str = "ensemble = \"nve\"";
const LANGEVIN: &str = "ensemble = \"langevin\"\ntemperature = [\"200 K\", \"400 K\"]\nfriction = \"5 1/ps\"\nseed = 3\n\
                        remove_drift = 10";
const NOSE_HOOVER: &str =
    "ensemble = \"nose_hoover\"\ntemperature = [\"200 K\", \"400 K\"]\nrelaxation = \"20 fs\"";
const TRAJECTORIES: &str = "[[output.trajectory]]\nformat = \"xyz\"\nevery = 3\nfields = [\"velocities\", \"forces\"]\n\
                            [[output.trajectory]]\nformat = \"dcd\"\nevery = 5\n\
                            [[output.trajectory]]\nformat = \"xtc\"\nevery = 4";
const TOGETHER: &str = "members = \"together\"\n[[output.trajectory]]\nformat = \"xyz\"\nevery = 3";

/// Runs into `run` with one kill after another; gives how many, and what was said.
fn disturbed(bench: &Bench, run: &Path, moments: &mut Moments) -> (u32, String) {
    let mut story = String::new();
    for kills in 0..MOST_SITTINGS {
        let mut child = bench.start(run, &["--resume"]);
        let moment = moments.next();
        let killed = kill_after(&mut child, moment);
        let output = child.wait_with_output().unwrap();
        story += &format!("\nafter {moment:?}: {}", stderr(&output).trim());
        if !killed {
            assert_eq!(output.status.code(), Some(1), "{story}");
            assert_eq!(status(run), "failed", "{story}");
            return (kills, story);
        }
    }
    panic!("killed {MOST_SITTINGS} times, and not at its end: {story}");
}

fn survives(bench: &Bench, seed: u32) {
    let whole = bench.at("whole");
    let began = Instant::now();
    let output = bench.run(&whole, &["-q"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let mut moments = Moments::within(began.elapsed(), seed);
    let right = files_of(&whole);
    let failed = record(&whole)["summary"]["failed"].as_u64().unwrap();
    let complete = record(&whole)["summary"]["complete"].as_u64().unwrap();
    println!("{failed} members failed, {complete} are complete");
    assert!(failed > 0 && complete > 0);
    let most = match std::env::var_os("MDRUN_VALIDATE") {
        Some(_) => 10 * KILLS,
        None => KILLS,
    };
    let mut killed = 0;
    for n in 0.. {
        let run = bench.at(&format!("run{n}"));
        let (kills, story) = disturbed(bench, &run, &mut moments);
        assert_same(&files_of(&run), &right, &story);
        killed += kills;
        if killed >= most {
            println!("{killed} kills in {} batches", n + 1);
            return;
        }
    }
}

#[test]
fn a_batch_survives_kills() {
    survives(&molecules(NVE, 2, 3, TRAJECTORIES), 21);
}

#[test]
fn a_batch_with_thermostats_survives_kills() {
    survives(&molecules(LANGEVIN, 1, 2, TRAJECTORIES), 22);
}

#[test]
fn a_batch_with_chains_of_thermostats_survives_kills() {
    survives(&molecules(NOSE_HOOVER, 1, 2, TRAJECTORIES), 24);
}

/// Each member's bonds to hydrogen stay as long as they are in its structure.
#[test]
fn a_batch_with_constraints_survives_kills() {
    let bench = molecules(LANGEVIN, 1, 2, TRAJECTORIES);
    let text = fs::read_to_string(&bench.config).unwrap();
    // Without its vibrations hot ethanol pulls by no more than some 5 eV/A.
    let text = text.replace("9 eV/A", "3 eV/A");
    fs::write(
        &bench.config,
        text + "[constraints]\nbonds = \"hydrogen\"\n",
    )
    .unwrap();
    survives(&bench, 25);
}

#[test]
fn a_batch_with_one_trajectory_survives_kills() {
    survives(&molecules(NVE, 2, 8, TOGETHER), 23);
}

/// `mdrun resume DIR`, from a copy of what a killed batch has left; a signal ends a batch with its code, and what is said tells how
/// to go on.
#[test]
fn a_batch_goes_on_by_its_directory() {
    let bench = molecules(NVE, 2, 3, TRAJECTORIES);
    let (whole, run) = (bench.at("whole"), bench.at("run"));
    bench.run(&whole, &["-q"]);
    let mut child = bench.start(&run, &[]);
    let newest = run.join("state_prev.ckpt");
    while !newest.exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it has ended before a second checkpoint"
        );
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = mdrun(&["resume", "-q", run.to_str().unwrap()]);
    assert_eq!(resumed.status.code(), Some(1), "{}", stderr(&resumed));
    assert_same(&files_of(&run), &files_of(&whole), &stderr(&resumed));
    let again = mdrun(&["resume", run.to_str().unwrap(), "--json"]);
    assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
    let summary: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(summary["members"], 8);
}

fn mdrun(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mdrun"))
        .args(args)
        .output()
        .unwrap()
}

/// A member that fails is told in a line with the command that looks at it, which fails in the same way; of many such lines
/// the first are printed.
#[test]
fn failures_are_told_in_a_line_each_and_not_without_end() {
    let bench = molecules(NVE, 1, 4, "");
    let run = bench.at("run");
    let output = bench.run(&run, &[]);
    let told = stderr(&output);
    let line = told
        .lines()
        .find(|line| line.contains("member 3 (ethanol.xyz): step "))
        .unwrap();
    assert!(
        line.contains("; to look: `mdrun ") && line.contains("--member 3`"),
        "{line}"
    );
    let reason = &row_of(&run, 3)[8];
    assert!(line.contains(reason.as_str()), "{line}");
    let alone = bench.run(&bench.at("alone"), &["--member", "3"]);
    assert!(
        stderr(&alone).contains(reason.as_str()),
        "{}",
        stderr(&alone)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "3 complete, 1 failed",
        "failed        member 3: step ",
        "verdict ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let replicas = [
        "--set",
        "system.3.replicas=40",
        "--set",
        "device.in_flight=43",
    ];
    let many = bench.run(&bench.at("many"), &replicas);
    let told = stderr(&many);
    let lines = told.matches("; to look: ").count();
    println!(
        "{lines} lines of {} members that failed",
        record(&bench.at("many"))["summary"]["failed"]
    );
    assert_eq!(lines, 20, "{told}");
    assert!(
        told.contains("more members fail: members.csv has them all"),
        "{told}"
    );
}

/// Last states are starts: a batch that begins from all of them is the one that would have gone on.
#[test]
fn a_batch_that_begins_from_last_states_is_the_one_that_goes_on() {
    let bench = molecules(LANGEVIN, 1, 4, TRAJECTORIES);
    let calm = ["--set", "monitor.force=\"1000 eV/A\"", "-q"];
    let (whole, first) = (bench.at("whole"), bench.at("first"));
    let done = bench.run(
        &whole,
        &[&calm[..], &["--set", "dynamics.steps=80"]].concat(),
    );
    assert!(done.status.success(), "{}", stderr(&done));
    let done = bench.run(
        &first,
        &[&calm[..], &["--set", "dynamics.steps=30"]].concat(),
    );
    assert!(done.status.success(), "{}", stderr(&done));
    let config = bench.at("second.toml");
    let text = format!(
        "[system]\nstructure = {:?}\nframe = \"all\"\n[potential]\nmodel = \"painn_hcno_gfn2\"\n[dynamics]\n{LANGEVIN}\n\
         timestep = \"0.5 fs\"\nsteps = 50\n[output]\nthermo_every = 1\n{CPU}",
        first.display().to_string()
    );
    fs::write(&config, text).unwrap();
    let second = bench.at("second");
    let done = mdrun(&[
        "-q",
        config.to_str().unwrap(),
        "--out",
        second.to_str().unwrap(),
    ]);
    assert!(done.status.success(), "{}", stderr(&done));
    let [one, other] = [&whole, &second].map(|run| read(&run.join("final.xyz")));
    for member in 0..4 {
        let atoms = |text: &str| {
            frame_of(text, member)
                .lines()
                .skip(2)
                .map(str::to_owned)
                .collect()
        };
        let (one, other): (Vec<String>, Vec<String>) = (atoms(&one), atoms(&other));
        assert!(one.len() > 1 && one == other, "member {member}");
    }
}

/// A thousand members with three trajectories each run where a process may have 64 files open.
#[test]
fn a_thousand_members_need_sixty_four_files() {
    let folder = tempfile::tempdir().unwrap();
    let structure = folder.path().join("atom.xyz");
    fs::write(&structure, "1\n\nAr 0 0 0\n").unwrap();
    let config = folder.path().join("run.toml");
    let text = format!(
        "[system]\nstructure = {:?}\nreplicas = 1000\nvelocities = {{ temperature = \"84 K\", seed = 1 }}\n\
         [potential.lennard_jones]\nepsilon = \"0.0103408 eV\"\nsigma = \"3.405 A\"\ncutoff = \"8 A\"\n\
         [dynamics]\nensemble = \"nve\"\ntimestep = \"4 fs\"\nsteps = 8\n[output]\n{TRAJECTORIES}\n{CPU}",
        structure.display().to_string()
    );
    fs::write(&config, text).unwrap();
    let output = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_mdrun"),
        ])
        .args([
            &config,
            Path::new("-q"),
            Path::new("--out"),
            &folder.path().join("run"),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        row_of(&folder.path().join("run"), 999)[3..5],
        ["complete", "8"]
    );
}

/// A disk that fills up ends a batch; with more room it goes on as if nothing had been.
#[test]
fn a_disk_that_fills_up_costs_a_batch_nothing_but_time() {
    let bench = molecules(NVE, 2, 3, "");
    let script = "mount -t tmpfs -o size=700k tmpfs \"$1\" || exit 99
        \"$2\" \"$3\" --out \"$1/run\" --set dynamics.steps=600 -q; echo \"code $?\"
        cp -r \"$1/run\" \"$4/full\"
        mount -o remount,size=20m \"$1\" || exit 98
        \"$2\" \"$3\" --out \"$1/run\" --set dynamics.steps=600 --resume -q; echo \"code $?\"
        cp -r \"$1/run\" \"$4/after\"";
    let Some(output) = crate::restart::faults::in_own_namespace(&bench, script) else {
        return;
    };
    let message = stderr(&output);
    let codes = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(codes, "code 1\ncode 1\n", "{message}");
    for part in [
        "No space left on device",
        "the newest checkpoint is sound",
        "go on with mdrun resume ",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let full = bench.at("full");
    assert_eq!(status(&full), "failed");
    assert!(
        store::newest_of_batch(&full)
            .unwrap()
            .unwrap()
            .remark
            .is_none()
    );
    let whole = bench.at("whole");
    bench.run(&whole, &["-q", "--set", "dynamics.steps=600"]);
    assert_same(&files_of(&bench.at("after")), &files_of(&whole), &message);
}
