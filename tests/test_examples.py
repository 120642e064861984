"""The examples and the demo, run as a reader would run them."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, Archive, Client, evt, query
from pydicom import dcmread
from pydicom.data import get_testdata_file

EXAMPLES = Path(__file__).parents[1] / "examples"
#: Generous: machines may be busy.
LIMIT = 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three patients."""
    folder = tmp_path / "objects"
    folder.mkdir()
    for name in ("CT_small.dcm", "MR_small.dcm", "JPEG-lossy.dcm"):
        shutil.copy(str(get_testdata_file(name)), folder)
    return folder


@pytest.fixture
def start() -> Iterator[Callable[..., int]]:
    """Starts an example that serves, and gives its port."""
    processes: list[subprocess.Popen[str]] = []

    def start(name: str, *arguments: object) -> int:
        command = [sys.executable, str(EXAMPLES / name), *map(str, arguments), "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        processes.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"listens on 127\.0\.0\.1:(\d+)", line):
                return int(found[1])
        raise AssertionError(f"{name} ended before it listened")

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 0 and output.endswith("stopped\n")


def run(name: str, *arguments: object, status: int = 0) -> str:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_find(start: Callable[..., int], folder: Path) -> None:
    port = start("cfind_scp.py", folder)
    output = run("cfind_scu.py", "--port", port, "--patient-id", "?CT*")
    assert output.split()[:2] == ["1CT1", "CompressedSamples^CT1"] and output.count("\n") == 1
    assert run("cfind_scu.py", "--port", port).count("\n") == 3
    assert run("cfind_scu.py", "--port", port, "--patient-id", "nobody") == ""


def test_move_to_oneself(start: Callable[..., int], folder: Path, tmp_path: Path) -> None:
    listen = free_port()
    port = start("cmove_scp.py", folder, "--destination", f"MOVESCU=127.0.0.1:{listen}")
    into = tmp_path / "incoming"
    options = ["--port", port, "--listen", listen, "--into", into]
    output = run("cmove_scu.py", *options, "--patient-id", "1CT1")
    assert output.splitlines() == [
        "FF00H: 0 remaining, 1 completed, 0 failed, 0 warnings",
        "0000H: 0 remaining, 1 completed, 0 failed, 0 warnings",
    ]
    (copy,) = into.iterdir()
    assert dcmread(copy) == dcmread(folder / "CT_small.dcm")
    assert run("cmove_scu.py", *options, "--patient-id", "*").count("FF00H") == 3


def test_move_to_a_third_party(start: Callable[..., int], folder: Path, tmp_path: Path) -> None:
    receiver = start("cstore_scp.py", tmp_path / "incoming")
    port = start("cmove_scp.py", folder, "--destination", f"STORESCP=127.0.0.1:{receiver}")
    output = run("cmove_third_party.py", "--port", port, "--patient-id", "4MR1")
    assert output.splitlines()[-1] == "0000H: 1 completed"
    wait_until(lambda: len(list((tmp_path / "incoming").iterdir())) == 1)
    output = run("cmove_third_party.py", "--port", port, "--patient-id", "4MR1", "--destination", "OTHER", status=1)
    assert "A801H" in output and "OTHER" in output


def test_asyncio_service(folder: Path, tmp_path: Path) -> None:
    """It receives, indexes beside that, and answers; Ctrl-C stops it."""
    command = [sys.executable, str(EXAMPLES / "asyncio_service.py"), str(tmp_path / "incoming"), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"listens on (127\.0\.0\.1:\d+)", process.stdout.readline())
        assert found is not None
        with Client(f"SERVICE@{found[1]}") as client:
            assert client.store(folder).completed == 3
            names = {str(row.PatientName) for row in client.find(query.study(["PatientName"], patient_id="?CT*"))}
        assert names == {"CompressedSamples^CT1"}
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    lines = output.splitlines()
    assert process.returncode == 0 and lines.pop() == "stopped"
    assert len(lines) == 3 and all(line.startswith("indexed ") for line in lines)


@contextmanager
def served(archive: Archive, *handlers: tuple[Any, ...]) -> Iterator[str]:
    """An archive, told of what is stored by the handlers; gives its name."""
    with archive:
        server: Any = AE("ARCHIVE").start_server(
            ("127.0.0.1", 0),
            block=False,
            contexts=archive.contexts,
            evt_handlers=[*archive.handlers, *handlers],
            store_to=archive.store_to,
        )
        try:
            yield f"ARCHIVE@127.0.0.1:{server.port}"
        finally:
            server.shutdown()


def test_a_migration_that_was_stopped_goes_on(folder: Path, tmp_path: Path) -> None:
    """Ctrl-C comes while the second of three studies is on its way."""
    reached, proceed, done = threading.Event(), threading.Event(), tmp_path / "done.txt"
    old, new = Archive(tmp_path / "old"), Archive(tmp_path / "new")

    def on_store(event: Any) -> int:
        if done.exists() and not proceed.is_set():
            reached.set()
            proceed.wait(LIMIT)
        return 0x0000

    assert all(result.status == 0x0000 for result in old.add(folder.iterdir()))
    with served(old) as source, served(new, (evt.EVT_C_STORE, on_store)) as target:
        command = [sys.executable, EXAMPLES / "migrate.py", source, target, "--done", done]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert reached.wait(LIMIT)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
            proceed.set()
        assert process.returncode == 1 and output.endswith("stopped: start it again to go on\n")
        assert len(done.read_text().split()) == 1
        output = run("migrate.py", source, target, "--done", done)
        assert output.startswith("1 studies are over there already, 2 to go\n") and output.count(": done\n") == 2
        assert sorted(done.read_text().split()) == sorted(study.StudyInstanceUID for study in new.find(query.study()))
        assert new.statistics()["instances"] == 3
        assert run("migrate.py", source, target, "--done", done) == "3 studies are over there already, 0 to go\n"


def test_a_migration_says_which_study_is_not_over_there(folder: Path, tmp_path: Path) -> None:
    old, new = Archive(tmp_path / "old"), Archive(tmp_path / "new", duplicates="refuse")
    done = tmp_path / "done.txt"
    refused = dcmread(folder / "CT_small.dcm").StudyInstanceUID

    def on_store(event: Any) -> int:
        return 0xA700 if event.dataset.StudyInstanceUID == refused else 0x0000

    assert all(result.status == 0x0000 for result in old.add(folder.iterdir()))
    with served(old) as source, served(new, (evt.EVT_C_STORE, on_store)) as target:
        output = run("migrate.py", source, target, "--done", done, status=1)
        assert f"{refused}: " in output and f"{refused}: done" not in output and output.count(": done\n") == 2
        assert "1 studies are not over there: start it again" in output
        assert refused not in done.read_text()


def test_an_archive_as_a_data_frame(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    archive = Archive(tmp_path / "archive")
    assert all(result.status == 0x0000 for result in archive.add(folder.iterdir()))
    with served(archive) as name:
        rows, _, years = run("dataframe.py", name).partition("StudyDate\n")
        assert len(rows.splitlines()) == 1 + 3 and "CompressedSamples^CT1" in rows and "2004-01-19" in rows
        assert years.split() == ["2004", "3"]
        rows, _, _ = run("dataframe.py", name, "--since", "2004-08-01").partition("StudyDate\n")
        assert "CompressedSamples^MR1" in rows and "CompressedSamples^CT1" not in rows


def test_the_gateway_passes_on_what_it_made_anonymous(start: Callable[..., int], folder: Path, tmp_path: Path) -> None:
    receiver = start("cstore_scp.py", tmp_path / "incoming")
    gateway = start("gateway.py", "--to", f"STORESCP@127.0.0.1:{receiver}")
    with Client(f"GATEWAY@127.0.0.1:{gateway}") as client:
        assert client.store(folder / "CT_small.dcm").ok
    (path,) = (tmp_path / "incoming").iterdir()
    before, after = dcmread(folder / "CT_small.dcm"), dcmread(path)
    assert after.pixel_array.tobytes() == before.pixel_array.tobytes()
    assert after.PatientName == after.PatientID != before.PatientID
    assert after.StudyInstanceUID.startswith("2.25.") and path.stem == after.SOPInstanceUID != before.SOPInstanceUID
    assert any(item.PatientID for item in before.OtherPatientIDsSequence)
    assert [element.value for element in after.iterall() if element.keyword == "PatientID"] == [after.PatientID]
    assert "PatientBirthDate" not in after and not any(element.tag.is_private for element in after)


def test_the_gateway_says_no_success_of_what_it_could_not_pass_on(start: Callable[..., int], folder: Path) -> None:
    gateway = start("gateway.py", "--to", f"NOBODY@127.0.0.1:{free_port()}")
    with Client(f"GATEWAY@127.0.0.1:{gateway}") as client:
        assert client.store(folder / "CT_small.dcm").failures[0].status == 0xA700


def test_the_worklist(start: Callable[..., int], tmp_path: Path) -> None:
    appointments = tmp_path / "appointments.json"
    common = {"modality": "CT", "station": "CT1", "start": "2026-11-25T10:30"}
    names = ["Doe^Jane", "M\u00fcller^J\u00f6rg"]
    appointments.write_text(
        json.dumps(
            [
                {**common, "patient_id": str(at), "patient_name": name, "accession_number": f"A{at}"}
                for at, name in enumerate(names)
            ]
        )
    )
    port = start("worklist.py", appointments)
    with Client(f"WORKLIST@127.0.0.1:{port}") as client:
        found = list(client.find(query.worklist(modality="CT", scheduled_procedure_step_start_date="20261125")))
        assert [str(one.PatientName) for one in found] == names
        assert list(client.find(query.worklist(modality="MR"))) == []


@pytest.mark.parametrize("name", ["cfind_scu.py", "cmove_scu.py", "cmove_third_party.py"])
def test_nobody_listens_is_one_line(name: str, tmp_path: Path) -> None:
    options = [] if name == "cfind_scu.py" else ["--patient-id", "1"]
    if name == "cmove_scu.py":
        options += ["--listen", "0", "--into", str(tmp_path)]
    output = run(name, "--port", free_port(), *options, status=1)
    assert output.count("\n") == 1 and "cannot be reached" in output


def test_demo() -> None:
    output = run("demo.py")
    assert output.endswith("all good\n")
    assert "NOT" not in output
    equal = re.findall(r"(\d+) of (\d+) objects are byte-equal", output)
    assert len(equal) == 3
    assert all(good == total and int(total) > 100 for good, total in equal)
