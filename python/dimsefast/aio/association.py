"""One association, in either role, for asyncio."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydicom.dataset import Dataset

from .. import requests
from ..association_base import AssociationBase
from ..events import EventType, HandlerTable
from ..operation import AsyncIteration
from ..sending import StoreResult
from .handlers import LoopHandler, plain
from .normalized import NormalizedRequests
from .waiting import LoopWaiting, of_running_loop

if TYPE_CHECKING:
    from ..ae import Entity
    from .server import AssociationServer


class Association(NormalizedRequests, AssociationBase):
    """An association with a peer AE, for the tasks of the event loop that made it.

    Made by `AE.associate`, `AE.connect`, or by a server for each peer that it accepts. As an asynchronous context
    manager it is released at the end of the block, and aborted where the block raises. One that is forgotten while it
    is established is aborted, with a ResourceWarning.

    Requests may be sent by any task of the loop; one is in progress at a time, the others wait.
    """

    # It is set once, so that it may be narrower than the base's.
    _waiting: LoopWaiting

    def __init__(
        self,
        ae: Entity,
        mode: Literal["requestor", "acceptor"],
        handlers: HandlerTable,
        server: AssociationServer | None = None,
    ) -> None:
        self._waiting = of_running_loop() if server is None else server._waiting  # pyright: ignore[reportIncompatibleVariableOverride]
        super().__init__(ae, mode, handlers, server)

    def bind(self, event: EventType, handler: Callable[..., Any], args: list[Any] | None = None) -> None:
        """Binds a handler, which may be `async def`, to an event of this association."""
        super().bind(event, plain(handler, self._waiting.loop), args)

    def unbind(self, event: EventType, handler: Callable[..., Any]) -> None:
        """Takes a handler out; no error where it is not bound."""
        super().unbind(event, LoopHandler(handler, self._waiting.loop))

    # Ending
    # ----------------------------------------------------------------------------------------------------------

    async def release(self) -> None:
        """Releases the association. Nothing where it is over already; aborted where the peer does not confirm in
        time, and where the task is cancelled.
        """
        await self._release()

    def abort(self, block: bool = True) -> Awaitable[None]:
        """Aborts the association at once. Nothing where it is over already.

        Whoever awaits the result waits until the transport connection is closed.
        """
        self._abort()
        return _Closing(self)

    async def join(self, timeout: float | None = None) -> None:
        """Waits until the transport connection is closed and handlers have been told, at most `timeout` seconds."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(TimeoutError):
                await self._waiting.finished(connection, timeout)

    def kill(self) -> None:
        """Ends the association: `abort` under its other name."""
        self._abort()

    async def __aenter__(self) -> Association:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self.release()
        else:
            self._abort()

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is None or self.is_acceptor:
            return
        with contextlib.suppress(RuntimeError):
            # It raises in the child of a fork, where nothing is left to be ended.
            if connection.end is None:
                warnings.warn(f"{self._name} was never released", ResourceWarning, source=self, stacklevel=2)
                connection.abort()

    # Requests
    # --------------------------------------------------------------------------------------------------------

    async def send_c_echo(self, msg_id: int | None = None) -> Dataset:
        """See `dimsefast.Association.send_c_echo`."""
        return await requests.c_echo(self, msg_id)

    async def send_c_store(
        self,
        dataset: Dataset | str | Path | bytes,
        msg_id: int | None = None,
        priority: int = 2,
        originator_aet: str | None = None,
        originator_id: int | None = None,
        decompress: bool = False,
    ) -> Dataset:
        """See `dimsefast.Association.send_c_store`."""
        return await requests.c_store(self, dataset, msg_id, priority, originator_aet, originator_id, decompress)

    def store(
        self,
        items: Iterable[Dataset | str | Path | bytes] | AsyncIterable[Dataset | str | Path | bytes],
        progress: Callable[[StoreResult], object] | None = None,
        priority: int = 2,
        decompress: bool = False,
    ) -> AsyncIteration[StoreResult]:
        """See `dimsefast.Association.store`; `items` may be an asynchronous iterable. To be used with `async for`."""
        return AsyncIteration(requests.store_many(self, items, progress, priority, decompress))

    def send_c_find(
        self, dataset: Dataset, query_model: str, msg_id: int | None = None, priority: int = 2
    ) -> AsyncIteration[tuple[Dataset, Dataset | None]]:
        """See `dimsefast.Association.send_c_find`. To be used with `async for`."""
        return AsyncIteration(requests.c_find(self, dataset, query_model, msg_id, priority))

    def find(
        self,
        dataset: Dataset | bytes,
        query_model: str,
        raw: bool = False,
        msg_id: int | None = None,
        priority: int = 2,
    ) -> AsyncIteration[tuple[Any, Any]]:
        """See `dimsefast.Association.find`. To be used with `async for`."""
        return AsyncIteration(requests.c_find(self, dataset, query_model, msg_id, priority, raw=raw))

    def send_c_move(
        self,
        dataset: Dataset,
        move_aet: str,
        query_model: str,
        msg_id: int | None = None,
        priority: int = 2,
    ) -> AsyncIteration[tuple[Dataset, Dataset | None]]:
        """See `dimsefast.Association.send_c_move`. To be used with `async for`."""
        return AsyncIteration(requests.c_move(self, dataset, move_aet, query_model, msg_id, priority))

    def send_c_get(
        self, dataset: Dataset, query_model: str, msg_id: int | None = None, priority: int = 2
    ) -> AsyncIteration[tuple[Dataset, Dataset | None]]:
        """See `dimsefast.Association.send_c_get`. To be used with `async for`.

        A handler of EVT_C_STORE runs on a thread of the library, an `async def` one on the loop; `store_to` needs
        neither.
        """
        return AsyncIteration(requests.c_get(self, dataset, query_model, msg_id, priority))

    async def send_c_cancel(self, msg_id: int, context_id: int | None = None, query_model: str | None = None) -> None:
        """See `dimsefast.Association.send_c_cancel`."""
        await requests.c_cancel(self, msg_id, context_id, query_model)


class _Closing(Awaitable[None]):
    """The end of the transport connection, for those who want to wait for it."""

    def __init__(self, association: Association) -> None:
        self._association = association

    def __await__(self) -> Generator[Any, None, None]:
        return self._association.join().__await__()
