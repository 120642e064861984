"""The index of an archive of a million instances, filled straight: queries do not ask for the files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dimsefast.archive import Archive
from dimsefast.archive.schema import instance, patient, series, study
from dimsefast.dataset import encode_dataset
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

#: Series of a study, and images of a series; a patient has two studies.
SERIES, IMAGES, STUDIES = 4, 50, 2
CT = "1.2.840.10008.5.1.4.1.1.2"


def _header() -> bytes:
    """A CT header of about 1 kB, with UIDs, patient and date that are replaced by others of the same length."""
    dataset = dcmread(str(get_testdata_file("CT_small.dcm")), stop_before_pixels=True)
    kept = Dataset()
    kept.update({tag: dataset[tag] for tag in dataset.keys() if not tag.is_private})  # noqa: SIM118
    kept.PatientID, kept.PatientName, kept.AccessionNumber = "P0000000", "NAME0000000^X", "A0000000"
    kept.StudyInstanceUID, kept.SeriesInstanceUID = "1.2.826.0.1.7.0000000", "1.2.826.0.1.7.0000000.00"
    kept.SOPInstanceUID, kept.StudyDate = "1.2.826.0.1.7.0000000.00.000", "20000101"
    return encode_dataset(kept, "1.2.840.10008.1.2.1")


def fill(folder: Path, instances: int) -> int:
    """Makes an archive in the folder whose index has this many instances; how many studies these are."""
    with Archive(folder):
        pass
    count = instances // (SERIES * IMAGES)
    connection = sqlite3.connect(folder / ".dimsefast" / "index.sqlite")
    template = _header()
    for table, rows in (
        (patient, _patients(count, template)),
        (study, _studies(count, template)),
        (series, _series(count, template)),
        (instance, _instances(count, template)),
    ):
        names = ", ".join(column.name for column in table.columns)
        marks = ", ".join("?" * len(table.columns))
        connection.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)
        connection.commit()
    connection.close()
    return count


def _of(template: bytes, at: int, group: int = 0, number: int = 0) -> bytes:
    """The header of an image, whose UIDs are as long as those of the template."""
    header = template.replace(b"1.2.826.0.1.7.0000000.00.000", f"1.2.826.0.1.7.{at:07}.{group:02}.{number:03}".encode())
    header = header.replace(b"1.2.826.0.1.7.0000000.00", f"1.2.826.0.1.7.{at:07}.{group:02}".encode())
    header = header.replace(b"1.2.826.0.1.7.0000000", f"1.2.826.0.1.7.{at:07}".encode())
    return header.replace(b"P0000000", f"P{at // STUDIES:07}".encode()).replace(b"A0000000", f"A{at:07}".encode())


def _row(table: Any, **values: Any) -> tuple[Any, ...]:
    return tuple(values.get(column.name) for column in table.columns)


def _patients(count: int, template: bytes) -> Iterator[tuple[Any, ...]]:
    below = {"studies": STUDIES, "series": STUDIES * SERIES, "instances": STUDIES * SERIES * IMAGES, "mixed": 0}
    for at in range(0, count, STUDIES):
        number = at // STUDIES
        named = {"patient_id": f"P{number:07}", "patient_name": f"NAME{number:07}^X"}
        yield _row(patient, key=number + 1, **named, **below, header=_of(template, at))


def _studies(count: int, template: bytes) -> Iterator[tuple[Any, ...]]:
    below = {"series": SERIES, "instances": SERIES * IMAGES, "modalities": "CT", "sop_classes": CT, "mixed": 0}
    for at in range(count):
        number = at // STUDIES
        own = {
            "study_instance_uid": f"1.2.826.0.1.7.{at:07}",
            "patient_name": f"NAME{number:07}^X",
            "study_date": f"{2000 + at % 20}{1 + at % 12:02}{1 + at % 28:02}",
            "accession_number": f"A{at:07}",
        }
        yield _row(study, key=at + 1, patient_key=number + 1, **own, **below, header=_of(template, at))


def _series(count: int, template: bytes) -> Iterator[tuple[Any, ...]]:
    for key in range(count * SERIES):
        at, group = divmod(key, SERIES)
        own = {"series_instance_uid": f"1.2.826.0.1.7.{at:07}.{group:02}", "modality": "CT", "series_number": group}
        header = _of(template, at, group)
        yield _row(series, key=key + 1, study_key=at + 1, **own, instances=IMAGES, mixed=0, header=header)


def _instances(count: int, template: bytes) -> Iterator[tuple[Any, ...]]:
    for key in range(count * SERIES * IMAGES):
        parent, number = divmod(key, IMAGES)
        at, group = divmod(parent, SERIES)
        uid = f"1.2.826.0.1.7.{at:07}.{group:02}.{number:03}"
        own = {"sop_instance_uid": uid, "sop_class_uid": CT, "instance_number": number, "name": f"objects/00/{uid}.dcm"}
        header = _of(template, at, group, number)
        own |= {"transfer_syntax_uid": "1.2.840.10008.1.2.1", "size": 500_000}
        yield _row(instance, key=key + 1, series_key=parent + 1, **own, header=header)
