//! PLUMED itself, where the environment variable PLUMED_KERNEL names its kernel.

use std::fs;
use std::path::PathBuf;

use super::bias::forces_are_slopes;
use super::{bench, column, difference, plain, spread};
use crate::restart::kill::survives;
use crate::restart::runs::{Dynamics, Subject, stderr};
use crate::support::root;

/// PLUMED's kernel; `None`, with a word, where none is named.
///
/// # Panics
/// None is named, and MDRUN_REQUIRE_PLUMED is set.
fn kernel() -> Option<PathBuf> {
    let named = std::env::var_os("PLUMED_KERNEL").map(PathBuf::from);
    let required = std::env::var_os("MDRUN_REQUIRE_PLUMED").is_some();
    assert!(
        named.is_some() || !required,
        "PLUMED_KERNEL names no kernel, and MDRUN_REQUIRE_PLUMED is set"
    );
    if named.is_none() {
        eprintln!("skipped: PLUMED_KERNEL names no kernel");
    }
    named
}

const RESTRAINT: &str = "d: DISTANCE ATOMS=4,62\nr: RESTRAINT ARG=d AT=0.6 KAPPA=2000\n";

#[test]
fn its_forces_and_strain_derivative_are_slopes() {
    if let Some(kernel) = kernel() {
        forces_are_slopes(
            &kernel,
            "d: DISTANCE ATOMS=1,4\nRESTRAINT ARG=d AT=0.11 KAPPA=40000\n",
        );
    }
}

/// 1e-16 grows by no more than 1e6 in 50 steps of liquid argon.
#[test]
fn its_restraint_is_a_spring_of_a_group() {
    const ROUNDING: f64 = 1e-10;
    let Some(kernel) = kernel() else {
        return;
    };
    let constant = 2000.0 / 96.485_332_123_310_02 / 100.0;
    let group = format!(
        "[[group]]\nname = \"one\"\natoms = \"index 3\"\n[[group]]\nname = \"other\"\natoms = \"index 61\"\n\
         [group.spring]\nto = \"one\"\nlength = \"6 A\"\nconstant = \"{constant:?} eV/A^2\"\n"
    );
    let what = (Subject::Argon, Dynamics::Nve, 50);
    let (ours, theirs) = (plain(what, &group), bench(&kernel, RESTRAINT, what, ""));
    let (one, other) = (ours.at("run"), theirs.at("run"));
    ours.complete(&one, &["-q"]);
    theirs.complete(&other, &["-q"]);
    for name in [
        "potential_energy_ev",
        "kinetic_energy_ev",
        "external_energy_ev",
        "pressure_bar",
    ] {
        let (one, other) = (column(&one, name), column(&other, name));
        let apart = difference(&one, &other);
        let largest = one.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        eprintln!("{name}: {apart:e} of {largest:e}");
        assert!(
            largest > 1e-4 && apart < ROUNDING * largest,
            "{name}: {apart:e}"
        );
    }
}

/// A bias that is the energy itself doubles all forces.
#[test]
fn it_may_bias_the_energy() {
    let Some(kernel) = kernel() else {
        return;
    };
    let input = "e: ENERGY\nBIASVALUE ARG=e\n";
    let what = (Subject::Argon, Dynamics::Nve, 20);
    let bench = bench(&kernel, input, what, "");
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    // Twice the energy in all: the bias is the potential once more.
    let (whole, bias) = (
        column(&run, "potential_energy_ev"),
        column(&run, "external_energy_ev"),
    );
    let twice: Vec<f64> = bias.iter().map(|e| 2.0 * e).collect();
    assert!(difference(&whole, &twice) < 1e-9);
    let kinetic = spread(&column(&run, "kinetic_energy_ev"));
    let conserved = spread(&column(&run, "total_energy_ev"));
    assert!(conserved < 0.01 * kinetic, "{conserved} {kinetic}");
}

/// Lines fall on the steps of checkpoints: elsewhere PLUMED writes its header once more into a file that it goes on with.
#[test]
fn runs_with_it_survive_kills() {
    let Some(kernel) = kernel() else {
        return;
    };
    let input = format!("{RESTRAINT}PRINT ARG=d,r.bias FILE=COLVAR STRIDE=7\n");
    let bench = bench(
        &kernel,
        &input,
        (Subject::Argon, Dynamics::Langevin, 70),
        "",
    );
    survives(&bench, 61, 3);
    let right = fs::read(bench.at("whole/COLVAR")).unwrap();
    assert!(right == fs::read(bench.at("run0/COLVAR")).unwrap());
}

