//! From a pydicom Dataset to bytes, without pydicom's writer.
//!
//! What is out of the ordinary (a representation that is ambiguous, a value of a type that pydicom does not make, raw elements of another encoding) is
//! left to pydicom: the whole dataset is `None` then.

use dimsefast_identifier::codec::{DEPTH, Syntax, TransferSyntax, Writer, deflate};
use dimsefast_identifier::{Tag, Vr, dictionary};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};

/// Why a dataset was not encoded here.
enum Refusal {
    /// Only pydicom can, or refuses it with the right words.
    LeftToPydicom,
    /// Python raised something: pydicom will come upon what is the dataset's own, Ctrl-C is no concern of its.
    Raised(PyErr),
}

use Refusal::LeftToPydicom;

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

type Encoding<T> = Result<T, Refusal>;

/// Encodes a pydicom Dataset as it goes into a message: no file meta, no group lengths. With `tags`, only these elements of its top level.
/// None where pydicom has to do it. Raises what is no `Exception`: a KeyboardInterrupt that came meanwhile.
#[pyfunction]
#[pyo3(signature = (dataset, transfer_syntax, tags=None))]
pub(crate) fn encode<'py>(
    dataset: &Bound<'py, PyAny>,
    transfer_syntax: &str,
    tags: Option<Vec<u32>>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let py = dataset.py();
    let transfer_syntax = TransferSyntax::from_uid(transfer_syntax.as_bytes());
    let Ok(mut encoder) = Encoder::new(py, transfer_syntax.syntax) else { return Ok(None) };
    match encoder.dataset(dataset, tags.as_deref(), None) {
        Ok(()) => {}
        Err(Refusal::Raised(error)) if !error.is_instance_of::<PyException>(py) => return Err(error),
        Err(_) => return Ok(None),
    }
    let bytes = encoder.writer.finish();
    let bytes = if transfer_syntax.deflated { py.detach(|| deflate::deflate(&bytes)) } else { bytes };
    Ok(Some(PyBytes::new(py, &bytes)))
}

/// Classes and functions of pydicom.
struct Pydicom {
    data_element: Py<PyType>,
    raw_data_element: Py<PyType>,
    multi_value: Py<PyType>,
    person_name: Py<PyType>,
    convert_encodings: Py<PyAny>,
    encode_string: Py<PyAny>,
}

static PYDICOM: PyOnceLock<Pydicom> = PyOnceLock::new();

fn pydicom(py: Python<'_>) -> PyResult<&'static Pydicom> {
    PYDICOM.get_or_try_init(py, || {
        let class = |module: &str, name: &str| -> PyResult<Py<PyType>> {
            Ok(py.import(module)?.getattr(name)?.cast_into::<PyType>()?.unbind())
        };
        let charset = py.import("pydicom.charset")?;
        Ok(Pydicom {
            data_element: class("pydicom.dataelem", "DataElement")?,
            raw_data_element: class("pydicom.dataelem", "RawDataElement")?,
            multi_value: class("pydicom.multival", "MultiValue")?,
            person_name: class("pydicom.valuerep", "PersonName")?,
            convert_encodings: charset.getattr("convert_encodings")?.unbind(),
            encode_string: charset.getattr("encode_string")?.unbind(),
        })
    })
}

struct Encoder<'py> {
    py: Python<'py>,
    pydicom: &'static Pydicom,
    syntax: Syntax,
    writer: Writer,
    /// The value of an element while it is made.
    value: Vec<u8>,
    /// How many sequences are open.
    depth: usize,
}

/// What pydicom takes for the default repertoire.
const DEFAULT_ENCODING: &str = "iso8859";

/// The character encodings in force, as pydicom has them; `None` for the default.
type Encodings<'py> = Option<Bound<'py, PyAny>>;

impl<'py> Encoder<'py> {
    fn new(py: Python<'py>, syntax: Syntax) -> PyResult<Self> {
        Ok(Self { py, pydicom: pydicom(py)?, syntax, writer: Writer::new(syntax), value: Vec::new(), depth: 0 })
    }

