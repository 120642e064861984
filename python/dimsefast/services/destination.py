"""The destination of a C-MOVE: the associations that its objects are stored over."""

from __future__ import annotations

import contextlib
import inspect
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._arguments import handlers_in
from ..objects import CONVERTIBLE, EXPLICIT_LITTLE, IMPLICIT_LITTLE, StoreObject, fitting_context, store_object
from ..presentation import PresentationContext, build_context
from ..sending import Pipeline, StoreResult, Ticket
from ..status import code_to_category

if TYPE_CHECKING:
    from ..association import Association
    from ..association_base import AssociationBase
    from ..request import Request
    from ..waiting import Waiting

#: PS3.8 9.3.2.2: presentation context IDs are odd, 1 to 255.
MOST_CONTEXTS = 128


class Unreachable(Exception):
    """No association with the destination could be had, not even a first one."""


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
        """Takes them out of the keywords that a handler yielded. Raises ValueError for what is none."""
        from ..ae import ApplicationEntity

        allowed = {*inspect.signature(ApplicationEntity.associate).parameters, *cls.__dataclass_fields__}
        if unknown := options.keys() - allowed:
            raise ValueError(f"AE.associate has no argument {', '.join(sorted(unknown))}")
        taken = cls(**{name: options.pop(name) for name in cls.__dataclass_fields__ if name in options})
        for name, least in (("parallel_associations", 1), ("retries", 0)):
            number = getattr(taken, name)
            if not isinstance(number, int) or number < least:
                raise ValueError(f"{name} is an int, at least {least}, not {number!r}")
        if taken.report is not None and not callable(taken.report):
            raise ValueError(f"report is a function of a StoreResult, not {taken.report!r}")
        return taken

    def bridge(self, waiting: Waiting, associate: dict[str, Any]) -> None:
        """Has what is `async def` here, and among the handlers of these keywords, run where the server's handlers do.

        Raises TypeError or ValueError for handlers that are none.
        """
        if self.report is not None:
            self.report = waiting.plain(self.report)
        if handlers := associate.get("evt_handlers"):
            associate["evt_handlers"] = [
                (event, waiting.plain(handler), args) for event, handler, args in handlers_in(handlers)
            ]


