"""C-MOVE and C-GET of a client: which keys are sent, which contexts are proposed, what arrived."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import UID

from .. import _sop_class_data as data
from .. import query
from ..entity_settings import MOST_REQUESTED_CONTEXTS
from ..presentation import ALL_TRANSFER_SYNTAXES, PresentationContext, build_context, build_role
from .reports import Failure, RetrieveReport

LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
UNIQUE = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}

#: What objects most often are in, in the order in which contexts are given to them.
_COMMON = [
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, Selection Value 1
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
]

#: Message IDs of moves: one that is running has one of its own in the process, so that its objects can be told apart.
_message_ids = itertools.count()


def next_message_id() -> int:
    """The Message ID for a move."""
    return next(_message_ids) % 0xFFFF + 1


class Instance(NamedTuple):
    """An object that a peer has."""

    study: str
    series: str
    sop_instance: str
    sop_class: str


def retrieve_keys(identifier: Dataset, root: str) -> Dataset:
    """The keys of an identifier that a retrieval may have (PS3.4 C.4.2.1.4.1): the unique ones down to its level.

    So what `find` returned and what `query.study()` builds can be used as it is. An identifier without its level's
    own unique key keeps what it has: some peers know what to make of that.

    Raises ValueError where nothing is left: that would be everything.
    """
    level = str(identifier.QueryRetrieveLevel)
    down_to = LEVELS[: LEVELS.index(level) + 1]
    if identifier.get(UNIQUE[level]):
        kept = [UNIQUE[at] for at in down_to if identifier.get(UNIQUE[at])]
        if "StudyRoot" in root and level != "PATIENT" and "PatientID" in kept:
            kept.remove("PatientID")
    else:
        kept = [element.keyword for element in identifier if element.value not in ("", None, []) and element.keyword]
        kept = [keyword for keyword in kept if keyword not in ("QueryRetrieveLevel", "SpecificCharacterSet")]
    if not kept:
        raise ValueError(f"the identifier names nothing to retrieve: give it {UNIQUE[level]}")
    keys = Dataset()
    for keyword in ("SpecificCharacterSet", "QueryRetrieveLevel", *kept):
        if keyword in identifier:
            keys[keyword] = identifier[keyword]
    return keys


async def instances(
    find: Callable[[Dataset, str | None], AsyncIterator[Dataset]], identifier: Dataset
) -> AsyncIterator[Instance]:
    """The objects that match, found level by level as hierarchical queries must. `find` takes a query and its model."""
    level = str(identifier.QueryRetrieveLevel)
    keys = {UNIQUE[at]: identifier.get(UNIQUE[at]) for at in LEVELS}
    if level == "PATIENT":
        wanted = {k: v for k, v in retrieve_keys(identifier, "PatientRoot").items() if k != 0x00080052}
        studies = query.study(["StudyInstanceUID"])
        studies.update(wanted)
        # In the Study Root model a study without Patient ID matches any (PS3.4 C.2.2.1.2).
        uids = [str(found.StudyInstanceUID) async for found in find(studies, "patient")]
    else:
        uids = _uids(keys["StudyInstanceUID"])
    for study in uids:
        if level in ("PATIENT", "STUDY"):
            rows = find(query.series(["SeriesInstanceUID"], study_instance_uid=study), None)
            series = [str(found.SeriesInstanceUID) async for found in rows]
        else:
            series = _uids(keys["SeriesInstanceUID"])
        for one in series:
            asked = query.image(
                ["SOPInstanceUID", "SOPClassUID"],
                study_instance_uid=study,
                series_instance_uid=one,
                **({"sop_instance_uid": _uids(keys["SOPInstanceUID"])} if level == "IMAGE" else {}),
            )
            async for found in find(asked, None):
                yield Instance(study, one, str(found.get("SOPInstanceUID") or ""), str(found.get("SOPClassUID") or ""))


def _uids(value: Any) -> list[str]:
    if not value:
        return []
    return [value] if isinstance(value, str) else [str(one) for one in value]


def get_contexts(model: str, classes: Iterable[str]) -> tuple[list[PresentationContext], list[Any]]:
    """The contexts and roles of a C-GET.

    A context ends with one transfer syntax, and the peer sends what it holds in this one or not at all: so each class
    gets a context for each transfer syntax, as many as fit beside the others, those that objects most often are in
    first. Where a class gets only one context, that has all transfer syntaxes in it and the peer chooses. Without
    classes all the usual ones get one.
    """
    room = MOST_REQUESTED_CONTEXTS - 1
    known = sorted(set(classes))
    if not known:
        names = set(data.STORAGE) - data.LESS_COMMON_STORAGE
        known = sorted(data.STORAGE[name] for name in names)
    known = known[:room]
    each = min(room // len(known), len(ALL_TRANSFER_SYNTAXES))
    ordered = _COMMON + [str(syntax) for syntax in ALL_TRANSFER_SYNTAXES if str(syntax) not in _COMMON]
    contexts = [build_context(model)]
    for cls in known:
        if each == 1:
            contexts.append(build_context(cls, ordered))
        else:
            contexts.extend(build_context(cls, [syntax]) for syntax in ordered[:each])
    return contexts, [build_role(cls, scp_role=True) for cls in known]


def take_status(report: RetrieveReport, status: Dataset, identifier: Dataset | None) -> None:
    """Takes in the counts of a response, and of the final one the list of what failed."""
    report.completed = int(status.get("NumberOfCompletedSuboperations") or 0) + int(
        status.get("NumberOfWarningSuboperations") or 0
    )
    report.warnings = int(status.get("NumberOfWarningSuboperations") or 0)
    report.failed_count = int(status.get("NumberOfFailedSuboperations") or 0)
    if identifier is not None:
        for uid in _uids(identifier.get("FailedSOPInstanceUIDList")):
            report.failures.append(Failure(uid, "the peer could not send it"))


def contained(folder: Path) -> dict[str, Path]:
    """The objects in a folder by SOP Instance UID, as far as their file names tell."""
    return {path.name.removesuffix(".dcm"): path for path in folder.glob("*.dcm") if UID(path.stem).is_valid}
