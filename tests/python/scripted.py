"""Peers that do what a test says and nothing else: raw sockets, PDUs and messages by hand (PS3.8 9.3, PS3.7 6.3)."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
C_STORE_RQ, C_FIND_RQ, C_STORE_RSP = 0x0001, 0x0020, 0x8001
NO_DATASET = 0x0101

#: Command elements that are US; all others stay bytes.
_NUMBERS = {
    *(0x0100, 0x0110, 0x0120, 0x0700, 0x0800, 0x0900, 0x0903),
    *(0x1002, 0x1008, 0x1020, 0x1021, 0x1022, 0x1023, 0x1031),
}

#: Those that are AE, padded with a space: Move Destination, Move Originator.
_TITLES = {0x0600, 0x1030}

#: Element number in group 0000 and value.
Command = dict[int, int | str | bytes]


class Message(NamedTuple):
    context_id: int
    command: dict[int, int | bytes]
    dataset: bytes | None

    @property
    def id(self) -> int | bytes:
        return self.command[0x0110]

    @property
    def status(self) -> tuple[int | bytes, int | bytes]:
        """The Message ID that a response responds to, and its status."""
        return self.command[0x0120], self.command[0x0900]


def encode_command(elements: Command) -> bytes:
    body = b""
    for number, value in sorted(elements.items()):
        if isinstance(value, int):
            value = struct.pack("<H", value)
        elif isinstance(value, str):
            value = value.encode()
        value += (b" " if number in _TITLES else b"\0") * (len(value) % 2)
        body += struct.pack("<HHI", 0, number, len(value)) + value
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def decode_command(data: bytes) -> dict[int, int | bytes]:
    """Element number and value. Raises ValueError for what is no command set."""
    elements: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        group, number, length = struct.unpack_from("<HHI", data, at)
        if group != 0:
            raise ValueError(f"an element of group {group:04X} in a command set")
        value = data[at + 8 : at + 8 + length]
        elements[number] = struct.unpack("<H", value)[0] if number in _NUMBERS else value.rstrip(b"\0 ")
        at += 8 + length
    return elements


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        kind, _, length = struct.unpack_from(">BBH", data, at)
        yield kind, data[at + 4 : at + 4 + length]
        at += 4 + length


def _user_information(window: tuple[int, int] | None, max_length: int) -> bytes:
    known = item(0x51, struct.pack(">I", max_length)) + item(0x52, b"1.2.826.0.1")
    return item(0x50, known + (item(0x53, struct.pack(">HH", *window)) if window else b""))


class Peer:
    """One end of an association, on a socket."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self.stream.settimeout(20)
        #: PDVs that have been read and not been asked for.
        self._pdvs: list[tuple[int, int, bytes]] = []

    def send_pdu(self, kind: int, body: bytes) -> None:
        self.stream.sendall(struct.pack(">BBI", kind, 0, len(body)) + body)

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            piece = self.stream.recv(length - len(data))
            if not piece:
                raise EOFError("the peer has closed the connection")
            data += piece
        return data

    def read_pdu(self) -> tuple[int, bytes]:
        kind, _, length = struct.unpack(">BBI", self._read(6))
        return kind, self._read(length)

    def _next_pdv(self) -> tuple[int, int, bytes] | None:
        if not self._pdvs:
            kind, body = self.read_pdu()
            if kind != DATA:
                assert kind in (RELEASE_RQ, ABORT), kind
                if kind == RELEASE_RQ:
                    self.send_pdu(RELEASE_RP, bytes(4))
                return None
            at = 0
            while at < len(body):
                length, context_id, control = struct.unpack_from(">IBB", body, at)
                payload = body[at + 6 : at + 4 + length]
                assert len(payload) == length - 2 and len(payload) % 2 == 0, "PS3.8 Annex E: fragments are even"
                self._pdvs.append((context_id, control, payload))
                at += 4 + length
        return self._pdvs.pop(0)

    def read_message(self) -> Message | None:
        """The next message, None where the peer ended the association. Nothing may come between its fragments."""
        parts: list[bytes] = []
        context_id: int | None = None
        for wanted in (1, 0):
            data, last = b"", False
            while not last:
                pdv = self._next_pdv()
                if pdv is None:
                    assert context_id is None and not data, "the association ended in the middle of a message"
                    return None
                own, control, payload = pdv
                assert context_id in (None, own), "a message of another context came in between"
                assert control & 1 == wanted, "a command came in the middle of a message, or a dataset without one"
                context_id, last = own, bool(control & 2)
                data += payload
            parts.append(data)
            if wanted and decode_command(data)[0x0800] == NO_DATASET:
                break
        assert context_id is not None
        return Message(context_id, decode_command(parts[0]), parts[1] if len(parts) == 2 else None)

    def next_message(self) -> Message:
        """The next message; there has to be one."""
        message = self.read_message()
        assert message is not None, "the association has ended"
        return message

    def nothing_comes(self) -> bool:
        """Whether the peer keeps silent. A little time is given to one that does not."""
        self.stream.settimeout(0.1)
        try:
            return not self._pdvs and not self.stream.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.stream.settimeout(20)

    def send_message(self, context_id: int, command: Command, dataset: bytes | None = None) -> None:
        command = {0x0800: NO_DATASET if dataset is None else 1, **command}
        for control, data in ((3, encode_command(command)), (2, dataset)):
            if data is not None:
                self.send_pdu(DATA, struct.pack(">IBB", len(data) + 2, context_id, control) + data)

    def answer_store(self, request: Message, status: int = 0) -> None:
        command = request.command
        elements: Command = {0x0002: command[0x0002], 0x0100: C_STORE_RSP, 0x0120: request.id, 0x0900: status}
        self.send_message(request.context_id, {**elements, 0x1000: command[0x1000]})

    def send_store(self, context_id: int, number: int, sop_class: str, instance: str, dataset: bytes) -> None:
        elements: Command = {0x0002: sop_class, 0x0100: C_STORE_RQ, 0x0110: number, 0x0700: 0, 0x1000: instance}
        self.send_message(context_id, elements, dataset)

    def accept(self, window: tuple[int, int] | None, max_length: int) -> None:
        """Answers the A-ASSOCIATE-RQ: every context with its first transfer syntax."""
        kind, body = self.read_pdu()
        assert kind == ASSOCIATE_RQ
        contexts = b""
        for kind, context in items(body[68:]):
            if kind == 0x20:
                syntax = next(value for sub, value in items(context[4:]) if sub == 0x40)
                contexts += item(0x21, bytes([context[0], 0, 0, 0]) + item(0x40, syntax))
        application = item(0x10, b"1.2.840.10008.3.1.1.1")
        user = _user_information(window, max_length)
        self.send_pdu(ASSOCIATE_AC, body[:68] + application + contexts + user)

    def release(self) -> None:
        self.send_pdu(RELEASE_RQ, bytes(4))
        assert self.read_pdu()[0] == RELEASE_RP


