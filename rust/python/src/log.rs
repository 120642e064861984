//! From the core's log queue to Python's `logging`, on one thread of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dimsefast_network::{log, process};
use pyo3::prelude::*;

use crate::wait::seconds;

static EMIT: OnceLock<Py<PyAny>> = OnceLock::new();
static RUNNING: AtomicBool = AtomicBool::new(false);

/// Sets which records the core makes (as `logging` numbers levels) and what takes them: `emit(level, message)`, the first one given.
#[pyfunction]
pub(crate) fn set_log_level(level: u8, emit: Py<PyAny>) {
    let _ = EMIT.set(emit);
    log::set_level(level);
    log::set_reader(|| {
        // Without a thread the records stay in the queue, which is bounded.
        let _ = process::spawn("dimsefast-log", read);
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
    RUNNING.store(true, Ordering::Release);
    Python::attach(|py| {
        while let Some(record) = py.detach(|| log::next(Duration::from_secs(10))) {
            if let Some(emit) = EMIT.get()
                && let Err(error) = emit.call1(py, (record.level as u8, record.message))
            {
                error.write_unraisable(py, None);
            }
        }
    });
    RUNNING.store(false, Ordering::Release);
}

/// Ends the thread, at most after `limit`.
pub(crate) fn stop(limit: Duration) {
    log::stop();
    let deadline = std::time::Instant::now() + limit;
    while RUNNING.load(Ordering::Acquire) && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}
