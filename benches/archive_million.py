"""An archive of a million instances: how long it takes to start, and to take in more.

python benches/archive_million.py [--instances 1000000] [--add 5000] [--rounds 5] [--kept FOLDER] [--folder FOLDER]

The rows are written straight into the database; there are no files for them. Beside it stands an archive of one
hundredth of the size, to which the same objects are added in turn. Objects that are removed just before make ext4 slow
at new files: on a disk, wait some minutes between runs.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
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


def filled(folder: Path, instances: int, kept: Path | None) -> str:
    """The same, copied from `kept/<instances>` where that is there, and put there otherwise; says what was done."""
    begin = time.perf_counter()
    source = None if kept is None else kept / str(instances)
    if source is not None and source.is_dir():
        shutil.copytree(source, folder)
        return f"copied from {source} in {time.perf_counter() - begin:.0f} s"
    fill(folder, instances)
    said = f"filled in {time.perf_counter() - begin:.0f} s"
    if source is not None:
        shutil.copytree(folder, source)
    return said


def whole_patients(text: str) -> int:
    """The value of --instances: of whole patients, so that all rows have what they should."""
    number, least = int(text) if text.isdecimal() else 0, SERIES * INSTANCES
    if number < least or number % least:
        raise argparse.ArgumentTypeError(f"{text} is no multiple of {least}, the instances of a patient")
    return number


def random_objects(count: int, seed: int = 1) -> list[bytes]:
    """Objects of about 4 kB with UIDs that are in no order, of one series for ten of them."""
    chance = random.Random(seed)
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


@dataclass
class Grown:
    """An archive that is there, and what it took to add to it: of each round objects a second, and us an object."""

    archive: Archive
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    queued: list[float] = field(default_factory=list)

    def add(self, objects: list[bytes]) -> None:
        """One round."""
        begin, ran, queued = time.perf_counter(), time.process_time(), _queued()
        for result in self.archive.add(objects):
            if result.error is not None:
                raise result.error
        self.archive.up_to_date(None)
        self.rates.append(len(objects) / (time.perf_counter() - begin))
        self.cpu.append(1e6 * (time.process_time() - ran) / len(objects))
        self.queued.append(1e6 * (_queued() - queued) / len(objects))

    def __str__(self) -> str:
        rate, cpu, queued = (statistics.median(figures) for figures in (self.rates, self.cpu, self.queued))
        spread = f"{min(self.rates):,.0f} to {max(self.rates):,.0f}"
        return (
            f"add and index {rate:,.0f} objects/s ({spread}), {cpu:.0f} us of CPU an object, "
            f"{queued:.0f} us of its threads in the queue for a processor"
        )


def _queued() -> float:
    """Seconds that the threads of this process were ready to run and did not: what the clock has of other programs."""
    return sum(int(path.read_text().split()[1]) for path in Path("/proc/self/task").glob("*/schedstat")) / 1e9


def opened(folder: Path, instances: int, kept: Path | None) -> Archive:
    """An archive of that many, and how long it takes to open it and to count."""
    made = filled(folder, instances, kept)
    begin = time.perf_counter()
    archive = Archive(folder)
    started = time.perf_counter() - begin
    begin = time.perf_counter()
    counted = archive.statistics()["instances"]
    looked = time.perf_counter() - begin
    size = (folder / ".dimsefast" / "index.sqlite").stat().st_size
    print(
        f"{counted:,} instances: {made}, {size / 1e6:,.0f} MB, start {1000 * started:.0f} ms, "
        f"statistics {1000 * looked:.1f} ms",
        flush=True,
    )
    return archive


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--instances", type=whole_patients, default=1_000_000, help="how many are there (default: %(default)s)"
    )
    parser.add_argument("--add", type=int, default=5000, help="how many are added in a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="how often, in turn (default: %(default)s)")
    parser.add_argument("--kept", type=Path, help="a folder where filled archives are kept and taken from")
    parser.add_argument("--folder", type=Path, help="where it happens (default: /dev/shm, memory)")
    given = parser.parse_args()
    memory = Path("/dev/shm")
    where = given.folder or (memory if memory.is_dir() else None)
    with tempfile.TemporaryDirectory(prefix="dimsefast-bench-", dir=where) as work, ExitStack() as stack:
        grown = {}
        for instances in (max(given.instances // 5000 * 50, 50), given.instances):
            archive = opened(Path(work) / str(instances), instances, given.kept)
            grown[instances] = Grown(stack.enter_context(archive))
        for seed in range(given.rounds):
            objects = random_objects(given.add, seed)
            for each in grown.values():
                each.add(objects)
        for instances, each in grown.items():
            print(f"{instances:,} instances: {each}")
        few, many = grown.values()
        ratios = [one / other for one, other in zip(many.rates, few.rates, strict=True)]
        print(f"many to few: x{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
