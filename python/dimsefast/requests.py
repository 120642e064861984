"""Sending DIMSE requests: one function a service, on top of the core's messages."""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from . import _core, dump
from ._validators import validate_ae_title
from .dataset import decode_dataset, encode_dataset
from .notices import OBSERVE
from .objects import fitting_context, prepare_store, store_object
from .request import command_elements
from .sending import Pipeline, StoreResult
from .status import StatusDataset, code_to_category

if TYPE_CHECKING:
    from .association import Association

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

#: What responses begin with once the request has left.
_SENT: tuple[Any, Any] = (None, None)


class OperationLock:
    """One request at a time: a thread's own open iterator is ended first, another thread's is waited for."""

    def __init__(self) -> None:
        # Not a condition: the thread that ends a request need not be the one that began it, and a lock does not mind.
        self._busy = threading.Lock()
        self._owner: int | None = None
        self._iterator: weakref.ref[Generator[Any, Any, Any]] | None = None

    def acquire(self) -> None:
        """Begins a request of this thread. Raises RuntimeError from within one of this thread's own."""
        self.end_own_iterator()
        if self._owner == threading.get_ident():
            raise RuntimeError(
                "a request on this association is in progress on this very thread: send another one when it is over, "
                "or over another association"
            )
        self._busy.acquire()
        self._owner = threading.get_ident()

    def release(self) -> None:
        """Ends it."""
        self._owner = None
        self._iterator = None
        self._busy.release()

    def holds(self, iterator: Generator[Any, Any, Any]) -> None:
        """The request lives as long as this iterator."""
        self._iterator = weakref.ref(iterator)

    def end_own_iterator(self) -> None:
        """Closes the iterator that this thread left open, if it did."""
        if self._owner == threading.get_ident() and self._iterator is not None:
            iterator = self._iterator()
            if iterator is not None and inspect.getgeneratorstate(iterator) != inspect.GEN_RUNNING:
                iterator.close()


def _refuse_own_handler(association: Association) -> None:
    if threading.get_ident() in association._handler_threads:
        raise RuntimeError(
            "a handler cannot send a request over the association whose request it handles: open another one"
        )


def _begin(association: Association, msg_id: int | None) -> tuple[_core.Connection, int]:
    """The connection and a Message ID for one request, which `_end` gives back."""
    _refuse_own_handler(association)
    connection = association._live()
    if not association._bits & OBSERVE and dump.is_wanted():
        # Somebody has begun to read the log since.
        association._handlers_changed()
    association._operation.acquire()
    try:
        return connection, connection.begin(msg_id)
    except BaseException:
        association._operation.release()
        raise


def _end(association: Association, connection: _core.Connection, msg_id: int) -> None:
    connection.forget(msg_id)
    association._operation.release()
    if connection.end is not None or association._bits & OBSERVE:
        association._run_jobs()


def status_from(message: _core.Message) -> StatusDataset:
    """The status of a response, with the optional elements that came with it."""
    code = message.status
    if code is None:
        return StatusDataset()
    # SOP class, command field, Message ID, dataset type, status, and in C-STORE the instance: nothing optional.
    if message.element_count <= 5 + (message.command_field == _C_STORE_RSP):
        return StatusDataset._make(code, ())
    found = command_elements(message)
    extra = tuple(
        (0x00000000 | found[keyword][0], found[keyword][1], found[keyword][2])
        for keyword in _STATUS_KEYWORDS
        if keyword in found
    )
    return StatusDataset._make(code, extra)


def _check_priority(priority: int) -> None:
    if priority not in (0, 1, 2):
        raise ValueError(f"priority is 0 (medium), 1 (high) or 2 (low), not {priority!r}")


def _give_up(connection: _core.Connection, error: Exception) -> None:
    """No answer came: ends the association, and says why."""
    if isinstance(error, TimeoutError):
        dump.log_timeout("DIMSE")
    connection.abort()


def c_echo(association: Association, msg_id: int | None) -> Dataset:
    """See `Association.send_c_echo`."""
    connection, number = _begin(association, msg_id)
    try:
        context = association._usable(VERIFICATION)[0]
        message = connection.c_echo(context.context_id, number, association._core_dimse_timeout)
        return status_from(message)
    except (TimeoutError, ConnectionAbortedError) as error:
        _give_up(connection, error)
        return StatusDataset()
    except KeyboardInterrupt:
        connection.abort()
        raise
    finally:
        _end(association, connection, number)


