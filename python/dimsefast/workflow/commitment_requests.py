"""Requests for storage commitment whose results are still to be reported, and where a provider keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Reference(NamedTuple):
    """A composite instance: its SOP Class UID and SOP Instance UID."""

    sop_class: str
    sop_instance: str


class CommitmentRequest(NamedTuple):
    """A request for storage commitment that was accepted, until its result is reported.

    Attributes:
        title: AE title of who asked.
        called: AE title under which the provider was asked.
        transaction_uid: which.
        references: what was asked for.
        received: when, in seconds since 1970.
    """

    title: str
    called: str
    transaction_uid: str
    references: tuple[Reference, ...]
    received: float


class CommitmentStore(Protocol):
    """Where a provider keeps requests until their results are reported. Several threads use it."""

    def put(self, request: CommitmentRequest) -> None:
        """Keeps it, before the request is answered. Raises Refusal where it cannot."""
        ...

    def remove(self, request: CommitmentRequest) -> None:
        """Its result was taken, or given up."""
        ...

    def take_left(self, is_known: Callable[[str], bool]) -> list[CommitmentRequest]:
        """Those that an earlier process has left, of AE titles that are known: each is given once."""
        ...
