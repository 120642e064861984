"""What the core is asked to tell: bits for everything that somebody has bound a handler to, or wants to read."""

from __future__ import annotations

from . import dump, evt
from .events import EventType, HandlerTable

#: The core's numbering of notices.
NOTICES: tuple[EventType, ...] = (
    evt.EVT_CONN_OPEN,
    evt.EVT_REQUESTED,
    evt.EVT_ACCEPTED,
    evt.EVT_REJECTED,
    evt.EVT_ESTABLISHED,
    evt.EVT_RELEASED,
    evt.EVT_ABORTED,
    evt.EVT_CONN_CLOSE,
)
NOTICE_BY_NAME = {event.name: event for event in NOTICES}
#: Any of them.
ANY_NOTICE = (1 << len(NOTICES)) - 1

_OBSERVE_PDUS, _OBSERVE_TRANSITIONS, _OBSERVE_COMMANDS = 1 << 8, 1 << 9, 1 << 10
#: What makes an association tell its handlers while it goes on.
OBSERVE = _OBSERVE_PDUS | _OBSERVE_TRANSITIONS | _OBSERVE_COMMANDS
_BOUND_ECHO, _BOUND_STORE, _BOUND_NEGOTIATION = 1 << 16, 1 << 17, 1 << 18

_OF_PDUS = (
    evt.EVT_ACSE_RECV,
    evt.EVT_ACSE_SENT,
    evt.EVT_DATA_RECV,
    evt.EVT_DATA_SENT,
    evt.EVT_DIMSE_RECV,
    evt.EVT_DIMSE_SENT,
    evt.EVT_PDU_RECV,
    evt.EVT_PDU_SENT,
)
_NEGOTIATION = (
    evt.EVT_ASYNC_OPS,
    evt.EVT_SOP_COMMON,
    evt.EVT_SOP_EXTENDED,
    evt.EVT_USER_ID,
    # Who is told of a request before it is answered may look, wait, or abort: it is answered behind them.
    evt.EVT_CONN_OPEN,
    evt.EVT_REQUESTED,
    evt.EVT_ACSE_RECV,
    evt.EVT_DATA_RECV,
    evt.EVT_PDU_RECV,
)


def core_bits(handlers: HandlerTable) -> int:
    """What the core must hand to Python; everything else it settles where it was read."""
    bits = 0
    if not handlers.is_empty:
        bits = sum(1 << at for at, event in enumerate(NOTICES) if handlers.has(event))
        if any(handlers.has(event) for event in _OF_PDUS):
            bits |= _OBSERVE_PDUS
        if handlers.has(evt.EVT_FSM_TRANSITION):
            bits |= _OBSERVE_TRANSITIONS
    if dump.is_wanted():
        bits |= _OBSERVE_PDUS if dump.wants_identifiers() else _OBSERVE_COMMANDS
    if bits:
        # The last notice of all: whoever is told of anything is kept until then.
        bits |= 1 << NOTICES.index(evt.EVT_CONN_CLOSE)
    if handlers.has(evt.EVT_C_ECHO):
        bits |= _BOUND_ECHO
    if handlers.has(evt.EVT_C_STORE):
        bits |= _BOUND_STORE
    if any(handlers.has(event) for event in _NEGOTIATION):
        bits |= _BOUND_NEGOTIATION
    return bits
