"""What the index keeps of a file: its header, and the attributes that have columns."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from .. import _core
from ..dataset import encode_dataset
from ..objects import EXPLICIT_LITTLE
from .schema import (
    INSTANCE_ATTRIBUTES,
    PATIENT_ATTRIBUTES,
    SERIES_ATTRIBUTES,
    STUDY_ATTRIBUTES,
    Attribute,
    column_value,
)

LOGGER = logging.getLogger("dimsefast.archive")

#: Values that are longer are left out where pydicom has to read a file, in bytes, as the core leaves them out.
_VALUE_LIMIT: Final = 4096

#: Attributes in the order in which they are asked for: the unique keys, then those of each level.
_UNIQUE: Final = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
#: (0008,0016) SOP Class UID is the one of the file meta group.
_INSTANCE: Final = tuple(attribute for attribute in INSTANCE_ATTRIBUTES if attribute.keyword != "SOPClassUID")
_LEVELS: Final = (PATIENT_ATTRIBUTES, STUDY_ATTRIBUTES, SERIES_ATTRIBUTES, _INSTANCE)
_KEYWORDS: Final = (*_UNIQUE, *(attribute.keyword for level in _LEVELS for attribute in level))
_TAGS: Final = [tag_for_keyword(keyword) or 0 for keyword in _KEYWORDS]

_PATIENT: Final = len(_UNIQUE)
_STUDY: Final = _PATIENT + len(PATIENT_ATTRIBUTES)
_SERIES: Final = _STUDY + len(STUDY_ATTRIBUTES)
_IMAGE: Final = _SERIES + len(SERIES_ATTRIBUTES)

#: What stands in columns, in the order of the attributes.
Values = tuple[str | int | None, ...]


class Entry(NamedTuple):
    """What the index keeps of a file.

    Attributes:
        name: of the file in the storage.
        header: in Explicit VR Little Endian; see `schema`.
        texts: values of `_KEYWORDS`, decoded; None where absent.
        sop_class: SOP Class UID, as the other two of the file meta group.
        sop_instance: SOP Instance UID.
        transfer_syntax: Transfer Syntax UID.
        size: length of the file in bytes.
    """

    name: str
    header: bytes
    texts: tuple[str | None, ...]
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    size: int

    @property
    def unique(self) -> tuple[str, str, str]:
        """Patient ID, Study Instance UID, Series Instance UID; "" where absent."""
        patient, study, series = self.texts[:_PATIENT]
        return patient or "", study or "", series or ""

    @property
    def patient(self) -> Values:
        """The columns of the patient."""
        return _columns(PATIENT_ATTRIBUTES, self.texts[_PATIENT:_STUDY])

    @property
    def study(self) -> Values:
        """The columns of the study."""
        return _columns(STUDY_ATTRIBUTES, self.texts[_STUDY:_SERIES])

    @property
    def series(self) -> Values:
        """The columns of the series."""
        return _columns(SERIES_ATTRIBUTES, self.texts[_SERIES:_IMAGE])

    @property
    def instance(self) -> Values:
        """The columns of the instance, without SOP Class UID."""
        return _columns(_INSTANCE, self.texts[_IMAGE:])


@lru_cache(maxsize=4096)
def _columns(attributes: tuple[Attribute, ...], texts: tuple[str | None, ...]) -> Values:
    # Most objects say of their patient, study and series what the one before did.
    return tuple(column_value(attribute.vr, text) for attribute, text in zip(attributes, texts, strict=True))


class Unreadable(NamedTuple):
    """A file that cannot be indexed, and why."""

    name: str
    reason: str


def read_entries(folder: Path, names: list[str]) -> list[Entry | Unreadable | None]:
    """What the index keeps of these files, in their order; None where there is no such file."""
    read = _core.read_index_headers(folder, names, _TAGS)
    entries: list[Entry | Unreadable | None] = []
    for name, found in zip(names, read, strict=True):
        if isinstance(found, str):
            entries.append(_read_as_far_as_possible(folder / name, name, found))
        else:
            entries.append(None if found is None else Entry(name, *found))
    return entries


def _read_as_far_as_possible(path: Path, name: str, reason: str) -> Entry | Unreadable:
    """A file whose dataset the core refuses, as pydicom reads it; by its UIDs alone where that cannot, either."""
    try:
        sop_class, sop_instance, transfer_syntax, _ = _core.read_file_meta(path)
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        return Unreadable(name, str(error))
    try:
        dataset = _read(path, sop_class, sop_instance)
        header = encode_dataset(dataset, EXPLICIT_LITTLE)
        texts = tuple(_text(dataset, keyword) for keyword in _KEYWORDS)
    except Exception as error:
        LOGGER.warning("%s can be found by its SOP Instance UID only: %s (%s)", path, reason, error)
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, sop_instance
        header, texts = encode_dataset(dataset, EXPLICIT_LITTLE), (None,) * len(_KEYWORDS)
    return Entry(name, header, texts, sop_class, sop_instance, transfer_syntax, size)


def _read(path: Path, sop_class: str, sop_instance: str) -> Dataset:
    dataset = dcmread(path, stop_before_pixels=True, defer_size=_VALUE_LIMIT)
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        if isinstance(element, RawDataElement) and (element.value is None or element.length > _VALUE_LIMIT):
            del dataset[tag]
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, sop_instance
    return dataset


def _text(dataset: Dataset, keyword: str) -> str | None:
    element = dataset.get(tag_for_keyword(keyword) or 0)
    if element is None:
        return None
    value = element.value
    texts = value if element.VM > 1 else [value]
    return "\\".join("" if text is None else str(text) for text in texts).strip(" \0")
