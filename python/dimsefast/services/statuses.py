"""What handlers return as a status, and what becomes of it on the wire."""

from __future__ import annotations

import logging
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from ..request import COMMAND_ELEMENTS, encode_value

if TYPE_CHECKING:
    from ..association_base import AssociationBase

LOGGER = logging.getLogger("dimsefast.services")

#: What the peer gets where a handler's status has no Status element, and where it is no status at all.
NO_STATUS_ELEMENT, NOT_A_STATUS = 0xC001, 0xC002

#: A command element to send: its number in group 0000 and its value.
Element = tuple[int, bytes | int]

#: Elements that a handler may add to a response.
_EXTRA = ("OffendingElement", "ErrorComment", "ErrorID")


def wire_status(value: Any) -> tuple[int, list[Element]]:
    """The status code and the extra command elements for a handler's status: an int, an enum of ints or a Dataset."""
    if isinstance(value, Dataset):
        if "Status" not in value:
            return NO_STATUS_ELEMENT, []
        extra = []
        for keyword in _EXTRA:
            if keyword in value:
                number, vr = COMMAND_ELEMENTS[keyword]
                extra.append((number, encode_value(vr, getattr(value, keyword))))
        return int(value.Status), extra
    if isinstance(value, (int, IntEnum)) and not isinstance(value, bool):
        return int(value) & 0xFFFF, []
    return NOT_A_STATUS, []


def comment(text: str) -> list[Element]:
    """An Error Comment (LO: at most 64 characters)."""
    return [(COMMAND_ELEMENTS["ErrorComment"][0], text.encode("ascii", "replace")[:64])]


def report_failure(association: AssociationBase, event: str) -> None:
    """Logs what a handler raised, with the traceback that its author needs."""
    LOGGER.exception("%s: the handler of %s raised", association._name, event)
