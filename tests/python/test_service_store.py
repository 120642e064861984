"""C-STORE between two dimsefast AEs over real sockets."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from dimsefast import _config, build_context, evt
from dimsefast.sop_class import CTImageStorage, Verification
from faces import AE, face  # noqa: F401
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from service_cases import CT, EXPLICIT, IMPLICIT, MR, connect, encoded, provider


@pytest.mark.parametrize("how", ["path", "string", "dataset", "bytes"])
def test_store_from_anything(how: str) -> None:
    received: list[Any] = []

    def on_store(event: Any) -> int:
        received.append(
            (event.dataset.PatientName, event.encoded_dataset(include_meta=False), event.context.transfer_syntax)
        )
        assert event.dataset is event.dataset
        assert event.file_meta.MediaStorageSOPInstanceUID == event.request.AffectedSOPInstanceUID
        return 0

    source = {"path": CT, "string": str(CT), "dataset": dcmread(CT), "bytes": CT.read_bytes()}[how]
    with (
        provider((evt.EVT_C_STORE, on_store)) as server,
        connect(server, contexts=[build_context(CTImageStorage, [EXPLICIT])]) as assoc,
    ):
        assert assoc.send_c_store(source).Status == 0x0000
    assert received == [("CompressedSamples^CT1", encoded(CT), UID(EXPLICIT))]


@pytest.mark.parametrize("version", ["EVEN", "ODD", None])
@pytest.mark.parametrize("in_a_file", [False, True])
def test_the_bytes_of_a_file_are_those_that_pydicom_writes(
    version: str | None, in_a_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for one thing: where the AE names no version, pydicom would write its own into (0002,0013)."""
    monkeypatch.setattr(_config, "STORE_RECV_CHUNKED_DATASET", in_a_file)
    pairs: list[tuple[bytes, bytes]] = []

    def on_store(event: Any) -> int:
        buffer = DicomBytesIO()
        buffer.write(b"\0" * 128 + b"DICM")
        write_file_meta_info(buffer, event.file_meta, enforce_standard=version is not None)
        pairs.append((event.encoded_dataset(), buffer.getvalue() + event.encoded_dataset(include_meta=False)))
        return 0

    dataset = dcmread(CT)
    with provider((evt.EVT_C_STORE, on_store)) as server:
        server.ae.implementation_version_name = version
        with connect(server, CTImageStorage) as assoc:
            for uid in ("1.2.3", "1.2.34"):
                dataset.SOPInstanceUID = uid
                assert assoc.send_c_store(dataset).Status == 0
            connection = assoc._live()
            # A request without a dataset.
            fields = [(0x0002, CTImageStorage), (0x1000, "1.2.3"), (0x0700, 2)]
            connection.send_request(1, 0x0001, connection.begin(100), fields, None, 5.0)
            assert connection.receive(100, 5.0).status == 0
            connection.forget(100)
    assert len(pairs) == 3
    for own, expected in pairs:
        assert own == expected
    assert dcmread(BytesIO(pairs[0][0])).PatientName == dataset.PatientName


def test_store_into_a_folder_keeps_every_byte_and_needs_no_handler(tmp_path: Path) -> None:
    with (
        provider(store_to=tmp_path) as server,
        connect(server, contexts=[build_context(CTImageStorage, [EXPLICIT])]) as assoc,
    ):
        assert assoc.send_c_store(CT).Status == 0x0000
        (written,) = tmp_path.iterdir()
    assert written.name == f"{dcmread(CT).SOPInstanceUID}.dcm"
    assert encoded(written) == encoded(CT)
    assert dcmread(written).file_meta.TransferSyntaxUID == EXPLICIT


def test_a_handler_beside_store_to_is_told_the_path_and_gives_the_status(tmp_path: Path) -> None:
    paths: list[Path] = []

    def on_store(event: Any) -> int:
        paths.append(event.dataset_path)
        assert event.dataset.PatientID == "1CT1"
        return 0xB000

    with provider((evt.EVT_C_STORE, on_store), store_to=tmp_path) as server, connect(server, CTImageStorage) as assoc:
        assert assoc.send_c_store(CT).Status == 0xB000
    assert paths == list(tmp_path.iterdir())


