"""Our own acceptor for the cases: an archive in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dimsefast.archive import Archive
from dimsefast.server import AssociationServer

from .destination import UNREACHABLE_PORT


@contextmanager
def serving(folder: str | Path, port: int, destination_port: int) -> Iterator[AssociationServer]:
    """The archive, served on `port`; its move destination "DESTINATION" listens on `destination_port`."""
    destinations = {
        "DESTINATION": f"127.0.0.1:{destination_port}",
        "UNREACHABLE": f"127.0.0.1:{UNREACHABLE_PORT}",
    }
    with Archive(folder) as archive:
        server = archive.serve(("127.0.0.1", port), ae_title="ACCEPTOR", destinations=destinations, block=False)
        assert server is not None
        with server:
            yield server
