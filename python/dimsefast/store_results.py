"""What becomes of many objects that are sent over one association, for both faces (see `waiting`)."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from .exchange import check_free
from .objects import Storable
from .operation import Stream
from .sending import StoreResult, Ticket, Transfer

if TYPE_CHECKING:
    from .association_base import AssociationBase


class StoreResults(Stream[StoreResult]):
    """What becomes of many objects."""

    has_cancel = False

    def __init__(
        self,
        association: AssociationBase,
        items: Iterable[Storable] | AsyncIterable[Storable],
        progress: Callable[[StoreResult], object] | None,
        priority: int,
        decompress: bool,
    ) -> None:
        super().__init__(association)
        self._items = items
        self._progress = progress
        self._priority = priority
        self._decompress = decompress
        self._sources: Iterator[Storable] | AsyncIterator[Storable] | None = None
        self._transfer: Transfer | None = None
        self._tickets: deque[Ticket] = deque()

    async def _begin(self) -> None:
        association = self._association
        check_free(association)
        await association._operation.acquire()
        try:
            self._transfer = Transfer(association, self._priority, decompress=self._decompress)
        except BaseException:
            association._operation.release()
            raise

    async def _send(self) -> bool:
        # The first object, too, is sent when its result is asked for.
        return False

    async def _step(self) -> bool:
        """Sends the next one. What is taken of the sources is at most the window and one ahead of the results."""
        transfer, tickets = self._transfer, self._tickets
        assert transfer is not None
        async for source in self._next_source():
            ticket = await self._waiting.apart(transfer.prepare, Ticket(source))
            while transfer.is_full or (len(tickets) >= transfer.window and tickets[0].result is None):
                await transfer.collect()
            await transfer.post(ticket)
            tickets.append(ticket)
            break
        else:
            while tickets and tickets[0].result is None:
                await transfer.collect()
        while tickets and (result := tickets[0].result) is not None:
            tickets.popleft()
            if self._progress is not None:
                self._progress(result)
            self._ready.append(result)
        return not tickets and not self._ready

    async def _next_source(self) -> AsyncIterator[Storable]:
        """The next one, or nothing."""
        if self._sources is None:
            items = self._items
            self._sources = aiter(items) if isinstance(items, AsyncIterable) else iter(items)
        if isinstance(self._sources, AsyncIterator):
            async for source in self._sources:
                yield source
                return
        else:
            for source in self._sources:
                yield source
                return

    def take(self) -> StoreResult:
        """The result of the next object."""
        result: StoreResult = self._ready.popleft()
        return result

    def _break(self, error: BaseException) -> None:
        if not isinstance(error, Exception):
            # The peer may have half an object.
            self._association._abort()

    async def _leave(self) -> None:
        """What was sent is waited for in `_end`."""

    async def _end(self) -> None:
        association = self._association
        try:
            if self._transfer is not None:
                await self._transfer.finish()
        finally:
            association._operation.release()
            if association._is_over:
                await self._waiting.tell(association)
