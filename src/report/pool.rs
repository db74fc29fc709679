//! How many of many files may stay open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files that may stay open between records: a process may have some hundreds or thousands of files open, and a batch may have
/// more. The others are opened for a record and closed behind it.
#[derive(Debug, Clone)]
pub(super) struct FilePool(Arc<AtomicUsize>);

/// The right to stay open, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<AtomicUsize>);

impl FilePool {
    /// Room for so many.
    pub(super) fn new(files: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(files)))
    }

    /// The right to stay open, where there is room left.
    pub(super) fn permit(&self) -> Option<Permit> {
        let less = |left: usize| left.checked_sub(1);
        let taken = (self.0).fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        taken.ok().map(|_| Permit(Arc::clone(&self.0)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_given_back() {
        let pool = FilePool::new(2);
        let (first, second) = (pool.permit(), pool.permit());
        assert!(first.is_some() && second.is_some() && pool.permit().is_none());
        drop(first);
        assert!(pool.permit().is_some());
        assert!(
            pool.permit().is_some(),
            "the one before was given back at once"
        );
    }
}
