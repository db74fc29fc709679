//! Arrays for the kernels: aligned to cache lines, in huge pages, and pointers to them that tasks share.

use super::lane::Real;

/// Bytes of a cache line, and of the widest SIMD register.
const LINE: usize = 64;

/// Numbers that begin on a cache line.
pub(in crate::potential) struct Aligned<T> {
    numbers: Vec<T>,
    offset: usize,
    len: usize,
}

impl<T: Real> Default for Aligned<T> {
    fn default() -> Self {
        Self::zeros(0)
    }
}

impl<T: Real> Aligned<T> {
    pub(in crate::potential) fn zeros(len: usize) -> Self {
        let mut numbers = vec![T::default(); len + LINE / size_of::<T>()];
        // Zeros of a large array are pages that nobody has touched yet.
        ask_for_huge_pages(numbers.as_mut_ptr(), numbers.len());
        let offset = numbers.as_ptr().align_offset(LINE);
        Self {
            numbers,
            offset,
            len,
        }
    }

    pub(in crate::potential) fn as_slice(&self) -> &[T] {
        &self.numbers[self.offset..self.offset + self.len]
    }

    pub(in crate::potential) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.numbers[self.offset..self.offset + self.len]
    }

    /// A pointer for tasks that write parts which do not overlap.
    pub(in crate::potential) fn shared(&mut self) -> Shared<T> {
        Shared::new(self.as_mut_slice())
    }
}

/// `len` times the default.
pub(in crate::potential) fn large_vec<T: Default + Clone>(len: usize) -> Vec<T> {
    let mut items = Vec::with_capacity(len);
    ask_for_huge_pages(items.as_mut_ptr(), len);
    items.resize(len, T::default());
    items
}

/// Asks the system to put memory that was not touched yet into huge pages. Kernels go through hundreds
/// of megabytes, far more than processors have addresses of small pages at hand for.
fn ask_for_huge_pages<T>(start: *mut T, len: usize) {
    /// Smaller arrays share their pages with others.
    const LEAST: usize = 1 << 17;
    #[cfg(target_os = "linux")]
    if len * size_of::<T>() >= LEAST {
        use rustix::mm::{Advice, madvise};
        let page = rustix::param::page_size();
        let before = start.addr() % page;
        let bytes = (before + len * size_of::<T>()).next_multiple_of(page);
        // SAFETY: this advice changes no contents, here or in what else is on the first and last page.
        // Where the system does not take it, small pages do as well.
        let _ = unsafe {
            madvise(
                start.wrapping_byte_sub(before).cast(),
                bytes,
                Advice::LinuxHugepage,
            )
        };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, len, LEAST);
}

/// An array that the tasks of a stage read and write at once, each in places of its own.
pub(in crate::potential) struct Shared<T> {
    start: *mut T,
    len: usize,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: a bare pointer; whoever goes through it (`at`, unsafe) keeps to places that no other task
// writes in the same stage, and stages are kept apart by the pool, which orders memory.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(in crate::potential) fn new(slice: &mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
        }
    }

    /// Part of the array, cut off at its end.
    #[inline(always)]
    pub(in crate::potential) fn span(self, range: std::ops::Range<usize>) -> Span<T> {
        let start = range.start.min(self.len);
        Span {
            start: self.start.wrapping_add(start),
            count: range.end.min(self.len) - start,
        }
    }

    /// Pointer to a number.
    ///
    /// # Safety
    /// The array lives, and `index` does not exceed its length.
    #[inline(always)]
    pub(in crate::potential) unsafe fn at(self, index: usize) -> *mut T {
        debug_assert!(index <= self.len);
        // SAFETY: the caller keeps within the array.
        unsafe { self.start.add(index) }
    }
}

/// Numbers next to each other that will be read or written soon.
#[derive(Clone, Copy)]
pub(in crate::potential) struct Span<T> {
    pub(in crate::potential) start: *const T,
    pub(in crate::potential) count: usize,
}

impl<T> Span<T> {
    pub(in crate::potential) const NONE: Self = Self {
        start: std::ptr::null(),
        count: 0,
    };

    /// Begins to fetch one of so many parts into the second-level cache.
    #[inline(always)]
    pub(in crate::potential) fn fetch_part(self, part: usize, parts: usize) {
        let lines = self.count * size_of::<T>() / LINE;
        for line in part * lines / parts..(part + 1) * lines / parts {
            let line = self.start.wrapping_byte_add(line * LINE).cast::<i8>();
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
                // SAFETY: fetching has no effect but on speed, whatever the address.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(line) };
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = line;
        }
    }
}

/// Begins to fetch numbers into the first-level cache.
#[inline(always)]
pub(in crate::potential) fn prefetch<T>(start: *const T, count: usize) {
    for offset in (0..count * size_of::<T>()).step_by(LINE) {
        let line = start.wrapping_byte_add(offset).cast::<i8>();
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: fetching has no effect but on speed, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = line;
    }
}
