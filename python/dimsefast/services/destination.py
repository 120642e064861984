"""The destination of a C-MOVE: the associations that its objects are stored over."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..objects import CONVERTIBLE, EXPLICIT_LITTLE, IMPLICIT_LITTLE, StoreObject, fitting_context, store_object
from ..presentation import PresentationContext, build_context
from ..sending import Pipeline, StoreResult, Ticket
from ..status import code_to_category

if TYPE_CHECKING:
    from ..association import Association
    from ..request import Request

#: PS3.8 9.3.2.2: presentation context IDs are odd, 1 to 255.
MOST_CONTEXTS = 128


class Unreachable(Exception):
    """No association with the destination could be had."""


@dataclass
class MoveOptions:
    """What a C-MOVE handler may say of its destination beside the keywords of `AE.associate`.

    Attributes:
        parallel_associations: how many associations to the destination carry objects at once.
        retries: how often an object that failed is sent again, each time over a fresh association.
        decompress: whether compressed pixel data may be decoded where the destination does not take it as it is.
        report: called with the `StoreResult` of each object.
    """

    parallel_associations: int = 1
    retries: int = 0
    decompress: bool = False
    report: Callable[[StoreResult], object] | None = None

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> MoveOptions:
        """Takes them out of the keywords that a handler yielded."""
        return cls(**{name: options.pop(name) for name in cls.__dataclass_fields__ if name in options})


class Destination:
    """Where a C-MOVE sends its objects: to be used as a `Pipeline` is.

    One association is open at a time. It proposes what the handler named or, where it named nothing, what the objects
    so far need: one context for each pair of SOP class and transfer syntax, because a context ends with one transfer
    syntax. An object that the open association has no context for is sent over another one that proposes it as well.
    """

    def __init__(
        self,
        association: Association,
        request: Request,
        address: tuple[str, int],
        associate: dict[str, Any],
        options: MoveOptions,
    ) -> None:
        self._parent = association
        self._address = address
        self._associate = {"ae_title": request.MoveDestination, **associate}
        self._given: list[PresentationContext] = list(self._associate.pop("contexts", None) or [])
        self._options = options
        self._priority = int(request.Priority) if request.Priority in (0, 1, 2) else 2
        self._originator = (association.requestor.ae_title.strip() or "ANONYMOUS", int(request.MessageID or 0))
        self._pairs: list[tuple[str, str]] = []
        self._refused: set[tuple[str, str]] = set()
        self._pipeline: Pipeline | None = None
        self._finished: deque[Ticket] = deque()
        self._again: deque[Ticket] = deque()

    @property
    def pending(self) -> int:
        """How many objects have been sent and their results not been taken."""
        return len(self._finished) + len(self._again) + (self._pipeline.pending if self._pipeline else 0)

    @property
    def is_full(self) -> bool:
        """Whether a result has to be taken before the next object may be sent."""
        return bool(self._finished or self._again) or (self._pipeline is not None and self._pipeline.is_full)

    def prepare(self, ticket: Ticket) -> None:
        """Reads the beginning of an object. Where that fails its ticket has a result.

        Raises Unreachable.
        """
        try:
            if ticket.item is None:
                ticket.item = store_object(ticket.source)
            pipeline = self._pipeline_for(ticket.item)
        except (AttributeError, TypeError, ValueError, OSError) as error:
            ticket.finish(None, error)
            return
        pipeline.prepare(ticket)

    def send(self, ticket: Ticket) -> None:
        """Sends what was prepared."""
        if self._pipeline is not None:
            self._pipeline.send(ticket)

    def take(self) -> Ticket:
        """Waits for the next object to be over; gives its ticket, with its result."""
        while not self._finished:
            pipeline = self._pipeline
            if pipeline is not None and pipeline.pending:
                ticket = pipeline.take()
                (self._again if self._is_worth_another(ticket) else self._finished).append(ticket)
            else:
                self._send_again(self._again.popleft())
        return self._finished.popleft()

    def close(self, abort: bool) -> None:
        """Releases the association, or aborts it."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is None:
            return
        if abort:
            pipeline.association.abort()
        else:
            pipeline.close()
            pipeline.association.release()

    def _is_worth_another(self, ticket: Ticket) -> bool:
        result = ticket.result
        if result is None or ticket.attempts >= self._options.retries or self._parent._is_over:
            return False
        return result.status is None or code_to_category(result.status) not in ("Success", "Warning")

    def _send_again(self, ticket: Ticket) -> None:
        self.close(abort=False)
        again = Ticket(ticket.source, ticket.item, attempts=ticket.attempts + 1)
        try:
            self.prepare(again)
        except Unreachable as error:
            again.finish(None, error)
        self.send(again)
        if again.result is not None:
            self._finished.append(again)

    def _pipeline_for(self, item: StoreObject) -> Pipeline:
        """The open association where it has a context for the object, or another one."""
        pipeline = self._pipeline
        if pipeline is None or pipeline.is_lost or not pipeline.association.is_established:
            if not self._given:
                self._need(item)
            pipeline = self._open()
        own = (item.sop_class, item.transfer_syntax)
        try:
            fitting = fitting_context(pipeline.association, item, self._options.decompress)
            # As it is rather than converted, where that was not asked for yet.
            if fitting.transfer_syntax == item.transfer_syntax or own in self._pairs or self._given:
                return pipeline
            self._need(item)
        except ValueError:
            if not self._need(item):
                raise
        pipeline = self._open()
        try:
            fitting_context(pipeline.association, item, self._options.decompress)
        except ValueError:
            self._refused.add(own)
            raise
        return pipeline

    def _need(self, item: StoreObject) -> bool:
        """Adds the contexts that an object needs; whether there is anything new in that."""
        own = item.transfer_syntax
        if (item.sop_class, own) in self._refused:
            return False
        others = (EXPLICIT_LITTLE, IMPLICIT_LITTLE) if own in CONVERTIBLE or self._options.decompress else ()
        wanted = [(item.sop_class, syntax) for syntax in (own, *others)]
        missing = [pair for pair in dict.fromkeys(wanted) if pair not in self._pairs]
        self._pairs = [*self._pairs, *missing]
        return bool(missing)

    def _open(self) -> Pipeline:
        """An association in place of the one that is open, whose results are kept."""
        if self._pipeline is not None:
            while self._pipeline.pending:
                self._finished.append(self._pipeline.take())
            self.close(abort=False)
        wanted = [build_context(sop_class, [syntax]) for sop_class, syntax in self._pairs]
        # The newest matter most where there are too many.
        contexts = [*self._given, *wanted][-MOST_CONTEXTS:]
        host, port = self._address
        association = self._parent.ae.associate(host, port, contexts=contexts, **self._associate)
        if not association.is_established:
            raise Unreachable(association._ending() or "it accepted no presentation context")
        decompress = self._options.decompress
        self._pipeline = Pipeline(association, self._priority, self._originator, self._parent._connection, decompress)
        return self._pipeline


