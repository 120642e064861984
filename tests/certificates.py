"""Certificates for tests, made when they are needed."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from dimsefast import TLS


class Certificates:
    """A CA, and the files of the certificates that it issued. RSA, which every profile takes."""

    def __init__(self, folder: Path, name: str = "Test Hospital") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._ca = trustme.CA(organization_name=name, key_type=trustme.KeyType.RSA)
        self.ca = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca))

    def issue(self, name: str, *names: str, expired: bool = False) -> tuple[Path, Path]:
        """The files of a certificate and its key."""
        until = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) if expired else None
        since = {"not_before": datetime.datetime(2019, 1, 1, tzinfo=datetime.UTC)} if expired else {}
        issued = self._ca.issue_cert(
            *(names or ("localhost", "127.0.0.1", "::1")),
            common_name=name,
            key_type=trustme.KeyType.RSA,
            not_after=until,
            **since,
        )
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return certificate, key

    def revoke(self, certificate: Path) -> Path:
        """The file of a revocation list with this certificate in it."""
        issuer = x509.load_pem_x509_certificate(self.ca.read_bytes())
        key = serialization.load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        since = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        serial = x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since).build()
        built = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject).last_update(since)
        built = built.next_update(since.replace(year=2090)).add_revoked_certificate(revoked)
        built = built.add_extension(x509.CRLNumber(1), critical=False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        signed = built.add_extension(authority, critical=False).sign(key, hashes.SHA256())
        path = self.folder / "revoked.crl"
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return path

    def tls(self, name: str, **options: Any) -> TLS:
        """A node with a certificate, that trusts the CA."""
        return TLS(*self.issue(name), ca=self.ca, **options)

    def context(self, name: str, server_side: bool, expired: bool = False, *names: str) -> ssl.SSLContext:
        """The same as Python's ssl has it, with both sides verified."""
        context = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH if server_side else ssl.Purpose.SERVER_AUTH, cafile=str(self.ca)
        )
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(*self.issue(name, *names, expired=expired))
        return context
