//! Many systems at once, as a user asks for them and asks what they are.

use std::fs;
use std::path::PathBuf;

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
