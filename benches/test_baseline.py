"""dimsefast beside pynetdicom, each to itself, in one run: `make bench`.

The server is a process of its own. Every cell of a case follows the other stacks' cells of the same case,
so that the machine is the same for all. No timing decides anything: the table at the end is what counts.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from peer import FIND, no_delay
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

STACKS = ["dimsefast", "pynetdicom-nodelay", "pynetdicom"]
CT, VERIFICATION, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.1", "1.2.840.10008.1.2.1"
pytest.importorskip("pynetdicom", reason="make peers installs it")


class Client:
    """A requestor of one of the stacks, and its server."""

    def __init__(self, stack: str) -> None:
        self.stack = stack
        command = [sys.executable, str(Path(__file__).with_name("peer.py")), stack]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.handlers: list[Any] = []
        if stack == "dimsefast":
            from dimsefast import AE, build_context
        else:
            from pynetdicom import AE, _config, build_context, evt

            _config.STORE_SEND_CHUNKED_DATASET = True
            if stack.endswith("nodelay"):
                self.handlers = [(evt.EVT_CONN_OPEN, no_delay)]
        self.ae = AE("CLIENT")
        self.contexts = [build_context(VERIFICATION), build_context(CT, EXPLICIT), build_context(FIND, EXPLICIT)]
        self.assoc = self.associate()

    def associate(self) -> Any:
        assoc = self.ae.associate("127.0.0.1", self.port, contexts=self.contexts, evt_handlers=self.handlers)
        assert assoc.is_established
        return assoc

    def close(self) -> None:
        self.assoc.release()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[str, Client]]:
    made = {stack: Client(stack) for stack in STACKS}
    yield made
    for client in made.values():
        client.close()


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A CT image of 526 kB, and one of 3 kB."""
    folder, paths = tmp_path_factory.mktemp("objects"), {}
    for name, rows in (("526 kB", 512), ("3 kB", 16)):
        dataset = dcmread(str(get_testdata_file("CT_small.dcm")))
        del dataset[0xFFFCFFFC]
        dataset.Rows = dataset.Columns = rows
        dataset.PixelData = bytes(rows * rows * 2)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        paths[name] = folder / f"{rows}.dcm"
        dataset.save_as(paths[name])
    return paths


def measure(benchmark: Any, case: str, stack: str, number: int, body: Callable[[], None]) -> None:
    benchmark.group = case
    benchmark.extra_info.update(stack=stack, number=number)
    benchmark.pedantic(body, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("stack", STACKS)
def test_echo(benchmark: Any, clients: dict[str, Client], stack: str) -> None:
    assoc = clients[stack].assoc

    def body() -> None:
        for _ in range(100):
            assert assoc.send_c_echo().Status == 0

    measure(benchmark, "C-ECHO a second", stack, 100, body)


@pytest.mark.parametrize("stack", STACKS)
def test_associate(benchmark: Any, clients: dict[str, Client], stack: str) -> None:
    client = clients[stack]

    def body() -> None:
        for _ in range(10):
            client.associate().release()

    measure(benchmark, "associate and release a second", stack, 10, body)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(("size", "number"), [("526 kB", 10), ("3 kB", 50)])
def test_store(
    benchmark: Any, clients: dict[str, Client], objects: dict[str, Path], stack: str, size: str, number: int
) -> None:
    assoc, path = clients[stack].assoc, objects[size]

    def body() -> None:
        for _ in range(number):
            assert assoc.send_c_store(path).Status == 0

    measure(benchmark, f"C-STORE of {size} a second", stack, number, body)


@pytest.mark.parametrize("stack", STACKS)
def test_find(benchmark: Any, clients: dict[str, Client], stack: str) -> None:
    assoc = clients[stack].assoc
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.PatientID = "200"
    for keyword in ("PatientName", "StudyDate", "StudyInstanceUID", "StudyDescription"):
        setattr(query, keyword, "")

    def body() -> None:
        assert sum(1 for _ in assoc.send_c_find(query, FIND)) == 201

    measure(benchmark, "C-FIND responses a second", stack, 200, body)
