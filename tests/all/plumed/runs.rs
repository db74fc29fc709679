//! Runs with the stand-in: a spring of PLUMED's is a spring of ours, hills do the work that is told, each step is told once.

use std::fs;
use std::path::Path;

use super::{bench, column, difference, kernel, plain, spread};
use crate::restart::runs::{Bench, Dynamics, Subject, stderr};

/// kJ/mol in eV, and the square of a nanometre in square angstrom.
const KJ_PER_MOL: f64 = 1.0 / 96.485_332_123_310_02;
const NM2: f64 = 100.0;
/// A spring across the border: atoms counted from 0, length (angstrom), constant (kJ/mol/nm^2).
const SPRING: (usize, usize, f64, f64) = (3, 61, 6.0, 2000.0);
const STEPS: u64 = 50;

/// The spring as a group's.
fn group() -> String {
    let (i, j, length, constant) = SPRING;
    let constant = constant * KJ_PER_MOL / NM2;
    format!(
        "[[group]]\nname = \"one\"\natoms = \"index {i}\"\n[[group]]\nname = \"other\"\natoms = \"index {j}\"\n\
         [group.spring]\nto = \"one\"\nlength = \"{length} A\"\nconstant = \"{constant:?} eV/A^2\"\n"
    )
}

/// The same as the stand-in's.
fn line() -> String {
    let (i, j, length, constant) = SPRING;
    format!("spring {} {} {} {constant}\n", i + 1, j + 1, length / 10.0)
}

/// Takes out what does not go with springs of groups.
fn without_drift_removal(bench: &Bench) {
    let text = fs::read_to_string(&bench.config).unwrap();
    fs::write(&bench.config, text.replace("remove_drift = 10\n", "")).unwrap();
}

fn told(run: &Path) -> String {
    fs::read_to_string(run.join("TOLD")).unwrap()
}