class ParallelDestination:
    """The same over several associations at once, each of a thread of its own."""

    def __init__(self, make: Callable[[], Destination], number: int) -> None:
        self._make = make
        self._number = number
        self._threads: list[threading.Thread] = []
        self._destinations: list[Destination] = []
        self._todo: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Ticket, Unreachable | None]] = queue.SimpleQueue()
        self.pending = 0

    @property
    def is_full(self) -> bool:
        """Whether a result has to be taken before the next object may be sent."""
        return self.pending >= 2 * self._number

    def prepare(self, ticket: Ticket) -> None:
        """Nothing: each thread reads ahead for itself."""

    def send(self, ticket: Ticket) -> None:
        """Hands an object to the next thread that is free."""
        self.pending += 1
        self._todo.put(ticket)
        if len(self._threads) < min(self._number, self.pending):
            destination = self._make()
            thread = threading.Thread(target=self._run, args=(destination,), name="dimsefast-move", daemon=True)
            self._destinations.append(destination)
            self._threads.append(thread)
            thread.start()

    def take(self) -> Ticket:
        """Waits for the next object to be over. Raises Unreachable."""
        ticket, unreachable = self._done.get()
        self.pending -= 1
        if unreachable is not None:
            raise unreachable
        return ticket

    def close(self, abort: bool) -> None:
        """Releases the associations, or aborts them."""
        for destination in self._destinations if abort else ():
            destination.close(abort=True)
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self, destination: Destination) -> None:
        try:
            while (ticket := self._todo.get()) is not None:
                try:
                    destination.prepare(ticket)
                    destination.send(ticket)
                    self._done.put((ticket if ticket.result is not None else destination.take(), None))
                except Unreachable as error:
                    self._done.put((ticket, error))
        finally:
            destination.close(abort=False)