def c_store(
    association: Association,
    dataset: Dataset | str | Path | bytes,
    msg_id: int | None,
    priority: int,
    originator_aet: str | None,
    originator_id: int | None,
    decompress: bool,
) -> Dataset:
    """See `Association.send_c_store`."""
    association._live()
    _check_priority(priority)
    item = store_object(dataset)
    fitting = fitting_context(association, item, decompress)
    originator = None if originator_aet is None else (originator_aet, originator_id or 0)
    connection, number = _begin(association, msg_id)
    try:
        store = prepare_store(connection, number, item, fitting, priority, originator)
        timeout = association._core_dimse_timeout
        connection.send_store(store, timeout)
        return status_from(connection.receive_any([number], timeout))
    except (TimeoutError, ConnectionAbortedError) as error:
        _give_up(connection, error)
        return StatusDataset()
    except KeyboardInterrupt:
        connection.abort()
        raise
    finally:
        _end(association, connection, number)


def store_many(
    association: Association,
    items: Iterable[Dataset | str | Path | bytes],
    progress: Callable[[StoreResult], object] | None,
    priority: int,
    decompress: bool,
) -> Iterator[StoreResult]:
    """See `Association.store`."""
    _check_priority(priority)
    return _Owned(association, _store_many(association, items, progress, priority, decompress))


def _store_many(
    association: Association,
    items: Iterable[Dataset | str | Path | bytes],
    progress: Callable[[StoreResult], object] | None,
    priority: int,
    decompress: bool,
) -> Generator[StoreResult, None, None]:
    _refuse_own_handler(association)
    association._live()
    association._operation.acquire()
    try:
        pipeline = Pipeline(association, priority, decompress=decompress)
        try:
            for result in pipeline.run(items):
                if progress is not None:
                    progress(result)
                yield result
        finally:
            pipeline.close()
    finally:
        association._operation.release()
        if association._is_over:
            association._run_jobs()


def c_find(
    association: Association,
    identifier: Dataset | bytes,
    model: str,
    msg_id: int | None,
    priority: int,
    raw: bool = False,
) -> Iterator[tuple[Any, Any]]:
    """See `Association.send_c_find` and `Association.find`."""
    return _iterate(association, C_FIND_RQ, identifier, model, msg_id, priority, [], raw)


def c_move(
    association: Association, identifier: Dataset, move_aet: str, model: str, msg_id: int | None, priority: int
) -> Iterator[tuple[Dataset, Dataset | None]]:
    """See `Association.send_c_move`."""
    destination = validate_ae_title(move_aet, "the move destination")
    elements: list[tuple[int, str | int]] = [(0x0600, destination)]
    return _iterate(association, C_MOVE_RQ, identifier, model, msg_id, priority, elements, False)


def c_get(
    association: Association, identifier: Dataset, model: str, msg_id: int | None, priority: int
) -> Iterator[tuple[Dataset, Dataset | None]]:
    """See `Association.send_c_get`."""
    return _iterate(association, C_GET_RQ, identifier, model, msg_id, priority, [], False)


def _iterate(
    association: Association,
    field: int,
    identifier: Dataset | bytes,
    model: str,
    msg_id: int | None,
    priority: int,
    elements: list[tuple[int, str | int]],
    raw: bool,
) -> Iterator[tuple[Any, Any]]:
    iterator = _responses(association, field, identifier, model, msg_id, priority, elements, raw)
    return _Owned(association, iterator, begun=True)


class _Owned(Iterator[Any]):
    """The responses to one request, or to many. Closing it, or forgetting it, cancels what is still under way."""

    def __init__(self, association: Association, generator: Generator[Any, None, None], begun: bool = False) -> None:
        self._association = association
        self._generator = generator
        self._started = begun
        self._first: Any = None
        if begun:
            # The request leaves now: whoever waits before asking for a response, or cancels, may count on that.
            self._first = next(generator)
            association._operation.holds(generator)

    def __iter__(self) -> _Owned:
        return self

    def __next__(self) -> Any:
        first, self._first = self._first, None
        # Where the request could not leave, that is what comes of it.
        if first is not None and first is not _SENT:
            return first
        if not self._started:
            self._started = True
            first = next(self._generator)
            self._association._operation.holds(self._generator)
            return first
        return next(self._generator)

    def close(self) -> None:
        """Ends the operation: C-CANCEL, and its remaining responses are taken off."""
        self._generator.close()

    def __del__(self) -> None:
        self._generator.close()


