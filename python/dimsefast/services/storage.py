"""Storage (PS3.4 Annex B): C-STORE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import evt
from ..events import Event
from .statuses import Element, report_failure, wire_status

if TYPE_CHECKING:
    from ..association import Association
    from ..request import Request

#: Processing failure: the handler raised, or there is none.
FAILED = 0xC211


def store(association: Association, request: Request) -> None:
    """Hands a received object to the handler of EVT_C_STORE and sends its status."""
    connection = association._connection
    assert connection is not None
    code = FAILED
    extra: list[Element] = []
    bound = association._handlers.intervention(evt.EVT_C_STORE)
    if bound is not None:
        handler, args = bound
        try:
            event = Event(association, evt.EVT_C_STORE, {"request": request, "context": request.context})
            code, extra = wire_status(handler(event, *args))
        except Exception:
            report_failure(association, "EVT_C_STORE")
    if connection.end is None:
        connection.respond(request.message, code, None, extra, association._core_dimse_timeout)
