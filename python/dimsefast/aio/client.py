"""The client for asyncio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

from pydicom.dataset import Dataset

from ..client.links import models
from ..client.reports import ProgressHandler, RetrieveReport, StoreReport
from ..client.retrieve_operations import RetrieveOperations
from ..client.sources import Storable
from ..waiting import Waiting
from .ae import AE
from .association import Association
from .waiting import of_running_loop


class Client(RetrieveOperations):
    """A client of one node, for the tasks of one event loop: see `dimsefast.Client`, whose arguments it takes.

    It may be used by several tasks at once: each operation has an association of its own for its time. Usable as an
    asynchronous context manager that closes at its end.

    Associations need no threads. Files that are sent are found and read on asyncio's default executor; the receiver of
    `move` and the progress of `get` are served by threads of the library.
    """

    _entity = AE
    _association_type = Association

    @property
    def _waiting(self) -> Waiting:
        return of_running_loop()

    async def close(self) -> None:
        """Releases its associations; operations of other tasks are aborted. May be called twice."""
        await self._links.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def echo(self) -> float:
        """See `dimsefast.Client.echo`."""
        return await self._echo()

    def find(self, identifier: Dataset, model: str | None = None) -> AsyncGenerator[Dataset, None]:
        """See `dimsefast.Client.find`. To be used with `async for`."""
        return self._find(identifier, models(identifier, "Find", model))

    async def store(
        self,
        items: Storable | Iterable[Storable],
        progress: bool | ProgressHandler | None = None,
        skip_existing: bool = False,
        decompress: bool = False,
    ) -> StoreReport:
        """See `dimsefast.Client.store`."""
        return await self._store(items, progress, skip_existing, decompress)

    async def move(
        self,
        identifier: Dataset,
        to: str | None = None,
        receive: str | Path | None = None,
        model: str | None = None,
        progress: bool | ProgressHandler | None = None,
    ) -> RetrieveReport:
        """See `dimsefast.Client.move`."""
        return await self._move(identifier, to, receive, model, progress)

    async def get(
        self,
        identifier: Dataset,
        into: str | Path,
        model: str | None = None,
        progress: bool | ProgressHandler | None = None,
        skip_existing: bool = False,
        classes: Iterable[str] | None = None,
    ) -> RetrieveReport:
        """See `dimsefast.Client.get`. `progress` is called on a thread of the library."""
        return await self._get(identifier, into, model, progress, skip_existing, classes)
