"""The modality worklist: items from files that come, change and go."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dimsefast import Archive, query
from dimsefast import sop_class as sop
from dimsefast.archive.worklist import Worklist
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from .test_provider import connect, extended, found

MODEL = sop.ModalityWorklistInformationFind


def item(name: str, modality: str = "CT", day: str = "20240501", time: str = "0900") -> Dataset:
    step = Dataset()
    step.Modality, step.ScheduledStationAETitle = modality, "SCANNER"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = day, time
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName, dataset.PatientID = name, name[:3]
    dataset.ScheduledProcedureStepSequence = [step]
    return dataset


def write(path: Path, dataset: Dataset) -> None:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = MODEL, "1.2.3"
    dataset.save_as(path, enforce_file_format=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "worklist"
    (made / "sub").mkdir(parents=True)
    write(made / "a.dcm", item("Müller^A"))
    write(made / "sub" / "b.wl", item("Brown^B", "MR", "20240502", "1500"))
    several = [item("Green^C", "CT", "20240503").to_json_dict(), item("Weiß^D", "US").to_json_dict()]
    (made / "c.json").write_text(json.dumps(several), encoding="utf-8")
    (made / "notes.txt").write_text("no item")
    return made


@pytest.fixture
def served(tmp_path: Path, folder: Path) -> Iterator[tuple[str, int]]:
    with Archive(tmp_path / "archive") as archive:
        server = archive.serve(("127.0.0.1", 0), block=False, worklist=folder)
        assert server is not None
        with server:
            yield server.address


def names(address: tuple[str, int], **keys: Any) -> list[str]:
    return [str(one.PatientName) for one in found(address, query.worklist(**keys), MODEL)]


def test_items_of_all_kinds_of_files(served: tuple[str, int]) -> None:
    assert names(served) == ["Müller^A", "Green^C", "Weiß^D", "Brown^B"]
    assert names(served, modality="CT") == ["Müller^A", "Green^C"]
    assert names(served, patient_name="wei*") == ["Weiß^D"]
    # PS3.4 K.2.2.1.2: the pair of date and time is one range.
    keys = {
        "scheduled_procedure_step_start_date": "20240501-20240502",
        "scheduled_procedure_step_start_time": "1000-1600",
    }
    assert names(served, **keys) == ["Brown^B"]
    (one,) = found(served, query.worklist(patient_name="Brown*"), MODEL)
    assert one.ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "SCANNER"
    assert "QueryRetrieveLevel" not in one and "RetrieveAETitle" not in one


def test_changes_are_seen_at_the_next_query(served: tuple[str, int], folder: Path) -> None:
    assert len(names(served)) == 4
    write(folder / "e.dcm", item("New^E"))
    assert names(served, patient_name="New*") == ["New^E"]
    before = (folder / "e.dcm").stat()
    write(folder / "e.dcm", item("New^F"))
    os.utime(folder / "e.dcm", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert names(served, patient_name="New*") == ["New^F"]
    (folder / "e.dcm").unlink()
    (folder / "c.json").unlink()
    assert names(served) == ["Müller^A", "Brown^B"]


def test_a_broken_file_is_logged_once_and_skipped(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "broken.json").write_text("{")
    (folder / "broken.dcm").write_bytes(b"\1\2\3")
    image = item("Image")
    del image.ScheduledProcedureStepSequence
    write(folder / "image.dcm", image)
    worklist = Worklist(folder)
    with caplog.at_level(logging.ERROR, "dimsefast.archive"):
        assert [len(worklist.items()) for _ in range(3)] == [4, 4, 4]
    assert sorted(Path(record.args[0]).name for record in caplog.records) == ["broken.dcm", "broken.json", "image.dcm"]  # type: ignore[index, arg-type]


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    worklist = Worklist(tmp_path / "later")
    assert worklist.items() == []
    worklist.folder.mkdir()
    write(worklist.folder / "a.dcm", item("A"))
    assert len(worklist.items()) == 1


def test_fuzzy_names_where_negotiated(served: tuple[str, int]) -> None:
    assert names(served, patient_name="Muller") == []
    options = extended(MODEL, 0, 0, 1, 1)
    (one,) = found(served, query.worklist(patient_name="Muller"), MODEL, ext_neg=options)
    assert one.PatientName == "Müller^A"
    with connect(served, MODEL, ext_neg=options) as assoc:
        assert assoc.acceptor.sop_class_extended == {MODEL: bytes([0, 0, 1, 1])}


def test_without_a_worklist_it_is_not_offered(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive") as archive:
        assert MODEL not in {context.abstract_syntax for context in archive.contexts}
