"""TLS by an `ssl.SSLContext`: a thread of Python's for each connection, between its socket and the core."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import threading
import time
import weakref
from typing import TYPE_CHECKING

from . import _core
from .log import LOGGER

if TYPE_CHECKING:
    import ssl
else:
    # Python can be built without it: then nobody has a context to give.
    with contextlib.suppress(ImportError):
        import ssl

#: What is moved in one step, in bytes.
_CHUNK = 256 * 1024
#: Bytes that wait for a slow receiver before no more are taken for it.
_HIGH_WATER = 1024 * 1024
#: Seconds that a peer has for taking the last of an association that is over.
_LINGER = 5.0
#: OpenSSL's reasons, as the kinds of `TLSFailed`.
_KINDS = {
    "TLSV1_ALERT_PROTOCOL_VERSION": "version",
    "UNSUPPORTED_PROTOCOL": "version",
    "NO_PROTOCOLS_AVAILABLE": "version",
    "WRONG_SSL_VERSION": "version",
    "VERSION_TOO_LOW": "version",
    "NO_SHARED_CIPHER": "nothing in common",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "nothing in common",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no certificate",
    "WRONG_VERSION_NUMBER": "not TLS",
    "HTTP_REQUEST": "not TLS",
    "UNKNOWN_PROTOCOL": "not TLS",
    "RECORD_LAYER_FAILURE": "not TLS",
    "PACKET_LENGTH_TOO_LONG": "not TLS",
}
#: X.509 verification results of OpenSSL, likewise.
_VERIFY_KINDS = {9: "not yet valid", 10: "expired", 23: "revoked", 62: "wrong name", 64: "wrong name"}

_live: weakref.WeakSet[Bridge] = weakref.WeakSet()


def start(connection: _core.Connection, context: ssl.SSLContext, server_side: bool, server_name: str | None) -> None:
    """Takes over the socket of a connection and encrypts what goes through it, until either end is closed."""
    taken = connection.security.take_bridge()
    if taken is None:
        return
    peer, association = (socket.socket(fileno=descriptor) for descriptor in taken)
    bridge = Bridge(connection, peer, association, context, server_side, server_name)
    threading.Thread(target=bridge.run, name="dimsefast-ssl", daemon=True).start()


def finish(limit: float) -> None:
    """Waits until the bridges have sent what they have; at most `limit` seconds."""
    deadline = time.monotonic() + limit
    for bridge in list(_live):
        bridge.ended.wait(max(0.0, deadline - time.monotonic()))


def forget_parent() -> None:
    """In the child of a fork, where no thread moves anything any more."""
    for bridge in list(_live):
        bridge.forget()
    _live.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_parent)


class Bridge:
    """One connection. Nothing in here blocks but the selector."""

    def __init__(
        self,
        connection: _core.Connection,
        peer: socket.socket,
        association: socket.socket,
        context: ssl.SSLContext,
        server_side: bool,
        server_name: str | None,
    ) -> None:
        # The core's connection only until the peer has sent something: one that nobody uses any more is to end.
        self._security: _core.Security | None = connection.security
        self._peer = peer
        self._association = association
        self._arrived = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._asked_for: str | None = None
        self._tls = context.wrap_bio(
            self._arrived, self._leaving, server_side, server_name if not server_side else None
        )
        #: Encrypted, for the peer; decrypted, for the association.
        self._to_peer = bytearray()
        self._to_association = bytearray()
        #: From the association, before the end of the handshake.
        self._early = bytearray()
        self._peer_open = self._association_open = True
        self._agreed = self._heard = False
        self._name = "{}:{}".format(*connection.peer)
        self.ended = threading.Event()
        _live.add(self)

    def forget(self) -> None:
        """Lets go of the sockets without a word to the other ends."""
        self._peer.close()
        self._association.close()

    def run(self) -> None:
        """Moves bytes until one end is closed and the other has got what there was."""
        try:
            with selectors.DefaultSelector() as selector, self._peer, self._association:
                for end in (self._peer, self._association):
                    end.setblocking(False)
                self._serve(selector)
                for end in (self._peer, self._association):
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
        finally:
            self.ended.set()

    def _serve(self, selector: selectors.BaseSelector) -> None:
        try:
            self._step()
            while self._wants(selector):
                found = selector.select(None if self._association_open else _LINGER)
                if not found:
                    return
                for key, ready in found:
                    with contextlib.suppress(BlockingIOError):
                        (self._serve_peer if key.fileobj is self._peer else self._serve_association)(ready)
                self._step()
        except ssl.SSLError as error:
            self._failed(*_words(error))
            # The alert, as far as the socket takes it.
            with contextlib.suppress(OSError):
                self._peer.send(self._leaving.read())
        except OSError as error:
            if not self._agreed:
                self._failed("closed", f"the connection was lost during the TLS handshake: {error.strerror or error}")

    def _wants(self, selector: selectors.BaseSelector) -> bool:
        """Says what to wait for; False where nothing is left to do."""
        if not self._peer_open and not self._to_association:
            return False
        if not self._association_open and not self._to_peer:
            return False
        take_peer = self._peer_open and len(self._to_association) < _HIGH_WATER
        take_association = self._association_open and len(self._to_peer) + len(self._early) < _HIGH_WATER
        for end, reads, writes in (
            (self._peer, take_peer, bool(self._to_peer)),
            (self._association, take_association, bool(self._to_association)),
        ):
            events = (selectors.EVENT_READ if reads else 0) | (selectors.EVENT_WRITE if writes else 0)
            known = selector.get_map().get(end)
            if known is None and events:
                selector.register(end, events)
            elif known is not None and not events:
                selector.unregister(end)
            elif known is not None and known.events != events:
                selector.modify(end, events)
        return True

    def _serve_peer(self, ready: int) -> None:
        if ready & selectors.EVENT_READ:
            data = self._peer.recv(_CHUNK)
            if data:
                self._heard = True
                self._arrived.write(data)
            else:
                self._peer_open = False
                self._arrived.write_eof()
                if not self._agreed:
                    self._failed("closed", "the peer closed the connection during the TLS handshake")
        if ready & selectors.EVENT_WRITE:
            del self._to_peer[: self._peer.send(self._to_peer)]

    def _serve_association(self, ready: int) -> None:
        if ready & selectors.EVENT_READ:
            data = self._association.recv(_CHUNK)
            if data and self._agreed:
                self._tls.write(data)
            elif data:
                self._early += data
            else:
                self._association_open = False
                with contextlib.suppress(ssl.SSLError):
                    self._tls.unwrap()
        if ready & selectors.EVENT_WRITE:
            del self._to_association[: self._association.send(self._to_association)]

    def _step(self) -> None:
        """Lets TLS do what it can with what has arrived."""
        try:
            if not self._agreed:
                self._tls.do_handshake()
                self._handshake_over()
            while len(self._to_association) < _HIGH_WATER:
                data = self._tls.read(_CHUNK)
                if not data:
                    break
                self._to_association += data
                # What fails from here on is the association's business.
                self._security = None
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # PDUs have lengths and an association has its release: what is cut off is noticed there.
            self._peer_open = False
        self._to_peer += self._leaving.read()

    def _handshake_over(self) -> None:
        self._agreed = True
        if self._early:
            self._tls.write(self._early)
            self._early.clear()
        cipher = self._tls.cipher()
        certificate = self._tls.getpeercert(binary_form=True)
        if self._security is not None:
            self._security.agreed(
                self._tls.version() or "", cipher[0] if cipher else "", [certificate] if certificate else []
            )

    def _failed(self, kind: str, words: str) -> None:
        # A requestor is told by what it waits for; a look at the port by a load balancer is no news.
        level = logging.ERROR if self._tls.server_side and self._heard else logging.DEBUG
        LOGGER.log(level, "TLS with %s failed: %s", self._name, words)
        if self._security is not None:
            self._security.failed(kind, words)


def _words(error: ssl.SSLError) -> tuple[str, str]:
    """The kind of a failure, and what OpenSSL says."""
    if isinstance(error, ssl.SSLCertVerificationError):
        kind = _VERIFY_KINDS.get(error.verify_code, "untrusted")
        return kind, f"the peer's certificate cannot be trusted: {error.verify_message}"
    reason = error.reason or ""
    kind = _KINDS.get(reason, "refused" if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason else "protocol")
    return kind, f"TLS failed: {reason.replace('_', ' ').lower() or error}"
