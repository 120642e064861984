"""Our own acceptor keeps to every case."""

from __future__ import annotations

import pytest

from . import runner
from .cases import ACCEPTOR_TABLES, SERVICES, Case, load


@pytest.mark.parametrize("case", [case for table in ACCEPTOR_TABLES for case in load(table)], ids=lambda case: case.id)
def test_acceptor(case: Case, target: runner.Target) -> None:
    result = runner.run(case, target, list(SERVICES))
    assert result.passed, f"{case.clause}: {result.outcome}, not one of {case.outcomes}; serves: {result.serves}"
