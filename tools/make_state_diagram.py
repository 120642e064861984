"""Draws the upper layer state machine from the table that the code runs on (`rust/protocol/src/state.rs`).

python tools/make_state_diagram.py    # writes docs/images/state-diagram.dot, and .svg where graphviz is installed

The .dot file is kept beside the drawing: a test says when the table has changed and the drawing has not.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "rust" / "protocol" / "src" / "state.rs"
DRAWING = ROOT / "docs" / "images" / "state-diagram"

#: What an edge says of its event; PS3.8 Table 9-10 has the long names.
EVENTS = {
    1: "associate",
    2: "connected",
    3: "A-ASSOCIATE-AC",
    4: "A-ASSOCIATE-RJ",
    5: "connection",
    6: "A-ASSOCIATE-RQ",
    7: "accept",
    8: "reject",
    9: "send P-DATA",
    10: "P-DATA-TF",
    11: "release",
    12: "A-RELEASE-RQ",
    13: "A-RELEASE-RP",
    14: "confirm release",
    15: "abort",
    16: "A-ABORT",
    17: "closed",
    18: "ARTIM",
    19: "invalid PDU",
}

#: What may happen in any state: a name, the events, the state after it, the actions.
OUT_OF_ORDER = (
    ("gone", "A-ABORT received,\\nconnection closed, ARTIM expired", 1, "AA-2 to AA-5"),
    ("wrong", "a PDU that does not belong there,\\nan invalid PDU, abort by the user", 13, "AA-1, AA-8: A-ABORT sent"),
)


class Transition(NamedTuple):
    """A cell of the table: in `state`, `event` makes `action` and leads to one of `following`."""

    state: int
    event: int
    action: str
    following: tuple[int, ...]


def states(source: str) -> dict[int, str]:
    """The states' numbers and what they are, from the documentation of the code's own enumeration."""
    body = source[source.index("pub enum State") : source.index("/// An event of")]
    found = re.findall(r"/// (.+)\n\s+Sta(\d+)", body)
    return {int(number): text.rstrip(".") for text, number in found}


def following(source: str) -> dict[str, tuple[int, ...]]:
    """The states that each action may lead to."""
    body = source[source.index("const fn next_state") : source.index("impl fmt::Display for State")]
    found: dict[str, list[int]] = defaultdict(list)
    for actions, number in re.findall(r"^\s+(\w[\w |]*?)(?: if [^=]+)? => State::Sta(\d+),", body, re.MULTILINE):
        for action in actions.split(" | "):
            found[action].append(int(number))
    return {action: tuple(numbers) for action, numbers in found.items()}


def transitions(source: str) -> list[Transition]:
    """Every cell of the table that is not empty."""
    body = source[source.index("static TABLE") : source.index("/// What to do;")]
    rows = [row.split() for row in re.findall(r"^\s+\[ (.+?)\s*\]$", body, re.MULTILINE)]
    leads_to = following(source)
    return [
        Transition(state, event, action, leads_to[action])
        for event, row in enumerate(rows, 1)
        for state, action in enumerate(row, 1)
        if action != "_"
    ]


def drawing(source: str) -> str:
    """The diagram in graphviz's language. What ends an association out of order is drawn once, not for each state."""
    names = states(source)
    edges: dict[tuple[int, int], list[str]] = defaultdict(list)
    for state, event, action, numbers in transitions(source):
        if action.startswith("AA"):
            continue
        for number in numbers:
            label = f"{EVENTS[event]} / {action[:2]}-{action[2:]}"
            if label not in edges[state, number]:
                edges[state, number].append(label)
    lines = [
        "digraph states {",
        '  graph [rankdir=TB, nodesep=0.5, ranksep=0.6, bgcolor="transparent"];',
        '  node [shape=box, style="rounded,filled", fillcolor="#e8f0fb", color="#3b6ea8", fontname="Helvetica", '
        "fontsize=11];",
        '  edge [fontname="Helvetica", fontsize=9, color="#33475b", fontcolor="#33475b"];',
    ]
    lines.extend(f'  Sta{number} [label="Sta{number}\\n{text}"];' for number, text in names.items())
    for (state, number), labels in edges.items():
        label = "\\n".join(labels)
        lines.append(f'  Sta{state} -> Sta{number} [label="{label}"];')
    for name, text, number, label in OUT_OF_ORDER:
        lines.append(f'  {name} [label="in any state: {text}", shape=plaintext, style="", fontsize=10];')
        lines.append(f'  {name} -> Sta{number} [label="{label}", style=dashed];')
    return "\n".join([*lines, "}", ""])


def main() -> None:
    """Writes the drawing."""
    text = drawing(SOURCE.read_text())
    DRAWING.with_suffix(".dot").write_text(text)
    if shutil.which("dot") is None:
        raise SystemExit("graphviz is not installed: the .dot file is written, the .svg is not")
    subprocess.run(["dot", "-Tsvg", f"-o{DRAWING}.svg", f"{DRAWING}.dot"], check=True)


if __name__ == "__main__":
    main()
