"""What the tests of the codec share: pydicom's files, pydicom's own way, and how two datasets differ."""

from __future__ import annotations

import copy
import math
import os
import struct
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom.config
import pydicom.data
from dimsefast.dataset import _encode_by_pydicom, encode_dataset
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from pydicom import DataElement, Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.misc import is_dicom
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.valuerep import DS, IS, DSdecimal, PersonName

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
SYNTAXES = [IMPLICIT, EXPLICIT, BIG]
PIXEL_DATA = Tag(0x7FE00010)

settings.register_profile(
    "codec",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)

settings.register_profile("codec-ci", settings.get_profile("codec"), derandomize=True, database=None)

PROFILE = settings.get_profile("codec-ci" if os.environ.get("CI") else "codec")


@cache
def files() -> list[Path]:
    """pydicom's own test files, and its examples."""
    folder = Path(pydicom.data.__file__).parent
    found = sorted(path for path in folder.rglob("*") if path.is_file() and is_dicom(path))
    assert len(found) > 150
    return found


def all_elements(dataset: Dataset) -> Iterator[DataElement]:
    """Every element, converted, items included."""
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from all_elements(item)


def read(path: Path, state: str) -> Dataset:
    """As dcmread leaves it, after a look at everything, or after `decode`."""
    dataset = dcmread(path)
    if state == "looked at":
        assert sum(1 for _ in all_elements(dataset)) > 0
    elif state == "decoded":
        dataset.decode()
    return dataset


def outcome(encode: Callable[[Dataset, str], bytes], dataset: Dataset, syntax: str) -> bytes | str:
    """The bytes, or what the error says."""
    try:
        return encode(dataset, syntax)
    except ValueError as error:
        return str(error)


def by_pydicom(dataset: Dataset, syntax: str) -> bytes | str:
    """What pydicom makes of it, which changes the dataset."""
    return outcome(_encode_by_pydicom, copy.deepcopy(dataset), syntax)


def is_encapsulated(dataset: Dataset) -> bool:
    return PIXEL_DATA in dataset and dataset[PIXEL_DATA].is_undefined_length


def same(ours: Any, theirs: Any) -> bool:
    """Equal, of the same type, and what is no number is no number."""
    if isinstance(ours, MultiValue | list) and isinstance(theirs, MultiValue | list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours):
        return math.isnan(theirs)
    return type(ours) is type(theirs) and bool(ours == theirs)


def read_charset(dataset: Dataset) -> Any:
    return dataset.original_character_set


def difference(ours: Dataset, theirs: Dataset, bytewise: bool = True) -> str:
    """What of one dataset is not so in the other; empty where nothing is. `bytewise`: raw elements, too."""
    if list(ours.keys()) != list(theirs.keys()):
        return f"{list(ours.keys())} {list(theirs.keys())}"
    # pydicom takes the encoding of an empty item from what follows it.
    if len(theirs) and ours.original_encoding != theirs.original_encoding:
        return f"{ours.original_encoding} {theirs.original_encoding}"
    encodings = [[one] if isinstance(one, str) else list(one) for one in map(read_charset, (ours, theirs))]
    if encodings[0] != encodings[1]:
        return f"{encodings}"
    for tag in theirs.keys():  # noqa: SIM118 - items would decode every element
        raw = [dataset.get_item(tag, keep_deferred=True) for dataset in (ours, theirs)]
        if bytewise and all(isinstance(element, RawDataElement) for element in raw):
            own, other = [(one.length, one.value or b"", *one[5:]) for one in raw]
            if own != other:
                return f"raw {tag}: {own} {other}"
        own, other = ours[tag], theirs[tag]
        if (own.VR, own.is_undefined_length) != (other.VR, other.is_undefined_length):
            return f"{tag}: {own.VR} {own.is_undefined_length} {other.VR} {other.is_undefined_length}"
        if own.VR != "SQ":
            if not same(own.value, other.value):
                return f"{tag}: {own.value!r} {other.value!r}"
            continue
        if len(own.value) != len(other.value):
            return f"{tag}: {len(own.value)} {len(other.value)} items"
        for item, counterpart in zip(own.value, other.value, strict=True):
            marked = [one.is_undefined_length_sequence_item for one in (item, counterpart)]
            if marked[0] != marked[1]:
                return f"{tag}: {marked} marked ends"
            if found := difference(item, counterpart, bytewise):
                return f"{tag} > {found}"
    return ""


def decode(data: bytes | str, syntax: str) -> Dataset:
    """As pydicom reads it."""
    assert isinstance(data, bytes), data
    return read_dataset(BytesIO(data), syntax == IMPLICIT, syntax != BIG)


