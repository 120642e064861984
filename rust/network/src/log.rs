//! Log records on their way out: a bounded queue that nothing on the data's way waits for.
//!
//! A record that is not wanted costs one load. A full queue drops and counts. Whoever reads the queue is started when the first record
//! comes, by the function that [`set_reader`] was given.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::per_process::PerProcess;

/// Records that may wait.
const CAPACITY: usize = 1024;

/// How much a record matters, as Python numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Single steps.
    Debug = 10,
    /// What a person may want to know.
    Info = 20,
    /// Something odd that was tolerated.
    Warning = 30,
    /// Something that failed.
    Error = 40,
}

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// How much it matters.
    pub level: Level,
    /// What happened.
    pub message: String,
}

#[derive(Default)]
struct State {
    records: VecDeque<Record>,
    dropped: u64,
    reading: bool,
    /// The reader has one in its hands.
    handed: bool,
    stopped: bool,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

/// Records below it are not made; 255 for none at all.
static LEVEL: AtomicU8 = AtomicU8::new(Level::Warning as u8);
static READER: OnceLock<fn() -> bool> = OnceLock::new();
static CURRENT: PerProcess<Queue> = PerProcess::new();

pub(crate) fn forget_parent() {
    CURRENT.forget();
}

/// Who starts a thread that calls [`next`] until it gives nothing, or says that there is none to be had: then the next
/// record asks again. The first one given stays.
pub fn set_reader(start: fn() -> bool) {
    let _ = READER.set(start);
}

/// Sets which records are made, as Python numbers levels.
pub fn set_level(level: u8) {
    LEVEL.store(level, Ordering::Relaxed);
}

/// Queues a record, if it is wanted. Never waits.
pub fn record(level: Level, message: impl FnOnce() -> String) {
    if (level as u8) < LEVEL.load(Ordering::Relaxed) {
        return;
    }
    let Some(start) = READER.get() else { return };
    let queue = CURRENT.get();
    let mut state = queue.state.lock().unwrap_or_else(PoisonError::into_inner);
    if state.stopped {
        return;
    }
    if state.records.len() >= CAPACITY {
        state.dropped += 1;
        return;
    }
    state.records.push_back(Record { level, message: message() });
    let start = (!std::mem::replace(&mut state.reading, true)).then_some(*start);
    drop(state);
    queue.changed.notify_all();
    if start.is_some_and(|start| !start()) {
        queue.state.lock().unwrap_or_else(PoisonError::into_inner).reading = false;
    }
}

/// Waits for the next record; `None` after `idle` without one, or once it is stopped: the reader then ends.
pub fn next(idle: Duration) -> Option<Record> {
    let queue = CURRENT.get();
    let mut state = queue.state.lock().unwrap_or_else(PoisonError::into_inner);
    state.handed = false;
    // Whoever waits in `flush`.
    queue.changed.notify_all();
    let (mut state, _) = queue
        .changed
        .wait_timeout_while(state, idle, |state| state.records.is_empty() && state.dropped == 0 && !state.stopped)
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(record) = state.records.pop_front() {
        state.handed = true;
        return Some(record);
    }
    let dropped = std::mem::take(&mut state.dropped);
    if dropped > 0 {
        let message = format!("{dropped} log records were dropped: they came faster than they were handled");
        return Some(Record { level: Level::Warning, message });
    }
    state.reading = false;
    None
}

/// Waits until the records that there are have been handled, at most `limit`.
pub fn flush(limit: Duration) {
    let queue = CURRENT.get();
    let state = queue.state.lock().unwrap_or_else(PoisonError::into_inner);
    let under_way = |state: &mut State| state.reading && !state.stopped && (state.handed || !state.records.is_empty());
    let _ = queue.changed.wait_timeout_while(state, limit, under_way).unwrap_or_else(PoisonError::into_inner);
}

/// No more records; the reader ends.
pub fn stop() {
    let queue = CURRENT.get();
    queue.state.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
    queue.changed.notify_all();
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    static STARTED: AtomicU8 = AtomicU8::new(0);
    static HANDLED: AtomicBool = AtomicBool::new(false);

    #[test]
    fn a_full_queue_says_so_a_reader_is_asked_for_until_there_is_one_and_a_flush_waits_for_it() {
        set_reader(|| STARTED.fetch_add(1, Ordering::Relaxed) == 2);
        set_level(Level::Info as u8);
        record(Level::Debug, || unreachable!("not wanted"));
        for number in 0..CAPACITY + 5 {
            record(Level::Info, || number.to_string());
        }
        assert_eq!(STARTED.load(Ordering::Relaxed), 3, "twice in vain");
        let flushed = std::thread::spawn(|| {
            flush(Duration::from_secs(30));
            assert!(HANDLED.load(Ordering::Acquire), "the last record is still being handled");
        });
        let read: Vec<_> = (0..=CAPACITY).filter_map(|_| next(Duration::ZERO)).collect();
        HANDLED.store(true, Ordering::Release);
        assert!(next(Duration::ZERO).is_none());
        flushed.join().expect("it has waited");
        assert_eq!(read.len(), CAPACITY + 1);
        assert_eq!(read[0].message, "0");
        assert!(read[CAPACITY].message.starts_with("5 log records"));
    }
}
