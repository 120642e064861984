"""Who is told of which Unified Procedure Steps (PS3.4 CC.2.3)."""

from __future__ import annotations

import threading

from .. import _sop_class_data as data
from ..matching import Matcher

GLOBAL = data.INSTANCES["UPSGlobalSubscriptionInstance"]
FILTERED_GLOBAL = data.INSTANCES["UPSFilteredGlobalSubscriptionInstance"]


class Subscriptions:
    """AE titles by step, and those that are subscribed to each new step. In memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: With the deletion lock they asked for.
        self._to_step: dict[str, dict[str, bool]] = {}
        #: With what a step has to match; None for any.
        self._to_all: dict[str, tuple[Matcher | None, bool]] = {}

    def subscribe(self, sop_instance: str, title: str, deletion_lock: bool) -> None:
        """Subscribes an AE to a step."""
        with self._lock:
            self._to_step.setdefault(sop_instance, {})[title] = deletion_lock

    def unsubscribe(self, sop_instance: str, title: str) -> None:
        """Takes a subscription back, and its deletion lock."""
        with self._lock:
            self._to_step.get(sop_instance, {}).pop(title, None)

    def subscribe_to_all(self, title: str, deletion_lock: bool, matcher: Matcher | None) -> None:
        """Subscribes an AE to the steps to come, or to those that match."""
        with self._lock:
            self._to_all[title] = (matcher, deletion_lock)

    def unsubscribe_from_all(self, title: str) -> None:
        """Takes all subscriptions of an AE back."""
        with self._lock:
            self._to_all.pop(title, None)
            for titles in self._to_step.values():
                titles.pop(title, None)

    def suspend(self, title: str) -> None:
        """Subscribes an AE to no more new steps; it stays subscribed to those there are."""
        with self._lock:
            self._to_all.pop(title, None)

    def waiting_for(self) -> list[tuple[str, Matcher | None, bool]]:
        """Those that are subscribed to steps to come: (AE title, what a step has to match, deletion lock)."""
        with self._lock:
            return [(title, matcher, lock) for title, (matcher, lock) in self._to_all.items()]

    def of(self, sop_instance: str) -> list[str]:
        """The AEs that are subscribed to a step."""
        with self._lock:
            return list(self._to_step.get(sop_instance, ()))

    def everybody(self) -> set[str]:
        """The AEs that are subscribed to anything."""
        with self._lock:
            return set(self._to_all).union(*self._to_step.values())

    def forget(self, sop_instance: str) -> None:
        """The step is no more."""
        with self._lock:
            self._to_step.pop(sop_instance, None)

    def deletion_locks(self, sop_instance: str) -> list[str]:
        """The AEs for which a finished step has to be kept."""
        with self._lock:
            return [title for title, lock in self._to_step.get(sop_instance, {}).items() if lock]
