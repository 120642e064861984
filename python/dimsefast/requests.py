"""Sending DIMSE requests: one function a service, on top of the core's messages, for both faces (see `waiting`)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from . import _core, dump
from ._validators import validate_ae_title
from .dataset import decode_dataset, encode_dataset
from .notices import OBSERVE
from .objects import fitting_context, prepare_store, store_object
from .operation import Stream
from .request import command_elements
from .sending import StoreResult, Ticket, Transfer
from .status import StatusDataset, code_to_category
from .waiting import Elements

if TYPE_CHECKING:
    from .association_base import AssociationBase

Storable = Dataset | str | Path | bytes

LOGGER = logging.getLogger("dimsefast.requests")

C_STORE_RQ, C_GET_RQ, C_FIND_RQ, C_MOVE_RQ, C_ECHO_RQ, C_CANCEL_RQ = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030, 0x0FFF
_C_STORE_RSP = 0x8001
VERIFICATION = "1.2.840.10008.1.1"

#: Statuses of responses that others follow; a request of the peer has none.
_NOT_FINAL = (0xFF00, 0xFF01, None)
#: PS3.4 HH: more may follow it in Repository Query.
REPOSITORY_QUERY, LIMIT_REACHED = "1.2.840.10008.5.1.4.1.1.201.6", 0xB001

#: The elements of a response that become part of its status.
_STATUS_KEYWORDS = (
    "OffendingElement",
    "ErrorComment",
    "ErrorID",
    "NumberOfRemainingSuboperations",
    "NumberOfCompletedSuboperations",
    "NumberOfFailedSuboperations",
    "NumberOfWarningSuboperations",
)

#: The elements that count sub-operations that are over: completed, failed, warning.
_DONE = (0x1021, 0x1022, 0x1023)


def _check_free(association: AssociationBase) -> None:
    # An acceptor's handler may: nobody but the peer waits meanwhile. A requestor's would wait for its own request.
    if association.is_requestor and association._waiting.is_handling(association):
        raise RuntimeError(
            "a requestor's handler cannot send requests over the association whose request it handles: open another one"
        )
    association._live()


async def _begin(association: AssociationBase, msg_id: int | None) -> tuple[_core.Connection, int]:
    """The connection and a Message ID for one request, which `_end` gives back."""
    _check_free(association)
    if not association._bits & OBSERVE and dump.is_wanted():
        # Somebody has begun to read the log since.
        association._handlers_changed()
    await association._operation.acquire()
    try:
        connection = association._live()
        return connection, connection.begin(msg_id)
    except BaseException:
        association._operation.release()
        raise


async def _end(association: AssociationBase, connection: _core.Connection, msg_id: int) -> None:
    connection.forget(msg_id)
    association._operation.release()
    if connection.end is not None or association._bits & OBSERVE:
        await association._waiting.tell(association)


def _give_up(connection: _core.Connection, error: Exception) -> None:
    """No answer came: ends the association, and says why."""
    if isinstance(error, TimeoutError):
        dump.log_timeout("DIMSE")
    connection.abort()


async def _exchange(
    association: AssociationBase,
    msg_id: int | None,
    exchange: Callable[[_core.Connection, int], Awaitable[_core.Message]],
) -> _core.Message | None:
    """One request and its one response, as `exchange` has it; None where there is no valid one, and the association is
    aborted.
    """
    connection, number = await _begin(association, msg_id)
    try:
        return await exchange(connection, number)
    except (TimeoutError, ConnectionAbortedError) as error:
        _give_up(connection, error)
        return None
    except Exception:
        raise
    except BaseException:
        # The peer may have half of it, or be about to answer.
        connection.abort()
        raise
    finally:
        await _end(association, connection, number)


def status_from(message: _core.Message, also: tuple[str, ...] = ()) -> StatusDataset:
    """The status of a response, with the optional elements that came with it; `also` are the keywords of others."""
    code = message.status
    if code is None:
        return StatusDataset()
    # SOP class, command field, Message ID, dataset type, status, and in C-STORE the instance: nothing optional.
    if not also and message.element_count <= 5 + (message.command_field == _C_STORE_RSP):
        return StatusDataset._make(code, ())
    found = command_elements(message)
    extra = tuple(
        (0x00000000 | found[keyword][0], found[keyword][1], found[keyword][2])
        for keyword in (*also, *_STATUS_KEYWORDS)
        if keyword in found
    )
    return StatusDataset._make(code, extra)


def _check_priority(priority: int) -> None:
    if priority not in (0, 1, 2):
        raise ValueError(f"priority is 0 (medium), 1 (high) or 2 (low), not {priority!r}")


async def single(
    association: AssociationBase,
    context_id: int,
    command_field: int,
    elements: Elements,
    dataset: bytes | None,
    msg_id: int | None,
) -> _core.Message | None:
    """Sends a request that has one response: that, or None where no valid one came."""

    async def exchange(connection: _core.Connection, number: int) -> _core.Message:
        waiting, timeout = association._waiting, association._core_dimse_timeout
        await waiting.request(connection, context_id, command_field, number, elements, dataset, timeout)
        return await waiting.response(connection, [number], timeout)

    return await _exchange(association, msg_id, exchange)


async def c_echo(association: AssociationBase, msg_id: int | None) -> Dataset:
    """See `Association.send_c_echo`."""
    _check_free(association)
    context_id = association._usable(VERIFICATION)[0].context_id

    def exchange(connection: _core.Connection, number: int) -> Awaitable[_core.Message]:
        return association._waiting.echo(connection, context_id, number, association._core_dimse_timeout)

    message = await _exchange(association, msg_id, exchange)
    return StatusDataset() if message is None else status_from(message)


async def c_store(
    association: AssociationBase,
    dataset: Storable,
    msg_id: int | None,
    priority: int,
    originator_aet: str | None,
    originator_id: int | None,
    decompress: bool,
) -> Dataset:
    """See `Association.send_c_store`."""
    association._live()
    _check_priority(priority)
    waiting = association._waiting
    item = await waiting.apart(store_object, dataset)
    fitting = fitting_context(association, item, decompress)
    originator = None if originator_aet is None else (originator_aet, originator_id or 0)

    async def exchange(connection: _core.Connection, number: int) -> _core.Message:
        store = await waiting.apart(prepare_store, connection, number, item, fitting, priority, originator)
        await waiting.send(connection, store, association._core_dimse_timeout)
        return await waiting.response(connection, [number], association._core_dimse_timeout)

    message = await _exchange(association, msg_id, exchange)
    return StatusDataset() if message is None else status_from(message)


def store_many(
    association: AssociationBase,
    items: Iterable[Storable] | AsyncIterable[Storable],
    progress: Callable[[StoreResult], object] | None,
    priority: int,
    decompress: bool,
) -> StoreResults:
    """See `Association.store`."""
    _check_priority(priority)
    return StoreResults(association, items, progress, priority, decompress)


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
        _check_free(association)
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


def c_find(
    association: AssociationBase,
    identifier: Dataset | bytes,
    model: str,
    msg_id: int | None,
    priority: int,
    raw: bool = False,
) -> Responses:
    """See `Association.send_c_find` and `Association.find`."""
    return Responses(association, C_FIND_RQ, identifier, model, msg_id, priority, [], raw)


def c_move(
    association: AssociationBase, identifier: Dataset, move_aet: str, model: str, msg_id: int | None, priority: int
) -> Responses:
    """See `Association.send_c_move`."""
    destination = validate_ae_title(move_aet, "the move destination")
    return Responses(association, C_MOVE_RQ, identifier, model, msg_id, priority, [(0x0600, destination)])


def c_get(
    association: AssociationBase, identifier: Dataset, model: str, msg_id: int | None, priority: int
) -> Responses:
    """See `Association.send_c_get`."""
    return Responses(association, C_GET_RQ, identifier, model, msg_id, priority, [])


class Responses(Stream[tuple[Any, Any]]):
    """The responses to one request, up to the final one."""

    has_cancel = True

    def __init__(
        self,
        association: AssociationBase,
        field: int,
        identifier: Dataset | bytes,
        model: str,
        msg_id: int | None,
        priority: int,
        elements: list[tuple[int, str | int]],
        raw: bool = False,
    ) -> None:
        super().__init__(association)
        self._field = field
        self._asked = identifier
        self._model = model
        self._msg_id = msg_id
        self._priority = priority
        self._elements = elements
        self._raw = raw
        self._encoded: bytes | None = None
        self._connection: _core.Connection | None = None
        self._number = self._context_id = 0
        self._syntax = ""
        self._sent = False

    async def _begin(self) -> None:
        association = self._association
        association._live()
        _check_priority(self._priority)
        self._context_id, self._syntax = association._usable(self._model)[0]
        asked = self._asked
        self._encoded = asked if isinstance(asked, bytes) else encode_dataset(asked, self._syntax)
        self._connection, self._number = await _begin(association, self._msg_id)

    async def _send(self) -> bool:
        connection, timeout = self._connection, self._association._core_dimse_timeout
        assert connection is not None
        elements: Elements = [(0x0002, str(self._model)), (0x0700, self._priority), *self._elements]
        numbers = (self._context_id, self._field, self._number)
        try:
            await self._waiting.request(connection, *numbers, elements, self._encoded, timeout)
        except (TimeoutError, ConnectionAbortedError) as error:
            return self._give_up(connection, error)
        self._sent, self._encoded = True, None
        return False

    async def _step(self) -> bool:
        connection, timeout = self._connection, self._association._core_dimse_timeout
        assert connection is not None
        try:
            is_get = self._field == C_GET_RQ
            messages = await self._waiting.responses(connection, self._number, timeout, requests=is_get)
        except (TimeoutError, ConnectionAbortedError) as error:
            return self._give_up(connection, error)
        last = self._is_final(messages[-1])
        for message in messages:
            if message.status is None:
                _perform_here(self._association, connection, message)
            else:
                self._ready.append(message)
        return last

    def _is_final(self, message: _core.Message) -> bool:
        status = message.status
        return status not in _NOT_FINAL and not (status == LIMIT_REACHED and str(self._model) == REPOSITORY_QUERY)

    def _give_up(self, connection: _core.Connection, error: Exception) -> bool:
        """No answer came: the last result says so."""
        _give_up(connection, error)
        self._ready.append(None)
        return True

    def take(self) -> tuple[Any, Any]:
        """The next (status, identifier)."""
        message: _core.Message | None = self._ready.popleft()
        if message is None:
            return (None if self._raw else StatusDataset()), None
        status = message.status
        if self._raw:
            return status, message.dataset()
        final = status not in _NOT_FINAL
        return status_from(message), _identifier(self._association, message, self._syntax, self._field, final)

    def _break(self, error: BaseException) -> None:
        assert self._connection is not None
        self._connection.abort()

    async def _leave(self) -> None:
        connection, timeout = self._connection, self._association._core_dimse_timeout
        assert connection is not None
        if connection.end is not None:
            return
        if not self._sent:
            # Perhaps the peer has half of it.
            connection.abort()
            return
        waiting, is_get = self._waiting, self._field == C_GET_RQ
        try:
            await waiting.request(connection, self._context_id, C_CANCEL_RQ, self._number, [], None, timeout)
            final = False
            while not final:
                for message in await waiting.responses(connection, self._number, timeout, requests=is_get):
                    if message.status is None:
                        _perform_here(self._association, connection, message)
                    final = self._is_final(message)
        except (TimeoutError, ConnectionAbortedError):
            connection.abort()
        except BaseException:
            connection.abort()
            raise

    async def _end(self) -> None:
        assert self._connection is not None
        await _end(self._association, self._connection, self._number)


def _identifier(
    association: AssociationBase, message: _core.Message, syntax: str, field: int, final: bool
) -> Dataset | None:
    """The identifier of a response, decoded as far as it makes sense; None for one that is no dataset."""
    if final and field == C_FIND_RQ:
        # Some peers flag a dataset there: the standard has none.
        return None
    category = "Pending" if message.status is None else code_to_category(message.status)
    if field != C_FIND_RQ and category not in ("Warning", "Cancel", "Failure"):
        return None
    data = message.dataset()
    if data:
        try:
            return decode_dataset(data, syntax)
        except ValueError as error:
            # The responses behind it are worth having.
            LOGGER.error("%s: the identifier of a response was dropped: %s", association._name, error)
            return None
    if field == C_FIND_RQ:
        return Dataset() if data is not None else None
    empty = Dataset()
    if category != "Failure" or any(any(message.element(number) or b"") for number in _DONE):
        # Where nothing failed there is no list on the wire; users expect one.
        empty.FailedSOPInstanceUIDList = ""
    return empty


def _perform_here(association: AssociationBase, connection: _core.Connection, message: _core.Message) -> None:
    """Performs a request of the peer on this thread: a C-STORE of its C-GET."""
    try:
        association._perform("request", message)
    finally:
        connection.request_done()


async def c_cancel(association: AssociationBase, msg_id: int, context_id: int | None, query_model: str | None) -> None:
    """See `Association.send_c_cancel`."""
    connection = association._live()
    if context_id is None:
        if query_model is None:
            raise ValueError("a C-CANCEL needs the context ID or the query model of the request it ends")
        context_id = association._usable(query_model)[0].context_id
    elif (found := connection.negotiation) is None or found.accepted_context(context_id) is None:
        words = "%s: no C-CANCEL was sent for Message ID %s: %s is not the ID of an accepted presentation context"
        LOGGER.warning(words, association._name, msg_id, context_id)
        return
    timeout = association._core_dimse_timeout
    try:
        await association._waiting.request(connection, context_id, C_CANCEL_RQ, msg_id, [], None, timeout)
    except (TimeoutError, ConnectionAbortedError):
        connection.abort()
