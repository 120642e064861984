"""Where received objects go: folders and layouts, duplicates, DISCARD; over real sockets."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import dimsefast
import pytest
from dimsefast import AE, DISCARD, StoreTo, build_context, safe_name
from dimsefast.sop_class import CTImageStorage
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import MediaStorageDirectoryStorage, generate_uid
from storing_cases import CT, DEFLATED, MR, Told, encoded, made, names, storing

# Layouts


def test_a_layout_sorts_objects_by_their_header(tmp_path: Path) -> None:
    layout = "{CalledAETitle}/{CallingAETitle}/{PatientID}/{Modality}-{Rows}/{SOPClassUID}/{SOPInstanceUID}.dcm"
    with storing(StoreTo(tmp_path, layout)) as assoc:
        for path in (CT, MR):
            assert assoc.send_c_store(path).Status == 0x0000
    for path, folder in ((CT, "1CT1/CT-128"), (MR, "4MR1/MR-64")):
        dataset = dcmread(path)
        written = tmp_path / f"RECEIVER/SENDER/{folder}/{dataset.SOPClassUID}/{dataset.SOPInstanceUID}.dcm"
        assert encoded(written) == encoded(path)
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ("{PatientId}/{SOPInstanceUID}.dcm", "no DICOM keyword"),
        ("/srv/{SOPInstanceUID}.dcm", "absolute"),
        ("../{SOPInstanceUID}.dcm", "begins with a dot"),
        ("{SOPInstanceUID", "{ without its }"),
        ("{SOPInstanceUID}}.dcm", "} without its {"),
        ("{ReferencedStudySequence}/{SOPInstanceUID}.dcm", "is a sequence"),
        ("{PixelData}/{SOPInstanceUID}.dcm", "has no text"),
        ("{PatientID}.dcm", "objects would replace others"),
        ("", "empty name"),
    ],
)
def test_a_layout_that_cannot_be_used_is_found_at_once(tmp_path: Path, layout: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        StoreTo(tmp_path, layout)


def test_options_that_cannot_be_used_are_found_at_once(tmp_path: Path) -> None:
    for options, reason in (
        ({"missing": "../x"}, "missing"),
        ({"missing": ""}, "missing"),
        ({"duplicates": "drop"}, "duplicates"),
        ({"attributes": ["PatientId"]}, "no DICOM keyword"),
        ({"attributes": ["PixelData"]}, "no text"),
    ):
        with pytest.raises(ValueError, match=reason):
            StoreTo(tmp_path, **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        StoreTo(5)  # type: ignore[arg-type]
    ae = AE()
    ae.add_supported_context(CTImageStorage)
    with pytest.raises(NotADirectoryError):
        ae.start_server(("127.0.0.1", 0), block=False, store_to=StoreTo(tmp_path / "none"))


def test_hostile_values_stay_in_the_folder_and_apart(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    hostile = ["../../../etc", "/etc/passwd", "..", ".", "C:\\x", "a\0b", "nul", "x" * 64, "", " ", "a/b", "a_b"]
    with storing(StoreTo(folder, "{PatientID}/{SOPInstanceUID}.dcm", missing="nobody")) as assoc:
        for value in hostile:
            assert assoc.send_c_store(made(PatientID=value, SOPInstanceUID=generate_uid())).Status == 0x0000
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    folders = sorted(path.name for path in folder.iterdir())
    # Empty and blank are both missing.
    assert len(folders) == len(hostile) - 1 and "nobody" in folders
    assert len(names(folder)) == len(hostile)
    for name in folders:
        assert not name.startswith(".") and not set(name) & set('/\\\0:*?"<>|'), name


def test_values_are_decoded_with_the_character_set_of_the_dataset(tmp_path: Path) -> None:
    with storing(StoreTo(tmp_path, "{PatientName}/{SOPInstanceUID}.dcm", attributes=["PatientName"])) as assoc:
        for terms, name in (
            ("ISO_IR 100", "Müller^Jörg"),
            ("ISO_IR 192", "Ελένη^Παπά"),
            (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        ):
            dataset = made(SpecificCharacterSet=terms, PatientName=name, SOPInstanceUID=generate_uid())
            assert assoc.send_c_store(dataset).Status == 0x0000
            assert (tmp_path / name / f"{dataset.SOPInstanceUID}.dcm").exists()


def test_a_deflated_object_has_a_header_too(tmp_path: Path) -> None:
    path = Path(str(get_testdata_file("image_dfl.dcm")))
    dataset = dcmread(path)
    ae = AE("RECEIVER")
    ae.add_supported_context(dataset.SOPClassUID, DEFLATED)
    store_to = StoreTo(tmp_path, "{PatientID}-{StudyDate}/{SOPInstanceUID}.dcm")
    with ae.start_server(("127.0.0.1", 0), block=False, store_to=store_to) as server:  # type: ignore[union-attr]
        requestor = AE()
        contexts = [build_context(dataset.SOPClassUID, DEFLATED)]
        with requestor.connect("127.0.0.1", server.port, contexts=contexts) as assoc:
            assert assoc.send_c_store(path).Status == 0x0000
    patient, date = dataset.get("PatientID") or "unknown", dataset.get("StudyDate") or "unknown"
    # A message has an even number of bytes, a deflated file need not.
    written = encoded(tmp_path / f"{patient}-{date}/{dataset.SOPInstanceUID}.dcm")
    assert written == encoded(path) + b"\0" * (len(encoded(path)) % 2)


@pytest.mark.filterwarnings("ignore:Expected explicit VR")
def test_real_files_keep_every_byte(tmp_path: Path) -> None:
    sent = 0
    ae = AE("RECEIVER")
    ae.maximum_associations = 200
    contexts: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(CT.parent.rglob("*.dcm")):
        try:
            meta = dcmread(path, stop_before_pixels=True).file_meta
            key = (str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID))
            str(meta.MediaStorageSOPInstanceUID)
        except Exception:
            continue
        if key[0] != MediaStorageDirectoryStorage:
            contexts.setdefault(key, []).append(path)
    for sop_class, syntax in contexts:
        ae.add_supported_context(sop_class, syntax)
    store_to = StoreTo(tmp_path, "{PatientID}/{Modality}/{SOPInstanceUID}.dcm", duplicates="keep")
    told = Told(lambda event: (encoded(event.dataset_path), event.request.dataset_bytes()))
    with ae.start_server(  # type: ignore[union-attr]
        ("127.0.0.1", 0), block=False, store_to=store_to, evt_handlers=[told.bound]
    ) as server:
        for (sop_class, syntax), paths in contexts.items():
            with AE().connect("127.0.0.1", server.port, contexts=[build_context(sop_class, syntax)]) as assoc:
                for path in paths:
                    try:
                        status = assoc.send_c_store(path)
                    except (ValueError, AttributeError):
                        continue  # no object that can be sent
                    assert status.Status == 0x0000, path
                    written, read = told.seen.pop()
                    assert written == read
                    source = path.read_bytes()
                    # A message has an even number of bytes, a deflated file need not.
                    assert source.endswith(written) or (source + b"\0").endswith(written), path
                    sent += 1
    assert sent > 60 and len(names(tmp_path)) == sent


# Duplicates and durability


@pytest.mark.parametrize("fsync", [False, True])
def test_duplicates_are_replaced_kept_or_refused(tmp_path: Path, fsync: bool) -> None:
    first, second = made(PatientName="First"), made(PatientName="Second")
    uid = first.SOPInstanceUID

    def patient(name: str) -> str:
        return str(dcmread(tmp_path / name).PatientName)

    with storing(StoreTo(tmp_path, fsync=fsync)) as assoc:
        for dataset in (first, second):
            assert assoc.send_c_store(dataset).Status == 0x0000
    assert names(tmp_path) == [f"{uid}.dcm"] and patient(f"{uid}.dcm") == "Second"

    with storing(StoreTo(tmp_path, duplicates="refuse", fsync=fsync)) as assoc:
        assert assoc.send_c_store(first).Status == 0x0111
        assert assoc.send_c_store(second).Status == 0x0000
    assert names(tmp_path) == [f"{uid}.dcm"] and patient(f"{uid}.dcm") == "Second"

    with storing(StoreTo(tmp_path, duplicates="keep", fsync=fsync)) as assoc:
        for _ in range(3):
            assert assoc.send_c_store(first).Status == 0x0000
    assert names(tmp_path) == [f"{uid}.dcm", *(f"{uid}_{number}.dcm" for number in (2, 3, 4))]
    assert patient(f"{uid}.dcm") == "Second" and patient(f"{uid}_4.dcm") == "First"


def test_a_handler_is_told_the_file_and_the_attributes(tmp_path: Path) -> None:
    told = Told(lambda event: (event.dataset_path, event.header, event.dataset_length, event.dataset.PatientID))
    store_to = StoreTo(tmp_path, attributes=("PatientID", "PatientName", "Rows", "WindowCenter", "PatientWeight"))
    with storing(store_to, told.bound) as assoc:
        assert assoc.send_c_store(CT).Status == 0x0000
    dataset = dcmread(CT)
    header = {"PatientID": "1CT1", "PatientName": "CompressedSamples^CT1", "Rows": "128", "PatientWeight": "0.000000"}
    assert told.seen == [(tmp_path / f"{dataset.SOPInstanceUID}.dcm", header, len(encoded(CT)), "1CT1")]


def test_without_attributes_the_header_is_empty(tmp_path: Path) -> None:
    told = Told(lambda event: (event.header, event.dataset_length))
    with storing(tmp_path, told.bound) as assoc:
        assert assoc.send_c_store(CT).Status == 0x0000
    with storing(None, told.bound) as assoc:
        assert assoc.send_c_store(CT).Status == 0x0000
    assert told.seen == [({}, len(encoded(CT)))] * 2


# DISCARD


def test_what_is_discarded_is_counted_and_gone() -> None:
    def look(event: Any) -> Any:
        with pytest.raises(ValueError, match="not kept"):
            event.dataset  # noqa: B018
        with pytest.raises(AttributeError):
            event.dataset_path  # noqa: B018
        return event.dataset_length, event.header

    told = Told(look)
    with storing(DISCARD) as assoc:
        assert assoc.send_c_store(CT).Status == 0x0000
    with storing(StoreTo(DISCARD, attributes=["Modality"]), told.bound) as assoc:
        assert assoc.send_c_store(CT).Status == 0x0000
    assert told.seen == [(len(encoded(CT)), {"Modality": "CT"})]
    assert repr(DISCARD) == "DISCARD"


def test_safe_names_are_no_paths() -> None:
    assert safe_name("1CT1") == "1CT1" and safe_name("") == ""
    assert "/" not in safe_name("../../x") and safe_name("a/b") != safe_name("a\\b")
    assert len(safe_name("ü" * 500).encode()) <= 90


def test_store_to_is_described() -> None:
    assert "StoreTo" in repr(StoreTo(DISCARD)) and dimsefast.StoreTo is StoreTo
    logging.getLogger("dimsefast").debug("%r", StoreTo("/tmp"))
