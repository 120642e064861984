"""What a Modality Performed Procedure Step must have, and when it may change (PS3.4 Table F.7.2-1), as data."""

from __future__ import annotations

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from .service import Refusal

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
STATES = (IN_PROGRESS, COMPLETED, DISCONTINUED)

INVALID_VALUE, PROCESSING_FAILURE, DUPLICATE_INSTANCE = 0x0106, 0x0110, 0x0111
NO_SUCH_INSTANCE, MISSING_ATTRIBUTE, MISSING_VALUE = 0x0112, 0x0120, 0x0121
ATTRIBUTE_LIST_ERROR = 0x0107
#: PS3.4 F.7.2.2.4: Error ID of "may no longer be updated".
NO_LONGER_UPDATED = 0xA710

#: Type 1 at N-CREATE.
CREATE_NEEDS = (
    "ScheduledStepAttributesSequence",
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "PerformedProcedureStepStatus",
    "Modality",
)
#: Type 1 in each item of the Scheduled Step Attributes Sequence.
SCHEDULED_STEP_NEEDS = ("StudyInstanceUID",)

#: Type 2 at N-CREATE. Real modalities leave some out: providers here do not mind, users here fill them in.
CREATE_MAY_BE_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "ReferencedPatientSequence",
    "PerformedStationName",
    "PerformedLocation",
    "PerformedProcedureStepDescription",
    "PerformedProcedureTypeDescription",
    "ProcedureCodeSequence",
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "StudyID",
    "PerformedProtocolCodeSequence",
    "PerformedSeriesSequence",
)

#: Type 1 once it is COMPLETED or DISCONTINUED. Who was discontinued before the first series often has none.
FINAL_NEEDS = {
    COMPLETED: ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", "PerformedSeriesSequence"),
    DISCONTINUED: ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime"),
}
#: Type 1 in each item of the Performed Series Sequence in the final state.
SERIES_NEEDS = ("ProtocolName", "SeriesInstanceUID")

#: Not allowed in N-SET.
NEVER_CHANGED = (
    "ScheduledStepAttributesSequence",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "OtherPatientIDsSequence",
    "PatientBirthDate",
    "PatientSex",
    "ReferencedPatientSequence",
    "AdmissionID",
    "ServiceEpisodeID",
    "ServiceEpisodeDescription",
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedStationName",
    "PerformedLocation",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "Modality",
    "StudyID",
)


def check_create(step: Dataset) -> None:
    """Raises Refusal where N-CREATE must not be done with these attributes."""
    _need(step, CREATE_NEEDS)
    for item in step.ScheduledStepAttributesSequence:
        _need(item, SCHEDULED_STEP_NEEDS)
    if step.PerformedProcedureStepStatus != IN_PROGRESS:
        raise Refusal(INVALID_VALUE, f"a step is created {IN_PROGRESS}, not {step.PerformedProcedureStepStatus}")


def check_set(step: Dataset, result: Dataset) -> None:
    """Raises Refusal where an N-SET must not make `result` of `step`."""
    if step.get("PerformedProcedureStepStatus") != IN_PROGRESS:
        raise Refusal(PROCESSING_FAILURE, "Performed Procedure Step Object may no longer be updated", NO_LONGER_UPDATED)
    state = result.get("PerformedProcedureStepStatus")
    if state not in STATES:
        raise Refusal(INVALID_VALUE, f"no Performed Procedure Step Status: {state!r}")
    if state != IN_PROGRESS:
        _need(result, FINAL_NEEDS[state])
        for item in result.get("PerformedSeriesSequence") or ():
            _need(item, SERIES_NEEDS)


def refused_changes(step: Dataset, changes: Dataset) -> list[str]:
    """The attributes that an N-SET gives another value although it may not."""
    given = (keyword for keyword in NEVER_CHANGED if keyword in changes)
    return [keyword for keyword in given if changes[keyword].value != step.get(keyword)]


def filled(step: Dataset) -> Dataset:
    """A copy with what may be empty at N-CREATE. Raises ValueError where it lacks what may not."""
    result = Dataset()
    for keyword in CREATE_MAY_BE_EMPTY:
        setattr(result, keyword, [] if dictionary_VR(keyword) == "SQ" else "")
    result.PerformedProcedureStepStatus = IN_PROGRESS
    result.update(step)
    try:
        check_create(result)
    except Refusal as refusal:
        raise ValueError(f"the performed procedure step cannot be created: {refusal}") from None
    return result


def _need(dataset: Dataset, keywords: tuple[str, ...]) -> None:
    for keyword in keywords:
        if keyword not in dataset:
            raise Refusal(MISSING_ATTRIBUTE, f"no {keyword}")
        if not dataset[keyword].value and dataset[keyword].value != 0:
            raise Refusal(MISSING_VALUE, f"{keyword} has no value")
