//! Threads that run one stage after another with a hand-off of well under a microsecond.
//!
//! A stage is a number of tasks that do not depend on each other. Every thread has its own range of
//! tasks, so that it meets the same weights and atoms in its cache call after call, and takes from
//! others when its own are done. A thread that the system has put to sleep holds nobody up unless it
//! is in the middle of a task: the caller takes all tasks that nobody has begun. Which thread runs a
//! task never changes what the task computes.
//!
//! Idle threads spin for a moment (the stages of one evaluation follow each other within
//! microseconds), then park.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crate::{Error, Result};

/// Turns that a thread spins before it parks, tens of microseconds.
const SPINS: u32 = 1000;

type Stage<'a> = dyn Fn(usize) + Sync + 'a;

/// The caller and `threads - 1` helpers.
pub(super) struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
}

/// One cache line each, so that threads do not slow each other down.
#[repr(align(128))]
struct Seat {
    /// Tasks not yet begun of this thread's range: the next one in the high half, the end in the low.
    tasks: AtomicU64,
    parked: AtomicBool,
}

struct Shared {
    /// Counts stages; helpers watch it.
    stage: AtomicU32,
    /// Tasks of the present stage that are not finished.
    pending: AtomicUsize,
    quit: AtomicBool,
    panicked: AtomicBool,
    work: UnsafeCell<Option<*const Stage<'static>>>,
    seats: Vec<Seat>,
}

// SAFETY: `work` is written by the caller only while no task is pending, and read by a thread only
// between claiming a task (which acquires the caller's write) and finishing it.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Pool {
    /// A pool of `threads` threads, the caller included.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub(super) fn new(threads: usize) -> Result<Self> {
        let threads = threads.max(1);
        let seat = |_| Seat {
            tasks: AtomicU64::new(0),
            parked: AtomicBool::new(false),
        };
        let shared = Arc::new(Shared {
            stage: AtomicU32::new(0),
            pending: AtomicUsize::new(0),
            quit: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            work: UnsafeCell::new(None),
            seats: (0..threads).map(seat).collect(),
        });
        let mut pool = Self {
            shared,
            helpers: Vec::new(),
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
    pub(super) fn threads(&self) -> usize {
        self.shared.seats.len()
    }

    /// Runs `work` for every task below `tasks` and returns when all are finished.
    ///
    /// # Panics
    /// Where a task has panicked.
    pub(super) fn run(&mut self, tasks: usize, work: &Stage<'_>) {
        if tasks <= 1 || self.helpers.is_empty() {
            (0..tasks).for_each(work);
            return;
        }
        let shared = &*self.shared;
        // SAFETY: no task is pending, so nobody reads `work`. The lifetime is extended only until the
        // wait below has seen every task finished; `&mut self` keeps other callers out.
        unsafe {
            *shared.work.get() =
                Some(std::mem::transmute::<*const Stage<'_>, *const Stage<'static>>(work));
        }
        shared.pending.store(tasks, Ordering::Relaxed);
        let threads = shared.seats.len();
        for (index, seat) in shared.seats.iter().enumerate() {
            let range = index * tasks / threads..(index + 1) * tasks / threads;
            let packed = (range.start as u64) << 32 | range.end as u64;
            seat.tasks.store(packed, Ordering::Release);
        }
        shared.stage.fetch_add(1, Ordering::SeqCst);
        for (seat, helper) in shared.seats[1..].iter().zip(&self.helpers) {
            if seat.parked.load(Ordering::SeqCst) {
                helper.thread().unpark();
            }
        }
        {
            let _all_finished = Barrier(shared);
            shared.work_from(0);
        }
        assert!(
            !shared.panicked.load(Ordering::Relaxed),
            "a task of the fused engine has panicked"
        );
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::SeqCst);
        self.shared.stage.fetch_add(1, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper that panicked has said so already.
            let _ = helper.join();
        }
    }
}

/// Waits, when dropped (so also where the caller's own task unwinds), for all tasks to finish.
struct Barrier<'a>(&'a Shared);

impl Drop for Barrier<'_> {
    fn drop(&mut self) {
        let mut spins = 0;
        while self.0.pending.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

/// Counts tasks as finished, also when one of them unwinds.
struct Finished<'a> {
    shared: &'a Shared,
    tasks: usize,
}

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.panicked.store(true, Ordering::Relaxed);
        }
        self.shared.pending.fetch_sub(self.tasks, Ordering::Release);
    }
}

impl Shared {
    /// The life of helper `index`.
    fn help(&self, index: usize) {
        let mut seen = 0;
        loop {
            seen = self.wait(index, seen);
            if self.quit.load(Ordering::Relaxed) {
                return;
            }
            self.work_from(index);
        }
    }

    /// Waits for a stage other than `seen` and returns its number.
    fn wait(&self, index: usize, seen: u32) -> u32 {
        for _ in 0..SPINS {
            let stage = self.stage.load(Ordering::Acquire);
            if stage != seen {
                return stage;
            }
            std::hint::spin_loop();
        }
        let parked = &self.seats[index].parked;
        parked.store(true, Ordering::SeqCst);
        loop {
            let stage = self.stage.load(Ordering::SeqCst);
            if stage != seen {
                parked.store(false, Ordering::Relaxed);
                return stage;
            }
            std::thread::park();
        }
    }

    /// Runs tasks of seat `index`, then those left over in other seats.
    fn work_from(&self, index: usize) {
        let mut finished = Finished {
            shared: self,
            tasks: 0,
        };
        for turn in 0..self.seats.len() {
            let seat = &self.seats[(index + turn) % self.seats.len()];
            while let Some(task) = seat.claim() {
                finished.tasks += 1;
                // SAFETY: the claimed task is pending, so the caller waits and its `work` lives.
                let work = unsafe { (*self.work.get()).map(|work| &*work) };
                if let Some(work) = work {
                    work(task);
                }
            }
        }
    }
}

impl Seat {
    /// Takes the next task. The exchange succeeds on the words of the present stage alone, whenever
    /// they were read.
    fn claim(&self) -> Option<usize> {
        let mut word = self.tasks.load(Ordering::Relaxed);
        loop {
            let (next, end) = (word >> 32, word & 0xFFFF_FFFF);
            if next >= end {
                return None;
            }
            let taken = (next + 1) << 32 | end;
            match (self.tasks).compare_exchange_weak(
                word,
                taken,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(next as usize),
                Err(present) => word = present,
            }
        }
    }
}
