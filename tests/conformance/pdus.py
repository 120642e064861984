"""PDUs and messages from the words of a case (PS3.8 9.3, PS3.7 6.3): right by default, wrong where a word says so."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

from tests.python.scripted import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    DATA,
    RELEASE_RP,
    RELEASE_RQ,
    Command,
    encode_command,
    item,
)

NAMES = {
    "application": "1.2.840.10008.3.1.1.1",
    "verification": "1.2.840.10008.1.1",
    "ct": "1.2.840.10008.5.1.4.1.1.2",
    "find": "1.2.840.10008.5.1.4.1.2.2.1",
    "move": "1.2.840.10008.5.1.4.1.2.2.2",
    "get": "1.2.840.10008.5.1.4.1.2.2.3",
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
}
#: What is proposed where a case says nothing: context ID, abstract syntax, transfer syntaxes.
CONTEXTS = ("1/verification/implicit", "3/ct/implicit", "5/find/implicit", "7/move/implicit", "9/get/implicit")
CONTEXT_OF = {"echo": 1, "store": 3, "find": 5, "move": 7, "get": 9, "cancel": 5}

COMMANDS: dict[str, Command] = {
    "echo": {0x0002: NAMES["verification"], 0x0100: 0x0030, 0x0110: 1, 0x0800: 0x0101},
    "store": {0x0002: NAMES["ct"], 0x0100: 0x0001, 0x0110: 1, 0x0700: 0, 0x0800: 1, 0x1000: "1.2.3.4.5"},
    "find": {0x0002: NAMES["find"], 0x0100: 0x0020, 0x0110: 1, 0x0700: 0, 0x0800: 1},
    "move": {0x0002: NAMES["move"], 0x0100: 0x0021, 0x0110: 1, 0x0600: "DESTINATION", 0x0700: 0, 0x0800: 1},
    "get": {0x0002: NAMES["get"], 0x0100: 0x0010, 0x0110: 1, 0x0700: 0, 0x0800: 1},
    "cancel": {0x0100: 0x0FFF, 0x0120: 1, 0x0800: 0x0101},
}


#: SOP Class, SOP Instance, Study Instance, Series Instance UID: padded with NUL (PS3.5 9.1).
UIDS = {0x00080016, 0x00080018, 0x0020000D, 0x0020000E}


class Words:
    """`key=value` words, several of one key kept in order, and plain ones."""

    def __init__(self, words: Iterable[str]) -> None:
        self.plain: list[str] = []
        self._keyed: dict[str, list[str]] = {}
        for word in words:
            key, equals, value = word.partition("=")
            if equals and key and not key.startswith("+"):
                self._keyed.setdefault(key, []).append(value)
            else:
                self.plain.append(word)

    def all(self, key: str) -> list[str]:
        return self._keyed.pop(key, [])

    def one(self, key: str, default: str) -> str:
        return self._keyed.pop(key, [default])[-1]

    def done(self) -> None:
        """Every word was understood."""
        if self._keyed:
            raise ValueError(f"unknown words: {', '.join(self._keyed)}")

    def numbered(self) -> dict[int, str]:
        """What is left, with hexadecimal keys."""
        found = {int(key, 16): values[-1] for key, values in self._keyed.items()}
        self._keyed.clear()
        return found


def data(text: str) -> bytes:
    """Hexadecimal, `'text`, a name of `NAMES` after `'`; pieces joined by `+`, repeated by `*N`."""
    joined = b""
    for piece in filter(None, text.split("+")):
        body, _, times = piece.rpartition("*") if re.search(r"\*\d+$", piece) else (piece, "", "1")
        value = NAMES.get(body[1:], body[1:]).encode("latin-1") if body.startswith("'") else bytes.fromhex(body)
        joined += value * int(times)
    return joined


def pdu(kind: int, body: bytes, length: int | None = None, reserved: int = 0) -> bytes:
    return struct.pack(">BBI", kind, reserved, len(body) if length is None else length) + body


def _items(words: list[str]) -> bytes:
    """`TYPE:DATA` with the right length, `TYPE/LENGTH:DATA` with another."""
    joined = b""
    for word in words:
        kind, _, value = word.partition(":")
        kind, _, length = kind.partition("/")
        body = data(value)
        joined += struct.pack(">BBH", int(kind, 16), 0, int(length or len(body))) + body
    return joined


def _user(words: Words) -> bytes:
    if words.one("userinfo", "") == "none":
        return b""
    maximum = words.one("max", "16384")
    body = b"" if maximum == "none" else item(0x51, struct.pack(">I", int(maximum)))
    return item(0x50, body + item(0x52, b"1.2.826.0.1.3680043") + _items(words.all("user")))


def _associate(kind: int, words: Words, called: str, calling: str, contexts: bytes) -> bytes:
    titles = [
        data(words.one(key, "'" + title)).ljust(16)[:16] for key, title in (("called", called), ("calling", calling))
    ]
    reserved = bytes([int(words.one("reserved", "0"), 16)])
    fixed = struct.pack(">H", int(words.one("version", "1"))) + reserved * 2 + b"".join(titles) + reserved * 32
    name = words.one("application", "'application")
    application = b"" if name == "none" else item(0x10, data(name))
    first, last = _items(words.all("first")), _items(words.all("item"))
    body = fixed + first + application + contexts + _user(words) + last
    length = words.one("length", str(len(body)))
    cut = int(words.one("cut", str(len(body) + 6)))
    made = pdu(kind, body, int(length), reserved[0])[:cut]
    words.done()
    return made


def associate_rq(words: Words, called: str, calling: str) -> bytes:
    """`ctx=ID/ABSTRACT/TRANSFER,...` each; `many=N` contexts for verification; `context=DATA` raw context items."""
    proposed = words.all("ctx")
    many = int(words.one("many", "0"))
    if many:
        proposed = [f"{(2 * index + 1) % 256}/verification/implicit" for index in range(many)]
    raw = words.all("context")
    contexts = b"".join(item(0x20, data(value)) for value in raw)
    for context in proposed or (() if raw else CONTEXTS):
        if context == "none":
            continue
        number, abstract, transfers = context.split("/")
        syntaxes = b"".join(item(0x40, data("'" + name)) for name in transfers.split(",") if name)
        contexts += item(0x20, bytes([int(number), 0, 0, 0]) + item(0x30, data("'" + abstract)) + syntaxes)
    return _associate(ASSOCIATE_RQ, words, called, calling, contexts)


def associate_ac(words: Words, called: str, calling: str) -> bytes:
    """`ctx=ID/RESULT/TRANSFER` each; without a transfer syntax its sub-item is left out."""
    contexts = b""
    for context in words.all("ctx") or [f"{number}/0/implicit" for number in (1, 3, 5, 7, 9)]:
        if context == "none":
            continue
        number, result, transfer = context.split("/")
        syntax = item(0x40, data("'" + transfer)) if transfer else b""
        contexts += item(0x21, bytes([int(number), 0, int(result), 0]) + syntax)
    return _associate(ASSOCIATE_AC, words, called, calling, contexts)


def short(kind: int, words: Words) -> bytes:
    """A PDU with four bytes: `body=DATA` to say which."""
    body = data(words.one("body", "00*4"))
    made = pdu(kind, body, int(words.one("length", str(len(body)))))
    words.done()
    return made


SHORT = {"rj": ASSOCIATE_RJ, "release-rq": RELEASE_RQ, "release-rp": RELEASE_RP, "abort": ABORT}


def pdv(context_id: int, control: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">IBB", len(body) + 2 if length is None else length, context_id, control) + body


def p_data(words: Words) -> bytes:
    """`CONTEXT:CONTROL:DATA` for each PDV item, `CONTEXT:CONTROL/LENGTH:DATA` with a length that lies."""
    items = b""
    for word in words.plain:
        number, control, value = word.split(":")
        control, _, length = control.partition("/")
        items += pdv(int(number), int(control, 16), data(value), int(length) if length else None)
    length = words.one("length", str(len(items)))
    words.done()
    return pdu(DATA, items, int(length))


def _fragments(body: bytes, cut: int, context_id: int, kind: int, ends: bool, alone: bool) -> bytes:
    pieces = [body[at : at + cut] for at in range(0, len(body), cut)] or [b""]
    pdvs = [
        pdv(context_id, kind | (2 if ends and index == len(pieces) - 1 else 0), piece)
        for index, piece in enumerate(pieces)
    ]
    return b"".join(pdu(DATA, one) for one in pdvs) if alone else pdu(DATA, b"".join(pdvs))


def _fragmented(body: bytes, words: Words, default_context: int, kind: int) -> bytes:
    """`cut=N` bytes a fragment, each in a PDU of its own or, with `in=one`, all in one; `last=no` never ends."""
    cut = int(words.one("cut", str(1 << 20)))
    context_id = int(words.one("ctx", str(default_context)))
    ends, alone = words.one("last", "yes") == "yes", words.one("in", "own") == "own"
    return _fragments(body, cut, context_id, kind, ends, alone)


def command(name: str, words: Words) -> bytes:
    """A command set of `COMMANDS`: `EEEE=DATA` sets an element, `drop=EEEE` takes it out, `grouplength=N|none` lies."""
    elements = dict(COMMANDS[name])
    context_id = CONTEXT_OF[name]
    for number in words.all("drop"):
        del elements[int(number, 16)]
    identifier = words.one("id", "")
    if identifier:
        elements[0x0120 if name == "cancel" else 0x0110] = int(identifier)
    group_length, append = words.one("grouplength", ""), data(words.one("append", ""))
    keywords = {key: words.all(key) for key in ("cut", "ctx", "last", "in")}
    elements.update({number: data(value) for number, value in words.numbered().items()})
    body = encode_command(elements) + append
    if group_length == "none":
        body = body[12:]
    elif group_length:
        body = body[:8] + struct.pack("<I", int(group_length)) + body[12:]
    again = Words(f"{key}={value}" for key, values in keywords.items() for value in values)
    return _fragmented(body, again, context_id, 1)


def answer(request: dict[int, int | bytes], context_id: int, words: Words) -> bytes:
    """The response to a request that was read, with the status that is the plain word; words as for `command`."""
    elements: Command = {
        0x0100: int(request[0x0100]) | 0x8000,
        0x0120: request[0x0110],
        0x0900: int(words.plain[0], 16),
        0x0800: 0x0101,
    }
    elements.update({number: request[number] for number in (0x0002, 0x1000) if number in request})
    elements.update({number: data(value) for number, value in words.numbered().items()})
    return pdu(DATA, pdv(context_id, 3, encode_command(elements)))


def dataset(words: Words) -> bytes:
    """`GGGGEEEE=DATA` for each element, in Implicit VR Little Endian; plain words are raw."""
    keywords = Words(f"{key}={value}" for key in ("cut", "last", "in") for value in words.all(key))
    context_id = int(words.one("ctx", "3"))
    body = b"".join(data(word) for word in words.plain)
    for tag, value in words.numbered().items():
        encoded = data(value)
        encoded += (b"\0" if tag in UIDS else b" ") * (len(encoded) % 2)
        body += struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(encoded)) + encoded
    return _fragmented(body, keywords, context_id, 0)
