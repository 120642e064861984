"""Where an archive keeps requests for storage commitment until their results are reported: a file for each.

Nothing is kept in the index, which can be made anew from the objects.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..workflow import CommitmentRequest, Reference, Refusal

LOGGER = logging.getLogger("dimsefast.archive")

#: PS3.7 C.5: resource limitation.
_RESOURCE_LIMITATION: Final = 0x0213

#: Of one that was not written to its end: it was not acknowledged.
_UNFINISHED: Final = ".part"


class KeptRequests:
    """Requests in a folder, for `StorageCommitmentProvider`.

    Args:
        folder: the folder, which is there.
        fsync: whether a request is on the disk when `put` returns.

    Raises OSError where the folder cannot be used.
    """

    def __init__(self, folder: Path, fsync: bool) -> None:
        self.folder, self._fsync = folder, fsync
        self._lock = threading.Lock()
        self._left = [request for path in sorted(folder.iterdir()) if (request := _read(path)) is not None]

    def _path(self, request: CommitmentRequest) -> Path:
        # What peers say of themselves is no file name.
        key = json.dumps([request.title, request.called, request.transaction_uid])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    def put(self, request: CommitmentRequest) -> None:
        """Keeps it. Raises Refusal (0213H) where the folder cannot be written to."""
        path = self._path(request)
        unfinished = path.with_suffix(_UNFINISHED)
        try:
            with open(unfinished, "w", encoding="utf-8") as file:
                json.dump(request._asdict(), file)
                if self._fsync:
                    file.flush()
                    os.fsync(file.fileno())
            unfinished.replace(path)
            if self._fsync:
                _flush_folder(self.folder)
        except OSError as error:
            LOGGER.error("a request for storage commitment cannot be kept in %s: %s", self.folder, error)
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise Refusal(_RESOURCE_LIMITATION, "the request cannot be written to the disk") from error

    def remove(self, request: CommitmentRequest) -> None:
        """Its result was taken, or given up.

        Where its file cannot be removed, which is logged, it is reported again after the next start.
        """
        try:
            self._path(request).unlink(missing_ok=True)
        except OSError as error:
            LOGGER.error("a request for storage commitment cannot be removed: %s", error)

    def take_left(self, is_known: Callable[[str], bool]) -> list[CommitmentRequest]:
        """Those that an earlier process has left, of AE titles that are known: each is given once."""
        with self._lock:
            taken = [request for request in self._left if is_known(request.title)]
            self._left = [request for request in self._left if request not in taken]
        return taken


def _read(path: Path) -> CommitmentRequest | None:
    if path.suffix == _UNFINISHED:
        path.unlink(missing_ok=True)
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return CommitmentRequest(
            str(found["title"]),
            str(found["called"]),
            str(found["transaction_uid"]),
            tuple(Reference(*map(str, reference)) for reference in found["references"]),
            float(found["received"]),
        )
    except (ValueError, TypeError, KeyError) as error:
        LOGGER.error("%s is no request for storage commitment, its result is not reported: %s", path, error)
        return None


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
