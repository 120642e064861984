"""Storing many objects: in as many associations as their contexts take, and again where one was lost."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from ..association_base import AssociationBase
from ..entity_settings import MOST_REQUESTED_CONTEXTS
from ..errors import AssociationAborted, AssociationError, DimsefastError, status_words
from ..objects import CONVERTIBLE, EXPLICIT_LITTLE, IMPLICIT_LITTLE, StoreObject, fitting_context
from ..operation import AsyncIteration
from ..presentation import PresentationContext, build_context
from ..requests import store_many
from ..sending import StoreResult
from .links import Links
from .reports import Failure, Progress, ProgressHandler, StoreReport
from .sources import BROKEN, Found, Source

Pair = tuple[str, str]

#: Priority (0000,0700), as `Association.store` has it by default.
_LOW_PRIORITY = 2
#: After as many objects that end their associations the others are not tried.
_HOPELESS = 3


class Storing:
    """One `Client.store`."""

    def __init__(
        self, links: Links, found: Found, report: StoreReport, progress: ProgressHandler | None, retries: int
    ) -> None:
        self._links = links
        self._found = found
        self._report = report
        self._progress = progress
        self._retries = retries
        self._attempts: Counter[int] = Counter()
        self._total = len(found.sources)
        self._total_bytes = sum(source.size for source in found.sources)
        self._sent_bytes = 0
        #: Objects that failed one after the other because their associations were lost.
        self._lost_in_a_row = 0

    async def run(self, decompress: bool) -> None:
        """Stores all sources; what became of them is in the report."""
        self._tell()
        for sources in in_associations(self._found.sources):
            left = await self._store(sources, _contexts(sources), decompress, False)
            # Refused as they are: perhaps the peer takes them in another transfer syntax without compression.
            again = [source for source, _ in left if source.transfer_syntax in CONVERTIBLE or decompress]
            for source, reason in left:
                if source not in again:
                    self._fail(source, reason)
            if again:
                for source, reason in await self._store(again, _plain_contexts(again), decompress, True):
                    self._fail(source, reason)

    async def _store(
        self, sources: list[Source], contexts: list[PresentationContext], decompress: bool, converted: bool
    ) -> list[tuple[Source, str]]:
        """Stores over associations for these contexts; gives those that no accepted context fits, and why."""
        waiting, refused = deque(sources), list[tuple[Source, str]]()
        while waiting:
            try:
                association = await self._links.open(contexts)
            except AssociationAborted as error:
                if "accepted none" not in str(error):
                    return self._give_up(waiting, refused, error)
                return refused + [(source, _refusal(source)) for source in waiting]
            except (AssociationError, OSError) as error:
                return self._give_up(waiting, refused, error)
            try:
                await self._send(association, waiting, refused, decompress)
            except BaseException:
                association._abort()
                raise
            finally:
                await self._links.done_with(association)
            if self._lost_in_a_row >= _HOPELESS:
                for source in waiting:
                    self._fail(source, "not tried: the peer ends each association")
                waiting.clear()
        return refused

    def _give_up(
        self, waiting: deque[Source], refused: list[tuple[Source, str]], error: Exception
    ) -> list[tuple[Source, str]]:
        if not self._report.completed and not self._report.failures and not any(self._attempts.values()):
            raise error
        for source in waiting:
            self._fail(source, str(error))
        return refused

    async def _send(
        self,
        association: AssociationBase,
        waiting: deque[Source],
        refused: list[tuple[Source, str]],
        decompress: bool,
    ) -> None:
        """Sends until all are sent or the association is lost; what was not answered is waiting again then."""
        under_way: deque[tuple[Source, object]] = deque()
        unanswered: list[Source] = []
        failed = False

        async def feed() -> AsyncIterator[Dataset | Path | bytes]:
            while waiting and association.is_established:
                source = waiting.popleft()
                try:
                    item = StoreObject(
                        source.sop_class, source.sop_instance, source.transfer_syntax, None, None, b"", 0
                    )
                    fitting_context(association, item, decompress)
                except ValueError:
                    refused.append((source, _refusal(source)))
                    continue
                try:
                    loaded = await association._waiting.apart(source.load)
                except BROKEN as error:
                    self._fail(source, str(error) or type(error).__name__)
                    continue
                under_way.append((source, loaded))
                yield loaded

        async for result in AsyncIteration(store_many(association, feed(), None, _LOW_PRIORITY, decompress)):
            source, loaded = under_way.popleft()
            self._found.forget(loaded)
            if isinstance(result.error, (ConnectionAbortedError, TimeoutError)):
                # The first one was under way, and may be why; those behind it hardly were.
                self._attempts[id(source)] += not unanswered and not failed
                if self._attempts[id(source)] > self._retries:
                    failed = True
                    self._lost_in_a_row += 1
                    self._fail(source, str(result.error))
                else:
                    unanswered.append(source)
            else:
                self._lost_in_a_row = 0
                self._settle(source, result)
        waiting.extendleft(reversed(unanswered))

    def _settle(self, source: Source, result: StoreResult) -> None:
        status = result.status
        self._sent_bytes += source.size
        if status is not None and (
            status == 0x0000 or 0xB000 <= status <= 0xBFFF or status in (0x0001, 0x0107, 0x0116)
        ):
            self._report.completed += 1
            self._report.warnings += status != 0x0000
            self._report.bytes += result.bytes
            self._tell()
        elif status is not None:
            self._fail(source, status_words(status), status)
        else:
            self._fail(source, " ".join(str(result.error).split()))

    def _fail(self, source: Source, reason: str, status: int | None = None) -> None:
        self._report.failures.append(Failure(source.sop_instance, reason, status, source.name))
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            report = self._report
            done = report.completed + len(report.failures)
            self._progress(Progress(done, self._total, self._sent_bytes, self._total_bytes, len(report.failures)))


def _refusal(source: Source) -> str:
    return (
        f"the peer does not take {UID(source.sop_class).name} in the transfer syntax "
        f"{UID(source.transfer_syntax).name}, nor in one that it can be converted to"
    )


def in_associations(sources: list[Source]) -> list[list[Source]]:
    """The sources in groups whose contexts fit one association each."""
    groups: list[list[Source]] = []
    places: dict[Pair, int] = {}
    for source in sources:
        at = places.setdefault(source.pair, len(places) // MOST_REQUESTED_CONTEXTS)
        while len(groups) <= at:
            groups.append([])
        groups[at].append(source)
    return groups


def _contexts(sources: list[Source]) -> list[PresentationContext]:
    """A context for each pair: the peer would take one transfer syntax of several for all of a class."""
    return [build_context(cls, [syntax]) for cls, syntax in sorted({source.pair for source in sources})]


def _plain_contexts(sources: list[Source]) -> list[PresentationContext]:
    return [
        build_context(cls, [EXPLICIT_LITTLE, IMPLICIT_LITTLE])
        for cls in sorted({source.sop_class for source in sources})
    ]


def by_series(sources: list[Source]) -> dict[tuple[str, str], list[Source]]:
    """The sources by Study and Series Instance UID; those that cannot be read, or have none, are left out."""
    groups: dict[tuple[str, str], list[Source]] = {}
    for source in sources:
        try:
            loaded = source.load()
            header = loaded if isinstance(loaded, Dataset) else _header(loaded)
        except (*BROKEN, DimsefastError):
            continue
        key = str(header.get("StudyInstanceUID") or ""), str(header.get("SeriesInstanceUID") or "")
        if all(key):
            groups.setdefault(key, []).append(source)
    return groups


def _header(loaded: Path | bytes) -> Dataset:
    from io import BytesIO

    file = BytesIO(loaded) if isinstance(loaded, bytes) else loaded
    return dcmread(file, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "SeriesInstanceUID"])
