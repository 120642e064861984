"""Attribute matching: the tables, random queries against the reference matcher, responses, pydicom's files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from dimsefast import Matcher, MatchError, sop_class
from dimsefast.dataset import decode_dataset, encode_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matching_tables import (
    ATTRIBUTES,
    MODALITY_WORKLIST_FIND,
    Options,
    dataset_of,
    dataset_rows,
    value_rows,
)
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.misc import is_dicom
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from reference_matcher import matches, matching_items

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

# Datasets and examples are slow to make, not slow to match.
settings.register_profile(
    "matching", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("matching-ci", settings.get_profile("matching"), derandomize=True, database=None)
PROFILE = settings.get_profile("matching-ci" if os.environ.get("CI") else "matching")
MANY = settings(PROFILE, max_examples=400)

DATASET = "Dataset"
#: How the identifier and the stored dataset are given.
FORMS = [
    (DATASET, DATASET),
    (str(ImplicitVRLittleEndian), str(ImplicitVRLittleEndian)),
    (str(ExplicitVRLittleEndian), str(ExplicitVRLittleEndian)),
    (str(ExplicitVRBigEndian), str(ExplicitVRBigEndian)),
    (DATASET, str(ImplicitVRLittleEndian)),
    (str(ExplicitVRLittleEndian), DATASET),
]
Form = tuple[str, str]


def in_form(dataset: Dataset, form: str) -> Dataset | bytes:
    return dataset if form == DATASET else encode_dataset(dataset, form)


def matcher(identifier: Dataset, options: Options, form: Form = FORMS[0]) -> Matcher:
    syntaxes = [one for one in form if one != DATASET]
    return Matcher(
        in_form(identifier, form[0]),
        MODALITY_WORKLIST_FIND if options.worklist else None,
        datetime=options.datetime,
        fuzzy=options.fuzzy,
        timezone=options.timezone,
        local_timezone=options.local,
        empty_value=options.empty,
        multiple_value=options.multiple,
        transfer_syntax=syntaxes[0] if syntaxes else str(ExplicitVRLittleEndian),
    )


def engine_matches(identifier: Dataset, candidate: Dataset, options: Options, form: Form) -> bool:
    return matcher(identifier, options, form).matches(in_form(candidate, form[1]))


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


# Random queries


@dataclass(frozen=True)
class Attribute:
    """An attribute, and what is asked and stored of it: pools so small that hits are frequent."""

    tag: int
    vr: str
    keys: tuple[str, ...]
    stored: tuple[str, ...]


@dataclass(frozen=True)
class SequenceAttribute:
    tag: int
    item: tuple[Attribute | SequenceAttribute, ...]


Plan = tuple[Attribute | SequenceAttribute, ...]
Elements = list[tuple[int, str, str | list[Dataset]]]

_TEXTS = ("ABC", "abc", "ABCD", " ABC ", "A_C", "A C", "100%", "[A]C", "Größe", '""')
_TEXT_KEYS = (*_TEXTS, "", "  ", "*", "A*", "A?C", "*C", "?BC", "A*D", "Gr??e", "[A]*", "ABC\\A_C", "A*\\1*")
_LONG_TEXTS = ("no fracture", " no fracture", "no fracture ", "one\\two", "two\r\nlines", "Größe")
_LONG_TEXT_KEYS = (*_LONG_TEXTS, "", "*", "*fract*", "no*", "one*", "one?two", "two*lines", '""')
_CODES = ("CT", "PT", "CT\\PT", "PT\\MR\\CT", "MR", "CT \\SR")
_CODE_KEYS = (*_CODES, "", "*", "C*", "?T", "C*\\PT", "MR\\SR", '""')
_NUMBERS = ("1", "2", "1\\2", "3\\2\\1")
_DECIMALS = ("1.5", "1.50", "15E-1", "2", "2.0\\1.5", "-1.5")
_DATES = ("20200101", "20200102", "20200103", "2020.01.02")
_DATE_KEYS = (*_DATES, "", "20200101-20200102", "20200102-20200103", "20200103-20200101", "20200102-", "-20200102")
_TIMES = ("1000", "1030", "103059", "103059.5", "2330", "0030")
_TIME_KEYS = ("", "1030", "10", "103059", "1000-1100", "1200-1100", "2300-0100", "1030-", "-1030", "103059.4-103059.6")
_DATE_TIMES = (
    "20200101120000",
    "20200101120000+0100",
    "20200101120000-0500",
    "202001",
    "20200101",
    "20200101103000.5",
    "20191231233000+0000",
)
_DATE_TIME_KEYS = (
    *_DATE_TIMES,
    "",
    "2020",
    "2020-0500",
    "2019-2020",
    "20200101-20200131",
    "20200101-",
    "-20200101",
    "20200101120000-",
    "-20200101120000-0500",
    "20200101110000-20200101130000",
    "20200101070000-0500-20200101080000-0500",
    "20200101120000+0100\\20200101120000",
)
_NAMES = (
    "Smith^John",
    "SMITH^JOHN^^^",
    "Smyth^Johan^Q",
    "Smith",
    "Schmidt^Hans",
    "Müller^Anna-Lena",
    "Weiß^Ole ",
    "O'Brien^Pat",
    "Иванов^Пётр",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "=山田^太郎",
    "Miller^Eva\\Smith^John",
)
_NAME_KEYS = (
    *_NAMES,
    "",
    "*",
    "smith^john",
    "John^Smith",
    "smi*",
    "SM?TH*",
    "S*^J*",
    "Smith^*",
    "*John*",
    "Smith,John",
    "Muller",
    "M?ller^Anna*",
    "Anna Lena",
    "Weiss^Ole",
    "O Brien",
    "Milner",
    "Петр^Иванов",
    "山田*",
    "山田^?郎",
    "=山本*",
    "Yamada*=山田*",
    "==やまだ*",
    '""',
)

NAME = Attribute(0x00100010, "PN", _NAME_KEYS, _NAMES)
NAMES = Attribute(0x00081070, "PN", _NAME_KEYS, _NAMES)
DATE_TIME = Attribute(0x0008002A, "DT", _DATE_TIME_KEYS, _DATE_TIMES)
VALUES: Plan = (
    NAME,
    DATE_TIME,
    Attribute(0x00080008, "CS", _CODE_KEYS, _CODES),
    Attribute(0x00080050, "SH", _TEXT_KEYS, _TEXTS),
    Attribute(0x00080052, "CS", ("STUDY", "SERIES"), ("STUDY", "IMAGE")),
    Attribute(0x00080060, "CS", _CODE_KEYS, _CODES),
    Attribute(0x00081190, "UR", ("http://a/b", "http://*", "http://a/?", ""), ("http://a/b", "http://a/c ")),
    Attribute(0x00100020, "LO", _TEXT_KEYS, _TEXTS),
    Attribute(0x00101000, "LO", _TEXT_KEYS, ("ABC", "ABC\\A_C", "100%\\ABC")),
    Attribute(0x00101010, "AS", ("045Y", "046Y", "045Y\\046Y", "045?", ""), ("045Y", "046Y")),
    Attribute(0x00104000, "LT", _LONG_TEXT_KEYS, _LONG_TEXTS),
    Attribute(0x001021D0, "DA", (*_DATE_KEYS, '""', "20200101\\20200103"), _DATES),
    Attribute(0x00180050, "DS", (*_DECIMALS, ""), _DECIMALS),
    Attribute(0x00181063, "DS", (*_DECIMALS, ""), _DECIMALS),
    Attribute(0x00189087, "FD", ("1.5", "2.25", ""), ("1.5", "2.25")),
    Attribute(0x0020000D, "UI", ("1.2.3", "1.2.3\\1.2.4", "1.2.*", ""), ("1.2.3", "1.2.4", "1.2.33")),
    Attribute(0x00200013, "IS", ("1", "01", "+1", "-1", "1\\2", "1*", ""), ("1", " 001", "2", "-1")),
    Attribute(0x00280009, "AT", ("00181063", "00181063\\00181065", ""), ("00181063", "00181065\\00181063")),
    Attribute(0x00280010, "US", (*_NUMBERS, ""), _NUMBERS),
    Attribute(0x00400001, "AE", ("ONE", "ONE\\TWO", "O*", "T?O", ""), ("ONE", "TWO\\ONE", " TWO")),
    Attribute(0x0040A160, "UT", _LONG_TEXT_KEYS, _LONG_TEXTS),
    Attribute(0x0072006E, "ST", _LONG_TEXT_KEYS, _LONG_TEXTS),
    Attribute(0x0072006F, "UC", _TEXT_KEYS, _TEXTS),
)
DATE, TIME = (0x00080020, 0x00400002), (0x00080030, 0x00400003)
OFFSETS = st.sampled_from([None, None, "+0100", "-0500", "+0530", "+0000"])

options_strategy = st.builds(
    Options,
    datetime=st.booleans(),
    fuzzy=st.booleans(),
    timezone=st.booleans(),
    empty=st.booleans(),
    multiple=st.booleans(),
    worklist=st.booleans(),
    local=OFFSETS,
)
forms = st.sampled_from(FORMS)


def plans(attributes: Plan, depth: int = 0) -> st.SearchStrategy[Plan]:
    """A few attributes, down to `depth` sequences of them."""
    chosen = st.lists(st.sampled_from(attributes), min_size=1, max_size=2, unique=True).map(tuple)
    if not depth:
        return chosen
    tag = 0x00400100 if depth > 1 else 0x00400008
    sequence = plans(attributes, depth - 1).map(lambda item: (SequenceAttribute(tag, item),))
    return st.one_of(sequence, st.tuples(chosen, sequence).map(lambda both: both[0] + both[1]))


def _keys(draw: Any, plan: Plan) -> Dataset:
    elements: Elements = []
    for attribute in plan:
        if isinstance(attribute, SequenceAttribute):
            count = draw(st.sampled_from([1, 1, 1, 0, 2]))
            elements.append((attribute.tag, "SQ", [_keys(draw, attribute.item) for _ in range(count)]))
        else:
            elements.append((attribute.tag, attribute.vr, draw(st.sampled_from(attribute.keys))))
    return dataset_of(*elements)


def _stored(draw: Any, plan: Plan) -> Dataset:
    elements: Elements = []
    for attribute in plan:
        if draw(st.sampled_from([False] * 7 + [True])):
            continue
        if isinstance(attribute, SequenceAttribute):
            count = draw(st.integers(0, 3))
            elements.append((attribute.tag, "SQ", [_stored(draw, attribute.item) for _ in range(count)]))
        else:
            values = (*attribute.stored, *attribute.stored, "")
            elements.append((attribute.tag, attribute.vr, draw(st.sampled_from(values))))
    return dataset_of(*elements)


@st.composite
def queries(draw: Any, attributes: Plan, depth: int = 0) -> tuple[Dataset, Dataset]:
    """An identifier and a stored dataset of the same few attributes."""
    plan = draw(plans(attributes, depth))
    return _keys(draw, plan), _stored(draw, plan)


@st.composite
def dated_queries(draw: Any) -> tuple[Dataset, Dataset]:
    """A date, a time and a date-time, asked and stored, each side in a UTC offset or none."""
    in_item = draw(st.booleans())
    date, time = DATE[in_item], TIME[in_item]
    asked, stored = [], []
    for tag, vr, values in ((date, "DA", _DATE_KEYS), (time, "TM", _TIME_KEYS), (DATE_TIME.tag, "DT", _DATE_TIME_KEYS)):
        if draw(st.sampled_from([True, True, vr != "DT"])) and (vr != "DT" or draw(st.booleans())):
            asked.append((tag, vr, draw(st.sampled_from(values))))
    if draw(st.sampled_from([True, True, True, False])):
        stored += [(date, "DA", draw(st.sampled_from(_DATES))), (time, "TM", draw(st.sampled_from(_TIMES)))]
    stored.append((DATE_TIME.tag, "DT", draw(st.sampled_from(_DATE_TIMES))))
    datasets = []
    for elements in (asked, stored):
        dataset = dataset_of(*elements)
        if in_item:
            dataset = dataset_of((0x00400100, "SQ", [dataset]))
        offset = draw(OFFSETS)
        if offset:
            dataset.TimezoneOffsetFromUTC = offset
        datasets.append(dataset)
    return datasets[0], datasets[1]


def check(query: tuple[Dataset, Dataset], options: Options, form: Form) -> None:
    identifier, stored = query
    assert engine_matches(identifier, stored, options, form) == matches(identifier, stored, options)


@MANY
@given(queries(VALUES), options_strategy, forms)
def test_the_engine_is_the_reference_on_values(query: tuple[Dataset, Dataset], options: Options, form: Form) -> None:
    check(query, options, form)


@MANY
@given(queries((NAME, NAMES)), options_strategy, forms)
def test_the_engine_is_the_reference_on_names(query: tuple[Dataset, Dataset], options: Options, form: Form) -> None:
    check(query, options, form)


@MANY
@given(dated_queries(), options_strategy, forms)
def test_the_engine_is_the_reference_on_dates(query: tuple[Dataset, Dataset], options: Options, form: Form) -> None:
    check(query, options, form)


@MANY
@given(queries(VALUES, 2), options_strategy, forms)
def test_the_engine_is_the_reference_on_sequences(query: tuple[Dataset, Dataset], options: Options, form: Form) -> None:
    check(query, options, form)


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


# Responses


def _step(modality: str, station: str) -> Dataset:
    code = dataset_of((0x00080100, "SH", modality[0]), (0x00080102, "SH", "99LOCAL"))
    return dataset_of((0x00080060, "CS", modality), (0x00400001, "AE", station), (0x00400008, "SQ", [code]))


def _worklist_entry() -> Dataset:
    return dataset_of(
        (0x00080050, "SH", "A1"),
        (0x00100010, "PN", "Müller^Anna"),
        (0x00100020, "LO", "123"),
        (0x00400100, "SQ", [_step("CT", "ONE"), _step("MR", "TWO"), _step("CT", "THREE")]),
    )


candidate_forms = pytest.mark.parametrize(
    "form", [DATASET, str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian), str(ExplicitVRBigEndian)]
)


def _response(identifier: Dataset, candidate: Dataset, form: str, **given: Any) -> Dataset:
    syntax = str(ExplicitVRLittleEndian) if form == DATASET else form
    return Matcher(identifier, transfer_syntax=syntax, **given).response(in_form(candidate, form))


@candidate_forms
def test_a_response_has_what_was_requested(form: str) -> None:
    """PS3.4 C.2.2.3, C.4.1.1.3.2: no other attributes, and those that are absent without a value."""
    query = dataset_of(
        (0x00080050, "SH", ""), (0x00100010, "PN", "müller*"), (0x00100040, "CS", ""), (0x00321064, "SQ", [])
    )
    response = _response(query, _worklist_entry(), form)
    assert {element.keyword for element in response} == {
        "SpecificCharacterSet",
        "AccessionNumber",
        "PatientName",
        "PatientSex",
        "RequestedProcedureCodeSequence",
    }
    assert (response.AccessionNumber, str(response.PatientName)) == ("A1", "Müller^Anna")
    assert not response.PatientSex and response["PatientSex"].VR == "CS"
    assert len(response.RequestedProcedureCodeSequence) == 0


@candidate_forms
def test_a_response_is_in_the_character_set_of_what_is_stored(form: str) -> None:
    """PS3.4 C.4.1.1.3.2."""
    stored = Dataset()
    stored.SpecificCharacterSet, stored.PatientName, stored.PatientID = "ISO_IR 100", "Müller^Anna", "123"
    response = _response(dataset_of((0x00100010, "PN", "山*\\müller*")), stored, form)
    assert response.SpecificCharacterSet == "ISO_IR 100" and str(response.PatientName) == "Müller^Anna"
    assert "PatientID" not in response


@candidate_forms
@pytest.mark.parametrize("model", [None, MODALITY_WORKLIST_FIND])
def test_a_response_has_the_items_that_match(form: str, model: str | None) -> None:
    """PS3.4 C.2.2.2.6: of those only what was requested."""
    item = dataset_of((0x00080060, "CS", "CT"), (0x00400001, "AE", ""), (0x00400002, "DA", ""))
    response = _response(dataset_of((0x00400100, "SQ", [item])), _worklist_entry(), form, model=model)
    first, last = response.ScheduledProcedureStepSequence
    assert [first.ScheduledStationAETitle, last.ScheduledStationAETitle] == ["ONE", "THREE"]
    assert {element.keyword for element in first} - {"SpecificCharacterSet"} == {
        "Modality",
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
    }
    assert not first.ScheduledProcedureStepStartDate


@candidate_forms
def test_a_response_has_all_items_where_none_is_asked_for(form: str) -> None:
    """PS3.4 C.2.2.2.6: whole ones for a sequence or an item without keys, else what was requested of them."""
    whole = [str(step) for step in _worklist_entry().ScheduledProcedureStepSequence]
    for items in ([], [Dataset()]):
        response = _response(dataset_of((0x00400100, "SQ", items)), _worklist_entry(), form)
        assert [str(step) for step in response.ScheduledProcedureStepSequence] == whole
    item = dataset_of((0x00080060, "CS", ""))
    response = _response(dataset_of((0x00400100, "SQ", [item])), _worklist_entry(), form)
    assert [step.Modality for step in response.ScheduledProcedureStepSequence] == ["CT", "MR", "CT"]
    assert all(len(step) == 1 for step in response.ScheduledProcedureStepSequence)


@candidate_forms
def test_a_response_has_the_items_of_items(form: str) -> None:
    code = dataset_of((0x00080100, "SH", "M"))
    item = dataset_of((0x00400008, "SQ", [code]))
    response = _response(dataset_of((0x00400100, "SQ", [item])), _worklist_entry(), form)
    (step,) = response.ScheduledProcedureStepSequence
    assert [element.keyword for element in step] == ["ScheduledProtocolCodeSequence"]
    assert [element.keyword for element in step.ScheduledProtocolCodeSequence[0]] == ["CodeValue"]


@candidate_forms
def test_a_response_has_level_and_where_to_retrieve_from(form: str) -> None:
    """PS3.4 C.4.1.1.3.2."""
    query = dataset_of((0x00080052, "CS", "STUDY"), (0x0020000D, "UI", ""), (0x00080054, "AE", ""))
    stored = dataset_of((0x0020000D, "UI", "1.2.3"), (0x00100020, "LO", "123"))
    syntax = str(ExplicitVRLittleEndian) if form == DATASET else form
    find = sop_class.StudyRootQueryRetrieveInformationModelFind
    response = Matcher(query, model=find, transfer_syntax=syntax).response(in_form(stored, form), retrieve_aet="ME")
    assert {element.keyword: str(element.value) for element in response} == {
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": "ME",
        "StudyInstanceUID": "1.2.3",
    }


@pytest.mark.parametrize("syntax", [str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian), str(ExplicitVRBigEndian)])
def test_answers_have_what_was_computed_in_place_of_what_is_stored(syntax: str) -> None:
    count, modalities = 0x00201208, 0x00080061
    query = dataset_of(
        (0x00080052, "CS", "STUDY"), (count, "IS", "7"), (modalities, "CS", ""), (0x00100020, "LO", "A*")
    )
    find = sop_class.StudyRootQueryRetrieveInformationModelFind
    stored = [dataset_of((count, "IS", "7"), (0x00100020, "LO", value)) for value in ("A1", "B1", "A2")]
    encoded = [encode_dataset(dataset, str(ExplicitVRLittleEndian)) for dataset in stored]
    matcher = Matcher(query, model=find)
    computed = [[(count, "IS", number), (modalities, "CS", "CT\\MR")] for number in ("7", "7", "8")]
    answers = matcher.answers(encoded, syntax, computed=computed, retrieve_aet="ME")
    assert [answer is None for answer in answers] == [False, True, True]
    found = decode_dataset(answers[0] or b"", syntax)
    assert (found.PatientID, found.NumberOfStudyRelatedInstances, found.RetrieveAETitle) == ("A1", 7, "ME")
    assert list(found.ModalitiesInStudy) == ["CT", "MR"]
    assert [answer is None for answer in matcher.answers(encoded, syntax)] == [False, True, False]
    with pytest.raises(ValueError, match="candidate 1"):
        matcher.answers([encoded[0], b"\1"], syntax)


@settings(PROFILE, max_examples=200)
@given(queries(VALUES, 1), st.booleans(), st.sampled_from(FORMS))
def test_responses_have_the_requested_attributes_and_the_matching_items(
    query: tuple[Dataset, Dataset], worklist: bool, form: Form
) -> None:
    identifier, stored = query
    options = Options(worklist=worklist)
    if not matches(identifier, stored, options):
        return
    response = matcher(identifier, options, form).response(in_form(stored, form[1]))
    added = {0x00080005, 0x00080052}
    assert {int(tag) for tag in response.keys()} - added == {int(tag) for tag in identifier.keys()} - added  # noqa: SIM118
    for key in identifier:
        if key.VR == "SQ" and key.value and stored.get(key.tag) is not None:
            kept = matching_items(key.value[0], list(stored[key.tag].value), options)
            assert len(response[key.tag].value) == len(kept)


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
