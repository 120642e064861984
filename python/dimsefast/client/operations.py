"""The operations of a client, for both faces (see `dimsefast.waiting`)."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from .. import evt, query, requests
from ..ae import Entity
from ..association_base import AssociationBase
from ..errors import AssociationAborted, ReceiverError, ServiceNotSupported, StatusError
from ..events import Event
from ..operation import AsyncIteration
from ..sop_class import Verification
from ..tls import TLS
from ..waiting import Waiting
from .links import Links, models
from .peer import Peer, parse_address
from .progress import progress_handler
from .receiver import Expected, Receiver
from .reports import Failure, Progress, ProgressHandler, RetrieveReport, StoreReport
from .retrieving import (
    Instance,
    contained,
    get_contexts,
    instances,
    next_message_id,
    retrieve_keys,
    take_status,
)
from .sources import Source, Storable, scan
from .storing import Storing, by_series

_PENDING = (0xFF00, 0xFF01)
_CANCELLED, _UNKNOWN_DESTINATION = 0xFE00, 0xA801
#: The identifier and the SOP class; the last two digits are the peer's own.
_DOES_NOT_MATCH = 0xA900
#: Objects that one C-GET asks for by UID.
_UIDS_A_REQUEST = 200
#: Priority (0000,0700), as associations have it by default.
_LOW_PRIORITY = 2


class Operations:
    """What a `Client` does, in both faces: see there."""

    #: What the face makes entities and associations of.
    _entity: Callable[[str], Entity]
    _association_type: Callable[..., AssociationBase]

    def __init__(
        self,
        peer: str | Peer,
        ae_title: str = "DIMSEFAST",
        listen: str | None = None,
        *,
        timeout: float = 30,
        arrival_timeout: float = 10,
        retries: int = 1,
        max_pdu: int | None = None,
        tls: TLS | None = None,
    ) -> None:
        self.peer = Peer.parse(peer)
        self.ae = self._entity(ae_title)
        self.ae.connection_timeout = self.ae.acse_timeout = self.ae.dimse_timeout = timeout
        if max_pdu is not None:
            self.ae.maximum_pdu_size = max_pdu
        if listen is not None:
            parse_address(listen, "the address to listen at", "host:port")
        self.listen = listen
        self.arrival_timeout = arrival_timeout
        self.retries = retries
        self._max_pdu = max_pdu
        self._tls = tls
        self._links = Links(self.ae, self.peer, self._association_type, tls)

    @property
    def _waiting(self) -> Waiting:
        """What the face waits by now."""
        raise NotImplementedError

    @property
    def ae_title(self) -> str:
        """Our own AE title."""
        return self.ae.ae_title

    def __repr__(self) -> str:
        return f"<Client {self.ae_title} of {self.peer}>"

    # Echo and find
    # -----------------------------------------------------------------------------------------------------

    async def _echo(self) -> float:
        for attempt in itertools.count():
            try:
                return await self._echo_once()
            except AssociationAborted:
                if attempt >= self.retries:
                    raise
                await self._links.forget_idle()
        raise AssertionError("unreachable")

    async def _echo_once(self) -> float:
        async with self._links.borrow([str(Verification)]) as (association, _):
            started = time.monotonic()
            status = (await requests.c_echo(association, None)).get("Status")
            if status is None:
                raise self._lost(association, started)
            seconds = time.monotonic() - started
        if status != 0x0000:
            raise StatusError(str(self.peer), "C-ECHO", status)
        return seconds

    async def _find(self, identifier: Dataset, candidates: Sequence[str]) -> AsyncGenerator[Dataset, None]:
        for attempt in itertools.count():
            responses = self._responses(identifier, candidates)
            try:
                first = await anext(responses, None)
            except AssociationAborted:
                if attempt >= self.retries:
                    raise
                await self._links.forget_idle()
                continue
            async with contextlib.aclosing(responses):
                if first is not None:
                    yield first
                    async for found in responses:
                        yield found
            return

    async def _responses(self, identifier: Dataset, candidates: Sequence[str]) -> AsyncGenerator[Dataset, None]:
        """What one query yields over one association."""
        async with self._links.borrow(candidates) as (association, model):
            sent = time.monotonic()
            stream = AsyncIteration(requests.c_find(association, identifier, model, None, _LOW_PRIORITY))
            async with contextlib.aclosing(stream) as responses:
                async for status, found in responses:
                    code = status.get("Status")
                    if code is None:
                        raise self._lost(association, sent)
                    if code == 0x0000:
                        return
                    if code not in _PENDING:
                        raise StatusError(str(self.peer), "C-FIND", code, str(status.get("ErrorComment") or ""))
                    if found is not None:
                        yield found
                    sent = time.monotonic()

    def _lost(self, association: AssociationBase, started: float) -> Exception:
        limit = self.ae.dimse_timeout
        return self._links.lost(association, limit is not None and time.monotonic() - started >= limit)

    # Store
    # -----------------------------------------------------------------------------------------------------

    async def _store(
        self,
        items: Storable | Iterable[Storable],
        progress: bool | ProgressHandler | None = None,
        skip_existing: bool = False,
        decompress: bool = False,
    ) -> StoreReport:
        started = time.monotonic()
        report = StoreReport(peer=str(self.peer))
        found = await self._waiting.apart(scan, items)
        try:
            report.skipped = found.skipped
            if skip_existing and found.sources:
                there = await self._existing(found.sources)
                report.existing = sum(source.sop_instance in there for source in found.sources)
                found.sources = [source for source in found.sources if source.sop_instance not in there]
            with progress_handler(progress, f"to {self.peer.ae_title}") as told:
                await Storing(self._links, found, report, told, self.retries).run(decompress)
        finally:
            found.close()
        report.seconds = time.monotonic() - started
        return report

    async def _existing(self, sources: list[Source]) -> set[str]:
        """The SOP Instance UIDs of these that the peer has."""
        there = set()
        for (study, series), members in (await self._waiting.apart(by_series, sources)).items():
            asked = query.image(["SOPInstanceUID"], study_instance_uid=study, series_instance_uid=series)
            rows = self._find(asked, models(asked, "Find", None))
            held = {str(row.get("SOPInstanceUID") or "") async for row in rows}
            there |= held & {source.sop_instance for source in members}
        return there

    # Move
    # -----------------------------------------------------------------------------------------------------

    async def _move(
        self,
        identifier: Dataset,
        to: str | None = None,
        receive: str | Path | None = None,
        model: str | None = None,
        progress: bool | ProgressHandler | None = None,
    ) -> RetrieveReport:
        destination = (to or self.ae_title).strip()
        candidates = models(identifier, "Move", model)
        retrieve_keys(identifier, candidates[0])
        if receive is None:
            with progress_handler(progress, f"to {destination}") as told:
                return await self._move_to(identifier, destination, candidates, told, None, next_message_id())
        if destination != self.ae_title.strip():
            raise ValueError(f"objects for {destination} do not come here, to {self.ae_title}: leave out `receive`")
        if self.listen is None:
            raise ValueError('a move with `receive` needs to know where to listen: Client(..., listen="0.0.0.0:11113")')
        waiting = self._waiting
        receiver = await waiting.apart(
            Receiver.shared, self.ae_title, self.listen, Path(receive), self._max_pdu, self._tls
        )
        try:
            number = next_message_id()
            expected = receiver.expect(self.peer.ae_title, number, Path(receive))
            try:
                with progress_handler(progress, f"from {self.peer.ae_title}") as told:
                    return await self._move_to(identifier, destination, candidates, told, (receiver, expected), number)
            finally:
                receiver.forget(expected)
        finally:
            await waiting.apart(receiver.close)

    async def _move_to(
        self,
        identifier: Dataset,
        destination: str,
        candidates: Sequence[str],
        told: ProgressHandler | None,
        receiving: tuple[Receiver, Expected] | None,
        number: int,
    ) -> RetrieveReport:
        report = RetrieveReport(peer=str(self.peer), destination=destination)
        started = time.monotonic()
        async with self._links.borrow(candidates) as (association, model):
            here = association.requestor.address
            last: Dataset | None = None
            sent = time.monotonic()
            keys = retrieve_keys(identifier, model)
            stream = AsyncIteration(requests.c_move(association, keys, destination, model, number, _LOW_PRIORITY))
            async with contextlib.aclosing(stream) as responses:
                async for status, failed in responses:
                    if status.get("Status") is None:
                        report.problem = str(self._lost(association, sent))
                        break
                    sent, last = time.monotonic(), status
                    take_status(report, status, failed)
                    if told is not None:
                        remaining = status.get("NumberOfRemainingSuboperations")
                        done = report.completed + report.failed
                        size = 0 if receiving is None else receiving[1].bytes
                        total = None if remaining is None and status.Status in _PENDING else done + int(remaining or 0)
                        told(Progress(done, total, size, None, report.failed))
        report.status = None if report.problem or last is None else int(last.Status)
        if last is not None and not report.problem:
            self._refused("C-MOVE", report, last, destination, receiving, here)
        if receiving is not None:
            await self._arrival(report, last, receiving[0], receiving[1], here)
        report.seconds = time.monotonic() - started
        return report

    def _refused(
        self,
        operation: str,
        report: RetrieveReport,
        last: Dataset,
        destination: str,
        receiving: tuple[Receiver, Expected] | None,
        here: str | None,
    ) -> None:
        """Raises where the peer did not even begin."""
        status = int(last.Status)
        if status in (0x0000, _CANCELLED) or 0xB000 <= status <= 0xBFFF or report.completed or report.failed:
            return
        advice = ""
        if operation == "C-MOVE" and status & 0xFF00 != _DOES_NOT_MATCH:
            where = "where it listens" if receiving is None else f"at {_place(receiving[0], here)}"
            # Some say no more than that they cannot where they do not know the destination.
            may = "" if status == _UNKNOWN_DESTINATION else "is the destination known? "
            advice = f"{may}{self.peer.ae_title} must know the AE {destination} {where}"
        raise StatusError(str(self.peer), operation, status, str(last.get("ErrorComment") or ""), advice)

    async def _arrival(
        self, report: RetrieveReport, last: Dataset | None, receiver: Receiver, expected: Expected, here: str | None
    ) -> None:
        """Waits for what the peer counted as sent, and says what did not come."""
        counted = report.completed
        if last is not None and "NumberOfCompletedSuboperations" not in last and report.status == 0x0000:
            # It does not count: what came until nothing more does.
            await self._waiting.apart(expected.wait, expected.count, 0)
            counted = expected.count
        if not report.problem:
            await self._waiting.apart(expected.wait, counted, self.arrival_timeout)
        report.received, report.bytes, report.folder = expected.count, expected.bytes, expected.folder
        report.missing = max(0, counted - expected.count)
        must_know = f"the archive must know the AE {self.ae_title} at {_place(receiver, here)}"
        if report.status == 0x0000 and counted and not expected.count:
            raise ReceiverError(
                f"{self.peer} says that it sent {counted} objects to {self.ae_title}, but none arrived within "
                f"{self.arrival_timeout:g} s: {must_know}"
            )
        if report.failed and not expected.count and not report.problem:
            report.problem = f"nothing arrived here: {must_know}"

    # Get
    # -----------------------------------------------------------------------------------------------------

    async def _get(
        self,
        identifier: Dataset,
        into: str | Path,
        model: str | None = None,
        progress: bool | ProgressHandler | None = None,
        skip_existing: bool = False,
        classes: Iterable[str] | None = None,
    ) -> RetrieveReport:
        started = time.monotonic()
        candidates = models(identifier, "Get", model)
        retrieve_keys(identifier, candidates[0])
        folder = Path(into)
        folder.mkdir(parents=True, exist_ok=True)
        report = RetrieveReport(peer=str(self.peer), destination=str(folder), folder=folder, received=0)
        known: list[Instance] = []
        if classes is None or skip_existing:
            known = await self._instances(identifier, needed=skip_existing)
        wanted = [identifier]
        if skip_existing:
            there = contained(folder)
            left = [one for one in known if one.sop_instance not in there]
            report.existing = len(known) - len(left)
            if report.existing:
                wanted = list(_by_uid(left))
                known = left
        if classes is None:
            classes = {one.sop_class for one in known if one.sop_class}
        total = len(known) if known else None
        if not wanted:
            report.status = 0x0000
        else:
            with progress_handler(progress, f"from {self.peer.ae_title}") as told:
                await self._get_into(wanted, candidates, folder, list(classes), report, total, told)
        report.seconds = time.monotonic() - started
        return report

    async def _instances(self, identifier: Dataset, needed: bool) -> list[Instance]:
        """What the peer has of it; nothing where it does not answer and that is not needed."""
        try:
            found = instances(lambda asked, model: self._find(asked, models(asked, "Find", model)), identifier)
            return [one async for one in found]
        except (StatusError, ServiceNotSupported):
            if needed:
                raise
            return []

    async def _get_into(
        self,
        wanted: list[Dataset],
        candidates: Sequence[str],
        folder: Path,
        classes: list[str],
        report: RetrieveReport,
        total: int | None,
        told: ProgressHandler | None,
    ) -> None:
        arrived: dict[str, int] = {}

        def tell(total: int | None) -> None:
            if told is not None:
                done = len(arrived) + report.failed
                told(Progress(done, total, sum(arrived.values()), None, report.failed))

        def on_store(event: Event) -> int:
            request: Any = event.__dict__["request"]
            size = event.dataset_path.stat().st_size
            arrived[str(request.AffectedSOPInstanceUID)] = size
            report.bytes += size
            tell(total)
            return 0x0000

        association, model = await self._open_for_get(candidates, classes, folder, [(evt.EVT_C_STORE, on_store)])
        completed = warnings = failed = 0
        try:
            for identifier in wanted:
                keys = retrieve_keys(identifier, model)
                last: Dataset | None = None
                sent = time.monotonic()
                stream = AsyncIteration(requests.c_get(association, keys, model, None, _LOW_PRIORITY))
                async with contextlib.aclosing(stream) as responses:
                    async for status, listed in responses:
                        if status.get("Status") is None:
                            report.problem = str(self._lost(association, sent))
                            break
                        sent, last = time.monotonic(), status
                        take_status(report, status, listed)
                        if total is None and status.get("NumberOfRemainingSuboperations") is not None:
                            tell(len(arrived) + report.failed + int(status.NumberOfRemainingSuboperations))
                completed, warnings = completed + report.completed, warnings + report.warnings
                failed += report.failed_count
                report.completed, report.warnings, report.failed_count = completed, warnings, failed
                if last is None or report.problem:
                    report.status = None
                    break
                if report.status in (None, 0x0000):
                    report.status = int(last.Status)
                self._refused("C-GET", report, last, str(folder), None, None)
        except BaseException:
            association._abort()
            raise
        finally:
            await self._links.done_with(association)
        report.received = len(arrived)
        report.missing = 0 if report.problem else max(0, report.completed - len(arrived))
        if report.problem:
            report.completed = len(arrived)
        if report.failed and not report.failures and not report.problem:
            report.failures.append(Failure("", f"{report.failed} sub-operations failed, which the peer does not list"))

    async def _open_for_get(
        self, candidates: Sequence[str], classes: list[str], folder: Path, handlers: list[Any]
    ) -> tuple[AssociationBase, str]:
        for model in candidates:
            contexts, roles = get_contexts(model, classes)
            association = await self._links.open(contexts, ext_neg=roles, store_to=folder, evt_handlers=handlers)
            try:
                association._usable(model)
            except ValueError:
                await self._links.done_with(association)
                continue
            return association, model
        raise ServiceNotSupported(str(self.peer), "it does not offer C-GET to us: use move")


def _by_uid(left: list[Instance]) -> Iterator[Dataset]:
    """Identifiers for these objects alone, series by series."""
    series: dict[tuple[str, str], list[str]] = {}
    for one in left:
        series.setdefault((one.study, one.series), []).append(one.sop_instance)
    for (study, of_series), uids in series.items():
        for at in range(0, len(uids), _UIDS_A_REQUEST):
            yield query.image(
                (),
                study_instance_uid=study,
                series_instance_uid=of_series,
                sop_instance_uid=uids[at : at + _UIDS_A_REQUEST],
            )


def _place(receiver: Receiver, here: str | None) -> str:
    """host:port of a receiver as the peer sees it."""
    host = receiver.address.rpartition(":")[0]
    if host in ("0.0.0.0", "[::]") and here:
        host = f"[{here}]" if ":" in here else here
    return f"{host}:{receiver.port}"
