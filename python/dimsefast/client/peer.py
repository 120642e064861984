"""The address of a DICOM node as people write it: `AET@host:port`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from .._validators import validate_ae_title

_ADDRESS = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<plain>[^\[\]:\s]*)):(?P<port>\d{1,5})", re.ASCII)


def parse_address(text: str, what: str, example: str, lowest: int = 0) -> tuple[str, int]:
    """(host, port) of `host:port`; an IPv6 address stands in brackets. Raises ValueError, which names `what`."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        hint = "; an IPv6 address stands in brackets" if text.count(":") > 1 and "[" not in text else ""
        raise ValueError(f"{what} is written {example}, unlike {text!r}{hint}")
    host, port = found["bracketed"] or found["plain"], int(found["port"])
    if not lowest <= port <= 65535:
        raise ValueError(f"{what} has a port from {lowest} to 65535, unlike {text!r}")
    return host, port


@dataclass(frozen=True)
class Peer:
    """A DICOM node: its AE title, and where it listens.

    `str()` and `Peer.parse` are inverse.
    """

    ae_title: str
    host: str
    port: int

    def __post_init__(self) -> None:
        validate_ae_title(self.ae_title, "a peer's AE title")
        if not self.host:
            raise ValueError("a peer has a host")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"a peer's port is 1 to 65535, not {self.port}")

    @classmethod
    def parse(cls, text: str | Peer) -> Self | Peer:
        """The peer of `AET@host:port`, `AET@[::1]:port`. Raises ValueError for anything else."""
        if isinstance(text, Peer):
            return text
        title, at, address = text.rpartition("@")
        if not at or not title:
            raise ValueError(f"a peer is written AET@host:port, unlike {text!r}")
        host, port = parse_address(address, "a peer", "AET@host:port", 1)
        if not host:
            raise ValueError(f"a peer is written AET@host:port, unlike {text!r}: it has no host")
        return cls(title, host, port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.ae_title.strip()}@{host}:{self.port}"
