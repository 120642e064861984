"""Identifiers for C-FIND, C-MOVE and C-GET, with the usual return keys filled in.

    query.study(patient_id="12345", study_date=(date(2024, 1, 1), None))
    query.worklist(modality="CT", scheduled_procedure_step_start_date=date.today())

Attributes are given by keyword argument, in snake case (`patient_id`) or as DICOM has them (`PatientID`). A value is

- text, with `*` and `?` where it may have wild cards, and None or "" for a key that everything matches;
- a `date`, `time` or `datetime`, or a pair of them, either of which may be None, for a range. For an attribute that is
  a date, a `datetime` sets the time that belongs to it, too: the pair is one range of instants where combined date-time
  matching was negotiated;
- a number;
- for a UID any iterable of them, but not an empty one: one of these;
- for a sequence a dict of such attributes, or a Dataset.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword
from pydicom.dataset import Dataset

__all__ = ["image", "patient", "series", "study", "worklist"]

_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_STUDY = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ModalitiesInStudy",
    "ReferringPhysicianName",
    "StudyDescription",
    "StudyInstanceUID",
    "StudyID",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
_SERIES = (
    "SeriesDate",
    "SeriesTime",
    "Modality",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
    "NumberOfSeriesRelatedInstances",
)
_IMAGE = ("SOPClassUID", "SOPInstanceUID", "InstanceNumber")
_WORKLIST = (
    *_PATIENT,
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyInstanceUID",
    "RequestingPhysician",
    "RequestedProcedureDescription",
    "RequestedProcedureID",
    "RequestedProcedurePriority",
)
_STEP = (
    "Modality",
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledPerformingPhysicianName",
    "ScheduledProcedureStepDescription",
    "ScheduledStationName",
    "ScheduledProcedureStepLocation",
    "ScheduledProcedureStepID",
)

_KEYWORDS = {keyword.lower(): keyword for keyword in keyword_dict}


def patient(returning: Iterable[str] | None = None, **attributes: Any) -> Dataset:
    """An identifier at level PATIENT. `returning` are the keywords of its return keys, in place of the usual ones."""
    return _level("PATIENT", _PATIENT, returning, attributes)


def study(returning: Iterable[str] | None = None, **attributes: Any) -> Dataset:
    """An identifier at level STUDY. `returning` are the keywords of its return keys, in place of the usual ones."""
    return _level("STUDY", (*_PATIENT, *_STUDY), returning, attributes)


def series(returning: Iterable[str] | None = None, **attributes: Any) -> Dataset:
    """An identifier at level SERIES; hierarchical queries need the unique keys of the levels above."""
    return _level("SERIES", ("PatientID", "StudyInstanceUID", *_SERIES), returning, attributes)


def image(returning: Iterable[str] | None = None, **attributes: Any) -> Dataset:
    """An identifier at level IMAGE; hierarchical queries need the unique keys of the levels above."""
    return _level("IMAGE", ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", *_IMAGE), returning, attributes)


def worklist(returning: Iterable[str] | None = None, **attributes: Any) -> Dataset:
    """An identifier for a Modality Worklist. Attributes of a scheduled procedure step go into its sequence."""
    given = {_keyword(name): value for name, value in attributes.items()}
    step = {keyword: given.pop(keyword) for keyword in list(given) if keyword in _STEP}
    whole = given.pop("ScheduledProcedureStepSequence", None)
    wanted = None if returning is None else _keywords(returning)
    identifier = _dataset(given, _WORKLIST if wanted is None else [name for name in wanted if name not in _STEP])
    item = _dataset(step, _STEP if wanted is None else [name for name in wanted if name in _STEP])
    if isinstance(whole, Dataset):
        item.update(whole)
    elif whole:
        _fill(item, {_keyword(name): value for name, value in dict(whole).items()})
    _hand_up(item, identifier)
    identifier.ScheduledProcedureStepSequence = [item]
    return _with_character_set(identifier)


def _level(level: str, usual: Iterable[str], returning: Iterable[str] | None, attributes: dict[str, Any]) -> Dataset:
    given = {_keyword(name): value for name, value in attributes.items()}
    identifier = _dataset(given, usual if returning is None else _keywords(returning))
    identifier.QueryRetrieveLevel = level
    return _with_character_set(identifier)


def _dataset(given: dict[str, Any], returned: Iterable[str]) -> Dataset:
    dataset = Dataset()
    for keyword in returned:
        setattr(dataset, keyword, [] if dictionary_VR(keyword) == "SQ" else "")
    _fill(dataset, given)
    return dataset


def _fill(dataset: Dataset, given: dict[str, Any]) -> None:
    for keyword, value in given.items():
        _set(dataset, keyword, value)


def _keywords(names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise TypeError(f"returning is a list of keywords, not {names!r}")
    return [_keyword(name) for name in names]


def _keyword(name: str) -> str:
    keyword = _KEYWORDS.get(name.replace("_", "").lower())
    if keyword is None:
        close = difflib.get_close_matches(name.replace("_", "").lower(), _KEYWORDS, 1)
        meant = f"; did you mean {_KEYWORDS[close[0]]}?" if close else ""
        raise TypeError(f"DICOM has no attribute {name!r}{meant}")
    return keyword


def _set(dataset: Dataset, keyword: str, value: Any) -> None:
    vr = dictionary_VR(keyword)
    if value is None:
        value = ""
    if vr == "SQ":
        inner = value
        if not isinstance(value, Dataset):
            inner = _dataset({_keyword(name): one for name, one in dict(value or {}).items()}, ())
            _hand_up(inner, dataset)
        setattr(dataset, keyword, [inner])
    elif vr in ("DA", "TM", "DT"):
        _set_instant(dataset, keyword, vr, value)
    elif isinstance(value, (str, int, float, Decimal)):
        setattr(dataset, keyword, value)
    elif isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, memoryview)):
        values = [one if isinstance(one, (int, float, Decimal)) else str(one) for one in value]
        if vr == "UI" and not values:
            # Without a value it would match, and retrieve, everything.
            raise ValueError(f"{keyword} is one of no UIDs; None asks for any")
        setattr(dataset, keyword, values)
    else:
        raise TypeError(f"{keyword} cannot be {value!r}")


def _set_instant(dataset: Dataset, keyword: str, vr: str, value: Any) -> None:
    """A date or time, or a pair of them, as a range."""
    if isinstance(value, str):
        setattr(dataset, keyword, value)
        return
    ends = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    instants = [end for end in ends if isinstance(end, datetime)]
    partner = keyword.replace("Date", "Time")
    with_time = bool(instants) and vr == "DA" and partner != keyword and tag_for_keyword(partner) is not None
    dataset.add_new(tag_for_keyword(keyword) or 0, vr, _range(keyword, vr, ends))
    if with_time:
        dataset.add_new(tag_for_keyword(partner) or 0, "TM", _range(partner, "TM", ends))
        offsets = {f"{instant:%z}"[:5] for instant in instants}
        if offsets != {""}:
            if len(offsets) > 1:
                raise ValueError(f"{keyword}: both ends must have the same offset from UTC")
            _set_offset(dataset, offsets.pop())


def _set_offset(dataset: Dataset, offset: str) -> None:
    if dataset.get("TimezoneOffsetFromUTC") not in (None, "", offset):
        raise ValueError("all dates and times must have the same offset from UTC")
    dataset.TimezoneOffsetFromUTC = offset


def _hand_up(item: Dataset, dataset: Dataset) -> None:
    """The offset from UTC of an item is that of the whole identifier (PS3.3 C.12.1.1.8)."""
    if "TimezoneOffsetFromUTC" in item:
        _set_offset(dataset, str(item.pop("TimezoneOffsetFromUTC").value))


def _range(keyword: str, vr: str, ends: tuple[Any, ...]) -> str:
    if len(ends) == 1:
        return _text(keyword, vr, ends[0])
    if len(ends) != 2:
        raise ValueError(f"{keyword} is a range of two ends, not {len(ends)}")
    first, last = (_text(keyword, vr, end) for end in ends)
    return f"{first}-{last}" if first or last else ""


def _text(keyword: str, vr: str, end: Any) -> str:
    if end is None or isinstance(end, str):
        return end or ""
    if vr == "DA" and isinstance(end, date):
        return _date(end)
    if vr == "TM" and isinstance(end, (time, datetime)):
        return f"{end:%H%M%S.%f}" if end.microsecond else f"{end:%H%M%S}"
    if vr == "DT" and isinstance(end, datetime):
        return f"{_date(end)}{end:%H%M%S.%f}" + f"{end:%z}"[:5]
    if vr == "DT" and isinstance(end, date):
        return _date(end)
    raise TypeError(f"{keyword} ({vr}) cannot be {end!r}")


def _date(day: date) -> str:
    # %Y has no leading zeros everywhere.
    return f"{day.year:04}{day:%m%d}"


def _with_character_set(identifier: Dataset) -> Dataset:
    """Says UTF-8 where a key is beyond ASCII and nothing else was said."""
    text = (str(element.value) for element in identifier.iterall() if element.VR != "SQ")
    if not all(map(str.isascii, text)) and not identifier.get("SpecificCharacterSet"):
        identifier.SpecificCharacterSet = "ISO_IR 192"
    return identifier
