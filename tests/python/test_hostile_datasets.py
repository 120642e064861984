"""Bytes that are no datasets, headers of files, and the dictionary."""

from __future__ import annotations

import importlib.util
import resource
import struct
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from codec_cases import (
    BIG,
    BROKEN,
    DEFLATED,
    EXPLICIT,
    EXPLICIT_ID,
    IMPLICIT,
    IMPLICIT_ID,
    ITEM_END,
    PROFILE,
    SEQUENCE_END,
    SYNTAXES,
    UNDEFINED,
    _item,
    _long,
    _tag,
    difference,
    encoded_ordinary,
    files,
    ordinary,
    outcome,
    save,
)
from dimsefast import _core
from dimsefast.dataset import EncodedDataset, decode_dataset, decode_object, encode_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def hostile_bases() -> list[tuple[str, bytes]]:
    bases = [(syntax, encoded_ordinary(syntax)) for syntax in SYNTAXES]
    item = _item(EXPLICIT_ID + ITEM_END, UNDEFINED)
    marked = EXPLICIT_ID + _long(0x00101002, b"SQ", item + item + SEQUENCE_END, UNDEFINED)
    unknown = _long(0x00111010, b"UN", _item(IMPLICIT_ID) + SEQUENCE_END, UNDEFINED)
    pixels = _long(0x7FE00010, b"OB", _item(b"") + _item(b"12345678") + SEQUENCE_END, UNDEFINED)
    return [*bases, (EXPLICIT, marked + unknown + pixels), (DEFLATED, encode_dataset(ordinary(), DEFLATED))]


@pytest.mark.parametrize("base", range(5))
def test_every_truncation_is_an_error_or_ends_between_elements(base: int) -> None:
    syntax, encoded = hostile_bases()[base]
    whole = decode_dataset(encoded, syntax)
    tags, shorter = list(whole.keys()), 0
    for length in range(len(encoded) - (syntax == DEFLATED)):
        for decoder in (decode_dataset, decode_object):
            try:
                dataset = decoder(encoded[:length], syntax)
            except ValueError:
                continue
            # Both are lazy: what is broken may come up later in what pydicom reads.
            if isinstance(dataset, EncodedDataset):
                kept = list(dataset.keys())
                assert kept == tags[: len(kept)]
                again = decode_dataset(encoded[:length], syntax)
                assert len(encode_dataset(again, syntax)) <= len(encoded)
                shorter += 1
    if syntax != DEFLATED:
        assert shorter >= len(tags)


@pytest.mark.parametrize("length", [1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, UNDEFINED])
def test_lengths_at_their_extremes(length: int) -> None:
    inner = EXPLICIT_ID
    for data, syntax in (
        (_long(0x00420011, b"OB", inner, length), EXPLICIT),
        (_long(0x00420011, b"UN", inner, length), EXPLICIT),
        (_long(0x00081110, b"SQ", inner, length), EXPLICIT),
        (_long(0x00081110, b"SQ", _item(inner, length)), EXPLICIT),
        (_long(0x00081110, b"SQ", _item(inner, length), UNDEFINED), EXPLICIT),
        (_long(0x7FE00010, b"OB", _item(inner, length) + SEQUENCE_END, UNDEFINED), EXPLICIT),
        (_tag(0x00100020) + struct.pack("<L", length) + inner, IMPLICIT),
        (_tag(0x00081110) + struct.pack("<L", length) + _item(inner), IMPLICIT),
    ):
        for decoder in (decode_dataset, decode_object):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with suppress(ValueError):
                decoder(data, syntax)
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


@pytest.mark.parametrize("levels", [1_100, 20_000])
@pytest.mark.parametrize("vr", [b"SQ", b"UN"])
def test_sequences_that_are_nested_too_deep(levels: int, vr: bytes) -> None:
    for begin, end in (
        (_long(0x00081110, vr, _item(b"", UNDEFINED), UNDEFINED), b""),
        (_long(0x00081110, vr, _item(b"", UNDEFINED), UNDEFINED), ITEM_END + SEQUENCE_END),
        (_tag(0x00081110) + struct.pack("<L", UNDEFINED) + _item(b"", UNDEFINED), b""),
    ):
        data = begin * levels + end * levels
        for syntax in (EXPLICIT, IMPLICIT):
            with pytest.raises(ValueError):
                decode_dataset(data, syntax)
            with pytest.raises(ValueError):
                decode_object(data, syntax)


