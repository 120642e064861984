//! Waiting in Rust for Python: without the GIL, ended by Ctrl-C within 100 ms, with Python's exceptions.

use std::cell::Cell;
use std::time::Duration;

use dimsefast_network::protocol::association::NetworkTimeoutResponse;
use dimsefast_network::{Patience, WaitError, process};
use pyo3::exceptions::{PyConnectionAbortedError, PyOSError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;

/// Seconds as Python gives them; `None` for no limit.
pub(crate) fn seconds(value: Option<f64>) -> PyResult<Option<Duration>> {
    value
        .map(|value| {
            Duration::try_from_secs_f64(value)
                .map_err(|_| PyValueError::new_err(format!("{value} is not a number of seconds that can be waited")))
        })
        .transpose()
}

/// What an association does when its network time-out has passed, by the name of the PDU or primitive.
pub(crate) fn network_timeout_response(name: &str) -> PyResult<NetworkTimeoutResponse> {
    match name {
        "A-ABORT" => Ok(NetworkTimeoutResponse::Abort),
        "A-P-ABORT" => Ok(NetworkTimeoutResponse::ProviderAbort),
        "A-RELEASE" => Ok(NetworkTimeoutResponse::Release),
        _ => Err(PyValueError::new_err(format!("{name:?} is no response to a network time-out"))),
    }
}

thread_local! {
    /// In which fork generation this thread was asked whether it is the main thread, and the answer.
    static IS_MAIN: Cell<Option<(u32, bool)>> = const { Cell::new(None) };
}

/// Python delivers signals on its main thread only: no other needs to ask.
fn is_main_thread() -> bool {
    match IS_MAIN.get() {
        Some((generation, is_main)) if generation == process::generation() => is_main,
        _ => {
            #[cfg(target_os = "linux")]
            let is_main = rustix::thread::gettid() == rustix::process::getpid();
            #[cfg(not(target_os = "linux"))]
            let is_main = true;
            IS_MAIN.set(Some((process::generation(), is_main)));
            is_main
        }
    }
}

/// Runs `body`, which waits, without the GIL. `over` ends the wait, too: it is asked ten times a second.
///
/// # Errors
/// `TimeoutError`; `ConnectionAbortedError` where the association is over; `OSError` for a file; whatever a signal handler raised.
pub(crate) fn waiting<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    over: Option<&(dyn Fn() -> bool + Sync)>,
    body: impl FnOnce(&mut Patience<'_>) -> Result<T, WaitError> + Send,
) -> PyResult<T> {
    let signals = is_main_thread();
    let (result, raised) = py.detach(|| {
        let mut raised = None;
        let mut interrupted = || {
            if over.is_some_and(|over| over()) {
                return true;
            }
            if signals && let Err(error) = Python::attach(|py| py.check_signals()) {
                raised = Some(error);
                return true;
            }
            false
        };
        let mut patience = Patience::at_most(timeout);
        if signals || over.is_some() {
            patience.interrupted = Some(&mut interrupted);
        }
        let result = body(&mut patience);
        (result, raised)
    });
    match (result, raised) {
        (_, Some(error)) => Err(error),
        (Ok(value), None) => Ok(value),
        (Err(error), None) => Err(exception(error)),
    }
}

pub(crate) fn exception(error: WaitError) -> PyErr {
    match error {
        WaitError::Timeout => PyTimeoutError::new_err(error.to_string()),
        WaitError::Ended | WaitError::Interrupted => PyConnectionAbortedError::new_err(error.to_string()),
        WaitError::File(error) => PyOSError::new_err(error.to_string()),
    }
}
