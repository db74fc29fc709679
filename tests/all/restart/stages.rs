//! Runs in stages: what they leave, killed or not, and gone on with from the beginning of a stage.

use std::fs;
use std::path::Path;

use mdrun::core::Vec3;
use mdrun::potential::{Evaluation, Potential};
use mdrun::report::Checkpoint;
use mdrun::report::checkpoint::store;
use sha2::{Digest, Sha256};

use super::kill::{Moments, kill_after};
use super::runs::{Bench, Dynamics, Subject, newest, record, status, stderr};
use crate::support::calculators::lennard_jones;
use crate::support::{brute, root};

/// Kills; ten times as many with MDRUN_VALIDATE=1.
pub const KILLS: u32 = 13;
/// A run that was killed so often without coming to its end would never come there.
const MOST_SITTINGS: u32 = 200;
/// What a run in these stages leaves.
const FILES: [&str; 9] = [
    "thermo.csv",
    "traj.xyz",
    "traj.press.xyz",
    "traj.press.dcd",
    "final.xyz",
    "topology.pdb",
    "state.warm.ckpt",
    "state.press.ckpt",
    "state.ckpt",
];

/// Argon, warmed on a ramp, pressed, and left alone: with time steps, trajectories and velocities of their own.
const STAGES: &str = r#"
[dynamics]
ensemble = "langevin"
temperature = "90 K"
friction = "5 1/ps"
seed = 3
timestep = "4 fs"
steps = 24

[output]
thermo_every = 1
checkpoint_every = "7 steps"

[[output.trajectory]]
format = "xyz"
every = 3
fields = ["velocities"]

[device]
kind = "cpu"
threads = 1

[[stage]]
name = "warm"
[stage.dynamics]
temperature = ["20 K", "90 K"]
remove_drift = 4

[[stage]]
name = "press"
[stage.dynamics]
ensemble = "npt"
pressure = ["0 bar", "1 kbar"]
relaxation = "0.1 ps"
barostat_relaxation = "1 ps"
compressibility = "2e-4 1/bar"
barostat_every = 5
duration = "0.1 ps"
[[stage.output.trajectory]]
format = "xyz"
every = 2
[[stage.output.trajectory]]
format = "dcd"
every = 5
[stage.monitor]
drift = "off"

[[stage]]
name = "produce"
velocities = { temperature = "80 K", seed = 5 }
[stage.dynamics]
ensemble = "nve"
timestep = "2 fs"
steps = 21
"#;

fn system() -> String {
    let structure = root().join("configs/structures/argon256.xyz");
    format!(
        "[system]\nstructure = {structure:?}\nvelocities = \"zero\"\n[potential.lennard_jones]\n\
         epsilon = \"0.0103408 eV\"\nsigma = \"3.405 A\"\ncutoff = \"8 A\"\n"
    )
}

/// A bench whose run file is this text behind that of the system.
pub fn bench(text: &str) -> Bench {
    let bench = Bench::new(Subject::Argon, Dynamics::Nve, 1, "");
    fs::write(&bench.config, system() + text).unwrap();
    bench
}

pub fn hashes(run: &Path, files: &[&str]) -> Vec<(String, Vec<u8>)> {
    let hash = |name: &&str| {
        let path = run.join(name);
        let bytes = match name.strip_suffix(".ckpt") {
            None => fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}")),
            // All of a state but the time that it took.
            Some(_) => {
                let mut state = store::read(&path).unwrap();
                state.elapsed = 0.0;
                state.encode().unwrap()
            }
        };
        ((*name).to_owned(), Sha256::digest(bytes).to_vec())
    };
    files.iter().map(hash).collect()
}

pub fn assert_same(run: &Path, right: &[(String, Vec<u8>)], told: &str) {
    let files: Vec<&str> = right.iter().map(|(name, _)| name.as_str()).collect();
    for ((name, found), (_, wanted)) in hashes(run, &files).iter().zip(right) {
        assert!(found == wanted, "{name} is another one: {told}");
    }
}

/// The thermo table: names of its columns, and its lines by their cells.
pub fn table(run: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let text = fs::read_to_string(run.join("thermo.csv")).unwrap();
    let mut lines = text
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect::<Vec<String>>());
    (lines.next().unwrap(), lines.collect())
}

