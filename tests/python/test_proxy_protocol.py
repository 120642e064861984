"""The PROXY protocol in front of associations: whom it is taken from, what it changes, and what is refused."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from certificates import Certificates
from conftest import wait_until
from dimsefast import AssociationError, build_context
from dimsefast.sop_class import Verification
from faces import AE, face  # noqa: F401
from service_cases import provider

ECHO = [build_context(Verification)]
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LINE = b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 104\r\n"
BINARY = (
    SIGNATURE
    + b"\x21\x11"
    + struct.pack(">H", 12 + 5)
    + socket.inet_aton("192.0.2.7")
    + socket.inet_aton("10.0.0.1")
    + struct.pack(">HH", 4711, 104)
    + b"\x04\x00\x02ab"
)
SIX = b"PROXY TCP6 2001:db8::7 ::1 4711 104\r\n"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


@contextmanager
def balancer(port: int, header: bytes) -> Iterator[int]:
    """A load balancer that says this before it passes anything on."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def pass_on(near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", port)) as far:
            far.sendall(header)
            back = threading.Thread(target=pump, args=(far, near))
            back.start()
            pump(near, far)
            back.join()

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=pass_on, args=(near,)))
            threads[-1].start()

    accepting = threading.Thread(target=serve)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join()


def connect(port: int, **options: Any) -> Any:
    return AE("REQUESTOR").connect("127.0.0.1", port, contexts=ECHO, **options)


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (LINE, ("192.0.2.7", 4711)),
        (BINARY, ("192.0.2.7", 4711)),
        (SIX, ("2001:db8::7", 4711)),
        (LOCAL, None),
        (b"PROXY UNKNOWN\r\n", None),
    ],
)
def test_the_peer_is_the_one_that_the_proxy_names(header: bytes, address: tuple[str, int] | None) -> None:
    with provider(proxy_protocol=["127.0.0.0/8"]) as server, balancer(server.port, header) as port:
        with connect(port) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
            (acceptor,) = server.active_associations
            if address is None:
                assert acceptor.requestor.address == "127.0.0.1"
            else:
                assert (acceptor.requestor.address, acceptor.requestor.port) == address


def test_it_comes_before_tls(tmp_path: Path) -> None:
    hospital = Certificates(tmp_path)
    with (
        provider(proxy_protocol=True, tls=hospital.tls("archive")) as server,
        balancer(server.port, LINE) as port,
        connect(port, tls=hospital.tls("modality")) as assoc,
    ):
        assert assoc.send_c_echo().Status == 0x0000
        (acceptor,) = server.active_associations
        assert acceptor.requestor.address == "192.0.2.7" and "CN=modality" in acceptor.tls.peer_subject


def test_from_others_it_is_no_header() -> None:
    with provider(proxy_protocol=["10.0.0.0/8", "::1"]) as server, balancer(server.port, LINE) as port:
        with connect(server.port) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
        with pytest.raises(AssociationError):
            connect(port)


@pytest.mark.parametrize(
    "beginning",
    [
        b"\x01\x00\x00\x00\x00\xcd" + bytes(205),
        b"PROXY TCP4 nobody nowhere 1 2\r\n",
        b"PROXY TCP4 " + b"1" * 500,
        SIGNATURE + b"\x21\x11\xff\xff" + bytes(5000),
    ],
)
def test_what_is_no_header_is_closed_and_logged(beginning: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with provider(proxy_protocol=True) as server, socket.create_connection(("127.0.0.1", server.port)) as stream:
        stream.settimeout(30)
        stream.sendall(beginning)
        with suppress(ConnectionResetError):
            assert stream.recv(100) == b""
        wait_until(lambda: "PROXY protocol" in caplog.text)


def test_a_header_has_a_deadline_and_shutdown_does_not_wait_for_it() -> None:
    server = provider(proxy_protocol=True)
    with socket.create_connection(("127.0.0.1", server.port)) as waiting:
        server.ae.acse_timeout = 0.3
        with socket.create_connection(("127.0.0.1", server.port)) as stream:
            stream.settimeout(30)
            stream.sendall(LINE[:20])
            assert stream.recv(100) == b""
        server.shutdown()
        waiting.settimeout(30)
        assert waiting.recv(100) == b""


def test_the_limit_of_silent_connections_is_by_the_address_behind_the_proxy() -> None:
    with provider(proxy_protocol=True) as server, ExitStack() as stack:

        def silent(address: str) -> socket.socket:
            stream = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            stream.sendall(f"PROXY TCP4 {address} 10.0.0.1 4711 104\r\n".encode())
            stream.settimeout(30)
            return stream

        first, other = silent("192.0.2.1"), silent("192.0.2.2")
        wait_until(lambda: len(server._core.connections()) == 2)
        streams = [silent("192.0.2.1") for _ in range(50)]
        assert first.recv(1) == b"", "the oldest of its address goes"
        wait_until(lambda: len(server._core.connections()) == 51)
        other.settimeout(0.05)
        with pytest.raises(TimeoutError):
            other.recv(1)
        assert len(streams) == 50


def test_networks_that_are_none() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        provider(proxy_protocol=["nowhere"])
    with pytest.raises(TypeError, match="list of networks"):
        provider(proxy_protocol="10.0.0.0/8")
