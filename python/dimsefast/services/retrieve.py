"""Retrieval (PS3.4 Annex C): C-GET and C-MOVE with their C-STORE sub-operations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydicom.dataset import Dataset

from .. import evt
from ..events import Event, EventType
from ..objects import store_object
from ..sending import Pipeline, StoreResult, Ticket
from ..status import code_to_category
from .destination import Destination, MoveOptions, ParallelDestination, Unreachable
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
    from ..association_base import AssociationBase
    from ..request import Request

LOGGER = logging.getLogger("dimsefast.services")

UNKNOWN_DESTINATION = 0xA801
GET_FAILED, GET_BAD_COUNT = 0xC411, 0xC413
MOVE_FAILED, MOVE_BAD_COUNT, MOVE_NO_DESTINATION, MOVE_BAD_DESTINATION = 0xC511, 0xC513, 0xC514, 0xC515
#: Processing failure of one sub-operation that never left.
NOT_SENT = 0xC000

_C_GET_RQ = 0x0010
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
#: In repeating groups: curve data, audio sample data, overlay data.
_REPEATING_BULK = {(0x5000, 0x3000), (0x5000, 0x200C), (0x6000, 0x3000)}


class Delivery(Protocol):
    """What carries the objects: see `Pipeline` for how it is used."""

    @property
    def pending(self) -> int:
        """How many objects have been sent and their results not been taken."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether a result has to be taken before the next object may be sent."""
        ...

    def prepare(self, ticket: Ticket) -> object:
        """Reads the beginning of an object."""
        ...

    def send(self, ticket: Ticket) -> object:
        """Sends what was prepared."""
        ...

    def take(self) -> Ticket:
        """Waits for the next object to be over."""
        ...

    def withdraw(self) -> object:
        """Takes back what has not begun."""
        ...


