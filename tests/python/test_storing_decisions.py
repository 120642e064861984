"""Where a callable decides what becomes of each object, also of those of a C-GET; writables; over real sockets."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, DISCARD, StoreTo, build_context, build_role, evt, safe_name
from dimsefast.sop_class import CTImageStorage, MRImageStorage, Verification
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelGet as GET
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from storing_cases import CLASSES, CT, EXPLICIT, MR, Told, encoded, made, names, sender, storing

# Callables


@pytest.mark.parametrize("kind", ["plain", "wanted"])
def test_a_callable_is_asked_with_the_attributes_it_wants(tmp_path: Path, kind: str) -> None:
    asked: list[Any] = []

    def decide(request: Any, association: Any, header: Any) -> Any:
        asked.append((request.AffectedSOPClassUID, association.requestor.ae_title, dict(header)))
        return tmp_path / safe_name(header["Modality"])

    told = Told(lambda event: (event.dataset_path, event.header))
    with storing(decide if kind == "plain" else StoreTo(decide, attributes=["Modality", "Rows"]), told.bound) as assoc:
        assert assoc.send_c_store(CT).Status == 0x0000
        assert assoc.send_c_store(MR).Status == 0x0000
    ct = dcmread(CT)
    plain = {
        "PatientID": "1CT1",
        "StudyInstanceUID": ct.StudyInstanceUID,
        "SeriesInstanceUID": ct.SeriesInstanceUID,
        "SOPInstanceUID": ct.SOPInstanceUID,
        "Modality": "CT",
    }
    header = plain if kind == "plain" else {"Modality": "CT", "Rows": "128"}
    assert asked[0] == (CTImageStorage, "SENDER", header) and len(asked) == 2
    assert told.seen[0] == (tmp_path / f"CT/{ct.SOPInstanceUID}.dcm", header)
    assert encoded(tmp_path / f"CT/{ct.SOPInstanceUID}.dcm") == encoded(CT)
    assert encoded(tmp_path / f"MR/{dcmread(MR).SOPInstanceUID}.dcm") == encoded(MR)


def test_a_callable_may_return_anything_that_takes_an_object(tmp_path: Path) -> None:
    class Sink:
        def __init__(self) -> None:
            self.data = b""
            self.closed = 0

        def write(self, piece: bytes) -> int:
            # A raw writer may take a part only.
            taken = piece[: len(piece) // 2 + 1]
            self.data += taken
            return len(taken)

        def close(self) -> None:
            self.closed += 1

    sink = Sink()
    file = tmp_path / "written.bin"
    sorted_to = StoreTo(tmp_path / "sorted", "{PatientID}/{SOPInstanceUID}.dcm", attributes=["PatientID"])
    answers: list[Any] = [
        tmp_path / "a" / "b",
        str(tmp_path / "c" / "named.dcm"),
        sorted_to,
        sink,
        file.open("wb"),
        DISCARD,
        StoreTo(DISCARD, attributes=["Rows"]),
        None,
        0x0000,
    ]
    given = iter(answers)
    told = Told(lambda event: (event.dataset_length, event.header, event.request.message.path))
    with storing(StoreTo(lambda *_: next(given), attributes=["Modality"]), told.bound) as assoc:
        for _ in answers:
            assert assoc.send_c_store(CT).Status == 0x0000
    uid = dcmread(CT).SOPInstanceUID
    for name in (f"a/b/{uid}.dcm", "c/named.dcm", f"sorted/1CT1/{uid}.dcm"):
        assert encoded(tmp_path / name) == encoded(CT)
    assert sink.data == file.read_bytes() == encoded(CT)
    assert sink.closed == 1 and answers[4].closed
    lengths, headers, paths = zip(*told.seen, strict=True)
    # A status needs no handler.
    assert lengths == (len(encoded(CT)),) * 8
    ct = {"Modality": "CT"}
    assert list(headers) == [ct, ct, ct | {"PatientID": "1CT1"}, ct, ct, ct, ct | {"Rows": "128"}, ct]
    assert [path is None for path in paths] == [False] * 3 + [True] * 5


def test_memory_without_a_handler_is_the_failure_it_always_was() -> None:
    with storing(lambda *_: None) as assoc:
        assert assoc.send_c_store(CT).Status == 0xC211


def test_an_answer_of_none_gives_the_handler_the_object() -> None:
    told = Told(lambda event: event.encoded_dataset(include_meta=False))
    with storing(lambda *_: None, told.bound) as assoc:
        assert assoc.send_c_store(CT).Status == 0x0000
    assert told.seen == [encoded(CT)]


def test_a_status_refuses_the_object_and_what_is_raised_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def write(self, piece: bytes) -> None:
            raise OSError(28, "No space left on device")

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("the callable's own")

    told = Told(lambda event: None)
    answers: list[Any] = [0xA900, Broken(), 3.5, StoreTo(lambda *_: None), True, tmp_path / "CT" / "x.dcm"]
    given = iter(answers)
    (tmp_path / "CT").write_bytes(b"a file where a folder should be")
    with storing(lambda *_: next(given), told.bound) as assoc:
        statuses = [assoc.send_c_store(CT).Status for _ in answers]
        assert statuses == [0xA900, 0xA700, 0xC211, 0xC211, 0xC211, 0xA700]
        assert assoc.send_c_echo().Status == 0x0000
    with storing(fail, told.bound) as assoc:
        assert assoc.send_c_store(CT).Status == 0xC211
        assert assoc.send_c_echo().Status == 0x0000
    assert "the callable's own" in caplog.text and "No space left" in caplog.text
    assert not told.seen


def test_while_a_callable_runs_nobody_else_waits_and_its_peer_is_not_read(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def decide(request: Any, association: Any, header: Any) -> Any:
        if association.requestor.ae_title == "SLOW":
            asked.set()
            assert go_on.wait(20)
        return tmp_path

    ae = AE("RECEIVER")
    for uid in (Verification, *CLASSES):
        ae.add_supported_context(uid, EXPLICIT)
    big = made(SOPInstanceUID=generate_uid())
    # More than the buffers of the sockets hold.
    big.PixelData = os.urandom(24 << 20)
    with ae.start_server(("127.0.0.1", 0), block=False, store_to=decide) as server:  # type: ignore[union-attr]
        with sender(server, "SLOW") as slow, sender(server, "QUICK") as quick:
            statuses: list[int] = []
            thread = threading.Thread(target=lambda: statuses.append(slow.send_c_store(big).Status))
            thread.start()
            assert asked.wait(20)
            for path in (CT, MR):
                assert quick.send_c_store(path).Status == 0x0000
            assert quick.send_c_echo().Status == 0x0000
            assert len(names(tmp_path)) == 2 and not statuses
            go_on.set()
            thread.join()
            assert statuses == [0x0000]
    written = dcmread(tmp_path / f"{big.SOPInstanceUID}.dcm")
    assert written.PixelData == big.PixelData


def test_a_large_object_reaches_a_writable_in_pieces() -> None:
    pieces: list[int] = []
    data = io.BytesIO()

    class Sink:
        def write(self, piece: bytes) -> None:
            pieces.append(len(piece))
            data.write(piece)

    big = made()
    big.PixelData = os.urandom(9 << 20)
    with storing(lambda *_: Sink()) as assoc:
        assert assoc.send_c_store(big).Status == 0x0000
    assert big.PixelData in data.getvalue()
    assert len(pieces) >= 6 and max(pieces) < 2 << 20


def test_the_association_may_end_while_a_callable_runs(tmp_path: Path) -> None:
    asked, go_on, over = threading.Event(), threading.Event(), threading.Event()

    def decide(*_: Any) -> Any:
        asked.set()
        assert go_on.wait(20)
        over.set()
        return tmp_path

    ae = AE("RECEIVER")
    ae.add_supported_context(CTImageStorage, EXPLICIT)
    with ae.start_server(("127.0.0.1", 0), block=False, store_to=decide) as server:  # type: ignore[union-attr]
        assoc = AE().connect("127.0.0.1", server.port, contexts=[build_context(CTImageStorage, EXPLICIT)])
        thread = threading.Thread(target=assoc.send_c_store, args=(CT,))
        thread.start()
        assert asked.wait(20)
        (acceptor,) = server.active_associations
        acceptor.abort()
        thread.join()
        go_on.set()
        assert over.wait(20)
        wait_until(lambda: not server.active_associations, "the end of the association")
    assert not names(tmp_path)


# C-GET


def test_the_objects_of_a_get_go_the_same_ways(tmp_path: Path) -> None:
    def on_get(event: Any) -> Iterator[Any]:
        yield 2
        yield 0xFF00, CT
        yield 0xFF00, MR

    ae = AE("PROVIDER")
    ae.add_supported_context(GET)
    for uid in (CTImageStorage, MRImageStorage):
        ae.add_supported_context(uid, EXPLICIT, scu_role=True, scp_role=True)
    query = Dataset()
    query.QueryRetrieveLevel, query.PatientID = "PATIENT", "*"
    contexts = [build_context(GET), build_context(CTImageStorage, EXPLICIT), build_context(MRImageStorage, EXPLICIT)]
    roles = [build_role(uid, scp_role=True) for uid in (CTImageStorage, MRImageStorage)]
    pieces: list[bytes] = []

    class Sink:
        def write(self, piece: bytes) -> None:
            pieces.append(piece)

    with ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_GET, on_get)]) as server:  # type: ignore[union-attr]
        for store_to in (
            StoreTo(tmp_path, "{Modality}/{SOPInstanceUID}.dcm"),
            lambda request, association, header: Sink() if header["Modality"] == "MR" else tmp_path / "decided",
            lambda request, association, header: 0xA700,
        ):
            options: dict[str, Any] = {"contexts": contexts, "ext_neg": roles, "store_to": store_to}
            with AE().connect("127.0.0.1", server.port, **options) as assoc:
                statuses = [status for status, _ in assoc.send_c_get(query, GET)]
                final = statuses[-1]
                assert final.NumberOfCompletedSuboperations + final.NumberOfFailedSuboperations == 2
    ct, mr = dcmread(CT).SOPInstanceUID, dcmread(MR).SOPInstanceUID
    assert names(tmp_path) == sorted([f"CT/{ct}.dcm", f"MR/{mr}.dcm", f"decided/{ct}.dcm"])
    assert b"".join(pieces) == encoded(MR)
