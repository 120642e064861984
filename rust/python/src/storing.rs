//! Where received objects go, as Python says it.

use std::path::PathBuf;
use std::sync::Arc;

use dimsefast_identifier::Tag;
use dimsefast_network::{self as network, Answer, Attributes, Duplicates, FileIdentity, FolderPlan};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::journal::Journal;

/// Keywords and their tags.
type Keywords = Vec<(String, u32)>;

fn attributes(keywords: Keywords) -> PyResult<Attributes> {
    for (keyword, tag) in &keywords {
        network::check_attribute(Tag(*tag))
            .map_err(|what| PyValueError::new_err(format!("the attribute {keyword} {what}")))?;
    }
    Ok(Attributes::new(keywords.into_iter().map(|(keyword, tag)| (keyword, Tag(tag))).collect()))
}

/// A template for the names of files. Raises ValueError for one that cannot be used.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Layout {
    inner: network::Layout,
}

#[pymethods]
impl Layout {
    /// `find` gives the tag of a DICOM keyword, or None.
    #[new]
    fn new(template: &str, missing: &str, find: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut raised = None;
        let mut tag = |keyword: &str| match find.call1((keyword,)).and_then(|tag| tag.extract::<Option<u32>>()) {
            Ok(tag) => tag.map(Tag),
            Err(error) => {
                raised = Some(error);
                None
            }
        };
        let made = network::Layout::new(template, missing, &mut tag);
        match raised {
            Some(error) => Err(error),
            None => made.map(|inner| Self { inner }).map_err(|error| PyValueError::new_err(error.to_string())),
        }
    }

    /// One file, whatever the object.
    #[staticmethod]
    fn file(name: String) -> Self {
        Self { inner: network::Layout::file(name) }
    }

    /// Whether objects with different UIDs get different files.
    #[getter]
    fn keeps_objects_apart(&self) -> bool {
        self.inner.keeps_objects_apart()
    }
}

/// Where received objects go.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct StorePlan {
    pub(crate) inner: network::StorePlan,
}

#[pymethods]
impl StorePlan {
    /// Into memory.
    #[staticmethod]
    fn memory() -> Self {
        Self { inner: network::StorePlan::Memory }
    }

    /// Into a temporary file each.
    #[staticmethod]
    fn temporary(class_uid: String, version: String) -> Self {
        Self { inner: network::StorePlan::Temporary(FileIdentity { class_uid, version }) }
    }

    /// Nowhere.
    #[staticmethod]
    fn discard(keywords: Keywords) -> PyResult<Self> {
        Ok(Self { inner: network::StorePlan::Discard(attributes(keywords)?) })
    }

    /// Where the callback says when it has seen these attributes.
    #[staticmethod]
    fn ask(keywords: Keywords) -> PyResult<Self> {
        Ok(Self { inner: network::StorePlan::Ask(attributes(keywords)?) })
    }

    /// Into a folder. `duplicates` is "replace", "keep", "refuse", "update" (replace what is not the same) or "drop" (B006H for what is
    /// not the same).
    #[staticmethod]
    #[pyo3(signature = (folder, layout, keywords, duplicates, fsync, class_uid, version, journal=None))]
    #[expect(clippy::too_many_arguments, reason = "as many as there are")]
    fn folder(
        folder: PathBuf,
        layout: &Layout,
        keywords: Keywords,
        duplicates: &str,
        fsync: bool,
        class_uid: String,
        version: String,
        journal: Option<&Bound<'_, Journal>>,
    ) -> PyResult<Self> {
        let duplicates = match duplicates {
            "replace" => Duplicates::Replace,
            "keep" => Duplicates::Keep,
            "update" => Duplicates::Update,
            // Duplicate SOP instance (PS3.7 C.5.8).
            "refuse" => Duplicates::Refuse(0x0111),
            // Elements discarded: a warning.
            "drop" => Duplicates::Refuse(0xB006),
            other => {
                let message = format!("duplicates is one of those that are listed, not {other:?}");
                return Err(PyValueError::new_err(message));
            }
        };
        let plan = FolderPlan {
            folder,
            layout: layout.inner.clone(),
            attributes: attributes(keywords)?,
            duplicates,
            fsync,
            identity: FileIdentity { class_uid, version },
            journal: journal.map(|journal| journal.get().inner.clone()),
        };
        Ok(Self { inner: network::StorePlan::Folder(Arc::new(plan)) })
    }
}

/// The plan that was given; memory for none.
pub(crate) fn plan(given: Option<&Py<StorePlan>>) -> network::StorePlan {
    given.map_or(network::StorePlan::Memory, |plan| plan.get().inner.clone())
}

/// What Python answers: a plan, a status, something to write to, or that it has written.
pub(crate) fn answer(plan: Option<&Py<StorePlan>>, status: Option<u16>, writer: Option<Py<PyAny>>) -> Answer {
    match (plan, status, writer) {
        (_, Some(status), _) => Answer::Refuse(status),
        (_, None, Some(writer)) => Answer::Write(Arc::new(writer)),
        (Some(plan), None, None) => Answer::Into(plan.get().inner.clone()),
        (None, None, None) => Answer::Written,
    }
}

/// Removes the unfinished files that processes which are no more have left in the folder; how many. Raises OSError where it cannot be read.
#[pyfunction]
pub(crate) fn remove_leftovers(py: Python<'_>, folder: PathBuf) -> PyResult<usize> {
    Ok(py.detach(|| network::remove_leftovers(&folder))?)
}

/// A part of a file name from a text that a peer chose.
#[pyfunction]
pub(crate) fn safe_name(text: &str) -> String {
    network::safe_value(text).into_owned()
}