/// Two codes that round differently: 1e-16 grows by no more than 1e5 in 50 steps of liquid argon.
#[test]
fn a_spring_is_that_of_a_group() {
    const ROUNDING: f64 = 1e-10;
    let Some(kernel) = kernel() else {
        return;
    };
    for dynamics in [Dynamics::Nve, Dynamics::Langevin, Dynamics::Csvr] {
        let what = (Subject::Argon, dynamics, STEPS);
        let (ours, theirs) = (plain(what, &group()), bench(&kernel, &line(), what, ""));
        let (one, other) = (ours.at("run"), theirs.at("run"));
        for (bench, run) in [(&ours, &one), (&theirs, &other)] {
            without_drift_removal(bench);
            bench.complete(run, &["-q"]);
        }
        for name in [
            "potential_energy_ev",
            "kinetic_energy_ev",
            "external_energy_ev",
        ] {
            let (one, other) = (column(&one, name), column(&other, name));
            let apart = difference(&one, &other);
            let largest = one.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
            assert!(
                largest > 1e-3 && apart < ROUNDING * largest,
                "{dynamics:?} {name}: {apart:e}"
            );
        }
        let told = told(&other);
        let words: Vec<&str> = told.split_whitespace().collect();
        let steps = format!("restart 0 steps {} last {STEPS} kt", STEPS + 1);
        assert_eq!(words[..7].join(" "), steps, "{told}");
        let kt: f64 = words[7].parse().unwrap();
        let bath = match dynamics {
            Dynamics::Nve => 0.0,
            _ => 200.0 * 8.617_333_262_145e-5,
        };
        assert!((kt - bath).abs() < 1e-11, "{told}");
        // Steps 0, 7, .. 49.
        assert!(told.trim_end().ends_with("checkpoints 8"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

/// The pressure has the spring's part in it: that of a group's spring between two centres has.
#[test]
fn a_spring_presses_as_that_of_a_group() {
    let Some(kernel) = kernel() else {
        return;
    };
    let what = (Subject::Argon, Dynamics::Nve, 2);
    let trajectories = |bench: &Bench| {
        let run = bench.at("run");
        bench.complete(&run, &["-q"]);
        fs::read_to_string(run.join("traj.xyz")).unwrap()
    };
    let pressure = |bench: &Bench| {
        let plan = mdrun::config::load(&bench.config, &[], None).unwrap();
        assert!(plan.start.cell.is_periodic());
        trajectories(bench);
        column(&bench.at("run"), "pressure_bar")
    };
    let with = |more: String| {
        let bench = plain(what, &more);
        pressure(&bench)
    };
    let (without, ours) = (with(String::new()), with(group()));
    let theirs = pressure(&bench(&kernel, &line(), what, ""));
    assert!(difference(&without, &ours) > 1.0);
    assert!(difference(&ours, &theirs) < 1e-9);
}

/// What hills add is work; energy less work is conserved as well as the energy of a run without them.
#[test]
fn hills_do_work() {
    let Some(kernel) = kernel() else {
        return;
    };
    // The highest hill is a fifth of an eV within 0.3 A: slow against a step of 1 fs.
    let input = "hills 1 9 10 4 0.03\nprint 5\n";
    let what = (Subject::Ethanol, Dynamics::Nve, 400);
    let (biased, free) = (bench(&kernel, input, what, ""), plain(what, ""));
    let (with, without) = (biased.at("run"), free.at("run"));
    biased.complete(&with, &["-q"]);
    free.complete(&without, &["-q"]);
    let work = column(&with, "pulling_work_ev");
    let (total, conserved) = (
        column(&with, "total_energy_ev"),
        column(&with, "conserved_energy_ev"),
    );
    let own = spread(&column(&without, "conserved_energy_ev"));
    let last = *work.last().unwrap();
    let (wide, narrow) = (spread(&total), spread(&conserved));
    eprintln!(
        "work {last:.6} eV, total within {wide:.6}, conserved within {narrow:.6}, without hills {own:.6}"
    );
    assert!(last > 0.1 && wide > 0.1, "{last} {wide}");
    assert!(narrow < 5.0 * own, "{narrow} {own}");
    // One at each tenth step behind the first.
    let hills = fs::read_to_string(with.join("HILLS")).unwrap();
    assert_eq!(hills.lines().count(), 40);
    let table = fs::read_to_string(with.join("COLVAR")).unwrap();
    let steps: Vec<&str> = table
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let wanted: Vec<String> = (0..=80).map(|k| (5 * k).to_string()).collect();
    assert_eq!(steps, wanted);
    // What PLUMED says of its bias is what the thermo table says.
    let told: Vec<f64> = table
        .lines()
        .map(|line| line.split(' ').nth(2).unwrap().parse().unwrap())
        .collect();
    let energies: Vec<f64> = column(&with, "external_energy_ev")
        .into_iter()
        .step_by(5)
        .collect();
    assert!(
        difference(
            &energies,
            &(told.iter().map(|e| e * KJ_PER_MOL).collect::<Vec<_>>())
        ) < 1e-12
    );
}

/// A bias that stays does no work: what is told of it is the error of the trapezoidal rule, on a cell that breathes too.
#[test]
fn a_bias_that_stays_does_no_work() {
    let Some(kernel) = kernel() else {
        return;
    };
    for dynamics in [
        Dynamics::Nve,
        Dynamics::Langevin,
        Dynamics::Mtk,
        Dynamics::Npt,
        Dynamics::NptTriclinic,
    ] {
        let bench = bench(&kernel, &line(), (Subject::Argon, dynamics, 60), "");
        without_drift_removal(&bench);
        let run = bench.at("run");
        bench.complete(&run, &["-q"]);
        let external = spread(&column(&run, "external_energy_ev"));
        let work = spread(&column(&run, "pulling_work_ev"));
        eprintln!(
            "{dynamics:?}: energy of the bias within {external:.2e} eV, work within {work:.2e}"
        );
        assert!(external > 1e-3, "{dynamics:?}: {external:e}");
        assert!(
            work < 1e-3 * external,
            "{dynamics:?}: {work:e} of {external:e}"
        );
    }
}

/// A kernel of PLUMED 2.5 to 2.7, whose table knows nothing of what pointers point to, does the same.
#[test]
fn an_older_kernel_does_the_same() {
    let (Some(kernel), Some(older)) = (
        kernel(),
        super::compiled("plumed_older.so", &["-DVERSION=2"]),
    ) else {
        return;
    };
    let what = (Subject::Argon, Dynamics::Nve, 20);
    let tables = [kernel, older].map(|kernel| {
        let bench = bench(&kernel, &line(), what, "");
        let run = bench.at("run");
        bench.complete(&run, &["-q"]);
        fs::read(run.join("thermo.csv")).unwrap()
    });
    assert!(tables[0] == tables[1]);
}

/// The environment names the kernel where the run file does not.
#[test]
fn the_environment_names_a_kernel() {
    let Some(kernel) = kernel() else {
        return;
    };
    let bench = bench(&kernel, &line(), (Subject::Argon, Dynamics::Nve, 5), "");
    let text = fs::read_to_string(&bench.config).unwrap();
    let without: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("kernel ="))
        .collect();
    fs::write(&bench.config, without.join("\n")).unwrap();
    let run = bench.at("run");
    let output = bench
        .command(&run, &["-q"])
        .env("PLUMED_KERNEL", &kernel)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(told(&run).contains("steps 6"));
}

/// Where PLUMED asks for the end, the run ends as one that is complete, after that very step.
#[test]
fn plumed_may_end_a_run() {
    let Some(kernel) = kernel() else {
        return;
    };
    let what = (Subject::Argon, Dynamics::Nve, STEPS);
    let bench = bench(&kernel, "spring 1 2 0.4 100\nstop 23\n", what, "");
    let run = bench.at("run");
    let output = bench.complete(&run, &[]);
    let said = stderr(&output);
    assert!(
        said.contains("PLUMED asks for the end at step 23"),
        "{said}"
    );
    assert_eq!(crate::restart::runs::newest(&run).step, 23);
    assert_eq!(*column(&run, "step").last().unwrap(), 23.0);
}
