"""From Datasets to bytes: byte for byte what pydicom writes, and what is left to it."""

from __future__ import annotations

import copy
import pickle
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import pydicom.config
import pydicom.data
import pytest
from codec_cases import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    PROFILE,
    SYNTAXES,
    _element,
    all_elements,
    by_pydicom,
    datasets,
    decode,
    difference,
    encoded_ordinary,
    files,
    is_encapsulated,
    of,
    one,
    ordinary,
    outcome,
    read,
    save,
)
from dimsefast import _core
from dimsefast.dataset import decode_dataset, encode_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.valuerep import DA, DS, DT, TM, DSdecimal

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


@pytest.mark.parametrize("state", ["looked at", "decoded"])
def test_files_that_were_looked_at_are_encoded_as_by_pydicom(state: str) -> None:
    wrong, left = [], set()
    for path in files():
        dataset = read(path, state)
        for syntax in SYNTAXES:
            quickly, expected = _core.encode(dataset, syntax), by_pydicom(dataset, syntax)
            if quickly is None:
                left.add(path)
                assert outcome(encode_dataset, dataset, syntax) == expected
            elif quickly != expected:
                wrong.append((path.name, syntax))
    assert not wrong
    # Fragments are left to pydicom, and nothing else.
    assert all(is_encapsulated(dcmread(path)) for path in left)


def test_files_as_read_keep_their_bytes() -> None:
    """What nobody has looked at yet goes out as it came; pydicom writes it anew where the syntax changes."""
    wrong, differing, quick = [], set(), 0
    for path in files():
        for syntax in SYNTAXES:
            dataset = read(path, "raw")
            quickly, expected = _core.encode(dataset, syntax), by_pydicom(dataset, syntax)
            if quickly is None:
                assert outcome(encode_dataset, dataset, syntax) == expected
                continue
            quick += 1
            if quickly != expected:
                differing.add(path.name)
                if difference(decode(quickly, syntax), decode(expected, syntax), bytewise=False):
                    wrong.append((path.name, syntax))
    assert not wrong
    # Escapes and delimiters that pydicom leaves out.
    assert differing <= {"chrKoreanMulti.dcm", "chrX1.dcm", "chrX2.dcm"}
    assert quick > 250


@contextmanager
def without_validation() -> Iterator[None]:
    """Values that pydicom would refuse or warn of."""
    before = pydicom.config.settings.writing_validation_mode, pydicom.config.settings.reading_validation_mode
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        yield
    finally:
        pydicom.config.settings.writing_validation_mode, pydicom.config.settings.reading_validation_mode = before


def assert_encoded_as_by_pydicom(dataset: Dataset) -> None:
    before = copy.deepcopy(dataset)
    for syntax in SYNTAXES:
        quickly, expected = _core.encode(dataset, syntax), by_pydicom(dataset, syntax)
        if quickly is not None:
            assert quickly == expected, (syntax, dataset)
        assert outcome(encode_dataset, dataset, syntax) == expected
    assert not difference(dataset, before)


@settings(PROFILE, max_examples=120)
@given(st.data())
def test_datasets_of_every_kind_are_encoded_as_by_pydicom(data: st.DataObject) -> None:
    with without_validation():
        assert_encoded_as_by_pydicom(data.draw(datasets()))


@settings(PROFILE, max_examples=60)
@given(st.data())
def test_datasets_of_every_kind_come_back(data: st.DataObject) -> None:
    """Encoded, decoded and encoded again, also after a look at everything and a pickle."""
    with without_validation():
        dataset = data.draw(datasets())
        for syntax in SYNTAXES:
            encoded = outcome(encode_dataset, dataset, syntax)
            if isinstance(encoded, str):
                continue
            assert _core.Encoded(encoded, syntax).encode(syntax) == encoded
            decoded, expected = decode_dataset(encoded, syntax), decode(encoded, syntax)
            assert not difference(decoded, expected)
            for other in SYNTAXES:
                assert outcome(encode_dataset, decoded, other) == by_pydicom(expected, other)
            copied = pickle.loads(pickle.dumps(decode_dataset(encoded, syntax)))
            assert not difference(copied, expected)
            assert_encoded_as_by_pydicom(copied)