    fn dataset(
        &mut self,
        dataset: &Bound<'py, PyAny>,
        wanted: Option<&[u32]>,
        inherited: Encodings<'py>,
    ) -> Encoding<()> {
        let elements = dataset.getattr(intern!(self.py, "_dict"))?;
        let elements = elements.cast::<PyDict>().map_err(PyErr::from)?;
        let encodings = self.encodings(dataset, elements)?.or(inherited);
        if let Some(wanted) = wanted {
            for &tag in wanted {
                if let Some(element) = elements.get_item(tag)? {
                    self.element(Tag(tag), &element, encodings.as_ref(), dataset)?;
                }
            }
            return Ok(());
        }
        let mut sorted: Vec<(u32, Bound<'py, PyAny>)> = Vec::with_capacity(elements.len());
        for (tag, element) in elements.iter() {
            sorted.push((tag.extract()?, element));
        }
        sorted.sort_unstable_by_key(|(tag, _)| *tag);
        for (tag, element) in &sorted {
            self.element(Tag(*tag), element, encodings.as_ref(), dataset)?;
        }
        Ok(())
    }

    /// What the dataset's own Specific Character Set says.
    fn encodings(&self, dataset: &Bound<'py, PyAny>, elements: &Bound<'py, PyDict>) -> Encoding<Encodings<'py>> {
        if !elements.contains(Tag::SPECIFIC_CHARACTER_SET.0)? {
            return Ok(None);
        }
        let value = dataset.get_item(Tag::SPECIFIC_CHARACTER_SET.0)?.getattr(intern!(self.py, "value"))?;
        if value.is_none() {
            // Without a value it is the default repertoire, and not what an item would inherit.
            return Ok(Some(PyList::new(self.py, [DEFAULT_ENCODING])?.into_any()));
        }
        Ok(Some(self.pydicom.convert_encodings.bind(self.py).call1((value,))?))
    }

    fn element(
        &mut self,
        tag: Tag,
        element: &Bound<'py, PyAny>,
        encodings: Option<&Bound<'py, PyAny>>,
        dataset: &Bound<'py, PyAny>,
    ) -> Encoding<()> {
        if tag.is_outside_messages() {
            return Ok(());
        }
        let class = element.get_type();
        if class.is(self.pydicom.raw_data_element.bind(self.py)) {
            return self.raw(tag, element.cast::<PyTuple>().map_err(PyErr::from)?, dataset);
        }
        if !class.is(self.pydicom.data_element.bind(self.py)) {
            return Err(LeftToPydicom);
        }
        let vr = element.getattr(intern!(self.py, "VR"))?;
        let vr = vr.cast::<PyString>().map_err(PyErr::from)?;
        let vr = vr.to_str()?.as_bytes().try_into().ok().and_then(Vr::from_letters).ok_or(LeftToPydicom)?;
        if vr != Vr::SQ && !is_binary(vr) && !is_bytes(vr) && !is_text(vr) {
            return Err(LeftToPydicom);
        }
        let value = element.getattr(intern!(self.py, "_value"))?;
        if vr == Vr::SQ {
            let undefined = element.getattr(intern!(self.py, "is_undefined_length"))?.is_truthy()?;
            return self.sequence(tag, &value, undefined, encodings);
        }
        self.value.clear();
        if !value.is_none() {
            self.values(vr, &value, encodings)?;
        }
        if element.getattr(intern!(self.py, "is_undefined_length"))?.is_truthy()? {
            return Err(LeftToPydicom);
        }
        self.writer.element(tag, vr, &self.value);
        Ok(())
    }

    /// An element that pydicom has not decoded yet: its bytes, where they mean the same in this syntax.
    fn raw(&mut self, tag: Tag, element: &Bound<'py, PyTuple>, dataset: &Bound<'py, PyAny>) -> Encoding<()> {
        // RawDataElement: tag, VR, length, value, value_tell, is_implicit_VR, is_little_endian, ...
        let is_little_endian: bool = element.get_item(6)?.extract()?;
        let length = element.get_item(2)?.extract::<u32>()?;
        let vr = match element.get_item(1)?.extract::<Option<String>>()? {
            Some(letters) => letters.as_bytes().try_into().ok().and_then(Vr::from_letters).ok_or(LeftToPydicom)?,
            None if tag.is_private() || dictionary::depends_on_dataset(tag) => return Err(LeftToPydicom),
            None => dictionary::vr(tag, false),
        };
        if length == u32::MAX || vr == Vr::SQ || (is_little_endian == self.syntax.big_endian && vr.word() > 1) {
            return Err(LeftToPydicom);
        }
        let value = element.get_item(3)?;
        let value = match value.cast::<PyBytes>() {
            Ok(bytes) => bytes.as_bytes(),
            Err(_) if value.is_none() && length == 0 => b"",
            // It is still in its file.
            Err(_) => return Err(LeftToPydicom),
        };
        if vr.uses_character_set() && !is_plain(value) {
            // Its bytes are in the character set that was read.
            let read = dataset.getattr(intern!(self.py, "original_character_set"))?;
            if !read.eq(dataset.getattr(intern!(self.py, "_character_set"))?)? {
                return Err(LeftToPydicom);
            }
        }
        self.writer.element(tag, vr, value);
        Ok(())
    }

