//! The threads that run handlers: one for each request in progress, idle ones ending after ten seconds.
//!
//! A job is never queued behind a handler that blocks: where no thread is idle another one is started. What bounds them is the
//! number of associations and of operations on each.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use dimsefast_network::{self as network, Job, Notice, PerProcess, Service, Trace, Traced, process};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::connection::{Connection, Described};
use crate::message::Message;

const IDLE: Duration = Duration::from_secs(10);

/// Calls a Python function for each job: `callback(connection, kind, argument)`.
pub(crate) struct PythonService {
    /// Shared, because a Python reference cannot be counted without the GIL.
    pub(crate) callback: Arc<Py<PyAny>>,
}

struct Task {
    callback: Arc<Py<PyAny>>,
    connection: Arc<network::Connection>,
    job: Job,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    idle: usize,
    threads: usize,
    stopping: bool,
}

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    changed: Condvar,
}

static CURRENT: PerProcess<Pool> = PerProcess::new();

pub(crate) fn forget_parent() {
    CURRENT.forget();
}

impl Service for PythonService {
    fn submit(&self, connection: Arc<network::Connection>, job: Job) {
        CURRENT.get().submit(Task { callback: self.callback.clone(), connection, job });
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&'static self, task: Task) {
        let mut state = self.lock();
        if state.stopping {
            return;
        }
        state.tasks.push_back(task);
        let is_awaited = state.idle >= state.tasks.len();
        state.threads += usize::from(!is_awaited);
        // Before a thread is woken: it would only go to sleep again, for the lock.
        drop(state);
        if is_awaited {
            self.changed.notify_one();
        } else if process::spawn("dimsefast-handler", || self.run()).is_err() {
            // No thread to be had: the next one that becomes idle takes the task.
            self.lock().threads -= 1;
        }
    }

    fn run(&'static self) {
        Python::try_attach(|py| {
            while let Some(task) = py.detach(|| self.next()) {
                task.run(py);
            }
        });
        // Not before it has let go of Python: the interpreter ends when all have.
        self.lock().threads -= 1;
        self.changed.notify_all();
    }

    /// The next task; none once this thread may end.
    fn next(&self) -> Option<Task> {
        let mut state = self.lock();
        let deadline = Instant::now() + IDLE;
        state.idle += 1;
        let task = loop {
            if let Some(task) = state.tasks.pop_front() {
                break Some(task);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.stopping {
                break None;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        state.idle -= 1;
        task
    }
}

impl Task {
    /// Runs the job and, on the same thread, those that waited for it.
    fn run(self, py: Python<'_>) {
        let Self { callback, connection, job } = self;
        let mut next = Some(job);
        while let Some(job) = next {
            let kind = job.kind();
            if let Err(error) = call(py, &callback, &connection, job) {
                // The callback reports its handlers' errors itself: this one is ours to show.
                error.write_unraisable(py, None);
                py.detach(|| connection.abort());
            }
            next = py.detach(|| connection.job_done(kind));
        }
        py.detach(|| drop(connection));
    }
}

fn call(py: Python<'_>, callback: &Py<PyAny>, connection: &Arc<network::Connection>, job: Job) -> PyResult<()> {
    let connection = Connection::new(connection.clone());
    let (kind, argument) = describe(py, job)?;
    callback.call1(py, (connection, kind, argument))?;
    Ok(())
}

/// A job as Python sees it: what is to be done, and with what.
pub(crate) fn describe(py: Python<'_>, job: Job) -> PyResult<Described> {
    Ok(match job {
        Job::Secure => ("secure", None),
        Job::Negotiate => ("negotiate", None),
        Job::Notice(notice) => (name(notice), None),
        Job::Trace(trace) => traced(py, trace)?,
        Job::Request(message) => ("request", Some(Py::new(py, Message::new(*message))?.into_any())),
    })
}

/// `("received" | "sent", (time, bytes of a PDU))`, or `("transition", (time, state, event, action, next state))`; times in seconds since 1970.
fn traced(py: Python<'_>, Trace { at, what }: Trace) -> PyResult<Described> {
    let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let (kind, argument) = match what {
        Traced::Received(pdu) => ("received", (at, PyBytes::new(py, &pdu)).into_pyobject(py)?),
        Traced::Sent(pdu) => ("sent", (at, PyBytes::new(py, &pdu)).into_pyobject(py)?),
        Traced::Transition(step) => {
            let names =
                (step.state.to_string(), step.event.to_string(), step.action.to_string(), step.next.to_string());
            ("transition", (at, names.0, names.1, names.2, names.3).into_pyobject(py)?)
        }
    };
    Ok((kind, Some(argument.into_any().unbind())))
}

fn name(notice: Notice) -> &'static str {
    match notice {
        Notice::ConnectionOpen => "EVT_CONN_OPEN",
        Notice::Requested => "EVT_REQUESTED",
        Notice::Accepted => "EVT_ACCEPTED",
        Notice::Rejected => "EVT_REJECTED",
        Notice::Established => "EVT_ESTABLISHED",
        Notice::Released => "EVT_RELEASED",
        Notice::Aborted => "EVT_ABORTED",
        Notice::ConnectionClosed => "EVT_CONN_CLOSE",
    }
}

/// Lets no new job in, and waits until the threads have ended, at most `limit`.
pub(crate) fn stop(limit: Duration) {
    let Some(pool) = CURRENT.made() else { return };
    let deadline = Instant::now() + limit;
    let mut state = pool.lock();
    state.stopping = true;
    state.tasks.clear();
    pool.changed.notify_all();
    while state.threads > 0 {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        state = pool.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}
