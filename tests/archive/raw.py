"""Datasets as bytes, with values that nothing has looked at; and what an archive ought to find among them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from dimsefast import Matcher
from dimsefast.archive.search import Options
from pydicom.datadict import tag_for_keyword
from pydicom.uid import UID

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_LONG = {"OB", "OW", "SQ", "UN", "UT"}

CLASS, INSTANCE = "SOPClassUID", "SOPInstanceUID"
UNIQUE = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", INSTANCE)
LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")


class Element(NamedTuple):
    """An attribute as it is stored or asked for."""

    keyword: str
    vr: str
    value: bytes


def encoded(elements: Iterable[Element]) -> bytes:
    """A dataset in Explicit VR Little Endian."""
    out = b""
    for tag, vr, value in sorted((tag_for_keyword(keyword) or 0, vr, value) for keyword, vr, value in elements):
        value += b"\0" * (len(value) % 2) if vr == "UI" else b" " * (len(value) % 2)
        out += struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
        out += struct.pack("<HI", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))
        out += value
    return out


def file(elements: Iterable[Element]) -> bytes:
    """The bytes of a DICOM file."""
    found = {element.keyword: element.value for element in elements}
    syntax = Element("TransferSyntaxUID", "UI", EXPLICIT_LITTLE.encode())
    meta = encoded(
        [
            Element("FileMetaInformationVersion", "OB", b"\0\1"),
            Element("MediaStorageSOPClassUID", "UI", found[CLASS]),
            Element("MediaStorageSOPInstanceUID", "UI", found[INSTANCE]),
            syntax,
            Element("ImplementationClassUID", "UI", b"1.2.3.4"),
        ]
    )
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
    return b"\0" * 128 + b"DICM" + length + meta + encoded(elements)


class Row(NamedTuple):
    """A patient, study, series or instance: its newest object, and the objects below."""

    newest: list[Element]
    instances: list[list[Element]]
    #: What the index counts, of it and what is above.
    computed: dict[str, Element]


def text(elements: list[Element], keyword: str) -> str:
    """A value as an index has it: without padding."""
    value = next((element.value for element in elements if element.keyword == keyword), b"")
    character_set = next((element.value for element in elements if element.keyword == "SpecificCharacterSet"), b"")
    # What is beyond ASCII without having been declared is read as Latin 1, too.
    return value.decode("utf-8" if character_set == b"ISO_IR 192" else "cp1252", "replace").strip(" \0")


def rows(objects: list[list[Element]], level: str) -> list[Row]:
    """What there is at a level, of objects in the order in which they were stored."""
    latest: dict[str, list[Element]] = {}
    for one in objects:
        uid = text(one, INSTANCE)
        latest.pop(uid, None)
        latest[uid] = one
    grouped: dict[tuple[str, ...], list[list[Element]]] = {}
    depth = LEVELS.index(level) + 1
    for one in latest.values():
        grouped.setdefault(_place(one, depth), []).append(one)
    return [Row(found[-1], found, _computed(list(latest.values()), place)) for place, found in grouped.items()]


def _place(one: list[Element], depth: int) -> tuple[str, ...]:
    return tuple(text(one, keyword) for keyword in UNIQUE[:depth])


def _computed(objects: list[list[Element]], place: tuple[str, ...]) -> dict[str, Element]:
    """PS3.4 C.3.4: the counts, and the sets of a study."""
    found: dict[str, Element] = {}
    for depth, name in ((1, "Patient"), (2, "Study"), (3, "Series")):
        if depth > len(place):
            break
        below = [one for one in objects if _place(one, depth) == place[:depth]]
        for further, what in ((2, "Studies"), (3, "Series"), (4, "Instances")):
            if further > depth:
                count = len({_place(one, further) for one in below})
                keyword = f"NumberOf{name}Related{what}"
                found[keyword] = Element(keyword, "IS", str(count).encode())
        if depth == 2:
            classes = b"\\".join(sorted({text(one, CLASS).encode() for one in below}))
            found["SOPClassesInStudy"] = Element("SOPClassesInStudy", "UI", classes)
            newest = {_place(one, 3): text(one, "Modality").strip() for one in below}
            modalities = sorted({value for value in newest.values() if value and "\\" not in value})
            found["ModalitiesInStudy"] = Element("ModalitiesInStudy", "CS", "\\".join(modalities).encode())
    return found


def plain(row: Row, asked: set[str]) -> bytes:
    """A row as the dataset that a `Matcher` would look at."""
    computed = {keyword: element for keyword, element in row.computed.items() if keyword in asked}
    kept = [element for element in row.newest if element.keyword not in computed]
    return encoded([*kept, *computed.values()])


def expected(found: list[Row], identifier: list[Element], model: UID, options: Options) -> tuple[list[bytes], set[str]]:
    """The responses for these rows, and the SOP Instance UIDs of what a retrieval would send."""
    matcher = Matcher(encoded(identifier), model, **options._asdict())
    asked = {element.keyword for element in identifier}
    responses: list[bytes] = []
    instances: set[str] = set()
    for row in found:
        answer = matcher.answers([plain(row, asked)], EXPLICIT_LITTLE)[0]
        if matcher.matches(plain(row, asked)):
            assert answer is not None
            responses.append(answer)
            instances |= {text(one, INSTANCE) for one in row.instances}
    return responses, instances