    fn sequence(
        &mut self,
        tag: Tag,
        value: &Bound<'py, PyAny>,
        undefined: bool,
        encodings: Option<&Bound<'py, PyAny>>,
    ) -> Encoding<()> {
        if self.depth == DEPTH {
            // Perhaps it is within itself.
            return Err(LeftToPydicom);
        }
        self.depth += 1;
        let sequence = self.writer.begin_sequence(tag, undefined);
        if !value.is_none() {
            for item in value.try_iter()? {
                let item = item?;
                let undefined = item.getattr(intern!(self.py, "is_undefined_length_sequence_item"))?.is_truthy()?;
                let open = self.writer.begin_item(undefined);
                self.dataset(&item, None, encodings.cloned())?;
                self.writer.end_item(open);
            }
        }
        self.writer.end_sequence(sequence);
        self.depth -= 1;
        Ok(())
    }

    /// One value, or several.
    fn values(&mut self, vr: Vr, value: &Bound<'py, PyAny>, encodings: Option<&Bound<'py, PyAny>>) -> Encoding<()> {
        let several = if value.get_type().is(self.pydicom.multi_value.bind(self.py)) {
            value.getattr(intern!(self.py, "_list"))?
        } else {
            value.clone()
        };
        let Ok(several) = several.cast::<PyList>() else { return self.one(vr, value, encodings) };
        let separated = !is_binary(vr);
        for (at, value) in several.iter().enumerate() {
            if separated && at > 0 {
                self.value.push(b'\\');
            }
            self.one(vr, &value, encodings)?;
        }
        Ok(())
    }

