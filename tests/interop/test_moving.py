"""The programs of docs/moving-from-pynetdicom.md, in both spellings, against DCMTK or each other."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast.sop_class import ModalityPerformedProcedureStep
from pydicom import Dataset, dcmread

from .conftest import Sample, call, equal, free_port, listens, program
from .test_dcmtk import dcmqrscp

__all__ = ["dcmqrscp"]

GUIDE = (Path(__file__).parents[2] / "docs" / "moving-from-pynetdicom.md").read_text()
PROGRAMS = dict(re.findall(r"^### (.+?)\n\n```python\n(.*?)```", GUIDE, re.MULTILINE | re.DOTALL))
DIFFS = dict(re.findall(r"^### (.+?)\n\n```python\n.*?```\n\n```diff\n(.*?)```", GUIDE, re.MULTILINE | re.DOTALL))
spellings = pytest.mark.parametrize("library", ["pynetdicom", "dimsefast"])


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., list[str]]:
    """The command that runs a program, on these ports."""

    def made(title: str, library: str, port: int, other: int = 0) -> list[str]:
        pytest.importorskip(library, reason=f"{library} is not installed: make peers")
        text = PROGRAMS[title].replace("pynetdicom", library)
        path = tmp_path / "program.py"
        path.write_text(text.replace("11112", str(port)).replace("11113", str(other)))
        return [sys.executable, str(path)]

    return made


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[list[str], int], None]]:
    """Runs a program that serves, until Ctrl-C, which it takes as the end."""
    processes: list[subprocess.Popen[str]] = []

    def start(command: list[str], port: int) -> None:
        processes.append(
            subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
        wait_until(lambda: listens(port), "the program to listen")

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0, output


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_program_has_its_diff_and_it_is_the_imports() -> None:
    assert len(PROGRAMS) == len(DIFFS) == 6
    for title, diff in DIFFS.items():
        old = [line[1:] for line in diff.splitlines() if line[0] == "-"]
        new = [line[1:] for line in diff.splitlines() if line[0] == "+"]
        assert [line.replace("pynetdicom", "dimsefast") for line in old] == new, title
        assert [line for line in PROGRAMS[title].splitlines() if "pynetdicom" in line] == old, title


@spellings
def test_verification(script: Callable[..., list[str]], library: str, tmp_path: Path) -> None:
    port = free_port()
    peer = subprocess.Popen([program("storescp"), str(port)], cwd=tmp_path)
    try:
        wait_until(lambda: listens(port), "storescp to listen")
        assert run(script("Verification", library, port), tmp_path) == "C-ECHO: 0x0000\n"
    finally:
        peer.terminate()
        peer.wait()


@spellings
def test_receiving(
    script: Callable[..., list[str]],
    serve: Callable[[list[str], int], None],
    library: str,
    tmp_path: Path,
    samples: dict[str, Sample],
) -> None:
    port = free_port()
    serve(script("Receiving", library, port), port)
    found = samples["explicit"]
    call("storescu", "127.0.0.1", port, found.path)
    assert equal(tmp_path / f"{found.sop_instance}.dcm", found)


@spellings
def test_querying(
    script: Callable[..., list[str]],
    library: str,
    tmp_path: Path,
    samples: dict[str, Sample],
    dcmqrscp: tuple[int, int, int],
) -> None:
    port = dcmqrscp[0]
    found = samples["explicit"]
    call("storescu", "-aec", "ARCHIVE", "-aet", "SELF", "127.0.0.1", port, found.path)
    lines = run(script("Querying", library, port), tmp_path).splitlines()
    assert f"patient {found.patient_id}" in lines and lines[-1] == "C-FIND: 0x0000"


@spellings
def test_moving_objects_to_oneself(
    script: Callable[..., list[str]],
    library: str,
    tmp_path: Path,
    samples: dict[str, Sample],
    dcmqrscp: tuple[int, int, int],
) -> None:
    port, own, _ = dcmqrscp
    call("storescu", "-aec", "ARCHIVE", "-aet", "SELF", "127.0.0.1", port, samples["explicit"].path)
    lines = run(script("Moving objects to oneself", library, port, own), tmp_path).splitlines()
    assert lines == ["C-MOVE: 0x0000, completed 1", "1 received"]


@spellings
def test_providing(
    script: Callable[..., list[str]],
    serve: Callable[[list[str], int], None],
    library: str,
    tmp_path: Path,
    samples: dict[str, Sample],
) -> None:
    port, found = free_port(), samples["explicit"]
    serve([*script("Providing", library, port), str(found.path)], port)
    keys = ("-k", "QueryRetrieveLevel=PATIENT", "-k", f"PatientID={found.patient_id}")
    answer = call("findscu", "-v", "-P", "-aec", "ARCHIVE", "127.0.0.1", port, *keys)
    assert "Pending" in answer and answer.count(f"[{found.patient_id}") == 2
    into = tmp_path / "got"
    into.mkdir()
    call("getscu", "-P", "-aec", "ARCHIVE", "-od", into, "127.0.0.1", port, *keys)
    # In the transfer syntax that getscu likes best.
    assert dcmread(next(into.iterdir())).PixelData == dcmread(found.path).PixelData


@spellings
def test_performed_procedure_steps(
    script: Callable[..., list[str]], serve: Callable[[list[str], int], None], library: str
) -> None:
    """A modality of the other library: it begins a step, and completes it once."""
    port = free_port()
    serve(script("Performed procedure steps", library, port), port)
    other = "dimsefast" if library == "pynetdicom" else "pynetdicom"
    ae: Any = pytest.importorskip(other).AE("MODALITY")
    step, end = Dataset(), Dataset()
    step.PerformedProcedureStepStatus, end.PerformedProcedureStepStatus = "IN PROGRESS", "COMPLETED"
    step.PatientID = "4711"
    ae.add_requested_context(ModalityPerformedProcedureStep)
    assoc = ae.associate("127.0.0.1", port)
    assert assoc.is_established
    try:
        sop_class = str(ModalityPerformedProcedureStep)

        def create(attributes: Dataset, uid: str) -> Any:
            return assoc.send_n_create(attributes, sop_class, uid)

        def change(attributes: Dataset, uid: str) -> Any:
            return assoc.send_n_set(attributes, sop_class, uid)

        assert create(end, "1.2.1")[0].Status == 0x0106
        status, created = create(step, "1.2.1")
        assert (status.Status, created.PatientID) == (0x0000, "4711")
        assert create(step, "1.2.1")[0].Status == 0x0111
        assert change(end, "1.2.2")[0].Status == 0x0112
        status, changed = change(end, "1.2.1")
        assert (status.Status, changed.PerformedProcedureStepStatus, changed.PatientID) == (0, "COMPLETED", "4711")
        assert change(end, "1.2.1")[0].Status == 0x0110
    finally:
        assoc.release()
