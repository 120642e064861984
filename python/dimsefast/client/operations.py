"""What a client is, echoes, finds and stores, for both faces (see `dimsefast.waiting`)."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

from pydicom.dataset import Dataset

from .. import query, requests
from ..ae import Entity
from ..association_base import AssociationBase
from ..errors import AssociationAborted, StatusError
from ..operation import AsyncIteration
from ..sop_class import Verification
from ..tls import TLS
from ..waiting import Waiting
from .links import Links, models
from .peer import Peer, parse_address
from .progress import progress_handler
from .reports import ProgressHandler, StoreReport
from .sources import Source, Storable, scan
from .storing import Storing, by_series

#: Statuses of responses that others follow.
PENDING = (0xFF00, 0xFF01)
#: Priority (0000,0700), as associations have it by default.
LOW_PRIORITY = 2


class Operations:
    """What a `Client` does but for retrieving, in both faces: see there."""

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
            stream = AsyncIteration(requests.c_find(association, identifier, model, None, LOW_PRIORITY))
            async with contextlib.aclosing(stream) as responses:
                async for status, found in responses:
                    code = status.get("Status")
                    if code is None:
                        raise self._lost(association, sent)
                    if code == 0x0000:
                        return
                    if code not in PENDING:
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
