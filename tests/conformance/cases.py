"""The cases: tables of `cases/*.toml`, read and checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).with_name("cases")

#: What a case may need the acceptor to offer, and the context of `pdus.CONTEXTS` that it goes over. "match" is a find
#: of the objects of `cases/objects.toml`, which were stored before.
SERVICES = {"echo": 1, "store": 3, "find": 5, "move": 7, "get": 9, "match": 5}


class Case(NamedTuple):
    """One case.

    `steps` are done in order (see `script.Wire.run`; those that begin with "there" at the move destination), then what
    comes next has to be one of `outcomes`. `action` is what our own end does, `local` what it has to report, for cases
    of one that is scripted on the other end only.
    """

    table: str
    name: str
    clause: str
    steps: list[str]
    outcomes: list[str]
    needs: list[str]
    action: str
    local: list[str]

    @property
    def id(self) -> str:
        return f"{self.table}: {self.name}"


def load(name: str) -> list[Case]:
    """The cases of one table; `[repeat]` in a case makes one case for each of its words."""
    document = tomllib.loads((FOLDER / f"{name}.toml").read_text())
    cases: list[Case] = []
    for entry in document["case"]:
        repeat = entry.pop("repeat", [""])
        for word in repeat:
            filled = {key: _fill(value, word) for key, value in entry.items()}
            steps = filled.pop("steps")
            cases.append(
                Case(
                    table=name,
                    name=filled.pop("name"),
                    clause=filled.pop("clause"),
                    steps=steps,
                    outcomes=filled.pop("outcomes"),
                    needs=filled.pop("needs", []),
                    action=filled.pop("action", ""),
                    local=filled.pop("local", []),
                )
            )
            if filled:
                raise ValueError(f"{name}: {cases[-1].name}: unknown keys {sorted(filled)}")
            if unknown := set(cases[-1].needs) - set(SERVICES):
                raise ValueError(f"{name}: {cases[-1].name}: unknown services {sorted(unknown)}")
    names = [case.name for case in cases]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{name}: names that come twice: {sorted(repeated)}")
    return cases


def _fill(value: str | list[str], word: str) -> str | list[str]:
    if isinstance(value, str):
        return value.replace("{}", word)
    return [one.replace("{}", word) for one in value]


#: The tables for an acceptor, in the order of a report.
ACCEPTOR_TABLES = ["state_table", "association", "data", "dimse", "matching", "get", "move"]


def objects() -> list[str]:
    """The steps that store the objects that matching and retrieval cases are about."""
    document = tomllib.loads((FOLDER / "objects.toml").read_text())
    return [step for one in document["object"] for step in (one["store"], one["dataset"], "expect rsp 8001 0000 *")]