#[test]
fn a_run_in_stages_is_one_run() {
    let bench = bench(STAGES);
    let run = bench.at("run");
    bench.complete(&run, &[]);
    let (names, lines) = table(&run);
    let column = |name: &str| {
        let place = names.iter().position(|known| known == name).unwrap();
        lines
            .iter()
            .map(|line| line[place].clone())
            .collect::<Vec<_>>()
    };
    let number = |name: &str| -> Vec<f64> {
        column(name)
            .iter()
            .map(|cell| cell.parse().unwrap())
            .collect()
    };
    let steps = number("step");
    let wanted: Vec<f64> = (0..=70).map(f64::from).collect();
    assert_eq!(steps, wanted, "a line each, the border's once");
    let stages = column("stage");
    let ends = [("warm", 0, 24), ("press", 25, 49), ("produce", 50, 70)];
    for (name, first, last) in ends {
        assert!(stages[first..=last].iter().all(|one| one == name), "{name}");
    }
    let times = number("time_fs");
    assert!((times[49] - 196.0).abs() < 1e-9 && (times[70] - 238.0).abs() < 1e-9);
    // The cell moves while it is pressed, and at no other time.
    let volume = number("volume_a3");
    assert!(volume[..=24].iter().all(|v| *v == volume[0]) && volume[49] != volume[0]);
    assert!(volume[49..].iter().all(|v| *v == volume[49]));
    // What a stage takes over: heat and work go on; new velocities are at their temperature.
    let [conserved, temperature] = ["conserved_energy_ev", "temperature_k"].map(number);
    assert!((conserved[25] - conserved[24]).abs() < 2e-3 * 256.0 * 0.02);
    assert!(
        temperature[3] < 30.0 && (50.0..=85.0).contains(&temperature[50]),
        "{temperature:?}"
    );
    let frames = |name: &str| {
        let text = fs::read_to_string(run.join(name)).unwrap();
        text.lines().filter(|line| line.contains("Lattice")).count()
    };
    // Steps 0, 3 .. 24, and 51, 54 .. 69; and 26, 28 .. 48.
    assert_eq!([frames("traj.xyz"), frames("traj.press.xyz")], [9 + 7, 12]);
    let record = record(&run);
    let stages = record["stages"].as_array().unwrap();
    let found: Vec<_> = (stages.iter())
        .map(|s| {
            (
                s["name"].as_str().unwrap(),
                s["first_step"].as_u64(),
                s["last_step"].as_u64(),
            )
        })
        .collect();
    let ends = [("warm", 0, 24), ("press", 24, 49), ("produce", 49, 70)];
    assert_eq!(found, ends.map(|(n, a, b)| (n, Some(a), Some(b))));
    let last = newest(&run);
    let momentum: Vec3 = (last.system.masses.iter().zip(&last.velocities))
        .map(|(m, v)| *m * v)
        .sum();
    assert!(
        momentum.norm() < 1e-9,
        "new velocities have no momentum: {momentum}"
    );
}

#[test]
fn a_run_in_stages_survives_kills() {
    let bench = bench(STAGES);
    let kills = match std::env::var_os("MDRUN_VALIDATE") {
        Some(_) => 10 * KILLS,
        None => KILLS,
    };
    survives(&bench, &FILES, 41, kills);
}

/// Runs that are killed so often, one after another, leave what an undisturbed one leaves.
pub fn survives(bench: &Bench, files: &[&str], seed: u32, kills: u32) {
    let whole = bench.at("whole");
    let began = std::time::Instant::now();
    bench.complete(&whole, &["-q"]);
    let right = hashes(&whole, files);
    let mut moments = Moments::within(began.elapsed(), seed);
    let mut killed = 0;
    for n in 0.. {
        let run = bench.at(&format!("run{n}"));
        let mut story = String::new();
        for sitting in 0.. {
            assert!(sitting < MOST_SITTINGS, "{story}");
            let mut child = bench.start(&run, &["--resume"]);
            let moment = moments.next().mul_f64(1.03_f64.powi(sitting as i32));
            let was_killed = kill_after(&mut child, moment);
            let output = child.wait_with_output().unwrap();
            story += &format!("\nafter {moment:?}: {}", stderr(&output).trim());
            if !was_killed {
                assert!(output.status.success(), "{story}");
                break;
            }
            killed += 1;
        }
        assert_eq!(status(&run), "complete", "{story}");
        assert_same(&run, &right, &story);
        if killed >= kills {
            return;
        }
    }
}

