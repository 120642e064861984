"""Logging: the library's logger is silent until somebody wants to hear it."""

from __future__ import annotations

import logging

from . import _core

LOGGER = logging.getLogger("dimsefast")
LOGGER.addHandler(logging.NullHandler())


def debug_logger() -> None:
    """Shows everything that the library logs on the standard error output."""
    LOGGER.handlers = []
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname).1s: %(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)
    refresh_level()


def _emit(level: int, message: str) -> None:
    """Takes a record of the core, on the core's own logging thread."""
    LOGGER.log(level, "%s", message)
    refresh_level()


def refresh_level() -> None:
    """Tells the core which records are wanted: it looks at nothing but its own copy of the level."""
    _core.set_log_level(min(LOGGER.getEffectiveLevel(), 255), _emit)


refresh_level()
