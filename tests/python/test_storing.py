"""Where received objects go: folders and layouts, DISCARD, callables, writables; over real sockets."""

from __future__ import annotations

import io
import logging
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dimsefast
import pytest
from conftest import wait_until
from dimsefast import AE, DISCARD, StoreTo, build_context, build_role, evt, safe_name
from dimsefast.sop_class import CTImageStorage, MRImageStorage, RTPlanStorage, Verification
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelGet as GET
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import MediaStorageDirectoryStorage, generate_uid

CT = Path(str(get_testdata_file("CT_small.dcm")))
MR = Path(str(get_testdata_file("MR_small.dcm")))
EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
CLASSES = (CTImageStorage, MRImageStorage, RTPlanStorage)


@contextmanager
def storing(store_to: Any, *handlers: Any, syntaxes: Any = EXPLICIT) -> Iterator[Any]:
    """An association with a receiver."""
    ae = AE("RECEIVER")
    for uid in (Verification, *CLASSES):
        ae.add_supported_context(uid, syntaxes)
    with ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers), store_to=store_to) as server:  # type: ignore[union-attr]
        with sender(server) as assoc:
            yield assoc


def sender(server: Any, title: str = "SENDER", syntaxes: Any = EXPLICIT) -> Any:
    ae = AE(title)
    ae.dimse_timeout = 20
    contexts = [build_context(Verification), *(build_context(uid, syntaxes) for uid in CLASSES)]
    return ae.connect("127.0.0.1", server.port, ae_title="RECEIVER", contexts=contexts)


def made(path: Path = CT, **attributes: Any) -> Dataset:
    """A real object with other attributes."""
    dataset = dcmread(path)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def encoded(path: Path) -> bytes:
    """What is behind the file meta group."""
    data = path.read_bytes()
    return data[132 + 12 + dcmread(path, stop_before_pixels=True).file_meta.FileMetaInformationGroupLength :]


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Told:
    """A handler of EVT_C_STORE that keeps what it saw."""

    def __init__(self, look: Callable[[Any], Any]) -> None:
        self.look = look
        self.seen: list[Any] = []

    def __call__(self, event: Any) -> int:
        self.seen.append(self.look(event))
        return 0x0000

    @property
    def bound(self) -> Any:
        return (evt.EVT_C_STORE, self)


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


# What goes wrong


class Valve:
    """A proxy in front of a server that passes so many bytes of its client, and no more until it is opened."""

    def __init__(self, port: int, passed: int) -> None:
        self.left = passed
        self.open = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.server = socket.create_connection(("127.0.0.1", port))
        self.threads = [threading.Thread(target=self.forth), threading.Thread(target=self.back)]
        self.client: socket.socket | None = None
        self.connected = threading.Event()
        for thread in self.threads:
            thread.start()

    def forth(self) -> None:
        self.client, _ = self.listener.accept()
        self.connected.set()
        with self.client:
            while self.left and (data := self.client.recv(min(self.left, 65536))):
                self.server.sendall(data)
                self.left -= len(data)
            self.open.wait(20)

    def back(self) -> None:
        self.connected.wait(20)
        assert self.client is not None
        while True:
            try:
                data = self.server.recv(65536)
                self.client.sendall(data)
            except OSError:
                return
            if not data:
                return

    def break_off(self) -> None:
        """The peer is gone."""
        self.server.shutdown(socket.SHUT_RDWR)
        self.open.set()
        for thread in self.threads:
            thread.join()
        self.server.close()
        self.listener.close()


@pytest.mark.parametrize("layout", ["{SOPInstanceUID}.dcm", "{PatientID}/{SOPInstanceUID}.dcm"])
def test_an_object_that_is_broken_off_leaves_nothing(tmp_path: Path, layout: str) -> None:
    ae = AE("RECEIVER")
    ae.add_supported_context(CTImageStorage, EXPLICIT)
    with ae.start_server(("127.0.0.1", 0), block=False, store_to=StoreTo(tmp_path, layout)) as server:  # type: ignore[union-attr]
        valve = Valve(server.port, 20_000)
        assoc = AE().connect("127.0.0.1", valve.port, contexts=[build_context(CTImageStorage, EXPLICIT)])
        statuses: list[Any] = []
        thread = threading.Thread(target=lambda: statuses.append(assoc.send_c_store(CT)))
        thread.start()
        wait_until(lambda: names(tmp_path), "a file that is coming in")
        assert [name.endswith(".part") for name in names(tmp_path)] == [True]
        valve.break_off()
        wait_until(lambda: not names(tmp_path), "the removal of the unfinished file")
        thread.join()
        assert statuses == [Dataset()]
        assoc.abort()


