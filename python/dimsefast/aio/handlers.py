"""Handlers that are `async def`: they run on their loop, for a service that runs on a thread of the library.

Each step of one (its result, or the next item of an asynchronous generator) takes the thread to the loop and back, some
80 us. Only the matches of a query may come faster than they are asked for: see `_Ahead`.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import inspect
import queue
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from .._arguments import Handlers, handlers_in
from ..association_base import AssociationBase
from ..events import EVT_C_FIND, Event
from ..storing import StoreTarget, StoreTo
from .waiting import HANDLING, Handling

#: How often a thread that waits for a handler looks whether its loop is still there, in seconds.
_TICK = 0.5
#: Matches of a query that may wait for the thread.
_MOST_AHEAD = 64

T = TypeVar("T")


class LoopClosed(RuntimeError):
    """There is no loop any more that the handler could run on."""

    def __init__(self) -> None:
        super().__init__("the event loop of this handler is closed")


class LoopHandler:
    """An `async def` handler as a plain one. It equals the handler, so that it can be unbound by that."""

    def __init__(self, handler: Callable[..., Any], loop: asyncio.AbstractEventLoop) -> None:
        self.handler = handler
        self.loop = loop

    def __call__(self, *arguments: Any) -> Any:
        """What the handler returns; of an asynchronous generator its items."""
        # Callables of `store_to` get the association behind the request.
        association = next((getattr(one, "assoc", one) for one in arguments if _tells_association(one)), None)
        result = self.handler(*arguments)
        if inspect.isasyncgen(result):
            for event in arguments:
                if isinstance(event, Event) and event.event is EVT_C_FIND:
                    return _Ahead(result, self.loop, event)
            return _Steps(result, self.loop, association)
        return on_loop(result, self.loop, association)

    def __eq__(self, other: object) -> bool:
        return (other.handler if isinstance(other, LoopHandler) else other) == self.handler

    def __hash__(self) -> int:
        return hash(self.handler)


def _tells_association(argument: object) -> bool:
    return isinstance(argument, (Event, AssociationBase))


class _Steps(Iterator[Any]):
    """What an asynchronous generator yields, each item when it is asked for."""

    def __init__(self, items: AsyncIterator[Any], loop: asyncio.AbstractEventLoop, association: object) -> None:
        self._items = items
        self._loop = loop
        self._association = association

    def __next__(self) -> Any:
        over = object()
        item = on_loop(_next(self._items, over), self._loop, self._association)
        if item is over:
            raise StopIteration
        return item

    def close(self) -> None:
        """Ends the generator."""
        _end(self._items, self._loop, self._association)


class _Ahead(Iterator[Any]):
    """The same for the matches of a query, which the loop hands over before they are asked for: the thread waits for
    the first of many, and the loop for room.
    """

    def __init__(self, items: AsyncIterator[Any], loop: asyncio.AbstractEventLoop, event: Event) -> None:
        self._items = items
        self._loop = loop
        self._event = event
        self._handling = Handling(event.assoc)
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._future: Future[None] | None = None
        self._begun = self._over = False
        #: Counted by the loop and by the thread.
        self._put = self._taken = 0
        self._room = asyncio.Event()
        self._waits_for_room = False

    def __next__(self) -> Any:
        if self._future is None:
            self._future = submitted(self._pump(), self._loop, self._handling)
        item = self._one()
        while self._event.is_cancelled and not self._queue.empty():
            # What counts is what the handler says when it sees that, and not what it said before.
            item = self._one()
        return item

    def _one(self) -> Any:
        item = None if self._over else self._get()
        if item is None:
            raise StopIteration
        error, value = item
        if error is not None:
            raise error
        self._taken += 1
        if self._waits_for_room and self._put - self._taken <= _MOST_AHEAD // 2:
            self._waits_for_room = False
            self._loop.call_soon_threadsafe(self._room.set)
        return value

    def _get(self) -> tuple[Exception | None, Any] | None:
        """The next item, or what was raised; None at the end."""
        while True:
            with contextlib.suppress(queue.Empty):
                item: tuple[Exception | None, Any] | None = self._queue.get(timeout=_TICK)
                self._over = item is None
                return item
            if self._loop.is_closed():
                self._over = True
                raise LoopClosed

    async def _pump(self) -> None:
        self._begun = True
        try:
            async for item in self._items:
                self._queue.put((None, item))
                self._put += 1
                if self._put - self._taken >= _MOST_AHEAD:
                    self._room.clear()
                    self._waits_for_room = True
                    # The thread may have taken some in between, and seen nobody waiting.
                    if self._put - self._taken >= _MOST_AHEAD:
                        await self._room.wait()
        except Exception as error:
            self._queue.put((error, None))
        except BaseException as error:
            # The end of the loop is not that of the thread.
            self._queue.put((RuntimeError(f"the handler was ended by {error!r}"), None))
            raise
        finally:
            self._handling.is_over = True
            self._queue.put(None)

    def close(self) -> None:
        """Ends the generator, where it still goes on."""
        if self._future is None:
            return
        self._future.cancel()
        with contextlib.suppress(LoopClosed):
            while self._begun and not self._over:
                self._get()
        _end(self._items, self._loop, self._handling.association)


async def _next(items: AsyncIterator[Any], default: object) -> Any:
    return await anext(items, default)


def _end(items: Any, loop: asyncio.AbstractEventLoop, association: object) -> None:
    """Closes a generator, which a closed loop has done itself."""
    with contextlib.suppress(LoopClosed):
        on_loop(_close(items), loop, association)


async def _close(items: Any) -> None:
    await items.aclose()


def on_loop(coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop, association: object) -> Any:
    """Runs a coroutine on a loop, for another thread that handles something of the association.

    Raises LoopClosed where there is no loop any more.
    """
    handling = Handling(association)
    future = submitted(coroutine, loop, handling)
    try:
        while not loop.is_closed() or future.done():
            # A TimeoutError may be the handler's own.
            with contextlib.suppress(TimeoutError):
                return future.result(_TICK)
            if future.done():
                return future.result()
        if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            coroutine.close()
        raise LoopClosed
    finally:
        handling.is_over = True


def submitted(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, handling: Handling) -> Future[T]:
    """Begins a coroutine on a loop, as part of a handler. Raises LoopClosed."""
    # The task takes over the context of this thread.
    outer = HANDLING.set(handling)
    try:
        return asyncio.run_coroutine_threadsafe(coroutine, loop)
    except RuntimeError:
        coroutine.close()
        raise LoopClosed from None
    finally:
        HANDLING.reset(outer)


def is_asynchronous(handler: object) -> bool:
    """Whether calling it gives something to be awaited or iterated on a loop."""
    partial = getattr(handler, "func", handler)
    function: Any = partial if inspect.isroutine(partial) else getattr(partial, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def plain(handler: Callable[..., Any], loop: asyncio.AbstractEventLoop) -> Callable[..., Any]:
    """The handler as a service calls it."""
    return LoopHandler(handler, loop) if is_asynchronous(handler) else handler


def plain_handlers(handlers: Handlers | None, loop: asyncio.AbstractEventLoop) -> Handlers | None:
    """The same of what `evt_handlers` was given."""
    if handlers is None:
        return None
    return [(event, plain(handler, loop), args) for event, handler, args in handlers_in(handlers)]


def plain_target(target: StoreTarget | None, loop: asyncio.AbstractEventLoop) -> StoreTarget | None:
    """The same of what `store_to` was given: a callable may be `async def`."""
    if isinstance(target, StoreTo):
        if target.decide is not None and is_asynchronous(target.decide):
            decide, target = target.decide, copy.copy(target)
            target.decide = LoopHandler(decide, loop)
        return target
    return plain(target, loop) if callable(target) else target
