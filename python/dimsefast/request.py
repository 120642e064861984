"""A DIMSE request as a handler sees it: attributes by DICOM keyword, the encoded dataset, whether it was cancelled."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from ._uids import uid

if TYPE_CHECKING:
    from ._core import Message
    from .services.suboperations import SubOperations

#: Command elements by keyword: element number in group 0000, and value representation (PS3.7 Annex E).
COMMAND_ELEMENTS: dict[str, tuple[int, str]] = {
    "AffectedSOPClassUID": (0x0002, "UI"),
    "RequestedSOPClassUID": (0x0003, "UI"),
    "CommandField": (0x0100, "US"),
    "MessageID": (0x0110, "US"),
    "MessageIDBeingRespondedTo": (0x0120, "US"),
    "MoveDestination": (0x0600, "AE"),
    "Priority": (0x0700, "US"),
    "CommandDataSetType": (0x0800, "US"),
    "Status": (0x0900, "US"),
    "OffendingElement": (0x0901, "AT"),
    "ErrorComment": (0x0902, "LO"),
    "ErrorID": (0x0903, "US"),
    "AffectedSOPInstanceUID": (0x1000, "UI"),
    "RequestedSOPInstanceUID": (0x1001, "UI"),
    "EventTypeID": (0x1002, "US"),
    "AttributeIdentifierList": (0x1005, "AT"),
    "ActionTypeID": (0x1008, "US"),
    "NumberOfRemainingSuboperations": (0x1020, "US"),
    "NumberOfCompletedSuboperations": (0x1021, "US"),
    "NumberOfFailedSuboperations": (0x1022, "US"),
    "NumberOfWarningSuboperations": (0x1023, "US"),
    "MoveOriginatorApplicationEntityTitle": (0x1030, "AE"),
    "MoveOriginatorMessageID": (0x1031, "US"),
}

_BY_NUMBER = {number: (keyword, vr) for keyword, (number, vr) in COMMAND_ELEMENTS.items()}


class ContextTuple(NamedTuple):
    """A presentation context in use: its ID, abstract syntax and the one transfer syntax."""

    context_id: int
    abstract_syntax: UID
    transfer_syntax: UID


def decode_value(vr: str, value: bytes) -> Any:
    """The Python value of a command element: int, str, `UID`, or a list of tags for more than one AT."""
    if vr == "US":
        return struct.unpack("<H", value[:2])[0] if len(value) >= 2 else None
    if vr == "AT":
        pairs = [struct.unpack_from("<HH", value, at) for at in range(0, len(value) - 3, 4)]
        tags: list[BaseTag] = [Tag(pair) for pair in pairs]
        return tags[0] if len(tags) == 1 else tags
    text = value.decode("latin-1")
    if vr == "UI":
        return uid(text.rstrip("\0 "))
    return text.strip("\0 ") if vr == "AE" else text.rstrip("\0 ")


def encode_value(vr: str, value: Any) -> bytes | int:
    """The inverse of `decode_value`: what the core takes as the value of a command element."""
    if vr == "US":
        return int(value) & 0xFFFF
    if vr == "AT":
        tags = [value] if isinstance(value, (int, str)) else list(value)
        return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in map(Tag, tags))
    return str(value).encode("ascii", "replace")[:64]


def command_elements(message: Message) -> dict[str, tuple[int, str, Any]]:
    """All known elements of a message: keyword to (element number, VR, value)."""
    found = {}
    for number, value in message.elements():
        if known := _BY_NUMBER.get(number):
            keyword, vr = known
            found[keyword] = (number, vr, decode_value(vr, value))
    return found


class Request:
    """A request that a handler performs.

    Attributes are those of the command set by DICOM keyword (`MessageID`, `AffectedSOPClassUID`, `Priority`, ...); one
    that the peer did not send is None. They are decoded when they are asked for.
    """

    def __init__(self, message: Message, context: ContextTuple) -> None:
        self.message = message
        self.context = context
        #: What became of the objects of a C-GET or C-MOVE, once it is over.
        self.sub_operations: SubOperations | None = None

    def __getattr__(self, name: str) -> Any:
        try:
            number, vr = COMMAND_ELEMENTS[name]
        except KeyError:
            raise AttributeError(f"a DIMSE request has no attribute {name!r}") from None
        value = self.message.element(number)
        decoded = None if value is None else decode_value(vr, value)
        self.__dict__[name] = decoded
        return decoded

    @property
    def is_cancelled(self) -> bool:
        """Whether a C-CANCEL for this request has come, or its association is over."""
        return self.message.is_cancelled

    def dataset_bytes(self) -> bytes | None:
        """The encoded dataset in the context's transfer syntax; None where the request has none."""
        return self.message.dataset()

    @property
    def dataset_path(self) -> Path | None:
        """The DICOM file that the dataset was written to; None where it is in memory."""
        path = self.message.path
        return None if path is None else Path(path)
