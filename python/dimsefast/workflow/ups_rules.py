"""The states of a Unified Procedure Step and what may be done in them (PS3.4 CC.1.1 and Table CC.2.5-3), as data."""

from __future__ import annotations

from pydicom.dataset import Dataset

from .service import Refusal

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = "SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"
#: The columns of the table; the first is for an instance that does not exist.
STATES: tuple[str | None, ...] = (None, SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED)

MAY_NO_LONGER_BE_UPDATED, WRONG_TRANSACTION, ALREADY_IN_PROGRESS = 0xC300, 0xC301, 0xC302
ONLY_BY_CREATE, FINAL_STATE_NOT_MET, NO_SUCH_UPS = 0xC303, 0xC304, 0xC307
UNKNOWN_RECEIVER, NOT_CREATED_SCHEDULED, NOT_IN_PROGRESS = 0xC308, 0xC309, 0xC310
ALREADY_COMPLETED, PERFORMER_UNREACHABLE, NOT_TO_BE_CANCELLED = 0xC311, 0xC312, 0xC313
ACTION_NOT_APPROPRIATE, NO_EVENT_REPORTS = 0xC314, 0xC315
#: Warnings.
IS_CANCELED, IS_COMPLETED = 0xB304, 0xB306
MISSING_ATTRIBUTE, MISSING_VALUE, INVALID_VALUE, DUPLICATE_INSTANCE = 0x0120, 0x0121, 0x0106, 0x0111

WORDS = {
    MAY_NO_LONGER_BE_UPDATED: "The UPS may no longer be updated",
    WRONG_TRANSACTION: "The correct Transaction UID was not provided",
    ALREADY_IN_PROGRESS: "The UPS is already IN PROGRESS",
    ONLY_BY_CREATE: "The UPS may only become SCHEDULED via N-CREATE",
    FINAL_STATE_NOT_MET: "The UPS has not met final state requirements",
    NO_SUCH_UPS: "There is no such UPS here",
    UNKNOWN_RECEIVER: "Receiving AE-TITLE is Unknown to this SCP",
    NOT_CREATED_SCHEDULED: "The provided value of UPS State was not SCHEDULED",
    NOT_IN_PROGRESS: "The UPS is not yet in the IN PROGRESS state",
    ALREADY_COMPLETED: "The UPS is already COMPLETED",
    PERFORMER_UNREACHABLE: "The performer cannot be contacted",
    NOT_TO_BE_CANCELLED: "Performer chooses not to cancel",
    ACTION_NOT_APPROPRIATE: "Specified action not appropriate for specified instance",
    NO_EVENT_REPORTS: "SCP does not support Event Reports",
    IS_CANCELED: "The UPS is already in the requested state of CANCELED",
    IS_COMPLETED: "The UPS is already in the requested state of COMPLETED",
    DUPLICATE_INSTANCE: "This UPS has been created before",
}

#: What comes of it: the new state, a status that is a failure or a warning, or None: done, and the state stays.
Cell = str | int | None

#: PS3.4 Table CC.1.1-2, and CC.2.6 for N-SET: by what is asked (the state that N-ACTION asks for, or what else) and
#: whether the Transaction UID is right (None where it is not looked at), a cell for each of `STATES`. For a scheduled
#: step any Transaction UID is right.
TABLE: dict[tuple[str, bool | None], tuple[Cell, Cell, Cell, Cell, Cell]] = {
    ("create", None): (SCHEDULED, 0x0111, 0x0111, 0x0111, 0x0111),
    (SCHEDULED, None): (0xC307, 0xC303, 0xC303, 0xC303, 0xC303),
    (IN_PROGRESS, True): (0xC307, IN_PROGRESS, 0xC302, 0xC300, 0xC300),
    (IN_PROGRESS, False): (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
    (COMPLETED, True): (0xC307, 0xC310, COMPLETED, 0xB306, 0xC300),
    (COMPLETED, False): (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
    (CANCELED, True): (0xC307, 0xC310, CANCELED, 0xC300, 0xB304),
    (CANCELED, False): (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
    ("request cancel", None): (0xC307, CANCELED, None, 0xC311, 0xB304),
    ("set", True): (0xC307, 0xC310, None, 0xC300, 0xC300),
    ("set", False): (0xC307, None, 0xC301, 0xC300, 0xC300),
}

#: Type 1 at N-CREATE.
CREATE_NEEDS = (
    "ProcedureStepState",
    "ScheduledProcedureStepPriority",
    "ProcedureStepLabel",
    "ScheduledProcedureStepStartDateTime",
    "InputReadinessState",
)

#: What has to be there before a final state: the sequence, what its item has, and what of that may be empty.
FINAL_NEEDS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    COMPLETED: (
        "UnifiedProcedureStepPerformedProcedureSequence",
        (
            "PerformedStationNameCodeSequence",
            "PerformedProcedureStepStartDateTime",
            "PerformedWorkitemCodeSequence",
            "PerformedProcedureStepEndDateTime",
        ),
        ("OutputInformationSequence",),
    ),
    CANCELED: (
        "ProcedureStepProgressInformationSequence",
        ("ProcedureStepCancellationDateTime",),
        ("ProcedureStepDiscontinuationReasonCodeSequence",),
    ),
}

#: Not allowed in N-SET: the state is changed by N-ACTION, and the lock and the identity never.
NEVER_SET = ("ProcedureStepState", "SOPClassUID", "SOPInstanceUID")


def cell(request: str, transaction_is_right: bool | None, state: str | None) -> Cell:
    """What comes of a request in a state."""
    row = TABLE.get((request, None)) or TABLE[request, transaction_is_right]
    return row[STATES.index(state)]


def refuse(status: int) -> Refusal:
    """The refusal with this status, in the standard's words."""
    return Refusal(status, WORDS[status])


def check_create(step: Dataset) -> None:
    """Raises Refusal where N-CREATE must not be done with these attributes."""
    for keyword in CREATE_NEEDS:
        if keyword not in step:
            raise Refusal(MISSING_ATTRIBUTE, f"no {keyword}")
        if not step[keyword].value:
            raise Refusal(MISSING_VALUE, f"{keyword} has no value")
    if step.ProcedureStepState != SCHEDULED:
        raise refuse(NOT_CREATED_SCHEDULED)


def is_ready_for(state: str, step: Dataset) -> bool:
    """Whether a step has what its final state needs."""
    keyword, needed, may_be_empty = FINAL_NEEDS[state]
    items = step.get(keyword) or ()
    return bool(items) and all(
        all(item.get(name) for name in needed) and all(name in item for name in may_be_empty) for item in items
    )
