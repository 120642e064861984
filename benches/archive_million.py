"""An archive of a million instances: how long it takes to start, and to take in more.

python benches/archive_million.py [--instances 1000000] [--add 5000]

The rows are written straight into the database; there are no files for them. Beside it stands an archive of one
hundredth of the size.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from dimsefast import Archive, _core
from dimsefast.archive.database import Database
from dimsefast.archive.schema import instance, patient, progress, series, study
from dimsefast.dataset import encode_dataset
from objects import ct_image
from pydicom import Dataset

#: Instances of a series, series of a study; each patient has one study.
INSTANCES, SERIES = 10, 5
EXPLICIT, CT = "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2"
UID = "1.2.826.0.1.3680043.8.498.{kind}{number:010}"
ROWS = 10_000


def header(number: int) -> Dataset:
    """What a CT image says of itself that somebody could ask for."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, UID.format(kind=4, number=number)
    dataset.StudyDate = dataset.SeriesDate = "20240101"
    dataset.StudyTime = dataset.SeriesTime = "120000"
    dataset.AccessionNumber, dataset.Modality, dataset.Manufacturer = f"A{0:09}", "CT", "Benchmark"
    dataset.ReferringPhysicianName, dataset.StudyDescription = "Referring^Physician", "Thorax"
    dataset.SeriesDescription, dataset.BodyPartExamined = "Axial", "CHEST"
    dataset.PatientName, dataset.PatientID = f"Family{0:07}^Given", f"P{0:09}"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "F"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UID.format(kind=2, number=0), UID.format(kind=3, number=0)
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "1", 1, 1
    dataset.Rows = dataset.Columns = 512
    return dataset


