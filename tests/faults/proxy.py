"""A proxy that passes PDUs on until it does something to one of them."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

#: What the proxy may do; the first two lose nothing.
HARMLESS = ("delay", "single bytes")
DESTRUCTIVE = ("stall", "half-close", "reset")


class Fault(NamedTuple):
    """What is done to the first PDU of a type in one direction: `forth` is from who connects."""

    kind: str
    direction: str
    pdu_type: int
    #: "before" it, or "within" it, after half of its bytes.
    where: str


class Proxy:
    """Listens on `port` and connects to `target_port` for each connection that comes."""

    def __init__(self, target_port: int, fault: Fault) -> None:
        self._target_port, self._fault = target_port, fault
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._over = threading.Event()
        #: Whether the fault came about.
        self.struck = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._over.set()
        for stream in [self._listener, *self._sockets]:
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(30)
        for stream in [self._listener, *self._sockets]:
            stream.close()

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
                target = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:
                return
            self._sockets += [stream, target]
            for direction, source, sink in (("forth", stream, target), ("back", target, stream)):
                thread = threading.Thread(target=self._pump, args=(direction, source, sink))
                self._threads.append(thread)
                thread.start()

    def _pump(self, direction: str, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            for pdu in _pdus(source):
                mine = direction == self._fault.direction
                if mine and self._fault.kind in HARMLESS:
                    self._slowly(pdu, sink)
                elif mine and pdu[0] == self._fault.pdu_type:
                    sink.sendall(pdu[: len(pdu) // 2] if self._fault.where == "within" else b"")
                    self.struck.set()
                    return self._strike(source, sink)
                else:
                    sink.sendall(pdu)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _slowly(self, pdu: bytes, sink: socket.socket) -> None:
        self.struck.set()
        piece = 1 if self._fault.kind == "single bytes" else max(len(pdu) // 3, 1)
        for at in range(0, len(pdu), piece):
            sink.sendall(pdu[at : at + piece])
            if self._fault.kind == "delay":
                time.sleep(0.01)

    def _strike(self, source: socket.socket, sink: socket.socket) -> None:
        if self._fault.kind == "half-close":
            sink.shutdown(socket.SHUT_WR)
        elif self._fault.kind == "reset":
            for stream in (source, sink):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # Shut down, so that the other direction's thread leaves it; the reset goes with the last reference.
                stream.close()
            return
        self._over.wait(60)


def _pdus(source: socket.socket) -> Iterator[bytes]:
    """PDU by PDU; at the end what there is of one."""
    held = b""
    while True:
        while len(held) >= 6 and len(held) >= (length := 6 + int.from_bytes(held[2:6], "big")):
            yield held[:length]
            held = held[length:]
        piece = source.recv(65536)
        if not piece:
            if held:
                yield held
            return
        held += piece


@contextmanager
def proxied(target_port: int, fault: Fault) -> Iterator[Proxy]:
    """A proxy for the time of the block."""
    proxy = Proxy(target_port, fault)
    try:
        yield proxy
    finally:
        proxy.close()
