//! Runs whose numbers are raised on the way: killed before, at and after it, they leave what an undisturbed run leaves.

use std::fs;
use std::path::Path;

use super::kill::survives;
use super::runs::{Bench, Dynamics, Subject, newest, outputs, record, stderr};

/// Steps of a run, and between audits.
const STEPS: u64 = 70;
const EVERY: u64 = 6;
/// Kills of a kind of run.
const KILLS: u32 = 8;

fn bench(dynamics: Dynamics, monitor: &str) -> Bench {
    let more = format!("[monitor]\n{monitor}\n[device]\nkind = \"cpu\"\nthreads = 1\n");
    Bench::new(Subject::Ethanol, dynamics, STEPS, &more)
}

/// The column of a run's thermo table, line by line.
fn column(run: &Path, name: &str) -> Vec<Option<f64>> {
    let text = fs::read_to_string(run.join("thermo.csv")).unwrap();
    let mut lines = text.lines();
    let place = lines.next().unwrap().split(',').position(|c| c == name);
    let place = place.unwrap_or_else(|| panic!("no {name} in {text}"));
    lines
        .map(|line| line.split(',').nth(place).unwrap().parse().ok())
        .collect()
}

/// A limit that f32 breaks at an audit after the first of all, the third or a later one if it can be, and the step at which that
/// takes effect.
fn broken_limit(dynamics: Dynamics) -> (f64, u64) {
    let pilot = bench(dynamics, &format!("precision_every = {EVERY}"));
    let run = pilot.at("pilot");
    pilot.complete(&run, &["-q"]);
    let errors = column(&run, "force_error_ev_a");
    // The audit of step s is in the lines from s + EVERY on, the first one in those from 0 on.
    let found = |k: u64| match k {
        0 => errors[0].unwrap(),
        k => errors[((k + 1) * EVERY) as usize].unwrap(),
    };
    let before = |k: u64| (0..k).map(found).fold(0.0, f64::max);
    let mut audits = (2..STEPS / EVERY - 2).chain([1]);
    let broken = audits.find(|&k| found(k) > before(k));
    let k =
        broken.unwrap_or_else(|| panic!("the error of the force grows at no audit: {errors:?}"));
    (0.5 * (before(k) + found(k)), (k + 1) * EVERY)
}

fn raised(dynamics: Dynamics, seed: u32) {
    let (limit, step) = broken_limit(dynamics);
    let audits = format!("precision_every = {EVERY}\nprecision = \"{limit} eV/A\"");
    let raising = bench(dynamics, &format!("{audits}\nprecision_action = \"raise\""));
    let run = raising.at("undisturbed");
    let output = raising.complete(&run, &[]);
    let told = format!("from step {step} on it is computed in f64");
    assert!(stderr(&output).contains(&told), "{}", stderr(&output));
    let raises = serde_json::json!([{ "step": step, "precision": "f64" }]);
    let found = record(&run);
    assert_eq!(found["raises"], raises);
    assert_eq!(found["summary"]["raises"], raises);
    assert!(
        found["summary"]["largest_force_error_ev_a"]
            .as_f64()
            .unwrap()
            > limit
    );
    assert_eq!(newest(&run).energies.numbers.raises[0].step, step);
    // f64 on any number of threads is f64.
    assert_eq!(column(&run, "force_error_ev_a").pop().unwrap(), Some(0.0));

    let warning = bench(dynamics, &format!("{audits}\nprecision_action = \"warn\""));
    let f32_alone = warning.at("f32");
    warning.complete(&f32_alone, &["-q"]);
    let [other, here] = [&f32_alone, &run].map(|run| column(run, "total_energy_ev"));
    let until = step as usize;
    assert_eq!(other[..=until], here[..=until]);
    assert_ne!(other[until + 1], here[until + 1]);
    assert_ne!(outputs(&f32_alone), outputs(&run));

    // Gone on with, it is in the numbers that it was raised to, which are no other rounding than before.
    let longer = raising.at("longer");
    let more = format!("dynamics.steps={}", step + 1);
    raising.complete(&longer, &["-q", "--set", &more]);
    let output = raising.complete(&longer, &["--resume"]);
    assert!(!stderr(&output).contains("rounding"), "{}", stderr(&output));
    assert!(record(&longer)["engine"].as_str().unwrap().contains("f64"));
    assert_eq!(outputs(&longer), outputs(&run));

    survives(&raising, seed, KILLS);
}

/// What a raised run is diagnosed with are the numbers that it has now.
#[test]
fn a_raised_run_is_diagnosed_in_its_numbers() {
    let audits = "precision_every = 6\nprecision = \"1e-9 eV/A\"\nprecision_action = \"raise\"";
    let bench = bench(Dynamics::Nve, audits);
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    let raises = serde_json::json!([{ "step": 0, "precision": "f64" }]);
    assert_eq!(
        record(&run)["raises"],
        raises,
        "at once: the first frame is not waited with"
    );
    let args = ["diagnose", run.to_str().unwrap(), "--minutes", "0.1"];
    let output = crate::support::mdrun(&args);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    // Of a run in f64 there is no replay in f64.
    assert!(
        !said.contains("f32") && !said.contains("network in f64"),
        "{said}"
    );
}

#[test]
fn a_raised_run_at_constant_energy_survives_kills() {
    raised(Dynamics::Nve, 21);
}

#[test]
fn a_raised_run_with_a_thermostat_survives_kills() {
    raised(Dynamics::Langevin, 22);
}

/// What a raise depends on is part of the run: another limit, interval or precision is another run.
#[test]
fn another_limit_is_another_run() {
    let audits = "precision_every = 6\nprecision = \"1 eV/A\"\nprecision_action = \"raise\"";
    let bench = bench(Dynamics::Nve, audits);
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    for (set, told) in [
        (
            "monitor.precision=\"2 eV/A\"",
            "monitor.precision was 1 eV/A and is 2 eV/A now",
        ),
        (
            "monitor.precision_every=7",
            "monitor.precision_every was 6 and is 7 now",
        ),
        (
            "potential.precision=\"tf32\"",
            "potential.precision was f32 and is tf32 now",
        ),
    ] {
        let longer = ["--resume", "--set", "dynamics.steps=80", "--set", set];
        let output = bench.run(&run, &longer);
        assert_eq!(output.status.code(), Some(2), "{set}");
        assert!(stderr(&output).contains(told), "{}", stderr(&output));
    }
    let output = bench.run(&run, &["--resume", "--set", "dynamics.steps=80"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// A run that is made longer is one that was that long from the beginning, audits included.
#[test]
fn a_longer_run_keeps_the_audit_under_way() {
    let audits = format!("precision_every = {EVERY}");
    let short = bench(Dynamics::Nve, &audits);
    let [run, whole] = ["run", "whole"].map(|name| short.at(name));
    short.complete(&run, &["-q", "--set", "dynamics.steps=45"]);
    short.complete(&run, &["-q", "--resume"]);
    short.complete(&whole, &["-q"]);
    assert_eq!(
        column(&run, "force_error_ev_a"),
        column(&whole, "force_error_ev_a")
    );
    assert_eq!(
        newest(&run).energies.numbers,
        newest(&whole).energies.numbers
    );
}
