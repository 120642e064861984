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
    C_STORE_RQ,
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
    `release-rp`, `rsp FIELD STATUS MESSAGE-ID` and `rq FIELD MESSAGE-ID` for messages (see `message_words` for what may
    follow), `close` for the end of the stream however it comes, `silence`, and `nothing in time` where the limit
    passed.
    """

    def __init__(self, stream: socket.socket, called: str, calling: str, limit: float) -> None:
        self._stream = stream
        self._stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._called, self._calling, self._limit = called, calling, limit
        self._received = bytearray()
        self._pdvs: list[tuple[int, int, bytes]] = []
        #: The last request that was read, and its context: what `answer` is for.
        self._request: tuple[dict[int, int | bytes], int] | None = None
        self._found: str | None = None
        #: The contexts of the A-ASSOCIATE-RQ that was read, by ID their transfer syntaxes.
        self._proposed: dict[int, list[bytes]] = {}
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
        elif verb == "past":
            self._past(" ".join(rest))
        elif verb == "serve":
            self._serve(" ".join(rest))
        else:
            self._send(self._held + self._bytes(verb, *rest))
            self._held = b""

    def expect(self, patterns: str) -> None:
        due = patterns.split("|")
        outcome = self.outcome(due)
        if not matches(outcome, due):
            raise Unexpected(f"{outcome} where {' or '.join(due)} was due")

    def _past(self, pattern: str) -> None:
        """Takes what may come any number of times, as Pending responses to a retrieval."""
        while matches(found := self.outcome([pattern]), [pattern]):
            continue
        self._found = found

    def _serve(self, status: str) -> None:
        """Answers every request with the status, until the association ends; a release is confirmed."""
        while (found := self.outcome(["*"])).startswith("rq "):
            self.run(f"answer {status}")
        if found == "release-rq":
            self.run("release-rp")

    def _bytes(self, verb: str, *rest: str) -> bytes:
        words = pdus.Words(rest)
        if verb == "accept":
            return pdus.associate_ac(pdus.Words([*rest, *accepted(self._proposed)]), self._called, self._calling)
        if verb == "refuse":
            contexts = [f"ctx={number}/3/" for number in self._proposed]
            return pdus.associate_ac(pdus.Words([*rest, *contexts]), self._called, self._calling)
        if verb == "answer":
            if self._request is None:
                raise Unexpected("no request to answer")
            return pdus.answer(*self._request, words)
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
        if self._found is not None:
            found, self._found = self._found, None
            return found
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
            if kind == ASSOCIATE_RQ:
                self._proposed = proposed(body)
            if kind != DATA:
                return words(kind, body)
            message = self._join(body)
            if message is not None:
                return message
        return None

    def _join(self, body: bytes) -> str | None:
        at = 0
        while at < len(body):
            length, context_id, control = struct.unpack_from(">IBB", body, at)
            self._pdvs.append((context_id, control, body[at + 6 : at + 4 + length]))
            at += 4 + length
        context_id, control, _ = self._pdvs[-1] if self._pdvs else (0, 0, b"")
        if not control & 2:
            return None
        command, dataset = (b"".join(part for _, kind, part in self._pdvs if kind & 1 == own) for own in (1, 0))
        try:
            elements = decode_command(command)
        except (ValueError, struct.error) as error:
            self._pdvs.clear()
            return f"no command set: {error}"
        if control & 1 and elements.get(0x0800) != 0x0101:
            return None
        self._pdvs.clear()
        if not int(elements.get(0x0100, 0)) & 0x8000:
            self._request = elements, context_id
        return message_words(elements, None if control & 1 else dataset)


#: Of the sub-operations of a retrieval (PS3.7 Table E.1-1).
COUNTERS = {0x1020: "remaining", 0x1021: "completed", 0x1022: "failed", 0x1023: "warning"}


def message_words(command: dict[int, int | bytes], dataset: bytes | None) -> str:
    """`rsp FIELD STATUS MESSAGE-ID`, then the counters that are there, as `completed=2`, and `dataset` with its
    elements, as `00100020=P1`, where there is one; `rq FIELD MESSAGE-ID`, for a C-STORE with its SOP instance and,
    where it is a sub-operation of a move, `for` with the AE title and Message ID of that.
    """
    field = int(command.get(0x0100, 0))
    if field & 0x8000:
        found = [f"rsp {field:04x} {command.get(0x0900, 0):04x} {command.get(0x0120, '')}"]
        found += [f"{name}={command[number]}" for number, name in COUNTERS.items() if number in command]
        return " ".join([*found, *(["dataset", *elements(dataset)] if dataset is not None else [])])
    found = [f"rq {field:04x} {command.get(0x0110, command.get(0x0120, ''))}"]
    if field == C_STORE_RQ:
        found.append(_text(command.get(0x1000, b"")))
        found += ["for", _text(command[0x1030]), str(command.get(0x1031, ""))] if 0x1030 in command else []
    return " ".join(found)


def _text(value: int | bytes) -> str:
    return value.strip(b"\0 ").decode("latin-1").replace(" ", "_") if isinstance(value, bytes) else str(value)


def elements(dataset: bytes) -> list[str]:
    """Those of a dataset in Implicit VR Little Endian, each as `GGGGEEEE=TEXT`; "?" for the rest where it is none."""
    found, at = [], 0
    while at + 8 <= len(dataset):
        group, number, length = struct.unpack_from("<HHI", dataset, at)
        if at + 8 + length > len(dataset):
            return [*found, "?"]
        found.append(f"{group:04x}{number:04x}={_text(dataset[at + 8 : at + 8 + length])}")
        at += 8 + length
    return found


def proposed(body: bytes) -> dict[int, list[bytes]]:
    """The transfer syntaxes of each context of an A-ASSOCIATE-RQ, by its ID."""
    contexts = [value for kind, value in items(body[68:]) if kind == 0x20]
    return {value[0]: [syntax for kind, syntax in items(value[4:]) if kind == 0x40] for value in contexts}


def accepted(contexts: dict[int, list[bytes]]) -> list[str]:
    """The words of an A-ASSOCIATE-AC for them: Implicit VR Little Endian where it is offered, and nothing else."""
    implicit = pdus.NAMES["implicit"].encode()
    return [
        f"ctx={number}/0/implicit" if implicit in syntaxes else f"ctx={number}/4/"
        for number, syntaxes in contexts.items()
    ]


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
