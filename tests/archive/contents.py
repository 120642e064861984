"""What is in an index, apart from keys, and objects to fill it with."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from dimsefast.archive import Archive
from dimsefast.archive.schema import instance, patient, series, study
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file, get_testdata_files
from sqlalchemy import select

CT = Path(str(get_testdata_file("CT_small.dcm")))


def rows(archive: Archive) -> list[dict[str, Any]]:
    """All rows from the instances up, each with those above it, without keys, in the order of SOP Instance UIDs."""
    columns = [
        column.label(f"{table.name}.{column.name}")
        for table in (patient, study, series, instance)
        for column in table.columns
        if not column.name.endswith("key")
    ]
    joined = instance.join(series).join(study).join(patient)
    with archive.database.reading() as connection:
        found = connection.execute(select(*columns).select_from(joined).order_by(instance.c.sop_instance_uid))
        return [dict(row._mapping) for row in found]


def table(archive: Archive, which: Any) -> list[dict[str, Any]]:
    """The rows of one table, in the order of their keys."""
    with archive.database.reading() as connection:
        return [dict(row._mapping) for row in connection.execute(select(which).order_by(which.c.key))]


def counts_are_right(archive: Archive) -> None:
    """Compares the counts and sets that the indexer keeps with what there is."""
    found = rows(archive)
    below: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    classes: dict[tuple[str, ...], set[str]] = {}
    for row in found:
        for depth, level in enumerate(_UNIQUE):
            for lower in list(_UNIQUE)[depth + 1 :]:
                below.setdefault((lower, *_path(row, level)), set()).add(_path(row, lower))
        classes.setdefault(_path(row, "study"), set()).add(row["instance.sop_class_uid"])
    for row in found:
        for level, lower, plural in (
            ("patient", "study", "studies"),
            ("patient", "series", "series"),
            ("patient", "instance", "instances"),
            ("study", "series", "series"),
            ("study", "instance", "instances"),
            ("series", "instance", "instances"),
        ):
            assert row[f"{level}.{plural}"] == len(below[lower, *_path(row, level)]), (level, lower, row)
        assert row["study.sop_classes"] == "\\".join(sorted(classes[_path(row, "study")]))
    for kind, level in ((patient, "patient"), (study, "study"), (series, "series")):
        assert len(table(archive, kind)) == len({_path(row, level) for row in found}), "there is a row without objects"
    sizes = sum(row["instance.size"] for row in found)
    assert archive.statistics()["bytes"] == sizes


_UNIQUE = {
    "patient": "patient_id",
    "study": "study_instance_uid",
    "series": "series_instance_uid",
    "instance": "sop_instance_uid",
}


def _path(row: dict[str, Any], level: str) -> tuple[str, ...]:
    levels = list(_UNIQUE)
    return tuple(row[f"{name}.{_UNIQUE[name]}"] for name in levels[: levels.index(level) + 1])


def made(number: int, **attributes: Any) -> Dataset:
    """A real object of a study of its own, with other attributes; small."""
    dataset = copy.deepcopy(_small())
    uid = f"1.2.826.0.1.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = f"{uid}.1", f"{uid}.1.1", f"{uid}.9"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


@cache
def _small() -> Dataset:
    dataset = dcmread(CT)
    del dataset.PixelData
    return dataset


def test_files() -> Iterator[Path]:
    """Those of pydicom that are objects: with UIDs in their file meta group, each instance once."""
    seen = set()
    for name in sorted(get_testdata_files()):
        try:
            dataset = dcmread(name, stop_before_pixels=True)
        except Exception:
            continue
        meta = dataset.file_meta
        uid = meta.get("MediaStorageSOPInstanceUID")
        if uid and meta.get("MediaStorageSOPClassUID") and meta.get("TransferSyntaxUID") and uid not in seen:
            seen.add(uid)
            yield Path(name)


test_files.__test__ = False  # type: ignore[attr-defined]
