//! mdrun as a library: a reporter of one's own that watches the C-O bond of ethanol at 300 K.
//!
//!     cargo run --release --example bond_length

use std::path::Path;
use std::sync::atomic::AtomicBool;

use mdrun::core::{Fields, Snapshot};
use mdrun::report::{Console, Verbosity};
use mdrun::run::{Entry, Run};
use mdrun::simulation::{Reporter, Signal, next_multiple};
use mdrun::{Result, config};

/// Mean and standard deviation of the distance between two atoms.
struct BondLength {
    atoms: [usize; 2],
    samples: Vec<f64>,
}

impl Reporter for BondLength {
    fn next(&self, step: u64) -> u64 {
        next_multiple(step, 10)
    }

    fn wants(&self) -> Fields {
        Fields {
            positions: true,
            ..Fields::NONE
        }
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        let [a, b] = self.atoms.map(|i| snapshot.positions[i]);
        self.samples.push((a - b).norm());
        Ok(Signal::Continue)
    }

    fn finish(&mut self) -> Result<()> {
        let n = self.samples.len() as f64;
        let mean = self.samples.iter().sum::<f64>() / n;
        let variance = self.samples.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / n;
        println!(
            "C-O bond: {mean:.4} A, standard deviation {:.4} A",
            variance.sqrt()
        );
        Ok(())
    }
}

fn main() -> Result<()> {
    let run_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/ethanol_langevin.toml");
    let directory = std::env::temp_dir().join("bond_length");
    let changes = ["dynamics.duration=\"2 ps\"".to_owned()];
    let plan = config::load(&run_file, &changes, Some(&directory))?;
    let console = Console::new(Verbosity::default(), plan.dynamics.steps);
    let bond = BondLength {
        atoms: [1, 2],
        samples: Vec::new(),
    };
    let run = Run::open(plan, Entry::Replace, &console)?.watched_by(Box::new(bond));
    let ending = run.to_the_end(&AtomicBool::new(false))?;
    println!("{:?} after {} steps", ending.status, ending.steps);
    Ok(())
}
