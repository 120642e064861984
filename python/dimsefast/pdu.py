"""PDUs as those who look on see them (`event.pdu`): read-only, made of the bytes that passed (PS3.8 9.3).

Nothing in here takes part in an association: the core has its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydicom.uid import UID

from ._uids import uid

if TYPE_CHECKING:
    from .presentation import PresentationContext
    from .service_user import ServiceUser

#: Behind type and length of an A-ASSOCIATE PDU: protocol version, reserved, two AE titles, 32 reserved bytes.
_FIRST_ITEM = 74


class PDU:
    """One PDU.

    Attributes:
        pdu_type: its type, 1 to 7.
    """

    pdu_type: ClassVar[int] = 0
    #: As the standard writes it.
    name: ClassVar[str] = ""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def pdu_length(self) -> int:
        """Its length field, in bytes: what follows type and length."""
        return len(self._data) - 6

    def encode(self) -> bytes:
        """Its bytes."""
        return self._data

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, PDU) and self._data == other._data

    def __hash__(self) -> int:
        return hash(self._data)

    def __str__(self) -> str:
        from .dump import pdu_lines

        return "\n".join([f"{self.name} PDU", *(f"  {line}" for line in pdu_lines(self))])

    __repr__ = object.__repr__


class _Associate(PDU):
    """What A-ASSOCIATE-RQ and -AC have in common. The items are those of the association."""

    def __init__(self, data: bytes, user: ServiceUser, contexts: list[PresentationContext]) -> None:
        super().__init__(data)
        #: The user information items, as attributes of the `ServiceUser` that sent them.
        self.user_information = user
        #: `PresentationContext` objects: proposed, or with their results.
        self.presentation_context = contexts

    @property
    def protocol_version(self) -> int:
        """A bit for each version."""
        return int.from_bytes(self._data[6:8], "big")

    @property
    def called_ae_title(self) -> str:
        """Without the spaces around it."""
        return self._data[10:26].decode("ascii", "replace").strip()

    @property
    def calling_ae_title(self) -> str:
        """Without the spaces around it."""
        return self._data[26:42].decode("ascii", "replace").strip()

    @property
    def application_context_name(self) -> UID:
        """Of the first item; empty where that is another one."""
        kind, length = struct.unpack_from(">BxH", self._data, _FIRST_ITEM)
        first = self._data[_FIRST_ITEM + 4 : _FIRST_ITEM + 4 + length]
        return uid(first.decode("ascii", "replace") if kind == 0x10 else "")


class A_ASSOCIATE_RQ(_Associate):  # noqa: N801 - the standard's name
    """A-ASSOCIATE-RQ."""

    pdu_type, name = 0x01, "A-ASSOCIATE-RQ"


class A_ASSOCIATE_AC(_Associate):  # noqa: N801
    """A-ASSOCIATE-AC."""

    pdu_type, name = 0x02, "A-ASSOCIATE-AC"


class A_ASSOCIATE_RJ(PDU):  # noqa: N801
    """A-ASSOCIATE-RJ."""

    pdu_type, name = 0x03, "A-ASSOCIATE-RJ"

    @property
    def result(self) -> int:
        """1 permanent, 2 transient."""
        return self._data[7]

    @property
    def source(self) -> int:
        """1 service user, 2 service provider (ACSE), 3 service provider (presentation)."""
        return self._data[8]

    @property
    def reason_diagnostic(self) -> int:
        """What it means depends on the source (PS3.8 Table 9-21)."""
        return self._data[9]

    @property
    def result_str(self) -> str:
        """In words."""
        return _RESULTS.get(self.result, "(no value available)")

    @property
    def source_str(self) -> str:
        """In words."""
        return _SOURCES.get(self.source, "(no value available)")

    @property
    def reason_str(self) -> str:
        """In words."""
        return _REASONS.get((self.source, self.reason_diagnostic), "(no value available)")


class P_DATA_TF(PDU):  # noqa: N801
    """P-DATA-TF."""

    pdu_type, name = 0x04, "P-DATA-TF"

    @cached_property
    def presentation_data_value_items(self) -> list[PresentationDataValueItem]:
        """Its PDVs."""
        return list(_items(self._data))


class A_RELEASE_RQ(PDU):  # noqa: N801
    """A-RELEASE-RQ."""

    pdu_type, name = 0x05, "A-RELEASE-RQ"


class A_RELEASE_RP(PDU):  # noqa: N801
    """A-RELEASE-RP."""

    pdu_type, name = 0x06, "A-RELEASE-RP"


class A_ABORT_RQ(PDU):  # noqa: N801
    """A-ABORT."""

    pdu_type, name = 0x07, "A-ABORT"

    @property
    def source(self) -> int:
        """0 service user, 2 service provider."""
        return self._data[8]

    @property
    def reason_diagnostic(self) -> int:
        """Significant where the source is the service provider."""
        return self._data[9]

    @property
    def source_str(self) -> str:
        """In words."""
        return _ABORT_SOURCES.get(self.source, "(no value available)")

    @property
    def reason_str(self) -> str:
        """In words."""
        if self.source != 2:
            return "No reason given"
        return _ABORT_REASONS.get(self.reason_diagnostic, "(no value available)")


class PresentationDataValueItem(NamedTuple):
    """One PDV (PS3.8 9.3.5.1)."""

    presentation_context_id: int
    #: The message control header and the fragment behind it.
    presentation_data_value: bytes

    @property
    def is_command(self) -> bool:
        """Whether it is of a command set; else of a dataset."""
        return bool(self.presentation_data_value[0] & 1)

    @property
    def is_last(self) -> bool:
        """Whether it is the last fragment of either."""
        return bool(self.presentation_data_value[0] & 2)

    @property
    def fragment(self) -> bytes:
        """Without the message control header."""
        return self.presentation_data_value[1:]


def _items(data: bytes) -> Iterator[PresentationDataValueItem]:
    at = 6
    while at + 6 <= len(data):
        length, context_id = struct.unpack_from(">IB", data, at)
        yield PresentationDataValueItem(context_id, data[at + 5 : at + 4 + length])
        at += 4 + length


_KINDS: dict[int, type[PDU]] = {
    kind.pdu_type: kind for kind in (A_ASSOCIATE_RJ, P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT_RQ)
}


def pdu_from(data: bytes, association: Any) -> PDU:
    """The PDU with these bytes, of an association."""
    if data[0] == A_ASSOCIATE_RQ.pdu_type:
        requestor = association.requestor
        return A_ASSOCIATE_RQ(data, requestor, list(requestor.requested_contexts))
    if data[0] == A_ASSOCIATE_AC.pdu_type:
        return A_ASSOCIATE_AC(data, association.acceptor, list(association._contexts))
    return _KINDS[data[0]](data)


# PS3.8 Tables 9-21 and 9-26.
_RESULTS = {1: "Rejected Permanent", 2: "Rejected Transient"}
_SOURCES = {
    1: "Service User",
    2: "Service Provider (ACSE)",
    3: "Service Provider (Presentation)",
}
_REASONS = {
    (1, 1): "No reason given",
    (1, 2): "Application context name not supported",
    (1, 3): "Calling AE title not recognised",
    (1, 7): "Called AE title not recognised",
    (2, 1): "No reason given",
    (2, 2): "Protocol version not supported",
    (3, 1): "Temporary congestion",
    (3, 2): "Local limit exceeded",
}
_ABORT_SOURCES = {0: "DUL service-user", 2: "DUL service-provider"}
_ABORT_REASONS = {
    0: "No reason given",
    1: "Unrecognised PDU",
    2: "Unexpected PDU",
    4: "Unrecognised PDU parameter",
    5: "Unexpected PDU parameter",
    6: "Invalid PDU parameter value",
}
