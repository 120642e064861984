"""What the documentation shows of the code is what the code is."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def tool(name: str) -> ModuleType:
    """A program of tools/, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_conformance_statement_is_that_of_the_code() -> None:
    statement = tool("make_conformance_statement")
    page = statement.PAGE.read_text()
    assert statement.filled(page) == page, "run tools/make_conformance_statement.py"


def test_the_drawing_is_that_of_the_state_table() -> None:
    diagram = tool("make_state_diagram")
    source = diagram.SOURCE.read_text()
    found = diagram.transitions(source)
    assert len(diagram.states(source)) == 13
    assert {transition.event for transition in found} == set(diagram.EVENTS)
    assert diagram.Transition(7, 12, "AR8", (9, 10)) in found
    kept = diagram.DRAWING.with_suffix(".dot").read_text()
    assert diagram.drawing(source) == kept, "run tools/make_state_diagram.py"
    drawn = diagram.DRAWING.with_suffix(".svg").read_text()
    assert all(f">Sta{number}<" in drawn for number in range(1, 14))
