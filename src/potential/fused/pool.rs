//! Threads that run stage after stage with a hand-off of well under a microsecond.
//!
//! A stage is a number of tasks that do not depend on each other; a stage begins when all tasks of the
//! one before are finished. Every thread goes through the stages of a run by itself. Of each stage it
//! has its own range of tasks, so that it meets the same weights and atoms in its cache run after run,
//! and takes from others when its own are done. A thread that the system has put to sleep holds nobody
//! up unless it is in the middle of a task: the others take all tasks that it has not begun. Which
//! thread runs a task never changes what the task computes.
//!
//! Where other programs take the processors, a helper that is put to sleep within a task costs the
//! caller milliseconds. A run that has lost most of its time in this way is followed by runs of the
//! caller alone, ever more of them while that goes on.
//!
//! Idle threads spin for a moment (one evaluation follows another within microseconds), then park.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Turns that a thread spins before it parks or lets others run, tens of microseconds.
const SPINS: u32 = 1000;

/// Most tasks of a stage.
pub(in crate::potential) const MOST_TASKS: usize = (1 << FIELD) - 1;

/// Bits of the numbers in a [`Claim`]: next task and end; the rest is the run's number.
const FIELD: u32 = 20;

/// Called with the numbers of the thread that runs the task, of a stage and of a task.
type Work<'a> = dyn Fn(usize, usize, usize) + Sync + 'a;

/// Fewest and most runs of the caller alone after one that was held up.
const ALONE: [u32; 2] = [16, 1024];

/// The caller and `threads - 1` helpers.
pub(in crate::potential) struct Pool {
    shared: Arc<PoolState>,
    helpers: Vec<JoinHandle<()>>,
    /// Runs that the caller still does alone.
    alone: u32,
    /// How many it will do after the next that is held up.
    penalty: u32,
}

/// Numbers that different threads write are kept on cache lines of their own.
#[repr(align(128))]
struct CacheLine<T>(T);

/// What one thread has to do.
struct Seat {
    /// Its range of each stage.
    claims: Vec<Claim>,
    parked: AtomicBool,
}

/// Tasks not yet begun of a range: the run's number, the next task, the end.
struct Claim(AtomicU64);

struct PoolState {
    /// Counts runs; helpers watch it.
    run: CacheLine<AtomicU32>,
    /// Threads that take part in the present run.
    active: AtomicU32,
    /// Tasks of each stage that are not finished.
    pending: Vec<CacheLine<AtomicU32>>,
    quit: AtomicBool,
    panicked: AtomicBool,
    work: UnsafeCell<Option<*const Work<'static>>>,
    seats: Vec<CacheLine<Seat>>,
}

// SAFETY: `work` is written by the caller only while no task is pending, and read by a thread only
// between claiming a task (which acquires the caller's write) and finishing it.
unsafe impl Send for PoolState {}
// SAFETY: as above.
unsafe impl Sync for PoolState {}

