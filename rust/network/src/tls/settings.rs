//! From files and options to rustls's configurations, read anew where the files have changed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, InvalidDnsNameError, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;

use super::files::{self, Authorities, Identity, Stamps};
use super::profile::{PROTOCOL, Profile};
use super::verify::{Clients, Known, Servers};
use crate::log::{self, Level};

/// How often files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// Whether a peer has to show who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyPeer {
    /// A certificate that we trust.
    Require,
    /// The same, but a requestor may have none.
    Request,
    /// Its certificate is not looked at.
    Nothing,
}

/// What TLS is set up from.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who we are; an acceptor needs it.
    pub identity: Option<Identity>,
    /// Whom we trust.
    pub authorities: Authorities,
    /// Revocation lists, PEM.
    pub revocation_lists: Vec<PathBuf>,
    /// The profile.
    pub profile: Profile,
    /// What is asked of peers.
    pub verify_peer: VerifyPeer,
    /// The name that an acceptor's certificate must have; default the host that is connected to.
    pub server_name: Option<String>,
    /// Whether that is checked.
    pub check_server_name: bool,
}

/// Why it cannot be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A file has not what it should.
    #[error("{}: {problem}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl From<rustls::Error> for SetupError {
    fn from(error: rustls::Error) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<InvalidDnsNameError> for SetupError {
    fn from(error: InvalidDnsNameError) -> Self {
        Self::Other(error.to_string())
    }
}