/// A line now and then is no reason to end; a basin that is reached is.
#[test]
fn it_ends_a_run_where_it_is_asked_to() {
    let Some(kernel) = kernel() else {
        return;
    };
    let wide = "d: DISTANCE ATOMS=4,62\nPRINT ARG=d FILE=COLVAR STRIDE=7\n";
    let basin = |least: f64| {
        format!("{wide}t: TIME\nCOMMITTOR ARG=t STRIDE=5 BASIN_LL1={least} BASIN_UL1=9.0\n")
    };
    // Steps of 4 fs: 0.03 ps are passed at the tenth.
    for (input, steps) in [(wide.to_owned(), 20.0), (basin(0.03), 10.0)] {
        let bench = bench(&kernel, &input, (Subject::Argon, Dynamics::Nve, 20), "");
        let run = bench.at("run");
        bench.complete(&run, &["-q"]);
        assert_eq!(*column(&run, "step").last().unwrap(), steps, "{input}");
    }
    let bench = bench(
        &kernel,
        &basin(-1.0),
        (Subject::Argon, Dynamics::Nve, 20),
        "",
    );
    let output = bench.run(&bench.at("run"), &["-q"]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("PLUMED asks for the end before the first step"),
        "{told}"
    );
}

#[test]
fn what_it_says_is_told() {
    let Some(kernel) = kernel() else {
        return;
    };
    for (input, says) in [
        ("d: DISTNACE ATOMS=1,2\n", "DISTNACE"),
        ("d: DISTANCE ATOMS=1,900\n", "900"),
        ("d: DIPOLE GROUP=1-4\nPRINT ARG=d FILE=COLVAR\n", "harges"),
    ] {
        let bench = bench(&kernel, input, (Subject::Argon, Dynamics::Nve, 5), "");
        let run = bench.at("run");
        let output = bench.run(&run, &["-q"]);
        let told = stderr(&output);
        eprintln!("{told}");
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(
            told.contains("plumed.input") && told.contains(says),
            "{told}"
        );
    }
}

/// Metadynamics of alanine dipeptide along both of its angles: energy less work is conserved, and hills fill the basin in which it
/// begins until it leaves that. Minutes: behind MDRUN_VALIDATE=1.
#[test]
fn metadynamics_of_alanine_dipeptide() {
    const STEPS: usize = 40_000;
    let Some(kernel) = kernel().filter(|_| std::env::var_os("MDRUN_VALIDATE").is_some()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let input = "phi: TORSION ATOMS=2,4,5,7\npsi: TORSION ATOMS=4,5,7,9\n\
                 m: METAD ARG=phi,psi PACE=100 HEIGHT=2.0 SIGMA=0.35,0.35 FILE=HILLS\n\
                 PRINT ARG=phi,psi,m.bias FILE=COLVAR STRIDE=100\n";
    fs::write(folder.path().join("plumed.dat"), input).unwrap();
    let structure = root().join("configs/structures/alanine_dipeptide.xyz");
    let text = format!(
        "[system]\nstructure = {structure:?}\nvelocities = {{ temperature = \"300 K\", seed = 1 }}\n\
         [potential]\nmodel = \"painn_hcno_gfn2\"\n\
         [dynamics]\nensemble = \"langevin\"\ntemperature = \"300 K\"\nfriction = \"5 1/ps\"\nseed = 2\ntimestep = \"0.5 fs\"\n\
         steps = {STEPS}\n[plumed]\ninput = \"plumed.dat\"\nkernel = {kernel:?}\n[device]\nkind = \"cpu\"\n\
         [output]\nthermo_every = 100\n"
    );
    let config = folder.path().join("run.toml");
    fs::write(&config, text).unwrap();
    let run = folder.path().join("run");
    let output = crate::support::mdrun(&[
        &config.display().to_string(),
        "--out",
        &run.display().to_string(),
        "-q",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let colvar = fs::read_to_string(run.join("COLVAR")).unwrap();
    let rows: Vec<Vec<f64>> = (colvar.lines().filter(|line| !line.starts_with('#')))
        .map(|line| {
            line.split_whitespace()
                .map(|x| x.parse().unwrap())
                .collect()
        })
        .collect();
    let angles = |k: usize| rows.iter().map(|row| row[k]).collect::<Vec<f64>>();
    let (work, conserved) = (
        column(&run, "pulling_work_ev"),
        column(&run, "conserved_energy_ev"),
    );
    let (phi, psi) = (spread(&angles(1)), spread(&angles(2)));
    let (work, within) = (work.last().copied().unwrap(), spread(&conserved));
    eprintln!(
        "work {work:.3} eV, conserved within {within:.4} eV, phi over {phi:.2}, psi over {psi:.2} rad"
    );
    assert!(work > 1.0 && within < 0.02 * work, "{work} {within}");
    assert!(psi > 3.0 && phi > 1.5, "{phi} {psi}");
}
