"""The README's code, run in the order in which it stands against one provider."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from certificates import Certificates
from dimsefast import AE, build_context
from dimsefast.sop_class import CTImageStorage
from interop.conftest import Provider, free_port
from pydicom import dcmread
from pydicom.data import get_testdata_file

ROOT = Path(__file__).parents[1]


def blocks() -> dict[str, str]:
    """The code blocks by heading, on free ports."""
    text = (ROOT / "README.md").read_text()
    found = re.findall(r"^## (.+?)\n(?:(?!## ).*\n)*?```python\n((?s:.*?))```", text, re.MULTILINE)
    return dict(found)


def test_the_requestor_asks_the_provider(capsys: pytest.CaptureFixture[str]) -> None:
    code = blocks()
    ct = dcmread(str(get_testdata_file("CT_small.dcm")))
    provider: dict[str, object] = {"datasets": [ct, dcmread(str(get_testdata_file("MR_small.dcm")))]}
    exec(code["A provider"].replace("11112", "0"), provider)
    server = provider["server"]
    try:
        exec(code["A requestor"].replace("11112", str(server.port)), {})  # type: ignore[attr-defined]
    finally:
        server.shutdown()  # type: ignore[attr-defined]
    assert capsys.readouterr().out == "FF00H CompressedSamples^CT1\n0000H \n"


def test_the_receiver_writes_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "incoming").mkdir()
    receiver: dict[str, object] = {}
    exec(blocks()["A receiver"].replace("11113", "0"), receiver)
    server = receiver["server"]
    try:
        with AE().connect("127.0.0.1", server.port, contexts=[build_context(CTImageStorage)]) as assoc:  # type: ignore[attr-defined]
            assert assoc.send_c_store(str(get_testdata_file("CT_small.dcm"))).Status == 0
    finally:
        server.shutdown()  # type: ignore[attr-defined]
    assert len(list((tmp_path / "incoming").iterdir())) == 1


def test_the_client_does_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "archive").mkdir()
    shutil.copy(str(get_testdata_file("CT_small.dcm")), tmp_path / "archive")
    port = free_port()
    archive = Provider(tmp_path / "archive")
    archive.destinations["WORKSTATION"] = ("127.0.0.1", port)
    try:
        exec(blocks()["A client"].replace("11112", str(archive.port)).replace("11113", str(port)), {})
        exec(blocks()["With asyncio"].replace("11112", str(archive.port)), {})
    finally:
        archive.ae.shutdown()
    assert capsys.readouterr().out == "CompressedSamples^CT1 True\n1\n1 []\n['CompressedSamples^CT1']\n"


def test_the_archive_is_stored_to_and_queried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "incoming").mkdir()
    shutil.copy(str(get_testdata_file("CT_small.dcm")), tmp_path / "incoming" / "ct.dcm")
    exec(blocks()["An archive"].replace("11112", "0"), {})
    assert capsys.readouterr().out == "[0]\nCompressedSamples^CT1 True\n"


def test_every_command_and_file_that_is_named_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for document in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"):
        text = (ROOT / document).read_text()
        for target in re.findall(r"`?make ([a-z]+)", text):
            if target in ("demo", "test", "bench", "peers", "lint", "wheel", "build"):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for path in re.findall(r"`((?:rust|python|tests|examples|benches)/[\w./]+)`", text):
            assert (ROOT / path).exists(), path


def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    hospital = Certificates(tmp_path)
    hospital.issue("node")
    hospital.ca.rename("hospital.pem")
    secured: dict[str, object] = {}
    exec(blocks()["TLS"].replace("2762", str(free_port())), secured)
    secured["server"].shutdown()  # type: ignore[attr-defined]
    assert capsys.readouterr().out.startswith("TLSv1.3 ")
