"""The tables of attribute matching, `tests/data/matching*.txt`, as pydicom datasets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

DATA = Path(__file__).parents[1] / "data"

MODALITY_WORKLIST_FIND = "1.2.840.10008.5.1.4.31"

#: An attribute of each VR that may have several values, as far as its VR may (PS3.6: the Selector Attribute values).
ATTRIBUTES = {
    "AE": 0x0072005E,
    "AS": 0x0072005F,
    "AT": 0x00720060,
    "CS": 0x00720062,
    "DA": 0x00720061,
    "DS": 0x00720072,
    "DT": 0x00720063,
    "FD": 0x00720074,
    "FL": 0x00720076,
    "IS": 0x00720064,
    "LO": 0x00720066,
    "LT": 0x00720068,
    "PN": 0x0072006A,
    "SH": 0x0072006C,
    "SL": 0x0072007C,
    "SS": 0x0072007E,
    "ST": 0x0072006E,
    "SV": 0x00720082,
    "TM": 0x0072006B,
    "UC": 0x0072006F,
    "UI": 0x0072007F,
    "UL": 0x00720078,
    "UR": 0x00720071,
    "US": 0x0072007A,
    "UT": 0x00720070,
    "UV": 0x00720083,
}

#: PS3.5 6.2: VRs of one value, in which a backslash is an ordinary character.
ONE_VALUE = {"LT", "ST", "UR", "UT"}
_INTEGERS = {"SL", "SS", "SV", "UL", "US", "UV"}
_FLOATS = {"FD", "FL"}


@dataclass(frozen=True)
class Options:
    """What is negotiated, and the rest of what decides a match."""

    datetime: bool = False
    fuzzy: bool = False
    timezone: bool = False
    empty: bool = False
    multiple: bool = False
    worklist: bool = False
    local: str | None = None

    @staticmethod
    def of(text: str) -> Options:
        """From a cell of the table."""
        words = [] if text == "-" else text.split()
        local = [word.removeprefix("local=") for word in words if word.startswith("local=")]
        flags = {word: True for word in words if not word.startswith("local=")}
        return Options(local=local[0] if local else None, **flags)


@dataclass(frozen=True)
class ValueRow:
    """A row of `matching.txt`."""

    line: int
    vr: str
    key: str
    stored: str
    expected: bool

    @property
    def identifier(self) -> Dataset:
        return dataset_of((ATTRIBUTES[self.vr], self.vr, self.key))

    @property
    def candidate(self) -> Dataset:
        return dataset_of((ATTRIBUTES[self.vr], self.vr, self.stored))


@dataclass(frozen=True)
class DatasetRow:
    """A row of `matching_datasets.txt`."""

    line: int
    options: Options
    identifier: Dataset
    candidate: Dataset
    expected: bool


def element_of(tag: int, vr: str, text: str) -> DataElement:
    """An element with this value as it is, valid or not: a key often is not a valid value of its VR."""
    texts = [text] if vr in ONE_VALUE else text.split("\\")
    values: list[object]
    if not text:
        return DataElement(tag, vr, None)
    if vr == "PN":
        return DataElement(tag, vr, texts)
    if vr == "AT":
        values = [Tag(int(value, 16)) for value in texts]
    elif vr in _INTEGERS:
        values = [int(value) for value in texts]
    elif vr in _FLOATS:
        values = [float(value) for value in texts]
    else:
        values = list(texts)
    value = values[0] if len(values) == 1 else MultiValue(lambda one: one, values)
    return DataElement(tag, vr, value, already_converted=True)


def dataset_of(*elements: tuple[int, str, str | list[Dataset]]) -> Dataset:
    """A dataset of tags, VRs and values as text, or items."""
    dataset = Dataset()
    beyond_ascii = False
    for tag, vr, value in elements:
        if isinstance(value, str):
            dataset.add(element_of(tag, vr, value))
            beyond_ascii |= not value.isascii()
        else:
            dataset.add_new(tag, vr, value)
            beyond_ascii |= any("SpecificCharacterSet" in item for item in value)
    if beyond_ascii:
        dataset.SpecificCharacterSet = "ISO_IR 192"
    return dataset


def value_rows() -> list[ValueRow]:
    rows = []
    for number, cells in _lines("matching.txt"):
        vr, key, stored, expected = cells
        rows.append(ValueRow(number, vr, key.strip('"'), stored.strip('"'), _is_yes(expected)))
    return rows


def dataset_rows() -> list[DatasetRow]:
    rows = []
    for number, cells in _lines("matching_datasets.txt"):
        options, identifier, stored, expected = cells
        rows.append(DatasetRow(number, Options.of(options), _dataset(identifier), _dataset(stored), _is_yes(expected)))
    return rows


def _lines(name: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate((DATA / name).read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, [cell.strip() for cell in line.split("|")]


def _is_yes(cell: str) -> bool:
    return {"yes": True, "no": False}[cell]


_TOKEN = re.compile(r'\s*(?:(?P<mark>[;{}])|"(?P<quoted>(?:\\"|[^"])*)"|(?P<bare>[^\s;{}"][^;{}"]*))')


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position = [], 0
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match, f"cannot read {text[position:]!r}"
        kind = str(match.lastgroup)
        value = match[kind]
        found.append((kind, value.replace('\\"', '"') if kind == "quoted" else value.strip()))
        position = match.end()
    return found


def _dataset(text: str) -> Dataset:
    tokens = _tokens(text)
    dataset = _elements(tokens)
    assert not tokens, f"more than a dataset: {text!r}"
    return dataset


def _elements(tokens: list[tuple[str, str]]) -> Dataset:
    """The elements up to the end or a closing brace, which are taken off the tokens."""
    elements: list[tuple[int, str, str | list[Dataset]]] = []
    while tokens and tokens[0] != ("mark", "}"):
        _, head = tokens.pop(0)
        tag, vr, bare = [*head.split(" ", 2), ""][:3]
        value: str | list[Dataset] = bare
        if vr == "SQ":
            value = []
            while tokens and tokens[0] == ("mark", "{"):
                tokens.pop(0)
                value.append(_elements(tokens))
                assert tokens.pop(0) == ("mark", "}")
        elif tokens and tokens[0][0] == "quoted":
            value = tokens.pop(0)[1]
        elements.append((int(tag.replace(",", ""), 16), vr, value))
        if tokens and tokens[0] == ("mark", ";"):
            tokens.pop(0)
    return dataset_of(*elements)
