//! Compiled queries as Python sees them.

use dimsefast_identifier::codec::record::parse;
use dimsefast_identifier::codec::transcode::transcode;
use dimsefast_identifier::codec::{CodecError, Record, Syntax, TransferSyntax, deflate};
use dimsefast_identifier::matching::{Key, Kind, temporal};
use dimsefast_identifier::query::levels::Model;
use dimsefast_identifier::query::{self as core, Condition, Keys, Options, Override, utc_offset};
use dimsefast_identifier::{Tag, Vr};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::decode::{Encoded, inflated, no_dataset};

/// A compiled identifier.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Query {
    inner: core::Query,
}

/// An encoded dataset as a candidate: parsed, or bytes in a transfer syntax.
#[derive(FromPyObject)]
pub(crate) enum Candidate<'py> {
    Encoded(Bound<'py, Encoded>),
    Bytes(Bound<'py, PyBytes>),
}

impl<'py> Candidate<'py> {
    /// Its bytes, not deflated, and how they are encoded.
    fn dataset(&self, transfer_syntax: TransferSyntax) -> PyResult<(std::borrow::Cow<'_, [u8]>, Syntax)> {
        match self {
            Self::Encoded(encoded) => {
                let inner = encoded.get();
                Ok((inner.data(encoded.py()).into(), inner.syntax()))
            }
            Self::Bytes(bytes) if transfer_syntax.deflated => {
                let bytes = inflated(bytes.clone(), transfer_syntax).map_err(|error| no_dataset(&error))?;
                Ok((bytes.as_bytes().to_vec().into(), transfer_syntax.syntax))
            }
            Self::Bytes(bytes) => Ok((bytes.as_bytes().into(), transfer_syntax.syntax)),
        }
    }
}

#[pymethods]
impl Query {
    /// Compiles an identifier. `model` is "PatientRoot", "StudyRoot", "PatientStudyOnly", or None for another one;
    /// `local_timezone` is `+HHMM` or `-HHMM`.
    #[new]
    #[pyo3(signature = (identifier, *, model, level, worklist, datetime, fuzzy, timezone, empty_value, multiple_value, local_timezone))]
    #[expect(clippy::too_many_arguments, reason = "all by keyword")]
    fn new(
        py: Python<'_>,
        identifier: &Encoded,
        model: Option<&str>,
        level: Option<&str>,
        worklist: bool,
        datetime: bool,
        fuzzy: bool,
        timezone: bool,
        empty_value: bool,
        multiple_value: bool,
        local_timezone: Option<&str>,
    ) -> PyResult<Self> {
        let local_offset = match local_timezone {
            Some(text) => Some(utc_offset(text).ok_or_else(|| {
                PyValueError::new_err(format!("local_timezone is an offset from UTC such as '+0100', not {text:?}"))
            })?),
            None => None,
        };
        let model = match model {
            None => None,
            Some("PatientRoot") => Some(Model::PatientRoot),
            Some("StudyRoot") => Some(Model::StudyRoot),
            Some("PatientStudyOnly") => Some(Model::PatientStudyOnly),
            Some(other) => return Err(PyValueError::new_err(format!("there is no information model {other:?}"))),
        };
        let options = Options { model, worklist, datetime, fuzzy, timezone, empty_value, multiple_value, local_offset };
        Ok(Self { inner: core::Query::new(identifier.record(py), identifier.syntax(), level, options) })
    }

    /// Query/Retrieve Level; empty where there is none.
    #[getter]
    fn level(&self) -> &str {
        self.inner.level()
    }

    /// Every tag of the top level that matching or a response looks at.
    #[getter]
    fn tags(&self) -> Vec<u32> {
        self.inner.tags().into_iter().map(|tag| tag.0).collect()
    }

    /// Whether the information model allows the identifier: None, or the offending element and the error comment.
    fn check(&self, relational: bool, retrieves: bool) -> Option<(u32, String)> {
        let checked = self.inner.check(relational, retrieves);
        checked.err().map(|mismatch| (mismatch.offending_element.0, mismatch.comment))
    }

    /// What a dataset has to fulfil: (tag, VR, kind, values, takes_nothing, items), as `dimsefast.matching.Condition` explains.
    fn conditions<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        conditions(py, self.inner.keys(), self.inner.is_worklist())
    }

    /// Whether an encoded dataset matches.
    fn matches(&self, candidate: Candidate<'_>, transfer_syntax: &str) -> PyResult<bool> {
        let (bytes, syntax) = candidate.dataset(TransferSyntax::from_uid(transfer_syntax.as_bytes()))?;
        self.inner.matches(&bytes, syntax).map_err(|error| no_dataset(&error))
    }

    /// The positions of the candidates from `first` to before `last` that match: encoded datasets in a list. Without the GIL. Raises ValueError that names
    /// the position of what is no dataset.
    fn select(
        &self,
        py: Python<'_>,
        candidates: &Bound<'_, PyList>,
        first: usize,
        last: usize,
        transfer_syntax: &str,
    ) -> PyResult<Vec<usize>> {
        let known = TransferSyntax::from_uid(transfer_syntax.as_bytes());
        let no_candidate = |at: usize, error: CodecError| {
            PyValueError::new_err(format!("candidate {at} is not an encoded dataset: {error}"))
        };
        let mut held = Vec::with_capacity(last.saturating_sub(first));
        for at in first..last.min(candidates.len()) {
            let candidate = candidates.get_item(at)?;
            let bytes = candidate.cast::<PyBytes>().map_err(PyErr::from)?.clone();
            held.push(inflated(bytes, known).map_err(|error| no_candidate(at, error))?.unbind());
        }
        // The references keep the bytes alive, and bytes never change.
        let datasets: Vec<&[u8]> = held.iter().map(|bytes| bytes.bind(py).as_bytes()).collect();
        let found = py.detach(|| {
            let mut found = Vec::new();
            for (at, dataset) in datasets.iter().enumerate() {
                match self.inner.matches(dataset, known.syntax) {
                    Ok(true) => found.push(first + at),
                    Ok(false) => {}
                    Err(error) => return Err((first + at, error)),
                }
            }
            Ok(found)
        });
        found.map_err(|(at, error)| no_candidate(at, error))
    }

    /// The encoded identifier of a response, in the transfer syntax of the candidate but not deflated; `extra` are elements of its own: (tag, VR,
    /// text).
    fn response<'py>(
        &self,
        py: Python<'py>,
        candidate: Candidate<'py>,
        transfer_syntax: &str,
        extra: Vec<Element>,
    ) -> PyResult<(Bound<'py, PyBytes>, &'static str)> {
        let (bytes, syntax) = candidate.dataset(TransferSyntax::from_uid(transfer_syntax.as_bytes()))?;
        let response = self.inner.response(&bytes, syntax, &overrides(extra)?).map_err(|error| no_dataset(&error))?;
        Ok((PyBytes::new(py, &response), uid_of(syntax)))
    }

    /// For each candidate, an encoded dataset in Explicit VR Little Endian: the encoded identifier of its response in `transfer_syntax`, or None
    /// where it does not match. `computed` has elements of each candidate that stand in place of its own, `extra` is as for `response`. Without the
    /// GIL. Raises ValueError that names the position of what is no dataset.
    fn answers<'py>(
        &self,
        py: Python<'py>,
        candidates: Vec<Bound<'py, PyBytes>>,
        computed: Option<Vec<Vec<Element>>>,
        extra: Vec<Element>,
        transfer_syntax: &str,
    ) -> PyResult<Bound<'py, PyList>> {
        let to = TransferSyntax::from_uid(transfer_syntax.as_bytes());
        let extra = overrides(extra)?;
        let mut rows: Vec<(&[u8], Vec<Override>)> = Vec::with_capacity(candidates.len());
        let mut computed = computed.into_iter().flatten();
        for candidate in &candidates {
            rows.push((candidate.as_bytes(), overrides(computed.next().unwrap_or_default())?));
        }
        let answered = py.detach(|| {
            let answer = |(at, (candidate, mut computed)): (usize, (&[u8], Vec<Override>))| {
                let own = computed.len();
                computed.extend_from_slice(&extra);
                let answer = self.inner.answer(candidate, Syntax::EXPLICIT, &computed, own);
                answer
                    .and_then(|answer| answer.map(|bytes| encoded_as(bytes, to)).transpose())
                    .map_err(|error| (at, error))
            };
            rows.into_iter().enumerate().map(answer).collect::<Result<Vec<_>, _>>()
        });
        let answered = answered.map_err(|(at, error)| {
            PyValueError::new_err(format!("candidate {at} is not an encoded dataset: {error}"))
        })?;
        PyList::new(py, answered.into_iter().map(|answer| answer.map(|bytes| PyBytes::new(py, &bytes))))
    }
}

