"""A served archive and real peers: their programs against it, and the same queries to it, dcmqrscp and Orthanc."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from dimsefast import AE, build_context
from pydicom import dcmread

from . import archives
from .archive_queries import CT_SERIES, CT_STUDY, DIFFERENT, FIND, MR_STUDY, PLAIN, UNIQUE, Asked
from .archives import FILES, Served
from .conftest import Provider, call, encoded
from .test_orthanc import Orthanc, orthanc

__all__ = ["orthanc"]

DOCUMENT = Path(__file__).parents[2] / "docs" / "archive-differences.md"


class Answer(NamedTuple):
    """The final status of a query, and the unique keys of its matches."""

    status: int
    found: list[str]

    def __str__(self) -> str:
        count = len(self.found)
        return f"{count} match{'' if count == 1 else 'es'}" if self.status == 0 else f"{self.status:04X}H"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, orthanc: Orthanc) -> Iterator[Served]:
    served = archives.ours(tmp_path_factory.mktemp("archive"), orthanc.port)
    yield served
    served.process.stop()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, archive: Served) -> Iterator[dict[str, Served]]:
    started = {"dimsefast": archive}
    try:
        started["dcmqrscp"] = archives.dcmqrscp(tmp_path_factory.mktemp("dcmqrscp"))
        started["Orthanc"] = archives.orthanc(tmp_path_factory.mktemp("orthanc"))
        yield started
    finally:
        for name in started.keys() - {"dimsefast"}:
            started[name].process.stop()


def ask(served: Served, asked: Asked) -> Answer:
    model = FIND[asked.model]
    with AE("SELF").connect("127.0.0.1", served.port, ae_title="ARCHIVE", contexts=[build_context(model)]) as assoc:
        *pending, (final, _) = assoc.send_c_find(asked.identifier, model)
        return Answer(final.Status, sorted(str(identifier[UNIQUE[asked.level]].value) for _, identifier in pending))


# The same queries to all three


@pytest.mark.parametrize("asked", PLAIN, ids=str)
def test_the_same_matches(three: dict[str, Served], asked: Asked) -> None:
    answers = {name: ask(served, asked) for name, served in three.items()}
    assert answers["dimsefast"].status == 0
    assert len({(answer.status, tuple(answer.found)) for answer in answers.values()}) == 1, answers


def test_the_differences_are_as_documented(three: dict[str, Served]) -> None:
    """With DIMSEFAST_WRITE_DOCS=1 the document is written."""
    lines = [
        "# Where archives differ",
        "",
        "The same objects and queries, asked of dimsefast's archive, dcmqrscp (DCMTK) and Orthanc. Written by",
        "`DIMSEFAST_WRITE_DOCS=1 pytest tests/interop/test_archive.py`, which also holds it true. In "
        f"{len(PLAIN)} further",
        "queries (`tests/interop/archive_queries.py`) all three find the same.",
        "",
        "| Query | dimsefast | dcmqrscp | Orthanc | Why |",
        "|---|---|---|---|---|",
    ]
    for asked in DIFFERENT:
        answers = {name: ask(served, asked) for name, served in three.items()}
        assert len({str(answer) for answer in answers.values()}) > 1, f"they agree on {asked}"
        cells = [str(asked).replace("*", "\\*"), *(str(answers[name]) for name in three), asked.reason]
        lines.append(f"| {' | '.join(cells)} |")
    text = "\n".join(lines) + "\n"
    if os.environ.get("DIMSEFAST_WRITE_DOCS") == "1":
        DOCUMENT.write_text(text)
    assert DOCUMENT.read_text() == text


# DCMTK


def findscu(archive: Served, folder: Path, *keys: str, model: str = "-S") -> list[Any]:
    options = [word for key in keys for word in ("-k", key)]
    call("findscu", model, "-X", "-od", folder, "-aec", "ARCHIVE", *options, "127.0.0.1", archive.port)
    return [dcmread(path) for path in sorted(folder.glob("rsp*"))]


def test_findscu_at_each_level(archive: Served, tmp_path: Path) -> None:
    levels = [
        ("-P", ["PATIENT", "PatientID=98890234", "NumberOfPatientRelatedStudies"], 1),
        ("-S", ["STUDY", "PatientName=Doe^P*", "NumberOfStudyRelatedInstances", "ModalitiesInStudy"], 4),
        ("-S", ["SERIES", f"StudyInstanceUID={MR_STUDY}", "SeriesNumber"], 3),
        ("-S", ["IMAGE", f"StudyInstanceUID={CT_STUDY}", f"SeriesInstanceUID={CT_SERIES}", "InstanceNumber=8"], 1),
    ]
    for model, (level, *keys), count in levels:
        folder = tmp_path / level
        folder.mkdir()
        responses = findscu(archive, folder, f"QueryRetrieveLevel={level}", *keys, model=model)
        assert len(responses) == count, level
        assert {one.RetrieveAETitle for one in responses} == {"ARCHIVE"}
        if level == "PATIENT":
            assert responses[0].NumberOfPatientRelatedStudies == 4
        if level == "STUDY":
            assert sorted(one.ModalitiesInStudy for one in responses) == ["CT", "MR", "MR", "MR"]
            assert sum(one.NumberOfStudyRelatedInstances for one in responses) == 24


def received(folder: Path) -> set[str]:
    return {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in folder.iterdir()}


def of_study(uid: str) -> dict[str, Path]:
    headers = {path: dcmread(path, stop_before_pixels=True) for path in FILES}
    return {str(one.SOPInstanceUID): path for path, one in headers.items() if one.StudyInstanceUID == uid}


def test_movescu(archive: Served, tmp_path: Path) -> None:
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={MR_STUDY}"]
    options = ["-aet", "SELF", "-aec", "ARCHIVE", "-aem", "SELF", "+P", archive.own, "-od", tmp_path]
    call("movescu", "-S", *options, *keys, "127.0.0.1", archive.port)
    wanted = of_study(MR_STUDY)
    assert received(tmp_path) == set(wanted)
    for copy in tmp_path.iterdir():
        assert encoded(copy) == encoded(wanted[str(dcmread(copy).SOPInstanceUID)])


def test_movescu_to_nobody(archive: Served) -> None:
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={MR_STUDY}"]
    output = call(
        "movescu", "-v", "-S", "-aec", "ARCHIVE", "-aem", "NOBODY", *keys, "127.0.0.1", archive.port, check=False
    )
    assert "MoveDestinationUnknown" in output or "a801" in output.lower(), output


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES"])
def test_getscu(archive: Served, tmp_path: Path, level: str) -> None:
    keys = {"PatientID": "98890234", "StudyInstanceUID": CT_STUDY, "SeriesInstanceUID": CT_SERIES}
    named = list(keys)[: ("PATIENT", "STUDY", "SERIES").index(level) + 1]
    options = [word for keyword in named for word in ("-k", f"{keyword}={keys[keyword]}")]
    command = ["getscu", "-P", "-aec", "ARCHIVE", "-od", tmp_path, "-k", f"QueryRetrieveLevel={level}", *options]
    call(*command, "127.0.0.1", archive.port)
    headers = [dcmread(path, stop_before_pixels=True) for path in FILES]
    wanted = {str(one.SOPInstanceUID) for one in headers if all(one[name].value == keys[name] for name in named)}
    assert len(wanted) > 4 and received(tmp_path) == wanted


# pynetdicom


def test_pynetdicom(archive: Served, tmp_path: Path) -> None:
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={MR_STUDY}", "-aec", "ARCHIVE"]
    for name, options in (
        ("findscu", ["-S", "-k", "NumberOfStudyRelatedInstances"]),
        ("movescu", ["-S", "-aet", "SELF", "-aem", "SELF", "--store", "--store-port", str(archive.own)]),
        ("getscu", ["-S"]),
    ):
        pytest.importorskip("pynetdicom", reason="pynetdicom is not installed: make peers")
        folder = tmp_path / name
        folder.mkdir()
        into = [] if name == "findscu" else ["-od", str(folder)]
        command = [sys.executable, "-m", "pynetdicom", name, "127.0.0.1", str(archive.port), *keys, *options, *into]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        if name == "findscu":
            assert re.search(r"\(0020,1208\) IS \[11\]", output), output
        else:
            assert received(folder) == set(of_study(MR_STUDY)), output


# Orthanc


def test_orthanc_queries_and_retrieves(archive: Served, orthanc: Orthanc, filled: Provider) -> None:
    # It takes a modality by REST, asks it, and has the answers moved to itself.
    body = json.dumps(["ARCHIVE", "127.0.0.1", archive.port]).encode()
    put = urllib.request.Request(f"http://127.0.0.1:{orthanc.http}/modalities/archive", body, method="PUT")
    urllib.request.urlopen(put, timeout=30).close()
    asked = {"Level": "Study", "Query": {"StudyInstanceUID": MR_STUDY, "PatientName": "Doe*"}}
    answer = orthanc.rest("/modalities/archive/query", asked)
    contents = orthanc.rest(f"/queries/{answer['ID']}/answers/0/content?simplify")
    assert contents["PatientID"] == "98890234" and contents["StudyInstanceUID"] == MR_STUDY
    orthanc.rest(f"/queries/{answer['ID']}/retrieve", b"OTHER")
    found = orthanc.rest("/tools/find", {"Level": "Instance", "Query": {"StudyInstanceUID": MR_STUDY}, "Expand": True})
    assert {one["MainDicomTags"]["SOPInstanceUID"] for one in found} == set(of_study(MR_STUDY))
