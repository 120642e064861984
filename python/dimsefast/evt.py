"""The events that handlers are bound to."""

from .events import *  # noqa: F403
