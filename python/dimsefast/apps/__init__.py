"""The eight programs of pynetdicom under their names and with their options: `python -m dimsefast echoscu ...`.

For new scripts there is the `dimsefast` command, which does more with less.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

#: The programs, each a module of this package.
PROGRAMS = ("echoscp", "echoscu", "findscu", "getscu", "movescu", "qrscp", "storescp", "storescu")


def main(name: str, arguments: Sequence[str]) -> int:
    """Runs a program; returns its exit status: 0, 1 where it could not do its work, 2 for wrong usage."""
    from .common import run

    return run(importlib.import_module(f".{name}", __name__).command, name, arguments)
