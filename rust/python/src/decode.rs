//! From bytes to a pydicom Dataset, element by element and without pydicom's parser.

use std::sync::Arc;

use crate::query::uid_of;
use dimsefast_identifier::codec::record::{actual_syntax, parse};
use dimsefast_identifier::codec::transcode::{has_what_messages_lack, transcode};
use dimsefast_identifier::codec::{CodecError, Element, Entry, Kind, Record, Syntax, TransferSyntax, deflate};
use dimsefast_identifier::{Tag, Vr, dictionary};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple, PyType};

/// An encoded dataset, parsed: Encoded(data, transfer_syntax, is_undefined_length=False). Raises ValueError for what is no dataset.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Encoded {
    source: Arc<Source>,
    /// Its entries in the source; all of them unless it is an item.
    entries: std::ops::Range<usize>,
    /// Its bytes in the source.
    bytes: std::ops::Range<usize>,
    syntax: Syntax,
    undefined: bool,
}

/// What a dataset and its items share.
struct Source {
    data: Py<PyBytes>,
    entries: Vec<Entry>,
    transfer_syntax: String,
}

impl Encoded {
    pub(crate) fn data<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        &self.source.data.bind(py).as_bytes()[self.bytes.clone()]
    }

    pub(crate) fn syntax(&self) -> Syntax {
        self.syntax
    }

    pub(crate) fn record<'a>(&'a self, py: Python<'a>) -> Record<'a> {
        Record::new(self.source.data.bind(py).as_bytes(), &self.source.entries[self.entries.clone()])
    }
}

/// The bytes of a dataset in this transfer syntax, inflated where it says so.
pub(crate) fn inflated<'py>(
    data: Bound<'py, PyBytes>,
    transfer_syntax: TransferSyntax,
) -> Result<Bound<'py, PyBytes>, CodecError> {
    if !transfer_syntax.deflated {
        return Ok(data);
    }
    let py = data.py();
    let bytes = data.as_bytes();
    // It may become 64 MiB: others go on meanwhile.
    let inflated = py.detach(|| deflate::inflate(bytes))?;
    Ok(PyBytes::new(py, &inflated))
}

pub(crate) fn no_dataset(error: &CodecError) -> PyErr {
    PyValueError::new_err(format!("not an encoded dataset: {error}"))
}

#[pymethods]
impl Encoded {
    #[new]
    #[pyo3(signature = (data, transfer_syntax, is_undefined_length=false))]
    pub(crate) fn new(data: Bound<'_, PyBytes>, transfer_syntax: String, is_undefined_length: bool) -> PyResult<Self> {
        let known = TransferSyntax::from_uid(transfer_syntax.as_bytes());
        let data = inflated(data, known).map_err(|error| no_dataset(&error))?;
        let entries = parse(data.as_bytes(), known.syntax).map_err(|error| no_dataset(&error))?;
        let syntax = actual_syntax(data.as_bytes(), known.syntax);
        let (all, length) = (0..entries.len(), data.as_bytes().len());
        let source = Source { data: data.unbind(), entries, transfer_syntax };
        Ok(Self { source: Arc::new(source), entries: all, bytes: 0..length, syntax, undefined: is_undefined_length })
    }

    /// The UID that it was made with.
    #[getter]
    fn transfer_syntax(&self) -> &str {
        &self.source.transfer_syntax
    }

    /// Whether it is an item of undefined length.
    #[getter]
    fn is_undefined_length(&self) -> bool {
        self.undefined
    }

    #[getter]
    fn is_implicit_vr(&self) -> bool {
        self.syntax.implicit
    }

    #[getter]
    fn is_little_endian(&self) -> bool {
        !self.syntax.big_endian
    }