class Destination:
    """Where a C-MOVE sends its objects: to be used as a `Pipeline` is.

    One association is open at a time. It proposes what the handler named or, where it named nothing, what the objects
    so far need: one context for each pair of SOP class and transfer syntax, because a context ends with one transfer
    syntax. An object that the open association has no context for is sent over another one that proposes it as well.
    """

    def __init__(
        self,
        association: AssociationBase,
        request: Request,
        address: tuple[str, int],
        associate: dict[str, Any],
        options: MoveOptions,
    ) -> None:
        self._parent = association
        self._request = request
        self._address = address
        self._associate = {"ae_title": request.MoveDestination, **associate}
        self._given: list[PresentationContext] = list(self._associate.pop("contexts", None) or [])
        self._options = options
        self._priority = int(request.Priority) if request.Priority in (0, 1, 2) else 2
        self._originator = (association.requestor.ae_title.strip() or "ANONYMOUS", int(request.MessageID or 0))
        self._pairs: list[tuple[str, str]] = []
        self._refused: set[tuple[str, str]] = set()
        self._pipeline: Pipeline | None = None
        self._association: Association | None = None
        self._finished: deque[Ticket] = deque()
        self._again: deque[Ticket] = deque()
        #: What was proposed when it accepted nothing of that: no need to ask again.
        self._hopeless: list[tuple[str, str]] | None = None
        #: Whether it ever was there.
        self._reached = False

    @property
    def pending(self) -> int:
        """How many objects have been sent and their results not been taken."""
        return len(self._finished) + len(self._again) + (self._pipeline.pending if self._pipeline else 0)

    @property
    def is_full(self) -> bool:
        """Whether a result has to be taken before the next object may be sent."""
        return bool(self._finished or self._again) or (self._pipeline is not None and self._pipeline.is_full)

    def prepare(self, ticket: Ticket) -> None:
        """Reads the beginning of an object. Where that fails its ticket has a result."""
        try:
            if ticket.item is None:
                ticket.item = store_object(ticket.source)
            pipeline = self._pipeline_for(ticket.item)
        except Exception as error:
            ticket.finish(None, error)
            return
        pipeline.prepare(ticket)

    def send(self, ticket: Ticket) -> None:
        """Sends what was prepared."""
        if ticket.result is None and (ticket.pipeline is not self._pipeline or not self._is_open):
            # The association that it was prepared for has ended since.
            self.prepare(ticket)
        if ticket.result is None and self._pipeline is not None:
            self._pipeline.send(ticket)

    def take(self) -> Ticket:
        """Waits for the next object to be over; gives its ticket, with its result."""
        while not self._finished:
            if self._pipeline is not None and self._pipeline.pending:
                self._take_from(self._pipeline)
            else:
                self._send_again(self._again.popleft())
        return self._finished.popleft()

    def withdraw(self) -> None:
        """Nothing: what was sent is under way."""

    def close(self, abort: bool) -> None:
        """Releases the association, or aborts it."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is None or self._association is None:
            return
        if abort:
            self._association.abort()
        else:
            pipeline.close()
            self._association.release()

    @property
    def _is_open(self) -> bool:
        pipeline = self._pipeline
        return pipeline is not None and not pipeline.is_lost and pipeline.association.is_established

    def _take_from(self, pipeline: Pipeline) -> None:
        ticket = pipeline.take()
        (self._again if self._is_worth_another(ticket) else self._finished).append(ticket)

    def _is_worth_another(self, ticket: Ticket) -> bool:
        result = ticket.result
        if result is None or ticket.attempts >= self._options.retries:
            return False
        if self._parent._is_over or self._request.is_cancelled:
            return False
        return result.status is None or code_to_category(result.status) not in ("Success", "Warning")

    def _send_again(self, ticket: Ticket) -> None:
        self.close(abort=False)
        again = Ticket(ticket.source, ticket.item, attempts=ticket.attempts + 1)
        self.prepare(again)
        self.send(again)
        if again.result is not None:
            self._finished.append(again)

    def _pipeline_for(self, item: StoreObject) -> Pipeline:
        """The open association where it has a context for the object, or another one."""
        pipeline = self._pipeline
        if pipeline is None or not self._is_open:
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
        """An association in place of the one that is open, whose results are kept.

        Raises Unreachable, or OSError where the destination was there before; ValueError where it accepts nothing.
        """
        if self._pipeline is not None:
            while self._pipeline.pending:
                self._take_from(self._pipeline)
            self.close(abort=False)
        if self._parent._is_over:
            raise ConnectionAbortedError(f"{self._parent._name} has ended, for which it was to be sent")
        nothing = f"{self._associate['ae_title']} accepted none of the presentation contexts that the objects need"
        if self._hopeless == self._pairs:
            raise ValueError(nothing)
        wanted = [build_context(sop_class, [syntax]) for sop_class, syntax in self._pairs]
        # The newest matter most where there are too many.
        contexts = [*self._given, *wanted][-MOST_CONTEXTS:]
        host, port = self._address
        try:
            association = self._parent.ae._associate_here(host, port, contexts=contexts, **self._associate)
        except (TypeError, ValueError, RuntimeError) as error:
            # What the handler yielded beside the address.
            raise Unreachable(str(error)) from error
        if association.rejected_contexts and not association.accepted_contexts:
            self._reached, self._hopeless = True, self._pairs
            raise ValueError(nothing)
        if not association.is_established:
            words = association._ending()
            raise ConnectionError(words) if self._reached else Unreachable(words)
        self._reached, self._association = True, association
        association._live().number_after(self._originator[1])
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
        self._done: queue.SimpleQueue[Ticket] = queue.SimpleQueue()
        #: Threads that have an association, or are to get one.
        self._serving = 0
        self._aborting = False
        self._lock = threading.Lock()
        self.pending = 0

    @property
    def is_full(self) -> bool:
        """Whether a result has to be taken before the next object may be sent."""
        return self.pending >= 2 * self._number

    def prepare(self, ticket: Ticket) -> None:
        """Nothing: each thread does it for itself."""

    def send(self, ticket: Ticket) -> None:
        """Hands an object to the next thread that is free."""
        self.pending += 1
        if len(self._threads) < min(self._number, self.pending):
            destination = self._make()
            thread = threading.Thread(target=self._run, args=(destination,), name="dimsefast-move", daemon=True)
            self._destinations.append(destination)
            self._threads.append(thread)
            with self._lock:
                self._serving += 1
            thread.start()
        self._todo.put(ticket)

    def take(self) -> Ticket:
        """Waits for the next object to be over; gives its ticket, with its result."""
        ticket = self._done.get()
        self.pending -= 1
        return ticket

    def withdraw(self) -> None:
        """Takes back the objects that no thread has begun with."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._todo.get_nowait()
                self.pending -= 1

    def close(self, abort: bool) -> None:
        """Releases the associations, or aborts them."""
        self.withdraw()
        self._aborting = abort
        for destination in self._destinations if abort else ():
            destination.close(abort=True)
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self, destination: Destination) -> None:
        try:
            while (ticket := self._todo.get()) is not None:
                self._deliver(destination, ticket)
                if ticket.result is None:
                    # The destination does not take this many associations: the others do without this one.
                    self._todo.put(ticket)
                    return
        finally:
            destination.close(abort=self._aborting)

    def _deliver(self, destination: Destination, ticket: Ticket) -> None:
        """Delivers one object, or gives it back without a result where it is for another thread."""
        try:
            destination.prepare(ticket)
            destination.send(ticket)
            over = ticket if ticket.result is not None else destination.take()
        except Exception as error:
            ticket.finish(None, error)
            over = ticket
        if over.result is not None and isinstance(over.result.error, Unreachable):
            with self._lock:
                is_last = self._serving == 1
                self._serving -= not is_last
            if not is_last:
                over.result = None
                return
        self._done.put(over)
