"""Certificates for tests, made when they are needed."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import Any

import trustme
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