class Filling:
    """Rows of all tables for so many instances, made of one header."""

    def __init__(self, instances: int) -> None:
        self.instances = instances
        self._template = encode_dataset(header(0), EXPLICIT)

    def _header(self, patient_number: int, series_number: int, number: int) -> bytes:
        found = self._template
        for kind, value in ((2, patient_number), (3, series_number), (4, number)):
            found = found.replace(
                UID.format(kind=kind, number=0).encode(), UID.format(kind=kind, number=value).encode()
            )
        for old, new in (("P{:09}", 0), ("A{:09}", 0), ("Family{:07}", 0)):
            found = found.replace(old.format(new).encode(), old.format(patient_number).encode())
        return found

    def _patient(self, number: int) -> dict[str, Any]:
        attributes = {
            "patient_name": f"FAMILY{number:07}^GIVEN",
            "patient_birth_date": "19700101",
            "patient_sex": "F",
            "series": SERIES,
            "instances": SERIES * INSTANCES,
            "mixed": False,
            "key": number,
            "header": self._header(number, SERIES * number, SERIES * INSTANCES * number),
        }
        return attributes

    def patients(self) -> Iterator[dict[str, Any]]:
        for number in range(1, self.instances // (SERIES * INSTANCES) + 1):
            yield self._patient(number) | {"patient_id": f"P{number:09}", "studies": 1}

    def studies(self) -> Iterator[dict[str, Any]]:
        for number in range(1, self.instances // (SERIES * INSTANCES) + 1):
            yield self._patient(number) | {
                "patient_key": number,
                "study_instance_uid": UID.format(kind=2, number=number),
                "study_date": f"{1990 + number % 30}{1 + number % 12:02}{1 + number % 28:02}",
                "study_time": "120000.000000",
                "accession_number": f"A{number:09}",
                "study_id": "1",
                "referring_physician_name": "REFERRING^PHYSICIAN",
                "study_description": "Thorax",
                "modalities": "CT",
                "sop_classes": CT,
            }

    def series(self) -> Iterator[dict[str, Any]]:
        for number in range(1, self.instances // INSTANCES + 1):
            above = 1 + (number - 1) // SERIES
            yield {
                "key": number,
                "study_key": above,
                "series_instance_uid": UID.format(kind=3, number=number),
                "modality": "CT",
                "series_number": 1 + (number - 1) % SERIES,
                "series_description": "Axial",
                "body_part_examined": "CHEST",
                "performed_procedure_step_start_date": None,
                "instances": INSTANCES,
                "mixed": False,
                "header": self._header(above, number, INSTANCES * number),
            }

    def instances_(self) -> Iterator[dict[str, Any]]:
        for number in range(1, self.instances + 1):
            above = 1 + (number - 1) // INSTANCES
            uid = UID.format(kind=4, number=number)
            yield {
                "key": number,
                "series_key": above,
                "sop_instance_uid": uid,
                "sop_class_uid": CT,
                "instance_number": 1 + (number - 1) % INSTANCES,
                "transfer_syntax_uid": EXPLICIT,
                "name": f"objects/{_core.uid_hash(uid)}/{uid}.dcm",
                "size": 526_000,
                "header": self._header(1 + (above - 1) // SERIES, above, number),
            }


def fill(folder: Path, instances: int) -> None:
    """Makes an archive with the rows of so many instances, a multiple of 50, and no files."""
    Archive(folder).close()
    filling = Filling(instances)
    database = Database(f"sqlite:///{folder / '.dimsefast' / 'index.sqlite'}")
    tables = (
        (patient, filling.patients()),
        (study, filling.studies()),
        (series, filling.series()),
        (instance, filling.instances_()),
    )
    for table, rows in tables:
        while part := list(islice(rows, ROWS)):
            with database.writing() as connection:
                connection.execute(table.insert(), part)
    with database.writing() as connection:
        connection.execute(progress.update().values(bytes=526_000 * instances))
    database.close()


def random_objects(count: int) -> list[bytes]:
    """Objects of about 4 kB with UIDs that are in no order, of one series for ten of them."""
    chance = random.Random(1)
    found = []
    dataset = ct_image()
    dataset.Rows = dataset.Columns = 28
    dataset.PixelData = bytes(28 * 28 * 2)
    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
        marks = [UID.format(kind=kind, number=0) for kind in (7, 8, 9)]
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = marks
        dataset.file_meta.MediaStorageSOPInstanceUID = marks[2]
        dataset.save_as(file.name)
        template = Path(file.name).read_bytes()
    for number in range(count):
        if number % 10 == 0:
            upper = [chance.randrange(10**10), chance.randrange(10**10)]
        data = template
        for mark, kind, value in zip(marks, (7, 8, 9), (*upper, chance.randrange(10**10)), strict=True):
            data = data.replace(mark.encode(), UID.format(kind=kind, number=value).encode())
        found.append(data)
    return found


def measure(folder: Path, instances: int, objects: list[bytes]) -> str:
    begin = time.perf_counter()
    fill(folder, instances)
    filled = time.perf_counter() - begin
    begin = time.perf_counter()
    archive = Archive(folder)
    started = time.perf_counter() - begin
    with archive:
        begin, cpu = time.perf_counter(), time.process_time()
        for result in archive.add(objects):
            if result.error is not None:
                raise result.error
        archive.up_to_date(None)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        begin = time.perf_counter()
        statistics = archive.statistics()
        looked = time.perf_counter() - begin
    size = (folder / ".dimsefast" / "index.sqlite").stat().st_size
    rate = f"{len(objects) / seconds:,.0f} objects/s, {1e6 * cpu / len(objects):.0f} us of CPU"
    return (
        f"{instances:,} instances: filled in {filled:.0f} s, {size / 1e6:,.0f} MB, start {1000 * started:.0f} ms, "
        f"add and index {rate}, statistics {1000 * looked:.1f} ms ({statistics['instances']:,} instances)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=1_000_000, help="how many are there (default: %(default)s)")
    parser.add_argument("--add", type=int, default=5000, help="how many are added (default: %(default)s)")
    given = parser.parse_args()
    objects = random_objects(given.add)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="dimsefast-bench-", dir=memory if memory.is_dir() else None) as work:
        for instances in (given.instances // 100, given.instances):
            print(measure(Path(work) / str(instances), instances, objects), flush=True)


if __name__ == "__main__":
    main()
