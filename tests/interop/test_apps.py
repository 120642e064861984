"""pynetdicom's programs under their names, against DCMTK and each other."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import wait_until
from dimsefast import AE, build_context
from dimsefast.sop_class import Verification
from pydicom import dcmread
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from .conftest import Sample, call, equal, free_port, listens
from .test_dcmtk import dcmqrscp

__all__ = ["dcmqrscp"]


def app(*arguments: object, folder: Path, status: int = 0, typed: str = "") -> str:
    command = [sys.executable, "-m", "dimsefast", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, input=typed, timeout=100, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts a program that serves; Ctrl-C is its end."""
    processes: list[subprocess.Popen[str]] = []

    def start(name: str, *arguments: object) -> int:
        port = free_port()
        command = [sys.executable, "-m", "dimsefast", name, str(port), *map(str, arguments)]
        processes.append(subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True))
        wait_until(lambda: listens(port), f"{name} to listen")
        return port

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0 and "Traceback" not in errors, errors


def test_echo_both_ways(provider: Callable[..., int], tmp_path: Path) -> None:
    port = provider("echoscp", "-aet", "ECHO")
    assert "Success" in call("echoscu", "-v", "127.0.0.1", port)
    shown = app("echoscu", "127.0.0.1", port, "-v", "--repeat", 2, folder=tmp_path)
    assert shown.count("Received Echo Response (Status: 0x0000 - Success)") == 2 and "Releasing Association" in shown
    assert app("echoscu", "127.0.0.1", port, "-q", folder=tmp_path) == ""
    assert "Aborting Association" in app("echoscu", "127.0.0.1", port, "-v", "--abort", folder=tmp_path)
    refused = app("echoscu", "127.0.0.1", free_port(), folder=tmp_path, status=1)
    assert "unable to connect to remote" in refused


@pytest.mark.parametrize(
    ("preference", "accepted"),
    [
        ((), ImplicitVRLittleEndian),
        (("-x=",), ExplicitVRLittleEndian),
        (("-xe",), ExplicitVRLittleEndian),
        (("-xb",), ExplicitVRBigEndian),
        (("-xi",), ImplicitVRLittleEndian),
    ],
)
def test_the_transfer_syntax_that_an_acceptor_prefers(
    provider: Callable[..., int], preference: tuple[str, ...], accepted: str
) -> None:
    port = provider("echoscp", *preference)
    proposed = [ImplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian]
    with AE().connect("127.0.0.1", port, contexts=[build_context(Verification, proposed)]) as assoc:
        (context,) = assoc.accepted_contexts
        assert context.transfer_syntax == [accepted]


def test_a_program_that_is_terminated_has_said_everything() -> None:
    port = free_port()
    command = [sys.executable, "-m", "dimsefast", "echoscp", str(port), "-v"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: listens(port), "echoscp to listen")
    with AE().connect("127.0.0.1", port, contexts=[build_context(Verification)]) as assoc:
        assert assoc.send_c_echo().Status == 0
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM and "Traceback" not in said
    words = ("Accepting Association", "Received Echo Request", "Received C-ECHO request from", "Association Released")
    assert all(one in said for one in words), said


def test_store_both_ways(provider: Callable[..., int], tmp_path: Path, samples: dict[str, Sample]) -> None:
    port = provider("storescp", "-od", "in", "-x=")
    one, two = samples["explicit"], samples["RLE"]
    call("storescu", "127.0.0.1", port, one.path)
    assert equal(tmp_path / "in" / f"CT.{one.sop_instance}", one)
    app("storescu", "127.0.0.1", port, two.path, "-cx", folder=tmp_path)
    assert equal(tmp_path / "in" / f"MR.{two.sop_instance}", two)
    assert "Cannot access path" in app("storescu", "127.0.0.1", port, "nowhere", folder=tmp_path)


def test_query_and_retrieve(dcmqrscp: tuple[int, int, int], tmp_path: Path, samples: dict[str, Sample]) -> None:
    port, own, _ = dcmqrscp
    found = samples["explicit"]
    peer = ("127.0.0.1", port, "-aec", "ARCHIVE", "-aet", "SELF")
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={dcmread(found.path).StudyInstanceUID}")
    shown = app("findscu", *peer, "-v", "-S", "-w", *keys, "-k", "PatientID=", folder=tmp_path)
    assert "Find SCP Result: 0x0000 (Success)" in shown
    assert dcmread(tmp_path / "rsp000001.dcm").PatientID == found.patient_id
    app("getscu", *peer, "-S", *keys, "-od", "got", folder=tmp_path)
    assert dcmread(tmp_path / "got" / f"CT.{found.sop_instance}").PixelData == dcmread(found.path).PixelData
    storage = ("--store", "--store-port", own, "--store-aet", "SELF", "-od", "moved")
    app("movescu", *peer, "-S", "-aem", "SELF", *keys, *storage, folder=tmp_path)
    assert dcmread(tmp_path / "moved" / f"CT.{found.sop_instance}").PixelData == dcmread(found.path).PixelData


def test_the_archive(tmp_path: Path, samples: dict[str, Sample]) -> None:
    port, own = free_port(), free_port()
    (tmp_path / "qr.ini").write_text(
        f"[DEFAULT]\nport = {port}\nae_title = QR\n[SELF]\naddress = 127.0.0.1\nport = {own}\n"
    )
    command = [sys.executable, "-m", "dimsefast", "qrscp", "-c", "qr.ini", "-ba", "127.0.0.1"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: listens(port), "qrscp to listen")
        found = samples["explicit"]
        call("storescu", "127.0.0.1", port, found.path)
        peer = ("127.0.0.1", port, "-aec", "QR", "-aet", "SELF", "-S")
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={dcmread(found.path).StudyInstanceUID}")
        shown = app("findscu", *peer, "-v", *keys, folder=tmp_path)
        assert "Find SCP Response: 1 - 0xFF00 (Pending)" in shown
        # The unique keys above the level may be left out.
        shown = app("findscu", *peer, "-v", "-k", "QueryRetrieveLevel=IMAGE", "-k", "SOPInstanceUID=", folder=tmp_path)
        assert "Find SCP Result: 0x0000 (Success)" in shown and "Response: 1 - 0xFF00 (Pending)" in shown
        storage = ("--store", "--store-port", own, "--store-aet", "SELF", "-od", "moved")
        app("movescu", *peer, "-aem", "SELF", *keys, *storage, folder=tmp_path)
        assert equal(tmp_path / "moved" / f"CT.{found.sop_instance}", found)
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    app("qrscp", "-c", "qr.ini", "--clean", folder=tmp_path, typed="no\n")
    assert list((tmp_path / "instances").rglob("*.dcm"))
    app("qrscp", "-c", "qr.ini", "--clean", folder=tmp_path, typed="yes\n")
    assert not list((tmp_path / "instances").rglob("*.dcm"))


def test_wrong_usage_is_told(tmp_path: Path) -> None:
    assert "one of -q, -v and -d" in app("echoscu", "127.0.0.1", 104, "-q", "-v", folder=tmp_path, status=2)
    assert "Nonsense" in app("findscu", "127.0.0.1", 104, "-k", "Nonsense=1", folder=tmp_path, status=2)
    assert app("storescu", "--version", folder=tmp_path).startswith("storescu.py v")
    missing = app("findscu", "127.0.0.1", 104, "-f", "nowhere.dcm", folder=tmp_path, status=1)
    assert "Cannot read input file nowhere.dcm" in missing