/// A minimisation between two stages: forces as small as asked for, no time and no motion, and energy less work as it was.
#[test]
fn a_stage_may_be_a_minimisation() {
    let relax = "ensemble = \"minimize\"\nforce = \"1 meV/A\"\nmost_steps = 400\n";
    let (before, rest) = STAGES.split_once("[[stage]]\nname = \"press\"").unwrap();
    let (_, produce) = rest.split_once("[[stage]]\nname = \"produce\"").unwrap();
    let text = format!(
        "{before}[[stage]]\nname = \"relax\"\n[stage.dynamics]\n{relax}\n[[stage]]\nname = \"produce\"{produce}"
    );
    let text = text.replace(
        "[\"20 K\", \"90 K\"]",
        "[\"200 K\", \"900 K\"]\nfriction = \"40 1/ps\"",
    );
    let bench = bench(&text);
    let files = [
        "thermo.csv",
        "traj.xyz",
        "final.xyz",
        "state.warm.ckpt",
        "state.relax.ckpt",
        "state.ckpt",
    ];
    survives(&bench, &files, 43, KILLS);
    let run = bench.at("whole");
    let (names, lines) = table(&run);
    let place = |name: &str| names.iter().position(|known| known == name).unwrap();
    let relaxed: Vec<&Vec<String>> = (lines.iter())
        .filter(|line| line[place("stage")] == "relax")
        .collect();
    let column = |name: &str| -> Vec<f64> {
        let cells = relaxed.iter().map(|line| line[place(name)].parse());
        cells.collect::<Result<_, _>>().unwrap()
    };
    assert!(relaxed.len() > 5, "{}", relaxed.len());
    assert!(column("time_fs").iter().all(|time| *time == 96.0));
    assert!(
        column("kinetic_energy_ev")
            .iter()
            .all(|kinetic| *kinetic == 0.0)
    );
    let potential = column("potential_energy_ev");
    assert!(
        potential.windows(2).all(|two| two[1] <= two[0]),
        "{potential:?}"
    );
    let conserved = column("conserved_energy_ev");
    let before: f64 = lines[24][place("conserved_energy_ev")].parse().unwrap();
    assert!(
        conserved
            .iter()
            .all(|energy| (energy - before).abs() < 1e-9),
        "{conserved:?}"
    );
    let ended = store::read(&run.join("state.relax.ckpt")).unwrap();
    assert_eq!(ended.step, 24 + relaxed.len() as u64);
    let mut potential = lennard_jones();
    let forces = forces_of(&mut potential, &ended);
    let largest = forces.iter().map(|force| force.norm()).fold(0.0, f64::max);
    assert!(largest < 1.001e-3, "{largest}");
    assert_eq!(newest(&run).step, ended.step + 21);
}

/// Forces (eV / angstrom) of Lennard-Jones in the state of a checkpoint.
pub fn forces_of(potential: &mut dyn Potential, state: &Checkpoint) -> Vec<Vec3> {
    let pairs = brute::pairs(&state.cell, &state.positions, potential.cutoff());
    let mut found = Evaluation::zeros(state.system.len());
    potential.evaluate(&pairs, &mut found).unwrap();
    found.forces
}

/// What was written from a stage on is written again, to the byte; another stage behind it may be another.
#[test]
fn a_run_goes_on_from_a_stage() {
    let bench = bench(STAGES);
    let run = bench.at("run");
    bench.complete(&run, &[]);
    let right = hashes(&run, &FILES);
    for stage in ["press", "produce"] {
        bench.complete(&run, &["--from", stage]);
        assert_same(&run, &right, stage);
    }
    let settings = [
        "--from",
        "produce",
        "--set",
        "stage.produce.dynamics.steps=10",
    ];
    bench.complete(&run, &settings);
    assert_eq!(newest(&run).step, 59);
    let refused = |more: &[&str], says: &str| {
        let before = hashes(&run, &FILES);
        let output = bench.run(&run, more);
        let told = stderr(&output);
        assert!(
            output.status.code() == Some(2) && told.contains(says),
            "{told}"
        );
        assert_same(&run, &before, "nothing is touched");
    };
    refused(&["--from", "warm"], "it is the first stage");
    refused(
        &["--from", "boil"],
        "there is no stage \"boil\": they are warm, press, produce",
    );
    let other = "stage.warm.dynamics.friction='2 1/ps'";
    refused(
        &["--from", "press", "--set", other],
        "cannot be resumed: dynamics.friction was",
    );
    refused(
        &["--resume", "--set", other],
        "what the stages before it are was",
    );
    fs::remove_file(run.join("state.press.ckpt")).unwrap();
    let output = bench.run(&run, &["--from", "produce"]);
    assert!(stderr(&output).contains("is not there: the state at the end of stage \"press\""));
}

