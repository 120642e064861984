"""Waiting on an event loop: one wake-up descriptor a loop, and a future for each task that waits."""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from .. import _core
from ..operation import OperationLock, Stream
from ..waiting import Elements, Waiting

if TYPE_CHECKING:
    from ..association_base import AssociationBase

T = TypeVar("T")


@dataclass
class Handling:
    """A handler of an association at work. Tasks that it leaves behind have its context, too, when it is over."""

    association: object
    is_over: bool = False


#: The handler that runs in this context.
HANDLING: ContextVar[Handling | None] = ContextVar("dimsefast_handling", default=None)

#: The highest bit is the core's own.
_tokens = itertools.count(1)


class TaskLock(OperationLock):
    """One operation at a time, by tasks of the loop that `check` asks for."""

    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__()
        self._check = check
        self._busy = asyncio.Lock()

    def _caller(self) -> object:
        return asyncio.current_task()

    async def _take(self) -> None:
        # Who waited for it on another loop would not be woken.
        self._check()
        await self._busy.acquire()

    def _give(self) -> None:
        self._busy.release()


class LoopWaiting(Waiting):
    """What the associations of one loop wait by."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._wakeup = _core.Wakeup()
        self._futures: dict[int, asyncio.Future[bool]] = {}
        self._endings: set[asyncio.Task[None]] = set()
        loop.add_reader(self._wakeup.fileno(), self._woken)

    def _woken(self) -> None:
        for token in self._wakeup.take():
            _settle(self._futures.pop(token, None), True)

    def check(self) -> None:
        """Raises RuntimeError on another loop than the association's own."""
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError(
                "this association belongs to another event loop: each loop needs associations of its own"
            )

    async def _wait(
        self,
        connection: _core.Connection,
        timeout: float | None,
        attempt: Callable[[int], T | None],
        parent: _core.Connection | None = None,
    ) -> T:
        """What `attempt(token)` gives, once it is not None. It asks the core to wake the loop with the token when
        another try is worth it.

        The time-out counts from the last progress of what is being sent.
        """
        self.check()
        token = next(_tokens)
        result = attempt(token)
        if result is not None:
            return result
        limit = None if timeout is None else self.loop.time() + timeout
        written = self._wakeup.written(connection)
        try:
            while result is None:
                if parent is not None and self._wakeup.until(parent, "ended", token):
                    raise ConnectionAbortedError("the association is over for which it was to be done")
                if not await self._told(token, limit):
                    before, written = written, self._wakeup.written(connection)
                    if written == before:
                        raise TimeoutError("timed out")
                    limit = self.loop.time() + (timeout or 0.0)
                result = attempt(token)
            return result
        finally:
            self._wakeup.forget(connection, token)
            if parent is not None:
                self._wakeup.forget(parent, token)

    async def _told(self, token: int, limit: float | None) -> bool:
        """Waits until the core wakes the loop with the token; False where that has not happened by `limit`."""
        self._futures[token] = future = asyncio.Future[bool](loop=self.loop)
        timer = None if limit is None else self.loop.call_at(limit, _settle, future, False)
        try:
            return await future
        finally:
            self._futures.pop(token, None)
            if timer is not None:
                timer.cancel()

    async def _until(self, connection: _core.Connection, what: str, timeout: float | None) -> None:
        await self._wait(connection, timeout, lambda token: self._wakeup.until(connection, what, token) or None)

    def operation_lock(self) -> OperationLock:
        return TaskLock(self.check)

    async def connect(self, **options: Any) -> _core.Connection:
        self.check()
        token = next(_tokens)
        connecting = _core.connect(**options, wakeup=self._wakeup, token=token)
        try:
            await self._told(token, None)
        except BaseException:
            connecting.abandon()
            raise
        connection = connecting.take()
        try:
            await self._until(connection, "negotiated", None)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def echo(
        self, connection: _core.Connection, context_id: int, number: int, timeout: float | None
    ) -> _core.Message:
        # Affected SOP Class UID: Verification.
        await self.request(connection, context_id, 0x0030, number, [(0x0002, "1.2.840.10008.1.1")], None, timeout)
        return await self.response(connection, [number], timeout)

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
        prepared = connection.prepare_request(context_id, command_field, number, elements, dataset)
        await self.send(connection, prepared, timeout)

    async def send(
        self,
        connection: _core.Connection,
        prepared: _core.Prepared,
        timeout: float | None,
        parent: _core.Connection | None = None,
    ) -> None:
        def attempt(token: int) -> bool | None:
            return self._wakeup.send(connection, prepared, timeout, token) or None

        await self._wait(connection, timeout, attempt, parent)

    async def response(
        self,
        connection: _core.Connection,
        numbers: Sequence[int],
        timeout: float | None,
        parent: _core.Connection | None = None,
    ) -> _core.Message:
        return await self._wait(
            connection, timeout, lambda token: self._wakeup.response(connection, numbers, token), parent
        )

    async def responses(
        self, connection: _core.Connection, number: int, timeout: float | None, requests: bool
    ) -> list[_core.Message]:
        # Requests of the peer are the core's to hand on: it has a thread for them.
        return await self._wait(
            connection, timeout, lambda token: self._wakeup.responses(connection, number, token) or None
        )

    async def release(self, connection: _core.Connection, timeout: float | None) -> None:
        self._wakeup.release(connection)
        await self._until(connection, "ended", timeout)

    async def tell(self, association: AssociationBase) -> None:
        connection = association._connection
        if connection is None or self.is_handling(association):
            return
        # While the association goes on a handler may be at work on a request of the peer for as long as it likes.
        what = "told" if connection.end is None else "idle"
        try:
            await self._until(connection, what, association.acse_timeout)
        except TimeoutError:
            return

    async def finished(self, connection: _core.Connection, timeout: float | None) -> None:
        """Waits until the transport connection is closed and its handlers have been told."""
        await self._until(connection, "finished", timeout)

    async def apart(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.to_thread(function, *arguments)

    def plain(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        from .handlers import plain

        return plain(handler, self.loop)

    def is_handling(self, association: AssociationBase) -> bool:
        handling = HANDLING.get()
        here = handling is not None and not handling.is_over and handling.association is association
        return here or super().is_handling(association)

    def is_cancellation(self, error: BaseException) -> bool:
        return isinstance(error, asyncio.CancelledError) and not self.loop.is_closed()

    def finish(self, ending: Coroutine[Any, Any, None]) -> None:
        task: Any = self.loop.create_task(ending)
        # One that a closing loop leaves behind aborts the association when it is destroyed: nothing is left undone.
        task._log_destroy_pending = False
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    def leave(self, stream: Stream[Any]) -> None:
        if self.loop.is_closed():
            stream._association._abort()
        elif asyncio._get_running_loop() is self.loop:
            self.finish(stream.forgo())
        else:
            self.loop.call_soon_threadsafe(lambda: self.finish(stream.forgo()))


def _settle(future: asyncio.Future[bool] | None, result: bool) -> None:
    if future is not None and not future.done():
        future.set_result(result)


#: Kept by their loops, which call them, and by their associations.
_waitings: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[LoopWaiting]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def of_running_loop() -> LoopWaiting:
    """That of the running loop, made on first use. Raises RuntimeError where none runs."""
    loop = asyncio.get_running_loop()
    with _lock:
        reference = _waitings.get(loop)
        found = None if reference is None else reference()
        if found is None:
            found = LoopWaiting(loop)
            _waitings[loop] = weakref.ref(found)
        return found
