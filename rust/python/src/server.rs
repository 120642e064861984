//! A listening server as Python sees it.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use dimsefast_network::protocol::negotiation::{SupportedContext, SupportedContexts};
use dimsefast_network::protocol::types::AeTitle;
use dimsefast_network::{self as network, AcceptorConfig, Proxies, Quota, Security, process};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::associate::{ae_title, uid};
use crate::connection::Connection;
use crate::pool::PythonService;
use crate::storing::{self, StorePlan};
use crate::tls::{Tls, chosen, setup_error};
use crate::wait::{network_timeout_response, seconds};

/// (abstract syntax, transfer syntaxes, SCU role, SCP role)
type Supported = (String, Vec<String>, Option<bool>, Option<bool>);

/// (operation, bytes, seconds, pending responses, sub-operations, unanswered requests, requests by final status)
type OperationStatistics = (&'static str, u64, f64, u64, u64, u64, BTreeMap<u16, u64>);

/// ((connections, open, accepted, rejected, released, aborted), by operation)
type Statistics = ((u64, u64, u64, u64, u64, u64), Vec<OperationStatistics>);

/// (associations, bytes a second, requests a second)
type Limits = (Option<usize>, Option<f64>, Option<f64>);

fn quota((associations, bytes_per_second, requests_per_second): Limits) -> Quota {
    Quota { associations, bytes_per_second, requests_per_second }
}

/// What `dimsefast.server` hands over; see there for the meaning.
#[derive(FromPyObject)]
pub(crate) struct Settings {
    ae_titles: Vec<String>,
    require_called: bool,
    require_calling: Vec<String>,
    contexts: Vec<Supported>,
    offers: Vec<Vec<Supported>>,
    contexts_by_calling: Option<HashMap<String, usize>>,
    prefer_own_syntaxes: bool,
    unrestricted_storage: bool,
    maximum_associations: usize,
    maximum_per_calling: Option<usize>,
    quota_per_calling: Option<Limits>,
    quota_per_address: Option<Limits>,
    maximum_pdu_size: u32,
    acse_timeout: Option<f64>,
    network_timeout: Option<f64>,
    network_timeout_response: String,
    asynchronous_operations: (u16, u16),
    implementation_class_uid: String,
    implementation_version_name: Option<String>,
    store_to: Option<Py<StorePlan>>,
    tls: Option<Py<Tls>>,
    bridged: bool,
    proxies: Option<Vec<String>>,
    keepalive: Option<f64>,
    bound: u32,
}

impl Settings {
    fn config(self) -> PyResult<AcceptorConfig> {
        let strict_roles = self.contexts_by_calling.is_some();
        let supported = |contexts: &Vec<Supported>| supported(contexts, self.prefer_own_syntaxes, strict_roles);
        let contexts = supported(&self.contexts);
        let offers: Vec<_> = self.offers.iter().map(|contexts| Arc::new(supported(contexts))).collect();
        let contexts_by_calling = self.contexts_by_calling.unwrap_or_default().into_iter();
        let contexts_by_calling = contexts_by_calling
            .map(|(title, at)| {
                let offer = offers.get(at).ok_or_else(|| PyValueError::new_err("there is no such offer"))?;
                Ok((ae_title(&title)?.trimmed().to_vec(), offer.clone()))
            })
            .collect::<PyResult<_>>()?;
        let security = chosen(self.tls.as_ref(), self.bridged);
        if let Security::Tls(tls) = &security {
            tls.server().map_err(setup_error)?;
        }
        let proxies = self.proxies.as_deref().map(Proxies::within).transpose();
        let proxies = proxies.map_err(|network| {
            PyValueError::new_err(format!("proxy_protocol: {network:?} is no network such as \"10.0.0.0/8\""))
        })?;
        Ok(AcceptorConfig {
            ae_titles: titles(&self.ae_titles)?,
            require_called: self.require_called,
            require_calling: titles(&self.require_calling)?,
            contexts,
            contexts_by_calling,
            unrestricted_storage: self.unrestricted_storage,
            maximum_associations: self.maximum_associations,
            maximum_per_calling: self.maximum_per_calling,
            quota_per_calling: self.quota_per_calling.map(quota),
            quota_per_address: self.quota_per_address.map(quota),
            max_pdu_length: self.maximum_pdu_size,
            acse_timeout: seconds(self.acse_timeout)?,
            network_timeout: seconds(self.network_timeout)?,
            network_timeout_response: network_timeout_response(&self.network_timeout_response)?,
            async_ops: self.asynchronous_operations,
            implementation_uid: uid(&self.implementation_class_uid),
            store: storing::plan(self.store_to.as_ref()),
            security,
            proxies,
            keepalive: seconds(self.keepalive)?,
            implementation_version: self.implementation_version_name.map(String::into_bytes),
            bound: self.bound,
        })
    }
}

fn titles(texts: &[String]) -> PyResult<Vec<AeTitle>> {
    texts.iter().map(|text| ae_title(text)).collect()
}

fn supported(contexts: &[Supported], own_order: bool, strict_roles: bool) -> SupportedContexts {
    let context = |(abstract_syntax, transfer_syntaxes, scu_role, scp_role): &Supported| SupportedContext {
        abstract_syntax: uid(abstract_syntax),
        transfer_syntaxes: transfer_syntaxes.iter().map(|syntax| uid(syntax)).collect(),
        scu_role: *scu_role,
        scp_role: *scp_role,
    };
    let contexts: Vec<_> = contexts.iter().map(context).collect();
    let contexts = if own_order { SupportedContexts::in_own_order(contexts) } else { contexts.into() };
    if strict_roles { contexts.with_strict_roles() } else { contexts }
}

/// A listening socket and its associations.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Server {
    inner: Arc<network::Server>,
}

