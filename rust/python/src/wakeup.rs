//! What an event loop does with connections: nothing in here waits. Where something is not to be had yet the loop is woken, with the token that
//! it gave, when it is worth another call.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use dimsefast_network::{self as network, Observer, Want};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::associate::connect_error;
use crate::connection::Connection;
use crate::message::Message;
use crate::prepared::Prepared;
use crate::wait::{exception, seconds};

/// Wakes one event loop by a descriptor that becomes readable.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Wakeup {
    inner: Arc<network::Wakeup>,
}

impl Wakeup {
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        self.inner.clone()
    }
}

#[pymethods]
impl Wakeup {
    #[new]
    fn new() -> PyResult<Self> {
        let made = network::Wakeup::new().map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self { inner: Arc::new(made) })
    }

    /// The descriptor that is readable while there are tokens.
    fn fileno(&self) -> i32 {
        self.inner.descriptor().as_raw_fd()
    }

    /// The tokens that have come.
    fn take(&self) -> Vec<u64> {
        self.inner.take()
    }

    /// Whether it is so already: "negotiated", "ended", "finished" (closed, and its service told), "idle" (its service
    /// is done) or "told" (its service told, if not done).
    fn until(&self, py: Python<'_>, connection: &Connection, what: &str, token: u64) -> PyResult<bool> {
        let want = match what {
            "negotiated" => Want::Negotiated,
            "ended" => Want::Ended,
            "finished" => Want::Finished,
            "idle" => Want::Idle,
            "told" => Want::Told,
            other => return Err(PyValueError::new_err(format!("nobody can wait for {other:?}"))),
        };
        let connection = connection.live()?;
        Ok(py.detach(|| connection.observe(want, self.observer(), token)))
    }

    /// Nobody waits under this token any more.
    fn forget(&self, py: Python<'_>, connection: &Connection, token: u64) -> PyResult<()> {
        let connection = connection.live()?;
        py.detach(|| connection.forget_observer(token));
        Ok(())
    }

    /// Goes on with sending what was prepared: whether it has left, or been put out and is small. Raises as `Connection.send_prepared`.
    fn send(
        &self,
        py: Python<'_>,
        connection: &Connection,
        prepared: &Prepared,
        timeout: Option<f64>,
        token: u64,
    ) -> PyResult<bool> {
        let (connection, post, timeout) = (connection.live()?, prepared.post()?, seconds(timeout)?);
        let observer = self.observer();
        let kept = || Python::attach(|py| prepared.object.kept(py));
        py.detach(|| post.advance(connection, kept, timeout, &observer, token)).map_err(exception)
    }

    /// The responses with this Message ID that are there, up to the final one. Raises ConnectionAbortedError where none will come.
    fn responses(
        &self,
        py: Python<'_>,
        connection: &Connection,
        message_id: u16,
        token: u64,
    ) -> PyResult<Vec<Message>> {
        let connection = connection.live()?;
        let taken = py.detach(|| connection.take_responses(message_id, self.observer(), token)).map_err(exception)?;
        Ok(taken.into_iter().map(Message::new).collect())
    }

    /// The first response with any of these Message IDs, or None. Raises as `responses`.
    fn response(
        &self,
        py: Python<'_>,
        connection: &Connection,
        message_ids: Vec<u16>,
        token: u64,
    ) -> PyResult<Option<Message>> {
        let connection = connection.live()?;
        let taken = py.detach(|| connection.take_response(&message_ids, self.observer(), token));
        Ok(taken.map_err(exception)?.map(Message::new))
    }

    /// How many bytes have left by now.
    fn written(&self, py: Python<'_>, connection: &Connection) -> PyResult<u64> {
        let connection = connection.live()?;
        Ok(py.detach(|| connection.written()))
    }

    /// Asks for the release.
    fn release(&self, py: Python<'_>, connection: &Connection) -> PyResult<()> {
        let connection = connection.live()?;
        py.detach(|| connection.begin_release());
        Ok(())
    }
}

/// A connection that is being made.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Connecting {
    inner: Arc<network::Connecting>,
}

impl Connecting {
    pub(crate) fn begin(
        request: network::Request,
        service: Arc<dyn network::Service>,
        wakeup: &Wakeup,
        token: u64,
    ) -> io::Result<Self> {
        Ok(Self { inner: network::Connecting::begin(request, service, wakeup.observer(), token)? })
    }
}

#[pymethods]
impl Connecting {
    /// The connection, once it has been made. Raises as `connect`.
    fn take(&self) -> PyResult<Connection> {
        match self.inner.take() {
            Some(made) => made.map(Connection::new).map_err(connect_error),
            None => Err(PyRuntimeError::new_err("there is no connection yet, or it was taken")),
        }
    }

    /// Nobody wants it any more.
    fn abandon(&self, py: Python<'_>) {
        py.detach(|| self.inner.abandon());
    }
}
