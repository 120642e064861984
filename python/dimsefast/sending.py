"""Many C-STOREs over one association: up to the negotiated window in progress at once, the next one read ahead."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydicom.dataset import Dataset

from . import _core, dump
from .objects import StoreObject, fitting_context, prepare_store, store_object
from .waiting import BLOCKING, run

if TYPE_CHECKING:
    from .association_base import AssociationBase

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
    store: _core.Prepared | None = None
    begun: float = 0.0
    result: StoreResult | None = None
    #: What it was prepared for: it can be sent by nothing else.
    pipeline: Transfer | None = None
    #: How often it was sent before.
    attempts: int = 0
    #: What a handler added to the response after it: command elements.
    extra: list[tuple[int, bytes | int]] = field(default_factory=list)

    def finish(self, status: int | None, error: Exception | None) -> StoreResult:
        """Its result."""
        self.result = StoreResult(
            self.source,
            Path(self.source) if isinstance(self.source, (str, Path)) else None,
            "" if self.item is None else self.item.sop_instance,
            status,
            0 if self.store is None else self.store.length,
            time.monotonic() - self.begun if self.begun else 0.0,
            error,
        )
        return self.result


class Transfer:
    """Objects over one association.

    The order is: `prepare` one, `collect` results while it `is_full`, `post` it; `collect` what is still `pending`. So
    the next object is read while the one before is on its way, and nothing stands between a response and the next
    request.
    """

    def __init__(
        self,
        association: AssociationBase,
        priority: int,
        originator: tuple[str, int] | None = None,
        parent: _core.Connection | None = None,
        decompress: bool = False,
    ) -> None:
        self.association = association
        self._connection = association._live()
        self._waiting = association._waiting
        self._priority = priority
        self._originator = originator
        self._parent = parent
        self._decompress = decompress
        #: How many may be in progress at once.
        self.window = association._invocation_window or _UNLIMITED
        self._pending: dict[int, Ticket] = {}
        #: Message IDs of what has been prepared and not been sent.
        self._prepared: set[int] = set()
        #: What ended the association, once it is over.
        self._lost: Exception | None = None

    @property
    def pending(self) -> int:
        """How many objects have been sent and not been answered."""
        return len(self._pending)

    @property
    def is_full(self) -> bool:
        """Whether the peer has to answer before the next one may be sent."""
        return len(self._pending) >= self.window

    @property
    def is_lost(self) -> bool:
        """Whether the association is over."""
        return self._lost is not None

    def prepare(self, ticket: Ticket) -> Ticket:
        """Reads the beginning of an object. Where that fails its ticket has a result."""
        ticket.pipeline = self
        try:
            if ticket.item is None:
                ticket.item = store_object(ticket.source)
            if self._lost is not None:
                raise self._lost
            fitting = fitting_context(self.association, ticket.item, self._decompress)
            number = self._connection.begin(None)
            try:
                ticket.store = prepare_store(
                    self._connection, number, ticket.item, fitting, self._priority, self._originator
                )
            except BaseException:
                self._connection.forget(number)
                raise
            self._prepared.add(number)
        except Exception as error:
            # Whatever it is: it is this object's, and the others go on.
            ticket.finish(None, error)
        return ticket

    async def post(self, ticket: Ticket) -> None:
        """Sends what was prepared."""
        if ticket.store is None or ticket.result is not None:
            return
        ticket.begun = time.monotonic()
        number = ticket.store.message_id
        self._prepared.discard(number)
        self._pending[number] = ticket
        if self._lost is None:
            try:
                timeout = self.association._core_dimse_timeout
                await self._waiting.send(self._connection, ticket.store, timeout, self._parent)
            except (TimeoutError, ConnectionAbortedError) as error:
                self._lose(error)
            except OSError as error:
                # Its file cannot be read any further, and the peer has the beginning of it.
                self._lose(error)
                path = None if ticket.item is None else ticket.item.path
                self._finish(number, None, OSError(f"{path}: {error}"))
            except BaseException:
                self._connection.abort()
                raise

    async def collect(self) -> Ticket:
        """Waits for the next response; gives the ticket that it ends, with its result."""
        if self._lost is None:
            try:
                timeout = self.association._core_dimse_timeout
                message = await self._waiting.response(self._connection, list(self._pending), timeout, self._parent)
                status = message.status
                error = ValueError(f"{self.association._name} answered without a status") if status is None else None
                return self._finish(message.message_id, status, error)
            except OSError as lost:
                self._lose(lost)
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
        association = self.association
        # What the peer did, or else why this side gives it up.
        ending = association._ending() or str(error)
        self._connection.abort()
        if isinstance(error, TimeoutError):
            dump.log_timeout("DIMSE")
            self._lost = TimeoutError(f"{association._name} timed out: no answer in {association.dimse_timeout:g} s")
        else:
            self._lost = ConnectionAbortedError(f"{association._name} ended: {ending}")

    async def finish(self) -> None:
        """Takes the responses that are still to come, so that they are never taken for others'."""
        while self._pending:
            await self.collect()
        while self._prepared:
            self._connection.forget(self._prepared.pop())


class Pipeline(Transfer):
    """The same where a thread waits, whoever else uses the association; takes the arguments of `Transfer`."""

    def __init__(
        self,
        association: AssociationBase,
        priority: int,
        originator: tuple[str, int] | None = None,
        parent: _core.Connection | None = None,
        decompress: bool = False,
    ) -> None:
        super().__init__(association, priority, originator, parent, decompress)
        self._waiting = BLOCKING

    def send(self, ticket: Ticket) -> None:
        """Sends what was prepared."""
        run(self.post(ticket))

    def take(self) -> Ticket:
        """Waits for the next response; gives the ticket that it ends, with its result."""
        return run(self.collect())

    def withdraw(self) -> None:
        """Nothing: what was sent is under way."""

    def close(self) -> None:
        """Takes the responses that are still to come."""
        run(self.finish())
