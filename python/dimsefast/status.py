"""Status codes: what they mean, and status objects that are cheap to make."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Self

from pydicom.dataset import Dataset

from .dataset import LazyDataset

STATUS_SUCCESS = "Success"
STATUS_PENDING = "Pending"
STATUS_CANCEL = "Cancel"
STATUS_WARNING = "Warning"
STATUS_FAILURE = "Failure"
STATUS_UNKNOWN = "Unknown"

#: The codes of PS3.7 Annex C that mean failure; those of the service classes are ranges.
_GENERAL_FAILURES = frozenset(
    {
        *range(0x0105, 0x0107),
        *range(0x0110, 0x0116),
        *range(0x0117, 0x011A),
        *range(0x0120, 0x0125),
        *range(0x0210, 0x0214),
    }
)
_GENERAL_WARNINGS = frozenset({0x0001, 0x0107, 0x0116})


def code_to_category(code: int) -> str:
    """Success, Pending, Cancel, Warning, Failure or Unknown, over all services.

    Raises ValueError for a negative code.
    """
    if not isinstance(code, int) or code < 0:
        raise ValueError(f"a status code is a non-negative int, not {code!r}")
    if code == 0x0000:
        return STATUS_SUCCESS
    if code in (0xFF00, 0xFF01):
        return STATUS_PENDING
    if code == 0xFE00:
        return STATUS_CANCEL
    if code in _GENERAL_FAILURES or 0xA000 <= code <= 0xAFFF or 0xC000 <= code <= 0xCFFF:
        return STATUS_FAILURE
    if code in _GENERAL_WARNINGS or 0xB000 <= code <= 0xBFFF:
        return STATUS_WARNING
    return STATUS_UNKNOWN


def code_to_status(code: int) -> Dataset:
    """A status object with this code. Raises ValueError for a negative one."""
    if not isinstance(code, int) or code < 0:
        raise ValueError(f"a status code is a non-negative int, not {code!r}")
    return StatusDataset._make(code, ())


class Status(IntEnum):
    """Status codes by name. `Status.add(name, code)` adds one."""

    SUCCESS = 0x0000
    CANCEL = 0xFE00
    PENDING = 0xFF00
    MOVE_DESTINATION_UNKNOWN = 0xA801

    @classmethod
    def add(cls, name: str, code: int) -> None:
        """Adds a code under a name, usable wherever a status is."""
        member = int.__new__(cls, code)
        member._name_ = name
        member._value_ = code
        cls._member_map_[name] = member
        cls._value2member_map_.setdefault(code, member)
        if name not in cls._member_names_:
            cls._member_names_.append(name)
        type.__setattr__(cls, name, member)


_STATUS = 0x00000900

#: (element number in group 0000, VR, value)
Extra = tuple[int, str, Any]


class StatusDataset(LazyDataset):
    """A status: a `Dataset` with Status and the optional elements that came with it.

    It becomes a full Dataset when anything but `Status` is asked for: most programs look at nothing else.
    """

    @classmethod
    def _make(cls, code: int, extra: tuple[Extra, ...]) -> Self:
        return cls._of((code, extra))

    @property
    def Status(self) -> int:  # noqa: N802 - the DICOM keyword
        """Status (0000,0900)."""
        unbuilt = self.__dict__.get("_unbuilt")
        if unbuilt is not None:
            return int(unbuilt[0])
        if _STATUS not in self:
            raise AttributeError("there is no Status: the peer gave no valid answer in time, or the association ended")
        return int(self[_STATUS].value)

    def _attributes(self, unbuilt: tuple[int, tuple[Extra, ...]]) -> dict[str, Any]:
        code, extra = unbuilt
        elements = Dataset()
        for number, vr, value in ((_STATUS, "US", code), *extra):
            elements.add_new(number, vr, value)
        return {"_dict": elements._dict}
