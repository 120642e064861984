"""Our own acceptor, for the cases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .provider import start
from .runner import Target


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("conformance") / "received"
    folder.mkdir()
    with start(folder, 0) as server:
        yield Target("127.0.0.1", server.port, "ACCEPTOR")
    assert list(folder.parent.iterdir()) == [folder], "nothing is written outside of the folder"
