"""Verification (PS3.4 Annex A): C-ECHO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import evt
from ..events import Event
from .statuses import NO_STATUS_ELEMENT, NOT_A_STATUS, Element, report_failure, wire_status

if TYPE_CHECKING:
    from ..association_base import AssociationBase
    from ..request import Request


def echo(association: AssociationBase, request: Request) -> None:
    """Answers C-ECHO. The core does it by itself unless a handler is bound; whatever that does, the peer gets an
    answer.
    """
    connection = association._connection
    assert connection is not None
    code = 0x0000
    extra: list[Element] = []
    bound = association._handlers.intervention(evt.EVT_C_ECHO)
    if bound is not None:
        handler, args = bound
        try:
            event = Event(association, evt.EVT_C_ECHO, {"request": request, "context": request.context})
            code, extra = wire_status(handler(event, *args))
            if code in (NO_STATUS_ELEMENT, NOT_A_STATUS):
                code, extra = 0x0000, []
        except Exception:
            report_failure(association, "EVT_C_ECHO")
    connection.respond(request.message, code, None, extra, association._core_dimse_timeout)
