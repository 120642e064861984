"""Doing what a case says over a socket, and saying what came back in a few words."""

from __future__ import annotations

import socket
import struct
import time
from fnmatch import fnmatchcase

from tests.python.scripted import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    DATA,
    RELEASE_RP,
    RELEASE_RQ,
    decode_command,
    items,
)

from . import pdus

#: How long nothing has to come for an outcome of "silence", in seconds.
QUIET = 0.15


class Unexpected(Exception):
    """A step before the last one did not bring what it had to: the outcome of the case."""


class Wire:
    """One end of a connection, for a case's steps.

    Outcomes are words: `ac CONTEXT:RESULT ...`, `rj RESULT SOURCE REASON`, `abort SOURCE REASON`, `release-rq`,
    `release-rp`, `rsp FIELD STATUS MESSAGE-ID` and `rq FIELD MESSAGE-ID` for messages, `close` for the end of the
    stream however it comes, `silence`, and `nothing in time` where the limit passed.
    """

    def __init__(self, stream: socket.socket, called: str, calling: str, limit: float) -> None:
        self._stream = stream
        self._stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._called, self._calling, self._limit = called, calling, limit
        self._received = bytearray()
        self._pdvs: list[tuple[int, bytes]] = []
        self._held = b""
        self.closed = False

    # Steps -----------------------------------------------------------------------------------------------------------

    def run(self, step: str) -> None:
        """One step. Raises Unexpected where `expect` finds something else, ValueError for a step that is none."""
        verb, *rest = step.split()
        if verb == "expect":
            self.expect(" ".join(rest))
        elif verb == "associate":
            self.run(" ".join(["rq", *rest]))
            self.expect("ac *")
        elif verb == "hold":
            self._held += self._bytes(*rest)
        elif verb == "bytewise":
            for byte in self._bytes(*rest):
                self._send(bytes([byte]))
        elif verb == "half-close":
            self._shut()
        else:
            self._send(self._held + self._bytes(verb, *rest))
            self._held = b""

    def expect(self, patterns: str) -> None:
        outcome = self.outcome(patterns.split("|"))
        if not matches(outcome, patterns.split("|")):
            raise Unexpected(f"{outcome} where {patterns} was due")

    def _bytes(self, verb: str, *rest: str) -> bytes:
        words = pdus.Words(rest)
        if verb == "rq":
            return pdus.associate_rq(words, self._called, self._calling)
        if verb == "ac":
            return pdus.associate_ac(words, self._called, self._calling)
        if verb in pdus.SHORT:
            return pdus.short(pdus.SHORT[verb], words)
        if verb == "pdata":
            return pdus.p_data(words)
        if verb == "dataset":
            return pdus.dataset(words)
        if verb in pdus.COMMANDS:
            return pdus.command(verb, words)
        if verb == "raw":
            return b"".join(pdus.data(word) for word in rest)
        raise ValueError(f"no step: {verb}")

    def _send(self, data: bytes) -> None:
        try:
            self._stream.sendall(data)
        except OSError:
            # The peer is gone: the outcome tells.
            return

    def _shut(self) -> None:
        try:
            self._stream.shutdown(socket.SHUT_WR)
        except OSError:
            return

    # Outcomes --------------------------------------------------------------------------------------------------------

    def outcome(self, patterns: list[str]) -> str:
        """What comes next. Silence is waited for only where it is one of `patterns`."""
        quiet = "silence" in patterns
        deadline = time.monotonic() + (QUIET if quiet else self._limit)
        while True:
            found = self._parse()
            if found is not None:
                return found
            if self.closed:
                return "close"
            left = deadline - time.monotonic()
            if left <= 0:
                return "silence" if quiet else "nothing in time"
            self._stream.settimeout(left)
            try:
                piece = self._stream.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                piece = b""
            self.closed = not piece
            self._received += piece

    def _parse(self) -> str | None:
        """The words of the next whole PDU or message."""
        while len(self._received) >= 6:
            kind, _, length = struct.unpack_from(">BBI", self._received)
            if len(self._received) < 6 + length:
                return None
            body = bytes(self._received[6 : 6 + length])
            del self._received[: 6 + length]
            if kind != DATA:
                return words(kind, body)
            message = self._join(body)
            if message is not None:
                return message
        return None

    def _join(self, body: bytes) -> str | None:
        at = 0
        while at < len(body):
            length, _, control = struct.unpack_from(">IBB", body, at)
            self._pdvs.append((control, body[at + 6 : at + 4 + length]))
            at += 4 + length
        control = self._pdvs[-1][0] if self._pdvs else 0
        if not control & 2:
            return None
        command = decode_command(b"".join(payload for kind, payload in self._pdvs if kind & 1))
        if not control & 1 or command.get(0x0800) == 0x0101:
            self._pdvs.clear()
            field = command.get(0x0100, 0)
            assert isinstance(field, int)
            if field & 0x8000:
                return f"rsp {field:04x} {command.get(0x0900, 0):04x} {command.get(0x0120, '')}"
            return f"rq {field:04x} {command.get(0x0110, command.get(0x0120, ''))}"
        return None


def words(kind: int, body: bytes) -> str:
    if kind == ASSOCIATE_AC:
        contexts, further = [], []
        for item_kind, value in items(body[68:]):
            if item_kind == 0x21:
                contexts.append(f"{value[0]}:{value[2]}")
            elif item_kind == 0x50:
                further = [f"{sub:02x}" for sub, _ in items(value) if sub not in (0x51, 0x52, 0x55)]
        return " ".join(["ac", *contexts, *(["with", *further] if further else [])])
    if kind == ASSOCIATE_RJ:
        return f"rj {body[1]} {body[2]} {body[3]}"
    if kind == ABORT:
        return f"abort {body[2]} {body[3]}"
    return {ASSOCIATE_RQ: "rq", RELEASE_RQ: "release-rq", RELEASE_RP: "release-rp"}.get(kind, f"PDU of type {kind:02x}")


def matches(outcome: str, patterns: list[str]) -> bool:
    """Whether it is one of them; `*` in a pattern stands for anything."""
    return any(fnmatchcase(outcome, pattern) for pattern in patterns)