    /// Its bytes as they go into a message in `transfer_syntax`: no file meta, no group lengths. Raises ValueError for fragments in Big Endian.
    fn encode<'py>(&self, py: Python<'py>, transfer_syntax: &str) -> PyResult<Bound<'py, PyBytes>> {
        let to = TransferSyntax::from_uid(transfer_syntax.as_bytes());
        let (record, data) = (self.record(py), self.data(py));
        if to.syntax.big_endian && !self.syntax.big_endian && record.has_fragments() {
            return Err(PyValueError::new_err(
                "the dataset cannot be encoded as Explicit VR Big Endian: its pixel data is encapsulated",
            ));
        }
        if to.syntax == self.syntax && !has_what_messages_lack(record) {
            if !to.deflated && data.len() == self.source.data.bind(py).as_bytes().len() {
                return Ok(self.source.data.bind(py).clone());
            }
            return Ok(PyBytes::new(py, &if to.deflated { deflate::deflate(data) } else { data.to_vec() }));
        }
        let bytes = transcode(record, self.syntax, to.syntax);
        Ok(PyBytes::new(py, &if to.deflated { deflate::deflate(&bytes) } else { bytes }))
    }

    /// The elements as pydicom keeps them: {tag: RawDataElement}, sequences as what `make_sequence(tag, [Encoded], is_undefined_length)` makes
    /// of their items.
    fn elements<'py>(&self, py: Python<'py>, make_sequence: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let elements = PyDict::new(py);
        let mut at = self.entries.start;
        for element in self.record(py).elements() {
            let tag = base_tag(py, element.entry.tag)?;
            let value = if element.entry.kind == Kind::Sequence {
                make_sequence.call1((&tag, self.items(py, at)?, element.entry.undefined))?
            } else {
                self.raw(py, &tag, &element)?
            };
            elements.set_item(tag, value)?;
            at += 1 + element.entry.descendants;
        }
        Ok(elements)
    }

    /// One of the elements that `elements` gives; None where there is none, or where it is a sequence.
    fn element<'py>(&self, tag: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let element = self.record(tag.py()).get(Tag(tag.extract()?));
        element.filter(|e| e.entry.kind != Kind::Sequence).map(|e| self.raw(tag.py(), tag, &e)).transpose()
    }

    /// Whether there is an element with this tag.
    fn __contains__(&self, py: Python<'_>, tag: u32) -> bool {
        self.record(py).get(Tag(tag)).is_some()
    }

    /// The value of Specific Character Set as text; None where it has none.
    fn character_set(&self, py: Python<'_>) -> Option<String> {
        let element = self.record(py).get(Tag::SPECIFIC_CHARACTER_SET)?;
        Some(String::from_utf8_lossy(element.value()).trim_end_matches([' ', '\0']).to_owned())
    }

    fn __len__(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing of it ever changes.
    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyType>, (Bound<'py, PyBytes>, &'static str, bool)) {
        (py.get_type::<Self>(), (PyBytes::new(py, self.data(py)), uid_of(self.syntax), self.undefined))
    }
}

impl Encoded {
    /// The items of the sequence whose entry is at `at`.
    fn items<'py>(&self, py: Python<'py>, at: usize) -> PyResult<Bound<'py, PyList>> {
        let sequence = &self.source.entries[at];
        let items = PyList::empty(py);
        let (mut item_at, end) = (at + 1, at + 1 + sequence.descendants);
        while item_at < end {
            let item = &self.source.entries[item_at];
            let next = item_at + 1 + item.descendants;
            items.append(Self {
                source: self.source.clone(),
                entries: item_at + 1..next,
                bytes: item.start..item.end,
                syntax: item.syntax,
                undefined: item.undefined,
            })?;
            item_at = next;
        }
        Ok(items)
    }

    fn raw<'py>(&self, py: Python<'py>, tag: &Bound<'py, PyAny>, element: &Element<'_>) -> PyResult<Bound<'py, PyAny>> {
        let entry = element.entry;
        // Without a VR pydicom looks it up by itself, private dictionaries included.
        let vr = (!self.syntax.implicit).then(|| vr_name(py, entry.vr));
        let value = match element.value() {
            // None of another length is a value that is still in its file.
            b"" if entry.kind != Kind::Fragments && !is_empty_bytes(entry.vr) => None,
            value => Some(PyBytes::new(py, value)),
        };
        let length = if entry.kind == Kind::Fragments { u32::MAX as usize } else { entry.end - entry.start };
        let fields = (tag, vr, length, value, entry.start, self.syntax.implicit, !self.syntax.big_endian, true, false);
        let make = RAW_DATA_ELEMENT.get_or_try_init(py, || raw_data_element(py))?;
        make.bind(py).call1((fields,))
    }
}

static RAW_DATA_ELEMENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// `RawDataElement._make`, without its checks: `tuple.__new__` bound to the class.
fn raw_data_element(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let class = py.import("pydicom.dataelem")?.getattr("RawDataElement")?;
    let new = py.get_type::<PyTuple>().getattr("__new__")?;
    Ok(py.import("functools")?.call_method1("partial", (new, class))?.unbind())
}

/// The letters of a VR, made once each.
fn vr_name(py: Python<'_>, vr: Vr) -> Bound<'_, PyString> {
    PyString::intern(py, vr.as_str())
}

/// The tag as decoded datasets have it: for one of the dictionary always the same object.
#[pyfunction]
pub(crate) fn known_tag(py: Python<'_>, tag: u32) -> PyResult<Bound<'_, PyAny>> {
    base_tag(py, Tag(tag))
}

/// The tag as pydicom has it. Those of the dictionary are made once; a peer's own would only fill the memory.
fn base_tag(py: Python<'_>, tag: Tag) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static MADE: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let made = MADE.get_or_init(py, || PyDict::new(py).unbind()).bind(py);
    if let Some(found) = made.get_item(tag.0)? {
        return Ok(found);
    }
    let new = CLASS.import(py, "pydicom.tag", "BaseTag")?.call1((tag.0,))?;
    if dictionary::vr(tag, false) != Vr::UN {
        made.set_item(tag.0, &new)?;
    }
    Ok(new)
}

/// What pydicom keeps as the value of a raw element without one: bytes for text other than numbers, None for the rest.
fn is_empty_bytes(vr: Vr) -> bool {
    vr == Vr::SQ
        || vr.uses_character_set()
        || matches!(vr, Vr::AE | Vr::AS | Vr::CS | Vr::DA | Vr::DT | Vr::TM | Vr::UI | Vr::UR)
}
