"""The database of an archive's index: one writer, any number of readers.

This and `lookup.py` are the only files that know it by its kind. SQLite runs in WAL mode: a reader sees the index as it
was when it began, and neither waits for the other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import Connection, create_engine, event, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, IntegrityError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import QueuePool

from .errors import ArchiveError, IndexUnusable
from .schema import VERSION, metadata, progress

if TYPE_CHECKING:
    from .rows import Rows

LOGGER = logging.getLogger("dimsefast.archive")

#: When a record of the journal is on the disk: see `Archive`.
Durability = Literal["process", "power"]

#: Memory for pages of a reader and of the writer, in kB, and how much of the file is mapped, in bytes.
_CACHE: Final = 8 << 10
_WRITER_CACHE: Final = 64 << 10
_MAPPED: Final = 1 << 30

#: The write-ahead log is copied into the database when it has this many pages of 4 kB, and cut to this many bytes. It
#: is longer only where a transaction needs its beginning: then those that read have to let go.
_LOG_PAGES: Final = 8192
_LOG_LENGTH: Final = 64 << 20

#: Seconds that a statement waits where another program has locked the database, and that the writer waits for short
#: transactions where the log is too long.
_LOCK_TIMEOUT: Final = 5.0
_RESTART_TIMEOUT: Final = 0.2

#: Readers at the same time; a further one waits.
_READERS: Final = 64


class Database:
    """The index.

    Args:
        url: an SQLAlchemy URL; `sqlite:///<path>` is what is supported.
        durability: "power": a transaction is on the disk when it is over.

    The tables are made where they are not there; `is_new` says so. Raises IndexUnusable where the database is damaged
    or of another version, ArchiveError where it cannot be opened.
    """

    def __init__(self, url: str, durability: Durability = "process") -> None:
        try:
            self.url = make_url(url)
            if self.url.get_backend_name() != "sqlite" or not self.url.database or self.url.database == ":memory:":
                raise ArchiveError(f"the database {url!r} is not supported: give sqlite:///<path of a file>")
            self._engine = create_engine(
                self.url,
                poolclass=QueuePool,
                pool_size=8,
                max_overflow=_READERS - 8,
                connect_args={"check_same_thread": False, "timeout": _LOCK_TIMEOUT, "cached_statements": 256},
                # BEGIN is ours: SQLite's driver would begin with the first statement that writes, and not be told how.
                isolation_level="AUTOCOMMIT",
            )
        except (ArgumentError, NoSuchModuleError) as error:
            raise ArchiveError(f"the database {url!r} cannot be opened: {error}") from error
        self._durability = durability
        self._write_lock = threading.Lock()
        self._writer: Connection | None = None
        #: Those that read for somebody who may be slow, in a transaction that is open.
        self.readers: set[Rows] = set()
        self.is_new = False
        event.listen(self._engine, "connect", self._prepare)
        try:
            with self.explained():
                self._make_tables()
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The database as messages name it: without a password."""
        return self.url.render_as_string(hide_password=True)

    def _prepare(self, connection: Any, _: object) -> None:
        synchronous = "FULL" if self._durability == "power" else "NORMAL"
        for statement in (
            "journal_mode = WAL",
            f"synchronous = {synchronous}",
            "foreign_keys = ON",
            "temp_store = MEMORY",
            f"cache_size = -{_CACHE}",
            f"mmap_size = {_MAPPED}",
            f"wal_autocheckpoint = {_LOG_PAGES}",
            f"journal_size_limit = {_LOG_LENGTH}",
        ):
            connection.execute(f"PRAGMA {statement}").close()

    def _make_tables(self) -> None:
        with self.writing() as connection:
            version = None
            if inspect(connection).has_table(progress.name):
                version = connection.execute(select(progress.c.version)).scalar()
            if version is None:
                self.is_new = True
                metadata.create_all(connection)
                row = {"key": 1, "version": VERSION, "segment": 0, "offset": 0, "bytes": 0}
                connection.execute(progress.insert(), row)
            elif version != VERSION:
                raise IndexUnusable(
                    f"the index {self.name} has version {version}, this program needs {VERSION}: "
                    "make it anew with `dimsefast reindex`"
                )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries: all of them see the index as it was at the first one. `Rows` is for slow ones.

        Several threads read at the same time, and while there is writing. Raises ArchiveError as `writing` does.
        """
        with self.explained(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                _end(connection, "ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The connection of the one writer, in a transaction that ends with the block, and counts unless that raises.

        Raises IndexUnusable where the database is damaged, ArchiveError where it is locked by another program,
        cannot be written to, or the disk is full, DataError and IntegrityError of SQLAlchemy for a row that it does not
        take. Nothing was written then.
        """
        with self.explained(), self._write_lock:
            if self._writer is None or self._writer.closed:
                self._writer = self._engine.connect()
                self._writer.exec_driver_sql(f"PRAGMA cache_size = -{_WRITER_CACHE}")
            connection = self._writer
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                _end(connection, "ROLLBACK")
                raise
            self._bound_log(connection)

    def _bound_log(self, connection: Connection) -> None:
        """Where the log has become too long, ends the transactions that need it, and has the next one begin anew."""
        try:
            if self._log.stat().st_size <= _LOG_LENGTH:
                return
        except OSError:
            return
        try:
            for reader in tuple(self.readers):
                reader.let_go()
            for pragma in (
                f"busy_timeout = {round(1000 * _RESTART_TIMEOUT)}",
                "wal_checkpoint(TRUNCATE)",
                f"busy_timeout = {round(1000 * _LOCK_TIMEOUT)}",
            ):
                connection.exec_driver_sql(f"PRAGMA {pragma}").close()
        except (ArchiveError, DatabaseError) as error:
            # What was written counts.
            LOGGER.warning("the log of the index %s stays as long as it is: %s", self.name, error)

    @property
    def _log(self) -> Path:
        return Path(f"{self.url.database}-wal")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Says of an error of the database what to do about it."""
        try:
            yield
        except (DataError, IntegrityError):
            # It is about what was written, not about the database.
            raise
        except DatabaseError as error:
            raise self._explanation(error) from error

    def _explanation(self, error: DatabaseError) -> ArchiveError:
        words = str(error.orig)
        if "malformed" in words or "not a database" in words or "no such table" in words or "no such column" in words:
            return IndexUnusable(
                f"the index {self.name} is damaged ({words}): make it anew from the files with `dimsefast reindex`"
            )
        if isinstance(error, OperationalError):
            for sign, advice in (
                ("locked", "another program has it open: end that"),
                ("readonly", "it cannot be written to: check its permissions and those of its folder"),
                ("unable to open", "check that its folder is there and may be written to"),
                ("full", "make room on its disk"),
            ):
                if sign in words:
                    return ArchiveError(f"the index {self.name} cannot be used ({words}): {advice}")
        return ArchiveError(f"the index {self.name} cannot be used: {words}")

    def close(self) -> None:
        """Closes the connections. Nothing may use it any more."""
        with self._write_lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self._engine.dispose()

    @staticmethod
    def put_aside(url: str) -> None:
        """Renames the file of an SQLite database to `<name>.damaged`, so that it is made anew. Raises OSError."""
        name = make_url(url).database
        if name is None:
            return
        path = Path(name)
        if path.exists():
            path.replace(path.with_name(path.name + ".damaged"))
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _end(connection: Connection, statement: str) -> None:
    # SQLite ends a transaction by itself after some errors (a full disk).
    if getattr(connection.connection.dbapi_connection, "in_transaction", False):
        connection.exec_driver_sql(statement)
