"""Random identifiers and stored datasets, of values so few that hits are frequent."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from matching_forms import FORMS
from matching_tables import Options, dataset_of
from pydicom import Dataset

# Datasets and examples are slow to make, not slow to match.
settings.register_profile(
    "matching", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("matching-ci", settings.get_profile("matching"), derandomize=True, database=None)
PROFILE = settings.get_profile("matching-ci" if os.environ.get("CI") else "matching")
MANY = settings(PROFILE, max_examples=400)


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
