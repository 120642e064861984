"""Handlers that are `async def`: they run on their loop, for a service that runs on a thread of the library.

Each step of one (its result, or the next item of an asynchronous generator) takes the thread to the loop and back: some
50 us.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from .._arguments import Handlers
from ..association import AssociationBase
from ..events import Event
from ..storing import StoreTarget, StoreTo
from .waiting import HANDLED

#: How often a thread that waits for a handler looks whether its loop is still there, in seconds.
_TICK = 0.5


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
        on_loop(_close(self._items), self._loop, self._association)


async def _next(items: AsyncIterator[Any], default: object) -> Any:
    return await anext(items, default)


async def _close(items: Any) -> None:
    await items.aclose()


def on_loop(coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop, association: object) -> Any:
    """Runs a coroutine on a loop, for another thread that handles something of the association.

    Raises RuntimeError where the loop is closed.
    """
    # The task takes over the context of this thread.
    outer = HANDLED.set(association)
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    except RuntimeError:
        coroutine.close()
        raise
    finally:
        HANDLED.reset(outer)
    while True:
        try:
            return future.result(_TICK)
        except TimeoutError:
            if future.done():
                raise
            if loop.is_closed():
                raise RuntimeError("the event loop of this handler is closed") from None


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
    return [(event, plain(handler, loop), *arguments) for event, handler, *arguments in handlers]


def plain_target(target: StoreTarget | None, loop: asyncio.AbstractEventLoop) -> StoreTarget | None:
    """The same of what `store_to` was given: a callable may be `async def`."""
    if isinstance(target, StoreTo):
        if target.decide is not None and is_asynchronous(target.decide):
            decide, target = target.decide, copy.copy(target)
            target.decide = LoopHandler(decide, loop)
        return target
    return plain(target, loop) if callable(target) else target
