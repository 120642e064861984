"""TLS by the core: slow, hostile and unlucky peers."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from certificates import Certificates
from conftest import wait_until
from dimsefast import TLS, build_context
from dimsefast.sop_class import CTImageStorage, Verification
from faces import AE, face  # noqa: F401
from service_cases import CT, EXPLICIT, encoded, provider
from tls_cases import client_tls, connect, hospital, server_tls  # noqa: F401


def test_silent_tls_connections_cost_only_themselves(server_tls: TLS, client_tls: TLS) -> None:
    with provider(tls=server_tls) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        try:
            silent[-1].sendall(b"\x16\x03\x01")  # the beginning of a handshake, and no more
            with connect(server, client_tls) as assoc:
                assert assoc.send_c_echo().Status == 0x0000
        finally:
            for stream in silent:
                stream.close()


def test_a_handshake_that_trickles_has_the_deadline_of_a_request(server_tls: TLS) -> None:
    with provider(tls=server_tls) as server:
        server.ae.acse_timeout = 0.5
        hello = b"\x16\x03\x01\x02\x00" + bytes(512)
        with socket.create_connection(("127.0.0.1", server.port)) as stream:
            stream.settimeout(30)
            ended = threading.Event()

            def trickle() -> None:
                for byte in hello:
                    if ended.wait(0.05):
                        return
                    try:
                        stream.sendall(bytes([byte]))
                    except OSError:
                        return

            thread = threading.Thread(target=trickle)
            thread.start()
            with suppress(ConnectionResetError):
                assert stream.recv(100) in (b"", b"\x15\x03\x03\x00\x02\x01\x00"), "closed, perhaps with a close_notify"
            ended.set()
            thread.join()


def test_bytes_one_at_a_time(server_tls: TLS, client_tls: TLS, tmp_path: Path) -> None:
    with provider(tls=server_tls, store_to=tmp_path) as server, trickling_proxy(server.port) as port:
        ae = AE()
        contexts = [build_context(CTImageStorage, EXPLICIT), build_context(Verification)]
        with ae.connect("127.0.0.1", port, contexts=contexts, tls=client_tls) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
            assert assoc.send_c_store(CT).Status == 0x0000
    (stored,) = tmp_path.iterdir()
    assert encoded(stored) == encoded(CT)


@contextmanager
def trickling_proxy(port: int) -> Iterator[int]:
    """Passes on bytes one by one, both ways."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(4096):
                for byte in data:
                    target.send(bytes([byte]))
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def serve() -> None:
        near, _ = listener.accept()
        with near, socket.create_connection(("127.0.0.1", port)) as far:
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=pump, args=(far, near))
            back.start()
            pump(near, far)
            back.join()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join()
        listener.close()


def test_garbage_after_the_handshake(hospital: Certificates, server_tls: TLS, client_tls: TLS) -> None:
    with provider(tls=server_tls) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as stream:
            context = hospital.context("modality", server_side=False)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            secured = context.wrap_socket(stream, server_hostname="localhost", suppress_ragged_eofs=True)
            os.write(secured.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
            with suppress(OSError):
                while secured.recv(1000):
                    pass
            secured.close()
        with connect(server, client_tls) as assoc:
            assert assoc.send_c_echo().Status == 0


def test_shutdown_ends_handshakes_and_associations(server_tls: TLS, client_tls: TLS) -> None:
    server = provider(tls=server_tls)
    with socket.create_connection(("127.0.0.1", server.port)):
        assoc = connect(server, client_tls)
        server.shutdown()
        wait_until(lambda: assoc.is_aborted)
