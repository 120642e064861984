//! Two ends joined in memory, with certificates made for the occasion.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};

use super::{Authorities, FailureKind, Identity, Options, Profile, Session, SetupError, Tls, TlsTransport, VerifyPeer};
use crate::transport::{MemoryTransport, Transport};

/// A CA of its own, and a folder for its files.
struct Hospital {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Hospital {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for the name, valid until that year.
    fn certify(&self, name: &str, until: i32) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let identity =
            Identity { certificate: self.path(&format!("{name}.pem")), key: self.path(&format!("{name}.key")) };
        std::fs::write(&identity.certificate, certificate.pem()).unwrap();
        std::fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }

    fn options(&self, identity: Option<Identity>) -> Options {
        Options {
            identity,
            authorities: Authorities::Path(self.path("ca.pem")),
            revocation_lists: Vec::new(),
            profile: Profile::Bcp195,
            verify_peer: VerifyPeer::Require,
            server_name: None,
            check_server_name: true,
        }
    }
}

/// A requestor that looks for `archive`, and an acceptor.
struct Pair {
    requestor: (TlsTransport, Arc<Session>),
    acceptor: (TlsTransport, Arc<Session>),
}

impl Pair {
    fn joined(requestor: Options, acceptor: Options, capacity: usize) -> Self {
        let (requestor, acceptor) = (Tls::new(requestor).unwrap(), Tls::new(acceptor).unwrap());
        let name = requestor.name_for("archive").unwrap();
        Self::of((requestor.client(), name), acceptor.server().unwrap(), capacity)
    }

    fn of(requestor: (Arc<ClientConfig>, ServerName<'static>), acceptor: Arc<ServerConfig>, capacity: usize) -> Self {
        let (near, far) = MemoryTransport::pair(capacity);
        let peer = "192.0.2.1:104".parse().unwrap();
        let sessions = (Session::new(), Session::new());
        let near = TlsTransport::client(Box::new(near), requestor.0, requestor.1, sessions.0.clone(), peer);
        let far = TlsTransport::server(Box::new(far), acceptor, sessions.1.clone(), peer);
        Self { requestor: (near.unwrap(), sessions.0), acceptor: (far.unwrap(), sessions.1) }
    }

    /// Carries a beginning from the requestor, and its echo back; fails where either side does.
    fn converse(&mut self) -> std::io::Result<()> {
        assert_eq!(self.requestor.0.write(b"request")?, 7);
        let (mut received, mut echoed, mut answered) = (Vec::new(), Vec::new(), false);
        for _ in 0..10_000 {
            read(&mut self.acceptor.0, &mut received)?;
            if received == b"request" && !answered {
                let written = self.acceptor.0.write(b"answer");
                answered = written.is_ok();
                would_block(written.map(|_| ()))?;
            }
            read(&mut self.requestor.0, &mut echoed)?;
            for end in [&mut self.requestor.0, &mut self.acceptor.0] {
                would_block(end.flush())?;
            }
            if echoed == b"answer" {
                return Ok(());
            }
        }
        panic!("they never came to an end");
    }

    fn failures(mut self) -> (Option<FailureKind>, Option<FailureKind>) {
        assert!(self.converse().is_err());
        // The alert is still on its way.
        let mut rest = Vec::new();
        let _ = read(&mut self.requestor.0, &mut rest);
        let _ = read(&mut self.acceptor.0, &mut rest);
        let kind = |session: &Session| session.failure().map(|failure| failure.kind);
        (kind(&self.requestor.1), kind(&self.acceptor.1))
    }
}

fn would_block(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        other => other,
    }
}

fn read(from: &mut TlsTransport, into: &mut Vec<u8>) -> std::io::Result<()> {
    match from.append(into, 100) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        other => would_block(other.map(|_| ())),
    }
}

