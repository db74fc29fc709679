//! That a step allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mdrun::integrate;

use super::bodies::run;
use super::subjects::{FS, KB, argon};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts the allocations of each thread.
struct Counting;

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations made by this thread while `work` runs.
pub fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

#[test]
fn a_step_allocates_nothing() {
    assert_eq!(allocations(|| drop(vec![1_u8])), 1);
    let mut subject = argon();
    // Cold, so that the skin holds.
    subject.kt = 1.0 * KB;
    let program = integrate::langevin(FS, subject.kt, 0.1 / FS).remove_drift(3);
    let mut engine = subject.engine(subject.start(1));
    run(&mut *engine, &program, 0..20);
    let rebuilds = engine.statistics().rebuilds;
    let made = allocations(|| {
        engine.save();
        run(&mut *engine, &program, 20..120);
        engine.rollback();
        run(&mut *engine, &program, 20..120);
    });
    assert_eq!(engine.statistics().rebuilds, rebuilds);
    assert_eq!(made, 0);
}
