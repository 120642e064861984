"""Storage (PS3.4 Annex B): C-STORE."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _core, evt
from ..events import Event
from .statuses import Element, report_failure, wire_status

if TYPE_CHECKING:
    from ..association_base import AssociationBase
    from ..request import Request

LOGGER = logging.getLogger("dimsefast.services")

#: Out of resources: the object cannot be written.
NOT_WRITTEN = 0xA700
#: Processing failure: the handler raised, or there is none.
FAILED = 0xC211


def store(association: AssociationBase, request: Request) -> None:
    """Hands a received object to the handler of EVT_C_STORE and sends its status.

    Before the object is whole: says where it goes, or writes the next piece of it.
    """
    connection = association._connection
    assert connection is not None
    turn = request.message.turn
    if turn == "decide":
        decide(association, connection, request)
        return
    if turn == "write":
        write(association, connection, request)
        return
    code = FAILED
    extra: list[Element] = []
    bound = association._handlers.intervention(evt.EVT_C_STORE)
    if bound is not None:
        handler, args = bound
        message = request.message
        attributes = {
            "request": request,
            "context": request.context,
            "header": message.header,
            "dataset_length": message.dataset_length,
        }
        try:
            code, extra = wire_status(handler(Event(association, evt.EVT_C_STORE, attributes), *args))
        except Exception:
            report_failure(association, "EVT_C_STORE")
        if message.path is not None and association._storing is None:
            # A temporary file is there during the handler only.
            with suppress(OSError):
                Path(message.path).unlink()
    if connection.end is None:
        connection.respond(request.message, code, None, extra, association._core_dimse_timeout)


def decide(association: AssociationBase, connection: _core.Connection, request: Request) -> None:
    """Asks the callable of `store_to` where the object goes."""
    storing = association._storing
    assert storing is not None and storing.decide is not None
    plan: _core.StorePlan | None = None
    status: int | None = None
    writer: Any = None
    try:
        answer = storing.decide(request, association, request.message.header)
        if isinstance(answer, int) and not isinstance(answer, bool):
            status = int(answer) & 0xFFFF
        elif hasattr(answer, "write"):
            writer = answer
        else:
            # Where its folder cannot be made, the file cannot, either: the core says so when it tries.
            plan = storing.plan_for(association.ae, answer)
    except Exception:
        LOGGER.exception("%s: the callable of store_to failed", association._name)
        status = FAILED
    connection.proceed(plan, status, writer)


def write(association: AssociationBase, connection: _core.Connection, request: Request) -> None:
    """Gives a piece of the dataset to what the callable of `store_to` returned."""
    given = request.message.piece()
    assert given is not None
    writer, piece, last = given
    status: int | None = None
    try:
        write_all(writer, piece)
        if last and hasattr(writer, "close"):
            writer.close()
    except Exception as error:
        LOGGER.exception("%s: an object could not be written to %r", association._name, writer)
        status = NOT_WRITTEN if isinstance(error, OSError) else FAILED
    connection.proceed(status=status)


def write_all(writer: Any, piece: bytes) -> None:
    """Writes all of it, where `write` may take a part and say how much that was."""
    while piece:
        taken = writer.write(piece)
        if not isinstance(taken, int) or taken >= len(piece):
            return
        piece = piece[taken:]
