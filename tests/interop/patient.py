"""pynetdicom's requestor, made to wait until it is ready for its next request.

Its reactor is let go at the end of a request, and paused for the next one. Where that follows at once, the reactor
still says that it is paused, wakes up, and takes the first response for a request of the peer's: it is lost. A quick
peer finds it so twice in a hundred queries on a loaded machine.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from pynetdicom.association import Association


class _Checkpoint(threading.Event):
    """What the reactor waits for; whoever lets it go waits until it has gone."""

    def __init__(self, association: Any) -> None:
        super().__init__()
        self._association = association

    def set(self) -> None:
        super().set()
        limit = time.monotonic() + 1
        while self._association._is_paused and self._association.is_alive() and time.monotonic() < limit:
            time.sleep(0.0001)


def make_patient() -> None:
    """Has it so for all associations to come."""
    if getattr(Association, "_is_patient", False):
        return
    begin = Association.__init__

    def begin_patiently(self: Any, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        self._reactor_checkpoint = _Checkpoint(self)
        threading.Event.set(self._reactor_checkpoint)

    Association.__init__ = begin_patiently
    Association._is_patient = True
