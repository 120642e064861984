"""The registry is complete, and what it names is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from .registry import REGISTRY

ROOT = Path(__file__).parents[2]


def test_every_entry_has_its_tests() -> None:
    assert list(REGISTRY) == [f"H{number}" for number in range(1, 16)] + [f"T{number}" for number in range(1, 14)]
    assert all(entry.what and entry.tests for entry in REGISTRY.values())


@pytest.mark.parametrize("test", sorted({test for entry in REGISTRY.values() for test in entry.tests}))
def test_each_test_is_there(test: str) -> None:
    file, name = test.split("::")
    text = (ROOT / file).read_text()
    if file.endswith(".toml"):
        assert name in [case["name"] for case in tomllib.loads(text)["case"]]
    else:
        assert re.search(rf"^\s*(async )?(def|fn) {re.escape(name)}\(", text, re.MULTILINE), f"{file} has no {name}"


def test_each_own_test_says_its_entry() -> None:
    named = {test for entry in REGISTRY.values() for test in entry.tests}
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        if file == Path(__file__):
            continue
        for name in re.findall(r"^def (test_\w+)\(", file.read_text(), re.MULTILINE):
            assert re.match(r"test_[ht]\d\d_", name), name
            assert f"tests/robustness/{file.name}::{name}" in named, name
