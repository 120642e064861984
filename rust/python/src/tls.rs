//! TLS as Python sets it up.

use std::path::PathBuf;
use std::sync::Arc;

use dimsefast_network::Security;
use dimsefast_network::tls::{self as network, Authorities, Identity, Options, Profile, SetupError, VerifyPeer};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

/// Certificates, keys and what is asked of peers, for any number of connections.
#[pyclass(frozen, module = "dimsefast._core")]
pub(crate) struct Tls {
    inner: Arc<network::Tls>,
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
        let inner = py.detach(|| network::Tls::new(options)).map_err(setup_error)?;
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

pub(crate) fn security(tls: Option<&Py<Tls>>, bridged: bool) -> Security {
    match tls {
        Some(tls) => Security::Tls(tls.get().inner.clone()),
        None if bridged => Security::Bridged,
        None => Security::Plain,
    }
}

/// The subject of a DER certificate; None where it cannot be read.
#[pyfunction]
pub(crate) fn certificate_subject(certificate: &[u8]) -> Option<String> {
    network::subject(certificate)
}