#: A Specific Character Set, and characters that it has.
CHARACTER_SETS: list[tuple[Any, str]] = [
    (None, ""),
    ("", ""),
    ("ISO_IR 100", "éüß§"),
    ("ISO_IR 192", "é山太ж\U0001f600"),
    ("ISO_IR 144", "жЯ"),
    ("GB18030", "王小东"),
    (["", "ISO 2022 IR 87"], "山田太郎やまだ"),
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ山田"),
    (["", "ISO 2022 IR 149"], "김희중"),
    (["ISO 2022 IR 100", "ISO 2022 IR 144"], "éж"),
]


ASCII = "AZaz09 ^=\\~.-*?'"


TAGS = {
    "AE": 0x00080054, "AS": 0x00101010, "AT": 0x00209165, "CS": 0x00080061, "DA": 0x00080020, "DS": 0x00281052,
    "DT": 0x0008002A, "FD": 0x00189087, "FL": 0x00189185, "IS": 0x00201206, "LO": 0x00100020, "LT": 0x00104000,
    "OB": 0x00420011, "OD": 0x7FE00009, "OF": 0x7FE00008, "OL": 0x00660129, "OV": 0x7FE00001, "OW": 0x00281201,
    "PN": 0x00100010, "SH": 0x00080050, "SL": 0x00186020, "SS": 0x00189219, "ST": 0x00080081, "SV": 0x00720082,
    "TM": 0x00080030, "UC": 0x00189908, "UI": 0x0020000D, "UL": 0x00186016, "UN": 0x00282000, "UR": 0x00080120,
    "US": 0x00280010, "UT": 0x0040A160, "UV": 0x00720083,
}  # fmt: skip


LIMITS = {"US": (0, 16), "SS": (1, 16), "UL": (0, 32), "SL": (1, 32), "UV": (0, 64), "SV": (1, 64), "AT": (0, 32)}


def one_or_several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, values, st.lists(values, max_size=4))


def number(vr: str) -> st.SearchStrategy[Any]:
    signed, bits = LIMITS[vr]
    return st.integers(-(1 << bits - 1) if signed else 0, (1 << bits - signed) - 1)


def value(vr: str, letters: str) -> st.SearchStrategy[Any]:
    """A value as somebody would assign it."""
    text = st.text(ASCII + letters, max_size=12)
    match vr:
        case "US" | "SS" | "UL" | "SL" | "UV" | "SV" | "AT":
            made = one_or_several(number(vr))
        case "FL":
            made = one_or_several(st.floats(width=32) | st.integers(-1000, 1000))
        case "FD":
            made = one_or_several(st.floats() | st.integers(-1000, 1000))
        case "DS":
            exact = st.sampled_from(["1", "+1.50", " 2.0 ", "-0.0", "1e3", "", "007"])
            made = one_or_several(
                exact | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | exact.filter(bool).map(DS)
                | st.decimals(-1000, 1000, places=3) | st.just(DSdecimal("2.50"))
            )  # fmt: skip
        case "IS":
            exact = st.sampled_from(["1", "+5", " 07 ", "-0", ""])
            made = one_or_several(exact | st.integers(-(2**31), 2**31 - 1) | exact.filter(bool).map(IS))
        case "DA":
            made = one_or_several(st.dates().map(lambda day: f"{day.year:04}{day:%m%d}") | st.just("20240101-"))
        case "TM":
            made = one_or_several(st.times().map(lambda at: f"{at:%H%M%S.%f}") | st.sampled_from(["10", "1030-"]))
        case "DT":
            made = one_or_several(st.sampled_from(["2024", "20240101103000.5+0100", "2024-2025"]))
        case "UI":
            made = one_or_several(st.sampled_from(["1.2.840.10008.1.2", "1.2.3", "", "1.2.3.45 ", "not.a.uid"]))
        case "OB" | "OD" | "OF" | "OL" | "OV" | "OW" | "UN":
            # pydicom leaves an UN of odd length odd.
            made = st.binary(max_size=10).map(lambda half: half + half)
        case "PN":
            made = one_or_several(text | text.map(PersonName) | text.map(lambda name: name.encode("ascii", "ignore")))
        case "UR" | "AE" | "CS" | "AS":
            made = one_or_several(st.text(ASCII, max_size=12))
        case _:
            made = one_or_several(text)
    return st.one_of(made, made, made, st.sampled_from([None, "", []]))


