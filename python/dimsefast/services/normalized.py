"""The DIMSE-N services (PS3.7 10.1), which differ in what the handler gets and in nothing else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from pydicom.dataset import Dataset

from .. import evt, normalized
from ..dataset import encode_dataset
from ..events import Event, EventType
from ..normalized import PROCESSING_FAILURE, Service
from ..request import COMMAND_ELEMENTS, encode_value
from ..status import STATUS_SUCCESS, STATUS_WARNING, code_to_category
from .statuses import Element, comment, report_failure, wire_status

if TYPE_CHECKING:
    from ..association_base import AssociationBase
    from ..request import Request

LOGGER = logging.getLogger("dimsefast.services")

#: Elements that a handler may add to a response beyond those of any service (PS3.7 Annex C).
_EXTRA = ("AttributeIdentifierList", "AffectedSOPClassUID", "AffectedSOPInstanceUID")
#: PS3.7 Annex C: what a request gets that lacks one of its own elements.
_INVALID_INSTANCE, _NO_SUCH_CLASS, _NO_SUCH_EVENT, _NO_SUCH_ACTION = 0x0117, 0x0118, 0x0113, 0x0123
_MISSING = {"EventTypeID": _NO_SUCH_EVENT, "ActionTypeID": _NO_SUCH_ACTION}

_EVENTS: dict[int, tuple[Service, EventType]] = {
    service.command_field: (service, event)
    for service, event in (
        (normalized.N_EVENT_REPORT, evt.EVT_N_EVENT_REPORT),
        (normalized.N_GET, evt.EVT_N_GET),
        (normalized.N_SET, evt.EVT_N_SET),
        (normalized.N_ACTION, evt.EVT_N_ACTION),
        (normalized.N_CREATE, evt.EVT_N_CREATE),
        (normalized.N_DELETE, evt.EVT_N_DELETE),
    )
}
COMMAND_FIELDS = frozenset(_EVENTS)


class _Answer(NamedTuple):
    status: int
    extra: list[Element]
    dataset: bytes | None = None


def perform(association: AssociationBase, request: Request) -> None:
    """Asks the handler of the request's event, and sends what it returned."""
    connection = association._connection
    assert connection is not None
    service, kind = _EVENTS[request.message.command_field]
    answer = _malformed(service, request)
    bound = association._handlers.intervention(kind)
    if answer is None and bound is None:
        answer = _Answer(PROCESSING_FAILURE, comment(f"no handler for {service.name}"))
    if answer is None and bound is not None:
        handler, args = bound
        try:
            returned = handler(Event(association, kind, {"request": request, "context": request.context}), *args)
            answer = _answer(association, service, request, returned)
        except Exception:
            report_failure(association, kind.name)
    if connection.end is None:
        status, extra, dataset = answer or _Answer(PROCESSING_FAILURE, [])
        if service.type_id is not None and (type_id := getattr(request, service.type_id)) is not None:
            extra = [*extra, (COMMAND_ELEMENTS[service.type_id][0], type_id)]
        connection.respond(request.message, status, dataset, extra, association._core_dimse_timeout)


def _malformed(service: Service, request: Request) -> _Answer | None:
    """The refusal of a request without what it must have; a handler never sees it."""
    needed: dict[str, int] = {service.sop_class: _NO_SUCH_CLASS}
    if service is not normalized.N_CREATE:
        needed[service.sop_instance] = _INVALID_INSTANCE
    if service.type_id is not None:
        needed[service.type_id] = _MISSING[service.type_id]
    for keyword, status in needed.items():
        if getattr(request, keyword) in (None, ""):
            return _Answer(status, comment(f"the {service.name} has no {keyword}"))
    return None


def _answer(association: AssociationBase, service: Service, request: Request, returned: Any) -> _Answer:
    """What a handler returned, as it goes out."""
    given, dataset = returned if isinstance(returned, tuple) and len(returned) == 2 else (returned, None)
    status, extra = wire_status(given)
    # PS3.7 10.1: there is no Offending Element in the responses of these services.
    extra = [element for element in extra if element[0] != COMMAND_ELEMENTS["OffendingElement"][0]]
    if isinstance(given, Dataset):
        known = ((keyword, *COMMAND_ELEMENTS[keyword]) for keyword in _EXTRA if keyword in given)
        extra = [*extra, *((number, encode_value(vr, getattr(given, keyword))) for keyword, number, vr in known)]
    if code_to_category(status) not in (STATUS_SUCCESS, STATUS_WARNING):
        return _Answer(status, extra)
    if service is normalized.N_CREATE and not request.AffectedSOPInstanceUID:
        number, vr = COMMAND_ELEMENTS["AffectedSOPInstanceUID"]
        if number not in dict(extra):
            # PS3.7 10.1.5.1.4: who creates it without being told a UID says which one it has.
            if not isinstance(dataset, Dataset) or not dataset.get("AffectedSOPInstanceUID"):
                LOGGER.error(
                    "The N-CREATE-RQ has no 'Affected SOP Instance UID' value and the 'evt.EVT_N_CREATE' handler "
                    "doesn't include one in the 'Attribute List' dataset: %s",
                    association._name,
                )
                return _Answer(PROCESSING_FAILURE, comment("no SOP Instance UID was chosen"))
            extra = [*extra, (number, encode_value(vr, dataset.AffectedSOPInstanceUID))]
            del dataset.AffectedSOPInstanceUID
    if service is normalized.N_DELETE or not dataset:
        return _Answer(status, extra)
    try:
        return _Answer(status, extra, encode_dataset(dataset, str(request.context.transfer_syntax)))
    except (ValueError, AttributeError, TypeError) as error:
        LOGGER.error(
            "%s: what the handler of %s returned cannot be encoded: %s", association._name, service.name, error
        )
        return _Answer(PROCESSING_FAILURE, [])
