//! Arrays for the kernels: aligned to cache lines, and pointers to them that tasks share.

use super::lane::Real;

/// Bytes of a cache line, and of the widest SIMD register.
const LINE: usize = 64;

/// Numbers that begin on a cache line.
pub(super) struct Aligned<T> {
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
    pub(super) fn zeros(len: usize) -> Self {
        let numbers = vec![T::default(); len + LINE / size_of::<T>()];
        let offset = numbers.as_ptr().align_offset(LINE);
        Self {
            numbers,
            offset,
            len,
        }
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.numbers[self.offset..self.offset + self.len]
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.numbers[self.offset..self.offset + self.len]
    }

    /// A pointer for tasks that write parts which do not overlap.
    pub(super) fn shared(&mut self) -> Shared<T> {
        Shared::new(self.as_mut_slice())
    }
}

/// An array that the tasks of a stage read and write at once, each in places of its own.
pub(super) struct Shared<T> {
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
    pub(super) fn new(slice: &mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
        }
    }

    /// Pointer to a number.
    ///
    /// # Safety
    /// The array lives, and `index` does not exceed its length.
    #[inline(always)]
    pub(super) unsafe fn at(self, index: usize) -> *mut T {
        debug_assert!(index <= self.len);
        // SAFETY: the caller keeps within the array.
        unsafe { self.start.add(index) }
    }
}