/// A stage that lasts until something has settled ends at a step of its own, and again at the same where it is killed.
#[test]
fn a_stage_ends_when_something_has_settled() {
    let text = STAGES
        .replace(
            "name = \"warm\"",
            "name = \"warm\"\nuntil = \"temperature settled\"\nuntil_window = \"0.52 ps\"",
        )
        .replace(
            "temperature = [\"20 K\", \"90 K\"]",
            "temperature = \"90 K\"\nsteps = 2000",
        );
    let bench = bench(&text);
    let run = bench.at("run");
    let output = bench.complete(&run, &[]);
    let told = stderr(&output);
    assert!(told.contains("temperature settled"), "{told}");
    let ended = record(&run)["stages"][0]["last_step"].as_u64().unwrap();
    // Two windows of 128 steps at the least.
    assert!((255..2000).contains(&ended), "{ended}");
    let right = hashes(&run, &FILES);
    let other = bench.at("other");
    for steps in [100, 250, 300] {
        let mut child = bench.start(&other, &["--resume"]);
        let table = other.join("thermo.csv");
        while child.try_wait().unwrap().is_none() {
            let lines = fs::read_to_string(&table).map_or(0, |text| text.lines().count());
            if lines > steps {
                child.kill().unwrap();
                break;
            }
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        child.wait().unwrap();
    }
    bench.complete(&other, &["--resume"]);
    assert_same(&other, &right, "killed three times");
}

/// What cannot be is refused by name, and nothing is written.
#[test]
fn what_stages_cannot_do_is_refused() {
    let cases = [
        (
            "name = \"press\"",
            "name = \"warm\"",
            "\"warm\" is the name of another stage already",
        ),
        (
            "name = \"press\"",
            "name = \"a/b\"",
            "\"a/b\" is part of names of files",
        ),
        ("name = \"press\"", "", "stage.1.name: is missing"),
        (
            "[stage.monitor]",
            "[stage.system]",
            "[system] is of the whole run",
        ),
        (
            "[stage.monitor]",
            "[stage.moniter]",
            "did you mean \"monitor\"?",
        ),
        (
            "remove_drift = 4",
            "remove_drif = 4",
            "did you mean \"remove_drift\"?",
        ),
        (
            "name = \"warm\"",
            "name = \"warm\"\nuntil = \"density settled\"",
            "the density changes in stages of ensemble = \"npt\" alone",
        ),
        (
            "checkpoint_every = \"7 steps\"",
            "checkpoint_every = \"off\"",
            "a stage begins from the checkpoint",
        ),
        (
            "velocities = \"zero\"",
            "velocities = \"zero\"\nreplicas = 2",
            "stages are of a run of one system",
        ),
        (
            "duration = \"0.1 ps\"",
            "duration = \"0.1\"",
            "dynamics.duration: ",
        ),
    ];
    for (old, new, says) in cases {
        let bench = bench(STAGES);
        let text = fs::read_to_string(&bench.config).unwrap();
        assert!(text.contains(old), "{old}");
        fs::write(&bench.config, text.replacen(old, new, 1)).unwrap();
        let run = bench.at("run");
        let output = bench.run(&run, &[]);
        let told = stderr(&output);
        assert!(
            output.status.code() == Some(2) && told.contains(says),
            "{says}: {told}"
        );
        assert!(told.contains("run.toml:"), "the place: {told}");
        assert!(!run.exists());
    }
}

/// Other commands know of stages.
#[test]
fn other_commands_look_at_a_stage() {
    let bench = bench(STAGES);
    let run = bench.at("run");
    bench.complete(&run, &[]);
    let ask = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mdrun"));
        let output = command.args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
        (output.status.success(), text)
    };
    let [config, place] = [&bench.config, &run].map(|path| path.to_str().unwrap());
    let (good, text) = ask(&["analyze", place, "--stage", "press", "--what", "thermo"]);
    assert!(good && text.contains("density_g_cm3"), "{text}");
    let (good, text) = ask(&["analyze", place, "--stage", "boil"]);
    assert!(
        !good && text.contains("it has warm, press, produce"),
        "{text}"
    );
    let (good, text) = ask(&["report", place]);
    assert!(good, "{text}");
    let (good, text) = ask(&["watch", place, "--once"]);
    println!("{good} {text}");
    let (_, text) = ask(&["check", config, "--set", "device.kind=cpu"]);
    assert!(
        text.contains("warm") && text.contains("stage produce"),
        "{text}"
    );
    let (good, text) = ask(&["validate", config]);
    assert!(
        !good && text.contains("name one with --stage NAME"),
        "{text}"
    );
}