def test_a_folder_that_vanished_is_out_of_resources_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    with provider(store_to=folder) as server, connect(server, CTImageStorage, Verification) as assoc:
        folder.rmdir()
        assert assoc.send_c_store(CT).Status == 0xA700
        assert assoc.send_c_echo().Status == 0x0000


def test_implicit_and_explicit_little_endian_are_converted() -> None:
    received: list[Any] = []

    def on_store(event: Any) -> int:
        received.append((event.context.transfer_syntax, event.dataset.PixelData))
        return 0

    with (
        provider((evt.EVT_C_STORE, on_store)) as server,
        connect(server, contexts=[build_context(CTImageStorage, [IMPLICIT])]) as assoc,
    ):
        assert assoc.send_c_store(CT).Status == 0x0000
    assert received == [(UID(IMPLICIT), dcmread(CT).PixelData)]


@pytest.mark.parametrize(
    ("handler", "status"),
    [
        (lambda event: 0xB006, 0xB006),
        (lambda event: 0x1234, 0x1234),
        (lambda event: None, 0xC002),
        (lambda event: "0", 0xC002),
        (lambda event: Dataset(), 0xC001),
        (lambda event: 1 / 0, 0xC211),
        (None, 0xC211),
    ],
)
def test_what_a_store_handler_returns(handler: Any, status: int) -> None:
    handlers = [(evt.EVT_C_STORE, handler)] if handler else []
    with provider(*handlers) as server, connect(server, CTImageStorage) as assoc:
        assert assoc.send_c_store(CT).Status == status


def test_a_status_dataset_brings_its_elements() -> None:
    def on_store(event: Any) -> Dataset:
        status = Dataset()
        status.Status = 0xA900
        status.ErrorComment = "wrong class"
        status.OffendingElement = 0x00080016
        return status

    with provider((evt.EVT_C_STORE, on_store)) as server, connect(server, CTImageStorage) as assoc:
        status = assoc.send_c_store(CT)
    assert (status.Status, status.ErrorComment, status.OffendingElement) == (0xA900, "wrong class", 0x00080016)


def test_what_cannot_be_stored_says_why(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no DICOM in here")
    without_class, without_syntax = dcmread(CT), dcmread(CT)
    del without_class.SOPClassUID
    del without_syntax.file_meta.TransferSyntaxUID
    with provider() as server, connect(server, contexts=[build_context(CTImageStorage, [IMPLICIT, EXPLICIT])]) as assoc:
        with pytest.raises(ValueError, match=r"notes\.txt.*DICM"):
            assoc.send_c_store(text)
        with pytest.raises(OSError, match=r"nowhere\.dcm"):
            assoc.send_c_store(tmp_path / "nowhere.dcm")
        with pytest.raises(AttributeError, match="SOP Class UID"):
            assoc.send_c_store(without_class)
        with pytest.raises(AttributeError, match="Transfer Syntax UID"):
            assoc.send_c_store(without_syntax)
        with pytest.raises(ValueError, match="MR Image Storage"):
            assoc.send_c_store(MR)
        with pytest.raises(ValueError, match="transfer syntax"):
            assoc.send_c_store(_as_ct("JPEG2000.dcm", tmp_path))
        with pytest.raises(ValueError, match="priority"):
            assoc.send_c_store(CT, priority=3)
        assert assoc.is_established
    with pytest.raises(RuntimeError, match="not established"):
        assoc.send_c_store(CT)


def _as_ct(name: str, folder: Path) -> Path:
    """A file of another class, said to be a CT image."""
    dataset = dcmread(get_testdata_file(name))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.save_as(folder / name)
    return folder / name


def test_a_large_object_in_both_directions_of_the_smallest_pdu(tmp_path: Path) -> None:
    for size in (8, 9, 4096, 16382, 0):
        folder = tmp_path / str(size)
        folder.mkdir()
        ae = AE("PROVIDER")
        ae.maximum_pdu_size = size
        ae.add_supported_context(CTImageStorage, [EXPLICIT])
        with ae.start_server(("127.0.0.1", 0), block=False, store_to=folder) as server:
            assert server is not None
            with connect(server, contexts=[build_context(CTImageStorage, [EXPLICIT])], max_pdu=size) as assoc:
                assert assoc.acceptor.maximum_length == size
                assert assoc.send_c_store(CT).Status == 0x0000
            (written,) = folder.iterdir()
            assert encoded(written) == encoded(CT)
