//! PLUMED beside a run: begun in its directory, with its files as they were at a checkpoint, and heard where it asks for the end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::assemble;
use crate::config::plan::Plan;
use crate::core::{Fields, Snapshot};
use crate::engine::Engine;
use crate::plumed::{self, PlumedKernel};
use crate::report::{Checkpoint, Console, ForeignFiles};
use crate::simulation::{Reporter, Signal};
use crate::{Error, Result};

/// Begins PLUMED beside an engine, whose state is that of the checkpoint that the run goes on from, if it does. Its files are cut
/// back to that, and once more when it has been asked for the state there, of which it had written down what there is. With its
/// files comes what becomes true when it asks for the end.
///
/// # Errors
/// What PLUMED says of its input or the first state; or one of its files is not what it was.
pub(super) fn begin(
    engine: &mut Box<dyn Engine>,
    kernel: PlumedKernel,
    (plan, directory, from): (&Plan, &Path, Option<&Checkpoint>),
) -> Result<(ForeignFiles, Arc<AtomicBool>)> {
    let place = plan.places.of("plumed.input");
    let files = ForeignFiles::new(directory).map_err(|e| e.within(&place))?;
    let marks = from.map_or(&[][..], |from| &from.foreign);
    files.cut(marks)?;
    // Ahead of the first stage that has PLUMED there is nothing to go on with: what stands there is of a sitting that is undone.
    let restart = from.is_some() && (plan.stage.is_none() || !marks.is_empty());
    let bias = assemble::plumed_bias(plan, kernel, (directory, restart))?;
    let ends = bias.ends();
    engine
        .bias(Box::new(bias))
        .map_err(|e| Error::input(e.to_string()).within(&place))?;
    if from.is_none() && ends.load(Ordering::Acquire) {
        let why = "PLUMED asks for the end before the first step";
        return Err(Error::input(why).within(place));
    }
    plumed::flush()?;
    files.cut(marks)?;
    Ok((files, ends))
}

/// Ends a run, or a stage, where PLUMED asks for it: after the very step.
pub(super) struct BiasEnd {
    asked: Arc<AtomicBool>,
    console: Console,
}

impl BiasEnd {
    /// Ends it when `asked` is true.
    pub fn new(asked: Arc<AtomicBool>, console: &Console) -> Self {
        let console = console.clone();
        Self { asked, console }
    }
}

impl Reporter for BiasEnd {
    fn next(&self, step: u64) -> u64 {
        step
    }

    fn wants(&self) -> Fields {
        Fields::NONE
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        if !self.asked.load(Ordering::Acquire) {
            return Ok(Signal::Continue);
        }
        let step = snapshot.step;
        self.console
            .remark(&format!("PLUMED asks for the end at step {step}"));
        Ok(Signal::Enough)
    }
}
