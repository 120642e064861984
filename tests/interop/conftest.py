"""Real peers: started once a module, stopped at its end, skipped with a reason where they are not installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import wait_until
from dimsefast import AE, evt, presentation
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import provider as example

with contextlib.suppress(ImportError):
    from .patient import make_patient

    make_patient()

REQUIRED = os.environ.get("DIMSEFAST_REQUIRE_PEERS") == "1"
EXPECTED = Path(__file__).with_name("EXPECTED")
passed = 0


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    global passed
    if report.when == "call" and report.passed and "tests/interop/" in report.nodeid:
        passed += 1


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where no interoperability case may be missing, fewer than expected is a failure."""
    whole = any(item.path.parent == EXPECTED.parent for item in getattr(session, "items", []))
    if REQUIRED and whole and exitstatus == 0:
        wanted = int(EXPECTED.read_text())
        print(f"\ninteroperability cases: {passed} passed, {wanted} expected")
        if passed < wanted:
            session.exitstatus = 1


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        if REQUIRED:
            pytest.fail(f"{name} is not installed: make peers")
        pytest.skip(f"{name} is not installed: make peers")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def call(*command: Any, check: bool = True) -> str:
    done = subprocess.run(
        [program(str(command[0])), *map(str, command[1:])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        env={**os.environ, "TCP_NODELAY": "1"},
        check=False,
    )
    output = done.stdout.decode("latin-1")
    assert not check or done.returncode == 0, f"{command}: {output}"
    return output


class Background:
    """A peer that runs until the module ends."""

    def __init__(self, port: int, *command: Any, log: Path) -> None:
        self.port = port
        self._log = log.open("wb")
        self.log = log
        self._process = subprocess.Popen(
            [program(str(command[0])), *map(str, command[1:])],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TCP_NODELAY": "1"},
        )

        def up() -> bool:
            assert self._process.poll() is None, f"{command} ended: {log.read_text(errors='replace')}"
            return listens(port)

        wait_until(up, f"{command[0]} to listen")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Sample(NamedTuple):
    """A real file and what it is."""

    name: str
    path: Path
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    patient_id: str


def sample(name: str) -> Sample:
    path = Path(str(get_testdata_file(name)))
    header = dcmread(path, stop_before_pixels=True)
    return Sample(
        name,
        path,
        str(header.SOPClassUID),
        str(header.SOPInstanceUID),
        str(header.file_meta.TransferSyntaxUID),
        str(header.get("PatientID", "")),
    )


#: One file for each family of transfer syntaxes.
SAMPLES = {
    "explicit": "CT_small.dcm",
    "implicit": "SC_rgb_jpeg_dcmd.dcm",
    "big endian": "SC_rgb_small_odd_big_endian.dcm",
    "deflated": "image_dfl.dcm",
    "JPEG baseline": "SC_rgb_jpeg_dcmtk.dcm",
    "JPEG extended": "JPEG-lossy.dcm",
    "JPEG lossless": "SC_rgb_jpeg_gdcm.dcm",
    "JPEG 2000": "SC_rgb_gdcm_KY.dcm",
    "JPEG 2000 lossless": "examples_jpeg2k.dcm",
    "RLE": "MR_small_RLE.dcm",
}


def encoded(path: Path) -> bytes:
    """Every byte behind the file meta group; an odd dataset travels with one NUL behind it."""
    data = path.read_bytes()
    data = data[144 + dcmread(path, stop_before_pixels=True).file_meta.FileMetaInformationGroupLength :]
    return data + b"\0" * (len(data) % 2)


def same(copy: Path, original: Sample) -> bool:
    header = dcmread(copy, stop_before_pixels=True)
    return header.file_meta.TransferSyntaxUID == original.transfer_syntax and encoded(copy) == encoded(original.path)


def equal(copy: Path, original: Sample) -> bool:
    """The same transfer syntax and elements: for senders that encode anew, and leave padding and group lengths out."""
    read, wanted = dcmread(copy), dcmread(original.path)
    for dataset in (read, wanted):
        for tag in [tag for tag in dataset.keys() if tag.element == 0 or tag == 0xFFFCFFFC]:  # noqa: SIM118
            del dataset[tag]
    return read.file_meta.TransferSyntaxUID == original.transfer_syntax and Dataset(read) == Dataset(wanted)


def query(level: str = "PATIENT", **keys: Any) -> Dataset:
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


class Provider:
    """The example's provider, in this process: all six services over a folder."""

    def __init__(self, folder: Path, maximum_pdu_size: int | None = None) -> None:
        warnings.simplefilter("ignore", UserWarning)
        self.folder = folder
        self.holdings = example.Holdings(folder)
        self.destinations: dict[str, tuple[str, int]] = {}
        self.ae = AE("PROVIDER")
        self.ae.maximum_associations = 30
        if maximum_pdu_size is not None:
            self.ae.maximum_pdu_size = maximum_pdu_size
        for context in presentation.VerificationPresentationContexts + presentation.QueryRetrievePresentationContexts:
            self.ae.add_supported_context(context.abstract_syntax)
        for context in presentation.AllStoragePresentationContexts:
            self.ae.add_supported_context(context.abstract_syntax, presentation.ALL_TRANSFER_SYNTAXES, True, True)
        handlers = [
            (evt.EVT_C_STORE, example.on_store, [self.holdings]),
            (evt.EVT_C_FIND, example.on_find, [self.holdings]),
            (evt.EVT_C_GET, example.sub_operations, [self.holdings]),
            (evt.EVT_C_MOVE, example.on_move, [self.holdings, self.destinations]),
        ]
        self.server: Any = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, store_to=folder)
        self.port: int = self.server.port

    def stored(self, original: Sample) -> Path:
        return (
            self.folder / f"{dcmread(original.path, stop_before_pixels=True).file_meta.MediaStorageSOPInstanceUID}.dcm"
        )


@pytest.fixture(scope="module")
def samples() -> dict[str, Sample]:
    return {family: sample(name) for family, name in SAMPLES.items()}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, samples: dict[str, Sample]) -> Iterator[Provider]:
    """A provider that holds all samples."""
    folder = tmp_path_factory.mktemp("filled")
    for found in samples.values():
        shutil.copy(found.path, folder / found.name)
    provider = Provider(folder)
    yield provider
    provider.ae.shutdown()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Callable[..., Provider]]:
    """Makes providers over an empty folder."""
    made: list[Provider] = []

    def make(maximum_pdu_size: int | None = None) -> Provider:
        folder = tmp_path / f"provider{len(made)}"
        folder.mkdir()
        made.append(Provider(folder, maximum_pdu_size))
        return made[-1]

    yield make
    for provider in made:
        provider.ae.shutdown()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A C-STORE receiver of ours for anything: its port and folder."""
    folder = tmp_path / "received"
    folder.mkdir()
    ae = AE("RECEIVER")
    for context in presentation.AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, presentation.ALL_TRANSFER_SYNTAXES)
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, store_to=folder)
    yield server.port, folder
    server.shutdown()
