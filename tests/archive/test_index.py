"""What was stored has its rows: all kinds of objects, counts, duplicates, removal, reindexing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from conftest import wait_until
from dimsefast import AE, build_context
from dimsefast.archive import Archive, ArchiveError, IndexUnusable, batch, indexer
from dimsefast.archive.schema import VERSION, instance, patient, progress, series, study
from dimsefast.dataset import decode_dataset
from pydicom import Dataset, dcmread
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from archive.contents import CT, counts_are_right, made, rows, table, test_files

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def archive(tmp_path: Path) -> Any:
    with Archive(tmp_path / "archive") as archive:
        yield archive


def put(archive: Archive, *items: Any) -> list[int | None]:
    results = list(archive.add(items))
    assert all(result.error is None for result in results), results
    archive.up_to_date()
    return [result.status for result in results]


def test_every_test_file_has_its_rows_and_its_header(archive: Archive) -> None:
    files = list(test_files())
    assert len(files) > 80
    put(archive, *files)
    found = {row["instance.sop_instance_uid"]: row for row in rows(archive)}
    assert len(found) == len(files) == archive.statistics()["instances"]
    assert not archive.storage.failed.exists()
    for path in files:
        expected = dcmread(path, stop_before_pixels=True)
        row = found[expected.file_meta.MediaStorageSOPInstanceUID]
        assert row["instance.transfer_syntax_uid"] == expected.file_meta.TransferSyntaxUID
        assert row["instance.sop_class_uid"] == expected.file_meta.MediaStorageSOPClassUID
        assert row["instance.size"] == archive.storage.path(row["instance.name"]).stat().st_size
        header = decode_dataset(row["instance.header"], EXPLICIT)
        for keyword in ("PatientID", "PatientName", "StudyDate", "StudyTime", "SeriesNumber", "SpecificCharacterSet"):
            if header.get(keyword) is not None or expected.get(keyword) is not None:
                assert header.get(keyword) == expected.get(keyword), (path, keyword)
        assert "PixelData" not in header
        assert header.SOPInstanceUID == expected.file_meta.MediaStorageSOPInstanceUID
        patient_id = (expected.get("PatientID") or "").strip(" \0")
        assert row["patient.patient_id"] == patient_id, path
    counts_are_right(archive)


def test_columns_have_what_is_comparable(archive: Archive) -> None:
    put(archive, made(1, PatientName="Doe^Jane^", StudyTime="1200", SeriesNumber=7, Modality="CT", StudyDate="2020"))
    put(archive, made(2, PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 192", PatientID="2", StudyTime="25"))
    first, second = rows(archive)
    assert (first["patient.patient_name"], first["study.study_time"]) == ("DOE^JANE", "120000.000000")
    assert (first["series.series_number"], first["study.modalities"]) == (7, "CT")
    assert first["study.study_date"] is None
    assert second["patient.patient_name"] is None
    assert first["instance.instance_number"] == 1


def test_objects_of_one_series_share_its_rows_and_the_newest_says_what_holds(archive: Archive) -> None:
    uids = {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1"}
    put(archive, *(made(number, **uids, InstanceNumber=number) for number in range(1, 30)))
    assert archive.statistics() | {"bytes": 0} == {
        "patients": 1,
        "studies": 1,
        "series": 1,
        "instances": 29,
        "bytes": 0,
        "waiting": 0,
    }
    assert {row["study.mixed"] for row in rows(archive)} == {False}
    put(archive, made(30, **uids, StudyDescription="Other", PatientName="Changed^Name"))
    put(archive, made(31, **(uids | {"SeriesInstanceUID": "1.2.1.2"}), Modality="MR", StudyDescription="Other"))
    (only,) = table(archive, study)
    assert (only["study_description"], only["mixed"], only["modalities"]) == ("OTHER".title(), True, "CT\\MR")
    assert (only["series"], only["instances"]) == (2, 31)
    assert decode_dataset(only["header"], EXPLICIT).Modality == "MR"
    assert {row["mixed"] for row in table(archive, series)} == {False}
    counts_are_right(archive)


def test_rows_are_no_longer_mixed_when_what_differed_has_gone(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mixed() -> list[bool]:
        return [table(archive, which)[0]["mixed"] for which in (patient, study, series)]

    uids = {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1"}
    put(archive, made(1, **uids), made(2, **uids))
    other = made(2, **uids, PatientName="Other^Name")
    put(archive, other)
    assert mixed() == [True, True, False]
    put(archive, made(2, **uids))
    assert mixed() == [False, False, False]
    put(archive, made(3, **uids, StudyDescription="Other", SeriesDescription="Other"))
    assert mixed() == [False, True, True]
    # More than are looked at.
    monkeypatch.setattr(batch, "_FEW", 1)
    put(archive, made(4, **uids))
    archive.remove(sop_instance_uid=made(3).SOPInstanceUID)
    assert mixed() == [False, True, True]
    monkeypatch.undo()
    # What cannot be read may say anything.
    (archive.folder / rows(archive)[0]["instance.name"]).unlink()
    archive.remove(sop_instance_uid=made(4).SOPInstanceUID)
    assert mixed() == [False, True, True]
    put(archive, made(1, **uids, ImageComments="Replaced"))
    assert mixed() == [False, False, False]
    counts_are_right(archive)


def test_a_known_study_of_another_patient_is_a_study_of_its_own(archive: Archive) -> None:
    put(archive, made(1), made(1, PatientID="Other", SOPInstanceUID="1.2.3.4"))
    assert len(table(archive, patient)) == len(table(archive, study)) == len(table(archive, series)) == 2
    counts_are_right(archive)


def test_missing_keys_are_empty(archive: Archive) -> None:
    bare = made(1)
    del bare.PatientID, bare.StudyInstanceUID, bare.SeriesInstanceUID
    put(archive, bare, made(2, PatientID=""))
    first, second = rows(archive)
    keys = ("patient.patient_id", "study.study_instance_uid", "series.series_instance_uid")
    assert [first[key] for key in keys] == ["", "", ""]
    assert second["patient.patient_id"] == "" and second["patient.studies"] == 2
    counts_are_right(archive)


def test_hostile_uids_stay_in_the_folder_and_are_found(archive: Archive) -> None:
    ae = AE()
    ae.add_supported_context(CTImageStorage)
    with ae.start_server(("127.0.0.1", 0), block=False, store_to=archive.store_to) as server:  # type: ignore[union-attr]
        with AE().connect("127.0.0.1", server.port, contexts=[build_context(CTImageStorage, EXPLICIT)]) as peer:
            for number, uid in enumerate(("../../etc/x", "/etc/passwd", "..", "a:b")):
                # The data set says something else than the command.
                dataset = made(number)
                dataset.SOPInstanceUID = UID(uid)
                assert peer.send_c_store(dataset).Status == 0
    archive.up_to_date()
    found = {row["instance.sop_instance_uid"] for row in rows(archive)}
    assert found == {"../../etc/x", "/etc/passwd", "..", "a:b"}
    for row in rows(archive):
        assert archive.storage.path(row["instance.name"]).resolve().is_relative_to(archive.folder / "objects")
    for uid in found:
        assert archive.remove(sop_instance_uid=uid) == 1
    assert archive.statistics()["patients"] == 0


@pytest.mark.parametrize(
    ("duplicates", "status", "kept"), [("replace", 0, "New"), ("keep", 0xB006, "Old"), ("refuse", 0x0111, "Old")]
)
def test_duplicates(tmp_path: Path, duplicates: Any, status: int, kept: str) -> None:
    with Archive(tmp_path, duplicates=duplicates) as archive:
        old, new = made(1, StudyDescription="Old"), made(1, StudyDescription="New")
        assert put(archive, old) == [0]
        before = rows(archive)
        name = archive.storage.path(before[0]["instance.name"])
        written = name.stat()
        assert put(archive, old) == [0], "the same to the byte"
        assert (name.stat().st_ino, name.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
        assert rows(archive) == before
        assert put(archive, new) == [status]
        assert [row["study.study_description"] for row in rows(archive)] == [kept]
        assert dcmread(name).StudyDescription == kept
        counts_are_right(archive)
        assert list(archive.folder.glob("*.part")) == []


def test_a_replacement_that_moves_to_another_study_takes_its_counts_along(archive: Archive) -> None:
    uids = {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1"}
    put(archive, made(1, **uids, StudyDescription="First"), made(2, **uids, StudyDescription="Second", Modality="MR"))
    assert table(archive, study)[0]["study_description"] == "Second"
    put(archive, made(2, PatientID="Other"))
    counts_are_right(archive)
    first, second = table(archive, study)
    assert (first["study_description"], first["modalities"], first["instances"]) == ("First", "CT", 1)
    assert (second["instances"], len(table(archive, patient))) == (1, 2)
    put(archive, made(1, PatientID="Other"))
    assert len(table(archive, patient)) == 1
    counts_are_right(archive)


def test_what_is_removed_is_gone_and_the_newest_of_the_rest_counts(archive: Archive) -> None:
    uids = {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1"}
    objects = [made(number, **uids, StudyDescription=f"Number {number}") for number in (1, 2, 3)]
    put(archive, *objects, made(4, PatientID="Other"))
    assert archive.remove(sop_instance_uid=objects[2].SOPInstanceUID) == 1
    assert table(archive, study)[0]["study_description"] == "Number 2"
    counts_are_right(archive)
    with pytest.raises(ValueError, match="at least one"):
        archive.remove()
    assert archive.remove(study_instance_uid="1.2.1", sop_instance_uid="9.9") == 0
    assert archive.remove(study_instance_uid="1.2.1") == 2
    assert [row["patient_id"] for row in table(archive, patient)] == ["Other"]
    assert sum(len(names) for _, _, names in os.walk(archive.folder / "objects")) == 1
    counts_are_right(archive)
    assert archive.remove(patient_id="Other") == 1
    assert archive.statistics() == dict.fromkeys(archive.statistics(), 0)


def test_what_pydicom_reads_only_and_what_nobody_reads(archive: Archive) -> None:
    ends_early = made(1)
    (first,) = archive.add([ends_early])
    archive.up_to_date()
    path = archive.storage.path(rows(archive)[0]["instance.name"])
    whole = path.read_bytes()
    put(archive, made(2))
    # Cut in the middle of an element, as a broken modality sends it; then no dataset at all; then no DICOM file.
    for content, found in ((whole[:-300], True), (whole[:400] + b"\xff" * 50, True), (b"nothing", False)):
        path.write_bytes(content)
        archive.storage.journal.append(rows(archive)[0]["instance.name"], removed=False)
        archive.up_to_date()
        assert len(rows(archive)) == 2
        assert archive.storage.failed.exists() is not found
    assert "DICM" in archive.storage.failed.read_text()
    os.unlink(path)
    archive.reindex()
    assert [row["instance.sop_instance_uid"] for row in rows(archive)] == [made(2).SOPInstanceUID]
    assert first.sop_instance_uid == ends_early.SOPInstanceUID
    counts_are_right(archive)


def test_a_deleted_or_damaged_index_is_made_anew_with_the_same_rows(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        put(archive, *test_files())
        uids = {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1", "PatientID": "5"}
        put(archive, *(made(number, **uids, StudyDescription=f"Number {number}") for number in range(5)))
        before = rows(archive)
    index = tmp_path / ".dimsefast" / "index.sqlite"
    for spoil in (index.unlink, lambda: index.write_bytes(b"no database" * 1000), lambda: set_version(index)):
        spoil()
        with pytest.raises(IndexUnusable, match="dimsefast reindex"):
            Archive(tmp_path)
        told = Mock()
        with Archive(tmp_path, rebuild=True) as archive:
            assert archive.reindex(told).indexed == len(before)
            assert rows(archive) == before
            assert told.call_args.args == (len(before), len(before))
            counts_are_right(archive)
        with Archive(tmp_path) as archive:
            assert archive.reindex().failed == []
            assert rows(archive) == before, "once more changes nothing"
    # One that was begun and not ended is no index yet.
    index.unlink()
    Archive(tmp_path, rebuild=True).close()
    with pytest.raises(IndexUnusable):
        Archive(tmp_path)


def set_version(index: Path) -> None:
    with Archive(index.parents[1]) as archive, archive.database.writing() as connection:
        connection.execute(progress.update().values(version=VERSION + 1))


def test_a_journal_that_is_another_one_is_taken_over_from_its_beginning(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        put(archive, made(1), made(2))
    for path in (tmp_path / ".dimsefast" / "journal").iterdir():
        path.unlink()
    with Archive(tmp_path) as archive:
        put(archive, made(3))
        assert len(table(archive, instance)) == 3


def test_the_bytes_are_those_that_were_sent(tmp_path: Path, archive: Archive) -> None:
    ae = AE()
    ae.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
    with ae.start_server(("127.0.0.1", 0), block=False, store_to=archive.store_to) as server:  # type: ignore[union-attr]
        with AE().connect("127.0.0.1", server.port, contexts=[build_context(CTImageStorage, EXPLICIT)]) as peer:
            assert peer.send_c_store(CT).Status == 0
    archive.up_to_date()
    (row,) = rows(archive)
    stored, sent = archive.storage.path(row["instance.name"]).read_bytes(), CT.read_bytes()
    length = len(sent) - sent.index(b"\x08\x00\x05\x00")
    assert stored[-length:] == sent[-length:]
    assert isinstance(decode_dataset(row["patient.header"], EXPLICIT), Dataset)


def test_the_end_of_a_study_is_not_gathered_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks; what is gathered would wait for an hour."""
    some = indexer._SOME
    monkeypatch.setattr(indexer, "_GATHER", 3600.0)
    # Until all have come.
    monkeypatch.setattr(indexer, "_SOME", 1 << 30)
    with Archive(tmp_path / "archive") as archive:
        assert all(result.status == 0 for result in archive.add(made(number) for number in range(40)))
        assert archive.statistics()["waiting"] == 40
        monkeypatch.setattr(indexer, "_SOME", some)
        wait_until(lambda: archive.statistics()["waiting"] == 0)
        assert archive.statistics()["instances"] == 40
        # A single one waits for others, or for somebody who asks.
        put(archive, made(41))
        assert archive.statistics()["instances"] == 41


def test_objects_alone_are_a_backup(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive") as archive:
        put(archive, *(made(number) for number in range(5)))
        before = rows(archive)
    restored = tmp_path / "restored"
    shutil.copytree(archive.folder / "objects", restored / "objects")
    with pytest.raises(ArchiveError, match="dimsefast reindex"):
        Archive(restored)
    assert [path.name for path in restored.iterdir()] == ["objects"]
    with Archive(restored, rebuild=True) as archive:
        assert archive.reindex() == (5, [])
        assert rows(archive) == before
    with Archive(restored) as archive:
        assert archive.statistics()["instances"] == 5


def test_what_only_looks_like_a_backup_is_left_alone(tmp_path: Path) -> None:
    for number, other in enumerate(("objects/0A/x.dcm", "objects/x.dcm", "other/00/x.dcm")):
        path = tmp_path / str(number) / other
        path.parent.mkdir(parents=True)
        path.touch()
        with pytest.raises(ArchiveError, match="is no archive and has other things in it"):
            Archive(tmp_path / str(number), rebuild=True)
        assert not (tmp_path / str(number) / ".dimsefast").exists()