def _responses(
    association: Association,
    field: int,
    identifier: Dataset | bytes,
    model: str,
    msg_id: int | None,
    priority: int,
    elements: list[tuple[int, str | int]],
    raw: bool,
) -> Generator[tuple[Any, Any], None, None]:
    association._live()
    _check_priority(priority)
    context_id, syntax = association._usable(model)[0]
    encoded = identifier if isinstance(identifier, bytes) else encode_dataset(identifier, syntax)
    connection, number = _begin(association, msg_id)
    open_statuses = (*_NOT_FINAL, LIMIT_REACHED) if str(model) == REPOSITORY_QUERY else _NOT_FINAL
    #: Whether the final response has come, if not yet been handed on; whether the next request may begin.
    finished = ended = False
    try:
        command: list[tuple[int, str | int]] = [(0x0002, str(model)), (0x0700, priority), *elements]
        connection.send_request(context_id, field, number, command, encoded, association._core_dimse_timeout)
        yield _SENT
        while not finished:
            timeout = association._core_dimse_timeout
            if field == C_GET_RQ:
                messages = [connection.receive(number, timeout, requests=True)]
            else:
                messages = connection.receive_all(number, timeout)
            finished = messages[-1].status not in open_statuses
            for message in messages:
                status = message.status
                if status is None:
                    _perform_here(association, connection, message)
                    continue
                if finished and message is messages[-1]:
                    # Whoever has the final response need not come back for the end of the iteration.
                    ended = True
                    _end(association, connection, number)
                if raw:
                    yield status, message.dataset()
                else:
                    yield status_from(message), _identifier(message, syntax, field, status not in _NOT_FINAL)
    except (TimeoutError, ConnectionAbortedError) as error:
        finished = True
        _give_up(connection, error)
        yield (None if raw else StatusDataset()), None
    except GeneratorExit:
        if not finished:
            finished = True
            _cancel_and_drain(association, connection, context_id, number, field)
        raise
    except BaseException:
        if not finished:
            connection.abort()
        raise
    finally:
        if not ended:
            _end(association, connection, number)


def _identifier(message: _core.Message, syntax: str, field: int, final: bool) -> Dataset | None:
    """The identifier of a response, decoded as far as it makes sense."""
    if final and field == C_FIND_RQ:
        # Some peers flag a dataset there: the standard has none.
        return None
    category = "Pending" if message.status is None else code_to_category(message.status)
    if field != C_FIND_RQ and category not in ("Warning", "Cancel", "Failure"):
        return None
    data = message.dataset()
    if data:
        return decode_dataset(data, syntax)
    if field == C_FIND_RQ:
        return Dataset() if data is not None else None
    empty = Dataset()
    if category != "Failure" or any(any(message.element(number) or b"") for number in _DONE):
        # Where nothing failed there is no list on the wire; users expect one.
        empty.FailedSOPInstanceUIDList = ""
    return empty


def _perform_here(association: Association, connection: _core.Connection, message: _core.Message) -> None:
    """Performs a request of the peer on this thread: a C-STORE of its C-GET."""
    try:
        association._perform("request", message)
    finally:
        connection.request_done()


def _cancel_and_drain(
    association: Association, connection: _core.Connection, context_id: int, number: int, field: int
) -> None:
    """Ends an operation that nobody wants any more, so that its responses are never taken for the next one's."""
    timeout = association._core_dimse_timeout
    if connection.end is not None:
        return
    try:
        connection.send_request(context_id, C_CANCEL_RQ, number, [], None, timeout)
        while True:
            message = connection.receive(number, timeout, requests=field == C_GET_RQ)
            if message.status is None:
                _perform_here(association, connection, message)
            elif message.status not in (0xFF00, 0xFF01):
                return
    except (TimeoutError, ConnectionAbortedError):
        connection.abort()
    except BaseException:
        connection.abort()
        raise


def c_cancel(association: Association, msg_id: int, context_id: int | None, query_model: str | None) -> None:
    """See `Association.send_c_cancel`."""
    connection = association._live()
    if context_id is None:
        if query_model is None:
            raise ValueError("a C-CANCEL needs the context ID or the query model of the request it ends")
        context_id = association._usable(query_model)[0].context_id
    try:
        connection.send_request(context_id, C_CANCEL_RQ, msg_id, [], None, association._core_dimse_timeout)
    except (TimeoutError, ConnectionAbortedError):
        connection.abort()