def test_defined_lengths_that_are_nested_too_deep() -> None:
    data = EXPLICIT_ID
    for _ in range(1_100):
        data = _long(0x00081110, b"SQ", _item(data))
    with pytest.raises(ValueError, match="nested too deep"):
        decode_dataset(data, EXPLICIT)


def test_a_dataset_that_is_nested_too_deep_is_not_encoded() -> None:
    dataset = Dataset()
    for _ in range(20_000):
        outer = Dataset()
        outer.ReferencedStudySequence = [dataset]
        dataset = outer
    with pytest.raises(ValueError):
        encode_dataset(dataset, EXPLICIT)
    while "ReferencedStudySequence" in dataset:
        # Taken apart from the outside, so that nothing is freed recursively.
        inner = dataset.ReferencedStudySequence[0]
        del dataset.ReferencedStudySequence
        dataset = inner


def test_a_bomb_is_not_inflated() -> None:
    deflater = zlib.compressobj(9, wbits=-15)
    pieces = [deflater.compress(bytes(1 << 20)) for _ in range(200)]
    bomb = b"".join(pieces) + deflater.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        for decoder in (decode_dataset, decode_object):
            with pytest.raises(ValueError, match="too large"):
                decoder(bomb, DEFLATED)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@settings(PROFILE, max_examples=120)
@given(st.integers(0, 3), st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=6))
def test_random_damage(base: int, damage: list[tuple[int, int]]) -> None:
    syntax, encoded = hostile_bases()[base]
    damaged = bytearray(encoded)
    for at, byte in damage:
        damaged[at % len(damaged)] = byte
    for decoder in (decode_dataset, decode_object):
        try:
            dataset = decoder(bytes(damaged), syntax)
        except ValueError:
            continue
        if isinstance(dataset, EncodedDataset):
            assert len(dataset) <= len(damaged)
            for other in SYNTAXES:
                again = outcome(encode_dataset, decode_dataset(bytes(damaged), syntax), other)
                # In Implicit VR an element is what the dictionary says, and not what the damage made of it.
                if isinstance(again, bytes) and other != IMPLICIT:
                    _core.Encoded(again, other)


def up_to(dataset: Dataset, last: int) -> Dataset:
    """Without what comes after."""
    for tag in [tag for tag in dataset.keys() if tag > last or tag.group <= 2]:  # noqa: SIM118
        del dataset[tag]
    return dataset


def test_headers_of_files() -> None:
    wrong, refused, read = [], set(), 0
    for path in files():
        for last in (0x00100020, 0x00280010, 0x7FE0000F):
            try:
                header = EncodedDataset._of(_core.read_header(path, last))
            except ValueError as error:
                assert "beyond the end" in str(error) or "has no Media Storage SOP Class UID" in str(error)
                refused.add(path.name)
                continue
            read += 1
            file = dcmread(path)
            deflated = file.file_meta.get("TransferSyntaxUID") == DEFLATED
            assert deflated or not [tag for tag in header.keys() if tag > last]  # noqa: SIM118
            if found := difference(up_to(header, last), up_to(file, last), bytewise=False):
                wrong.append((path.name, hex(last), found))
    assert not wrong
    # These are read by pydicom then.
    assert refused <= {*BROKEN, "empty_charset_LEI.dcm", "meta_missing_tsyntax.dcm", "nested_priv_SQ.dcm"}
    assert read > 400


@pytest.mark.parametrize("syntax", [*SYNTAXES, DEFLATED])
def test_headers_in_every_syntax(syntax: str, tmp_path: Path) -> None:
    path = tmp_path / "object.dcm"
    save(ordinary(), path, syntax)
    header = EncodedDataset._of(_core.read_header(path, 0x00100020))
    assert (header.PatientName, header.PatientID) == (ordinary().PatientName, "12345")
    assert ("StudyInstanceUID" in header) is (syntax == DEFLATED)
    assert header.original_encoding == (syntax == IMPLICIT, syntax != BIG)


def test_headers_of_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _core.read_header(tmp_path / "none", 0x00100020)
    with pytest.raises(IsADirectoryError):
        _core.read_header(tmp_path, 0x00100020)
    for content in (b"", b"text", bytes(132), bytes(128) + b"DICM"):
        path = tmp_path / "content"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="content"):
            _core.read_header(path, 0x00100020)


def test_the_dictionary_is_pydicoms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location(
        "make_dictionary", Path(__file__).parents[2] / "tools" / "make_dictionary.py"
    )
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    committed = tool.TARGET.read_text()
    monkeypatch.setattr(tool, "TARGET", tmp_path / "data.rs")
    tool.main()
    assert (tmp_path / "data.rs").read_text() == committed
