"""A page and drawings of one results file: `make bench-page`.

python benches/plot.py benches/results/2026-11-25T20-02-03.json

Writes docs/benchmarks.md, docs/images/benchmark-*.svg, and keeps the results beside them as docs/benchmarks.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib import pyplot as plt

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
IMAGES = DOCS / "images"

OWN, PEER, FLOOR = "#2f6fb0", "#b9c3cd", "#e3e7eb"
#: The group of bars in one drawing: its name, its title, and the cases with the words for them.
THROUGHPUT = {
    "pair": "CT images from files into a folder,\neach stack to itself",
    "small": "objects of 4 kB into a folder",
    "move": "CT images moved to storescp",
    "get": "CT images got by getscu",
}
RESPONSES = {
    "find-raw": "C-FIND responses,\nencoded",
    "find-unread": "C-FIND responses,\nDatasets unread",
    "find-read": "C-FIND responses,\ntwo attributes read",
    "echo": "C-ECHO",
}
SENDERS = {"senders-2": 2, "senders-8": 8, "senders-32": 32}

PAGE = """# Benchmarks

{about} Client and server share the machine, over loopback,
files on tmpfs. DCMTK's programs run with TCP_NODELAY, PDUs of 128 KiB and `+B`, pynetdicom with TCP_NODELAY patched
in, unless said. The *bare pair*, also called the floor, is the least that a correct peer does, written in Rust for this
purpose: what could be reached at best. The lines on the bars are the spread of the rounds.

Absolute figures move by a factor between machines; ratios of one run are what counts. Run it where you are.

## Objects

![Objects a second beside the peers](images/benchmark-throughput.svg)

## Responses

![Responses a second beside the peers](images/benchmark-responses.svg)

## Many senders

![Objects a second over the number of senders](images/benchmark-senders.svg)

## Where others are ahead

{behind}

## What it costs beside less

The same work by less of dimsefast: a folder without an index, the blocking face, plain TCP.

{costs}

## All figures

The ratio is the median of the rounds' ratios; x2 is twice as fast. For memory, less is better.

{rows}
"""

Json = dict[str, Any]


class Bar(NamedTuple):
    """A median with what it was measured between."""

    label: str
    median: float
    low: float
    high: float
    colour: str


def bars(case: Json) -> list[Bar]:
    """The cells of a case that were measured, ours first."""
    found = []
    for cell in case["cells"]:
        values = [value for value in cell["values"] if value is not None]
        if values:
            colour = OWN if cell["is_own"] else FLOOR if cell["is_floor"] else PEER
            name = cell["name"] + (" (bare pair)" if cell["is_floor"] else "")
            found.append(Bar(name, cell["median"], min(values), max(values), colour))
    return found


def draw_bars(cases: dict[str, Json], wanted: dict[str, str], name: str) -> None:
    """A panel for each case, a bar for each cell, the spread of the rounds as a line."""
    chosen = [(words, bars(cases[key]), cases[key]["unit"]) for key, words in wanted.items() if key in cases]
    heights = [len(found) for _, found, _ in chosen]
    figure, panels = plt.subplots(
        len(chosen), 1, figsize=(8, 0.42 * sum(heights) + 0.75 * len(chosen)), height_ratios=heights, squeeze=False
    )
    for panel, (words, found, unit) in zip(panels[:, 0], chosen, strict=True):
        places = range(len(found))
        panel.barh(places, [bar.median for bar in found], color=[bar.colour for bar in found], height=0.72)
        for at, bar in enumerate(found):
            panel.plot([bar.low, bar.high], [at, at], color="#33475b", linewidth=1.2)
            panel.annotate(
                f" {bar.median:,.0f}", (max(bar.high, bar.median), at), va="center", fontsize=9, color="#33475b"
            )
        panel.set_yticks(places, [bar.label for bar in found])
        panel.invert_yaxis()
        panel.margins(x=0.12)
        panel.set_xticks([])
        panel.set_title(f"{words.replace(chr(10), ' ')} ({unit})", loc="left", fontsize=10)
        panel.spines[["top", "right", "bottom"]].set_visible(False)
    save(figure, name)


def draw_senders(cases: dict[str, Json], name: str) -> None:
    """Throughput over the number of senders, a line for each receiver."""
    figure, panel = plt.subplots(figsize=(8, 3.6))
    lines: dict[tuple[str, str], list[tuple[int, Bar]]] = {}
    for key, count in SENDERS.items():
        for bar in bars(cases[key]) if key in cases else ():
            lines.setdefault((bar.label, bar.colour), []).append((count, bar))
    for (label, colour), points in lines.items():
        counts = [count for count, _ in points]
        shade = "#9aa5b1" if colour != OWN else colour
        style = ":" if colour == FLOOR else "-"
        panel.plot(counts, [bar.median for _, bar in points], style, color=shade, marker="o", label=label)
        panel.fill_between(
            counts,
            [bar.low for _, bar in points],
            [bar.high for _, bar in points],
            color=shade,
            alpha=0.15,
            linewidth=0,
        )
    panel.set_xscale("log", base=2)
    panel.set_xticks(list(SENDERS.values()), [str(count) for count in SENDERS.values()])
    panel.set_ylim(bottom=0)
    panel.set_xlabel("senders at once")
    panel.set_ylabel("objects a second")
    panel.legend(frameon=False, fontsize=9)
    panel.spines[["top", "right"]].set_visible(False)
    save(figure, name)


def save(figure: Any, name: str) -> None:
    """As a drawing that does not change unless the figures do."""
    figure.tight_layout()
    figure.savefig(IMAGES / f"benchmark-{name}.svg", metadata={"Date": None})
    plt.close(figure)


def number(value: float) -> str:
    """Three digits that matter, or all of a large one."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def rows(cases: Iterable[Json]) -> list[str]:
    """The table of all cases."""
    lines = ["| Case | Stack | Median | Lowest to highest | dimsefast to it |", "|---|---|---|---|---|"]
    for case in cases:
        for at, cell in enumerate(case["cells"]):
            values = [value for value in cell["values"] if value is not None]
            if not values:
                continue
            ratio = "" if cell["ratio"] is None else f"x{cell['ratio']:.2f}"
            lines.append(
                f"| {case['what'] if at == 0 else ''} | {cell['name']} | {number(cell['median'])} {case['unit']} "
                f"| {number(min(values))} to {number(max(values))} | {ratio} |"
            )
    return lines


