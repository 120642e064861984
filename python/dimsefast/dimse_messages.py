"""DIMSE messages as those who look on see them (`event.message`), put together from the PDVs that passed."""

from __future__ import annotations

from io import BytesIO
from typing import Any, ClassVar

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from .pdu import P_DATA_TF

#: Command Data Set Type of a message without a dataset (PS3.7 E.1).
_NO_DATASET = 0x0101


class DIMSEMessage:
    """A message: one class for each kind (`C_ECHO_RQ`, `C_STORE_RSP`, ...).

    Attributes:
        context_id: the presentation context that it passed in.
        command_set: its command set, as a pydicom Dataset.
        data_set: its encoded dataset, as a `BytesIO`; None where it has none, or nobody wanted it.
    """

    #: As the logs call it: "C-ECHO RQ".
    message_type: ClassVar[str] = ""

    def __init__(self, context_id: int, command_set: Dataset, data_set: BytesIO | None) -> None:
        self.context_id = context_id
        self.command_set = command_set
        self.data_set = data_set

    @property
    def has_dataset(self) -> bool:
        """Whether the command set says that a dataset follows."""
        return bool(self.command_set.get("CommandDataSetType", _NO_DATASET) != _NO_DATASET)

    def __str__(self) -> str:
        from .dump import message_lines

        return "\n".join(message_lines(self))


#: Command Field to the name of the message (PS3.7 E.1).
_NAMES = {
    0x0001: "C_STORE_RQ",
    0x8001: "C_STORE_RSP",
    0x0010: "C_GET_RQ",
    0x8010: "C_GET_RSP",
    0x0020: "C_FIND_RQ",
    0x8020: "C_FIND_RSP",
    0x0021: "C_MOVE_RQ",
    0x8021: "C_MOVE_RSP",
    0x0030: "C_ECHO_RQ",
    0x8030: "C_ECHO_RSP",
    0x0100: "N_EVENT_REPORT_RQ",
    0x8100: "N_EVENT_REPORT_RSP",
    0x0110: "N_GET_RQ",
    0x8110: "N_GET_RSP",
    0x0120: "N_SET_RQ",
    0x8120: "N_SET_RSP",
    0x0130: "N_ACTION_RQ",
    0x8130: "N_ACTION_RSP",
    0x0140: "N_CREATE_RQ",
    0x8140: "N_CREATE_RSP",
    0x0150: "N_DELETE_RQ",
    0x8150: "N_DELETE_RSP",
    0x0FFF: "C_CANCEL_RQ",
}


def _message_type(name: str) -> str:
    kind, _, direction = name.rpartition("_")
    return f"{kind.replace('_', '-', 1).replace('_', '-')} {direction}"


#: The class of each kind of message, by Command Field.
MESSAGES: dict[int, type[DIMSEMessage]] = {
    field: type(
        name,
        (DIMSEMessage,),
        {"message_type": _message_type(name), "__module__": __name__, "__doc__": f"{_message_type(name)}."},
    )
    for field, name in _NAMES.items()
}


def __getattr__(name: str) -> Any:
    for field, known in _NAMES.items():
        if name == known:
            return MESSAGES[field]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Assembler:
    """Puts messages together, of one direction of an association. Datasets are kept only where `wants_data`."""

    def __init__(self) -> None:
        self.wants_data = False
        self._command = bytearray()
        self._data = bytearray()
        self._waiting: tuple[int, Dataset] | None = None

    def add(self, pdu: P_DATA_TF) -> list[DIMSEMessage]:
        """The messages that are whole with this PDU; without datasets, with their command sets."""
        whole = []
        for item in pdu.presentation_data_value_items:
            if item.is_command:
                self._command += item.fragment
                if item.is_last:
                    made = self._begin(item.presentation_context_id)
                    whole += [made] if made is not None else []
            elif self.wants_data and self._waiting is not None:
                self._data += item.fragment
                if item.is_last:
                    context_id, command = self._waiting
                    whole.append(_make(context_id, command, BytesIO(bytes(self._data))))
                    self._waiting = None
        return whole

    def _begin(self, context_id: int) -> DIMSEMessage | None:
        # PS3.7 6.3.1: command sets are Implicit VR Little Endian.
        command = read_dataset(BytesIO(bytes(self._command)), True, True)
        self._command.clear()
        self._data.clear()
        message = _make(context_id, command, None)
        if message.has_dataset and self.wants_data:
            self._waiting = (context_id, command)
            return None
        self._waiting = None
        return message


def _make(context_id: int, command: Dataset, data: BytesIO | None) -> DIMSEMessage:
    return MESSAGES.get(command.get("CommandField", 0), DIMSEMessage)(context_id, command, data)
