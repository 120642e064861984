"""Attribute matching: the tables, other encodings, files, identifiers."""

from __future__ import annotations

from pathlib import Path

import pydicom.data
import pytest
from dimsefast import Matcher, MatchError, sop_class
from dimsefast.dataset import decode_dataset, encode_dataset
from matching_forms import DATASET, FORMS, Form, engine_matches, in_form, matcher
from matching_tables import ATTRIBUTES, MODALITY_WORKLIST_FIND, Options, dataset_of, dataset_rows, value_rows
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.misc import is_dicom
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from reference_matcher import matches

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


# The tables


def test_the_tables_are_whole() -> None:
    assert len(value_rows()) >= 450 and len(dataset_rows()) >= 290
    assert {row.vr for row in value_rows()} == set(ATTRIBUTES)


def test_the_reference_matcher_keeps_the_tables() -> None:
    wrong = [
        (row.line, row.vr, row.key, row.stored)
        for row in value_rows()
        if matches(row.identifier, row.candidate, Options()) != row.expected
    ]
    assert not wrong
    wrong_lines = [
        row.line for row in dataset_rows() if matches(row.identifier, row.candidate, row.options) != row.expected
    ]
    assert not wrong_lines


@pytest.mark.parametrize("form", FORMS)
def test_the_engine_keeps_the_table_of_values(form: Form) -> None:
    wrong = [
        (row.line, row.vr, row.key, row.stored, row.expected)
        for row in value_rows()
        if engine_matches(row.identifier, row.candidate, Options(), form) != row.expected
    ]
    assert not wrong


@pytest.mark.parametrize("form", FORMS)
def test_the_engine_keeps_the_table_of_datasets(form: Form) -> None:
    wrong = [
        (row.line, row.options, str(row.identifier), str(row.candidate), row.expected)
        for row in dataset_rows()
        if engine_matches(row.identifier, row.candidate, row.options, form) != row.expected
    ]
    assert not wrong


# What is encoded in other ways


