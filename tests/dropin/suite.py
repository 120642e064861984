"""pynetdicom's own test suite as a temporary copy that imports dimsefast, and which of its tests count."""

from __future__ import annotations

import ast
import re
import shutil
import tomllib
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SELECTION: dict[str, Any] = tomllib.loads((HERE / "selection.toml").read_text())
_WORD = re.compile(r"\bpynetdicom\b")


def installed() -> Path | None:
    """The folder of the installed pynetdicom; None where there is none, or none with tests."""
    spec = find_spec("pynetdicom")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return folder if (folder / "tests" / "test_ae.py").exists() else None


@dataclass
class TestFile:
    """A file of the suite: its name within it, and the reason for each test that is left out."""

    __test__ = False

    name: str
    tests: int = 0
    excluded: dict[str, str] = field(default_factory=dict)


def copy_to(folder: Path, source: Path) -> list[TestFile]:
    """Copies the suite, rewritten, and returns its files, those that are left out as a whole not among them."""
    for part in ("tests", "apps/tests"):
        shutil.copytree(source / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "apps" / "__init__.py").touch()
    (folder / "__init__.py").touch()
    files = []
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        text = path.read_text()
        if path.name.startswith("test_"):
            if name in SELECTION["excluded"]:
                path.unlink()
                continue
            files.append(_selected(name, text))
        path.write_text(_rewritten(text))
    return files


def _selected(name: str, text: str) -> TestFile:
    """Which tests of a file use what is internal to pynetdicom."""
    tree, lines = ast.parse(text), text.splitlines()
    names = _internal_names(tree)
    code = [(re.compile(pattern), reason) for pattern, reason in SELECTION["internal"]["code"].items()]
    file = TestFile(name)

    def reasons(function: ast.FunctionDef) -> list[str]:
        body = "\n".join(lines[function.lineno - 1 : function.end_lineno])
        used = [names[node.id] for node in ast.walk(function) if isinstance(node, ast.Name) and node.id in names]
        return used + [reason for pattern, reason in code if pattern.search(body)]

    for class_name, function, setup in _tests(tree):
        file.tests += 1
        if used := reasons(function) + (reasons(setup) if setup else []):
            file.excluded[f"{class_name}::{function.name}" if class_name else function.name] = used[0]
    return file


def _internal_names(tree: ast.Module) -> dict[str, str]:
    """The names that a file imports from the inside, with the reason why they count as such."""
    internal = SELECTION["internal"]
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pynetdicom."):
            module = (node.module or "").removeprefix("pynetdicom.")
            for alias in node.names:
                reason = internal["modules"].get(module) or internal["names"].get(f"{module}:{alias.name}")
                if reason is None and alias.name.startswith("_"):
                    reason = internal["names"].get(f"{module}:_*")
                if reason is not None:
                    found[alias.asname or alias.name] = reason
    return found


def _tests(tree: ast.Module) -> list[tuple[str, ast.FunctionDef, ast.FunctionDef | None]]:
    """Each test with the name of its class and what sets it up; those of a base class in each class."""
    tests: list[tuple[str, ast.FunctionDef, ast.FunctionDef | None]] = []
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def members(node: ast.ClassDef) -> dict[str, ast.FunctionDef]:
        bases = [classes[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in classes]
        found = {name: member for base in bases for name, member in members(base).items()}
        return {**found, **{member.name: member for member in node.body if isinstance(member, ast.FunctionDef)}}

    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            tests.append(("", node, None))
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            found = members(node)
            named = [(name, member) for name, member in found.items() if name.startswith("test")]
            tests += [(node.name, member, found.get("setup_method")) for _, member in named]
    return tests


def _rewritten(text: str) -> str:
    """The same file for dimsefast; what it imports and dimsefast has not fails where it is used, not where imported."""
    lines = text.splitlines()
    for node in reversed(ast.parse(text).body):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "pynetdicom":
            names = [alias.name for alias in node.names if alias.name != "*"]
            targets = ", ".join(alias.asname or alias.name for alias in node.names if alias.name != "*")
            module = (node.module or "").replace("pynetdicom", "dimsefast")
            made = f"from dropin_names import take; {targets}, = take({module!r}, {names!r})" if names else ""
            lines[node.lineno - 1 : node.end_lineno] = [made]
    return _WORD.sub("dimsefast", "\n".join(lines) + "\n")
