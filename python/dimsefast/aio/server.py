"""A running acceptor, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .. import server
from ..association_base import AssociationBase
from ..events import EventType
from .association import Association
from .handlers import LoopHandler, plain
from .waiting import LoopWaiting


class AssociationServer(server.ServerBase):
    """What `AE.start_server` returns: listens and serves until `shutdown`.

    Usable as an asynchronous context manager that shuts down at its end. Its `async def` handlers run on the loop that
    started it, for as long as that runs.
    """

    _association_type: type[AssociationBase] = Association

    def __init__(self, waiting: LoopWaiting, *arguments: Any) -> None:
        self._waiting = waiting
        self._shut_down = asyncio.Event()
        super().__init__(*arguments)

    async def serve_until_shutdown(self) -> None:
        """Returns after `shutdown`; a cancellation shuts down."""
        try:
            await self._shut_down.wait()
        finally:
            await self.shutdown()

    async def shutdown(self, grace: float = 0.0, idle: float | None = None) -> None:
        """Stops listening, and ends the associations: those that are not over after `grace` seconds are aborted.

        Those on which nothing happens for `idle` seconds are aborted even earlier.

        May be called twice. The port can be bound again at once.
        """
        # Its handlers may need the loop to come to their ends.
        await asyncio.to_thread(self._shutdown, grace, idle)
        self._shut_down.set()

    server_close = shutdown

    async def __aenter__(self) -> AssociationServer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shutdown()

    def bind(self, event: EventType, handler: Callable[..., Any], args: list[Any] | None = None) -> None:
        """Binds a handler, which may be `async def`, for the associations there are and those to come."""
        super().bind(event, plain(handler, self._waiting.loop), args)

    def unbind(self, event: EventType, handler: Callable[..., Any]) -> None:
        """Takes a handler out; no error where it is not bound."""
        super().unbind(event, LoopHandler(handler, self._waiting.loop))
