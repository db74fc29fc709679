//! Runs in int8: the weights that a run has begun with stay with it, whoever kills it and wherever it goes on.

use std::fs;
use std::path::Path;

use mdrun::potential::painn::Int8Weights;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::report::checkpoint::store;
use sha2::{Digest, Sha256};

use super::kill::survives_behind;
use super::runs::{Bench, Dynamics, Subject, assert_same, hashes, newest, outputs, record, stderr};
use crate::support::atoms::Atoms;
use crate::support::{mdrun, models};

const STEPS: u64 = 70;
const KILLS: u32 = 6;
/// The first checkpoint, behind seconds in which weights are found.
const FIRST: Option<&str> = Some("state.ckpt");
/// The file of the weights.
const FILE: &str = "int8.safetensors";

/// A run in int8, on one thread.
fn bench(subject: Subject, dynamics: Dynamics, more: &str) -> Bench {
    let more = format!("{more}\n[device]\nkind = \"cpu\"\nthreads = 1\n");
    let bench = Bench::new(subject, dynamics, STEPS, &more);
    let text = fs::read_to_string(&bench.config).unwrap();
    let text = text.replace("[potential]\n", "[potential]\nprecision = \"int8\"\n");
    fs::write(&bench.config, text).unwrap();
    bench
}

fn sha256(path: &Path) -> String {
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_run_in_int8_survives_kills() {
    let ethanol = bench(Subject::Ethanol, Dynamics::Nve, "");
    survives_behind(&ethanol, FIRST, 31, KILLS);
}

#[test]
fn a_committee_in_int8_survives_kills() {
    let committee = bench(
        Subject::Committee,
        Dynamics::Langevin,
        "[monitor]\nspread = \"0.03 eV/A\"\naction = \"warn\"",
    );
    survives_behind(&committee, FIRST, 32, KILLS);
}

/// Begun on any number of threads it is the same run, and a longer one is one that was that long from the beginning.
#[test]
fn a_longer_run_is_the_same_on_other_threads() {
    let bench = bench(Subject::Ethanol, Dynamics::Nve, "");
    let [whole, run] = ["whole", "run"].map(|name| bench.at(name));
    bench.complete(&whole, &["-q"]);
    let other = ["--set", "device.threads=2"];
    bench.complete(
        &run,
        &[&["-q", "--set", "dynamics.steps=33"][..], &other].concat(),
    );
    let output = bench.complete(&run, &["--resume"]);
    assert!(!stderr(&output).contains("rounding"), "{}", stderr(&output));
    assert_same(&run, &hashes(&whole), "threads");
    assert_eq!(sha256(&run.join(FILE)), sha256(&whole.join(FILE)));
    assert!(record(&run)["engine"].as_str().unwrap().contains("int8"));
    // Replaced, it leaves none of its weights behind.
    let f32 = ["-q", "--force", "--set", "potential.precision=\"f32\""];
    bench.complete(&run, &f32);
    assert!(!run.join(FILE).exists());
    assert_ne!(outputs(&run), outputs(&whole));
}

/// A run goes on with the weights that are there, as it would on a machine that would have found others.
#[test]
fn weights_are_not_found_anew() {
    let bench = bench(Subject::Ethanol, Dynamics::Nve, "");
    let run = bench.at("run");
    bench.complete(&run, &["-q", "--set", "dynamics.steps=33"]);
    // Elsewhere, the nearest weights were found.
    let (spec, weights) = models::shipped();
    let nearest = Int8Weights::nearest(&weights);
    fs::write(run.join(FILE), Int8Weights::encode([&nearest]).unwrap()).unwrap();
    let mut checkpoint = newest(&run);
    let key = checkpoint
        .identity
        .run
        .iter_mut()
        .find(|(key, _)| key.contains("int8"));
    key.unwrap().1 = sha256(&run.join(FILE));
    store::write(&run, &checkpoint).unwrap();
    bench.complete(&run, &["-q", "--resume"]);
    let last = newest(&run);
    let atoms = Atoms {
        species: last.system.species.clone(),
        cell: last.cell.clone(),
        positions: last.positions.clone(),
    };
    let energy = |int8: &Int8Weights| {
        let numbers = (&weights, int8);
        atoms.energy(&mut FusedPainn::in_int8(&spec, numbers, &atoms.species, 1).unwrap())
    };
    let table = fs::read_to_string(run.join("thermo.csv")).unwrap();
    let mut lines = table.lines();
    let place = lines
        .next()
        .unwrap()
        .split(',')
        .position(|c| c == "potential_energy_ev")
        .unwrap();
    let told: f64 = lines
        .last()
        .unwrap()
        .split(',')
        .nth(place)
        .unwrap()
        .parse()
        .unwrap();
    // The table has nine digits behind the point.
    assert!((told - energy(&nearest)).abs() < 1e-6, "{told}");
}

/// Without its weights, or with others, a run does not go on, is not diagnosed, and says so.
#[test]
fn other_weights_are_refused() {
    let bench = bench(Subject::Ethanol, Dynamics::Nve, "");
    let run = bench.at("run");
    bench.complete(&run, &["-q", "--set", "dynamics.steps=33"]);
    let sound = fs::read(run.join(FILE)).unwrap();
    let diagnosed = || mdrun(&["diagnose", run.to_str().unwrap(), "--minutes", "0.05"]);
    assert_ne!(diagnosed().status.code(), Some(2));
    let mut flipped = sound.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (spoilt, told) in [
        (
            None,
            "int8.safetensors: the weights in 8 bits that the run began with",
        ),
        (Some(&flipped[..]), "it is not the file that was written"),
        (Some(&sound[..100]), "it is not the file that was written"),
    ] {
        match spoilt {
            None => fs::remove_file(run.join(FILE)).unwrap(),
            Some(bytes) => fs::write(run.join(FILE), bytes).unwrap(),
        }
        for output in [bench.run(&run, &["--resume"]), diagnosed()] {
            assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
            let message = stderr(&output);
            assert!(
                message.contains(told) && message.contains("--force"),
                "{message}"
            );
        }
    }
    fs::write(run.join(FILE), &sound).unwrap();
    bench.complete(&run, &["-q", "--resume"]);
}

/// The next finer numbers that the processor has are f32: a run that is raised to them goes on without weights in 8 bits.
#[test]
fn int8_is_raised_to_f32() {
    const AUDITS: &str =
        "[monitor]\nprecision_every = 6\nprecision = \"0.1 meV/A\"\nprecision_action = \"raise\"";
    let bench = bench(Subject::Ethanol, Dynamics::Nve, AUDITS);
    let run = bench.at("run");
    let output = bench.complete(&run, &["--set", "dynamics.steps=33"]);
    let told = "from step 0 on it is computed in f32";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
    assert_eq!(record(&run)["raises"][0]["precision"], "f32");
    fs::remove_file(run.join(FILE)).unwrap();
    bench.complete(&run, &["-q", "--resume"]);
    let undisturbed = bench.at("undisturbed");
    bench.complete(&undisturbed, &["-q"]);
    assert_same(&run, &hashes(&undisturbed), "raised");
    survives_behind(&bench, FIRST, 33, KILLS);
}
