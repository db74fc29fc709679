//! Many systems at once, as a user asks for them and asks what they are.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::{json, mdrun, stderr, stdout, text};

/// Distance of neighbours in a cluster of argon (angstrom).
const APART: f64 = 3.8;

/// A chain of argon atoms as a frame of XYZ.
fn chain(atoms: u32) -> String {
    let at = |k: u32| format!("Ar {} {} 0.0\n", APART * f64::from(k), f64::from(k % 2));
    let atoms_of_it: String = (0..atoms).map(at).collect();
    format!("{atoms}\na chain\n{atoms_of_it}")
}

/// A thousand clusters of 4, 5 and 6 atoms, on a ladder of temperatures.
fn thousand(folder: &TempDir) -> PathBuf {
    let [few, more] = ["four.xyz", "more.xyz"].map(|name| folder.path().join(name));
    fs::write(&few, chain(4)).unwrap();
    fs::write(&more, chain(5) + &chain(6)).unwrap();
    let path = folder.path().join("clusters.toml");
    let velocities = "velocities = { temperature = [\"20 K\", \"80 K\"], seed = 1 }";
    let lines = format!(
        "[[system]]\nstructure = {few:?}\nreplicas = 600\n{velocities}\n\
         [[system]]\nstructure = {more:?}\nframe = \"all\"\nreplicas = 200\n{velocities}\n\
         [potential.lennard_jones]\nepsilon = \"0.0103 eV\"\nsigma = \"3.4 A\"\ncutoff = \"8 A\"\n\
         [dynamics]\nensemble = \"langevin\"\ntemperature = [\"20 K\", \"80 K\"]\nfriction = \"1 1/ps\"\nseed = 3\n\
         timestep = \"4 fs\"\nsteps = 20\n[device]\nkind = \"cpu\"\n"
    );
    fs::write(&path, lines).unwrap();
    path
}

/// What was found of this name.
fn all<'f>(found: &'f Value, what: &str) -> Vec<&'f str> {
    let findings = found["findings"].as_array().unwrap();
    let of_it = findings.iter().filter(|f| f["what"] == what);
    of_it.map(|f| f["found"].as_str().unwrap()).collect()
}

