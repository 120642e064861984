"""Waiting for the network: what operations leave to the face that they are called through.

An operation (see `requests`) is written once, as a coroutine, and waits by the methods of a `Waiting` alone. That of
the blocking face waits on the calling thread and never suspends, so that `run` takes a coroutine to its end in one
step; that of `dimsefast.aio` suspends the task.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from . import _core

if TYPE_CHECKING:
    from .association_base import AssociationBase
    from .operation import OperationLock, Stream

T = TypeVar("T")

#: Element number in group 0000, and value.
Elements = Sequence[tuple[int, str | int | bytes]]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits by `BLOCKING` alone."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("a blocking operation was suspended: it waited for something of asyncio's")


def iterate(items: AsyncIterator[T]) -> Generator[T, None, None]:
    """An asynchronous generator that waits by `BLOCKING` alone, as a plain one."""
    try:
        while True:
            try:
                item = run(_next(items))
            except StopAsyncIteration:
                return
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            run(close())


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


class Waiting(ABC):
    """What one association waits by. Time-outs are seconds, None for no limit.

    Raises TimeoutError, and ConnectionAbortedError where the association is over.
    """

    @abstractmethod
    def operation_lock(self) -> OperationLock:
        """A lock for the operations of one association."""

    @abstractmethod
    async def connect(self, **options: Any) -> _core.Connection:
        """A connection whose negotiation is over; `options` are those of `_core.connect`.

        Raises TimeoutError and ConnectionError where the peer cannot be reached.
        """

    @abstractmethod
    async def echo(
        self, connection: _core.Connection, context_id: int, number: int, timeout: float | None
    ) -> _core.Message:
        """Sends C-ECHO; the response."""

    @abstractmethod
    async def request(
        self,
        connection: _core.Connection,
        context_id: int,
        command_field: int,
        number: int,
        elements: Elements,
        dataset: bytes | None,
        timeout: float | None,
    ) -> None:
        """Sends a request."""

    @abstractmethod
    async def send(
        self,
        connection: _core.Connection,
        prepared: _core.Prepared,
        timeout: float | None,
        parent: _core.Connection | None = None,
    ) -> None:
        """Sends what was prepared. The end of `parent`, for which it is done, ends the wait."""

    @abstractmethod
    async def response(
        self,
        connection: _core.Connection,
        numbers: Sequence[int],
        timeout: float | None,
        parent: _core.Connection | None = None,
    ) -> _core.Message:
        """The first response with one of these Message IDs."""

    @abstractmethod
    async def responses(
        self, connection: _core.Connection, number: int, timeout: float | None, requests: bool
    ) -> list[_core.Message]:
        """The next responses with this Message ID. With `requests` there may be requests of the peer instead, for the
        caller to perform.
        """

    @abstractmethod
    async def release(self, connection: _core.Connection, timeout: float | None) -> None:
        """Releases, and waits for the confirmation."""

    @abstractmethod
    async def tell(self, association: AssociationBase) -> None:
        """Sees to it that handlers have been told of what has happened by now."""

    @abstractmethod
    async def apart(self, function: Callable[..., T], *arguments: Any) -> T:
        """Calls what may wait for a disk, or for long."""

    @abstractmethod
    def plain(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """A handler as a thread calls it that runs no loop."""

    def is_handling(self, association: AssociationBase) -> bool:
        """Whether the caller is a handler of this very association: what it waited for there could never come."""
        return threading.get_ident() in association._handler_threads

    @abstractmethod
    def is_cancellation(self, error: BaseException) -> bool:
        """Whether nobody wants the operation any more that was waiting here."""

    @abstractmethod
    def finish(self, ending: Coroutine[Any, Any, None]) -> None:
        """Does what is left to do of an operation that nobody wants any more."""

    @abstractmethod
    def leave(self, stream: Stream[Any]) -> None:
        """Nobody has the results of the stream any more: ends it. Called by the garbage collector, on any thread."""


class _Blocking(Waiting):
    """Waits on the calling thread."""

    def operation_lock(self) -> OperationLock:
        from .operation import ThreadLock

        return ThreadLock()

    async def connect(self, **options: Any) -> _core.Connection:
        connection: _core.Connection = _core.connect(**options)
        return connection

    async def echo(
        self, connection: _core.Connection, context_id: int, number: int, timeout: float | None
    ) -> _core.Message:
        return connection.c_echo(context_id, number, timeout)

    async def request(
        self,
        connection: _core.Connection,
        context_id: int,
        command_field: int,
        number: int,
        elements: Elements,
        dataset: bytes | None,
        timeout: float | None,
    ) -> None:
        connection.send_request(context_id, command_field, number, elements, dataset, timeout)

    async def send(
        self,
        connection: _core.Connection,
        prepared: _core.Prepared,
        timeout: float | None,
        parent: _core.Connection | None = None,
    ) -> None:
        connection.send_prepared(prepared, timeout, parent)

    async def response(
        self,
        connection: _core.Connection,
        numbers: Sequence[int],
        timeout: float | None,
        parent: _core.Connection | None = None,
    ) -> _core.Message:
        return connection.receive_any(numbers, timeout, parent)

    async def responses(
        self, connection: _core.Connection, number: int, timeout: float | None, requests: bool
    ) -> list[_core.Message]:
        if requests:
            return [connection.receive(number, timeout, requests=True)]
        return connection.receive_all(number, timeout)

    async def release(self, connection: _core.Connection, timeout: float | None) -> None:
        connection.release(timeout)

    async def tell(self, association: AssociationBase) -> None:
        association._run_jobs()

    async def apart(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(*arguments)

    def plain(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        return handler

    def is_cancellation(self, error: BaseException) -> bool:
        return False

    def finish(self, ending: Coroutine[Any, Any, None]) -> None:
        run(ending)

    def leave(self, stream: Stream[Any]) -> None:
        run(stream.close())


#: That of the blocking face.
BLOCKING = _Blocking()