impl Server {
    fn live(&self) -> PyResult<&Arc<network::Server>> {
        if self.inner.generation == process::generation() {
            return Ok(&self.inner);
        }
        Err(PyRuntimeError::new_err("this server was started before a fork and cannot be used in the child process"))
    }
}

#[pymethods]
impl Server {
    /// Binds, and begins to accept. Raises OSError where the address cannot be bound.
    #[new]
    fn new(py: Python<'_>, host: &str, port: u16, settings: Settings, callback: Py<PyAny>) -> PyResult<Self> {
        let config = settings.config()?;
        let host = if host.is_empty() { "0.0.0.0" } else { host };
        let service = Arc::new(PythonService { callback: Arc::new(callback) });
        let started = py.detach(|| -> std::io::Result<_> {
            let address: SocketAddr = (host, port)
                .to_socket_addrs()?
                .next()
                .ok_or_else(|| std::io::Error::other("the name has no address"))?;
            network::Server::start(address, config, service)
        });
        match started {
            Ok(inner) => Ok(Self { inner }),
            Err(error) => {
                let message = format!("cannot listen on {host}:{port}: {error}");
                Err(match error.raw_os_error() {
                    Some(number) => PyOSError::new_err((number, message)),
                    None => PyOSError::new_err(message),
                })
            }
        }
    }

    /// (host, port) that is bound.
    #[getter]
    fn address(&self) -> (String, u16) {
        (self.inner.address.ip().to_string(), self.inner.address.port())
    }

    /// Changes what later associations get.
    fn configure(&self, settings: Settings) -> PyResult<()> {
        self.live()?.configure(settings.config()?);
        Ok(())
    }

    /// What it has done: ((connections, open, accepted, rejected, released, aborted), [(operation, bytes, seconds, pending responses,
    /// sub-operations, unanswered requests, {final status: requests})]).
    fn statistics(&self) -> PyResult<Statistics> {
        let found = self.live()?.statistics();
        let operations = found.operations.into_iter().map(|operation| {
            let seconds = operation.time.as_secs_f64();
            let (bytes, pending, sub_operations) = (operation.bytes, operation.pending, operation.sub_operations);
            (operation.name, bytes, seconds, pending, sub_operations, operation.unanswered, operation.statuses)
        });
        let associations =
            (found.connections, found.open, found.accepted, found.rejected, found.released, found.aborted);
        Ok((associations, operations.collect()))
    }

    /// The connections that are not finished, oldest first.
    fn connections(&self, py: Python<'_>) -> PyResult<Vec<Connection>> {
        let server = self.live()?;
        Ok(py.detach(|| server.connections()).into_iter().map(Connection::new).collect())
    }

    /// Stops: associations get `grace` seconds to end by themselves and are then aborted, earlier where nothing happens for `idle` seconds;
    /// waits at most `limit` seconds more. Returns whether all are over.
    #[pyo3(signature = (grace, idle, limit))]
    fn shutdown(&self, py: Python<'_>, grace: f64, idle: Option<f64>, limit: f64) -> PyResult<bool> {
        let server = self.live()?;
        let (grace, idle, limit) = (seconds(Some(grace))?, seconds(idle)?, seconds(Some(limit))?);
        Ok(py.detach(|| server.shutdown(grace.unwrap_or(Duration::ZERO), idle, limit.unwrap_or(Duration::ZERO))))
    }
}
