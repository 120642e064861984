//! TLS as Python sets it up.

use std::os::fd::IntoRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use dimsefast_network as network;
use dimsefast_network::tls::{
    self, Authorities, Failure, FailureKind, Identity, Negotiated, Options, Profile, SetupError, VerifyPeer,
};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// (version, cipher suite, certificates, server name)
type Agreed = (String, String, Vec<Py<PyBytes>>, Option<String>);

/// Certificates, keys and what is asked of peers, for any number of connections.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Tls {
    inner: Arc<tls::Tls>,
}

#[pymethods]
impl Tls {
    /// Reads the files; see `dimsefast.tls` for the arguments. Raises OSError where one cannot be read, ValueError where it, or another
    /// argument, is no good.
    #[new]
    #[pyo3(signature = (certificate, key, authorities, revocation_lists, profile, verify_peer, server_name, check_server_name))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of one Python call")]
    fn new(
        py: Python<'_>,
        certificate: Option<PathBuf>,
        key: Option<PathBuf>,
        authorities: Option<PathBuf>,
        revocation_lists: Vec<PathBuf>,
        profile: &str,
        verify_peer: &str,
        server_name: Option<String>,
        check_server_name: bool,
    ) -> PyResult<Self> {
        let options = Options {
            identity: certificate.zip(key).map(|(certificate, key)| Identity { certificate, key }),
            authorities: authorities.map_or(Authorities::System, Authorities::Path),
            revocation_lists,
            profile: Profile::named(profile).map_err(|error| PyValueError::new_err(error.to_string()))?,
            verify_peer: match verify_peer {
                "require" => VerifyPeer::Require,
                "request" => VerifyPeer::Request,
                "none" => VerifyPeer::Nothing,
                other => {
                    let words = format!("verify_peer is \"require\", \"request\" or \"none\", not {other:?}");
                    return Err(PyValueError::new_err(words));
                }
            },
            server_name,
            check_server_name,
        };
        let inner = py.detach(|| tls::Tls::new(options)).map_err(setup_error)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Reads the files again. Raises as the constructor does; what was read before then stays in use.
    fn reload(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.inner.reload()).map_err(setup_error)
    }
}

pub(crate) fn setup_error(error: SetupError) -> PyErr {
    match error {
        SetupError::File { path, error } => match error.raw_os_error() {
            // So it becomes FileNotFoundError and the like.
            Some(number) => PyOSError::new_err((number, strip(&error), path)),
            None => PyOSError::new_err(format!("cannot read {}: {error}", path.display())),
        },
        other => PyValueError::new_err(other.to_string()),
    }
}

/// Python adds the number itself.
fn strip(error: &std::io::Error) -> String {
    let words = error.to_string();
    words.split(" (os error").next().unwrap_or_default().to_owned()
}

pub(crate) fn chosen(tls: Option<&Py<Tls>>, bridged: bool) -> network::Security {
    match tls {
        Some(tls) => network::Security::Tls(tls.get().inner.clone()),
        None if bridged => network::Security::Bridged,
        None => network::Security::Plain,
    }
}

/// The subject of a DER certificate; None where it cannot be read.
#[pyfunction]
pub(crate) fn certificate_subject(certificate: &[u8]) -> Option<String> {
    tls::subject(certificate)
}

/// What is between one connection and TCP.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Security {
    connection: Arc<network::Connection>,
}

impl Security {
    pub(crate) fn new(connection: Arc<network::Connection>) -> Self {
        Self { connection }
    }
}

#[pymethods]
impl Security {
    /// What the TLS handshake agreed on: (version, cipher suite, the peer's certificates as DER, the server name asked for); None for plain
    /// TCP, and before its end.
    #[getter]
    fn negotiated(&self, py: Python<'_>) -> Option<Agreed> {
        let negotiated = self.connection.tls.as_ref()?.negotiated()?.clone();
        let certificates = negotiated.peer_certificates.iter();
        let certificates = certificates.map(|certificate| PyBytes::new(py, certificate).unbind()).collect();
        Some((negotiated.version, negotiated.cipher_suite, certificates, negotiated.server_name))
    }

    /// (kind, words) where TLS is what went wrong.
    #[getter]
    fn failure(&self, py: Python<'_>) -> Option<(&'static str, String)> {
        py.detach(|| self.connection.tls_failure()).map(|failure| (failure.kind.name(), failure.words))
    }

    /// The descriptors of the peer's and of the association's end of a bridge, once: the caller's from here on.
    fn take_bridge(&self, py: Python<'_>) -> Option<(i32, i32)> {
        let bridge = py.detach(|| self.connection.take_bridge())?;
        Some((bridge.peer.into_raw_fd(), bridge.association.into_raw_fd()))
    }

    /// The handshake on a bridge is over.
    fn agreed(&self, version: String, cipher_suite: String, peer_certificates: Vec<Vec<u8>>) {
        if let Some(session) = &self.connection.tls {
            session.agreed(Negotiated { version, cipher_suite, peer_certificates, server_name: None });
        }
    }

    /// The handshake on a bridge failed.
    fn failed(&self, kind: &str, words: String) {
        if let Some(session) = &self.connection.tls {
            session.failed(Failure::new(FailureKind::named(kind), words));
        }
    }
}
