"""What became of the objects of one store, move or get: counts, sizes, and what failed and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import status_words


class Progress(NamedTuple):
    """How far a store, move or get is.

    Attributes:
        done: objects that are settled, failed ones included.
        total: objects in all; None while that is not known.
        bytes: bytes that were transferred.
        total_bytes: bytes in all; None where that is not known.
        failed: objects that failed.
    """

    done: int
    total: int | None
    bytes: int
    total_bytes: int | None
    failed: int


ProgressHandler = Callable[[Progress], object]


@dataclass(frozen=True)
class Failure:
    """One object that did not get there.

    Attributes:
        sop_instance_uid: empty where it is not known.
        reason: why, in words.
        status: of the C-STORE response; None where there was none, or only the peer knows.
        source: the name of its file, where it has one.
    """

    sop_instance_uid: str
    reason: str
    status: int | None = None
    source: str = ""

    def __str__(self) -> str:
        return f"{self.source or self.sop_instance_uid or 'an object'}: {self.reason}"


@dataclass(kw_only=True)
class Report:
    """What became of an operation. `str()` says it in words, `ok` whether all succeeded.

    Attributes:
        peer: "AET@host:port".
        completed: objects that got there, those with a warning included.
        warnings: those of them that got there with a warning status.
        bytes: bytes of datasets that were transferred, as far as this side saw them.
        seconds: how long it took.
        failures: the objects that did not get there.
        existing: objects that were left out because they were there already.
        problem: what ended the operation as a whole; empty where nothing did.
    """

    peer: str
    completed: int = 0
    warnings: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    existing: int = 0
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything got there."""
        return not self.failures and not self.problem

    @property
    def failed(self) -> int:
        """The number of objects that did not get there."""
        return len(self.failures)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        made = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        return {"ok": self.ok, "failed": self.failed, **made}

    def _words(self, verb: str, *more: str) -> str:
        parts = [f"{self.completed} {'object' if self.completed == 1 else 'objects'} {verb}"]
        if self.warnings:
            parts.append(f"{self.warnings} with a warning")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.existing:
            parts.append(f"{self.existing} there already")
        words = ", ".join([*parts, *filter(None, more)])
        if self.bytes:
            words += f"; {size_words(self.bytes)} in {self.seconds:.2f} s"
        return words + (f": {self.problem}" if self.problem else "")


@dataclass(kw_only=True)
class StoreReport(Report):
    """What became of a `Client.store`.

    Attributes:
        skipped: what was no DICOM object, with the reason.
    """

    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        skipped = f"{len(self.skipped)} skipped that are no DICOM object" if self.skipped else ""
        return self._words(f"stored at {self.peer}", skipped)


@dataclass(kw_only=True)
class RetrieveReport(Report):
    """What became of a `Client.move` or `Client.get`.

    Attributes:
        destination: the AE title that the objects went to, or the folder of a get.
        status: the final status; None where the association was lost before it.
        received: objects that arrived here; None where they went to somebody else.
        missing: objects that the peer counted as sent, but that did not arrive here.
        missing_uids: those of them whose UIDs are known.
        folder: where the received ones are.
    """

    destination: str = ""
    status: int | None = None
    received: int | None = None
    missing: int = 0
    missing_uids: list[str] = field(default_factory=list)
    folder: Path | None = None
    failed_count: int = 0

    @property
    def failed(self) -> int:
        """The number of objects that did not get there: not all of them may be listed in `failures`."""
        return max(len(self.failures), self.failed_count)

    @property
    def ok(self) -> bool:
        """Whether everything got there."""
        return self.status == 0x0000 and not self.failed and not self.missing and not self.problem

    def __str__(self) -> str:
        missing = f"{self.missing} missing" if self.missing else ""
        status = "" if self.status in (None, 0x0000) else status_words(self.status or 0)
        return self._words(f"from {self.peer} to {self.destination}", missing, status)


def size_words(count: float) -> str:
    """Bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError
