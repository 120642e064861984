"""The tables at the end of a run: medians, their spread, and the ratio to each peer."""

from __future__ import annotations

from typing import Any

#: The peers, by what the table calls them; cases with the same peers share a table.
PEERS = {"pynetdicom-nodelay": "pynetdicom, nodelay", "pynetdicom": "pynetdicom", "pydicom": "pydicom"}


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    session = getattr(config, "_benchmarksession", None)
    if session is None or not session.benchmarks:
        return
    cases: dict[str, dict[str, tuple[float, float, float]]] = {}
    for found in session.benchmarks:
        number, stats = found.extra_info["number"], found.stats
        rates = (number / stats.median, number / stats.max, number / stats.min)
        cases.setdefault(found.group, {})[found.extra_info["stack"]] = rates
    tables: dict[tuple[str, ...], list[str]] = {}
    for case, stacks in cases.items():
        tables.setdefault(tuple(peer for peer in PEERS if peer in stacks), []).append(case)
    write = terminalreporter.write_line
    for peers, names in tables.items():
        width = max(map(len, names))
        write("")
        write(f"{'':{width}} {'dimsefast':>34}" + "".join(f" {PEERS[peer]:>34}" for peer in peers))
        for case in names:
            # What was deselected is left out.
            own = cases[case].get("dimsefast")
            cells = [_cell(own)] + [_cell(cases[case][peer], own) for peer in peers]
            write(f"{case:{width}}" + "".join(f" {cell:>34}" for cell in cells))


def _cell(rates: tuple[float, float, float] | None, own: tuple[float, float, float] | None = None) -> str:
    if rates is None:
        return ""
    median, low, high = rates
    return f"{median:,.0f} ({low:,.0f}-{high:,.0f})" + (f"  x{own[0] / median:.0f}" if own else "")
