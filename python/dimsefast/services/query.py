"""Queries (PS3.4 Annex C and its relatives): C-FIND."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from .. import evt
from ..dataset import encode_dataset
from ..events import Event
from ..responses import LIMIT_REACHED, REPOSITORY_QUERY
from ..service_class import RelevantPatientInformationQueryServiceClass
from ..sop_class import uid_to_service_class
from .statuses import Element, report_failure, wire_status

if TYPE_CHECKING:
    from ..association_base import AssociationBase
    from ..request import Request

PENDING = (0xFF00, 0xFF01)
SUCCESS, CANCELLED = 0x0000, 0xFE00
#: Processing failure: the handler raised, or there is none; an identifier that cannot be encoded.
FAILED, NOT_ENCODABLE = 0xC311, 0xC312


def find(association: AssociationBase, request: Request) -> None:
    """Sends each match as its own Pending response as soon as the handler yields it, then one final response.

    A handler that has several at once may yield `(status, list of identifiers)`: each is a response of its own, too.
    """
    connection = association._connection
    assert connection is not None
    timeout = association._core_dimse_timeout
    syntax = str(request.context.transfer_syntax)
    matches: Iterator[Any] | None = None
    cancelled = False
    is_single = uid_to_service_class(request.context.abstract_syntax) is RelevantPatientInformationQueryServiceClass
    try:
        code = SUCCESS
        extra: list[Element] = []
        try:
            matches = _matches(association, request)
            for code, extra, identifier in _pairs(matches):
                if connection.end is not None:
                    return
                if code not in PENDING:
                    if code == LIMIT_REACHED and request.context.abstract_syntax == REPOSITORY_QUERY:
                        connection.respond(request.message, code, None, extra, timeout)
                        continue
                    break
                if request.is_cancelled:
                    if cancelled:
                        break
                    # The handler sees it when it goes on; one that still has matches then does not look.
                    cancelled = True
                    continue
                if isinstance(identifier, list):
                    several = [_encoded(one, syntax) for one in identifier]
                    known = [one for one in several if one is not None]
                    if len(known) < len(several):
                        code, extra = NOT_ENCODABLE, []
                        break
                    cancelled = connection.respond_many(request.message, code, known, timeout) < len(known)
                    continue
                encoded = _encoded(identifier, syntax)
                if encoded is None:
                    code, extra = NOT_ENCODABLE, []
                    break
                connection.respond(request.message, code, encoded, extra, timeout)
                if is_single:
                    # PS3.4 Q.4.1: one match at most.
                    code, extra = SUCCESS, []
                    break
            else:
                code, extra = SUCCESS, []
            if cancelled and code in (*PENDING, SUCCESS):
                code, extra = CANCELLED, []
        except (ConnectionAbortedError, TimeoutError):
            raise
        except Exception:
            report_failure(association, "EVT_C_FIND")
            code, extra = FAILED, []
        if connection.end is None:
            connection.respond(request.message, code, None, extra, timeout)
    finally:
        close = getattr(matches, "close", None)
        if close is not None:
            close()


def _matches(association: AssociationBase, request: Request) -> Iterator[Any]:
    bound = association._handlers.intervention(evt.EVT_C_FIND)
    if bound is None:
        raise NotImplementedError("no handler is bound to EVT_C_FIND")
    handler, args = bound
    event = Event(association, evt.EVT_C_FIND, {"request": request, "context": request.context})
    matches = handler(event, *args)
    # A handler that has nothing to yield may be no generator.
    return iter(() if matches is None else matches)


def _pairs(matches: Iterator[Any]) -> Iterator[tuple[int, list[Element], Any]]:
    """What the handler yields as (code, extra command elements, identifier)."""
    for item in matches:
        status, identifier = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
        yield *wire_status(status), identifier


def _encoded(identifier: Any, transfer_syntax: str) -> bytes | None:
    """An identifier as it goes out: bytes are encoded already. None where it cannot be encoded."""
    if isinstance(identifier, bytes):
        return identifier
    if not isinstance(identifier, Dataset):
        return None
    try:
        return encode_dataset(identifier, transfer_syntax)
    except ValueError:
        return None
