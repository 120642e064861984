//! A received DIMSE message, and what the file meta group of a DICOM file says.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::ptr;

use dimsefast_identifier::Tag;
use dimsefast_network::protocol::types::Uid;
use dimsefast_network::{self as network, Received, Reply, Turn, WaitError, part10};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::decode::Encoded;
use crate::query::uid_of;

/// A received request or response.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Message {
    pub(crate) inner: network::Message,
}

impl Message {
    pub(crate) fn new(inner: network::Message) -> Self {
        Self { inner }
    }
}

#[pymethods]
impl Message {
    #[getter]
    fn context_id(&self) -> u8 {
        self.inner.context_id
    }

    /// Command Field (0000,0100).
    #[getter]
    fn command_field(&self) -> u16 {
        self.inner.command.command_field().0
    }

    /// Message ID (0000,0110), or Message ID Being Responded To (0000,0120); 0 where it is missing.
    #[getter]
    fn message_id(&self) -> u16 {
        let command = &self.inner.command;
        command.message_id().or_else(|| command.message_id_responded_to()).unwrap_or(0)
    }

    /// Status (0000,0900); None in a request.
    #[getter]
    fn status(&self) -> Option<u16> {
        self.inner.command.status().map(|status| status.0)
    }

    /// How a request has been answered by now: (final status, Pending responses, seconds since it came).
    #[getter]
    fn outcome(&self) -> (Option<u16>, u64, f64) {
        let outcome = self.inner.outcome();
        (outcome.status.map(|status| status.0), outcome.pending, outcome.time.as_secs_f64())
    }

    /// The elements of the command set: (element number, value as sent), in order.
    fn elements<'py>(&self, py: Python<'py>) -> Vec<(u16, Bound<'py, PyBytes>)> {
        self.inner.command.elements().map(|(element, value)| (element, PyBytes::new(py, value))).collect()
    }

    /// The number of elements besides those that every response has: more is worth a look.
    #[getter]
    fn element_count(&self) -> usize {
        self.inner.command.elements().count()
    }

    /// The value of an element of group 0000 as it was sent.
    fn element<'py>(&self, py: Python<'py>, element: u16) -> Option<Bound<'py, PyBytes>> {
        self.inner.command.get(element).map(|value| PyBytes::new(py, value))
    }

    #[getter]
    fn has_dataset(&self) -> bool {
        self.inner.data.is_some()
    }

    /// The encoded dataset; None where the message has none.
    fn dataset<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.inner.data.as_ref().map(|data| joined(py, &[], data)).transpose()
    }

    /// The bytes of a DICOM file with the dataset of a C-STORE request. `implementation_version` may be empty.
    fn file<'py>(
        &self,
        py: Python<'py>,
        transfer_syntax: &str,
        implementation_uid: &str,
        implementation_version: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let command = &self.inner.command;
        let (class, instance) = (command.affected_sop_class_uid(), command.affected_sop_instance_uid());
        let meta = part10::meta_bytes(
            class.as_ref().map_or(&[], Uid::trimmed),
            instance.as_ref().map_or(&[], Uid::trimmed),
            transfer_syntax.as_bytes(),
            implementation_uid.as_bytes(),
            implementation_version.as_bytes(),
        );
        match &self.inner.data {
            Some(data) => joined(py, &meta, data),
            None => Ok(PyBytes::new(py, &meta)),
        }
    }

    /// The file that the dataset was written to; None where it is in memory.
    #[getter]
    fn path(&self) -> Option<PathBuf> {
        match &self.inner.data {
            Some(Received::File { path, .. }) => Some(path.clone()),
            _ => None,
        }
    }

    /// The length of the dataset in bytes, kept or not; 0 where the message has none.
    #[getter]
    fn dataset_length(&self) -> u64 {
        self.inner.dataset_length()
    }

    /// Attributes of the dataset that were asked for, as far as they are there: keyword and text.
    #[getter]
    fn header(&self) -> HashMap<String, String> {
        self.inner.header.iter().cloned().collect()
    }

    /// What is to be done before the rest of the dataset is read: "decide", "write", or None for a whole message.
    #[getter]
    fn turn(&self) -> Option<&'static str> {
        self.inner.turn.as_ref().map(|turn| match turn {
            Turn::Decide => "decide",
            Turn::Write { .. } => "write",
        })
    }

    /// What to write: (the writer that was given, the next piece of the dataset, whether it is the last one).
    fn piece<'py>(&self, py: Python<'py>) -> Option<(Py<PyAny>, Bound<'py, PyBytes>, bool)> {
        let Some(Turn::Write { writer, bytes, last }) = &self.inner.turn else { return None };
        let writer = writer.downcast_ref::<Py<PyAny>>()?;
        Some((writer.clone_ref(py), PyBytes::new(py, bytes), *last))
    }

    /// Whether a C-CANCEL for it has come, or its association is over.
    #[getter]
    fn is_cancelled(&self) -> bool {
        self.inner.is_cancelled()
    }

    fn __repr__(&self) -> String {
        format!("<Message {:04X}H, ID {}>", self.command_field(), self.message_id())
    }
}

