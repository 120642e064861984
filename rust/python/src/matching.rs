//! Attribute matching as Python sees it.

use dimsefast_identifier::{self as identifier, EmptyCandidate};
use pyo3::prelude::*;

/// A compiled key attribute: Key(vr, value). Values are text, several of them separated by backslashes.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Key {
    inner: identifier::Key,
}

#[pymethods]
impl Key {
    #[new]
    fn new(vr: &str, value: &str) -> Self {
        Self { inner: identifier::Key::new(vr, value) }
    }

    /// Whether everything matches it.
    #[getter]
    fn is_universal(&self) -> bool {
        self.inner.is_universal()
    }

    /// Whether it asks for exactly one value.
    #[getter]
    fn is_single_value(&self) -> bool {
        self.inner.is_single_value()
    }

    /// Whether a stored attribute with this value matches; one without a value as `empty_matches` says.
    fn matches(&self, candidate: &str, empty_matches: bool) -> bool {
        let empty = if empty_matches { EmptyCandidate::Matches } else { EmptyCandidate::Fails };
        self.inner.matches(candidate, empty)
    }
}