def test_dates_and_times_as_objects() -> None:
    east = timezone(timedelta(hours=2))
    pydicom.config.datetime_conversion = True
    try:
        dataset = Dataset()
        dataset.StudyDate = date(2024, 2, 29)
        dataset.StudyTime = time(10, 30, 0, 500)
        dataset.AcquisitionDateTime = datetime(2024, 2, 29, 10, 30, tzinfo=east)
        dataset.SeriesDate = DA("2024.02.29")
        dataset.SeriesTime = TM("1030")
        dataset.ContentDate = ""
        dataset.DateOfSecondaryCapture = ["20240101", date(2024, 1, 2)]
        dataset.CalibrationTime = [time(1), TM("0203")]
        dataset.CalibrationDateTime = [DT("2024"), datetime(2024, 1, 1, 1, 1, 1, 1)]
        assert_encoded_as_by_pydicom(dataset)
        assert all(_core.encode(dataset, syntax) for syntax in SYNTAXES)
        as_read = decode_dataset(encode_dataset(dataset, EXPLICIT), EXPLICIT)
        assert isinstance(as_read.StudyDate, date) and as_read.StudyTime == time(10, 30, 0, 500)
        assert_encoded_as_by_pydicom(as_read)
    finally:
        pydicom.config.datetime_conversion = False


def test_what_is_ordinary_is_quick() -> None:
    dataset = ordinary()
    for syntax in SYNTAXES:
        assert _core.encode(dataset, syntax) == by_pydicom(dataset, syntax)
        as_read = decode(encoded_ordinary(syntax), syntax)
        for other in SYNTAXES:
            assert as_read.PatientName == "Müller^Hans=山田^太郎"
            # Raw private elements, and words in the other byte order, have to be converted first.
            assert list(all_elements(as_read))
            assert _core.encode(as_read, other) == by_pydicom(as_read, other)
    deflated = _core.encode(dataset, DEFLATED)
    assert deflated and zlib.decompress(deflated, -15) == _core.encode(dataset, EXPLICIT)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_not_taken_for_a_value_that_pydicom_has_to_encode(raised: type[BaseException]) -> None:
    class Interrupted:
        @property
        def original_string(self) -> str:
            raise raised

    dataset = one("InstanceNumber", "1")
    dataset["InstanceNumber"]._value = Interrupted()
    with pytest.raises(raised):
        _core.encode(dataset, EXPLICIT)


def test_only_what_is_wanted_is_encoded() -> None:
    wanted = _core.encode(ordinary(), EXPLICIT, [0x00080020, 0x00080021, 0x00100020])
    assert wanted is not None
    assert [int(tag) for tag in decode(wanted, EXPLICIT).keys()] == [0x00080020, 0x00100020]  # noqa: SIM118


@pytest.mark.parametrize(
    "dataset",
    [
        one("StudyDescription", "é"),  # pydicom's default is Latin-1
        one("Modality", "é"),
        one("PatientName", "山田", "ISO_IR 100"),
        one("PatientName", "\x1b$Bx", "ISO_IR 100"),
        one("PatientComments", "a\\b"),
        one("PatientSize", DSdecimal("1.75")),
    ],
)
def test_what_pydicom_can_encode_is_encoded(dataset: Dataset) -> None:
    assert_encoded_as_by_pydicom(dataset)
    assert encode_dataset(dataset, EXPLICIT)


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        (of(0x00100020, "LO", 12345), "(0010,0020)"),
        (of(0x00100020, "LO", DS("1.5")), "(0010,0020)"),
        (of(0x00280010, "US", 70000), "(0028,0010)"),
        (of(0x00280010, "US", 1.5), "(0028,0010)"),
        (of(0x00189185, "FL", 1e300), "(0018,9185)"),
        (of(0x00189087, "FD", "one"), "(0018,9087)"),
        (of(0x00100020, "ZZ", "x"), "unknown Value Representation"),
        (of(0x00420011, "OB", "text"), "(0042,0011)"),
        (of(0x00209165, "AT", -1), "(0020,9165)"),
        (of(0x0020000D, "UI", ["1.2", None]), "(0020,000D)"),
        (of(0x00200032, "DS", "é€"), ""),
    ],
)
def test_what_cannot_be_encoded_is_an_error_with_its_reason(dataset: Dataset, reason: str) -> None:
    for syntax in [*SYNTAXES, DEFLATED]:
        assert _core.encode(dataset, syntax) is None
        with pytest.raises(ValueError) as caught:
            encode_dataset(dataset, syntax)
        assert "cannot be encoded as" in str(caught.value) and reason in str(caught.value)


def test_fragments_and_ambiguous_representations_are_left_to_pydicom() -> None:
    dataset = Dataset()
    dataset.BitsAllocated, dataset.PixelRepresentation = 8, 1
    dataset.add_new(0x00280106, "US or SS", -5)
    dataset.PixelData = encapsulate([b"12", b"3456"])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    encoded = encode_dataset(dataset, EXPLICIT)
    assert encoded == by_pydicom(dataset, EXPLICIT)
    decoded = decode_dataset(encoded, EXPLICIT)
    assert decoded[0x00280106].VR == "SS" and decoded.PixelData == dataset.PixelData
    assert encode_dataset(decoded, EXPLICIT) == encoded
    with pytest.raises(ValueError, match="hasn't been encapsulated"):
        encode_dataset(dataset, BIG)


