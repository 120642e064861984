"""What a run gave, for people and for programs."""

from __future__ import annotations

import json
import os
import platform
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from measure import FLOOR_FACTOR, Measured, Result, floor_counts, floor_to_dcmtk, ratio
from objects import Setting

HEAD = ("case", "cell", "median", "lowest to highest", "dimsefast to it", "further figures")


def number(value: float) -> str:
    """Three digits that matter, or all of a large one."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _row(result: Result, measured: Measured, floor_is_limit: bool) -> tuple[str, ...]:
    own = measured is result.cells[0]
    case = result.case.name if own else ""
    if not measured.values:
        return (case, measured.cell.name, "", "", "", measured.problem)
    found = None if own else ratio(result, measured, floor_is_limit)
    missing = "" if own else "not measured"
    low, high = min(measured.values), max(measured.values)
    further = [f"{name} {number(value)}" for name, value in measured.figures.items()]
    lost = measured.rounds.count(None)
    if lost:
        further.append(f"{lost} rounds {measured.problem}")
    return (
        case,
        measured.cell.name,
        f"{number(measured.median)} {result.case.unit}",
        f"{number(low)} to {number(high)}",
        missing if found is None else f"x{found:.2f}",
        ", ".join(further),
    )


def _rows(results: list[Result]) -> list[tuple[str, ...]]:
    limit = floor_counts(results)
    return [_row(result, measured, limit) for result in results for measured in result.cells]


def _about_floor(results: list[Result]) -> str:
    factor = floor_to_dcmtk(results)
    if factor is None:
        return "The floor was not measured beside DCMTK in this run (case pair), so it stands for no limit."
    verdict = "it stands for the limit" if floor_counts(results) else "too little to stand for the limit"
    return f"The floor does x{factor:.2f} of tuned DCMTK, CT images into a folder; x{FLOOR_FACTOR} is asked: {verdict}."


NOTES = (
    "Only ratios of one run mean anything: each is the median of the rounds' ratios, x2 is twice as fast.",
    "CPU seconds are of client and server together: of the clients of dimsefast and pynetdicom from the association "
    "on, of DCMTK's less a run with the least of work. 'with start': whole clients, nothing taken off.",
)


def table(results: list[Result]) -> str:
    """For a terminal."""
    rows = [HEAD, *_rows(results)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD) - 1)]
    lines = [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]
    return "\n".join([*(line.rstrip() for line in lines), "", _about_floor(results), *NOTES])


def markdown(results: list[Result], rounds: int, setting: Setting) -> str:
    """For a page."""
    rows = [HEAD, ("---",) * len(HEAD), *_rows(results)]
    what = [f"- `{result.case.name}`: {result.case.what}" for result in results]
    about = f"{rounds} rounds, {setting.sizes}"
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *what, "", about, "", _about_floor(results), "", *NOTES, ""])


def _cell(result: Result, measured: Measured, floor_is_limit: bool) -> dict[str, Any]:
    own = measured is result.cells[0]
    return {
        "name": measured.cell.name,
        "is_own": own,
        "is_floor": measured.cell.is_floor,
        "values": [None if outcome is None else outcome.value for outcome in measured.rounds],
        "median": measured.median if measured.values else None,
        "figures": measured.figures,
        "ratios": [] if own else result.ratios(measured),
        "ratio": None if own else ratio(result, measured, floor_is_limit),
        "problem": measured.problem or None,
    }


def record(results: list[Result], rounds: int, setting: Setting) -> dict[str, Any]:
    """For programs."""
    limit = floor_counts(results)
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "dimsefast": version("dimsefast"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "rounds": rounds,
        "sizes": vars(setting.sizes),
        "floor_to_dcmtk": floor_to_dcmtk(results),
        "floor_is_limit": limit,
        "cases": [
            {
                "name": result.case.name,
                "what": result.case.what,
                "unit": result.case.unit,
                "cells": [_cell(result, measured, limit) for measured in result.cells],
            }
            for result in results
        ],
    }


def write(results: list[Result], rounds: int, setting: Setting, folder: Path) -> Path:
    """Writes both files, named after the time. Returns the path of the JSON file."""
    folder.mkdir(parents=True, exist_ok=True)
    found = record(results, rounds, setting)
    path = folder / f"{found['date'][:19].replace(':', '-')}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(results, rounds, setting))
    return path
