//! Where memory runs out: one line, and the exit code of a failed run.
//!
//! What a run needs is looked at before it begins (`mdrun::memory`). Where it runs out all the same (a limit that
//! others share, a machine that others use) the standard library would abort the process. Nothing is lost by ending it: files
//! are complete up to their last record, and the checkpoint is there.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write as _;

/// The system's allocator, which ends the process where it has no memory left.
struct OrEnd;

#[global_allocator]
static ALLOCATOR: OrEnd = OrEnd;

// SAFETY: all is done by the system's allocator; a null pointer is never returned, which is allowed.
unsafe impl GlobalAlloc for OrEnd {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps what `GlobalAlloc` asks for.
        there(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        there(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        there(unsafe { System.realloc(pointer, layout, size) }, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn there(pointer: *mut u8, size: usize) -> *mut u8 {
    if pointer.is_null() {
        end(size);
    }
    pointer
}

/// Says so, without any memory, and ends the process with the exit code of a failed run.
#[cold]
fn end(size: usize) -> ! {
    unsafe extern "C" {
        safe fn _exit(status: i32) -> !;
    }
    let mut line = [0; 256];
    let mut rest = &mut line[..];
    let _ = writeln!(
        rest,
        "error: out of memory: there is no room for another {size} bytes; take a smaller system, or give the \
         process more (`ulimit -v` and the job's limit tell what it has); a run that has begun goes on with --resume"
    );
    let unused = rest.len();
    let length = line.len() - unused;
    let _ = std::io::stderr().write_all(&line[..length]);
    _exit(1)
}