def test_a_dataset_is_not_changed_by_what_pydicom_encodes() -> None:
    dataset = one("StudyDescription", "é")
    dataset.add_new(0x00020010, "UI", EXPLICIT)
    assert _core.encode(dataset, EXPLICIT) is None
    encoded = encode_dataset(dataset, EXPLICIT)
    assert 0x00020010 in dataset
    assert 0x00020010 not in decode(encoded, EXPLICIT)


def test_meta_and_group_lengths_do_not_leave() -> None:
    dataset = ordinary()
    expected = [_core.encode(dataset, syntax) for syntax in SYNTAXES]
    dataset.add_new(0x00020010, "UI", EXPLICIT)
    dataset.add_new(0x00080000, "UL", 1)
    dataset.ScheduledProcedureStepSequence[0].add_new(0x00400000, "UL", 1)
    assert [_core.encode(dataset, syntax) for syntax in SYNTAXES] == expected


@pytest.mark.parametrize("vr", ["LO", "DS", "UI", "US", "PN"])
def test_what_is_too_long_for_its_representation_is_unknown(vr: str) -> None:
    values: dict[str, Any] = {"US": list(range(40_000)), "PN": ["A" * 999] * 70, "DS": ["1.5"] * 30_000}
    dataset = Dataset()
    dataset.add_new(0x00091010, vr, values.get(vr, "1" * 65_535))
    for syntax in SYNTAXES:
        encoded = _core.encode(dataset, syntax)
        assert encoded and encoded == by_pydicom(dataset, syntax)
        assert encoded[4:6] == (struct.pack("<H", len(encoded) - 8 & 0xFFFF) if syntax == IMPLICIT else b"UN")
        assert _core.Encoded(encoded, syntax).encode(syntax) == encoded


def test_unknown_values_are_padded() -> None:
    """pydicom leaves them odd, which PS3.5 7.1.1 forbids."""
    assert _core.encode(of(0x00091010, "UN", b"odd"), EXPLICIT) == b"\x09\x00\x10\x10UN\0\0\x04\0\0\0odd\0"


def test_elements_that_are_not_read_yet_are_encoded_whole(tmp_path: Path) -> None:
    path = tmp_path / "deferred.dcm"
    save(one("PatientComments", "x" * 1000), path)
    dataset = dcmread(path, defer_size=100)
    assert dataset.get_item(0x00104000, keep_deferred=True).value is None
    assert decode_dataset(encode_dataset(dataset, EXPLICIT), EXPLICIT).PatientComments == "x" * 1000


JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


@pytest.mark.parametrize("look", [False, True])
def test_escapes_do_not_outlive_their_character_set(look: bool) -> None:
    """ISO 2022 is all below 80H, and still no ASCII."""
    for keyword, text in (("PatientName", JAPANESE), ("PatientID", "山")):
        encoded = encode_dataset(one(keyword, text, ["", "ISO 2022 IR 87"]), EXPLICIT)
        assert encoded.isascii() and b"\x1b" in encoded
        dataset = decode(encoded, EXPLICIT)
        if look:
            # A name that was looked at, but not decoded.
            assert dataset[keyword]
        assert _core.encode(dataset, EXPLICIT) == encoded
        dataset.SpecificCharacterSet = "ISO_IR 192"
        for syntax in SYNTAXES:
            again = encode_dataset(dataset, syntax)
            assert again == by_pydicom(dataset, syntax)
            assert decode_dataset(again, syntax)[keyword].value == text


@pytest.mark.parametrize("original", [b"A^B==", b"A^B^^^", b"A^B =x", b"=", b"^", b"\xe9^B="])
def test_names_are_encoded_as_they_were_read(original: bytes) -> None:
    encoded = _element(0x00100010, b"PN", original + b" " * (len(original) % 2))
    for look in (False, True):
        dataset = decode(encoded, EXPLICIT)
        if look:
            str(dataset.PatientName)
        assert _core.encode(dataset, EXPLICIT) == by_pydicom(dataset, EXPLICIT)


def test_an_empty_character_set_of_an_item_is_the_default() -> None:
    for charset in ("", None):
        item = one("StudyDescription", "é", "")
        item["SpecificCharacterSet"]._value = charset
        dataset = one("ReferencedStudySequence", [item], "ISO_IR 192")
        for syntax in SYNTAXES:
            assert outcome(encode_dataset, dataset, syntax) == by_pydicom(dataset, syntax)
