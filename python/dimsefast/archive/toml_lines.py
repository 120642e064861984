"""Where a key stands in a TOML file: `tomllib` gives values without their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*')"""
_KEYS = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_TABLE = re.compile(rf"\s*\[\[?\s*({_KEYS})\s*\]")
_ASSIGNMENT = re.compile(rf"\s*({_KEYS})\s*=")
#: What must not be taken for the beginning or end of something else.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}]|\n', re.DOTALL
)


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """The number of the line in which the last key of the path, or of a part of it, is defined; None for none.

    Where the value is an inline table, that is the table's line.
    """
    best: tuple[int, int] | None = None
    for number, defined in _definitions(text):
        if path[: len(defined)] == defined and (best is None or len(defined) > best[0]):
            best = len(defined), number
    return None if best is None else best[1]


def _definitions(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line and full path of each table and key."""
    table: tuple[str, ...] = ()
    for number, line in _statements(text):
        if found := _TABLE.match(line):
            table = _parts(found[1])
            yield number, table
        elif found := _ASSIGNMENT.match(line):
            yield number, table + _parts(found[1])


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The lines that begin a statement: none within a text, a list or a table of several lines."""
    begin, depth, number = 0, 0, 1
    counted = 0
    for token in _TOKEN.finditer(text + "\n"):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif token[0] == "\n" and depth <= 0:
            number += text.count("\n", counted, begin)
            counted, depth = begin, 0
            yield number, text[begin : token.start()]
            begin = token.end()


def _parts(keys: str) -> tuple[str, ...]:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in re.findall(_KEY, keys))
