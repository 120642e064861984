"""Our own acceptor, for the cases."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from .provider import serving
from .runner import Target, fill


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("conformance") / "received"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener, serving(folder, 0, listener.getsockname()[1]) as server:
        found = Target("127.0.0.1", server.port, "ACCEPTOR", listener=listener)
        fill(found)
        yield found
    assert list(folder.parent.iterdir()) == [folder], "nothing is written outside of the folder"