@pytest.mark.parametrize(
    ("character_set", "name", "key"),
    [
        ("ISO_IR 100", "Müller^Jörg", "mÜLLER^j?rg"),
        ("ISO-IR 100", "Müller^Jörg", "müller*"),
        ("ISO_IR 101", "Wałęsa^Lech", "wa?ęsa*"),
        ("ISO_IR 144", "Иванов^Пётр", "ИВАНОВ^П*"),
        ("ISO_IR 126", "Διονυσιος", "δ*"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ", "ﾔﾏﾀﾞ^*"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "山田^?郎"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう", "==やまだ*"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", "홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东", "=王^小?"),
        ("GBK", "Wang^XiaoDong=王^小东", "王*"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东", "wang*=王*"),
    ],
)
@pytest.mark.parametrize("form", [DATASET, str(ImplicitVRLittleEndian), str(ExplicitVRBigEndian)])
def test_names_are_compared_whatever_their_character_set(
    character_set: str | list[str], name: str, key: str, form: str
) -> None:
    """PS3.4 C.2.2.2, PS3.5 6.1: items are in the character set of their dataset unless they have their own."""
    stored, other = Dataset(), Dataset()
    for dataset, value in ((stored, name), (other, "Other^Name")):
        dataset.SpecificCharacterSet = character_set
        dataset.PatientName = value
        dataset.ScheduledProcedureStepSequence = [Dataset()]
        dataset.ScheduledProcedureStepSequence[0].ScheduledPerformingPhysicianName = value
    for identifier in (
        dataset_of((0x00100010, "PN", key)),
        dataset_of((0x00400100, "SQ", [dataset_of((0x00400006, "PN", key))])),
    ):
        compiled = matcher(identifier, Options(), (DATASET, form))
        assert compiled.matches(in_form(stored, form))
        assert not compiled.matches(in_form(other, form))


@pytest.mark.parametrize("character_set", ["GB18030", "GBK"])
def test_a_byte_of_a_character_is_no_delimiter(character_set: str) -> None:
    """PS3.5 6.1.2.3: the second byte of a character may be that of a backslash or a circumflex."""
    for trailing in (0x5C, 0x5E):
        character = bytes([0x8B, trailing]).decode("gb18030")
        value = f"A{character}B".encode("gb18030")
        for vr, tag in ((b"LO", b"\x10\x00\x20\x00"), (b"PN", b"\x10\x00\x10\x00")):
            charset = b"\x08\x00\x05\x00CS" + len(character_set.ljust(8)).to_bytes(2, "little")
            stored = charset + character_set.ljust(8).encode()
            stored += tag + vr + len(value).to_bytes(2, "little") + value
            assert len(value) % 2 == 0
            number = int.from_bytes(tag[:2], "little") << 16 | int.from_bytes(tag[2:], "little")
            for key, expected in ((f"A{character}B", True), (f"A{character}*", True), ("A?B", True), ("A", False)):
                identifier = dataset_of((number, vr.decode(), key))
                assert Matcher(identifier).matches(stored) == expected, (vr, trailing, key)


def test_group_lengths_and_group_2_are_no_keys() -> None:
    """PS3.5 7.2, PS3.10 7.1: what pydicom does not write, but others do."""
    query = bytes.fromhex(
        "02001000 5549 0600 312e322e3300"  # (0002,0010) UI 1.2.3
        "08000000 554c 0400 0c000000"  # (0008,0000) UL 12
        "10000000 554c 0400 0c000000"  # (0010,0000) UL 12
        "10002000 4c4f 0400 31323320"  # (0010,0020) LO 123
    )
    stored = bytes.fromhex("10000000 554c 0400 ff000000 10002000 4c4f 0400 31323320")
    for model in (None, MODALITY_WORKLIST_FIND):
        compiled = Matcher(query, model)
        assert compiled.matches(stored) and compiled.matches(dataset_of((0x00100020, "LO", "123")))
        assert not compiled.matches(dataset_of((0x00100020, "LO", "124")))
        assert [int(element.tag) for element in compiled.response(stored)] == [0x00100020]


# Files


def test_elements_out_of_order_are_found() -> None:
    """Up to the last one that is wanted: some writers do not sort."""
    syntax = str(ExplicitVRLittleEndian)
    parts = {}
    for keyword, value in {"PatientID": "1", "StudyID": "2", "Modality": "CT", "PatientName": "X"}.items():
        part = Dataset()
        setattr(part, keyword, value)
        parts[keyword] = encode_dataset(part, syntax)
    stored = b"".join(parts[keyword] for keyword in ("PatientID", "Modality", "PatientName", "StudyID"))
    for keyword, value in {"PatientID": "1", "Modality": "CT", "PatientName": "X", "StudyID": "2"}.items():
        for asked, fits in ((value, True), ("9", False)):
            identifier = Dataset()
            identifier.StudyID = "2"
            setattr(identifier, keyword, asked)
            found = Matcher(identifier, transfer_syntax=syntax)
            assert found.matches(stored) == fits, keyword
            (answer,) = found.answers([stored], syntax)
            assert (answer is not None) == fits
            if answer is not None:
                assert decode_dataset(answer, syntax)[keyword].value == value


def test_a_matcher_over_real_files() -> None:
    ct, mr = (Path(str(get_testdata_file(name))) for name in ("CT_small.dcm", "MR_small.dcm"))
    query = Dataset()
    query.QueryRetrieveLevel, query.PatientName, query.StudyDate = "PATIENT", "comp*CT1", "20040101-"
    query.OtherPatientIDsSequence = [Dataset()]
    find = sop_class.PatientRootQueryRetrieveInformationModelFind
    compiled = Matcher(query, model=find)
    assert list(compiled.filter([ct, mr])) == [ct] and compiled.matches(dcmread(ct)) and compiled.matches(str(ct))
    response = compiled.response(ct, retrieve_aet="ME")
    assert (response.PatientName, response.RetrieveAETitle) == ("CompressedSamples^CT1", "ME")
    assert "PatientID" not in response and "PixelData" not in response


FILES = sorted(
    path for path in (Path(str(pydicom.data.__file__)).parent / "test_files").rglob("*.dcm") if path.is_file()
)


def _own_values(dataset: Dataset) -> Dataset:
    """A query for what a dataset is: every public attribute that can be a key, the first item of sequences."""
    query = Dataset()
    for tag in dataset.keys():  # noqa: SIM118 - elements that cannot be decoded are left out
        if tag.is_private or tag.element == 0 or tag.group == 2:
            continue
        try:
            element = dataset[tag]
        except Exception:
            continue
        if element.VR == "SQ":
            query.add_new(tag, "SQ", [_own_values(item) for item in element.value[:1]])
        elif element.VR in ATTRIBUTES:
            query.add(element)
    return query


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_matches_a_query_for_its_own_values(path: Path) -> None:
    try:
        dataset = dcmread(path, stop_before_pixels=True, force=True)
        query = _own_values(dataset)
        encoded = encode_dataset(dataset, str(ExplicitVRLittleEndian))
        encode_dataset(query, str(ExplicitVRLittleEndian))
    except Exception as error:
        pytest.skip(f"pydicom cannot read or write it: {error}")
    compiled = Matcher(query)
    assert compiled.matches(dataset)
    assert compiled.matches(encoded)
    if is_dicom(path):
        assert compiled.matches(path)
    if dataset.get("StudyInstanceUID"):
        query.add_new("StudyInstanceUID", "UI", "1.2.3.4.5")
        other = Matcher(query)
        assert not other.matches(dataset) and not other.matches(encoded)


# Identifiers


def test_the_levels_are_kept() -> None:
    find = sop_class.StudyRootQueryRetrieveInformationModelFind
    query = Dataset()
    for level, element in (("PATIENT", 0x00080052), ("", 0x00080052), ("SERIES", 0x0020000D)):
        query.QueryRetrieveLevel = level
        with pytest.raises(MatchError) as caught:
            Matcher(query, model=find)
        assert (caught.value.status, caught.value.offending_element) == (0xA900, element)
        assert caught.value.as_status().Status == 0xA900 and len(caught.value.comment) <= 64
    query.QueryRetrieveLevel, query.StudyInstanceUID = "SERIES", "1.2.3"
    assert Matcher(query, model=find).level == "SERIES"
    query.StudyInstanceUID = ""
    assert Matcher(query, model=find, relational=True).level == "SERIES"