/// TLS as it is set up. Shared by any number of connections.
#[derive(Debug)]
pub struct Tls {
    options: Options,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    looked: Instant,
    stamps: Stamps,
    /// For requestors, and for acceptors: why it cannot be one.
    client: Arc<ClientConfig>,
    server: Result<Arc<ServerConfig>, String>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(options: Options) -> Result<Self, SetupError> {
        if let Some(name) = &options.server_name {
            ServerName::try_from(name.as_str())
                .map_err(|_| SetupError::Other(format!("{name:?} is no host name or address")))?;
        }
        let state = Mutex::new(options.load()?);
        Ok(Self { options, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the files again, now.
    ///
    /// # Errors
    /// [`SetupError`]; what was read before then stays in use.
    pub fn reload(&self) -> Result<(), SetupError> {
        let fresh = self.options.load()?;
        *self.state() = fresh;
        Ok(())
    }

    /// Whether it is time to [`refresh`](Self::refresh).
    pub(crate) fn is_due(&self) -> bool {
        self.state().looked.elapsed() >= LOOK
    }

    /// Reads the files again where they have changed, looked at once a second at most. What cannot be read is logged, and what was read before
    /// stays in use.
    pub(crate) fn refresh(&self) {
        let before = {
            let mut state = self.state();
            if state.looked.elapsed() < LOOK {
                return;
            }
            state.looked = Instant::now();
            state.stamps.clone()
        };
        let stamps = Stamps::of(self.options.paths());
        if stamps == before {
            return;
        }
        if let Err(error) = self.reload() {
            log::record(Level::Error, || format!("TLS goes on with the certificates read before: {error}"));
            self.state().stamps = stamps;
        }
    }

    /// Lets a second pass.
    #[cfg(test)]
    pub(super) fn look_again(&self) {
        let mut state = self.state();
        state.looked = state.looked.checked_sub(LOOK).expect("the clock of this machine is a second old");
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        self.state().client.clone()
    }

    /// For acceptors.
    ///
    /// # Errors
    /// Where there is no certificate, or nobody to trust.
    pub fn server(&self) -> Result<Arc<ServerConfig>, SetupError> {
        self.state().server.clone().map_err(SetupError::Other)
    }

    /// The name to ask `host` for.
    pub(crate) fn name_for(&self, host: &str) -> Result<ServerName<'static>, SetupError> {
        // A scope is this machine's business.
        let host = host.split('%').next().unwrap_or(host);
        let name = self.options.server_name.as_deref().unwrap_or(host);
        Ok(ServerName::try_from(name.to_owned())?)
    }
}

impl Options {
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let own = self.identity.iter().flat_map(|identity| [&identity.certificate, &identity.key]);
        let trusted = match &self.authorities {
            Authorities::System => None,
            Authorities::Path(path) => Some(path),
        };
        own.chain(trusted).chain(&self.revocation_lists).map(PathBuf::as_path)
    }

    fn load(&self) -> Result<State, SetupError> {
        let stamps = Stamps::of(self.paths());
        let provider = Arc::new(self.profile.provider());
        let trusted = match self.verify_peer {
            VerifyPeer::Nothing => Vec::new(),
            _ => files::authorities(&self.authorities)?,
        };
        let lists = files::revocation_lists(&self.revocation_lists)?;
        let client = Arc::new(self.client(&provider, &trusted, &lists)?);
        let server = match self.server(provider, &trusted, lists) {
            Ok(config) => Ok(Arc::new(config)),
            Err(error) if self.can_serve() => return Err(error),
            Err(error) => Err(error.to_string()),
        };
        Ok(State { looked: Instant::now(), stamps, client, server })
    }

    fn can_serve(&self) -> bool {
        self.identity.is_some() && (self.verify_peer == VerifyPeer::Nothing || self.authorities != Authorities::System)
    }

    fn client(
        &self,
        provider: &Arc<CryptoProvider>,
        trusted: &[CertificateDer<'static>],
        lists: &[CertificateRevocationListDer<'static>],
    ) -> Result<ClientConfig, SetupError> {
        let chains = match self.verify_peer {
            VerifyPeer::Nothing => None,
            _ => Some(
                WebPkiServerVerifier::builder_with_provider(roots(trusted), provider.clone())
                    .with_crls(lists.to_vec())
                    .allow_unknown_revocation_status()
                    .build()
                    .map_err(|error| SetupError::Other(error.to_string()))? as Arc<_>,
            ),
        };
        let verifier = Servers {
            chains,
            known: Known::new(trusted),
            check_name: self.check_server_name,
            provider: provider.clone(),
        };
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(self.profile.versions())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(files::certificates(&identity.certificate)?, files::key(&identity.key)?)
                .map_err(|error| identity.unfit(&error))?,
        };
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(config)
    }

    fn server(
        &self,
        provider: Arc<CryptoProvider>,
        trusted: &[CertificateDer<'static>],
        lists: Vec<CertificateRevocationListDer<'static>>,
    ) -> Result<ServerConfig, SetupError> {
        let Some(identity) = &self.identity else {
            return Err(SetupError::Other("a TLS server needs a certificate and its key".into()));
        };
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(self.profile.versions())?;
        let builder = if self.verify_peer == VerifyPeer::Nothing {
            builder.with_no_client_auth()
        } else if self.authorities == Authorities::System {
            // Whoever has a web server's certificate would be let in.
            return Err(SetupError::Other(
                "a TLS server that verifies its peers needs to know whose certificates it trusts: ca=FILE; or \
                 verify_peer=\"none\" to let in everybody"
                    .into(),
            ));
        } else {
            let chains = WebPkiClientVerifier::builder_with_provider(roots(trusted), provider)
                .with_crls(lists)
                .allow_unknown_revocation_status();
            let chains = if self.verify_peer == VerifyPeer::Request { chains.allow_unauthenticated() } else { chains };
            let chains = chains.build().map_err(|error| SetupError::Other(error.to_string()))?;
            builder.with_client_cert_verifier(Arc::new(Clients { chains, known: Known::new(trusted) }))
        };
        let mut config = builder
            .with_single_cert(files::certificates(&identity.certificate)?, files::key(&identity.key)?)
            .map_err(|error| identity.unfit(&error))?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(config)
    }
}

impl Identity {
    fn unfit(&self, error: &rustls::Error) -> SetupError {
        let words = format!("it does not belong to the key in {}, or cannot be used: {error}", self.key.display());
        SetupError::Content { path: self.certificate.clone(), problem: words }
    }
}

/// What is no CA among them is trusted by itself: see [`Known`].
fn roots(trusted: &[CertificateDer<'static>]) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    Arc::new(roots)
}
