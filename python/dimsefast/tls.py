"""TLS beneath associations: certificates, whom to trust, and what was agreed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Literal

from . import _core

VerifyPeer = Literal["require", "request", "none"]
Profile = Literal["bcp195", "non-downgrading"]


class TLS:
    """How to speak TLS, as a requestor, an acceptor or both: for `AE.start_server`, `AE.associate`, `AE.connect` and
    `Client`.

    The handshake runs within the core, under the ACSE time-out; TLS 1.2 and 1.3 are spoken, with forward secrecy.
    Files are PEM. They are looked at again for a new connection, once a second at most, and read again where they have
    changed: a renewed certificate needs no restart. A file that cannot be read then is logged, and what was read before
    stays in use.

    Args:
        certificate: our own certificate, followed by those that lead to its root. A server needs one.
        key: its private key, without a password.
        ca: certificates of the CAs that are trusted, a file or a folder; a peer's own certificate, self-signed or not,
            is trusted by itself. Default: the system's CAs, for requestors alone.
        revocation_lists: files of certificate revocation lists (CRL). Where the issuer of a certificate has no list
            among them it is not asked about.
        profile: the Secure Transport Connection Profile of PS3.15: "bcp195", BCP 195 RFC 8996, 9325 TLS (B.12), the
            default; or "non-downgrading", Non-Downgrading BCP 195 TLS (B.10, retired) but for two of the four suites
            that it requires, the finite-field (DHE) ones: its peers have the others, too. It also takes ChaCha20 with
            TLS 1.2.
        verify_peer: "require" a certificate that is trusted, the default; "request" one, but let in requestors without
            (the same as "require" for requestors); "none" verifies nothing, and anybody may be at the other end.
        server_name: the name that the acceptor's certificate must have, which is also asked for (SNI); default the
            host that is connected to.
        check_server_name: False takes a trusted certificate whatever name it has, as many devices do.

    Raises OSError for a file that cannot be read; ValueError for what is in it, for a profile that is not supported,
    and for other arguments. A server without certificate, or that requires certificates without knowing whose, is a
    ValueError of `start_server`.
    """

    def __init__(
        self,
        certificate: str | PathLike[str] | None = None,
        key: str | PathLike[str] | None = None,
        *,
        ca: str | PathLike[str] | None = None,
        revocation_lists: Sequence[str | PathLike[str]] = (),
        profile: Profile = "bcp195",
        verify_peer: VerifyPeer = "require",
        server_name: str | None = None,
        check_server_name: bool = True,
    ) -> None:
        if (certificate is None) != (key is None):
            raise ValueError("a certificate and its key belong together: give both, or neither")
        if isinstance(revocation_lists, (str, PathLike)):
            raise ValueError("revocation_lists is a list of files")
        self.profile = profile
        self.verify_peer = verify_peer
        self._core = _core.Tls(
            certificate, key, ca, list(revocation_lists), profile, verify_peer, server_name, check_server_name
        )

    def reload(self) -> None:
        """Reads the files again, for the connections to come. Raises as the constructor does; then nothing changes."""
        self._core.reload()

    def __repr__(self) -> str:
        return f"<TLS {self.profile}, verify_peer={self.verify_peer!r}>"


@dataclass(frozen=True)
class TLSSession:
    """What the handshake of an association agreed on.

    Attributes:
        version: "TLSv1.2" or "TLSv1.3".
        cipher_suite: its name in the TLS standard; for an `ssl.SSLContext` that of OpenSSL.
        peer_certificates: DER, the peer's own first; empty where it presented none. For an `ssl.SSLContext` only its
            own, and only where the context verifies.
        server_name: as an acceptor, the name that the requestor asked for (SNI), or None.
    """

    version: str
    cipher_suite: str
    peer_certificates: tuple[bytes, ...]
    server_name: str | None

    @property
    def peer_certificate(self) -> bytes | None:
        """The peer's own certificate, DER; None where it presented none."""
        return self.peer_certificates[0] if self.peer_certificates else None

    @cached_property
    def peer_subject(self) -> str | None:
        """The subject of the peer's certificate, such as "CN=archive, O=Hospital"; None where it presented none."""
        certificate = self.peer_certificate
        return None if certificate is None else _core.certificate_subject(certificate)
