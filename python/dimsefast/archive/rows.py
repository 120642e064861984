"""Reading what statements find, some rows at a time, for somebody who may be slow.

An open transaction sees the index as it was, so SQLite keeps every change since then in its write-ahead log. A
requestor decides how long a query takes; the log must not grow with that.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import Column, CursorResult, Row, Select

if TYPE_CHECKING:
    from .database import Database

#: Rows that are read in one go where only their keys are kept.
_PART: Final = 1000


class Rows:
    """The rows of some selects, one select after the other, in one transaction; a context manager.

    Where the writer calls `let_go`, the keys of the rows that are left are noted (8 bytes each), and the transaction
    ends. From then on rows are read by their keys, in a transaction for each batch: as they are then, and without those
    that have gone.

    Args:
        database: the index.
        statements: with the key as their last column.
        by_key: selects the same columns, of any row.
        key: the column of the key.
    """

    def __init__(
        self, database: Database, statements: Iterator[Select[Any]], by_key: Select[Any], key: Column[int]
    ) -> None:
        self._database, self._by_key, self._key = database, by_key, key
        self._lock = threading.Lock()
        self._kept: array[int] = array("q")
        #: How many of these were read.
        self._read = 0
        self._transaction = ExitStack()
        connection = self._transaction.enter_context(database.reading())
        self._results = (connection.execute(statement) for statement in statements)
        self._result: CursorResult[Any] | None = None
        self._is_over = False
        database.readers.add(self)

    def fetch(self, size: int) -> Sequence[Row[Any]]:
        """At most so many further rows; none at the end. Raises ArchiveError where the index cannot be read."""
        with self._lock:
            rows = self._read_on(size)
        return rows or self._fetch_kept(size)

    def _read_on(self, size: int) -> Sequence[Row[Any]]:
        with self._database.explained():
            while not self._is_over:
                if self._result is not None and (rows := self._result.fetchmany(size)):
                    return rows
                self._result = next(self._results, None)
                self._is_over = self._result is None
        return ()

    def _fetch_kept(self, size: int) -> Sequence[Row[Any]]:
        while self._read < len(self._kept):
            keys = self._kept[self._read : self._read + size].tolist()
            self._read += len(keys)
            with self._database.reading() as connection:
                found = connection.execute(self._by_key.where(self._key.in_(keys))).all()
            if found:
                place = {key: at for at, key in enumerate(keys)}
                return sorted(found, key=lambda row: place[row[-1]])
        return ()

    def let_go(self) -> None:
        """Ends the transaction, of any thread. Raises ArchiveError where the index cannot be read."""
        with self._lock:
            while rows := self._read_on(_PART):
                self._kept.extend(row[-1] for row in rows)
            self._transaction.close()
        self._database.readers.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_over = True
            self._transaction.close()
        self._database.readers.discard(self)