/// `mdrun check` says what a thousand systems are in lines of 80 columns, and looks at one of them.
#[test]
fn many_systems_are_checked() {
    let folder = TempDir::new().unwrap();
    let config = thousand(&folder);
    let output = mdrun(&["check", text(&config), "--json"]);
    let found = json(&output);
    assert!(output.status.success(), "{found}");
    let all = |what: &str| all(&found, what);
    assert_eq!(all("members"), ["1000, numbered from 0"]);
    assert_eq!(
        all("from"),
        ["four.xyz, 600 members", "more.xyz, 400 members"]
    );
    assert_eq!(
        all("composition"),
        [
            "Ar4 (4 atoms), 600 members",
            "Ar5 (5 atoms), 200 members",
            "Ar6 (6 atoms), 200 members"
        ]
    );
    assert_eq!(all("atoms of all"), ["4600 atoms"]);
    assert_eq!(all("cells"), ["open, 1000 members"]);
    assert_eq!(
        all("baths"),
        ["20.00 K to 80.00 K, a ladder with the factor 1.0014"]
    );
    // Each table has a ladder of its own.
    assert_eq!(
        all("starts drawn at"),
        ["from 20.00 K to 80.00 K, each its own"]
    );
    assert_eq!(
        all("examined"),
        ["member 800, the largest (more.xyz:1): what follows is of it"]
    );
    assert_eq!(all("atoms"), ["6 (Ar6)"]);
    let printed = mdrun(&["check", text(&config), "--member", "3"]);
    let lines = stdout(&printed);
    assert!(
        lines.contains("member 3 (four.xyz): what follows is of it"),
        "{lines}"
    );
    let of_all = lines.lines().take_while(|line| !line.contains("structure"));
    for line in of_all.filter(|line| !line.contains(" note ")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let set = ["--set", "monitor.temperature=70 K"];
    let hot = mdrun(&[&["check", text(&config), "--json"][..], &set].concat());
    assert_eq!(hot.status.code(), Some(2));
    let hottest = super::members::all(&json(&hot), "hottest start").concat();
    assert!(
        hottest.ends_with("80.00 K, over the limit of 70.0000 K ([monitor] temperature)"),
        "{hottest}"
    );
}

/// A member that there is not, and a run of one system that has none, are refused by every command in the same words.
#[test]
fn members_that_are_not_there_are_refused() {
    let folder = TempDir::new().unwrap();
    let config = thousand(&folder);
    let out = folder.path().join("out");
    for (command, config, says) in [
        (
            &[][..],
            text(&config),
            "there is no member 1000: there are 1000, numbered from 0 to 999",
        ),
        (
            &["check"],
            text(&config),
            "there is no member 1000: there are 1000, numbered from 0 to 999",
        ),
        (
            &[],
            "configs/ethanol_nve.toml",
            "is a run of one system, which has no members",
        ),
        (
            &["check"],
            "configs/ethanol_nve.toml",
            "is a run of one system, which has no members",
        ),
    ] {
        let output = mdrun(&[command, &[config, "--member", "1000"]].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
        assert!(!out.exists());
    }
}

/// What a folder has, by names.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Many systems run from one run file, one of them runs alone to the same bytes, and the rest of the command line knows of both.
#[test]
fn many_systems_run_and_one_of_them_alone() {
    let folder = TempDir::new().unwrap();
    let config = "configs/conformers.toml";
    let [run, alone] = ["run", "alone"].map(|name| folder.path().join(name));
    let set = [
        "--set",
        "dynamics.steps=20",
        "--set",
        "output.thermo_every=5",
        "--set",
        "output.trajectory.0.every=10",
        "--set",
        "device={kind=\"cpu\", in_flight=5}",
    ];
    let to = |out: &Path, more: &[&str]| {
        let out = out.to_str().unwrap();
        let output = mdrun(&[&[config, "--out", out, "--json"][..], &set, more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        json(&output)
    };
    let summary = to(&run, &[]);
    assert_eq!(summary["members"], 16, "{summary}");
    assert_eq!(summary["complete"], 16, "{summary}");
    assert_eq!(summary["steps"], 16 * 20, "{summary}");
    let folders: Vec<String> = (0..16).map(|k| format!("{k:04}")).collect();
    assert_eq!(names(&run.join("members")), folders);
    for name in ["members.csv", "thermo.csv", "final.xyz", "run.json"] {
        assert!(run.join(name).is_file(), "no {name}");
    }
    to(&alone, &["--member", "7"]);
    let traj = |folder: &Path| fs::read(folder.join("traj.xyz")).unwrap();
    assert_eq!(traj(&run.join("members/0007")), traj(&alone));
    assert_ne!(traj(&run.join("members/0006")), traj(&alone));

    // It does not go over what is there, and ends at once where there is nothing left to do.
    let again = mdrun(&[&[config, "--out", text(&run)][..], &set].concat());
    assert_eq!(again.status.code(), Some(2));
    assert!(
        stderr(&again).contains("holds a run already"),
        "{}",
        stderr(&again)
    );
    let resumed = mdrun(&["resume", text(&run)]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    let longer = mdrun(&["resume", text(&run), "--steps", "30", "--json"]);
    assert!(longer.status.success(), "{}", stderr(&longer));
    assert_eq!(json(&longer)["complete"], 16);
    let longer = mdrun(&["resume", text(&alone), "--steps", "30"]);
    assert!(longer.status.success(), "{}", stderr(&longer));
    assert_eq!(traj(&run.join("members/0007")), traj(&alone));

    let diagnosed = mdrun(&["diagnose", text(&run)]);
    assert_eq!(diagnosed.status.code(), Some(2));
    let message = stderr(&diagnosed);
    assert!(message.contains("conformers.toml --member K`"), "{message}");
}

/// A program at a socket computes one system: many are refused before it is waited for.
#[test]
fn many_systems_over_a_socket_are_refused() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    let output = mdrun(&[
        "configs/conformers.toml",
        "--out",
        text(&out),
        "--set",
        "potential={socket=\"unix:nobody\"}",
    ]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(
        message.contains(
            "potential.socket: a program at a socket computes one system, and there are 16"
        ),
        "{message}"
    );
    assert!(!out.exists());
}

/// Batches in a row are one: members go on from their last states, in their noise, to the bit.
#[test]
fn many_systems_begin_from_the_last_states_of_others() {
    let folder = TempDir::new().unwrap();
    let [whole, first, second] = ["whole", "first", "second"].map(|name| folder.path().join(name));
    let run = |config: &str, out: &Path, steps: &str| {
        let steps = format!("dynamics.steps={steps}");
        let plain = "output.trajectory=[]";
        let set = [
            "--set",
            steps.as_str(),
            "--set",
            plain,
            "--set",
            "device.kind=cpu",
        ];
        let output = mdrun(&[&[config, "--out", text(out), "-q"][..], &set].concat());
        assert!(output.status.success(), "{}", stderr(&output));
    };
    run("configs/conformers.toml", &whole, "30");
    run("configs/conformers.toml", &first, "10");
    let config =
        fs::read_to_string(crate::support::root().join("configs/conformers.toml")).unwrap();
    let kept = config
        .lines()
        .filter(|line| !line.starts_with("velocities"));
    let lines = kept.map(|line| match line.split(" = ").next() {
        Some("structure") => format!("structure = {first:?}"),
        Some("replicas") => "frame = \"all\"".to_owned(),
        _ => line.to_owned(),
    });
    let lines: Vec<String> = lines.collect();
    let next = folder.path().join("next.toml");
    fs::write(&next, lines.join("\n")).unwrap();
    run(text(&next), &second, "20");
    let atoms = |run: &Path| -> Vec<String> {
        let last = fs::read_to_string(run.join("final.xyz")).unwrap();
        let lines = last
            .lines()
            .filter(|line| line.starts_with(['C', 'O', 'H']));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(atoms(&whole).len(), 16 * 9);
    assert_eq!(atoms(&second), atoms(&whole));
    assert_ne!(atoms(&first), atoms(&whole));
}