/// An element of a response that does not come from the candidate: tag, VR, text.
type Element = (u32, String, String);

fn overrides(elements: Vec<Element>) -> PyResult<Vec<Override>> {
    let of = |(tag, vr, value): Element| {
        let vr = vr.as_bytes().try_into().ok().and_then(Vr::from_letters);
        let vr = vr.ok_or_else(|| PyValueError::new_err("a VR has two letters"))?;
        Ok(Override { tag: Tag(tag), vr, value: value.into_bytes() })
    };
    elements.into_iter().map(of).collect()
}

/// A dataset in Explicit VR Little Endian in another transfer syntax.
fn encoded_as(mut bytes: Vec<u8>, to: TransferSyntax) -> Result<Vec<u8>, CodecError> {
    if to.syntax != Syntax::EXPLICIT {
        bytes = transcode(Record::new(&bytes, &parse(&bytes, Syntax::EXPLICIT)?), Syntax::EXPLICIT, to.syntax);
    }
    Ok(if to.deflated { deflate::deflate(&bytes) } else { bytes })
}

/// The transfer syntax without deflation or encapsulation that has this encoding.
pub(crate) fn uid_of(syntax: Syntax) -> &'static str {
    match syntax {
        Syntax { implicit: true, .. } => "1.2.840.10008.1.2",
        Syntax { big_endian: true, .. } => "1.2.840.10008.1.2.2",
        _ => "1.2.840.10008.1.2.1",
    }
}