def is_own(name: str) -> bool:
    """Whether both ends of a cell are dimsefast's, so that it is a variant and no peer."""
    return name.startswith(("dimsefast, ", "dimsefast into ", "dimsefast to dimsefast", "blocking to "))


def behind(cases: Iterable[Json], own: bool) -> list[str]:
    """Where a peer, or a variant of dimsefast's own, is ahead, in words."""
    return [
        f"- {case['what']}: {cell['name']} does {number(cell['median'])} {case['unit']}; "
        f"we do x{cell['ratio']:.2f} of it."
        for case in cases
        for cell in case["cells"]
        if cell["ratio"] is not None and cell["ratio"] < 0.97 and is_own(cell["name"]) == own
    ]


def page(found: Json) -> str:
    """docs/benchmarks.md"""
    cases = found["cases"]
    about = (
        f"One run of `make bench` on {found['date'][:10]}: {found['system']}, {found['cores']} cores, "
        f"CPython {found['python']}, {found['rounds']} rounds."
    )
    return PAGE.format(
        about=about,
        behind="\n".join(behind(cases, own=False)),
        costs="\n".join(behind(cases, own=True)),
        rows="\n".join(rows(cases)),
    )


def main() -> None:
    """Reads the results and writes everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", help="default: the newest of benches/results")
    given = parser.parse_args()
    path = given.results or max((ROOT / "benches" / "results").glob("*.json"), default=None)
    if path is None:
        raise SystemExit("there are no results: make bench writes them")
    mpl.rcParams.update(
        {"svg.hashsalt": "dimsefast", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}
    )
    found = json.loads(path.read_text())
    cases = {case["name"]: case for case in found["cases"]}
    IMAGES.mkdir(exist_ok=True)
    draw_bars(cases, THROUGHPUT, "throughput")
    draw_bars(cases, RESPONSES, "responses")
    draw_senders(cases, "senders")
    if path.resolve() != (DOCS / "benchmarks.json").resolve():
        shutil.copy(path, DOCS / "benchmarks.json")
    (DOCS / "benchmarks.md").write_text(page(found))


if __name__ == "__main__":
    main()
