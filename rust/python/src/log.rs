//! From the core's log queue to Python's `logging`, on one thread of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dimsefast_network::{log, process};
use pyo3::prelude::*;

use crate::wait::seconds;

static EMIT: OnceLock<Py<PyAny>> = OnceLock::new();
/// Threads that have been started and not ended: two for a moment, where one has just been idle for too long.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Sets which records the core makes (as `logging` numbers levels) and what takes them: `emit(level, message)`, the first one given.
#[pyfunction]
pub(crate) fn set_log_level(level: u8, emit: Py<PyAny>) {
    let _ = EMIT.set(emit);
    log::set_level(level);
    log::set_reader(|| {
        // Before it begins: the end of the interpreter waits for a thread that has not yet been given a processor, too.
        RUNNING.fetch_add(1, Ordering::AcqRel);
        let started = process::spawn("dimsefast-log", read).is_ok();
        if !started {
            // Without a thread the records stay in the queue, which is bounded.
            RUNNING.fetch_sub(1, Ordering::AcqRel);
        }
        started
    });
}

/// Waits until the records that there are have been handled, at most `limit` seconds.
#[pyfunction]
pub(crate) fn flush_log(py: Python<'_>, limit: f64) -> PyResult<()> {
    let limit = seconds(Some(limit))?.unwrap_or_default();
    py.detach(|| log::flush(limit));
    Ok(())
}

fn read() {
    // Where the interpreter did not wait long enough, there is nobody left to tell.
    Python::try_attach(|py| {
        while let Some(record) = py.detach(|| log::next(Duration::from_secs(10))) {
            if let Some(emit) = EMIT.get()
                && let Err(error) = emit.call1(py, (record.level as u8, record.message))
            {
                error.write_unraisable(py, None);
            }
        }
    });
    RUNNING.fetch_sub(1, Ordering::AcqRel);
}

/// In the child of a fork, which has none of its parent's threads.
pub(crate) fn forget_parent() {
    RUNNING.store(0, Ordering::Release);
}

/// Ends the thread, at most after `limit`.
pub(crate) fn stop(limit: Duration) {
    log::stop();
    let deadline = std::time::Instant::now() + limit;
    while RUNNING.load(Ordering::Acquire) > 0 && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}
