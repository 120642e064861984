//! A listening server as Python sees it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use dimsefast_network::protocol::negotiation::SupportedContext;
use dimsefast_network::{self as network, AcceptorConfig, Proxies, Security, process};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::associate::{ae_title, uid};
use crate::connection::Connection;
use crate::pool::PythonService;
use crate::storing::{self, StorePlan};
use crate::tls::{Tls, chosen, setup_error};
use crate::wait::seconds;

/// (abstract syntax, transfer syntaxes, SCU role, SCP role)
type Supported = (String, Vec<String>, Option<bool>, Option<bool>);

/// What `dimsefast.server` hands over; see there for the meaning.
#[derive(FromPyObject)]
pub(crate) struct Settings {
    ae_title: String,
    require_called: bool,
    require_calling: Vec<String>,
    contexts: Vec<Supported>,
    unrestricted_storage: bool,
    maximum_associations: usize,
    maximum_per_calling: Option<usize>,
    maximum_pdu_size: u32,
    acse_timeout: Option<f64>,
    network_timeout: Option<f64>,
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
        let security = chosen(self.tls.as_ref(), self.bridged);
        if let Security::Tls(tls) = &security {
            tls.server().map_err(setup_error)?;
        }
        let proxies = self.proxies.as_deref().map(Proxies::within).transpose();
        let proxies = proxies.map_err(|network| {
            PyValueError::new_err(format!("proxy_protocol: {network:?} is no network such as \"10.0.0.0/8\""))
        })?;
        Ok(AcceptorConfig {
            ae_title: ae_title(&self.ae_title)?,
            require_called: self.require_called,
            require_calling: self.require_calling.iter().map(|title| ae_title(title)).collect::<PyResult<_>>()?,
            contexts: self
                .contexts
                .iter()
                .map(|(abstract_syntax, transfer_syntaxes, scu_role, scp_role)| SupportedContext {
                    abstract_syntax: uid(abstract_syntax),
                    transfer_syntaxes: transfer_syntaxes.iter().map(|syntax| uid(syntax)).collect(),
                    scu_role: *scu_role,
                    scp_role: *scp_role,
                })
                .collect::<Vec<_>>()
                .into(),
            unrestricted_storage: self.unrestricted_storage,
            maximum_associations: self.maximum_associations,
            maximum_per_calling: self.maximum_per_calling,
            max_pdu_length: self.maximum_pdu_size,
            acse_timeout: seconds(self.acse_timeout)?,
            network_timeout: seconds(self.network_timeout)?,
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

    /// The connections that are not finished, oldest first.
    fn connections(&self, py: Python<'_>) -> PyResult<Vec<Connection>> {
        let server = self.live()?;
        Ok(py.detach(|| server.connections()).into_iter().map(Connection::new).collect())
    }

    /// Stops: associations get `grace` seconds to end by themselves and are then aborted; waits at most `limit` seconds more.
    /// Returns whether all are over.
    fn shutdown(&self, py: Python<'_>, grace: f64, limit: f64) -> PyResult<bool> {
        let server = self.live()?;
        let (grace, limit) = (seconds(Some(grace))?, seconds(Some(limit))?);
        Ok(py.detach(|| server.shutdown(grace.unwrap_or(Duration::ZERO), limit.unwrap_or(Duration::ZERO))))
    }
}