#[test]
fn both_show_who_they_are_through_a_narrow_pipe() {
    let hospital = Hospital::new();
    let (requestor, acceptor) = (hospital.certify("modality", 2090), hospital.certify("archive", 2090));
    let mut pair = Pair::joined(hospital.options(Some(requestor)), hospital.options(Some(acceptor)), 7);
    pair.converse().unwrap();
    let agreed = pair.acceptor.1.negotiated().unwrap();
    assert_eq!((agreed.version.as_str(), agreed.server_name.as_deref()), ("TLSv1.3", Some("archive")));
    assert!(agreed.cipher_suite.starts_with("TLS_AES_"), "{agreed:?}");
    assert_eq!(agreed.peer_certificates.len(), 1);
    assert_eq!(pair.requestor.1.negotiated().unwrap().cipher_suite, agreed.cipher_suite);
    pair.requestor.0.close();
    assert_eq!(pair.acceptor.0.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn much_arrives_whole_and_back_pressure_holds() {
    let hospital = Hospital::new();
    let acceptor =
        Options { verify_peer: VerifyPeer::Nothing, ..hospital.options(Some(hospital.certify("archive", 2090))) };
    let mut pair = Pair::joined(hospital.options(None), acceptor, 50_000);
    pair.converse().unwrap();
    let data: Vec<u8> = (0..2_000_000u32).map(|at| (at % 251) as u8).collect();
    let (mut sent, mut received) = (0, Vec::new());
    let mut held = 0;
    while received.len() < data.len() {
        match pair.requestor.0.write(&data[sent..]) {
            Ok(length) => sent += length,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        held = held.max(pair.requestor.0.unsent());
        // Less than a record at a time: what is decrypted waits.
        match pair.acceptor.0.append(&mut received, 3_001) {
            Ok(length) => assert!(length > 0),
            Err(error) => assert!(error.kind() == ErrorKind::WouldBlock && !pair.acceptor.0.has_input()),
        }
    }
    assert!(received == data);
    assert!(held > 0 && held <= 128 << 10, "{held}");
    assert_eq!(pair.requestor.0.unsent(), 0);
}

#[test]
fn each_fault_of_a_certificate_has_its_name() {
    let hospital = Hospital::new();
    let stranger = Hospital::new();
    let acceptor = |identity| Options { verify_peer: VerifyPeer::Nothing, ..hospital.options(Some(identity)) };
    let refused = |identity| {
        let (requestor, acceptor) = Pair::joined(hospital.options(None), acceptor(identity), 4096).failures();
        assert!(acceptor.is_some());
        requestor
    };
    assert_eq!(refused(hospital.certify("archive", 2001)), Some(FailureKind::Expired));
    assert_eq!(refused(hospital.certify("elsewhere", 2090)), Some(FailureKind::WrongName));
    assert_eq!(refused(stranger.certify("archive", 2090)), Some(FailureKind::Untrusted));
    let lax = Options { check_server_name: false, ..hospital.options(None) };
    Pair::joined(lax, acceptor(hospital.certify("elsewhere", 2090)), 4096).converse().unwrap();
    // Trusted by itself.
    let known = stranger.certify("archive", 2090);
    let knowing = Options { authorities: Authorities::Path(known.certificate.clone()), ..hospital.options(None) };
    Pair::joined(knowing, acceptor(known), 4096).converse().unwrap();
}

#[test]
fn requestors_without_a_certificate_are_let_in_where_it_is_only_asked_for() {
    let hospital = Hospital::new();
    let strict = hospital.options(Some(hospital.certify("archive", 2090)));
    let failures = Pair::joined(hospital.options(None), strict.clone(), 4096).failures();
    assert_eq!(failures.1, Some(FailureKind::NoCertificate));
    let asking = Options { verify_peer: VerifyPeer::Request, ..strict };
    Pair::joined(hospital.options(None), asking, 4096).converse().unwrap();
}

#[test]
fn a_revoked_certificate_is_refused() {
    let hospital = Hospital::new();
    let mut params = CertificateParams::new(vec!["archive".to_owned()]).unwrap();
    params.serial_number = Some(7.into());
    let key = KeyPair::generate().unwrap();
    let identity = Identity { certificate: hospital.path("revoked.pem"), key: hospital.path("revoked.key") };
    std::fs::write(&identity.certificate, params.signed_by(&key, &hospital.issuer).unwrap().pem()).unwrap();
    std::fs::write(&identity.key, key.serialize_pem()).unwrap();
    let list = rcgen::CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(2090, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![rcgen::RevokedCertParams {
            serial_number: 7.into(),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    std::fs::write(hospital.path("list.pem"), list.signed_by(&hospital.issuer).unwrap().pem().unwrap()).unwrap();
    let acceptor = Options { verify_peer: VerifyPeer::Nothing, ..hospital.options(Some(identity)) };
    let requestor = Options { revocation_lists: vec![hospital.path("list.pem")], ..hospital.options(None) };
    assert_eq!(Pair::joined(requestor, acceptor, 4096).failures().0, Some(FailureKind::Revoked));
}

#[test]
fn plain_dicom_is_told_from_tls() {
    let hospital = Hospital::new();
    let tls = Tls::new(hospital.options(Some(hospital.certify("archive", 2090)))).unwrap();
    for (bytes, kind, words) in [
        (&b"\x01\x00\x00\x00\x00\xcd\x00\x01"[..], FailureKind::NotTls, "plain DICOM"),
        (b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00", FailureKind::NotTls, "plain DICOM"),
        (b"GET / HTTP/1.1\r\n\r\n", FailureKind::NotTls, "does not speak TLS"),
        (b"", FailureKind::Closed, "closed"),
    ] {
        let (mut near, far) = MemoryTransport::pair(4096);
        let session = Session::new();
        let peer = "192.0.2.1:104".parse().unwrap();
        let mut far = TlsTransport::server(Box::new(far), tls.server().unwrap(), session.clone(), peer).unwrap();
        near.write(bytes).unwrap();
        if bytes.is_empty() {
            near.close();
        }
        assert!(!matches!(far.read(&mut [0; 8]), Ok(1..)));
        let failure = session.failure().unwrap();
        assert_eq!(failure.kind, kind);
        assert!(failure.words.contains(words), "{failure:?}");
    }
}

#[test]
fn files_that_are_no_good_are_named() {
    let hospital = Hospital::new();
    let good = hospital.certify("archive", 2090);
    let failure = |options: Options| Tls::new(options).unwrap_err().to_string();
    let with = |identity: Identity| failure(hospital.options(Some(identity)));
    let missing = hospital.path("missing.pem");
    assert!(with(Identity { certificate: missing.clone(), ..good.clone() }).contains("missing.pem"));
    assert!(with(Identity { key: good.certificate.clone(), ..good.clone() }).contains("no private key"));
    assert!(with(Identity { key: hospital.certify("other", 2090).key, ..good.clone() }).contains("does not belong"));
    let locked = hospital.path("locked.key");
    std::fs::write(&locked, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n")
        .unwrap();
    assert!(with(Identity { key: locked, ..good.clone() }).contains("password"));
    assert!(
        failure(Options { authorities: Authorities::Path(missing), ..hospital.options(None) }).contains("missing.pem")
    );
    let serverless = Tls::new(hospital.options(None)).unwrap();
    assert!(matches!(serverless.server(), Err(SetupError::Other(words)) if words.contains("certificate")));
    let everybody = Options { authorities: Authorities::System, ..hospital.options(Some(good)) };
    // Where the system has no CAs that is what it says.
    assert!(Tls::new(everybody).and_then(|tls| tls.server()).unwrap_err().to_string().contains("ca="));
}

#[test]
fn changed_files_are_read_again_and_broken_ones_are_not_used() {
    let hospital = Hospital::new();
    let identity = hospital.certify("archive", 2001);
    let acceptor = Options { verify_peer: VerifyPeer::Nothing, ..hospital.options(Some(identity.clone())) };
    let tls = Tls::new(acceptor).unwrap();
    let first = tls.server().unwrap();
    tls.refresh();
    assert!(Arc::ptr_eq(&first, &tls.server().unwrap()), "it looks once a second at most");
    std::fs::write(&identity.certificate, "broken").unwrap();
    assert!(tls.reload().unwrap_err().to_string().contains("archive.pem"));
    assert!(Arc::ptr_eq(&first, &tls.server().unwrap()));
    tls.look_again();
    tls.refresh();
    assert!(Arc::ptr_eq(&first, &tls.server().unwrap()));
    hospital.certify("archive", 2090);
    tls.look_again();
    tls.refresh();
    assert!(!Arc::ptr_eq(&first, &tls.server().unwrap()));
}

#[test]
fn profiles_by_name() {
    let suites = |name: &str| {
        let provider = Profile::named(name).unwrap().provider();
        let mut names: Vec<_> = provider
            .cipher_suites
            .iter()
            .map(|suite| suite.suite().as_str().unwrap().replace("TLS13_", "TLS_"))
            .collect();
        names.sort();
        names
    };
    // RFC 8446 9.1 and RFC 9325 4.2.
    let recommended = [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    ];
    assert_eq!(suites("bcp195"), recommended);
    let more = suites("non-downgrading");
    assert!(recommended.iter().all(|suite| more.iter().any(|name| name == suite)));
    assert!(more.iter().all(|name| !name.contains("_DHE_") && !name.contains("CBC")), "{more:?}");
    for (name, section, words) in [
        ("basic", "B.1, retired", "RFC 8996"),
        ("aes", "B.3, retired", "forward secrecy"),
        ("downgrading", "B.9, retired", "TLS 1.0"),
        ("extended", "B.11, retired", "finite-field"),
        ("modified", "B.13", "CCM"),
    ] {
        let refused = Profile::named(name).unwrap_err().to_string();
        for part in [&format!("(PS3.15 {section})"), words, "use \"bcp195\" (PS3.15 B.12)"] {
            assert!(refused.contains(part), "{part} in {refused}");
        }
    }
    assert!(Profile::named("rot13").unwrap_err().to_string().contains("no TLS profile"));
}

#[test]
fn both_sides_call_what_they_speak_dicom() {
    let hospital = Hospital::new();
    let options = hospital.options(Some(hospital.certify("archive", 2090)));
    let tls = Tls::new(options).unwrap();
    for is_requestor in [true, false] {
        let (mut client, mut server) = ((*tls.client()).clone(), (*tls.server().unwrap()).clone());
        let other = if is_requestor { &mut client.alpn_protocols } else { &mut server.alpn_protocols };
        assert_eq!(*other, [b"dicom"]);
        *other = vec![b"http/1.1".to_vec()];
        let pair = Pair::of((client.into(), tls.name_for("archive").unwrap()), server.into(), 4096);
        let expected = Some(FailureKind::NothingInCommon);
        assert_eq!(pair.failures(), (expected, expected));
    }
}

#[test]
fn a_folder_of_authorities_may_have_other_things_in_it() {
    let hospital = Hospital::new();
    std::fs::write(hospital.path("README"), "no certificate").unwrap();
    let folder: &Path = hospital.folder.path();
    let options = Options { authorities: Authorities::Path(folder.to_owned()), ..hospital.options(None) };
    Tls::new(options).unwrap();
}
