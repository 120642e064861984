"""From what the core saw to what handlers are told: bytes, PDUs, ACSE primitives, DIMSE messages, transitions."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from . import dump, evt
from .acse_primitives import primitive_from
from .dimse_messages import Assembler, DIMSEMessage
from .pdu import P_DATA_TF, PDU, pdu_from

if TYPE_CHECKING:
    from .association_base import AssociationBase
    from .events import EventType

LOGGER = logging.getLogger("dimsefast.events")


class Observer:
    """Tells an association's handlers of what passes, in order. The core calls it on one thread at a time."""

    def __init__(self) -> None:
        self._assemblers = {True: Assembler(), False: Assembler()}
        #: How many responses were sent, and received, to the requests in progress, by Message ID.
        self._responses: dict[tuple[bool, int], int] = {}

    def take(self, association: AssociationBase, kind: str, argument: tuple[Any, ...]) -> None:
        """Something that the core saw: "sent" or "received" with (time, bytes), "transition" with (time, names)."""
        timestamp = datetime.fromtimestamp(argument[0])
        tell = partial(_tell, association, timestamp)
        if kind == "transition":
            names = ("current_state", "fsm_event", "action", "next_state")
            tell(evt.EVT_FSM_TRANSITION, dict(zip(names, argument[1:], strict=True)))
            return
        try:
            self._pdu(association, tell, argument[1], kind == "sent")
        except Exception:
            # A peer may send what nobody can read; the association itself has found that out.
            LOGGER.exception("%s: a PDU could not be shown", association._name)

    def _pdu(self, association: AssociationBase, tell: Any, data: bytes, sent: bool) -> None:
        handlers = association._handlers
        pdu = pdu_from(data, association)
        of_bytes, of_pdu, of_acse, of_dimse = _SENT if sent else _RECEIVED
        if sent:
            self._above(association, tell, pdu, of_acse, of_dimse, sent)
        if handlers.has(of_bytes):
            tell(of_bytes, {"data": data})
        if handlers.has(of_pdu):
            tell(of_pdu, {"pdu": pdu})
        dump.log_pdu(pdu, sent)
        if not sent:
            self._above(association, tell, pdu, of_acse, of_dimse, sent)

    def _above(
        self, association: AssociationBase, tell: Any, pdu: PDU, of_acse: EventType, of_dimse: EventType, sent: bool
    ) -> None:
        """What the PDU is for the layers above: an ACSE primitive, or a piece of a DIMSE message."""
        handlers = association._handlers
        if not isinstance(pdu, P_DATA_TF):
            if handlers.has(of_acse):
                tell(of_acse, {"primitive": primitive_from(pdu)})
            return
        told = handlers.has(of_dimse)
        if not told and not dump.is_wanted():
            return
        assembler = self._assemblers[sent]
        assembler.wants_data = told or dump.wants_identifiers()
        for message in assembler.add(pdu):
            if told:
                tell(of_dimse, {"message": message})
            if dump.is_wanted():
                dump.log_message(message, sent, association, self._ordinal(message, sent))

    def _ordinal(self, message: DIMSEMessage, sent: bool) -> int:
        """Which response to its request it is, from 1 on; 0 for a request."""
        command = message.command_set
        if "MessageIDBeingRespondedTo" not in command or "Status" not in command:
            return 0
        key = (sent, command.MessageIDBeingRespondedTo)
        ordinal = self._responses.pop(key, 0) + 1
        if command.Status in (0xFF00, 0xFF01, 0xB001):
            self._responses[key] = ordinal
        return ordinal


_SENT = (evt.EVT_DATA_SENT, evt.EVT_PDU_SENT, evt.EVT_ACSE_SENT, evt.EVT_DIMSE_SENT)
_RECEIVED = (evt.EVT_DATA_RECV, evt.EVT_PDU_RECV, evt.EVT_ACSE_RECV, evt.EVT_DIMSE_RECV)


def _tell(association: AssociationBase, timestamp: datetime, event: EventType, attributes: dict[str, Any]) -> None:
    association._handlers.notify(association, event, {**attributes, "timestamp": timestamp})
