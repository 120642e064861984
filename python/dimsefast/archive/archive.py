"""The archive: objects in a folder, and an index of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from pydicom.dataset import Dataset
from sqlalchemy import func, select

from .. import _core
from ..dataset import encode_dataset
from ..objects import store_object
from ..presentation import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from ..sending import StoreResult
from ..storing import StoreTo
from ..workflow import MppsProvider
from .database import Database, Durability
from .errors import IndexUnusable
from .indexer import Indexer
from .schema import instance, patient, progress, series, study
from .services import Services
from .storage import Duplicates, FolderStorage

#: Files that `reindex` indexes in one transaction.
_BATCH: Final = 1000

#: Seconds that `close` takes to index what was stored.
_CLOSE_TIMEOUT: Final = 10.0


class Reindexed(NamedTuple):
    """What `Archive.reindex` has done.

    Attributes:
        indexed: how many objects are indexed.
        failed: those that cannot be, as (name in the archive, reason).
    """

    indexed: int
    failed: list[tuple[str, str]]


class Archive(Services):
    """An archive in a folder, with an index that is embedded.

    Args:
        location: a folder, or its URL (`file:///...`); made if it is not there.
        database: an SQLAlchemy URL of the index; default SQLite in `<folder>/.dimsefast/index.sqlite`.
        durability: what an object that was acknowledged survives: the end of the process at any moment ("process"), or
            that of the machine as well ("power", which waits for the disk).
        duplicates: what becomes of an object whose SOP Instance UID is there already, if it is not the same to the
            byte: it can "replace" that, go while the first is kept ("keep": answered B006H), or be refused with 0111H
            ("refuse"). What is the same is answered 0000H, and nothing is written.
        local_timezone: the offset from UTC of dates and times without one, as `+HHMM` or `-HHMM`; for queries that
            consider it.
        rebuild: an index that is missing or damaged is made anew, and the old one put aside; `reindex` must follow. The
            folder may have nothing but `objects/`, restored from a backup.

    Attributes:
        mpps: keeps the Modality Performed Procedure Steps that peers create; `mpps.store.get(uid)` reads one.

    One process has an archive at a time. It can be used by several threads, and not in the child of a fork. Raises
    ArchiveLocked where another process has it, IndexUnusable where the index is missing while there are objects, or
    damaged, ArchiveError where the location cannot be used.
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        *,
        database: str | None = None,
        durability: Durability = "process",
        duplicates: Duplicates = "replace",
        local_timezone: str | None = None,
        rebuild: bool = False,
    ) -> None:
        if durability not in ("process", "power"):
            raise ValueError(f'durability is "process" or "power", not {durability!r}')
        self.durability: Durability = durability
        self.duplicates, self.local_timezone = duplicates, local_timezone
        self.storage = FolderStorage(location, durability == "power", duplicates, restored=rebuild)
        self.folder: Path = self.storage.folder
        try:
            self.database = self._open_database(
                database or f"sqlite:///{self.storage.private / 'index.sqlite'}", rebuild
            )
            self.indexer = Indexer(self.database, self.storage)
        except BaseException:
            self.storage.close()
            raise
        # One for all servers: what changes a step waits for the change before.
        self.mpps = MppsProvider(self.storage.steps)
        super().__init__()

    def _open_database(self, url: str, rebuild: bool) -> Database:
        try:
            database = Database(url, self.durability)
        except IndexUnusable:
            if not rebuild:
                raise
            Database.put_aside(url)
            database = Database(url, self.durability)
        # An index that was to be made anew and is not complete.
        incomplete = self.storage.private / "incomplete"
        if database.is_new and not self.storage.is_empty():
            incomplete.touch()
        if incomplete.exists() and not rebuild:
            database.close()
            raise IndexUnusable(
                f"the index {database.name} does not have the objects of {self.folder}: "
                "make it anew from the files with `dimsefast reindex`"
            )
        return database

    @property
    def store_to(self) -> StoreTo:
        """For `start_server(store_to=...)`: file and journal are written without Python.

        A handler of EVT_C_STORE is told afterwards.
        """
        return self.storage.store_to

    def up_to_date(self, timeout: float | None = 30) -> None:
        """Waits until what was acknowledged before this call is indexed.

        Raises IndexBehind, which is a TimeoutError, after `timeout` seconds; None waits as long as it takes.
        """
        self.indexer.up_to_date(timeout)

    def add(self, items: Iterable[Dataset | str | Path | bytes]) -> Iterator[StoreResult]:
        """Stores files, bytes of files, or datasets, as if a peer had sent them.

        Yields a result for each as it is stored, in order; one that cannot be stored has `error` and does not stop the
        others. Their file meta group is made anew.
        """
        plan = self.storage.store_to.plan_as(IMPLEMENTATION_UID, IMPLEMENTATION_VERSION)
        for source in items:
            begun, uid, length = time.monotonic(), "", 0
            path = Path(source) if isinstance(source, (str, Path)) else None
            status: int | None = None
            error: Exception | None = None
            try:
                item = store_object(source)
                uid = item.sop_instance
                dataset = None
                if item.dataset is not None:
                    dataset = encode_dataset(item.dataset, item.transfer_syntax)
                elif item.encoded is not None:
                    dataset = item.encoded[item.offset :]
                status, length = _core.import_object(
                    plan,
                    item.sop_class,
                    uid,
                    item.transfer_syntax,
                    path=item.path,
                    offset=item.offset,
                    dataset=dataset,
                )
            except (OSError, ValueError, AttributeError, TypeError) as problem:
                error = problem
            yield StoreResult(source, path, uid, status, length, time.monotonic() - begun, error)

    def remove(
        self,
        *,
        patient_id: str | None = None,
        study_instance_uid: str | None = None,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> int:
        """Removes the objects that all given keys fit, files and rows; how many.

        Where the process ends before this returns, call it again. Raises ValueError without any key, OSError where a
        file cannot be removed, ArchiveError.
        """
        conditions = [
            column == value
            for column, value in (
                (patient.c.patient_id, patient_id),
                (study.c.study_instance_uid, study_instance_uid),
                (series.c.series_instance_uid, series_instance_uid),
                (instance.c.sop_instance_uid, sop_instance_uid),
            )
            if value is not None
        ]
        if not conditions:
            raise ValueError("say what is to be removed: give at least one unique key")
        self.up_to_date()
        with self.database.reading() as connection:
            joined = instance.join(series).join(study).join(patient)
            names = connection.scalars(select(instance.c.name).select_from(joined).where(*conditions)).all()
        for name in names:
            self.storage.remove(name)
        self.up_to_date()
        return len(names)

    def reindex(self, progress: Callable[[int, int], object] | None = None) -> Reindexed:
        """Makes the rows anew from the files, and removes those without a file.

        `progress` is called as (files done, all files). Objects may come in meanwhile, and queries are answered: from
        the old rows until the new ones are there; with an index that is being rebuilt from nothing, from what is there
        already. It takes about 200 bytes of memory for an object. Where it is interrupted, it is to be called again.
        Raises ArchiveError, OSError.
        """
        self.storage.failed.unlink(missing_ok=True)
        # As they were stored: what came last says what holds of its patient, study and series.
        names = [name for _, name in sorted((when, name) for name, when in self.storage.names())]
        failed: list[tuple[str, str]] = []
        for at in range(0, len(names), _BATCH):
            part = names[at : at + _BATCH]
            failed += self.indexer.index(part, None, renew=True)
            if progress is not None:
                progress(at + len(part), len(names))
        self._remove_rows_without_file()
        (self.storage.private / "incomplete").unlink(missing_ok=True)
        return Reindexed(len(names) - len(failed), failed)

    def _remove_rows_without_file(self) -> None:
        last = 0
        while True:
            following = select(instance.c.key, instance.c.name).where(instance.c.key > last)
            with self.database.reading() as connection:
                rows = connection.execute(following.order_by(instance.c.key).limit(_BATCH)).all()
            if not rows:
                return
            last = rows[-1].key
            gone = [row.name for row in rows if not self.storage.exists(row.name)]
            if gone:
                self.indexer.index(gone, None)

    def statistics(self) -> dict[str, int]:
        """What there is.

        `patients`, `studies`, `series` and `instances` are indexed; their files have so many `bytes`; and so many
        records of the journal are `waiting` to be indexed. Raises ArchiveError.
        """
        counts = select(
            func.count(),
            func.coalesce(func.sum(patient.c.studies), 0),
            func.coalesce(func.sum(patient.c.series), 0),
            func.coalesce(func.sum(patient.c.instances), 0),
        ).select_from(patient)
        with self.database.reading() as connection:
            row = connection.execute(counts).one()
            size = connection.execute(select(progress.c.bytes)).scalar_one()
        names = ("patients", "studies", "series", "instances")
        found = {name: int(value) for name, value in zip(names, row, strict=True)}
        return found | {"bytes": int(size), "waiting": self.indexer.waiting()}

    def close(self) -> None:
        """Indexes what was stored, for at most ten seconds, and lets go of the archive.

        A server that stores to it should be over by then. Results of storage commitment that wait are reported when it
        is served again.
        """
        self._close_services()
        self.indexer.close(_CLOSE_TIMEOUT)
        self.storage.close()
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Archive({str(self.folder)!r}, durability={self.durability!r}, duplicates={self.duplicates!r})"
