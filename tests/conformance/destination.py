"""The move destination of the cases: what comes to it is done by their steps."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from .script import Unexpected, Wire

#: Where nobody listens (tcpmux).
UNREACHABLE_PORT = 1


class Destination:
    """Takes one association at a time, where a step first asks for it. What nobody asked for is closed at the end."""

    def __init__(self, listener: socket.socket | None, limit: float) -> None:
        self._listener, self._limit = listener, limit
        self._stream: socket.socket | None = None
        self._wire: Wire | None = None

    def run(self, step: str) -> None:
        """One step of `Wire.run`; `close` closes the connection, and the next step takes another.

        Raises Unexpected where no connection comes in time.
        """
        if step == "close":
            self._close()
            return
        if self._wire is None:
            self._wire = self._accept()
        self._wire.run(step)

    def _accept(self) -> Wire:
        if self._listener is None:
            raise ValueError("the acceptor has no move destination")
        self._listener.settimeout(self._limit)
        try:
            self._stream, _ = self._listener.accept()
        except TimeoutError:
            raise Unexpected("no connection to the move destination") from None
        return Wire(self._stream, "DESTINATION", "ACCEPTOR", self._limit)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = self._wire = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if self._listener is None:
            return
        self._listener.settimeout(0)
        try:
            while True:
                self._listener.accept()[0].close()
        except BlockingIOError:
            return