/// `head` and the dataset behind it, which is copied once.
fn joined<'py>(py: Python<'py>, head: &[u8], data: &Received) -> PyResult<Bound<'py, PyBytes>> {
    if matches!(data, Received::Passed(_)) {
        return Err(PyValueError::new_err("the dataset was not kept: store_to says so"));
    }
    let Received::Memory(body) = data else {
        let length = usize::try_from(data.len())?;
        return PyBytes::new_with(py, head.len() + length, |buffer| {
            let (front, rest) = buffer.split_at_mut(head.len());
            front.copy_from_slice(head);
            Ok(py.detach(|| data.copy_to(rest))?)
        });
    };
    if head.is_empty() {
        return Ok(PyBytes::new(py, body));
    }
    let length = isize::try_from(head.len() + body.len())?;
    // SAFETY: a new bytes object of this length, or an error; nobody else has it before all of it is written. `PyBytes::new_with` would
    // write zeros first, which takes as long as the copy.
    unsafe {
        let bytes = Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(ptr::null(), length))?;
        let start = ffi::PyBytes_AsString(bytes.as_ptr()).cast::<u8>();
        ptr::copy_nonoverlapping(head.as_ptr(), start, head.len());
        ptr::copy_nonoverlapping(body.as_ptr(), start.add(head.len()), body.len());
        Ok(bytes.cast_into_unchecked())
    }
}

/// (SOP Class UID, SOP Instance UID, Transfer Syntax UID, offset of the dataset in bytes)
type Meta = (String, String, String, u64);

fn described(meta: &part10::FileMeta) -> Meta {
    let text = |uid: &[u8]| String::from_utf8_lossy(uid).into_owned();
    (text(&meta.sop_class), text(&meta.sop_instance), text(&meta.transfer_syntax), meta.dataset_offset)
}

/// Reads the file meta group of a DICOM file: (SOP Class UID, SOP Instance UID, Transfer Syntax UID, offset of the dataset in bytes).
///
/// Raises OSError where the file cannot be read, and ValueError where it is no usable DICOM file.
#[pyfunction]
pub(crate) fn read_file_meta(py: Python<'_>, path: PathBuf) -> PyResult<Meta> {
    let meta = py.detach(|| File::open(&path).and_then(|mut file| part10::read_meta(&mut file, &path)));
    meta.map(|meta| described(&meta)).map_err(|error| file_error(py, error, &path))
}

/// The same of the bytes of one. Raises ValueError.
#[pyfunction]
pub(crate) fn parse_file_meta(py: Python<'_>, mut data: &[u8]) -> PyResult<Meta> {
    let name = Path::new("what was given");
    part10::read_meta(&mut data, name).map(|meta| described(&meta)).map_err(|error| file_error(py, error, name))
}

/// Reads the dataset of a DICOM file up to the element with the tag `last`.
///
/// Raises as `read_file_meta` does; ValueError for what is no dataset, too.
#[pyfunction]
pub(crate) fn read_header(py: Python<'_>, path: PathBuf, last: u32) -> PyResult<Encoded> {
    let header = py.detach(|| part10::read_header(&path, Tag(last)));
    let header = header.map_err(|error| file_error(py, error, &path))?;
    Encoded::new(PyBytes::new(py, &header.bytes), uid_of(header.syntax).to_owned(), false)
}

/// With errno and file name, as Python's own `open` raises it.
pub(crate) fn file_error(py: Python<'_>, error: std::io::Error, path: &Path) -> PyErr {
    if error.kind() == std::io::ErrorKind::InvalidData {
        return PyValueError::new_err(error.to_string());
    }
    let text = PyString::new(py, &path.to_string_lossy()).unbind();
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, error.to_string(), text)),
        None => error.into(),
    }
}

/// The response of a wait that was for none of the peer's requests.
pub(crate) fn response(reply: Reply) -> Result<network::Message, WaitError> {
    match reply {
        Reply::Response(message) => Ok(message),
        // Not asked for.
        Reply::Request(_) => Err(WaitError::Ended),
    }
}
