"""The benchmark harness works: one small case, and what it writes. Its figures decide nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHES = Path(__file__).parents[1] / "benches"


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The floor's program, built."""
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed: the floor cannot be built")
    target = tmp_path_factory.mktemp("floor")
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--target-dir", str(target)]
    subprocess.run([*command, "--manifest-path", str(BENCHES / "floor" / "Cargo.toml")], check=True)
    return target / "release" / "floor"


def wire(*arguments: object) -> str:
    command = [sys.executable, str(BENCHES / "wire.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_case_without_peers(floor: Path, tmp_path: Path) -> None:
    options = ["--quick", "--rounds", 1, "--only", "receive-folder", "--floor", floor, "--results", tmp_path]
    output = wire(*options)
    (path,) = tmp_path.glob("*.json")
    assert "not measured" in output and output.rstrip().endswith(str(path))
    assert "| receive-folder | floor to dimsefast |" in path.with_suffix(".md").read_text()
    found = json.loads(path.read_text())
    # Without DCMTK beside it nobody knows whether the floor is one.
    assert (found["rounds"], found["floor_is_limit"], found["floor_to_dcmtk"]) == (1, False, None)
    (case,) = found["cases"]
    own, peer = case["cells"]
    assert (own["is_own"], own["is_floor"], peer["is_own"], peer["is_floor"]) == (True, False, False, True)
    assert peer["ratio"] is None
    assert peer["ratios"] == [pytest.approx(own["values"][0] / peer["values"][0])]
    for cell in case["cells"]:
        assert cell["problem"] is None
        assert cell["values"] == [cell["median"]] and cell["median"] > 0
        assert set(cell["figures"]) == {"MB/s", "CPU s/GB", "with start"} and cell["figures"]["MB/s"] > 0


def test_the_list() -> None:
    names = [line.split()[0] for line in wire("--list").splitlines()]
    assert len(names) == len(set(names)) and {"pair", "echo", "senders-32", "idle-5000"} <= set(names)
