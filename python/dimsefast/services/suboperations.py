"""The C-STORE sub-operations of C-GET and C-MOVE: what was done, and what the responses say of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import UID

from ..dataset import encode_dataset
from ..request import COMMAND_ELEMENTS
from ..status import code_to_category
from .statuses import Element

if TYPE_CHECKING:
    from ..association_base import AssociationBase
    from ..request import Request

PENDING, SUCCESS, WARNING, ALL_FAILED, CANCELLED = 0xFF00, 0x0000, 0xB000, 0xA702, 0xFE00

#: The counters are US: they stop at the top.
_TOP = 0xFFFF


@dataclass
class SubOperations:
    """The counts of one C-GET or C-MOVE."""

    announced: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_instances: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Sub-operations that are over, either way."""
        return self.completed + self.failed + self.warning

    @property
    def remaining(self) -> int:
        """Sub-operations that are still to come."""
        return max(0, self.announced - self.done)

    def count(self, status: int, sop_instance: str) -> None:
        """Counts one by the status of its C-STORE."""
        category = code_to_category(status)
        if category == "Success":
            self.completed += 1
        elif category == "Warning":
            self.warning += 1
        else:
            self.failed += 1
            if sop_instance:
                self.failed_instances.append(sop_instance)

    def final_status(self) -> int:
        """Success where everything succeeded, failure where everything failed, a warning for anything between."""
        if self.failed == self.warning == 0:
            return SUCCESS
        return ALL_FAILED if self.completed == self.warning == 0 else WARNING

    def elements(self, with_remaining: bool) -> list[Element]:
        """The counters as command elements."""
        counts = {
            "NumberOfCompletedSuboperations": self.completed,
            "NumberOfFailedSuboperations": self.failed,
            "NumberOfWarningSuboperations": self.warning,
        }
        if with_remaining:
            counts["NumberOfRemainingSuboperations"] = self.remaining
        return [(COMMAND_ELEMENTS[keyword][0], min(count, _TOP)) for keyword, count in counts.items()]


def respond_pending(
    association: AssociationBase, request: Request, operations: SubOperations, extra: Iterable[Element] = ()
) -> None:
    """The Pending response after a sub-operation: all four counters, what the handler added, no dataset."""
    connection = association._connection
    assert connection is not None
    elements = [*operations.elements(True), *extra]
    connection.respond(request.message, PENDING, None, elements, association._core_dimse_timeout)


def respond_finally(
    association: AssociationBase,
    request: Request,
    operations: SubOperations,
    status: int,
    extra: list[Element],
    failed_instances: list[str],
) -> None:
    """The final response: Remaining only where it was cancelled, the failed list only where there is one."""
    connection = association._connection
    assert connection is not None
    if connection.end is not None:
        return
    encoded: bytes | None = None
    if failed_instances and status != SUCCESS:
        identifier = Dataset()
        identifier.FailedSOPInstanceUIDList = failed_instances
        encoded = encode_dataset(identifier, str(request.context.transfer_syntax))
    elements = [*operations.elements(status == CANCELLED), *extra]
    request.sub_operations = operations
    connection.respond(request.message, status, encoded, elements, association._core_dimse_timeout)


def own_failed_list(yielded: Any) -> list[str]:
    """The Failed SOP Instance UID List that a handler put into what it yielded with a final status."""
    if not isinstance(yielded, Dataset):
        return []
    listed = yielded.get("FailedSOPInstanceUIDList") or []
    return [str(uid) for uid in ([listed] if isinstance(listed, (str, UID)) else listed)]
