//! The programs that others have written for the protocol: i-PI and ASE, run by `tests/python/sockets.py` and
//! `integrals.py` beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{python, root};

/// A Python that has i-PI and ASE; `None`, with the reason printed, where there is none.
///
/// # Panics
/// There has to be one: MDRUN_REQUIRE_VALIDATION is set.
fn python_with_both() -> Option<PathBuf> {
    let has = |python: &PathBuf| {
        let output = Command::new(python)
            .args(["-c", "import ipi, ase"])
            .output();
        output.unwrap().status.success()
    };
    let why = match python::environment() {
        Ok(python) if has(&python) => return Some(python),
        Ok(_) => "this Python has no i-PI or no ASE (it is older than 3.11)",
        Err(why) => why,
    };
    python::skip(why);
    None
}

/// Single evaluations and short runs.
const SOCKETS: &str = "sockets.py";
/// Path integrals, constant pressure, cells that shear.
const INTEGRALS: &str = "integrals.py";

/// Runs a check of a script.
///
/// # Panics
/// A figure is too far off.
fn check(script: &str, name: &str) {
    let Some(python) = python_with_both() else {
        return;
    };
    python::check(&python, script, name);
}

/// Runs a check that takes minutes, where it is asked for.
fn check_at_length(script: &str, name: &str) {
    match std::env::var_os("MDRUN_VALIDATE") {
        Some(_) => check(script, name),
        None => eprintln!("skipped: set MDRUN_VALIDATE=1 to run it (minutes)"),
    }
}

#[test]
fn i_pi_moves_atoms_as_a_run_does() {
    check(SOCKETS, "nve");
}

#[test]
fn i_pi_takes_beads_at_once_or_one_by_one() {
    check(SOCKETS, "batch");
}

#[test]
fn ase_finds_the_slopes_of_the_energy() {
    check(SOCKETS, "stress");
}

#[test]
fn i_pi_shears_a_cell_by_the_rows_of_the_virial() {
    check(INTEGRALS, "virial");
}

#[test]
fn i_pis_driver_gives_a_run_its_forces() {
    check(SOCKETS, "harmonic");
}

#[test]
fn ases_client_gives_a_run_forces_and_stress() {
    check(SOCKETS, "ase_client");
}

#[test]
fn ase_optimises_and_finds_vibrations() {
    check_at_length(SOCKETS, "optimise");
}

#[test]
fn i_pi_runs_a_path_integral() {
    check_at_length(INTEGRALS, "pimd");
}

#[test]
fn i_pi_runs_at_constant_pressure() {
    check_at_length(INTEGRALS, "npt");
}

/// The blocks of a language in the page on i-PI and ASE.
fn blocks(language: &str) -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/ipi.md")).unwrap();
    let fence = format!("\n```{language}\n");
    let opened = page.split(&fence).skip(1);
    opened
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// What the page shows runs as it stands there, but for the names of sockets, which are the whole machine's.
#[test]
fn the_page_runs_as_it_stands() {
    let Some(python) = python_with_both() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let own = |text: &str| {
        let name = format!("mdrun_page_{}", std::process::id());
        text.replace("<address>ethanol", &format!("<address>{name}"))
            .replace("unix:ethanol", &format!("unix:{name}"))
            .replace("\"ethanol_ase", &format!("\"{name}_ase"))
    };
    let structures = folder.path().join("configs/structures");
    fs::create_dir_all(&structures).unwrap();
    let ethanol = "configs/structures/ethanol.xyz";
    fs::copy(root().join(ethanol), folder.path().join(ethanol)).unwrap();
    let path = |program: &Path| program.parent().unwrap().to_str().unwrap().to_owned();
    let ours = path(Path::new(env!("CARGO_BIN_EXE_mdrun")));
    let path = format!(
        "{ours}:{}:{}",
        path(&python),
        std::env::var("PATH").unwrap()
    );
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(folder.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {text}{said}"
        );
        text
    };
    let [input] = &blocks("xml")[..] else {
        panic!("one input of i-PI");
    };
    fs::write(folder.path().join("input.xml"), own(input)).unwrap();
    let commands = blocks("sh");
    let command = commands.iter().find(|block| block.starts_with("i-pi "));
    run("sh", &["-e", "-c", &own(command.unwrap())]);
    let properties = fs::read_to_string(folder.path().join("ethanol.out")).unwrap();
    let last = properties.lines().last().unwrap();
    assert_eq!(
        last.split_whitespace().next(),
        Some("1.00000000e+02"),
        "{last}"
    );
    let [script] = &blocks("python")[..] else {
        panic!("one script for ASE");
    };
    fs::write(folder.path().join("optimise.py"), own(script)).unwrap();
    let text = run("python", &["optimise.py"]);
    assert!(
        text.contains("BFGS:") && text.trim_end().ends_with(" eV"),
        "{text}"
    );
}
