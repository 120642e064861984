"""A line in the log for each request that was performed here: who asked for what, and what came of it.

C-ECHO and C-STORE are left out: they are many, and counted with their association. Without patient data: the identifier
is at hand for a handler of `logging` that wants it, `record.operation.request`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ..association_base import AssociationBase
    from ..request import Request

LOGGER = logging.getLogger("dimsefast.operations")

_NAMES = {
    0x0010: "C-GET",
    0x0020: "C-FIND",
    0x0021: "C-MOVE",
    0x0100: "N-EVENT-REPORT",
    0x0110: "N-GET",
    0x0120: "N-SET",
    0x0130: "N-ACTION",
    0x0140: "N-CREATE",
    0x0150: "N-DELETE",
}


class Operation(NamedTuple):
    """What the log says of a request; `LogRecord.operation` of its record.

    Attributes:
        request: the request.
        fields: names and values of what is to be told, as plain texts and numbers.
    """

    request: Request
    fields: dict[str, Any]


def peer_fields(association: AssociationBase) -> dict[str, Any]:
    """Who an association is with, for a log."""
    peer = association.requestor if association.is_acceptor else association.acceptor
    asked = association._negotiation
    return {
        "peer": f"{peer.address}:{peer.port}",
        "calling": association.requestor.ae_title.strip(),
        # As it was asked for, which may be no title of ours.
        "called": (association.acceptor.ae_title if asked is None else asked.called).strip(),
    }


def log_request(association: AssociationBase, request: Request) -> None:
    """Logs a request that is over."""
    name = _NAMES.get(request.message.command_field)
    if name is None or request.message.turn is not None or not LOGGER.isEnabledFor(logging.INFO):
        return
    status, pending, seconds = request.message.outcome
    fields = {"operation": name, **peer_fields(association)}
    fields["status"] = "none" if status is None else f"{status:04X}"
    words = []
    if name == "C-FIND":
        fields["matches"] = pending
        words.append(f"{pending} matches")
    if name == "C-MOVE":
        fields["destination"] = str(request.MoveDestination or "")
        words.append(f"to {fields['destination']}")
    if (objects := request.sub_operations) is not None:
        counts = {"completed": objects.completed, "failed": objects.failed, "warning": objects.warning}
        fields |= counts
        words += [f"{count} {what}" for what, count in counts.items() if count or what == "completed"]
    fields["seconds"] = round(seconds, 6)
    words.append(f"{fields['status']}H in {seconds:.3f} s" if status is not None else "never answered")
    who = f"{fields['calling']}@{fields['peer']} at {fields['called']}"
    LOGGER.info("%s from %s: %s", name, who, ", ".join(words), extra={"operation": Operation(request, fields)})
