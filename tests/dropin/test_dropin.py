"""The part of pynetdicom's own suite that is done within a minute or two. `make dropin` runs all of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import run
import suite

SOURCE = suite.installed()
#: Files without associations, and the smallest with some.
QUICK = (
    "tests/test_events.py",
    "tests/test_presentation.py",
    "tests/test_primitives.py",
    "tests/test_service_non_patient.py",
    "tests/test_service_substance_admin.py",
    "tests/test_sop.py",
    "tests/test_status.py",
)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, suite.TestFile]]:
    if SOURCE is None:
        pytest.skip("pynetdicom is not installed with its tests: make peers")
    folder = tmp_path_factory.mktemp("dropin") / "suite"
    return folder, {file.name: file for file in suite.copy_to(folder, SOURCE)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", QUICK)
def test_the_suite_passes_as_expected(copied: tuple[Path, dict[str, suite.TestFile]], name: str) -> None:
    folder, files = copied
    result = run.run_file(folder, files[name])
    assert not result.surprises, "\n".join(result.surprises)
    assert len(result.passed) > len(result.failed)


def test_what_is_expected_and_left_out_has_reasons_and_exists(
    copied: tuple[Path, dict[str, suite.TestFile]],
) -> None:
    _, files = copied
    for test in run.EXPECTED:
        name, *parts = test.split("::")
        parts[-1] = parts[-1].partition("[")[0]
        assert name in files and "::".join(parts) not in files[name].excluded, test
    assert SOURCE is not None
    for name in suite.SELECTION["excluded"]:
        assert (SOURCE / name).exists(), name
