//! What passes between a run's thread and Python: moments to look at on one side, how far to go on the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use mdrun::Result;
use mdrun::core::{Fields, Snapshot};
use mdrun::run::{Ending, Interruption, Pauses};
use mdrun::simulation::{Reporter, Signal, next_multiple};

/// What a run's thread tells.
pub enum Told {
    /// The run has been opened, after so many steps.
    Opened(u64),
    /// A moment; the run waits for an answer.
    Shown(Box<Snapshot>),
    /// It has ended.
    Ended(Box<Result<Ending>>),
}

/// What a run is asked for, read by its thread whenever it plans a block of steps.
#[derive(Default)]
pub struct Orders(Mutex<Wanted>);

#[derive(Default)]
struct Wanted {
    /// Steps since the run began after which it waits.
    until: u64,
    /// Steps between looks, of each observer.
    every: Vec<u64>,
}

impl Orders {
    /// Goes on to this step.
    pub fn go_until(&self, step: u64) {
        self.locked().until = step;
    }

    /// Shows moments so many steps apart.
    pub fn look_every(&self, steps: u64) {
        self.locked().every.push(steps);
    }

    /// No one leaves it half changed.
    fn locked(&self) -> MutexGuard<'_, Wanted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks a run to end.
#[derive(Default)]
pub struct Bell {
    /// Whether it was rung.
    pub rung: Arc<AtomicBool>,
    by: OnceLock<String>,
}

impl Bell {
    /// Rings it, in the name of whoever did first.
    pub fn ring(&self, by: &str) {
        let _ = self.by.set(by.to_owned());
        self.rung.store(true, Ordering::Release);
    }
}

impl Interruption for Bell {
    fn flag(&self) -> &AtomicBool {
        &self.rung
    }

    fn name(&self) -> &str {
        self.by.get().map_or("Python", String::as_str)
    }
}

/// Shows moments to Python, and waits until it says that the run goes on.
pub struct Desk {
    /// What the run is asked for.
    pub orders: Arc<Orders>,
    /// Where moments go.
    pub told: Sender<Told>,
    /// Each answer lets the run go on.
    pub answers: Receiver<()>,
    /// Time that the run waited for nothing but to be called again.
    pub pauses: Pauses,
}

impl Reporter for Desk {
    /// Where the run is to wait, which may be taken back in the meantime: then the steps after it are planned one by one.
    fn next(&self, step: u64) -> u64 {
        let wanted = self.orders.locked();
        let looks = wanted.every.iter().map(|every| next_multiple(step, *every));
        looks.fold(wanted.until.max(step), u64::min)
    }

    fn wants(&self) -> Fields {
        Fields::ALL
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        let pauses = self.orders.locked().until <= snapshot.step;
        let began = Instant::now();
        let shown = Told::Shown(Box::new(snapshot.clone()));
        // Whoever is to answer and has gone away has rung the bell before.
        let _ = self.told.send(shown);
        let _ = self.answers.recv();
        if pauses {
            self.pauses.add(began.elapsed());
        }
        Ok(Signal::Continue)
    }
}
