//! What the user's terminal shows: lines that fit, and colours where they are wanted.

use std::process::Command;

use super::{mdrun, stdout, text};
use crate::support::{pty, root};

/// Columns of the terminals that are tried.
const NARROW: u16 = 80;
const WIDE: u16 = 120;

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    command.args(args).current_dir(root());
    // `CI` counts as a terminal with colours, even a dumb one.
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "CI"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color");
    command
}

/// Text without the codes for colours, the cursor and the progress bar, as lines.
fn lines(shown: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut rest = shown;
    while let Some(at) = rest.find('\x1b') {
        plain += &rest[..at];
        let code = rest[at..].find(|c: char| c.is_ascii_alphabetic());
        rest = &rest[at + code.map_or(1, |end| end + 1)..];
    }
    plain += rest;
    // What a carriage return goes back over is drawn anew.
    let last = |line: &str| line.rsplit('\r').next().unwrap_or_default().to_owned();
    plain.split('\n').map(last).collect()
}

fn too_long(shown: &str, columns: u16) -> Vec<String> {
    let long = |line: &String| line.chars().count() > usize::from(columns);
    lines(shown).into_iter().filter(long).collect()
}

/// Everything that a user sees first fits 80 columns, but for commands that are to be copied.
#[test]
fn what_is_shown_fits_the_terminal() {
    let out = tempfile::tempdir().unwrap();
    let ethanol = text(&out.path().join("ethanol")).to_owned();
    let water = text(&out.path().join("water")).to_owned();
    let steps = "dynamics.steps=40";
    let structure = "configs/structures/water64.xyz";
    let commands: [&[&str]; 12] = [
        &[
            "configs/ethanol_nve.toml",
            "--set",
            steps,
            "--out",
            &ethanol,
        ],
        &["configs/water_nve.toml", "--set", steps, "--out", &water],
        &["check", "configs/ethanol_nve.toml"],
        &["diagnose", &ethanol, "--minutes", "0.01"],
        &[
            "energy",
            "--model",
            "painn_hcno_gfn2",
            "--structure",
            structure,
        ],
        &["bench", "--sizes", "9", "--iters", "2"],
        &["--help"],
        &["check", "--help"],
        &["diagnose", "--help"],
        &["energy", "--help"],
        &["bench", "--help"],
        &["--version"],
    ];
    for args in commands {
        let (status, shown) = pty::run(program(args), NARROW);
        assert!(status.code().is_some(), "{args:?}");
        assert!(lines(&shown).len() > 4, "{args:?}: {shown}");
        let long = too_long(&shown, NARROW);
        assert!(long.is_empty(), "{args:?}\n{}\n{shown}", long.join("\n"));
    }
}

/// The live table has the columns that there is room for, and in a pipe always all.
#[test]
fn the_live_table_uses_the_room_that_there_is() {
    let out = tempfile::tempdir().unwrap();
    let run = text(&out.path().join("run")).to_owned();
    let args = [
        "configs/water_nve.toml",
        "--set",
        "dynamics.steps=10",
        "--force",
        "--out",
        &run,
    ];
    let heading = |shown: &str| {
        let names = lines(shown)
            .into_iter()
            .find(|line| line.contains("E_conserved"));
        let names = names.unwrap_or_else(|| panic!("no table: {shown}"));
        names
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let narrow = heading(&pty::run(program(&args), NARROW).1);
    assert_eq!(
        narrow,
        ["step", "t", "E_pot", "E_conserved", "T", "P", "drift"]
    );
    let all = [
        "step",
        "t/ps",
        "E_pot/eV",
        "E_kin/eV",
        "E_conserved/eV",
        "T/K",
        "P/bar",
        "drift",
        "meV/at/ps",
    ];
    assert_eq!(heading(&pty::run(program(&args), WIDE).1), all);
    assert_eq!(heading(stdout(&mdrun(&args))), all);
}

/// A verdict and an error are in colour on a terminal, not in a pipe, and as the usual variables say.
#[test]
fn colours_are_there_where_they_are_wanted() {
    let good = ["check", "configs/argon_nve.toml"];
    let wrong = ["nowhere.toml"];
    let coloured = |shown: &str| shown.contains("\x1b[1m") || shown.contains("\x1b[3");
    for args in [&good[..], &wrong] {
        let seen = |variable: Option<(&str, &str)>| {
            let mut command = program(args);
            command.envs(variable);
            coloured(&pty::run(command, NARROW).1)
        };
        assert!(seen(None), "{args:?}");
        assert!(!seen(Some(("NO_COLOR", "1"))), "{args:?}");
        assert!(!seen(Some(("TERM", "dumb"))), "{args:?}");
        let piped = |variable: Option<(&str, &str)>| {
            let output = program(args).envs(variable).output().unwrap();
            let all = [output.stdout, output.stderr].concat();
            coloured(&String::from_utf8_lossy(&all))
        };
        assert!(!piped(None), "{args:?}");
        assert!(piped(Some(("CLICOLOR_FORCE", "1"))), "{args:?}");
    }
}

/// Files have no colours, even where everything that is printed has them.
#[test]
fn colours_never_go_into_files() {
    let out = tempfile::tempdir().unwrap();
    let run = out.path().join("run");
    let mut command = program(&[
        "configs/argon_nve.toml",
        "--set",
        "dynamics.steps=200",
        "--out",
        text(&run),
    ]);
    command.env("CLICOLOR_FORCE", "1");
    let (status, shown) = pty::run(command, NARROW);
    assert!(status.success() && shown.contains("\x1b["), "{shown}");
    let mut files = 0;
    for entry in std::fs::read_dir(&run).unwrap() {
        let path = entry.unwrap().path();
        let readable = path
            .extension()
            .is_some_and(|e| ["json", "csv", "pdb", "xyz"].iter().any(|k| e == *k));
        if readable {
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.contains(&0x1b), "{}", path.display());
        }
    }
    assert!(files >= 3, "run.json, thermo.csv and topology.pdb at least");
}
