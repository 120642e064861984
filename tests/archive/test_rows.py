"""Whoever reads slowly does not make the index's log grow, and still gets everything that was there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dimsefast.archive import Archive, database
from dimsefast.archive.lookup import CHUNK
from pydicom import Dataset, dcmread

from archive.contents import CT

#: Bytes of the log before the writer looks after it; a batch of the tests is shorter.
LIMIT = 128 << 10


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(database, "_LOG_LENGTH", LIMIT)
    monkeypatch.setattr(database, "_LOG_PAGES", 8)
    with Archive(tmp_path / "archive") as archive:
        yield archive


def put(archive: Archive, numbers: range, comment: str = "") -> None:
    dataset = dcmread(CT)
    dataset.ImageComments = comment
    for number in numbers:
        dataset.SOPInstanceUID, dataset.InstanceNumber = f"1.2.{number}", number
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        assert next(iter(archive.add([dataset]))).status == 0
    archive.up_to_date()


def images(*uids: str) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel, keys.InstanceNumber = "IMAGE", None
    keys.SOPInstanceUID = list(uids)
    return keys


def write_much(archive: Archive, first: int) -> None:
    """Until a log that is never cut would be three times as long as it may be."""
    written = 0
    while written < 3 * LIMIT:
        put(archive, range(first, first + 20), comment="x" * 1000)
        first += 20
        written += 20 * 1500
        log = (archive.folder / ".dimsefast" / "index.sqlite-wal").stat().st_size
        assert log < 2 * LIMIT


def test_the_log_does_not_grow_while_a_query_is_open(archive: Archive) -> None:
    put(archive, range(100))
    answers = archive.find(images(), relational=True)
    found = [next(answers).InstanceNumber]
    write_much(archive, first=1000)
    found += [answer.InstanceNumber for answer in answers]
    assert found == list(range(100))
    assert not archive.database.readers


def test_a_query_that_goes_on_by_keys_leaves_out_what_has_gone(archive: Archive) -> None:
    put(archive, range(100))
    answers = archive.find(images(), relational=True)
    found = [next(answers).InstanceNumber]
    write_much(archive, first=1000)
    for number in range(50, 90):
        assert archive.remove(sop_instance_uid=f"1.2.{number}") == 1
    found += [answer.InstanceNumber for answer in answers]
    # Some had been read.
    assert found[-10:] == list(range(90, 100)) and found[:50] == list(range(50))
    assert len(found) == 60


def test_all_statements_of_a_long_list_are_read_on(archive: Archive) -> None:
    put(archive, range(60))
    uids = [f"1.2.{number}" for number in range(30)]
    fill = [f"1.3.{number}" for number in range(CHUNK)]
    uids += fill + [f"1.2.{number}" for number in range(30, 60)]
    answers = archive.find(images(*uids), relational=True)
    found = [next(answers).InstanceNumber]
    write_much(archive, first=1000)
    assert sorted(found + [answer.InstanceNumber for answer in answers]) == list(range(60))


def test_several_queries_that_nobody_reads_are_let_go(archive: Archive) -> None:
    put(archive, range(100))
    left = [archive.find(images(), relational=True) for _ in range(5)]
    for answers in left:
        next(answers)
    assert len(archive.database.readers) == 5
    write_much(archive, first=1000)
    assert not archive.database.readers
    assert [len(list(answers)) for answers in left] == [99] * 5