@st.composite
def datasets(draw: st.DrawFn, depth: int = 2, letters: str = "") -> Dataset:
    dataset = Dataset()
    if depth == 2 or draw(st.integers(0, 5)) == 0:
        charset, letters = draw(st.sampled_from(CHARACTER_SETS))
        if charset is not None:
            dataset.SpecificCharacterSet = charset
    for vr in draw(st.lists(st.sampled_from(sorted(TAGS)), max_size=8, unique=True)):
        dataset.add_new(TAGS[vr], vr, draw(value(vr, letters)))
    if draw(st.booleans()):
        block = dataset.private_block(0x0011, draw(st.sampled_from(["DIMSEFAST", "GEMS_PATI_01"])), create=True)
        vr = draw(st.sampled_from(["LO", "US", "UN", "PN"]))
        block.add_new(0x10, vr, draw(value(vr, letters)))
    if draw(st.integers(0, 4)) == 0:
        dataset.add_new(0x00080000, "UL", 42)
        if depth == 2:
            dataset.add_new(0x00020010, "UI", EXPLICIT)
    if depth and draw(st.booleans()):
        for tag in draw(st.lists(st.sampled_from([0x00081110, 0x00400100, 0x00111020]), max_size=2, unique=True)):
            # Without an item pydicom does not know a private sequence in Implicit VR.
            items = draw(st.lists(datasets(depth - 1, letters), min_size=tag == 0x00111020, max_size=2))
            for item in items:
                item.is_undefined_length_sequence_item = draw(st.booleans())
            dataset.add(DataElement(tag, "SQ", items, is_undefined_length=draw(st.booleans())))
    return dataset


def ordinary() -> Dataset:
    """Something of everything that identifiers are made of."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Müller^Hans=山田^太郎"
    dataset.PatientID = "12345"
    dataset.StudyDate, dataset.StudyTime = "20240101-20240131", ""
    dataset.ModalitiesInStudy = ["CT", "MR"]
    dataset.StudyInstanceUID = ["1.2.3", "1.2.4"]
    dataset.NumberOfStudyRelatedInstances = 12
    dataset.PatientWeight = "72.50"
    dataset.ImagePositionPatient = [1.5, Decimal("2.25"), "-3"]
    dataset.Rows, dataset.PixelSpacing = 512, [0.5, 0.5]
    dataset.FrameIncrementPointer = [0x00181063, 0x00181065]
    dataset.EncapsulatedDocument = b"odd"
    step = Dataset()
    step.Modality, step.ScheduledProcedureStepStartDate = "CT", "20240101"
    step.ScheduledPerformingPhysicianName = "Σωκράτης"
    dataset.ScheduledProcedureStepSequence = [step]
    dataset.ReferencedStudySequence = []
    dataset.private_block(0x0009, "DIMSEFAST", create=True).add_new(1, "UT", "text")
    return dataset


def encoded_ordinary(syntax: str = EXPLICIT) -> bytes:
    return encode_dataset(ordinary(), syntax)


def one(keyword: str, value: Any, charset: Any = None) -> Dataset:
    dataset = Dataset()
    if charset is not None:
        dataset.SpecificCharacterSet = charset
    setattr(dataset, keyword, value)
    return dataset


def of(tag: int, vr: str, value: Any) -> Dataset:
    """One element with a value that is not looked at."""
    dataset = Dataset()
    dataset[tag] = DataElement(tag, vr, value, already_converted=True)
    return dataset


def save(dataset: Dataset, path: Path, syntax: str = EXPLICIT) -> None:
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    """An element with a length of 16 bits, in Explicit VR Little Endian."""
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


#: What pydicom reads with a warning: lengths that go beyond the end.
BROKEN = {"DICOMDIR-nooffset", "MR_truncated.dcm", "rtplan_truncated.dcm"}


def _tag(tag: int, syntax: str = EXPLICIT) -> bytes:
    return struct.pack(">HH" if syntax == BIG else "<HH", tag >> 16, tag & 0xFFFF)


def _long(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """An element with a length of 32 bits."""
    return _tag(tag) + vr + struct.pack("<HL", 0, len(value) if length is None else length) + value


def _item(value: bytes, length: int | None = None) -> bytes:
    return _tag(0xFFFEE000) + struct.pack("<L", len(value) if length is None else length) + value


ITEM_END, SEQUENCE_END = _tag(0xFFFEE00D) + bytes(4), _tag(0xFFFEE0DD) + bytes(4)


UNDEFINED = 0xFFFFFFFF


IMPLICIT_ID = _tag(0x00100020) + struct.pack("<L", 4) + b"1234"


EXPLICIT_ID = _element(0x00100020, b"LO", b"1234")
