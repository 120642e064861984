"""`make large`: an object of more than 4 GiB, to a receiver that drops it, to one that keeps it, and back from that."""

from __future__ import annotations

import argparse
import shutil
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dimsefast import AE, DISCARD, build_role, evt
from dimsefast.server import AssociationServer
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from tests.conformance.pdus import NAMES

from .measure import Usage

#: The length of one of the two long values. One value alone is at most 4 GiB long (PS3.5 7.1.1), an object is not.
VALUE = (2 << 30) + (300 << 20)
INSTANCE = "1.2.3.4.5"
#: What a process may use more while the object passes, in bytes.
TOLERATED = 64 << 20
#: The marks at the end of each value: what is between them are zeros that no disk holds.
MARKS = (b"the end of one  ", b"the end of both ")


def write_object(path: Path) -> int:
    """A file with two values of `VALUE` bytes, most of it a hole; returns the length of its dataset."""
    small = Dataset()
    small.SOPClassUID, small.SOPInstanceUID, small.PatientID = NAMES["ct"], INSTANCE, "LARGE"
    small.file_meta = FileMetaDataset()
    small.file_meta.TransferSyntaxUID = NAMES["explicit"]
    small.file_meta.MediaStorageSOPClassUID, small.file_meta.MediaStorageSOPInstanceUID = NAMES["ct"], INSTANCE
    small.save_as(path, enforce_file_format=True)
    begin = path.stat().st_size
    header = begin - _dataset_begins(path)
    with path.open("r+b") as file:
        file.seek(begin)
        for tag, mark in ((0x00420011, MARKS[0]), (0x7FE00010, MARKS[1])):
            file.write(struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"OB", 0, VALUE))
            file.seek(VALUE - len(mark), 1)
            file.write(mark)
    return header + 2 * (12 + VALUE)


def _dataset_begins(path: Path) -> int:
    """Where the dataset begins: behind the file meta group, whose length is the value of its first element."""
    with path.open("rb") as file:
        beginning = file.read(144)
    return 144 + int(struct.unpack_from("<I", beginning, 140)[0])


@contextmanager
def serving(store_to: Any, source: Path) -> Iterator[AssociationServer]:
    """A receiver, which sends `source` to whoever retrieves."""
    ae = AE("RECEIVER")
    ae.network_timeout = ae.dimse_timeout = 600
    ae.add_supported_context(NAMES["ct"], NAMES["explicit"], True, True)
    ae.add_supported_context(NAMES["get"], NAMES["explicit"])

    def get(_: Any) -> Iterator[Any]:
        yield 1
        yield 0xFF00, source

    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_GET, get)], store_to=store_to)
    assert server is not None
    with server:
        yield server


class Watched:
    """The most that this process used during the block, beyond what it used before, and the seconds that it took."""

    def __enter__(self) -> Watched:
        self._over = threading.Event()
        self._before = self._most = Usage.of("self").resident
        self._thread = threading.Thread(target=self._watch)
        self._begin = time.perf_counter()
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self._most = max(self._most, Usage.of("self").resident)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.seconds = time.perf_counter() - self._begin
        self.grown = self._most - self._before


def requestor() -> AE:
    ae = AE("SENDER")
    ae.network_timeout = ae.dimse_timeout = 600
    ae.add_requested_context(NAMES["ct"], NAMES["explicit"])
    ae.add_requested_context(NAMES["get"], NAMES["explicit"])
    return ae


def store(what: str, store_to: Any, source: Path, length: int) -> None:
    """C-STORE of the object."""
    with serving(store_to, source) as server:
        with requestor().connect("127.0.0.1", server.port) as association, Watched() as watched:
            assert association.send_c_store(source).Status == 0x0000
        stored = server.statistics()["operations"]["C-STORE"]
    assert stored["bytes"] == length, f"{stored} of {length}"
    _report(what, length, watched)


def get(folder: Path, source: Path, length: int) -> None:
    """C-GET of the object, into a folder."""
    with serving(DISCARD, source) as server:
        roles = [build_role(NAMES["ct"], scp_role=True)]
        identifier = Dataset()
        identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", "1.2.3"
        ae = requestor()
        with ae.connect("127.0.0.1", server.port, ext_neg=roles, store_to=folder) as association:
            with Watched() as watched:
                *_, (status, _) = association.send_c_get(identifier, NAMES["get"])
            assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, 1)
    _report("retrieved into a folder", length, watched)


def check(folder: Path, source: Path) -> None:
    """What arrived has the length of what was sent, and its beginning and marks."""
    (received,) = folder.iterdir()
    length = source.stat().st_size - _dataset_begins(source)
    begins = _dataset_begins(received)
    assert received.stat().st_size - begins == length, (received.stat().st_size, begins, length)
    with received.open("rb") as file:
        for before_the_end, mark in ((12 + VALUE, MARKS[0]), (0, MARKS[1])):
            file.seek(begins + length - before_the_end - len(mark))
            assert file.read(len(mark)) == mark


def _report(what: str, length: int, watched: Watched) -> None:
    rate = length / watched.seconds / 1e6
    print(f"{length} bytes {what}: {watched.seconds:.1f} s, {rate:.0f} MB/s, {watched.grown / 1e6:+.1f} MB of memory")
    assert watched.grown < TOLERATED, "memory does not grow with the object"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.endurance.large", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where there is room for 5 GB; default: a temporary folder")
    with tempfile.TemporaryDirectory(dir=parser.parse_args().folder) as name:
        folder = Path(name)
        source = folder / "source.dcm"
        length = write_object(source)
        assert length > 1 << 32
        store("sent and dropped", DISCARD, source, length)
        if shutil.disk_usage(folder).free < length + (1 << 30):
            print(f"no room in {folder} for the object: it is not kept")
            return
        for number, into in enumerate((store, get)):
            target = folder / f"received{number}"
            target.mkdir()
            if into is store:
                store("sent into a folder", target, source, length)
            else:
                get(target, source, length)
            check(target, source)
            shutil.rmtree(target)


if __name__ == "__main__":
    main()
