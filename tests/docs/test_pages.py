"""The documentation's code, page by page, each from top to bottom in a folder of its own against an archive."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from certificates import Certificates
from dimsefast import Archive
from dimsefast.archive.configuration import load
from interop.conftest import free_port
from pydicom.data import get_testdata_file

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
#: Pages whose code has tests of its own.
ELSEWHERE = {"moving-from-pynetdicom.md": "tests/dropin"}
OBJECTS = ("CT_small.dcm", "MR_small.dcm")
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


class Block(NamedTuple):
    """A block of code; `reason` says why it is not run."""

    line: int
    language: str
    code: str
    reason: str | None


def blocks(page: str) -> list[Block]:
    text = (DOCS / page).read_text()
    return [
        Block(text.count("\n", 0, found.start()) + 1, found["language"], found["code"], found["reason"])
        for found in BLOCK.finditer(text)
    ]


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[dict[str, str]]:
    """What the pages call 11112 is an archive, and 11113 is free."""
    free = free_port()
    with Archive(tmp_path / "held") as archive:
        files = [str(get_testdata_file(name)) for name in OBJECTS]
        assert [result.status for result in archive.add(files)] == [0x0000] * len(files)
        destinations = {"WORKSTATION": ("127.0.0.1", free)}
        server = archive.serve(("127.0.0.1", 0), destinations=destinations, block=False)
        yield {"11112": str(server.port), "11113": str(free)}
        server.shutdown()


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE])
def test_the_code_of_a_page_runs(
    page: str, ports: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "incoming").mkdir()
    for name in OBJECTS:
        shutil.copy(str(get_testdata_file(name)), tmp_path / "folder")
    hospital = Certificates(tmp_path)
    hospital.issue("node")
    hospital.ca.rename(tmp_path / "hospital.pem")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": page}
    try:
        for block in blocks(page):
            code = re.sub("|".join(ports), lambda found: ports[found[0]], block.code)
            if block.reason is not None:
                continue
            if block.language == "python":
                exec(compile("\n" * block.line + code, str(DOCS / page), "exec"), namespace)
            elif block.language == "sh":
                run_shell(code, tmp_path)
            elif block.language == "toml":
                (tmp_path / "written.toml").write_text(block.code)
                load(tmp_path / "written.toml")
            else:
                assert block.language in ("toctree", "json", "text"), block
    finally:
        for value in namespace.values():
            for end in ("shutdown", "close"):
                if callable(getattr(type(value), end, None)):
                    with contextlib.suppress(Exception):
                        getattr(value, end)()


def run_shell(code: str, folder: Path) -> None:
    """Runs the commands with `dimsefast` being the one under test."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    program = programs / "dimsefast"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dimsefast "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-e", "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_something_to_run() -> None:
    languages = [block.language for page in PAGES for block in blocks(page) if block.reason is None]
    assert languages.count("python") > 20 and languages.count("sh") >= 5
