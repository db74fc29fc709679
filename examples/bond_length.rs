//! mdrun as a library: a reporter of one's own that watches the C-O bond of ethanol at 300 K.
//!
//!     cargo run --release --example bond_length

use std::path::Path;
use std::sync::atomic::AtomicBool;

use mdrun::core::{Fields, Snapshot};

use mdrun::simulation::{Guard, Reporter, Signal, Simulation, next_multiple};
use mdrun::{Result, assemble, config};

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
    let plan = config::load(&run_file, &["dynamics.duration=\"2 ps\"".to_owned()], None)?;
    let model = assemble::load(&plan)?;
    let bond = BondLength {
        atoms: [1, 2],
        samples: Vec::new(),
    };
    let mut simulation = Simulation {
        engine: assemble::engine(&plan, &model)?,
        program: assemble::program(&plan),
        limits: assemble::limits(&plan),
        reporters: vec![Box::new(bond)],
        guard: Guard::default(),
        keeper: None,
        step: 0,
        end: plan.dynamics.steps,
    };
    let finish = simulation.run(&AtomicBool::new(false), &mut |warning| {
        eprintln!("{warning:?}")
    })?;
    println!("{finish:?} after {} steps", simulation.step);
    Ok(())
}
