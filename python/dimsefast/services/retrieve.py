"""Retrieval (PS3.4 Annex C): C-GET and C-MOVE with their C-STORE sub-operations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from .. import evt
from ..events import Event, EventType
from ..requests import StoreObject, fitting_context, send_object, store_object
from .destination import Destination, Unreachable
from .statuses import Element, comment, report_failure, wire_status
from .suboperations import (
    CANCELLED,
    PENDING,
    SUCCESS,
    WARNING,
    SubOperations,
    own_failed_list,
    respond_finally,
    respond_pending,
)

if TYPE_CHECKING:
    from ..association import Association
    from ..request import Request

LOGGER = logging.getLogger("dimsefast.services")

UNKNOWN_DESTINATION = 0xA801
GET_FAILED, GET_BAD_COUNT = 0xC411, 0xC413
MOVE_FAILED, MOVE_BAD_COUNT, MOVE_NO_DESTINATION, MOVE_BAD_DESTINATION = 0xC511, 0xC513, 0xC514, 0xC515
#: Processing failure of one sub-operation that never left.
NOT_SENT = 0xC000

_WITHOUT_BULK_DATA = "1.2.840.10008.5.1.4.1.2.5.3"
_BULK = {
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
    "PixelDataProviderURL",
    "SpectroscopyData",
    "EncapsulatedDocument",
    "OverlayData",
    "CurveData",
    "AudioSampleData",
    "WaveformData",
}

#: Stores one object and returns the status of that.
Deliver = Callable[[StoreObject], int]


class _Finished(Exception):
    """The operation ends here with this status."""

    def __init__(self, status: int, extra: list[Element] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.extra = extra or []


def get(association: Association, request: Request) -> None:
    """C-GET: the objects go over the same association."""
    connection = association._connection
    assert connection is not None

    def deliver(item: StoreObject) -> int:
        if request.context.abstract_syntax == _WITHOUT_BULK_DATA:
            item = item._replace(dataset=_without_bulk_data(item.read()), path=None)
        fitting = fitting_context(association, item)
        number = connection.begin(None)
        try:
            message = send_object(association, connection, number, item, fitting, _priority(request), None)
        finally:
            connection.forget(number)
        return message.status if message.status is not None else NOT_SENT

    def operate(items: Iterator[Any]) -> None:
        count = _next(items, evt.EVT_C_GET, association, GET_BAD_COUNT)
        _suboperations(association, request, items, _count(count, GET_BAD_COUNT), deliver)

    _operate(association, request, evt.EVT_C_GET, GET_FAILED, GET_BAD_COUNT, operate)


def move(association: Association, request: Request) -> None:
    """C-MOVE: the objects go over an association with the destination."""
    connection = association._connection
    assert connection is not None

    def operate(items: Iterator[Any]) -> None:
        address, options = _address(_next(items, evt.EVT_C_MOVE, association, MOVE_NO_DESTINATION))
        name = str(request.MoveDestination)
        if address is None:
            raise _Finished(UNKNOWN_DESTINATION, comment(f"move destination {name} is not known"))
        count = _count(_next(items, evt.EVT_C_MOVE, association, MOVE_BAD_COUNT), MOVE_BAD_COUNT)
        destination = Destination(association, request, address, options)
        reached = False

        def deliver(item: StoreObject) -> int:
            nonlocal reached
            try:
                status = destination.store(item, _priority(request))
            except Unreachable as cause:
                LOGGER.error("move destination %s at %s:%s: %s", name, *address, cause)
                if not reached:
                    raise _Finished(UNKNOWN_DESTINATION, comment(f"{name}: {cause}")) from cause
                return NOT_SENT
            except (TimeoutError, ConnectionAbortedError) as cause:
                if connection.end is not None:
                    raise
                LOGGER.error("move destination %s at %s:%s: %s: %s", name, *address, item.sop_instance, cause)
                status = NOT_SENT
            reached = True
            return status

        try:
            _suboperations(association, request, items, count, deliver)
        finally:
            destination.close(abort=connection.end is not None)

    _operate(association, request, evt.EVT_C_MOVE, MOVE_FAILED, MOVE_NO_DESTINATION, operate)


def _operate(
    association: Association,
    request: Request,
    kind: EventType,
    failed: int,
    not_begun: int,
    operate: Callable[[Iterator[Any]], None],
) -> None:
    """Runs the handler; turns everything that ends it before its sub-operations into a final response."""
    items: Iterator[Any] | None = None
    nothing = SubOperations(0)
    try:
        bound = association._handlers.intervention(kind)
        if bound is None:
            LOGGER.error("%s: no handler is bound to %s", association._name, kind.name)
            raise _Finished(failed)
        handler, args = bound
        event = Event(association, kind, {"request": request, "context": request.context})
        try:
            items = iter(handler(event, *args))
        except Exception:
            report_failure(association, kind.name)
            raise _Finished(not_begun) from None
        operate(items)
    except _Finished as finished:
        respond_finally(association, request, nothing, finished.status, finished.extra, [])
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


def _next(items: Iterator[Any], kind: EventType, association: Association, status: int) -> Any:
    try:
        return next(items)
    except StopIteration:
        LOGGER.error("%s: the handler of %s ended too early", association._name, kind.name)
    except Exception:
        report_failure(association, kind.name)
    raise _Finished(status)


def _count(value: Any, status: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        LOGGER.error("the number of sub-operations must be an int, not %r", value)
        raise _Finished(status) from None


def _address(value: Any) -> tuple[tuple[str, int] | None, dict[str, Any]]:
    """The (host, port) that a handler yielded, None where it does not know the destination, and its `associate`
    keywords.
    """
    if not isinstance(value, tuple) or len(value) not in (2, 3):
        LOGGER.error("a C-MOVE handler yields (address, port) first, not %r", value)
        raise _Finished(MOVE_BAD_DESTINATION)
    host, port = value[:2]
    options = dict(value[2]) if len(value) == 3 else {}
    if host is None or port is None:
        return None, options
    return (host, int(port)), options


def _suboperations(
    association: Association, request: Request, items: Iterator[Any], announced: int, deliver: Deliver
) -> None:
    """Delivers what the handler yields, a Pending after each, then the final response."""
    connection = association._connection
    assert connection is not None
    operations = SubOperations(announced)
    while operations.remaining:
        if connection.end is not None:
            return
        try:
            status, item = next(items)
        except StopIteration:
            break
        except Exception:
            report_failure(association, "the retrieval")
            failed = GET_FAILED if request.message.command_field == 0x0010 else MOVE_FAILED
            _finish(association, request, operations, failed, [], operations.failed_instances)
            return
        code, extra = wire_status(status)
        if code != PENDING and code != 0xFF01:
            _end_early(association, request, operations, code, extra, item)
            return
        if request.is_cancelled:
            # The handler had its chance to say how it ends.
            _finish(association, request, operations, CANCELLED, [], [])
            return
        _deliver(operations, item, deliver)
        respond_pending(association, request, operations)
    _finish(association, request, operations, operations.final_status(), [], operations.failed_instances)


def _end_early(
    association: Association,
    request: Request,
    operations: SubOperations,
    code: int,
    extra: list[Element],
    yielded: Any,
) -> None:
    """The handler has said how it ends."""
    failed = own_failed_list(yielded) or operations.failed_instances
    if code == WARNING:
        operations.failed += operations.remaining
    elif code == SUCCESS:
        code = SUCCESS if operations.failed == 0 else WARNING
    _finish(association, request, operations, code, extra, failed)


def _finish(
    association: Association,
    request: Request,
    operations: SubOperations,
    status: int,
    extra: list[Element],
    failed_instances: list[str],
) -> None:
    if status == CANCELLED and not failed_instances:
        failed_instances = operations.failed_instances
    respond_finally(association, request, operations, status, extra, failed_instances)


def _deliver(operations: SubOperations, item: Any, deliver: Deliver) -> None:
    """One sub-operation. What cannot be stored counts as failed; the others go on."""
    sop_instance = str(item.get("SOPInstanceUID", "")) if isinstance(item, Dataset) else ""
    try:
        if not isinstance(item, (Dataset, str, Path, bytes)):
            raise TypeError(f"a handler yields a Dataset or the path of a file, not {type(item).__name__}")
        found = store_object(item)
        sop_instance = found.sop_instance
        status = deliver(found)
    except (AttributeError, ValueError, TypeError) as error:
        LOGGER.error("sub-operation for %s: %s", sop_instance or "an object without UID", error)
        status = NOT_SENT
    except (TimeoutError, ConnectionAbortedError):
        raise
    except OSError as error:
        LOGGER.error("sub-operation for %s: %s", sop_instance or item, error)
        status = NOT_SENT
    operations.count(status, sop_instance)


def _priority(request: Request) -> int:
    return int(request.Priority or 0) if request.Priority in (0, 1, 2) else 2


def _without_bulk_data(dataset: Dataset) -> Dataset:
    """A copy without its bulk data elements, those in the Waveform Sequence included (PS3.4 Z.1.3)."""
    kept = Dataset()
    for element in dataset:
        if element.keyword in _BULK or (element.tag.group & 0xFF00 == 0x6000 and element.tag.element == 0x3000):
            continue
        kept.add(element)
    if "WaveformSequence" in kept:
        kept.WaveformSequence = [_without_bulk_data(item) for item in kept.WaveformSequence]
    return kept