class _Finished(Exception):
    """The operation ends here with this status."""

    def __init__(self, status: int, extra: list[Element] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.extra = extra or []


def get(association: AssociationBase, request: Request) -> None:
    """C-GET: the objects go over the same association."""

    def operate(items: Iterator[Any]) -> None:
        announced = _count(_next(items, evt.EVT_C_GET, association, GET_BAD_COUNT), GET_BAD_COUNT)
        association._live().number_after(int(request.MessageID or 0))
        pipeline = Pipeline(association, _priority(request))
        delivery: Delivery = pipeline
        if request.context.abstract_syntax == _WITHOUT_BULK_DATA:
            delivery = _WithoutBulkData(pipeline)
        try:
            _Retrieval(association, request, items, announced, delivery).run()
        finally:
            if not association._is_over:
                pipeline.close()

    _operate(association, request, evt.EVT_C_GET, GET_FAILED, operate)


def move(association: AssociationBase, request: Request) -> None:
    """C-MOVE: the objects go over an association with the destination, or several."""

    def operate(items: Iterator[Any]) -> None:
        address, keywords = _address(_next(items, evt.EVT_C_MOVE, association, MOVE_NO_DESTINATION))
        name = str(request.MoveDestination)
        if address is None:
            raise _Finished(UNKNOWN_DESTINATION, comment(f"move destination {name} is not known"))
        announced = _count(_next(items, evt.EVT_C_MOVE, association, MOVE_BAD_COUNT), MOVE_BAD_COUNT)
        try:
            options = MoveOptions.taken_from(keywords)
            options.bridge(association._waiting, keywords)
        except (TypeError, ValueError) as error:
            LOGGER.error("the options of move destination %s: %s", name, error)
            raise _Finished(MOVE_BAD_DESTINATION, comment(f"{name}: {error}")) from None

        def make() -> Destination:
            return Destination(association, request, address, dict(keywords), options)

        several = options.parallel_associations > 1
        destination = ParallelDestination(make, options.parallel_associations) if several else make()
        retrieval = _Retrieval(association, request, items, announced, destination, options.report)
        try:
            retrieval.run()
        except Unreachable as cause:
            LOGGER.error("move destination %s at %s:%s: %s", name, *address, cause)
            retrieval.abandon(UNKNOWN_DESTINATION, comment(f"{name}: {cause}"))
        finally:
            destination.close(abort=not retrieval.is_complete)

    _operate(association, request, evt.EVT_C_MOVE, MOVE_FAILED, operate)


def _operate(
    association: AssociationBase,
    request: Request,
    kind: EventType,
    failed: int,
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
            yielding = handler(event, *args)
            # A handler that has nothing to yield may be no generator.
            items = iter(() if yielding is None else yielding)
        except Exception:
            report_failure(association, kind.name)
            raise _Finished(failed) from None
        operate(items)
    except _Finished as finished:
        respond_finally(association, request, nothing, finished.status, finished.extra, [])
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


def _next(items: Iterator[Any], kind: EventType, association: AssociationBase, status: int) -> Any:
    try:
        value = next(items)
    except StopIteration:
        LOGGER.error("%s: the handler of %s ended too early", association._name, kind.name)
    except Exception:
        report_failure(association, kind.name)
    else:
        if isinstance(value, Dataset) and "Status" in value:
            # There is nothing to count, nor anywhere to send it.
            raise _Finished(*wire_status(value))
        return value
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
    try:
        options = dict(value[2]) if len(value) == 3 else {}
        return (None if host is None or port is None else (host, int(port))), options
    except (TypeError, ValueError) as error:
        LOGGER.error("a C-MOVE handler yields (address, port) first, not %r: %s", value, error)
        raise _Finished(MOVE_BAD_DESTINATION) from None


class _Retrieval:
    """The sub-operations of one C-GET or C-MOVE, a Pending response after each, then the final one.

    The handler is asked for the next object while the one before is on its way.
    """

    def __init__(
        self,
        association: AssociationBase,
        request: Request,
        items: Iterator[Any],
        announced: int,
        delivery: Delivery,
        report: Callable[[StoreResult], object] | None = None,
    ) -> None:
        self._association = association
        self._request = request
        self._items = items
        self._operations = SubOperations(announced)
        self._delivery = delivery
        self._report = report
        #: Whether nothing is under way any more. The requestor may leave as soon as it has the final response.
        self.is_complete = False

    def run(self) -> None:
        """Delivers what the handler yields. Raises Unreachable where nothing was delivered before that."""
        begun = 0
        ending: _Ending | None = None
        while ending is None and begun < self._operations.announced:
            step = self._step()
            if isinstance(step, _Ending):
                ending = step
                break
            self._delivery.prepare(step)
            while self._delivery.is_full:
                self._take()
            if self._association._is_over:
                return
            if self._request.is_cancelled:
                # The handler has its chance to say how it ends.
                step_after = self._step()
                ending = step_after if isinstance(step_after, _Ending) and step_after.is_said else _Ending(CANCELLED)
                self._delivery.withdraw()
                break
            begun += 1
            self._delivery.send(step)
            if step.result is not None:
                self._count(step)
        while self._delivery.pending:
            self._take()
        if ending is None and begun and not self._association._is_over:
            self._run_out()
        if not self._association._is_over:
            self.is_complete = True
            self._finish(ending or _Ending(None))

    def _run_out(self) -> None:
        """Lets the handler do what it does behind its last object."""
        try:
            next(self._items)
        except StopIteration:
            return
        except Exception:
            report_failure(self._association, "the retrieval")
            return
        LOGGER.warning(
            "%s: what the handler yields beyond the announced number of sub-operations is not done",
            self._association._name,
        )

    def abandon(self, status: int, extra: list[Element]) -> None:
        """Ends it with nothing done."""
        self.is_complete = True
        respond_finally(self._association, self._request, SubOperations(0), status, extra, [])

    def _step(self) -> Ticket | _Ending:
        """What the handler yields next: an object, or how it ends."""
        try:
            status, item = next(self._items)
        except StopIteration:
            return _Ending(None)
        except Exception:
            report_failure(self._association, "the retrieval")
            return _Ending(GET_FAILED if self._request.message.command_field == _C_GET_RQ else MOVE_FAILED)
        code, extra = wire_status(status)
        if code in (PENDING, 0xFF01):
            return Ticket(item, extra=extra)
        return _Ending(code, extra, item, is_said=True)

    def _take(self) -> None:
        self._count(self._delivery.take())

    def _count(self, ticket: Ticket) -> None:
        """Counts one that is over. What could not be stored counts as failed; the others go on.

        Raises Unreachable where nothing was delivered before that.
        """
        result = ticket.result
        assert result is not None
        if isinstance(result.error, Unreachable) and self._operations.done == 0:
            raise result.error
        instance = result.sop_instance_uid
        if not instance and isinstance(result.source, Dataset):
            instance = str(result.source.get("SOPInstanceUID", ""))
        if result.error is not None:
            LOGGER.error("sub-operation for %s: %s", instance or "an object without UID", result.error)
        if self._association._is_over:
            return
        self._operations.count(NOT_SENT if result.status is None else result.status, instance)
        if self._report is not None:
            try:
                self._report(result)
            except Exception:
                report_failure(self._association, "the report of sub-operations")
        if not self._association._is_over:
            respond_pending(self._association, self._request, self._operations, ticket.extra)

    def _finish(self, ending: _Ending) -> None:
        """The final response."""
        operations = self._operations
        status, failed = ending.status, own_failed_list(ending.yielded) or operations.failed_instances
        if status is None:
            status = operations.final_status()
        elif code_to_category(status) in ("Warning", "Failure"):
            operations.failed += operations.remaining
        elif ending.is_said and status == SUCCESS and operations.failed + operations.warning > 0:
            status = WARNING
        respond_finally(self._association, self._request, operations, status, ending.extra, failed)


class _Ending(NamedTuple):
    """How a retrieval ends: with the status that follows by itself where it is None."""

    status: int | None
    extra: list[Element] = []  # noqa: RUF012 - nobody changes it
    yielded: Any = None
    #: Whether the handler has said so.
    is_said: bool = False


class _WithoutBulkData:
    """Composite instance retrieve without bulk data: what is sent lacks it."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    @property
    def pending(self) -> int:
        return self._pipeline.pending

    @property
    def is_full(self) -> bool:
        return self._pipeline.is_full

    def prepare(self, ticket: Ticket) -> None:
        try:
            item = store_object(ticket.source)
            dataset = _without_bulk_data(item.read())
            ticket.item = item._replace(dataset=dataset, path=None, encoded=None)
        except Exception as error:
            ticket.finish(None, error)
            return
        self._pipeline.prepare(ticket)

    def send(self, ticket: Ticket) -> None:
        self._pipeline.send(ticket)

    def take(self) -> Ticket:
        return self._pipeline.take()

    def withdraw(self) -> None:
        self._pipeline.withdraw()


def _priority(request: Request) -> int:
    return int(request.Priority or 0) if request.Priority in (0, 1, 2) else 2


def _without_bulk_data(dataset: Dataset) -> Dataset:
    """A copy without its bulk data elements, those in the Waveform Sequence included (PS3.4 Z.1.3)."""
    kept = Dataset()
    for element in dataset:
        if element.keyword in _BULK or (element.tag.group & 0xFF00, element.tag.element) in _REPEATING_BULK:
            continue
        kept.add(element)
    if "WaveformSequence" in kept:
        kept.WaveformSequence = [_without_bulk_data(item) for item in kept.WaveformSequence]
    return kept
