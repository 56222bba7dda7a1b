// SPDX-License-Identifier: Apache-2.0

//! Work on all cores whose results come in the order of what they are of.
//!
//! Threads of the standard library do it, which get their items in turn: so the results are in order as they come. A pool
//! such as rayon's hands out work in any order, and would not let one thread read on meanwhile.

use std::iter;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope};

/// Items that a thread has before it, so that it finds the next when it has done one.
const AHEAD: usize = 4;

/// One for each core.
pub(crate) fn threads() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Does `work` on what `next` gives, in so many threads, and gives the results to `take`, in the order of the items,
/// until there are no more or `take` fails. `next` and `take` stay in the caller's thread. At most [`AHEAD`] items for
/// each thread are in memory.
///
/// # Panics
/// If `work` does.
pub(crate) fn in_order<T: Send, R: Send, E>(
    threads: NonZeroUsize,
    next: impl FnMut() -> Option<T>,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let mut items = iter::from_fn(next).fuse();
    // A thread for a single item would only be waited for.
    let (first, second) = (items.next(), items.next());
    if threads.get() == 1 || second.is_none() {
        return first.into_iter().chain(second).chain(items).try_for_each(|item| take(work(item)));
    }
    let mut items = first.into_iter().chain(second).chain(items);
    let work = &work;
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..threads.get()).map(|_| Lane::new(scope, work)).collect();
        let mut turns = lanes.iter().cycle();
        let mut waiting = lanes.iter().cycle();
        let mut ahead = 0;
        loop {
            while ahead < lanes.len() * AHEAD
                && let Some(item) = items.next()
                && let Some(lane) = turns.next()
            {
                // A lane is gone where its thread has panicked, and so does the scope then.
                let _ = lane.items.send(item);
                ahead += 1;
            }
            if ahead == 0 {
                return Ok(());
            }
            let Some(Ok(result)) = waiting.next().map(|lane| lane.results.recv()) else {
                return Ok(());
            };
            ahead -= 1;
            take(result)?;
        }
    })
}

/// A thread, what it is to do, and what it has done.
struct Lane<T, R> {
    items: Sender<T>,
    results: Receiver<R>,
}

impl<T: Send, R: Send> Lane<T, R> {
    /// It ends with the lane.
    fn new<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        work: &'env (impl Fn(T) -> R + Sync),
    ) -> Self
    where
        T: 'scope,
        R: 'scope,
    {
        let (items, to_do) = channel::<T>();
        let (done, results) = channel();
        scope.spawn(move || to_do.into_iter().map(work).try_for_each(|result| done.send(result)));
        Self { items, results }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn of(threads: usize) -> NonZeroUsize {
        NonZeroUsize::new(threads).unwrap()
    }

    #[test]
    fn results_come_in_order_whatever_each_takes() {
        for threads in 1..=5 {
            for count in [0, 1, 2, 3, 7, 100] {
                let mut numbers = 0..count;
                let mut results = Vec::new();
                let work = |n: u64| {
                    thread::sleep(Duration::from_micros(n * 7919 % 300));
                    n * n
                };
                let taken = in_order(
                    of(threads),
                    || numbers.next(),
                    work,
                    |result| {
                        results.push(result);
                        Ok::<_, ()>(())
                    },
                );
                assert_eq!(taken, Ok(()));
                assert_eq!(results, (0..count).map(|n| n * n).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn few_items_are_read_ahead_and_none_after_the_end_or_an_error() {
        for threads in 1..=3 {
            let (read, taken) = (Cell::new(0_usize), Cell::new(0_usize));
            let next = || {
                assert!(read.get() <= 1_000, "nothing is asked for after the end");
                read.set(read.get() + 1);
                assert!(read.get() - taken.get() <= threads * AHEAD + 1);
                (read.get() <= 1_000).then_some(read.get())
            };
            let take = |_| {
                taken.set(taken.get() + 1);
                Ok::<_, ()>(())
            };
            in_order(of(threads), next, |n| n, take).unwrap();
            assert_eq!(taken.get(), 1_000);
            let mut numbers = 0_usize..;
            let take = |n| if n < 50 { Ok(()) } else { Err(n) };
            assert_eq!(in_order(of(threads), || numbers.next(), |n| n, take), Err(50));
            assert!(numbers.start <= 51 + threads * AHEAD);
        }
    }

    #[test]
    fn every_thread_works() {
        // Each waits until all are there.
        let there = AtomicUsize::new(0);
        let mut items = 0..3;
        let work = |_| {
            there.fetch_add(1, Ordering::SeqCst);
            while there.load(Ordering::SeqCst) < 3 {
                thread::yield_now();
            }
        };
        in_order(of(3), || items.next(), work, |()| Ok::<_, ()>(())).unwrap();
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn what_panics_in_a_thread_panics_in_the_caller() {
        let mut items = 0..10;
        let _ = in_order(of(2), || items.next(), |n| assert!(n < 5), |()| Ok::<_, ()>(()));
    }
}