impl Pool {
    /// A pool of `threads` threads, the caller included, for runs of up to `stages` stages.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub(in crate::potential) fn new(threads: usize, stages: usize) -> Result<Self> {
        let threads = threads.max(1);
        let seat = |_| {
            CacheLine(Seat {
                claims: (0..stages).map(|_| Claim(AtomicU64::new(0))).collect(),
                parked: AtomicBool::new(false),
            })
        };
        let shared = Arc::new(PoolState {
            run: CacheLine(AtomicU32::new(0)),
            active: AtomicU32::new(0),
            pending: (0..stages).map(|_| CacheLine(AtomicU32::new(0))).collect(),
            quit: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            work: UnsafeCell::new(None),
            seats: (0..threads).map(seat).collect(),
        });
        let mut pool = Self {
            shared,
            helpers: Vec::new(),
            alone: 0,
            penalty: ALONE[0],
        };
        for index in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let helper = std::thread::Builder::new()
                .name(format!("mdrun-{index}"))
                .spawn(move || shared.help(index))
                .map_err(|e| Error::run(format!("cannot start {threads} threads: {e}")))?;
            pool.helpers.push(helper);
        }
        Ok(pool)
    }

    /// Number of threads, the caller included.
    pub(in crate::potential) fn threads(&self) -> usize {
        self.shared.seats.len()
    }

    /// Runs `work` for every task of every stage, `tasks` giving their numbers, on at most `active`
    /// threads; returns when all are finished.
    ///
    /// # Panics
    /// Where a task has panicked, or on more stages or tasks than there is room for.
    pub(in crate::potential) fn run(
        &mut self,
        active: usize,
        tasks: impl ExactSizeIterator<Item = usize>,
        work: &Work<'_>,
    ) {
        let active = active.clamp(1, self.shared.seats.len());
        if active == 1 || self.alone > 0 {
            self.alone = self.alone.saturating_sub(1);
            for (stage, tasks) in tasks.enumerate() {
                (0..tasks).for_each(|task| work(0, stage, task));
            }
            return;
        }
        let begin = Instant::now();
        let waited = self.run_together(active, tasks, work);
        self.judge(waited, begin.elapsed());
    }

    /// After a run in which the caller waited for others: whether it does the next ones alone.
    fn judge(&mut self, waited: Duration, elapsed: Duration) {
        let [fewest, most] = ALONE;
        if 2 * waited > elapsed {
            self.alone = self.penalty;
            self.penalty = (2 * self.penalty).min(most);
        } else {
            self.penalty = (self.penalty / 2).max(fewest);
        }
    }

    /// Returns how long the caller waited, short waits left out.
    fn run_together(
        &mut self,
        active: usize,
        tasks: impl ExactSizeIterator<Item = usize>,
        work: &Work<'_>,
    ) -> Duration {
        let shared = &*self.shared;
        let run = shared.run.0.load(Ordering::Relaxed).wrapping_add(1);
        let stages = tasks.len();
        assert!(stages <= shared.pending.len(), "more stages than announced");
        // SAFETY: no task is pending, so nobody reads `work`. The lifetime is extended only until
        // `AllFinished` has seen every task finished; `&mut self` keeps other callers out.
        unsafe {
            *shared.work.get() =
                Some(std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work));
        }
        for (stage, tasks) in tasks.enumerate() {
            assert!(tasks <= MOST_TASKS, "more tasks than there is room for");
            shared.pending[stage]
                .0
                .store(tasks as u32, Ordering::Relaxed);
            for (index, seat) in shared.seats[..active].iter().enumerate() {
                let range = index * tasks / active..(index + 1) * tasks / active;
                seat.0.claims[stage].set(run, range);
            }
        }
        shared.active.store(active as u32, Ordering::Relaxed);
        shared.run.0.store(run, Ordering::SeqCst);
        for (seat, helper) in shared.seats[1..active].iter().zip(&self.helpers) {
            if seat.0.parked.load(Ordering::SeqCst) {
                helper.thread().unpark();
            }
        }
        let waited = {
            let _all_finished = AllFinished { shared, stages };
            shared.go_through(0, run, stages, active)
        };
        assert!(
            !shared.panicked.load(Ordering::Relaxed),
            "a task of the fused engine has panicked"
        );
        waited
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::SeqCst);
        self.shared.run.0.fetch_add(1, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper that panicked has said so already.
            let _ = helper.join();
        }
    }
}

/// Waits, when dropped (so also where the caller's own task unwinds), for all claimed tasks to finish
/// after claiming away what nobody has begun.
struct AllFinished<'a> {
    shared: &'a PoolState,
    stages: usize,
}

impl Drop for AllFinished<'_> {
    fn drop(&mut self) {
        for stage in 0..self.stages {
            if std::thread::panicking() {
                self.shared.give_up(stage);
            }
            let pending = &self.shared.pending[stage].0;
            wait(|| pending.load(Ordering::Acquire) == 0);
        }
    }
}

/// Spins, then lets other threads run, until `done`. Returns how long it took after the spinning.
fn wait(done: impl Fn() -> bool) -> Duration {
    for _ in 0..SPINS {
        if done() {
            return Duration::ZERO;
        }
        std::hint::spin_loop();
    }
    let begin = Instant::now();
    while !done() {
        std::thread::yield_now();
    }
    begin.elapsed()
}

/// Counts tasks as finished, also when one of them unwinds.
struct Finished<'a> {
    shared: &'a PoolState,
    stage: usize,
    tasks: u32,
}

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.panicked.store(true, Ordering::Relaxed);
        }
        if self.tasks > 0 {
            (self.shared.pending[self.stage].0).fetch_sub(self.tasks, Ordering::AcqRel);
        }
    }
}

