//! PLUMED beside a run: against a stand-in for its kernel that checks what it is told (`tests/plumed/kernel.c`), and against
//! PLUMED itself where PLUMED_KERNEL names it.

mod bias;
mod faults;
mod itself;
mod restart;
mod runs;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::restart::runs::{Bench, Dynamics, Subject};
use crate::support::root;

/// Compiles the stand-in with some definitions; `None`, with the reason printed, where there is no C compiler.
fn compiled(name: &str, definitions: &[&str]) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if let (Ok(built), Ok(source)) = (
        path.metadata(),
        root().join("tests/plumed/kernel.c").metadata(),
    ) && built.modified().unwrap() > source.modified().unwrap()
    {
        return Some(path);
    }
    let cc = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&path)
        .args(definitions)
        .arg(root().join("tests/plumed/kernel.c"))
        .arg("-lm")
        .output();
    match cc {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            Some(path)
        }
        Err(why) => {
            eprintln!("skipped: no C compiler ({why})");
            None
        }
    }
}

/// The stand-in for PLUMED's kernel.
pub fn kernel() -> Option<PathBuf> {
    compiled("plumed_kernel.so", &[])
}

/// The table of a run file.
fn table(kernel: &Path) -> String {
    format!("[plumed]\ninput = \"plumed.dat\"\nkernel = {kernel:?}\n")
}

/// A run on one thread with this input of PLUMED, and what else a run file has.
fn bench(
    kernel: &Path,
    input: &str,
    (subject, dynamics, steps): (Subject, Dynamics, u64),
    more: &str,
) -> Bench {
    let plumed = table(kernel);
    let bench = plain((subject, dynamics, steps), &format!("{plumed}{more}"));
    std::fs::write(bench.at("plumed.dat"), input).unwrap();
    bench
}

/// The same without PLUMED.
fn plain((subject, dynamics, steps): (Subject, Dynamics, u64), more: &str) -> Bench {
    let more = format!("[device]\nkind = \"cpu\"\nthreads = 1\n{more}");
    Bench::new(subject, dynamics, steps, &more)
}

/// A column of a run's thermo table.
fn column(run: &Path, name: &str) -> Vec<f64> {
    let table = std::fs::read_to_string(run.join("thermo.csv")).unwrap();
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let place = names.iter().position(|one| *one == name);
    let place = place.unwrap_or_else(|| panic!("{name}: {names:?}"));
    let number = |line: &str| line.split(',').nth(place).unwrap().parse().unwrap();
    lines.map(number).collect()
}

/// Largest less smallest.
fn spread(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    most - least
}

/// Largest difference of two columns.
fn difference(one: &[f64], other: &[f64]) -> f64 {
    assert_eq!(one.len(), other.len());
    let apart = one.iter().zip(other).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f64::max)
}