fn conditions<'py>(py: Python<'py>, keys: &Keys, worklist: bool) -> PyResult<Vec<Bound<'py, PyTuple>>> {
    let mut out = Vec::new();
    for condition in keys.conditions() {
        match condition {
            Condition::Attribute(tag, key) => out.push(described(py, *tag, key)?),
            Condition::Sequence(tag, keys) => {
                out.push(
                    (tag.0, "SQ", "sequence", Vec::<&str>::new(), !worklist, conditions(py, keys, worklist)?)
                        .into_pyobject(py)?,
                );
            }
            Condition::Instant(pair) => {
                for (tag, key) in [(pair.date_tag, &pair.date), (pair.time_tag, &pair.time)] {
                    if let Some(key) = key {
                        out.push(described(py, tag, key)?);
                    }
                }
            }
        }
    }
    Ok(out)
}

fn described<'py>(py: Python<'py>, tag: Tag, key: &Key) -> PyResult<Bound<'py, PyTuple>> {
    let (kind, separated) = match key.kind() {
        Kind::Universal => ("universal", false),
        Kind::Single => ("single", false),
        Kind::List => ("list", true),
        Kind::All => ("all", true),
        Kind::WildCard => ("wildcard", !key.vr().is_single_valued_text()),
        Kind::Range => ("range", false),
        Kind::Empty => ("empty", false),
        Kind::Fuzzy => ("fuzzy", true),
    };
    let values = match key.range() {
        Some(range) => [range.from, range.to].map(|at| at.map_or_else(String::new, |at| instant(key.vr(), at))).into(),
        None if separated => key.text().split('\\').map(str::to_owned).collect(),
        None => vec![key.text().to_owned()],
    };
    (tag.0, key.vr().as_str(), kind, values, key.takes_nothing(), Vec::<Bound<'py, PyTuple>>::new()).into_pyobject(py)
}

fn instant(vr: Vr, at: i64) -> String {
    match vr {
        Vr::DA => temporal::date_text(at),
        Vr::TM => temporal::time_text(at),
        _ => temporal::date_text(at) + &temporal::time_text(at),
    }
}
