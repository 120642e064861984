"""DCMTK's programs against `dimsefast serve`: what each peer may do, by its AE title."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from pydicom import dcmread

from .conftest import Background, Sample, call, equal, free_port

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from serving import Served, served

OTHERS = "echo"
ACCESS = {
    "MODALITY": "echo,store",
    "VIEWER": "find,get",
    "MOVER": "find,move",
    "FOE": "",
}


@pytest.fixture(scope="module")
def destination(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A storescp: its port and folder."""
    port, folder = free_port(), tmp_path_factory.mktemp("destination")
    peer = Background(port, "storescp", "-od", folder, "--prefer-lossless", port, log=folder.with_suffix(".log"))
    yield port, folder
    peer.stop()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, samples: dict[str, Sample], destination: tuple[int, Path]
) -> Iterator[Served]:
    """An archive that holds the CT image."""
    access = [part for title, allowed in ACCESS.items() for part in ("--access", f"{title}={allowed}")]
    folder = tmp_path_factory.mktemp("serve") / "archive"
    to = f"STORESCP=127.0.0.1:{destination[0]}"
    titles = ["-aet", "ARCHIVE", "-aet", "PACS"]
    with served(folder, *titles, "--access-others", OTHERS, *access, "--destination", to) as found:
        call(
            "storescu", "-xe", "-aet", "MODALITY", "-aec", "ARCHIVE", "127.0.0.1", found.port, samples["explicit"].path
        )
        yield found


def as_title(server: Served, title: str) -> list[Any]:
    return ["-aet", title, "-aec", "ARCHIVE", "127.0.0.1", server.port]


def keys(samples: dict[str, Sample]) -> list[str]:
    study = dcmread(samples["explicit"].path).StudyInstanceUID
    return ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]


@pytest.mark.parametrize(("title", "good"), [("ANYBODY", True), ("MODALITY", True), ("VIEWER", False), ("FOE", False)])
def test_echoscu(server: Served, title: str, good: bool) -> None:
    output = call("echoscu", "-v", *as_title(server, title), check=False)
    assert ("Received Echo Response (Success)" in output) == good
    if title == "FOE":
        assert "Calling AE Title Not Recognized" in output


def test_echoscu_by_another_title_and_by_a_wrong_one(server: Served) -> None:
    assert "(Success)" in call("echoscu", "-v", "-aec", "PACS", "127.0.0.1", server.port)
    output = call("echoscu", "-v", "-aec", "OTHER", "127.0.0.1", server.port, check=False)
    assert "Called AE Title Not Recognized" in output


@pytest.mark.parametrize("title", ["ANYBODY", "VIEWER", "MOVER"])
def test_storescu_where_it_may_not(server: Served, title: str, samples: dict[str, Sample]) -> None:
    """A viewer has storage classes for its C-GET, but not in the role of SCU."""
    output = call("storescu", "-v", "-xi", *as_title(server, title), samples["implicit"].path, check=False)
    assert "No Acceptable Presentation Contexts" in output or "No presentation context" in output, output
    assert not list(server.folder.glob(f"objects/*/{samples['implicit'].sop_instance}.dcm"))


@pytest.mark.parametrize(
    ("title", "good"), [("VIEWER", True), ("MOVER", True), ("MODALITY", False), ("ANYBODY", False)]
)
def test_findscu(server: Served, title: str, good: bool, samples: dict[str, Sample]) -> None:
    output = call("findscu", "-v", "-S", *keys(samples), "-k", "PatientID", *as_title(server, title), check=False)
    assert ("1CT1" in output) == good, output


@pytest.mark.parametrize(("title", "good"), [("VIEWER", True), ("MOVER", False), ("MODALITY", False)])
def test_getscu(server: Served, title: str, good: bool, samples: dict[str, Sample], tmp_path: Path) -> None:
    # Without +xe it would ask for Implicit VR first.
    call("getscu", "-S", "+xe", "-od", tmp_path, *keys(samples), *as_title(server, title), check=False)
    assert [equal(file, samples["explicit"]) for file in tmp_path.iterdir()] == ([True] if good else [])


@pytest.mark.parametrize(("title", "good"), [("MOVER", True), ("VIEWER", False), ("MODALITY", False)])
def test_movescu(
    server: Served, title: str, good: bool, samples: dict[str, Sample], destination: tuple[int, Path]
) -> None:
    folder = destination[1]
    for file in folder.iterdir():
        file.unlink()
    call("movescu", "-S", "-aem", "STORESCP", *keys(samples), *as_title(server, title), check=False)
    if good:
        wait_until(lambda: len(list(folder.iterdir())) == 1, "the object to arrive")
        (file,) = folder.iterdir()
        assert equal(file, samples["explicit"])
    else:
        assert not list(folder.iterdir())