    fn one(&mut self, vr: Vr, value: &Bound<'py, PyAny>, encodings: Option<&Bound<'py, PyAny>>) -> Encoding<()> {
        if is_binary(vr) {
            return self.number(vr, value);
        }
        if is_bytes(vr) {
            self.value.extend_from_slice(value.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
            return Ok(());
        }
        if let Ok(text) = value.cast::<PyString>() {
            return self.text(vr, text, encodings);
        }
        if value.get_type().is(self.pydicom.person_name.bind(self.py)) {
            return self.name(value, encodings);
        }
        // IS, DS, DA, TM and DT keep what they were made of.
        if matches!(vr, Vr::IS | Vr::DS | Vr::DA | Vr::TM | Vr::DT)
            && let Some(original) = value.getattr_opt(intern!(self.py, "original_string"))?
        {
            return self.text(vr, original.cast::<PyString>().map_err(PyErr::from)?, encodings);
        }
        if matches!(vr, Vr::IS | Vr::DS) && !value.is_instance_of::<PyBool>() {
            return self.text(vr, &value.str()?, encodings);
        }
        Err(LeftToPydicom)
    }

    fn text(&mut self, vr: Vr, text: &Bound<'py, PyString>, encodings: Option<&Bound<'py, PyAny>>) -> Encoding<()> {
        let utf8 = text.to_str()?;
        if utf8.is_ascii() || (vr.uses_character_set() && self.is_utf8(encodings)?) {
            self.value.extend_from_slice(utf8.as_bytes());
            return Ok(());
        }
        let Some(encodings) = encodings.filter(|_| vr.uses_character_set()) else { return Err(LeftToPydicom) };
        let encoded = self.pydicom.encode_string.bind(self.py).call1((text, encodings))?;
        self.value.extend_from_slice(encoded.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
        Ok(())
    }

    fn name(&mut self, name: &Bound<'py, PyAny>, encodings: Option<&Bound<'py, PyAny>>) -> Encoding<()> {
        let original = name.getattr(intern!(self.py, "original_string"))?;
        if let Ok(original) = original.cast::<PyBytes>()
            && self.is_read_as(name, encodings)?
        {
            self.value.extend_from_slice(original.as_bytes());
            return Ok(());
        }
        let components = name.getattr(intern!(self.py, "_components"))?;
        if let Ok(groups) = components.cast::<PyTuple>() {
            let start = self.value.len();
            for (at, group) in groups.iter().enumerate() {
                if at > 0 {
                    self.value.push(b'=');
                }
                let group = group.cast::<PyString>().map_err(PyErr::from)?;
                self.value.extend_from_slice(group.to_str()?.as_bytes());
            }
            if self.value[start..].is_ascii() || self.is_utf8(encodings)? {
                return Ok(());
            }
            self.value.truncate(start);
        }
        let encoded = name.call_method1(intern!(self.py, "encode"), (encodings.ok_or(LeftToPydicom)?,))?;
        self.value.extend_from_slice(encoded.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
        Ok(())
    }

    /// Whether a name was read in the encodings in which it goes out.
    fn is_read_as(&self, name: &Bound<'py, PyAny>, encodings: Option<&Bound<'py, PyAny>>) -> Encoding<bool> {
        let read = name.getattr(intern!(self.py, "encodings"))?;
        let Ok(read) = read.cast::<PyTuple>() else { return Ok(false) };
        let same = match encodings {
            Some(encodings) => encodings.cast::<PyList>().map_err(PyErr::from)?.to_tuple().eq(read)?,
            None => PyTuple::new(self.py, [DEFAULT_ENCODING])?.eq(read)?,
        };
        Ok(same)
    }

    /// Whether text goes out as UTF-8.
    fn is_utf8(&self, encodings: Option<&Bound<'py, PyAny>>) -> Encoding<bool> {
        let Some(list) = encodings.and_then(|encodings| encodings.cast::<PyList>().ok()) else { return Ok(false) };
        let first = list.get_item(0)?;
        Ok(first.cast::<PyString>().map_err(PyErr::from)?.to_str()? == "UTF8")
    }

    fn number(&mut self, vr: Vr, value: &Bound<'py, PyAny>) -> Encoding<()> {
        let big = self.syntax.big_endian;
        let mut put = |little: &[u8]| {
            let start = self.value.len();
            self.value.extend_from_slice(little);
            if big {
                self.value[start..].reverse();
            }
        };
        match vr {
            Vr::FL | Vr::FD => {
                if !value.is_instance_of::<PyFloat>() && !value.is_instance_of::<PyInt>() {
                    return Err(LeftToPydicom);
                }
                let number: f64 = value.extract()?;
                if vr == Vr::FD { put(&number.to_le_bytes()) } else { put(&single(number)?.to_le_bytes()) }
            }
            Vr::AT => {
                let tag: u32 = value.extract()?;
                put(&((tag >> 16) as u16).to_le_bytes());
                put(&(tag as u16).to_le_bytes());
            }
            Vr::US => put(&value.extract::<u16>()?.to_le_bytes()),
            Vr::SS => put(&value.extract::<i16>()?.to_le_bytes()),
            Vr::UL => put(&value.extract::<u32>()?.to_le_bytes()),
            Vr::SL => put(&value.extract::<i32>()?.to_le_bytes()),
            Vr::UV => put(&value.extract::<u64>()?.to_le_bytes()),
            _ => put(&value.extract::<i64>()?.to_le_bytes()),
        }
        Ok(())
    }
}

/// What fits into FL; pydicom refuses the rest.
fn single(number: f64) -> Encoding<f32> {
    let single = number as f32;
    if single.is_infinite() && number.is_finite() { Err(LeftToPydicom) } else { Ok(single) }
}

/// Whether it is the same in every character set: ASCII, and no escape of ISO 2022.
fn is_plain(value: &[u8]) -> bool {
    value.is_ascii() && !value.contains(&0x1B)
}

fn is_text(vr: Vr) -> bool {
    vr.uses_character_set()
        || matches!(vr, Vr::AE | Vr::AS | Vr::CS | Vr::DA | Vr::DS | Vr::DT | Vr::IS | Vr::TM | Vr::UI | Vr::UR)
}

fn is_binary(vr: Vr) -> bool {
    matches!(vr, Vr::US | Vr::SS | Vr::UL | Vr::SL | Vr::UV | Vr::SV | Vr::FL | Vr::FD | Vr::AT)
}

fn is_bytes(vr: Vr) -> bool {
    matches!(vr, Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::UN)
}
