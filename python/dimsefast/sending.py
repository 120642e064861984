"""Many C-STOREs over one association: up to the negotiated window in progress at once, the next one read ahead."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydicom.dataset import Dataset

from . import _core
from .objects import StoreObject, fitting_context, prepare_store, store_object

if TYPE_CHECKING:
    from .association import Association

#: Requests in progress at once where the peer sets no limit.
_UNLIMITED = 64


class StoreResult(NamedTuple):
    """What became of one object.

    Attributes:
        source: the object as it was given.
        path: its file, where it was given as a path.
        sop_instance_uid: empty where that could not be found out.
        status: of the C-STORE response; None where there was none, `error` says why.
        bytes: the length of the dataset that was sent, in bytes.
        seconds: from the beginning of its sending to its response.
        error: why it was not stored; None where the peer has it (success or warning), and where `status` says why not.
    """

    source: Dataset | str | Path | bytes
    path: Path | None
    sop_instance_uid: str
    status: int | None
    bytes: int
    seconds: float
    error: Exception | None


@dataclass
class Ticket:
    """One object on its way."""

    source: Dataset | str | Path | bytes
    item: StoreObject | None = None
    store: _core.Store | None = None
    begun: float = 0.0
    result: StoreResult | None = None
    #: How often it was sent before.
    attempts: int = 0

    def finish(self, status: int | None, error: Exception | None) -> StoreResult:
        """Its result."""
        self.result = StoreResult(
            self.source,
            None if self.item is None else self.item.path,
            "" if self.item is None else self.item.sop_instance,
            status,
            0 if self.store is None else self.store.length,
            time.monotonic() - self.begun if self.begun else 0.0,
            error,
        )
        return self.result


class Pipeline:
    """Objects over one association.

    The order is: `prepare` one, `take` results while it `is_full`, `send` it; `take` what is still `pending`. So the
    next object is read while the one before is on its way, and nothing stands between a response and the next request.
    """

    def __init__(
        self,
        association: Association,
        priority: int,
        originator: tuple[str, int] | None = None,
        parent: _core.Connection | None = None,
        decompress: bool = False,
    ) -> None:
        self.association = association
        self._connection = association._live()
        self._priority = priority
        self._originator = originator
        self._parent = parent
        self._decompress = decompress
        self._window = association._invocation_window or _UNLIMITED
        self._pending: dict[int, Ticket] = {}
        #: What ended the association, once it is over.
        self._lost: Exception | None = None

    @property
    def pending(self) -> int:
        """How many objects have been sent and not been answered."""
        return len(self._pending)

    @property
    def is_full(self) -> bool:
        """Whether the peer has to answer before the next one may be sent."""
        return len(self._pending) >= self._window

    @property
    def is_lost(self) -> bool:
        """Whether the association is over."""
        return self._lost is not None

    def prepare(self, ticket: Ticket) -> Ticket:
        """Reads the beginning of an object. Where that fails its ticket has a result."""
        try:
            if ticket.item is None:
                ticket.item = store_object(ticket.source)
            fitting = fitting_context(self.association, ticket.item, self._decompress)
            number = self._connection.begin(None)
            try:
                ticket.store = prepare_store(
                    self._connection, number, ticket.item, fitting, self._priority, self._originator
                )
            except BaseException:
                self._connection.forget(number)
                raise
        except (AttributeError, TypeError, ValueError, OSError) as error:
            ticket.finish(None, error)
        return ticket

    def send(self, ticket: Ticket) -> None:
        """Sends what was prepared."""
        if ticket.store is None or ticket.result is not None:
            return
        ticket.begun = time.monotonic()
        self._pending[ticket.store.message_id] = ticket
        if self._lost is None:
            try:
                self._connection.send_store(ticket.store, self.association._core_dimse_timeout, self._parent)
            except OSError as error:
                self._lose(error)
            except BaseException:
                self._connection.abort()
                raise

    def take(self) -> Ticket:
        """Waits for the next response; gives the ticket that it ends, with its result."""
        if self._lost is None:
            try:
                timeout = self.association._core_dimse_timeout
                message = self._connection.receive_any(list(self._pending), timeout, self._parent)
                return self._finish(message.message_id, message.status, None)
            except OSError as error:
                self._lose(error)
            except BaseException:
                self._connection.abort()
                raise
        return self._finish(next(iter(self._pending)), None, self._lost)

    def _finish(self, number: int, status: int | None, error: Exception | None) -> Ticket:
        ticket = self._pending.pop(number)
        self._connection.forget(number)
        ticket.finish(status, error)
        return ticket

    def _lose(self, error: OSError) -> None:
        self._connection.abort()
        words = f"{self.association._name} ended: {self.association._ending() or error}"
        self._lost = TimeoutError(words) if isinstance(error, TimeoutError) else ConnectionAbortedError(words)

    def run(self, sources: Iterable[Dataset | str | Path | bytes]) -> Iterator[StoreResult]:
        """Sends them all; a result for each, in order."""
        tickets: deque[Ticket] = deque()
        for source in sources:
            ticket = self.prepare(Ticket(source))
            while self.is_full:
                self.take()
            self.send(ticket)
            tickets.append(ticket)
            while tickets and (result := tickets[0].result) is not None:
                tickets.popleft()
                yield result
        while tickets:
            while (result := tickets[0].result) is None:
                self.take()
            tickets.popleft()
            yield result

    def close(self) -> None:
        """Takes the responses that are still to come, so that they are never taken for others'."""
        while self._pending:
            self.take()
