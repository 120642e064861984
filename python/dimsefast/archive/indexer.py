"""Taking over into the index what the journal says has come.

One thread waits for records, gathers some, and indexes them in one transaction, which also says how far the journal was
taken over. What matters is what a file is when it is looked at, so that to take a record over twice does no harm.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from .batch import Batch
from .database import Database
from .errors import ArchiveError, IndexBehind
from .headers import Entry, Unreadable, read_entries
from .schema import progress
from .storage import FolderStorage

LOGGER = logging.getLogger("dimsefast.archive")

#: Records in one transaction, at most.
_BATCH: Final = 1000

#: Seconds that records are gathered while nobody waits for them, and how many bytes of the journal are enough not to.
_GATHER: Final = 0.1
_ENOUGH: Final = 64 << 10

#: The end of a study: so many bytes of the journal, about a dozen records, to which nothing is added for so many
#: seconds, are indexed without waiting for more. What trickles in is gathered.
_SOME: Final = 1 << 10
_PAUSE: Final = 0.01

#: Seconds until the database is tried again, at first and at most.
_FIRST_RETRY: Final = 0.1
_LAST_RETRY: Final = 10.0

#: A place in the journal: segment, and bytes.
Position = tuple[int, int]


class Indexer:
    """Keeps the index up to date, in a thread of its own.

    Args:
        database: the index.
        storage: the objects and their journal.

    What cannot be read is logged and listed in `.dimsefast/failed`, and holds nothing up. Where the database cannot be
    written to, that is tried again until it can.
    """

    def __init__(self, database: Database, storage: FolderStorage) -> None:
        self._database, self._storage = database, storage
        self._changed = threading.Condition()
        self._waiting = 0
        self._hurry = threading.Event()
        self._closing = threading.Event()
        self._problem: Exception | None = None
        self._failed = threading.Lock()
        self._position = self._begin()
        self._thread = threading.Thread(target=self._run, name="dimsefast-indexer", daemon=True)
        self._thread.start()

    def _begin(self) -> Position:
        """Where to go on. A journal that does not have that place is another one: all of it is taken over."""
        with self._database.reading() as connection:
            row = connection.execute(select(progress.c.segment, progress.c.offset)).one()
        position = (row.segment, row.offset)
        beginning, end = self._storage.journal.beginning, self._storage.journal.position
        if beginning <= position <= end:
            return position
        # Said at once: the journal may grow beyond the old place.
        with self._database.writing() as connection:
            connection.execute(progress.update().values(segment=beginning[0], offset=beginning[1]))
        return beginning

    @property
    def position(self) -> Position:
        """How far the journal was taken over."""
        return self._position

    @property
    def problem(self) -> Exception | None:
        """Why it does not get on at the moment; None where it does."""
        return self._problem

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def waiting(self) -> int:
        """How many records are still to be taken over. Raises OSError."""
        position, count = self._position, 0
        while True:
            records, position = self._storage.journal.read(position, 10_000)
            if not records:
                return count
            count += len(records)

    def up_to_date(self, timeout: float | None) -> None:
        """Waits until what was acknowledged before is indexed.

        Raises IndexBehind after `timeout` seconds, with the reason where there is one.
        """
        wanted = self._storage.journal.position
        if self._position >= wanted:
            return
        with self._changed:
            self._waiting += 1
            self._hurry.set()
            try:
                reached = self._changed.wait_for(lambda: self._position >= wanted or not self.is_alive, timeout)
            finally:
                self._waiting -= 1
                if not self._waiting:
                    self._hurry.clear()
        if self._position < wanted:
            reason = self._problem or ("it takes longer than that" if not reached else "the archive was closed")
            raise IndexBehind(f"{self._storage.folder}: what was stored could not be indexed in {timeout} s: {reason}")

    def _run(self) -> None:
        retry = _FIRST_RETRY
        while not self._closing.is_set():
            try:
                if not self._storage.journal.wait(self._position, None):
                    return
                self._gather()
                self._take_over()
            except Exception as error:
                if self._problem is None or str(error) != str(self._problem):
                    LOGGER.error("%s: the index does not get on, objects wait for it: %s", self._storage.folder, error)
                self._problem = error
                self._closing.wait(_FIRST_RETRY if self._waiting else retry)
                retry = min(2 * retry, _LAST_RETRY)
            else:
                retry = _FIRST_RETRY

    def _gather(self) -> None:
        deadline, before = time.monotonic() + _GATHER, self._position
        while time.monotonic() < deadline:
            end = self._storage.journal.position
            length = end[1] - self._position[1]
            if end[0] > self._position[0] or length >= _ENOUGH or (length >= _SOME and end == before):
                return
            before = end
            if self._hurry.wait(_PAUSE):
                return

    def _take_over(self) -> None:
        """Takes over the next records of the journal."""
        records, end = self._storage.journal.read(self._position, _BATCH)
        self.index([name for name, _ in records], end)
        if end[0] > self._position[0]:
            with suppress(OSError):
                self._storage.journal.done(end[0])
        if self._problem is not None:
            LOGGER.warning("%s: the index gets on again", self._storage.folder)
        with self._changed:
            self._position, self._problem = end, None
            self._changed.notify_all()

    def index(self, names: Sequence[str], position: Position | None, renew: bool = False) -> list[Unreadable]:
        """Indexes the files of these names as they are now; the journal then counts as taken over up to `position`.

        `renew` counts as new what is in the index as it is. Returns what could not be indexed; that is listed. Raises
        ArchiveError where the database cannot be written to; nothing has changed then.
        """
        try:
            return self._index(names, position, renew)
        except DBAPIError as error:
            if len(names) == 1:
                # An object that the database does not take. A file that is gone has no row.
                failed = [Unreadable(names[0], str(error.orig))]
                self._list_failed(failed)
                return failed + self._index([], position, renew)
        # The others do not suffer for it.
        failed = [problem for name in names for problem in self.index([name], None, renew)]
        return failed + self._index([], position, renew)

    def _index(self, names: Sequence[str], position: Position | None, renew: bool) -> list[Unreadable]:
        # Of several records of one file the last counts.
        latest = list(dict.fromkeys(reversed(names)))[::-1]
        # Within the transaction: of what two threads read of one file, the newer must come later.
        with self._database.writing() as connection:
            read = read_entries(self._storage.folder, latest)
            batch = Batch(connection, self._entries, renew)
            batch.remove([name for name, found in zip(latest, read, strict=True) if found is None])
            batch.put([found for found in read if isinstance(found, Entry)])
            batch.write()
            if position is not None:
                connection.execute(progress.update().values(segment=position[0], offset=position[1]))
        failed = [found for found in read if isinstance(found, Unreadable)]
        self._list_failed(failed)
        return failed

    def _entries(self, names: list[str]) -> list[Entry]:
        return [found for found in read_entries(self._storage.folder, names) if isinstance(found, Entry)]

    def _list_failed(self, failed: list[Unreadable]) -> None:
        for name, reason in failed:
            LOGGER.error("%s cannot be indexed: %s", self._storage.path(name), reason)
        if failed:
            with self._failed, suppress(OSError), open(self._storage.failed, "a", encoding="utf-8") as listed:
                listed.writelines(f"{name}\t{reason}\n" for name, reason in failed)

    def close(self, timeout: float) -> None:
        """Takes over what is there, for at most `timeout` seconds, and ends. The rest is for the next start."""
        with suppress(ArchiveError):
            self.up_to_date(timeout)
        self._closing.set()
        self._storage.journal.close()
        deadline = time.monotonic() + timeout
        self._thread.join(max(deadline - time.monotonic(), 1.0))
