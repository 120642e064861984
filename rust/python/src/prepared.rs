//! A message that is about to be sent.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use dimsefast_network::protocol::command::CommandSet;
use dimsefast_network::{self as network, Outgoing, Payload, Payloads, Post, Source};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A message whose beginning is in memory, cut for the wire.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Prepared {
    #[pyo3(get)]
    message_id: u16,
    /// The length of its dataset, in bytes.
    #[pyo3(get)]
    length: u64,
    pub(crate) object: Object,
    outgoing: Mutex<Option<Outgoing>>,
    /// It on its way, where nobody waits for it on a thread.
    post: OnceLock<Post>,
}

impl Prepared {
    pub(crate) fn new(
        py: Python<'_>,
        connection: &Arc<network::Connection>,
        context_id: u8,
        command: &CommandSet,
        message_id: u16,
        object: Object,
    ) -> io::Result<Self> {
        let payload = object.payload(py);
        let length = match payload {
            Payload::Object(source) => source.len(),
            Payload::Bytes(bytes) => bytes.len() as u64,
            Payload::None => 0,
        };
        let outgoing = py.detach(|| connection.prepare(context_id, command, payload))?;
        Ok(Self { message_id, length, object, outgoing: Mutex::new(Some(outgoing)), post: OnceLock::new() })
    }

    /// What is to be sent, once.
    pub(crate) fn take(&self) -> PyResult<Outgoing> {
        let outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner).take();
        outgoing.ok_or_else(|| PyRuntimeError::new_err("it was sent before"))
    }

    /// The same on its way.
    pub(crate) fn post(&self) -> PyResult<&Post> {
        if let Some(post) = self.post.get() {
            return Ok(post);
        }
        let made = Post::new(self.take()?);
        Ok(self.post.get_or_init(|| made))
    }
}

/// The dataset of a message.
pub(crate) enum Object {
    None,
    Bytes(Py<PyBytes>),
    File(Arc<Source>),
}

impl Object {
    pub(crate) fn payload<'a>(&'a self, py: Python<'a>) -> Payload<'a> {
        match self {
            Self::None => Payload::None,
            Self::Bytes(bytes) => Payload::Bytes(bytes.bind(py).as_bytes()),
            Self::File(source) => Payload::Object(source),
        }
    }

    /// The same to be kept without the GIL: bytes are copied.
    pub(crate) fn kept(&self, py: Python<'_>) -> Payloads {
        match self {
            Self::None => Payloads::Bytes(Vec::new()),
            Self::Bytes(bytes) => Payloads::Bytes(bytes.bind(py).as_bytes().to_vec()),
            Self::File(source) => Payloads::Object(source.clone()),
        }
    }
}