def test_what_dead_processes_left_is_removed_at_start_and_nothing_else(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; sys.path[:0] = [sys.argv[2], str(Path(sys.argv[2]) / 'python')]\n"
        "import os, threading, test_storing as t\n"
        "ae = t.AE('RECEIVER'); ae.add_supported_context(t.CTImageStorage, t.EXPLICIT)\n"
        "server = ae.start_server(('127.0.0.1', 0), block=False, store_to=sys.argv[1])\n"
        "valve = t.Valve(server.port, 20_000)\n"
        "assoc = t.AE().connect('127.0.0.1', valve.port, contexts=[t.build_context(t.CTImageStorage, t.EXPLICIT)])\n"
        "threading.Thread(target=assoc.send_c_store, args=(t.CT,), daemon=True).start()\n"
        "t.wait_until(lambda: t.names(t.Path(sys.argv[1])))\n"
        "print('coming', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parents[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "coming\n"
        (left,) = names(tmp_path)
        (tmp_path / ".other.part").write_bytes(b"not ours")
        (tmp_path / "1.2.dcm").write_bytes(b"whole")
        try:
            with storing(tmp_path):
                assert left in names(tmp_path), "its process is alive"
        finally:
            process.kill()
    # Each process looks once: another one now.
    check = "import sys, dimsefast as d; d.StoreTo(sys.argv[1]).prepare()"
    subprocess.run([sys.executable, "-c", check, str(tmp_path)], check=True)
    assert names(tmp_path) == [".other.part", "1.2.dcm"]


def stored_raw(assoc: Any, instance: str, data: bytes) -> Any:
    """The response to a C-STORE under any UID."""
    context = next(context for context in assoc.accepted_contexts if context.abstract_syntax == CTImageStorage)
    connection = assoc._connection
    number = connection.begin()
    elements = [(0x0002, CTImageStorage), (0x0700, 0), (0x1000, instance)]
    connection.send_request(context.context_id, 0x0001, number, elements, data, 10.0)
    message = connection.receive(number, 10.0)
    connection.forget(number)
    return message


def test_a_folder_that_is_gone_fails_its_objects_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    told = Told(lambda event: event.dataset_path)
    with storing(folder, told.bound) as assoc:
        folder.rmdir()
        for instance in ("1.2.3", "1.2.34", "../../x", " 1.2 ", "unheard of"):
            response = stored_raw(assoc, instance, encoded(CT))
            assert response.status == 0xA700
            # PS3.7 9.1.1: the UID of the request, as it was sent.
            assert response.element(0x1000).rstrip(b"\0") == instance.encode()
        assert not told.seen
        assert assoc.send_c_echo().Status == 0x0000
        folder.mkdir()
        assert assoc.send_c_store(CT).Status == 0x0000
        wait_until(lambda: "could not be stored" in caplog.text, "a line in the log")
    assert len(names(folder)) == 1 and len(told.seen) == 1


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a file system of its own")
def test_a_full_disk_fails_the_object_and_leaves_nothing(tmp_path: Path) -> None:
    # A limit of the size of files has the same effect on the core as a full disk, and needs no file system of its own.
    program = (
        "import sys; from pathlib import Path; sys.path[:0] = [sys.argv[2], str(Path(sys.argv[2]) / 'python')]\n"
        "import resource, signal, test_storing as t\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "with t.storing(sys.argv[1]) as assoc:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "    print(hex(assoc.send_c_store(t.CT).Status), t.names(Path(sys.argv[1])), hex(assoc.send_c_echo().Status))\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "    print(hex(assoc.send_c_store(t.CT).Status))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["0xa700 [] 0x0", "0x0"], done
    assert names(tmp_path) == [f"{dcmread(CT).SOPInstanceUID}.dcm"]


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


def test_safe_names_are_no_paths() -> None:
    assert safe_name("1CT1") == "1CT1" and safe_name("") == ""
    assert "/" not in safe_name("../../x") and safe_name("a/b") != safe_name("a\\b")
    assert len(safe_name("ü" * 500).encode()) <= 90


def test_store_to_is_described() -> None:
    assert "StoreTo" in repr(StoreTo(DISCARD)) and dimsefast.StoreTo is StoreTo
    logging.getLogger("dimsefast").debug("%r", StoreTo("/tmp"))
