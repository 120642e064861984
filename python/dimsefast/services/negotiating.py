"""Answering an A-ASSOCIATE-RQ where a handler has a say in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import evt
from ..events import Event, EventType
from .statuses import report_failure

if TYPE_CHECKING:
    from ..association_base import AssociationBase

#: PS3.8 9.3.4: rejected permanent, by the user, no reason given: what a refused user identity gets.
_REFUSED = (0x01, 0x01, 0x01)


def negotiate(association: AssociationBase) -> None:
    """Asks the handlers of negotiation, then accepts or rejects."""
    connection = association._connection
    assert connection is not None
    if connection.end is not None:
        # Who was told of the request has aborted, or the peer is gone.
        return
    user = association.requestor
    identity_response: bytes | None = None
    identity = user.user_identity
    if identity is not None:
        attributes = {
            "user_id_type": identity.user_identity_type,
            "primary_field": identity.primary_field,
            "secondary_field": identity.secondary_field,
        }
        handled, answer = _ask(association, evt.EVT_USER_ID, attributes)
        if handled:
            verified, identity_response = answer if isinstance(answer, tuple) else (False, None)
            if not verified:
                connection.reject(*_REFUSED)
                return
            if not identity.positive_response_requested:
                identity_response = None
    window: tuple[int, int] | None = None
    if user.asynchronous_operations != (1, 1):
        invoked, performed = user.asynchronous_operations
        handled, answer = _ask(association, evt.EVT_ASYNC_OPS, {"nr_invoked": invoked, "nr_performed": performed})
        if handled and isinstance(answer, tuple):
            window = (int(answer[0]), int(answer[1]))
    information: list[tuple[str, bytes]] = []
    if user.sop_class_extended:
        handled, answer = _ask(association, evt.EVT_SOP_EXTENDED, {"app_info": user.sop_class_extended})
        if handled and isinstance(answer, dict):
            information = [(str(uid), info) for uid, info in answer.items() if info is not None]
    if user.sop_class_common_extended:
        handled, answer = _ask(association, evt.EVT_SOP_COMMON, {"items": user.sop_class_common_extended})
        if handled and isinstance(answer, dict):
            association._accepted_common = {
                uid: (item.service_class_uid, list(item.related_general_sop_class_identification))
                for uid, item in answer.items()
            }
    connection.accept(window, information, identity_response)


def _ask(association: AssociationBase, kind: EventType, attributes: dict[str, Any]) -> tuple[bool, Any]:
    """Whether a handler answered, and what."""
    bound = association._handlers.intervention(kind)
    if bound is None:
        return False, None
    handler, args = bound
    try:
        return True, handler(Event(association, kind, attributes), *args)
    except Exception:
        report_failure(association, kind.name)
        # A user whose identity could not be verified is not let in; anything else counts as not supported.
        return kind is evt.EVT_USER_ID, None