@contextmanager
def acceptor(
    serve: Callable[[Peer], None], window: tuple[int, int] | None = None, max_length: int = 16384
) -> Iterator[int]:
    """Takes one association, answers it, and does with it what `serve` does; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    failures: list[BaseException] = []

    def run() -> None:
        try:
            stream, _ = listener.accept()
            with stream:
                peer = Peer(stream)
                peer.accept(window, max_length)
                serve(peer)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        thread.join(20)
        listener.close()
        if failures:
            raise failures[0]
        assert not thread.is_alive()


@contextmanager
def requestor(
    port: int, contexts: dict[int, tuple[str, str]], window: tuple[int, int] | None = None, max_length: int = 16384
) -> Iterator[Peer]:
    """An association with these contexts, by ID their abstract and transfer syntax; released at the end."""
    with socket.create_connection(("127.0.0.1", port)) as stream:
        peer = Peer(stream)
        proposed = b"".join(
            item(0x20, bytes([number, 0, 0, 0]) + item(0x30, abstract.encode()) + item(0x40, transfer.encode()))
            for number, (abstract, transfer) in contexts.items()
        )
        titles = struct.pack(">HH16s16s32x", 1, 0, b"PROVIDER".ljust(16), b"SCRIPTED".ljust(16))
        application = item(0x10, b"1.2.840.10008.3.1.1.1")
        peer.send_pdu(ASSOCIATE_RQ, titles + application + proposed + _user_information(window, max_length))
        assert peer.read_pdu()[0] == ASSOCIATE_AC
        yield peer
        peer.release()


@contextmanager
def raw_listener(*answers: bytes, close: bool = False) -> Iterator[int]:
    """A peer that sends these bytes, whatever it is told, and then keeps silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        try:
            stream, _ = listener.accept()
        except OSError:
            return
        with stream:
            stream.recv(65536)
            for answer in answers:
                stream.sendall(answer)
            if not close:
                ended.wait(20)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        listener.close()
        thread.join()
