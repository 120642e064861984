"""Logging: the library's logger is silent until somebody wants to hear it."""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("dimsefast")
LOGGER.addHandler(logging.NullHandler())


def debug_logger() -> None:
    """Shows everything that the library logs on the standard error output."""
    LOGGER.handlers = []
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname).1s: %(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)
