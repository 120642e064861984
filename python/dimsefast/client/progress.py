"""Telling how far an operation is: a function of the caller's, or a bar on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from .reports import ProgressHandler


@contextlib.contextmanager
def progress_handler(
    wanted: bool | ProgressHandler | None, what: str, with_bytes: bool = True
) -> Iterator[ProgressHandler | None]:
    """The function to tell: the given one, or, for True, a bar on the standard error output where that is a terminal.

    The bar shows objects, bytes and rate (unless without), and the time that remains.
    """
    if not isinstance(wanted, bool):
        yield wanted
    elif not wanted or not sys.stderr.isatty():
        yield None
    else:
        from .progress_bar import bar

        with bar(what, with_bytes) as show:
            yield show
