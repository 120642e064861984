//! What an association was negotiated to be, as Python sees it: a part of it is made when it is asked for.

use dimsefast_network as network;
use dimsefast_network::protocol::negotiation::NegotiatedContext;
use dimsefast_network::protocol::types::{ContextResult, Uid};
use pyo3::prelude::*;

use crate::associate::{Proposed, items};

/// (ID, abstract syntax, the transfer syntax in use or those proposed, result, as SCU, as SCP)
type Context = (u8, String, Vec<String>, u8, bool, bool);

/// What has been asked for and answered by the time this was taken.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Negotiation {
    inner: network::Negotiation,
}

impl Negotiation {
    pub(crate) fn new(inner: network::Negotiation) -> Self {
        Self { inner }
    }

    fn accepted(&self) -> impl Iterator<Item = (&NegotiatedContext, &Uid)> {
        let accepted = |context: &&NegotiatedContext| context.result == ContextResult::ACCEPTED;
        let contexts = self.inner.contexts.iter().filter(accepted);
        contexts.filter_map(|context| Some((context, context.transfer_syntax.as_ref()?)))
    }
}

fn texts(uids: &[Uid]) -> Vec<String> {
    uids.iter().map(Uid::to_string_lossy).collect()
}

#[pymethods]
impl Negotiation {
    /// Whether there is an answer in it.
    #[getter]
    fn is_answered(&self) -> bool {
        self.inner.reply.is_some()
    }

    /// Called AE title of the request.
    #[getter]
    fn called(&self) -> String {
        self.inner.request.called.to_string_lossy()
    }

    /// Calling AE title of the request.
    #[getter]
    fn calling(&self) -> String {
        self.inner.request.calling.to_string_lossy()
    }

    /// What was proposed: (ID, abstract syntax, transfer syntaxes).
    #[getter]
    fn proposed(&self) -> Vec<Proposed> {
        let contexts = self.inner.request.contexts.iter();
        contexts
            .map(|context| (context.id, context.abstract_syntax.to_string_lossy(), texts(&context.transfer_syntaxes)))
            .collect()
    }

    /// The items of the request.
    #[getter]
    fn requested_items<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        items(py, &self.inner.request.user)
    }

    /// The items of the answer; none before it.
    #[getter]
    fn answered_items<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.inner.reply.as_ref().map_or_else(|| Ok(Vec::new()), |reply| items(py, &reply.user))
    }

    /// The presentation contexts with their results, from this side's point of view; none before the answer.
    #[getter]
    fn contexts(&self) -> Vec<Context> {
        let contexts = self.inner.contexts.iter().zip(&self.inner.request.contexts);
        contexts
            .map(|(context, proposed)| {
                let syntaxes = match &context.transfer_syntax {
                    Some(syntax) if context.result == ContextResult::ACCEPTED => vec![syntax.to_string_lossy()],
                    _ => texts(&proposed.transfer_syntaxes),
                };
                let name = context.abstract_syntax.to_string_lossy();
                (context.id, name, syntaxes, context.result.0, context.as_scu, context.as_scp)
            })
            .collect()
    }

    /// Whether anything was accepted.
    #[getter]
    fn is_usable(&self) -> bool {
        self.accepted().next().is_some()
    }

    /// The accepted contexts of an abstract syntax: (ID, transfer syntax, as SCU, as SCP).
    fn usable(&self, abstract_syntax: &str) -> Vec<(u8, String, bool, bool)> {
        let name = Uid::from(abstract_syntax);
        self.accepted()
            .filter(|(context, _)| context.abstract_syntax == name)
            .map(|(context, syntax)| (context.id, syntax.to_string_lossy(), context.as_scu, context.as_scp))
            .collect()
    }

    /// The accepted context with this ID: (abstract syntax, transfer syntax). None where there is none.
    fn accepted_context(&self, id: u8) -> Option<(String, String)> {
        let (context, syntax) = self.accepted().find(|(context, _)| context.id == id)?;
        Some((context.abstract_syntax.to_string_lossy(), syntax.to_string_lossy()))
    }
}
