//! Tasks of different length that do not depend on each other, over the threads of the processor.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Does `work` with every item, on as many threads as rayon's present pool has. Each thread takes the heaviest item that is left,
/// so that none begins with a long one when the others are done. A thread works with what `begin` made for it. What comes out is
/// in the order of the items, and nothing in it depends on the number of threads where `work` depends on its item alone.
pub fn heaviest_first<T: Send, S, R: Send>(
    items: impl IntoIterator<Item = T>,
    weight: impl Fn(&T) -> usize,
    begin: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) -> R + Sync,
) -> Vec<R> {
    let mut queue: Vec<(usize, T)> = items.into_iter().enumerate().collect();
    // The queue is taken from its end; among items of one weight the first is taken first.
    queue.sort_by_key(|(place, item)| (weight(item), std::cmp::Reverse(*place)));
    let threads = rayon::current_num_threads().min(queue.len());
    let done = Mutex::new(Vec::with_capacity(queue.len()));
    let queue = Mutex::new(queue);
    let take = || locked(&queue).pop();
    let serve = || {
        let mut state = None;
        while let Some((place, item)) = take() {
            let found = work(state.get_or_insert_with(&begin), item);
            locked(&done).push((place, found));
        }
    };
    rayon::scope(|scope| (0..threads).for_each(|_| scope.spawn(|_| serve())));
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, found)| found).collect()
}

/// What a lock holds; a thread that panicked has its panic handed on by rayon.
fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_item_is_worked_with_once_and_answers_are_in_order() {
        for (count, threads) in [(0, 1), (1, 4), (7, 1), (100, 3), (100, 16)] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let begun = AtomicUsize::new(0);
            let begin = || begun.fetch_add(1, Ordering::Relaxed);
            let squares = pool
                .build()
                .unwrap()
                .install(|| heaviest_first(0..count, |k| k % 5, begin, |_, k: usize| k * k));
            assert_eq!(squares, (0..count).map(|k| k * k).collect::<Vec<_>>());
            assert!(begun.into_inner() <= threads.min(count));
        }
    }

    #[test]
    fn the_heaviest_is_begun_first() {
        let order = Mutex::new(Vec::new());
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let note = |_: &mut (), weight: usize| order.lock().unwrap().push(weight);
        pool.install(|| heaviest_first([3, 9, 1, 9, 4], |w| *w, || (), note));
        assert_eq!(order.into_inner().unwrap(), [9, 9, 4, 3, 1]);
    }
}
