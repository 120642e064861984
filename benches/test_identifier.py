"""Identifiers beside pydicom, in one process and one run: encoding, decoding, matching.

Both sides begin and end with the same: a pydicom Dataset to bytes, bytes to a Dataset or, where it says so, to the
native record that matching and forwarding work on. No timing decides anything: the table at the end is what counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from dimsefast import Matcher, _core, query
from dimsefast.dataset import decode_dataset, encode_dataset
from pydicom import Dataset
from pydicom._dicom_dict import DicomDictionary
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

STACKS = ["dimsefast", "pydicom"]
EXPLICIT = "1.2.840.10008.1.2.1"
#: Encoded study headers that are matched, and how many of them pydicom is given.
STUDIES, STUDIES_BY_PYDICOM = 100_000, 2_000


def ten_keys() -> Dataset:
    """A query at level STUDY."""
    return query.study(
        returning=[
            "PatientBirthDate",
            "StudyTime",
            "AccessionNumber",
            "ModalitiesInStudy",
            "StudyInstanceUID",
            "StudyID",
        ],
        patient_name="SMITH*",
        patient_id="12345678",
        study_date="20240101-20240131",
    )


def hundred_elements() -> Dataset:
    """Text, dates, names, numbers, and a sequence of two items, as a header of an image has them."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName, dataset.PatientID, dataset.PatientSex = "Müller^Hans", "12345678", "M"
    dataset.PatientWeight, dataset.Rows, dataset.Columns = "72.5", 512, 512
    dataset.PixelSpacing, dataset.ImageType = [0.5, 0.5], ["ORIGINAL", "PRIMARY", "AXIAL"]
    items = []
    for number in range(2):
        item = Dataset()
        item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        item.ReferencedSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{number}"
        items.append(item)
    dataset.ReferencedImageSequence = items
    values: dict[str, Any] = {"LO": "long text", "SH": "SHORT", "CS": "CODE", "DA": "20240101", "TM": "103000"}
    values |= {"UI": "1.2.840.1", "DS": "1.5", "IS": "42", "US": 7, "FD": 2.5}
    for tag, (vr, multiplicity, *_) in sorted(DicomDictionary.items()):
        if len(dataset) == 100:
            break
        if 0x00180000 < tag < 0x00290000 and vr in values and multiplicity == "1" and tag not in dataset:
            dataset.add_new(tag, vr, values[vr])
    assert len(dataset) == 100
    return dataset


SIZES: dict[str, Callable[[], Dataset]] = {"10 keys": ten_keys, "100 elements": hundred_elements}


def encoded_by_pydicom(dataset: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def decoded_by_pydicom(data: bytes) -> Dataset:
    return read_dataset(BytesIO(data), False, True)


def measure(benchmark: Any, case: str, stack: str, number: int, body: Callable[[], None]) -> None:
    benchmark.group = case
    benchmark.extra_info.update(stack=stack, number=number)
    benchmark.pedantic(body, rounds=5, warmup_rounds=1)


def repeated(function: Callable[[], object], number: int) -> Callable[[], None]:
    def body() -> None:
        for _ in range(number):
            function()

    return body


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("size", SIZES)
def test_encode(benchmark: Any, size: str, stack: str) -> None:
    dataset = SIZES[size]()
    assert encode_dataset(dataset, EXPLICIT) == encoded_by_pydicom(dataset)
    if stack == "dimsefast":
        body, number = repeated(lambda: encode_dataset(dataset, EXPLICIT), 1000), 1000
    else:
        body, number = repeated(lambda: encoded_by_pydicom(dataset), 100), 100
    measure(benchmark, f"{size} encoded a second", stack, number, body)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("read", ["to a native record", "to a Dataset", "and two read"])
@pytest.mark.parametrize("size", SIZES)
def test_decode(benchmark: Any, size: str, read: str, stack: str) -> None:
    """pydicom has one way to decode: nothing but two values is converted in any of the three."""
    encoded = encoded_by_pydicom(SIZES[size]())
    decode: Callable[[], Any]
    if stack == "pydicom":
        decode = lambda: decoded_by_pydicom(encoded)  # noqa: E731
    elif read == "to a native record":
        decode = lambda: _core.Encoded(encoded, EXPLICIT)  # noqa: E731
    else:
        decode = lambda: decode_dataset(encoded, EXPLICIT)  # noqa: E731

    def two() -> tuple[Any, Any]:
        dataset = decode()
        return dataset.PatientName, dataset.PatientID

    number = 200 if stack == "pydicom" else 2000
    body = repeated(two if read == "and two read" else decode, number)
    measure(benchmark, f"{size} decoded {read} a second", stack, number, body)


def studies(count: int) -> list[bytes]:
    """Headers of 14 elements, of which one in forty is what is asked for."""
    names = [
        "SMITH^JOHN",
        "JONES^MARY",
        "Smith^Anna",
        "BROWN^BOB",
        "MÜLLER^HANS",
        "GARCÍA^LUZ",
        "SMYTHE^ED",
        "DOE^JANE",
    ]
    made = []
    for number in range(count):
        dataset = Dataset()
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.StudyDate = f"2024{number % 12 + 1:02}{number % 28 + 1:02}"
        dataset.StudyTime, dataset.AccessionNumber = f"{number % 24:02}3000", f"A{number}"
        dataset.ModalitiesInStudy, dataset.ReferringPhysicianName = ["CT", "SR"], "WELBY^MARCUS"
        dataset.StudyDescription, dataset.StudyID = "CT ABDOMEN WITH CONTRAST", str(number)
        dataset.PatientName = names[number * 7919 % len(names)]
        dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = f"P{number}", "19700101", "O"
        dataset.StudyInstanceUID = f"1.2.826.0.1.3680043.8.498.{number}"
        dataset.NumberOfStudyRelatedInstances = number % 1000
        made.append(encode_dataset(dataset, EXPLICIT))
    return made


@pytest.fixture(scope="module")
def headers() -> list[bytes]:
    return studies(STUDIES)


def matched_by_pydicom(headers: list[bytes]) -> list[bytes]:
    """What one would write: the pattern compiled once, the cheaper test first, nothing else converted."""
    pattern, found = re.compile(r"SMITH.*", re.IGNORECASE | re.DOTALL), []
    for header in headers:
        dataset = decoded_by_pydicom(header)
        if "20240301" <= dataset.StudyDate <= "20240430" and pattern.fullmatch(str(dataset.PatientName)):
            found.append(header)
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_match(benchmark: Any, headers: list[bytes], stack: str) -> None:
    """A name with a wild card and a range of dates, over encoded headers: both sides begin with bytes."""
    matcher = Matcher(query.study(patient_name="SMITH*", study_date="20240301-20240430"))
    few = headers[:STUDIES_BY_PYDICOM]
    expected = matched_by_pydicom(few)
    assert expected and list(matcher.filter(few)) == expected

    def own() -> None:
        assert len(list(matcher.filter(headers))) > len(expected)

    def other() -> None:
        assert matched_by_pydicom(few) == expected

    mine = stack == "dimsefast"
    number = STUDIES if mine else STUDIES_BY_PYDICOM
    measure(benchmark, "study headers matched a second", stack, number, own if mine else other)