impl PoolState {
    /// The life of helper `index`.
    fn help(&self, index: usize) {
        let mut seen = 0;
        loop {
            seen = self.wait_for_run(index, seen);
            if self.quit.load(Ordering::Relaxed) {
                return;
            }
            let active = self.active.load(Ordering::Relaxed) as usize;
            if index < active {
                self.go_through(index, seen, self.pending.len(), active);
            }
        }
    }

    /// Waits for a run other than `seen` and returns its number.
    fn wait_for_run(&self, index: usize, seen: u32) -> u32 {
        for _ in 0..SPINS {
            let run = self.run.0.load(Ordering::Acquire);
            if run != seen {
                return run;
            }
            std::hint::spin_loop();
        }
        let parked = &self.seats[index].0.parked;
        parked.store(true, Ordering::SeqCst);
        loop {
            let run = self.run.0.load(Ordering::SeqCst);
            if run != seen {
                parked.store(false, Ordering::Relaxed);
                return run;
            }
            std::thread::park();
        }
    }

    /// Takes part in every stage of a run, from seat `index`; leaves early once the run is over.
    /// Returns how long it waited for others, short waits left out.
    fn go_through(&self, index: usize, run: u32, stages: usize, active: usize) -> Duration {
        let mut waited = Duration::ZERO;
        for stage in 0..stages {
            self.take_tasks(index, run, stage, active);
            let pending = &self.pending[stage].0;
            let over = || self.run.0.load(Ordering::Relaxed) != run;
            waited += wait(|| pending.load(Ordering::Acquire) == 0 || over());
        }
        waited
    }

    /// Runs tasks of seat `index`, then those left over in other seats.
    fn take_tasks(&self, index: usize, run: u32, stage: usize, active: usize) {
        let mut finished = Finished {
            shared: self,
            stage,
            tasks: 0,
        };
        for turn in 0..active {
            let seat = &self.seats[(index + turn) % active].0;
            while let Some(task) = seat.claims[stage].take(run) {
                finished.tasks += 1;
                // SAFETY: the claimed task is pending, so the caller waits and its `work` lives.
                let work = unsafe { (*self.work.get()).map(|work| &*work) };
                if let Some(work) = work {
                    work(index, stage, task);
                }
            }
        }
    }

    /// Counts all tasks of a stage that nobody has begun as finished.
    fn give_up(&self, stage: usize) {
        let run = self.run.0.load(Ordering::Relaxed);
        for seat in &self.seats {
            while seat.0.claims[stage].take(run).is_some() {
                self.pending[stage].0.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }
}

impl Claim {
    /// The part of a run's number that fits.
    fn tag(run: u32) -> u64 {
        u64::from(run) << (2 * FIELD)
    }

    fn set(&self, run: u32, range: std::ops::Range<usize>) {
        let word = Self::tag(run) | (range.start as u64) << FIELD | range.end as u64;
        self.0.store(word, Ordering::Release);
    }

    /// Takes the next task of a run. Words of any other run give none, so that a thread left behind in
    /// one run takes nothing of the next (but for one whose number differs by a multiple of 2^24).
    fn take(&self, run: u32) -> Option<usize> {
        const MASK: u64 = (1 << FIELD) - 1;
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (next, end) = (word >> FIELD & MASK, word & MASK);
            if next >= end || word >> (2 * FIELD) << (2 * FIELD) != Self::tag(run) {
                return None;
            }
            let taken = word + (1 << FIELD);
            match (self.0).compare_exchange_weak(word, taken, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(next as usize),
                Err(present) => word = present,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Every task runs once, after all tasks of the stage before, run after run.
    #[test]
    fn stages_follow_each_other() {
        let stages = [3, 0, 7, 1, 64, 2];
        let before: Vec<usize> = (0..stages.len())
            .map(|s| stages[..s].iter().sum())
            .collect();
        for threads in [1, 2, 5] {
            let mut pool = Pool::new(threads, stages.len() + 1).unwrap();
            for run in 0..2000 {
                let finished = AtomicUsize::new(0);
                let early = AtomicUsize::new(0);
                let work = |_thread: usize, stage: usize, _task: usize| {
                    if finished.load(Ordering::SeqCst) < before[stage] {
                        early.fetch_add(1, Ordering::SeqCst);
                    }
                    finished.fetch_add(1, Ordering::SeqCst);
                };
                pool.run(1 + run % threads, stages.iter().copied(), &work);
                assert_eq!(early.into_inner(), 0);
                assert_eq!(finished.into_inner(), stages.iter().sum::<usize>());
            }
        }
    }
}
