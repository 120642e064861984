"""Providers in the process for `Client`, over folders of their own."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dimsefast import evt, presentation
from faces import AE, Client, face  # noqa: F401
from pydicom import dcmread
from pydicom.data import get_testdata_file

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import provider as example

CT, MR = (Path(str(get_testdata_file(name))) for name in ("CT_small.dcm", "MR_small.dcm"))
RLE, DEFLATED = (Path(str(get_testdata_file(name))) for name in ("SC_rgb_rle.dcm", "image_dfl.dcm"))
CT_STUDY = str(dcmread(CT).StudyInstanceUID)
CT_UID = str(dcmread(CT).SOPInstanceUID)
DICOMDIR = Path(str(get_testdata_file("DICOMDIR")))


class Archive:
    """The example's provider in this process, over a folder of its own."""

    def __init__(self, folder: Path, *files: Path, syntaxes: Any = presentation.ALL_TRANSFER_SYNTAXES) -> None:
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder)
        self.folder = folder
        self.holdings = example.Holdings(folder)
        self.destinations: dict[str, tuple[str, int]] = {}
        self.ae = AE("ARCHIVE")
        self.ae.require_called_aet = True
        self.ae.maximum_associations = 30
        for context in presentation.VerificationPresentationContexts + presentation.QueryRetrievePresentationContexts:
            self.ae.add_supported_context(context.abstract_syntax)
        for context in presentation.AllStoragePresentationContexts:
            self.ae.add_supported_context(context.abstract_syntax, syntaxes, True, True)
        self.finds: list[Any] = []
        self.on_find: Callable[[Any], Any] = lambda event: example.on_find(event, self.holdings)
        self.on_move: Callable[[Any], Any] = lambda event: example.on_move(event, self.holdings, self.destinations)
        self.on_store: Callable[[Any], Any] = lambda event: example.on_store(event, self.holdings)
        self.server: Any = self.start()
        self.port: int = self.server.port

    def start(self, port: int = 0) -> Any:
        handlers: list[Any] = [
            (evt.EVT_C_STORE, lambda event: self.on_store(event)),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_GET, example.sub_operations, [self.holdings]),
            (evt.EVT_C_MOVE, lambda event: self.on_move(event)),
        ]
        return self.ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, store_to=self.folder)

    def _find(self, event: Any) -> Any:
        self.finds.append(event.identifier)
        return self.on_find(event)

    @property
    def name(self) -> str:
        return f"ARCHIVE@127.0.0.1:{self.port}"


@pytest.fixture
def archives(tmp_path: Path) -> Iterator[Callable[..., Archive]]:
    made: list[Archive] = []

    def make(*files: Path, **options: Any) -> Archive:
        made.append(Archive(tmp_path / f"archive{len(made)}", *files, **options))
        return made[-1]

    yield make
    for archive in made:
        archive.ae.shutdown()


@pytest.fixture
def archive(archives: Callable[..., Archive]) -> Archive:
    return archives(CT, MR)


@pytest.fixture
def client(archive: Archive) -> Iterator[Client]:
    port = free_port()
    archive.destinations["WORKSTATION"] = ("127.0.0.1", port)
    with Client(archive.name, "WORKSTATION", f"127.0.0.1:{port}", arrival_timeout=10, timeout=10) as made:
        yield made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
