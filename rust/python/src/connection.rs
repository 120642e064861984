//! One association as Python sees it: messages in and out, its state, its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dimsefast_identifier::codec::TransferSyntax;

use dimsefast_network::protocol::command::{self, CommandField, CommandSet, Priority, Status};
use dimsefast_network::protocol::pdu::AssociateRj;
use dimsefast_network::protocol::types::{AbortReason, RejectReason, RejectResult, RejectSource};
use dimsefast_network::{self as network, End, NegotiationReply, Output, Payload, Reply, Source, process};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::associate::{ae_title, uid};
use crate::command::{Value, request};
use crate::message::{Message, file_error, response};
use crate::negotiation::Negotiation;
use crate::pool::describe;
use crate::prepared::{Object, Prepared};
use crate::storing::{self, StorePlan};
use crate::tls::Security;
use crate::wait::{network_timeout_response, seconds, waiting};

/// One association on one transport connection.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Connection {
    inner: Arc<network::Connection>,
}

/// (how, result, source, reason, cause)
type Ending = (&'static str, u8, u8, u8, String);

/// (kind, argument)
pub(crate) type Described = (&'static str, Option<Py<PyAny>>);

impl Connection {
    pub(crate) fn new(inner: Arc<network::Connection>) -> Self {
        Self { inner }
    }

    /// The connection, where it may be used: not in the child of a fork.
    pub(crate) fn live(&self) -> PyResult<&Arc<network::Connection>> {
        if self.inner.generation == process::generation() {
            return Ok(&self.inner);
        }
        Err(PyRuntimeError::new_err("this association was made before a fork and cannot be used in the child process"))
    }
}

#[pymethods]
impl Connection {
    /// Unique within the process.
    #[getter]
    fn id(&self) -> u64 {
        self.inner.id
    }

    /// (host, port) of the peer.
    #[getter]
    fn peer(&self) -> (String, u16) {
        (self.inner.peer.ip().to_string(), self.inner.peer.port())
    }

    /// (host, port) of this end.
    #[getter]
    fn local(&self) -> (String, u16) {
        (self.inner.local.ip().to_string(), self.inner.local.port())
    }

    #[getter]
    fn is_established(&self, py: Python<'_>) -> PyResult<bool> {
        let connection = self.live()?;
        Ok(py.detach(|| connection.is_established()))
    }

    /// How it ended: `("rejected", result, source, reason, "")`, `("released", 0, 0, 0, "")`, or
    /// `("aborted" | "aborted by peer", 0, source, reason, cause)`; None while it has not.
    #[getter]
    fn end(&self) -> PyResult<Option<Ending>> {
        Ok(self.live()?.end().map(|end| match end {
            End::Rejected(reject) => ("rejected", reject.result.0, reject.source.0, reject.reason.0, String::new()),
            End::Released => ("released", 0, 0, 0, String::new()),
            End::Aborted { by_peer, source, reason, cause } => {
                let how = if *by_peer { "aborted by peer" } else { "aborted" };
                (how, 0, source.0, reason.0, cause.to_string())
            }
        }))
    }

    /// What this accepted association was answered by now: (C-ECHO requests, objects stored, objects not stored, bytes stored).
    #[getter]
    fn counts(&self, py: Python<'_>) -> (u64, u64, u64, u64) {
        let counts = py.detach(|| self.inner.counts());
        (counts.echoes, counts.stored, counts.not_stored, counts.bytes)
    }

    #[getter]
    fn is_closed(&self, py: Python<'_>) -> PyResult<bool> {
        let connection = self.live()?;
        Ok(py.detach(|| connection.is_closed()))
    }

    /// What has been asked for and answered by now; None before the A-ASSOCIATE-RQ.
    #[getter]
    fn negotiation(&self, py: Python<'_>) -> Option<Negotiation> {
        py.detach(|| self.inner.negotiation()).map(Negotiation::new)
    }

    /// What is between this connection and TCP.
    #[getter]
    fn security(&self) -> PyResult<Security> {
        Ok(Security::new(self.live()?.clone()))
    }

    /// Which notices and requests are handed to the callback.
    fn watch_notices(&self, py: Python<'_>, bits: u32) -> PyResult<()> {
        let connection = self.live()?;
        py.detach(|| connection.watch_notices(bits));
        Ok(())
    }

    /// Changes the ACSE and network time-outs, in seconds, None for no limit; and what is done when the latter has passed.
    #[pyo3(signature = (acse, network, response))]
    fn set_timeouts(&self, py: Python<'_>, acse: Option<f64>, network: Option<f64>, response: &str) -> PyResult<()> {
        let (acse, network) = (seconds(acse)?, seconds(network)?);
        let response = network_timeout_response(response)?;
        let connection = self.live()?;
        py.detach(|| connection.set_timeouts(acse, network, response));
        Ok(())
    }

    /// Runs what waits for this connection's service, on this thread: returns (kind, argument), or None.
    fn take_job(&self, py: Python<'_>) -> PyResult<Option<Described>> {
        let connection = self.live()?;
        let Some(job) = py.detach(|| connection.take_job()) else { return Ok(None) };
        let kind = job.kind();
        let described = describe(py, job)?;
        if kind == network::JobKind::Serial {
            // A notice has no end that anybody waits for.
            py.detach(|| connection.finish_job(kind));
        }
        Ok(Some(described))
    }

    /// Waits until everybody has been told of everything that has happened so far.
    #[pyo3(signature = (timeout=None))]
    fn wait_told(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let connection = self.live()?;
        waiting(py, seconds(timeout)?, None, |patience| connection.told(patience))
    }

    /// A request from `take_job` or `receive` has been performed.
    fn request_done(&self, py: Python<'_>) -> PyResult<()> {
        let connection = self.live()?;
        py.detach(|| connection.finish_job(network::JobKind::Request));
        Ok(())
    }

    /// Goes on with the object whose turn is over (see `Message.turn`): into `plan`, refused with `status`, or written piece by piece to
    /// `writer`; with none of them, a piece has been written.
    #[pyo3(signature = (plan=None, status=None, writer=None))]
    fn proceed(
        &self,
        py: Python<'_>,
        plan: Option<Py<StorePlan>>,
        status: Option<u16>,
        writer: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let connection = self.live()?;
        let answer = storing::answer(plan.as_ref(), status, writer);
        py.detach(|| connection.proceed(&answer));
        Ok(())
    }

    /// Accepts the A-ASSOCIATE-RQ with what the handlers answered.
    #[pyo3(signature = (async_ops=None, sop_extended=Vec::new(), user_identity=None))]
    fn accept(
        &self,
        py: Python<'_>,
        async_ops: Option<(u16, u16)>,
        sop_extended: Vec<(String, Vec<u8>)>,
        user_identity: Option<Vec<u8>>,
    ) -> PyResult<()> {
        let sop_extended = sop_extended.into_iter().map(|(class, info)| (uid(&class), info)).collect();
        let connection = self.live()?;
        py.detach(|| connection.accept(NegotiationReply { async_ops, sop_extended, user_identity }));
        Ok(())
    }

    /// Rejects it.
    fn reject(&self, py: Python<'_>, result: u8, source: u8, reason: u8) -> PyResult<()> {
        let reject =
            AssociateRj { result: RejectResult(result), source: RejectSource(source), reason: RejectReason(reason) };
        let connection = self.live()?;
        py.detach(|| connection.reject(reject));
        Ok(())
    }

    /// Counts a Message ID as in use: the next free one, or `wanted`. Raises ValueError where that is in use.
    #[pyo3(signature = (wanted=None))]
    fn begin(&self, py: Python<'_>, wanted: Option<u16>) -> PyResult<u16> {
        let connection = self.live()?;
        py.detach(|| connection.begin(wanted)).ok_or_else(|| {
            PyValueError::new_err(match wanted {
                Some(id) => format!("Message ID {id} is in use on this association"),
                None => "all Message IDs of this association are in use".to_owned(),
            })
        })
    }

    /// The next free Message IDs are those behind this one.
    fn number_after(&self, py: Python<'_>, message_id: u16) -> PyResult<()> {
        let connection = self.live()?;
        py.detach(|| connection.number_after(message_id));
        Ok(())
    }

    /// The Message ID is free again; responses with it that still come are dropped.
    fn forget(&self, py: Python<'_>, message_id: u16) -> PyResult<()> {
        let connection = self.live()?;
        py.detach(|| connection.forget(message_id));
        Ok(())
    }

    /// Sends a request: its command set from `elements` (element number, value), and the encoded dataset or none.
    #[pyo3(signature = (context_id, command_field, message_id, elements, dataset, timeout))]
    #[expect(clippy::too_many_arguments, reason = "one call of Python a message")]
    fn send_request(
        &self,
        py: Python<'_>,
        context_id: u8,
        command_field: u16,
        message_id: u16,
        elements: Vec<(u16, Value)>,
        dataset: Option<&[u8]>,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let command = request(command_field, message_id, elements, dataset.is_some());
        self.send(py, context_id, &command, dataset, timeout, Output::Now)
    }

    /// The same for a sender that does not wait: see `Wakeup.send`.
    fn prepare_request(
        &self,
        py: Python<'_>,
        context_id: u8,
        command_field: u16,
        message_id: u16,
        elements: Vec<(u16, Value)>,
        dataset: Option<Bound<'_, PyBytes>>,
    ) -> PyResult<Prepared> {
        let command = request(command_field, message_id, elements, dataset.is_some());
        let object = dataset.map_or(Object::None, |dataset| Object::Bytes(dataset.unbind()));
        Ok(Prepared::new(py, self.live()?, context_id, &command, message_id, object)?)
    }

    /// C-ECHO, whole: the status.
    #[pyo3(signature = (context_id, message_id, timeout))]
    fn c_echo(&self, py: Python<'_>, context_id: u8, message_id: u16, timeout: Option<f64>) -> PyResult<Message> {
        let request = command::c_echo_rq(message_id, &uid("1.2.840.10008.1.1"));
        let connection = self.live()?;
        waiting(py, seconds(timeout)?, None, |patience| {
            connection.send(patience, context_id, &request, Payload::None, Output::Now)?;
            response(connection.receive(patience, message_id, false)?)
        })
        .map(Message::new)
    }

    /// Reads the beginning of a C-STORE ahead of its turn: of encoded bytes, or of a file from `offset` on, converted from and to the transfer
    /// syntaxes in `convert`. Raises OSError where the file cannot be read, ValueError where it cannot be converted.
    #[pyo3(signature = (context_id, message_id, sop_class, sop_instance, priority, originator, dataset, path, offset, convert))]
    #[expect(clippy::too_many_arguments, reason = "one call of Python a message")]
    fn prepare_store(
        &self,
        py: Python<'_>,
        context_id: u8,
        message_id: u16,
        sop_class: &str,
        sop_instance: &str,
        priority: u16,
        originator: Option<(String, u16)>,
        dataset: Option<Bound<'_, PyBytes>>,
        path: Option<PathBuf>,
        offset: u64,
        convert: Option<(String, String)>,
    ) -> PyResult<Prepared> {
        let originator = match originator {
            Some((title, id)) => Some((ae_title(&title)?, id)),
            None => None,
        };
        let request = command::c_store_rq(
            message_id,
            &uid(sop_class),
            &uid(sop_instance),
            Priority(priority),
            originator.as_ref().map(|(title, id)| (title, *id)),
        );
        let connection = self.live()?;
        let object = match (&dataset, &path) {
            (None, Some(path)) => Object::File(Arc::new(
                py.detach(|| match &convert {
                    Some((from, to)) => {
                        let known = |uid: &str| TransferSyntax::from_uid(uid.as_bytes());
                        Source::open_converted(path, offset, known(from), known(to))
                    }
                    None => Source::open(path, offset),
                })
                .map_err(|error| file_error(py, error, path))?,
            )),
            _ => Object::Bytes(dataset.map_or_else(|| PyBytes::new(py, b"").unbind(), Bound::unbind)),
        };
        Prepared::new(py, connection, context_id, &request, message_id, object)
            .map_err(|error| file_error(py, error, path.as_deref().unwrap_or(Path::new(""))))
    }

    /// Sends what was prepared, once. `parent` is the association on whose behalf it is done: the end of that one ends the wait.
    #[pyo3(signature = (prepared, timeout, parent=None))]
    fn send_prepared(
        &self,
        py: Python<'_>,
        prepared: &Prepared,
        timeout: Option<f64>,
        parent: Option<PyRef<'_, Self>>,
    ) -> PyResult<()> {
        let connection = self.live()?;
        let (outgoing, payload) = (prepared.take()?, prepared.object.payload(py));
        // Of an accepted association: what it sends itself is for a C-GET, what is sent on its behalf for a C-MOVE.
        let (counted, field) = match &parent {
            Some(parent) => (parent.inner.clone(), CommandField::C_MOVE_RQ),
            None => (connection.clone(), CommandField::C_GET_RQ),
        };
        on_behalf(parent, |over| {
            waiting(py, seconds(timeout)?, over, |patience| connection.send_prepared(patience, outgoing, payload))
        })?;
        py.detach(|| counted.count_sub_operation(field, prepared.length));
        Ok(())
    }

    /// Waits for the first response with any of these Message IDs.
    #[pyo3(signature = (message_ids, timeout, parent=None))]
    fn receive_any(
        &self,
        py: Python<'_>,
        message_ids: Vec<u16>,
        timeout: Option<f64>,
        parent: Option<PyRef<'_, Self>>,
    ) -> PyResult<Message> {
        let connection = self.live()?;
        on_behalf(parent, |over| {
            waiting(py, seconds(timeout)?, over, |patience| connection.receive_any(patience, &message_ids))
        })
        .map(Message::new)
    }

    /// Waits for the next response with this Message ID; with `requests`, also for a request of the peer.
    #[pyo3(signature = (message_id, timeout, requests=false))]
    fn receive(&self, py: Python<'_>, message_id: u16, timeout: Option<f64>, requests: bool) -> PyResult<Message> {
        let connection = self.live()?;
        let reply =
            waiting(py, seconds(timeout)?, None, |patience| connection.receive(patience, message_id, requests))?;
        Ok(Message::new(match reply {
            Reply::Response(message) => message,
            Reply::Request(message) => *message,
        }))
    }

    /// Waits for the next response with this Message ID; all of them that are there by then, up to the final one.
    #[pyo3(signature = (message_id, timeout))]
    fn receive_all(&self, py: Python<'_>, message_id: u16, timeout: Option<f64>) -> PyResult<Vec<Message>> {
        let connection = self.live()?;
        let received = waiting(py, seconds(timeout)?, None, |patience| connection.receive_all(patience, message_id))?;
        Ok(received.into_iter().map(Message::new).collect())
    }

    /// Sends a response to `request`, with extra command elements and the encoded dataset or none.
    #[pyo3(signature = (request, status, dataset=None, extra=Vec::new(), timeout=None))]
    fn respond(
        &self,
        py: Python<'_>,
        request: &Message,
        status: u16,
        dataset: Option<&[u8]>,
        extra: Vec<(u16, Value)>,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let extra: Vec<(u16, Vec<u8>)> = extra.into_iter().map(|(element, value)| (element, value.bytes())).collect();
        let borrowed: Vec<(u16, &[u8])> = extra.iter().map(|(element, value)| (*element, value.as_slice())).collect();
        let command = command::response(&request.inner.command, Status(status), dataset.is_some(), &borrowed);
        let output = if Status(status).is_pending() { Output::Soon } else { Output::Now };
        self.send(py, request.inner.context_id, &command, dataset, timeout, output)?;
        request.inner.answered(Status(status), dataset.map_or(0, <[u8]>::len));
        Ok(())
    }

    /// Sends a Pending response to `request` for each of the encoded datasets, without the GIL. How many: fewer where it is cancelled meanwhile.
    /// The time is for each.
    fn respond_many(
        &self,
        py: Python<'_>,
        request: &Message,
        status: u16,
        datasets: Vec<Bound<'_, PyBytes>>,
        timeout: Option<f64>,
    ) -> PyResult<usize> {
        let connection = self.live()?;
        let request = &request.inner;
        let command = command::response(&request.command, Status(status), true, &[]);
        // The references keep the bytes alive, and bytes never change.
        let datasets: Vec<&[u8]> = datasets.iter().map(|dataset| dataset.as_bytes()).collect();
        waiting(py, seconds(timeout)?, None, |patience| {
            for (sent, dataset) in datasets.iter().enumerate() {
                if request.is_cancelled() {
                    return Ok(sent);
                }
                patience.restart();
                let payload = Payload::Bytes(dataset);
                connection.send(patience, request.context_id, &command, payload, Output::Soon)?;
                request.answered(Status(status), dataset.len());
            }
            Ok(datasets.len())
        })
    }

    /// The final response to the request has been sent, or never will be.
    fn performed(&self, py: Python<'_>, request: &Message) -> PyResult<()> {
        let connection = self.live()?;
        py.detach(|| connection.performed(&request.inner));
        Ok(())
    }

    /// Releases, and waits for the confirmation. Raises TimeoutError where it does not come.
    #[pyo3(signature = (timeout))]
    fn release(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let connection = self.live()?;
        waiting(py, seconds(timeout)?, None, |patience| connection.release(patience))
    }

    /// Aborts at once.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        let connection = self.live()?;
        py.detach(|| connection.abort());
        Ok(())
    }

    /// Aborts as the service provider, with a reason of PS3.8 Table 9-26.
    fn abort_provider(&self, py: Python<'_>, reason: u8) -> PyResult<()> {
        let connection = self.live()?;
        py.detach(|| connection.abort_provider(AbortReason(reason)));
        Ok(())
    }

    /// Waits until the transport is closed.
    #[pyo3(signature = (timeout))]
    fn wait_closed(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let connection = self.live()?;
        waiting(py, seconds(timeout)?, None, |patience| connection.closed(patience))
    }

    /// Whether it is over, and every handler has run.
    #[getter]
    fn is_finished(&self, py: Python<'_>) -> bool {
        py.detach(|| self.inner.is_finished())
    }

    fn __repr__(&self) -> String {
        format!("<Connection {} to {}>", self.inner.id, self.inner.peer)
    }
}

impl Connection {
    fn send(
        &self,
        py: Python<'_>,
        context_id: u8,
        command: &CommandSet,
        dataset: Option<&[u8]>,
        timeout: Option<f64>,
        output: Output,
    ) -> PyResult<()> {
        let connection = self.live()?;
        let payload = dataset.map_or(Payload::None, Payload::Bytes);
        waiting(py, seconds(timeout)?, None, |patience| connection.send(patience, context_id, command, payload, output))
    }
}

/// Calls `work` with what ends its waits where the association that it is done for is over.
fn on_behalf<T>(
    parent: Option<PyRef<'_, Connection>>,
    work: impl FnOnce(Option<&(dyn Fn() -> bool + Sync)>) -> PyResult<T>,
) -> PyResult<T> {
    let Some(parent) = parent.map(|parent| parent.inner.clone()) else { return work(None) };
    work(Some(&|| parent.end().is_some()))
}
