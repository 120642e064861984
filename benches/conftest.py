"""The table at the end of a run: medians, their spread, and the ratio to each peer."""

from __future__ import annotations

from typing import Any


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    session = getattr(config, "_benchmarksession", None)
    if session is None or not session.benchmarks:
        return
    cases: dict[str, dict[str, tuple[float, float, float]]] = {}
    for found in session.benchmarks:
        number, stats = found.extra_info["number"], found.stats
        rates = (number / stats.median, number / stats.max, number / stats.min)
        cases.setdefault(found.group, {})[found.extra_info["stack"]] = rates
    write = terminalreporter.write_line
    write("")
    write(f"{'':32} {'dimsefast':>24} {'pynetdicom, nodelay':>28} {'pynetdicom':>28}")
    for case, stacks in cases.items():
        own = stacks["dimsefast"][0]
        cells = []
        for stack in ("dimsefast", "pynetdicom-nodelay", "pynetdicom"):
            median, low, high = stacks[stack]
            ratio = "" if stack == "dimsefast" else f"  x{own / median:.0f}"
            cells.append(f"{median:,.0f} ({low:,.0f}-{high:,.0f}){ratio}")
        write(f"{case:32} {cells[0]:>24} {cells[1]:>28} {cells[2]:>28}")
