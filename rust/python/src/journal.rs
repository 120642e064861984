//! The journal of an archive as Python sees it, and what its index is made of.

use std::path::PathBuf;
use std::sync::Arc;

use dimsefast_identifier::Tag;
use dimsefast_network::index::{Entry, is_gone};
use dimsefast_network::part10::FileMeta;
use dimsefast_network::{self as network, Body, Change, Position, Received, Source, WaitError, process};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::message::file_error;
use crate::storing::StorePlan;
use crate::wait::{seconds, waiting};

/// The number of a segment, and where in it, in bytes.
type Place = (u64, u64);

fn position((segment, offset): Place) -> Position {
    Position { segment, offset }
}

fn place(position: Position) -> Place {
    (position.segment, position.offset)
}

/// Which files have come, for an index that takes them over later.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Journal {
    folder: PathBuf,
    pub(crate) inner: Arc<network::Journal>,
}

impl Journal {
    fn live(&self) -> PyResult<&Arc<network::Journal>> {
        if self.inner.generation == process::generation() {
            return Ok(&self.inner);
        }
        Err(PyRuntimeError::new_err("this archive was opened before a fork and cannot be used in the child process"))
    }
}

#[pymethods]
impl Journal {
    /// Opens it; the folder is made where it is not there. Raises OSError.
    #[new]
    fn new(py: Python<'_>, folder: PathBuf, fsync: bool) -> PyResult<Self> {
        let inner = py.detach(|| network::Journal::open(&folder, fsync));
        let inner = Arc::new(inner.map_err(|error| file_error(py, error, &folder))?);
        Ok(Self { folder, inner })
    }

    /// The end.
    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<Place> {
        let journal = self.live()?;
        Ok(place(py.detach(|| journal.position())))
    }

    /// The beginning of what is still there. Raises OSError.
    #[getter]
    fn beginning(&self, py: Python<'_>) -> PyResult<Place> {
        let journal = self.live()?;
        py.detach(|| journal.beginning()).map(place).map_err(|error| file_error(py, error, &self.folder))
    }

    /// Waits until there is something behind the position. False where there is not, because it was closed or the time is over.
    fn wait(&self, py: Python<'_>, after: Place, timeout: Option<f64>) -> PyResult<bool> {
        let journal = self.live()?;
        waiting(py, seconds(timeout)?, None, |patience| match journal.wait(position(after), patience) {
            Ok(_) => Ok(true),
            Err(WaitError::Timeout | WaitError::Ended) => Ok(false),
            Err(error) => Err(error),
        })
    }

    /// At most `limit` records behind the position, as (name, what happened), and the position behind them. Raises OSError.
    fn read(&self, py: Python<'_>, after: Place, limit: usize) -> PyResult<(Vec<(String, u8)>, Place)> {
        let journal = self.live()?;
        let read = py.detach(|| journal.read(position(after), limit));
        let (records, end) = read.map_err(|error| file_error(py, error, &self.folder))?;
        Ok((records.into_iter().map(|record| (record.name, record.change)).collect(), place(end)))
    }

    /// Writes a record: the file is new (or is to be looked at once more), or with `removed` no more. Raises OSError.
    fn append(&self, py: Python<'_>, name: &str, removed: bool) -> PyResult<Place> {
        let journal = self.live()?;
        let change = if removed { Change::Removed } else { Change::New };
        py.detach(|| journal.append(name, change)).map(place).map_err(|error| file_error(py, error, &self.folder))
    }

    /// Removes the segments before this one. Raises OSError.
    fn done(&self, py: Python<'_>, segment: u64) -> PyResult<()> {
        let journal = self.live()?;
        py.detach(|| journal.done(segment)).map_err(|error| file_error(py, error, &self.folder))
    }

    /// Nothing more is written; who waits is woken.
    fn close(&self) {
        if self.inner.generation == process::generation() {
            self.inner.close();
        }
    }
}

/// What an index keeps of the files with these names in the folder, in their order: (header in Explicit VR Little Endian, texts by tag, SOP
/// Class UID, SOP Instance UID, Transfer Syntax UID, length of the file in bytes); why it cannot be read; None where there is no such file.
#[pyfunction]
pub(crate) fn read_index_headers<'py>(
    py: Python<'py>,
    folder: PathBuf,
    names: Vec<String>,
    tags: Vec<u32>,
) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
    let tags: Vec<Tag> = tags.into_iter().map(Tag).collect();
    let read = py.detach(|| {
        let one = |name: &String| {
            let path = folder.join(name);
            Entry::read(&path, &tags).map_err(|error| (!is_gone(&path)).then(|| error.to_string()))
        };
        names.iter().map(one).collect::<Vec<_>>()
    });
    let described = |entry: Result<Entry, Option<String>>| -> PyResult<Option<Bound<'py, PyAny>>> {
        let entry = match entry {
            Ok(entry) => entry,
            Err(problem) => return Ok(problem.map(|problem| PyString::new(py, &problem).into_any())),
        };
        let text = |uid: &[u8]| PyString::new(py, &String::from_utf8_lossy(uid));
        let FileMeta { sop_class, sop_instance, transfer_syntax, .. } = &entry.meta;
        let uids = (text(sop_class), text(sop_instance), text(transfer_syntax));
        let texts = PyTuple::new(py, &entry.texts)?;
        let header = PyBytes::new(py, &entry.header);
        Ok(Some((header, texts, uids.0, uids.1, uids.2, entry.size).into_pyobject(py)?.into_any()))
    };
    read.into_iter().map(described).collect()
}

/// Stores an object that did not come over an association as `plan`, which is a folder, says: the status that a C-STORE would have, and the length of
/// the dataset in bytes.
///
/// It is the dataset in the file at `path` from `offset` on, or `dataset`. Raises OSError where it cannot be read or written.
#[pyfunction]
#[pyo3(signature = (plan, sop_class, sop_instance, transfer_syntax, *, path, offset, dataset))]
#[expect(clippy::too_many_arguments, reason = "those behind the third by keyword")]
pub(crate) fn import_object(
    py: Python<'_>,
    plan: &StorePlan,
    sop_class: &str,
    sop_instance: &str,
    transfer_syntax: &str,
    path: Option<PathBuf>,
    offset: u64,
    dataset: Option<&[u8]>,
) -> PyResult<(u16, u64)> {
    let meta = FileMeta {
        sop_class: sop_class.into(),
        sop_instance: sop_instance.into(),
        transfer_syntax: transfer_syntax.into(),
        dataset_offset: offset,
    };
    let given = path.clone().unwrap_or_default();
    let received = py.detach(|| {
        let Some(path) = path else {
            return network::import(&plan.inner, meta, &Body::Bytes(dataset.unwrap_or_default()));
        };
        network::import(&plan.inner, meta, &Body::Source(&Source::open(&path, offset)?))
    });
    match received.map_err(|error| file_error(py, error, &given))? {
        Received::File { length, .. } => Ok((0, length)),
        Received::Refused(status) => Ok((status, 0)),
        Received::Failed(ref error) => Err(std::io::Error::new(error.kind(), error.to_string()).into()),
        Received::Memory(_) | Received::Passed(_) => Err(PyValueError::new_err("the plan is no folder")),
    }
}

/// Two hexadecimal digits that spread UIDs evenly over 256 folders, as `{SOPInstanceUID.hash}` of a layout has them.
#[pyfunction]
pub(crate) fn uid_hash(uid: &str) -> String {
    network::uid_hash(uid.as_bytes())
}
