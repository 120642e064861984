"""Attribute matching for anybody's datasets (PS3.4 C.2.2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from . import _sop_class_data as data
from ._core import Key
from .errors import MatchError

#: What is matched: a dataset, or the path of a DICOM file.
Candidate = Dataset | str | Path
T = TypeVar("T", Dataset, str, Path, Candidate)

_IDENTIFIER_DOES_NOT_MATCH = 0xA900

#: The unique key of each level, top first, by information model.
_PATIENT = (
    ("PATIENT", "PatientID"),
    ("STUDY", "StudyInstanceUID"),
    ("SERIES", "SeriesInstanceUID"),
    ("IMAGE", "SOPInstanceUID"),
)
_LEVELS: dict[str, tuple[tuple[str, str], ...]] = {
    "PatientRoot": _PATIENT,
    "StudyRoot": _PATIENT[1:],
    "PatientStudyOnly": _PATIENT[:2],
}

#: Elements of an identifier that are no keys.
_NOT_KEYS = {"QueryRetrieveLevel", "SpecificCharacterSet", "TimezoneOffsetFromUTC", "RetrieveAETitle"}


def _information_model(uid: str) -> str | None:
    """PatientRoot, StudyRoot or PatientStudyOnly; None for a model without levels."""
    keywords = (keyword for keyword, known in data.QUERY_RETRIEVE.items() if known == str(uid))
    keyword = next(keywords, "")
    if not keyword.endswith(("Find", "Move", "Get")):
        return None
    return next((model for model in _LEVELS if keyword.startswith(model)), None)


def _text(element: DataElement) -> str:
    """The value as one text, several values separated by backslashes."""
    value = element.value
    if value is None:
        return ""
    if isinstance(value, (MultiValue, list)):
        return "\\".join("" if one is None else str(one) for one in value)
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class _Keys:
    """The keys of an identifier, or of one item of a sequence in it."""

    def __init__(self, identifier: Dataset) -> None:
        self.values: list[tuple[int, Key]] = []
        self.sequences: list[tuple[int, _Keys]] = []
        self.requested: list[tuple[int, str]] = []
        for element in identifier:
            tag = int(element.tag)
            if element.keyword in _NOT_KEYS or element.tag.element == 0 or element.tag.group <= 2:
                continue
            self.requested.append((tag, element.VR))
            if element.VR == "SQ":
                items = element.value or []
                if items and len(items[0]):
                    self.sequences.append((tag, _Keys(items[0])))
                continue
            key = Key(element.VR, _text(element))
            if not key.is_universal:
                self.values.append((tag, key))

    def match(self, candidate: Dataset, empty_matches: bool) -> bool:
        for tag, key in self.values:
            element = candidate.get(tag)
            if not key.matches("" if element is None else _text(element), empty_matches):
                return False
        for tag, keys in self.sequences:
            element = candidate.get(tag)
            items = [] if element is None or element.value is None else element.value
            if not items:
                if keys.asks and not empty_matches:
                    return False
                continue
            if not any(keys.match(item, empty_matches) for item in items):
                return False
        return True

    @property
    def asks(self) -> bool:
        """Whether anything but universal matching is in it."""
        return bool(self.values) or any(keys.asks for _, keys in self.sequences)

    def response(self, candidate: Dataset, empty_matches: bool) -> Dataset:
        """The requested attributes and no others; of sequences the matching items."""
        response = Dataset()
        inner = dict(self.sequences)
        for tag, vr in self.requested:
            element = candidate.get(tag)
            if element is None:
                response.add_new(tag, vr, [] if vr == "SQ" else None)
            elif vr == "SQ" and tag in inner and element.value:
                keys = inner[tag]
                items = [item for item in element.value if keys.match(item, empty_matches)]
                response.add_new(tag, vr, Sequence([keys.response(item, empty_matches) for item in items]))
            else:
                response[tag] = element
        return response


class Matcher:
    """A query, compiled once: says which datasets match, and what the response for each is.

    Universal, single value, list of UID, wild card, range (DA, TM, DT, partial precision and UTC offsets included)
    and sequence matching;
    names without regard to case, each component group for itself. Matching is that of the Rust core, key by key.

    Args:
        identifier: the keys: `event.identifier` of a C-FIND, C-MOVE or C-GET.
        model: the SOP class of the query; default: none, every key is matched and no level is required.
        relational: whether relational queries were negotiated: unique keys above the level are not required then.

    Raises MatchError for an identifier that the model does not allow.
    """

    def __init__(self, identifier: Dataset, model: str | None = None, relational: bool = False) -> None:
        self._identifier = identifier
        self._model = None if model is None else _information_model(model)
        #: A stored attribute without a value matches any key, except in a worklist.
        self._empty_matches = model is None or self._model is not None
        self.level: str | None = None
        if self._model is not None:
            self.level = self._check(_LEVELS[self._model], relational)
        self._keys = _Keys(identifier)

    def _check(self, levels: tuple[tuple[str, str], ...], relational: bool) -> str:
        """The level of the query, with the unique keys above it present (PS3.4 C.4.1.1.3)."""
        level = str(self._identifier.get("QueryRetrieveLevel") or "").strip()
        names = [name for name, _ in levels]
        if level not in names:
            comment = f"Query/Retrieve Level {level!r} is none of {', '.join(names)}"
            raise MatchError(_IDENTIFIER_DOES_NOT_MATCH, 0x00080052, comment[:64])
        for name, keyword in levels[: names.index(level)]:
            element = self._identifier.data_element(keyword) if keyword in self._identifier else None
            if element is not None and Key(element.VR, _text(element)).is_single_value:
                continue
            if relational and (element is None or Key(element.VR, _text(element)).is_universal):
                continue
            comment = f"{keyword} needs one value: level {level} is below {name}"
            raise MatchError(_IDENTIFIER_DOES_NOT_MATCH, int(Tag(keyword)), comment[:64])
        return level

    def matches(self, candidate: Candidate) -> bool:
        """Whether a dataset, or the DICOM file at a path, matches."""
        return self._keys.match(_dataset(candidate), self._empty_matches)

    def filter(self, candidates: Iterable[T]) -> Iterator[T]:
        """Those that match, as they are."""
        return (candidate for candidate in candidates if self.matches(candidate))

    def response(self, candidate: Candidate, retrieve_aet: str | None = None) -> Dataset:
        """The identifier of a response: the requested attributes, the level, and the AE title to retrieve from."""
        dataset = _dataset(candidate)
        response = self._keys.response(dataset, self._empty_matches)
        if "SpecificCharacterSet" in dataset:
            response.SpecificCharacterSet = dataset.SpecificCharacterSet
        if self.level is not None:
            response.QueryRetrieveLevel = self.level
        if retrieve_aet is not None:
            response.RetrieveAETitle = retrieve_aet
        return response

    def __repr__(self) -> str:
        keys = ", ".join(keyword_for_tag(tag) or f"{tag:08X}" for tag, _ in self._keys.values)
        return f"<Matcher {self.level or ''} {keys}>"


def _dataset(candidate: Any) -> Dataset:
    if isinstance(candidate, Dataset):
        return candidate
    return dcmread(candidate, stop_before_pixels=True)
