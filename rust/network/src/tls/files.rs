//! Certificates, keys and revocation lists from PEM files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::settings::SetupError;

/// Our own certificate, and what proves that it is ours.
#[derive(Debug, Clone)]
pub struct Identity {
    /// PEM: our certificate, then those that lead to its root.
    pub certificate: PathBuf,
    /// PEM, without a password: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// Whom we trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// The system's own.
    System,
    /// A PEM file, or a folder of them.
    Path(PathBuf),
}

/// What a file looked like: it is read again where this has changed. None where there is no such file.
type Stamp = Option<(SystemTime, u64)>;

/// When which files were changed last; for a folder, those within it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stamps(Vec<(PathBuf, Stamp)>);

impl Stamps {
    pub(super) fn of<'a>(paths: impl Iterator<Item = &'a Path>) -> Self {
        let mut found = Vec::new();
        for path in paths {
            found.push((path.to_owned(), stamp(path)));
            if path.is_dir() {
                found.extend(within(path).unwrap_or_default().into_iter().map(|file| (file.clone(), stamp(&file))));
            }
        }
        Self(found)
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

fn within(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn unfit(path: &Path, problem: impl Into<String>) -> SetupError {
    SetupError::Content { path: path.to_owned(), problem: problem.into() }
}

fn problem(path: &Path, what: &'static str) -> impl FnOnce(pem::Error) -> SetupError {
    move |error| match error {
        pem::Error::Io(error) => SetupError::File { path: path.to_owned(), error },
        pem::Error::NoItemsFound => unfit(path, format!("it has no {what} in PEM form")),
        other => unfit(path, format!("it is no PEM file with a {what}: {other}")),
    }
}

fn all<T: PemObject>(path: &Path, what: &'static str) -> Result<Vec<T>, SetupError> {
    T::pem_file_iter(path)
        .and_then(|items| items.collect::<Result<Vec<_>, _>>())
        .and_then(|items| if items.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(items) })
        .map_err(problem(path, what))
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    all(path, "certificate")
}

pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, SetupError> {
    let text = fs::read(path).map_err(|error| SetupError::File { path: path.to_owned(), error })?;
    if text.windows(9).any(|bytes| bytes == b"ENCRYPTED") {
        let words = "the key has a password: store it without one, in a file that nobody else can read";
        return Err(unfit(path, words));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(problem(path, "private key"))
}

pub(super) fn revocation_lists(paths: &[PathBuf]) -> Result<Vec<CertificateRevocationListDer<'static>>, SetupError> {
    let mut lists = Vec::new();
    for path in paths {
        lists.extend(all(path, "certificate revocation list")?);
    }
    Ok(lists)
}

/// The certificates of the authorities. What a folder has besides certificates is passed over.
pub(super) fn authorities(from: &Authorities) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    match from {
        Authorities::System => {
            let found = rustls_native_certs::load_native_certs();
            if found.certs.is_empty() {
                return Err(SetupError::Other(
                    "the system has no trusted CA certificates: name a file with ca=".into(),
                ));
            }
            Ok(found.certs)
        }
        Authorities::Path(path) if path.is_dir() => {
            let files = within(path).map_err(|error| SetupError::File { path: path.clone(), error })?;
            let found: Vec<_> = files.iter().filter_map(|file| certificates(file).ok()).flatten().collect();
            if found.is_empty() {
                return Err(unfit(path, "no file in it has a certificate in PEM form"));
            }
            Ok(found)
        }
        Authorities::Path(path) => certificates(path),
    }
}
