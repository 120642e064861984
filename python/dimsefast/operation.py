"""Operations with many results: who has the association meanwhile, and what is done when nobody wants the rest."""

from __future__ import annotations

import threading
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from .waiting import run

if TYPE_CHECKING:
    from .association_base import AssociationBase

T = TypeVar("T")


class OperationLock(ABC):
    """One operation at a time: who left one open ends it by beginning another; that of somebody else is waited for."""

    def __init__(self) -> None:
        self._owner: object = None
        self._stream: weakref.ref[Stream[Any]] | None = None

    @abstractmethod
    def _caller(self) -> object:
        """Who is asking."""

    @abstractmethod
    async def _take(self) -> None:
        """Waits until nobody has it."""

    @abstractmethod
    def _give(self) -> None:
        """Nobody has it any more."""

    async def acquire(self) -> None:
        """Begins an operation of the caller. Raises RuntimeError from within one of the caller's own."""
        await self.end_own_stream()
        caller = self._caller()
        if self._owner is not None and self._owner == caller:
            raise RuntimeError(
                "a request on this association is in progress on this very thread or task: send another one when it is "
                "over, or over another association"
            )
        await self._take()
        self._owner = caller

    def release(self) -> None:
        """Ends it."""
        self._owner = None
        self._stream = None
        self._give()

    def abandon(self) -> None:
        """It is being ended for nobody: its caller waits for the end like everybody else."""
        self._owner = None
        self._stream = None

    def holds(self, stream: Stream[Any]) -> None:
        """The operation lives as long as this stream."""
        self._stream = weakref.ref(stream)

    async def end_own_stream(self) -> None:
        """Closes the stream that the caller left open, if it did."""
        if self._stream is not None and self._owner == self._caller():
            stream = self._stream()
            if stream is not None and not stream.is_stepping:
                await stream.close()


class ThreadLock(OperationLock):
    """That of the blocking face."""

    def __init__(self) -> None:
        super().__init__()
        # Not a condition: the thread that ends an operation need not be the one that began it, and a lock does not
        # mind.
        self._busy = threading.Lock()

    def _caller(self) -> object:
        return threading.get_ident()

    async def _take(self) -> None:
        self._busy.acquire()

    def _give(self) -> None:
        self._busy.release()


class Stream(ABC, Generic[T]):
    """The results of one operation in order. The association is its own from the first step until the last result has
    come.
    """

    #: Whether the peer can be asked to end it.
    has_cancel: ClassVar[bool]

    def __init__(self, association: AssociationBase) -> None:
        self._association = association
        self._waiting = association._waiting
        #: Results that have come and nobody has taken.
        self._ready: deque[Any] = deque()
        self._begun = False
        self._over = False
        self.is_stepping = False

    @abstractmethod
    async def _begin(self) -> None:
        """Takes the association's lock. Where it raises nothing has happened."""

    @abstractmethod
    async def _send(self) -> bool:
        """Sends what is to be sent first; whether there will be no results but those that are there."""

    @abstractmethod
    async def _step(self) -> bool:
        """Waits for more results; whether there will be no others."""

    @abstractmethod
    async def _leave(self) -> None:
        """Nobody wants the rest: sees to it that what still comes is never taken for another operation's."""

    @abstractmethod
    def _break(self, error: BaseException) -> None:
        """Something went wrong in the middle of a step."""

    @abstractmethod
    async def _end(self) -> None:
        """Gives everything back."""

    @abstractmethod
    def take(self) -> T:
        """The next result, after `more` said that there is one."""

    async def more(self) -> bool:
        """Waits for the next result; whether there is one."""
        while not self._ready:
            if self._over:
                return False
            if self.is_stepping:
                raise ValueError("the next result is being waited for already")
            self.is_stepping = True
            try:
                await self._advance()
            finally:
                self.is_stepping = False
        return True

    async def begin(self) -> None:
        """Begins the operation, which `more` does otherwise: takes the association, and sends the request."""
        try:
            await self._begin()
        except BaseException:
            self._over = True
            raise
        self._begun = True
        self._association._operation.holds(self)
        await self._attempt(self._send)

    async def _advance(self) -> None:
        if not self._begun:
            await self.begin()
        if not self._over:
            await self._attempt(self._step)

    async def _attempt(self, step: Callable[[], Awaitable[bool]]) -> None:
        try:
            last = await step()
        except BaseException as error:
            self._over = True
            if self.has_cancel and self._waiting.is_cancellation(error):
                self._waiting.finish(self.forgo())
            else:
                self._break(error)
                await self._end()
            raise
        if last:
            self._over = True
            await self._end()

    async def close(self) -> None:
        """Ends the operation: C-CANCEL, and its remaining responses are taken off. Nothing where it is over."""
        if self.is_stepping:
            raise ValueError("its next result is being waited for")
        if not self.is_open:
            self._over = True
            return
        self._over = True
        self._ready.clear()
        await self._leave_and_end()

    @property
    def is_open(self) -> bool:
        """Whether there is something left to do where nobody wants the rest."""
        return self._begun and not self._over

    def forgo(self) -> Coroutine[Any, Any, None]:
        """The same for nobody: the next operation, whoever begins it, waits until it is done."""
        self._over = True
        self._ready.clear()
        self._association._operation.abandon()
        return self._leave_and_end()

    async def _leave_and_end(self) -> None:
        try:
            await self._leave()
        finally:
            await self._end()


class Iteration(Iterator[T]):
    """A stream of the blocking face. Closing it, or forgetting it, cancels what is still under way."""

    def __init__(self, stream: Stream[T]) -> None:
        self._stream = stream

    @classmethod
    def begun(cls, stream: Stream[T]) -> Iteration[T]:
        """One whose request leaves now: whoever waits before asking for a response, or cancels, may count on that."""
        run(stream.begin())
        return cls(stream)

    def __iter__(self) -> Iteration[T]:
        return self

    def __next__(self) -> T:
        stream = self._stream
        if not stream._ready and not run(stream.more()):
            raise StopIteration
        return stream.take()

    def close(self) -> None:
        """Ends the operation: C-CANCEL, and its remaining responses are taken off."""
        run(self._stream.close())

    def __del__(self) -> None:
        if self._stream.is_open:
            self.close()


class AsyncIteration(AsyncIterator[T]):
    """A stream for coroutines. Leaving its loop early, closing it, or forgetting it cancels what is still under way."""

    def __init__(self, stream: Stream[T]) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIteration[T]:
        return self

    async def __anext__(self) -> T:
        stream = self._stream
        if not stream._ready and not await stream.more():
            raise StopAsyncIteration
        return stream.take()

    async def aclose(self) -> None:
        """Ends the operation, and waits until its remaining responses have been taken off."""
        await self._stream.close()

    def __del__(self) -> None:
        stream = self._stream
        if stream.is_open:
            stream._waiting.leave(stream)
